"""Camera pixels to Qt's, in the layout that Qt paints fastest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QSize, Qt
from PyQt6.QtGui import QImage

from her2scope.imaging.opencv import cv2


def to_qimage(rgb: NDArray[np.uint8]) -> QImage:
    """Copy (H, W, 3) uint8 RGB into memory that Qt owns.

    RGB32, not RGB888: Qt paints a full-HD picture from it four times faster. The one copy is the conversion itself.
    """
    height, width, _ = rgb.shape
    image = QImage(width, height, QImage.Format.Format_RGB32)
    cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2BGRA, dst=pixels_of(image))
    return image


def thumbnail(rgb: NDArray[np.uint8], size: QSize) -> QImage:
    """Small picture of a field, cut to fill `size`."""
    height, width, _ = rgb.shape
    # Reduce by area first: Qt's smooth scaling of a whole camera frame would take 20 ms on the GUI thread.
    step = max(1, min(height // max(1, size.height()), width // max(1, size.width())) // 2)
    small = rgb[::step, ::step] if step > 1 else rgb
    scaled = to_qimage(small).scaled(
        size, Qt.AspectRatioMode.KeepAspectRatioByExpanding, Qt.TransformationMode.SmoothTransformation
    )
    left, top = (scaled.width() - size.width()) // 2, (scaled.height() - size.height()) // 2
    return scaled.copy(left, top, size.width(), size.height())


def pixels_of(image: QImage) -> NDArray[np.uint8]:
    """Writable view of a 32 bit QImage's memory, valid while `image` lives."""
    memory = image.bits()
    if memory is None:
        raise MemoryError(f"no memory for an image of {image.width()} x {image.height()} pixels")
    memory.setsize(image.sizeInBytes())
    return np.frombuffer(memory, np.uint8).reshape(image.height(), image.width(), 4)  # type: ignore[call-overload]
