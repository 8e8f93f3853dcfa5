"""From the network's maps to nuclei: where each is, how large, how sure, and whether it is a tumour cell's.

A nucleus is a peak of the map of middles. Every pixel of a nucleus also says where its middle is, so peaks whose pixels
point to one place are one nucleus however long it is, and a pixel between two touching nuclei goes to the one it
points to.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from her2scope.imaging.opencv import cv2
from her2scope.records import Mask, Plane
from her2scope.segmentation.maps import HALF, NetworkMaps
from her2scope.settings import NetworkSettings

SMOOTHING_UM = 0.7
"""Sigma before peaks are sought: under a third of the smallest nucleus' radius."""
VOTING_UM = 1.2
"""Sigma of the place around a peak whose pixels say where the middle is."""
RIVAL_UM = 9.0
"""Peaks farther apart than this are two nuclei: two spurious peaks of one are rarely more than its radius apart."""
SAME_SHARE = 0.6
SAME_LEAST_UM = 1.2
"""Two peaks whose middles are closer than this share of the radius (but at least so many um) are one nucleus."""
VALLEY_SHARE = 0.85
VALLEY_REACH = 1.1
"""So are two within this many radii with no valley between them: nowhere below this share of the lower peak."""
VALLEY_PLACES = np.linspace(0.15, 0.85, 8, dtype=np.float32)
LOST_UM = 4.0
"""A pixel that points farther than this past every middle belongs to a nucleus that was not found."""

Points = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class FoundNuclei:
    """Nuclei of one picture, the surest first."""

    xy_px: Points
    """`(N, 2)` middles in network pixels, all inside the picture."""
    radius_um: NDArray[np.float32]
    """`(N,)` of the disc with the nucleus' area."""
    tumour: NDArray[np.float32]
    """`(N,)` 0..1: probability that it is a tumour cell's."""
    strength: NDArray[np.float32]
    """`(N,)` 0..1: how sure the network is of it."""

    def __len__(self) -> int:
        return len(self.xy_px)

    def chosen(self, which: NDArray[np.bool_]) -> FoundNuclei:
        """Those of them for which `which` `(N,)` is true."""
        return FoundNuclei(self.xy_px[which], self.radius_um[which], self.tumour[which], self.strength[which])


@dataclass(frozen=True, slots=True, eq=False)
class _Peaks:
    """Peaks of the map of middles, highest first, in pixels of the half-size maps."""

    at: NDArray[np.intp]
    """`(N, 2)` column and row."""
    height: NDArray[np.float32]
    voted: Points
    """`(N, 2)` where the pixels around it say the middle is."""
    radius_px: NDArray[np.float32]
    """Half width of the nucleus there: distance to the nearest pixel that is none."""

    def __getitem__(self, which: NDArray[np.bool_]) -> _Peaks:
        return _Peaks(self.at[which], self.height[which], self.voted[which], self.radius_px[which])


def decode(maps: NetworkMaps, settings: NetworkSettings) -> FoundNuclei:
    """Nuclei of a picture.

    Parameters
    ----------
    maps : as the network gave them
    settings : `min_nucleus_score`, `min_nucleus_probability` and `min_nucleus_radius_um` are used

    Returns
    -------
    FoundNuclei
        Nuclei whose middle lies in the picture; one that only reaches in from outside is left out.
    """
    half_um = HALF * maps.um_per_px
    is_nucleus = (maps.nucleus >= settings.min_nucleus_probability).astype(np.uint8)
    score = _score(maps, half_um)
    peaks = _peaks(maps, score, is_nucleus, half_um, settings.min_nucleus_score)
    peaks = peaks[~_doubled(peaks, score, half_um)]
    return _measured(maps, peaks, is_nucleus, half_um, settings.min_nucleus_radius_um)


def _score(maps: NetworkMaps, half_um: float) -> Plane:
    """How much a pixel looks like the middle of a nucleus, 0..1: a middle outside any nucleus is none."""
    return cv2.GaussianBlur(maps.centre * np.sqrt(np.maximum(maps.nucleus, 0)), (0, 0), SMOOTHING_UM / half_um)


# ---- peaks --------------------------------------------------------------------------------------------------------


