"""Whether marks may be shown in the eyepiece now, where, and if not, why not. No painting.

Stricter than the window (`overlay_state`): what the eye sees through the eyepiece is ahead of the newest frame by the
camera's delay, and goes on when the camera does not.
"""

from __future__ import annotations

from dataclasses import dataclass

from her2scope.imaging.calibration.eyepiece_map import fitted_matrix
from her2scope.pipeline.live import CameraPhase, CameraStatus, LiveResult
from her2scope.records import Frame, TrackedFrame
from her2scope.settings.eyepiece import EyepieceMaps, Matrix, NoMap
from her2scope.ui.overlay_state import MAX_SPEED_UM_PER_S, overlay_state

OWN_SCORE_FIRST = "own score first"
NO_NEW_PICTURE = "no new picture from the camera"


@dataclass(frozen=True, slots=True)
class EyepieceState:
    """What may be shown."""

    why_off: str = ""
    """Empty while the overlay of the newest analysis may be shown."""
    matrix: Matrix | None = None
    """Where the newest frame lies on the display; None: not known, or it is not what the eye sees."""
    shift_xy_px: tuple[float, float] = (0.0, 0.0)
    """By how much the analysed tissue has moved since, in display pixels."""
    may_fade: bool = False
    """The analysed tissue is in its place: an overlay that goes off may fade instead of vanishing."""

    @property
    def visible(self) -> bool:
        """Whether the overlay may be shown."""
        return not self.why_off


@dataclass(frozen=True, slots=True)
class Seen:
    """What the eyepiece's window knows of the camera and the display."""

    shown: TrackedFrame | None
    camera: CameraStatus
    is_silent: bool
    """Frames have stopped coming, and the camera's state does not say so yet."""
    maps: EyepieceMaps
    fits_picture: bool
    """The camera picture is shown, too, as large as it goes: no map is needed."""
    display_wh: tuple[int, int]
    max_speed_um_per_s: float = MAX_SPEED_UM_PER_S
    is_blind: bool = False
    """The pathologist's own score comes first: nothing may give the computed one away."""


def eyepiece_state(seen: Seen, live: LiveResult | None) -> EyepieceState:
    """Decide for the newest frame and an analysis."""
    if seen.camera.phase is not CameraPhase.LIVE:
        return EyepieceState(f"camera {seen.camera.phase.value}")
    if seen.is_silent:
        return EyepieceState(NO_NEW_PICTURE)
    if seen.shown is None:
        return EyepieceState("no picture yet")
    if seen.shown.doubt:
        return EyepieceState(seen.shown.short_doubt)
    matrix = _matrix(seen, seen.shown.frame)
    if isinstance(matrix, NoMap):
        return EyepieceState(matrix.why)
    if seen.shown.speed_um_per_s > seen.max_speed_um_per_s:
        return EyepieceState("stage moving")
    if seen.is_blind:
        return EyepieceState(OWN_SCORE_FIRST, matrix)
    place = overlay_state(seen.shown, live, seen.max_speed_um_per_s)
    (a, b, _), (d, e, _) = matrix
    shift = (a * place.dx_px + b * place.dy_px, d * place.dx_px + e * place.dy_px)
    return EyepieceState(place.why_off, matrix, shift, place.same_place)


def objective_of(frame: Frame) -> str:
    """The name of a frame's objective, by its scale where nobody named it."""
    return frame.camera.objective or f"{frame.um_per_px:g} um/px"


def size_wh(frame: Frame) -> tuple[int, int]:
    """Width and height of a frame."""
    height, width = frame.size_hw
    return width, height


def _matrix(seen: Seen, frame: Frame) -> Matrix | NoMap:
    if seen.fits_picture:
        return fitted_matrix(size_wh(frame), seen.display_wh)
    found = seen.maps.fitting(objective_of(frame), size_wh(frame), seen.display_wh)
    return found if isinstance(found, NoMap) else found.matrix
