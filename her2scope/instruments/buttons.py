"""A foot switch or buttons that send a line for each press."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from her2scope.instruments.serial_line import InstrumentState, SerialLine
from her2scope.instruments.serial_port import PortFactory, open_port
from her2scope.settings.instruments import ButtonAction, ButtonSettings


class Buttons:
    """Calls `pressed` once for each press, in a thread of its own: it must return at once.

    Only a whole line that stands in the settings is a press: no garbage accepts a field.
    """

    def __init__(
        self,
        settings: ButtonSettings,
        pressed: Callable[[ButtonAction], None],
        *,
        open_port: PortFactory = open_port,
        now: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        talk = _ButtonTalk(settings, pressed, now)
        self.line = SerialLine("buttons", settings.line, talk, None, open_port=open_port, now=now, pause=pause)

    def state(self) -> InstrumentState:
        """How the line is."""
        return self.line.state()


class _ButtonTalk:
    """What buttons say, by the settings."""

    def __init__(
        self, settings: ButtonSettings, pressed: Callable[[ButtonAction], None], now: Callable[[], float]
    ) -> None:
        self._settings, self._pressed, self._now = settings, pressed, now
        self._heard_s: dict[str, float] = {}

    def command(self) -> str:
        """Nothing."""
        return ""

    def question(self) -> str:
        """Nothing: they speak when they are pressed."""
        return ""

    def heard(self, line: str, request: str, at_s: float) -> bool:
        """Take a line in. A contact that bounces is one press, however long it does."""
        action = self._settings.actions.get(line)
        if action is None:
            return line in self._settings.ignored
        now_s = self._now()
        is_new = now_s - self._heard_s.get(line, -math.inf) >= self._settings.debounce_s
        self._heard_s[line] = now_s
        if is_new:
            self._pressed(action)
        return True

    def forget(self) -> None:
        """Nothing: a press is not kept."""
