"""Field to field into one case: which cells count, when fields show the same tissue twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from her2scope.imaging.registration import MIN_OVERLAP_PX, Relief, find_near, find_place
from her2scope.pipeline.slide_map import LEAST_JOIN_SHARE
from her2scope.records import Cell, FieldResult, Frame, IslandJoin, MapPlace, Overlap

SAME_CELL_UM = 4.0
"""Cells of two overlapping fields nearer than this are one: under half the diameter of a tumour cell."""
MAP_TOLERANCE_UM = 20.0
"""How far the map may be wrong about how two fields lie to each other: over a long way by hand, or by a stage over
glass. On drawn slides it is wrong by 1 um."""
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


def overlaps_with(
    frame: Frame,
    relief: Relief,
    earlier: Mapping[int, tuple[Relief, Frame]],
    place: MapPlace | None = None,
    places: Mapping[int, MapPlace] | None = None,
) -> tuple[Overlap, ...]:
    """The same for frames, of which the map may know the places.

    Two fields on one island are compared only where the map has them touch, and only there. On different islands, or
    without a place, every shift is tried. A picture too small to be registered may still be the very same one.
    """
    there = places or {}
    mapped = {number for number, at in there.items() if number in earlier and place and at.island == place.island}
    found = {
        number: _mapped_overlap(number, frame, relief, *earlier[number], place, there[number])
        for number in mapped
        if place is not None
    }
    unmapped = {number: (other, seen.um_per_px) for number, (other, seen) in earlier.items() if number not in mapped}
    found |= {overlap.field: overlap for overlap in find_overlaps(relief, frame.um_per_px, unmapped)}
    for number in unmapped:
        if number not in found and np.array_equal(earlier[number][1].rgb, frame.rgb):
            found[number] = Overlap(number, 0.0, 0.0)
    return tuple(overlap for number in earlier if (overlap := found.get(number)) is not None)


def _mapped_overlap(
    number: int, frame: Frame, relief: Relief, other: Relief, seen: Frame, place: MapPlace, at: MapPlace
) -> Overlap | None:
    """Overlap with a field of the same island: near where the map has it, and there itself where it is too small."""
    expected_um = place.x_um - at.x_um, place.y_um - at.y_um
    width_um, height_um = _common_um(expected_um, frame, seen)
    if min(width_um, height_um) <= -MAP_TOLERANCE_UM:
        return None
    shift = find_near(other, relief, seen.um_per_px, frame.um_per_px, expected_um, MAP_TOLERANCE_UM)
    if shift is not None:
        return Overlap(number, shift.dx_px, shift.dy_px)
    if min(width_um, height_um) <= 0.0:
        return None
    relief_um = max(relief.factor * frame.um_per_px, other.factor * seen.um_per_px)
    if width_um * height_um < MIN_OVERLAP_PX * relief_um**2:
        return Overlap(number, expected_um[0] / seen.um_per_px, expected_um[1] / seen.um_per_px)
    # the map has them share much, and they do not: it may be wrong by more than was thought
    place_found = find_place(other, relief, seen.um_per_px, frame.um_per_px)
    return Overlap(number, place_found.dx_px, place_found.dy_px) if place_found is not None else None


def _common_um(expected_um: tuple[float, float], frame: Frame, seen: Frame) -> tuple[float, float]:
    """Width and height of what two frames share; negative: the gap between them."""
    sides = zip(expected_um, frame.size_hw[::-1], seen.size_hw[::-1], strict=True)
    width_um, height_um = (
        min(at + side * frame.um_per_px, seen_side * seen.um_per_px) - max(at, 0.0) for at, side, seen_side in sides
    )
    return width_um, height_um


def place_from_overlaps(overlaps: Sequence[Overlap], placed: Mapping[int, tuple[MapPlace, float]]) -> MapPlace | None:
    """Place of a field that came without one, by the first earlier field that shows the same tissue and has one.

    Parameters
    ----------
    placed : by number of the earlier field, its place and the scale of its frame in um/px
    """
    for overlap in overlaps:
        if overlap.field in placed:
            at, um_per_px = placed[overlap.field]
            return MapPlace(at.island, at.x_um + overlap.dx_px * um_per_px, at.y_um + overlap.dy_px * um_per_px)
    return None


def join_of(frame: Frame, place: MapPlace, other: Frame, other_place: MapPlace, overlap: Overlap) -> IslandJoin | None:
    """What makes the islands of two overlapping fields one; None where they are one, or show too little in common.

    The older island stays, but one of the map before that of a field nobody placed (negative).
    """
    if place.island == other_place.island or _share_in_common(frame, other, overlap) < LEAST_JOIN_SHARE:
        return None
    dx_um = other_place.x_um + overlap.dx_px * other.um_per_px - place.x_um
    dy_um = other_place.y_um + overlap.dy_px * other.um_per_px - place.y_um
    if 0 <= other_place.island < place.island or place.island < 0:
        return IslandJoin(place.island, other_place.island, dx_um, dy_um)
    return IslandJoin(other_place.island, place.island, -dx_um, -dy_um)


def _share_in_common(frame: Frame, other: Frame, overlap: Overlap) -> float:
    """Part of the smaller of two overlapping pictures that the other shows too."""
    sides, areas_um2 = [], []
    for at_px, side, other_side in zip((overlap.dy_px, overlap.dx_px), frame.size_hw, other.size_hw, strict=True):
        at_um, mine_um, theirs_um = at_px * other.um_per_px, side * frame.um_per_px, other_side * other.um_per_px
        sides.append(max(0.0, min(at_um + mine_um, theirs_um) - max(at_um, 0.0)))
        areas_um2.append((mine_um, theirs_um))
    smaller_um2 = min(areas_um2[0][which] * areas_um2[1][which] for which in (0, 1))
    return sides[0] * sides[1] / smaller_um2


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
    counted = [cell.is_countable for cell in result.cells]
    for overlap in overlaps:
        if overlap.field not in earlier:
            continue
        other = earlier[overlap.field]
        for here, there in matched_cells(result, overlap, other):
            counted[here] &= not other.cells[there].within  # where the model left it out, it was not counted
    return tuple(counted)


def matched_cells(result: FieldResult, overlap: Overlap, other: FieldResult) -> list[tuple[int, int]]:
    """The same cells of a field and an earlier one, one to one, that both show whole: places in their `cells`."""
    limit_px = SAME_CELL_UM / other.frame.um_per_px
    # cells at an edge take part, lest the neighbour of one be taken for it
    pairs = _pairs(_centres_in(other, result, overlap), _centres(other.cells), limit_px)
    return [(here, there) for here, there in pairs if not (result.cells[here].edge or other.cells[there].edge)]


def kept_cells(before: FieldResult, after: FieldResult) -> list[tuple[int, int]] | None:
    """The same cells of a field before and after it was measured anew: places in their `cells`, None where all stay."""
    old, new = _centres(before.cells), _centres(after.cells)
    if np.array_equal(old, new):
        return None
    return _pairs(old, new, SAME_CELL_UM / after.frame.um_per_px)


def _centres(cells: Sequence[Cell]) -> NDArray[np.float64]:
    return np.array([(cell.x_px, cell.y_px) for cell in cells], dtype=np.float64).reshape(-1, 2)


def _centres_in(other: FieldResult, result: FieldResult, overlap: Overlap) -> NDArray[np.float64]:
    """Centres of a field's cells in another field's pixels."""
    # whole numbers are the middles of pixels, an overlap is between corners: hence the halves
    scale = result.frame.um_per_px / other.frame.um_per_px
    return (_centres(result.cells) + 0.5) * scale - 0.5 + (overlap.dx_px, overlap.dy_px)


def _pairs(mine: NDArray[np.float64], theirs: NDArray[np.float64], limit_px: float) -> list[tuple[int, int]]:
    """Places in `mine` and `theirs` of what is one to one the nearest, within the limit; nearest pairs first."""
    rows, columns, distances = _neighbours(mine, theirs, limit_px)
    there_of: dict[int, int] = {}
    used: set[int] = set()
    for place in np.argsort(distances, kind="stable"):
        row, column = int(rows[place]), int(columns[place])
        if row not in there_of and column not in used:
            there_of[row] = column
            used.add(column)
    return sorted(there_of.items())


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
