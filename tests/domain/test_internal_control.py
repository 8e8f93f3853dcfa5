"""The marked normal ducts: clean, stained, strongly stained, or too few to tell."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2scope.domain.cells import CellClass, CellCounts
from her2scope.domain.false_cells import FalseRates
from her2scope.domain.internal_control import InternalControl, judge_ducts

CLEAN = FalseRates()


def test_unmarked_ducts_say_nothing():
    assert judge_ducts(CellCounts(n_other=40), CLEAN) == InternalControl()


@pytest.mark.parametrize(
    ("ducts", "blocks", "says"),
    [
        (CellCounts(none=100), False, ""),
        (CellCounts(incomplete_faint=12, none=88), False, ""),  # chance, at 10 %
        (CellCounts(incomplete_faint=30, none=70), False, "30 of 100 cells stained (limit 10 %)"),
        (CellCounts(none=30), False, "too few cells of normal ducts were marked to judge them: 30 of at least 50"),
        (CellCounts(complete_intense=4, none=46), False, ""),
        (CellCounts(complete_intense=15, none=85), True, "15 of 100 cells complete intense (limit 5 %)"),
        (CellCounts(complete_moderate=20, incomplete_intense=5, none=75), True, "25 of 100 cells moderate or more"),
        (CellCounts(complete_intense=12), True, "12 of 12 cells complete intense"),
    ],
)
def test_verdict(ducts, blocks, says):
    found = judge_ducts(ducts, CLEAN)
    assert bool(found.blocking) is blocks
    assert says in " ".join((*found.blocking, *found.warnings))
    assert bool(found.blocking or found.warnings) is bool(says)


def test_what_the_method_calls_stained_by_mistake_is_no_stain():
    ducts = CellCounts(incomplete_faint=30, none=70)
    assert not judge_ducts(ducts, FalseRates({CellClass.INCOMPLETE_FAINT: 0.25})).warnings


@given(st.lists(st.integers(0, 60), min_size=5, max_size=5), st.integers(0, 4), st.integers(0, 4))
def test_stronger_stain_is_never_judged_milder(counts, first, second):
    lower, higher = max(first, second), min(first, second)
    if not counts[lower]:
        return
    changed = list(counts)
    changed[lower] -= 1
    changed[higher] += 1

    def severity(found: InternalControl) -> int:
        return 2 * bool(found.blocking) + bool(found.warnings)

    before, after = (judge_ducts(CellCounts(*some), CLEAN) for some in (counts, changed))
    assert severity(after) >= severity(before)
