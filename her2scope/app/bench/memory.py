"""`bench memory`: what the live program holds over thousands of frames, in its window, as fast as it takes them."""

from __future__ import annotations

import time

import numpy as np

from her2scope.app.bench.desk import Desk
from her2scope.app.bench.figures import told
from her2scope.app.bench.live import WARM_UP_TIMEOUT_S, shown_facts, warm_up
from her2scope.app.bench.machine import program_line
from her2scope.app.bench.memory_use import now_mb, peak_mb
from her2scope.app.bench.request import BenchReport, BenchRequest
from her2scope.app.bench.sources import source_for
from her2scope.domain.errors import BadInputError
from her2scope.ports import JsonObject

WARM_UP_SHARE = 0.1
"""Of the frames: by then the path was gone round, the map is drawn, and all buffers are there."""
SAMPLES = 400
COMPARED_SHARE = 0.1
"""Of the samples after the warm-up: the first and the last ones are compared, by their medians."""
SLOWEST_FPS = 1.0
"""A source slower than this has stopped."""


def bench_memory(request: BenchRequest) -> BenchReport:
    """Run the window until so many frames came (or `seconds` are over), and tell the memory at most and its growth."""
    source = source_for(request, frame_rate=None)
    if now_mb() is None:
        raise BadInputError("this system does not tell how much memory a program holds: nothing can be measured.")
    with Desk(source) as desk:
        warm_up(desk)
        desk.window.view.meter.listen(None)  # a list of all paints would itself be growth
        start_s, n_analysed = time.monotonic(), len(desk.bridge.analyses)
        until_s = start_s + (request.seconds or request.frames / SLOWEST_FPS + WARM_UP_TIMEOUT_S)
        samples = sampled(desk, request.frames, until_s)
        figures = {
            "source": source.told,
            **shown_facts(desk),
            "frames": samples[-1][0] if samples else 0,
            "analysed": len(desk.bridge.analyses) - n_analysed,
            "seconds": round(time.monotonic() - start_s, 1),
            "peak_memory_mb": round(max(peak_mb() or 0.0, *(mb for _, mb in samples), 0.0), 1),
            **growth(samples),
            "memory_mb": [[frames, round(mb, 1)] for frames, mb in samples],
            "errors": desk.bridge.errors,
        }
    return BenchReport(_lines(figures), figures)


def sampled(desk: Desk, n_frames: int, until_s: float) -> list[tuple[int, float]]:
    """Frames from now on and MB held, some hundred times until so many frames came or the time is over."""
    samples: list[tuple[int, float]] = []
    captured = desk.bridge.captured_s
    n_before = len(captured)

    def look() -> bool:
        n_so_far = len(captured) - n_before
        if n_so_far >= len(samples) * n_frames / SAMPLES:
            samples.append((n_so_far, now_mb() or 0.0))
        return n_so_far >= n_frames

    desk.run_until(look, max(0.0, until_s - time.monotonic()))
    return samples


def growth(samples: list[tuple[int, float]]) -> JsonObject:
    """Memory after the warm-up and at the end, and the growth between them in percent; None with too few samples."""
    settled = [mb for frames, mb in samples if frames >= WARM_UP_SHARE * samples[-1][0]]
    if len(settled) < 2:
        return {"settled_mb": None, "final_mb": None, "growth_percent": None}
    n_compared = max(1, int(COMPARED_SHARE * len(settled)))
    first, last = float(np.median(settled[:n_compared])), float(np.median(settled[-n_compared:]))
    return {
        "settled_mb": round(first, 1),
        "final_mb": round(last, 1),
        "growth_percent": round(100.0 * (last / first - 1.0), 2),
    }


def _lines(figures: JsonObject) -> list[str]:
    width, height = figures["size_wh"]
    return [
        program_line(figures["program"]),
        f"source: {figures['source']}",
        f"frames: {figures['frames']} of {width}x{height} px in {figures['seconds']:.0f} s,"
        f" {figures['analysed']} analysed",
        f"memory at most        {told(figures['peak_memory_mb'], 'MB')}",
        f"after the warm-up     {told(figures['settled_mb'], 'MB')}",
        f"at the end            {told(figures['final_mb'], 'MB')}",
        f"growth between them   {told(figures['growth_percent'], '%')}",
        *(f"error while measuring: {error}" for error in figures["errors"]),
    ]
