from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from instruments.fakes import Clock, polled, run, seconds_until, simulated_sensor, unasked

from her2scope.domain.errors import NotAvailableError
from her2scope.instruments.hearing import LineState
from her2scope.instruments.nosepiece import TELLS_WITHIN_S
from her2scope.instruments.serial_line import InstrumentError


def test_a_sensor_that_is_asked_shows_a_turn_within_a_second() -> None:
    clock = Clock()
    sensor, simulator, _ = simulated_sensor(clock, polled())
    assert sensor.objective() == ""
    seconds_until(sensor.line, clock, LineState.FOUND)
    assert sensor.objective() == "20x"
    simulator.answer("P?", "POS 3")
    run(sensor.line, clock, 0.5)
    assert sensor.objective() == "40x"


def test_a_sensor_that_tells_by_itself_is_believed_until_it_tells_otherwise() -> None:
    clock = Clock()
    sensor, simulator, _ = simulated_sensor(clock, unasked())
    run(sensor.line, clock, 1.0)
    assert sensor.objective() == ""
    simulator.say("1")
    run(sensor.line, clock, 600.0)
    assert sensor.objective() == "10x"
    simulator.say("0")  # between two
    run(sensor.line, clock, 0.1)
    assert sensor.objective() == "" and sensor.state().line is LineState.FOUND


def test_a_sensor_with_a_heartbeat_is_silent_without_it() -> None:
    clock = Clock()
    sensor, simulator, _ = simulated_sensor(clock, unasked(every_s=1.0))
    run(sensor.line, clock, 0.1)
    assert sensor.state().line is LineState.STARTING
    for _ in range(10):
        simulator.say("3")
        run(sensor.line, clock, 1.0)
        assert sensor.objective() == "40x"
    assert seconds_until(sensor.line, clock, LineState.SILENT) < 2.0
    assert sensor.objective() == ""


@pytest.mark.parametrize("line", ["7", "1 ", "x1", "11", "POS 1", "\x00"])
def test_after_a_line_that_is_not_understood_no_objective_is_told(line: str) -> None:
    clock = Clock()
    sensor, simulator, _ = simulated_sensor(clock, unasked(pattern=r"(?P<position>\d+)"))
    run(sensor.line, clock, 0.1)
    simulator.say("3")
    run(sensor.line, clock, 0.1)
    assert sensor.objective() == "40x"
    simulator.say(line)
    run(sensor.line, clock, 0.1)
    understood = line.strip() == "1"
    assert sensor.objective() == ("10x" if understood else "")
    assert (sensor.state().line is LineState.FOUND) == understood


def test_an_objective_is_only_confirmed_by_what_is_told_after_a_frame() -> None:
    clock = Clock()
    sensor, simulator, _ = simulated_sensor(clock, dataclasses.replace(polled(), every_s=0.5))
    seconds_until(sensor.line, clock, LineState.FOUND)
    run(sensor.line, clock, 1.0)
    taken_s = clock.now()
    assert sensor.stayed("20x", taken_s - 0.1, taken_s) is None
    asked_s = clock.now()
    run(sensor.line, clock, 0.06)  # it is asked at once, not half a second later
    assert sensor.stayed("20x", taken_s - 0.1, taken_s) is True and clock.now() - asked_s < 0.1
    assert sensor.stayed("40x", taken_s - 0.1, taken_s) is False


def test_a_frame_taken_while_the_hand_turned_is_not_confirmed_even_if_it_looks_sharp() -> None:
    clock = Clock()
    sensor, simulator, _ = simulated_sensor(clock, dataclasses.replace(polled(), every_s=0.5))
    seconds_until(sensor.line, clock, LineState.FOUND)
    simulator.answer("P?", "POS 3")  # turned between two questions
    taken_s = clock.now()
    assert sensor.objective() == "20x"  # what the frame would be called
    run(sensor.line, clock, 0.6)
    assert sensor.stayed("20x", taken_s - 0.1, taken_s) is False
    assert sensor.stayed("40x", taken_s - 0.1, taken_s) is False  # nor was the new one known then
    simulator.answer("P?", "POS 2")
    run(sensor.line, clock, 0.6)
    assert sensor.objective() == "20x" and sensor.stayed("20x", taken_s - 0.1, taken_s) is False


