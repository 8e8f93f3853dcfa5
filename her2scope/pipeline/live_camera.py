"""The thread that watches a camera: it places each frame on the map and never waits for anything but the camera."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from threading import Event, RLock

from her2scope.domain.errors import CameraEnded, CameraError, CameraTimeout, CaseRuleError
from her2scope.pipeline.desk import StageCheck, dressed
from her2scope.pipeline.live import CameraPhase, CameraStatus, LiveListener, Message, Severity
from her2scope.pipeline.picture_faults import PictureFault, PictureFaults
from her2scope.pipeline.slide_map import SlideMap
from her2scope.ports import (
    CameraSource,
    Clock,
    FrameDesk,
    FrameSequence,
    HeldCamera,
    NoisyCamera,
    NotedCamera,
    PartlyReadable,
)
from her2scope.records import Frame, MapView, TrackedFrame

LOG = logging.getLogger(__name__)
FRAME_TIMEOUT_S = 0.5
STALLED_AFTER_S = 1.0
"""A picture older than this is not live, and the status says so."""
SAID_AFTER_S, LOOK_EVERY_S = 0.7, 0.1
"""So that a stall is said within `STALLED_AFTER_S`: how long nothing came, and how often that is looked at."""
REOPEN_AFTER_S = 5.0
"""A camera that opening again may mend is opened again after so long; a hiccup of bus or network is shorter."""
PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Before each attempt to open a lost camera again; the last one is kept to."""
STEADY_AFTER_S = 1.0
"""A camera that was live for so long is mended: the next loss begins with the first pause."""
SETTLED_AFTER_S = 2.0
"""A camera that was opened again has come to its exposure by then, and can be told to keep it."""
DOUBT_SAID_AFTER_S = 2.0
"""A turn of the nosepiece is over by then, and a sensor's board has started; the picture itself says it at once."""
EXPOSED_ANEW = (
    "the camera was opened again since it was told to keep its exposure, which may be another one now: read the "
    "control again, or the case may not be reportable."
)


