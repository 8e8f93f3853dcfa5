from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from instruments.fakes import PORT, Clock, run

from her2scope.instruments.buttons import Buttons
from her2scope.instruments.hearing import LineState
from her2scope.instruments.simulators import SensorSimulator, SimulatedPort
from her2scope.settings.instruments import ButtonAction, ButtonSettings

SETTINGS = ButtonSettings(PORT, {"PEDAL": ButtonAction.ACCEPT, "A": ButtonAction.UNDO}, ignored=("UP",), debounce_s=0.3)


class Desk:
    def __init__(self) -> None:
        self.clock, self.simulator = Clock(), SensorSimulator()
        self.port = SimulatedPort(self.simulator, pause=self.clock.pause)
        self.pressed: list[ButtonAction] = []
        self.buttons = Buttons(
            SETTINGS, self.pressed.append, open_port=self.port.open, now=self.clock.now, pause=self.clock.pause
        )
        self.run(0.1)

    def run(self, seconds: float) -> None:
        run(self.buttons.line, self.clock, seconds)

    def say(self, *lines: str) -> None:
        for line in lines:
            self.simulator.say(line)
        self.run(0.05)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_each_press_is_told_once(desk: Desk) -> None:
    desk.say("PEDAL", "UP")
    desk.run(1.0)
    desk.say("A", "UP")
    assert desk.pressed == [ButtonAction.ACCEPT, ButtonAction.UNDO]
    assert desk.buttons.state().line is LineState.FOUND


def test_a_contact_that_bounces_is_one_press_however_long(desk: Desk) -> None:
    for _ in range(20):
        desk.say("PEDAL", "PEDAL")
        desk.run(0.1)
    assert desk.pressed == [ButtonAction.ACCEPT]
    desk.run(0.3)
    desk.say("PEDAL")
    assert desk.pressed == [ButtonAction.ACCEPT] * 2


def test_two_buttons_at_once_are_two_presses(desk: Desk) -> None:
    desk.say("PEDAL", "A")
    assert desk.pressed == [ButtonAction.ACCEPT, ButtonAction.UNDO]


@pytest.mark.parametrize("line", ["PEDA", "pedal", "PEDAL2", "PEDALPEDAL", "\x01PEDAL"])
def test_what_is_not_a_whole_line_of_the_settings_presses_nothing_and_is_said(desk: Desk, line: str) -> None:
    desk.say(line)
    assert desk.pressed == []
    assert desk.buttons.state().line is LineState.GARBLED


def test_a_switch_that_was_not_pressed_yet_is_no_fault(desk: Desk) -> None:
    desk.run(5.0)
    assert desk.buttons.state().line is LineState.SILENT and not desk.buttons.state().is_fault
    desk.say("nonsense")
    assert desk.buttons.state().is_fault


def test_half_a_line_presses_nothing(desk: Desk) -> None:
    desk.port.garble = lambda data: data[:3]
    desk.say("A")
    desk.port.garble = lambda data: data.rstrip()
    desk.say("A")
    desk.run(1.0)
    assert desk.pressed == [ButtonAction.UNDO]  # the first had its end of line
    assert desk.buttons.state().line is LineState.GARBLED


def test_what_was_pressed_while_the_plug_was_out_is_not_made_up_for(desk: Desk) -> None:
    desk.port.is_pulled = True
    desk.say("PEDAL")
    desk.port.is_pulled = False
    desk.run(5.0)
    assert desk.pressed == []
    desk.say("PEDAL")
    assert desk.pressed == [ButtonAction.ACCEPT]


@given(garbage=st.binary(max_size=300))
def test_no_garbage_is_a_press(garbage: bytes) -> None:
    desk = Desk()
    desk.port.garble = lambda data: garbage if data else b""
    desk.say("UP")
    desk.run(1.0)
    lines = [line.strip() for line in garbage.replace(b"\r", b"\n").split(b"\n")[:-1]]
    assert (ButtonAction.ACCEPT in desk.pressed) == (b"PEDAL" in lines)
    assert (ButtonAction.UNDO in desk.pressed) == (b"A" in lines)
