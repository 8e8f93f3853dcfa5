"""What a reader may say, as values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2scope.domain.cells import CellClass, CellRule, StainCuts
from her2scope.domain.corrections import STANDING_WORDS, CaseData, CellStanding, Correction, RuleChange, RuleInForce
from her2scope.domain.errors import CaseRuleError

BASE, CELL = StainCuts(), CellRule()


def in_force(change: RuleChange) -> RuleInForce:
    return RuleInForce(change.cuts(BASE), change.rule(CELL), BASE, CELL, change)


def test_every_class_can_be_given_and_two_words_take_a_cell_out():
    given_classes = {word.cell_class for word in Correction}
    assert given_classes == {*CellClass, None}
    assert [word for word in Correction if word.cell_class is None] == [Correction.NOT_TUMOUR, Correction.EXCLUDED]


def test_every_standing_has_words():
    assert set(STANDING_WORDS) == set(CellStanding)


def test_an_empty_change_deviates_in_nothing():
    assert not RuleChange()
    assert in_force(RuleChange()).deviates == ""


def test_a_change_is_named_with_what_it_replaces():
    said = in_force(RuleChange(intense_od10=0.6, complete_share=0.8)).deviates
    assert said == "intense cut 0.60 instead of 0.70 od10; completeness needed 0.80 instead of 0.90"


def test_cuts_that_would_not_rise_are_refused():
    with pytest.raises(CaseRuleError, match="must rise"):
        RuleChange(moderate_od10=0.9).cuts(BASE)
    with pytest.raises(CaseRuleError, match="share from 0 to 1"):
        RuleChange(complete_share=1.2).rule(CELL)


CUTS = st.lists(st.floats(0.05, 2), min_size=3, max_size=3).map(lambda values: StainCuts(*sorted(values)))


@given(CUTS, CUTS, CUTS, st.sets(st.sampled_from(["stained_od10", "moderate_od10", "intense_od10"])))
def test_moved_cuts_hold_over_any_later_base(wanted, base, later, names):
    change = RuleChange(**{name: getattr(wanted, name) for name in names})
    found = change.cuts_over(later)  # which has to rise
    assert all(getattr(found, name) == getattr(wanted, name) for name in names)
    try:
        expected = change.cuts(base)
    except CaseRuleError:
        return
    assert change.cuts_over(base) == expected, "where nothing has to give way, nothing does"


@given(
    st.sampled_from(["  A-17 ", "a-17", "A-17"]), st.sampled_from(["1", " 1"]), st.sampled_from(["HER2  a", "her2 A"])
)
def test_one_slide_has_one_identity_however_it_is_spelt(accession, block, slide):
    assert CaseData(accession, block, slide).slide_id == "a-17/1/her2 a"


def test_without_a_slide_there_is_no_identity():
    assert CaseData("A-17", "1", "  ").slide_id == ""
