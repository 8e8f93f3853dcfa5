"""The analysing thread: newest frame, by what the case says now, and never in the way of a command."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator

import numpy as np
import pytest
from factories import field_result

from her2scope.domain.cells import StainCuts
from her2scope.pipeline.live_analysis import LiveAnalysis
from her2scope.records import FieldResult, Frame, TrackedFrame

PATIENCE_S = 20.0
CUTS = StainCuts()


class FakeAnalyser:
    """Gives an empty field; keeps what it was asked, and can be told to fail."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, StainCuts]] = []
        self.fails = False

    def analyse(self, frame: Frame, cuts: StainCuts, speed_um_per_s: float = 0.0) -> FieldResult:
        self.asked.append((frame.index, cuts))
        if self.fails:
            raise ValueError("a bad frame")
        return field_result(())


def frame(index: int) -> TrackedFrame:
    return TrackedFrame(Frame(np.zeros((8, 8, 3), np.uint8), index, 0.0, 0.25))


@pytest.fixture
def running() -> Iterator[LiveAnalysis]:
    found = threading.Event()
    analysis = LiveAnalysis(found.set)
    analysis.told = found  # type: ignore[attr-defined]
    thread = threading.Thread(target=analysis.run)
    thread.start()
    yield analysis
    analysis.end()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


def test_nothing_is_analysed_before_a_case_says_how(running):
    analyser = FakeAnalyser()
    running.frames.put(frame(1))
    assert running.found.take(0.1) is None
    running.analyse_by(analyser, CUTS)
    found = running.found.take(PATIENCE_S)
    assert found.tracked.frame.index == 1 and found.by is analyser
    assert running.told.wait(PATIENCE_S)


def test_no_frame_is_begun_while_a_command_is_carried_out(running):
    analyser = FakeAnalyser()
    running.analyse_by(analyser, CUTS)
    with running.paused():
        running.frames.put(frame(1))
        assert running.found.take(0.2) is None
        running.frames.put(frame(2))
        moved = StainCuts(intense_od10=0.9)
        running.analyse_by(analyser, moved)
        assert running.found.take(0.2) is None
    assert running.found.take(PATIENCE_S).tracked.frame.index == 2
    assert analyser.asked == [(2, moved)], "what a newer frame replaced meanwhile is not analysed"


def test_a_pause_can_end_before_the_command_does(running):
    running.analyse_by(FakeAnalyser(), CUTS)
    with running.paused():
        running.frames.put(frame(1))
        running.go_on()
        assert running.found.take(PATIENCE_S).tracked.frame.index == 1


class SlowAnalyser(FakeAnalyser):
    """Stays at each frame until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go = threading.Semaphore(0), threading.Semaphore(0)

    def analyse(self, frame: Frame, cuts: StainCuts, speed_um_per_s: float = 0.0) -> FieldResult:
        self.begun.release()
        assert self.go.acquire(timeout=PATIENCE_S)
        return super().analyse(frame, cuts, speed_um_per_s)


def test_a_slow_analysis_costs_rate_and_at_most_one_frame_waits(running):
    slow, pictures = SlowAnalyser(), []
    running.analyse_by(slow, CUTS)

    def camera_gives(*numbers: int) -> None:
        for number in numbers:
            tracked = frame(number)
            pictures.append(weakref.ref(tracked.frame.rgb))
            running.frames.put(tracked)

    camera_gives(0)
    for first in (1, 11, 21):
        assert slow.begun.acquire(timeout=PATIENCE_S)
        camera_gives(*range(first, first + 10))
        slow.go.release()
        found = running.found.take(PATIENCE_S)
        assert found.tracked.frame.index == first - 1, "the newest of those that came, in order, none twice"
        assert found.took_ms > 0
        del found
    assert slow.begun.acquire(timeout=PATIENCE_S)
    gc.collect()
    assert [ref() is not None for ref in pictures] == [False] * 30 + [True], "only the one in work is kept"
    assert running.frames.replaced == 27
    running.end()
    slow.go.release()


def test_the_end_does_not_wait_for_a_frame_or_for_a_case():
    analysis = LiveAnalysis(lambda: None)
    analysis.frames.put(frame(1))
    thread = threading.Thread(target=analysis.run)
    thread.start()
    analysis.end()
    thread.join(PATIENCE_S)
    assert not thread.is_alive() and analysis.found.take(0) is None


def test_a_frame_that_fails_is_told_and_the_next_is_analysed(running):
    analyser = FakeAnalyser()
    analyser.fails = True
    running.analyse_by(analyser, CUTS)
    running.frames.put(frame(1))
    assert isinstance(running.found.take(PATIENCE_S).result, ValueError)
    analyser.fails = False
    running.frames.put(frame(2))
    assert isinstance(running.found.take(PATIENCE_S).result, FieldResult)
