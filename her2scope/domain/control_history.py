"""Every reading of a control, and the charts they make: one per level, lot, instrument and method.

Readings stand in the order in which they were written down: a clock that was set back cannot change a baseline.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from her2scope.domain.control import ControlCode
from her2scope.domain.errors import BadInputError
from her2scope.domain.guideline import SCORES, Score
from her2scope.domain.score import ControlStatus

BASELINE_RUNS = 20
"""Valid runs that fix mean and SD: the fewest that laboratories use for it (CLSI C24, 4th edition)."""
MIN_SD_LN = 0.05
"""Smallest SD of ln(od10), about 5 %: the repeatability of one reading. Single fields of one phantom control differ by
0.02 to 0.16 (middle 0.07), so readings of two fields by about 0.05; no run can be told from the mean more finely."""
PICTURE_CODES = frozenset({ControlCode.BLURRED, ControlCode.OVER_EXPOSED, ControlCode.TOO_FEW})
"""Doubts about the picture: where they make a reading invalid, it says nothing certain about the stain. Real 3+ fields
have 7 to 10 % of clipped pixels, which is a warning and leaves the median what it is."""


class ImpossibleReadingError(BadInputError):
    """A control reading that says what cannot be."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"This control reading cannot be kept: {why}. Read the control again.")


@dataclass(frozen=True, slots=True)
class ChartKey:
    """What a chart is of: readings are comparable only where all four are the same."""

    level: Score
    lot: str
    instrument: str
    method: str

    @property
    def series(self) -> tuple[str, str, str]:
        """Lot, instrument and method: charts of one series have their runs in common."""
        return self.lot, self.instrument, self.method


@dataclass(frozen=True, slots=True)
class ControlEntry:
    """One reading of a control, as the history keeps it; ImpossibleReadingError for one that cannot be."""

    at_utc: str
    """ISO 8601 in UTC."""
    run: str
    """Which staining run."""
    level: Score
    lot: str
    instrument: str
    method: str
    """Name of the method and of its model (`network 3fa2b1`): another model measures on another scale."""
    intensity_od10: float
    """What the chart follows; 0 where nothing could be measured."""
    status: ControlStatus
    codes: tuple[str, ...]
    n_tumour: int
    images: tuple[str, ...]
    """Digests of the fields it was read from."""
    figures: Mapping[str, float] = field(default_factory=dict)
    """All that was measured, by the names of `own_limits.FIGURES`."""

    def __post_init__(self) -> None:
        for wrong in _impossible(self):
            raise ImpossibleReadingError(wrong)

    @property
    def key(self) -> ChartKey | None:
        """Chart it belongs to; None without a lot (a new one starts a chart) or a run (each gives one point)."""
        if not self.lot.strip() or not self.run.strip():
            return None
        return ChartKey(self.level, self.lot.strip(), self.instrument.strip(), self.method.strip())

    @property
    def measured(self) -> bool:
        """Whether its picture let the stain be judged."""
        by_its_picture = self.status is ControlStatus.INVALID and not PICTURE_CODES.isdisjoint(self.codes)
        return self.intensity_od10 > 0 and not by_its_picture

    def same_images(self, other: ControlEntry) -> bool:
        """Whether both were read from the very same images, in any order."""
        return bool(self.images) and frozenset(self.images) == frozenset(other.images)


def _impossible(entry: ControlEntry) -> Iterator[str]:
    try:
        is_utc = datetime.fromisoformat(entry.at_utc).utcoffset() == timedelta(0)
    except ValueError:
        is_utc = False
    if not is_utc:
        yield f"its time {entry.at_utc!r:.60} is not ISO 8601 in UTC"
    if entry.level not in SCORES:
        yield f"its level {entry.level!r:.20} is none of {', '.join(SCORES)}"
    if not (math.isfinite(entry.intensity_od10) and entry.intensity_od10 >= 0):
        yield f"its intensity is {entry.intensity_od10} od10"
    if entry.status is ControlStatus.ABSENT:
        yield "it has no verdict"
    if not all(math.isfinite(value) for value in entry.figures.values()):
        yield "one of its figures is no number"
    if entry.n_tumour < 0:
        yield f"it has {entry.n_tumour} tumour cells"


class Standing(StrEnum):
    """What a reading is to its chart."""

    POINT = "point"
    EARLIER = "earlier reading of its run"
    REPEATED = "same images as before"
    NOT_MEASURED = "not judged by its picture"
    NO_CHART = "no lot or run given"


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a chart's first valid runs were like; never changed again."""

    runs: tuple[str, ...]
    mean_ln: float
    """Mean of ln(od10)."""
    sd_ln: float
    """SD of ln(od10), at least `MIN_SD_LN`."""
    place: int
    """Which reading of the history completed it."""

    @property
    def mean_od10(self) -> float:
        """The mean as an optical density (geometric mean)."""
        return math.exp(self.mean_ln)

    def z(self, intensity_od10: float) -> float:
        """How many SD an intensity lies above the mean."""
        return (math.log(intensity_od10) - self.mean_ln) / self.sd_ln

    def intensity_od10(self, z: float) -> float:
        """Intensity that lies `z` SD above the mean."""
        return math.exp(self.mean_ln + z * self.sd_ln)


