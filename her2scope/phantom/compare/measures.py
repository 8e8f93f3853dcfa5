"""Simple measures of any picture, real or drawn: glass, lines, nuclei, spectrum, noise. None of them knows a truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from her2scope.imaging.opencv import cv2
from her2scope.imaging.stains import estimate_white, od10_table, unmix
from her2scope.phantom.noise import Floats
from her2scope.records import Plane, RgbImage
from her2scope.settings import Calibration, Vector

Flags = NDArray[np.bool_]

TISSUE_OD10 = 0.06
"""Green od10 from which a place is tissue (as the quality gate has it)."""
GLASS_OD10 = 0.08
"""No channel of glass lies farther from the estimated white, which sharpening, shading and noise make too bright."""
GLASS_SLOPE_OD10_PER_UM = 0.003
"""Glass is flat: pale stroma, as bright, slopes twice as much nearly everywhere."""
GLASS_OPENING_UM = 3.0
"""Glass narrower than twice this is a gap in the tissue, whose light comes from its surroundings."""
MIN_GLASS_UM2 = 120.0
SMOOTHING_UM, GLASS_SMOOTHING_UM = 0.5, 1.2

LINE_SIGMAS_UM = (0.4, 0.8)
"""Scales at which lines are looked for: widths of about 0.6 to 2.5 um."""
MIN_LINE_OD10 = 0.05
"""Least height of a line over the higher of its two sides."""
STRONG_LINE_SHARE = 0.2
"""Least height of a line as a share of the strong lines of its picture: below it lie grain and texture."""
BLACK_OD10 = 0.5
"""DAB from which a line counts as brown whatever its haematoxylin: thick DAB is near black, and unmixed into both."""
MIN_LINE_UM = 4.0
"""Least reach of a line's piece."""
MAX_ROUNDNESS = 0.7
"""Curvature along a line over that across it; a round grain has 1."""
PROFILE_REACH_UM, PROFILE_STEP_UM = 3.5, 0.1
SIDE_REACH_UM = 2.5
"""How far from a line its side's lowest place is looked for."""

BLOB_UM_PER_PX = 0.4
BLOB_SIGMAS_UM = tuple(float(sigma) for sigma in np.geomspace(1.4, 4.6, 9))
"""A disk of diameter 2 sqrt(2) sigma answers most: nuclei of 4.5 to 12 um (the ends of the scales give none)."""
DISK_ANSWER = 2.0 / np.e
"""Answer of the normalised Laplacian of a Gaussian to a disk of contrast 1 at that scale."""
MIN_NUCLEUS_OD10 = 0.04
STRONG_SHARE = 0.3
"""Least contrast of a nucleus as a share of the strong nuclei of its picture."""
DAB_VEIL = 0.3
"""Share of the DAB taken off the haematoxylin: thick DAB is near black and leaks into it when unmixed."""
RAY_REACH_UM, RAY_STEP_UM, N_RAYS = 7.0, 0.1, 16
MIN_CLOSED_SHARE = 0.7
"""Share of the rays from a nucleus' centre along which its edge must be found."""


@dataclass(frozen=True, slots=True, eq=False)
class Planes:
    """A picture and what follows from its colours, all `(H, W)` but `rgb`."""

    rgb: RgbImage
    um_per_px: float
    white_rgb: Vector
    light: Plane
    """Mean of the three channels, grey levels."""
    green_od10: Plane
    dab_od10: Plane
    haematoxylin_od10: Plane
    tissue: Flags
    glass: Flags


