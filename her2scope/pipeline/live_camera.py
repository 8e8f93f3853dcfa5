"""The thread that watches a camera: it places each frame on the map and never waits for anything but the camera."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from threading import Event, Lock

from her2scope.domain.errors import CameraError, CameraTimeout, CaseRuleError
from her2scope.pipeline.live import CameraPhase, CameraStatus, LiveListener, Message, Severity
from her2scope.pipeline.slide_map import SlideMap
from her2scope.ports import CameraSource, Clock, PartlyReadable
from her2scope.records import MapView, TrackedFrame

LOG = logging.getLogger(__name__)
FRAME_TIMEOUT_S = 0.5
STALLED_AFTER_S = 1.0
"""A picture older than this is not live, and the status says so."""


class LiveCamera:
    """Reads a source until it is told to stop; a lost one is opened again when the reader asks for it.

    Parameters
    ----------
    take : given each frame, by the camera's thread
    tick : called after each frame with its time (monotonic, s)
    """

    def __init__(
        self,
        source: CameraSource,
        slide_map: SlideMap,
        listener: LiveListener,
        clock: Clock,
        take: Callable[[TrackedFrame], None],
        tick: Callable[[float], None],
    ) -> None:
        self._source, self._map, self._listener, self._clock = source, slide_map, listener, clock
        self._take, self._tick = take, tick
        self._newest_lock = Lock()
        self._newest: TrackedFrame | None = None
        self._told_map: MapView | None = None
        self._phase: CameraPhase | None = None
        self._is_new_slide, self._reconnect = Event(), Event()
        self._ticks: deque[float] = deque(maxlen=120)

    # ---- from any thread ------------------------------------------------------------------------------------------

    def reconnect(self) -> None:
        """Open the camera again; also ends the wait for a reader that a lost camera is in."""
        self._reconnect.set()

    def expect_new_slide(self) -> None:
        """What comes next may show another slide."""
        self._is_new_slide.set()

    def newest(self) -> TrackedFrame:
        """The newest frame, as long as it is live; CaseRuleError else."""
        with self._newest_lock:
            newest = self._newest
        if newest is None or self._phase is not CameraPhase.LIVE:
            raise CaseRuleError("there is no live picture to take. Wait for the camera, or press Reconnect (F5).")
        return newest

    def frames_per_s(self, now_s: float) -> float:
        """Rate of the last two seconds."""
        return rate(self._ticks, now_s)

    # ---- the camera's thread --------------------------------------------------------------------------------------

    def run(self, stop: Event) -> None:
        """Watch the camera until told to stop; the whole of a thread."""
        while not stop.is_set():
            try:
                self._watch(stop)
            except CameraError as error:
                self._lose(str(error))
            except Exception as error:  # noqa: BLE001 - top of a thread: nothing above could tell the reader
                LOG.exception("camera thread")
                self._lose(f"{self._source.name} failed: {error}. Press Reconnect (F5).")
            with self._newest_lock:
                self._newest = None  # what was seen before the source closed is not live
            self._close()
            self._reconnect.clear()

    def _watch(self, stop: Event) -> None:
        """Read frames until told to stop or to reconnect; CameraError where the source fails for good."""
        self._map.forget()
        self._tell_phase(CameraPhase.STARTING, f"opening {self._source.name}")
        self._source.open()
        told: set[str] = set()
        last_frame_s = self._clock.monotonic_s()
        while not stop.is_set() and not self._reconnect.is_set():
            try:
                frame = self._source.read(FRAME_TIMEOUT_S)
            except CameraTimeout:
                waited_s = self._clock.monotonic_s() - last_frame_s
                if waited_s > STALLED_AFTER_S:
                    self._tell_phase(CameraPhase.STALLED, f"no frame for {waited_s:.0f} s: this picture is not live")
                continue
            self._tell_problems(told)
            last_frame_s = self._clock.monotonic_s()
            if self._is_new_slide.is_set():
                self._is_new_slide.clear()
                self._map.forget()
            tracked = self._map.place(frame)
            self._tell_map()
            with self._newest_lock:
                self._newest = tracked
            self._ticks.append(last_frame_s)
            self._tell_phase(CameraPhase.LIVE, f"{self._source.name} live")
            self._listener.on_frame(tracked)
            self._take(tracked)
            self._tick(last_frame_s)

    def _lose(self, text: str) -> None:
        """Say that the camera is lost, and wait until the reader wants it back."""
        self._tell_phase(CameraPhase.LOST, text)
        self._listener.on_message(Message(Severity.ERROR, text))
        self._close()
        self._reconnect.wait()

    def _close(self) -> None:
        """Release the camera; a driver that fails at that must not end the camera thread."""
        try:
            self._source.close()
        except Exception:  # noqa: BLE001 - part of the top of a thread
            LOG.exception("closing %s", self._source.name)

    def _tell_map(self) -> None:
        view = self._map.view
        if view is not self._told_map:
            self._told_map = view
            self._listener.on_map(view)

    def _tell_problems(self, told: set[str]) -> None:
        """Say what the source had to leave out since it was opened, each thing once."""
        problems = self._source.problems if isinstance(self._source, PartlyReadable) else ()
        for problem in problems:
            if problem not in told:
                told.add(problem)
                self._listener.on_message(Message(Severity.WARNING, f"left out: {problem}"))

    def _tell_phase(self, phase: CameraPhase, text: str) -> None:
        """Tell a change of state; a stall is told again as it grows."""
        if phase is not self._phase or phase is CameraPhase.STALLED:
            self._listener.on_camera(CameraStatus(phase, text))
        self._phase = phase


def rate(ticks: Sequence[float], now_s: float) -> float:
    """Events per second over the last two seconds."""
    recent = [tick for tick in list(ticks) if tick > now_s - 2.0]
    return (len(recent) - 1) / (now_s - recent[0]) if len(recent) > 1 and now_s > recent[0] else 0.0
