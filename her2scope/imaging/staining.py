"""Staining of a whole field in a few figures: what a control is judged by, and the characteristic curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.cells import CellKind
from her2scope.imaging.opencv import cv2
from her2scope.imaging.planes import histogram
from her2scope.imaging.stains import reduced
from her2scope.records import Cell, Plane, RgbImage, StainImage, StainSummary

Floats = NDArray[np.float64]

SATURATION_LEVELS = tuple(round(0.1 * step, 1) for step in range(1, 9))
"""Levels of the characteristic curve (arXiv 2110.12900): 0.1 to 0.8."""
CURVE_REDUCTION = 2
SMOOTHING_UM = 0.4
WALL_MARGIN_UM = 1.5
"""Cytoplasm lies this far inside the outline, which runs along the middle of a wall of up to 2.1 um (PMC5848460)."""
NUCLEUS_MARGIN_UM = 0.3
PLACES_OF_CYTOPLASM = np.linspace(0.0, 1.0, 5)
"""Between the nucleus' rim and the wall; the palest of them is taken, since what is drawn there is never exact."""
MAX_SUMMARISED_CELLS = 120
"""Medians over more cells than this do not change, only cost time."""
MIN_STROMA_CELLS = 10
STROMA_MARGIN_UM = 1.0
"""Beyond a nucleus' rim, where its blur ends and the next nucleus is not reached yet."""


def characteristic_curve(rgb: RgbImage, stains: StainImage, stained_od10: float) -> tuple[float, ...]:
    """Share (0..1) of stained pixels above each saturation of `SATURATION_LEVELS` (saturation of HSV, 0..1)."""
    small = reduced(rgb, CURVE_REDUCTION)
    dab = cv2.resize(stains.dab_od10, (small.shape[1], small.shape[0]), interpolation=cv2.INTER_AREA)
    stained = (dab >= stained_od10).view(np.uint8)
    n_from = np.cumsum(histogram(cv2.cvtColor(small, cv2.COLOR_RGB2HSV), 1, stained)[::-1])[::-1]
    if n_from[0] == 0:
        return (0.0,) * len(SATURATION_LEVELS)
    above = n_from / n_from[0]
    return tuple(float(above[min(255, int(np.floor(255 * level)) + 1)]) for level in SATURATION_LEVELS)


def summarise_staining(stains: StainImage, cells: Sequence[Cell]) -> StainSummary:
    """Medians over cells: membrane, the cytoplasm between, nuclei, and haematoxylin of nuclei over the cytoplasm."""
    if not cells:
        return StainSummary(0.0, 0.0, 0.0, 0.0)
    judged = _Outlines.of(_judged(cells))
    places_px = _cytoplasm_px(judged, stains.um_per_px)
    dab, blue = _at_cells((stains.dab_od10, stains.haematoxylin_od10), judged, places_px, stains.um_per_px)
    others = [cell for cell in cells if cell.kind is CellKind.OTHER]
    stroma, others_nuclear = _of_others(stains.dab_od10, others, stains.um_per_px)
    return StainSummary(
        membrane_od10=_membrane_od10(cells),
        background_od10=_median(dab.around),
        nuclear_od10=max(_median(dab.centre.astype(np.float64) - dab.around), others_nuclear),
        counterstain_od10=max(0.0, _median(blue.centre - blue.around)),
        stroma_od10=stroma,
    )


def with_membranes(summary: StainSummary, cells: Sequence[Cell]) -> StainSummary:
    """The summary of the same field with its cells measured by other cuts: only what their membranes say is new."""
    return replace(summary, membrane_od10=_membrane_od10(cells))


def _membrane_od10(cells: Sequence[Cell]) -> float:
    stained = [cell.measure.intensity_od10 for cell in _judged(cells) if cell.measure.intensity_od10 > 0]
    return float(np.median(stained)) if stained else 0.0


def _judged(cells: Sequence[Cell]) -> Sequence[Cell]:
    """Some of the tumour cells, or of all cells where none is."""
    return _some([cell for cell in cells if cell.kind is CellKind.TUMOUR] or list(cells))