def planes_of(rgb: RgbImage, um_per_px: float) -> Planes:
    """Planes of a picture by the default stain vectors and a white estimated from the picture itself."""
    white = estimate_white(rgb)
    stains = unmix(rgb, um_per_px, Calibration(white_rgb=white))
    od10 = cv2.LUT(rgb, od10_table(white, "linear"))
    smooth = smoothed(od10, SMOOTHING_UM, um_per_px)
    return Planes(
        rgb=rgb,
        um_per_px=um_per_px,
        white_rgb=white,
        light=rgb.mean(axis=2, dtype=np.float32),
        green_od10=np.ascontiguousarray(od10[:, :, 1]),
        dab_od10=stains.dab_od10,
        haematoxylin_od10=stains.haematoxylin_od10,
        tissue=smooth[:, :, 1] > TISSUE_OD10,
        glass=_glass(smooth, um_per_px),
    )


def smoothed(plane: NDArray[np.float32], sigma_um: float, um_per_px: float) -> NDArray[np.float32]:
    """Gaussian mean."""
    return cv2.GaussianBlur(plane, (0, 0), max(0.3, sigma_um / um_per_px))


def disk(radius_px: float) -> NDArray[np.uint8]:
    """Round structuring element."""
    side = 2 * max(1, round(radius_px)) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))


def _glass(smooth_od10: NDArray[np.float32], um_per_px: float) -> Flags:
    smooth_od10 = smoothed(smooth_od10, GLASS_SMOOTHING_UM, um_per_px)
    mean = np.ascontiguousarray(smooth_od10.mean(axis=2))
    slope = np.hypot(cv2.Sobel(mean, cv2.CV_32F, 1, 0, scale=0.125), cv2.Sobel(mean, cv2.CV_32F, 0, 1, scale=0.125))
    flat = (smooth_od10.max(axis=2) < GLASS_OD10) & (slope / um_per_px < GLASS_SLOPE_OD10_PER_UM)
    closed = cv2.morphologyEx(flat.astype(np.uint8), cv2.MORPH_CLOSE, disk(1.0 / um_per_px))
    opened = cv2.morphologyEx(closed, cv2.MORPH_OPEN, disk(GLASS_OPENING_UM / um_per_px))
    n, labels, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    large = stats[:n, cv2.CC_STAT_AREA] * um_per_px**2 >= MIN_GLASS_UM2
    large[0] = False
    return np.asarray(large[labels])


