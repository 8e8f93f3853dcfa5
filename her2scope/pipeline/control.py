"""Reading a control field: the same analysis as any field, then the verdict of the domain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from her2scope.domain.cells import CellClass, CellCounts, StainCuts
from her2scope.domain.control import (
    CUTS_WORDS,
    ControlCode,
    ControlLimits,
    ControlMeasures,
    ControlVerdict,
    CutsFrom,
    after_earlier,
    anchored_cuts,
    cut_in_range,
    judge_control,
    moderate_cut,
    run_cuts,
)
from her2scope.domain.control_history import ControlEntry
from her2scope.domain.guideline import SCORES, Category, Finding, Score
from her2scope.domain.own_limits import figures_of
from her2scope.domain.score import ControlStanding, ControlStatus, find_score
from her2scope.domain.westgard import WestgardFinding, judge_by_history
from her2scope.imaging.quality import white_drift
from her2scope.pipeline.accumulate import counted_in_turn
from her2scope.pipeline.analyse import DRIFT, NO_PROVIDER, FieldAnalyser
from her2scope.records import (
    AcceptedField,
    Cell,
    ControlReading,
    FieldResult,
    Frame,
    Segmentation,
    class_counts,
    image_digest,
)
from her2scope.settings import NetworkSettings, QualitySettings

ANCHOR_LEVEL: Score = "3+"
"""The level that anchors the intensity scale."""
BELOW_ANCHOR: tuple[Score, ...] = ("2+", "1+")
"""Levels that place the cut between faint and moderate."""
MAX_WHITE_DRIFT = QualitySettings().max_white_drift
SAME_SCALE = 0.02
"""Relative difference of um per px up to which two pictures count as taken at one scale."""
LEAST_OF_MEDIAN = NetworkSettings().cut_least_of_median
"""Complete cells weaker than this share of their median are not of the level."""
DIGEST_SHOWN = 12
"""Signs of a model's digest by which a history tells models apart."""
SEVERITY = (ControlStatus.VALID, ControlStatus.WARNING, ControlStatus.INVALID)


MIN_MODERATE_CELLS = 20
"""Cells with the membrane of its level that a 2+ or 1+ control needs to give a moderate cut: the median of 20 is within
6 % of that of many, on phantoms."""


def read_field(
    analyser: FieldAnalyser, frame: Frame, expected: Score, cuts: StainCuts, speed_um_per_s: float = 0.0
) -> FieldResult:
    """Read one field of a level of a control.

    The 3+ is read with the default cuts: a control is never judged by a scale taken from itself. The levels below it
    are read with `cuts`, those of the levels that were read before.
    """
    scale = analyser.default_cuts if expected == ANCHOR_LEVEL else cuts
    return analyser.analyse(frame, scale, speed_um_per_s, everywhere=True)  # what a control is, is known


def measure_control(analyser: FieldAnalyser, results: Sequence[FieldResult], expected: Score) -> ControlMeasures:
    """What a control reads over its fields: cells pooled, medians weighted by their cells, the worst picture."""
    usable = [result for result in results if result.quality.usable]
    unusable = [result for result in results if not result.quality.usable]
    fields = _counted_fields(usable)
    pooled = tuple(cell for cells in fields for cell in cells)
    by_field = [class_counts(cells) for cells in fields]
    counts = CellCounts.total(by_field)
    finding = find_score(
        counts,
        analyser.guideline,
        analyser.segmenter.false_rates.over(by_field),
        max((result.frame.um_per_px for result in usable), default=0.0),
        analyser.settings.min_field_cells,
    )
    found = Segmentation(pooled, np.zeros((0, 0), np.uint8), NO_PROVIDER)

    def mean(name: str) -> float:
        weights = [max(1, result.counts.n_tumour) for result in usable]
        return float(np.average([getattr(result.stain, name) for result in usable], weights=weights)) if usable else 0.0

    return ControlMeasures(
        n_tumour=counts.n_tumour,
        read=finding.score if isinstance(finding, Finding) else None,
        membrane_od10=_membrane_od10(pooled, expected),
        intense_od10=analyser.segmenter.control_cut(found, analyser.default_cuts),
        background_od10=mean("background_od10"),
        nuclear_od10=mean("nuclear_od10"),
        counterstain_od10=mean("counterstain_od10"),
        stroma_od10=mean("stroma_od10"),
        moderate_od10=_moderate_cut(found, expected),
        shares_percent={str(name): share for name, share in (counts.shares_percent() or {}).items()},
        field_od10=tuple(_membrane_od10(cells, expected) for cells in fields),
        field_scores=tuple(result.score for result in usable if result.score is not None),
        drift=next((doubt for result in usable for doubt in result.doubts if doubt.startswith(DRIFT)), ""),
        low_end_open=isinstance(finding, Finding)
        and (finding.score, finding.category) == ("1+", Category.UNDETERMINED),
        dark_share=max(result.quality.dark_share for result in usable or results),
        clipped_share=max(result.quality.clipped_share for result in usable or results),
        quality_codes=tuple(dict.fromkeys(code for result in unusable for code in result.quality.codes)),
    )


