"""Colours of haematoxylin and DAB from the laboratory's own fields.

The plane of all stained pixels' od10 and robust extremes of the angle in it: Macenko et al., ISBI 2009, 1107, on
several fields together. Haematoxylin is pale and shows where nothing else is; DAB's colour is that of strong pixels,
since cameras that smooth or sharpen colour turn pale ones towards yellow.

On 24 phantom runs (a 2+ and a 3+ field each, 12 easy and 12 usual, three cameras) haematoxylin is missed by 1.1 degrees
(worst 4.3) and DAB by 2.0 (worst 3.0); the literature's vectors miss them by 5.6 (12.3) and 3.9 (12.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.errors import BadInputError
from her2scope.imaging.calibration.refusal import MeasurementRefused
from her2scope.imaging.opencv import cv2
from her2scope.imaging.stains import channel_od10
from her2scope.records import RgbImage
from her2scope.settings import Calibration, Vector

Floats = NDArray[np.float64]

SMOOTHING_PX = 2.0
"""Noise turns the colour of pale pixels; a membrane at 40x is 3 to 8 px wide."""
STAINED_OD10 = 0.15
"""Length of a pixel's od10 (red, green, blue) from which its direction can be trusted; Macenko's beta."""
DARK, CLEAR = 8, 250
"""Pixels with a channel beyond are clipped, or nearly: their colour is wrong."""
HAEMATOXYLIN_PERCENT = 0.5
"""Of the angles; 1 % as in the paper misses pale haematoxylin in fields that are mostly brown."""
STRONG_OD10, DAB_PERCENT = 0.3, 98.0
"""The same for DAB, among pixels this strong."""
MOST_PIXELS = 400_000
"""Pixels taken of each field: more make no better percentile."""
MIN_STAINED_PIXELS = 5_000
MIN_STAINED_SHARE = 0.01
OWN_OD10, OWN_SHARE = 0.12, 0.75
"""A pixel shows a stain where it has this much of it, and this share of its stain is it."""
MIN_SHOWN_SHARE = 0.01
"""Share of the stained pixels that must show each stain: fewer are dirt or the edge of the other's spread."""
MIN_BETWEEN_DEG = 15.0
"""Ruifrok and Johnston's vectors are 37 degrees apart, those of real camera fields 31 to 56; nearer ones are one
stain."""
MAX_FROM_LITERATURE_DEG = 20.0
"""Real fields and reagents differ from the literature by up to 12 degrees; farther away lies another stain (eosin: 37),
ink, or a white reference that is not this camera's."""


@dataclass(frozen=True, slots=True, eq=False)
class StainVectors:
    """The laboratory's stain vectors, of unit length, and how far they are from the literature's."""

    haematoxylin: Vector
    dab: Vector
    haematoxylin_from_literature_deg: float
    dab_from_literature_deg: float
    between_deg: float
    n_fields: int
    n_pixels: int
    """Stained pixels that the vectors were read from."""
    angles_deg: Floats
    """Of a sample of these pixels in the plane of both stains: 0 is the haematoxylin vector, `between_deg` DAB's."""


def measure_stain_vectors(fields: Sequence[RgbImage], calibration: Calibration) -> StainVectors:
    """Measure the stain vectors from fields that show both stains, brown membranes and blue nuclei.

    Parameters
    ----------
    fields : each (H, W, 3) uint8; a 3+ or 2+ control with stroma around it serves
    calibration : whose white, flat field and response turn colour into od10

    Raises
    ------
    MeasurementRefused
        Codes `too_few_pixels`, `one_stain`, `implausible`.
    """
    if not fields:
        raise BadInputError("no field was given. Give one or more that show both stains.")
    od10 = _stained_od10(fields, calibration)
    haematoxylin, dab, angles_deg = _extremes(od10)
    literature = Calibration()
    found = StainVectors(
        _vector(haematoxylin), _vector(dab), angle_deg(_vector(haematoxylin), literature.haematoxylin_vector),
        angle_deg(_vector(dab), literature.dab_vector), angle_deg(_vector(haematoxylin), _vector(dab)), len(fields),
        len(od10), angles_deg,
    )  # fmt: skip
    _check_two_stains(od10, found)
    _check_plausible(found)
    return found


def angle_deg(first: Vector, second: Vector) -> float:
    """Angle between two stain vectors, whatever their length."""
    a, b = np.array(first, dtype=np.float64), np.array(second, dtype=np.float64)
    return float(np.degrees(np.arccos(np.clip(a @ b / np.linalg.norm(a) / np.linalg.norm(b), -1.0, 1.0))))


