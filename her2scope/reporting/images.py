"""Pictures small enough for a report, sharp enough to check a cell."""

from __future__ import annotations

import base64

import numpy as np

from her2scope.imaging.opencv import cv2
from her2scope.records import RgbImage

JPEG_QUALITY = 85


def at_most(rgb: RgbImage, width_px: int) -> RgbImage:
    """`rgb` itself where it is narrow enough, else a copy reduced to `width_px` by area means."""
    height, width = rgb.shape[:2]
    if width <= width_px:
        return rgb
    size = (width_px, max(1, round(height * width_px / width)))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def jpeg(rgb: RgbImage) -> bytes:
    """JPEG of a picture, with full colour resolution: halved, thin coloured lines would turn grey."""
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return _encoded(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), options)


def png(pixels: RgbImage) -> bytes:
    """PNG of `(H, W, 3)` RGB or `(H, W, 4)` RGBA."""
    order = cv2.COLOR_RGBA2BGRA if pixels.shape[2] == 4 else cv2.COLOR_RGB2BGR
    return _encoded(".png", cv2.cvtColor(pixels, order), [cv2.IMWRITE_PNG_COMPRESSION, 9])


def data_uri(encoded: bytes) -> str:
    """The picture as it stands in a self-contained HTML file."""
    kind = "png" if encoded.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(encoded).decode('ascii')}"


def _encoded(suffix: str, pixels: RgbImage, options: list[int]) -> bytes:
    done, encoded = cv2.imencode(suffix, pixels, options)
    if not done:
        raise RuntimeError(f"OpenCV could not encode a picture of {pixels.shape} as {suffix}")
    return encoded.tobytes()
