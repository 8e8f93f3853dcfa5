"""Measure a method's false cells on negative phantoms and print the lines for its model card.

Usage: python scripts/measure_false_cells.py [--method NAME] [--seeds N] [--first-seed S]
"""

from __future__ import annotations

import argparse

import yaml

from her2scope.app.compose import METHODS, make_analyser
from her2scope.app.train import false_rates_of
from her2scope.evaluation.false_cells import measure_false_cells
from her2scope.segmentation.methods import DEFAULT_METHOD
from her2scope.settings import Calibration, ScoringSettings


def main() -> None:
    """Score fresh negative fields, one run per seed, and print the rate of each stained class."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", default=DEFAULT_METHOD, choices=sorted(METHODS))
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--first-seed", type=int, default=5000)
    arguments = parser.parse_args()
    analyser = make_analyser(arguments.method, ScoringSettings(), Calibration())
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    print(yaml.safe_dump(false_rates_of(measure_false_cells(analyser, seeds)), sort_keys=False), end="")


if __name__ == "__main__":
    main()
