"""False cells of a method: what it calls stained on negative phantoms, per class, for its card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from her2scope.domain.cells import CellClass, CellCounts
from her2scope.domain.errors import BadInputError
from her2scope.phantom.field import PhantomSpec, render_field
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.records import Frame

UM_PER_PX = 0.25
UNSEEN_CELLS = 3.0
"""Where none was seen among n, the rate is below 3 / n with 95 % confidence."""


@dataclass(frozen=True, slots=True)
class FalseCells:
    """False cells per counted cell of each stained class."""

    rates: Mapping[CellClass, float]
    icc: float
    """Intra-field correlation: false cells flock to bad fields."""
    source: str


def measure_false_cells(analyser: FieldAnalyser, seeds: Sequence[int], difficulty: str = "usual") -> FalseCells:
    """Score fresh negative fields, one run each, with the default cuts.

    Fields that the method itself doubts or refuses are left out: no report can rest on those.
    """
    fields, doubted = [], 0
    for seed in seeds:
        drawn = render_field(PhantomSpec(score="0", seed=seed, difficulty=difficulty))
        result = analyser.analyse(Frame(drawn.rgb, 0, 0.0, UM_PER_PX), analyser.default_cuts)
        if result.doubts or not result.quality.usable or not result.counts.n_tumour:
            doubted += 1
        else:
            fields.append(result.counts)
    if len(fields) < 2:
        raise BadInputError(f"{len(fields)} of {len(seeds)} negative fields could be read: too few. Give more seeds.")
    total = CellCounts.total(fields)
    rates: dict[CellClass, float] = {
        name: float(f"{max(total[name], UNSEEN_CELLS) / total.n_tumour:.2g}")
        for name in CellClass
        if name is not CellClass.NONE
    }
    source = (
        f"{len(fields)} negative phantom fields ({total.n_tumour} cells), difficulty {difficulty}, seeds {seeds[0]} to "
        f"{seeds[-1]}; {doubted} more are doubted or refused; at least {UNSEEN_CELLS:g} cells a class"
    )
    return FalseCells(rates, float(f"{_icc(fields):.2g}"), source)


def _icc(fields: Sequence[CellCounts]) -> float:
    """Intra-field correlation of stained cells: variance between fields over that of single cells."""
    shares = np.array([1 - counts.none / counts.n_tumour for counts in fields])
    mean_cells = np.mean([counts.n_tumour for counts in fields])
    p = shares.mean()
    between = max(0.0, shares.var(ddof=1) - p * (1 - p) / mean_cells)
    return float(between / (p * (1 - p))) if 0 < p < 1 else 0.0
