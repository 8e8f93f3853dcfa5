"""Levey-Jennings charts: how far each run's control lay from what this lab's controls are.

Levels stand one below the other over the same runs. Shape and colour say the verdict, words the rule that was broken.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.control_history import Baseline, ChartReading, ControlChart, Standing
from her2scope.domain.score import ControlStatus
from her2scope.domain.westgard import WARNING_SD, JudgedHistory
from her2scope.imaging.files import encode_png
from her2scope.overlays.palette import Marker, marker_polygon
from her2scope.reporting.chart_canvas import Box, Canvas, Point, printable
from her2scope.reporting.words import count

SIZE_WH = (1200, 700)
LEFT, RIGHT, TOP, BOTTOM, HEADER = 56.0, 52.0, 6.0, 44.0, 24.0
"""Margins round the plots, and the line above each."""
LEAST_PLOT = 36.0
"""Width and height below which nothing could be read off a plot."""
LEAST_SD, MOST_SD = 4.2, 6.5
"""The scale reaches at least to the first and at most to the second; what lies beyond is drawn at its end."""
SMALL, RULE = 11.0, 10.5
_SLOT = tuple[tuple[str, str, str], str]
"""Series and run: one place on the x axis."""


@dataclass(frozen=True, slots=True)
class ChartColours:
    """Colours of a chart; status colours stay apart for all kinds of colour vision, and have shapes beside them."""

    paper: str = "#ffffff"
    ink: str = "#1a1a1a"
    dim: str = "#5a5f66"
    line: str = "#c9cdd2"
    shade: str = "#eef2f6"
    """Behind the runs of the baseline."""
    valid: str = "#0067a8"
    warning: str = "#b06a00"
    invalid: str = "#a3161f"

    def of(self, status: ControlStatus) -> str:
        """Colour of a verdict."""
        return {ControlStatus.VALID: self.valid, ControlStatus.WARNING: self.warning}.get(status, self.invalid)


_SHAPES = {
    ControlStatus.VALID: Marker.CIRCLE,
    ControlStatus.WARNING: Marker.TRIANGLE,
    ControlStatus.INVALID: Marker.SQUARE,
}
_SEVERITY = (ControlStatus.VALID, ControlStatus.WARNING, ControlStatus.INVALID)


def levey_jennings(
    judged: JudgedHistory,
    size_wh: tuple[int, int] = SIZE_WH,
    scale: float = 1.0,
    colours: ChartColours | None = None,
) -> NDArray[np.uint8]:
    """Charts of a history as a picture.

    Parameters
    ----------
    size_wh : width and height of the picture in pixels
    scale : pixels per point of a plain screen (its device pixel ratio)

    Returns
    -------
    (H, W, 3) uint8 RGB
    """
    return _Picture(judged, size_wh, scale, colours or ChartColours()).rgb()


def levey_jennings_png(judged: JudgedHistory, width_px: int = SIZE_WH[0]) -> bytes:
    """The same as a PNG file, as high as its charts need."""
    n = len(judged.charts)
    return encode_png(levey_jennings(judged, (width_px, max(SIZE_WH[1] // 2, 60 + 215 * n))))


@dataclass(frozen=True, slots=True)
class _Axis:
    """The y axis of one chart: from which value to which it goes, and where each stands."""

    plot: Box
    low: float
    high: float

    def y(self, value: float) -> float:
        """Place of a value; beyond the scale, its end."""
        _, top, _, bottom = self.plot
        share = (min(self.high, max(self.low, value)) - self.low) / (self.high - self.low)
        return bottom - share * (bottom - top)


class _Picture:
    def __init__(self, judged: JudgedHistory, size_wh: tuple[int, int], scale: float, colours: ChartColours) -> None:
        self.judged, self.colours = judged, colours
        self.canvas = Canvas(size_wh, scale, colours.paper)
        self.slots = _slots(judged.charts)
        self.slot_width = (self.canvas.width - LEFT - RIGHT) / max(1, len(self.slots))
        self.radius = min(4.6, max(2.4, 0.42 * self.slot_width))
        self.taken: list[Box] = []
        """Boxes of marks and rule names on the present chart, so that names keep clear of them."""
        self.n_unnamed = 0

    def rgb(self) -> NDArray[np.uint8]:
        charts = self.judged.charts
        if not self.slots:
            return self._only("No reading to chart: each needs its lot, its run and a picture that can be judged.")
        height = (self.canvas.height - TOP - BOTTOM) / len(charts)
        if height < HEADER + LEAST_PLOT or self.canvas.width < LEFT + RIGHT + LEAST_PLOT:
            return self._only("Too small for the charts.")
        for place, chart in enumerate(charts):
            top = TOP + place * height
            self._chart(chart, (LEFT, top + HEADER, self.canvas.width - RIGHT, top + height - 5))
        self._dates()
        self._legend()
        return self.canvas.rgb()

    def _only(self, words: str) -> NDArray[np.uint8]:
        """A line in place of charts."""
        fitted = self.canvas.fitted(words, self.canvas.width - 16)
        self.canvas.text((self.canvas.width / 2, self.canvas.height / 2), fitted, self.colours.dim, anchor="mm")
        return self.canvas.rgb()

    # ---- one chart -------------------------------------------------------------------------------------------------

    def _chart(self, chart: ControlChart, plot: Box) -> None:
        self.taken = []
        axis = _axis(chart, plot)
        self._baseline(chart, plot)
        self._frame(plot)
        if chart.baseline is None:
            self._od10_axis(axis)
        else:
            self._sd_axis(chart.baseline, axis)
        self._header(chart, plot)
        self._readings(chart, axis)

    def _header(self, chart: ControlChart, plot: Box) -> None:
        left, top, right, _ = plot
        y = top - HEADER / 2 + 1
        note_width = self.canvas.text_width(chart.note)
        names = [f"{chart.key.level} control", f"lot {chart.key.lot}", chart.key.instrument, chart.key.method]
        title = printable(" \u00b7 ".join(name for name in names if name))
        fitted = self.canvas.fitted(title, right - left - note_width - 16, 12.5, bold=True)
        self.canvas.text((left, y), fitted, self.colours.ink, 12.5, bold=True)
        self.canvas.text((right, y), chart.note, self.colours.dim, anchor="rm")

    def _baseline(self, chart: ControlChart, plot: Box) -> None:
        """Shade the runs that the mean and SD come from."""
        if chart.baseline is None:
            return
        places = [self.slots[chart.key.series, run] for run in chart.baseline.runs]
        left, right = (plot[0] + place * self.slot_width for place in (min(places), max(places) + 1))
        self.canvas.fill((left, plot[1], right, plot[3]), self.colours.shade)
        width = self.canvas.text_width("baseline", SMALL - 1)
        if right - left > width + 8:
            self.canvas.text((left + 4, plot[3] - 7), "baseline", self.colours.dim, SMALL - 1)
            self.taken.append(_around((left + 4 + width / 2, plot[3] - 7), width, SMALL))

    def _frame(self, plot: Box) -> None:
        left, top, right, bottom = plot
        corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
        self.canvas.line(corners, self.colours.line)

    def _sd_axis(self, baseline: Baseline, axis: _Axis) -> None:
        """Lines at the mean and at 1, 2 and 3 SD; the same in od10 on the right."""
        left, top, right, _ = axis.plot
        self.canvas.text((right + 6, top - HEADER / 2 + 1), "od10", self.colours.dim, SMALL)
        digits = 3 if baseline.mean_od10 < 0.2 else 2
        named_every = next((step for step in (1, 2) if axis.y(0) - axis.y(step) >= SMALL + 1), 3)
        for z in range(-3, 4):
            y = axis.y(z)
            self.canvas.level(left, right, y, *self._line_style(abs(z)))
            if z % named_every == 0:
                words = f"{_signed(z)} SD" if z else "mean"
                intensity = f"{baseline.intensity_od10(z):.{digits}f}"
                self.canvas.text((left - 6, y), words, self.colours.dim, SMALL, "rm")
                self.canvas.text((right + 6, y), intensity, self.colours.dim, SMALL)

    def _line_style(self, z: int) -> tuple[str, Point | None]:
        """Colour of the line at so many SD, and the length of its strokes and gaps."""
        if z == WARNING_SD:
            return self.colours.warning, (7.0, 4.0)
        return {0: (self.colours.dim, None), 1: (self.colours.line, (2.0, 3.0))}.get(z, (self.colours.invalid, None))

    def _od10_axis(self, axis: _Axis) -> None:
        """The intensity itself, where there is no mean to compare with yet."""
        left, top, right, bottom = axis.plot
        self.canvas.text((left - 6, top - HEADER / 2 + 1), "od10", self.colours.dim, SMALL, "rm")
        for value, words in _ticks(axis.low, axis.high, int((bottom - top) / (2 * SMALL))):
            y = axis.y(value)
            self.canvas.level(left, right, y, self.colours.line, (2.0, 3.0))
            self.canvas.text((left - 6, y), words, self.colours.dim, SMALL, "rm")

    def _readings(self, chart: ControlChart, axis: _Axis) -> None:
        through = [self._at(point, chart, axis) for point in chart.points]
        if len(through) > 1:
            self.canvas.line(through, self.colours.line, 1.2)
        for reading in chart.readings:
            if reading.standing is Standing.EARLIER:
                self._mark(self._at(reading, chart, axis), reading.entry.status, hollow=True)
        for point, at in zip(chart.points, through, strict=True):
            self._mark(at, self._verdict(point))
        names = [self._words(point, axis) for point in chart.points]
        for place in reversed(range(len(names))):  # the newest run gets its name first
            goes_on = 0 < place < len(names) - 1 and names[place] == names[place - 1]
            if names[place] and not goes_on:  # a shift that goes on is named where it begins, and at the newest run
                self._name(names[place], through[place], axis, self.colours.of(self._verdict(chart.points[place])))

    def _at(self, reading: ChartReading, chart: ControlChart, axis: _Axis) -> Point:
        place = self.slots[chart.key.series, reading.entry.run.strip()]
        return LEFT + (place + 0.5) * self.slot_width, axis.y(_value(reading))

    def _mark(self, at: Point, status: ControlStatus, hollow: bool = False) -> None:
        colour = self.colours.of(status)
        corners = marker_polygon(_SHAPES.get(status, Marker.CROSS))
        self.canvas.mark(at, corners, self.radius, colour, self.colours.paper if hollow else None)
        self.taken.append(_around(at, 2 * self.radius, 2 * self.radius))

    def _verdict(self, point: ChartReading) -> ControlStatus:
        """The worst that was said of a run: by its own limits or by the rules."""
        found = [point.entry.status, *(finding.severity for finding in self.judged.of(point))]
        return max(found, key=_SEVERITY.index)

    def _words(self, point: ChartReading, axis: _Axis) -> str:
        """Rules that a point breaks, and its value where the scale ends before it."""
        rules = " ".join(finding.rule for finding in self.judged.of(point))
        if point.z is None or axis.low <= point.z <= axis.high:
            return rules
        return f"{rules} {_signed(point.z, 1)} SD".strip()

    def _name(self, words: str, at: Point, axis: _Axis, colour: str) -> None:
        """Write beside a mark, where nothing else stands."""
        width, height = self.canvas.text_width(words, RULE, bold=True), RULE + 1
        for box in self._places(at, width, height, axis):
            if not any(_overlap(box, other) for other in self.taken):
                self.taken.append(box)
                middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
                self.canvas.text(middle, words, colour, RULE, "mm", bold=True, halo=True)
                return
        self.n_unnamed += 1

    def _places(self, at: Point, width: float, height: float, axis: _Axis) -> Iterator[Box]:
        """Where a name may stand, the best place first, all within the plot."""
        left, top, right, bottom = axis.plot
        beside = self.radius + 3 + width / 2
        over = self.radius + 2 + height / 2
        for dx, dy in (
            (0.0, -over), (0.0, over), (beside, 0.0), (-beside, 0.0),
            (beside, -over), (beside, over), (-beside, -over), (-beside, over),
            (0.0, -over - height), (0.0, over + height),
        ):  # fmt: skip
            box = _around((at[0] + dx, at[1] + dy), width, height)
            if box[0] >= left and box[1] >= top and box[2] <= right and box[3] <= bottom:
                yield box

    # ---- below the charts ------------------------------------------------------------------------------------------

    def _dates(self) -> None:
        days = _days(self.judged.charts)
        y = self.canvas.height - BOTTOM + 9
        step = math.ceil((self.canvas.text_width("2026-12-31", SMALL) + 14) / self.slot_width)
        for slot, place in self.slots.items():
            if place % step == 0:
                x = LEFT + (place + 0.5) * self.slot_width
                self.canvas.line([(x, y - 14), (x, y - 10)], self.colours.dim)
                self.canvas.text((x, y), days[slot], self.colours.dim, SMALL, "mm")

    def _legend(self) -> None:
        x, y = LEFT, self.canvas.height - 12
        keys = [(status, status.value, False) for status in _SEVERITY]
        for status, words, hollow in [*keys, (ControlStatus.VALID, "earlier reading of the run", True)]:
            colour = self.colours.of(status)
            inside = self.colours.paper if hollow else None
            self.canvas.mark((x + 5, y), marker_polygon(_SHAPES[status]), 4.6, colour, inside)
            self.canvas.text((x + 14, y), words, self.colours.dim, SMALL)
            x += 14 + self.canvas.text_width(words, SMALL) + 16
        words = "runs in order, dates in UTC"
        if self.n_unnamed:
            words = f"{count(self.n_unnamed, 'rule name')} had no room"
        right = self.canvas.width - RIGHT
        self.canvas.text((right, y), self.canvas.fitted(words, right - x, SMALL), self.colours.dim, SMALL, "rm")


# ---- places and values --------------------------------------------------------------------------------------------


def _slots(charts: Sequence[ControlChart]) -> Mapping[_SLOT, int]:
    """Place of each run on the x axis, in the order in which the runs were first read."""
    began: dict[_SLOT, int] = {}
    for chart in charts:
        for reading in chart.readings:
            if reading.standing in (Standing.POINT, Standing.EARLIER):
                slot = chart.key.series, reading.entry.run.strip()
                began[slot] = min(began.get(slot, reading.place), reading.place)
    return {slot: place for place, slot in enumerate(sorted(began, key=began.__getitem__))}


def _days(charts: Sequence[ControlChart]) -> Mapping[_SLOT, str]:
    """Day of each run's latest reading."""
    return {
        (chart.key.series, point.entry.run.strip()): point.entry.at_utc[:10]
        for chart in charts
        for point in chart.points
    }


