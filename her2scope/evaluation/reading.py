"""A picture and its control read as `her2scope score --control` does, and what of it is compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.cells import CellKind, StainCuts
from her2scope.domain.control import ControlCode, CutsFrom
from her2scope.domain.guideline import Score
from her2scope.evaluation.matching import Places
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.pipeline.control import cuts_in_force, judge, measure_control, read_field
from her2scope.records import Cell, ControlReading, FieldResult, Frame


@dataclass(frozen=True, slots=True)
class Anchor:
    """What the controls of a run gave."""

    cuts: StainCuts
    from_control: bool
    """False: the controls gave no cuts, and the default cuts stay."""
    status: str
    codes: tuple[str, ...]
    """Verdict on the 3+ level."""


def read_anchor(analyser: FieldAnalyser, controls: Mapping[Score, Iterable[Frame]]) -> Anchor:
    """Read each level in the order given, the 3+ first: its verdict, and the cuts for the run's cases.

    Of a level further fields are read while there are too few cells, and measured together, as on a slide.
    """
    readings: list[ControlReading] = []
    default, limits = analyser.default_cuts, analyser.settings.control
    for number, (level, frames) in enumerate(controls.items(), start=1):
        cuts, _ = cuts_in_force(default, readings, limits)
        readings.append(_read_level(analyser, level, frames, cuts, number))
    cuts, cuts_from = cuts_in_force(default, readings, limits)
    verdict, from_control = readings[0].verdict, cuts_from is not CutsFrom.SETTINGS
    return Anchor(cuts, from_control, verdict.status.value, tuple(code.value for code in verdict.codes))


def _read_level(
    analyser: FieldAnalyser, level: Score, frames: Iterable[Frame], cuts: StainCuts, number: int
) -> ControlReading:
    results: list[FieldResult] = []
    for frame in frames:
        results.append(read_field(analyser, frame, level, cuts))
        measures = measure_control(analyser, results, level)
        verdict = judge(analyser, measures, level, [])
        if ControlCode.TOO_FEW not in verdict.codes:
            break
    return ControlReading(number, "", level, "", measures, verdict, results[-1])


def centres_of(cells: Sequence[Cell]) -> Places:
    """Centres `(N, 2)` of cells."""
    return np.array([(cell.x_px, cell.y_px) for cell in cells], np.float64).reshape(-1, 2)


def are_tumour(cells: Sequence[Cell]) -> NDArray[np.bool_]:
    """Which cells `(N,)` are tumour."""
    return np.array([cell.kind is CellKind.TUMOUR for cell in cells], bool)
