"""Which cells a reader means: the one under a place, those within an outline, the next one on the way. No Qt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.regions import inside
from her2scope.records import Cell

REACH_UM = 30.0
"""No cell's outline is farther from its centre: a tumour cell is 12 to 25 um wide."""
ROW_UM = 16.0
"""Height of the rows in which cells are walked through, about one cell each."""
ASIDE = 2.5
"""How much more a step aside costs than one ahead, when the next cell in a direction is looked for."""


def outline_of(cell: Cell, um_per_px: float) -> NDArray[np.float32]:
    """`(N, 2)` the cell's outline in pixels; a circle of its nucleus' radius where it has none."""
    if len(cell.outline_xy_px) >= 3:
        return cell.outline_xy_px.astype(np.float32)
    turns = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    radius_px = cell.nucleus_radius_um / um_per_px
    circle = np.stack([cell.x_px + radius_px * np.cos(turns), cell.y_px + radius_px * np.sin(turns)], axis=1)
    return circle.astype(np.float32)


def centres_of(cells: Sequence[Cell]) -> NDArray[np.float64]:
    """`(N, 2)` middles of the cells' nuclei, in pixels."""
    return np.array([(cell.x_px, cell.y_px) for cell in cells], np.float64).reshape(-1, 2)


def cell_at(cells: Sequence[Cell], x_px: float, y_px: float, um_per_px: float) -> int | None:
    """Place in the list of the cell whose outline holds a place of the picture, the nearest centre's; None: no cell."""
    here = np.array([[x_px, y_px]])
    distances_px = np.hypot(*(centres_of(cells) - here).T)
    for number in np.argsort(distances_px, kind="stable"):
        if distances_px[number] * um_per_px > REACH_UM:
            return None
        if inside(_polygon(outline_of(cells[number], um_per_px)), here)[0]:
            return int(number)
    return None


def cells_within(cells: Sequence[Cell], polygon_px: Sequence[tuple[float, float]]) -> tuple[int, ...]:
    """Places in the list of the cells whose nucleus' middle an outline (x, y in pixels) encloses."""
    if not cells:
        return ()
    return tuple(int(number) for number in np.flatnonzero(inside(tuple(polygon_px), centres_of(cells))))


def reading_order(cells: Sequence[Cell], um_per_px: float) -> list[int]:
    """Places in the list in the order of reading: row by row, each from the left; every cell once."""
    rows = [int(cell.y_px * um_per_px // ROW_UM) for cell in cells]
    return sorted(range(len(cells)), key=lambda number: (rows[number], cells[number].x_px))


def neighbour(cells: Sequence[Cell], start: int, across: int, down: int) -> int | None:
    """Place in the list of the nearest cell in a direction (one of the four), None where there is none."""
    moves = centres_of(cells) - (cells[start].x_px, cells[start].y_px)
    ahead = moves @ np.array([across, down], np.float64)
    aside = np.abs(moves @ np.array([down, across], np.float64))
    cost = np.where(ahead > np.maximum(aside / ASIDE, 1e-6), ahead + ASIDE * aside, np.inf)
    best = int(np.argmin(cost)) if len(cost) else start
    return best if len(cost) and np.isfinite(cost[best]) else None


def _polygon(outline_px: NDArray[np.float32]) -> tuple[tuple[float, float], ...]:
    return tuple((float(x), float(y)) for x, y in outline_px)
