"""Measured times as figures: percentiles, and how a cost grows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def percentile(values: Sequence[float], percent: float) -> float | None:
    """Percentile of the values, rounded to a hundredth; None of none: nothing measured is not 0."""
    return round(float(np.percentile(values, percent)), 2) if len(values) else None


def told(value: float | None, unit: str) -> str:
    """A figure with its unit, or that there is none."""
    return "not measured" if value is None else f"{value:.1f} {unit}"


@dataclass(slots=True)
class Stopwatch:
    """Times of named stages, in the order in which they were first timed."""

    taken_ms: dict[str, list[float]] = field(default_factory=dict)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Time what is done within."""
        start_s = time.perf_counter()
        yield
        self.add(stage, 1e3 * (time.perf_counter() - start_s))

    @contextmanager
    def more(self, stage: str) -> Iterator[None]:
        """Time a further part of a stage that was begun."""
        start_s = time.perf_counter()
        yield
        self.taken_ms[stage][-1] += 1e3 * (time.perf_counter() - start_s)

    def run(self, stage: str, work: Callable[[], T]) -> T:
        """Time one piece of work, and hand on what came of it."""
        with self.timed(stage):
            return work()

    def add(self, stage: str, ms: float) -> None:
        """Take a time."""
        self.taken_ms.setdefault(stage, []).append(ms)

    def p50(self, stage: str) -> float:
        """Median of a stage that was timed."""
        return float(np.median(self.taken_ms[stage]))


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float | None:
    """Power `k` of `cost = a * size^k` that fits best; None with fewer than two sizes above 0.

    1 is in proportion; below it there is a fixed cost; above it the cost grows faster than the size.
    """
    pairs = [(size, cost) for size, cost in zip(sizes, costs, strict=True) if size > 0 and cost > 0]
    if len({size for size, _ in pairs}) < 2:
        return None
    logs = np.log(np.array(pairs, np.float64))
    return round(float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0]), 2)


WORSE_THAN_PROPORTION = 1.1
"""Power from which a cost is said to grow faster than its cause: noise of a shared machine moves it by 0.05."""


def told_growth(power: float | None) -> str:
    """What a fitted power says."""
    if power is None:
        return "growth not measured: one size only"
    verdict = "worse than in proportion" if power > WORSE_THAN_PROPORTION else "in proportion or better"
    return f"cost grows with the power {power:.2f}: {verdict}"


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows in columns: the first to the left, the others to the right."""
    if not rows:
        return []
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
