from __future__ import annotations

import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2scope.slides.progress import Progress, ProgressLine, duration, progress_text

HALF = Progress(n_done=50, n_tiles=100, done_mm2=6.0, tissue_mm2=12.0, kept_mm2=2.0, seconds=60.0)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Hand:
    """A clock that is set by hand."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_rate_and_time_left_are_of_this_run_alone() -> None:
    assert HALF.mm2_per_minute == pytest.approx(4.0)
    assert HALF.left_s == pytest.approx(90.0)


def test_the_line_says_slide_tiles_area_rate_and_time_left() -> None:
    assert progress_text(HALF, "case7.svs", 2, 3) == (
        "slide 2/3 case7.svs [############............] 50/100 tiles, 6.0/12.0 mm2, 4.0 mm2/min, 2 min left"
    )


def test_nothing_is_guessed_before_anything_is_done() -> None:
    start = replace(HALF, n_done=10, done_mm2=2.0, seconds=5.0)
    assert "rate not known yet" in (text := progress_text(start, "a", 1, 1)) and "left" not in text


def test_a_slide_without_tiles_is_done() -> None:
    assert "[########################] 0/0 tiles" in progress_text(Progress(0, 0, 0, 0, 0, 0), "a", 1, 1)


@given(
    n=st.integers(0, 10**5), share=st.floats(0, 1), area=st.floats(0, 1e4), kept=st.floats(0, 1), s=st.floats(0, 1e7),
    name=st.text(max_size=200), places=st.integers(40, 300),
)  # fmt: skip
def test_any_progress_is_one_line_that_fits(
    n: int, share: float, area: float, kept: float, s: float, name: str, places: int
) -> None:
    progress = Progress(int(share * n), n, share * area, area, kept * share * area, s)
    text = progress_text(progress, name, 28, 28, places)
    assert text.isprintable() and len(text) <= places
    assert progress.left_s is None or progress.left_s >= 0
    assert places < 140 or "mm2/min" in text or "rate not known yet" in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "1 s"),
        (89, "89 s"),
        (91, "2 min"),
        (5340, "89 min"),
        (5400, "1 h 30 min"),
        (360000, "100 h 00 min"),
        (float("inf"), "days"),
    ],
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_terminal_shows_one_line_redrawn_not_too_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    stream, clock = Terminal(), Hand()
    line = ProgressLine(stream, clock)
    tell = line.of_slide("a.svs", 1, 1)
    for n in range(101):
        clock.now_s = 0.05 * n
        tell(replace(HALF, n_done=n))
    line.end()
    text = stream.getvalue()
    assert text.count("\n") == 1 and text.endswith("\n")
    assert 20 <= text.count("\r") <= 30
    shown = text.strip().split("\r")
    assert "0/100 tiles" in shown[0] and "100/100 tiles" in shown[-1]
    assert all(len(part) <= 79 and "[" in part and "2 min left" in part for part in shown[1:-1])


def test_a_shorter_line_leaves_nothing_of_a_longer_one() -> None:
    stream, clock = Terminal(), Hand()
    tell = ProgressLine(stream, clock).of_slide("a.svs", 1, 1)
    tell(replace(HALF, done_mm2=2.0))
    clock.now_s = 1.0
    tell(replace(HALF, n_done=100))
    first, last = stream.getvalue().strip("\r").split("\r")
    assert len(last) >= len(first.rstrip())


def test_a_file_gets_a_line_now_and_then() -> None:
    stream, clock = io.StringIO(), Hand()
    line = ProgressLine(stream, clock)
    for slide in (1, 2):
        tell = line.of_slide(f"{slide}.svs", slide, 2)
        for n in range(101):
            clock.now_s += 1.0
            tell(replace(HALF, n_done=n))
    line.end()
    lines = stream.getvalue().splitlines()
    assert "\r" not in stream.getvalue()
    assert len(lines) == 10  # the first of each slide, one each 30 s, the last
    assert "slide 1/2 1.svs" in lines[0] and "slide 2/2 2.svs" in lines[5] and "100/100" in lines[9]


def test_nothing_to_end_writes_nothing() -> None:
    stream = Terminal()
    ProgressLine(stream).end()
    assert stream.getvalue() == ""
