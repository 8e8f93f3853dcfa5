"""The quality gate: can this frame be scored at all? Each doubt has a code and a reason in words."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.score import MAX_SCORED_UM_PER_PX
from her2scope.imaging.opencv import cv2
from her2scope.imaging.planes import closed, enlarged, grey_percentile, percentile, row_blocks
from her2scope.imaging.stains import WHITE_PERCENTILE, reduced
from her2scope.records import Mask, Plane, QualityReport, RgbImage
from her2scope.settings import QualitySettings, Vector

P = TypeVar("P", bound=np.generic)
GATE_UM_PER_PX = 0.5
"""Scale at which focus is measured: details of 0.5 to 4 um, whatever the camera."""
TISSUE_OD10 = 0.06
"""Green od10 over the clearest part of the picture from which a place is tissue."""
CLIPPED_HIGH, CLIPPED_LOW = 254, 2
CLEAR_REDUCTION = 8
CLEAR_OF_WHITE = 0.97
MIN_CLEAR_SHARE = 0.01
"""A clear area: flat at 97 % of the picture's own white or more, over at least 1 % of the picture."""
FINE_RATIO_AT_LIMIT, MIDDLE_RATIO_AT_LIMIT = 0.22, 0.535
"""Ratios of detail at 0.5-1 um and 1-2 um to detail at 2-4 um that sharp real fields keep (lowest: 0.255 and 0.55) and
of which a further blur of 1 um (sigma) takes one (the finer to at most 0.216; a strongly sharpened field still has 0.26
and 0.64, which a blur of 1.25 um brings to 0.195 and 0.54)."""
STRUCTURE_PERCENTILE = 98.0
"""Detail is that of the strongest 2 %: walls and rims of nuclei fill little more of a field."""
CLEAR_PERCENTILE = 1.0
"""Of od10: the clearest part of the picture."""
MOST_RANKED_PX = 60_000
"""Percentiles of larger pictures are taken from evenly spaced rows and columns."""
CELL_UM_PER_PX = 1.0
"""Scale at which cells are told from fat."""
FAINT_OD10 = 0.03
"""Green od10 over the clearest part from which a place may belong to a cell: half of `TISSUE_OD10`, so that pale nuclei
count and the camera's noise, averaged over a um, does not."""
CELL_WIDTH_UM, VACUOLE_UM = 5, 25
"""Anything narrower than a small nucleus is no cell (walls of fat cells are 1 to 3 um thick); an empty place that
holds a disc of two cells' width is fat, lumen or glass, not the space between cells."""
STRONG_PERCENTILE, STRONGEST_PERCENTILE = 5.0, 1.0
"""Of the picture's darkest channel: the strong stain, and the strongest."""


@dataclass(frozen=True, slots=True)
class _Detail:
    focus: float
    contrast_od10: float
    """Structures of 2 to 4 um: the strongest 2 % of the picture."""
    tissue_share: float
    tissue: Mask
    solid_share: float
    """Of the picture: stained and at least as wide as a nucleus."""
    cellular_share: float
    """Of the picture: the same with the space between; the rest is fat, lumen or glass."""


@dataclass(frozen=True, slots=True)
class _Stain:
    """How much darker than white the strongest 5 % and 1 % of the picture are, in the channel that absorbs most."""

    strong_od10: float
    strongest_od10: float
    ground: float
    """Grey level of the ground in its brightest channel: a tinted lamp is not grey."""


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
    green, highest, lowest = _green_and_extremes(rgb)
    detail = _detail(green, um_per_px)
    clipped, dark = _clipped_shares(highest, lowest, detail.tissue)
    stain = _stain(highest, lowest, um_per_px, white)
    refused = _refusals(detail, stain, um_per_px, white, clipped, settings, speed_um_per_s)
    said = dict(refused)
    if not refused and clipped > settings.max_clipped_share:
        said["clipped"] = f"{100 * clipped:.0f} % of the tissue's pixels are clipped: od10 there is a lower bound"
    return QualityReport(
        not refused, tuple(said), tuple(said.values()), round(detail.focus, 3), clipped, detail.tissue_share, dark
    )


def clipped_share(rgb: RgbImage, tissue: Mask) -> float:
    """Share of the tissue's pixels with a channel at an end of the camera's range."""
    _, highest, lowest = _green_and_extremes(rgb)
    clipped, _ = _clipped_shares(highest, lowest, tissue)
    return clipped