def _peaks(maps: NetworkMaps, score: Plane, is_nucleus: Mask, half_um: float, least: float) -> _Peaks:
    """All peaks of at least the height `least`; a flat top is one peak."""
    tops = ((score >= cv2.dilate(score, np.ones((3, 3), np.uint8))) & (score >= least)).astype(np.uint8)
    # OpenCV's own choice of algorithm labels them the same in three times as long
    n, _, _, middles = cv2.connectedComponentsWithStatsWithAlgorithm(tops, 8, cv2.CV_32S, cv2.CCL_BBDT)
    at = np.rint(middles[1:n]).astype(np.intp).reshape(-1, 2)
    height = score[at[:, 1], at[:, 0]]
    order = np.argsort(-height, kind="stable")
    at, height = at[order], height[order]
    # the border is no rim: a nucleus that is cut by it is as wide as it is inside
    bordered = cv2.copyMakeBorder(is_nucleus, 8, 8, 8, 8, cv2.BORDER_REPLICATE)
    width = cv2.distanceTransform(bordered, cv2.DIST_L2, 3)[8:-8, 8:-8]
    return _Peaks(at, height, _voted(maps, at, half_um), width[at[:, 1], at[:, 0]])


def _voted(maps: NetworkMaps, at: NDArray[np.intp], half_um: float) -> Points:
    """Where the pixels around each place say that the middle is, weighted by how near one they take themselves."""
    weight = maps.nucleus * maps.centre + np.float32(1e-6)
    rows, columns = (np.arange(length, dtype=np.float32) for length in weight.shape)
    x, y = columns + maps.offset_um[0] / half_um, rows[:, None] + maps.offset_um[1] / half_um
    sums = cv2.GaussianBlur(cv2.merge([weight, weight * x, weight * y]), (0, 0), VOTING_UM / half_um)
    at_peaks = sums[at[:, 1], at[:, 0]]
    return np.asarray(at_peaks[:, 1:] / at_peaks[:, :1], np.float32)


def _doubled(peaks: _Peaks, score: Plane, half_um: float) -> NDArray[np.bool_]:
    """Which peaks are further ones of a nucleus that has a higher peak."""
    higher, lower = _rivals(peaks, RIVAL_UM / half_um, score.shape)
    apart_px = np.hypot(*(peaks.voted[higher] - peaks.voted[lower]).T)
    radius_px = peaks.radius_px[higher]
    same = apart_px <= np.maximum(SAME_LEAST_UM / half_um, SAME_SHARE * radius_px)
    near = np.flatnonzero(~same & (apart_px <= VALLEY_REACH * radius_px))
    valley = _lowest_between(score, peaks.at[higher[near]], peaks.at[lower[near]])
    same[near] = valley >= VALLEY_SHARE * peaks.height[lower[near]]
    return _yielding(len(peaks.at), higher[same], lower[same])


