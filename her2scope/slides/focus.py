"""Fine detail of a slide's tissue at sampled places: sharp, blurred, or lying double."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from her2scope.imaging.opencv import cv2
from her2scope.imaging.quality import (
    FINE_RATIO_AT_LIMIT,
    GATE_UM_PER_PX,
    MIDDLE_RATIO_AT_LIMIT,
    STRUCTURE_PERCENTILE,
    TISSUE_OD10,
)
from her2scope.records import Plane, RgbImage
from her2scope.settings import Vector

PATCH_UM = 64.0
"""Side of a sample: a few cells each way."""
LEAST_STAINED_SHARE = 0.3
"""Of a sample: less tells more of its edge than of its focus."""
PALE_PERCENTILE = 10.0


@dataclass(frozen=True, slots=True)
class Detail:
    """One sample."""

    focus: float
    """Sharpness as `imaging.quality` measures it: 1 at the limit, sharp tissue 1.04 to 2.4."""
    contrast: float
    """Detail of 2 to 4 um (green) over the mean od10 of the channel that absorbs most."""
    mean_od10: float
    """Of the red channel."""
    pale_od10: float
    """The palest tenth of the red channel: how much stain even the space between nuclei has."""


def detail_of(rgb: RgbImage, um_per_px: float, white_rgb: Vector) -> Detail | None:
    """Detail of a sample; None where too little of it is stained."""
    factor = um_per_px / GATE_UM_PER_PX
    small = cv2.resize(rgb, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA) if factor < 1 else rgb
    scale_um = max(um_per_px, GATE_UM_PER_PX)
    red, green, blue = (_od10(channel, white) for channel, white in zip(cv2.split(small), white_rgb, strict=True))
    quarter, half, one, two = (cv2.GaussianBlur(green, (0, 0), um / scale_um) for um in (0.25, 0.5, 1.0, 2.0))
    stained = one > TISSUE_OD10
    if stained.mean() < LEAST_STAINED_SHARE:
        return None
    fine, middle, coarse = (
        float(np.percentile(np.abs(a - b)[stained], STRUCTURE_PERCENTILE))
        for a, b in ((quarter, half), (half, one), (one, two))
    )
    coarse = max(coarse, 1e-6)
    focus = min(fine / coarse / FINE_RATIO_AT_LIMIT, middle / coarse / MIDDLE_RATIO_AT_LIMIT)
    mean = max(float(plane.mean()) for plane in (red, green, blue))
    red_smooth = cv2.GaussianBlur(red, (0, 0), 1.0 / scale_um)
    pale = float(np.percentile(red_smooth, PALE_PERCENTILE))
    return Detail(focus, coarse / max(mean, 1e-6), float(red.mean()), pale)


def _od10(channel: np.ndarray, white: float) -> Plane:
    """od10 of a channel; below 0 where it is brighter than the white."""
    table = -np.log10(np.maximum(np.arange(256), 0.5) / white)
    found: Plane = cv2.LUT(channel, table.astype(np.float32))
    return found
