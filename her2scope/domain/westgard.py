"""Has the staining drifted from what this lab's controls were? The rules of Westgard et al., Clin Chem 27:493 (1981).

They compare runs by z, the SD above the mean of a chart's baseline (`control_history`). Until a chart has one, they say
nothing. A reading is judged by the baseline that stood before it, never by one that it helped to make.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from her2scope.domain.control import ControlCode
from her2scope.domain.control_history import (
    ChartKey,
    ChartReading,
    ControlChart,
    ControlEntry,
    Standing,
    control_charts,
    first_told,
)
from her2scope.domain.score import ControlStatus

WARNING_SD, LIMIT_SD = 2.0, 3.0
SHIFTS = (("4-1s", 4, 1.0), ("10x", 10, 0.0))
"""Rules of a systematic shift: so many runs in a row, each more than so many SD to one side."""
ROUNDING = 1e-9
"""An intensity of exactly 2 SD is not beyond it, however its logarithm rounds."""
WEAK = "check antibody, incubation, retrieval"
STRONG = "check antibody dilution and DAB time"


@dataclass(frozen=True, slots=True)
class WestgardFinding:
    """A rule that a run breaks."""

    rule: str
    severity: ControlStatus
    code: ControlCode
    reason: str


Findings = tuple[WestgardFinding, ...]


@dataclass(frozen=True, slots=True)
class JudgedReading:
    """One reading of the history, with all that the charts say of it."""

    entry: ControlEntry
    standing: Standing
    z: float | None
    findings: Findings

    @property
    def remarks(self) -> str:
        """Codes of its verdict, and why it is no point where it is none."""
        why = () if self.standing is Standing.POINT else (self.standing.value,)
        return ", ".join((*self.entry.codes, *why))


@dataclass(frozen=True, slots=True)
class JudgedHistory:
    """A history with its charts, and the rules that each run breaks."""

    readings: tuple[JudgedReading, ...]
    charts: tuple[ControlChart, ...]
    findings: Mapping[int, Findings]
    """By the place of the point's reading in the history."""

    def of(self, point: ChartReading) -> Findings:
        """Rules that a point breaks."""
        return self.findings.get(point.place, ())

    def only(
        self,
        level: str | None = None,
        lot: str | None = None,
        instrument: str | None = None,
        method: str | None = None,
    ) -> JudgedHistory:
        """The part of one level, lot, instrument or method; what its runs break stays what it was."""

        def asked(item: ControlEntry | ChartKey) -> bool:
            pairs = ((level, item.level), (lot, item.lot), (instrument, item.instrument), (method, item.method))
            return all(wanted is None or wanted.strip() == value.strip() for wanted, value in pairs)

        readings = tuple(reading for reading in self.readings if asked(reading.entry))
        return replace(self, readings=readings, charts=tuple(chart for chart in self.charts if asked(chart.key)))


def judge_history(history: Sequence[ControlEntry]) -> JudgedHistory:
    """Every reading of a history, judged."""
    charts = control_charts(history)
    runs = _by_run(charts)
    findings = {
        point.place: tuple(_broken(number, chart, runs))
        for chart in charts
        for number, point in enumerate(chart.points)
    }
    charted = {reading.place: reading for chart in charts for reading in chart.readings}

    def judged(place: int, entry: ControlEntry) -> JudgedReading:
        reading = charted.get(place)
        if reading is None:
            return JudgedReading(entry, Standing.NO_CHART, None, ())
        return JudgedReading(entry, reading.standing, reading.z, findings.get(place, ()))

    return JudgedHistory(tuple(judged(place, entry) for place, entry in enumerate(history)), charts, findings)


def judge_by_history(entry: ControlEntry, history: Sequence[ControlEntry]) -> Findings:
    """Rules that a new reading, not yet in the history, breaks; one of images read before is judged as it was then."""
    told = first_told(entry, history)
    before = tuple(history if told is None else history[:told])
    charts = control_charts((*before, entry))
    for chart in charts:
        for number, point in enumerate(chart.points):
            if point.place == len(before):
                return tuple(_broken(number, chart, _by_run(charts)))
    return ()


def baseline_note(entry: ControlEntry, history: Sequence[ControlEntry]) -> str:
    """What the history can say about a new reading, in words."""
    if entry.key is None:
        return f"{Standing.NO_CHART}: this reading is on no chart, only the absolute limits hold"
    charts = control_charts((*history, entry))
    return next(chart.note for chart in charts if chart.key == entry.key)


# ---- the rules ----------------------------------------------------------------------------------------------------


_Runs = Mapping[tuple[tuple[str, str, str], str], Mapping[str, ChartReading]]
"""Points of each series' run, by level."""