def sampled(plane: Plane, x_px: Floats, y_px: Floats) -> Plane:
    """Bilinear samples of a plane at places of any two-dimensional shape; beyond the rim its own edge."""
    x, y = x_px.astype(np.float32), y_px.astype(np.float32)
    if x.size == 0:
        return np.zeros(x.shape, np.float32)
    rows = 16_000  # OpenCV takes maps of up to 32767 rows
    parts = [
        cv2.remap(plane, x[k : k + rows], y[k : k + rows], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for k in range(0, len(x), rows)
    ]
    return np.concatenate(parts)


# ---- lines --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """Places on the crests of dark lines."""

    xy_px: Floats
    """`(N, 2)`."""
    normal: Floats
    """`(N, 2)`, unit vectors across the line."""
    profile_od10: Plane
    """`(N, K)`: along the normal at `PROFILE_UM`."""
    length_um: float
    """Of all lines."""

    @property
    def peak_od10(self) -> NDArray[np.float32]:
        """Highest od10 of each profile's middle."""
        return self.profile_od10[:, _MIDDLE].max(axis=1)


PROFILE_UM = np.arange(-PROFILE_REACH_UM, PROFILE_REACH_UM + 1e-9, PROFILE_STEP_UM)
"""Places of a profile, across the line."""
_MIDDLE = np.abs(PROFILE_UM) <= 0.3


def find_lines(dab: Plane, haematoxylin: Plane, um_per_px: float) -> Lines:
    """Crests of the DAB plane: maxima across the strongest curvature, brown, long, and high enough over both sides."""
    strength, angle = _curvature(dab, um_per_px)
    rows, columns = np.nonzero(strength > 0.2 * MIN_LINE_OD10)
    xy = np.stack([columns, rows], axis=1).astype(np.float64)
    normal = np.stack([np.cos(angle[rows, columns]), np.sin(angle[rows, columns])], axis=1).astype(np.float64)
    here = strength[rows, columns]
    beside = [sampled(strength, *(xy + way * normal).T[:, :, None])[:, 0] for way in (-1.0, 1.0)]
    crest = (here >= beside[0]) & (here > beside[1])
    xy, normal = xy[crest], normal[crest]
    profile = profiles(dab, xy, normal, um_per_px)
    height = line_heights(profile)
    at = tuple(xy[:, ::-1].astype(np.intp).T)
    brown = profile[:, _MIDDLE].max(axis=1) > np.minimum(haematoxylin[at], BLACK_OD10)
    seen = brown & (height >= MIN_LINE_OD10) & _inside(xy, dab.shape, PROFILE_REACH_UM / um_per_px)
    if seen.any():
        seen &= height >= STRONG_LINE_SHARE * np.percentile(height[seen], 95)
    kept = np.nonzero(seen)[0]
    kept = kept[_long(at[0][kept], at[1][kept], dab.shape, um_per_px)]
    return Lines(xy[kept], normal[kept], profile[kept], len(kept) * um_per_px)


def line_heights(profile: Plane) -> NDArray[np.float32]:
    """Height of each crest over the higher of its two sides' lowest places."""
    near = PROFILE_SIDE <= SIDE_REACH_UM
    lowest = [side[:, near].min(axis=1) for side in _sides(profile)]
    return profile[:, _MIDDLE].max(axis=1) - np.maximum(*lowest)


def _long(
    rows: NDArray[np.intp], columns: NDArray[np.intp], shape: tuple[int, ...], um_per_px: float
) -> NDArray[np.intp]:
    """Which crest pixels hang together in a piece that reaches over `MIN_LINE_UM` or more; grains make short ones."""
    crest = np.zeros(shape, np.uint8)
    crest[rows, columns] = 1
    joined = cv2.dilate(crest, np.ones((3, 3), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    reach_px = np.hypot(stats[:, cv2.CC_STAT_WIDTH] - 2, stats[:, cv2.CC_STAT_HEIGHT] - 2)
    return np.nonzero(reach_px[labels[rows, columns]] * um_per_px >= MIN_LINE_UM)[0]


def line_strength(plane: Plane, sigma_px: float) -> Plane:
    """Curvature across lines at one scale, about half a line's height; 0 where there is none."""
    return _line_at(plane, sigma_px)[0]


def _line_at(plane: Plane, sigma_px: float) -> tuple[Plane, Plane]:
    """Strength of the line through each pixel at one scale, and the angle of its normal."""
    smooth = cv2.GaussianBlur(plane, (0, 0), sigma_px)
    xx, yy, xy = (cv2.Sobel(smooth, cv2.CV_32F, dx, dy, scale=0.25) for dx, dy in ((2, 0), (0, 2), (1, 1)))
    middle, spread = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    across = (spread - middle) * sigma_px**2
    along = -(spread + middle) * sigma_px**2
    strength = np.where(along < MAX_ROUNDNESS * across, across, 0.0)
    return strength, 0.5 * np.arctan2(2 * xy, xx - yy) + np.float32(np.pi / 2)


def _curvature(dab: Plane, um_per_px: float) -> tuple[Plane, Plane]:
    """Strength of the line through each pixel (od10, about half its height) and the angle of its normal."""
    strength, angle = np.zeros_like(dab), np.zeros_like(dab)
    for sigma_um in LINE_SIGMAS_UM:
        sigma_px = max(1.0, sigma_um / um_per_px)
        here, normal = _line_at(dab, sigma_px)
        better = here > strength
        strength[better] = here[better]
        angle[better] = normal[better]
    return strength, angle


def profiles(plane: Plane, xy_px: Floats, normal: Floats, um_per_px: float) -> Plane:
    """Values across lines or edges, `(N, K)` at `PROFILE_UM`: the mean of three along the line, 0.3 um apart."""
    reach_px = PROFILE_UM / um_per_px
    along = np.stack([-normal[:, 1], normal[:, 0]], axis=1) * (0.3 / um_per_px)
    shifted = [xy_px + step * along for step in (-1, 0, 1)]
    parts = [
        sampled(plane, at[:, :1] + reach_px * normal[:, :1], at[:, 1:] + reach_px * normal[:, 1:]) for at in shifted
    ]
    return np.asarray(sum(parts) / 3.0, dtype=np.float32)


def _inside(xy_px: Floats, shape: tuple[int, ...], margin_px: float) -> Flags:
    limit = np.array([shape[1], shape[0]]) - 1 - margin_px
    return np.asarray(((xy_px >= margin_px) & (xy_px <= limit)).all(axis=1))


PROFILE_SIDE = np.arange(0.0, PROFILE_REACH_UM + 1e-9, PROFILE_STEP_UM)
"""Distances of one side's profile from the line."""


def _sides(profile: Plane) -> tuple[Plane, Plane]:
    """Both halves of profiles, each outwards from the line, `(N, len(PROFILE_SIDE))`."""
    middle = profile.shape[1] // 2
    return profile[:, middle::-1], profile[:, middle:]


def line_widths_um(profile: Plane) -> NDArray[np.float32]:
    """Full width at half height of each profile; a side without a crossing is left out with its place."""
    if not len(profile):
        return np.zeros(0, np.float32)
    widths = np.zeros(len(profile), np.float32)
    near = PROFILE_SIDE <= SIDE_REACH_UM
    peak = profile[:, _MIDDLE].max(axis=1)
    for side in _sides(profile):
        half = (peak + side[:, near].min(axis=1)) / 2
        below = side[:, near] < half[:, None]
        # the crest may lie a little off the middle: the crossing is looked for beyond it
        below &= PROFILE_SIDE[near] > 0
        first = np.maximum(below.argmax(axis=1), 1)
        row = np.arange(len(side))
        before, after = side[row, first - 1], side[row, first]
        share = np.clip((before - half) / np.maximum(before - after, 1e-6), 0.0, 1.0)
        widths += np.where(below.any(axis=1), (first - 1 + share) * PROFILE_STEP_UM, np.nan).astype(np.float32)
    return widths[np.isfinite(widths)]


# ---- halo ---------------------------------------------------------------------------------------------------------

HALO_FROM_UM, HALO_TO_UM, PLATEAU_FROM_UM = 0.3, 2.2, 2.6
LINE_HALO_TO_UM = 1.6
GLASS_RIM_UM = 2.0
MAX_HALO_GLASS = 249.0
"""Grey level of glass above which the camera's range cuts an overshoot off."""
MIN_EDGE = 25.0
"""Grey levels of an edge's step."""
MIN_GROUP = 40
"""Profiles averaged at least, so that noise makes no overshoot."""


def line_halo(light: Plane, lines: Lines, um_per_px: float) -> Floats:
    """Bright rim beside dark lines, as a share of the step from the line to what lies beyond the rim.

    One value for each part of the picture with lines enough, from the mean profile of both sides of its higher half:
    the brightest place within 1.6 um over the darkest beyond it, up to 2.5 um. 0 where light only rises.
    """
    height = line_heights(lines.profile_od10)
    high = height >= np.median(height)
    both = np.mean(_sides(profiles(light, lines.xy_px[high], lines.normal[high], um_per_px)), axis=0)
    found = []
    for mean in _part_means(both, lines.xy_px[high], light.shape):
        beside = (PROFILE_SIDE >= HALO_FROM_UM) & (PROFILE_SIDE <= LINE_HALO_TO_UM)
        at = int(np.nonzero(beside)[0][0] + mean[beside].argmax())
        beyond = float(mean[at:][PROFILE_SIDE[at:] <= SIDE_REACH_UM].min())
        if beyond - mean[0] > 3.0:
            found.append((float(mean[at]) - beyond) / (beyond - float(mean[0])))
    return np.array(found)


def glass_halo(planes: Planes) -> Floats:
    """Overshoot of light on the glass side of edges, as a share of the step; empty where clipping would hide it."""
    if planes.glass.mean() < 0.002 or float(np.median(planes.light[planes.glass])) > MAX_HALO_GLASS:
        return np.zeros(0)
    um_per_px = planes.um_per_px
    smooth = smoothed(planes.light, 0.3, um_per_px)
    dx, dy = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=0.125), cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=0.125)
    slope = np.hypot(dx, dy)
    near = cv2.dilate(planes.glass.astype(np.uint8), disk((GLASS_RIM_UM + 3.0) / um_per_px)).astype(bool)
    rows, columns = np.nonzero(near & (slope * um_per_px > 0.25) & (slope > 1.0))
    xy = np.stack([columns, rows], axis=1).astype(np.float64)
    normal = np.stack([dx[rows, columns], dy[rows, columns]], axis=1).astype(np.float64)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    here = slope[rows, columns]
    next_to = [sampled(slope, *(xy + way * normal).T[:, :, None])[:, 0] for way in (-1.0, 1.0)]
    crest = (here >= next_to[0]) & (here > next_to[1]) & _inside(xy, slope.shape, PROFILE_REACH_UM / um_per_px)
    xy, normal = xy[crest], normal[crest]
    # the mask keeps off the edges, whose surroundings slope
    wide = cv2.dilate(planes.glass.astype(np.uint8), disk(GLASS_RIM_UM / um_per_px))
    in_glass = profiles(wide.astype(np.float32), xy, normal, um_per_px)[:, PROFILE_UM > PLATEAU_FROM_UM]
    profile = profiles(planes.light, xy, normal, um_per_px)
    far, dark = PROFILE_UM > PLATEAU_FROM_UM, np.abs(PROFILE_UM + 1.0) < 0.25
    step = profile[:, far].mean(axis=1) - profile[:, dark].mean(axis=1)
    kept = (in_glass.min(axis=1) > 0.9) & (step > MIN_EDGE)
    found = []
    for mean in _part_means(profile[kept], xy[kept], slope.shape):
        plateau = float(mean[far].mean())
        beside = mean[(PROFILE_UM >= HALO_FROM_UM) & (PROFILE_UM <= HALO_TO_UM)]
        found.append((float(beside.max()) - plateau) / (plateau - float(mean[dark].mean())))
    return np.array(found)


def _part_means(profile: Plane, xy_px: Floats, shape: tuple[int, ...]) -> list[NDArray[np.float32]]:
    """Mean profile of each part of the picture that holds enough of them."""
    part = _parts(xy_px, shape)
    groups = (profile[part == number] for number in np.unique(part))
    return [group.mean(axis=0) for group in groups if len(group) >= MIN_GROUP]


def _parts(xy_px: Floats, shape: tuple[int, ...], per_side: int = 4) -> NDArray[np.intp]:
    """Number of the part of the picture that each place lies in."""
    column, row = (np.clip(xy_px[:, k] * per_side / shape[1 - k], 0, per_side - 1).astype(np.intp) for k in (0, 1))
    return row * per_side + column


# ---- nuclei -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Blobs:
    """Round dark places of the haematoxylin."""

    xy_px: Floats
    """`(N, 2)`."""
    radius_um: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """Nuclei marked by hand."""

    xy_px: Floats
    """`(N, 2)`."""
    radius_px: Floats


def find_blobs(haematoxylin: Plane, dab: Plane, um_per_px: float) -> Blobs:
    """Nuclei as maxima over place and scale of the normalised Laplacian of a Gaussian (Lindeberg, IJCV 30:79, 1998)."""
    veiled = haematoxylin - DAB_VEIL * dab
    factor = max(1.0, BLOB_UM_PER_PX / um_per_px)
    if factor > 1:
        size = (max(1, round(veiled.shape[1] / factor)), max(1, round(veiled.shape[0] / factor)))
        veiled = cv2.resize(veiled, size, interpolation=cv2.INTER_AREA)
    factor = haematoxylin.shape[1] / veiled.shape[1]
    scale = um_per_px * factor
    answers = np.stack([_blob_answer(veiled, sigma / scale) for sigma in BLOB_SIGMAS_UM])
    window = disk(1.2 / scale)
    highest = np.stack([cv2.dilate(answer, window) for answer in answers])
    highest = np.maximum(highest, np.maximum(np.roll(highest, 1, 0), np.roll(highest, -1, 0)))
    inner = np.zeros(len(answers), bool)
    inner[1:-1] = True  # at an end of the scales the size is not known
    peaks = (answers >= highest) & inner[:, None, None] & (answers > DISK_ANSWER * MIN_NUCLEUS_OD10)
    level, row, column = np.nonzero(peaks)
    strength = answers[level, row, column]
    if len(strength):
        strong = strength >= STRONG_SHARE * np.percentile(strength, 90)
        level, row, column, strength = level[strong], row[strong], column[strong], strength[strong]
    radius_um = np.sqrt(2.0) * np.array(BLOB_SIGMAS_UM)[level]
    xy_um = (np.stack([column, row], axis=1) + 0.5) * scale
    kept = _apart(xy_um, radius_um, strength)
    found = Blobs(xy_um[kept] / um_per_px - 0.5, radius_um[kept])
    return _with_edges(found, smoothed(haematoxylin, SMOOTHING_UM, um_per_px), um_per_px)


def _with_edges(blobs: Blobs, blue: Plane, um_per_px: float) -> Blobs:
    """Blobs whose haematoxylin falls to half on most sides, with the radius of the disk of that area.

    Half is between the blob's middle and the lowest places around it (the median ray's).
    """
    reach_um = np.arange(0.0, RAY_REACH_UM, RAY_STEP_UM)
    angle = np.arange(N_RAYS) * (2 * np.pi / N_RAYS)
    x = blobs.xy_px[:, 0, None, None] + np.cos(angle)[:, None] * reach_um / um_per_px
    y = blobs.xy_px[:, 1, None, None] + np.sin(angle)[:, None] * reach_um / um_per_px
    n = len(blobs.radius_um)
    rays = sampled(blue, x.reshape(n * N_RAYS, len(reach_um)), y.reshape(n * N_RAYS, len(reach_um)))
    rays = rays.reshape(n, N_RAYS, len(reach_um))
    inside = reach_um < 0.6 * blobs.radius_um[:, None]
    middle = (rays.mean(axis=1) * inside).sum(axis=1) / np.maximum(inside.sum(axis=1), 1)
    around = np.where(reach_um < 2 * blobs.radius_um[:, None, None], rays, np.inf).min(axis=2)
    lowest = np.median(around, axis=1)
    below = rays < ((middle + lowest) / 2)[:, None, None]
    closed = below.any(axis=2)
    radius_um = np.where(closed, below.argmax(axis=2) * RAY_STEP_UM, np.nan)
    kept = (closed.mean(axis=1) >= MIN_CLOSED_SHARE) & (middle - lowest >= MIN_NUCLEUS_OD10)
    area = np.array([np.nanmean(np.square(row)) for row in radius_um[kept]]).reshape(-1)
    kept_area = area > (BLOB_SIGMAS_UM[0] / 2) ** 2
    return Blobs(blobs.xy_px[kept][kept_area], np.sqrt(area[kept_area]))


def _blob_answer(plane: Plane, sigma_px: float) -> Plane:
    smooth = cv2.GaussianBlur(plane, (0, 0), sigma_px)
    return -(sigma_px**2) * cv2.Laplacian(smooth, cv2.CV_32F, ksize=1)


def _apart(xy_um: Floats, radius_um: Floats, strength: NDArray[np.float32]) -> NDArray[np.intp]:
    """Rows that stay when a blob whose centre lies in a stronger one, or the reverse, is left out."""
    kept: list[int] = []
    for row in np.argsort(-strength):
        near = np.hypot(*(xy_um[kept] - xy_um[row]).T) < np.maximum(radius_um[kept], radius_um[row])
        if not near.any():
            kept.append(int(row))
    return np.array(kept, dtype=np.intp)


def nearest_um(xy_um: Floats) -> Floats:
    """Distance of each place to its nearest other place."""
    if len(xy_um) < 2:
        return np.zeros(0)
    apart = np.hypot(xy_um[:, None, 0] - xy_um[None, :, 0], xy_um[:, None, 1] - xy_um[None, :, 1])
    np.fill_diagonal(apart, np.inf)
    return np.asarray(apart.min(axis=1))


# ---- spectrum, noise, compression ---------------------------------------------------------------------------------

BANDS_UM = ((0.5, 1.0), (1.0, 2.0), (2.0, 4.0), (4.0, 8.0), (8.0, 16.0))
"""Periods of the bands of a spectrum."""
WINDOW_UM = 32.0


def band_rms(plane: Plane, um_per_px: float) -> tuple[Floats, float]:
    """Root mean square of a square window in each of `BANDS_UM`, and the slope of its spectrum.

    The slope is that of log power per frequency against log frequency over periods of 1 (or what the pixels hold) to
    16 um; -2 is an edge picture, 0 white noise. A band that the pixels do not hold is nan.
    """
    height, width = plane.shape
    weight = np.hanning(height + 2)[1:-1, None] * np.hanning(width + 2)[None, 1:-1]
    spectrum = np.fft.rfft2((plane - np.average(plane, weights=weight)) * weight)
    power = np.abs(spectrum) ** 2 / (height * width * np.square(weight).sum())
    power[:, 1 : (width + 1) // 2] *= 2.0  # the half of the plane that rfft2 leaves out
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]) / um_per_px
    limit = 0.5 / um_per_px
    rms = []
    for low_um, high_um in BANDS_UM:
        inside = (frequency > 1.0 / high_um) & (frequency <= 1.0 / low_um)
        rms.append(float(np.sqrt(power[inside].sum())) if 1.0 / low_um <= 1.001 * limit else np.nan)
    edges = np.geomspace(1.0 / 16.0, min(1.0, limit), 9)
    n = [(frequency > low) & (frequency <= high) for low, high in zip(edges, edges[1:], strict=False)]
    points = [
        (np.log(low * high) / 2, np.log(max(power[inside].sum() / (high**2 - low**2), 1e-20)))
        for inside, low, high in zip(n, edges, edges[1:], strict=False)
        if inside.any()
    ]
    x, y = np.array(points).reshape(-1, 2).T
    slope = float(np.polyfit(x, y, 1)[0]) if len(points) > 3 else np.nan
    return np.array(rms), slope


_RIPPLE = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6.0
"""Blind to planes and edges; white noise of deviation 1 gives 1 (Immerkaer, CVIU 64:300, 1996)."""


def ripple(plane: Plane) -> Plane:
    """High-frequency residual; its deviation is that of white noise."""
    return cv2.filter2D(plane, cv2.CV_32F, _RIPPLE)


def blockiness(light: Plane) -> float:
    """Excess of steps at every eighth pixel over the other steps, as a share of them: JPEG's grid at any offset."""
    excess = []
    for plane in (light, light.T):
        step = np.abs(np.diff(plane, axis=1))
        # against the two neighbours, so that a slope or an edge counts on both sides
        jump = (step[:, 1:-1] - (step[:, :-2] + step[:, 2:]) / 2).mean(axis=0)
        by_phase = np.array([jump[phase::8].mean() for phase in range(8)])
        excess.append((by_phase.max() - np.median(by_phase)) / max(float(step.mean()), 1e-6))
    return float(np.mean(excess))