def _stained_od10(fields: Sequence[RgbImage], calibration: Calibration) -> Floats:
    """od10 `(N, 3)` of the stained, unclipped pixels of all fields."""
    pooled = [_stained_of(rgb, calibration) for rgb in fields]
    n, n_all = sum(map(len, pooled)), sum(rgb.shape[0] * rgb.shape[1] for rgb in fields)
    if n < MIN_STAINED_PIXELS or n < MIN_STAINED_SHARE * n_all:
        raise MeasurementRefused(
            "too_few_pixels",
            f"only {n} pixels ({100 * n / n_all:.1f} %) are stained and not clipped, at least {MIN_STAINED_PIXELS} and "
            f"{100 * MIN_STAINED_SHARE:g} % are needed. Take fields full of tissue, well exposed.",
        )
    return np.concatenate([od10[:: max(1, len(od10) // MOST_PIXELS)] for od10 in pooled]).astype(np.float64)


def _stained_of(rgb: RgbImage, calibration: Calibration) -> NDArray[np.float32]:
    lowest, highest = rgb.min(axis=2), rgb.max(axis=2)
    od10 = channel_od10(cv2.GaussianBlur(rgb, (0, 0), SMOOTHING_PX), calibration)
    stained = np.linalg.norm(od10, axis=2) > STAINED_OD10
    return np.asarray(od10[stained & (lowest > DARK) & (highest < CLEAR)])


def _extremes(od10: Floats) -> tuple[Floats, Floats, Floats]:
    """Unit vectors of haematoxylin and DAB, and the pixels' angles between them."""
    _, _, axes = np.linalg.svd(od10[:: max(1, len(od10) // 50_000)], full_matrices=False)
    main, side = axes[0] * np.sign(axes[0].sum()), axes[1]
    if side[2] < side[0]:
        side = -side  # from red towards blue: from haematoxylin to DAB
    angles = np.arctan2(od10 @ side, od10 @ main)
    low = np.percentile(angles, HAEMATOXYLIN_PERCENT)
    strong = np.linalg.norm(od10, axis=1) > STRONG_OD10
    high = np.percentile(angles[strong] if strong.any() else angles, DAB_PERCENT)
    sample = np.degrees(angles[:: max(1, len(angles) // 20_000)] - low)
    return np.cos(low) * main + np.sin(low) * side, np.cos(high) * main + np.sin(high) * side, sample


def _vector(direction: Floats) -> Vector:
    red, green, blue = (round(float(value), 4) for value in np.maximum(direction, 0.0))
    return red, green, blue


def _check_two_stains(od10: Floats, found: StainVectors) -> None:
    if found.between_deg < MIN_BETWEEN_DEG:
        raise MeasurementRefused(
            "one_stain",
            f"the colours in these fields span only {found.between_deg:.0f} degrees (at least {MIN_BETWEEN_DEG:g}): "
            "only one stain is in view. Take fields with brown membranes and blue nuclei.",
        )
    amounts = np.maximum(od10 @ np.linalg.pinv(np.array([found.haematoxylin, found.dab])), 0.0)
    own = (amounts > OWN_OD10) & (amounts > OWN_SHARE * amounts.sum(axis=1, keepdims=True))
    shown = own.mean(axis=0)
    if shown.min() < MIN_SHOWN_SHARE:
        missing = ("haematoxylin", "DAB")[int(np.argmin(shown))]
        raise MeasurementRefused(
            "one_stain",
            f"only {100 * shown.min():.1f} % of the stained pixels show {missing} by itself (at least "
            f"{100 * MIN_SHOWN_SHARE:g} %). Take fields with brown membranes and blue nuclei.",
        )


def _check_plausible(found: StainVectors) -> None:
    for name, away_deg in (
        ("haematoxylin", found.haematoxylin_from_literature_deg),
        ("DAB", found.dab_from_literature_deg),
    ):
        if away_deg > MAX_FROM_LITERATURE_DEG:
            raise MeasurementRefused(
                "implausible",
                f"the {name} found lies {away_deg:.0f} degrees from Ruifrok and Johnston's (limit "
                f"{MAX_FROM_LITERATURE_DEG:g}): another stain, ink, or a white that is not this camera's. Measure the "
                "white first (calibrate empty), then use fields of HER2 with DAB and haematoxylin.",
            )
