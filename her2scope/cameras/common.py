"""What the sources share: OpenCV's capture object as we use it, its pictures as RGB, and pacing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol, cast

import numpy as np

from her2scope.domain.errors import CameraError
from her2scope.imaging.opencv import cv2
from her2scope.records import RgbImage


class Capture(Protocol):
    """The part of `cv2.VideoCapture` that the sources use; tests put their own in its place."""

    def isOpened(self) -> bool:
        """Tell whether the device or file could be opened."""

    def read(self) -> tuple[bool, Any]:
        """Wait for a picture; `(False, None)` where none came."""

    def get(self, propId: int, /) -> float:
        """Value of a property; -1 or 0 where the backend does not know it."""

    def set(self, propId: int, value: float, /) -> bool:
        """Ask for a value; the device may choose another."""

    def release(self) -> None:
        """Let go of the device or file."""


CaptureFactory = Callable[[int | str], Capture]
"""Opens a device by number or path, or a file by path. Never raises: `isOpened` tells."""


def to_rgb(bgr: Any, name: str) -> RgbImage:
    """Turn a picture of a `Capture` into RGB in memory of its own (the driver may reuse its buffer).

    Raises CameraError where it is no colour picture of 8 bits per channel: nothing else can be measured.
    """
    if not isinstance(bgr, np.ndarray) or bgr.ndim != 3 or bgr.shape[2] != 3 or bgr.dtype != np.uint8:
        what = f"{bgr.shape} {bgr.dtype}" if isinstance(bgr, np.ndarray) else type(bgr).__name__
        raise CameraError(f"{name} gives pictures that are not 8-bit colour ({what}). Set the camera to 8-bit RGB.")
    return cast(RgbImage, cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))


def not_open(name: str) -> CameraError:
    """Error of a read before `open` or after `close`."""
    return CameraError(f"{name} is not open. Open it before reading.")


class Pacer:
    """Lets one picture through per interval. A late reader is not made to catch up: a camera does not wait either."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._due_s = time.monotonic()

    def remaining_s(self) -> float:
        """How long until the next picture is due; 0 where it is."""
        return max(0.0, self._due_s - time.monotonic())

    def passed(self) -> None:
        """Say that a picture was given out."""
        now_s = time.monotonic()
        on_time = now_s - self._due_s < self._interval_s
        self._due_s = (self._due_s if on_time else now_s) + self._interval_s