def _value(reading: ChartReading) -> float:
    """What the y axis shows: z, else the intensity."""
    return reading.entry.intensity_od10 if reading.z is None else reading.z


def _axis(chart: ControlChart, plot: Box) -> _Axis:
    shown = [_value(item) for item in chart.readings if item.standing in (Standing.POINT, Standing.EARLIER)]
    if chart.baseline is not None:
        high = min(MOST_SD, max(LEAST_SD, *(abs(value) + 0.6 for value in shown))) if shown else LEAST_SD
        return _Axis(plot, -high, high)
    low, high = min(shown, default=0.0), max(shown, default=1.0)
    room = max(0.25 * (high - low), 0.1 * high)
    return _Axis(plot, max(0.0, low - room), high + room)


def _ticks(low: float, high: float, most: int) -> list[tuple[float, str]]:
    """Round values between two, at most so many, with their names."""
    steps = [digit * 10.0**power for power in range(-3, 2) for digit in (1, 2, 5)]
    step = next((step for step in steps if (high - low) / step <= max(1, most)), steps[-1])
    digits = max(0, -math.floor(math.log10(step)))
    return [(n * step, f"{n * step:.{digits}f}") for n in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _signed(z: float, digits: int = 0) -> str:
    """Figure with its sign, a real minus and no hyphen."""
    return f"{z:+.{digits}f}".replace("-", "\u2212")


def _around(centre: Point, width: float, height: float) -> Box:
    return centre[0] - width / 2, centre[1] - height / 2, centre[0] + width / 2, centre[1] + height / 2


def _overlap(first: Box, second: Box) -> bool:
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]
