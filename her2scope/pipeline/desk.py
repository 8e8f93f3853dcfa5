"""What the instruments beside a camera add to its frames: the stage's position, and the objective with its scale."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from her2scope.domain.errors import CaseRuleError
from her2scope.pipeline.control import SAME_SCALE
from her2scope.pipeline.slide_map import STEADY_UM_PER_S
from her2scope.ports import FrameDesk
from her2scope.records import Frame, TrackedFrame

LEAST_STEP_UM = 100.0
"""From which on a step of the stage is compared with that of the pictures: a third of a field at 40x."""
SLACK_UM, SLACK_SHARE = 20.0, 0.25
"""By how much they may differ. A frame comes up to 0.1 s after its exposure, and a position is up to 0.05 s old, at
each end of a step at 100 um/s at most: 15 um. A camera turned by 14 degrees against the stage makes 25 %. What must be
found is more: the scale of the next objective at least 37 % (16x for 10x), an axis turned round 200 %, one exchanged
with the other 141 %, a stage that does not tell its moves 100 %."""
EXPOSED_BEFORE_S = 0.1
"""A frame comes up to so long after its exposure."""
CONFIRMED_WITHIN_S, LOOK_EVERY_S = 1.5, 0.01
"""How long a frame that is to be counted waits for its objective to be told again, and how often that is looked at: a
sensor that is asked answers within some hundredths of a second, one that tells at intervals within half a second."""
MOST_DOUBTS = 2
"""Steps in a row that disagree, until the stage is not believed: one picture may be placed wrong, not two."""


@dataclass(frozen=True, slots=True, eq=False)
class DressedFrame:
    """A frame with what the desk tells of it."""

    frame: Frame
    doubt: str = ""
    """Why its scale is not known, in words, so that it cannot be read; empty where it is."""
    warning: str = ""
    """What must be said of its scale though it is known."""


def dressed(frame: Frame, desk: FrameDesk | None, objectives: Mapping[str, float]) -> DressedFrame:
    """Add the stage's position, and the objective with its scale (`objectives`: um per px by name).

    What the source itself knows of its stage stands, and so does the scale that it was opened with as long as the
    objective is the same. A frame whose scale is not known names the objective that is sensed, or none.
    """
    if desk is None:
        return DressedFrame(frame)
    if frame.stage_um is None:
        frame = replace(frame, stage_um=desk.position_um(frame.captured_s))
    objective = desk.objective()
    if objective is None or objective == frame.camera.objective:
        return DressedFrame(frame)
    um_per_px = objectives.get(objective)
    camera = replace(frame.camera, objective=objective or None, scale_assumed=um_per_px is None)
    if um_per_px is not None:
        warning = _overruled(frame, objective, um_per_px)
        return DressedFrame(replace(frame, um_per_px=um_per_px, camera=camera), warning=warning)
    why = "the objective is not known: turn one in until it clicks, and check its sensor."
    if objective:
        why = f"objective {objective} is not in the calibration: its scale is not known. Calibrate it, or turn another."
    return DressedFrame(replace(frame, camera=camera), why)


def _overruled(frame: Frame, objective: str, um_per_px: float) -> str:
    """Says that a pixel size which was given for no objective in particular is not the sensed one's."""
    given = frame.um_per_px
    is_given = frame.camera.objective is None and not frame.camera.scale_assumed
    if not is_given or abs(given / um_per_px - 1) <= SAME_SCALE:
        return ""
    return (
        f"the nosepiece tells {objective}, calibrated with {um_per_px:.4g} um/px, and that holds: not the {given:.4g} "
        "um/px of the start. If that is right, start with --objective beside it, or calibrate again."
    )


def confirm_objective(
    frame: Frame,
    desk: FrameDesk | None,
    now: Callable[[], float] = time.monotonic,
    pause: Callable[[float], object] = time.sleep,
) -> None:
    """Wait until the sensor has told, since a frame was taken, that the frame's objective is still in the light path.

    Without that a frame taken while the nosepiece was being turned would be read by the scale of the last objective.
    Asked of frames that are to be counted alone: a picture is shown at once.

    Raises
    ------
    CaseRuleError
        If it was turned, or nobody can say.
    """
    if desk is None or desk.objective() is None:
        return
    objective, end_s = frame.camera.objective or "", now() + CONFIRMED_WITHIN_S
    while (stayed := desk.stayed(objective, frame.captured_s - EXPOSED_BEFORE_S, frame.captured_s)) is None:
        if now() >= end_s:
            raise CaseRuleError(
                f"the nosepiece did not tell whether {objective} stayed in the light path: nothing was taken. Check "
                "its sensor, or try again."
            )
        pause(LOOK_EVERY_S)
    if not stayed:
        raise CaseRuleError("the nosepiece was turned when this picture was taken: nothing was taken. Try again.")


class StageCheck:
    """Compares the stage's steps with those of the pictures, and stops believing a stage that disagrees."""

    def __init__(self) -> None:
        self._from: TrackedFrame | None = None
        self._n_doubts = 0
        self.doubt = ""
        """Why the stage is not believed, in words; empty where it is."""

    def forget(self) -> None:
        """Begin anew, and believe the stage."""
        self._from, self._n_doubts, self.doubt = None, 0, ""

    def believed(self, frame: Frame) -> Frame:
        """The frame, without its stage's position where that is not believed."""
        return replace(frame, stage_um=None) if self.doubt and frame.stage_um is not None else frame

    def look(self, tracked: TrackedFrame) -> None:
        """Compare with an earlier frame that the pictures placed for certain on the same island."""
        if self.doubt or tracked.frame.stage_um is None or not _holds_still(tracked):
            return
        start = self._from
        if start is None or _kind(start) != _kind(tracked):
            self._from = tracked
            return
        by_stage, by_pictures = _stage_step_um(start, tracked), _step_um(start, tracked)
        farther = max(math.hypot(*by_stage), math.hypot(*by_pictures))
        if farther < LEAST_STEP_UM:
            return
        self._from = tracked
        apart = math.dist(by_stage, by_pictures)
        self._n_doubts = self._n_doubts + 1 if apart > SLACK_UM + SLACK_SHARE * farther else 0
        if self._n_doubts >= MOST_DOUBTS:
            self.doubt = (
                f"the stage and the picture disagree: by the stage ({by_stage[0]:.0f}, {by_stage[1]:.0f}) um, by the "
                f"picture ({by_pictures[0]:.0f}, {by_pictures[1]:.0f}) um. The map goes by the pictures alone. Check "
                "the stage's axes and the objective's scale in the settings, then reconnect (F5)."
            )


def _holds_still(tracked: TrackedFrame) -> bool:
    return tracked.trusted and tracked.speed_um_per_s <= STEADY_UM_PER_S


def _kind(tracked: TrackedFrame) -> tuple[int, float, str | None]:
    return tracked.island, tracked.frame.um_per_px, tracked.frame.camera.objective


def _step_um(first: TrackedFrame, second: TrackedFrame) -> tuple[float, float]:
    return second.x_um - first.x_um, second.y_um - first.y_um


def _stage_step_um(first: TrackedFrame, second: TrackedFrame) -> tuple[float, float]:
    (x, y), (start_x, start_y) = second.frame.stage_um or (0.0, 0.0), first.frame.stage_um or (0.0, 0.0)
    return x - start_x, y - start_y