def _counted_fields(results: Sequence[FieldResult]) -> list[tuple[Cell, ...]]:
    """Cells of each field, each cell once: reading one place twice makes no control larger."""
    return [
        tuple(cell for cell, counts in zip(result.cells, counted, strict=True) if counts)
        for result, counted in zip(results, counted_in_turn(results), strict=True)
    ]


def _membrane_od10(cells: Sequence[Cell], expected: Score) -> float:
    """Median DAB od10 of the membranes that make the level: of a 3+ or 2+ control its complete ones, else all stained.

    A 3+ tissue holds weaker cells, more in one field than in the next: the median over all moves with them, and with it
    every chart (SD of 20 runs 0.091 of ln(od10), and a run of 2.0 SD less DAB lies 3.9 SD below; 0.094 and 2.3 SD
    without them).
    """
    stained = [cell for cell in cells if not cell.edge and cell.cell_class not in (None, CellClass.NONE)]
    complete = [cell for cell in stained if cell.cell_class is not None and cell.cell_class.is_complete]
    whole = expected in ("3+", "2+") and len(complete) >= MIN_MODERATE_CELLS
    od10 = np.array([cell.measure.intensity_od10 for cell in (complete if whole else stained)])
    if od10.size == 0:
        return 0.0
    median = float(np.median(od10))
    return float(np.median(od10[od10 >= LEAST_OF_MEDIAN * median])) if whole else median


def _moderate_cut(cells: Segmentation, expected: Score) -> float | None:
    """The moderate cut that a 2+ or 1+ control gives: from its complete membranes, or from all that are stained."""
    of_level = [
        cell.measure.intensity_od10
        for cell in cells.cells
        if not cell.edge
        and cell.cell_class not in (None, CellClass.NONE)
        and (expected != "2+" or cell.cell_class.is_complete)
    ]
    return moderate_cut(expected, float(np.median(of_level))) if len(of_level) >= MIN_MODERATE_CELLS else None


def judge(
    analyser: FieldAnalyser, measures: ControlMeasures, expected: Score, earlier: Sequence[ControlReading]
) -> ControlVerdict:
    """Verdict on a reading, in view of the earlier readings of the same level that are not part of it."""
    verdict = judge_control(measures, expected, analyser.settings.control)
    return after_earlier(verdict, [item.verdict.status for item in earlier if item.expected == expected])


def compared(
    reading: ControlReading,
    joined: Sequence[ControlReading],
    history: Sequence[ControlEntry],
    at_utc: str,
    instrument: str,
) -> tuple[ControlReading, ControlEntry]:
    """A reading judged by the lab's own chart too, and what the history keeps of it.

    Parameters
    ----------
    joined : earlier readings whose fields it is measured together with
    """
    entry = _entry(reading, joined, at_utc, instrument)
    verdict = with_findings(reading.verdict, judge_by_history(entry, history))
    verdict = after_earlier(verdict, [item.status for item in history if _is_earlier(item, entry)])
    codes = tuple(code.value for code in verdict.codes)
    return replace(reading, verdict=verdict), replace(entry, status=verdict.status, codes=codes)


