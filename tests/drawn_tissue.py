"""Whole slides in memory, drawn coarsely but of known tissue, ink, folds and blur, for the tests of what finds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from her2scope.imaging.opencv import cv2
from her2scope.ports import SlideLevel
from her2scope.records import RgbImage

UM_PER_PX = 0.5
WHITE = (236.0, 240.0, 244.0)
HAEMATOXYLIN, DAB, EOSIN = (0.650, 0.704, 0.286), (0.268, 0.570, 0.776), (0.072, 0.990, 0.105)
INKS: Mapping[str, tuple[float, float, float]] = {
    "blue": (0.12, 0.20, 0.62),
    "light blue": (0.38, 0.55, 0.88),
    "green": (0.12, 0.54, 0.33),
    "red": (0.83, 0.12, 0.20),
    "yellow": (0.95, 0.82, 0.10),
    "black": (0.08, 0.08, 0.10),
}
"""Share of light that each lets through."""

Floats = NDArray[np.float32]


class ArraySlide:
    """A `ports.SlideReader` over one array, with coarser levels made of it; white beyond it."""

    def __init__(self, rgb: RgbImage, um_per_px: float | None = UM_PER_PX, downsamples: Sequence[int] = (1, 8)) -> None:
        height, width = rgb.shape[:2]
        self._pyramid = [
            cv2.resize(rgb, (width // down, height // down), interpolation=cv2.INTER_AREA) for down in downsamples
        ]
        self.levels = tuple(
            SlideLevel(each.shape[1], each.shape[0], float(down))
            for each, down in zip(self._pyramid, downsamples, strict=True)
        )
        self.um_per_px = um_per_px
        self.largest_read_px = 0

    def region(self, level: int, left_px: int, top_px: int, width_px: int, height_px: int) -> RgbImage:
        self.largest_read_px = max(self.largest_read_px, width_px * height_px)
        stored = self._pyramid[level]
        rgb = np.full((height_px, width_px, 3), 255, np.uint8)
        left, top = max(left_px, 0), max(top_px, 0)
        part = stored[top : max(top, top_px + height_px), left : max(left, left_px + width_px)]
        rgb[top - top_px :, left - left_px :][: part.shape[0], : part.shape[1]] = part
        return rgb

    def close(self) -> None:
        pass


def tissue_light(
    size_hw: tuple[int, int], seed: int = 1, brown: float = 0.35, stain: tuple[float, float, float] = DAB
) -> Floats:
    """Light `(H, W, 3)` (0..1) through a sheet of cells: blue nuclei, walls of a second stain, both between.

    Parameters
    ----------
    brown : od10 of the walls, in the second stain's strongest channel
    """
    rng = np.random.default_rng(seed)
    nuclei, walls = np.zeros((2, *size_hw), np.float32)
    step = 20
    for y in range(0, size_hw[0] + step, step):
        for x in range(0, size_hw[1] + step, step):
            at = (int(x + rng.integers(-3, 4)), int(y + rng.integers(-3, 4)))
            cv2.circle(nuclei, at, int(rng.integers(5, 8)), float(rng.uniform(0.3, 0.5)), -1, cv2.LINE_AA)
            cv2.circle(walls, at, 10, brown, 2, cv2.LINE_AA)
    grain = cv2.GaussianBlur(0.25 * rng.standard_normal(size_hw, np.float32), (0, 0), 0.9)
    blue = np.maximum(cv2.GaussianBlur(nuclei, (0, 0), 0.5) * (1 + grain) + 0.04, 0.0)
    second = np.maximum(cv2.GaussianBlur(walls, (0, 0), 0.5) * (1 + grain) + 0.03, 0.0)
    od10 = blue[..., None] * np.array(HAEMATOXYLIN, np.float32) / max(HAEMATOXYLIN)
    od10 += second[..., None] * np.array(stain, np.float32) / max(stain)
    return np.asarray(10.0**-od10, np.float32)


def on_glass(light: Floats, around_px: int = 400) -> Floats:
    """Tissue with bare glass on every side."""
    border = [(around_px, around_px)] * 2
    return np.pad(light, [*border, (0, 0)], constant_values=1.0)


def with_ink(light: Floats, ends_px: Sequence[tuple[int, int]], ink: str, width_px: int = 160) -> Floats:
    """A stroke of a pen over it."""
    stroke = np.zeros(light.shape[:2], np.uint8)
    cv2.polylines(stroke, [np.array(ends_px, np.int32)], False, 255, width_px, cv2.LINE_AA)
    share = cv2.GaussianBlur(stroke.astype(np.float32) / 255, (0, 0), 8)[..., None]
    return np.asarray(light * (1 - share * (1 - np.array(INKS[ink], np.float32))))


def with_fold(light: Floats, columns: slice) -> Floats:
    """The tissue lies double there; the upper layer is out of focus."""
    above = cv2.GaussianBlur(np.roll(light, 37, axis=0), (0, 0), 6)
    folded = light.copy()
    folded[:, columns] *= above[:, columns]
    return folded


def picture(light: Floats) -> RgbImage:
    """As a scanner shows it: `WHITE` glass with a grey level of noise."""
    height, width = light.shape[:2]
    piece = np.random.default_rng(0).normal(0.0, 0.7, (128, 128, 3)).astype(np.float32)
    noise = np.tile(piece, (height // 128 + 1, width // 128 + 1, 1))[:height, :width]
    return np.clip(np.rint(light * np.array(WHITE, np.float32) + noise), 0, 254).astype(np.uint8)
