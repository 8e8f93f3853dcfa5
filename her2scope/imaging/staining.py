"""Staining of a whole field in a few figures: what a control is judged by, and the characteristic curve."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from her2scope.imaging.opencv import cv2
from her2scope.imaging.stains import reduced
from her2scope.records import Cell, RgbImage, StainImage, StainSummary

SATURATION_LEVELS = tuple(round(0.1 * step, 1) for step in range(1, 9))
"""Levels of the characteristic curve (arXiv 2110.12900): 0.1 to 0.8."""
CURVE_REDUCTION = 2
SMOOTHING_UM = 0.6
CYTOPLASM_AT = 0.8
"""Where cytoplasm is looked for, from a nucleus' centre to the cell's outline: past the nucleus, before the wall."""
MAX_SUMMARISED_CELLS = 120
"""Medians over more cells than this do not change, only cost time."""


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
    height, width = dab.shape
    membrane, cytoplasm, nuclear, counterstain = [], [], [], []
    for cell in cells[:: -(-len(cells) // MAX_SUMMARISED_CELLS)]:
        centre = np.array([cell.x_px, cell.y_px])
        between = centre + CYTOPLASM_AT * (cell.outline_xy_px - centre)
        columns = np.clip(np.rint(between[:, 0]).astype(int), 0, width - 1)
        rows = np.clip(np.rint(between[:, 1]).astype(int), 0, height - 1)
        x, y = int(np.clip(round(cell.x_px), 0, width - 1)), int(np.clip(round(cell.y_px), 0, height - 1))
        cytoplasm.append(float(np.percentile(dab[rows, columns], 25)))
        nuclear.append(float(dab[y, x]) - cytoplasm[-1])
        counterstain.append(float(blue[y, x]) - float(np.percentile(blue[rows, columns], 25)))
        if cell.measure.intensity_od10 > 0:
            membrane.append(cell.measure.intensity_od10)
    return StainSummary(
        membrane_od10=float(np.median(membrane)) if membrane else 0.0,
        background_od10=float(np.median(cytoplasm)),
        nuclear_od10=max(0.0, float(np.median(nuclear))),
        counterstain_od10=max(0.0, float(np.median(counterstain))),
    )
