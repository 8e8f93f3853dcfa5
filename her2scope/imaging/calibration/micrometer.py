"""Size of a pixel from a picture of a stage micrometer: a ruling of dark lines at known distances on bright glass.

The direction of the lines comes from the picture's gradients; the picture is turned so that they stand upright and cut
into bands across them. In each band the lines are found by themselves, then joined over the bands; a straight line
through their numbers and places gives the distance. What is no even, flat ruling is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, cos, degrees, radians, sin

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.errors import BadInputError
from her2scope.domain.units import checked_um_per_px
from her2scope.imaging.calibration.refusal import MeasurementRefused
from her2scope.imaging.opencv import cv2
from her2scope.records import Plane, RgbImage

Floats = NDArray[np.float64]

DEFAULT_DIVISION_UM = 10.0
"""Most stage micrometers divide 1 mm into 100."""
MIN_LINES = 5
"""Fewer lines leave no residuals to judge an even ruling by."""
MIN_PERIOD_PX = 5.0
"""Lines closer than this run into each other."""
MAX_BANDS = 150
MIN_BAND_PX = 6
"""Bands are thin: the shortest lines, 40 um long, must fill some of them even at 2.5 um/px, or each fifth line alone
would be taken for the ruling."""
MIN_BANDS = 3
MIN_DARKNESS_OD10 = 0.05
"""Least darkness of a line: paler ones are scratches or the camera's noise."""
MAX_RESIDUAL_SHARE = 0.03
"""Of the distance; glass scales are even to a tenth of that."""
MAX_RESIDUAL_FLOOR_PX = 0.3
MAX_ERROR_SHARE = 0.005
"""Largest standard error of the result as a share of it: lengths then hold to 1 %."""
MAX_MISSING_SHARE, MAX_EXTRA_SHARE = 0.25, 0.25
"""Lines that dust may hide, and things that may look like one, as a share of the ruling."""
MAX_CHANGE_SHARE = 0.015
"""Largest change of the distance over the picture's longer side, along the ruling or along its lines: lenses distort by
less than 1 %, a slide or camera that lies askew by more."""
MAX_BETWEEN_SHARE = 0.04
"""Darkness half way between lines, or at a third, by that of the lines: more is a finer ruling of fainter lines."""
MIN_EVERY_SHARE = 0.85
"""Least darkness of each second (third ...) line by that of the darkest: paler ones are such a finer ruling."""
MAX_NON_SQUARE_SHARE = 0.01
CROSSING_SHARE = 0.1
"""Gradient at a right angle to the lines by that along the ruling, from which a crossed grid is looked for."""
JOINED_SHARE = 0.2
"""Of the distance: as far apart a line may lie in the next band and still be the same."""


@dataclass(frozen=True, slots=True, eq=False)
class RulingLine:
    """One line of the ruling where it crosses the picture."""

    number: int
    """Counted in divisions from the ruling's first line on."""
    ends_xy_px: tuple[float, float, float, float]
    residual_px: float
    """Distance from where an even ruling has it."""


@dataclass(frozen=True, slots=True, eq=False)
class MicrometerFit:
    """Size of a pixel, and what it was read from."""

    um_per_px: float
    error_um_per_px: float
    """Standard error, from the residuals."""
    division_um: float
    period_px: float
    rotation_deg: float
    """Of the direction in which the ruling counts, from the picture's rows; positive turns it downwards."""
    residual_px: float
    """Root mean square."""
    lines: tuple[RulingLine, ...]
    crossed_um_per_px: float | None = None
    """The same along the other axis of a crossed grid."""

    @property
    def n_lines(self) -> int:
        """Lines that the fit holds."""
        return len(self.lines)


def measure_micrometer(rgb: RgbImage, division_um: float = DEFAULT_DIVISION_UM) -> MicrometerFit:
    """Measure the size of a pixel.

    Parameters
    ----------
    rgb : (H, W, 3) uint8
        A ruling of at least five lines, in focus, at any rotation. The smallest division in view is `division_um`.

    Raises
    ------
    MeasurementRefused
        Codes `no_ruling`, `too_few_lines`, `too_fine`, `uneven`, `askew`, `two_periods`, `not_square`, `imprecise`,
        `impossible`.
    """
    if not (np.isfinite(division_um) and 0.1 <= division_um <= 5000):
        raise BadInputError(f"a division of {division_um:g} um is not possible. Give micrometres, usually 10.")
    dark = _darkness(rgb)
    angle_deg, crossing = _direction(dark)
    found = _measured(dark, angle_deg, division_um)
    if crossing < CROSSING_SHARE:
        return found
    try:
        other = _measured(dark, angle_deg + 90.0, division_um)
    except MeasurementRefused:
        return found  # numbers and ends of lines, not a second ruling
    return _square(found, other)


