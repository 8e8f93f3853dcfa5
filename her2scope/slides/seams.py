"""Cells that two tiles found: each is counted once, whatever the order in which the tiles were done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from her2scope.slides.records import NO_CELLS, SlideCells, Square, Survey, TileResult

BEYOND_UM = 2.5
"""How far beyond its core a tile tells of cells: two tiles put the middle of one nucleus up to `SAME_UM` apart."""
SAME_UM = 1.5
"""Nuclei of two tiles nearer than this are one: those of one tile are not found that near to each other."""

Floats = NDArray[np.float64]


def one_cell_each(results: Iterable[TileResult], survey: Survey) -> SlideCells:
    """All cells of a slide that lie in its tissue, each once.

    A cell belongs to the tile in whose core its middle lies. Where two tiles found it on different sides of their seam,
    it is the one that lies deeper in its tile's core. Sorted by place (rows, then columns), so that neither the order
    of the results nor who found a cell can matter.

    Parameters
    ----------
    results : of all tiles of a plan
    survey : says what is tissue; cells elsewhere (pen, folds, blur, what polygons leave out) are left out
    """
    um_per_px = survey.scale.um_per_px
    parts: list[SlideCells] = []
    depths: list[Floats] = []
    owners: list[NDArray[np.intp]] = []
    for result in sorted(results, key=lambda result: result.tile):
        is_tissue = survey.tissue.at(result.cells.x_um, result.cells.y_um) == Square.TISSUE
        cells = result.cells.chosen(is_tissue)
        parts.append(cells)
        depths.append(_depth_um(result, cells, um_per_px))
        owners.append(np.full(len(cells), len(owners)))
    if not parts:
        return NO_CELLS
    cells = SlideCells.joined(parts)
    kept = _kept(cells.x_um, cells.y_um, np.concatenate(depths), np.concatenate(owners))
    kept = kept[np.lexsort((cells.class_code[kept], cells.radius_um[kept], cells.x_um[kept], cells.y_um[kept]))]
    return cells.chosen(kept)


def _depth_um(result: TileResult, cells: SlideCells, um_per_px: float) -> Floats:
    """How far inside its tile's core each cell's middle lies, 0 and above; below 0 outside."""
    tile = result.tile
    left, top = tile.left_px * um_per_px, tile.top_px * um_per_px
    right, bottom = (tile.left_px + tile.width_px) * um_per_px, (tile.top_px + tile.height_px) * um_per_px
    sides = cells.x_um - left, right - cells.x_um, cells.y_um - top, bottom - cells.y_um
    return np.min(sides, axis=0)


def _kept(x_um: Floats, y_um: Floats, depth_um: Floats, owner: NDArray[np.intp]) -> NDArray[np.intp]:
    """Rows of the cells that are counted."""
    kept = depth_um >= 0
    near_seam = np.flatnonzero(depth_um < BEYOND_UM)
    first, second = _pairs(x_um[near_seam], y_um[near_seam])
    first, second = near_seam[first], near_seam[second]
    apart = owner[first] != owner[second]
    partners = _partners(first[apart], second[apart])
    # the deepest first: it stays, and those of other tiles at its place yield
    order = sorted(partners, key=lambda row: (-depth_um[row], y_um[row], x_um[row]))
    stays: set[int] = set()
    for row in order:
        yields = not stays.isdisjoint(partners[row])
        kept[row] = not yields
        if not yields:
            stays.add(row)
    return np.flatnonzero(kept)


def _partners(first: NDArray[np.intp], second: NDArray[np.intp]) -> dict[int, set[int]]:
    """Of each cell that another tile found, too, the rows at which it did."""
    partners: dict[int, set[int]] = {}
    for one, other in zip(first.tolist(), second.tolist(), strict=True):
        partners.setdefault(one, set()).add(other)
        partners.setdefault(other, set()).add(one)
    return partners


def _pairs(x_um: Floats, y_um: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Places of all pairs at most `SAME_UM` apart, each once."""
    order = np.lexsort((y_um, x_um))
    found = list(_pairs_in_order(x_um[order], y_um[order]))
    if not found:
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    first, second = (np.concatenate(rows) for rows in zip(*found, strict=True))
    return order[first], order[second]


def _pairs_in_order(x_um: Floats, y_um: Floats) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Pairs of places that are in order of x: each with the next, the one after that, and so on while any is near."""
    for step in range(1, len(x_um)):
        away_x = x_um[step:] - x_um[:-step]
        near = np.flatnonzero(away_x <= SAME_UM)
        if not len(near):
            return
        away_y = y_um[near + step] - y_um[near]
        close = near[np.hypot(away_x[near], away_y) <= SAME_UM]
        yield close, close + step