def test_a_sensor_that_tells_its_turns_confirms_by_its_silence() -> None:
    clock = Clock()
    sensor, simulator, port = simulated_sensor(clock, unasked())
    run(sensor.line, clock, 0.1)
    simulator.say("3")
    run(sensor.line, clock, 60.0)
    taken_s = clock.now()
    assert sensor.stayed("40x", taken_s - 0.1, taken_s) is None
    run(sensor.line, clock, TELLS_WITHIN_S + 0.05)
    assert sensor.stayed("40x", taken_s - 0.1, taken_s) is True
    simulator.say("0")
    run(sensor.line, clock, 0.1)
    assert sensor.stayed("40x", taken_s - 0.1, taken_s) is False
    port.is_pulled = True
    seconds_until(sensor.line, clock, LineState.LOST)
    assert sensor.stayed("40x", taken_s - 0.1, taken_s) is None


def test_a_heartbeat_is_waited_for() -> None:
    clock = Clock()
    sensor, simulator, _ = simulated_sensor(clock, unasked(every_s=0.5))
    run(sensor.line, clock, 0.1)
    simulator.say("3")
    run(sensor.line, clock, 0.4)
    taken_s = clock.now()
    run(sensor.line, clock, 0.35)
    assert sensor.stayed("40x", taken_s - 0.1, taken_s) is None
    simulator.say("3")
    run(sensor.line, clock, 0.1)
    assert sensor.stayed("40x", taken_s - 0.1, taken_s) is True


def test_after_the_plug_was_out_no_objective_is_told_until_it_tells_again() -> None:
    clock = Clock()
    sensor, simulator, port = simulated_sensor(clock, unasked())
    run(sensor.line, clock, 0.1)
    simulator.say("3")
    run(sensor.line, clock, 0.1)
    port.is_pulled = True
    seconds_until(sensor.line, clock, LineState.LOST)
    assert sensor.objective() == ""
    port.is_pulled = False
    seconds_until(sensor.line, clock, LineState.SILENT)
    assert sensor.objective() == ""
    simulator.say("2")
    run(sensor.line, clock, 0.1)
    assert sensor.objective() == "20x"


def test_a_greeting_can_be_ignored() -> None:
    clock = Clock()
    sensor, simulator, _ = simulated_sensor(clock, unasked(ignored=("Nosepiece 1.2",)))
    run(sensor.line, clock, 0.1)
    simulator.say("3")
    simulator.say("Nosepiece 1.2")
    run(sensor.line, clock, 0.1)
    assert sensor.objective() == "40x"


def test_it_turns_nothing() -> None:
    sensor, _, _ = simulated_sensor(Clock(), polled())
    assert sensor.objectives() == ("10x", "20x", "40x")
    with pytest.raises(InstrumentError, match="Turn 40x in by hand"):
        sensor.select_objective("40x")
    with pytest.raises(NotAvailableError, match="63x"):
        sensor.select_objective("63x")


@given(garbage=st.binary(max_size=300))
def test_no_garbage_makes_an_objective_that_is_not_in_the_settings(garbage: bytes) -> None:
    clock = Clock()
    sensor, simulator, port = simulated_sensor(clock, unasked())
    run(sensor.line, clock, 0.1)
    port.garble = lambda data: garbage if data else b""
    simulator.say("3")
    run(sensor.line, clock, 1.0)
    whole = [line.strip() for line in garbage.replace(b"\r", b"\n").split(b"\n")[:-1]]
    if not {b"0", b"1", b"2", b"3"} & set(whole):
        assert sensor.objective() == ""
    assert sensor.objective() in ("", *sensor.objectives())
