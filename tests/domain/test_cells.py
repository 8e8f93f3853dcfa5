"""Classes of single cells, and counts."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2scope.domain.cells import CellClass, CellCounts, CellRule, MembraneMeasure, StainCuts, classify, why
from her2scope.domain.errors import BadInputError

CUTS, RULE = StainCuts(0.1, 0.25, 0.6), CellRule()


@pytest.mark.parametrize(
    ("completeness", "intensity", "intense_share", "expected"),
    [
        (1.0, 0.8, 1.0, "complete_intense"),
        (0.9, 0.6, 0.75, "complete_intense"),
        (1.0, 0.8, 0.74, "complete_moderate"),  # intense, but not uniformly
        (1.0, 0.3, 0.0, "complete_moderate"),
        (1.0, 0.12, 0.0, "complete_moderate"),  # complete and weak
        (0.89, 0.8, 1.0, "incomplete_intense"),
        (0.5, 0.25, 0.0, "incomplete_intense"),
        (0.5, 0.24, 0.0, "incomplete_faint"),
        (0.1, 0.1, 0.0, "incomplete_faint"),
        (0.09, 0.8, 0.05, "none"),
        (1.0, 0.09, 0.0, "none"),
        (0.0, 0.0, 0.0, "none"),
    ],
)
def test_class_of_a_cell(completeness, intensity, intense_share, expected):
    measure = MembraneMeasure(completeness, intensity, intense_share)
    assert classify(measure, CUTS, RULE) is CellClass(expected)


shares = st.floats(0, 1)


@given(share=shares, more=shares, intensity=st.floats(0, 2), intense_share=shares)
def test_more_complete_never_lowers_the_class(share, more, intensity, intense_share):
    low, high = sorted((share, more))
    first = classify(MembraneMeasure(low, intensity, intense_share), CUTS, RULE)
    second = classify(MembraneMeasure(high, intensity, intense_share), CUTS, RULE)
    assert second.rank >= first.rank


@given(intensity=st.floats(0, 2), share=shares, intense_share=shares, factor=st.floats(1, 2))
def test_higher_cuts_never_raise_the_class(intensity, share, intense_share, factor):
    measure = MembraneMeasure(share, intensity, intense_share)
    higher = StainCuts(0.1 * factor, 0.25 * factor, 0.6 * factor)
    assert classify(measure, higher, RULE).rank <= classify(measure, CUTS, RULE).rank


def test_counts_add_and_know_their_classes():
    counts = CellCounts.of([CellClass.NONE, CellClass.NONE, CellClass.COMPLETE_INTENSE, None])
    assert counts == CellCounts(complete_intense=1, none=2, n_other=1)
    assert counts + counts == CellCounts(complete_intense=2, none=4, n_other=2)
    assert counts.n_tumour == 3
    assert CellCounts().shares_percent() is None


@pytest.mark.parametrize("cuts", [(0.0, 0.2, 0.5), (0.3, 0.2, 0.5), (0.1, 0.6, 0.5)])
def test_cuts_must_rise(cuts):
    with pytest.raises(BadInputError, match="must rise"):
        StainCuts(*cuts)


def test_impossible_counts_and_rules_are_refused():
    with pytest.raises(BadInputError, match="negative"):
        CellCounts(none=-1)
    with pytest.raises(BadInputError, match="complete_share is a share"):
        CellRule(complete_share=90)


def test_why_tells_the_rows_of_the_table_that_decided():
    told = {
        (0.94, 0.8, 0.81): (
            "complete: 94 % of the outline is stained (needed 90 %)",
            "intense: 81 % of the outline is above 0.60 od10 (needed 75 %)",
        ),
        (1.0, 0.7, 0.5): (
            "complete: 100 % of the outline is stained (needed 90 %)",
            "weak to moderate: 50 % of the outline is above 0.60 od10 (needed 75 %)",
        ),
        (0.5, 0.25, 0.0): (
            "incomplete: 50 % of the outline is stained (needed 90 %)",
            "moderate to intense: the median of the stained places is 0.25 od10 (needed 0.25)",
        ),
        (0.899, 0.248, 0.0): (
            "incomplete: 89.9 % of the outline is stained (needed 90.0 %)",
            "faint: the median of the stained places is 0.248 od10 (needed 0.250)",
        ),
        (0.04, 0.3, 0.0): ("no membrane staining: 4 % of the outline is stained (needed 10 %)",),
        (0.6, 0.08, 0.0): ("no membrane staining: the median of the stained places is 0.08 od10 (needed 0.10)",),
    }
    for measure, sentences in told.items():
        assert why(MembraneMeasure(*measure), CUTS, RULE) == sentences


BEGINNINGS = {
    CellClass.NONE: ("no membrane staining",),
    CellClass.INCOMPLETE_FAINT: ("incomplete", "faint"),
    CellClass.INCOMPLETE_INTENSE: ("incomplete", "moderate to intense"),
    CellClass.COMPLETE_MODERATE: ("complete", "weak to moderate"),
    CellClass.COMPLETE_INTENSE: ("complete", "intense"),
}


@given(share=shares, intensity=st.floats(0, 2), intense_share=shares, complete_share=st.floats(0.1, 1))
def test_why_leads_to_the_class_and_its_figures_bear_it_out(share, intensity, intense_share, complete_share):
    """What falls short is shown as less than what was needed, and only that."""
    measure, rule = MembraneMeasure(share, intensity, intense_share), CellRule(complete_share)
    cell_class = classify(measure, CUTS, rule)
    sentences = why(measure, CUTS, rule)
    assert tuple(text.split(":")[0] for text in sentences) == BEGINNINGS[cell_class]
    for text in sentences:
        found = float(re.search(r"([\d.]+) (% of|od10 \()", text)[1])
        needed = float(re.search(r"needed ([\d.]+)", text)[1])
        falls_short = text.startswith(("no", "incomplete", "faint", "weak"))
        assert found <= needed if falls_short else found >= needed
