"""The analysing thread: newest frame, by what the case says now, and never in the way of a command."""

from __future__ import annotations

import threading
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
    found, stop = threading.Event(), threading.Event()
    analysis = LiveAnalysis(found.set)
    analysis.told = found  # type: ignore[attr-defined]
    thread = threading.Thread(target=analysis.run, args=(stop,))
    thread.start()
    yield analysis
    stop.set()
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
        # one that was waited for when the pause began may still come
        running.frames.put(frame(1))
        running.found.take(0.2)
        n_asked = len(analyser.asked)
        running.frames.put(frame(2))
        assert running.found.take(0.2) is None
        assert len(analyser.asked) == n_asked
        moved = StainCuts(intense_od10=0.9)
        running.analyse_by(analyser, moved)
    assert running.found.take(PATIENCE_S).tracked.frame.index == 2
    assert analyser.asked[-1] == (2, moved)


def test_a_frame_that_fails_is_told_and_the_next_is_analysed(running):
    analyser = FakeAnalyser()
    analyser.fails = True
    running.analyse_by(analyser, CUTS)
    running.frames.put(frame(1))
    assert isinstance(running.found.take(PATIENCE_S).result, ValueError)
    analyser.fails = False
    running.frames.put(frame(2))
    assert isinstance(running.found.take(PATIENCE_S).result, FieldResult)
