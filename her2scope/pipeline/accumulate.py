"""Field to field into one case: which cells count, when fields show the same tissue twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from her2scope.imaging.registration import Relief, find_place
from her2scope.records import Cell, FieldResult, Frame, Overlap

SAME_CELL_UM = 4.0
"""Cells of two overlapping fields nearer than this are one: under half the diameter of a tumour cell."""
PAIRED_AT_ONCE = 512
"""Cells compared with their neighbours at a time, which bounds the memory."""


def find_overlaps(relief: Relief, um_per_px: float, earlier: Mapping[int, tuple[Relief, float]]) -> tuple[Overlap, ...]:
    """Earlier fields that show some of the same tissue, be they of another size or scale.

    Parameters
    ----------
    um_per_px : scale of the new field's frame
    earlier : reliefs of the earlier fields by number, each with the scale of its frame in um/px
    """
    found = []
    for number, (other, other_um_per_px) in earlier.items():
        place = find_place(other, relief, other_um_per_px, um_per_px)
        if place is not None:
            found.append(Overlap(number, place.dx_px, place.dy_px))
    return tuple(found)


def overlaps_with(frame: Frame, relief: Relief, earlier: Mapping[int, tuple[Relief, Frame]]) -> tuple[Overlap, ...]:
    """The same for frames; a picture too small to be registered may still be the very same one."""
    found = find_overlaps(
        relief, frame.um_per_px, {number: (other, seen.um_per_px) for number, (other, seen) in earlier.items()}
    )
    numbers = {overlap.field for overlap in found}
    same = [number for number, (_, seen) in earlier.items() if np.array_equal(seen.rgb, frame.rgb)]
    return found + tuple(Overlap(number, 0.0, 0.0) for number in same if number not in numbers)


def counted_in_turn(results: Sequence[FieldResult]) -> list[tuple[bool, ...]]:
    """Which cells of each field count when they are taken in this order: each cell once."""
    seen: dict[int, tuple[Relief, Frame]] = {}
    counted = []
    for number, result in enumerate(results):
        relief = Relief.of(result.frame)
        overlaps = overlaps_with(result.frame, relief, seen)
        counted.append(counted_cells(result, overlaps, dict(enumerate(results[:number]))))
        seen[number] = relief, result.frame
    return counted


def counted_cells(
    result: FieldResult, overlaps: Sequence[Overlap], earlier: Mapping[int, FieldResult]
) -> tuple[bool, ...]:
    """Which cells of a field the case counts: inside the image, and not seen whole in an earlier active field.

    A cell that lies whole in an earlier active field is in the case already, whether it was counted there or in a field
    still earlier: in a chain of overlapping fields, the last may share cells with the first that the one between shows
    too. So which of the earlier field's cells were counted there does not matter here.

    Parameters
    ----------
    earlier : earlier active fields by number
    """
    counted = [not cell.edge for cell in result.cells]
    for overlap in overlaps:
        if overlap.field not in earlier:
            continue
        other = earlier[overlap.field]
        theirs = _centres([cell for cell in other.cells if not cell.edge])
        mine = _centres_in(other, result, overlap)
        for place in _pairs(mine, theirs, SAME_CELL_UM / other.frame.um_per_px):
            counted[place] = False
    return tuple(counted)


def _centres(cells: Sequence[Cell]) -> NDArray[np.float64]:
    return np.array([(cell.x_px, cell.y_px) for cell in cells], dtype=np.float64).reshape(-1, 2)


def _centres_in(other: FieldResult, result: FieldResult, overlap: Overlap) -> NDArray[np.float64]:
    """Centres of a field's cells in another field's pixels."""
    # whole numbers are the middles of pixels, an overlap is between corners: hence the halves
    scale = result.frame.um_per_px / other.frame.um_per_px
    return (_centres(result.cells) + 0.5) * scale - 0.5 + (overlap.dx_px, overlap.dy_px)


def _pairs(mine: NDArray[np.float64], theirs: NDArray[np.float64], limit_px: float) -> list[int]:
    """Places of `mine` that are one to one the nearest of one of `theirs`, within the limit; nearest pairs first."""
    rows, columns, distances = _neighbours(mine, theirs, limit_px)
    used_rows: set[int] = set()
    used_columns: set[int] = set()
    for place in np.argsort(distances, kind="stable"):
        row, column = int(rows[place]), int(columns[place])
        if row not in used_rows and column not in used_columns:
            used_rows.add(row)
            used_columns.add(column)
    return sorted(used_rows)


def _neighbours(
    mine: NDArray[np.float64], theirs: NDArray[np.float64], limit_px: float
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """All pairs within the limit: places in `mine`, places in `theirs`, distances in pixels.

    Both are taken from left to right, so that a few of mine meet only those of theirs in the same upright strip.
    """
    my_order, their_order = np.argsort(mine[:, 0], kind="stable"), np.argsort(theirs[:, 0], kind="stable")
    their_x = theirs[their_order, 0]
    found: list[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]] = []
    for start in range(0, len(mine), PAIRED_AT_ONCE):
        some = my_order[start : start + PAIRED_AT_ONCE]
        left, right = mine[some[0], 0] - limit_px, mine[some[-1], 0] + limit_px
        strip = their_order[np.searchsorted(their_x, left, "left") : np.searchsorted(their_x, right, "right")]
        apart = mine[some][:, None, :] - theirs[strip][None, :, :]
        distance = np.hypot(apart[..., 0], apart[..., 1])
        row, column = np.nonzero(distance <= limit_px)
        found.append((some[row], strip[column], distance[row, column]))
    if not found:
        return np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros(0)
    rows, columns, distances = zip(*found, strict=True)
    return np.concatenate(rows), np.concatenate(columns), np.concatenate(distances)
