"""What disturbs a reader of HER2 fields, in figures that are measured alike on real and drawn pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from her2scope.imaging.opencv import cv2
from her2scope.imaging.quality import CLIPPED_HIGH, CLIPPED_LOW
from her2scope.imaging.stains import od10_table
from her2scope.phantom.compare.measures import (
    BANDS_UM,
    WINDOW_UM,
    Blobs,
    Flags,
    Lines,
    Marks,
    Planes,
    band_rms,
    blockiness,
    disk,
    find_blobs,
    find_lines,
    glass_halo,
    line_halo,
    line_heights,
    line_widths_um,
    nearest_um,
    planes_of,
    ripple,
    smoothed,
)
from her2scope.phantom.noise import Floats
from her2scope.records import Plane, RgbImage

PERCENTILES = np.arange(1.0, 100.0, 2.0)
"""A figure's distribution in one picture is kept as these percentiles: every picture then weighs the same."""
MIN_LINES = 60
"""Fewer places of lines than this are the crests of noise and grain: the picture shows no membranes."""
NEAR_LINE_UM, NEAR_NUCLEUS_UM = 1.3, 0.5
"""What lies this near a line's crest or a nucleus' rim is not cytoplasm."""
CELL_REACH_UM = 5.0
"""Tissue this near a nucleus larger than `TUMOUR_NUCLEUS_UM` is taken for cytoplasm; beyond twice it, for stroma."""
TUMOUR_NUCLEUS_UM = 5.0
MIN_AREA_SHARE = 0.002
"""A kind of area smaller than this share of the picture is not measured."""
PATCH_UM = 20.0
MIN_TISSUE_SHARE = 0.5
"""Of a window whose spectrum is taken."""
NOISE_BLOCK_PX = 8


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of the table."""

    unit: str
    meaning: str


FIGURES: Mapping[str, Figure] = {
    "dab_hue_red_blue": Figure("deg", "angle of brown places' od10 from red to blue (Ruifrok's DAB: 71)"),
    "dab_hue_green": Figure("deg", "angle of brown places' od10 towards green (Ruifrok's DAB: 35)"),
    "haematoxylin_hue_red_blue": Figure("deg", "the same of nuclei (Ruifrok's haematoxylin: 24)"),
    "haematoxylin_hue_green": Figure("deg", "the same of nuclei (Ruifrok's haematoxylin: 45)"),
    "membrane_od10": Figure("od10", "DAB on the darker half of the lines' places"),
    "membrane_height_od10": Figure("od10", "DAB of lines over the tissue beside them"),
    "membrane_width_um": Figure("um", "full width of lines at half height"),
    "membrane_roughness": Figure("share", "deviation of a line's DAB from its mean over 2 um"),
    "line_density": Figure("1/um", "length of lines in an area of tissue"),
    "cytoplasm_dab_od10": Figure("od10", "DAB near nuclei, off lines"),
    "cytoplasm_dab_granularity": Figure("od10", "rms of DAB between 0.5 and 1.5 um there"),
    "cytoplasm_dab_patchiness": Figure("od10", "deviation of DAB's means over 20 um there"),
    "cytoplasm_haematoxylin_od10": Figure("od10", "haematoxylin near nuclei"),
    "stroma_dab_od10": Figure("od10", "DAB far from lines and nuclei"),
    "stroma_haematoxylin_od10": Figure("od10", "haematoxylin far from lines and nuclei"),
    "nucleus_haematoxylin_od10": Figure("od10", "mean of a nucleus"),
    "nucleus_contrast_od10": Figure("od10", "haematoxylin of a nucleus over the ring around it"),
    "nucleus_dab_od10": Figure("od10", "DAB of a nucleus"),
    "nucleus_texture_od10": Figure("od10", "deviation of haematoxylin within a nucleus"),
    "nucleus_diameter_um": Figure("um", "of blobs found by scale"),
    "nucleus_distance_um": Figure("um", "to the nearest other blob"),
    "nucleus_density": Figure("1/mm2", "blobs in an area of tissue"),
    "marked_diameter_um": Figure("um", "of nuclei marked by hand"),
    "marked_distance_um": Figure("um", "to the nearest other marked nucleus"),
    "glass_share": Figure("share", "area of flat glass"),
    "white_red": Figure("grey", "median of glass"),
    "white_green": Figure("grey", "median of glass"),
    "white_blue": Figure("grey", "median of glass"),
    "cast_red_green": Figure("ratio", "glass: red over green"),
    "cast_blue_green": Figure("ratio", "glass: blue over green"),
    "vignetting": Figure("share", "fall of glass from its brightest to its darkest part"),
    "halo_lines": Figure("share", "bright rim beside dark lines, share of the step"),
    "halo_glass": Figure("share", "overshoot at edges of tissue, share of the step"),
    "noise_glass": Figure("grey", "deviation of the finest residual, green channel"),
    "noise_tissue": Figure("grey", "the same in the smoothest tissue"),
    "noise_grain": Figure("share", "correlation of the residual in glass between neighbouring pixels"),
    "blockiness": Figure("share", "excess of steps at every eighth pixel"),
    "spectrum_slope": Figure("power", "log power over log frequency, periods 1 to 16 um"),
    **{f"band_{low:g}_{high:g}_um": Figure("od10", "rms of tissue at these periods") for low, high in BANDS_UM},
    "sharpness": Figure("ratio", "rms at 1-2 um over 4-8 um"),
    "clipped_high": Figure("share", "pixels with a channel at 254 or more"),
    "clipped_low": Figure("share", "pixels with a channel at 2 or less"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Nuisances:
    """Figures of one picture: for each name of `FIGURES`, its samples (empty where the picture does not show it)."""

    samples: Mapping[str, Floats]

    def distribution(self, name: str) -> Floats:
        """Values at `PERCENTILES`; empty where there are no samples."""
        values = self.samples[name]
        return np.percentile(values, PERCENTILES) if len(values) else values


def measure(rgb: RgbImage, um_per_px: float, nuclei: Marks | None = None) -> Nuisances:
    """Measure one picture.

    Parameters
    ----------
    rgb : (H, W, 3) uint8
    nuclei : marks of a part of the picture, where somebody made them
    """
    planes = planes_of(rgb, um_per_px)
    lines = find_lines(planes.dab_od10, planes.haematoxylin_od10, um_per_px)
    blobs = find_blobs(planes.haematoxylin_od10, planes.dab_od10, um_per_px)
    found: dict[str, ArrayLike] = {
        **_hues(planes, blobs),
        **_membranes(planes, lines),
        **_areas(planes, lines, blobs),
        **_nuclei(planes, blobs),
        **_marked(nuclei, um_per_px),
        **_glass(planes),
        **_texture(planes),
        **_camera(planes),
    }
    samples = {name: np.atleast_1d(np.asarray(found.get(name, []), dtype=np.float64)) for name in FIGURES}
    return Nuisances({name: values[np.isfinite(values)] for name, values in samples.items()})


def _hues(planes: Planes, blobs: Blobs) -> dict[str, ArrayLike]:
    """Hues of strongly stained places: brown ones anywhere, blue ones in nuclei."""
    od10 = smoothed(cv2.LUT(planes.rgb, od10_table(planes.white_rgb, "linear")), 0.3, planes.um_per_px)
    length = np.linalg.norm(od10, axis=2)
    usable = planes.rgb.min(axis=2) > 12  # near black every hue is grey
    around = np.degrees(np.arctan2(od10[:, :, 2], np.maximum(od10[:, :, 0], 1e-6)))
    green = np.degrees(np.arcsin(np.clip(od10[:, :, 1] / np.maximum(length, 1e-6), 0.0, 1.0)))
    brown = usable & (around > 55.0) & (length > 0.35)
    in_nuclei = _disks(blobs, planes.um_per_px, planes.tissue.shape, 0.7)
    blue = usable & in_nuclei & (around < 42.0) & (length > 0.15)
    found: dict[str, ArrayLike] = {}
    for name, places in (("dab", brown), ("haematoxylin", blue)):
        if places.mean() > MIN_AREA_SHARE:
            # the stronger half: mixing with the other stain, and the white's error, count least there
            strong = places & (length >= np.median(length[places]))
            found |= {f"{name}_hue_red_blue": around[strong], f"{name}_hue_green": green[strong]}
    return found


def _membranes(planes: Planes, lines: Lines) -> dict[str, ArrayLike]:
    tissue_um2 = float(planes.tissue.sum()) * planes.um_per_px**2
    density = lines.length_um / tissue_um2 if tissue_um2 > 0 else np.nan
    if len(lines.xy_px) < MIN_LINES:
        return {"line_density": density}
    peak = lines.peak_od10
    return {
        "line_density": density,
        "membrane_od10": peak[peak >= np.median(peak)],
        "membrane_height_od10": line_heights(lines.profile_od10),
        "membrane_width_um": line_widths_um(lines.profile_od10),
        "membrane_roughness": _roughness(planes, lines),
        "halo_lines": line_halo(planes.light, lines, planes.um_per_px),
    }


def _roughness(planes: Planes, lines: Lines) -> Floats:
    """Relative deviation of each place's peak from that of the places within about 2 um."""
    at = tuple(np.rint(lines.xy_px[:, ::-1]).astype(np.intp).T)
    crest, n = np.zeros_like(planes.dab_od10), np.zeros_like(planes.dab_od10)
    crest[at], n[at] = lines.peak_od10, 1.0
    near = smoothed(crest, 1.0, planes.um_per_px)[at] / np.maximum(smoothed(n, 1.0, planes.um_per_px)[at], 1e-9)
    return np.abs(lines.peak_od10 / np.maximum(near, 1e-6) - 1.0)


