"""Points of the contest: laws of the rules, and tables in every form that spreadsheets give them."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from her2scope.domain.errors import BadInputError, SettingsError
from her2scope.domain.guideline import SCORES, Score
from her2scope.settings import as_mapping, from_mapping
from her2scope.slides.contest_points import evaluate, result_json, result_lines
from her2scope.slides.contest_rules import ContestRules, contest_rules
from her2scope.slides.contest_tables import (
    Answer,
    Truth,
    answers_csv,
    check_same_cases,
    read_answers,
    read_truth,
    truth_csv,
)

RULES = contest_rules()
scores: st.SearchStrategy[Score] = st.sampled_from(SCORES)
percents = st.none() | st.floats(0, 100)
answers_of_cases = st.lists(
    st.tuples(scores, st.none() | scores, st.none() | st.floats(0, 1), percents, percents), min_size=1, max_size=40
)


def tables(cases: list) -> tuple[dict[str, Answer], dict[str, Truth]]:
    answers = {
        f"c{k}": Answer(f"c{k}", answer, confidence, mine) for k, (_, answer, confidence, mine, _) in enumerate(cases)
    }
    return answers, {f"c{k}": Truth(f"c{k}", truth, own) for k, (truth, _, _, _, own) in enumerate(cases)}


# ---- rules --------------------------------------------------------------------------------------------------------


def test_the_right_answer_has_the_most_points() -> None:
    for truth in SCORES:
        points = {answer: RULES.points_of(truth, answer) for answer in SCORES}
        assert max(points.values()) == points[truth] == RULES.max_per_case.value
        assert RULES.points_of(truth, None) == 0


def test_the_contest_s_total_is_that_of_its_cases() -> None:
    assert RULES.most_points == 420
    assert RULES.second_best.value < RULES.most_points


def test_what_was_not_checked_is_named() -> None:
    """The organisers' page was read for the kinds of assessment and for ties; nothing else was."""
    told = RULES.unverified()
    named = {line.partition(" (")[0] for line in told}
    assert named == {
        "points", "max per case", "test cases", "second best", "tie measure", "bonus points", "weighted confidence",
        "combined points",
    }  # fmt: skip
    assert RULES.tie_break.verified and RULES.assessments.verified


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"scores": ["0", "1", "2", "3"]}, "scores must be"),
        ({"points": {"matrix": {"0": [1, 2, 3, 4]}}}, "one row for each score"),
        ({"points": {"row": ("2+", [2.5, 2.5, 16, 5])}}, "from 0 to 15"),
        ({"points": {"row": ("2+", [2.5, 2.5, 15])}}, "4 values"),
        ({"bonus": 3}, "unknown key 'bonus'"),
    ],
)
def test_rules_that_cannot_be_are_refused(change: dict, told: str) -> None:
    data = json.loads(json.dumps(as_mapping(RULES)))
    points = change.pop("points", {})
    if "row" in points:
        score, row = points["row"]
        data["points"]["matrix"][score] = row
    elif points:
        data["points"] |= points
    with pytest.raises(SettingsError, match=told):
        from_mapping(ContestRules, data | change, "rules")


# ---- points -------------------------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(cases=answers_of_cases)
def test_points_lie_between_none_and_the_most(cases: list) -> None:
    result = evaluate(*tables(cases), RULES)
    assert 0 <= result.points <= result.most_points == 15 * len(cases)
    right = sum(truth == answer for truth, answer, *_ in cases)
    assert result.points >= 15 * right
    assert sum(sum(row.values()) for row in result.confusion().values()) == len(cases)


@settings(max_examples=30)
@given(cases=answers_of_cases, order=st.randoms(use_true_random=False))
def test_the_order_of_lines_changes_nothing(cases: list, order: Random) -> None:
    answers, truth = tables(cases)
    keys = list(answers)
    order.shuffle(keys)
    other = evaluate({key: answers[key] for key in keys}, {key: truth[key] for key in reversed(keys)}, RULES)
    assert result_lines(other) == result_lines(evaluate(answers, truth, RULES))
    assert result_json(other) == result_json(evaluate(answers, truth, RULES))


