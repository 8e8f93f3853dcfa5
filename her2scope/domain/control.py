"""Does the positive control vouch for this staining run? Measures in, verdict with reasons in a lab's words out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from her2scope.domain.cells import StainCuts
from her2scope.domain.guideline import SCORES, Score
from her2scope.domain.score import ControlStatus


class ControlCode(StrEnum):
    """Why a control is doubted; the words for programs."""

    FADED = "faded"
    OVER_STAINED = "over_stained"
    BACKGROUND = "background"
    NO_COUNTERSTAIN = "no_counterstain"
    NUCLEAR = "nuclear"
    BLURRED = "blurred"
    OVER_EXPOSED = "over_exposed"
    WRONG_LEVEL = "wrong_level"
    TOO_FEW = "too_few"
    LOW_END_NOT_COVERED = "low_end_not_covered"
    NEGATIVE_NOT_READ = "negative_not_read"
    DRIFT = "drift"


@dataclass(frozen=True, slots=True)
class ControlLimits:
    """What a sufficient control looks like. Start values; a lab sets its own from its valid runs."""

    min_tumour: int = 100
    """Fewest cells from which a cut may be taken (design section 3)."""
    min_intense_od10: float = 0.30
    """A 3+ control whose membranes are weaker than this has faded."""
    max_intense_od10: float = 1.60
    """Above it the wall lets under 3 % of the light through: stain or exposure is wrong."""
    min_cut_od10: float = 0.45
    max_cut_od10: float = 1.40
    """Intense cuts that a lab's sufficient 3+ controls give; one outside is a warning and is not used."""
    max_background_od10: float = 0.15
    """DAB of the cytoplasm (median over cells) above this hides faint staining; clean controls have 0.06 to 0.11."""
    invalid_background_od10: float = 0.40
    invalid_background_share: float = 0.50
    """Above both, this od10 and this share of the membranes', a control is invalid: strong 3+ membranes stand out from
    a brown cytoplasm all the same (a real 3+ field: 0.55 of 1.40)."""
    max_nuclear_od10: float = 0.10
    """DAB inside nuclei (median), over what the cytoplasm beside them carries, above this is nuclear staining."""
    min_counterstain_od10: float = 0.08
    """Haematoxylin of nuclei over their surroundings below this cannot be seen."""
    max_clipped_share: float = 0.05
    invalid_clipped_share: float = 0.30


@dataclass(frozen=True, slots=True)
class ControlMeasures:
    """What was read from one control field."""

    n_tumour: int
    read: Score | None
    """Score of the control by the default cuts, None where too few cells were found."""
    membrane_od10: float
    """Median DAB od10 of the stained membranes; 0 where none is stained."""
    intense_od10: float | None
    """The cut this control would give, None where it cannot give one."""
    background_od10: float
    nuclear_od10: float
    counterstain_od10: float
    clipped_share: float
    low_end_open: bool = False
    """It reads 1+, but with no more faint cells than the method calls stained by mistake (or at too coarse a scale)."""
    quality_codes: tuple[str, ...] = ()
    """Codes of the quality gate that make the field unusable."""


@dataclass(frozen=True, slots=True)
class ControlVerdict:
    """Whether the run may be scored."""

    status: ControlStatus
    codes: tuple[ControlCode, ...]
    reasons: tuple[str, ...]


_Doubt = tuple[ControlStatus, ControlCode, str]


def judge_control(measures: ControlMeasures, expected: Score, limits: ControlLimits) -> ControlVerdict:
    """Verdict on a control of known score; each doubt says what is wrong, by how much, and what to look at."""
    doubts = [*_picture(measures, limits), *_stain(measures, expected, limits), *_level(measures, expected, limits)]
    invalid = any(status is ControlStatus.INVALID for status, _, _ in doubts)
    status = ControlStatus.INVALID if invalid else ControlStatus.WARNING if doubts else ControlStatus.VALID
    return ControlVerdict(
        status, tuple(dict.fromkeys(code for _, code, _ in doubts)), tuple(text for _, _, text in doubts)
    )


def _picture(measures: ControlMeasures, limits: ControlLimits) -> Iterator[_Doubt]:
    """What is wrong with the picture, before any stain is judged."""
    without_it = "" if measures.n_tumour < limits.min_tumour else "; the verdict is that of the other fields"
    severity = ControlStatus.WARNING if without_it else ControlStatus.INVALID
    codes = measures.quality_codes
    if "blurred" in codes:
        why = f"a control field is out of focus: refocus and read it again{without_it}"
        yield severity, ControlCode.BLURRED, why
    share = f"{100 * measures.clipped_share:.0f} % of the tissue's pixels are clipped"
    if measures.clipped_share > limits.invalid_clipped_share:
        yield ControlStatus.INVALID, ControlCode.OVER_EXPOSED, f"{share}: lower the exposure and read it again"
    elif measures.clipped_share > limits.max_clipped_share:
        yield ControlStatus.WARNING, ControlCode.OVER_EXPOSED, f"{share} (limit {100 * limits.max_clipped_share:.0f} %)"
    elif "over_exposed" in codes:
        yield severity, ControlCode.OVER_EXPOSED, f"a control field is over-exposed: lower the exposure{without_it}"
    other = ", ".join(code for code in codes if code not in ("blurred", "over_exposed"))
    if measures.n_tumour < limits.min_tumour:
        why = f"{measures.n_tumour} cells found, at least {limits.min_tumour} are needed"
        yield ControlStatus.INVALID, ControlCode.TOO_FEW, why + (f" ({other})" if other else "")
    elif other:
        yield ControlStatus.WARNING, ControlCode.TOO_FEW, f"a control field cannot be used ({other}){without_it}"


