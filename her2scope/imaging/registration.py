"""Where two pictures of the same slide lie to each other: frames of a live picture, fields of a case.

`find_place` tries every shift, however small the overlap, and pictures of another size or scale: for fields. For every
frame there is time for less: `find_near` looks where a map or a stage expects the picture, `recognise` for a large
overlap anywhere. None handles rotation: drawn fields turned by half a degree are found, by 2 degrees they are other
tissue.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from math import ceil, hypot
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2scope.imaging.opencv import cv2
from her2scope.records import Frame, Plane

RELIEF_SIDE_PX, MIN_SIDE_PX = 480, 8
"""Of a relief's longer side at most, of its shorter side at least (for a place to be looked for)."""
RELIEF_UM_PER_PX = 0.5
"""Finer detail tells tissue no better apart, and camera noise lies in it."""
RELIEF_SIGMA_UM = 5.0
"""Changes slower than this (lamp, vignette) are taken off; a tissue's border against the glass weighs less, too."""
MIN_RELIEF_GREY = 2.0
"""Standard deviation that tissue exceeds by far (22 to 39 in drawn fields), and a camera's noise does not."""
MIN_SAME_CORRELATION, SMALL_OVERLAP_CORRELATION = 0.40, 32.0
"""Two pictures show the same tissue where their relief correlates by at least a + b / sqrt(relief pixels in common).

A full picture of 480 x 270 has to reach 0.49, a tenth of it 0.68, 6 % 0.76. Measured on drawn fields of all scores and
of stroma, best of all shifts: different tissue at 1280 x 720 and 0.25 um/px (780 pairs) has at most 0.24 with over 70 %
in common, 0.35 with 15 to 20 %, 0.44 with 6 to 8 %, 0.52 with 4 to 6 %; at 640 x 480 (3160 pairs) once 0.74 where 0.80
is asked for, at a border against the glass. The same tissue (overlaps of 6 to 100 %) has at least 0.93 with noise of
8 grey levels, or with 0.5 um of blur and 10 % of brightness, and at least 0.83 with 1.25 um of blur.
"""
MIN_OVERLAP_PX = 4000
"""Relief pixels: 3 % of a picture at 1280 x 720, and 42 x 42 um at 0.25 um/px. Less in common cannot be told from
chance (two borders against the glass may look the same), and hardly holds a whole cell."""
MAX_SCALE_RATIO = 3.0
"""Of two pictures' um/px: between 40x and 20x, or 20x and 10x, with room for the cameras."""
SEARCH_PLACES = 130_000
"""Shifts tried between two fields: this sets the search's resolution, and so its time."""
SEARCH_LOSS = 0.15
"""What the search's coarser pixels may take from a correlation; it is measured again in full."""
CANDIDATES = 2
NEAR_UM_PER_PX = 4.0
"""Resolution at which a place is looked for in every frame: half a nucleus, so that nuclei still tell one place from
another (80 x 45 pixels of a field at 40x: 0.8 ms)."""
NEAR_PLACES = 32_000
"""Shifts tried then, at most."""
STAGE_TOLERANCE_UM = 20.0
"""How far a stage may be off after a few moves, backlash included."""


@dataclass(frozen=True, slots=True)
class Shift:
    """Place of a picture's top left corner in another picture's pixels."""

    dx_px: float
    dy_px: float
    correlation: float
    """Of the relief where both overlap, -1..1."""
    margin: float = 0.0
    """By how much it exceeds what is asked of the same tissue; negative only where that was allowed."""


@dataclass(frozen=True, slots=True, eq=False)
class Relief:
    """A frame reduced to what registration needs. Its plane is read-only: it serves for as long as the case is open."""

    plane: Plane
    """Green channel at low resolution, its slow changes taken off."""
    factor: float
    """Frame pixels per relief pixel."""
    stage_um: tuple[float, float] | None = None
    """Centre of the picture in stage coordinates, where a stage told it."""

    def __post_init__(self) -> None:
        self.plane.setflags(write=False)

    @staticmethod
    def of(frame: Frame) -> Relief:
        """Relief of a frame."""
        factor = max(max(frame.size_hw) / RELIEF_SIDE_PX, RELIEF_UM_PER_PX / frame.um_per_px)
        factor = max(1.0, min(factor, *frame.size_hw))
        green = _halved_first(cv2.extractChannel(frame.rgb, 1), factor).astype(np.float32)
        sigma_px = max(1.0, RELIEF_SIGMA_UM / (frame.um_per_px * factor))
        return Relief(green - _slow_changes(green, sigma_px), factor, frame.stage_um)


