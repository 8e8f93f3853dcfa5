"""`bench live`: what a person at the microscope gets, measured through the real window."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PyQt6.QtWidgets import QApplication

from her2scope.app.bench.desk import Analysed, CodeReader, Desk, LoopWatch
from her2scope.app.bench.figures import percentile, told
from her2scope.app.bench.machine import program_facts, program_line, provider_note
from her2scope.app.bench.memory_use import peak_mb
from her2scope.app.bench.request import BenchReport, BenchRequest
from her2scope.app.bench.sources import source_for
from her2scope.domain.errors import BadInputError
from her2scope.ports import JsonObject
from her2scope.ui.display_meter import Painted

SECONDS = 20.0
WARM_UP_TIMEOUT_S = 60.0
SETTLE_S = 1.0
"""After the first analysis: what is made once is made."""


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when was measured, monotonic seconds."""

    start_s: float
    end_s: float

    @property
    def seconds(self) -> float:
        """How long it was."""
        return self.end_s - self.start_s

    def holds(self, at_s: float) -> bool:
        """Whether something lies within."""
        return self.start_s <= at_s < self.end_s


def bench_live(request: BenchRequest) -> BenchReport:
    """Open the window on a source, and measure what it shows for some seconds."""
    source = source_for(request)
    with Desk(source) as desk:
        warm_up(desk)
        watch, codes = LoopWatch(), CodeReader(desk)
        watch.start()
        codes.start()
        start_s, start_cpu_s = time.monotonic(), time.process_time()
        desk.run_for(request.seconds or SECONDS)
        span = Span(start_s, time.monotonic())
        cpu_s = time.process_time() - start_cpu_s
        codes.stop()
        watch.stop()
        figures = {
            "source": source.told,
            **shown_facts(desk),
            "seconds": round(span.seconds, 2),
            **paint_figures(desk.painted, span),
            **analysis_figures(desk.bridge.analyses, desk.bridge.captured_s, span),
            "gui_stall_ms_worst": round(max(watch.late_ms), 2),
            "gui_stall_ms_p99": percentile(watch.late_ms, 99),
            "cpu_cores": round(cpu_s / span.seconds, 2),
            "peak_memory_mb": _rounded(peak_mb()),
            "time_codes": {"right": codes.right, "wrong": codes.wrong, "unreadable": codes.unreadable},
            "errors": desk.bridge.errors,
        }
    return BenchReport(_lines(figures), figures, failed=codes.wrong > 0)


def warm_up(desk: Desk) -> None:
    """Wait until a frame was analysed and shown; BadInputError where none is in a minute."""
    bridge = desk.bridge
    desk.run_until(lambda: bool(bridge.errors or (bridge.analyses and desk.painted)), WARM_UP_TIMEOUT_S)
    if bridge.errors:
        raise BadInputError(f"nothing could be measured: {bridge.errors[-1]}")
    if not bridge.analyses:
        raise BadInputError(f"nothing could be measured: no frame was analysed within {WARM_UP_TIMEOUT_S:.0f} s.")
    desk.run_for(SETTLE_S)


def shown_facts(desk: Desk) -> JsonObject:
    """What was analysed, by what, and how it was shown."""
    live = desk.bridge.newest
    if live is None:
        raise BadInputError("no frame was analysed. Choose another source.")
    height, width = live.tracked.frame.size_hw
    view, figures = desk.window.view, desk.bridge.figures
    note = figures.provider_note if figures is not None else provider_note(desk.analyser)
    return {
        "program": program_facts(live.result.program, note),
        "size_wh": [width, height],
        "um_per_px": live.tracked.frame.um_per_px,
        "window_wh": [desk.window.width(), desk.window.height()],
        "view_wh": [view.width(), view.height()],
        "zoom": round(view.viewport.zoom, 3),
        "platform": QApplication.platformName(),
        "reasons": list(live.result.quality.reasons),
    }


