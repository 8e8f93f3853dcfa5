"""A contest from slides to points: a phantom contest is written, answers are made and held against its truth."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from her2scope.annotations.files import read_annotations
from her2scope.app import contest as app_contest
from her2scope.app.contest import (
    PhantomContestRequest,
    SubmitRequest,
    answer_of,
    compare_tables,
    slides_of,
    submit,
    write_phantom_contest,
)
from her2scope.app.slides import SlidesRequest
from her2scope.cli import main
from her2scope.domain.cells import CellCounts
from her2scope.domain.errors import BadInputError
from her2scope.domain.guideline import Category
from her2scope.domain.score import CaseScore
from her2scope.phantom.contest import plan_contest
from her2scope.phantom.slide_file import read_slide_spec
from her2scope.slides.contest_tables import Answer, answers_csv, read_answers, read_truth
from her2scope.slides.progress import ProgressLine
from her2scope.slides.records import SlideOutcome

SMALL_UM = (440.0, 440.0)
CASE = CaseScore(
    "2+", Category.EQUIVOCAL, True, CellCounts(), None, None, False, (), score_probability={"1+": 0.2, "2+": 0.8}
)


@pytest.fixture(scope="module")
def phantom_contest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("contest") / "contest"
    told: list[str] = []
    write_phantom_contest(PhantomContestRequest(out, 5, 2, "usual", SMALL_UM), told.append)
    assert len(told) == 2
    return out


class Scored:
    """What an answer takes of a slide's score."""

    def __init__(self, case: CaseScore, complete_percent: float | None) -> None:
        self.case, self.complete_percent = case, complete_percent


def outcome(path: str, case: CaseScore | None, problem: str = "") -> SlideOutcome:
    score = Scored(case, 33.25) if case is not None else None
    return SlideOutcome(Path(path), score, None, problem)  # type: ignore[arg-type]


def test_a_phantom_contest_is_slides_controls_and_truth(phantom_contest: Path) -> None:
    plan = plan_contest(5, 2, "usual", SMALL_UM)
    truth = read_truth(phantom_contest / "truth.csv")
    assert list(truth) == [item.case for item in plan]
    for item in plan:
        path = phantom_contest / "slides" / f"{item.case}.phantom.yaml"
        assert read_slide_spec(path) == item.spec
        controls = read_annotations(phantom_contest / "controls" / f"{item.case}.geojson", item.spec.size_px())
        assert controls.classes == ("control 0", "control 1+", "control 2+", "control 3+")
        assert controls.repairs == ()
        found = json.loads((phantom_contest / "truth" / f"{item.case}.json").read_text())
        assert found["score"] == truth[item.case].score
        assert found["complete_percent"] == pytest.approx(truth[item.case].complete_percent, abs=1e-4)


def test_a_contest_is_never_written_over(phantom_contest: Path) -> None:
    with pytest.raises(BadInputError, match="is there already"):
        write_phantom_contest(PhantomContestRequest(phantom_contest, 6, 2, "usual", SMALL_UM), lambda line: None)


def test_the_true_answers_have_all_points(phantom_contest: Path, tmp_path: Path) -> None:
    truth = read_truth(phantom_contest / "truth.csv")
    path = tmp_path / "results.csv"
    path.write_bytes(answers_csv([Answer(one.case, one.score, 1.0, one.complete_percent) for one in truth.values()]))
    result = compare_tables(path, phantom_contest / "truth.csv")
    assert result.points == result.most_points == 30
    assert result.mean_complete_difference == pytest.approx(0.0, abs=0.005)


# ---- slides of a folder ---------------------------------------------------------------------------------------------


def test_slides_of_a_folder_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b.svs", "a.phantom.yaml", "c.TIFF", "notes.txt", "d.yaml", ".hidden.svs"):
        (tmp_path / name).touch()
    (tmp_path / "e.svs").mkdir()
    slides, others = slides_of(tmp_path)
    assert [path.name for path in slides] == ["a.phantom.yaml", "b.svs", "c.TIFF"]
    assert others == ["d.yaml", "notes.txt"]
    with pytest.raises(BadInputError, match="no such folder"):
        slides_of(tmp_path / "no")
    with pytest.raises(BadInputError, match="no slide in it"):
        slides_of(tmp_path / "e.svs")


