"""The set-up: each step is answered or skipped, the picture is live or gone, and nothing is kept before its end."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path

import factories
import pytest
from gui.fake_calibration import FakeSteps
from gui.fake_engine import FakeSource, tracked
from PyQt6.QtWidgets import QApplication, QPushButton

from her2scope.cameras.found import FoundDevice
from her2scope.domain.control_material import ControlLevel, ControlMaterial, Placement
from her2scope.domain.errors import CameraBusy, CameraTimeout, SettingsError
from her2scope.records import Frame
from her2scope.settings import Calibration, Preferences
from her2scope.ui.camera_preview import CameraPreview
from her2scope.ui.first_start import CHOOSE, FROM_CAMERA, NOT_LIVE, FirstStart
from her2scope.ui.first_start_steps import (
    PHANTOM,
    Chosen,
    Step,
    can_open,
    listed,
    named_control,
    summary,
    unfinished,
)

CAMERA = FoundDevice("camera:0", "Bench camera", ("MJPG 64x48 at 30 frames/s",))
NONE = FoundDevice("genicam:", "GenICam cameras", problem="no producer. Install one.")
HINT = FoundDevice("slide:", "whole slides")
KNOWN = Calibration(objectives={"40x": 0.25})
WAIT_S = 10.0


class Cameras:
    """Sources by their URI, which know whether they are open."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.open_now: set[str] = set()
        self.busy: set[str] = set()
        self.silent: set[str] = set()

    def source(self, uri: str) -> Camera:
        return Camera(self, uri)


class Camera:
    """One of them; a second of its kind cannot be opened beside it."""

    def __init__(self, cameras: Cameras, uri: str) -> None:
        self.name, self._cameras, self._uri = uri, cameras, uri
        self._is_open, self._turn = False, threading.Event()

    def open(self) -> None:
        if self._uri in self._cameras.busy or self._cameras.open_now:
            raise CameraBusy(f"{self._uri} is in use. Close the other program.")
        self._is_open = True
        self._cameras.opened.append(self._uri)
        self._cameras.open_now.add(self._uri)

    def read(self, timeout_s: float) -> Frame:
        self._turn.wait(0.01)
        if self._uri in self._cameras.silent:
            raise CameraTimeout("nothing came")
        return tracked(factories.field_result((), (48, 64))).frame

    def close(self) -> None:
        if self._is_open:
            self._cameras.open_now.discard(self._uri)
        self._is_open = False


class Help:
    """Implements `SetupSteps`; nothing is looked for or kept on a disk."""

    def __init__(self, old: Chosen | None = None, in_use: str = "") -> None:
        self.old, self.in_use, self.calibration = old or Chosen(), in_use, FakeSteps()
        self.cameras = Cameras()
        self.found = (NONE, CAMERA, HINT)
        self.kept: list[ControlMaterial] = []
        self.refuses: Exception | None = None

    def look(self) -> tuple[FoundDevice, ...]:
        return self.found

    def open_source(self, uri: str) -> Camera:
        return self.cameras.source(uri)

    def keep_control(self, control: ControlMaterial) -> Path:
        if self.refuses is not None:
            raise self.refuses
        self.kept.append(control)
        return Path("controls.yaml")


@pytest.fixture
def make(qtbot):
    """Open a set-up whose list is filled; every one is left after the test."""
    opened: list[FirstStart] = []

    def start(help_: Help) -> FirstStart:
        dialog = FirstStart(help_)
        qtbot.addWidget(dialog)
        opened.append(dialog)
        dialog.show()
        qtbot.waitUntil(lambda: dialog.cameras.count() > 0)
        return dialog

    yield start
    for dialog in opened:
        dialog.leave()
        assert dialog.preview.close(WAIT_S)


def choose(qtbot, dialog: FirstStart, uri: str) -> None:
    """Choose a camera in the list, and wait for its picture."""
    uris = [device.uri for device in listed(Help().found)]
    dialog.cameras.setCurrentRow(uris.index(uri))
    qtbot.waitUntil(lambda: dialog.picture.caption == "Live")


