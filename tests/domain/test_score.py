"""The whole case score: a worked example for each row and category, the laws, and the honesty about doubt."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from her2scope.domain.cells import CellClass, CellCounts
from her2scope.domain.errors import BadInputError
from her2scope.domain.false_cells import FalseRates
from her2scope.domain.guideline import BREAST_2023, SCORES, Category, Guideline, Ish
from her2scope.domain.score import MAX_FURTHER_FIELDS, CaseScore, ControlStanding, ControlStatus, score_case
from her2scope.domain.score_sentence import INTERVAL_SCOPE, deciding_pattern, whole

CLEAN = FalseRates({}, "a method without false cells")
COVERED = ControlStanding(ControlStatus.VALID, low_end_covered=True, negative_read=True)


def cells(intense: int = 0, moderate: int = 0, incomplete: int = 0, faint: int = 0, none: int = 0) -> CellCounts:
    return CellCounts(intense, moderate, incomplete, faint, none)


def case(*fields: CellCounts, table: Guideline = BREAST_2023, um_per_px: float = 0.25, **more: object) -> CaseScore:
    arguments: dict = {"false": CLEAN, "control": COVERED, **more}
    return score_case(fields, table, um_per_px=um_per_px, **arguments)


FAINT_NOISE = FalseRates({CellClass.INCOMPLETE_FAINT: 0.12}, "a card")
GOLDEN = {
    "row 1, positive: intense above 10 %": (
        [cells(intense=150, moderate=60, none=90)] * 12, {}, "3+", "positive",
        "3+ is very likely (over 0.99); 50 ± 3 % complete intense; 12 fields, 3\xa0600 cells",
    ),
    "row 2, equivocal: moderate above 10 %": (
        [cells(moderate=123, faint=60, none=117)] * 12, {}, "2+", "equivocal",
        "2+ is very likely (over 0.99); 41 ± 3 % complete moderate; 12 fields, 3\xa0600 cells",
    ),
    "row 2, equivocal: the parts together": (
        [cells(moderate=27, incomplete=27, none=246)] * 12, {}, "2+", "equivocal",
        "2+ is very likely (over 0.99); 18.0 ± 2.8 % moderate or more; 12 fields, 3\xa0600 cells",
    ),
    "row 2, low: ISH negative": (
        [cells(moderate=123, none=177)] * 12, {"ish": Ish.NEGATIVE}, "2+", "low",
        "2+ is very likely (over 0.99); 41 ± 3 % complete moderate; 12 fields, 3\xa0600 cells",
    ),
    "row 2, positive: ISH positive": (
        [cells(moderate=123, none=177)] * 12, {"ish": Ish.POSITIVE}, "2+", "positive",
        "2+ is very likely (over 0.99); 41 ± 3 % complete moderate; 12 fields, 3\xa0600 cells",
    ),
    "row 2, equivocal: some intense": (
        [cells(intense=9, none=291)] * 12, {}, "2+", "equivocal",
        "2+ is very likely (over 0.99); 3.0 % (2.4 to 4.6 %) complete intense; 12 fields, 3\xa0600 cells",
    ),
    "row 3, low: faint above 10 %": (
        [cells(faint=120, none=180)] * 12, {}, "1+", "low",
        "1+ is very likely (0.98); 40 ± 3 % incomplete faint; 12 fields, 3\xa0600 cells",
    ),
    "row 3, undetermined: no more faint than false cells": (
        [cells(faint=39, none=261)] * 2, {"false": FAINT_NOISE}, "1+", "undetermined",
        "1+ is uncertain (0.77), 0 is possible (0.19), its category undetermined; "
        "13.0 % (4.8 to 36.2 %) incomplete faint; 2 fields, 600 cells",
    ),
    "row 4, null: nothing": (
        [cells(none=300)] * 12, {}, "0", "null",
        "0 is very likely (0.98); 0.0 % (0.0 to 1.1 %) stained; 12 fields, 3\xa0600 cells",
    ),
    "row 4, ultralow: some faint": (
        [cells(faint=9, none=291)] * 12, {}, "0", "ultralow",
        "0 is very likely (0.98); 3.0 % (2.4 to 4.6 %) stained; 12 fields, 3\xa0600 cells",
    ),
    "row 4, undetermined: some moderate": (
        [cells(moderate=9, none=291)] * 12, {}, "0", "undetermined",
        "0 is very likely (0.98), its category undetermined; 3.0 % (2.4 to 4.6 %) stained; 12 fields, 3\xa0600 cells",
    ),
    "row 4, undetermined: too few of each class": (
        [cells(moderate=3, faint=2, none=295)] + [cells(none=300)] * 11, {}, "0", "undetermined",
        "0 is very likely (0.98), its category undetermined; 0.1 % (0.0 to 2.6 %) stained; 12 fields, 3\xa0600 cells",
    ),
    "undetermined: the scale": (
        [cells(faint=120, none=180)] * 12, {"um_per_px": 0.5}, "1+", "undetermined",
        "0 or 1+ (0.98), not separable at this scale; 40 ± 3 % incomplete faint; 12 fields, 3\xa0600 cells",
    ),
    "insufficient": (
        [cells(intense=40), cells()], {}, None, "undetermined",
        "No score, insufficient: 40 of at least 100 tumour cells; 1 field, 40 cells",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GOLDEN)
def test_worked_example(name):
    fields, more, score, category, sentence = GOLDEN[name]
    found = case(*fields, **more)
    assert (found.score, found.category, found.sentence) == (score, Category(category), sentence)


def test_the_worked_examples_have_every_score_and_category():
    outcomes = {(score, category) for _, _, score, category, _ in GOLDEN.values()}
    assert {score for score, _ in outcomes} == {*SCORES, None}
    assert {category for _, category in outcomes} == {category.value for category in Category}


# ---- laws ---------------------------------------------------------------------------------------------------------

few = st.integers(0, 120)
a_field = st.builds(CellCounts, few, few, few, few, few)
some_fields = st.lists(a_field, min_size=1, max_size=5)
enough = settings(max_examples=40)


@enough
@given(some_fields, st.data())
def test_the_order_of_fields_changes_nothing_and_empty_ones_neither(fields, data):
    numbered = data.draw(st.permutations(list(enumerate(fields, start=1))))
    shuffled = case(*(one for _, one in numbered), numbers=[number for number, _ in numbered])
    found = case(*fields)
    padded = case(*fields, CellCounts())
    for other in (shuffled, padded):
        assert (other.score, other.category, other.shares_percent) == (
            found.score,
            found.category,
            found.shares_percent,
        )
        assert other.interval95_percent == found.interval95_percent
        assert other.score_probability == found.score_probability
        assert (other.further_fields, other.sentence) == (found.further_fields, found.sentence)
        assert other.heterogeneity.hot_spots == found.heterogeneity.hot_spots


@enough
@given(some_fields, st.data())
def test_splitting_a_field_keeps_score_and_shares(fields, data):
    first = fields[0]
    part = CellCounts(*(data.draw(st.integers(0, first[name])) for name in reversed(CellClass)))
    rest = CellCounts(*(first[name] - part[name] for name in reversed(CellClass)))
    whole_case, split = case(*fields), case(part, rest, *fields[1:])
    assert (split.score, split.category, split.shares_percent) == (
        whole_case.score,
        whole_case.category,
        whole_case.shares_percent,
    )


@enough
@given(some_fields)
def test_probabilities_are_a_distribution_and_intervals_hold_the_shares(fields):
    found = case(*fields)
    if found.score is None:
        assert found.score_probability is None and found.sentence.startswith("No score")
        return
    assert set(found.score_probability) == set(SCORES)
    assert all(0 <= chance <= 1 for chance in found.score_probability.values())
    assert sum(found.score_probability.values()) == pytest.approx(1)
    for name, (low, high) in found.interval95_percent.items():
        assert low - 1e-9 <= found.shares_percent[name] <= high + 1e-9


@enough
@given(some_fields, st.floats(1, 40), st.floats(0, 40))
def test_a_higher_cut_never_raises_the_score(fields, min_percent, more):
    def table(percent: float) -> Guideline:
        return Guideline("x", "", percent, BREAST_2023.find, BREAST_2023.probabilities)

    low, high = case(*fields, table=table(min_percent)), case(*fields, table=table(min_percent + more))
    if low.score is not None:
        assert SCORES.index(high.score) <= SCORES.index(low.score)
        assert at_least(high, "3+") <= at_least(low, "3+") + 1e-9
        assert at_least(high, "1+") <= at_least(low, "1+") + 1e-9


def at_least(found: CaseScore, score: str) -> float:
    return sum(found.score_probability[name] for name in SCORES[SCORES.index(score) :])


@enough
@given(st.integers(2, 10), st.lists(st.integers(0, 120), min_size=5, max_size=5), st.data())
def test_a_higher_class_in_every_field_never_makes_a_high_score_less_probable(n_fields, counts, data):
    if sum(counts) * n_fields < 100:
        return
    lower = data.draw(st.integers(0, 4).filter(lambda place: counts[place]))
    higher = data.draw(st.integers(0, lower))
    n = data.draw(st.integers(1, counts[lower]))
    changed = list(counts)
    changed[lower] -= n
    changed[higher] += n
    before, after = case(*[CellCounts(*counts)] * n_fields), case(*[CellCounts(*changed)] * n_fields)
    assert SCORES.index(after.score) >= SCORES.index(before.score)
    for score in SCORES:
        assert at_least(after, score) >= at_least(before, score) - 0.01


# ---- doubt --------------------------------------------------------------------------------------------------------


def test_more_fields_like_these_make_the_score_more_probable():
    chances = [case(*[cells(intense=45, none=255)] * n).score_probability["3+"] for n in (2, 6, 24)]
    assert chances == sorted(chances) and 0.5 < chances[0] < 0.95 < chances[-1]


def test_the_further_fields_settle_it_and_fewer_do_not():
    fields = [cells(intense=42, none=208), cells(intense=20, none=160), cells(intense=50, none=250)]
    found = case(*fields)
    assert found.borderline and found.further_fields is not None
    # Fields come as they are, so only whole rounds of the same three can be added.
    rounds = -(-found.further_fields // 3)
    assert not case(*fields * (1 + rounds)).borderline
    assert case(*fields * max(1, rounds)).borderline
    assert found.further_cells == pytest.approx(found.further_fields * 730 / 3, abs=1)
    said = f"{found.further_fields} further fields like these ({whole(found.further_cells)} cells) would settle it"
    assert any(said in reason for reason in found.reasons)


def test_what_cannot_be_settled_says_so():
    found = case(*[cells(intense=30, none=270)] * 4)  # exactly at the cut
    assert found.borderline and found.further_fields is None and found.further_cells is None
    assert any(f"not settled by {MAX_FURTHER_FIELDS} further fields" in reason for reason in found.reasons)


def test_a_clear_case_needs_no_further_field():
    found = case(*[cells(intense=270, none=30)] * 8)
    assert (found.borderline, found.further_fields, found.further_cells) == (False, 0, 0)


def test_a_2_by_some_intense_cells_is_not_doubted_for_the_moderate_ones():
    moderate = [cells(moderate=30, none=270)] * 8
    assert case(*moderate).borderline
    assert not case(*[cells(intense=8, moderate=22, none=270)] * 8).borderline


@pytest.mark.parametrize(
    ("n_fields", "says"), [(1, "2+ is uncertain (0."), (2, "2+ is likely (0."), (20, "2+ is very likely (")]
)
def test_the_sentence_says_how_sure(n_fields, says):
    assert case(*[cells(moderate=45, none=255)] * n_fields).sentence.startswith(says)


def test_an_uncertain_score_names_the_other():
    assert ", 1+ is possible (0." in case(cells(moderate=45, faint=100, none=155)).sentence


@pytest.mark.parametrize(
    ("score", "counts", "words"),
    [
        ("3+", cells(intense=200, moderate=500), (CellClass.COMPLETE_INTENSE,)),
        ("2+", cells(intense=20, none=980), (CellClass.COMPLETE_INTENSE,)),
        ("2+", cells(moderate=200, incomplete=300, none=500), (CellClass.INCOMPLETE_INTENSE,)),
        ("1+", cells(incomplete=60, faint=200, none=740), (CellClass.INCOMPLETE_FAINT,)),
    ],
)
def test_the_share_that_decides(score, counts, words):
    assert deciding_pattern(score, counts, BREAST_2023) == words


def test_the_scope_of_the_interval_is_a_sentence():
    assert "which the reader chose" in INTERVAL_SCOPE and INTERVAL_SCOPE.endswith(".")


# ---- what forbids a report ----------------------------------------------------------------------------------------


def test_moved_cuts_are_said_and_forbid_a_report():
    field = cells(intense=500, none=500)
    found = case(field, deviates="intense 0.50 od10 instead of 0.62")
    assert not found.reportable and found.score == "3+"
    (why,) = found.blocking
    assert "intense 0.50 od10 instead of 0.62" in why and why in found.reasons
    assert case(field).reportable and case(field).blocking == ()


def test_normal_ducts_are_judged_with_the_case():
    field = cells(intense=500, none=500)
    strong = case(field, normal_ducts=cells(intense=30, none=30))
    assert not strong.reportable and "strong membrane stain in normal ducts" in strong.blocking[0]
    stained = case(field, normal_ducts=cells(faint=30, none=30))
    assert stained.reportable and any("membrane stain in normal ducts" in reason for reason in stained.reasons)


def test_stain_of_normal_ducts_is_no_staining_of_the_tumour():
    fields = [cells(faint=21, none=279)] * 4
    assert case(*fields).category is Category.ULTRALOW
    assert case(*fields, normal_ducts=cells(faint=8, none=92)).category is Category.NULL


def test_a_few_stained_duct_cells_change_no_rate():
    assert case(*[cells(faint=21, none=279)] * 4, normal_ducts=cells(faint=2, none=8)).category is Category.ULTRALOW


def test_without_a_score_what_forbids_a_report_is_said_too():
    found = case(cells(none=10), deviates="moved", normal_ducts=cells(intense=30))
    assert len(found.blocking) == 3 and not found.reportable


def test_numbers_must_fit_the_fields():
    with pytest.raises(BadInputError, match="2 numbers for 1 fields"):
        case(cells(none=100), numbers=[1, 2])
