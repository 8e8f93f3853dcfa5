"""Colour to stain: linearised RGB to od10, unmixed into haematoxylin and DAB (Beer-Lambert)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from her2scope.imaging.opencv import cv2
from her2scope.imaging.planes import block_rows, grey_percentile, row_blocks
from her2scope.records import Plane, RgbImage, StainImage
from her2scope.settings import Calibration, FlatField, Vector

WHITE_PERCENTILE = 99.0
"""Per channel, of the reduced picture: above single bright pixels, below what little glass a field shows."""
WHITE_REDUCTION = 4


def unmix(rgb: RgbImage, um_per_px: float, calibration: Calibration, own_white: Vector | None = None) -> StainImage:
    """Unmix a picture into DAB and haematoxylin.

    Parameters
    ----------
    rgb : (H, W, 3) uint8
    own_white : what `estimate_white` says of the picture, where it is known already

    Returns
    -------
    StainImage
        od10 of each stain along its own unit vector, `(H, W)` float32, not below 0. Where the calibration has no
        white reference the white is estimated from the picture (`white_estimated`); where it has a flat field, od10 is
        taken against the white at each pixel.
    """
    white = calibration.white_rgb or own_white or estimate_white(rgb)
    weights = _unmixing(calibration.haematoxylin_vector, calibration.dab_vector).tolist()
    haematoxylin, dab = (np.empty(rgb.shape[:2], np.float32) for _ in weights)
    for rows, (red, green, blue) in _channels_od10(rgb, calibration, white):
        for plane, (of_red, of_green, of_blue) in zip((haematoxylin[rows], dab[rows]), weights, strict=True):
            np.multiply(red, of_red, out=plane)
            cv2.scaleAdd(green, of_green, plane, dst=plane)
            cv2.scaleAdd(blue, of_blue, plane, dst=plane)
            cv2.threshold(plane, 0, 0, cv2.THRESH_TOZERO, dst=plane)
    return StainImage(dab, haematoxylin, um_per_px, white, calibration.white_rgb is None)


def channel_od10(rgb: RgbImage, calibration: Calibration, white: Vector | None = None) -> NDArray[np.float32]:
    """od10 of each channel, `(H, W, 3)` float32, not below 0; against `white`, else the calibration's or its own."""
    white = white or calibration.white_rgb or estimate_white(rgb)
    od = np.empty(rgb.shape, np.float32)
    for rows, planes in _channels_od10(rgb, calibration, white):
        cv2.merge(planes, dst=od[rows])
    return od


def _channels_od10(
    rgb: RgbImage, calibration: Calibration, white: Vector
) -> Iterator[tuple[slice, tuple[Plane, Plane, Plane]]]:
    """Rows of the picture, block by block, and od10 of their three channels: each block overwrites the one before."""
    shading = None
    if calibration.flat_field is not None:
        shading = shading_od10(white, calibration.response, calibration.flat_field, rgb.shape[:2])
        # against the brightest white first: the table ends at 0, where brighter places would be lost
        brightest = np.array(white) * np.array(calibration.flat_field).max(axis=(0, 1))
        white = tuple(brightest.tolist())
    tables = np.ascontiguousarray(od10_table(white, calibration.response)[0].T)
    buffers = np.empty((3, block_rows(rgb), rgb.shape[1]), np.float32)
    for rows in row_blocks(rgb):
        values = cv2.split(rgb[rows])
        red, green, blue = (
            cv2.LUT(channel, table, dst=buffer[: len(channel)])
            for channel, table, buffer in zip(values, tables, buffers, strict=True)
        )
        if shading is not None:
            for od, shade in zip((red, green, blue), shading[:, rows], strict=True):
                cv2.subtract(od, shade, dst=od)
                cv2.threshold(od, 0, 0, cv2.THRESH_TOZERO, dst=od)
        yield rows, (red, green, blue)