# ---- words ----------------------------------------------------------------------------------------------------------


def test_cameras_come_first_and_what_is_missing_last_with_its_remedy():
    assert listed((NONE, HINT, CAMERA)) == (CAMERA, PHANTOM, NONE)
    assert [can_open(device) for device in (CAMERA, PHANTOM, NONE)] == [True, True, False]


def test_each_skipped_step_says_what_is_missing():
    said = unfinished(Chosen())
    assert [any(word in line for line in said) for word in ("no camera", "no objective", "white", "no control")] == [
        True, True, True, True,
    ]  # fmt: skip
    done = Chosen("camera:0", "40x", KNOWN, ControlMaterial("block"))
    assert not any(word in line for line in unfinished(done) for word in ("no camera", "40x", "control"))
    assert any("20x is not calibrated" in line for line in unfinished(dataclasses.replace(done, objective="20x")))
    assert sum("size of a pixel" in line for line in said) == 1
    assert "objective: 40x, 0.25 um/px" in summary(done)
    assert "wren" not in "".join(summary(Chosen("stream:rtsp://reader:wren@h/x")))


def test_a_control_has_the_level_that_sets_the_cut_and_needs_a_name():
    assert named_control("  ", Placement.RUN_SLIDE, ["0"], "", "") is None
    made = named_control(" block 7 ", Placement.ON_SLIDE, ["0"], "4B5", "L1")
    assert made == ControlMaterial(
        "block 7", Placement.ON_SLIDE, {"3+": ControlLevel(), "0": ControlLevel()}, "L1", "4B5"
    )


# ---- camera ---------------------------------------------------------------------------------------------------------


def test_the_chosen_camera_is_live_and_its_modes_are_told(make, qtbot):
    help_ = Help()
    dialog = make(help_)
    assert dialog.picture.notice == CHOOSE and dialog.onward.text() == "&Skip >"
    choose(qtbot, dialog, "camera:0")
    assert dialog.choice.source == dialog.address.text() == "camera:0"
    assert "MJPG 64x48" in dialog.lines.text and dialog.onward.text() == "&Next >"
    choose(qtbot, dialog, "phantom:")
    qtbot.waitUntil(lambda: help_.cameras.open_now == {"phantom:"})
    assert help_.cameras.opened == ["camera:0", "phantom:"]


def test_a_kind_that_was_not_found_says_why_and_opens_nothing(make, qtbot):
    help_ = Help()
    dialog = make(help_)
    dialog.cameras.setCurrentRow(2)
    assert "Install one" in dialog.verdict.text() and dialog.choice.source == "" and help_.cameras.opened == []


def test_a_written_address_is_looked_at_before_it_is_taken(make, qtbot):
    dialog = make(Help())
    dialog.address.setText(" stream:http://h/v ")
    dialog.onward.click()
    assert dialog.step is Step.CAMERA
    qtbot.waitUntil(lambda: dialog.picture.caption == "Live")
    dialog.onward.click()
    assert dialog.step is Step.OBJECTIVE and dialog.choice.source == "stream:http://h/v"


def test_a_camera_without_picture_is_said_and_never_looks_live(make, qtbot):
    help_ = Help()
    help_.cameras.busy.add("camera:0")
    dialog = make(help_)
    dialog.cameras.setCurrentRow(0)
    qtbot.waitUntil(lambda: "in use" in dialog.verdict.text())
    assert dialog.picture.notice == NOT_LIVE and dialog.picture.caption == ""
    help_.cameras.busy.clear()
    dialog.look_again()
    qtbot.waitUntil(lambda: dialog.picture.caption == "Live")
    help_.cameras.silent.add("camera:0")
    qtbot.waitUntil(lambda: dialog.picture.notice == NOT_LIVE and dialog.picture.caption == "")
    help_.cameras.silent.clear()
    qtbot.waitUntil(lambda: dialog.picture.caption == "Live")


