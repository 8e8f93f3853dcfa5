"""Does the positive control vouch for this staining run? Measures in, verdict with reasons in a lab's words out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import pairwise
from math import prod

from her2scope.domain.cells import CellClass, StainCuts
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
    """Above it the wall lets under 3 % of the light through: stain, exposure or the camera's sharpening is wrong."""
    invalid_intense_od10: float = 2.20
    """Above it it lets 0.6 % through: one or two of 255 grey levels, which no camera of 8 bits measures."""
    min_cut_od10: float = 0.45
    max_cut_od10: float = 1.40
    """Intense cuts that a lab's sufficient 3+ controls give; one outside is a warning and is not used."""
    max_background_od10: float = 0.15
    max_background_share: float = 0.30
    """DAB of the cytoplasm (median over tumour cells) above both, this od10 and this share of the membranes', hides
    faint staining. The light that strong membranes spread is part of it: sufficient 3+ phantoms have 0.12 to 0.52, and
    at most a third of their membranes'; a real 3+ field with brown cytoplasm 0.67 of 1.46."""
    max_stroma_od10: float = 0.20
    """The same beside the cells that are no tumour: collagen and lymphocytes bind no antibody."""
    invalid_background_od10: float = 0.40
    invalid_background_share: float = 0.50
    """Above both, this od10 and this share of the membranes', a control is invalid: strong 3+ membranes stand out from
    a brown cytoplasm all the same (a real 3+ field: 0.55 of 1.40)."""
    max_nuclear_od10: float = 0.10
    """DAB inside nuclei (median), over what the cytoplasm beside them carries, above this is nuclear staining."""
    min_counterstain_od10: float = 0.03
    """Haematoxylin of nuclei over their surroundings below this cannot be seen: pale 3+ phantoms have 0.02 to 0.10, a
    real 3+ field without a counterstain 0.00."""
    max_clipped_share: float = 0.05
    invalid_clipped_share: float = 0.30
    max_dark_share: float = 0.15
    """Tissue of which a channel is black: more stain than the camera can measure. Real 3+ fields have up to 0.10."""
    min_level_share: float = 0.25
    """A 3+ control with fewer cells of complete, intense membrane than this is a poor one, though 10 % make it 3+."""
    max_field_ratio: float = 1.5
    """Membranes of two fields of one control differ by no more than this; above, stain or light is uneven."""


@dataclass(frozen=True, slots=True)
class ControlMeasures:
    """What was read from one level of a control, over all its fields."""

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
    """Codes of the quality gate that make a field unusable."""
    moderate_od10: float | None = None
    """The cut between faint and moderate that a 2+ or 1+ control gives, None where it gives none."""
    stroma_od10: float = 0.0
    shares_percent: Mapping[str, float] = field(default_factory=dict)
    """Percentage of the tumour cells in each class, by the default cuts; empty without cells."""
    field_od10: tuple[float, ...] = ()
    """Membrane median of each usable field, in the order they were read."""
    field_scores: tuple[str, ...] = ()
    """Score of each usable field with cells enough for one."""
    drift: str = ""
    """How far the white is from the calibrated one, in words, where it drifted."""
    dark_share: float = 0.0
    """Share (0..1) of the tissue's pixels of which a channel is black."""

    @property
    def followed_od10(self) -> float:
        """What a chart of this level follows: the membranes, and for a negative one the DAB between them."""
        return self.background_od10 if self.read == "0" else self.membrane_od10


@dataclass(frozen=True, slots=True)
class ControlVerdict:
    """Whether the run may be scored."""

    status: ControlStatus
    codes: tuple[ControlCode, ...]
    reasons: tuple[str, ...]
    rules: tuple[str, ...] = ()
    """Rules of the control chart that the run breaks (`1-3s`)."""


class CutsFrom(StrEnum):
    """Where the cuts of a case come from."""

    SETTINGS = "settings"
    CONTROL = "control"
    RUN = "run"
    """The 3+ control's, which may not carry a report, borne out by the weaker levels of its run (`run_cuts`)."""


CUTS_WORDS: Mapping[CutsFrom, str] = {
    CutsFrom.SETTINGS: "the cuts are the settings'",
    CutsFrom.CONTROL: "the cuts are the control's",
    CutsFrom.RUN: "the cuts are the control's all the same: the run's weaker levels fit these, and not the settings'",
}
"""Whose the cuts are."""

_Doubt = tuple[ControlStatus, ControlCode, str]


