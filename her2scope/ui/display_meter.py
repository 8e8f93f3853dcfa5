"""How live the picture on screen is: counted where it is painted, in distinct frames, not in repaints. No Qt here."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

WINDOW_S = 2.0
"""What the figures look back on: long enough to be steady, short enough to follow."""


@dataclass(frozen=True, slots=True)
class Painted:
    """One paint of the live picture. Times are monotonic."""

    frame_index: int
    captured_s: float
    painted_s: float
    """When the paint ended."""
    overlay_captured_s: float | None
    """Capture time of the frame whose analysis is drawn; None: no overlay is."""
    overlay_is_new: bool
    """The first paint of that analysis."""


@dataclass(frozen=True, slots=True)
class DisplayFigures:
    """Medians and rates of the last seconds; 0 where nothing was painted."""

    displayed_fps: float
    """Distinct frames painted."""
    picture_latency_ms: float
    """Capture of a frame to its first paint."""
    overlay_latency_ms: float
    """Capture of a frame to the first paint of its own analysis."""
    overlay_age_ms: float = 0.0
    """By how much the analysis that is drawn is older than the frame it is drawn on; 0 where no overlay is."""


class DisplayMeter:
    """Takes each paint; keeps those of the last seconds only."""

    def __init__(self) -> None:
        self._frames: deque[Painted] = deque()
        """First paints of a frame."""
        self._overlays: deque[Painted] = deque()
        """First paints of an analysis."""
        self._newest: Painted | None = None
        self._listener: Callable[[Painted], None] | None = None

    def listen(self, listener: Callable[[Painted], None] | None) -> None:
        """Tell each paint to `listener` too; None: to nobody."""
        self._listener = listener

    def painted(self, painted: Painted) -> None:
        """Take a paint, right after it ended."""
        newest, self._newest = self._newest, painted
        if newest is None or (newest.frame_index, newest.captured_s) != (painted.frame_index, painted.captured_s):
            self._frames.append(painted)
        if painted.overlay_is_new and painted.overlay_captured_s is not None:
            self._overlays.append(painted)
        self._forget_before(painted.painted_s - WINDOW_S)
        if self._listener is not None:
            self._listener(painted)

    def figures(self, now_s: float) -> DisplayFigures:
        """What was painted in the seconds before `now_s`."""
        self._forget_before(now_s - WINDOW_S)
        pictures = [item.painted_s - item.captured_s for item in self._frames]
        overlays = [item.painted_s - (item.overlay_captured_s or 0.0) for item in self._overlays]
        newest = self._newest
        drawn_s = None if newest is None else newest.overlay_captured_s
        return DisplayFigures(
            len(self._frames) / WINDOW_S,
            _median_ms(pictures),
            _median_ms(overlays),
            0.0 if newest is None or drawn_s is None else 1e3 * (newest.captured_s - drawn_s),
        )

    def _forget_before(self, start_s: float) -> None:
        for kept in (self._frames, self._overlays):
            while kept and kept[0].painted_s <= start_s:
                kept.popleft()


def _median_ms(durations_s: list[float]) -> float:
    return 1e3 * median(durations_s) if durations_s else 0.0
