"""Worked examples for each row of the breast table, and the laws that hold whatever the counts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2scope.domain.cells import CellClass, CellCounts
from her2scope.domain.errors import BadInputError, NotAvailableError
from her2scope.domain.false_cells import FalseRates, least_real
from her2scope.domain.guideline import BREAST_2023, SCORES, Category, Ish, guideline
from her2scope.domain.score import (
    CaseScore,
    ControlStanding,
    ControlStatus,
    TooFewCells,
    find_score,
    score_case,
)

CLEAN = FalseRates({}, "a method without false cells")
COVERED = ControlStanding(ControlStatus.VALID, low_end_covered=True, negative_read=True)


def case(counts: CellCounts, **changes: object) -> CaseScore:
    arguments: dict = {
        "fields": [counts],
        "table": BREAST_2023,
        "false": CLEAN,
        "um_per_px": 0.25,
        "control": COVERED,
    }
    return score_case(**{**arguments, **changes})


def counts_of(**n: int) -> CellCounts:
    return CellCounts(**n)


@pytest.mark.parametrize(
    ("complete_intense", "complete_moderate", "incomplete", "none"),
    [(50, 541, 283, 127), (32, 370, 367, 231)],
    ids=["arXiv 2110.12900: 5.0 / 54.1 / 28.3 / 12.7", "arXiv 2110.12900: 3.2 / 37.0 / 36.7 / 23.1"],
)
@pytest.mark.parametrize("incomplete_is", ["incomplete_intense", "incomplete_faint"])
def test_fields_of_the_paper_are_2(complete_intense, complete_moderate, incomplete, none, incomplete_is):
    counts = counts_of(
        complete_intense=complete_intense,
        complete_moderate=complete_moderate,
        none=none,
        **{incomplete_is: incomplete},
    )
    assert case(counts).score == "2+"


@pytest.mark.parametrize(
    ("counts", "score", "category"),
    [
        pytest.param(counts_of(complete_intense=101, none=899), "3+", "positive", id="just above 10 % is 3+"),
        pytest.param(counts_of(complete_intense=100, none=900), "2+", "equivocal", id="exactly 10 % is not above it"),
        pytest.param(counts_of(complete_moderate=100, none=900), "0", "undetermined", id="exactly 10 % moderate"),
        pytest.param(counts_of(complete_moderate=101, none=899), "2+", "equivocal", id="just above 10 % moderate"),
        pytest.param(
            counts_of(complete_moderate=99, incomplete_intense=99, none=802), "2+", "equivocal", id="9.9 + 9.9 %"
        ),
        pytest.param(counts_of(complete_intense=5, none=995), "2+", "equivocal", id="few intense: heterogeneous"),
        pytest.param(counts_of(complete_intense=4, none=996), "0", "null", id="four cells are not any"),
        pytest.param(counts_of(incomplete_faint=101, none=899), "1+", "low", id="faint in more than 10 %"),
        pytest.param(
            counts_of(incomplete_faint=60, complete_moderate=50, none=890), "1+", "low", id="all stained together"
        ),
        pytest.param(counts_of(incomplete_faint=100, none=900), "0", "ultralow", id="exactly 10 % faint"),
        pytest.param(counts_of(incomplete_faint=5, none=995), "0", "ultralow", id="some faint"),
        pytest.param(counts_of(incomplete_faint=4, none=996), "0", "null", id="four faint cells are noise"),
        pytest.param(counts_of(none=1000), "0", "null", id="nothing"),
        pytest.param(counts_of(complete_moderate=5, none=995), "0", "undetermined", id="pattern not in the guideline"),
        pytest.param(counts_of(incomplete_intense=50, none=950), "0", "undetermined", id="moderate below 10 %"),
    ],
)
def test_each_row_of_the_table(counts, score, category):
    found = case(counts)
    assert (found.score, found.category) == (score, Category(category))


def test_reason_says_when_the_incomplete_part_carries_a_2():
    found = case(counts_of(complete_moderate=99, incomplete_intense=99, none=802))
    assert any("incomplete" in reason and "carries it" in reason for reason in found.reasons)


def test_undetermined_asks_for_a_second_reader():
    assert any("second reader" in reason for reason in case(counts_of(complete_moderate=50, none=950)).reasons)


def test_false_cells_of_the_method_are_not_some():
    counts = counts_of(incomplete_faint=20, none=2980)
    noisy = FalseRates({CellClass.INCOMPLETE_FAINT: 0.005}, "card")  # expects 15, at most 25
    assert case(counts).category is Category.ULTRALOW
    assert case(counts, false=noisy).category is Category.NULL
    assert case(counts_of(incomplete_faint=60, none=2940), false=noisy).category is Category.ULTRALOW


def test_false_cells_that_come_in_fields_need_more_to_be_some():
    alike = FalseRates({CellClass.INCOMPLETE_FAINT: 0.05}, "card", icc=0.0)
    clustered = FalseRates({CellClass.INCOMPLETE_FAINT: 0.05}, "card", icc=0.03)
    fields = [counts_of(incomplete_faint=21, none=279)] * 4
    assert case(counts_of(), fields=fields, false=alike).category is Category.ULTRALOW
    assert case(counts_of(), fields=fields, false=clustered).category is Category.NULL


@given(n_faint=st.integers(0, 300), uncertain=st.floats(0, 1), rate=st.floats(0, 0.05))
def test_faint_cells_in_doubt_show_nothing_by_themselves(n_faint, uncertain, rate):
    """Ultralow needs more cells beyond doubt than noise; score and shares are those of all cells."""
    rates = FalseRates({CellClass.INCOMPLETE_FAINT: 0.06}, "card", certain_faint=rate)
    counts = counts_of(incomplete_faint=n_faint, none=3000 - n_faint, uncertain_faint=round(uncertain * n_faint))
    found, sure = (case(one, false=rates) for one in (counts, replace(counts, uncertain_faint=0)))
    assert (found.score, found.shares_percent) == (sure.score, sure.shares_percent)
    if found.score == "0":
        enough = counts.certain_faint >= least_real(3000, rate)
        assert (found.category is Category.ULTRALOW) == enough
        assert found.category in (Category.ULTRALOW, Category.UNDETERMINED, Category.NULL)


def test_stain_of_which_too_little_is_beyond_doubt_asks_for_a_second_reader():
    rates = FalseRates({CellClass.INCOMPLETE_FAINT: 0.01}, "card", certain_faint=0.002)
    found = case(counts_of(incomplete_faint=90, none=2910, uncertain_faint=85), false=rates)
    assert found.category is Category.UNDETERMINED
    assert any("of them beyond doubt: second reader" in reason for reason in found.reasons)
    found = case(counts_of(incomplete_faint=90, none=2910, uncertain_faint=60), false=rates)
    assert found.category is Category.ULTRALOW
    assert any("beyond doubt in 30 of these 90 cells" in reason for reason in found.reasons)


def test_no_more_faint_cells_are_in_doubt_than_there_are():
    with pytest.raises(BadInputError, match="more uncertain faint cells than faint ones"):
        counts_of(incomplete_faint=1, uncertain_faint=2)


def test_1_within_the_false_cells_is_undetermined():
    noisy = FalseRates({CellClass.INCOMPLETE_FAINT: 0.09}, "card")
    found = case(counts_of(incomplete_faint=11, none=89), false=noisy)
    assert (found.score, found.category) == ("1+", Category.UNDETERMINED)
    assert any("second reader" in reason for reason in found.reasons)


def test_ultralow_is_for_faint_cells_alone():
    assert case(counts_of(complete_moderate=4, incomplete_faint=1, none=495)).category is Category.UNDETERMINED
    assert case(counts_of(complete_intense=4, incomplete_faint=40, none=456)).category is Category.ULTRALOW


@pytest.mark.parametrize("intense", [0, 1, 4])
def test_a_higher_class_never_turns_undetermined_into_null(intense):
    counts = counts_of(complete_intense=intense, complete_moderate=5 - intense, none=295)
    assert case(counts).category is Category.UNDETERMINED


def test_the_cases_own_negatives_raise_the_false_rate():
    own = CLEAN.with_own_negatives(counts_of(incomplete_faint=10, none=90))
    assert own.of([CellClass.INCOMPLETE_FAINT]) == pytest.approx(0.1)
    assert case(counts_of(incomplete_faint=90, none=910), false=own).category is Category.NULL


def test_the_cases_own_negatives_raise_the_rate_of_faint_cells_beyond_doubt():
    known = FalseRates({CellClass.INCOMPLETE_FAINT: 0.1}, certain_faint=0.005)
    certain = known.with_own_negatives(counts_of(incomplete_faint=10, none=90))
    doubted = known.with_own_negatives(counts_of(incomplete_faint=10, none=90, uncertain_faint=9))
    assert (certain.of_certain_faint, certain.of([CellClass.INCOMPLETE_FAINT])) == (0.1, 0.1)
    assert doubted == known


def test_too_few_cells_is_no_score():
    found = case(counts_of(complete_intense=99))
    assert found.score is None and not found.reportable
    assert found.reasons == ("insufficient: 99 of at least 100 tumour cells",)
    assert find_score(CellCounts(), BREAST_2023, CLEAN, 0.25, 1) == TooFewCells(0, 1)


def test_ish_decides_a_2_and_nothing_else():
    equivocal, positive = counts_of(complete_moderate=500, none=500), counts_of(complete_intense=500, none=500)
    assert "reflex ISH" in case(equivocal).reasons
    assert case(equivocal, ish=Ish.NEGATIVE).category is Category.LOW
    assert case(equivocal, ish=Ish.POSITIVE).category is Category.POSITIVE
    assert case(positive, ish=Ish.NEGATIVE).category is Category.POSITIVE


def test_coarse_scale_cannot_part_0_from_1():
    faint, moderate = counts_of(incomplete_faint=500, none=500), counts_of(complete_moderate=500, none=500)
    assert case(faint, um_per_px=0.35).category is Category.LOW
    coarse = case(faint, um_per_px=0.36)
    assert (coarse.score, coarse.category) == ("1+", Category.UNDETERMINED)
    assert any("not separable at this scale" in reason for reason in coarse.reasons)
    assert case(moderate, um_per_px=0.36).category is Category.EQUIVOCAL


@pytest.mark.parametrize(
    ("control", "counts", "reportable", "says"),
    [
        (ControlStanding(), counts_of(complete_intense=500, none=500), False, "no control"),
        (ControlStanding(ControlStatus.INVALID), counts_of(complete_intense=500, none=500), False, "is invalid"),
        (ControlStanding(ControlStatus.INVALID, overridden=True), counts_of(none=1000), True, "overridden"),
        (ControlStanding(ControlStatus.VALID), counts_of(none=1000), True, "low end not covered by a control"),
        (ControlStanding(ControlStatus.WARNING), counts_of(complete_intense=500), True, "over-staining not excluded"),
        (
            ControlStanding(ControlStatus.VALID, refusals=("another camera state",)),
            counts_of(none=1000),
            False,
            "state",
        ),
    ],
)
def test_control_decides_what_may_be_reported(control, counts, reportable, says):
    found = case(counts, control=control)
    assert found.reportable is reportable
    assert any(says in reason for reason in found.reasons)


def test_borderline_is_said_when_the_interval_holds_the_cut():
    assert case(counts_of(complete_intense=110, none=890)).borderline
    fields = [counts_of(complete_intense=900, none=100)] * 8
    assert not case(counts_of(), fields=fields).borderline


def test_unknown_guideline_is_not_available():
    with pytest.raises(NotAvailableError, match="'gastric-2016' is not available. Available: breast-2023"):
        guideline("gastric-2016")


many_cells = st.integers(0, 400)
any_counts = st.builds(CellCounts, many_cells, many_cells, many_cells, many_cells, many_cells)


@given(counts=any_counts, data=st.data())
def test_a_higher_class_never_lowers_the_score(counts, data):
    if counts.n_tumour < 100:
        return
    lower = data.draw(st.sampled_from([name for name in CellClass if counts[name]]))
    higher = data.draw(st.sampled_from([name for name in CellClass if name.rank >= lower.rank]))
    n = data.draw(st.integers(1, counts[lower]))
    changed = {name.value: counts[name] for name in CellClass}
    changed[lower.value] -= n
    changed[higher.value] += n
    before, after = (find_score(some, BREAST_2023, CLEAN, 0.25, 100) for some in (counts, CellCounts(**changed)))
    assert SCORES.index(after.score) >= SCORES.index(before.score)
