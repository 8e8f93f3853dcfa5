"""A picture and its control read as `her2scope score --control` does, and what of it is compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.cells import CellKind, StainCuts
from her2scope.evaluation.matching import Places
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.pipeline.control import ANCHOR_LEVEL, cuts_in_force, judge, measure_control, read_field
from her2scope.records import Cell, ControlReading, Frame


@dataclass(frozen=True, slots=True)
class Anchor:
    """What a 3+ control gave."""

    cuts: StainCuts
    from_control: bool
    """False: the control gave no cut that may be used, and the default cuts stay."""
    status: str
    codes: tuple[str, ...]


def read_anchor(analyser: FieldAnalyser, control: Frame) -> Anchor:
    """Read one field of a 3+ control: its verdict, and the cuts that a case of its run is then read with."""
    result = read_field(analyser, control, ANCHOR_LEVEL, analyser.default_cuts)
    measures = measure_control(analyser, [result], ANCHOR_LEVEL)
    verdict = judge(analyser, measures, ANCHOR_LEVEL, [])
    reading = ControlReading(1, "", ANCHOR_LEVEL, "", measures, verdict, result)
    cuts, from_control = cuts_in_force(analyser.default_cuts, [reading], analyser.settings.control)
    return Anchor(cuts, from_control, verdict.status.value, tuple(str(code) for code in verdict.codes))


def centres_of(cells: Sequence[Cell]) -> Places:
    """Centres `(N, 2)` of cells."""
    return np.array([(cell.x_px, cell.y_px) for cell in cells], np.float64).reshape(-1, 2)


def are_tumour(cells: Sequence[Cell]) -> NDArray[np.bool_]:
    """Which cells `(N,)` are tumour."""
    return np.array([cell.kind is CellKind.TUMOUR for cell in cells], bool)
