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
RUN_FIELDS = 5
"""Fields of each run: enough to tell a run's own rate from chance."""
COVERED_RUNS = 90.0
"""Percentile of the runs' rates that the card states; the rules then take the 99 % bound of it. Runs differ by more
than chance, and a case is of one run: with the mean rate, 7 of 30 null phantom cases were called ultralow."""
COVERED_CERTAIN_RUNS = 95.0
"""The same of faint cells beyond doubt, on which alone ultralow rests: one null case in twenty may be called so. With
90 % (and 0.95 as beyond doubt) 4 of 30 were, with 95 % 2 of 90."""
UNSEEN_CELLS = 3.0
"""Where none was seen among n, the rate is below 3 / n with 95 % confidence."""


@dataclass(frozen=True, slots=True)
class FalseCells:
    """False cells per counted cell of each stained class."""

    rates: Mapping[CellClass, float]
    certain_faint: float
    """Of the faint ones that the method calls stained beyond doubt."""
    icc: float
    """Intra-field correlation: false cells flock to bad fields."""
    source: str


def measure_false_cells(analyser: FieldAnalyser, seeds: Sequence[int], difficulty: str = "usual") -> FalseCells:
    """Score fresh negative fields of one run a seed, with the default cuts.

    Fields that the method itself doubts or refuses are left out: no report can rest on those.
    """
    runs = [_read_run(analyser, seed, difficulty) for seed in seeds]
    fields = [counts for run in runs for counts in run]
    if sum(bool(run) for run in runs) < 2:
        raise BadInputError(
            f"{len(fields)} fields of {len(seeds)} negative runs could be read: too few. Give more seeds."
        )
    total = CellCounts.total(fields)
    totals = [CellCounts.total(run) for run in runs if run]
    mean_share = 1 - total.none / total.n_tumour
    worse = _worse([run.n_tumour - run.none for run in totals], totals, COVERED_RUNS)
    worse_certain = _worse([run.certain_faint for run in totals], totals, COVERED_CERTAIN_RUNS)

    def covered(n_false: int, factor: float) -> float:
        return float(f"{min(1.0, factor * max(n_false, UNSEEN_CELLS) / total.n_tumour):.2g}")

    rates: dict[CellClass, float] = {
        name: covered(total[name], worse) for name in CellClass if name is not CellClass.NONE
    }
    left_out = RUN_FIELDS * len(runs) - len(fields)
    sure = covered(total.certain_faint, worse_certain)
    source = (
        f"{len(fields)} negative phantom fields ({total.n_tumour} cells) of {len(runs)} runs, difficulty {difficulty}, "
        f"seeds {seeds[0]} to {seeds[-1]}; {left_out} more are doubted or refused; {worse:.2g} times the mean of "
        f"{100 * mean_share:.2g} %: {COVERED_RUNS:g} % of runs have no more; of faint cells beyond doubt "
        f"{COVERED_CERTAIN_RUNS:g} % have no more than {100 * sure:.2g} %; at least {UNSEEN_CELLS:g} cells a class"
    )
    return FalseCells(rates, sure, float(f"{_icc_within(runs):.2g}"), source)


def _worse(n_false: Sequence[int], runs: Sequence[CellCounts], covered_percent: float) -> float:
    """By how many times a bad run has more false cells than all runs together: at least 1."""
    mean_share = sum(n_false) / sum(run.n_tumour for run in runs)
    shares = [n / run.n_tumour for n, run in zip(n_false, runs, strict=True)]
    return max(1.0, float(np.percentile(shares, covered_percent)) / mean_share) if mean_share else 1.0


def _read_run(analyser: FieldAnalyser, seed: int, difficulty: str) -> list[CellCounts]:
    """Counts of the fields of one run that a report could rest on."""
    found = []
    for number in range(RUN_FIELDS):
        drawn = render_field(PhantomSpec(score="0", seed=seed, number=number, difficulty=difficulty))
        result = analyser.analyse(Frame(drawn.rgb, 0, 0.0, UM_PER_PX), analyser.default_cuts)
        if not result.doubts and result.quality.usable and result.counts.n_tumour:
            found.append(result.counts)
    return found


def _icc_within(runs: Sequence[Sequence[CellCounts]]) -> float:
    """Mean over the runs of the correlation between cells of one field of a run."""
    return float(np.mean([_icc(run) for run in runs if len(run) > 1] or [0.0]))


def _icc(fields: Sequence[CellCounts]) -> float:
    """Intra-field correlation of stained cells: variance between fields over that of single cells."""
    shares = np.array([1 - counts.none / counts.n_tumour for counts in fields])
    mean_cells = np.mean([counts.n_tumour for counts in fields])
    p = shares.mean()
    between = max(0.0, shares.var(ddof=1) - p * (1 - p) / mean_cells)
    return float(between / (p * (1 - p))) if 0 < p < 1 else 0.0
