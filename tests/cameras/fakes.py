"""A camera that does what a test tells it, in the place of `cv2.VideoCapture`, and a picture whose sides differ."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np

from her2scope.imaging.opencv import cv2
from her2scope.records import RgbImage

RED, BLUE, GREEN = (200, 30, 30), (30, 40, 180), (40, 160, 60)


def colour_picture(height: int = 48, width: int = 64) -> RgbImage:
    """Red on the left, blue on the right, green along the bottom: any swap of channels, sides or axes shows."""
    rgb = np.empty((height, width, 3), np.uint8)
    rgb[:, : width // 2] = RED
    rgb[:, width // 2 :] = BLUE
    rgb[height * 3 // 4 :] = GREEN
    return rgb


def shows_colour_picture(rgb: RgbImage) -> bool:
    """Whether `rgb` is `colour_picture` but for lossy compression."""
    height, width = rgb.shape[:2]
    places = {(height // 4, width // 4): RED, (height // 4, width * 3 // 4): BLUE, (height * 7 // 8, width // 2): GREEN}
    return all(np.abs(rgb[place].astype(int) - colour).max() < 30 for place, colour in places.items())


class FakeCapture:
    """Delivers one BGR picture over and over, in a buffer that it reuses, as a driver does."""

    def __init__(
        self,
        bgr: Any = None,
        *,
        opened: bool = True,
        properties: dict[int, float] | None = None,
        accepts_size: bool = True,
        interval_s: float = 0.002,
    ) -> None:
        self.bgr = colour_picture()[..., ::-1].copy() if bgr is None else bgr
        self.opened = opened
        self.properties = {cv2.CAP_PROP_FRAME_WIDTH: 640.0, cv2.CAP_PROP_FRAME_HEIGHT: 480.0} | (properties or {})
        self.accepts_size = accepts_size
        self.interval_s = interval_s
        self.released = 0
        self.reads = 0
        self.failing = threading.Event()
        """Set: every read fails at once."""
        self.driver_answers = threading.Event()
        """Cleared: a read blocks, as a driver does whose cable was pulled."""
        self.driver_answers.set()

    def isOpened(self) -> bool:
        return self.opened

    def read(self) -> tuple[bool, Any]:
        time.sleep(self.interval_s)
        self.driver_answers.wait()
        self.reads += 1
        return (False, None) if self.failing.is_set() else (True, self.bgr)

    def get(self, propId: int, /) -> float:
        return self.properties.get(propId, -1.0)

    def set(self, propId: int, value: float, /) -> bool:
        if self.accepts_size:
            self.properties[propId] = value
        return self.accepts_size

    def release(self) -> None:
        self.released += 1