def test_leaving_lets_go_of_the_camera(make, qtbot):
    help_ = Help()
    dialog = make(help_)
    choose(qtbot, dialog, "camera:0")
    dialog.leave()
    assert help_.cameras.open_now == set()


def test_the_windows_own_camera_is_not_opened_again(make):
    help_ = Help(Chosen("camera:0"), in_use="camera:0")
    dialog = make(help_)
    dialog.show_frame(tracked(factories.field_result((), (48, 64))))
    assert dialog.picture.caption == "Live" and help_.cameras.opened == []
    dialog.address.setText("phantom:")
    dialog.onward.click()
    dialog.picture.clear("")
    dialog.show_frame(tracked(factories.field_result((), (48, 64))))
    assert dialog.preview.uri == "phantom:"


NAMED = dataclasses.replace(CAMERA, lasting_uri="camera:name=Bench camera")


def test_a_camera_is_kept_by_its_name_where_it_has_one_of_its_own(make, qtbot):
    help_ = Help()
    help_.found = (NAMED,)
    dialog = make(help_)
    choose(qtbot, dialog, "camera:0")
    assert dialog.choice.source == dialog.address.text() == "camera:name=Bench camera"
    assert help_.cameras.opened == ["camera:name=Bench camera"]
    dialog.look_again()
    qtbot.waitUntil(lambda: dialog.cameras.currentRow() == 0)  # it is known in the list


@pytest.mark.parametrize("in_use", ["camera:0", "camera:0?size=64x48", "camera:name=Bench camera?fps=30"])
def test_the_camera_of_the_window_is_not_opened_twice_whatever_it_is_called(make, in_use):
    help_ = Help(in_use=in_use)
    help_.found = (NAMED,)
    dialog = make(help_)
    dialog.cameras.setCurrentRow(0)
    dialog.show_frame(tracked(factories.field_result((), (48, 64))))
    assert dialog.picture.caption == "Live" and help_.cameras.opened == []


def test_a_source_that_fails_in_an_unknown_way_is_said(qtbot):
    def fail(uri: str) -> Camera:
        raise RuntimeError("segment 7")

    preview = CameraPreview(fail)
    with qtbot.waitSignal(preview.said, check_params_cb=lambda uri, text: "segment 7" in text):
        preview.show("camera:0")
    assert preview.close(WAIT_S)


# ---- the other steps ------------------------------------------------------------------------------------------------


def test_every_step_can_be_skipped_and_nothing_is_kept_before_the_end(make, qtbot):
    help_ = Help()
    dialog = make(help_)
    told: list[Chosen] = []
    dialog.chosen.connect(told.append)
    seen = [dialog.step]
    while dialog.step is not Step.SUMMARY:
        assert dialog.onward.text() == "&Skip >"
        dialog.onward.click()
        seen.append(dialog.step)
    assert seen == list(Step) and told == [] and help_.kept == []
    assert all(f"Missing: {line}" in dialog.lines.text for line in unfinished(Chosen()))
    dialog.onward.click()
    assert told == [Chosen()] and dialog.isHidden()


def test_no_two_buttons_have_one_letter(make):
    dialog = make(Help(Chosen("camera:0", "40x", KNOWN, ControlMaterial("block"))))
    for step in Step:
        dialog.turn_to(step)
        shown = [button.text() for button in dialog.findChildren(QPushButton) if button.isVisible()]
        letters = [text[text.index("&") + 1].lower() for text in shown if "&" in text]
        assert len(letters) == len(set(letters)) >= 3, shown


def test_the_next_step_does_not_begin_on_the_button_that_leaves(make):
    dialog = make(Help())
    dialog.cameras.setFocus()
    dialog.onward.clicked.emit()
    assert dialog.focusWidget() is dialog.onward