def _slow_changes(plane: Plane, sigma_px: float) -> Plane:
    """The plane blurred by `sigma_px`; by way of fewer pixels, which takes a quarter of the time."""
    factor = max(1.0, min(sigma_px / 3.0, *plane.shape))
    blurred = cv2.GaussianBlur(_reduced(plane, factor), (0, 0), sigma_px / factor)
    return cv2.resize(blurred, plane.shape[::-1], interpolation=cv2.INTER_LINEAR)


def _halved_first(plane: NDArray[np.uint8], factor: float) -> NDArray[Any]:
    """As `_reduced`, by halves, which OpenCV does ten times as fast as by any other number; the rest between pixels."""
    while factor >= 2.0:
        even = plane[: plane.shape[0] // 2 * 2, : plane.shape[1] // 2 * 2]
        plane = cv2.resize(even, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        factor /= 2.0
    return cv2.resize(plane, None, fx=1.0 / factor, fy=1.0 / factor, interpolation=cv2.INTER_LINEAR)


def required_correlation(overlap_px: Plane) -> Plane:
    """Least correlation of the same tissue, by the relief pixels in common."""
    return (MIN_SAME_CORRELATION + SMALL_OVERLAP_CORRELATION / np.sqrt(overlap_px)).astype(np.float32)


# ---- fields of a case ---------------------------------------------------------------------------------------------


def find_place(first: Relief, second: Relief, first_um_per_px: float, second_um_per_px: float) -> Shift | None:
    """Place of `second` in `first`, in pixels of the first frame; None where they show no common tissue.

    Every shift is tried at low resolution, and the likeliest ones are measured in full. Where a stage told both
    places, the one that it predicts goes first, and pictures that lie apart are not compared at all.

    Parameters
    ----------
    first_um_per_px, second_um_per_px : scales of the frames, which may differ by `MAX_SCALE_RATIO`
    """
    pair = _Pair.of(first, second, first_um_per_px, second_um_per_px)
    if pair is None:
        return None
    tolerance_px = STAGE_TOLERANCE_UM / pair.um_per_px
    expected = _expected_place(first, second, first_um_per_px, second_um_per_px, pair.um_per_px)
    if expected is not None and pair.are_apart(*expected, tolerance_px):
        return None
    search = _Search(pair, (pair.n_places / SEARCH_PLACES) ** 0.5)
    near = search.near(*expected, tolerance_px) if expected is not None else ()
    return next(_confirmed(pair, chain(near, search.everywhere(CANDIDATES)), first_um_per_px), None)


def find_near(
    first: Relief,
    second: Relief,
    first_um_per_px: float,
    second_um_per_px: float,
    expected_um: tuple[float, float],
    tolerance_um: float,
    reduction: float = 1.0,
    leniency: float = 0.0,
) -> Shift | None:
    """The same where it is known about where `second` lies; only there it is looked for.

    Parameters
    ----------
    expected_um : place of the second picture's corner from the first's
    tolerance_um : how far it may be from there in x and in y
    reduction : factor (>= 1) by which the reliefs are reduced first; by 2, the measuring takes a quarter of the time
    leniency : what the correlation may stay below that of the same tissue
    """
    pair = _Pair.of(first, second, first_um_per_px, second_um_per_px, reduction)
    if pair is None:
        return None
    x, y = (side / pair.um_per_px for side in expected_um)

    def candidates() -> Iterator[tuple[int, int]]:
        yield round(x), round(y)  # while the stage moves evenly this is it: the search is not made
        yield from _quick_search(pair).near(x, y, tolerance_um / pair.um_per_px)

    found = None
    for shift in _confirmed(pair, candidates(), first_um_per_px, leniency):
        found = shift if found is None else max(found, shift, key=lambda one: one.margin)
        if found.margin >= 0.0:
            break
    return found


def recognise(
    first: Relief, second: Relief, first_um_per_px: float, second_um_per_px: float, least_overlap: float
) -> Shift | None:
    """As `find_place`, in a tenth of the time where it is other tissue; for overlaps that are not small.

    Parameters
    ----------
    least_overlap : share (0..1) of the smaller picture that both must show
    """
    rough = _Pair.of(first, second, first_um_per_px, second_um_per_px, reduction=2.0)
    if rough is None:
        return None
    candidates = _quick_search(rough, least_overlap).everywhere(1)
    found = next(_confirmed(rough, candidates, first_um_per_px), None)
    pair = _Pair.of(first, second, first_um_per_px, second_um_per_px) if found is not None else None
    if found is None or pair is None:
        return None
    x, y = (round(side * first_um_per_px / pair.um_per_px) for side in (found.dx_px, found.dy_px))
    return next(_confirmed(pair, [(x, y)], first_um_per_px), None)


def _quick_search(pair: _Pair, least_overlap: float = 0.0) -> _Search:
    """A search that a live picture has the time for."""
    return _Search(pair, max(NEAR_UM_PER_PX / pair.um_per_px, (pair.n_places / NEAR_PLACES) ** 0.5), least_overlap)


def _confirmed(
    pair: _Pair, candidates: Iterable[tuple[int, int]], first_um_per_px: float, leniency: float = 0.0
) -> Iterator[Shift]:
    """Those candidates that the correlation at their peaks confirms, in pixels of the first frame."""
    for candidate in candidates:
        x, y = pair.climbed(*candidate)
        if pair.margin(x, y) >= -leniency:
            dx, dy = pair.between_pixels(x, y)
            px = pair.um_per_px / first_um_per_px
            yield Shift(dx * px, dy * px, pair.correlation(x, y), pair.margin(x, y))


def _reduced(plane: NDArray[Any], factor: float) -> NDArray[Any]:
    """A plane with `factor` (>= 1) of its pixels to one; its top left corner stays where it is."""
    if factor < 1.001:
        return plane
    # by the factor, not by a size: rounded sides would stretch the picture by up to a pixel
    return cv2.resize(plane, None, fx=1.0 / factor, fy=1.0 / factor, interpolation=cv2.INTER_AREA)


def _expected_place(
    first: Relief, second: Relief, first_um_per_px: float, second_um_per_px: float, common_um: float
) -> tuple[float, float] | None:
    """Where the stage says that `second` lies, in pixels of `common_um`."""
    if first.stage_um is None or second.stage_um is None:
        return None
    first_um, second_um = first.factor * first_um_per_px, second.factor * second_um_per_px
    x, y = (
        (there - here + 0.5 * (first_side * first_um - second_side * second_um)) / common_um
        for here, there, first_side, second_side in zip(
            first.stage_um, second.stage_um, first.plane.shape[::-1], second.plane.shape[::-1], strict=True
        )
    )
    return x, y


class _Search:
    """A pair's correlation at every shift, at low resolution: where to measure it in full."""

    def __init__(self, pair: _Pair, factor: float, least_overlap: float = 0.0) -> None:
        self._factor = factor = max(1.0, factor)
        first, second = _reduced(pair.first, factor), _reduced(pair.second, factor)
        correlation, overlap_px = correlation_map(first, second)
        overlap_px = overlap_px * np.float32(pair.area * factor**2)
        self._margin = correlation - required_correlation(overlap_px)
        self._margin[overlap_px < max(MIN_OVERLAP_PX, least_overlap * float(overlap_px.max()))] = -1.0
        self._origin_yx = second.shape[0] - 1, second.shape[1] - 1

    def near(self, x_px: float, y_px: float, tolerance_px: float) -> Iterator[tuple[int, int]]:
        """The likeliest place around the expected one, where there is any."""
        y, x = (round(side / self._factor) + at for side, at in zip((y_px, x_px), self._origin_yx, strict=True))
        reach = ceil(tolerance_px / self._factor)
        yield from self._best(
            slice(max(0, y - reach), max(0, y + reach + 1)), slice(max(0, x - reach), max(0, x + reach + 1))
        )

    def everywhere(self, most: int) -> Iterator[tuple[int, int]]:
        """The likeliest places, the best first."""
        for _ in range(most):
            yield from self._best(slice(None), slice(None))

    def _best(self, rows: slice, columns: slice) -> Iterator[tuple[int, int]]:
        part = self._margin[rows, columns]
        if part.size == 0 or part.max() < -SEARCH_LOSS:
            return
        row, column = np.unravel_index(int(np.argmax(part)), part.shape)
        y, x = (rows.start or 0) + int(row), (columns.start or 0) + int(column)
        fine = x + _top_at(self._margin[y], x), y + _top_at(self._margin[:, x], y)
        self._margin[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3] = -1.0  # the same peak is no second candidate
        yield tuple(round((at - origin) * self._factor) for at, origin in zip(fine, self._origin_yx[::-1], strict=True))


def correlation_map(first: Plane, second: Plane) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Correlation of two planes where they overlap, for every shift between them.

    One product in the frequency domain gives all sums of products; sums of each plane over an overlap, a rectangle,
    come from its running sums. (Normalised cross-correlation: J. P. Lewis, Vision Interface 1995.)

    Returns
    -------
    correlation, overlap_px : (H1 + H2 - 1, W1 + W2 - 1) float32
        The second plane's corner lies at column - (W2 - 1), row - (H2 - 1) of the first.
    """
    (high, wide), (high2, wide2) = first.shape, second.shape
    y, x = np.arange(1 - high2, high), np.arange(1 - wide2, wide)
    spans = np.maximum(0, y), np.minimum(high, y + high2), np.maximum(0, x), np.minimum(wide, x + wide2)
    spans2 = spans[0] - y, spans[1] - y, spans[2] - x, spans[3] - x
    overlap_px = np.outer(spans[1] - spans[0], spans[3] - spans[2]).astype(np.float32)
    mean, mean2 = (_box_sums(plane, at) / overlap_px for plane, at in ((first, spans), (second, spans2)))
    spread = _box_sums(first * first, spans) / overlap_px - mean * mean
    spread2 = _box_sums(second * second, spans2) / overlap_px - mean2 * mean2
    together = _products(first, second) / overlap_px - mean * mean2
    least = MIN_RELIEF_GREY**2
    return together / np.sqrt(np.maximum(spread, least) * np.maximum(spread2, least)), overlap_px


def _products(first: Plane, second: Plane) -> NDArray[np.float32]:
    """Sum of products of the overlapping pixels, for every shift."""
    (high, wide), (high2, wide2) = first.shape, second.shape
    rows, columns = high + high2 - 1, wide + wide2 - 1
    size_hw = cv2.getOptimalDFTSize(rows), cv2.getOptimalDFTSize(columns)
    padded, padded2 = np.zeros(size_hw, np.float32), np.zeros(size_hw, np.float32)
    padded[high2 - 1 : rows, wide2 - 1 : columns] = first
    padded2[:high2, :wide2] = second
    spectrum = cv2.mulSpectrums(cv2.dft(padded), cv2.dft(padded2, nonzeroRows=high2), 0, conjB=True)
    return cv2.dft(spectrum, flags=cv2.DFT_INVERSE | cv2.DFT_SCALE | cv2.DFT_REAL_OUTPUT)[:rows, :columns]


_Spans = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]


def _box_sums(plane: Plane, spans: _Spans) -> NDArray[np.float32]:
    """Sums of a plane over all rectangles of row spans times column spans (tops, bottoms, lefts, rights)."""
    tops, bottoms, lefts, rights = spans
    running = cv2.integral(plane, sdepth=cv2.CV_64F)
    bands = running[bottoms] - running[tops]
    return (bands[:, rights] - bands[:, lefts]).astype(np.float32)


class _Pair:
    """Two planes of one scale; a place is the second's top left corner in the first's pixels."""

    def __init__(self, first: Plane, second: Plane, um_per_px: float = 1.0, area: float = 1.0) -> None:
        self.first, self.second, self.um_per_px = first, second, um_per_px
        self.area = area
        """Relief pixels to one of these planes': what is asked of an overlap goes by the former."""
        self._found: dict[tuple[int, int], tuple[float, float]] = {}

    @staticmethod
    def of(
        first: Relief, second: Relief, first_um_per_px: float, second_um_per_px: float, reduction: float = 1.0
    ) -> _Pair | None:
        """Two reliefs at one scale; None where their scales lie too far apart, or one is too small."""
        if max(first_um_per_px, second_um_per_px) > MAX_SCALE_RATIO * min(first_um_per_px, second_um_per_px):
            return None
        first_um, second_um = first.factor * first_um_per_px, second.factor * second_um_per_px
        common_um = reduction * max(first_um, second_um)
        if min(min(first.plane.shape) * first_um, min(second.plane.shape) * second_um) < MIN_SIDE_PX * common_um:
            return None
        planes = _reduced(first.plane, common_um / first_um), _reduced(second.plane, common_um / second_um)
        return _Pair(*planes, common_um, reduction**2)

    @property
    def n_places(self) -> int:
        """Shifts at which the planes meet."""
        return (self.first.shape[0] + self.second.shape[0]) * (self.first.shape[1] + self.second.shape[1])

    def correlation(self, x: int, y: int) -> float:
        """Correlation of the overlap at a place, -1 where there is too little of it."""
        return self._measured(x, y)[0]

    def margin(self, x: int, y: int) -> float:
        """By how much the correlation exceeds what the same tissue must have."""
        return self._measured(x, y)[1]

    def are_apart(self, x: float, y: float, tolerance_px: float) -> bool:
        """Whether pictures at this place cannot touch, however the camera is turned against the stage."""
        (high, wide), (high2, wide2) = self.first.shape, self.second.shape
        between = hypot(x + 0.5 * (wide2 - wide), y + 0.5 * (high2 - high))
        return between > 0.5 * (hypot(high, wide) + hypot(high2, wide2)) + tolerance_px

    def climbed(self, x: int, y: int, steps: int = 8) -> tuple[int, int]:
        """Place of the nearest peak of the correlation."""
        for _ in range(steps):
            around = [(x + a, y + b) for a, b in ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))]
            best = max(around, key=lambda place: self.correlation(*place))
            if best == (x, y):
                break
            x, y = best
        return x, y

    def between_pixels(self, x: int, y: int) -> tuple[float, float]:
        """Top of the parabolas through a peak and its neighbours."""
        peak = self.correlation(x, y)
        return (
            x + _parabola_top(self.correlation(x - 1, y), peak, self.correlation(x + 1, y)),
            y + _parabola_top(self.correlation(x, y - 1), peak, self.correlation(x, y + 1)),
        )

    def _measured(self, x: int, y: int) -> tuple[float, float]:
        if (x, y) not in self._found:
            self._found[x, y] = self._measure(x, y)
        return self._found[x, y]

    def _measure(self, x: int, y: int) -> tuple[float, float]:
        (high, wide), (high2, wide2) = self.first.shape, self.second.shape
        left, top, right, bottom = max(0, x), max(0, y), min(wide, x + wide2), min(high, y + high2)
        overlap_px = max(0, right - left) * max(0, bottom - top) * self.area
        if overlap_px < MIN_OVERLAP_PX:
            return -1.0, -1.0
        mine = self.first[top:bottom, left:right]
        theirs = self.second[top - y : bottom - y, left - x : right - x]
        correlation = _correlation(mine, theirs)
        return correlation, correlation - float(required_correlation(np.array(overlap_px, np.float32)))


def _correlation(a: Plane, b: Plane) -> float:
    a, b = a - a.mean(), b - b.mean()
    least = a.size * MIN_RELIEF_GREY**2
    return float(np.vdot(a, b)) / (max(float(np.vdot(a, a)), least) * max(float(np.vdot(b, b)), least)) ** 0.5


def _top_at(values: Plane, at: int) -> float:
    """How far from a place the top of the parabola through it and its neighbours lies."""
    return _parabola_top(*(float(one) for one in values[at - 1 : at + 2])) if 0 < at < len(values) - 1 else 0.0


def _parabola_top(before: float, peak: float, after: float) -> float:
    bend = before - 2.0 * peak + after
    return max(-0.5, min(0.5, 0.5 * (before - after) / bend)) if bend < 0.0 else 0.0
