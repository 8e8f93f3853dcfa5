"""Instruments in the window: buttons do what keys do, states show, a stage of the desk is the one that moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from gui.fake_calibration import FakeSteps
from gui.fake_engine import FakeSource
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QApplication, QDialog

from her2scope.app.desk import desk_for
from her2scope.instruments.hearing import LineState
from her2scope.instruments.serial_line import InstrumentError, InstrumentState
from her2scope.pipeline.live import Mode, Severity
from her2scope.settings import Calibration
from her2scope.settings.instruments import ButtonAction, InstrumentSettings
from her2scope.ui.calibration_steps import CalibrationSetup
from her2scope.ui.desk import ASKED_ALREADY, SETTING_UP, DeskSetup

FOUND = InstrumentState("stage", LineState.FOUND)
LOST = InstrumentState("nosepiece", LineState.LOST, "/dev/ttyACM0 is not there. Plug it in.")


def settle() -> None:
    for _ in range(5):
        QApplication.processEvents()


def test_buttons_do_what_their_keys_do(make_stand):
    stand = make_stand(FakeSource())
    stand.bridge.on_button(ButtonAction.ACCEPT)
    settle()
    assert len(stand.engine.view().fields) == 1
    stand.bridge.on_button(ButtonAction.UNDO)
    settle()
    assert stand.engine.calls[-1][0] == "undo"
    for mode in (Mode.CONTROL, Mode.READING):
        stand.bridge.on_button(ButtonAction.CONTROL)
        settle()
        assert stand.engine.calls[-1] == ("set_mode", mode)


def test_each_press_counts_once_and_none_after_the_window_is_gone(make_stand):
    stand = make_stand(FakeSource())
    for _ in range(3):
        stand.bridge.on_button(ButtonAction.ACCEPT)
    settle()
    assert [call[0] for call in stand.engine.calls].count("accept_field") == 3
    stand.window.close()
    stand.bridge.on_button(ButtonAction.ACCEPT)
    settle()
    assert [call[0] for call in stand.engine.calls].count("accept_field") == 3


def test_no_button_acts_behind_an_open_question(make_stand, qtbot):
    stand = make_stand(FakeSource())
    question = QDialog(stand.window)
    question.open()
    qtbot.waitUntil(lambda: QApplication.activeModalWidget() is question)
    stand.bridge.on_button(ButtonAction.ACCEPT)
    settle()
    assert stand.engine.calls == [] and stand.window.messages.history[-1].text == ASKED_ALREADY
    question.reject()
    stand.bridge.on_button(ButtonAction.ACCEPT)
    settle()
    assert stand.engine.calls[0][0] == "accept_field"


def test_no_button_acts_beside_the_calibration(make_stand):
    keys = {"F13": ButtonAction.ACCEPT}
    stand = make_stand(
        FakeSource(), desk=DeskSetup(keys=keys), calibration=CalibrationSetup(FakeSteps(), Calibration())
    )
    stand.window.actions_by_id["calibrate"].trigger()
    for press in (lambda: stand.bridge.on_button(ButtonAction.ACCEPT), lambda: stand.press(Qt.Key.Key_F13)):
        press()
        settle()
    assert stand.engine.calls == [] and stand.window.messages.history[-1].text == SETTING_UP
    stand.window._wizard.reject()  # noqa: SLF001
    stand.bridge.on_button(ButtonAction.ACCEPT)
    settle()
    assert stand.engine.calls[0][0] == "accept_field"


def test_keys_of_a_foot_switch_act_and_those_that_cannot_are_said(make_stand):
    keys = {"F13": ButtonAction.ACCEPT, "Space": ButtonAction.UNDO, "Knob": ButtonAction.UNDO}
    stand = make_stand(FakeSource(), desk=DeskSetup(keys=keys))
    stand.press(Qt.Key.Key_F13)
    assert [call[0] for call in stand.engine.calls] == ["accept_field"]
    stand.press(Qt.Key.Key_Space)
    assert stand.engine.calls[-1][0] == "accept_field"
    said = " ".join(message.text for message in stand.window.messages.history)
    assert "'Space' is taken: Add field" in said and "'Knob' is no key" in said


def test_states_show_in_the_status_line_as_they_change(make_stand):
    states: list[Sequence[InstrumentState]] = [(FOUND, LOST)]
    stand = make_stand(FakeSource(), desk=DeskSetup(lambda: states[-1]))
    label = stand.window.status.instruments
    assert label.isVisible() and label.text() == "! nosepiece lost" and label.property("role") == "warning"
    assert "stage: found" in label.toolTip() and "Plug it in" in label.toolTip()
    states.append((FOUND, InstrumentState("nosepiece", LineState.FOUND)))
    stand.window._desk.look()  # noqa: SLF001 - the clock's own call
    assert label.text() == "stage, nosepiece" and label.property("role") == "dim"


PULLED = InstrumentState("stage", LineState.LOST, "the stage on COM3: the connection broke. Check it.", True)
ABSENT = InstrumentState("stage", LineState.LOST, "the stage on COM3: COM3 is not there. Plug it in.", True)
STARTS = InstrumentState("stage", LineState.STARTING)


def shown(stand, states: list[Sequence[InstrumentState]], *now: InstrumentState) -> str:
    """What the line over the picture says once the instruments are like that."""
    states.append(now)
    stand.window._desk.look()  # noqa: SLF001 - the clock's own call
    messages = stand.window.messages
    return messages.label.text() if messages.isVisible() else ""


def test_an_instrument_that_is_pulled_is_said_until_it_is_back(make_stand):
    states: list[Sequence[InstrumentState]] = [(FOUND,)]
    stand = make_stand(FakeSource(), desk=DeskSetup(lambda: states[-1]))
    assert shown(stand, states, FOUND) == ""
    assert shown(stand, states, PULLED) == "The stage on COM3: the connection broke. Check it."
    assert stand.window.messages.history[-1].severity is Severity.ERROR
    assert shown(stand, states, ABSENT) == "The stage on COM3: COM3 is not there. Plug it in."  # one fault, one message
    assert shown(stand, states, STARTS) == "The stage on COM3: COM3 is not there. Plug it in."
    assert shown(stand, states, FOUND) == ""
    assert shown(stand, states, PULLED) != ""  # the next time is said again


def test_a_fault_that_was_dismissed_stays_so_until_it_is_over(make_stand):
    states: list[Sequence[InstrumentState]] = [(FOUND,)]
    stand = make_stand(FakeSource(), desk=DeskSetup(lambda: states[-1]))
    assert shown(stand, states, PULLED) != ""
    assert stand.window.messages.dismiss()
    assert shown(stand, states, PULLED) == ""
    shown(stand, states, FOUND)
    assert shown(stand, states, PULLED) != ""


def test_one_that_was_never_there_is_only_a_warning_and_a_quiet_foot_switch_nothing(make_stand):
    quiet = InstrumentState("buttons", LineState.SILENT, "nothing was heard yet from the buttons. Press one.")
    states: list[Sequence[InstrumentState]] = [(STARTS, quiet)]
    stand = make_stand(FakeSource(), desk=DeskSetup(lambda: states[-1]))
    before = len(stand.window.messages.history)
    assert shown(stand, states, STARTS, quiet) == ""
    assert "is not there" in shown(stand, states, ABSENT, quiet)
    (said,) = list(stand.window.messages.history)[before:]
    assert said.severity is Severity.WARNING


def test_a_refused_move_of_a_stage_that_was_away_goes_when_it_is_back(make_stand):
    stage = DeskStage()
    states: list[Sequence[InstrumentState]] = [(STARTS,)]
    stand = make_stand(FakeSource(), desk=DeskSetup(lambda: states[-1], stage=stage))
    stand.press(Qt.Key.Key_G)
    assert "not connected yet" in stand.window.messages.label.text()
    assert shown(stand, states, FOUND) == ""
    stand.press(Qt.Key.Key_G)  # refused although it is there: for the reader to see
    assert "not connected yet" in shown(stand, states, FOUND)


def test_a_switch_that_nobody_pressed_yet_is_no_warning(make_stand):
    quiet = InstrumentState("buttons", LineState.SILENT, "nothing was heard yet from the buttons. Press one.")
    label = make_stand(FakeSource(), desk=DeskSetup(lambda: (FOUND, quiet))).window.status.instruments
    assert label.text() == "stage, buttons not heard yet" and label.property("role") == "dim"
    deaf = replace(quiet, is_fault=True)
    label = make_stand(FakeSource(), desk=DeskSetup(lambda: (FOUND, deaf))).window.status.instruments
    assert label.text() == "! buttons silent" and label.property("role") == "warning"


def test_a_window_without_instruments_says_nothing_of_them(make_stand):
    assert make_stand(FakeSource()).window.status.instruments.isHidden()
    desk, setup = desk_for(InstrumentSettings(), lambda _: None)
    assert setup.states() == () and desk.stage is None


class DeskStage:
    """A stage on a serial line, and a nosepiece that the hand turns."""

    def __init__(self) -> None:
        self.moved: list[tuple[float, float]] = []

    def move_by_um(self, dx_um: float, dy_um: float) -> None:
        self.moved.append((dx_um, dy_um))

    def places(self) -> tuple[str, ...]:
        return ("control 3+", "tissue")

    def go_to(self, place: str) -> None:
        raise InstrumentError("The stage is not connected yet. Wait a moment.")

    def objectives(self) -> tuple[str, ...]:
        return ("10x", "40x")

    def objective(self) -> str:
        return "10x"

    def select_objective(self, name: str) -> None:
        raise InstrumentError("The nosepiece can only be read.")


@pytest.mark.parametrize("source", [None, FakeSource()])
def test_the_stage_and_nosepiece_of_the_desk_go_before_the_sources(make_stand, source):
    desk = DeskStage()
    stand = make_stand(source, desk=DeskSetup(stage=desk, nosepiece=desk))
    stand.press(Qt.Key.Key_Right)
    stand.press(Qt.Key.Key_G)
    stand.press(Qt.Key.Key_Plus)
    assert len(desk.moved) == 1 and desk.moved[0][0] > 0 and desk.moved[0][1] == 0
    said = [message.text for message in stand.window.messages.history]
    assert any("not connected yet" in text for text in said) and any("only be read" in text for text in said)