@lru_cache(maxsize=2)
def shading_od10(white: Vector, response: str, flat_field: FlatField, size_hw: tuple[int, int]) -> NDArray[np.float32]:
    """od10 of each place's white against the brightest white, `(3, H, W)` float32, read-only; not below 0.

    The flat field is in camera values: light follows from them by the response that is declared now.
    """
    share = spread_flat_field(flat_field, size_hw)
    values = share * (np.array(white, np.float32) / 255.0)
    light = linear_light(values.astype(np.float64), response)
    brightest = linear_light(np.array(flat_field).max(axis=(0, 1)) * np.array(white) / 255.0, response)
    od10 = np.ascontiguousarray(np.moveaxis(np.maximum(-np.log10(light / brightest), 0.0), 2, 0), np.float32)
    od10.setflags(write=False)
    return od10


def spread_flat_field(flat_field: FlatField, size_hw: tuple[int, int]) -> NDArray[np.float32]:
    """Relative white at each pixel, `(H, W, 3)` float32: bilinear between places that reach from edge to edge."""
    grid = np.array(flat_field, dtype=np.float32)
    over_y, over_x = (hat_weights(size, n) for size, n in zip(size_hw, grid.shape[:2], strict=True))
    return np.einsum("yr,rcp,xc->yxp", over_y, grid, over_x, optimize=True).astype(np.float32)


def hat_weights(n_pixels: int, n_places: int) -> NDArray[np.float32]:
    """Weight of each of `n_places` places, spread evenly from end to end, at each pixel: `(n_pixels, n_places)`."""
    at = np.linspace(0.0, n_places - 1.0, n_pixels)
    return np.maximum(0.0, 1.0 - np.abs(at[:, None] - np.arange(n_places))).astype(np.float32)


def estimate_white(rgb: RgbImage) -> Vector:
    """White of a picture without a reference: a high percentile of each channel. Fragile where no glass is visible."""
    small = reduced(rgb, WHITE_REDUCTION)
    red, green, blue = (max(1.0, grey_percentile(small, WHITE_PERCENTILE, channel)) for channel in range(3))
    return red, green, blue


def reduced(image: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Picture made `factor` times smaller by area averaging; at least one pixel."""
    height, width = image.shape[:2]
    size_wh = (max(1, width // factor), max(1, height // factor))
    return cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA)


def linear_light(values: NDArray[np.float64], response: str) -> NDArray[np.float64]:
    """Camera values (0..1) to light (0..1) by the camera's response.

    An unknown response is taken as linear and its od10 is apparent: the contrast curve of real microscope cameras
    largely undoes their encoding (membranes of real 2+ and 3+ fields then read 0.4 and 1.1, as the literature has it).
    """
    if response == "srgb":  # IEC 61966-2-1
        return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    if response.startswith("gamma:"):
        return values ** float(response.removeprefix("gamma:"))
    return values


@lru_cache(maxsize=8)
def od10_table(white: Vector, response: str) -> NDArray[np.float32]:
    """od10 of each of the 256 values per channel, `(1, 256, 3)` float32, for cv2.LUT; 0 at and above the white.

    Value 0 is read as half a grey level: its od10 is unknown, only larger than that of 1.
    """
    values = np.maximum(np.arange(256), 0.5)[:, None] / 255.0
    light = linear_light(np.repeat(values, 3, axis=1), response)
    reference = linear_light(np.array(white, dtype=np.float64)[None, :] / 255.0, response)
    od10 = np.maximum(0.0, -np.log10(light / reference))
    return od10.astype(np.float32)[None]


@lru_cache(maxsize=8)
def _unmixing(haematoxylin: Vector, dab: Vector) -> NDArray[np.float32]:
    """Matrix `(2, 3)` from od10 per channel to (haematoxylin, DAB); the third stain is what neither explains."""
    first, second = (np.array(vector) / np.linalg.norm(vector) for vector in (haematoxylin, dab))
    third = np.cross(first, second)
    stains = np.stack([first, second, third / np.linalg.norm(third)])
    return np.linalg.inv(stains).T[:2].astype(np.float32)
