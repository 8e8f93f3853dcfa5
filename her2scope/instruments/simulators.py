"""Instruments that are not there: what each answers, byte by byte, and a port with the faults that ports have."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from her2scope.instruments.serial_port import READ_S, PortLost
from her2scope.settings.instruments import PortSettings


class Simulator(Protocol):
    """An instrument at the other end of a cable. Calls may come from any thread."""

    def receive(self, data: bytes) -> None:
        """Take in what was sent to it."""

    def transmit(self) -> bytes:
        """What it has to say since the last call."""


# ---- instruments ---------------------------------------------------------------------------------------------------


class AsiSimulator:
    """An MS-2000 with its stage, as the manual that `asi` cites describes it.

    Parameters
    ----------
    speed_um_per_s : float
        Of each axis.
    limit_um : float
        How far it goes from its origin each way.
    """

    def __init__(
        self, *, now: Callable[[], float] = time.monotonic, speed_um_per_s: float = 5000.0, limit_um: float = 50_000.0
    ) -> None:
        self._now, self._speed_um_per_s, self._limit_um = now, speed_um_per_s, limit_um
        self._lock = threading.Lock()
        self._begun, self._said = b"", b""
        self._start_um = self._end_um = {"X": 0.0, "Y": 0.0}
        self._started_s = now()

    def receive(self, data: bytes) -> None:
        """Answer each command that a CR ends."""
        with self._lock:
            *commands, self._begun = (self._begun + data).split(b"\r")
            for command in commands:
                self._said += self._answer(command.decode("ascii", "replace").strip().upper()).encode() + b"\r\n"

    def transmit(self) -> bytes:
        """Answers that were not sent yet."""
        with self._lock:
            said, self._said = self._said, b""
            return said

    def at_um(self) -> tuple[float, float]:
        """Where its axes are."""
        with self._lock:
            here = self._here_um()
            return here["X"], here["Y"]

    def push(self, dx_um: float, dy_um: float) -> None:
        """Move it by its joystick."""
        with self._lock:
            here = self._here_um()
            self._start_um = self._end_um = {"X": here["X"] + dx_um, "Y": here["Y"] + dy_um}

    def _answer(self, command: str) -> str:
        name, _, rest = command.partition(" ")
        if name in ("W", "WHERE"):
            here = self._here_um()
            axes = rest.split()
            return ":A " + " ".join(f"{10 * here[axis]:.1f}" for axis in axes) + " " if set(axes) <= {*here} else ":N-2"
        if name in ("M", "MOVE", "R", "MOVREL"):
            return self._drive(rest, is_relative=name.startswith("R") or name == "MOVREL")
        if name in ("/", "STATUS"):
            return "B" if self._is_busy() else "N"
        if name in ("\\", "HALT"):
            return self._halt()
        return ":N-1"

    def _drive(self, rest: str, *, is_relative: bool) -> str:
        here = self._here_um()
        end = dict(here)
        for axis, value in re.findall(r"(\w+)(?:=(-?\d+(?:\.\d*)?))?", rest):
            if axis not in end:
                return ":N-2"
            end[axis] = float(value or 0.0) / 10.0 + (here[axis] if is_relative else 0.0)
        if any(abs(um) > self._limit_um for um in end.values()):
            return ":N-4"
        self._start_um, self._end_um, self._started_s = here, end, self._now()
        return ":A "

    def _halt(self) -> str:
        was_busy, here = self._is_busy(), self._here_um()
        self._start_um = self._end_um = here
        return ":N-21" if was_busy else ":A "

    def _is_busy(self) -> bool:
        return self._here_um() != self._end_um

    def _here_um(self) -> dict[str, float]:
        gone_um = self._speed_um_per_s * (self._now() - self._started_s)
        here = {}
        for axis, start in self._start_um.items():
            way = self._end_um[axis] - start
            here[axis] = self._end_um[axis] if abs(way) <= gone_um else start + (gone_um if way > 0 else -gone_um)
        return here


class SensorSimulator:
    """A sensor or a box of buttons that says a line when something happens, and when it is asked.

    Parameters
    ----------
    answers : mapping
        What it says to a question; to another it says nothing.
    """

    def __init__(self, answers: Mapping[str, str] | None = None, end: str = "\r\n") -> None:
        self._answers, self._end = dict(answers or {}), end
        self._lock = threading.Lock()
        self._begun, self._said = "", b""

    def receive(self, data: bytes) -> None:
        """Answer each question that it knows."""
        with self._lock:
            *questions, self._begun = re.split(r"[\r\n]", self._begun + data.decode("ascii", "replace"))
            known = [self._answers[question] for question in questions if question in self._answers]
        for answer in known:
            self.say(answer)

    def transmit(self) -> bytes:
        """What it said and was not sent yet."""
        with self._lock:
            said, self._said = self._said, b""
            return said

    def say(self, line: str) -> None:
        """Say a line now."""
        with self._lock:
            self._said += (line + self._end).encode()

    def answer(self, question: str, line: str) -> None:
        """Say another line to a question from now on."""
        with self._lock:
            self._answers[question] = line


# ---- a port without a cable ----------------------------------------------------------------------------------------


class SimulatedPort:
    """A simulator's port, without a cable: `open` is a `PortFactory`. Its faults can be set at any time.

    Parameters
    ----------
    pause : callable
        Waits so many seconds where there is nothing to read.
    """

    def __init__(self, simulator: Simulator, *, pause: Callable[[float], object] = time.sleep) -> None:
        self.simulator, self._pause = simulator, pause
        self.is_pulled = False
        """The plug is out."""
        self.is_mute = False
        """Nothing comes through: the power is off, or a wire is broken."""
        self.garble: Callable[[bytes], bytes] | None = None
        """What becomes of that which the instrument says, such as at a wrong baud rate."""
        self.is_open = False
        self.opened = 0
        """How often it was opened, or tried to be."""

    def open(self, settings: PortSettings) -> SimulatedPort:
        """Claim it."""
        self.opened += 1
        if self.is_pulled:
            raise PortLost(f"{settings.port} is not there. Plug the device in.")
        self.simulator.transmit()  # what it said while nobody listened is gone
        self.is_open = True
        return self

    def read(self) -> bytes:
        """What came."""
        data = self._came()
        if not data:
            self._pause(READ_S)
            data = self._came()
        return data

    def write(self, data: bytes) -> None:
        """Send."""
        self._check()
        if not self.is_mute:
            self.simulator.receive(data)

    def discard(self) -> None:
        """Forget what came."""
        self._came()

    def close(self) -> None:
        """Let go of it."""
        self.is_open = False

    def _came(self) -> bytes:
        self._check()
        data = self.simulator.transmit()
        if self.is_mute:
            return b""
        return self.garble(data) if self.garble else data

    def _check(self) -> None:
        if self.is_pulled:
            raise PortLost("the connection broke. Check the cable.")
