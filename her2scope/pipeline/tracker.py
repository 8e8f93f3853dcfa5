"""Follows the slide from frame to frame, so that an overlay can move with the tissue and motion is noticed."""

from __future__ import annotations

import math

from her2scope.imaging.registration import Relief, find_shift
from her2scope.records import Frame, TrackedFrame

MIN_STRUCTURE = 3.0
"""Spread of a relief (grey levels) from which there is tissue to follow; empty glass has under 1."""


class Tracker:
    """Places each frame relative to the one before. Used by the camera thread alone."""

    def __init__(self) -> None:
        self._last: TrackedFrame | None = None
        self._relief: Relief | None = None
        self._island = 0

    def forget(self) -> None:
        """The source was opened again: what comes may show another slide, and no island is ever used twice."""
        self._last = self._relief = None
        self._island += 1

    def place(self, frame: Frame) -> TrackedFrame:
        """Where the frame lies: in the island of the last one, or at the start of a new island after a jump."""
        relief = Relief.of(frame)
        last, before = self._last, self._relief
        self._relief = relief
        self._last = self._placed(frame, relief, last, before)
        return self._last

    def _placed(self, frame: Frame, relief: Relief, last: TrackedFrame | None, before: Relief | None) -> TrackedFrame:
        if last is None or before is None:
            return TrackedFrame(frame, island=self._island)
        if last.frame.rgb is frame.rgb:  # a folder's still picture, shown again
            return TrackedFrame(frame, last.x_px, last.y_px, last.island)
        same_scale = last.frame.um_per_px == frame.um_per_px and last.frame.camera == frame.camera
        shift = find_shift(before, relief) if same_scale else None
        if shift is None:
            self._island += 1
            # how fast it went is not known, but too fast to follow; over empty glass it may as well stand still
            lost = float(relief.plane.std()) > MIN_STRUCTURE
            return TrackedFrame(frame, island=self._island, speed_um_per_s=math.inf if lost else 0.0)
        elapsed_s = max(1e-3, frame.captured_s - last.frame.captured_s)
        way_um = (shift.dx_px**2 + shift.dy_px**2) ** 0.5 * frame.um_per_px
        x_px, y_px = last.x_px + shift.dx_px, last.y_px + shift.dy_px
        return TrackedFrame(frame, x_px, y_px, last.island, way_um / elapsed_s)
