"""A picture and its control read as `her2scope score --control` does, and what of it is compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.cells import CellKind, StainCuts
from her2scope.domain.control import CutsFrom
from her2scope.domain.guideline import Score
from her2scope.evaluation.matching import Places
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.pipeline.control import cuts_in_force, judge, measure_control, read_field
from her2scope.records import Cell, ControlReading, Frame


@dataclass(frozen=True, slots=True)
class Anchor:
    """What the controls of a run gave."""

    cuts: StainCuts
    from_control: bool
    """False: the controls gave no cuts, and the default cuts stay."""
    status: str
    codes: tuple[str, ...]
    """Verdict on the 3+ level."""


def read_anchor(analyser: FieldAnalyser, controls: Mapping[Score, Frame]) -> Anchor:
    """Read one field of each level in the order given, the 3+ first: its verdict, and the cuts for the run's cases."""
    readings: list[ControlReading] = []
    default, limits = analyser.default_cuts, analyser.settings.control
    for number, (level, frame) in enumerate(controls.items(), start=1):
        cuts, _ = cuts_in_force(default, readings, limits)
        result = read_field(analyser, frame, level, cuts)
        measures = measure_control(analyser, [result], level)
        readings.append(ControlReading(number, "", level, "", measures, judge(analyser, measures, level, []), result))
    cuts, cuts_from = cuts_in_force(default, readings, limits)
    verdict, from_control = readings[0].verdict, cuts_from is not CutsFrom.SETTINGS
    return Anchor(cuts, from_control, verdict.status.value, tuple(code.value for code in verdict.codes))


def centres_of(cells: Sequence[Cell]) -> Places:
    """Centres `(N, 2)` of cells."""
    return np.array([(cell.x_px, cell.y_px) for cell in cells], np.float64).reshape(-1, 2)


def are_tumour(cells: Sequence[Cell]) -> NDArray[np.bool_]:
    """Which cells `(N,)` are tumour."""
    return np.array([cell.kind is CellKind.TUMOUR for cell in cells], bool)