def paint_figures(painted: Sequence[Painted], span: Span) -> JsonObject:
    """What reached the screen: frames, and the first paint of each analysis."""
    first: dict[int, Painted] = {}
    for item in painted:
        first.setdefault(item.frame_index, item)
    frames = [item for item in first.values() if span.holds(item.painted_s)]
    pictures_ms = [1e3 * (item.painted_s - item.captured_s) for item in frames]
    overlays_ms = [
        1e3 * (item.painted_s - item.overlay_captured_s)
        for item in painted
        if item.overlay_is_new and item.overlay_captured_s is not None and span.holds(item.painted_s)
    ]
    return {
        "displayed_fps": round(len(frames) / span.seconds, 2),
        "overlays_fps": round(len(overlays_ms) / span.seconds, 2),
        "latency_ms_p50": percentile(overlays_ms, 50),
        "latency_ms_p95": percentile(overlays_ms, 95),
        "picture_latency_ms_p50": percentile(pictures_ms, 50),
        "picture_latency_ms_p95": percentile(pictures_ms, 95),
    }


def analysis_figures(analyses: Sequence[Analysed], captured_s: Sequence[float], span: Span) -> JsonObject:
    """What the engine did with the frames that the camera gave."""
    done = [item for item in list(analyses) if span.holds(item.at_s)]
    n_captured = sum(span.holds(at_s) for at_s in list(captured_s))
    cells = [item.n_cells for item in done if item.usable]
    return {
        "camera_fps": round(n_captured / span.seconds, 2),
        "analysed_fps": round(len(done) / span.seconds, 2),
        "dropped": max(0, n_captured - len(done)),
        "usable_share": round(len(cells) / len(done), 3) if done else None,
        "cells_per_frame": float(np.median(cells)) if cells else None,
        "capture_to_analysis_ms_p50": percentile([1e3 * (item.at_s - item.captured_s) for item in done], 50),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _pair(figures: JsonObject, name: str) -> str:
    return f"p50 {told(figures[name + '_p50'], 'ms')}, p95 {told(figures[name + '_p95'], 'ms')}"


def _lines(figures: JsonObject) -> list[str]:
    width, height = figures["size_wh"]
    cells = (
        "no usable frame" if figures["cells_per_frame"] is None else f"{figures['cells_per_frame']:.0f} cells a frame"
    )
    codes = figures["time_codes"]
    read = codes["right"] + codes["wrong"]
    proof = f"{codes['right']} of {read} time codes read from the screen are those of the frame said to be shown"
    return [
        program_line(figures["program"]),
        f"source: {figures['source']}",
        f"frames: {width}x{height} px at {figures['um_per_px']:g} um/px, {cells}",
        f"window: {'x'.join(map(str, figures['window_wh']))} on '{figures['platform']}', picture"
        f" {'x'.join(map(str, figures['view_wh']))} at zoom {figures['zoom']:g}",
        f"measured for {figures['seconds']:.1f} s",
        f"displayed        {figures['displayed_fps']:.1f} frames/s (camera {figures['camera_fps']:.1f})",
        f"analysed         {figures['analysed_fps']:.1f} frames/s, {figures['dropped']} frames replaced by newer ones",
        f"overlay latency  {_pair(figures, 'latency_ms')} (capture to the first paint of its own analysis)",
        f"picture latency  {_pair(figures, 'picture_latency_ms')}",
        f"window stalls    worst {told(figures['gui_stall_ms_worst'], 'ms')},"
        f" p99 {told(figures['gui_stall_ms_p99'], 'ms')}",
        f"processor        {figures['cpu_cores']:.2f} cores busy",
        f"memory           at most {told(figures['peak_memory_mb'], 'MB')}",
        f"proof            {proof}" + (f", {codes['unreadable']} unreadable" if codes["unreadable"] else ""),
        *(["NOT PROVEN: the window showed other frames than it was said to show"] if codes["wrong"] else []),
        *(f"error while measuring: {error}" for error in figures["errors"]),
    ]
