"""Small phantom fields and cases read end to end by closed contours, and the figures that come of them."""

from __future__ import annotations

import json
import operator
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest

from her2scope.app.compose import make_analyser
from her2scope.domain.cells import CellCounts
from her2scope.domain.errors import BadInputError
from her2scope.evaluation import phantom_fields
from her2scope.evaluation.agreement import Agreement, compare_analysers, evaluate_agreement
from her2scope.evaluation.phantom_cases import (
    CasePlan,
    CaseReading,
    CaseSpec,
    ReadCase,
    evaluate_phantom_cases,
    judge_case,
    read_case,
)
from her2scope.evaluation.phantom_fields import (
    CLASSES,
    MOST_CONTROL_FIELDS,
    ControlFields,
    class_accuracy,
    evaluate_phantom_fields,
    match_cells,
    read_field,
    share_error,
)
from her2scope.evaluation.reading import read_anchor
from her2scope.evaluation.work import done_in_any_order
from her2scope.phantom.compare.truth_marks import truth_cells, truth_result
from her2scope.phantom.field import PhantomField, PhantomSpec, render_field
from her2scope.records import Frame
from her2scope.settings import Calibration, ScoringSettings

METHOD = "closed-contours"
SMALL = (480, 360)
MAKERS = {METHOD: partial(make_analyser, METHOD, ScoringSettings(), Calibration())}
PLAN = CasePlan(cases=1, cells=20, first_seed=700, size_wh=SMALL)


@pytest.fixture(scope="module")
def analysers():
    return {METHOD: MAKERS[METHOD]()}


def test_a_level_is_read_in_so_many_fields_as_have_cells_enough(analysers):
    taken: list[Frame] = []

    def level(size_wh: tuple[int, int]) -> Iterator[Frame]:
        taken.clear()
        for frame in ControlFields(PhantomSpec("3+", 701, 1_000_000, size_wh, difficulty="easy")):
            taken.append(frame)
            yield frame

    small = read_anchor(analysers[METHOD], {"3+": level(SMALL)})
    assert 1 < len(taken) < MOST_CONTROL_FIELDS and "too_few" not in small.codes
    smallest = read_anchor(analysers[METHOD], {"3+": level((160, 120))})
    assert len(taken) == MOST_CONTROL_FIELDS and "too_few" in smallest.codes and not smallest.from_control
    large = read_anchor(analysers[METHOD], {"3+": level((900, 700))})
    assert len(taken) == 1 and "too_few" not in large.codes


def test_further_fields_of_a_control_are_drawn_when_they_are_asked_for(monkeypatch):
    drawn: list[PhantomSpec] = []

    def field(spec: PhantomSpec) -> SimpleNamespace:
        drawn.append(spec)
        return SimpleNamespace(rgb=np.full((2, 2, 3), len(drawn), np.uint8))

    monkeypatch.setattr(phantom_fields, "render_field", field)
    fields = ControlFields(PhantomSpec("3+", 1, 5))
    assert [spec.number for spec in drawn] == [5]
    first, second = islice(fields, 2)
    assert [spec.number for spec in drawn] == [5, 6] and (first.rgb[0, 0, 0], second.rgb[0, 0, 0]) == (1, 2)
    assert len(list(fields)) == len(drawn) == MOST_CONTROL_FIELDS and next(iter(fields)) is first


@pytest.fixture(scope="module")
def drawn() -> PhantomField:
    return render_field(PhantomSpec("2+", 701, size_wh=SMALL))


@pytest.fixture(scope="module")
def tally(analysers):
    return read_field(analysers, PhantomSpec("2+", 701, size_wh=SMALL))[METHOD]


def told(lines: list[str]):
    return lines.append


def test_the_truth_read_as_a_result_is_right_in_every_way(drawn):
    cells = truth_cells(drawn.truth)
    visible = np.array([cell["visible"] for cell in drawn.truth["cells"]])
    result = truth_result(drawn.rgb, 0.25, [cell for cell, seen in zip(cells, visible, strict=True) if seen])
    matching = match_cells(result, cells, visible)
    assert matching.tally.f1 == 1.0 and matching.tally.hits > 20
    assert all(
        result.cells[a].cell_class == cells[b].cell_class for a, b in zip(matching.found, matching.true, strict=True)
    )


def test_cells_that_cannot_be_seen_count_neither_way(drawn):
    cells = truth_cells(drawn.truth)
    visible = np.array([cell["visible"] for cell in drawn.truth["cells"]])
    assert not visible.all()
    everything = match_cells(truth_result(drawn.rgb, 0.25, cells), cells, visible).tally
    assert everything.f1 == 1.0
    nothing = match_cells(truth_result(drawn.rgb, 0.25, ()), cells, visible).tally
    assert nothing.missed == everything.hits and nothing.false == 0


def test_a_field_is_read_as_the_contract_says(tally):
    assert tally.pattern == "2+" and tally.seed == 701 and not tally.refused
    assert 0 < tally.nuclei.hits <= tally.nuclei.hits + tally.nuclei.missed
    assert tally.kinds.n == tally.nuclei.hits
    assert sum(map(sum, tally.classes)) <= tally.kinds.tumour_right + tally.kinds.tumour_as_other
    assert 0 <= class_accuracy([tally]) <= 1 and 0 <= share_error(tally) <= 40


def test_shares_are_compared_class_by_class(tally):
    true = CellCounts(complete_moderate=50, none=50)
    assert share_error(replace(tally, true_counts=true, found_counts=true)) == 0.0
    found = CellCounts(complete_moderate=40, none=60)
    assert share_error(replace(tally, true_counts=true, found_counts=found)) == pytest.approx(20 / len(CLASSES))
    assert share_error(replace(tally, true_counts=true, found_counts=CellCounts(none=5))) is None


