"""Nuclei as maxima of smoothed haematoxylin (the paper's way): centres, and a radius from the fall around them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.units import odd_px
from her2scope.imaging.opencv import cv2
from her2scope.imaging.outlines import sample_rays
from her2scope.records import Plane
from her2scope.settings import ClosedContoursSettings

SURROUNDINGS_UM = 8.0
"""Sigma of the mean that a nucleus must stand out from: about one cell."""
RADII_UM = np.arange(1.0, 7.01, 0.5)
DAB_VEIL = 0.6
"""Share of the DAB taken off the haematoxylin: thick DAB is near black and leaks into it when unmixed."""

BLUE_SHARE = 0.6
"""Least haematoxylin of a nucleus as a share of the DAB there: haze veils nuclei, but a dark wall is no nucleus."""


@dataclass(frozen=True, slots=True, eq=False)
class Nuclei:
    """Nuclei of one picture."""

    xy_px: NDArray[np.float32]
    """`(N, 2)`."""
    radius_um: NDArray[np.float32]
    strength: NDArray[np.float32]
    """Haematoxylin od10 over the surroundings."""

    @property
    def rows(self) -> NDArray[np.intp]:
        """Pixel rows of the centres."""
        return self.xy_px[:, 1].astype(np.intp)

    @property
    def columns(self) -> NDArray[np.intp]:
        """Pixel columns of the centres."""
        return self.xy_px[:, 0].astype(np.intp)


def find_nuclei(haematoxylin: Plane, dab: Plane, um_per_px: float, settings: ClosedContoursSettings) -> Nuclei:
    """Nuclei of a picture at working scale."""
    sigma_px = settings.nucleus_smoothing_um / um_per_px
    blue, brown = (cv2.GaussianBlur(plane, (0, 0), sigma_px) for plane in (haematoxylin, dab))
    veiled = blue - DAB_VEIL * brown
    relief = veiled - _wide_mean(veiled, SURROUNDINGS_UM / um_per_px)
    size = odd_px(settings.nucleus_distance_um, um_per_px)
    window = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    peaks = (relief >= cv2.dilate(relief, window)) & (relief >= settings.min_nucleus_od10)
    peaks &= (blue >= settings.min_nucleus_od10) & (blue >= BLUE_SHARE * brown)
    n, _, _, centres = cv2.connectedComponentsWithStats(peaks.astype(np.uint8), connectivity=8)
    xy = centres[1:n].astype(np.float32)
    strength = relief[xy[:, 1].astype(np.intp), xy[:, 0].astype(np.intp)] if len(xy) else np.zeros(0, np.float32)
    return Nuclei(xy, _radii(relief, xy, um_per_px), strength)


def _wide_mean(plane: Plane, sigma_px: float) -> Plane:
    """Gaussian mean of a large sigma, at a quarter of the size: it carries no finer detail."""
    height, width = plane.shape
    small = cv2.resize(plane, (max(1, width // 4), max(1, height // 4)), interpolation=cv2.INTER_AREA)
    return cv2.resize(cv2.GaussianBlur(small, (0, 0), sigma_px / 4), (width, height), interpolation=cv2.INTER_LINEAR)


def _radii(relief: Plane, xy_px: NDArray[np.float32], um_per_px: float) -> NDArray[np.float32]:
    """Radius (um) at which the relief has fallen to half of the centre's, mean over directions."""
    if not len(xy_px):
        return np.zeros(0, np.float32)
    rays = sample_rays(relief, xy_px, (RADII_UM / um_per_px).astype(np.float32), n_angles=16)
    mean = rays.mean(axis=1)
    fallen = mean <= 0.5 * mean[:, :1]
    first = np.where(fallen.any(axis=1), fallen.argmax(axis=1), len(RADII_UM) - 1)
    return np.clip(RADII_UM[first], 2.0, 7.0).astype(np.float32)