def _clipped_shares(highest: Mask, lowest: Mask, tissue: Mask) -> tuple[float, float]:
    """Shares (0..1) of the tissue's pixels with a channel at either end of the camera's range, and at its dark end."""
    inside = enlarged(tissue, lowest.shape)
    n_tissue, n_clipped, n_dark = max(1, cv2.countNonZero(inside)), 0, 0
    for rows in row_blocks(inside):
        here, dark = inside[rows] > 0, lowest[rows] <= CLIPPED_LOW
        n_dark += int(np.count_nonzero(dark & here))
        n_clipped += int(np.count_nonzero((dark | (highest[rows] >= CLIPPED_HIGH)) & here))
    return n_clipped / n_tissue, n_dark / n_tissue


def _green_and_extremes(rgb: RgbImage) -> tuple[Mask, Mask, Mask]:
    """The green channel, and the values of each pixel's brightest and of its darkest channel, each `(H, W)` uint8."""
    green, highest, lowest = np.empty((3, *rgb.shape[:2]), np.uint8)
    for rows in row_blocks(rgb):
        red, green[rows], blue = cv2.split(rgb[rows])
        cv2.max(cv2.max(red, green[rows]), blue, dst=highest[rows])
        cv2.min(cv2.min(red, green[rows]), blue, dst=lowest[rows])
    return green, highest, lowest


def _refusals(
    detail: _Detail,
    stain: _Stain,
    um_per_px: float,
    white: float,
    clipped: float,
    settings: QualitySettings,
    speed_um_per_s: float,
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
        refused["no_tissue"] = (
            f"no tissue in view (stain in {100 * detail.tissue_share:.0f} % of the picture, at least "
            f"{100 * settings.min_tissue_share:.0f} %): move to the tumour"
        )
        return refused
    if detail.solid_share < settings.min_solid_share and detail.cellular_share < settings.min_cellular_share:
        refused["little_tissue"] = (
            f"mostly fat or empty (only {100 * detail.cellular_share:.0f} % of the picture is cellular, at least "
            f"{100 * settings.min_cellular_share:.0f} %): move to the tumour"
        )
    if clipped > settings.unusable_clipped_share:
        refused["over_exposed"] = f"{100 * clipped:.0f} % of the tissue's pixels are clipped: lower the exposure"
    if detail.focus < settings.min_focus:
        refused["blurred"] = f"out of focus (sharpness {detail.focus:.2f}, at least {settings.min_focus:g}): refocus"
    elif detail.contrast_od10 < settings.min_contrast_od10:
        refused["low_contrast"] = (
            f"nuclei and membranes barely stand out ({detail.contrast_od10:.4f} od10, at least "
            f"{settings.min_contrast_od10:g}): refocus, clean the optics, or check the counterstain"
        )
    grey = _greyness(stain, detail.contrast_od10, settings)
    if grey:
        refused["grey"] = grey
    return refused


def _greyness(stain: _Stain, contrast_od10: float, settings: QualitySettings) -> str:
    """What is wrong where a veil may lie over the picture, else nothing.

    A veil (stray light, dirty optics, a washed-out export) draws every light towards one grey: white falls and stain
    pales. Pale stain on a bright ground is just pale; on a grey ground it cannot be told from a veil. Under a veil
    strong stain ends at one grey, the veil's own, however much of it there is.
    """
    if stain.ground >= settings.min_bright_white:
        return ""
    ground = f"the ground is grey (at most {stain.ground:.0f} of 255, bright from {settings.min_bright_white:.0f})"
    remedy = "raise lamp or exposure, close the field diaphragm, clean the optics"
    if stain.strong_od10 < settings.min_grey_stain_od10 and contrast_od10 < settings.min_grey_contrast_od10:
        return (
            f"{ground} and the stain on it pale ({stain.strong_od10:.2f} od10, at least "
            f"{settings.min_grey_stain_od10:g}): {remedy}"
        )
    span = stain.strongest_od10 - stain.strong_od10
    if stain.strongest_od10 < settings.max_veiled_od10 and span < settings.min_dark_span_od10:
        return (
            f"{ground} and all dark places end at one grey (within {span:.3f} od10, at least "
            f"{settings.min_dark_span_od10:g}): {remedy}"
        )
    return ""


def _stain(highest: Mask, lowest: Mask, um_per_px: float, white: float) -> _Stain:
    """Strength of the stain from each pixel's darkest channel, averaged over a um, and the ground it stands on."""
    factor = max(1, int(CELL_UM_PER_PX / um_per_px))  # whole numbers are reduced several times faster
    dark, bright = (_ranked(reduced(channel, factor)) for channel in (lowest, highest))
    levels = (grey_percentile(dark, percent) for percent in (STRONG_PERCENTILE, STRONGEST_PERCENTILE))
    strong, strongest = (max(0.0, float(np.log10(white / max(level, 0.5)))) for level in levels)
    return _Stain(strong, strongest, max(white, grey_percentile(bright, WHITE_PERCENTILE)))


def _detail(green: Mask, um_per_px: float) -> _Detail:
    """Sharpness and contrast of the tissue, at a fixed scale, from the green channel (both stains absorb there)."""
    od10 = _od10_at_gate(green, um_per_px)
    smooth, passing = (np.empty_like(od10) for _ in range(2))  # of the others only the ranked pixels are looked at
    quarter, half, one, two = (
        _ranked(cv2.GaussianBlur(od10, (0, 0), sigma_um / GATE_UM_PER_PX, dst=plane)).copy()
        for sigma_um, plane in ((0.25, passing), (0.5, passing), (1.0, smooth), (2.0, passing))
    )
    fine, middle, coarse = (np.abs(a - b) for a, b in ((quarter, half), (half, one), (one, two)))
    clear_od10 = percentile(one, CLEAR_PERCENTILE)
    tissue = (smooth > clear_od10 + TISSUE_OD10).view(np.uint8)
    inside = _ranked(tissue).astype(bool)
    tissue_share = float(inside.mean())
    contrast = percentile(coarse, STRUCTURE_PERCENTILE)
    solid_share, cellular_share = _cellular(smooth, um_per_px, clear_od10)
    if tissue_share == 0:
        return _Detail(0.0, contrast, 0.0, tissue, solid_share, cellular_share)
    strength = [percentile(band[inside], STRUCTURE_PERCENTILE) for band in (fine, middle, coarse)]
    reference = max(strength[2], 1e-6)
    focus = min(strength[0] / reference / FINE_RATIO_AT_LIMIT, strength[1] / reference / MIDDLE_RATIO_AT_LIMIT)
    return _Detail(focus, contrast, tissue_share, tissue, solid_share, cellular_share)


def _cellular(od10: Plane, um_per_px: float, clear_od10: float) -> tuple[float, float]:
    """Shares of the picture that cells fill: alone, and with the narrow spaces between them."""
    small = _reduced_to(od10, max(um_per_px, GATE_UM_PER_PX), CELL_UM_PER_PX)
    stained = (small > clear_od10 + FAINT_OD10).view(np.uint8)
    solid = cv2.morphologyEx(stained, cv2.MORPH_OPEN, _disc(CELL_WIDTH_UM))
    cellular = closed(solid, _disc(VACUOLE_UM))
    solid_px, cellular_px = cv2.countNonZero(solid), cv2.countNonZero(cellular)
    return solid_px / stained.size, cellular_px / stained.size


def _disc(width_um: int) -> Mask:
    width_px = round(width_um / CELL_UM_PER_PX)
    disc: Mask = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width_px, width_px))
    return disc