def _square(found: MicrometerFit, other: MicrometerFit) -> MicrometerFit:
    """Both axes of a crossed grid as one measurement."""
    difference = abs(found.um_per_px / other.um_per_px - 1.0)
    if difference > MAX_NON_SQUARE_SHARE:
        raise MeasurementRefused(
            "not_square",
            f"the two directions of the grid differ by {100 * difference:.1f} % ({found.um_per_px:.4f} and "
            f"{other.um_per_px:.4f} um/px): pixels are not square, or the slide lies askew. Set the camera to its own "
            "picture size, and lay the slide flat.",
        )
    mean = 0.5 * (found.um_per_px + other.um_per_px)
    return replace(found, um_per_px=mean, crossed_um_per_px=other.um_per_px)


def _measured(dark: Plane, angle_deg: float, division_um: float) -> MicrometerFit:
    for _ in range(2):  # the gradients' direction is good to a degree, that of the lines themselves to a hundredth
        upright = _Upright.turned(dark, angle_deg)
        lines = _joined_lines(upright)
        angle_deg -= degrees(float(np.median([line.slope for line in lines])))
    return _fitted(_Upright.turned(dark, angle_deg), angle_deg, division_um)


# ---- picture to upright lines -------------------------------------------------------------------------------------


def _darkness(rgb: RgbImage) -> Plane:
    """How much darker each pixel is than the glass around it, `(H, W)` float32, in od10 of camera values."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    height, width = grey.shape
    if min(height, width) < 64:
        raise MeasurementRefused("no_ruling", f"the picture is too small ({width} x {height} px). Save a full frame.")
    od10 = -np.log10(np.maximum(np.arange(256), 1.0) / 255.0).astype(np.float32)
    plane: Plane = cv2.LUT(grey, od10)
    # Glass is what is brightest within a fifth of the picture: wider than lines and gaps, narrower than the shading.
    small = cv2.resize(plane, (max(16, width // 16), max(16, height // 16)), interpolation=cv2.INTER_AREA)
    reach = 2 * (min(small.shape) // 5) + 1
    glass = cv2.erode(cv2.blur(small, (3, 3)), np.ones((reach, reach), np.uint8))
    glass = cv2.GaussianBlur(glass, (0, 0), 0.25 * reach)
    spread: Plane = cv2.resize(glass, (width, height), interpolation=cv2.INTER_CUBIC)
    return plane - spread


def _direction(dark: Plane) -> tuple[float, float]:
    """Angle of the ruling (degrees, -90..90) by its gradients; strength at a right angle to it by that along it."""
    soft = cv2.GaussianBlur(dark, (0, 0), 1.5)
    x, y = cv2.Sobel(soft, cv2.CV_32F, 1, 0), cv2.Sobel(soft, cv2.CV_32F, 0, 1)
    # the strongest gradients alone: noise has many weak ones in all directions
    power = x * x + y * y
    strong = power > 0.1 * np.percentile(power, 99.5)
    angles = np.degrees(np.arctan2(y[strong], x[strong])) % 180.0
    histogram, _ = np.histogram(angles, bins=180, range=(0.0, 180.0), weights=power[strong])
    around = np.convolve(np.tile(histogram, 3), np.ones(7), mode="same")[180:360]
    best = int(np.argmax(around))
    near = (np.arange(best - 4, best + 5)) % 180
    angle = float(np.average(np.arange(best - 4, best + 5) + 0.5, weights=histogram[near] + 1e-9))
    crossing = float(around[(best + 90) % 180] / max(around[best], 1e-9))
    return (angle + 90.0) % 180.0 - 90.0, crossing


@dataclass(frozen=True, slots=True, eq=False)
class _Upright:
    """The picture turned so that the ruling counts from left to right."""

    dark: Plane
    """`(H, W)`; NaN outside the picture."""
    matrix: Floats
    """`(2, 3)` from the turned picture's pixels to the picture's."""
    picture_px: int
    """Longer side of the picture."""

    @staticmethod
    def turned(dark: Plane, angle_deg: float) -> _Upright:
        height, width = dark.shape
        angle = radians(angle_deg)
        c, s = cos(angle), sin(angle)
        new_width = ceil(abs(width * c) + abs(height * s))
        new_height = ceil(abs(width * s) + abs(height * c))
        turn = np.array([[c, -s], [s, c]])
        middle, new_middle = np.array([width - 1, height - 1]) / 2, np.array([new_width - 1, new_height - 1]) / 2
        matrix = np.column_stack([turn, middle - turn @ new_middle])
        turned = cv2.warpAffine(
            dark, matrix, (new_width, new_height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT, borderValue=float("nan"),
        )  # fmt: skip
        return _Upright(turned, matrix, max(height, width))

    def in_picture(self, x_px: float, y_px: float) -> tuple[float, float]:
        """Place of the turned picture in the picture itself."""
        x, y = self.matrix @ (x_px, y_px, 1.0)
        return float(x), float(y)


# ---- lines --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Line:
    """A line followed through the bands of the upright picture."""

    x_px: Floats
    y_px: Floats
    """Where it is in each band that shows it."""

    @property
    def slope(self) -> float:
        """Of x over y: 0 where it stands upright."""
        return float(np.polyfit(self.y_px, self.x_px, 1)[0]) if len(self.x_px) > 1 else 0.0

    def at(self, y_px: float) -> float:
        """Where the line crosses a row."""
        if len(self.x_px) < MIN_BANDS:
            return float(np.mean(self.x_px))
        return float(np.polyval(np.polyfit(self.y_px, self.x_px, 1), y_px))


def _joined_lines(upright: _Upright) -> list[_Line]:
    """Lines of the rows that show most of them, from left to right."""
    bands = _bands(upright.dark)
    counts = [len(places) for _, places in bands]
    if not counts or max(counts) < 2:
        raise MeasurementRefused(
            "no_ruling", "no ruling was found in this picture. Focus on the lines of the stage micrometer."
        )
    # long lines alone, or numbers, are seen in the other bands
    shown = [band for band, n in zip(bands, counts, strict=True) if n >= 0.7 * max(counts)]
    gaps = np.concatenate([np.diff(places) for _, places in shown if len(places) > 1])
    followed = _followed(shown, JOINED_SHARE * float(np.median(gaps)))
    least = max(1, min(MIN_BANDS, len(shown) // 2))
    lines = [_Line(np.array(x), np.array(y)) for x, y in followed if len(x) >= least]
    if len(lines) < 2:
        raise MeasurementRefused(
            "no_ruling", "what looks like lines does not run through the picture. Focus on the stage micrometer."
        )
    return sorted(lines, key=lambda line: float(np.mean(line.x_px)))


def _followed(bands: list[tuple[float, Floats]], reach_px: float) -> list[tuple[list[float], list[float]]]:
    """Places x and y of each line from band to band: a place near the last one of a line goes on with it."""
    lines: list[tuple[list[float], list[float]]] = []
    last = np.empty(0)
    for y_px, places in bands:
        new = []
        for x_px in places.tolist():
            near = int(np.argmin(np.abs(last - x_px))) if len(last) else -1
            if near >= 0 and abs(last[near] - x_px) <= reach_px:
                lines[near][0].append(x_px)
                lines[near][1].append(y_px)
            else:
                new.append(([x_px], [y_px]))
        lines += new
        last = np.array([x[-1] for x, _ in lines])
    return lines


def _bands(dark: Plane) -> list[tuple[float, Floats]]:
    """Middle row of each band and the places of dark lines in it."""
    height = dark.shape[0]
    edges = np.linspace(0, height, min(MAX_BANDS, max(1, height // MIN_BAND_PX)) + 1).astype(int)
    bands = []
    for top, bottom in zip(edges[:-1], edges[1:], strict=True):
        profile = _profile(dark[top:bottom])
        if profile is not None:
            bands.append((0.5 * (top + bottom - 1), _dark_places(profile)))
    return bands


def _profile(rows: Plane) -> Floats | None:
    """Median darkness of each column; NaN where the band does not lie wholly in the picture, None where that is all."""
    inside = ~np.isnan(rows).any(axis=0)
    if inside.sum() < 4 * MIN_PERIOD_PX:
        return None
    profile = np.full(rows.shape[1], np.nan)
    profile[inside] = np.median(rows[:, inside], axis=0)
    return profile


def _dark_places(profile: Floats) -> Floats:
    """Sub-pixel places of the lines in a profile: the middle of what is darker than half of its own darkness."""
    inside = np.flatnonzero(~np.isnan(profile))
    values = cv2.GaussianBlur(profile[inside[0] : inside[-1] + 1].astype(np.float32), (0, 0), 0.8).ravel()
    values = values - np.percentile(values, 20)
    height = _line_height(values)
    if height < MIN_DARKNESS_OD10:
        return np.empty(0)
    places = []
    for begin, end in _runs(values > 0.5 * height):
        if begin == 0 or end == len(values):
            continue  # cut by the picture's edge: its middle is not known
        part = values[begin - 1 : end + 1] - 0.5 * height
        weights = np.maximum(part, 0.0)
        places.append(inside[0] + begin - 1 + float(np.average(np.arange(len(part)), weights=weights)))
    return np.array(places)


def _line_height(values: NDArray[np.float32]) -> float:
    """Darkness of a typical line: the median of the peaks that reach half of the highest few."""
    inner = values[1:-1]
    peaks = inner[(inner >= values[:-2]) & (inner > values[2:])]
    if len(peaks) == 0:
        return 0.0
    high = float(np.median(np.sort(peaks)[-min(5, len(peaks)) :]))
    return float(np.median(peaks[peaks > 0.5 * high])) if high > 0 else 0.0


def _runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Begin and end of each run of true values."""
    steps = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return [(int(begin), int(end)) for begin, end in zip(steps[::2], steps[1::2], strict=True)]


