from __future__ import annotations

import pytest

from her2scope.pipeline.live import LiveFigures
from her2scope.ui.display_meter import DisplayFigures
from her2scope.ui.live_words import COVERED, NOTE_LETTERS, live_words

FIGURES = LiveFigures(29.9, 8.2, 95.0, 217, "CPUExecutionProvider", analysis_ms=88.0)
DISPLAY = DisplayFigures(29.6, 12.0, 110.0, 180.0)
DOT = "\N{MIDDLE DOT}"


def test_at_a_glance():
    words = live_words(FIGURES, DISPLAY)
    assert (words.rates, words.behind, words.provider) == (f"30 shown/s {DOT} 8.2 analysed/s", "110 ms behind", "CPU")
    assert not words.is_late and words.provider_note == ""


def test_the_tool_tip_has_every_figure():
    details = live_words(FIGURES, DISPLAY).details
    for figure in ("29.9 pictures", "29.6 are shown", "12 ms after", "8.2 a second", "88 ms", "110 ms after", "217"):
        assert figure in details


@pytest.mark.parametrize(("age_ms", "late", "text"), [(1000.0, False, "110 ms behind"), (1400.0, True, "1.4 s behind")])
def test_marks_older_than_a_second_are_late(age_ms, late, text):
    words = live_words(FIGURES, DisplayFigures(30.0, 12.0, 110.0, age_ms))
    assert (words.is_late, words.behind) == (late, text)


def test_a_picture_that_is_held_is_neither_live_nor_late():
    words = live_words(FIGURES, DisplayFigures(0.0, 0.0, 110.0, 5000.0), COVERED)
    assert words.rates.startswith(COVERED) and words.behind == "\N{EN DASH}" and not words.is_late


def test_without_a_camera_no_rate_of_the_past_is_told():
    words = live_words(FIGURES, DisplayFigures(30.0, 12.0, 110.0, 5000.0), is_live=False)
    assert (words.rates, words.behind, words.is_late) == ("not live", "\N{EN DASH}", False)
    assert words.provider == "CPU" and not any(letter.isdigit() for letter in words.details)


def test_without_marks_the_analysis_tells_the_delay():
    assert live_words(FIGURES, DisplayFigures(30.0, 12.0, 0.0)).behind == "95 ms behind"
    assert live_words(LiveFigures(0.0, 0.0, 0.0, 0, ""), DisplayFigures(0.0, 0.0, 0.0)).behind == "\N{EN DASH}"


@pytest.mark.parametrize(
    ("provider", "shown"),
    [("CUDAExecutionProvider", "CUDA"), ("", "\N{EN DASH}"), ("closed-contours", "closed-contours")],
)
def test_provider(provider, shown):
    assert live_words(LiveFigures(1.0, 1.0, 1.0, 0, provider), DISPLAY).provider == shown


def test_a_fall_back_is_said_with_its_reason():
    note = "CUDA gave empty results in the self-test, so the CPU is used"
    words = live_words(LiveFigures(1.0, 1.0, 1.0, 0, "CPUExecutionProvider", provider_note=note), DISPLAY)
    assert words.provider.startswith("! CPU: CUDA gave empty") and len(words.provider) <= NOTE_LETTERS + 7
    assert words.provider_note == note
    short = live_words(LiveFigures(1.0, 1.0, 1.0, 0, "CPUExecutionProvider", provider_note="no CUDA"), DISPLAY)
    assert short.provider == "! CPU: no CUDA"
