"""The case's internal control: normal ducts that the reader marked should carry no strong membrane stain."""

from __future__ import annotations

from dataclasses import dataclass

from her2scope.domain.cells import CellClass, CellCounts
from her2scope.domain.false_cells import FalseRates, are_real
from her2scope.domain.guideline import INTENSE, MODERATE_OR_MORE, STAINED, pattern_words

MIN_DUCT_CELLS = 50
"""Cells of normal ducts from which they can be called clean; a documented start value. With fewer, 20 % of stained
cells may be chance where 10 % are allowed."""
MAX_INTENSE_PERCENT = 5.0
MAX_STRONG_PERCENT = 10.0
"""Strong membrane stain in internal normal ducts or lobules excludes a HER2 test from interpretation (Wolff et al.,
J Clin Oncol 25:118, 2007). It gives no number: documented start values, which leave room for a tumour cell within the
mark; more than they and chance allow is a failed run, or no normal duct."""
MAX_STAINED_PERCENT = 10.0
"""Of any membrane stain: the cut of the guideline itself; a documented start value."""


@dataclass(frozen=True, slots=True)
class InternalControl:
    """What the marked normal ducts say of the case."""

    blocking: tuple[str, ...] = ()
    """Why no score of this case may be reported."""
    warnings: tuple[str, ...] = ()


def judge_ducts(ducts: CellCounts, false: FalseRates) -> InternalControl:
    """Judge the cells of normal ducts that the reader marked, by the classes that the same cells would have as tumour.

    `false` are the method's own false rates: what they explain is no stain. Nothing is said where none was marked.
    """
    n = ducts.n_tumour

    def exceeds(names: tuple[CellClass, ...], limit_percent: float) -> str:
        """What exceeds the limit beyond chance, in words; empty where nothing does."""
        found = ducts.sum_of(names)
        if not are_real(found, n, max(limit_percent / 100, false.of(names))):
            return ""
        return f"{found} of {n} cells {pattern_words(names)} (limit {limit_percent:g} %)"

    strong = exceeds(INTENSE, MAX_INTENSE_PERCENT) or exceeds(MODERATE_OR_MORE, MAX_STRONG_PERCENT)
    if strong:
        why = f"strong membrane stain in normal ducts: {strong}: over-stained, or no normal ducts; not reportable"
        return InternalControl(blocking=(why,))
    stained = exceeds(STAINED, MAX_STAINED_PERCENT)
    if stained:
        return InternalControl(warnings=(f"membrane stain in normal ducts: {stained}: over-staining is possible",))
    if 0 < n < MIN_DUCT_CELLS:
        few = f"too few cells of normal ducts were marked to judge them: {n} of at least {MIN_DUCT_CELLS}"
        return InternalControl(warnings=(few,))
    return InternalControl()
