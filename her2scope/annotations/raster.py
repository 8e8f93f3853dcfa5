"""Polygons painted into masks: a pixel belongs to an area where its centre lies in it.

A centre exactly on an edge belongs to the area on its right or below, so that areas that share an edge share no pixel
and leave none out. Where polygons of two classes overlap, the class that stands later in the list of classes wins,
wherever they stand in the file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from her2scope.annotations.shapes import Annotations
from her2scope.domain.errors import BadInputError

MAX_CLASSES = 254
"""Beside the background in 8 bits; 255 is left for "ignored"."""
_STRIP_PX = 1 << 22
"""Pixels that are counted at once: what painting needs beside the mask itself."""


def paint(
    annotations: Annotations, classes: Sequence[str], size_wh: tuple[int, int], scale: float = 1.0
) -> NDArray[np.uint8]:
    """Label mask of a whole image.

    Parameters
    ----------
    annotations : Annotations
        Those of other classes are left out.
    classes : sequence of str
        Class `classes[k]` is painted as `k + 1`; 0 is what no polygon covers. Where they overlap the later one wins.
    size_wh : (int, int)
        Of the mask.
    scale : float
        Pixels of the full resolution to one of the mask, along each side.

    Returns
    -------
    (H, W) uint8
    """
    return Painter(annotations, classes).window(0, 0, *size_wh, scale)


def paint_window(
    annotations: Annotations,
    classes: Sequence[str],
    left_px: int,
    top_px: int,
    width: int,
    height: int,
    scale: float = 1.0,
) -> NDArray[np.uint8]:
    """A window of the mask that `paint` would give, `(height, width)`; places are px of the mask.

    For many windows of one slide make a `Painter` once.
    """
    return Painter(annotations, classes).window(left_px, top_px, width, height, scale)


class Painter:
    """Annotations made ready to be painted, window by window. Pure once made: several threads may use it at once."""

    def __init__(self, annotations: Annotations, classes: Sequence[str]) -> None:
        if len(classes) > MAX_CLASSES or len(set(classes)) != len(classes):
            raise BadInputError(f"{', '.join(classes)}: give at most {MAX_CLASSES} classes, each once.")
        self.classes = tuple(classes)
        rings, polygon, label = _rings(annotations, {name: k for k, name in enumerate(classes)})
        lengths = np.array([len(ring) for ring in rings], np.intp)
        starts = np.cumsum(lengths) - lengths
        self._from = np.concatenate(rings) if rings else np.zeros((0, 2))
        follow = np.arange(len(self._from)) + 1
        follow[starts + lengths - 1] = starts
        self._to = self._from[follow]
        self._polygon = np.repeat(np.array(polygon, np.intp), lengths)
        self._label = np.array(label, np.intp)
        """By polygon."""
        self._first_px, self._last_px = self._extents()

    @property
    def labels(self) -> frozenset[int]:
        """Labels that something is outlined of."""
        return frozenset((np.unique(self._label) + 1).tolist())

    def digest(self) -> str:
        """SHA-256 of all that is painted."""
        found = hashlib.sha256(repr(self.classes).encode())
        for values in (self._from, self._to, self._polygon, self._label):
            found.update(np.ascontiguousarray(values).tobytes())
        return found.hexdigest()

    def window(self, left_px: int, top_px: int, width: int, height: int, scale: float = 1.0) -> NDArray[np.uint8]:
        """Paint `(height, width)` pixels from a place of the mask; see `paint`."""
        if not scale > 0:
            raise ValueError(f"scale is the pixels of the full resolution to one of the mask, not {scale}")
        mask = np.zeros((height, width), np.uint8)
        rows = max(1, min(height, _STRIP_PX // max(1, width)))
        for top in range(0, height, rows):
            strip = mask[top : top + rows]
            self._strip(strip, left_px, top_px + top, scale)
        return mask

    def _extents(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """`(P, 2)` least and greatest x and y of each polygon."""
        first = np.full((len(self._label), 2), np.inf)
        last = np.full((len(self._label), 2), -np.inf)
        if len(self._from):
            begins = np.flatnonzero(np.diff(self._polygon, prepend=-1))
            first[self._polygon[begins]] = np.minimum.reduceat(self._from, begins)
            last[self._polygon[begins]] = np.maximum.reduceat(self._from, begins)
        return first, last

    def _strip(self, mask: NDArray[np.uint8], left_px: int, top_px: int, scale: float) -> None:
        """Paint into some rows of the mask that begin at that place."""
        height, width = mask.shape
        edges = self._edges_near(left_px, top_px, width, height, scale)
        if not len(edges):
            return
        # Centre x of the mask lies at (x + 0.5) * scale - 0.5 of the full resolution.
        begin, end = ((ends[edges] + 0.5) / scale - 0.5 for ends in (self._from, self._to))
        polygon, row, column = _crossings(begin, end, self._polygon[edges], (top_px, top_px + height))
        row, column = row - top_px, np.clip(column - left_px, 0, width).astype(np.intp)
        order = np.lexsort((column, row, polygon))
        polygon, row, column = polygon[order], row[order], column[order]
        # Every ring is closed, so that each polygon crosses each row an even number of times.
        label, row, begins, ends = self._label[polygon[::2]], row[::2], column[::2], column[1::2]
        for k in range(len(self.classes)):
            own = label == k
            if own.any():
                mask[_covered(row[own], begins[own], ends[own], height, width)] = k + 1

    def _edges_near(self, left_px: int, top_px: int, width: int, height: int, scale: float) -> NDArray[np.intp]:
        """Edges that matter to a window: those of its rows, of polygons that reach it."""
        first, last = ((places + 0.5) / scale - 0.5 for places in (self._first_px, self._last_px))
        near = (last[:, 0] >= left_px) & (first[:, 0] < left_px + width)
        near &= (last[:, 1] >= top_px) & (first[:, 1] < top_px + height)
        if not near.any():
            return np.zeros(0, np.intp)
        edges = np.flatnonzero(near[self._polygon])
        low, high = ((y + 0.5) / scale - 0.5 for y in np.sort([self._from[edges, 1], self._to[edges, 1]], axis=0))
        return edges[(high >= top_px) & (low < top_px + height)]


def _rings(
    annotations: Annotations, label_of: dict[str, int]
) -> tuple[list[NDArray[np.float64]], list[int], list[int]]:
    """Rings of the wanted classes, the polygon that each belongs to, and the label of each polygon."""
    rings: list[NDArray[np.float64]] = []
    polygon_of: list[int] = []
    labels: list[int] = []
    for item in annotations.items:
        label = label_of.get(item.class_name)
        if label is None:
            continue
        for polygon in item.polygons:
            own = [ring for ring in (polygon.outer, *polygon.holes) if len(ring) >= 3]
            rings += own
            polygon_of += [len(labels)] * len(own)
            labels.append(label)
    return rings, polygon_of, labels


def _crossings(
    begin: NDArray[np.float64], end: NDArray[np.float64], polygon: NDArray[np.intp], rows: tuple[int, int]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Polygon, row and first column to the right, where edges cross the middles of rows from the first to the last.

    An edge crosses the rows from its upper end (with it) to its lower end (without it). All is reckoned from the
    mask's corner, so that no window rounds otherwise than another.
    """
    down = begin[:, 1] <= end[:, 1]
    upper = np.where(down[:, None], begin, end)
    lower = np.where(down[:, None], end, begin)
    first = np.clip(np.ceil(upper[:, 1]), *rows).astype(np.intp)
    count = np.clip(np.ceil(lower[:, 1]), *rows).astype(np.intp) - first
    crossed = np.flatnonzero(count > 0)
    upper, lower, first, count = upper[crossed], lower[crossed], first[crossed], count[crossed]
    slope = (lower[:, 0] - upper[:, 0]) / (lower[:, 1] - upper[:, 1])
    edge = np.repeat(np.arange(len(crossed)), count)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count) + first[edge]
    column = np.ceil(upper[edge, 0] + (row - upper[edge, 1]) * slope[edge])
    return polygon[crossed][edge], row, column


def _covered(
    row: NDArray[np.intp], begins: NDArray[np.intp], ends: NDArray[np.intp], height: int, width: int
) -> NDArray[np.bool_]:
    """`(height, width)` pixels in at least one of the spans (`ends` is the first column beyond)."""
    size = height * (width + 1)
    change = np.bincount(row * (width + 1) + begins, minlength=size)
    change -= np.bincount(row * (width + 1) + ends, minlength=size)
    return change.reshape(height, width + 1).cumsum(axis=1)[:, :width] > 0