def _stain(measures: ControlMeasures, expected: Score, limits: ControlLimits) -> Iterator[_Doubt]:
    """What is wrong with the stain itself; nothing can be said without cells."""
    if measures.n_tumour == 0:
        return
    if expected == "3+" and 0 < measures.membrane_od10 < limits.min_intense_od10:
        why = f"DAB too weak (median {measures.membrane_od10:.2f}, limit {limits.min_intense_od10:.2f} od10)"
        yield ControlStatus.INVALID, ControlCode.FADED, f"{why}; check antibody, incubation, retrieval"
    if measures.membrane_od10 > limits.max_intense_od10:
        why = f"DAB too strong (median {measures.membrane_od10:.2f}, limit {limits.max_intense_od10:.2f} od10)"
        yield ControlStatus.INVALID, ControlCode.OVER_STAINED, f"{why}; check antibody dilution and DAB time"
    if measures.background_od10 > limits.max_background_od10:
        stands_out = measures.background_od10 <= limits.invalid_background_share * measures.membrane_od10
        severe = measures.background_od10 > limits.invalid_background_od10 and not stands_out
        status = ControlStatus.INVALID if severe else ControlStatus.WARNING
        why = (
            f"DAB between the membranes (median {measures.background_od10:.2f}, limit {limits.max_background_od10:.2f})"
        )
        yield status, ControlCode.BACKGROUND, f"{why}; check blocking and washing"
    if measures.nuclear_od10 > limits.max_nuclear_od10:
        why = f"brown nuclei (median {measures.nuclear_od10:.2f}, limit {limits.max_nuclear_od10:.2f} od10)"
        yield ControlStatus.WARNING, ControlCode.NUCLEAR, f"{why}; check retrieval and antibody"
    if measures.counterstain_od10 < limits.min_counterstain_od10:
        why = f"nuclei barely blue (haematoxylin {measures.counterstain_od10:.2f} over their surroundings"
        yield (
            ControlStatus.WARNING,
            ControlCode.NO_COUNTERSTAIN,
            f"{why}, limit {limits.min_counterstain_od10:.2f} od10); check the haematoxylin: cells may be missed",
        )


def _level(measures: ControlMeasures, expected: Score, limits: ControlLimits) -> Iterator[_Doubt]:
    """Whether the control reads as the score it is known to have."""
    if expected == "3+" and measures.read == expected:
        yield from _cut(measures, limits)
    if measures.n_tumour < limits.min_tumour:
        return
    if measures.low_end_open and expected in ("0", "1+"):
        why = (
            f"{expected} control: faint staining no more than this method's false cells, 0 and 1+ cannot be told apart"
        )
        yield ControlStatus.WARNING, ControlCode.LOW_END_NOT_COVERED, why
        return
    if measures.read == expected:
        return
    reads = measures.read or "no score"
    why = f"{expected} control reads {reads}: membrane DAB median {measures.membrane_od10:.2f} od10"
    yield ControlStatus.INVALID, ControlCode.WRONG_LEVEL, why
    if measures.read is None:
        return
    weaker = SCORES.index(measures.read) < SCORES.index(expected)
    code, remedy = (
        (ControlCode.FADED, "DAB too weak for its level; check antibody, incubation, retrieval")
        if weaker
        else (ControlCode.OVER_STAINED, "DAB too strong for its level; check antibody dilution and DAB time")
    )
    yield ControlStatus.INVALID, code, remedy


def _cut(measures: ControlMeasures, limits: ControlLimits) -> Iterator[_Doubt]:
    """Whether the cut that the control gives may be used."""
    unused = "the default cuts stay in force and the score is not reportable"
    cut = measures.intense_od10
    if cut is None:
        why = f"too few complete membranes to take the intense cut from: {unused}"
        yield ControlStatus.WARNING, ControlCode.TOO_FEW, why
    elif not cut_in_range(cut, limits):
        code = ControlCode.FADED if cut < limits.min_cut_od10 else ControlCode.OVER_STAINED
        span = f"{limits.min_cut_od10:.2f} to {limits.max_cut_od10:.2f}"
        yield ControlStatus.WARNING, code, f"intense cut {cut:.2f} od10 outside the lab's range ({span}): {unused}"


def cut_in_range(cut_od10: float, limits: ControlLimits) -> bool:
    """Whether an intense cut lies in the lab's own range."""
    return limits.min_cut_od10 <= cut_od10 <= limits.max_cut_od10


def after_earlier(verdict: ControlVerdict, earlier: Sequence[ControlStatus]) -> ControlVerdict:
    """Verdict in view of this run's earlier readings: a valid one after an invalid one is at best a warning."""
    if verdict.status is ControlStatus.VALID and ControlStatus.INVALID in earlier:
        why = "an earlier reading of this run's control was invalid"
        return ControlVerdict(ControlStatus.WARNING, verdict.codes, (*verdict.reasons, why))
    return verdict


MODERATE_OF_INTENSE = 0.5
"""Moderate cut as a fraction of the intense cut where no 2+ or 1+ control was read: half the od10 of the weakest
intense membrane. A documented start value, to be replaced by a read level."""


def anchored_cuts(default: StainCuts, intense_od10: float) -> StainCuts:
    """Cuts of a case from its 3+ control: the control's intense cut, the others kept below it."""
    moderate = max(default.stained_od10, MODERATE_OF_INTENSE * intense_od10)
    stained = min(default.stained_od10, moderate)
    return StainCuts(stained, moderate, max(moderate, intense_od10))