def test_all_steps_answered(make, qtbot):
    help_ = Help(Chosen(calibration=KNOWN))
    dialog = make(help_)
    told: list[Chosen] = []
    dialog.chosen.connect(told.append)
    choose(qtbot, dialog, "camera:0")
    dialog.onward.click()
    dialog.objective.setCurrentText("40x")
    assert "0.25 um/px" in dialog.lines.text
    dialog.onward.click()
    dialog.calibrate.click()
    wizard = dialog._wizard  # noqa: SLF001
    qtbot.waitUntil(lambda: wizard.take.isEnabled())
    wizard.take_picture()
    qtbot.waitUntil(lambda: not wizard.is_busy)
    wizard.save()
    qtbot.waitUntil(lambda: dialog.choice.calibration.objectives == {"40x": 0.2478})
    assert "microscope-2026-01-15.yaml" in dialog.verdict.text()
    wizard.accept()
    dialog.onward.click()
    dialog.control_name.setText("tonsil block")
    dialog.levels["2+"].setChecked(False)
    dialog.onward.click()
    assert dialog.step is Step.SUMMARY and [item.name for item in help_.kept] == ["tonsil block"]
    assert set(help_.kept[0].levels) == {"3+", "0", "1+"}
    dialog.onward.click()
    (chosen,) = told
    assert (chosen.source, chosen.objective, chosen.control) == ("camera:0", "40x", help_.kept[0])


def test_without_a_picture_nothing_can_be_calibrated(make):
    dialog = make(Help())
    dialog.turn_to(Step.CALIBRATION)
    assert not dialog.calibrate.isEnabled() and dialog.verdict.text() == FROM_CAMERA


def test_a_control_that_cannot_be_kept_is_said_and_stays_written(make):
    help_ = Help()
    help_.refuses = SettingsError("controls.yaml: not valid YAML. Correct it.")
    dialog = make(help_)
    dialog.turn_to(Step.CONTROL)
    dialog.control_name.setText("tonsil block")
    dialog.onward.click()
    assert dialog.step is Step.CONTROL and "not valid YAML" in dialog.verdict.text()
    assert dialog.control_name.text() == "tonsil block" and dialog.choice.control is None


# ---- from the window ------------------------------------------------------------------------------------------------


def test_the_menu_opens_it_once_and_its_choice_is_kept_at_once(make_stand, qtbot):
    help_ = Help(Chosen("camera:7"), in_use="camera:7")
    stand = make_stand(FakeSource(), preferences=Preferences(reader="A"), set_up=help_)
    stand.window.actions_by_id["set_up"].trigger()
    dialog = stand.window._set_up  # noqa: SLF001
    stand.window.actions_by_id["set_up"].trigger()
    assert stand.window._set_up is dialog  # noqa: SLF001
    dialog.turn_to(Step.OBJECTIVE)
    dialog.objective.setCurrentText("20x")
    for _ in range(4):
        dialog.onward.click()
    QApplication.processEvents()
    assert stand.saved == [dataclasses.replace(stand.saved[0], reader="A", source="camera:7", objective="20x")]
    stand.window.close()
    assert (stand.saved[-1].source, stand.saved[-1].objective) == ("camera:7", "20x")


def test_closing_the_window_lets_go_of_the_set_ups_camera(make_stand, qtbot):
    help_ = Help()
    stand = make_stand(FakeSource(), set_up=help_)
    stand.window.actions_by_id["set_up"].trigger()
    preview = stand.window._set_up.preview  # noqa: SLF001
    preview.show("camera:0")
    qtbot.waitUntil(lambda: help_.cameras.open_now == {"camera:0"})
    stand.window.close()
    qtbot.waitUntil(lambda: help_.cameras.open_now == set())


def test_a_demonstration_cannot_be_set_up(make_stand):
    stand = make_stand(FakeSource())
    stand.window.actions_by_id["set_up"].trigger()
    assert "cannot set up" in stand.window.messages.history[-1].text