# ---- answers --------------------------------------------------------------------------------------------------------


def test_an_answer_is_the_score_and_how_probable_it_is() -> None:
    assert answer_of(outcome("x/one.phantom.yaml", CASE)) == Answer("one", "2+", 0.8, 33.25)


def test_a_score_that_is_not_reportable_is_answered_and_says_why() -> None:
    doubtful = replace(CASE, reportable=False, blocking=("control invalid", "faded"))
    answer = answer_of(outcome("one.svs", doubtful))
    assert (answer.score, answer.reason) == ("2+", "not reportable: control invalid; faded")


def test_no_score_is_made_up_for_a_slide_without_one() -> None:
    unscored = replace(CASE, score=None, score_probability=None)
    assert answer_of(outcome("one.svs", unscored, "insufficient")) == Answer("one", None, None, 33.25, "insufficient")
    assert answer_of(outcome("one.svs", None, "cannot be read")) == Answer("one", None, None, None, "cannot be read")


def test_every_slide_has_a_line_and_those_without_a_score_are_named(
    phantom_contest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[SlidesRequest] = []

    shown = ProgressLine(io.StringIO())

    def score(request: SlidesRequest, told: object, bar: object) -> tuple[SlideOutcome, ...]:
        assert bar is shown
        asked.append(request)
        first, second = request.slides
        return outcome(first.name, CASE), outcome(second.name, None, "no tissue")

    monkeypatch.setattr(app_contest, "score_slides", score)
    out = tmp_path / "results.csv"
    how = SlidesRequest((), Path(), annotations=phantom_contest / "controls", workers=3)
    lines = submit(SubmitRequest(phantom_contest / "slides", out, how), lambda line: None, shown)
    assert lines[1] == "without a score: case_02"
    assert asked[0].out == tmp_path / "results_slides" and asked[0].workers == 3
    answers = read_answers(out)
    assert [answer.score for answer in answers.values()] == ["2+", None]
    assert answers["case_02"].reason == "no tissue"
    result = compare_tables(out, phantom_contest / "truth.csv")
    assert result.unanswered == 1 and result.cases[1].points == 0


def test_a_table_that_is_a_slide_is_refused(phantom_contest: Path) -> None:
    slide = phantom_contest / "slides" / "case_01.phantom.yaml"
    with pytest.raises(BadInputError, match="Give another name"):
        submit(SubmitRequest(slide.parent, slide, SlidesRequest((), Path())), lambda line: None)


# ---- the commands -------------------------------------------------------------------------------------------------


def test_evaluate_prints_points_and_writes_json(
    phantom_contest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results, table = tmp_path / "results.csv", tmp_path / "points.json"
    results.write_text("case;score;confidence\ncase_02;3;0,5\ncase_01;0;0,9\n")
    assert main(["contest", "evaluate", str(results), str(phantom_contest / "truth.csv"), "--json", str(table)]) == 0
    told = capsys.readouterr().out
    assert "[not verified]" in told and "points and weighted confidence together: not available" in told
    found = json.loads(table.read_text())
    assert found["schema"] == "her2scope.contest/1" and found["n_cases"] == 2
    assert f"points: {found['points']:g} of 30 (2 cases)" in told
    assert found["tie_break_mean_difference_percent"] is None


@pytest.mark.parametrize(
    ("text", "told"),
    [("case,score\ncase_01,0\n", "no line for case case_02"), ("case,score\ncase_01,5\n", "line 2: the score '5'")],
)
def test_a_wrong_table_ends_with_one_line_and_code_2(
    phantom_contest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, told: str
) -> None:
    results = tmp_path / "results.csv"
    results.write_text(text)
    assert main(["contest", "evaluate", str(results), str(phantom_contest / "truth.csv")]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and told in err
