"""The case score: counts of the accepted fields in, score, category, intervals, doubts and reportability out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from her2scope.domain.cells import SHARE_ORDER, CellClass, CellCounts
from her2scope.domain.false_cells import FalseRates
from her2scope.domain.guideline import (
    MODERATE_OR_MORE,
    STAINED,
    Category,
    Finding,
    Guideline,
    Ish,
    Score,
)
from her2scope.domain.intervals import share_interval

MIN_CASE_CELLS = 100
"""Tumour cells needed for a case score: the smallest number at which a 10 % cut is ten whole cells."""
MIN_FIELD_CELLS = 20
"""Tumour cells needed for the score of one field, which only informs and never reports."""
MAX_LOW_END_UM_PER_PX = 0.35
"""Above it a 0.64 um wide faint membrane (PMC5848460) is under two pixels: 0 and 1+ are not separable."""
MAX_SCORED_UM_PER_PX = 0.60
"""Above it nothing is scored."""

LOW_END_NOT_COVERED = "low end not covered by a control"
NEGATIVE_NOT_READ = "over-staining not excluded"


class ControlStatus(StrEnum):
    """Verdict on the run's positive control; `absent` is a case that was read without one."""

    VALID = "valid"
    WARNING = "warning"
    INVALID = "invalid"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class ControlStanding:
    """What the case's control says about whether a score may be reported."""

    status: ControlStatus = ControlStatus.ABSENT
    overridden: bool = False
    """A reader overrode an invalid control with a written reason."""
    low_end_covered: bool = False
    """A 1+ and a negative level of the run were read: faint staining can be vouched for."""
    negative_read: bool = False
    """A negative level was read: over-staining is excluded."""
    refusals: tuple[str, ...] = ()
    """Why the control, valid in itself, does not hold for this case (another camera state)."""


@dataclass(frozen=True, slots=True)
class CaseScore:
    """The reference score of a case. It stands beside the pathologist's own, and never replaces it."""

    score: Score | None
    category: Category
    reportable: bool
    counts: CellCounts
    shares_percent: Mapping[CellClass, float] | None
    interval95_percent: Mapping[CellClass, tuple[float, float]] | None
    borderline: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TooFewCells:
    """Not a score: too few tumour cells were counted to say anything."""

    n_tumour: int
    needed: int

    def __str__(self) -> str:
        return f"insufficient: {self.n_tumour} of at least {self.needed} tumour cells"


def find_score(
    counts: CellCounts, table: Guideline, false: FalseRates, um_per_px: float, min_cells: int
) -> Finding | TooFewCells:
    """Score of some counted cells by the guideline and the scale they were read at, nothing else considered."""
    if counts.n_tumour < max(1, min_cells):
        return TooFewCells(counts.n_tumour, min_cells)
    finding = table.find(table, counts, false)
    if um_per_px > MAX_LOW_END_UM_PER_PX and finding.score in ("0", "1+"):
        why = f"0 and 1+ are not separable at this scale ({um_per_px:g} um/px, limit {MAX_LOW_END_UM_PER_PX:g})"
        return Finding(finding.score, Category.UNDETERMINED, (*finding.reasons, why))
    return finding


def score_case(
    fields: Sequence[CellCounts],
    table: Guideline,
    false: FalseRates,
    um_per_px: float,
    control: ControlStanding,
    ish: Ish | None = None,
    min_cells: int = MIN_CASE_CELLS,
) -> CaseScore:
    """Reference score of a case.

    Parameters
    ----------
    fields : one `CellCounts` per accepted field, cells seen twice already left out
    um_per_px : the coarsest scale among the fields
    """
    counts = CellCounts.total(fields)
    finding = find_score(counts, table, false.over(fields), um_per_px, min_cells)
    if isinstance(finding, TooFewCells):
        return CaseScore(
            None,
            Category.UNDETERMINED,
            False,
            counts,
            counts.shares_percent(),
            _intervals(fields),
            False,
            (str(finding),),
        )
    category, ish_reasons = _with_ish(finding, ish)
    borderline, borderline_reasons = _borderline(fields, finding.score, table)
    reportable, control_reasons = _reportable(finding.score, control)
    reasons = (*finding.reasons, *ish_reasons, *borderline_reasons, *control_reasons)
    return CaseScore(
        finding.score, category, reportable, counts, counts.shares_percent(), _intervals(fields), borderline, reasons
    )


def _with_ish(finding: Finding, ish: Ish | None) -> tuple[Category, tuple[str, ...]]:
    """A 2+ is equivocal until the reader enters an ISH result; ISH says nothing about the other scores."""
    if finding.score != "2+" or finding.category is Category.UNDETERMINED:
        return finding.category, ()
    if ish is None:
        return finding.category, ("reflex ISH",)
    category = Category.POSITIVE if ish is Ish.POSITIVE else Category.LOW
    return category, (f"ISH {ish.value}, as entered by the reader",)


_DECIDING: Mapping[Score, tuple[tuple[CellClass, ...], ...]] = {
    "3+": ((CellClass.COMPLETE_INTENSE,),),
    "2+": ((CellClass.COMPLETE_INTENSE,), MODERATE_OR_MORE),
    "1+": (MODERATE_OR_MORE, STAINED),
    "0": (MODERATE_OR_MORE, STAINED),
}
"""The patterns whose share, on the other side of the cut, would change each score."""


def _borderline(fields: Sequence[CellCounts], score: Score, table: Guideline) -> tuple[bool, tuple[str, ...]]:
    reasons = []
    for names in _DECIDING[score]:
        interval = _interval(fields, names)
        if interval is not None and interval[0] <= table.min_percent <= interval[1]:
            what = " + ".join(name.value for name in sorted(names, key=lambda name: -name.rank))
            span = f"{interval[0]:.1f} to {interval[1]:.1f} %"
            reasons.append(
                f"borderline: the cut of {table.min_percent:g} % lies in the 95 % interval of {what} ({span})"
            )
    return bool(reasons), tuple(reasons)


def _interval(fields: Sequence[CellCounts], names: Sequence[CellClass]) -> tuple[float, float] | None:
    found = share_interval([counts.sum_of(names) for counts in fields], [counts.n_tumour for counts in fields])
    return None if found is None else (100 * found[0], 100 * found[1])


def _intervals(fields: Sequence[CellCounts]) -> Mapping[CellClass, tuple[float, float]] | None:
    found = {name: _interval(fields, (name,)) for name in SHARE_ORDER}
    return {name: value for name, value in found.items() if value is not None} or None


def _reportable(score: Score, control: ControlStanding) -> tuple[bool, tuple[str, ...]]:
    """Whether the score may stand in a report, and what the control cannot vouch for."""
    if control.status is ControlStatus.ABSENT:
        return False, (*control.refusals, "no control of this run was read: default cuts, not reportable")
    reasons = list(control.refusals)
    reportable = not control.refusals
    if control.status is ControlStatus.INVALID:
        reportable = reportable and control.overridden
        reasons.append("invalid control overridden by the reader" if control.overridden else "the control is invalid")
    if score in ("0", "1+") and not control.low_end_covered:
        reasons.append(LOW_END_NOT_COVERED)
    if score == "3+" and not control.negative_read:
        reasons.append(NEGATIVE_NOT_READ)
    return reportable, tuple(reasons)
