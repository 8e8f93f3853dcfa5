"""Lesions as CAMELYON16 counts them, and detections from a probability map.

Verified against the challenge's own evaluation code (B. Ehteshami Bejnordi, 2016, as kept in public repositories that
name it so; https://camelyon16.grand-challenge.org/Evaluation/): a mask at 0.243 * 2^5 um/px; every tumour pixel is
widened by all places closer than 75 / 2 um ("75 um is the equivalent size of 5 tumor cells": 37.5 um on each side);
holes are filled; what touches, also at corners, is one lesion; a lesion whose major axis is below 275 um after that
(200 um and twice the widening) is isolated tumour cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from her2scope.annotations.raster import paint
from her2scope.annotations.shapes import Annotations
from her2scope.imaging.opencv import cv2

LESION_UM_PER_PX = 0.243 * 32
WIDENED_UM = 75.0 / 2
ISOLATED_UM = 275.0


@dataclass(frozen=True, slots=True, eq=False)
class Lesions:
    """Lesions of a slide."""

    labels: NDArray[np.int32]
    """`(h, w)` lesion at each pixel, widened, 1 to M; 0 none."""
    um_per_px: float
    isolated: frozenset[int]
    """Lesions of isolated tumour cells: neither a hit nor a false positive, and none that must be found."""

    @property
    def n_counted(self) -> int:
        """Lesions that must be found."""
        return int(self.labels.max(initial=0)) - len(self.isolated)

    def at(self, x_um: NDArray[np.float64], y_um: NDArray[np.float64]) -> NDArray[np.int32]:
        """Lesion at each place (um from the slide's corner), 0 where there is none."""
        column, row = (np.floor(place / self.um_per_px).astype(np.intp) for place in (x_um, y_um))
        height, width = self.labels.shape
        within = (column >= 0) & (row >= 0) & (column < width) & (row < height)
        found = np.zeros(len(column), np.int32)
        found[within] = self.labels[row[within], column[within]]
        return found


def find_lesions(tumour: NDArray[np.bool_], um_per_px: float) -> Lesions:
    """Lesions of a tumour mask `(h, w)`; CAMELYON16's scale is `LESION_UM_PER_PX`."""
    if not tumour.any():
        return Lesions(np.zeros(tumour.shape, np.int32), um_per_px, frozenset())
    distance_px = cv2.distanceTransform((~tumour).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    widened = distance_px < WIDENED_UM / um_per_px
    _, labels = cv2.connectedComponents(_filled(widened).astype(np.uint8), connectivity=8)
    axes_um = major_axes_px(labels) * um_per_px
    isolated = frozenset((np.flatnonzero(axes_um < ISOLATED_UM) + 1).tolist())
    return Lesions(labels, um_per_px, isolated)


def lesions_of(
    annotations: Annotations, classes: tuple[str, ...], size_wh: tuple[int, int], um_per_px: float
) -> Lesions:
    """Lesions of the polygons of some classes, on a slide of that size and scale at full resolution."""
    scale = LESION_UM_PER_PX / um_per_px
    small_wh = (max(1, int(np.ceil(size_wh[0] / scale))), max(1, int(np.ceil(size_wh[1] / scale))))
    return find_lesions(paint(annotations, classes, small_wh, scale) > 0, LESION_UM_PER_PX)


def major_axes_px(labels: NDArray[np.int32]) -> NDArray[np.float64]:
    """`(M,)` length of the major axis of the ellipse with the same second moments as each label, 1 to M."""
    row, column = np.nonzero(labels)
    label = labels[row, column]
    n = np.bincount(label, minlength=int(labels.max(initial=0)) + 1)[1:].astype(np.float64)

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(label, values, len(n) + 1)[1:] / np.maximum(n, 1.0)

    x, y = column - mean(column.astype(float))[label - 1], row - mean(row.astype(float))[label - 1]
    xx, yy, xy = mean(x * x), mean(y * y), mean(x * y)
    largest = (xx + yy) / 2.0 + np.sqrt(((xx - yy) / 2.0) ** 2 + xy**2)
    return 4.0 * np.sqrt(largest)


def _filled(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mask without holes: background that no way over the sides of pixels leads to from the edge belongs to it."""
    background = np.pad(~mask, 1, constant_values=True).astype(np.uint8)
    _, pieces = cv2.connectedComponents(background, connectivity=4)
    filled: NDArray[np.bool_] = pieces[1:-1, 1:-1] != pieces[0, 0]
    return filled


def detections_of(
    probability: NDArray[np.floating], um_per_px: float, radius_um: float, least: float
) -> NDArray[np.float64]:
    """Detections of a probability map: its summits, none nearer to a higher one than a radius.

    Parameters
    ----------
    probability : (h, w) float
        Pixel (0, 0) begins at the slide's corner.
    um_per_px : float
        Of the map.
    radius_um : float
    least : float
        No detection has a lower probability.

    Returns
    -------
    (N, 3) float
        x and y in um from the slide's corner, and probability, the highest first. Of equal summits the first by rows
        is kept, so a plateau wider than the radius gives several.
    """
    height, width = probability.shape
    values = np.ascontiguousarray(probability, np.float32)
    highest = cv2.dilate(values, np.ones((3, 3), np.uint8))
    row, column = np.nonzero((values >= highest) & (values >= least) & (values > 0.0))
    order = np.argsort(-values[row, column], kind="stable")
    reach = radius_um / um_per_px
    span = int(np.floor(reach))
    dy, dx = np.mgrid[-span : span + 1, -span : span + 1]
    disc = dx**2 + dy**2 <= reach**2
    taken = np.zeros((height + 2 * span, width + 2 * span), np.bool_)
    found = []
    for y, x in zip(row[order].tolist(), column[order].tolist(), strict=True):
        if not taken[y + span, x + span]:
            found.append(((x + 0.5) * um_per_px, (y + 0.5) * um_per_px, float(values[y, x])))
            taken[y : y + 2 * span + 1, x : x + 2 * span + 1] |= disc
    return np.array(found, np.float64).reshape(-1, 3)
