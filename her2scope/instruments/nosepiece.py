"""A sensor on the nosepiece: tells which objective is in the light path. It reads only."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from her2scope.domain.errors import NotAvailableError
from her2scope.instruments.hearing import LineState
from her2scope.instruments.serial_line import InstrumentError, InstrumentState, SerialLine
from her2scope.instruments.serial_port import PortFactory, open_port
from her2scope.settings.instruments import NosepieceSettings

TOLD_OFTEN_S = 0.5
"""What is told so often is waited for; what is told at longer intervals is told at each turn, too."""
TELLS_WITHIN_S = 0.3
"""A sensor that tells by itself does so when it is turned: by then its line has come (25 characters at 9600 baud, and
0.02 s of waiting for them), and if none has, nothing was turned."""


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
        self._settings, self._now = settings, now
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
        return self._talk.told.objective if self.line.state().line is LineState.FOUND else ""

    def stayed(self, objective: str, from_s: float, to_s: float) -> bool | None:
        """Whether an objective was in the light path from `from_s` to `to_s`, monotonic; None while nobody can say.

        By what was told before and after: turned away and back between two tellings is not seen.
        """
        if self.line.state().line is not LineState.FOUND:
            return None
        told = self._talk.told
        if told.objective != objective or told.since_s > from_s:
            return False
        if told.last_s >= to_s or (self._tells_turns and self._now() >= to_s + TELLS_WITHIN_S):
            return True
        self.line.ask_soon()
        return None

    @property
    def _tells_turns(self) -> bool:
        """Whether it speaks when it is turned: one that is asked, or only tells at intervals, is waited for."""
        return not self._settings.ask and (self._settings.every_s is None or self._settings.every_s > TOLD_OFTEN_S)

    def select_objective(self, name: str) -> None:
        """Refuse: the sensor turns nothing."""
        if name not in self._names:
            raise NotAvailableError("objective", name, list(self._names))
        raise InstrumentError(f"The nosepiece can only be read. Turn {name} in by hand; the scale follows by itself.")


@dataclass(frozen=True, slots=True)
class _Told:
    """What a sensor told, in one piece for other threads; times are monotonic."""

    objective: str = ""
    since_s: float = math.inf
    """When it told this objective first, without another one since."""
    last_s: float = -math.inf


class _SensorTalk:
    """What a sensor says, by the settings."""

    def __init__(self, settings: NosepieceSettings) -> None:
        self._settings, self._pattern = settings, re.compile(settings.pattern)
        self.told = _Told()

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
        same = self.told if self.told.objective == objective else _Told(objective or "", at_s)
        self.told = replace(same, last_s=at_s)
        return objective is not None

    def forget(self) -> None:
        """Which objective it is."""
        self.told = _Told()
