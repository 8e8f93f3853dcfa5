"""One table: every nuisance in real pictures and in phantom pictures, and whether the phantom covers the real ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from her2scope.phantom.compare.nuisances import FIGURES, Nuisances, measure
from her2scope.phantom.compare.real_fields import RealField, draw_pictures, marks_of, read_list
from her2scope.phantom.field import PhantomSpec

PHANTOM_SCORES = ("0", "ultralow", "1+", "2+", "3+")
PHANTOM_DIFFICULTIES = ("usual", "hard")
REAL_PERCENT, PHANTOM_PERCENT = (5.0, 50.0, 95.0), (1.0, 50.0, 99.0)
"""Percentiles that are compared: the phantom's range, without its outliers, has to hold the middle of the real one."""
LARGEST_WH = (1280, 720)
"""Phantom pictures are as large as the real ones of their scale, up to this."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over several pictures, every picture of the same weight."""

    low: float
    median: float
    high: float
    lowest_in: str
    """Picture with the lowest median."""
    highest_in: str
    n_pictures: int
    """How many pictures show it."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table."""

    name: str
    real: Spread | None
    phantom: Spread | None

    @property
    def is_covered(self) -> bool | None:
        """Whether the phantom's range holds the real figures' middle 90 %; None where one side does not show one."""
        if self.real is None or self.phantom is None:
            return None
        return self.phantom.low <= self.real.low and self.phantom.high >= self.real.high


def compare(list_path: Path, root: Path | None, n_phantom: int, seed: int) -> tuple[list[str], dict[str, Any]]:
    """Measure the listed pictures and `n_phantom` phantom ones.

    Returns
    -------
    lines to print, and the same with every picture's own figures as a mapping for JSON
    """
    fields = read_list(list_path, root)
    real, sizes_wh = {}, {}
    for field in fields:
        rgb = field.read()
        sizes_wh[field.um_per_px] = (min(rgb.shape[1], LARGEST_WH[0]), min(rgb.shape[0], LARGEST_WH[1]))
        real[field.file] = measure(rgb, field.um_per_px, marks_of(field))
    specs = phantom_specs(fields, sizes_wh, n_phantom, seed)
    pictures = zip(specs, draw_pictures(specs), strict=True)
    phantom = {_named(spec): measure(rgb, spec.um_per_px) for spec, rgb in pictures}
    rows = [Row(name, spread_of(real, name), spread_of(phantom, name, PHANTOM_PERCENT)) for name in FIGURES]
    return _lines(rows, len(real), len(phantom)), _as_mapping(rows, real, phantom)


def phantom_specs(
    fields: Sequence[RealField], sizes_wh: Mapping[float, tuple[int, int]], n: int, seed: int
) -> list[PhantomSpec]:
    """Specs of `n` phantom pictures: the listed scales in turn, every score, both difficulties, each another run."""
    scales = [field.um_per_px for field in fields]
    return [
        PhantomSpec(
            score=PHANTOM_SCORES[k % len(PHANTOM_SCORES)],
            seed=seed + k,
            size_wh=sizes_wh[scales[k % len(scales)]],
            um_per_px=scales[k % len(scales)],
            difficulty=PHANTOM_DIFFICULTIES[k // len(PHANTOM_SCORES) % len(PHANTOM_DIFFICULTIES)],
        )
        for k in range(n)
    ]


def _named(spec: PhantomSpec) -> str:
    return f"{spec.score} {spec.difficulty} seed {spec.seed} {spec.um_per_px:g} um/px"


def spread_of(
    pictures: Mapping[str, Nuisances], name: str, percent: tuple[float, float, float] = REAL_PERCENT
) -> Spread | None:
    """Spread of a figure over pictures; None where none of them shows it."""
    found = {file: nuisances.distribution(name) for file, nuisances in pictures.items()}
    found = {file: values for file, values in found.items() if len(values)}
    if not found:
        return None
    low, median, high = (float(value) for value in np.percentile(np.concatenate(list(found.values())), percent))
    medians = {file: float(np.median(values)) for file, values in found.items()}
    lowest, highest = (choose(medians, key=medians.__getitem__) for choose in (min, max))
    return Spread(low, median, high, lowest, highest, len(found))


def _lines(rows: Sequence[Row], n_real: int, n_phantom: int) -> list[str]:
    head = f"{'figure':28} {'unit':6} {'real p5':>9} {'median':>9} {'p95':>9} {'n':>3}"
    head += f" {'phantom p1':>10} {'median':>9} {'p99':>9} {'n':>3}  {'covered':7}  real: lowest, highest in"
    lines = [f"{n_real} real and {n_phantom} phantom pictures, each of the same weight", "", head]
    for row in rows:
        covered = {None: "-", True: "yes", False: "NO"}[row.is_covered]
        extremes = f"{Path(row.real.lowest_in).stem}, {Path(row.real.highest_in).stem}" if row.real else "-"
        lines.append(
            f"{row.name:28} {FIGURES[row.name].unit:6} {_columns(row.real, 9)} {_columns(row.phantom, 10)}"
            f"  {covered:7}  {extremes}"
        )
    judged = [row.is_covered for row in rows if row.is_covered is not None]
    return [*lines, "", f"covered: {sum(judged)} of {len(judged)} figures that both sides show"]


def _columns(spread: Spread | None, width: int) -> str:
    if spread is None:
        return f"{'-':>{width}} {'-':>9} {'-':>9} {0:>3}"
    return f"{spread.low:{width}.4g} {spread.median:9.4g} {spread.high:9.4g} {spread.n_pictures:3}"


def _as_mapping(rows: Sequence[Row], real: Mapping[str, Nuisances], phantom: Mapping[str, Nuisances]) -> dict[str, Any]:
    figures = {
        row.name: {
            "unit": FIGURES[row.name].unit,
            "meaning": FIGURES[row.name].meaning,
            "real": None if row.real is None else asdict(row.real),
            "phantom": None if row.phantom is None else asdict(row.phantom),
            "covered": row.is_covered,
        }
        for row in rows
    }
    return {
        "figures": figures,
        "real_pictures": {file: _percentiles(nuisances) for file, nuisances in real.items()},
        "phantom_pictures": {file: _percentiles(nuisances) for file, nuisances in phantom.items()},
    }


def _percentiles(nuisances: Nuisances) -> dict[str, list[float]]:
    """The 5th, 50th and 95th percentile of each figure that the picture shows."""
    return {
        name: [round(float(value), 6) for value in np.percentile(values, [5, 50, 95])]
        for name, values in nuisances.samples.items()
        if len(values)
    }
