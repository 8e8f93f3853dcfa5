"""A slide in memory that fails when a test wants, and a picture whose every place is told by its colours."""

from __future__ import annotations

import threading
import time

import numpy as np

from her2scope.domain.errors import UnreadableImageError
from her2scope.imaging.opencv import cv2
from her2scope.ports import SlideLevel
from her2scope.records import RgbImage


class FakeSlide:
    """A `ports.SlideReader` over one array, with levels made of it by averaging."""

    def __init__(self, rgb: RgbImage, um_per_px: float | None = None, downsamples: tuple[int, ...] = (1,)) -> None:
        height, width = rgb.shape[:2]
        self._pyramid = [
            cv2.resize(rgb, (width // down, height // down), interpolation=cv2.INTER_AREA) for down in downsamples
        ]
        self.levels = tuple(
            SlideLevel(each.shape[1], each.shape[0], float(down))
            for each, down in zip(self._pyramid, downsamples, strict=True)
        )
        self.um_per_px = um_per_px
        self.is_damaged = False
        self.seconds_per_region = 0.0
        self.answers = threading.Event()
        """Cleared: reads block, as on a network drive that went away."""
        self.answers.set()
        self.read_at: list[int] = []
        """Levels in the order in which regions of them were read."""
        self.closed = 0

    def region(self, level: int, left_px: int, top_px: int, width_px: int, height_px: int) -> RgbImage:
        time.sleep(self.seconds_per_region)
        self.answers.wait()
        if self.is_damaged:
            raise UnreadableImageError("a.svs", "a part of it cannot be read")
        self.read_at.append(level)
        stored = self._pyramid[level]
        rgb = np.full((height_px, width_px, 3), 255, np.uint8)
        left, top = max(left_px, 0), max(top_px, 0)
        part = stored[top : max(top, top_px + height_px), left : max(left, left_px + width_px)]
        rgb[top - top_px :, left - left_px :][: part.shape[0], : part.shape[1]] = part
        return rgb

    def close(self) -> None:
        self.closed += 1


def place_picture(height: int, width: int) -> RgbImage:
    """Red tells the column and green the row (in steps of 8 px), so that any view tells where it was taken."""
    rows, columns = np.mgrid[:height, :width] // 8
    return np.dstack([columns % 256, rows % 256, np.full_like(rows, 128)]).astype(np.uint8)