def test_fields_give_the_rows_and_the_details(analysers):
    lines: list[str] = []
    reports = evaluate_phantom_fields(MAKERS, 2, 700, told(lines), size_wh=SMALL, difficulty="easy")
    names = [figure.name for figure in reports[METHOD].figures]
    assert len(names) == len(set(names)) == 7 and {figure.on for figure in reports[METHOD].figures} == {
        "phantoms, easy"
    }
    details = reports[METHOD].details
    assert [field["pattern"] for field in details["fields"]] == ["0", "ultralow"]
    assert set(details["by_pattern"]) == {"0", "ultralow"} and details["class_names"] == [
        name.value for name in CLASSES
    ]
    assert lines[-1] == "phantom fields: 2 of 2"
    json.dumps(details, allow_nan=False)


def test_a_case_goes_on_until_it_has_cells_enough(analysers):
    spec = PLAN.specs()[1]
    case = read_case(analysers, spec)
    assert case.pattern == "ultralow" and case.true_counts.n_tumour >= PLAN.cells
    assert len(case.readings[METHOD].fields) + case.readings[METHOD].refused == case.n_fields


def test_an_ultralow_case_has_two_percent_of_faint_cells_over_its_fields():
    null, faint = CasePlan(cases=1).specs()
    few, enough = CellCounts(none=990, incomplete_faint=10), CellCounts(none=980, incomplete_faint=20)
    assert [faint.field(3, counts).score for counts in (CellCounts(), few, enough)] == ["ultralow", "ultralow", "0"]
    assert [null.field(3, counts).score for counts in (CellCounts(), few)] == ["0", "0"]
    assert faint.field(3, few).number == 3 and faint.field(3, few).seed == faint.seed


def test_cases_of_different_patterns_are_of_different_runs():
    seeds = [spec.seed for spec in CasePlan(cases=200).specs()]
    assert len(set(seeds)) == 400


def reading(**counts: int) -> CaseReading:
    return CaseReading((CellCounts(**counts),) * 10, 0, 0, "valid", True)


def test_a_case_is_judged_by_the_false_rates_of_its_method(analysers):
    analyser = analysers[METHOD]
    assert judge_case(analyser, reading(none=300), 0.25).category.value == "null"
    few = judge_case(analyser, reading(none=294, incomplete_faint=6), 0.25)
    assert few.category.value == "null", "closed contours call more than that stained by mistake"
    assert judge_case(analyser, reading(none=10, complete_intense=290), 0.25).score == "3+"


@pytest.fixture
def quick_cases(monkeypatch) -> list[CaseSpec]:
    """Cases that take no time: what was read is listed."""
    read: list[CaseSpec] = []

    def counted(_: object, spec: CaseSpec) -> ReadCase:
        read.append(spec)
        return ReadCase(spec.pattern, CellCounts(none=98, incomplete_faint=2), 10, {METHOD: reading(none=300)})

    monkeypatch.setattr("her2scope.evaluation.phantom_cases.read_case", counted)
    return read


def test_kept_cases_are_not_read_again(tmp_path, quick_cases):
    path = tmp_path / "kept" / "cases.jsonl"
    first = evaluate_phantom_cases(MAKERS, PLAN, told([]), keep=path)
    assert len(path.read_text().splitlines()) == len(quick_cases) == 2
    lines: list[str] = []
    second = evaluate_phantom_cases(MAKERS, PLAN, told(lines), keep=path)
    assert second == first and lines == ["phantom cases: 2 of 2 were kept from before"]
    assert len(quick_cases) == 2
    evaluate_phantom_cases(MAKERS, replace(PLAN, cells=30), told([]), keep=path)
    assert len(quick_cases) == 4


def test_cases_of_another_model_and_a_line_cut_short_are_read_again(tmp_path, quick_cases):
    path = tmp_path / "cases.jsonl"
    evaluate_phantom_cases(MAKERS, PLAN, told([]), keep=path)
    text = path.read_text()
    path.write_text(text.replace('"marks": {"closed-contours": "', '"marks": {"closed-contours": "0', 1)[:-40])
    evaluate_phantom_cases(MAKERS, PLAN, told([]), keep=path)
    assert len(quick_cases) == 4
    evaluate_phantom_cases(MAKERS, PLAN, told([]), keep=path)
    assert len(quick_cases) == 4


@pytest.mark.parametrize("text", ['{"a": 1}\n', "no json\n", "[1]\n"])
def test_a_file_that_keeps_something_else_is_refused(tmp_path, text):
    path = tmp_path / "cases.jsonl"
    path.write_text(text)
    with pytest.raises(BadInputError, match="no kept cases"):
        evaluate_phantom_cases(MAKERS, PLAN, told([]), keep=path)


def test_a_method_agrees_with_itself(analysers, drawn):
    analyser, frame = analysers[METHOD], Frame(drawn.rgb, 0, 0.0, 0.25)
    found = compare_analysers(analyser, analyser, [frame])
    assert found.same_share == 1.0 and found.same > 20
    report = evaluate_agreement({METHOD: (analyser, analyser), "other": None}, [frame], told([]))
    assert report[METHOD].figures[0].met and report["other"].figures[0].met is None


def test_agreement_counts_cells_that_only_one_finds():
    assert Agreement(98, 1, 1).same_share == pytest.approx(0.98)
    assert (Agreement(1, 2, 3) + Agreement(1, 1, 1)) == Agreement(2, 3, 4)
    assert Agreement().same_share is None


@pytest.mark.parametrize("workers", [1, 2])
def test_items_are_done_here_or_by_workers_alike(workers):
    done = dict(done_in_any_order(operator.contains, [METHOD, "other"], MAKERS, workers))
    assert done == {METHOD: True, "other": False}
