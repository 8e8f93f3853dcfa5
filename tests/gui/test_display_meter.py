from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2scope.ui.display_meter import WINDOW_S, DisplayFigures, DisplayMeter, Painted


def paint(
    frame: int, painted_s: float, overlay_of_s: float | None = None, *, late_s: float = 0.01, new=False
) -> Painted:
    return Painted(frame, painted_s - late_s, painted_s, overlay_of_s, new)


def test_nothing_painted_is_no_figure():
    assert DisplayMeter().figures(100.0) == DisplayFigures(0.0, 0.0, 0.0, 0.0)


@given(st.lists(st.integers(0, 20), max_size=60))
def test_only_distinct_frames_count(order):
    meter = DisplayMeter()
    for frame in sorted(order):
        # A frame is painted again for a mouse that moves: later, but captured when it was.
        meter.painted(Painted(frame, float(frame) / 100, 1.0 + frame / 100, None, False))
    assert meter.figures(1.5).displayed_fps == len(set(order)) / WINDOW_S


def test_a_camera_that_starts_anew_counts_from_zero_again():
    meter = DisplayMeter()
    for painted_s in (10.0, 10.1):
        meter.painted(paint(0, painted_s))
    assert meter.figures(10.2).displayed_fps == 2 / WINDOW_S


def test_only_the_last_seconds_count():
    meter = DisplayMeter()
    for frame in range(300):
        meter.painted(paint(frame, 10.0 + frame / 30))
    last_s = 10.0 + 299 / 30
    assert meter.figures(last_s).displayed_fps == pytest.approx(30.0, abs=0.51)
    assert meter.figures(last_s + WINDOW_S).displayed_fps == 0.0


def test_latency_is_the_median_of_first_paints():
    meter = DisplayMeter()
    for frame, late_s in enumerate((0.01, 0.02, 0.5)):
        meter.painted(paint(frame, 10.0 + frame / 10, late_s=late_s))
        meter.painted(Painted(frame, 10.0 + frame / 10 - late_s, 10.09 + frame / 10, None, False))
    assert meter.figures(10.3).picture_latency_ms == pytest.approx(20.0)


def test_an_overlay_counts_when_it_is_painted_first():
    meter = DisplayMeter()
    meter.painted(paint(1, 10.00, 9.90, new=True))
    meter.painted(paint(2, 10.03, 9.90))
    meter.painted(paint(3, 10.06, 10.02, new=True))
    meter.painted(paint(4, 10.09, None, new=True))  # none is drawn: nothing to measure
    assert meter.figures(10.1).overlay_latency_ms == pytest.approx(70.0)  # median of 100 and 40


def test_the_age_is_that_of_the_analysis_on_the_frame_it_is_drawn_on():
    meter = DisplayMeter()
    meter.painted(Painted(9, captured_s=12.0, painted_s=12.1, overlay_captured_s=10.5, overlay_is_new=False))
    assert meter.figures(12.2).overlay_age_ms == pytest.approx(1500.0)
    meter.painted(Painted(10, 12.3, 12.4, None, False))
    assert meter.figures(12.5).overlay_age_ms == 0.0


def test_the_listener_hears_every_paint_until_it_is_let_go():
    meter, heard = DisplayMeter(), []
    meter.listen(heard.append)
    paints = [paint(1, 10.0), paint(1, 10.01)]
    for item in paints:
        meter.painted(item)
    meter.listen(None)
    meter.painted(paint(2, 10.1))
    assert heard == paints


def test_memory_is_bounded():
    meter = DisplayMeter()
    for frame in range(10_000):
        meter.painted(paint(frame, frame / 30, 0.0, new=True))
    kept = [len(value) for value in vars(meter).values() if hasattr(value, "__len__")]
    assert max(kept) <= 30 * WINDOW_S + 1
