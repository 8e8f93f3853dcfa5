"""A line's faults, by a clock that the test turns; real ports are in test_serial_port.py."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any

import pytest
from instruments.fakes import PORT, Clock, eventually, run, seconds_until, simulated_sensor, simulated_stage, unasked
from instruments.fakes import polled as polled_sensor

from her2scope.instruments.hearing import LineState
from her2scope.instruments.serial_line import LONGEST_PAUSE_S, InstrumentError, SerialLine
from her2scope.instruments.serial_port import PortLost
from her2scope.instruments.simulators import SensorSimulator, SimulatedPort
from her2scope.settings.instruments import PortSettings

SHOWS_S = 1.0
"""A fault is visible within this time."""


def noise(data: bytes) -> bytes:
    """As at a wrong baud rate: other bytes, and no end of line."""
    return bytes((byte * 7 + 130) % 128 + 128 for byte in data)


class Echo:
    """Knows one word."""

    def __init__(self, question: str = "", error: Exception | None = None) -> None:
        self._question, self.error = question, error
        self.lines: list[tuple[str, str]] = []
        self.forgot = 0

    def command(self) -> str:
        return ""

    def question(self) -> str:
        return self._question

    def heard(self, line: str, request: str, at_s: float) -> bool:
        if self.error:
            raise self.error
        self.lines.append((line, request))
        return line == "YES"

    def forget(self) -> None:
        self.forgot += 1


def echo_line(clock: Clock, talk: Echo, every_s: float | None) -> tuple[SerialLine, SensorSimulator, SimulatedPort]:
    simulator = SensorSimulator({"?": "YES"})
    port = SimulatedPort(simulator, pause=clock.pause)
    line = SerialLine("sensor", PORT, talk, every_s, open_port=port.open, now=clock.now, pause=clock.pause)
    return line, simulator, port


def test_a_line_that_waits_to_be_started_is_not_blocked() -> None:
    clock = Clock()
    line, _, _ = echo_line(clock, Echo("?"), 0.1)
    clock.pause(5.0)  # the window is being built
    assert line.state().line is LineState.STARTING and not line.state().is_fault and line.state().problem == ""


def test_it_starts_is_found_and_is_off() -> None:
    clock, talk = Clock(), Echo("?")
    line, _, port = echo_line(clock, talk, 0.1)
    assert line.state().line is LineState.STARTING
    assert seconds_until(line, clock, LineState.FOUND) < 0.1
    assert line.state().problem == ""
    assert talk.lines == [("YES", "?")]
    line.stop()
    assert line.state().line is LineState.OFF
    assert port.is_open  # nobody stepped: the thread lets go of it


@pytest.mark.parametrize(
    ("fault", "state", "says"),
    [
        ("is_mute", LineState.SILENT, "does not answer. Check its power, cable and baud rate (9600)"),
        ("garble", LineState.GARBLED, "makes no sense. Check that this is its port, its baud rate (9600)"),
        ("is_pulled", LineState.LOST, "the connection broke"),
    ],
)
def test_each_fault_shows_within_a_second_and_passes(fault: str, state: LineState, says: str) -> None:
    clock, talk = Clock(), Echo("?")
    line, _, port = echo_line(clock, talk, 0.1)
    seconds_until(line, clock, LineState.FOUND)
    setattr(port, fault, noise if fault == "garble" else True)
    assert seconds_until(line, clock, state) < SHOWS_S
    assert says in line.state().problem and "/dev/simulated" in line.state().problem
    assert talk.forgot == 1
    with pytest.raises(InstrumentError, match="simulated"):
        line.require_found()
    setattr(port, fault, None if fault == "garble" else False)
    assert seconds_until(line, clock, LineState.FOUND) < SHOWS_S
    line.require_found()


def test_garbage_that_ends_is_silence() -> None:
    clock = Clock()
    line, _, port = echo_line(clock, Echo("?"), 0.1)
    port.garble = noise
    seconds_until(line, clock, LineState.GARBLED)
    port.garble, port.is_mute = None, True
    seconds_until(line, clock, LineState.SILENT)


def test_one_bad_answer_is_a_hiccup() -> None:
    clock, talk = Clock(), Echo("?")
    line, _, port = echo_line(clock, talk, 0.1)
    seconds_until(line, clock, LineState.FOUND)
    port.garble = noise
    run(line, clock, 0.3)
    port.garble = None
    run(line, clock, 2.0)
    assert line.state().line is LineState.FOUND and talk.forgot == 0


def test_a_lost_port_is_tried_again_with_growing_pauses() -> None:
    clock = Clock()
    line, _, port = echo_line(clock, Echo("?"), 0.1)
    port.is_pulled = True
    tries_s: list[float] = []
    while len(tries_s) < 9:
        before = port.opened
        line.step()
        if port.opened > before:
            tries_s.append(clock.now_s)
    pauses_s = [later - earlier for earlier, later in zip(tries_s, tries_s[1:], strict=False)]
    assert pauses_s[0] < 0.3
    assert pauses_s == pytest.approx(sorted(pauses_s), abs=0.01)
    assert pauses_s[-1] == pytest.approx(LONGEST_PAUSE_S, abs=0.1)


def test_a_plug_that_makes_no_good_contact_is_tried_more_and_more_seldom() -> None:
    clock = Clock()
    line, _, port = echo_line(clock, Echo("?"), 0.1)
    port.garble = lambda data: fail(PortLost("broke"))  # it opens, and breaks before a word is understood
    run(line, clock, 60.0)
    assert port.opened < 25


def fail(error: Exception) -> Any:
    raise error


def test_a_late_answer_is_not_taken_for_the_next() -> None:
    clock, talk = Clock(), Echo("?")
    line, simulator, port = echo_line(clock, talk, 0.1)
    seconds_until(line, clock, LineState.FOUND)
    port.is_mute = True
    run(line, clock, 0.35)
    port.is_mute = False
    talk.lines.clear()
    simulator.say("LATE")
    run(line, clock, 0.5)
    assert ("LATE", "?") not in talk.lines and ("YES", "?") in talk.lines


def test_an_error_in_what_an_instrument_means_does_not_end_the_line() -> None:
    clock, talk = Clock(), Echo("?", RuntimeError("slip"))
    line, _, _ = echo_line(clock, talk, 0.1)
    seconds_until(line, clock, LineState.LOST)
    assert "slip" in line.state().problem
    talk.error = None
    seconds_until(line, clock, LineState.FOUND)


def test_one_that_speaks_at_will_is_asked_nothing_and_found_by_its_first_line() -> None:
    clock, talk = Clock(), Echo()
    line, simulator, _ = echo_line(clock, talk, None)
    seconds_until(line, clock, LineState.SILENT)
    assert "nothing was heard yet" in line.state().problem
    simulator.say("YES")
    assert seconds_until(line, clock, LineState.FOUND) < 0.1
    run(line, clock, 500.0)
    assert line.state().line is LineState.FOUND
    simulator.say("YE\x01S")
    assert seconds_until(line, clock, LineState.GARBLED) < 0.1


class BlockingPort:
    """A port whose driver returns when the test lets it."""

    def __init__(self, simulator: SensorSimulator) -> None:
        self._port = SimulatedPort(simulator)
        self.returns = threading.Event()
        self.returns.set()
        self.opened, self.closed = threading.Event(), threading.Event()

    def open(self, settings: PortSettings) -> BlockingPort:
        self.returns.wait()
        self._port.open(settings)
        self.opened.set()
        return self

    def read(self) -> bytes:
        self.returns.wait()
        return self._port.read()

    def write(self, data: bytes) -> None:
        self._port.write(data)

    def discard(self) -> None:
        self._port.discard()

    def close(self) -> None:
        self.closed.set()


@pytest.mark.parametrize("every_s", [0.1, None])
def test_a_driver_that_blocks_is_said_and_only_what_was_not_asked_still_holds(every_s: float | None) -> None:
    clock, talk = Clock(), Echo("?" if every_s else "")
    simulator = SensorSimulator({"?": "YES"})
    port = BlockingPort(simulator)
    line = SerialLine("sensor", PORT, talk, every_s, open_port=port.open, now=clock.now)
    line.start()
    port.opened.wait(20.0)
    simulator.say("YES")
    eventually(lambda: line.state().line, lambda state: state is LineState.FOUND)
    port.returns.clear()
    eventually(lambda: (clock.pause(0.1), line.state())[1], lambda state: "does not return" in state.problem)
    assert line.state().line is LineState.LOST
    port.returns.set()
    eventually(lambda: line.state().line, lambda state: state is LineState.FOUND)
    assert (talk.forgot > 0) == (every_s is not None)
    line.stop()
    assert port.closed.is_set()


def test_stopping_does_not_wait_for_a_driver_that_blocks() -> None:
    port = BlockingPort(SensorSimulator())
    port.returns.clear()
    line = SerialLine("sensor", PORT, Echo("?"), 0.1, open_port=port.open)
    line.start()
    line.stop(0.05)
    line.stop(0.0)
    assert line.state().line is LineState.OFF
    port.returns.set()
    assert port.closed.wait(20.0)  # the thread lets go of it when it can
    line.start()
    assert line.state().line is LineState.OFF


FAULTS: dict[LineState, Callable[[SimulatedPort, bool], None]] = {
    LineState.SILENT: lambda port, on: setattr(port, "is_mute", on),
    LineState.GARBLED: lambda port, on: setattr(port, "garble", noise if on else None),
    LineState.LOST: lambda port, on: setattr(port, "is_pulled", on),
}


def rig(kind: str, clock: Clock) -> tuple[SerialLine, SimulatedPort, Callable[[], object], Callable[[], None]]:
    """A line, its port, what is known by it, and what makes its other end speak."""
    if kind == "stage":
        stage, _, port = simulated_stage(clock)
        return stage.line, port, stage.position_um, lambda: None
    sensor, simulator, port = simulated_sensor(clock, unasked() if kind == "sensor" else polled_sensor())
    speak = (lambda: simulator.say("3")) if kind == "sensor" else (lambda: None)
    return sensor.line, port, sensor.objective, speak


@pytest.mark.parametrize("kind", ["stage", "asked sensor", "sensor"])
def test_ten_thousand_faults_in_all_each_show_within_a_second_and_pass(kind: str) -> None:
    clock, chance = Clock(), random.Random(9)  # noqa: S311 - the same faults each time
    line, port, known, speak = rig(kind, clock)
    # A sensor that speaks at will and says nothing is as it always is.
    faults = [fault for fault in FAULTS if kind != "sensor" or fault is not LineState.SILENT]
    for _ in range(3334):
        while line.state().line is not LineState.FOUND:
            if line.state().line is LineState.SILENT:
                speak()
            line.step()
        assert known()
        fault = chance.choice(faults)
        FAULTS[fault](port, True)
        speak()
        began_s = clock.now_s
        while line.state().line is LineState.FOUND:
            line.step()
        assert clock.now_s - began_s < SHOWS_S
        assert not known()
        seconds_until(line, clock, fault)
        run(line, clock, chance.uniform(0.0, 0.5))
        FAULTS[fault](port, False)
        if line.state().line is LineState.GARBLED:
            speak()
        seconds_until(
            line, clock, LineState.SILENT if kind == "sensor" and fault is LineState.LOST else LineState.FOUND, 2.5
        )