def _areas(planes: Planes, lines: Lines, blobs: Blobs) -> dict[str, ArrayLike]:
    """Stains of cytoplasm and stroma, told apart by what is near."""
    scale, shape = planes.um_per_px, planes.tissue.shape
    crest = np.zeros(shape, np.uint8)
    if len(lines.xy_px) >= MIN_LINES:
        crest[tuple(np.rint(lines.xy_px[:, ::-1]).astype(np.intp).T)] = 1
    from_line_um = cv2.distanceTransform(1 - crest, cv2.DIST_L2, 5) * scale
    large = blobs.radius_um >= TUMOUR_NUCLEUS_UM / 2
    large_ones = Blobs(blobs.xy_px[large], blobs.radius_um[large])
    from_nucleus_um = _distance_um(_disks(blobs, scale, shape, 1.0), scale)
    from_large_um = _distance_um(_disks(large_ones, scale, shape, 1.0), scale)
    off = planes.tissue & (from_line_um > NEAR_LINE_UM) & (from_nucleus_um > NEAR_NUCLEUS_UM)
    cytoplasm = off & (from_large_um < CELL_REACH_UM)
    stroma = off & (from_large_um > 2 * CELL_REACH_UM) & (from_line_um > 2 * CELL_REACH_UM)
    found: dict[str, ArrayLike] = {}
    dab = smoothed(planes.dab_od10, 0.5, scale)
    blue = smoothed(planes.haematoxylin_od10, 0.5, scale)
    if cytoplasm.mean() > MIN_AREA_SHARE:
        grain = dab - smoothed(planes.dab_od10, 1.5, scale)
        found |= {
            "cytoplasm_dab_od10": dab[cytoplasm],
            "cytoplasm_haematoxylin_od10": blue[cytoplasm],
            "cytoplasm_dab_granularity": np.sqrt(_tile_means(np.square(grain), cytoplasm, scale)),
            "cytoplasm_dab_patchiness": _deviation(_tile_means(dab, cytoplasm, scale)),
        }
    if stroma.mean() > MIN_AREA_SHARE:
        found |= {"stroma_dab_od10": dab[stroma], "stroma_haematoxylin_od10": blue[stroma]}
    return found


