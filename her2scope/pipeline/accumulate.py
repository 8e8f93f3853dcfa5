"""Field to field into one case: which cells count, when fields show the same tissue twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from her2scope.imaging.registration import Relief, find_shift
from her2scope.records import Cell, FieldResult, Overlap

SAME_CELL_UM = 4.0
"""Cells of two overlapping fields nearer than this are one: under half the diameter of a tumour cell."""


def find_overlaps(relief: Relief, um_per_px: float, earlier: Mapping[int, tuple[Relief, float]]) -> tuple[Overlap, ...]:
    """Earlier fields of the same scale that show some of the same tissue."""
    found = []
    for number, (other, other_um_per_px) in earlier.items():
        shift = find_shift(other, relief) if other_um_per_px == um_per_px else None
        if shift is not None:
            found.append(Overlap(number, shift.dx_px, shift.dy_px))
    return tuple(found)


def counted_cells(
    result: FieldResult, overlaps: Sequence[Overlap], earlier: Mapping[int, tuple[FieldResult, tuple[bool, ...]]]
) -> tuple[bool, ...]:
    """Which cells of a field the case counts: inside the image, and not counted in an earlier active field.

    Parameters
    ----------
    earlier : earlier active fields with their own counted cells
    """
    counted = [not cell.edge for cell in result.cells]
    for overlap in overlaps:
        if overlap.field not in earlier:
            continue
        other, other_counted = earlier[overlap.field]
        theirs = _centres([cell for cell, is_counted in zip(other.cells, other_counted, strict=True) if is_counted])
        mine = _centres(result.cells) + (overlap.dx_px, overlap.dy_px)
        near = _pairs(mine, theirs, SAME_CELL_UM / result.frame.um_per_px)
        for place in near:
            counted[place] = False
    return tuple(counted)


def _centres(cells: Sequence[Cell]) -> NDArray[np.float64]:
    return np.array([(cell.x_px, cell.y_px) for cell in cells], dtype=np.float64).reshape(-1, 2)


def _pairs(mine: NDArray[np.float64], theirs: NDArray[np.float64], limit_px: float) -> list[int]:
    """Places of `mine` that are one to one the nearest of one of `theirs`, within the limit; nearest pairs first."""
    if not len(mine) or not len(theirs):
        return []
    distance = np.hypot(*(mine[:, None, :] - theirs[None, :, :]).transpose(2, 0, 1))
    rows, columns = np.nonzero(distance <= limit_px)
    used_rows: set[int] = set()
    used_columns: set[int] = set()
    for place in np.argsort(distance[rows, columns]):
        row, column = int(rows[place]), int(columns[place])
        if row not in used_rows and column not in used_columns:
            used_rows.add(row)
            used_columns.add(column)
    return sorted(used_rows)
