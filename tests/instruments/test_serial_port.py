"""Real terminal devices, opened by pyserial as a cable's are."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import serial
from instruments.fakes import OBJECTIVES, eventually
from serial.tools import list_ports

from her2scope.instruments.hearing import LineState
from her2scope.instruments.nosepiece import NosepieceSensor
from her2scope.instruments.pseudo_terminal import PseudoTerminal
from her2scope.instruments.serial_port import PortLost, found, open_port
from her2scope.instruments.simulators import AsiSimulator, SensorSimulator
from her2scope.instruments.stage import SerialStage
from her2scope.settings.instruments import LineEnd, NosepieceSettings, PortSettings, StageSettings

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")


class Recorded:
    """A simulator, and all bytes that went to it and came from it."""

    def __init__(self, simulator: Any) -> None:
        self._simulator = simulator
        self.sent, self.came = b"", b""

    def receive(self, data: bytes) -> None:
        self.sent += data
        self._simulator.receive(data)

    def transmit(self) -> bytes:
        data: bytes = self._simulator.transmit()
        self.came += data
        return data


@pytest.fixture
def asi() -> AsiSimulator:
    return AsiSimulator()


@pytest.fixture
def wire(asi: AsiSimulator) -> Recorded:
    return Recorded(asi)


@pytest.fixture
def terminal(wire: Recorded) -> Iterator[PseudoTerminal]:
    with PseudoTerminal(wire) as terminal:
        yield terminal


@pytest.fixture
def stage(terminal: PseudoTerminal) -> Iterator[SerialStage]:
    stage = SerialStage(StageSettings(PortSettings(terminal.port), places={"tissue": (2000.0, 100.0)}))
    stage.line.start()
    eventually(lambda: stage.state().line, lambda state: state is LineState.FOUND)
    yield stage
    stage.line.stop()


@posix
def test_a_stage_is_driven_by_the_bytes_of_its_manual(stage: SerialStage, wire: Recorded, asi: AsiSimulator) -> None:
    stage.go_to("tissue")
    eventually(stage.position_um, lambda place: place == (2000.0, 100.0))
    eventually(lambda: stage.is_moving, lambda moving: not moving)
    stage.move_by_um(-100.0, 25.5)
    eventually(asi.at_um, lambda place: place == pytest.approx((1900.0, 125.5)))
    assert b"M X=20000 Y=1000\r" in wire.sent and b"R X=-1000 Y=255\r" in wire.sent
    assert b"W X Y\r" in wire.sent and b"/\r" in wire.sent
    assert b":A 20000.0 1000.0 \r\n" in wire.came and b":A \r\n" in wire.came and b"N\r\n" in wire.came


@posix
def test_a_pulled_plug_is_lost_and_nothing_hangs(stage: SerialStage, terminal: PseudoTerminal) -> None:
    terminal.unplug()
    state = eventually(stage.state, lambda state: state.line is LineState.LOST)
    assert terminal.port in state.problem
    assert stage.position_um() is None
    stage.line.stop()
    assert stage.state().line is LineState.OFF


@posix
def test_a_power_switch_that_is_off_is_silent_and_comes_back() -> None:
    power = Recorded(AsiSimulator())
    on = power.receive
    power.receive = lambda data: None  # type: ignore[method-assign]
    with PseudoTerminal(power) as terminal:
        stage = SerialStage(StageSettings(PortSettings(terminal.port)))
        stage.line.start()
        eventually(lambda: stage.state().line, lambda state: state is LineState.SILENT)
        power.receive = on  # type: ignore[method-assign]
        eventually(lambda: stage.position_um(), lambda place: place == (0.0, 0.0))
        stage.line.stop()


@posix
def test_a_sensor_of_another_device_is_garbled() -> None:
    simulator = SensorSimulator({"?": "\xff\xfe\x80 humidity 41"})
    settings = {"objectives": OBJECTIVES, "ask": "?", "every_s": 0.1}
    with PseudoTerminal(simulator) as terminal:
        sensor = NosepieceSensor(NosepieceSettings(PortSettings(terminal.port, 115200, LineEnd.LF), **settings))
        sensor.line.start()
        eventually(lambda: sensor.state().line, lambda state: state is LineState.GARBLED)
        simulator.answer("?", "3")
        eventually(sensor.objective, lambda name: name == "40x")
        sensor.line.stop()


@posix
def test_a_device_that_never_stops_talking_holds_nothing() -> None:
    simulator = SensorSimulator()
    simulator.transmit = lambda: b"\x55\xaa" * 500  # type: ignore[method-assign]
    with PseudoTerminal(simulator) as terminal:
        stage = SerialStage(StageSettings(PortSettings(terminal.port)))
        stage.line.start()
        eventually(lambda: stage.state().line, lambda state: state is LineState.GARBLED)
        stage.line.stop()
        assert stage.state().line is LineState.OFF


@posix
def test_a_port_that_another_program_holds_is_in_use(terminal: PseudoTerminal) -> None:
    port = open_port(PortSettings(terminal.port))
    with pytest.raises(PortLost, match="in use. Close the other program"):
        open_port(PortSettings(terminal.port))
    port.close()
    port.close()


def test_a_port_that_is_not_there_is_said() -> None:
    with pytest.raises(PortLost, match="is not there. Plug the device in"):
        open_port(PortSettings("/dev/no-such-port" if sys.platform != "win32" else "COM255"))


@posix
def test_a_file_is_no_port(tmp_path: Any) -> None:
    (tmp_path / "notes.txt").write_text("no port")
    with pytest.raises(PortLost, match="cannot be opened"):
        open_port(PortSettings(str(tmp_path / "notes.txt")))


@pytest.mark.parametrize(
    ("error", "platform", "says"),
    [
        (serial.SerialException(errno.EACCES, "could not open port: [Errno 13] Permission denied"), "linux", "dialout"),
        (serial.SerialException("could not open port 'COM3': PermissionError(13, '', None, 5)"), "win32", "is in use"),
        (serial.SerialException("could not open port 'COM3': FileNotFoundError(2, '')"), "win32", "is not there"),
        (ValueError("Not a valid baudrate: 12"), "linux", "does not take 9600 baud"),
    ],
)
def test_why_a_port_does_not_open_is_said_in_words(
    monkeypatch: pytest.MonkeyPatch, error: Exception, platform: str, says: str
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(serial, "Serial", refuse)
    monkeypatch.setattr("her2scope.instruments.serial_port.sys.platform", platform)
    with pytest.raises(PortLost, match=says):
        open_port(PortSettings("COM3"))


def test_ports_are_listed_with_what_is_wrong(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    allowed, refused = tmp_path / "ttyUSB0", tmp_path / "ttyUSB1"
    for path in (allowed, refused):
        path.touch()
    adapters = [
        SimpleNamespace(device=str(refused), description="n/a", manufacturer=None, serial_number=None),
        SimpleNamespace(device=str(allowed), description="FT232R", manufacturer="FTDI", serial_number="A6"),
    ]
    monkeypatch.setattr(list_ports, "comports", lambda: adapters)
    monkeypatch.setattr(os, "access", lambda path, mode: path != str(refused))
    first, second = found()
    assert (first.port, first.name, first.problem) == (str(allowed), "FT232R, FTDI, A6", "")
    assert (second.port, second.name) == (str(refused), "serial port")
    assert "no permission" in second.problem and "dialout" in second.problem


@pytest.mark.parametrize("error", [None, OSError("no registry")])
def test_no_port_at_all_says_why(monkeypatch: pytest.MonkeyPatch, error: OSError | None) -> None:
    def comports() -> list[Any]:
        if error:
            raise error
        return []

    monkeypatch.setattr(list_ports, "comports", comports)
    (only,) = found()
    assert only.port == "" and ("no registry" in only.problem if error else "Plug" in only.problem)
