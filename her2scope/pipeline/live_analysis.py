"""The thread that analyses: the newest frame again and again, beside the thread that owns the case."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event

from her2scope.domain.cells import StainCuts
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.pipeline.mailbox import Latest
from her2scope.records import FieldResult, TrackedFrame

WAIT_S = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Analysed:
    """A frame and what came of its analysis."""

    tracked: TrackedFrame
    by: FieldAnalyser
    result: FieldResult | Exception
    """The error where it failed: one bad frame must not end the thread."""


class LiveAnalysis:
    """Analyses the newest frame by what the case says; the newest analysis waits for the case's thread.

    The reader's commands do not wait for it: it begins no frame while one is carried out (`paused`), and the case's
    thread takes what was found when it comes to it.

    Parameters
    ----------
    found_one : called by the analysing thread when `found` has something new
    """

    def __init__(self, found_one: Callable[[], None]) -> None:
        self.frames: Latest[TrackedFrame] = Latest()
        self.found: Latest[Analysed] = Latest()
        self._found_one = found_one
        self._how: tuple[FieldAnalyser, StainCuts] | None = None
        self._may_begin = Event()
        self._may_begin.set()

    def analyse_by(self, analyser: FieldAnalyser, cuts: StainCuts) -> None:
        """From the next frame on, use this analyser and these cuts."""
        self._how = analyser, cuts

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Begin no analysis meanwhile; one that runs goes on."""
        self._may_begin.clear()
        try:
            yield
        finally:
            self._may_begin.set()

    def run(self, stop: Event) -> None:
        """Analyse until told to stop; the whole of a thread."""
        while not stop.is_set():
            if self._how is None or not self._may_begin.wait(WAIT_S):
                stop.wait(WAIT_S if self._how is None else 0.0)
                continue
            tracked = self.frames.take(WAIT_S)
            if tracked is not None:
                self.found.put(self._analysed(tracked, *self._how))
                self._found_one()

    @staticmethod
    def _analysed(tracked: TrackedFrame, analyser: FieldAnalyser, cuts: StainCuts) -> Analysed:
        try:
            return Analysed(tracked, analyser, analyser.analyse(tracked.frame, cuts, tracked.speed_um_per_s))
        except Exception as error:  # noqa: BLE001 - told to the reader by the case's thread
            return Analysed(tracked, analyser, error)