def _is_earlier(item: ControlEntry, entry: ControlEntry) -> bool:
    """Whether `item` is an earlier reading of the control and run of `entry`, and not a part of it.

    Too few cells, now measured together with more fields, are no failure. A reading without a run is a run of its own.
    """
    same_control = (item.level, item.lot.strip()) == (entry.level, entry.lot.strip())
    same_run = item.run.strip() == entry.run.strip() != ""
    part_of_it = item.codes == (ControlCode.TOO_FEW.value,) and set(item.images) <= set(entry.images)
    return same_control and same_run and not part_of_it


def _entry(reading: ControlReading, joined: Sequence[ControlReading], at_utc: str, instrument: str) -> ControlEntry:
    program = reading.result.program
    return ControlEntry(
        at_utc=at_utc,
        run=reading.run,
        level=reading.expected,
        lot=reading.lot,
        instrument=instrument,
        method=f"{program.method} {program.model_sha256[:DIGEST_SHOWN]}".strip(),
        intensity_od10=round(reading.measures.followed_od10, 4),
        status=reading.verdict.status,
        codes=tuple(code.value for code in reading.verdict.codes),
        n_tumour=reading.measures.n_tumour,
        images=tuple(image_digest(item.result.frame.rgb) for item in (*joined, reading)),
        figures=figures_of(reading.measures),
    )


def with_findings(verdict: ControlVerdict, findings: Sequence[WestgardFinding]) -> ControlVerdict:
    """A verdict together with what the lab's own chart says of the run."""
    codes = (*verdict.codes, *(finding.code for finding in findings))
    return ControlVerdict(
        max((verdict.status, *(finding.severity for finding in findings)), key=SEVERITY.index),
        tuple(dict.fromkeys(codes)),
        (*verdict.reasons, *(finding.reason for finding in findings)),
        tuple(finding.rule for finding in findings),
    )


def latest_of(controls: Sequence[ControlReading], level: Score) -> ControlReading | None:
    """The reading of a level that is in force: the latest."""
    return next((reading for reading in reversed(controls) if reading.expected == level), None)


def cuts_in_force(
    default: StainCuts, controls: Sequence[ControlReading], limits: ControlLimits
) -> tuple[StainCuts, CutsFrom]:
    """Cuts for the case, and what gave them.

    The intense cut is the mean over all readings of the 3+ level that are like the latest one (`_like`), sufficient,
    and in the lab's range; those whose fields a later one is measured together with stand in that one. The latest
    itself has to give one: an older cut must not stand in for a reading that has none. The moderate cut is that of the
    2+ and 1+ levels in force, where they are sufficient. Without such a cut the settings' hold, but where the run's own
    levels contradict them (`run_cuts`); a case whose latest reading is older than that rule keeps the settings'.
    """
    anchor = latest_of(controls, ANCHOR_LEVEL)
    if anchor is None:
        return default, CutsFrom.SETTINGS
    like = [item for item in controls if _like(item, anchor)]
    below = [reading for level in BELOW_ANCHOR if (reading := latest_of(like, level)) is not None]
    if _usable_cut(anchor, limits) is None:
        levels = {item.expected: item.measures for item in below}
        own = run_cuts(default, anchor.measures, levels, limits) if controls[-1].knows_run_cuts else None
        return (default, CutsFrom.SETTINGS) if own is None else (own, CutsFrom.RUN)
    part_of_later = {number for item in like for number in item.with_earlier}
    whole = [item for item in like if item.expected == ANCHOR_LEVEL and item.number not in part_of_later]
    cuts = [cut for item in whole if (cut := _usable_cut(item, limits)) is not None]
    moderate = [
        item.measures.moderate_od10
        for item in below
        if item.measures.moderate_od10 is not None and item.verdict.status is not ControlStatus.INVALID
    ]
    return anchored_cuts(default, float(np.mean(cuts)), moderate), CutsFrom.CONTROL


def measured_together(
    controls: Sequence[ControlReading], expected: Score, lot: str, frame: Frame
) -> list[ControlReading]:
    """Readings of a level whose fields a new field of it joins: the latest like it, and what that was joined with.

    Only readings that could not be judged by themselves, or did well, go on; after one that failed by its stain the
    next is a new reading, so that a failure is never thinned out by other fields.
    """
    latest = latest_of(controls, expected)
    if latest is None or latest.lot != lot or not same_camera(latest.result.frame, frame):
        return []
    failed = latest.verdict.status is ControlStatus.INVALID
    if failed and set(latest.verdict.codes) != {ControlCode.TOO_FEW}:
        return []
    numbers = {*latest.with_earlier, latest.number}
    return [item for item in controls if item.number in numbers]