def judge_control(measures: ControlMeasures, expected: Score, limits: ControlLimits) -> ControlVerdict:
    """Verdict on a control of known score; each doubt says what is wrong, by how much, and what to look at."""
    doubts = [
        *_picture(measures, limits),
        *_stain(measures, expected, limits),
        *_level(measures, expected, limits),
        *_agreement(measures, limits),
    ]
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
        why = f"DAB too weak ({_beside(measures.membrane_od10, limits.min_intense_od10)})"
        yield ControlStatus.INVALID, ControlCode.FADED, f"{why}; check antibody, incubation, retrieval"
    if measures.membrane_od10 > limits.max_intense_od10:
        severe = measures.membrane_od10 > limits.invalid_intense_od10
        status = ControlStatus.INVALID if severe else ControlStatus.WARNING
        why = f"DAB too strong ({_beside(measures.membrane_od10, limits.max_intense_od10)})"
        remedy = "check antibody dilution and DAB time, and that the camera does not sharpen"
        yield status, ControlCode.OVER_STAINED, f"{why}; {remedy}"
    if measures.dark_share > limits.max_dark_share:
        why = f"{100 * measures.dark_share:.0f} % of the tissue is black (limit {100 * limits.max_dark_share:.0f} %)"
        yield ControlStatus.WARNING, ControlCode.OVER_STAINED, f"{why}; check DAB time and exposure"
    most = max(limits.max_background_od10, limits.max_background_share * measures.membrane_od10)
    if measures.background_od10 > most:
        stands_out = measures.background_od10 <= limits.invalid_background_share * measures.membrane_od10
        severe = measures.background_od10 > limits.invalid_background_od10 and not stands_out
        status = ControlStatus.INVALID if severe else ControlStatus.WARNING
        why = f"DAB between the membranes (median {measures.background_od10:.2f}, limit {most:.2f} od10)"
        yield status, ControlCode.BACKGROUND, f"{why}; check blocking and washing"
    if measures.stroma_od10 > limits.max_stroma_od10:
        why = f"DAB in the stroma (median {measures.stroma_od10:.2f}, limit {limits.max_stroma_od10:.2f} od10)"
        yield ControlStatus.WARNING, ControlCode.BACKGROUND, f"{why}; check blocking and washing"
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


def _beside(median_od10: float, limit_od10: float) -> str:
    """A median and its limit, with as many digits as tell them apart."""
    digits = 2 if f"{median_od10:.2f}" != f"{limit_od10:.2f}" else 3
    return f"median {median_od10:.{digits}f}, limit {limit_od10:.{digits}f} od10"


def _level(measures: ControlMeasures, expected: Score, limits: ControlLimits) -> Iterator[_Doubt]:
    """Whether the control reads as the score it is known to have."""
    if expected == "3+" and measures.read == expected:
        yield from _cut(measures, limits)
        yield from _poor(measures, limits)
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


def _poor(measures: ControlMeasures, limits: ControlLimits) -> Iterator[_Doubt]:
    """Whether enough of a 3+ control is 3+."""
    percent = measures.shares_percent.get(CellClass.COMPLETE_INTENSE, 100.0)
    if percent < 100 * limits.min_level_share:
        why = (
            f"only {percent:.0f} % of the 3+ control's cells have a complete, intense membrane "
            f"(limit {100 * limits.min_level_share:.0f} %)"
        )
        yield ControlStatus.WARNING, ControlCode.FADED, f"{why}; check antibody, incubation, retrieval, and the place"


def _agreement(measures: ControlMeasures, limits: ControlLimits) -> Iterator[_Doubt]:
    """Whether the fields of a level say the same, and the light is that of the calibration."""
    places = [SCORES.index(score) for score in SCORES if score in measures.field_scores]
    if len(places) > 1:
        severe = max(places) - min(places) > 1
        status = ControlStatus.INVALID if severe else ControlStatus.WARNING
        why = f"its fields read {', '.join(measures.field_scores)}: choose fields of one tissue, or the stain is uneven"
        yield status, ControlCode.WRONG_LEVEL, why
    # what a level that reads 0 has of stained membranes are cells that the method misreads: their od10 is chance
    of_fields = () if measures.read == "0" else measures.field_od10
    weakest, strongest = min(of_fields, default=0.0), max(of_fields, default=0.0)
    if weakest > 0 and strongest > limits.max_field_ratio * weakest:
        why = f"membranes of its fields differ ({weakest:.2f} to {strongest:.2f} od10)"
        yield ControlStatus.WARNING, ControlCode.DRIFT, f"{why}: uneven stain, or the light changed between them"
    if measures.drift:
        yield ControlStatus.WARNING, ControlCode.DRIFT, measures.drift


def _cut(measures: ControlMeasures, limits: ControlLimits) -> Iterator[_Doubt]:
    """Whether the cut that the control gives may be used."""
    unused = "no report can rest on it"
    cut = measures.intense_od10
    if cut is None:
        why = "too few complete membranes to take the intense cut from: no report can rest on this control"
        yield ControlStatus.WARNING, ControlCode.TOO_FEW, why
    elif not cut_in_range(cut, limits):
        code = ControlCode.FADED if cut < limits.min_cut_od10 else ControlCode.OVER_STAINED
        span = f"{limits.min_cut_od10:.2f} to {limits.max_cut_od10:.2f}"
        yield ControlStatus.WARNING, code, f"intense cut {cut:.2f} od10 outside the lab's range ({span}): {unused}"