def _od10_at_gate(channel: Mask, um_per_px: float) -> Plane:
    """od10 of a channel against 255, at the gate's scale or at its own where that is coarser."""
    table = -np.log10(np.maximum(np.arange(256), 1) / 255.0).astype(np.float32)
    found: NDArray[np.float32] = cv2.LUT(_reduced_to(channel, um_per_px, GATE_UM_PER_PX), table)
    return found


def _ranked(plane: NDArray[P]) -> NDArray[P]:
    """The pixels of which percentiles are taken: all, or every second, third ... of a large picture."""
    step = max(1, ceil(sqrt(plane.size / MOST_RANKED_PX)))
    return plane[::step, ::step]


def _reduced_to(image: NDArray[P], um_per_px: float, coarse_um_per_px: float) -> NDArray[P]:
    """Picture at a coarser scale by area averaging; as it is where it is that coarse already."""
    factor = um_per_px / coarse_um_per_px
    if factor >= 1:
        return image
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)


def clear_white(rgb: RgbImage) -> Vector | None:
    """White of the picture's clear areas; None where it shows none: then a drift of lamp or camera cannot be seen."""
    small = reduced(rgb, CLEAR_REDUCTION)
    least = [CLEAR_OF_WHITE * grey_percentile(small, WHITE_PERCENTILE, channel) for channel in range(3)]
    bright = cv2.inRange(small, np.ceil(least), (255, 255, 255))
    clear = cv2.erode(bright, np.ones((3, 3), np.uint8))  # bright specks of tissue are not clear areas
    if cv2.countNonZero(clear) / clear.size < MIN_CLEAR_SHARE:
        return None
    red, green, blue = (grey_percentile(small, 50.0, channel, clear) for channel in range(3))
    return red, green, blue


def white_drift(white_rgb: Vector, reference_rgb: Vector) -> float:
    """Largest relative change (0..) of a channel's white against a reference."""
    return float(np.max(np.abs(np.array(white_rgb) / np.array(reference_rgb) - 1)))
