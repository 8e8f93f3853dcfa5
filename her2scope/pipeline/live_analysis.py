"""The thread that analyses: the newest frame again and again, beside the thread that owns the case."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event

from her2scope.domain.cells import StainCuts
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.pipeline.mailbox import Latest
from her2scope.records import FieldResult, TrackedFrame


@dataclass(frozen=True, slots=True, eq=False)
class Analysed:
    """A frame and what came of its analysis."""

    tracked: TrackedFrame
    by: FieldAnalyser
    result: FieldResult | Exception
    """The error where it failed: one bad frame must not end the thread."""
    took_ms: float


class LiveAnalysis:
    """Analyses the newest frame by what the case says; the newest analysis waits for the case's thread.

    The reader's commands do not wait for it: it begins no frame while one is carried out (`paused`), and the case's
    thread takes what was found when it comes to it. Nothing is polled: each wait ends with what it waits for.

    Parameters
    ----------
    found_one : called by the analysing thread when `found` has something new
    """

    def __init__(self, found_one: Callable[[], None]) -> None:
        self.frames: Latest[TrackedFrame] = Latest()
        self.found: Latest[Analysed] = Latest()
        self._found_one = found_one
        self._how: tuple[FieldAnalyser, StainCuts] | None = None
        self._is_paused = self._has_ended = False
        self._may_begin = Event()

    # ---- the case's thread ----------------------------------------------------------------------------------------

    def analyse_by(self, analyser: FieldAnalyser, cuts: StainCuts) -> None:
        """From the next frame on, use this analyser and these cuts."""
        self._how = analyser, cuts
        self._let_begin()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Begin no analysis meanwhile; one that runs goes on."""
        self._is_paused = True
        self._may_begin.clear()
        try:
            yield
        finally:
            self.go_on()

    def go_on(self) -> None:
        """End a pause before its time: what is left to do does not need the processor for itself."""
        self._is_paused = False
        self._let_begin()

    def _let_begin(self) -> None:
        if self._has_ended or (self._how is not None and not self._is_paused):
            self._may_begin.set()

    # ---- any thread -----------------------------------------------------------------------------------------------

    def end(self) -> None:
        """Begin nothing any more, and end `run` once what it is at is done."""
        self._has_ended = True
        self._may_begin.set()
        self.frames.close()

    # ---- the analysing thread -------------------------------------------------------------------------------------

    def run(self) -> None:
        """Analyse until `end`; the whole of a thread."""
        while not self._has_ended:
            self.frames.wait()  # first: a frame that comes during a pause stays there, and a newer one replaces it
            self._may_begin.wait()
            tracked = self.frames.take(timeout_s=0.0)
            if tracked is not None and self._how is not None and not self._has_ended:
                self.found.put(self._analysed(tracked, *self._how))
                self._found_one()

    @staticmethod
    def _analysed(tracked: TrackedFrame, analyser: FieldAnalyser, cuts: StainCuts) -> Analysed:
        start_s = time.perf_counter()
        result: FieldResult | Exception
        try:
            result = analyser.analyse(tracked.frame, cuts, tracked.speed_um_per_s)
        except Exception as error:  # noqa: BLE001 - told to the reader by the case's thread
            result = error
        return Analysed(tracked, analyser, result, 1000 * (time.perf_counter() - start_s))