def cuts_within(cuts: StainCuts, limits: ControlLimits) -> StainCuts:
    """The cuts of the settings, brought down to the lab's own scale where its intense cuts are all below theirs.

    A camera that shows every membrane paler would else never see a 3+ control read 3+. One that shows them darker needs
    nothing: its 3+ reads 3+ by a low cut too, and its own limits tell when it is too weak.
    """
    factor = min(1.0, limits.max_cut_od10 / cuts.intense_od10)
    moderate = max(cuts.stained_od10, factor * cuts.moderate_od10)
    return StainCuts(cuts.stained_od10, moderate, max(moderate, factor * cuts.intense_od10))


def cut_in_range(cut_od10: float, limits: ControlLimits) -> bool:
    """Whether an intense cut lies in the lab's own range."""
    return limits.min_cut_od10 <= cut_od10 <= limits.max_cut_od10


def after_earlier(verdict: ControlVerdict, earlier: Sequence[ControlStatus]) -> ControlVerdict:
    """Verdict in view of this run's earlier readings: a valid one after an invalid one is at best a warning."""
    if verdict.status is ControlStatus.VALID and ControlStatus.INVALID in earlier:
        why = "an earlier reading of this run's control was invalid"
        return replace(verdict, status=ControlStatus.WARNING, reasons=(*verdict.reasons, why))
    return verdict


MODERATE_OF_INTENSE = 0.5
"""Moderate cut as a fraction of the intense cut where no 2+ or 1+ control was read: half the od10 of the weakest
intense membrane. A documented start value, to be replaced by a read level."""
MODERATE_OF_LEVEL: Mapping[Score, float] = {"2+": 0.7, "1+": 1.4}
"""Moderate cut that a read level gives, as a multiple of its membranes' median: below the moderate lines of a 2+
control, above the faint ones of a 1+. Fixed on 28 phantom runs (usual and hard): classes right in 85.2 and 61.6 % with
both levels, 84.7 and 61.1 % with the 2+ alone, 85.1 and 60.9 % with the 1+ alone, 82.2 and 60.3 % with neither; the
best cuts that any control could give, 86.2 and 65.0 %."""


def moderate_cut(expected: Score, membrane_od10: float) -> float | None:
    """The moderate cut (od10) that a control of a level gives; None for a level that has no such line, or no stain."""
    share = MODERATE_OF_LEVEL.get(expected)
    return share * membrane_od10 if share is not None and membrane_od10 > 0 else None


def run_cuts(
    default: StainCuts, anchor: ControlMeasures, below: Mapping[Score, ControlMeasures], limits: ControlLimits
) -> StainCuts | None:
    """Cuts of a run by its own levels, where those contradict the settings' cuts; None where they do not, or cannot.

    For a 3+ control whose cut may not carry a report (out of the lab's range, or an invalid reading): a scanner that
    shows every membrane darker makes a 2+ control's membranes intense by the settings' cuts, and its cases' too. Where
    the levels of the run stand in order below the 3+ control's cut, that cut is the better guess. No report rests on
    it. On 56 phantom slides, 22 of them with such a control, 5 scores were wrong by the settings' cuts and right by
    the run's, none the other way round.

    Parameters
    ----------
    default : the settings' cuts
    anchor : the 3+ level
    below : the 2+ and 1+ levels that were read
    """
    cut = anchor.intense_od10
    read = {level: measures for level, measures in below.items() if _has_line(measures, limits)}
    if cut is None or anchor.read != "3+" or not _has_cells(anchor, limits) or not read:
        return None
    medians = [read[level].membrane_od10 for level in ("1+", "2+") if level in read]
    if not all(lower < higher for lower, higher in pairwise((*medians, cut))):
        return None
    faint_fits = "1+" not in read or read["1+"].membrane_od10 < default.moderate_od10
    moderate_fits = "2+" not in read or default.moderate_od10 <= read["2+"].membrane_od10 < default.intense_od10
    if faint_fits and moderate_fits:
        return None
    return anchored_cuts(default, cut, [one.moderate_od10 for one in read.values() if one.moderate_od10 is not None])


def _has_cells(measures: ControlMeasures, limits: ControlLimits) -> bool:
    return measures.n_tumour >= limits.min_tumour


def _has_line(measures: ControlMeasures, limits: ControlLimits) -> bool:
    """Whether a level was read in cells enough, and showed enough stained membranes."""
    return _has_cells(measures, limits) and measures.moderate_od10 is not None


def anchored_cuts(default: StainCuts, intense_od10: float, moderate_od10: Sequence[float] = ()) -> StainCuts:
    """Cuts of a case from its controls.

    Parameters
    ----------
    default : the cuts in force without a control; the noise floor stays
    intense_od10 : the 3+ control's cut
    moderate_od10 : the cuts that 2+ and 1+ controls of the run gave (their geometric mean counts), empty without one
    """
    read = prod(moderate_od10) ** (1 / len(moderate_od10)) if moderate_od10 else MODERATE_OF_INTENSE * intense_od10
    moderate = min(max(default.stained_od10, read), max(default.stained_od10, intense_od10))
    stained = min(default.stained_od10, moderate)
    return StainCuts(stained, moderate, max(moderate, intense_od10))
