"""A slide in tiles: which are looked at, what is read around each, and pictures cut from a slide by place."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from her2scope.domain.errors import BadInputError
from her2scope.ports import SlideReader
from her2scope.records import RgbImage
from her2scope.segmentation.maps import NETWORK_UM_PER_PX
from her2scope.segmentation.onnx_network import BLOCK_PX, SAME_SCALE
from her2scope.slides.records import SlideScale, Square, Survey, Tile

TILE_PX = 3072
"""Side of a tile's core. What is seen around it costs a fifth more, at 2048 px a third, at 1024 px as much again."""
TILE_SIDES_PX = (256, 8192)
"""Below, most of what is read is margin; above, a tile takes more than the 2 GB that a worker may have."""
SEEN_AROUND_PX = 152
"""Of the network's, on every side of a core. From there on the cells do not change any more: of 2842 cells of a phantom
slide the same 2842 have the same classes in tiles of 512 to 8192 px. At 128 it is 99.7 % of the classes (tiles of 512),
at 56 it is 98.7 %."""
BLOCKS_TOGETHER = (1, 2, 4, 8, 16)
TOLD_SHARE = 0.005
"""How far the pixel size that the network is told may lie beside the slide's: it learns from scales 12 % off."""
_WHOLE_PX = 1e-6


def plan_tiles(survey: Survey, tile_px: int = TILE_PX) -> tuple[Tile, ...]:
    """Tiles that hold tissue to be looked at, row by row.

    A core lies in one square of a grid of `tile_px` and reaches as far as tissue reaches in it, so that little glass is
    read. A slide that cannot be scored has none.
    """
    least, most = TILE_SIDES_PX
    if not least <= tile_px <= most:
        raise BadInputError(f"a tile is {least} to {most} px wide, not {tile_px}: give another --tile-px.")
    return () if survey.refusals else tuple(_tiles(survey, tile_px))


def _tiles(survey: Survey, tile_px: int) -> Iterator[Tile]:
    scale = survey.scale
    is_tissue = survey.tissue.squares == Square.TISSUE
    square_px = survey.tissue.square_um / scale.um_per_px
    for row in range(math.ceil(scale.height_px / tile_px)):
        rows = _squares_of(row * tile_px, tile_px, square_px)
        if not is_tissue[rows].any():
            continue
        for column in range(math.ceil(scale.width_px / tile_px)):
            columns = _squares_of(column * tile_px, tile_px, square_px)
            held = is_tissue[rows, columns]
            if not held.any():
                continue
            top, bottom = _reach_px(held.any(axis=1), rows.start, square_px, row * tile_px, tile_px, scale.height_px)
            left, right = _reach_px(
                held.any(axis=0), columns.start, square_px, column * tile_px, tile_px, scale.width_px
            )
            if left < right and top < bottom:
                yield Tile(row, column, left, top, right - left, bottom - top)


def _squares_of(start_px: int, length_px: int, square_px: float) -> slice:
    """Rows or columns of the map that a tile's side touches."""
    return slice(int(start_px / square_px), math.ceil((start_px + length_px) / square_px))


def _reach_px(
    is_held: np.ndarray, first: int, square_px: float, start_px: int, length_px: int, end_px: int
) -> tuple[int, int]:
    """Where the held squares begin and end within a tile's side, in whole pixels."""
    held = first + np.flatnonzero(is_held)
    begin = max(start_px, math.floor(held[0] * square_px))
    end = min(start_px + length_px, end_px, math.ceil((held[-1] + 1) * square_px))
    return begin, end


# ---- what is read around a core -----------------------------------------------------------------------------------


def network_factor(um_per_px: float) -> float:
    """Pixels of a picture to one of the network's, along each side, as `onnx_network.at_network_scale` reduces it."""
    factor = NETWORK_UM_PER_PX / um_per_px
    whole = max(1, round(factor))
    return float(whole) if abs(whole / factor - 1) <= SAME_SCALE else factor


def told_um_per_px(um_per_px: float) -> float:
    """Pixel size that the network is told: the slide's own, or one up to `TOLD_SHARE` beside it.

    Where a network's pixel is a broken number of the slide's, hardly any two of its pixels would lie alike on them, and
    a tenth of a pixel changes the class of two cells in a hundred. With this size the pattern repeats every few blocks.
    """
    factor = network_factor(um_per_px)
    if factor.is_integer():
        return um_per_px
    near = (round(n * BLOCK_PX * factor) / (n * BLOCK_PX) for n in BLOCKS_TOGETHER)
    return NETWORK_UM_PER_PX / next(each for each in near if abs(each / factor - 1) <= TOLD_SHARE)


def period_px(um_per_px: float) -> int:
    """Pixels of the slide after which the network's blocks lie on them as before."""
    block_px = BLOCK_PX * network_factor(told_um_per_px(um_per_px))
    return next(round(n * block_px) for n in BLOCKS_TOGETHER if abs(n * block_px - round(n * block_px)) < _WHOLE_PX)


def margin_px(um_per_px: float) -> int:
    """Pixels that are read around a core."""
    return math.ceil(SEEN_AROUND_PX * network_factor(told_um_per_px(um_per_px)))


def seen_from_px(start_px: int, um_per_px: float) -> int:
    """Where reading begins for a core that begins at `start_px`: at least the margin before it, but on the slide.

    All tiles begin where the network's blocks lie alike: it sees the same picture where they overlap, and the same
    cells are found.
    """
    period = period_px(um_per_px)
    return max(0, (start_px - margin_px(um_per_px)) // period * period)


def seen_to_px(end_px: int, um_per_px: float, side_px: int) -> int:
    """Where reading ends for a core that ends at `end_px`."""
    return min(side_px, end_px + margin_px(um_per_px))


# ---- pictures -----------------------------------------------------------------------------------------------------


def read_core(
    reader: SlideReader, scale: SlideScale, left_um: float, top_um: float, width_um: float, height_um: float
) -> RgbImage:
    """A piece of a slide at the level that is read, to the nearest pixel; white beyond the slide.

    UnreadableImageError where the file is damaged there.
    """
    left, top = round(left_um / scale.um_per_px), round(top_um / scale.um_per_px)
    width, height = (max(1, round(side / scale.um_per_px)) for side in (width_um, height_um))
    return reader.region(scale.level, left, top, width, height)