def _disks(blobs: Blobs, um_per_px: float, shape: tuple[int, ...], share: float) -> Flags:
    """Area within `share` of each blob's radius."""
    drawn = np.zeros(shape, np.uint8)
    for (x, y), radius_um in zip(blobs.xy_px, blobs.radius_um, strict=True):
        cv2.circle(drawn, (round(float(x)), round(float(y))), max(1, round(share * radius_um / um_per_px)), 1, -1)
    return drawn.astype(bool)


def _distance_um(places: Flags, um_per_px: float) -> Plane:
    if not places.any():
        return np.full(places.shape, np.inf, np.float32)
    return cv2.distanceTransform((~places).astype(np.uint8), cv2.DIST_L2, 5) * um_per_px


def _tile_means(plane: Plane, inside: Flags, um_per_px: float) -> Floats:
    """Means over squares of `PATCH_UM` that hold at least a tenth of the area asked for."""
    side = max(2, round(PATCH_UM / um_per_px))
    height, width = (length // side for length in plane.shape)
    weight = inside[: height * side, : width * side].reshape(height, side, width, side).sum(axis=(1, 3))
    total = (plane * inside)[: height * side, : width * side].reshape(height, side, width, side).sum(axis=(1, 3))
    enough = weight > 0.1 * side**2
    return np.asarray(total[enough] / weight[enough], dtype=np.float64)


def _deviation(values: Floats) -> float:
    return float(values.std()) if len(values) > 4 else np.nan


def _nuclei(planes: Planes, blobs: Blobs) -> dict[str, ArrayLike]:
    tissue_mm2 = float(planes.tissue.sum()) * (planes.um_per_px / 1000.0) ** 2
    density = len(blobs.radius_um) / tissue_mm2 if tissue_mm2 > 0 else np.nan
    inner, ring, texture, brown = [], [], [], []
    for (x, y), radius_um in zip(blobs.xy_px, blobs.radius_um, strict=True):
        blue, dab, distance = _around(planes, x, y, 1.7 * radius_um)
        share = distance / radius_um
        middle, beside = share < 0.7, (share > 1.2) & (share < 1.6)
        if middle.sum() < 4 or beside.sum() < 4:
            continue
        inner.append(float(blue[middle].mean()))
        ring.append(float(blue[beside].mean()))
        texture.append(float(blue[middle].std()))
        brown.append(float(dab[middle].mean()))
    return {
        "nucleus_haematoxylin_od10": inner,
        "nucleus_contrast_od10": np.array(inner) - np.array(ring),
        "nucleus_texture_od10": texture,
        "nucleus_dab_od10": brown,
        "nucleus_diameter_um": 2.0 * blobs.radius_um,
        "nucleus_distance_um": nearest_um(blobs.xy_px * planes.um_per_px),
        "nucleus_density": density,
    }


def _around(planes: Planes, x: float, y: float, reach_um: float) -> tuple[Plane, Plane, Floats]:
    """Both stains of the square around a place, and each pixel's distance (um) from it."""
    reach = reach_um / planes.um_per_px
    left, top = max(0, int(x - reach)), max(0, int(y - reach))
    square = np.s_[top : int(y + reach) + 2, left : int(x + reach) + 2]
    blue = planes.haematoxylin_od10[square]
    rows, columns = np.ogrid[: blue.shape[0], : blue.shape[1]]
    return blue, planes.dab_od10[square], np.hypot(columns + left - x, rows + top - y) * planes.um_per_px


def _marked(nuclei: Marks | None, um_per_px: float) -> dict[str, ArrayLike]:
    if nuclei is None:
        return {}
    return {
        "marked_diameter_um": 2.0 * nuclei.radius_px * um_per_px,
        "marked_distance_um": nearest_um(nuclei.xy_px * um_per_px),
    }


def _glass(planes: Planes) -> dict[str, ArrayLike]:
    """White, cast, shading and noise, where the picture shows glass."""
    found: dict[str, ArrayLike] = {"glass_share": float(planes.glass.mean())}
    if planes.glass.mean() < MIN_AREA_SHARE:
        return found
    red, green, blue = (float(level) for level in np.median(planes.rgb[planes.glass], axis=0))
    found |= {"white_red": red, "white_green": green, "white_blue": blue}
    found |= {"cast_red_green": red / green, "cast_blue_green": blue / green}
    found["vignetting"] = _vignetting(planes)
    if green < CLIPPED_HIGH:
        residual = ripple(planes.rgb[:, :, 1].astype(np.float32))
        inner = cv2.erode(planes.glass.astype(np.uint8), disk(3)).astype(bool)
        if inner.sum() > 500:
            found |= {"noise_glass": float(residual[inner].std()), "noise_grain": _grain(planes, inner)}
    return found


def _vignetting(planes: Planes, tiles: int = 6) -> float:
    """Fall of the glass' light over the picture; nan where it is seen in too few parts."""
    levels = []
    for row in np.array_split(np.arange(planes.glass.shape[0]), tiles):
        for column in np.array_split(np.arange(planes.glass.shape[1]), tiles):
            part = np.s_[row[0] : row[-1] + 1, column[0] : column[-1] + 1]
            if planes.glass[part].mean() > 0.02:
                levels.append(float(np.median(planes.light[part][planes.glass[part]])))
    return 1.0 - min(levels) / max(levels) if len(levels) >= 6 else np.nan


def _grain(planes: Planes, inside: Flags) -> float:
    """Correlation of what is left of the green channel after a local mean, one pixel apart."""
    green = planes.rgb[:, :, 1].astype(np.float32)
    rest = green - cv2.GaussianBlur(green, (0, 0), 3.0)
    pairs = inside[:, 1:] & inside[:, :-1]
    first, second = rest[:, 1:][pairs], rest[:, :-1][pairs]
    spread = float(first.std() * second.std())
    return float(np.mean(first * second) / spread) if spread > 0 else np.nan


def _texture(planes: Planes) -> dict[str, ArrayLike]:
    """Spectra of windows of tissue."""
    side = round(WINDOW_UM / planes.um_per_px)
    height, width = planes.tissue.shape
    rms, slope = [], []
    for top in range(0, height - side + 1, side):
        for left in range(0, width - side + 1, side):
            window = np.s_[top : top + side, left : left + side]
            if planes.tissue[window].mean() >= MIN_TISSUE_SHARE:
                bands, fall = band_rms(planes.green_od10[window], planes.um_per_px)
                rms.append(bands)
                slope.append(fall)
    if not rms:
        return {}
    by_band = np.stack(rms, axis=1)
    names = [f"band_{low:g}_{high:g}_um" for low, high in BANDS_UM]
    sharpness = by_band[1] / np.maximum(by_band[3], 1e-9)
    return {**dict(zip(names, by_band, strict=True)), "spectrum_slope": slope, "sharpness": sharpness}


def _camera(planes: Planes) -> dict[str, ArrayLike]:
    highest, lowest = planes.rgb.max(axis=2), planes.rgb.min(axis=2)
    found: dict[str, ArrayLike] = {
        "clipped_high": float((highest >= CLIPPED_HIGH).mean()),
        "clipped_low": float((lowest <= CLIPPED_LOW).mean()),
        "blockiness": blockiness(planes.light),
        "halo_glass": glass_halo(planes),
        "noise_tissue": _tissue_noise(planes),
    }
    return found


def _tissue_noise(planes: Planes) -> ArrayLike:
    """Residual's deviation in the smoothest tenth of tissue blocks: elsewhere it is texture."""
    squared = np.square(ripple(planes.rgb[:, :, 1].astype(np.float32)))
    height, width = (length // NOISE_BLOCK_PX for length in squared.shape)
    blocks = (height, NOISE_BLOCK_PX, width, NOISE_BLOCK_PX)
    cut = np.s_[: height * NOISE_BLOCK_PX, : width * NOISE_BLOCK_PX]
    mean = squared[cut].reshape(blocks).mean(axis=(1, 3))
    whole = planes.tissue[cut].reshape(blocks).all(axis=(1, 3))
    if whole.sum() < 50:
        return []
    return np.sqrt(np.percentile(mean[whole], [2, 4, 6, 8, 10]))
