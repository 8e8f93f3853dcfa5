"""A laboratory's own limits of a sufficient 3+ control, worked out from the runs it found sufficient."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from her2scope.domain.control import ControlCode, ControlLimits, ControlMeasures
from her2scope.domain.control_history import BASELINE_RUNS, ControlChart, ControlEntry
from her2scope.domain.errors import BadInputError
from her2scope.domain.score import ControlStatus
from her2scope.domain.westgard import JudgedHistory

LIMIT_SD = 3.5
"""Limits lie that many SD from the mean: 3, as on the chart, and a sixth more, as 20 runs know their SD to a sixth."""


@dataclass(frozen=True, slots=True)
class _Figure:
    """A figure of a control, and how finely runs can be told apart by it."""

    floor: float
    """Smaller values are this one: they are not told from none. It is below 0 where the figure may be."""
    min_sd: float
    """Of the natural logarithm, or of the figure itself where it may be negative."""
    most: float = 5.0
    """No limit is greater: 5 od10 let 0.001 % of the light through, and no share exceeds 1."""


FIGURES: Mapping[str, _Figure] = {
    "membrane_od10": _Figure(0.05, 0.05),
    "intense_od10": _Figure(0.05, 0.10),
    "background_od10": _Figure(0.05, 0.10),
    "stroma_od10": _Figure(0.04, 0.20),
    "nuclear_od10": _Figure(-0.9, 0.02),
    "counterstain_od10": _Figure(0.01, 0.15),
    "clipped_share": _Figure(0.01, 0.20, most=1.0),
    "dark_share": _Figure(0.01, 0.20, most=1.0),
}
"""Names of `ControlMeasures` that limits are set for. The smallest SD are those between fields of one phantom run."""
BY_LIMITS = frozenset(
    {ControlCode.FADED, ControlCode.OVER_STAINED, ControlCode.BACKGROUND, ControlCode.NO_COUNTERSTAIN,
     ControlCode.OVER_EXPOSED}
)  # fmt: skip
"""Codes by which a reading may be invalid only because it is outside the limits of the settings."""


class TooFewRunsError(BadInputError):
    """Limits were asked for with too few runs."""

    def __init__(self, n_runs: int) -> None:
        super().__init__(
            f"{n_runs} sufficient runs of the 3+ level are not enough for limits of your own, {BASELINE_RUNS} are. "
            "Read the control of more runs; until then the limits of the settings hold."
        )


def figures_of(measures: ControlMeasures) -> dict[str, float]:
    """The figures of `FIGURES` of a reading, without those it has not."""
    values = {name: getattr(measures, name) for name in FIGURES}
    return {name: round(float(value), 4) for name, value in values.items() if value is not None}


def own_limits(runs: Sequence[Mapping[str, float]], base: ControlLimits) -> ControlLimits:
    """Limits from the figures of sufficient runs of one lab; TooFewRunsError with fewer than 20.

    Parameters
    ----------
    runs : figures of the 3+ control by the names of `FIGURES`, one mapping a run; a name may be missing in some
    base : what holds for all that runs do not tell
    """
    if len(runs) < BASELINE_RUNS:
        raise TooFewRunsError(len(runs))
    low, high = {}, {}
    for name, figure in FIGURES.items():
        values = [run[name] for run in runs if name in run]
        if len(values) >= BASELINE_RUNS // 2:
            low[name], high[name] = _range(values, figure)
    limits = {
        "min_intense_od10": low.get("membrane_od10"),
        "max_intense_od10": high.get("membrane_od10"),
        "invalid_intense_od10": high.get("membrane_od10"),
        "min_cut_od10": low.get("intense_od10"),
        "max_cut_od10": high.get("intense_od10"),
        "max_background_od10": high.get("background_od10"),
        "max_background_share": 0.0 if "background_od10" in high else None,  # the lab's own od10 alone decides
        "max_stroma_od10": high.get("stroma_od10"),
        "max_nuclear_od10": high.get("nuclear_od10"),
        "min_counterstain_od10": low.get("counterstain_od10"),
        "max_clipped_share": high.get("clipped_share"),
        "max_dark_share": high.get("dark_share"),
    }
    known: dict[str, Any] = {name: round(value, 3) for name, value in limits.items() if value is not None}
    return _consistent(replace(base, **known))


def sufficient_runs(chart: ControlChart, judged: JudgedHistory) -> tuple[ControlEntry, ...]:
    """Runs of a chart of which limits may be taken: those that read their level by a picture that can be judged.

    Limits of the settings alone do not exclude one, as they are what is to be replaced; a rule of the chart does.
    """
    return tuple(
        point.entry
        for point in chart.points
        if (point.entry.status is not ControlStatus.INVALID or BY_LIMITS.issuperset(point.entry.codes))
        and all(finding.severity is not ControlStatus.INVALID for finding in judged.of(point))
    )


def _range(values: Sequence[float], figure: _Figure) -> tuple[float, float]:
    """Least and greatest value that a sufficient run has."""
    is_log = figure.floor > 0
    possible = [min(max(value, figure.floor), figure.most) for value in values]
    scaled = [math.log(value) for value in possible] if is_log else possible
    mean = math.fsum(scaled) / len(scaled)
    sd = math.sqrt(math.fsum((value - mean) ** 2 for value in scaled) / (len(scaled) - 1))
    reach = LIMIT_SD * max(sd, figure.min_sd)
    low, high = mean - reach, mean + reach
    if is_log:
        low, high = math.exp(low), math.exp(high)
    return low, min(high, figure.most)


def _consistent(limits: ControlLimits) -> ControlLimits:
    """What is invalid is never less than what is only doubted."""
    return replace(
        limits,
        invalid_background_od10=max(limits.invalid_background_od10, limits.max_background_od10),
        max_clipped_share=min(limits.max_clipped_share, limits.invalid_clipped_share),
    )
