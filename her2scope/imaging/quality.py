"""The quality gate: can this frame be scored at all? Each doubt has a code and a reason in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.score import MAX_SCORED_UM_PER_PX
from her2scope.imaging.opencv import cv2
from her2scope.imaging.stains import estimate_white, reduced
from her2scope.records import Mask, Plane, QualityReport, RgbImage
from her2scope.settings import QualitySettings, Vector

GATE_UM_PER_PX = 0.5
"""Scale at which focus is measured: details of 0.5 to 4 um, whatever the camera."""
TISSUE_OD10 = 0.06
"""Green od10 over the clearest part of the picture from which a place is tissue."""
CLIPPED_HIGH, CLIPPED_LOW = 254, 2
CLEAR_REDUCTION = 4
CLEAR_OF_WHITE = 0.97
MIN_CLEAR_SHARE = 0.01
"""A clear area: flat at 97 % of the picture's own white or more, over at least 1 % of the picture."""
FINE_RATIO_AT_LIMIT, MIDDLE_RATIO_AT_LIMIT = 0.20, 0.50
"""Ratios of detail at 0.5-1 um and 1-2 um to detail at 2-4 um that sharp real fields keep (lowest: 0.32 and 0.62)
and that a further blur of about 1 um (sigma) takes away (0.15 to 0.26 and 0.45 to 0.64)."""


@dataclass(frozen=True, slots=True)
class _Detail:
    focus: float
    contrast_od10: float
    """Spread of structures of 2 to 4 um in the tissue."""
    tissue_share: float
    tissue: Mask


def check_quality(
    rgb: RgbImage, um_per_px: float, white: float, settings: QualitySettings, speed_um_per_s: float = 0.0
) -> QualityReport:
    """Judge a frame.

    Parameters
    ----------
    white : grey level of the white reference, calibrated or estimated (its darkest channel)
    speed_um_per_s : how fast the stage moved when the frame was taken
    """
    if min(rgb.shape[:2]) < settings.min_side_px:
        height, width = rgb.shape[:2]
        why = f"the picture is too small ({width} x {height} px, at least {settings.min_side_px} each way)"
        return QualityReport(False, ("too_small",), (why,), 0.0, 0.0, 0.0)
    detail = _detail(rgb, um_per_px)
    clipped = clipped_share(rgb, detail.tissue)
    refused = _refusals(detail, um_per_px, white, clipped, settings, speed_um_per_s)
    said = dict(refused)
    if not refused and clipped > settings.max_clipped_share:
        said["clipped"] = f"{100 * clipped:.0f} % of the tissue's pixels are clipped: od10 there is a lower bound"
    return QualityReport(
        not refused, tuple(said), tuple(said.values()), round(detail.focus, 3), clipped, detail.tissue_share
    )


def clipped_share(rgb: RgbImage, tissue: Mask) -> float:
    """Share of the tissue's pixels with a channel at an end of the camera's range."""
    highest, lowest = _channel_extremes(rgb)
    clipped = ((highest >= CLIPPED_HIGH) | (lowest <= CLIPPED_LOW)).astype(np.uint8)
    inside = cv2.resize(tissue, (rgb.shape[1], rgb.shape[0]), interpolation=cv2.INTER_NEAREST)
    n_tissue = cv2.countNonZero(inside)
    return cv2.countNonZero(cv2.bitwise_and(clipped, inside)) / n_tissue if n_tissue else 0.0


def _channel_extremes(rgb: RgbImage) -> tuple[Mask, Mask]:
    red, green, blue = cv2.split(rgb)
    return cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue)


def _refusals(
    detail: _Detail, um_per_px: float, white: float, clipped: float, settings: QualitySettings, speed_um_per_s: float
) -> dict[str, str]:
    """Codes and reasons for which nothing may be scored."""
    refused: dict[str, str] = {}
    if um_per_px > MAX_SCORED_UM_PER_PX:
        refused["too_coarse"] = (
            f"{um_per_px:g} um/px is too coarse to see membranes (limit {MAX_SCORED_UM_PER_PX:g}): "
            "use a stronger objective"
        )
    if speed_um_per_s > settings.max_speed_um_per_s:
        refused["moving"] = "the stage is moving: hold still"
    if white < settings.max_dark_white:
        refused["under_exposed"] = (
            f"the picture is dark (white at {white:.0f} of 255): check lamp, shutter and exposure"
        )
        return refused
    if detail.tissue_share < settings.min_tissue_share:
        refused["no_tissue"] = f"no tissue in view ({100 * detail.tissue_share:.0f} % of the picture)"
        return refused
    if clipped > settings.unusable_clipped_share:
        refused["over_exposed"] = f"{100 * clipped:.0f} % of the tissue's pixels are clipped: lower the exposure"
    if detail.focus < settings.min_focus:
        refused["blurred"] = f"out of focus (sharpness {detail.focus:.2f}, at least {settings.min_focus:g}): refocus"
    elif detail.contrast_od10 < settings.min_contrast_od10:
        refused["low_contrast"] = (
            f"tissue structures barely stand out ({detail.contrast_od10:.4f} od10, at least "
            f"{settings.min_contrast_od10:g}): blurred, hazy or unstained, or fat"
        )
    return refused


def _detail(rgb: RgbImage, um_per_px: float) -> _Detail:
    """Sharpness and contrast of the tissue, at a fixed scale, from the green channel (both stains absorb there)."""
    od10 = _green_od10(rgb, um_per_px)
    blurred = [cv2.GaussianBlur(od10, (0, 0), sigma_um / GATE_UM_PER_PX) for sigma_um in (0.25, 0.5, 1.0, 2.0)]
    fine, middle, coarse = (np.abs(a - b) for a, b in zip(blurred, blurred[1:], strict=False))
    tissue = (blurred[2] > np.percentile(blurred[2], 1) + TISSUE_OD10).astype(np.uint8)
    tissue_share = float(tissue.mean())
    if tissue_share == 0:
        return _Detail(0.0, 0.0, 0.0, tissue)
    inside = tissue.astype(bool)
    strength = [float(np.percentile(band[inside], 98)) for band in (fine, middle, coarse)]
    reference = max(strength[2], 1e-6)
    focus = min(strength[0] / reference / FINE_RATIO_AT_LIMIT, strength[1] / reference / MIDDLE_RATIO_AT_LIMIT)
    contrast = float(np.sqrt(np.mean(np.square(coarse[inside]))))
    return _Detail(focus, contrast, tissue_share, tissue)


def _green_od10(rgb: RgbImage, um_per_px: float) -> Plane:
    green = np.ascontiguousarray(rgb[:, :, 1])
    factor = um_per_px / GATE_UM_PER_PX
    if factor < 1:
        green = cv2.resize(green, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    table = -np.log10(np.maximum(np.arange(256), 1) / 255.0).astype(np.float32)
    found: NDArray[np.float32] = cv2.LUT(green, table)
    return found


def white_drift(rgb: RgbImage, white_rgb: Vector) -> float | None:
    """Largest relative change of a channel's white in the picture's clear areas against the calibrated white.

    None where the picture shows no clear area: then a drift of lamp or camera cannot be seen.
    """
    small = reduced(rgb, CLEAR_REDUCTION)
    found = np.array(estimate_white(rgb))
    clear = (small >= CLEAR_OF_WHITE * found).all(axis=2).astype(np.uint8)
    clear = cv2.erode(clear, np.ones((3, 3), np.uint8))  # bright specks of tissue are not clear areas
    if clear.mean() < MIN_CLEAR_SHARE:
        return None
    return float(np.max(np.abs(found / np.array(white_rgb) - 1)))
