"""Reading a control field: the same analysis as any field, then the verdict of the domain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from her2scope.domain.cells import CellCounts, StainCuts
from her2scope.domain.control import (
    ControlLimits,
    ControlMeasures,
    ControlVerdict,
    after_earlier,
    anchored_cuts,
    cut_in_range,
    judge_control,
)
from her2scope.domain.guideline import SCORES, Category, Finding, Score
from her2scope.domain.score import ControlStanding, ControlStatus, find_score
from her2scope.pipeline.analyse import NO_PROVIDER, FieldAnalyser
from her2scope.records import AcceptedField, ControlReading, FieldResult, Frame, Segmentation

ANCHOR_LEVEL: Score = "3+"
"""The level that anchors the intensity scale."""
SAME_SCALE = 0.02
"""Relative difference of um per px up to which two pictures count as taken at one scale."""
SEVERITY = (ControlStatus.VALID, ControlStatus.WARNING, ControlStatus.INVALID)


def read_control(
    analyser: FieldAnalyser, frames: Sequence[Frame], speed_um_per_s: float = 0.0
) -> tuple[list[FieldResult], ControlMeasures]:
    """Read the fields of one control with the default cuts: a control is never judged by a scale taken from itself."""
    results = [analyser.analyse(frame, analyser.default_cuts, speed_um_per_s) for frame in frames]
    return results, measure_control(analyser, results)


def measure_control(analyser: FieldAnalyser, results: Sequence[FieldResult]) -> ControlMeasures:
    """What a control reads over its fields: cells pooled, medians weighted by their cells, the worst picture."""
    usable = [result for result in results if result.quality.usable]
    unusable = [result for result in results if not result.quality.usable]
    counts = CellCounts.total(result.counts for result in usable)
    finding = find_score(
        counts,
        analyser.guideline,
        analyser.segmenter.false_rates.over([result.counts for result in usable]),
        max((result.frame.um_per_px for result in usable), default=0.0),
        analyser.settings.min_field_cells,
    )
    pooled = tuple(cell for result in usable for cell in result.cells)
    found = Segmentation(pooled, np.zeros((0, 0), np.uint8), NO_PROVIDER)

    def mean(name: str) -> float:
        weights = [max(1, result.counts.n_tumour) for result in usable]
        return float(np.average([getattr(result.stain, name) for result in usable], weights=weights)) if usable else 0.0

    return ControlMeasures(
        n_tumour=counts.n_tumour,
        read=finding.score if isinstance(finding, Finding) else None,
        membrane_od10=mean("membrane_od10"),
        intense_od10=analyser.segmenter.control_cut(found, analyser.default_cuts),
        background_od10=mean("background_od10"),
        nuclear_od10=mean("nuclear_od10"),
        counterstain_od10=mean("counterstain_od10"),
        low_end_open=isinstance(finding, Finding)
        and (finding.score, finding.category) == ("1+", Category.UNDETERMINED),
        clipped_share=max(result.quality.clipped_share for result in usable or results),
        quality_codes=tuple(dict.fromkeys(code for result in unusable for code in result.quality.codes)),
    )


def judge(
    analyser: FieldAnalyser, measures: ControlMeasures, expected: Score, earlier: Sequence[ControlReading]
) -> ControlVerdict:
    """Verdict on a reading, in view of the earlier readings of the same level."""
    verdict = judge_control(measures, expected, analyser.settings.control)
    return after_earlier(verdict, [item.verdict.status for item in earlier if item.expected == expected])


def latest_of(controls: Sequence[ControlReading], level: Score) -> ControlReading | None:
    """The reading of a level that is in force: the latest."""
    return next((reading for reading in reversed(controls) if reading.expected == level), None)


def cuts_in_force(
    default: StainCuts, controls: Sequence[ControlReading], limits: ControlLimits
) -> tuple[StainCuts, bool]:
    """Cuts for the case, and whether a control gave them.

    The cut is the mean over all readings of the 3+ level that are like the latest one (`_like`), sufficient, and in
    the lab's range. The latest itself has to give one: an older cut must not stand in for a reading that has none.
    """
    anchor = latest_of(controls, ANCHOR_LEVEL)
    if anchor is None or _usable_cut(anchor, limits) is None:
        return default, False
    readings = [item for item in controls if item.expected == ANCHOR_LEVEL and _like(item, anchor)]
    cuts = [cut for item in readings if (cut := _usable_cut(item, limits)) is not None]
    return anchored_cuts(default, float(np.mean(cuts))), True


def _usable_cut(reading: ControlReading, limits: ControlLimits) -> float | None:
    """The intense cut of a reading, where it is sufficient and the cut in the lab's range."""
    cut = reading.measures.intense_od10
    sufficient = reading.verdict.status is not ControlStatus.INVALID
    return cut if sufficient and cut is not None and cut_in_range(cut, limits) else None


def _like(reading: ControlReading, anchor: ControlReading) -> bool:
    """Whether two readings belong together: same run's lot, same camera state, same scale."""
    same_lot = not reading.lot or not anchor.lot or reading.lot == anchor.lot
    return same_lot and _same_camera(reading.result.frame, anchor.result.frame)


def _same_camera(first: Frame, second: Frame) -> bool:
    same_scale = abs(first.um_per_px / second.um_per_px - 1) <= SAME_SCALE
    return first.camera == second.camera and same_scale


def standing(
    controls: Sequence[ControlReading],
    override_reason: str | None,
    fields: Sequence[AcceptedField],
    cuts_from_control: bool = True,
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
    if not cuts_from_control and anchor.verdict.status is not ControlStatus.INVALID:
        refusals.append("the control gave no intense cut that may be used: default cuts")
    if any(not _same_camera(item.result.frame, anchor.result.frame) for item in fields if item.result.quality.usable):
        refusals.append("the control was read in another camera state (objective, scale, exposure or white balance)")
    return ControlStanding(worst, override_reason is not None, {"0", "1+"} <= read, "0" in read, tuple(refusals))


def _field_refusals(fields: Sequence[AcceptedField]) -> Iterator[str]:
    """What in the fields themselves forbids a report."""
    if any(item.result.frame.camera.scale_assumed for item in fields):
        yield "the pixel size is assumed, not given"
    for item in fields:
        for doubt in item.result.doubts:
            yield f"field {item.number}: {doubt}"
