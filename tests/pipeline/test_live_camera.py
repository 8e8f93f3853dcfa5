"""The state of a camera, under a clock that a test holds: what is said, when, and what is done about it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from threading import Event

import numpy as np
import pytest

from her2scope.cameras.genicam import GenicamSource
from her2scope.cameras.images import ImageFolderSource
from her2scope.cameras.micro_manager import MicroManagerSource
from her2scope.cameras.slide_view import SlideMicroscope
from her2scope.cameras.stream import StreamSource
from her2scope.cameras.uvc import UvcCameraSource
from her2scope.cameras.video import VideoFileSource
from her2scope.domain.errors import CameraEnded, CameraLost, CameraNotFound, CameraTimeout, CaseRuleError
from her2scope.phantom.microscope import PhantomMicroscope
from her2scope.pipeline.live import CameraPhase, CameraStatus, Message, Severity
from her2scope.pipeline.live_camera import DOUBT_SAID_AFTER_S, EXPOSED_ANEW, PAUSES_S, LiveCamera
from her2scope.pipeline.slide_map import SlideMap
from her2scope.records import CameraState, Frame, MapView, TrackedFrame

FRAME_S = 0.1


class Stand:
    """A camera that plays a script, its clock, and all that is told of it, in one thread.

    Each step of the script is what one `read` does: `frame`, `timeout`, `blocked 3` (for 3 s), an error; between steps
    functions are called with the stand. At the end it is told to stop.
    """

    name = "camera"
    has_noise = True
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __init__(self, *steps: object, opens: tuple[Exception | None, ...] = (), **more: object) -> None:
        self._steps: Iterator[object] = iter(steps)
        self._opens = iter(opens)
        self.now_s, self.index = 0.0, 0
        self.opened_s: list[float] = []
        self.held_s: list[float] = []
        self.pauses: list[float | None] = []
        self.told: list[tuple[float, CameraStatus]] = []
        self.messages: list[Message] = []
        self.shown: list[TrackedFrame] = []
        self.taken: list[TrackedFrame] = []
        self.black = self.glides = False
        self.stop = Event()
        self.on_pause: Callable[[], None] = lambda: None
        self.failed: Exception | None = None
        self.live = LiveCamera(
            self, SlideMap(), self, self, self.taken.append, lambda now_s: None, pause=self._pause, **more
        )

    def run(self) -> Stand:
        self.live.run(self.stop)
        if self.failed is not None:  # the camera thread takes whatever comes out of `read` for the driver's
            raise self.failed
        return self

    def phases(self) -> list[CameraPhase]:
        return [status.phase for _, status in self.told]

    # ---- clock

    def now_utc(self) -> str:
        return ""

    def monotonic_s(self) -> float:
        return self.now_s

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.05)):
            self.now_s += 0.05
            self.live.check()

    def _pause(self, woken: Event, seconds: float | None) -> None:
        self.pauses.append(seconds)
        self.on_pause()
        if not woken.is_set():
            assert seconds is not None, "nobody would wake it"
            self.wait(seconds)

    # ---- camera

    def open(self) -> None:
        self.opened_s.append(self.now_s)
        error = next(self._opens, None)
        if error is not None:
            raise error

    def read(self, timeout_s: float) -> Frame:
        for step in self._steps:
            if callable(step):
                self._call(step)
            elif isinstance(step, Exception):
                raise step
            elif step == "timeout":
                self.wait(timeout_s)
                raise CameraTimeout("no frame.")
            else:
                self.wait(float(str(step).partition(" ")[2] or FRAME_S))
                return self._frame()
        self.stop.set()
        self.live.reconnect()
        raise CameraTimeout("the script is over.")

    def _call(self, step: Callable[[Stand], object]) -> None:
        try:
            step(self)
        except Exception as error:
            self.failed = error
            raise

    def _frame(self) -> Frame:
        self.index += 1
        rgb = np.random.default_rng(self.index).integers(90, 220, (32, 40, 3), np.uint8)
        rgb = np.zeros_like(rgb) if self.black else rgb
        return Frame(rgb, self.index, self.now_s, 0.25, CameraState("40x"), in_motion=self.glides)

    def hold(self) -> None:
        self.held_s.append(self.now_s)

    def close(self) -> None:
        pass

    # ---- listener

    def on_camera(self, status: CameraStatus) -> None:
        self.told.append((self.now_s, status))

    def on_message(self, message: Message) -> None:
        self.messages.append(message)

    def on_frame(self, tracked: TrackedFrame) -> None:
        self.shown.append(tracked)

    def on_map(self, view: MapView) -> None:
        pass


def when(stand: Stand, phase: CameraPhase) -> float:
    return next(at_s for at_s, status in stand.told if status.phase is phase)


def lost() -> CameraLost:
    return CameraLost("camera", 7)


def test_a_camera_that_is_silent_is_said_within_a_second_and_is_not_taken_from() -> None:
    stand = Stand("frame", "timeout", "timeout", refused, "frame", lambda stand: stand.live.newest()).run()
    assert stand.phases() == [CameraPhase.STARTING, CameraPhase.LIVE, CameraPhase.STALLED, CameraPhase.LIVE]
    assert when(stand, CameraPhase.STALLED) - FRAME_S <= 1.0


def refused(stand: Stand) -> None:
    with pytest.raises(CaseRuleError, match="no live picture"):
        stand.live.newest()


def test_what_is_not_live_is_refused_with_the_reason() -> None:
    def why(says: str) -> Callable[[Stand], None]:
        def look(stand: Stand) -> None:
            with pytest.raises(CaseRuleError, match=f"^nothing was taken: there is no live picture .{says}"):
                stand.live.newest()

        return look

    def darken(stand: Stand) -> None:
        stand.black = True

    def lighten(stand: Stand) -> None:
        stand.black = False

    stand = Stand(
        why("opening camera"), "frame", "timeout", "timeout", why("no frame for 1 s"), darken, "frame",
        why("the picture is black: not live"), lighten, lost(), "frame",
    )  # fmt: skip
    why("the camera is starting")(stand)
    stand.on_pause = lambda: why("reconnecting in 0.5 s")(stand)
    stand.run()
    assert stand.pauses == [0.5]


def test_a_driver_that_blocks_is_said_while_it_blocks() -> None:
    stand = Stand("frame", "blocked 4", "frame").run()
    assert when(stand, CameraPhase.STALLED) - FRAME_S <= 1.0
    assert any("does not answer" in status.text for _, status in stand.told)
    assert stand.phases()[-1] is CameraPhase.LIVE


def test_a_picture_grows_too_old_even_where_nobody_looks_after_it() -> None:
    def later(stand: Stand) -> None:
        stand.now_s += 1.1
        refused(stand)
        assert stand.phases()[-1] is CameraPhase.LIVE

    Stand("frame", later, "frame").run()


def test_a_lost_camera_is_opened_again_with_growing_pauses_and_said_once() -> None:
    gone = CameraNotFound("it is not plugged in.")
    stand = Stand("frame", lost(), "frame", opens=(None, *[gone] * 9)).run()
    assert stand.pauses == [*PAUSES_S, *[PAUSES_S[-1]] * 3]
    assert [message.text for message in stand.messages] == [str(lost()), str(gone)]
    assert {message.severity for message in stand.messages} == {Severity.ERROR}
    assert stand.phases()[2:5] == [CameraPhase.LOST, CameraPhase.RECONNECTING, CameraPhase.RECONNECTING]
    assert stand.phases()[-1] is CameraPhase.LIVE


def test_a_camera_that_was_live_for_a_second_begins_with_the_first_pause() -> None:
    frames = ["frame"] * 15
    stand = Stand("frame", lost(), "frame", lost(), *frames, lost(), "frame").run()
    assert stand.pauses == [PAUSES_S[0], PAUSES_S[1], PAUSES_S[0]]
    assert len(stand.messages) == 2, "the loss after it was live, too"


def test_f5_ends_the_pause_and_begins_anew() -> None:
    stand = Stand("frame", lost(), "frame", lost(), "frame")
    stand.on_pause = stand.live.reconnect
    stand.run()
    assert stand.pauses == [PAUSES_S[0]] * 2
    assert stand.opened_s == [0.0, FRAME_S, 2 * FRAME_S], "at once"
    assert stand.phases().count(CameraPhase.STARTING) == 3


def test_what_ended_for_good_waits_for_the_reader() -> None:
    stand = Stand("frame", CameraEnded("camera", 3), "frame")
    stand.on_pause = stand.live.reconnect
    stand.run()
    assert stand.pauses == [None]
    assert CameraPhase.RECONNECTING not in stand.phases()


def test_black_is_said_at_once_shown_to_nobody_and_not_opened_again() -> None:
    def light(on: bool) -> Callable[[Stand], None]:
        return lambda stand: setattr(stand, "black", not on)

    stand = Stand("frame", light(False), *["frame"] * 100, refused, light(True), "frame").run()
    assert when(stand, CameraPhase.STALLED) == pytest.approx(2 * FRAME_S)
    assert len(stand.opened_s) == 1
    assert [tracked.frame.index for tracked in stand.shown] == [1, 102]
    assert stand.phases()[-1] is CameraPhase.LIVE


def test_silence_that_lasts_opens_the_camera_again() -> None:
    stand = Stand("frame", *["timeout"] * 12, "frame").run()
    assert len(stand.opened_s) == 2
    assert 5.0 < stand.opened_s[1] < 7.0


def test_a_driver_s_own_error_is_said_and_got_over() -> None:
    stand = Stand("frame", ValueError("13 bytes"), "frame").run()
    assert "13 bytes" in stand.messages[0].text
    assert stand.phases()[-1] is CameraPhase.LIVE


def test_a_held_camera_is_held_again_once_it_has_settled() -> None:
    stand = Stand("frame", lambda stand: stand.live.hold(), lost(), *["frame"] * 30).run()
    assert len(stand.held_s) == 2
    assert 2.0 <= stand.held_s[1] - stand.opened_s[1] <= 2.2


def test_that_a_control_may_not_hold_any_more_is_said_where_the_camera_was_held() -> None:
    def said(*steps: object) -> list[str]:
        return [message.text for message in Stand(*steps).run().messages if message.severity is Severity.WARNING]

    def hold(stand: Stand) -> None:
        stand.live.hold()

    assert said("frame", hold, "frame", lost(), "frame", lost(), "frame") == [EXPOSED_ANEW]
    assert said(hold, "frame") == said("frame", lost(), "frame") == []


@pytest.mark.parametrize("glides", [True, False])
def test_a_frame_taken_on_the_way_counts_as_moving_from_the_first_one_on(glides: bool) -> None:
    stand = Stand(lambda stand: setattr(stand, "glides", glides), "frame").run()
    assert math.isinf(stand.taken[0].speed_um_per_s) is glides


def test_what_the_source_could_not_set_is_said_once() -> None:
    stand = Stand("frame", "frame", lost(), "frame")
    stand.problems, stand.notes = ("exposure 5 ms was asked for.",), ("MJPG: compressed with loss.",)
    stand.run()
    told = [(message.severity, message.text) for message in stand.messages if message.severity is not Severity.ERROR]
    assert told == [(Severity.WARNING, stand.problems[0]), (Severity.INFO, stand.notes[0])]


class Desk:
    """Whose objective the test turns."""

    turned = "40x"

    def position_um(self, at_s: float) -> tuple[float, float] | None:
        return at_s, 0.0

    def objective(self) -> str | None:
        return self.turned

    def stayed(self, objective: str, from_s: float, to_s: float) -> bool | None:
        return None


def test_a_picture_of_an_unknown_objective_is_shown_and_not_taken() -> None:
    desk = Desk()

    def turn(name: str) -> Callable[[Stand], None]:
        return lambda stand: setattr(desk, "turned", name)

    def says_why(stand: Stand) -> None:
        with pytest.raises(CaseRuleError, match="objective is not known"):
            stand.live.newest()

    stand = Stand(
        "frame", turn(""), "frame", "frame", says_why, turn("20x"), "frame", lambda stand: stand.live.newest(),
        desk=desk, objectives={"40x": 0.25, "20x": 0.5},
    )  # fmt: skip
    stand.run()
    assert [item.frame.index for item in stand.shown] == [1, 2, 3, 4]
    assert [item.short_doubt for item in stand.shown] == ["", *["the objective is not known"] * 2, ""]
    assert [(item.frame.index, item.frame.um_per_px) for item in stand.taken] == [(1, 0.25), (4, 0.5)]
    assert stand.messages == []  # a turn is over before anybody could read of it
    assert stand.taken[0].frame.stage_um == (stand.taken[0].frame.captured_s, 0.0)


def test_an_objective_that_stays_unknown_is_said_once() -> None:
    desk = Desk()
    desk.turned = ""
    stand = Stand(*["frame"] * round(3 * DOUBT_SAID_AFTER_S / FRAME_S), desk=desk, objectives={"40x": 0.25}).run()
    assert [message.text.partition(":")[0] for message in stand.messages] == ["this picture cannot be read"]
    assert stand.taken == []


def test_what_has_a_sensor_says_so_and_files_do_not() -> None:
    sensors = (UvcCameraSource, GenicamSource, MicroManagerSource, PhantomMicroscope)
    assert all(kind.has_noise for kind in sensors)
    files = (ImageFolderSource, VideoFileSource, SlideMicroscope, StreamSource)
    assert not any(hasattr(kind, "has_noise") for kind in files)
