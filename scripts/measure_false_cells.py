"""Measure a method's false cells on negative phantoms and print the lines for its model card.

Usage: python scripts/measure_false_cells.py [--seeds N] [--first-seed S]
"""

from __future__ import annotations

import argparse

import numpy as np

from her2scope.app.compose import DEFAULT_METHOD, make_analyser
from her2scope.domain.cells import CellClass, CellCounts
from her2scope.phantom.field import PhantomSpec, render_field
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.records import FieldResult, Frame
from her2scope.settings import Calibration, ScoringSettings


def main() -> None:
    """Score fresh negative fields, one per seed, and print the rate of each stained class."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--first-seed", type=int, default=5000)
    arguments = parser.parse_args()
    analyser = make_analyser(DEFAULT_METHOD, ScoringSettings(), Calibration())
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    results = [_result(analyser, seed) for seed in seeds]
    fields = [result.counts for result in results if not result.doubts]
    total = CellCounts.total(fields)
    print("false_rates:")
    for name in CellClass:
        if name is not CellClass.NONE:
            per_field = [100 * counts[name] / counts.n_tumour for counts in fields if counts.n_tumour]
            spread = f"per field {np.median(per_field):.1f} % (median), {max(per_field):.1f} % (worst)"
            print(f"  {name.value}: {total[name] / total.n_tumour:.4f}  # {spread}")
    print(f"false_rates_icc: {_icc(fields):.3f}")
    print(f"# {total.n_tumour} cells of {len(fields)} negative phantom fields, difficulty usual, seeds {seeds};")
    print(
        f"# of {len(results)} fields the method itself doubts {len(results) - len(fields)}, which no report can rest on"
    )


def _icc(fields: list[CellCounts]) -> float:
    """Intra-field correlation of stained cells: variance between fields over that of single cells."""
    shares = np.array([1 - counts.none / counts.n_tumour for counts in fields if counts.n_tumour])
    mean_cells = np.mean([counts.n_tumour for counts in fields])
    p = shares.mean()
    between = max(0.0, shares.var(ddof=1) - p * (1 - p) / mean_cells)
    return float(between / (p * (1 - p))) if 0 < p < 1 else 0.0


def _result(analyser: FieldAnalyser, seed: int) -> FieldResult:
    field = render_field(PhantomSpec(score="0", seed=seed))
    frame = Frame(field.rgb, 0, 0.0, 0.25)
    return analyser.analyse(frame, analyser.settings.cuts)


if __name__ == "__main__":
    main()