def _usable_cut(reading: ControlReading, limits: ControlLimits) -> float | None:
    """The intense cut of a reading, where it is sufficient and the cut in the lab's range."""
    cut = reading.measures.intense_od10
    sufficient = reading.verdict.status is not ControlStatus.INVALID
    return cut if sufficient and cut is not None and cut_in_range(cut, limits) else None


def _like(reading: ControlReading, anchor: ControlReading) -> bool:
    """Whether two readings belong together: same run's lot, same camera state, same scale."""
    same_lot = not reading.lot or not anchor.lot or reading.lot == anchor.lot
    return same_lot and same_camera(reading.result.frame, anchor.result.frame)


def same_camera(first: Frame, second: Frame) -> bool:
    """Whether two pictures were taken in one camera state and at one scale."""
    same_scale = abs(first.um_per_px / second.um_per_px - 1) <= SAME_SCALE
    return first.camera == second.camera and same_scale


def standing(
    controls: Sequence[ControlReading],
    override_reason: str | None,
    fields: Sequence[AcceptedField],
    cuts_from: CutsFrom = CutsFrom.CONTROL,
    max_white_drift: float = MAX_WHITE_DRIFT,
) -> ControlStanding:
    """What the run's controls say of a case with these active fields, and what in the fields forbids a report."""
    refusals = list(_field_refusals(fields))
    anchor = latest_of(controls, ANCHOR_LEVEL)
    if anchor is None:
        return ControlStanding(refusals=tuple(refusals))
    like = [reading for reading in controls if _like(reading, anchor)]
    in_force = [reading for level in SCORES if (reading := latest_of(like, level)) is not None]
    worst = max((reading.verdict.status for reading in in_force), key=SEVERITY.index)
    read = {
        reading.expected
        for reading in in_force
        if reading.verdict.status is not ControlStatus.INVALID and not reading.measures.low_end_open
    }
    if cuts_from is not CutsFrom.CONTROL and anchor.verdict.status is not ControlStatus.INVALID:
        refusals.append(f"the control gave no intense cut that a report can rest on: {CUTS_WORDS[cuts_from]}")
    usable = [item for item in fields if item.result.quality.usable]
    if any(not same_camera(item.result.frame, anchor.result.frame) for item in usable):
        refusals.append("the control was read in another camera state (objective, scale, exposure or white balance)")
    refusals += _drifts(usable, anchor, max_white_drift)
    return ControlStanding(worst, override_reason is not None, {"0", "1+"} <= read, "0" in read, tuple(refusals))


def _drifts(fields: Sequence[AcceptedField], anchor: ControlReading, most: float) -> Iterator[str]:
    """Where the light changed since the control was read: a white that is estimated anew would hide it."""
    then = anchor.result.clear_white_rgb
    for item in fields:
        now = item.result.clear_white_rgb
        drift = white_drift(now, then) if now is not None and then is not None else 0.0
        if drift > most:
            yield (
                f"{DRIFT}: the white of field {item.number} differs by {100 * drift:.0f} % from the control's; check "
                "lamp, condenser and automatic white balance, and read the control again"
            )


def _field_refusals(fields: Sequence[AcceptedField]) -> Iterator[str]:
    """What in the fields themselves forbids a report."""
    if any(item.result.frame.camera.scale_assumed for item in fields):
        yield "the pixel size is assumed, not given"
    for item in fields:
        for doubt in item.result.doubts:
            yield f"field {item.number}: {doubt}"
    n_outside = sum(item.n_outside for item in fields)
    n_counted = sum(item.counts.n_tumour for item in fields)
    if n_outside > n_counted:
        yield (
            f"the region model leaves out {n_outside} of {n_outside + n_counted} tumour cells: outline the invasive "
            "tumour on these fields, or remove those that show none; the model may not fit this tissue"
        )
