"""Whether the overlay may be shown on the picture that is on screen now, where, and if not, why not. No painting."""

from __future__ import annotations

from dataclasses import dataclass

from her2scope.pipeline.live import LiveResult
from her2scope.records import TrackedFrame

MAX_AGE_MOVING_S = 1.5
"""An analysis older than this is not carried along with tissue that moves fast: small errors of the shift add up."""
MAX_SPEED_UM_PER_S = 60.0
"""As `settings.QualitySettings.max_speed_um_per_s`: faster than this a frame is smeared."""


@dataclass(frozen=True, slots=True)
class OverlayState:
    """Place of an overlay on the shown frame, or the reason why it is off."""

    why_off: str = ""
    """Empty while the overlay may be shown."""
    dx_px: float = 0.0
    dy_px: float = 0.0
    """By how much tissue has moved, in pixels of the shown frame, since the analysed frame."""
    same_place: bool = True
    """The analysed tissue is in the picture: an overlay that goes off may fade instead of vanishing."""

    @property
    def visible(self) -> bool:
        """Whether the overlay may be shown."""
        return not self.why_off


def overlay_state(
    shown: TrackedFrame | None, live: LiveResult | None, max_speed_um_per_s: float = MAX_SPEED_UM_PER_S
) -> OverlayState:
    """Decide for the frame on screen and the newest analysis."""
    if shown is None:
        return OverlayState("no picture yet", same_place=False)
    if shown.doubt:
        return OverlayState(shown.short_doubt, same_place=False)
    if live is None:
        return OverlayState("analysing", same_place=False)
    moving = shown.speed_um_per_s > max_speed_um_per_s
    if not same_tissue(shown, live.tracked):
        return OverlayState("stage moving" if moving else "analysing", same_place=False)
    dx_px, dy_px = live.tracked.x_px - shown.x_px, live.tracked.y_px - shown.y_px
    age_s = shown.frame.captured_s - live.tracked.frame.captured_s
    if moving and age_s > MAX_AGE_MOVING_S:
        return OverlayState("stage moving", dx_px, dy_px)
    guessed = not (shown.trusted and live.tracked.trusted) and shown.frame is not live.tracked.frame
    return OverlayState(_unusable(live) or ("place uncertain" if guessed else ""), dx_px, dy_px)


def same_tissue(first: TrackedFrame, second: TrackedFrame) -> bool:
    """Whether two frames are registered to each other, at one scale, and share some tissue."""
    height, width = first.frame.size_hw
    return (
        first.island == second.island
        and first.frame.size_hw == second.frame.size_hw
        and first.frame.um_per_px == second.frame.um_per_px
        and abs(first.x_px - second.x_px) < width
        and abs(first.y_px - second.y_px) < height
    )


def _unusable(live: LiveResult) -> str:
    quality = live.result.quality
    if quality.usable:
        return ""
    if quality.codes == ("moving",):
        return "stage moving"
    return "; ".join(quality.reasons) or "the picture cannot be analysed"
