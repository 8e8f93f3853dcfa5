"""Tissue that the region model leaves out, as it is drawn over a picture: dimmed, with slanting lines. No Qt."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from her2scope.imaging.opencv import cv2
from her2scope.records import FieldResult, Mask

DIM_ALPHA, LINE_ALPHA = 60, 95
"""Of 255: tissue stays to be seen beneath the black, and the lines tell dimmed from dark tissue."""
STEP_PX, LINE_PX = 14, 2
"""Of the lines, along a row of pixels."""


def has_outside(result: FieldResult) -> bool:
    """Whether the region model leaves any of a field's tissue out."""
    return result.outside is not None and bool(result.outside.any())


def outside_layer(
    outside: Mask, size_hw: tuple[int, int], left: float = 0.0, top: float = 0.0, scale: float = 1.0, ratio: float = 1.0
) -> NDArray[np.uint8]:
    """`(*size_hw, 4)` premultiplied grey with alpha, to lay over a part of a picture.

    Parameters
    ----------
    outside : as `FieldResult.outside`, over the whole picture
    size_hw : height and width of the layer in its own pixels
    left, top : where the layer's corner lies in the whole picture, in pixels of the layer
    scale : the whole picture is `outside` so many times as large, in pixels of the layer
    ratio : pixels of the layer to one on screen: lines keep their width
    """
    # pixel u of the layer has its middle at (left + u + 0.5) / scale of the mask, whose own middles are at + 0.5
    move = np.array([[1 / scale, 0, (left + 0.5) / scale - 0.5], [0, 1 / scale, (top + 0.5) / scale - 0.5]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    there = cv2.warpAffine(outside, move, size_hw[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE) >= 128
    x, y = np.arange(size_hw[1], dtype=np.float32) + left, np.arange(size_hw[0], dtype=np.float32) + top
    lines = there & ((y[:, None] + x) % (STEP_PX * ratio) < LINE_PX * ratio)
    layer = np.zeros((*size_hw, 4), np.uint8)
    layer[there, 3] = DIM_ALPHA
    layer[lines] = LINE_ALPHA  # white as far as it covers
    return layer
