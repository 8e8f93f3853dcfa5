"""Places along each cell's own outline, and what a plane shows at steps across it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from her2scope.imaging.cell_outlines import CellOutlines
from her2scope.imaging.opencv import cv2
from her2scope.imaging.outlines import MAX_REMAP_ROWS
from her2scope.imaging.workspace import Workspace
from her2scope.records import Plane

Floats = NDArray[np.float32]

N_PLACES = 64
"""Places along an outline, evenly by length: 0.6 um apart on a cell of 12 um, 1.2 um on one of 24 um. As many for each
cell, so that their share is the share of its outline."""


@dataclass(frozen=True, slots=True, eq=False)
class OutlinePlaces:
    """P places along each of N outlines and which way is out there; x and y apart, as OpenCV takes them."""

    outlines: CellOutlines
    """Of the N cells."""
    x_px: Floats
    y_px: Floats
    """`(N, P)` places, evenly by length, in pixels of the outlines."""
    out_x: Floats
    out_y: Floats
    """`(N, P)` unit normals, outward."""
    spacing_px: Floats
    """`(N,)` between neighbouring places of each cell."""

    @staticmethod
    def along(outlines: CellOutlines) -> OutlinePlaces:
        """`N_PLACES` along each outline."""
        x_px, y_px, spacing_px = _spread(outlines.places_xy_px(), N_PLACES)
        return OutlinePlaces(outlines, x_px, y_px, *_outward(x_px, y_px), spacing_px)

    def __len__(self) -> int:
        return len(self.x_px)

    def parts(self, at_once: int) -> Iterator[tuple[slice, OutlinePlaces]]:
        """All cells, so many at once: their rows, and their places."""
        for start in range(0, len(self), at_once):
            rows = slice(start, start + at_once)
            columns = self.x_px, self.y_px, self.out_x, self.out_y, self.spacing_px
            yield rows, OutlinePlaces(self.outlines.chosen(rows), *(column[rows] for column in columns))

    def scaled(self, factor: float) -> OutlinePlaces:
        """The places in pixels `factor` times smaller, of a plane that begins at the same corner."""
        size, half = np.float32(factor), np.float32(0.5)
        x_px, y_px = ((places_px + half) * size - half for places_px in (self.x_px, self.y_px))
        outlines = self.outlines.scaled(factor)
        return OutlinePlaces(outlines, x_px, y_px, self.out_x, self.out_y, self.spacing_px * size)

    def across(self, steps_px: Floats, workspace: Workspace) -> Across:
        """Places at steps `(S,)` or `(N, S, P)` out of each cell; overwritten by the next call with this workspace."""
        steps = steps_px if steps_px.ndim == 3 else steps_px[:, None]
        shape = len(self), steps.shape[-2], self.x_px.shape[1]
        x, y = (workspace.floats(name, *shape) for name in ("x across", "y across"))
        for at, places_px, out in ((x, self.x_px, self.out_x), (y, self.y_px, self.out_y)):
            np.multiply(steps, out[:, None], out=at)
            at += places_px[:, None]
        return Across(x.reshape(len(self), -1), y.reshape(len(self), -1))


@dataclass(frozen=True, slots=True, eq=False)
class Across:
    """Places at S steps across N outlines: a cell is a row of `S * P`, whose pixels lie side by side."""

    x_px: Floats
    y_px: Floats
    """`(N, S * P)`"""

    def sampled(self, plane: Plane, onto: Floats) -> None:
        """Write a plane's values there onto `(N, S * P)`, bilinear; outside the picture that of its nearest pixel."""
        cv2.remap(plane, self.x_px, self.y_px, cv2.INTER_LINEAR, onto, cv2.BORDER_REPLICATE)


def even_places(outline_px: Floats, n: int) -> tuple[Floats, Floats]:
    """`(N, n, 2)` places spread evenly by length over closed outlines `(N, A, 2)`, and `(N,)` their distance."""
    x_px, y_px, spacing_px = _spread(outline_px, n)
    return np.stack([x_px, y_px], axis=2), spacing_px


def _spread(outline_px: Floats, n: int) -> tuple[Floats, Floats, Floats]:
    """`even_places` with x and y apart."""
    closed = [np.concatenate([at, at[:, :1]], axis=1) for at in (outline_px[..., 0], outline_px[..., 1])]
    length = np.cumsum(np.hypot(*(np.diff(at, axis=1) for at in closed)), axis=1, dtype=np.float64)
    whole = np.maximum(length[:, -1:], 1e-6)
    # One table for all outlines, which np.interp reads in one go: each takes up 1, and then 1 is left free.
    row = 2.0 * np.arange(len(outline_px))[:, None]
    table = (row + np.concatenate([np.zeros_like(whole), length / whole], axis=1)).ravel()
    wanted = (row + np.arange(n) / n).ravel()
    x_px, y_px = (np.interp(wanted, table, at.ravel()) if len(table) else wanted for at in closed)
    x_px, y_px = (at.reshape(-1, n).astype(np.float32) for at in (x_px, y_px))
    return x_px, y_px, (whole[:, 0] / n).astype(np.float32)


def normals(xy_px: Floats) -> Floats:
    """Outward unit normals `(N, P, 2)` of outlines that go round from x towards y, from places two apart each way."""
    return np.stack(_outward(xy_px[..., 0], xy_px[..., 1]), axis=2)


def _outward(x_px: Floats, y_px: Floats) -> tuple[Floats, Floats]:
    """`normals` with x and y apart."""
    along_x, along_y = (np.roll(at, -2, axis=1) - np.roll(at, 2, axis=1) for at in (x_px, y_px))
    length = np.maximum(np.hypot(along_x, along_y), np.float32(1e-6))
    return along_y / length, -(along_x / length)


def sampled(plane: Plane, xy_px: Floats) -> Floats:
    """Values `(N, P)` of a plane at places `(N, P, 2)`, bilinear; outside the picture that of its nearest pixel."""
    x, y = np.ascontiguousarray(xy_px[..., 0]), np.ascontiguousarray(xy_px[..., 1])
    values = np.empty(x.shape, np.float32)
    for start in range(0, len(x), MAX_REMAP_ROWS):
        rows = slice(start, start + MAX_REMAP_ROWS)
        values[rows] = cv2.remap(plane, x[rows], y[rows], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return values
