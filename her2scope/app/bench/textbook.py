"""A scikit-image pipeline as its own examples build one: the yardstick, written as well as the textbook allows.

Colour deconvolution, Otsu's threshold on haematoxylin, clean-up, distance transform, watershed, a ring around each
nucleus, DAB in the ring. Its DAB is on scikit-image's own scale, which is not od10; the cuts are chosen for that scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.cells import CellClass
from her2scope.domain.errors import BadInputError
from her2scope.records import RgbImage

STAINS = np.array([[0.650, 0.704, 0.286], [0.072, 0.990, 0.105], [0.268, 0.570, 0.776]])
"""Haematoxylin, eosin and DAB: Ruifrok and Johnston, Anal Quant Cytol Histol 23:291, 2001; what its examples take."""
SMOOTHING_UM = 0.75
"""Before the threshold: under a third of the smallest nucleus' radius."""
LEAST_NUCLEUS_UM2 = 12.0
"""A disc of 3.9 um: smaller spots are dirt or a part of a nucleus."""
MIDDLES_APART_UM = 3.0
RING_UM = 4.0
"""Cytoplasm and membrane around a nucleus: an epithelial cell of 14 um with a nucleus of 7 um."""
WALL_UM = 1.5
"""Rim of the cell in which its membrane is looked for."""
STAINED, INTENSE, COMPLETE = 0.04, 0.12, 0.9
"""DAB from which a pixel of the rim is stained or intense (scikit-image's scale is a sixth of od10's, so 0.24 and 0.72
od10), and the share of the rim that makes a cell complete."""


@dataclass(frozen=True, slots=True, eq=False)
class TextbookCells:
    """What it finds."""

    xy_px: NDArray[np.float64]
    """`(N, 2)` middles of the nuclei."""
    classes: tuple[CellClass, ...]


def scikit_image(module: str) -> Any:
    """A module of scikit-image, an extra; BadInputError where it is not installed."""
    try:
        return import_module(f"skimage.{module}")
    except ImportError as error:
        raise BadInputError("scikit-image is not installed: pip install 'her2scope[peers]'") from error


def textbook_cells(rgb: RgbImage, um_per_px: float) -> TextbookCells:
    """Nuclei and the membrane class of each cell."""
    filters, measure = scikit_image("filters"), scikit_image("measure")
    stains = scikit_image("color").separate_stains(rgb, np.linalg.inv(STAINS))
    haematoxylin = filters.gaussian(stains[..., 0], SMOOTHING_UM / um_per_px)
    nuclei = _nuclei(haematoxylin > filters.threshold_otsu(haematoxylin), um_per_px)
    cells = scikit_image("segmentation").expand_labels(nuclei, RING_UM / um_per_px)
    middles = [item.centroid[::-1] for item in measure.regionprops(nuclei)]
    return TextbookCells(np.array(middles, np.float64).reshape(-1, 2), _classes(cells, stains[..., 2], um_per_px))


def _nuclei(dark: NDArray[np.bool_], um_per_px: float) -> NDArray[np.int32]:
    """Labels 1 to N of the nuclei: touching ones are parted at their waists."""
    morphology, segmentation = scikit_image("morphology"), scikit_image("segmentation")
    ndimage = import_module("scipy.ndimage")
    opened = morphology.opening(dark, morphology.disk(max(1, round(0.5 / um_per_px))))
    labels, n = ndimage.label(ndimage.binary_fill_holes(opened))
    large = np.bincount(labels.ravel(), minlength=n + 1) >= LEAST_NUCLEUS_UM2 / um_per_px**2
    large[0] = False
    clean = large[labels]
    distance = ndimage.gaussian_filter(ndimage.distance_transform_edt(clean), 0.5 / um_per_px)
    apart_px = max(1, round(MIDDLES_APART_UM / um_per_px))
    peaks = scikit_image("feature").peak_local_max(distance, min_distance=apart_px, labels=labels * clean)
    markers = np.zeros(clean.shape, np.int32)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    found = segmentation.watershed(-distance, markers, mask=clean)
    return np.asarray(segmentation.relabel_sequential(found)[0], np.int32)


def _classes(cells: NDArray[np.int32], dab: NDArray[np.floating], um_per_px: float) -> tuple[CellClass, ...]:
    """Class of each cell by the DAB of its rim."""
    ndimage = import_module("scipy.ndimage")
    border = scikit_image("segmentation").find_boundaries(cells, mode="inner")
    rim = (ndimage.distance_transform_edt(~border) <= WALL_UM / um_per_px) & (cells > 0)
    n = int(cells.max(initial=0)) + 1
    labels = cells[rim]
    n_rim = np.maximum(np.bincount(labels, minlength=n)[1:], 1)
    stained, intense = (np.bincount(labels, dab[rim] >= cut, minlength=n)[1:] / n_rim for cut in (STAINED, INTENSE))
    return tuple(_class(*shares) for shares in zip(stained.tolist(), intense.tolist(), strict=True))


def _class(stained: float, intense: float) -> CellClass:
    """Class by the shares (0..1) of a rim, which is wider than the line in it: half of it brown is a full line."""
    if min(1.0, 2 * stained) >= COMPLETE:
        return CellClass.COMPLETE_INTENSE if min(1.0, 2 * intense) >= COMPLETE else CellClass.COMPLETE_MODERATE
    if intense >= 0.1:
        return CellClass.INCOMPLETE_INTENSE
    return CellClass.INCOMPLETE_FAINT if stained >= 0.1 else CellClass.NONE