@dataclass(frozen=True, slots=True)
class ChartReading:
    """One reading on a chart."""

    place: int
    """Which reading of the history it is, from 0."""
    entry: ControlEntry
    standing: Standing
    z: float | None
    """SD above the baseline's mean; None without a baseline, or where nothing was measured."""


@dataclass(frozen=True, slots=True)
class ControlChart:
    """The series of one level, lot, instrument and method."""

    key: ChartKey
    readings: tuple[ChartReading, ...]
    """All of them, in the order of the history."""
    points: tuple[ChartReading, ...]
    """One a run, its latest reading, in the order in which the runs were first read."""
    baseline: Baseline | None
    n_valid: int
    """Valid runs, those after the baseline too."""

    @property
    def note(self) -> str:
        """What the chart can say so far."""
        if self.baseline is None:
            return f"{self.n_valid} of {BASELINE_RUNS} valid runs: only the absolute limits hold"
        spread = 100 * math.expm1(self.baseline.sd_ln)
        return f"mean {self.baseline.mean_od10:.2f} od10, SD {spread:.1f} % (first {BASELINE_RUNS} valid runs)"


def control_charts(history: Iterable[ControlEntry]) -> tuple[ControlChart, ...]:
    """Charts of a history, series after series as they began, the strongest level of each first."""
    found: dict[ChartKey, _Series] = {}
    for place, entry in enumerate(history):
        if entry.key is not None:
            found.setdefault(entry.key, _Series()).add(place, entry)
    began = {key.series: place for place, key in reversed(list(enumerate(found)))}
    keys = sorted(found, key=lambda key: (began[key.series], -SCORES.index(key.level)))
    return tuple(found[key].chart(key) for key in keys)


def first_told(entry: ControlEntry, history: Sequence[ControlEntry]) -> int | None:
    """Place of the first reading on the entry's chart that is of the very same images, None where there is none."""
    for place, earlier in enumerate(history):
        if entry.key is not None and earlier.key == entry.key and entry.same_images(earlier):
            return place
    return None


@dataclass(slots=True)
class _Series:
    """A chart in the making."""

    entries: list[tuple[int, ControlEntry, Standing]] = field(default_factory=list)
    latest: dict[str, tuple[int, ControlEntry]] = field(default_factory=dict)
    """Each run's latest reading and its place, runs in the order in which they were first read."""
    images: set[frozenset[str]] = field(default_factory=set)
    baseline: Baseline | None = None

    def add(self, place: int, entry: ControlEntry) -> None:
        images = frozenset(entry.images)
        standing = Standing.POINT
        if not entry.measured:
            standing = Standing.NOT_MEASURED
        elif images and images in self.images:
            standing = Standing.REPEATED
        self.images.add(images)
        self.entries.append((place, entry, standing))
        if standing is Standing.POINT:
            self.latest[entry.run.strip()] = place, entry
            if entry.status is ControlStatus.VALID and self.baseline is None:
                self._settle(place)

    def _settle(self, place: int) -> None:
        """Fix the baseline once there are runs enough."""
        valid = self._valid()
        if len(valid) == BASELINE_RUNS:
            logs = [math.log(entry.intensity_od10) for entry in valid.values()]
            mean = math.fsum(logs) / len(logs)
            sd = math.sqrt(math.fsum((value - mean) ** 2 for value in logs) / (len(logs) - 1))
            self.baseline = Baseline(tuple(valid), mean, max(sd, MIN_SD_LN), place)

    def _valid(self) -> dict[str, ControlEntry]:
        """Valid runs, each by its latest reading."""
        return {run: entry for run, (_, entry) in self.latest.items() if entry.status is ControlStatus.VALID}

    def chart(self, key: ChartKey) -> ControlChart:
        readings = {place: self._reading(place, entry, standing) for place, entry, standing in self.entries}
        points = tuple(readings[place] for place, _ in self.latest.values())
        return ControlChart(key, tuple(readings.values()), points, self.baseline, len(self._valid()))

    def _reading(self, place: int, entry: ControlEntry, standing: Standing) -> ChartReading:
        if standing is Standing.POINT and self.latest[entry.run.strip()][0] != place:
            standing = Standing.EARLIER
        z = self.baseline.z(entry.intensity_od10) if self.baseline and entry.measured else None
        return ChartReading(place, entry, standing, z)
