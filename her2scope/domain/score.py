"""The case score: counts of the accepted fields in, score, category, intervals, doubts and reportability out."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from her2scope.domain.cells import SHARE_ORDER, CellClass, CellCounts
from her2scope.domain.errors import BadInputError
from her2scope.domain.false_cells import FalseRates
from her2scope.domain.guideline import (
    INTENSE,
    MODERATE_OR_MORE,
    STAINED,
    Category,
    Finding,
    Guideline,
    Ish,
    Score,
)
from her2scope.domain.heterogeneity import Heterogeneity, find_heterogeneity
from her2scope.domain.internal_control import judge_ducts
from her2scope.domain.score_probability import CaseBeliefs, has_some_intense, score_probability
from her2scope.domain.score_sentence import basis_words, score_sentence, whole

MIN_CASE_CELLS = 100
"""Tumour cells needed for a case score: the smallest number at which a 10 % cut is ten whole cells."""
MIN_FIELD_CELLS = 20
"""Tumour cells needed for the score of one field, which only informs and never reports."""
MAX_LOW_END_UM_PER_PX = 0.35
"""Above it a 0.64 um wide faint membrane (PMC5848460) is under two pixels: 0 and 1+ are not separable."""
MAX_SCORED_UM_PER_PX = 0.60
"""Above it nothing is scored."""

MAX_FURTHER_FIELDS = 200
"""More fields than a reader would add to a case."""

LOW_END_NOT_COVERED = "low end not covered by a control"
NEGATIVE_NOT_READ = "over-staining not excluded"


NO_CELLS = CellCounts()


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
    blocking: tuple[str, ...] = ()
    """Those of the reasons for which the score may not be reported."""
    score_probability: Mapping[Score, float] | None = None
    """Probability (0..1) of each score, summing to 1; None where there is no score."""
    further_fields: int | None = None
    """Least number of further fields like these by which no deciding cut would lie in its interval; 0 where none does
    now, None where more than `MAX_FURTHER_FIELDS` or where there is no score."""
    further_cells: int | None = None
    """The same as tumour cells, at the present number in a field."""
    sentence: str = ""
    """Score, how sure it is, the share that decides it, and the cells it rests on, in plain words."""
    heterogeneity: Heterogeneity | None = None


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
    numbers: Sequence[int] | None = None,
    normal_ducts: CellCounts = NO_CELLS,
    deviates: str = "",
) -> CaseScore:
    """Reference score of a case.

    Parameters
    ----------
    fields : one `CellCounts` per accepted field, cells seen twice already left out
    um_per_px : the coarsest scale among the fields
    numbers : of the fields, by which they are named; from 1 on where none are given
    normal_ducts : cells of normal ducts that the reader marked, by the class they would have as tumour cells
    deviates : how the reader moved the cuts away from the stored settings, in words; empty where they were not moved

    Raises
    ------
    BadInputError
        If there are not as many `numbers` as `fields`.
    """
    numbers = range(1, len(fields) + 1) if numbers is None else numbers
    if len(numbers) != len(fields):
        raise BadInputError(f"{len(numbers)} numbers for {len(fields)} fields. Give one for each field.")
    counts = CellCounts.total(fields)
    ducts = judge_ducts(normal_ducts, false)
    false = false.with_own_negatives(normal_ducts).over(fields)
    beliefs = CaseBeliefs(fields)
    finding = find_score(counts, table, false, um_per_px, min_cells)
    heterogeneity = find_heterogeneity(fields, numbers, table)
    shares, intervals = counts.shares_percent(), _intervals(beliefs)
    if isinstance(finding, TooFewCells):
        blocking = (str(finding), *_deviation(deviates), *ducts.blocking, *_control_reasons(None, control)[0])
        return CaseScore(
            None, Category.UNDETERMINED, False, counts, shares, intervals, False,
            (*blocking, *ducts.warnings), blocking,
            sentence=f"No score, {finding}; {basis_words(beliefs)}", heterogeneity=heterogeneity,
        )  # fmt: skip
    category, ish_reasons = _with_ish(finding, ish)
    borderline = _borderline(beliefs, finding.score, table, false)
    control_blocking, control_reasons = _control_reasons(finding.score, control)
    blocking = (*_deviation(deviates), *ducts.blocking, *control_blocking)
    hot_spots = map(str, heterogeneity.hot_spots)
    reasons = (
        *finding.reasons, *ish_reasons, *borderline.reasons, *hot_spots, *ducts.warnings, *blocking, *control_reasons,
    )  # fmt: skip
    probability = score_probability(beliefs, table, false) or {}
    separable = um_per_px <= MAX_LOW_END_UM_PER_PX
    sentence = score_sentence(finding.score, counts, beliefs, table, probability, category, separable)
    return CaseScore(
        finding.score, category, not blocking, counts, shares, intervals, bool(borderline.reasons), reasons, blocking,
        probability, borderline.further_fields, borderline.further_cells, sentence, heterogeneity,
    )  # fmt: skip


def _with_ish(finding: Finding, ish: Ish | None) -> tuple[Category, tuple[str, ...]]:
    """A 2+ is equivocal until the reader enters an ISH result; ISH says nothing about the other scores."""
    if finding.score != "2+" or finding.category is Category.UNDETERMINED:
        return finding.category, ()
    if ish is None:
        return finding.category, ("reflex ISH",)
    category = Category.POSITIVE if ish is Ish.POSITIVE else Category.LOW
    return category, (f"ISH {ish.value}, as entered by the reader",)


_DECIDING: Mapping[Score, tuple[tuple[CellClass, ...], ...]] = {
    "3+": (INTENSE,),
    "2+": (INTENSE, MODERATE_OR_MORE),
    "1+": (MODERATE_OR_MORE, STAINED),
    "0": (MODERATE_OR_MORE, STAINED),
}
"""The patterns whose share, on the other side of the cut, would change each score."""


@dataclass(frozen=True, slots=True)
class _Borderline:
    """Which deciding cuts lie in their intervals, and how many more fields would settle them."""

    reasons: tuple[str, ...]
    further_fields: int | None
    further_cells: int | None


def _borderline(beliefs: CaseBeliefs, score: Score, table: Guideline, false: FalseRates) -> _Borderline:
    deciding = _DECIDING[score]
    if score == "2+" and has_some_intense(beliefs, false):
        deciding = (INTENSE,)  # those keep it a 2+, whatever the rest
    undecided = [names for names in deciding if _holds_cut(beliefs, names, table)]
    if not undecided:
        return _Borderline((), 0, 0)
    further = _fields_to_settle(beliefs, undecided, table)
    if further is None:
        cells, settled_by = None, f"not settled by {MAX_FURTHER_FIELDS} further fields"
    else:
        cells = math.ceil(further * beliefs.n / beliefs.n_fields)
        noun = "field" if further == 1 else "fields"
        settled_by = f"{further} further {noun} like these ({whole(cells)} cells) would settle it"
    reasons = []
    for names in undecided:
        low, high = beliefs.interval_percent(names) or (0.0, 100.0)
        what = " + ".join(name.value for name in sorted(names, key=lambda name: -name.rank))
        span = f"{low:.1f} to {high:.1f} %"
        reasons.append(f"borderline: the cut of {table.min_percent:g} % lies in the 95 % interval of {what} ({span})")
    reasons[-1] += f"; {settled_by}"
    return _Borderline(tuple(reasons), further, cells)


def _fields_to_settle(beliefs: CaseBeliefs, patterns: Sequence[tuple[CellClass, ...]], table: Guideline) -> int | None:
    """Least number of further fields like these by which the cut lies in no interval; None if beyond the most."""

    def settles(further: int) -> bool:
        times = 1 + further / beliefs.n_fields
        return not any(_holds_cut(beliefs, names, table, times) for names in patterns)

    if not settles(MAX_FURTHER_FIELDS):
        return None
    return bisect_left(range(MAX_FURTHER_FIELDS), True, lo=1, key=settles)


def _holds_cut(beliefs: CaseBeliefs, names: Sequence[CellClass], table: Guideline, times: float = 1.0) -> bool:
    interval = beliefs.interval_percent(names, times)
    return interval is not None and interval[0] <= table.min_percent <= interval[1]


def _intervals(beliefs: CaseBeliefs) -> Mapping[CellClass, tuple[float, float]] | None:
    found = {name: beliefs.interval_percent((name,)) for name in SHARE_ORDER}
    return {name: value for name, value in found.items() if value is not None} or None


def _deviation(deviates: str) -> tuple[str, ...]:
    if not deviates:
        return ()
    return (f"the reader moved the cuts away from the stored settings: {deviates}; not reportable",)


def _control_reasons(score: Score | None, control: ControlStanding) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Why the control forbids a report, and what it cannot vouch for in one."""
    if control.status is ControlStatus.ABSENT:
        return (*control.refusals, "no control of this run was read: default cuts, not reportable"), ()
    blocking, reasons = list(control.refusals), []
    if control.status is ControlStatus.INVALID:
        if control.overridden:
            reasons.append("invalid control overridden by the reader")
        else:
            blocking.append("the control is invalid")
    if score in ("0", "1+") and not control.low_end_covered:
        reasons.append(LOW_END_NOT_COVERED)
    if score == "3+" and not control.negative_read:
        reasons.append(NEGATIVE_NOT_READ)
    return tuple(blocking), tuple(reasons)