@settings(max_examples=30)
@given(cases=answers_of_cases, which=st.integers(0, 39))
def test_mending_an_answer_never_costs_points(cases: list, which: int) -> None:
    answers, truth = tables(cases)
    key = f"c{which % len(cases)}"
    mended = answers | {key: Answer(key, truth[key].score, None, None)}
    assert evaluate(mended, truth, RULES).points >= evaluate(answers, truth, RULES).points


def test_a_contest_by_hand() -> None:
    cases = [
        ("0", "0", 0.9, 0.0, 1.0),
        ("1+", "0", 0.6, 2.0, 0.0),
        ("2+", "1+", 0.5, 30.0, 35.0),
        ("2+", "3+", 0.8, 60.0, 50.0),
        ("3+", "2+", 0.7, 80.0, 90.0),
        ("3+", "1+", 0.55, 5.0, 70.0),
        ("3+", None, None, 70.0, 70.0),
    ]
    result = evaluate(*tables(cases), RULES)
    assert result.points == 15 + 15 + 2.5 + 5 + 10 + 0 + 0
    assert result.mean_complete_difference == pytest.approx((1 + 2 + 5 + 10 + 10 + 65 + 0) / 7)
    assert sum(case.is_grave for case in result.cases) == 1
    assert result.unanswered == 1
    assert result.confusion()["3+"] == {"0": 0, "1+": 1, "2+": 1, "3+": 0, "none": 1}
    assert result.mean_confidence(True) == pytest.approx(0.9)
    assert result.mean_confidence(False) == pytest.approx((0.6 + 0.5 + 0.8 + 0.7 + 0.55) / 5)
    told = "\n".join(result_lines(result))
    assert "points: 47.5 of 105 (7 cases) [not verified]" in told
    assert "complete membrane staining: 13.29 percentage points" in told
    for name in ("bonus points", "confidence weighted by agreement", "points and weighted confidence together"):
        assert f"{name}: not available (" in told
    assert "the contest had 28 cases: these points stand beside no entry of it" in told
    found = result_json(result)
    assert found["weighted_confidence"] == found["combined_points"] == found["bonus_points"] == "not available"
    assert found["points_verified"] is False


@settings(max_examples=30)
@given(cases=answers_of_cases)
def test_a_case_without_a_percentage_leaves_no_tie_break(cases: list) -> None:
    result = evaluate(*tables(cases), RULES)
    whole = all(mine is not None and own is not None for *_, mine, own in cases)
    assert (result.mean_complete_difference is not None) is whole


# ---- tables -------------------------------------------------------------------------------------------------------

case_names = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zs", "Zl", "Zp")), min_size=1, max_size=12)


@settings(max_examples=30)
@given(
    rows=st.lists(
        st.tuples(case_names, st.none() | scores, st.none() | st.floats(0, 1), percents), min_size=1, max_size=9
    )
)
def test_answers_are_read_as_they_were_written(rows: list, tmp_path_factory: pytest.TempPathFactory) -> None:
    answers = [Answer(*row, reason="so, or; so") for row in {row[0]: row for row in rows}.values()]
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_bytes(answers_csv(answers))
    found = read_answers(path)
    assert list(found) == [answer.case for answer in answers]
    for answer in answers:
        other = found[answer.case]
        assert (other.score, other.reason) == (answer.score, answer.reason)
        for name, within in (("confidence", 6e-5), ("complete_percent", 6e-3)):
            mine, own = getattr(answer, name), getattr(other, name)
            assert (mine is None and own is None) or mine == pytest.approx(own, abs=within)


