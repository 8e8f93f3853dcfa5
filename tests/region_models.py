"""Region models of which every answer is known, for tests of what asks one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from her2scope.imaging.opencv import cv2
from her2scope.records import RgbImage

Share = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]
"""Probability of tumour at places (x, y) of the picture, each 0..1 of its width and height."""


def left_half(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Tumour on the left."""
    return np.where(x < 0.5, 0.9, 0.1)


class DrawnModel:
    """Finds tumour where it is told to, whatever the picture shows."""

    def __init__(self, tumour: Share = left_half, um_per_px: float = 1.0, name: str = "drawn") -> None:
        self.name, self.sha256, self.um_per_px = name, f"{len(name):064x}", um_per_px
        self.classes: tuple[str, ...] = ("background", "tumour")
        self.n_asked = 0
        self._tumour = tumour

    def probabilities(self, rgb: RgbImage, um_per_px: float) -> NDArray[np.float32]:
        """As `ports.RegionModel`."""
        self.n_asked += 1
        ratio = self.um_per_px / um_per_px
        height, width = (max(1, round(side / ratio)) for side in rgb.shape[:2])
        y, x = np.mgrid[0:height, 0:width] + 0.5
        tumour = self._tumour(x * ratio / rgb.shape[1], y * ratio / rgb.shape[0])
        return np.stack([1 - tumour, tumour]).astype(np.float32)


class BrownModel(DrawnModel):
    """Takes what is brown for tumour: its answer depends on the pixels, as a trained one's does."""

    def probabilities(self, rgb: RgbImage, um_per_px: float) -> NDArray[np.float32]:
        """As `ports.RegionModel`."""
        self.n_asked += 1
        ratio = self.um_per_px / um_per_px
        size_wh = tuple(max(1, round(side / ratio)) for side in rgb.shape[1::-1])
        small = cv2.resize(rgb, size_wh, interpolation=cv2.INTER_AREA).astype(np.float32)
        brown = cv2.GaussianBlur(small[..., 0] - small[..., 2], (0, 0), 8.0)
        tumour = 1 / (1 + np.exp(-(brown - np.median(brown)) / 2))
        return np.stack([1 - tumour, tumour]).astype(np.float32)