def _by_run(charts: Sequence[ControlChart]) -> _Runs:
    runs: dict[tuple[tuple[str, str, str], str], dict[str, ChartReading]] = {}
    for chart in charts:
        for point in chart.points:
            runs.setdefault((chart.key.series, point.entry.run.strip()), {})[chart.key.level] = point
    return runs


def _broken(number: int, chart: ControlChart, runs: _Runs) -> Iterator[WestgardFinding]:
    """Rules that the chart's point of that number breaks, those that refuse the run first."""
    point, level = chart.points[number], chart.key.level
    if chart.baseline is None or point.place <= chart.baseline.place:
        return
    so_far = chart.points[: number + 1]
    levels = runs[chart.key.series, point.entry.run.strip()]
    mates = {other: mate for other, mate in levels.items() if other != level}
    refused = [*_limit(point, level), *_two(so_far, level, mates), *_opposed(point, level, mates)]
    yield from refused or _warning(point, level)
    yield from _shift(so_far, level)


def _limit(point: ChartReading, level: str) -> Iterator[WestgardFinding]:
    if _beyond(point, LIMIT_SD):
        why = f"{level} control: {_distance(point)} this lot's mean (rule 1-3s)"
        yield _finding("1-3s", ControlStatus.INVALID, point, f"{why}; {_remedy(point)}")


def _two(so_far: Sequence[ChartReading], level: str, mates: Mapping[str, ChartReading]) -> Iterator[WestgardFinding]:
    """Two runs of a level, or two levels of a run, beyond 2 SD on one side."""
    point = so_far[-1]
    mate = next((other for other, reading in mates.items() if _all_beyond((point, reading), WARNING_SD)), None)
    if len(so_far) > 1 and _all_beyond(so_far[-2:], WARNING_SD):
        which = f"{level} control: this run and the one before"
    elif mate is not None:
        which = f"{level} and {mate} control of this run"
    else:
        return
    why = f"{which} more than {WARNING_SD:g} SD {_side(point)} this lot's mean (rule 2-2s)"
    yield _finding("2-2s", ControlStatus.INVALID, point, f"{why}; {_remedy(point)}")


def _opposed(point: ChartReading, level: str, mates: Mapping[str, ChartReading]) -> Iterator[WestgardFinding]:
    """Two levels of a run, one above and one below."""
    for other, mate in mates.items():
        if _beyond(point, WARNING_SD) and _beyond(mate, WARNING_SD) and _side(point) != _side(mate):
            why = f"{level} control {_distance(point)}, {other} control {_distance(mate)} this lot's mean in one run"
            remedy = "the levels disagree: stain and read the run's controls again"
            yield _finding("R-4s", ControlStatus.INVALID, point, f"{why} (rule R-4s); {remedy}")
            return


def _warning(point: ChartReading, level: str) -> Iterator[WestgardFinding]:
    """Said only where no rule refuses the run."""
    if _beyond(point, WARNING_SD):
        why = f"{level} control: {_distance(point)} this lot's mean (rule 1-2s); watch the next run"
        yield _finding("1-2s", ControlStatus.WARNING, point, why)


def _shift(so_far: Sequence[ChartReading], level: str) -> Iterator[WestgardFinding]:
    """Several runs on one side of the mean."""
    for rule, n, sd in SHIFTS:
        if len(so_far) >= n and _all_beyond(so_far[-n:], sd):
            where = f"{f'more than {sd:g} SD ' if sd else ''}{_side(so_far[-1])} this lot's mean"
            why = f"{level} control: systematic shift, the last {n} runs {where} (rule {rule})"
            remedy = "check reagents, stainer, lamp and camera"
            yield WestgardFinding(rule, ControlStatus.WARNING, ControlCode.DRIFT, f"{why}; {remedy}")


def _all_beyond(readings: Sequence[ChartReading], sd: float) -> bool:
    """Whether all lie beyond so many SD, on one side."""
    return all(_beyond(reading, sd) for reading in readings) and len(set(map(_side, readings))) == 1


def _beyond(reading: ChartReading, sd: float) -> bool:
    return reading.z is not None and abs(reading.z) > sd + ROUNDING


def _side(reading: ChartReading) -> str:
    return "above" if (reading.z or 0.0) > 0 else "below"


def _distance(reading: ChartReading) -> str:
    """`2.6 SD above`."""
    return f"{abs(reading.z or 0.0):.1f} SD {_side(reading)}"


def _remedy(point: ChartReading) -> str:
    return f"DAB too strong: {STRONG}" if _side(point) == "above" else f"DAB too weak: {WEAK}"


def _finding(rule: str, severity: ControlStatus, point: ChartReading, reason: str) -> WestgardFinding:
    code = ControlCode.OVER_STAINED if _side(point) == "above" else ControlCode.FADED
    return WestgardFinding(rule, severity, code, reason)
