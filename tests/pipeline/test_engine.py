"""The live engine around a fake camera: newest frame wins, every failure is said, nothing is left running."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from her2scope.cameras.images import ImageFolderSource
from her2scope.domain.corrections import CaseData, Correction, RuleChange
from her2scope.domain.errors import CameraLost, CameraTimeout, DiskFullError, SettingsError
from her2scope.domain.regions import RegionDraft, RegionKind
from her2scope.imaging.files import write_png
from her2scope.imaging.opencv import cv2
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.pipeline.clock import SystemClock
from her2scope.pipeline.engine import LiveEngine, is_same_view
from her2scope.pipeline.live import CameraPhase, Mode, Severity
from her2scope.pipeline.mailbox import Latest
from her2scope.pipeline.session import CaseSession
from her2scope.records import CameraState, Frame, TrackedFrame
from her2scope.settings import Calibration
from her2scope.storage.memory import MemoryCaseStore

PATIENCE_S = 20.0


class FakeCamera:
    """Gives one picture again and again; can stall, be lost, and be plugged in again."""

    name = "fake"

    def __init__(self, frame: Frame) -> None:
        self.frame, self.index = frame, 0
        self.stalled, self.lost = threading.Event(), threading.Event()
        self.is_open = False

    def open(self) -> None:
        self.is_open = True

    def read(self, timeout_s: float) -> Frame:
        if self.lost.is_set():
            raise CameraLost(self.name, self.index)
        if self.stalled.is_set():
            time.sleep(min(timeout_s, 0.05))
            raise CameraTimeout("no frame in time.")
        time.sleep(0.02)
        self.index += 1
        return replace(self.frame, index=self.index, captured_s=time.monotonic())

    def close(self) -> None:
        self.is_open = False


class Listener:
    """Keeps what it is told, and can wait for it."""

    def __init__(self) -> None:
        self.told: dict[str, list] = {
            name: [] for name in ("frame", "result", "case", "camera", "figures", "message", "map", "sweep")
        }
        self._changed = threading.Condition()

    def __getattr__(self, name: str) -> Callable:
        if not name.startswith("on_"):
            raise AttributeError(name)
        return lambda item: self._take(name.removeprefix("on_"), item)

    def _take(self, kind: str, item: object) -> None:
        with self._changed:
            self.told[kind].append(item)
            self._changed.notify_all()

    def forget(self, kind: str) -> None:
        with self._changed:
            self.told[kind].clear()

    def wait_for(self, kind: str, matches: Callable[[object], bool] = lambda item: True):
        with self._changed:
            found = self._changed.wait_for(lambda: any(matches(item) for item in self.told[kind]), PATIENCE_S)
            assert found, f"never told: {kind}; messages: {self.told['message']}"
            return next(item for item in reversed(self.told[kind]) if matches(item))


@pytest.fixture
def live(frames, analyser):
    camera, listener, store, reports = FakeCamera(frames["2+"]), Listener(), MemoryCaseStore(), []
    numbers = iter(range(1, 100))

    def open_case() -> CaseSession:
        return CaseSession(store.create(f"case-{next(numbers)}"), analyser, SystemClock(), "reader")

    def write_report(view):
        reports.append(view)
        return ()

    engine = LiveEngine(camera, open_case, listener, write_report, SystemClock())
    engine.start()
    yield engine, camera, listener, reports
    engine.stop()
    assert not camera.is_open


def test_the_whole_job_by_commands(live, frames):
    engine, camera, listener, reports = live
    camera.frame = frames["3+"]
    engine.set_mode(Mode.CONTROL)
    listener.wait_for("result", lambda item: item.result.frame.name == "3+_0.png")
    engine.read_control("3+", "lot 7")
    listener.wait_for("case", lambda view: view.controls)
    listener.forget("result")  # the camera showed this field before the control
    camera.frame = frames["2+"]
    listener.wait_for("result", lambda item: item.result.frame.name == "2+_0.png")
    engine.set_mode(Mode.READING)
    engine.accept_field()
    view = listener.wait_for("case", lambda view: view.fields)
    assert view.score.score == "2+" and view.score.reportable
    engine.remove_field(1)
    listener.wait_for("case", lambda view: view.fields and not view.fields[0].active)
    engine.restore_field(1)
    engine.finish()
    listener.wait_for("case", lambda view: view.finished_utc is not None)
    assert [view.case_id for view in reports] == ["case-1"]
    engine.accept_field()
    listener.wait_for("message", lambda item: "is finished" in item.text)
    engine.new_case()
    listener.wait_for("case", lambda view: view.case_id == "case-2" and not view.fields)


def test_nothing_is_taken_from_a_picture_on_its_way(live, frames):
    engine, camera, listener, _ = live
    listener.wait_for("case")
    camera.frame = replace(frames["3+"], in_motion=True)
    listener.wait_for("result", lambda item: item.result.quality.codes == ("moving",))
    engine.accept_field()
    listener.wait_for("message", lambda item: item.text.startswith("field not added: the stage is moving"))
    engine.read_control("3+", "lot 7")
    listener.wait_for("message", lambda item: item.text.startswith("control not read: the stage is moving"))
    assert not any(view.fields or view.controls for view in listener.told["case"])
    camera.frame = replace(camera.frame, in_motion=False)
    listener.wait_for("result", lambda item: item.result.quality.usable and item.tracked.frame.name == "3+_0.png")
    engine.accept_field()
    listener.wait_for("case", lambda view: view.fields)


def test_results_tell_the_mode_and_the_figures_the_rate(live):
    engine, _, listener, _ = live
    engine.set_mode(Mode.CONTROL)
    listener.wait_for("result", lambda item: item.mode is Mode.CONTROL)
    figures = listener.wait_for("figures", lambda item: item.camera_fps > 1)
    assert figures.replaced_frames >= 0


def test_a_picture_that_cannot_be_read_is_said_and_left_out(tmp_path, frames, analyser):
    write_png(tmp_path / "a.png", frames["2+"].rgb)
    (tmp_path / "b.png").write_text("no picture")
    listener, store = Listener(), MemoryCaseStore()
    source = ImageFolderSource(tmp_path, 0.25, CameraState())
    session = CaseSession(store.create("case-1"), analyser, SystemClock(), "reader")
    engine = LiveEngine(source, lambda: session, listener, lambda view: (), SystemClock(), session)
    engine.start()
    try:
        listener.wait_for("result")  # a source that is not open yet has nothing to turn to
        source.step(1)  # there is only one picture to turn to
        listener.wait_for("message", lambda item: item.text.startswith("left out: ") and "b.png" in item.text)
    finally:
        engine.stop()


def test_a_lost_camera_is_said_and_can_be_reconnected(live):
    engine, camera, listener, _ = live
    listener.wait_for("result")
    camera.lost.set()
    listener.wait_for("camera", lambda item: item.phase is CameraPhase.LOST)
    listener.wait_for("message", lambda item: item.severity is Severity.ERROR and "Reconnect (F5)" in item.text)
    engine.accept_field()
    listener.wait_for("message", lambda item: "no live picture" in item.text)
    camera.lost.clear()
    n_live = sum(item.phase is CameraPhase.LIVE for item in listener.told["camera"])
    engine.reconnect()
    listener.wait_for("camera", lambda item: item.phase is CameraPhase.STARTING)
    deadline = time.monotonic() + PATIENCE_S
    while sum(item.phase is CameraPhase.LIVE for item in listener.told["camera"]) <= n_live:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_reconnecting_a_live_camera_opens_it_again(live):
    engine, camera, listener, _ = live
    listener.wait_for("frame")
    engine.reconnect()
    deadline = time.monotonic() + PATIENCE_S
    while [item.phase for item in listener.told["camera"]].count(CameraPhase.LIVE) < 2:
        assert time.monotonic() < deadline, listener.told["camera"]
        time.sleep(0.01)


def test_the_field_that_is_added_is_the_one_that_was_seen(live, frames):
    engine, camera, listener, _ = live
    listener.wait_for("result", lambda item: item.result.frame.name == "2+_0.png")
    engine.accept_field()
    camera.frame = frames["0"]  # the slide moves on while the command waits its turn
    view = listener.wait_for("case", lambda view: view.fields)
    assert view.fields[0].result.frame.name == "2+_0.png"


def test_a_stalled_camera_is_not_live(live):
    _, camera, listener, _ = live
    listener.wait_for("frame")
    camera.stalled.set()
    status = listener.wait_for("camera", lambda item: item.phase is CameraPhase.STALLED)
    assert "not live" in status.text


def test_a_driver_that_blocks_is_said_while_it_blocks(live):
    engine, camera, listener, _ = live
    listener.wait_for("frame")
    answers, read = threading.Event(), camera.read

    def blocked(timeout_s: float) -> Frame:
        answers.wait(PATIENCE_S)
        return read(timeout_s)

    camera.read = blocked
    listener.wait_for("camera", lambda item: item.phase is CameraPhase.STALLED)
    engine.accept_field()
    listener.wait_for("message", lambda item: "no live picture" in item.text)
    answers.set()


class TurnedDesk:
    """A nosepiece between two objectives."""

    def position_um(self, at_s: float) -> tuple[float, float] | None:
        return None

    def objective(self) -> str | None:
        return ""

    def stayed(self, objective: str, from_s: float, to_s: float) -> bool | None:
        return None


class Sensed:
    """A nosepiece whose sensor confirms the objective, or does not."""

    def __init__(self) -> None:
        self.answer: bool | None = None

    def position_um(self, at_s: float) -> tuple[float, float] | None:
        return None

    def objective(self) -> str | None:
        return "40x"

    def stayed(self, objective: str, from_s: float, to_s: float) -> bool | None:
        return self.answer


def test_a_field_is_added_once_its_objective_is_confirmed_and_not_where_it_was_turned(frames, analyser):
    listener, desk, store = Listener(), Sensed(), MemoryCaseStore()
    frame = frames["2+"]
    engine = LiveEngine(
        FakeCamera(frame), lambda: CaseSession(store.create("case-1"), analyser, SystemClock(), "reader"), listener,
        lambda view: (), SystemClock(), desk=desk, objectives={"40x": frame.um_per_px},
    )  # fmt: skip
    engine.start()
    try:
        listener.wait_for("result")
        desk.answer = False
        engine.accept_field()
        engine.read_control("3+", "lot 7")
        listener.wait_for("message", lambda item: "turned when this picture was taken" in item.text)
        desk.answer = None
        engine.accept_field()
        listener.wait_for("message", lambda item: "did not tell whether 40x stayed" in item.text)
        assert not any(view.fields or view.controls for view in listener.told["case"])
        engine.accept_field()
        time.sleep(0.1)  # it waits, and pictures go on
        desk.answer = True
        view = listener.wait_for("case", lambda view: view.fields)
        assert len(view.fields) == 1
    finally:
        engine.stop()


def test_no_field_is_added_while_the_objective_is_not_known(frames):
    listener = Listener()
    engine = LiveEngine(
        FakeCamera(frames["2+"]), lambda: None, listener, lambda view: (), SystemClock(), desk=TurnedDesk(),
        objectives={"40x": 0.25},
    )  # fmt: skip
    engine.start()
    try:
        listener.wait_for("frame")
        listener.wait_for("message", lambda item: "this picture cannot be read" in item.text)
        listener.forget("message")
        engine.accept_field()
        listener.wait_for("message", lambda item: item.text.startswith("the objective is not known"))
    finally:
        engine.stop()


def test_refusals_are_messages_not_faults(live):
    engine, _, listener, _ = live
    listener.wait_for("result")
    engine.remove_field(4)
    listener.wait_for("message", lambda item: "there is no field 4" in item.text)
    engine.override_control("x")
    listener.wait_for("message", lambda item: "only an invalid control" in item.text)


def test_a_report_that_cannot_be_written_can_be_written_again(frames, analyser):
    camera, listener, store, tries = FakeCamera(frames["2+"]), Listener(), MemoryCaseStore(), []

    def write_report(view):
        tries.append(view)
        if len(tries) == 1:
            raise DiskFullError("the disk is full.")
        return [Path("there/report.pdf")]

    def open_case() -> CaseSession:
        return CaseSession(store.create("case-1"), analyser, SystemClock(), "reader")

    engine = LiveEngine(camera, open_case, listener, write_report, SystemClock())
    engine.start()
    try:
        engine.finish()
        listener.wait_for("message", lambda item: "has no report: the disk is full." in item.text)
        engine.finish()
        listener.wait_for("message", lambda item: "report in there" in item.text)
    finally:
        engine.stop()
    assert tries[0].events == tries[1].events


def test_every_fault_of_a_command_is_said_and_the_case_goes_on(frames, analyser):
    camera, listener, store = FakeCamera(frames["2+"]), Listener(), MemoryCaseStore()
    session = CaseSession(store.create("case-1"), analyser, SystemClock(), "reader")
    engine = LiveEngine(camera, lambda: session, listener, lambda view: 1 / 0, SystemClock(), session)
    engine.start()
    try:
        listener.wait_for("result")
        for n in (1, 2):
            engine.finish()
            listener.wait_for("case", lambda view: view.finished_utc is not None)
            listener.wait_for("message", lambda item, n=n: n_faults(listener) >= n)
        engine.remove_field(8)
        listener.wait_for("message", lambda item: "is finished" in item.text)
    finally:
        engine.stop()


def n_faults(listener: Listener) -> int:
    return sum("something unexpected" in item.text for item in listener.told["message"])


class Faulty:
    """An analyser that fails on every frame, each time in other words."""

    def __init__(self, analyser) -> None:
        self.analyser, self.n = analyser, 0

    def analyse(self, *_: object) -> None:
        self.n += 1
        raise ValueError(f"bad frame {self.n}")

    def __getattr__(self, name: str) -> object:
        return getattr(self.analyser, name)


def test_a_fault_of_every_frame_is_not_said_with_every_frame(frames, analyser):
    faulty, listener, store = Faulty(analyser), Listener(), MemoryCaseStore()
    session = CaseSession(store.create("case-1"), faulty, SystemClock(), "reader")
    engine = LiveEngine(FakeCamera(frames["2+"]), lambda: session, listener, lambda view: (), SystemClock(), session)
    engine.start()
    try:
        deadline = time.monotonic() + PATIENCE_S
        while faulty.n < 10:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        engine.stop()
    assert n_faults(listener) == 1


def test_what_was_asked_before_leaving_is_still_done(frames, analyser):
    listener, store = Listener(), MemoryCaseStore()
    session = CaseSession(store.create("case-1"), analyser, SystemClock(), "reader")
    engine = LiveEngine(FakeCamera(frames["2+"]), lambda: session, listener, lambda view: (), SystemClock(), session)
    engine.start()
    listener.wait_for("result")
    engine.accept_field()
    engine.finish()
    engine.stop()
    assert [len(view.fields) for view in listener.told["case"]][-1] == 1
    assert listener.told["case"][-1].finished_utc is not None


def test_a_case_that_cannot_be_opened_is_said(frames):
    def open_case() -> CaseSession:
        raise OSError("the share is gone")

    listener = Listener()
    engine = LiveEngine(FakeCamera(frames["2+"]), open_case, listener, lambda view: (), SystemClock())
    engine.start()
    try:
        listener.wait_for("message", lambda item: "the share is gone" in item.text)
        engine.finish()
        listener.wait_for("message", lambda item: "no case is open" in item.text)
    finally:
        engine.stop()


def test_a_driver_that_fails_at_closing_can_be_reconnected(live):
    engine, camera, listener, _ = live
    listener.wait_for("frame")
    close, camera.close = camera.close, lambda: 1 / 0
    camera.lost.set()
    listener.wait_for("camera", lambda item: item.phase is CameraPhase.LOST)
    camera.close = close
    camera.lost.clear()
    engine.reconnect()
    deadline = time.monotonic() + PATIENCE_S
    while [item.phase for item in listener.told["camera"]].count(CameraPhase.LIVE) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_flood_of_commands_is_bounded_and_said(frames, analyser):
    listener = Listener()
    engine = LiveEngine(FakeCamera(frames["2+"]), lambda: None, listener, lambda view: (), SystemClock())
    for _ in range(40):  # nothing takes them: the engine was never started
        engine.remove_field(1)
    assert sum("was not taken" in item.text for item in listener.told["message"]) == 40 - 32


def test_the_mailbox_keeps_the_newest_and_counts_the_rest():
    box: Latest[int] = Latest()
    assert box.take(timeout_s=0) is None
    for number in range(5):
        box.put(number)
    assert (box.take(timeout_s=0), box.replaced) == (4, 4)
    assert box.take(timeout_s=0) is None


OUTLINE = RegionDraft(RegionKind.INVASIVE, 0, ((-10.0, -10.0), (400.0, -10.0), (400.0, 200.0), (-10.0, 200.0)))


def test_sweeping_needs_an_outline_and_counts_each_place_once(live):
    engine, _, listener, _ = live
    listener.wait_for("result")
    engine.set_sweep(True)
    listener.wait_for("message", lambda item: "none is outlined" in item.text)
    assert listener.wait_for("sweep") is False
    engine.draw_region(OUTLINE)
    engine.set_sweep(True)
    view = listener.wait_for("case", lambda view: len(view.fields) == 1)
    assert view.fields[0].swept and view.fields[0].counts.n_tumour > 50
    listener.forget("result")
    listener.wait_for("result", lambda item: item.tracked.frame.index > 0)  # the same place again
    engine.set_sweep(False)
    listener.forget("case")
    engine.annotate_field(1, "swept")
    assert len(listener.wait_for("case", lambda view: view.fields[0].annotation == "swept").fields) == 1


def test_the_readers_hand_by_commands(live):
    engine, _, listener, _ = live
    listener.wait_for("result")
    engine.accept_field()
    accepted = listener.wait_for("case", lambda view: view.fields)
    engine.correct_cells(1, [0], Correction.EXCLUDED)
    engine.enter_case_data(CaseData(slide="7"))
    engine.preview_rule(RuleChange(complete_share=0.99))
    listener.wait_for("case", lambda view: view.rule.is_preview)
    engine.change_rule(RuleChange(complete_share=0.95))
    view = listener.wait_for("case", lambda view: view.rule.deviates and not view.rule.is_preview)
    assert view.fields[0].corrections[0] is Correction.EXCLUDED and view.data.slide == "7"
    assert view.stored_score is not None and view.stored_score.counts.n_tumour == view.score.counts.n_tumour
    live_result = listener.wait_for("result", lambda item: item.result.cuts == view.cuts)
    assert live_result is not None
    for _ in range(3):
        engine.undo()
    assert listener.wait_for("case", lambda view: view.undo_text == "add field 1").score == accepted.score
    engine.redo()
    assert listener.wait_for("case", lambda view: view.undo_text == "correct a cell of field 1")


def test_where_a_field_lies_is_what_the_map_says(live):
    engine, _, listener, _ = live
    shown = listener.wait_for("map", lambda view: view.tiles)
    listener.wait_for("result")
    engine.accept_field()
    place = listener.wait_for("case", lambda view: view.fields).fields[0].place
    assert (place.island, place.x_um, place.y_um) == (shown.island, shown.tiles[0].x_um, shown.tiles[0].y_um)
    engine.new_case()
    listener.wait_for("case", lambda view: not view.fields)
    assert listener.wait_for("map", lambda view: view.island > shown.island), "another slide may come"


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, True),
        ({"x_um": 0.4}, True),
        ({"x_um": 0.6}, False),
        ({"y_um": -3.0}, False),
        ({"island": 1}, False),
        ({"trusted": False}, False),
        ({"late_s": 3.1}, False),
        ({"late_s": -0.1}, False),
        ({"exposure_ms": 9.0}, False),
    ],
)
def test_a_frame_is_the_same_view_only_while_nothing_changed(frames, change, same):
    frame = frames["2+"]
    analysed = TrackedFrame(frame)
    told = {"late_s": 0.3, "exposure_ms": None} | change
    later = replace(
        frame, captured_s=frame.captured_s + told["late_s"], camera=CameraState(exposure_ms=told["exposure_ms"])
    )
    place = {name: value for name, value in change.items() if name in ("x_um", "y_um", "island", "trusted")}
    assert is_same_view(TrackedFrame(later, **place), analysed) is same


@pytest.mark.parametrize(("sigma_px", "noise", "same"), [(0.0, 8.0, True), (6.0, 0.0, False)])
def test_a_picture_that_went_out_of_focus_is_another_view(frames, sigma_px, noise, same):
    frame = frames["2+"]
    rgb = cv2.GaussianBlur(frame.rgb, (0, 0), sigma_px) if sigma_px else frame.rgb
    noisy = rgb + np.random.default_rng(1).normal(0.0, noise, rgb.shape)
    later = replace(frame, rgb=noisy.clip(0, 255).astype(np.uint8), captured_s=frame.captured_s + 0.3)
    assert is_same_view(TrackedFrame(later), TrackedFrame(frame)) is same


def test_what_is_accepted_while_nothing_moves_is_the_analysed_frame(live):
    engine, _, listener, _ = live
    analysed = listener.wait_for("result")
    engine.accept_field()
    accepted = listener.wait_for("case", lambda view: view.fields).fields[0]
    shown = [item.tracked.frame for item in listener.told["result"]]
    assert any(accepted.result.frame is frame for frame in shown) and analysed is not None


def test_cells_chosen_before_a_control_was_read_are_not_corrected_after_it(live, frames, monkeypatch):
    """Fields measured anew may list other cells: what was chosen from the old list is refused, and that is said."""
    engine, camera, listener, _ = live
    listener.wait_for("result")
    engine.accept_field()
    listener.wait_for("case", lambda view: view.fields)
    told, go, take = threading.Event(), threading.Event(), listener.on_case

    def held(view: object) -> None:
        take(view)
        told.set()
        go.wait(PATIENCE_S)

    monkeypatch.setattr(listener, "on_case", held, raising=False)
    engine.annotate_field(1, "front")
    assert told.wait(PATIENCE_S)
    camera.frame = frames["3+"]
    engine.read_control("3+", "lot 7")
    engine.correct_cells(1, [0], Correction.EXCLUDED)
    go.set()
    listener.wait_for("message", lambda item: "nothing was corrected" in item.text)
    engine.correct_cells(1, [0], Correction.EXCLUDED)
    listener.wait_for("case", lambda view: any(item.n_corrected for item in view.fields))


def test_what_is_asked_for_while_the_next_case_is_being_opened_is_not_done_to_it(frames, analyser):
    """The reader sees the case before, and its slide; what is asked for then was never meant for the next one."""
    listener, store, begun, go = Listener(), MemoryCaseStore(), threading.Event(), threading.Event()
    calibrated = FieldAnalyser(analyser.segmenter, analyser.settings, Calibration(white_rgb=(250.0, 250.0, 250.0)))

    def open_case() -> CaseSession:
        begun.set()
        assert go.wait(PATIENCE_S)
        return CaseSession(store.create("case-2"), calibrated, SystemClock(), "reader")

    first = CaseSession(store.create("case-1"), analyser, SystemClock(), "reader")
    engine = LiveEngine(FakeCamera(frames["2+"]), open_case, listener, lambda view: (), SystemClock(), first)
    engine.start()
    try:
        listener.wait_for("result")
        engine.new_case()
        assert begun.wait(PATIENCE_S)
        engine.accept_field()
        engine.enter_case_data(CaseData(slide="of case 1"))
        engine.preview_rule(RuleChange(complete_share=0.99))
        engine.finish()
        go.set()
        listener.wait_for("case", lambda view: view.case_id == "case-2")
        listener.wait_for("message", lambda item: n_undone(listener) == 3)
        listener.forget("result")
        listener.wait_for("result")
        engine.accept_field()
        view = listener.wait_for("case", lambda view: view.fields)
    finally:
        go.set()
        engine.stop()
    assert view.case_id == "case-2" and view.fields[0].result.white_rgb == (250.0, 250.0, 250.0)
    assert view.finished_utc is None and view.data == CaseData() and len(view.fields) == 1
    assert not any(view.rule.is_preview for view in listener.told["case"])


def n_undone(listener: Listener) -> int:
    return sum("was not done" in item.text for item in listener.told["message"])


def test_what_waits_when_the_cases_thread_fails_is_told_to_be_lost(frames, analyser):
    """As where something unforeseen goes wrong between two commands."""
    listener, store = Listener(), MemoryCaseStore()
    session = CaseSession(store.create("case-1"), analyser, SystemClock(), "reader")
    engine = LiveEngine(FakeCamera(frames["2+"]), lambda: session, listener, lambda view: (), SystemClock(), session)

    def fails(_: object) -> None:
        engine.annotate_field(1, "front")
        raise RuntimeError("the window is gone")

    listener.on_result = fails  # type: ignore[method-assign]
    engine.start()
    try:
        listener.wait_for("message", lambda item: "the window is gone" in item.text)
        listener.wait_for("message", lambda item: "nothing of what was asked for" in item.text)
    finally:
        engine.stop()


def test_the_picture_is_live_while_the_case_is_being_opened(frames, analyser):
    """A network may take seconds to load: nothing is accepted meanwhile, and what was asked for is done after."""
    listener, store, ready = Listener(), MemoryCaseStore(), threading.Event()

    def open_case() -> CaseSession:
        assert ready.wait(PATIENCE_S)
        return CaseSession(store.create("case-1"), analyser, SystemClock(), "reader")

    engine = LiveEngine(FakeCamera(frames["2+"]), open_case, listener, lambda view: (), SystemClock())
    engine.start()
    try:
        listener.wait_for("message", lambda item: "loading its method" in item.text)
        seen = listener.wait_for("frame", lambda tracked: tracked.frame.index > 3)
        engine.accept_field()
        assert listener.told["result"] == [] == listener.told["case"] and store.cases() == ()
        ready.set()
        view = listener.wait_for("case", lambda view: view.fields)
        assert view.fields[0].result.frame.index >= seen.frame.index
        listener.wait_for("result")
    finally:
        ready.set()
        engine.stop()


def test_a_method_that_cannot_be_loaded_is_said_and_nothing_is_taken(frames):
    begun, go = threading.Event(), threading.Event()

    def open_case() -> CaseSession:
        begun.set()
        assert go.wait(PATIENCE_S)
        raise SettingsError("this installation has no trained network.")

    listener = Listener()
    engine = LiveEngine(FakeCamera(frames["2+"]), open_case, listener, lambda view: (), SystemClock())
    engine.start()
    try:
        assert begun.wait(PATIENCE_S)
        listener.wait_for("frame")
        engine.accept_field()
        go.set()
        listener.wait_for("message", lambda item: item.text == "this installation has no trained network.")
        listener.wait_for("message", lambda item: "nothing of what was asked for" in item.text)
        listener.forget("frame")
        listener.wait_for("frame")  # the picture stays live
        engine.accept_field()
        listener.wait_for("message", lambda item: "no case is open" in item.text)
    finally:
        go.set()
        engine.stop()
    assert listener.told["case"] == [] == listener.told["result"]


def test_islands_of_a_case_that_is_opened_later_are_not_used_twice(frames, analyser):
    listener, store = Listener(), MemoryCaseStore()
    session = CaseSession(store.create("case-1"), analyser, SystemClock(), "reader")
    engine = LiveEngine(
        FakeCamera(frames["2+"]), lambda: session, listener, lambda view: (), SystemClock(), first_island=5
    )
    engine.start()
    try:
        assert listener.wait_for("frame").island == 5
    finally:
        engine.stop()


class Noted:
    """An analyser whose provider is not the best one; counts what it has to do."""

    def __init__(self, analyser) -> None:
        self.analyser = analyser
        self.segmenter = NotedSegmenter(analyser.segmenter)

    def __getattr__(self, name: str) -> object:
        return getattr(self.analyser, name)


class NotedSegmenter:
    provider_note = "no graphics card"

    def __init__(self, segmenter) -> None:
        self.segmenter = segmenter

    def __getattr__(self, name: str) -> object:
        return getattr(self.segmenter, name)


def test_the_figures_tell_what_an_analysis_takes_and_why_the_provider_is_no_better(frames, analyser):
    listener, store = Listener(), MemoryCaseStore()
    session = CaseSession(store.create("case-1"), Noted(analyser), SystemClock(), "reader")
    engine = LiveEngine(FakeCamera(frames["2+"]), lambda: session, listener, lambda view: (), SystemClock(), session)
    engine.start()
    try:
        figures = listener.wait_for("figures", lambda item: item.analysis_ms > 0)
    finally:
        engine.stop()
    assert figures.provider_note == "no graphics card"
    assert figures.latency_ms >= figures.analysis_ms, "from the capture on, not from the beginning of the analysis"


def test_results_come_in_the_order_of_the_frames_and_none_twice(live):
    _, _, listener, _ = live
    listener.wait_for("result", lambda item: item.tracked.frame.index > 20)
    told = [item.tracked.frame.index for item in listener.told["result"]]
    assert told == sorted(set(told))


def test_a_camera_that_dies_in_the_midst_of_an_analysis_costs_neither_the_case_nor_the_end(live):
    engine, camera, listener, _ = live
    listener.wait_for("result")
    camera.lost.set()
    listener.wait_for("camera", lambda item: item.phase is CameraPhase.LOST)
    engine.enter_case_data(CaseData(slide="7"))
    listener.wait_for("case", lambda view: view.data.slide == "7")
    engine.stop()
    assert not any(thread.name.startswith("her2scope") for thread in threading.enumerate())
