"""Masks turned into polygons that run along the sides of their pixels: painted again they give the same mask.

Pixels that share a side belong together, those that touch at a corner alone do not. Every polygon is valid: its rings
cross neither themselves nor each other, and touch at most at single corners.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from her2scope.annotations.geometry import polygons_of, shape_of
from her2scope.annotations.shapes import Annotation, Annotations, Corners, Polygon
from her2scope.imaging.opencv import cv2

_RIGHT, _LEFT, _DOWN, _UP = range(4)
_TURN_RIGHT = np.array([_DOWN, _UP, _LEFT, _RIGHT])
"""By the way that one goes, y down."""


def trace(
    mask: NDArray[np.bool_],
    left_px: int = 0,
    top_px: int = 0,
    scale: float = 1.0,
    tolerance_px: float = 0.0,
) -> tuple[Polygon, ...]:
    """Outlines of the pieces of a mask.

    Parameters
    ----------
    mask : (H, W) bool
    left_px, top_px : int
        Place of the mask's first pixel, in pixels of the mask's own scale.
    scale : float
        Pixels of the full resolution to one of the mask, along each side.
    tolerance_px : float
        Corners are left out as long as the outline moves by no more than this, in pixels of the full resolution; 0
        keeps every corner. Outlines of touching areas then may overlap or part by as much.

    Returns
    -------
    tuple of Polygon
        In pixels of the full resolution; the same mask always gives them in the same order.
    """
    holes: dict[int, list[Corners]] = {}
    outers: dict[int, Corners] = {}
    for piece, ring, is_outer in _rings(mask, (left_px, top_px), scale):
        if is_outer:
            outers[piece] = ring
        else:
            holes.setdefault(piece, []).append(ring)
    found = [Polygon(outers[piece], tuple(holes.get(piece, ()))) for piece in sorted(outers)]
    if tolerance_px <= 0:
        return tuple(found)
    simple = shapely.simplify([shape_of(polygon) for polygon in found], tolerance_px, preserve_topology=True)
    return tuple(polygon for one in simple for polygon in polygons_of(one))


def trace_labels(
    labels: NDArray[np.integer],
    classes: Sequence[str],
    left_px: int = 0,
    top_px: int = 0,
    scale: float = 1.0,
    tolerance_px: float = 0.0,
) -> Annotations:
    """Outlines of a label mask, as `raster.paint` paints one: each piece of a class is an annotation."""
    return Annotations(
        tuple(
            Annotation("", name, (polygon,))
            for k, name in enumerate(classes)
            for polygon in trace(labels == k + 1, left_px, top_px, scale, tolerance_px)
        )
    )


def trace_windows(
    windows: Iterable[tuple[int, int, NDArray[np.integer]]],
    classes: Sequence[str],
    scale: float = 1.0,
    tolerance_px: float = 0.0,
) -> Annotations:
    """Outlines of a label mask that comes in windows: what a seam cuts is joined again.

    Parameters
    ----------
    windows : iterable of (int, int, (h, w) int)
        Place of the window's first pixel (left, top) in pixels of the mask, and its labels. No two overlap.
    classes, scale, tolerance_px
        As for `trace_labels`; the outlines are simplified after they were joined.
    """
    whole: list[Annotation] = []
    cut: dict[str, list[shapely.Polygon]] = {}
    for left_px, top_px, labels in windows:
        height, width = labels.shape
        sides = (np.array([left_px, top_px, left_px + width, top_px + height]) * scale - 0.5).tolist()
        for item in trace_labels(labels, classes, left_px, top_px, scale).items:
            ring = item.polygons[0].outer
            ends = [*ring.min(axis=0), *ring.max(axis=0)]
            if any(abs(a - b) < 1e-6 * scale for a, b in zip(ends, sides, strict=True)):
                cut.setdefault(item.class_name, []).append(shape_of(item.polygons[0]))
            else:
                whole += _simplified(item, tolerance_px)
    for name, parts in cut.items():
        for polygon in polygons_of(shapely.union_all(parts)):
            whole += _simplified(Annotation("", name, (polygon,)), tolerance_px)
    return Annotations(tuple(whole))


def _simplified(item: Annotation, tolerance_px: float) -> list[Annotation]:
    if tolerance_px <= 0:
        return [item]
    simple = shapely.simplify(shape_of(item.polygons[0]), tolerance_px, preserve_topology=True)
    return [Annotation(item.name, item.class_name, (polygon,)) for polygon in polygons_of(simple)]


# ---- along the sides of pixels ------------------------------------------------------------------------------------


def _rings(mask: NDArray[np.bool_], from_px: tuple[int, int], scale: float) -> list[tuple[int, Corners, bool]]:
    """Closed ways along the sides of pixels: number of the piece, corners, whether it goes around the piece.

    Straight runs along rows and along columns take turns: the end of each is where one of the other kind begins.
    """
    if not mask.any():
        return []
    _, pieces = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    padded = np.pad(pieces, 1)
    row_runs = _Runs(*_runs(padded), ways=(_RIGHT, _LEFT), mirrored=False)
    column_runs = _Runs(*_runs(padded.T), ways=(_UP, _DOWN), mirrored=True)
    follow = _follow(row_runs, column_runs, padded)
    after = _follow(column_runs, row_runs, padded)[follow]
    way, begins = _closed_ways(after)
    corners = np.stack([row_runs.end, column_runs.end[follow]], axis=1)[way].reshape(-1, 2)
    starts = 2 * np.array(begins)
    # The inside lies to the right of the way: around a piece the area is positive (y down), around a hole negative.
    onward = np.arange(1, len(corners) + 1)
    onward[np.append(starts[1:], len(corners)) - 1] = starts
    x, y = corners[:, 0], corners[:, 1]
    outer = np.add.reduceat(x * y[onward] - x[onward] * y, starts) > 0
    pieces = row_runs.piece[np.array(way)[starts // 2]]
    rings = np.split((corners + from_px) * scale - 0.5, starts[1:])
    return list(zip(pieces.tolist(), rings, outer.tolist(), strict=True))


def _runs(
    padded: NDArray[np.int32],
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_], NDArray[np.int32]]:
    """Straight runs between pixels of neighbouring rows: line, first and last corner, inside below, piece."""
    inside = padded > 0
    side = inside[1:].astype(np.int8) - inside[:-1]
    change = np.flatnonzero(np.diff(side, axis=1, prepend=0).ravel())
    columns = side.shape[1]
    line, first = np.divmod(change, columns)
    value = side.ravel()[change]
    # A run ends where the next change of its line is; the last column lies outside the picture and is 0.
    last = np.roll(first, -1)
    run = value != 0
    line, first, last, below = line[run], first[run], last[run], value[run] > 0
    piece = padded[np.where(below, line + 1, line), first]
    return line, first - 1, last - 1, below, piece  # the padding is no column of the mask


class _Runs:
    """Straight runs with the way that they are gone, so that the inside lies to the right."""

    def __init__(
        self,
        line: NDArray[np.intp],
        first: NDArray[np.intp],
        last: NDArray[np.intp],
        ahead: NDArray[np.bool_],
        piece: NDArray[np.int32],
        *,
        ways: tuple[int, int],
        mirrored: bool,
    ) -> None:
        # Inside below a row: to the right. Inside right of a column: up, so from the last corner to the first.
        onward = ~ahead if mirrored else ahead
        begin = np.where(onward, first, last)
        end = np.where(onward, last, first)
        self.piece = piece
        self.way = np.where(ahead, *ways)
        self.begin = np.stack([line, begin] if mirrored else [begin, line], axis=1)
        self.end = np.stack([line, end] if mirrored else [end, line], axis=1)


def _follow(runs: _Runs, others: _Runs, padded: NDArray[np.int32]) -> NDArray[np.intp]:
    """For each run the one of the other kind that goes on where it ends.

    Where four sides meet, two pixels of the mask touch at a corner. If they belong to one piece, the way turns left,
    so that the outline does not meet itself; if not, it turns right, around its own piece.
    """
    columns = padded.shape[1]

    def key(places: NDArray[np.intp], way: NDArray[np.intp]) -> NDArray[np.intp]:
        return (places[:, 1] * columns + places[:, 0]) * 4 + way

    begins = key(others.begin, others.way)
    order = np.argsort(begins, kind="stable")
    begins = begins[order]
    x, y = runs.end[:, 0], runs.end[:, 1]
    around = padded[y, x], padded[y, x + 1], padded[y + 1, x], padded[y + 1, x + 1]
    own_corner = np.where(around[0] > 0, around[0] == around[3], around[1] == around[2])
    right = _TURN_RIGHT[runs.way]
    left = _TURN_RIGHT[_TURN_RIGHT[right]]
    wanted = np.where(own_corner, left, right)
    found = _found(begins, key(runs.end, wanted))
    other = _found(begins, key(runs.end, np.where(own_corner, right, left)))
    return order[np.where(found >= 0, found, other)]


def _found(sorted_keys: NDArray[np.intp], keys: NDArray[np.intp]) -> NDArray[np.intp]:
    """Place of each key, -1 where it is not there."""
    if not len(sorted_keys):
        return np.full(len(keys), -1)
    place = np.minimum(np.searchsorted(sorted_keys, keys), len(sorted_keys) - 1)
    return np.where(sorted_keys[place] == keys, place, -1)


def _closed_ways(steps: NDArray[np.intp]) -> tuple[list[int], list[int]]:
    """Runs in the order in which they are gone, one closed way after the other, and where each begins in it."""
    follow = steps.tolist()
    done = bytearray(len(follow))
    way: list[int] = []
    starts = []
    for first in range(len(follow)):
        if done[first]:
            continue
        starts.append(len(way))
        at = first
        while not done[at]:
            done[at] = 1
            way.append(at)
            at = follow[at]
    return way, starts