def test_a_name_that_is_no_text_loses_no_answer(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(answers_csv([Answer("b\udcff", None, None, None, "unreadable"), Answer("c", "2+", 0.9, 30.0)]))
    assert [(answer.case, answer.score) for answer in read_answers(path).values()] == [("b?", None), ("c", "2+")]


def test_truth_is_read_as_it_was_written(tmp_path: Path) -> None:
    truth = [Truth("a", "2+", 12.25), Truth("b", "0", None)]
    path = tmp_path / "t.csv"
    path.write_bytes(truth_csv(truth, {"scanner": {"a": "x", "b": "y, z"}}))
    assert list(read_truth(path).values()) == truth


@pytest.mark.parametrize(
    "text",
    [
        "case,score,confidence,complete_percent\na,2+,0.5,12.5\nb,0,,\n",
        "\ufeffcase,score,confidence,complete_percent\r\na,2+,0.5,12.5\r\nb,0,,\r\n",
        "Case;Score;Confidence;Complete percent\na;2;0,5;12,5 %\nb;0;;\n",
        'case,score,confidence,complete_percent\na,2+,"0,5","12,5"\n\nb,0,,\n,,,\n',
        "complete_percent\tconfidence\tscore\tcase\n12.5\t0.5\t2 +\ta\n\t\t0\tb",
        " case , score , confidence , complete_percent , lab\n a , 2+ , .5 , 12.50 , x\n b , 0 , , , y\n",
    ],
)
def test_tables_as_spreadsheets_save_them(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode())
    assert list(read_answers(path).values()) == [Answer("a", "2+", 0.5, 12.5), Answer("b", "0", None, None)]


HEAD = "case,score,confidence,complete_percent\n"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "the table is empty"),
        (b"\xef\xbb\xbf\n  \n", "the table is empty"),
        (HEAD.encode(), "no case in it"),
        (b"a,2+,0.5,1\n", "no column 'case'"),
        (b"case,confidence\na,1\n", "no column 'score'"),
        (b"case,score,score\na,2+,2+\n", "column 'score' is there twice"),
        ((HEAD + "a,4,0.5,1\n").encode(), "line 2: the score '4' is none of 0, 1"),
        ((HEAD + "a,2+,0.5,1\na,2+,0.5,1\n").encode(), "line 3: case a is there twice"),
        ((HEAD + ",2+,0.5,1\n").encode(), "line 2: it names no case"),
        ((HEAD + "a,2+,50,1\n").encode(), "line 2: confidence '50' is no number from 0 to 1"),
        ((HEAD + "a,2+,nan,1\n").encode(), "confidence 'nan'"),
        ((HEAD + "a,2+,1,101\n").encode(), "complete_percent '101' is no number from 0 to 100"),
        ((HEAD + "a,2+,1,-3\n").encode(), "complete_percent '-3'"),
        ((HEAD + "a,2+,high,1\n").encode(), "confidence 'high'"),
        ((HEAD + "a,2+,0,5,12,5\n").encode(), "line 2 has 6 values for 4 columns. Numbers with a decimal comma need ;"),
        ((HEAD + "a,2+\n").encode(), "line 2 has 2 values for 4 columns. Correct it"),
        ((HEAD + 'a,"2+\n').encode(), "not a table"),
        (b"\xff\xfe\x00c", "not a text in UTF-8"),
        (b"case,score\na\x00,2+\n", "not a text, but bytes"),
    ],
)
def test_a_wrong_table_is_one_clear_line(tmp_path: Path, data: bytes, told: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(data)
    with pytest.raises(BadInputError, match=told) as caught:
        list(read_answers(path).values())
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


@settings(max_examples=30)
@given(data=st.binary(max_size=80) | st.text(max_size=80).map(str.encode))
def test_no_bytes_do_worse_than_a_clear_error(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_bytes(HEAD.encode() + data)
    try:
        assert read_answers(path)
    except BadInputError as error:
        assert str(error).startswith(str(path))


def test_paths_that_are_no_table(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no such file"):
        read_answers(tmp_path / "no.csv")
    with pytest.raises(BadInputError, match="cannot be read"):
        read_answers(tmp_path)


def test_truth_needs_a_score(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("case,score\na,\n")
    with pytest.raises(BadInputError, match="line 2: it has no score"):
        read_truth(path)


def test_both_tables_need_the_same_cases(tmp_path: Path) -> None:
    answers, truth = tables([("0", "0", None, None, None)] * 3)
    check_same_cases(answers, truth, tmp_path)
    with pytest.raises(BadInputError, match="no line for case c1"):
        check_same_cases({key: answers[key] for key in ("c0", "c2")}, truth, tmp_path)
    with pytest.raises(BadInputError, match="2 cases: c0, c2 not in the truth"):
        check_same_cases(answers, {"c1": truth["c1"]}, tmp_path)