def _rivals(peaks: _Peaks, reach_px: float, shape_hw: tuple[int, ...]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """All pairs of peaks within reach of each other: the higher and the lower of each."""
    pad = int(reach_px)
    place = np.full((shape_hw[0] + 2 * pad, shape_hw[1] + 2 * pad), -1, np.int32)
    column, row = peaks.at[:, 0] + pad, peaks.at[:, 1] + pad
    place[row, column] = np.arange(len(row))
    down, right = np.indices((2 * pad + 1, 2 * pad + 1)).reshape(2, -1) - pad
    inside = (np.hypot(down, right) <= reach_px) & ((down > 0) | ((down == 0) & (right > 0)))  # each pair once
    width = place.shape[1]
    other = place.reshape(-1).take((row * width + column)[:, None] + (down * width + right)[inside])
    found = np.flatnonzero(other >= 0)
    first, second = found // other.shape[1], other.reshape(-1).take(found).astype(np.intp)
    return np.minimum(first, second), np.maximum(first, second)


def _lowest_between(score: Plane, start: NDArray[np.intp], end: NDArray[np.intp]) -> NDArray[np.float32]:
    """Lowest value on the way from each start to its end."""
    places = start[:, None] + VALLEY_PLACES[:, None] * (end - start)[:, None]
    nearest = np.rint(places).astype(np.intp)
    return np.asarray(score[nearest[..., 1], nearest[..., 0]].min(axis=1))


def _yielding(n: int, higher: NDArray[np.intp], lower: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Which of `n` peaks give way to a higher one that itself stays; peaks are numbered from the highest."""
    stays, yields = np.zeros(n, bool), np.zeros(n, bool)
    while not (stays | yields).all():
        waits = np.zeros(n, bool)
        waits[lower[~yields[higher]]] = True
        stays |= ~waits & ~yields
        yields[lower[stays[higher]]] = True
    return yields


# ---- extent -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Pixels:
    """Pixels of nuclei that point to a peak."""

    at: NDArray[np.intp]
    """`(M,)` places in the flattened half-size maps."""
    owner: NDArray[np.intp]
    """`(M,)` number of the peak that each points to."""
    x: NDArray[np.float32]
    y: NDArray[np.float32]
    """`(M,)` where they point to."""


def _measured(
    maps: NetworkMaps, peaks: _Peaks, is_nucleus: Mask, half_um: float, least_radius_um: float
) -> FoundNuclei:
    """Each peak with the pixels that point to it: their area, where they point, what they are."""
    if not len(peaks.at):
        return FoundNuclei(np.zeros((0, 2), np.float32), *(np.zeros(0, np.float32) for _ in range(3)))
    pixels = _owned(maps, peaks, is_nucleus, half_um)
    nucleus, centre, tumour = (plane.reshape(-1).take(pixels.at) for plane in (maps.nucleus, maps.centre, maps.tumour))

    def total(values: NDArray[np.float32] | None = None) -> NDArray[np.float64]:
        return np.asarray(np.bincount(pixels.owner, values, minlength=len(peaks.at)), np.float64)

    radius_um = np.sqrt(total() / np.pi) * half_um
    found = (radius_um >= least_radius_um) & (radius_um > 0)
    surely = nucleus * centre + np.float32(1e-3)  # near the rim, neighbours blur the offset
    middle = np.stack([total(surely * pixels.x), total(surely * pixels.y)], axis=1)[found] / total(surely)[found, None]
    xy_px = HALF * middle + (HALF - 1) / 2
    height, width = maps.membrane.shape
    inside = ((xy_px >= -0.5) & (xy_px < (width - 0.5, height - 0.5))).all(axis=1)
    is_tumour = total(nucleus * tumour)[found] / total(nucleus)[found]
    columns = (xy_px, radius_um[found], is_tumour, peaks.height[found])
    return FoundNuclei(*(np.asarray(values[inside], np.float32) for values in columns))


def _owned(maps: NetworkMaps, peaks: _Peaks, is_nucleus: Mask, half_um: float) -> _Pixels:
    """The pixels of nuclei, each with the peak whose middle is nearest to where it points."""
    height, width = is_nucleus.shape
    at = np.flatnonzero(is_nucleus.view(bool))  # four times as fast as of bytes
    row, column = np.divmod(at.astype(np.int32), np.int32(width))
    offset_x, offset_y = (plane.reshape(-1).take(at) / np.float32(half_um) for plane in maps.offset_um)
    x, y = column.astype(np.float32) + offset_x, row.astype(np.float32) + offset_y
    # a middle may lie outside the picture, and so may what is pointed to: both are looked up at the border
    number, labels = _nearest_peaks(peaks.voted, height, width)
    owner = number.take(labels.reshape(-1).take(_clipped(y, height) * width + _clipped(x, width)))
    away_x, away_y = (xy - peaks.voted[:, axis].take(owner) for axis, xy in enumerate((x, y)))
    kept = np.flatnonzero(away_x * away_x + away_y * away_y <= (LOST_UM / half_um) ** 2)
    return _Pixels(at.take(kept), owner.take(kept), x.take(kept), y.take(kept))


def _nearest_peaks(middles: Points, height: int, width: int) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
    """Labels `(H, W)` of the pixels nearest to each middle, and the middle's number for each label."""
    others = np.ones((height, width), np.uint8)
    row, column = _clipped(middles[:, 1], height), _clipped(middles[:, 0], width)
    others[row, column] = 0
    _, labels = cv2.distanceTransformWithLabels(others, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)
    number = np.zeros(int(labels.max()) + 1, np.intp)
    number[labels[row, column][::-1]] = np.arange(len(row))[::-1]  # of two in one pixel, the higher peak's
    return number, labels


def _clipped(values: NDArray[np.float32], length: int) -> NDArray[np.intp]:
    """Nearest pixel in a row or column of `length`."""
    return np.clip(values + np.float32(0.5), 0, length - 1).astype(np.intp)