# ---- fit ----------------------------------------------------------------------------------------------------------


def _fitted(upright: _Upright, angle_deg: float, division_um: float) -> MicrometerFit:
    lines = _joined_lines(upright)
    middle_px = float(np.median(np.concatenate([line.y_px for line in lines])))
    places = np.array([line.at(middle_px) for line in lines])
    _check_flat(lines, places, upright.picture_px)
    numbers, held = _numbered(places)
    if held.sum() < MIN_LINES:
        raise _no_even_lines(len(places))
    period_px, first_px = np.polyfit(numbers[held], places[held], 1)
    residuals = places[held] - (first_px + period_px * numbers[held])
    kept = [line for line, is_held in zip(lines, held, strict=True) if is_held]
    _check_even(len(places), numbers[held], residuals, float(period_px))
    _check_single(upright, kept, numbers[held], float(period_px), division_um)
    spread = float(np.sqrt(np.sum((numbers[held] - numbers[held].mean()) ** 2)))
    residual_px = float(np.sqrt(np.sum(residuals**2) / max(1, held.sum() - 2)))
    error_share = residual_px / spread / float(period_px)
    if error_share > MAX_ERROR_SHARE:
        raise MeasurementRefused(
            "imprecise",
            f"the pixel size is uncertain by {100 * error_share:.1f} % (limit {100 * MAX_ERROR_SHARE:g} %). Bring more "
            "lines into view and focus on them.",
        )
    um_per_px = _possible(division_um / float(period_px), float(period_px), division_um)
    drawn = tuple(
        RulingLine(int(number), _ends(upright, line), float(residual))
        for line, number, residual in zip(kept, numbers[held], residuals, strict=True)
    )
    turned = (angle_deg + 90.0) % 180.0 - 90.0
    return MicrometerFit(
        um_per_px, um_per_px * error_share, division_um, float(period_px), turned, residual_px, drawn
    )  # fmt: skip


