"""Reading a control field: the same analysis as any field, then the verdict of the domain."""

from __future__ import annotations

from collections.abc import Sequence

from her2scope.domain.cells import StainCuts
from her2scope.domain.control import ControlMeasures, ControlVerdict, after_earlier, anchored_cuts, judge_control
from her2scope.domain.guideline import Score
from her2scope.domain.score import ControlStanding, ControlStatus
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.records import CameraState, ControlReading, FieldResult, Frame, Segmentation

SEVERITY = (ControlStatus.VALID, ControlStatus.WARNING, ControlStatus.INVALID)


def read_control(analyser: FieldAnalyser, frame: Frame) -> tuple[FieldResult, ControlMeasures]:
    """Read a control field with the default cuts: a control is never judged by a scale taken from itself."""
    cuts = analyser.settings.cuts
    result = analyser.analyse(frame, cuts)
    found = Segmentation(result.cells, result.membrane, result.program.provider)
    measures = ControlMeasures(
        n_tumour=result.counts.n_tumour,
        read=result.score,
        membrane_od10=result.stain.membrane_od10,
        intense_od10=analyser.segmenter.control_cut(found, cuts),
        background_od10=result.stain.background_od10,
        nuclear_od10=result.stain.nuclear_od10,
        counterstain_od10=result.stain.counterstain_od10,
        clipped_share=result.quality.clipped_share,
        quality_codes=() if result.quality.usable else result.quality.codes,
    )
    return result, measures


def judge(
    analyser: FieldAnalyser, measures: ControlMeasures, expected: Score, earlier: Sequence[ControlReading]
) -> ControlVerdict:
    """Verdict on a reading, in view of the earlier readings of the same level."""
    verdict = judge_control(measures, expected, analyser.settings.control)
    return after_earlier(verdict, [item.verdict.status for item in earlier if item.expected == expected])


def latest_of(controls: Sequence[ControlReading], level: Score) -> ControlReading | None:
    """The reading of a level that is in force: the latest."""
    return next((reading for reading in reversed(controls) if reading.expected == level), None)


def cuts_in_force(default: StainCuts, controls: Sequence[ControlReading]) -> tuple[StainCuts, bool]:
    """Cuts for the case, and whether a control gave them; an invalid control gives none."""
    anchor = latest_of(controls, "3+")
    if anchor is None or anchor.measures.intense_od10 is None or anchor.verdict.status is ControlStatus.INVALID:
        return default, False
    return anchored_cuts(default, anchor.measures.intense_od10), True


def standing(
    controls: Sequence[ControlReading], override_reason: str | None, cameras: Sequence[CameraState]
) -> ControlStanding:
    """What the run's controls say of a case taken with `cameras` (one state per active field)."""
    anchor = latest_of(controls, "3+")
    assumed = ("the pixel size is assumed, not given",) if any(camera.scale_assumed for camera in cameras) else ()
    if anchor is None:
        return ControlStanding(refusals=assumed)
    in_force = [reading for level in ("0", "1+", "2+", "3+") if (reading := latest_of(controls, level)) is not None]
    worst = max((reading.verdict.status for reading in in_force), key=SEVERITY.index)
    read = {reading.expected for reading in in_force if reading.verdict.status is not ControlStatus.INVALID}
    refusals: tuple[str, ...] = assumed
    if any(camera != anchor.result.frame.camera for camera in cameras):
        refusals += ("the control was read in another camera state (objective, exposure or white balance)",)
    return ControlStanding(worst, override_reason is not None, {"0", "1+"} <= read, "0" in read, refusals)