def _some(cells: Sequence[Cell]) -> Sequence[Cell]:
    """Every second, third ... cell of many."""
    return cells[:: -(-len(cells) // MAX_SUMMARISED_CELLS)]


def _of_others(dab: Plane, others: Sequence[Cell], um_per_px: float) -> tuple[float, float]:
    """Median DAB beside nuclei that are no tumour cell's, and in them over that.

    Crowded tumour nuclei leave no cytoplasm between them and their walls, these stand alone. With too few of them to
    say: 0, and less than any nucleus has.
    """
    if len(others) < MIN_STROMA_CELLS:
        return 0.0, -np.inf
    chosen = _Outlines.of(_some(others))
    radius_px = (chosen.nucleus_radius_um + STROMA_MARGIN_UM) / um_per_px
    centre_px, away, length_px = chosen.rays()
    ring_px = centre_px + chosen.at_places(radius_px)[:, None] * away / length_px[:, None]
    (found,) = _at_cells((dab,), chosen, ring_px[None], um_per_px)
    return _median(found.around), _median(found.centre.astype(np.float64) - found.around)


def _median(values: NDArray[np.floating]) -> float:
    return float(np.median(values.astype(np.float64)))


@dataclass(frozen=True, slots=True)
class _Outlines:
    """Outlines of N cells, M places in all, one cell's after the other's; not every cell has as many."""

    centre_px: Floats
    """`(N, 2)`"""
    nucleus_radius_um: Floats
    n_places: NDArray[np.intp]
    xy_px: Floats
    """`(M, 2)`"""

    @classmethod
    def of(cls, cells: Sequence[Cell]) -> _Outlines:
        """The cells' outlines; at least one cell."""
        return cls(
            np.array([(cell.x_px, cell.y_px) for cell in cells]),
            np.array([cell.nucleus_radius_um for cell in cells]),
            np.array([len(cell.outline_xy_px) for cell in cells]),
            np.concatenate([cell.outline_xy_px for cell in cells]).astype(np.float64),
        )

    @property
    def first(self) -> NDArray[np.intp]:
        """`(N,)` number of each cell's first place."""
        return np.cumsum(self.n_places) - self.n_places

    def at_places(self, of_cells: Floats) -> Floats:
        """Something `(N, ...)` of cells at each of their places."""
        return np.repeat(of_cells, self.n_places, axis=0)

    def rays(self) -> tuple[Floats, Floats, Floats]:
        """Of each place its cell's centre, the way from there `(M, 2)` and how long it is `(M,)`."""
        centre_px = self.at_places(self.centre_px)
        away = self.xy_px - centre_px
        return centre_px, away, np.maximum(np.linalg.norm(away, axis=1), 1e-6)

    def medians(self, values: Plane) -> Plane:
        """Median `(N,)` of each cell's values `(M,)`."""
        table = np.full((len(self.n_places), self.n_places.max()), np.inf, values.dtype)
        table[np.arange(table.shape[1]) < self.n_places[:, None]] = values
        table.sort(axis=1)
        middle = np.stack([(self.n_places - 1) // 2, self.n_places // 2], axis=1)
        low, high = np.take_along_axis(table, middle, axis=1).T
        return np.asarray((low + high) / 2)


@dataclass(frozen=True, slots=True)
class _AtCells:
    """od10 of one stain at N cells."""

    centre: Plane
    around: Plane
    """Median over the places around it of the palest layer."""


def _at_cells(
    planes: Sequence[Plane], outlines: _Outlines, layers_px: Floats, um_per_px: float
) -> tuple[_AtCells, ...]:
    """Each smoothed plane in the middle of cells, and at places `(L, M, 2)` around it in L layers."""
    sigma_px = max(0.3, SMOOTHING_UM / um_per_px)
    places_px = np.concatenate([outlines.at_places(outlines.centre_px)[None], layers_px])
    found = _smoothed_at(planes, places_px, outlines.n_places, sigma_px)
    return tuple(_AtCells(values[0, outlines.first], outlines.medians(values[1:].min(axis=0))) for values in found)


def _cytoplasm_px(outlines: _Outlines, um_per_px: float) -> Floats:
    """Places `(5, M, 2)` between each cell's nucleus and its wall, along lines to the M places of the outlines."""
    centre_px, away, length_px = outlines.rays()
    last_px = np.maximum(length_px - WALL_MARGIN_UM / um_per_px, 0.5 * length_px)
    nucleus_px = outlines.at_places((outlines.nucleus_radius_um + NUCLEUS_MARGIN_UM) / um_per_px)
    first_px = np.minimum(nucleus_px, last_px)
    distance_px = first_px + PLACES_OF_CYTOPLASM[:, None] * (last_px - first_px)
    return np.asarray(centre_px + distance_px[:, :, None] * (away / length_px[:, None]))


def _smoothed_at(
    planes: Sequence[Plane], xy_px: Floats, n_places: NDArray[np.intp], sigma_px: float
) -> tuple[Plane, ...]:
    """Values `(L, M)` of smoothed planes at the pixels nearest to places `(L, M, 2)`, the last ones outside of them.

    The places belong to groups, `n_places` of `M` each; only what lies around a group is smoothed, and gets the values
    that smoothing the whole plane gives it.
    """
    height, width = planes[0].shape
    columns, rows = (
        np.clip(np.rint(xy_px[..., axis]).astype(np.intp), 0, n - 1) for axis, n in ((0, width), (1, height))
    )
    end = np.cumsum(n_places)
    first, reach = end - n_places, ceil(4 * sigma_px)  # where OpenCV's kernel ends, or beyond
    top, left = (np.maximum(0, np.minimum.reduceat(at.min(axis=0), first) - reach) for at in (rows, columns))
    bottom, right = (
        np.minimum(n, np.maximum.reduceat(at.max(axis=0), first) + reach + 1)
        for at, n in ((rows, height), (columns, width))
    )
    if len(n_places) > 1 and ((bottom - top) * (right - left)).sum() > height * width:
        return _smoothed_at(planes, xy_px, np.array([n_places.sum()]), sigma_px)  # many overlap: all as one
    own_top, own_left, own_width = (np.repeat(each, n_places) for each in (top, left, right - left))
    at = (rows - own_top) * own_width + columns - own_left
    found = tuple(np.empty(at.shape, np.float32) for _ in planes)
    for begin, stop, y, y_end, x, x_end in np.stack([first, end, top, bottom, left, right], axis=1).tolist():
        for plane, values in zip(planes, found, strict=True):
            patch = cv2.GaussianBlur(plane[y:y_end, x:x_end], (0, 0), sigma_px)
            values[:, begin:stop] = patch.take(at[:, begin:stop])
    return found
