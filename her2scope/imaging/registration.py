"""Where two pictures of the same slide lie to each other: shift between frames, overlap between fields."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from her2scope.imaging.opencv import cv2
from her2scope.records import Frame, Plane, RgbImage

REGISTRATION_WIDTH_PX = 480
MIN_SAME_CORRELATION = 0.45
"""Correlation of two pictures' relief where they overlap, from which they show the same tissue. Different tissue of
the same slide stays under 0.2; a camera's noise and a slight change of focus leave above 0.6."""
MIN_OVERLAP_SHARE = 0.04
"""Less of the picture in common cannot be told from chance."""
RELIEF_SIGMA_PX = 12.0


@dataclass(frozen=True, slots=True)
class Shift:
    """Place of a picture's top left corner in another picture's pixels."""

    dx_px: float
    dy_px: float
    correlation: float
    """Of the relief where both overlap, -1..1."""


@dataclass(frozen=True, slots=True, eq=False)
class Relief:
    """A frame reduced to what registration needs."""

    plane: Plane
    factor: float
    """Frame pixels per relief pixel."""

    @staticmethod
    def of(frame: Frame) -> Relief:
        """Relief of a frame."""
        return Relief(*_relief(frame.rgb))


def _relief(rgb: RgbImage) -> tuple[Plane, float]:
    """Green channel at low resolution, its slow changes (lamp, vignette) taken off."""
    height, width = rgb.shape[:2]
    factor = max(1.0, width / REGISTRATION_WIDTH_PX)
    size_wh = (max(8, round(width / factor)), max(8, round(height / factor)))
    small = cv2.resize(rgb, size_wh, interpolation=cv2.INTER_AREA)
    green = np.ascontiguousarray(small[:, :, 1]).astype(np.float32)
    return green - cv2.GaussianBlur(green, (0, 0), RELIEF_SIGMA_PX), width / size_wh[0]


def find_shift(first: Relief, second: Relief) -> Shift | None:
    """Place of `second` in `first`, in frame pixels; None where they show no common tissue."""
    if first.plane.shape != second.plane.shape or abs(first.factor - second.factor) > 1e-6:
        return None
    (dx, dy), _ = cv2.phaseCorrelate(second.plane, first.plane, _window(first.plane.shape))
    height, width = first.plane.shape
    # the transform is cyclic: a shift of more than half a picture comes back as its complement
    candidates = [(dx + a * width, dy + b * height) for a in (-1, 0, 1) for b in (-1, 0, 1)]
    best = max((_checked(first, second, x, y) for x, y in candidates), key=lambda shift: shift.correlation)
    return best if best.correlation >= MIN_SAME_CORRELATION else None


def _checked(first: Relief, second: Relief, dx: float, dy: float) -> Shift:
    """The shift with the correlation that it gives where both pictures overlap; -1 where they hardly do."""
    height, width = first.plane.shape
    x, y = round(dx), round(dy)
    wide, high = width - abs(x), height - abs(y)
    shift_px = dx * first.factor, dy * first.factor
    if wide <= 0 or high <= 0 or wide * high < MIN_OVERLAP_SHARE * width * height:
        return Shift(*shift_px, -1.0)
    a = first.plane[max(0, y) : max(0, y) + high, max(0, x) : max(0, x) + wide]
    b = second.plane[max(0, -y) : max(0, -y) + high, max(0, -x) : max(0, -x) + wide]
    return Shift(*shift_px, _correlation(a, b))


def _correlation(a: Plane, b: Plane) -> float:
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt(np.sum(a * a) * np.sum(b * b)))
    return float(np.sum(a * b)) / norm if norm > 0 else -1.0


_windows: dict[tuple[int, int], NDArray[np.float32]] = {}


def _window(shape_hw: tuple[int, int]) -> NDArray[np.float32]:
    if shape_hw not in _windows:
        _windows[shape_hw] = cv2.createHanningWindow((shape_hw[1], shape_hw[0]), cv2.CV_32F)
    return _windows[shape_hw]