class LiveCamera:
    """Reads a source until it is told to stop; a lost one is opened again by itself, with growing pauses.

    Parameters
    ----------
    take : given each frame that can be read, by the camera's thread
    tick : called after each frame with its time (monotonic, s)
    desk : what senses stage and objective beside the camera
    objectives : um per px of the camera's picture by the objective's name, as calibrated
    pause : waits for an event, for so many seconds or for ever
    """

    def __init__(
        self,
        source: CameraSource,
        slide_map: SlideMap,
        listener: LiveListener,
        clock: Clock,
        take: Callable[[TrackedFrame], None],
        tick: Callable[[float], None],
        *,
        desk: FrameDesk | None = None,
        objectives: Mapping[str, float] | None = None,
        pause: Callable[[Event, float | None], object] = Event.wait,
    ) -> None:
        self._source, self._map, self._listener, self._clock = source, slide_map, listener, clock
        self._take, self._tick, self._pause = take, tick, pause
        self._desk, self._objectives = desk, objectives or {}
        self._stage = StageCheck()
        self._faults = PictureFaults(
            has_noise=isinstance(source, NoisyCamera) and source.has_noise,
            keeps_colours=not isinstance(source, FrameSequence),
        )
        self._is_new_slide, self._reconnect, self._holds = Event(), Event(), Event()
        self._ticks: deque[float] = deque(maxlen=120)
        self._lock = RLock()
        """Guards the four below: the thread that looks after the camera's must not tell a state that is over."""
        self._newest: TrackedFrame | None = None
        self._told: CameraStatus | None = None
        self._heard_s: float | None = None
        """When the open source gave its last frame, or was opened; None: it is not open."""
        self._asked_s: float | None = None
        """Since when the source's `read` has not returned."""
        # The camera thread's own.
        self._told_map: MapView | None = None
        self._told_texts: set[str] = set()
        self._doubt, self._doubt_since_s, self._has_said_doubt = "", 0.0, False
        """Of the last frame, and since when."""
        self._was_open = False
        self._n_attempts = 0
        self._live_since_s = self._faulty_since_s = self._hold_due_s = math.inf

    # ---- from any thread ------------------------------------------------------------------------------------------

    def reconnect(self) -> None:
        """Open the camera again at once; also ends the pause before a lost one is opened again."""
        self._reconnect.set()

    def hold(self) -> None:
        """Let the camera keep its settings from now on, also when it was opened again."""
        self._holds.set()
        if isinstance(self._source, HeldCamera):
            self._source.hold()

    def expect_new_slide(self) -> None:
        """What comes next may show another slide."""
        self._is_new_slide.set()

    def newest(self) -> TrackedFrame:
        """The newest frame, as long as it is live and its scale is known; CaseRuleError else."""
        now_s = self._clock.monotonic_s()
        with self._lock:
            newest, told, heard_s = self._newest, self._told, self._heard_s
        is_live = told is not None and told.phase is CameraPhase.LIVE
        if newest is None or not is_live or heard_s is None or now_s - heard_s > STALLED_AFTER_S:
            raise CaseRuleError(_nothing_to_take(told, is_live))
        if newest.doubt:
            raise CaseRuleError(newest.doubt)
        return newest

    def frames_per_s(self, now_s: float) -> float:
        """Rate of the last two seconds."""
        return rate(self._ticks, now_s)

    # ---- a thread beside the camera's -----------------------------------------------------------------------------

    def look_after(self, stop: Event) -> None:
        """Say when the camera is silent, even while its driver blocks; the whole of a thread."""
        while not stop.wait(LOOK_EVERY_S):
            self.check()

    def check(self) -> None:
        """Say that the camera is silent, where it is."""
        with self._lock:
            now_s = self._clock.monotonic_s()
            if self._heard_s is None or now_s - self._heard_s <= SAID_AFTER_S:
                return
            text = f"no frame for {max(1.0, now_s - self._heard_s):.0f} s: this picture is not live"
            if self._asked_s is not None and now_s - self._asked_s > FRAME_TIMEOUT_S + SAID_AFTER_S:
                text += f". The driver of {self._source.name} does not answer: unplug the camera and plug it in"
            self._tell(CameraPhase.STALLED, text)

    # ---- the camera's thread --------------------------------------------------------------------------------------

    def run(self, stop: Event) -> None:
        """Watch the camera until told to stop; the whole of a thread."""
        self._begin_anew()
        while True:
            self._reconnect.clear()
            if stop.is_set():
                return
            lost = self._lost(stop)
            self._close()
            if lost is not None and not stop.is_set():
                self._tell_lost(lost)
                self._pause(self._reconnect, None if isinstance(lost, CameraEnded) else self._next_pause_s(lost))
            if self._reconnect.is_set():
                self._begin_anew()

    def _begin_anew(self) -> None:
        """The reader looks at what comes next, and says that it is right."""
        self._n_attempts = 0
        self._told_texts.clear()
        self._faults.trust_colours()
        self._stage.forget()

    def _lost(self, stop: Event) -> CameraError | None:
        """Watch the camera until it is lost, and how; None where it was told to stop or to reconnect."""
        try:
            self._watch(stop)
        except CameraError as error:
            return error
        except Exception as error:  # noqa: BLE001 - top of a thread: nothing above could tell the reader
            LOG.exception("camera thread")
            return CameraError(f"{self._source.name} failed: {error}. Press Reconnect (F5).")
        finally:
            with self._lock:
                self._newest, self._heard_s, self._asked_s = None, None, None  # what was seen before is not live
        return None

    def _watch(self, stop: Event) -> None:
        """Read frames until told to stop or to reconnect; CameraError where the source fails for good."""
        self._map.forget()
        if self._n_attempts == 0:
            self._tell(CameraPhase.STARTING, f"opening {self._source.name}")
        else:
            self._tell(CameraPhase.RECONNECTING, f"opening {self._source.name} again, attempt {self._n_attempts}")
        self._source.open()
        self._tell_words_of_source()
        self._tell_exposed_anew()
        now_s = self._clock.monotonic_s()
        self._live_since_s = self._faulty_since_s = math.inf
        self._hold_due_s = now_s + SETTLED_AFTER_S if self._holds.is_set() else math.inf
        self._hear(now_s)
        while not stop.is_set() and not self._reconnect.is_set():
            frame = self._read()
            if frame is None:
                self.check()
                self._give_up_silent()
                continue
            self._tell_words_of_source()
            now_s = self._clock.monotonic_s()
            self._hear(now_s)
            fault = self._faults.look(frame.rgb, now_s)
            if fault is None:
                self._show(frame, now_s)
            else:
                self._bear(fault, now_s)

    def _read(self) -> Frame | None:
        """The next frame; None where none came in time."""
        with self._lock:
            self._asked_s = self._clock.monotonic_s()
        try:
            return self._source.read(FRAME_TIMEOUT_S)
        except CameraTimeout:
            return None
        finally:
            with self._lock:
                self._asked_s = None

    def _hear(self, now_s: float) -> None:
        with self._lock:
            self._heard_s = now_s

    def _give_up_silent(self) -> None:
        heard_s, now_s = self._heard_s, self._clock.monotonic_s()
        if heard_s is not None and now_s - heard_s > REOPEN_AFTER_S:
            raise CameraError(f"{self._source.name} gave no frame for {now_s - heard_s:.0f} s. Check cable and camera.")

    def _bear(self, fault: PictureFault, now_s: float) -> None:
        """Say what is wrong with a picture, which nobody is given; CameraError where the camera is to be opened again.

        The map is not told either: it waits for the tissue to come back.
        """
        with self._lock:
            self._newest = None
        self._tell(CameraPhase.STALLED, fault.text)
        self._live_since_s = math.inf
        self._faulty_since_s = min(self._faulty_since_s, now_s)
        if fault.reopens and now_s - self._faulty_since_s > REOPEN_AFTER_S:
            raise CameraError(f"{self._source.name}: {fault.text}.")

    def _show(self, frame: Frame, now_s: float) -> None:
        """Place a frame and hand it on; one of unknown scale is only shown."""
        if self._is_new_slide.is_set():
            self._is_new_slide.clear()
            self._map.forget()
        ready = dressed(frame, self._desk, self._objectives)
        if ready.doubt:
            tracked = TrackedFrame(ready.frame, island=self._map.view.island, trusted=False, doubt=ready.doubt)
        else:
            tracked = self._placed(ready.frame)
        if ready.warning:
            self._say_once(Severity.WARNING, ready.warning)
        with self._lock:
            self._newest = tracked
            self._tell(CameraPhase.LIVE, f"{self._source.name} live")
        self._ticks.append(now_s)
        self._steady(now_s)
        self._listener.on_frame(tracked)
        if not ready.doubt:
            self._take(tracked)
        self._tell_doubt(ready.doubt, now_s)
        self._tick(now_s)

    def _placed(self, frame: Frame) -> TrackedFrame:
        tracked = self._map.place(self._stage.believed(frame))
        self._tell_map()
        self._stage.look(tracked)
        if self._stage.doubt:
            self._say_once(Severity.WARNING, self._stage.doubt)
        # A glide begins and ends slower than what counts as moving, and shows what is not read yet.
        return replace(tracked, speed_um_per_s=math.inf) if frame.in_motion else tracked

    def _steady(self, now_s: float) -> None:
        """Forget a loss that is over, and let a camera that was opened again keep its settings once it has settled."""
        self._faulty_since_s = math.inf
        self._live_since_s = min(self._live_since_s, now_s)
        if now_s - self._live_since_s >= STEADY_AFTER_S:
            self._n_attempts = 0
        if now_s >= self._hold_due_s:
            self._hold_due_s = math.inf
            self.hold()

    def _next_pause_s(self, lost: CameraError) -> float:
        """How long to wait before the next attempt, which is said."""
        pause_s = PAUSES_S[min(self._n_attempts, len(PAUSES_S) - 1)]
        self._n_attempts += 1
        self._tell(CameraPhase.RECONNECTING, f"reconnecting in {pause_s:g} s (F5: at once). {lost}")
        return pause_s

    def _close(self) -> None:
        """Release the camera; a driver that fails at that must not end the camera thread."""
        try:
            self._source.close()
        except Exception:  # noqa: BLE001 - part of the top of a thread
            LOG.exception("closing %s", self._source.name)

    # ---- what is told ---------------------------------------------------------------------------------------------

    def _tell(self, phase: CameraPhase, text: str) -> None:
        """Tell the camera's state where it is not what was told last."""
        with self._lock:
            status = CameraStatus(phase, text)
            if status != self._told:
                self._told = status
                self._listener.on_camera(status)

    def _tell_lost(self, lost: CameraError) -> None:
        """Say that the camera is lost; the attempts that fail in the same way are only shown in its state."""
        if self._n_attempts == 0:
            self._told_texts.discard(str(lost))
        self._tell(CameraPhase.LOST, str(lost))
        self._say_once(Severity.ERROR, str(lost))

    def _tell_map(self) -> None:
        view = self._map.view
        if view is not self._told_map:
            self._told_map = view
            self._listener.on_map(view)

    def _tell_words_of_source(self) -> None:
        """Say what the source had to leave out, or could not set, and what is to be known of its pictures."""
        source = self._source
        left_out = "left out: " if isinstance(source, FrameSequence) else ""
        for problem in source.problems if isinstance(source, PartlyReadable) else ():
            self._say_once(Severity.WARNING, f"{left_out}{problem}")
        for note in source.notes if isinstance(source, NotedCamera) else ():
            self._say_once(Severity.INFO, note)

    def _tell_exposed_anew(self) -> None:
        """Say that a camera which was to keep its exposure was opened again: the control may not hold any more."""
        if self._was_open and self._holds.is_set() and isinstance(self._source, HeldCamera):
            self._say_once(Severity.WARNING, EXPOSED_ANEW)
        self._was_open = True

    def _tell_doubt(self, doubt: str, now_s: float) -> None:
        """Say why pictures cannot be read once that lasts: not of each turn, nor before a sensor could answer."""
        if doubt != self._doubt:
            self._doubt, self._doubt_since_s, self._has_said_doubt = doubt, now_s, False
        if doubt and not self._has_said_doubt and now_s - self._doubt_since_s >= DOUBT_SAID_AFTER_S:
            self._has_said_doubt = True
            self._listener.on_message(Message(Severity.WARNING, f"this picture cannot be read: {doubt}"))

    def _say_once(self, severity: Severity, text: str) -> None:
        """Show a line, unless it was shown since the reader opened the camera."""
        if text not in self._told_texts:
            self._told_texts.add(text)
            self._listener.on_message(Message(severity, text))


def _nothing_to_take(told: CameraStatus | None, is_live: bool) -> str:
    """Why nothing is taken, in words; `is_live`: the camera still counts as live, but its last frame is too old."""
    why = "the camera is starting" if told is None else told.text.split(". ")[0]
    why = "the last frame is too old" if is_live else why.rstrip(".")
    return f"nothing was taken: there is no live picture ({why}). Wait for the camera, or press Reconnect (F5)."


def rate(ticks: Sequence[float], now_s: float) -> float:
    """Events per second over the last two seconds."""
    recent = [tick for tick in list(ticks) if tick > now_s - 2.0]
    return (len(recent) - 1) / (now_s - recent[0]) if len(recent) > 1 and now_s > recent[0] else 0.0