def _possible(um_per_px: float, period_px: float, division_um: float) -> float:
    if period_px < MIN_PERIOD_PX:
        raise MeasurementRefused(
            "too_fine",
            f"the lines lie only {period_px:.1f} px apart. Take a stronger objective, or a coarser part of the ruling.",
        )
    try:
        return checked_um_per_px(um_per_px)
    except BadInputError as error:
        raise MeasurementRefused(
            "impossible", f"with divisions of {division_um:g} um, {error} Check the division of this micrometer."
        ) from error


def _numbered(places: Floats) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Number of each line in divisions from the first on, and which lines an even ruling holds.

    Dust between two lines makes two short gaps of one: the distance that explains most lines is taken, of those that
    the gaps offer.
    """
    best: tuple[int, float] | None = None
    numbers, held = np.zeros(len(places), np.int64), np.zeros(len(places), bool)
    for period_px in np.unique(np.round(np.diff(places), 2)):
        for first in places[: min(3, len(places))]:
            found, holds, residual_px = _numbers_with(places, float(period_px), float(first))
            key = (int(holds.sum()), -residual_px / float(period_px))
            if best is None or key > best:
                best, numbers, held = key, found, holds
    return numbers - numbers[held].min(initial=numbers.max(initial=0)), held


def _numbers_with(
    places: Floats, period_px: float, first_px: float
) -> tuple[NDArray[np.int64], NDArray[np.bool_], float]:
    """Numbers by this distance, which is corrected as lines farther and farther away are counted."""
    held = np.zeros(len(places), bool)
    numbers = np.zeros(len(places), np.int64)
    at, step = first_px, period_px
    reach = 4.0
    while True:
        if step < 2.0:
            return numbers, np.zeros(len(places), bool), np.inf
        counted = (places - at) / step
        numbers = np.rint(counted).astype(np.int64)
        near = np.abs(counted - numbers) < 0.2
        held = near & (np.abs(numbers) <= reach)
        if held.sum() >= 2 and len(np.unique(numbers[held])) >= 2:
            step, at = np.polyfit(numbers[held], places[held], 1)
        if reach > np.abs(numbers).max():
            break
        reach *= 2.0
    counted = (places - at) / step
    numbers = np.rint(counted).astype(np.int64)
    held = np.abs(counted - numbers) < 0.2
    for number in np.unique(numbers[held]):  # one line each: the nearest
        same = np.flatnonzero(held & (numbers == number))
        held[same] = False
        held[same[np.argmin(np.abs(counted[same] - number))]] = True
    missing = (np.ptp(numbers[held]) + 1 - held.sum()) if held.any() else 0
    if held.sum() < 2 or missing > held.sum():
        return numbers, np.zeros(len(places), bool), np.inf
    residual_px = float(np.sqrt(np.mean((counted[held] - numbers[held]) ** 2))) * float(step)
    return numbers, held, residual_px


def _no_even_lines(n_found: int) -> MeasurementRefused:
    """Refusal where no distance holds enough of the lines."""
    if n_found <= MIN_LINES:
        return MeasurementRefused(
            "too_few_lines",
            f"fewer than {MIN_LINES} evenly spaced lines are in view ({n_found} found in all). Move the ruling into "
            "the middle, or take a weaker objective.",
        )
    return MeasurementRefused(
        "uneven",
        f"no distance fits {MIN_LINES} or more of the {n_found} lines found. Use a clean stage micrometer, in focus, "
        "and nothing else in view.",
    )


def _check_even(n_found: int, numbers: NDArray[np.int64], residuals: Floats, period_px: float) -> None:
    """Refuse lines that lie off their places, and a ruling with many more or fewer lines than its distance asks for."""
    n = len(numbers)
    extra, missing = n_found - n, int(np.ptp(numbers)) + 1 - n
    limit_px = max(MAX_RESIDUAL_SHARE * period_px, MAX_RESIDUAL_FLOOR_PX)
    rms_px = float(np.sqrt(np.mean(residuals**2)))
    if extra > MAX_EXTRA_SHARE * n or missing > MAX_MISSING_SHARE * n or rms_px > limit_px:
        raise MeasurementRefused(
            "uneven",
            f"the {n_found} lines found are not evenly spaced: {n} fit a distance of {period_px:.1f} px, {missing} are "
            f"missing, they lie {rms_px:.2f} px (root mean square) from their places (limit {limit_px:.2f}). Use a "
            "clean stage micrometer, in focus, and nothing else in view.",
        )


def _check_flat(lines: list[_Line], places: Floats, picture_px: int) -> None:
    """Refuse a ruling whose distance changes along it, or whose lines run together: something lies askew.

    Numbered from gap to gap, which holds where the distance changes slowly.
    """
    if len(lines) < MIN_LINES:
        return
    numbers = np.cumsum(np.rint(np.diff(places, prepend=places[0]) / np.median(np.diff(places)))).astype(np.int64)
    if len(np.unique(numbers)) < len(numbers):
        return  # something beside the lines: judged as uneven
    (bend, step, _), covariance = np.polyfit(numbers - numbers.mean(), places, 2, cov="unscaled")
    rest = places - np.polyval(np.polyfit(numbers, places, 2), numbers)
    rest_px = float(np.sqrt(np.sum(rest**2) / max(1, len(places) - 3)))
    if rest_px > MAX_RESIDUAL_SHARE * step:
        return
    # both as change of the distance by the distance, for each px along the ruling or along its lines
    along, along_error = 2.0 * abs(bend) / step**2, 2.0 * rest_px * np.sqrt(covariance[0, 0]) / step**2
    fan, fan_error = _trend(numbers, np.array([line.slope for line in lines]))
    across, across_error = abs(fan) / step, fan_error / step
    for change, error, how in ((along, along_error, "along the ruling"), (across, across_error, "along its lines")):
        share = change * picture_px
        if share > MAX_CHANGE_SHARE and change > 3.0 * error:
            raise MeasurementRefused(
                "askew",
                f"the distance of the lines changes by {100 * share:.1f} % over the picture, {how} (limit "
                f"{100 * MAX_CHANGE_SHARE:g} %): the slide or the camera lies askew. Lay the slide flat, focus again.",
            )


def _trend(x: NDArray[np.int64], y: Floats) -> tuple[float, float]:
    """Slope of `y` over `x` and its standard error."""
    centred = x - x.mean()
    slope = float(np.sum(centred * y) / np.sum(centred**2))
    rest = y - y.mean() - slope * centred
    return slope, float(np.sqrt(np.sum(rest**2) / max(1, len(x) - 2) / np.sum(centred**2)))


def _check_single(
    upright: _Upright, lines: list[_Line], numbers: NDArray[np.int64], period_px: float, division_um: float
) -> None:
    """Refuse a ruling with fainter lines between those found: its smallest division is not the one measured."""
    top, bottom = (f(float(f(line.y_px)) for line in lines) for f in (min, max))
    profile = _profile(upright.dark[int(top) : int(bottom) + 1])
    if profile is None:
        return
    places = np.array([float(np.mean(line.x_px)) for line in lines])
    folded = _folded(profile, places, period_px)
    ground = np.percentile(folded, 20)
    line_od10 = folded.max() - ground
    own = _taken_light(profile, places, period_px)
    whole = ~np.isnan(own)  # the others leave the picture
    numbers, own = numbers[whole], own[whole]
    for parts in (2, 3, 4, 5):
        between = min(_peak_at(folded, number / parts) for number in range(1, parts)) - ground
        every = [float(np.median(own[numbers % parts == number])) for number in np.unique(numbers % parts)]
        if between > MAX_BETWEEN_SHARE * line_od10:
            finer_px, coarser_px = period_px / parts, period_px
        elif len(own) >= 3 * parts and min(every) < MIN_EVERY_SHARE * max(every):
            finer_px, coarser_px = period_px, period_px * parts
        else:
            continue
        raise MeasurementRefused(
            "two_periods",
            f"darker and fainter lines alternate: the division may be {coarser_px:.1f} px or {finer_px:.1f} px, and "
            f"{division_um:g} um can mean either. Focus so that all lines are equally dark, or use a ruling without "
            "finer lines.",
        )


def _taken_light(profile: Floats, places: Floats, period_px: float) -> Floats:
    """Light that each line takes in all; its darkest pixel would depend on how a thin line meets the pixels."""
    half_px = max(2, round(period_px / 6))
    taken = np.convolve(1.0 - 10.0**-profile, np.ones(2 * half_px + 1), mode="same")
    return np.asarray(np.interp(places, np.arange(len(profile)), taken))


def _folded(profile: Floats, places: Floats, period_px: float) -> Floats:
    """Median darkness at 60 phases of the distance, from each line found to the next place of one; 0 is the line."""
    phases = np.arange(60) / 60.0
    at = places[:, None] + period_px * phases[None, :]
    values = np.interp(at, np.arange(len(profile)), profile, left=np.nan, right=np.nan)
    whole = values[~np.isnan(values).any(axis=1)]
    return np.median(whole if len(whole) else np.nan_to_num(values), axis=0)


def _peak_at(folded: Floats, phase: float) -> float:
    """Darkness at a phase where it is a peak of its own: not the foot of the line beside it."""
    n = len(folded)
    at = round(phase * n)
    here = float(folded[at - 1 : at + 2].max())
    beside = max(float(folded[at - 5 : at - 2].min()), float(folded[at + 3 : at + 6].min()))
    return here if here > beside + 0.01 else -np.inf


def _ends(upright: _Upright, line: _Line) -> tuple[float, float, float, float]:
    top, bottom = float(line.y_px.min()), float(line.y_px.max())
    return (*upright.in_picture(line.at(top), top), *upright.in_picture(line.at(bottom), bottom))
