"""A sensor on the nosepiece: tells which objective is in the light path. It reads only."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from her2scope.domain.errors import NotAvailableError
from her2scope.instruments.hearing import LineState
from her2scope.instruments.serial_line import InstrumentError, InstrumentState, SerialLine
from her2scope.instruments.serial_port import PortFactory, open_port
from her2scope.settings.instruments import NosepieceSettings


class NosepieceSensor:
    """A `Nosepiece` that the hand turns. Its calls return at once and may come from any thread.

    Whatever is not certain is not told: while the line is silent, garbled or lost the objective may have been turned.
    """

    def __init__(
        self,
        settings: NosepieceSettings,
        *,
        open_port: PortFactory = open_port,
        now: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self._names = tuple(dict.fromkeys(name for name in settings.objectives.values() if name))
        self._talk = _SensorTalk(settings)
        self.line = SerialLine(
            "nosepiece", settings.line, self._talk, settings.every_s, open_port=open_port, now=now, pause=pause
        )

    def state(self) -> InstrumentState:
        """How it is."""
        return self.line.state()

    def objectives(self) -> tuple[str, ...]:
        """Names in the order of the settings, from the weakest to the strongest."""
        return self._names

    def objective(self) -> str:
        """The one in the light path; empty where it is not known, or none is."""
        return self._talk.objective if self.line.state().line is LineState.FOUND else ""

    def select_objective(self, name: str) -> None:
        """Refuse: the sensor turns nothing."""
        if name not in self._names:
            raise NotAvailableError("objective", name, list(self._names))
        raise InstrumentError(f"The nosepiece can only be read. Turn {name} in by hand; the scale follows by itself.")


class _SensorTalk:
    """What a sensor says, by the settings."""

    def __init__(self, settings: NosepieceSettings) -> None:
        self._settings, self._pattern = settings, re.compile(settings.pattern)
        self.objective = ""

    def command(self) -> str:
        """Nothing: it cannot be told to do anything."""
        return ""

    def question(self) -> str:
        """What makes it tell."""
        return self._settings.ask

    def heard(self, line: str, request: str, at_s: float) -> bool:
        """Take a line in. One that is not understood may have told of a turn."""
        if line in self._settings.ignored:
            return True
        match = self._pattern.fullmatch(line)
        objective = self._settings.objectives.get(match["position"]) if match else None
        self.objective = objective or ""
        return objective is not None

    def forget(self) -> None:
        """Which objective it is."""
        self.objective = ""
