"""A whole slide, small, and the white of its glass: one for the slide, so that all its tiles agree."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from her2scope.imaging.opencv import cv2
from her2scope.ports import SlideReader
from her2scope.records import Mask, RgbImage
from her2scope.settings import Vector

MAP_UM_PER_PX = 8.0
"""Scale of the small picture: a cell's width. The strokes of a pen and folds are several of it wide."""
MAP_FROM_UM_PER_PX = 5.0
"""It is made of the coarsest stored size that is at least this fine, so that each of its pixels is a mean."""
BLOCK_PX = 2048
"""Side of what is read at a time: 13 MB, also of a slide that is stored in one size only."""
PAINTED = 255
"""Scanners paint what they did not scan in this; real glass is hardly ever so in all three channels."""
FLAT_LEVELS = 5
"""Grey levels within 3 x 3 pixels of the small picture up to which a place may be glass."""
BRIGHT_SHARE = 0.94
"""Of the brightest flat places in each channel, from which on a flat place is glass."""
NEAR_PX = 25
"""What lies so near to something stained was scanned: 0.2 mm."""
PAINTED_SHARE = 0.8
"""Where the glass right beside the tissue is as white as paint, it is the scanner's white."""
LEAST_GLASS_PX = 30
DARK_SHARE = 0.80
"""Of the brightest flat places, below which a place is stained for sure."""


@dataclass(frozen=True, slots=True, eq=False)
class SlideMap:
    """A whole slide at `MAP_UM_PER_PX`; its first pixel begins at the slide's corner."""

    rgb: RgbImage


def read_map(reader: SlideReader, um_per_px: float) -> SlideMap:
    """The small picture of a slide, read block by block.

    Parameters
    ----------
    um_per_px : at full resolution
    """
    at = _map_level(reader, um_per_px)
    level = reader.levels[at]
    level_um_per_px = um_per_px * level.downsample
    rows, columns = (
        max(1, math.ceil(side * level_um_per_px / MAP_UM_PER_PX)) for side in (level.height_px, level.width_px)
    )
    rgb = np.empty((rows, columns, 3), np.uint8)
    step = max(1, int(BLOCK_PX * level_um_per_px / MAP_UM_PER_PX))
    to_level = MAP_UM_PER_PX / level_um_per_px
    for top in range(0, rows, step):
        for left in range(0, columns, step):
            block = rgb[top : top + step, left : left + step]
            x, y = round(left * to_level), round(top * to_level)
            width, height = (max(1, round(n * to_level)) for n in (block.shape[1], block.shape[0]))
            seen = reader.region(at, x, y, width, height)
            block[...] = cv2.resize(seen, (block.shape[1], block.shape[0]), interpolation=cv2.INTER_AREA)
    return SlideMap(rgb)


def _map_level(reader: SlideReader, um_per_px: float) -> int:
    fine = [at for at, level in enumerate(reader.levels) if um_per_px * level.downsample <= MAP_FROM_UM_PER_PX]
    return fine[-1] if fine else 0


def glass_white(slide: SlideMap) -> Vector | None:
    """White of the glass beside the tissue; None where the slide shows no glass."""
    rgb = slide.rgb
    brightest, darkest = rgb.max(axis=2), rgb.min(axis=2)
    painted = darkest == PAINTED
    flat = _flat(rgb)
    scanned = flat & ~painted
    if np.count_nonzero(scanned) < LEAST_GLASS_PX:
        return (float(PAINTED),) * 3 if np.count_nonzero(painted & flat) >= LEAST_GLASS_PX else None
    least = np.percentile(rgb[scanned], 99.0, axis=0)
    stained = (darkest < DARK_SHARE * least.min()) | (brightest < DARK_SHARE * least.max())
    is_bright = (rgb >= BRIGHT_SHARE * least).all(axis=2)
    near = _dilated(stained, 2 * NEAR_PX + 1)
    glass = flat & is_bright & near
    if np.count_nonzero(glass) < LEAST_GLASS_PX:
        glass = flat & is_bright
    if np.count_nonzero(painted & glass) > PAINTED_SHARE * np.count_nonzero(glass):
        return (float(PAINTED),) * 3
    red, green, blue = np.median(rgb[glass & ~painted], axis=0).tolist()
    return red, green, blue


def _flat(rgb: RgbImage) -> NDArray[np.bool_]:
    """`(H, W)` whether a place differs little from all around it, in each channel."""
    around = np.ones((3, 3), np.uint8)
    spread = cv2.subtract(cv2.dilate(rgb, around), cv2.erode(rgb, around))
    return np.asarray(spread.max(axis=2) <= FLAT_LEVELS)


def _dilated(mask: NDArray[np.bool_], side_px: int) -> NDArray[np.bool_]:
    grown: Mask = cv2.dilate(mask.view(np.uint8), np.ones((side_px, side_px), np.uint8))
    return grown.view(np.bool_)
