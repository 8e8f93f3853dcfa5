"""Percentiles, growth, and what is counted in a span of time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2scope.app.bench.desk import Analysed
from her2scope.app.bench.figures import Stopwatch, exponent, percentile, table, told_growth
from her2scope.app.bench.live import Span, analysis_figures, paint_figures
from her2scope.app.bench.machine import machine_facts, machine_lines
from her2scope.app.bench.memory import growth
from her2scope.app.bench.memory_use import installed_mb, now_mb, peak_mb
from her2scope.ui.display_meter import Painted


def test_nothing_measured_is_not_zero():
    assert percentile([], 50) is None
    assert percentile([3.0], 95) == 3.0


@given(power=st.floats(0.3, 2.0), factor=st.floats(0.01, 100))
def test_the_power_of_a_growth_is_found(power, factor):
    sizes = [0.3, 0.9, 2.0, 5.0, 12.0]
    assert exponent(sizes, [factor * size**power for size in sizes]) == pytest.approx(power, abs=0.006)


def test_one_size_shows_no_growth():
    assert exponent([2.0, 2.0], [1.0, 1.1]) is None
    assert exponent([0.0, 2.0], [1.0, 1.1]) is None
    assert "not measured" in told_growth(None)


@pytest.mark.parametrize(("power", "words"), [(0.8, "or better"), (1.0, "or better"), (1.4, "worse")])
def test_a_growth_worse_than_proportion_is_said(power, words):
    assert words in told_growth(power)


def test_columns_are_aligned():
    assert table([("a", "1"), ("long", "100")]) == ["a       1", "long  100"]
    assert table([]) == []


def test_a_further_part_adds_to_the_last_time_of_its_stage():
    watch = Stopwatch()
    watch.add("bands", 5.0)
    watch.add("bands", 7.0)
    with watch.more("bands"):
        pass
    assert watch.taken_ms["bands"][0] == 5.0
    assert watch.taken_ms["bands"][1] > 7.0 and len(watch.taken_ms["bands"]) == 2


def painted(index: int, captured_s: float, painted_s: float, overlay_s: float | None = None, new: bool = False):
    return Painted(index, captured_s, painted_s, overlay_s, new)


def test_frames_and_overlays_count_at_their_first_paint_within_the_span():
    paints = [
        painted(0, 9.80, 9.90),  # before the span
        painted(0, 9.80, 10.10),  # again: not its first paint
        painted(1, 10.00, 10.20, 9.95, True),
        painted(1, 10.00, 10.30, 9.95, False),
        painted(2, 10.40, 10.50, 9.95, False),
        painted(3, 10.80, 10.95, 10.40, True),
        painted(4, 11.90, 12.00, 10.40, True),  # after it
    ]
    figures = paint_figures(paints, Span(10.0, 12.0))
    assert figures["displayed_fps"] == 1.5
    assert figures["overlays_fps"] == 1.0
    assert figures["latency_ms_p50"] == pytest.approx(400.0)
    assert figures["picture_latency_ms_p50"] == pytest.approx(150.0)


def test_no_paint_is_no_latency():
    figures = paint_figures([], Span(0.0, 1.0))
    assert figures["displayed_fps"] == 0.0
    assert figures["latency_ms_p50"] is None and figures["picture_latency_ms_p95"] is None


def test_frames_that_were_not_analysed_were_dropped():
    captured_s = [float(at) for at in np.arange(0.0, 3.0, 0.1)]
    analyses = [Analysed(1.05, 0.9, 100, True), Analysed(1.5, 1.3, 0, False), Analysed(1.9, 1.8, 140, True)]
    figures = analysis_figures([*analyses, Analysed(2.5, 2.2, 7, True)], captured_s, Span(1.0, 2.0))
    assert (figures["camera_fps"], figures["analysed_fps"], figures["dropped"]) == (10.0, 3.0, 7)
    assert figures["cells_per_frame"] == 120.0
    assert figures["usable_share"] == pytest.approx(2 / 3, abs=1e-3)


def test_nothing_analysed_has_no_cells():
    figures = analysis_figures([], [0.5], Span(0.0, 1.0))
    assert figures["cells_per_frame"] is None and figures["usable_share"] is None and figures["dropped"] == 1


def test_growth_is_from_after_the_warm_up_to_the_end():
    rising = [(frames, 100.0 if frames < 100 else 500.0 + frames / 100) for frames in range(0, 1001, 10)]
    found = growth(rising)
    assert (found["settled_mb"], found["final_mb"]) == pytest.approx((501.4, 509.6), abs=0.1)
    assert found["growth_percent"] == pytest.approx(1.64, abs=0.05)


def test_one_sample_shows_no_growth():
    assert growth([(0, 100.0), (10, 101.0)])["growth_percent"] is None


def test_this_process_holds_no_more_than_its_peak():
    now, peak, installed = now_mb(), peak_mb(), installed_mb()
    assert now is not None and peak is not None and installed is not None
    assert 10 < now <= 1.01 * peak < installed


def test_the_machine_is_described():
    facts = machine_facts()
    assert facts["cores"] >= facts["cores_allowed"] >= 1
    assert facts["libraries"]["numpy"] == np.__version__
    assert facts["cpu"] in machine_lines(facts)[0]
