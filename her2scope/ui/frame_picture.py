"""A frame as it is in view: cut and scaled to screen pixels once per shown frame, into memory that is kept."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, QRect, QRectF
from PyQt6.QtGui import QImage

from her2scope.imaging.opencv import cv2
from her2scope.records import RgbImage
from her2scope.ui.images import pixels_of
from her2scope.ui.viewport import Viewport

SMOOTH_BELOW_ZOOM = 3.0
"""Above it single pixels are shown as they are."""


def pixels_in(rect: QRectF, size_hw: tuple[int, int]) -> QRect:
    """Whole pixels of an image that a part of it touches."""
    height, width = size_hw
    left, top = max(0, math.floor(rect.left())), max(0, math.floor(rect.top()))
    right, bottom = min(width, math.ceil(rect.right())), min(height, math.ceil(rect.bottom()))
    return QRect(left, top, max(0, right - left), max(0, bottom - top))


def scaled(
    pixels: NDArray[np.uint8], scale: float, smooth: bool, kept: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """`(H, W, C)` pixels drawn `scale` times as large, as Qt draws them but in half the time.

    Into `kept` where that is of the size: fresh memory of some megabytes costs as much as the scaling.
    """
    # By the factor, not by the size: the size is rounded, and a place would be up to half a pixel off at the far end.
    how = cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST
    height, width = pixels.shape[:2]
    if min(height, width) * scale < 1:  # a sliver: OpenCV would round its size to nothing, and refuse
        size = max(1, round(width * scale)), max(1, round(height * scale))
        return np.asarray(cv2.resize(pixels, size, interpolation=how))
    return np.asarray(cv2.resize(pixels, None, dst=kept, fx=scale, fy=scale, interpolation=how))


class FramePicture:
    """Picture of the newest frame that was asked for; a frame that is not painted is never converted."""

    def __init__(self) -> None:
        self._of: RgbImage | None = None
        self._port: Viewport | None = None
        self._ratio = 0.0
        self._scaled: NDArray[np.uint8] | None = None
        self._image = QImage()
        self._place = QPointF()

    def of(self, rgb: RgbImage, port: Viewport, ratio: float) -> tuple[QImage, QPointF]:
        """What of `rgb` is in view, and where on screen it goes, on whole device pixels.

        Parameters
        ----------
        ratio : device pixels per screen pixel
        """
        if rgb is not self._of or port != self._port or ratio != self._ratio:
            self._of, self._port, self._ratio = rgb, port, ratio
            self._make(rgb, port, ratio)
        return self._image, self._place

    def _make(self, rgb: RgbImage, port: Viewport, ratio: float) -> None:
        scale = port.zoom * ratio
        shown = pixels_in(port.image_in_view(), (rgb.shape[0], rgb.shape[1]))
        if shown.isEmpty():
            self._image, self._place = QImage(), QPointF()
            return
        part = rgb[shown.top() : shown.top() + shown.height(), shown.left() : shown.left() + shown.width()]
        self._scaled = scaled(part, scale, port.zoom < SMOOTH_BELOW_ZOOM, self._scaled)
        height, width, _ = self._scaled.shape
        if (self._image.width(), self._image.height()) != (width, height):
            self._image = QImage(width, height, QImage.Format.Format_RGB32)
        self._image.setDevicePixelRatio(ratio)
        cv2.cvtColor(self._scaled, cv2.COLOR_RGB2BGRA, dst=pixels_of(self._image))
        self._place = on_whole_pixels(port.to_screen(QPointF(shown.topLeft())), ratio)


def touched(port: Viewport) -> QRect:
    """What of the screen a picture may lie on: whole device pixels, which end a little beyond its place."""
    return port.picture_rect().toAlignedRect().adjusted(-1, -1, 1, 1)


def on_whole_pixels(place: QPointF, ratio: float) -> QPointF:
    """The nearest whole device pixel: Qt copies a picture there, and resamples it anywhere else."""
    return QPointF(round(place.x() * ratio) / ratio, round(place.y() * ratio) / ratio)
