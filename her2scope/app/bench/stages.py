"""`bench stages`: what one frame's way through the program is spent on.

The stages are the program's own functions, called one after another on what the ones before gave; the whole analysis is
timed beside them, which does several of them side by side, on as many cores as there are.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from her2scope.app.bench.analysis_apart import AnalysisApart
from her2scope.app.bench.fields import field_calibration, frame_of, picture
from her2scope.app.bench.figures import Stopwatch, percentile, table
from her2scope.app.bench.machine import program_facts, program_line, provider_note
from her2scope.app.bench.network_work import count_work, work_line
from her2scope.app.bench.overlay_time import OverlayTimer
from her2scope.app.bench.request import BenchReport, BenchRequest
from her2scope.app.compose import DEFAULT_METHOD, make_analyser
from her2scope.domain.errors import BadInputError
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.pipeline.slide_map import SlideMap
from her2scope.ports import JsonObject
from her2scope.records import FieldResult, RgbImage
from her2scope.settings import ScoringSettings
from her2scope.ui.images import to_qimage

SIZES_WH = ((1280, 720), (1920, 1080))
SECONDS = 10.0
"""At each size."""
WARM_UP, LEAST_RUNS = 2, 5
MOVED_PX = 3
"""Between one frame and the next, for registration: a slow stage at 30 frames/s."""
WHOLE = "whole analysis"
TOLD = "told: "
"""Before the name of a stage that the analysis itself timed."""
BESIDE = ("registration", "picture to Qt", "picture painted", "overlay to screen")
"""Not part of an analysis: done by other threads."""


def bench_stages(request: BenchRequest) -> BenchReport:
    """Time all stages at each size."""
    analyser = make_analyser(DEFAULT_METHOD, ScoringSettings(), field_calibration())
    sizes = [request.size_wh] if request.size_wh else list(SIZES_WH)
    lines: list[str] = []
    found: list[JsonObject] = []
    for size_wh in sizes:
        watch, result = time_stages(analyser, picture(size_wh), request.seconds or SECONDS, request.provider)
        facts = program_facts(result.program, provider_note(analyser))
        lines += [] if lines else [program_line(facts)]
        figures = {"program": facts, **_figures(size_wh, watch, result)}
        work = count_work(analyser, size_wh, result.frame.um_per_px)
        lines += [*_lines(figures), work_line(work, watch.p50("network"))]
        found.append({**figures, "network_work": work})
    return BenchReport(lines, {"sizes": found})


def time_stages(
    analyser: FieldAnalyser, rgb: RgbImage, seconds: float, provider: str | None = None
) -> tuple[Stopwatch, FieldResult]:
    """Times of the stages, the whole analysis among them, and the last analysis.

    Raises
    ------
    BadInputError
        Where the network does not run on the processor that was asked for, or the gate refuses the field.
    """
    result = analyser.analyse(frame_of(rgb), analyser.default_cuts)
    _check(result, provider, provider_note(analyser))
    apart, overlay, camera = AnalysisApart(analyser), OverlayTimer(), _CameraSide()
    watch, until_s, n_runs = Stopwatch(), 0.0, -WARM_UP
    try:
        while n_runs < LEAST_RUNS or time.perf_counter() < until_s:
            if n_runs == 0:  # warm: what was timed so far is forgotten
                watch, until_s = Stopwatch(), time.perf_counter() + seconds
            frame = frame_of(rgb, n_runs + WARM_UP)
            with watch.timed(WHOLE):
                result = analyser.analyse(frame, analyser.default_cuts)
            for stage, ms in result.timings_ms.items():
                watch.add(f"{TOLD}{stage}", ms)
            apart.run(watch, frame)
            camera.run(watch, rgb, frame.index)
            overlay.run(watch, result)
            n_runs += 1
    finally:
        overlay.close()
    return watch, result


def _check(result: FieldResult, provider: str | None, note: str) -> None:
    runs_on = result.program.provider
    if not result.quality.usable:
        raise BadInputError(f"the phantom cannot be analysed at this size: {'; '.join(result.quality.reasons)}.")
    if provider is not None and provider.lower() not in runs_on.lower():
        why = f" ({note})" if note else ""
        raise BadInputError(f"the network runs on {runs_on}{why}, not on {provider}: nothing was measured.")


class _CameraSide:
    """What the camera's and the window's threads do with every frame, analysed or not."""

    def __init__(self) -> None:
        self._map = SlideMap()

    def run(self, watch: Stopwatch, rgb: RgbImage, index: int) -> None:
        """Time them on a frame that has moved a little."""
        moved = frame_of(np.roll(rgb, MOVED_PX * (index % 2), axis=1), index)
        with watch.timed("registration"):
            self._map.place(moved)
        with watch.timed("picture to Qt"):
            to_qimage(moved.rgb)


def _figures(size_wh: tuple[int, int], watch: Stopwatch, result: FieldResult) -> JsonObject:
    own = [stage for stage in watch.taken_ms if stage not in (WHOLE, *BESIDE) and not stage.startswith(TOLD)]
    sum_ms, whole_ms = sum(watch.p50(stage) for stage in own), watch.p50(WHOLE)
    return {
        "size_wh": list(size_wh),
        "um_per_px": result.frame.um_per_px,
        "cells": len(result.cells),
        "runs": len(watch.taken_ms[WHOLE]),
        "stages_ms": {stage: _spread(watch.taken_ms[stage]) for stage in own},
        "told_ms": {
            stage.removeprefix(TOLD): _spread(taken)
            for stage, taken in watch.taken_ms.items()
            if stage.startswith(TOLD)
        },
        "beside_ms": {stage: _spread(watch.taken_ms[stage]) for stage in BESIDE if stage in watch.taken_ms},
        "sum_ms": round(sum_ms, 2),
        "whole_ms": _spread(watch.taken_ms[WHOLE]),
        "saved_ms": round(sum_ms - whole_ms, 2),
    }


def _spread(taken_ms: Sequence[float]) -> JsonObject:
    return {"p50": percentile(taken_ms, 50), "p95": percentile(taken_ms, 95)}


def _lines(figures: JsonObject) -> list[str]:
    width, height = figures["size_wh"]
    whole = figures["whole_ms"]
    rows = [("stage", "p50 ms", "p95 ms", "share")]
    for stage, ms in figures["stages_ms"].items():
        rows.append((stage, f"{ms['p50']:.2f}", f"{ms['p95']:.2f}", f"{100 * ms['p50'] / whole['p50']:.0f} %"))
    rows.append(("sum, one after another", f"{figures['sum_ms']:.2f}", "", ""))
    rows.append((WHOLE, f"{whole['p50']:.2f}", f"{whole['p95']:.2f}", "100 %"))
    rows.append(("saved by doing them side by side", f"{figures['saved_ms']:.2f}", "", ""))
    for name in ("told_ms", "beside_ms"):
        label = "told with the result: " if name == "told_ms" else "beside it: "
        rows += [(label + stage, f"{ms['p50']:.2f}", f"{ms['p95']:.2f}", "") for stage, ms in figures[name].items()]
    head = f"{width}x{height} px at {figures['um_per_px']:g} um/px, {figures['cells']} cells, {figures['runs']} runs"
    return ["", head, *table(rows)]
