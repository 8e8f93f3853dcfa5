"""How long one frame takes: the median of some runs, as busy as this machine was."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from her2scope.evaluation.table import Figure, PartReport, at_most, not_measured, told
from her2scope.evaluation.work import Analysers, Tell
from her2scope.records import Frame

Size = tuple[int, int]
Run = Callable[[Frame], object]

LIVE_WH: Size = (960, 544)
SIZES_WH: Sequence[Size] = (LIVE_WH, (1920, 1080), (4096, 3000))
"""A live frame, a video camera's, and a large camera's."""
MOST_MS = 25.0
LIMITED = "int8"
"""The build that has a limit, of the network alone."""
RUNS, MOST_S = 15, 4.0
"""Runs of one size: at most so many, and no more are begun after so many seconds."""
WARM_UP = 2


def evaluate_speed(
    analysers: Analysers, networks: Mapping[str, Mapping[str, Run]], draw: Callable[[Size], Frame], tell: Tell
) -> Mapping[str, PartReport]:
    """Time the builds of each method's network at every size, and its whole analysis of a live frame.

    Parameters
    ----------
    analysers : by method
    networks : by method and build; none of a method without a network
    draw : a frame of a size at the network's scale
    """
    frames = {size: draw(size) for size in SIZES_WH}
    builds = list(dict.fromkeys(build for runs in networks.values() for build in runs))
    reports = {}
    for method, analyser in analysers.items():
        whole_ms = median_ms(partial(analyser.analyse, cuts=analyser.default_cuts), frames[LIVE_WH])
        figures = [_told_ms(LIVE_WH, "whole analysis", whole_ms)]
        runs = networks.get(method, {})
        for build in builds:
            for size, frame in frames.items():
                figures.append(_figure(size, build, median_ms(runs[build], frame) if build in runs else None))
                tell(f"speed: {method}, {build}, {size[0]}x{size[1]}")
        details = {f"{figure.on}, {figure.name}": figure.value for figure in figures}
        reports[method] = PartReport(tuple(figures), details)
    return reports


def median_ms(run: Run, frame: Frame) -> float:
    """Median ms of some runs on a frame, the first ones left out."""
    for _ in range(WARM_UP):
        run(frame)
    taken_s: list[float] = []
    while len(taken_s) < RUNS and sum(taken_s) < MOST_S:
        start_s = time.perf_counter()
        run(frame)
        taken_s.append(time.perf_counter() - start_s)
    return 1000.0 * float(np.median(taken_s))


def _figure(size: Size, build: str, ms: float | None) -> Figure:
    """Row of the table; every method has the same rows."""
    name = f"ms per frame, network alone, {build}"
    has_limit = size == LIVE_WH and build == LIMITED
    if ms is None:
        return not_measured(_on(size), name, "no network", f"at most {MOST_MS:g} ms" if has_limit else "")
    if has_limit:
        return at_most(_on(size), name, ms, MOST_MS, "ms")
    return _told_ms(size, f"network alone, {build}", ms)


def _told_ms(size: Size, what: str, ms: float) -> Figure:
    return told(_on(size), f"ms per frame, {what}", ms, f"{ms:.1f} ms")


def _on(size: Size) -> str:
    return f"{size[0]}x{size[1]} input"
