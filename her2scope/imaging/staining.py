"""Staining of a whole field in a few figures: what a control is judged by, and the characteristic curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.cells import CellKind
from her2scope.imaging.opencv import cv2
from her2scope.imaging.stains import reduced
from her2scope.records import Cell, Plane, RgbImage, StainImage, StainSummary

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
    saturation = cv2.cvtColor(small, cv2.COLOR_RGB2HSV)[:, :, 1][dab >= stained_od10]
    if saturation.size == 0:
        return (0.0,) * len(SATURATION_LEVELS)
    above = np.cumsum(np.bincount(saturation, minlength=256)[::-1])[::-1] / saturation.size
    return tuple(float(above[min(255, int(np.floor(255 * level)) + 1)]) for level in SATURATION_LEVELS)


def summarise_staining(stains: StainImage, cells: Sequence[Cell]) -> StainSummary:
    """Medians over cells: membrane, the cytoplasm between, nuclei, and haematoxylin of nuclei over the cytoplasm."""
    if not cells:
        return StainSummary(0.0, 0.0, 0.0, 0.0)
    sigma_px = max(0.3, SMOOTHING_UM / stains.um_per_px)
    dab, blue = (cv2.GaussianBlur(plane, (0, 0), sigma_px) for plane in (stains.dab_od10, stains.haematoxylin_od10))
    cytoplasm, nuclear, counterstain = [], [], []
    for cell in _judged(cells):
        centre = np.array([[cell.x_px, cell.y_px]])
        between = _cytoplasm_px(cell, stains.um_per_px)
        brown = _values(dab, between).min(axis=0)
        cytoplasm.append(float(np.median(brown)))
        nuclear.append(float(_values(dab, centre)[0]) - cytoplasm[-1])
        counterstain.append(float(_values(blue, centre)[0] - np.median(_values(blue, between).min(axis=0))))
    stroma, others_nuclear = _of_others(dab, [cell for cell in cells if cell.kind is CellKind.OTHER], stains.um_per_px)
    return StainSummary(
        membrane_od10=_membrane_od10(cells),
        background_od10=float(np.median(cytoplasm)),
        nuclear_od10=max(float(np.median(nuclear)), others_nuclear),
        counterstain_od10=max(0.0, float(np.median(counterstain))),
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
    rings, nuclei = [], []
    for cell in _some(others):
        centre = np.array([cell.x_px, cell.y_px])
        away = cell.outline_xy_px - centre
        length_px = np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-6)
        radius_px = (cell.nucleus_radius_um + STROMA_MARGIN_UM) / um_per_px
        rings.append(float(np.median(_values(dab, centre + radius_px * away / length_px))))
        nuclei.append(float(_values(dab, centre[None])[0]) - rings[-1])
    return float(np.median(rings)), float(np.median(nuclei))


def _cytoplasm_px(cell: Cell, um_per_px: float) -> NDArray[np.float64]:
    """Places `(5, N, 2)` between a cell's nucleus and its wall, along lines to the N places of its outline."""
    centre = np.array([cell.x_px, cell.y_px])
    away = cell.outline_xy_px - centre
    length_px = np.maximum(np.linalg.norm(away, axis=1), 1e-6)
    last_px = np.maximum(length_px - WALL_MARGIN_UM / um_per_px, 0.5 * length_px)
    first_px = np.minimum((cell.nucleus_radius_um + NUCLEUS_MARGIN_UM) / um_per_px, last_px)
    distance_px = first_px + PLACES_OF_CYTOPLASM[:, None] * (last_px - first_px)
    return np.asarray(centre + distance_px[:, :, None] * (away / length_px[:, None]))


def _values(plane: Plane, xy_px: NDArray[np.float64]) -> Plane:
    """Of the pixels nearest to places `(..., 2)`, the last ones outside the picture."""
    height, width = plane.shape
    columns = np.clip(np.rint(xy_px[..., 0]).astype(np.intp), 0, width - 1)
    rows = np.clip(np.rint(xy_px[..., 1]).astype(np.intp), 0, height - 1)
    return plane[rows, columns]
