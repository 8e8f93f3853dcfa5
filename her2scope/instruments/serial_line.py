"""One instrument on a serial port: a thread of its own that asks, listens, and tells how the line is."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from her2scope.domain.errors import Her2ScopeError
from her2scope.instruments.hearing import Hearing, Lines, LineState
from her2scope.instruments.serial_port import Port, PortFactory, PortLost, open_port
from her2scope.settings.instruments import PortSettings

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 4.0
"""Between tries to open a lost port; each is twice as long as the last."""
LONGEST_POLL_S = 0.5
"""Between questions to an instrument that does not answer; each is twice as long, and within a second it is back."""
MOST_DOUBLINGS = 10
BLOCKED_S = 0.9
"""A driver that keeps the line's thread for so long is blocked; an answer may take `PortSettings.answer_s`."""
JOIN_S = 3.0
"""How long `stop` waits for a driver to return."""


class InstrumentError(Her2ScopeError):
    """An instrument cannot do what was asked, with the reason."""


@dataclass(frozen=True, slots=True)
class InstrumentState:
    """One instrument, as a status line shows it."""

    name: str
    line: LineState
    problem: str = ""
    """What is wrong and what to do; empty where nothing is."""
    is_fault: bool = False
    """Whether something is wrong: not merely that nothing was pressed or turned yet."""


class Talk(Protocol):
    """What one kind of instrument says and understands. Called by the line's thread alone."""

    def command(self) -> str:
        """Next thing to send at once, without an end of line; empty for nothing."""

    def question(self) -> str:
        """What to ask when it is time; empty where the instrument tells by itself."""

    def heard(self, line: str, request: str, at_s: float) -> bool:
        """Take a line in; whether it made sense.

        `request` is what was sent before it, empty where nothing was; `at_s` lies in the middle between the two.
        """

    def forget(self) -> None:
        """The instrument is not there: what is known no longer holds, and what waits must not be sent later."""


class SerialLine:
    """Keeps one instrument's port open, and its `Talk` going. Any thread may ask for its state.

    Parameters
    ----------
    name : str
        What a status line calls the instrument.
    every_s : float, optional
        How often it is asked, or heard from without being asked; None: it speaks when there is something to say.
    now : callable
        Monotonic seconds; `pause` waits so many of them, or until the line is stopped.
    """

    def __init__(
        self,
        name: str,
        settings: PortSettings,
        talk: Talk,
        every_s: float | None,
        *,
        open_port: PortFactory = open_port,
        now: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self.name, self._settings, self._talk, self._every_s = name, settings, talk, every_s
        self._open_port, self._now = open_port, now
        self._stopping, self._hurry = threading.Event(), threading.Event()
        self._pause = pause or self._stopping.wait
        self._lock = threading.Lock()  # guards the four below
        self._hearing = Hearing(every_s)
        self._is_open = False
        self._why_lost = ""
        self._alive_s = math.inf
        """When its thread was last heard of; it blocks nothing before it is started."""
        self._port: Port | None = None
        self._lines = Lines()
        self._was_found = False
        self._lost_times = self._unanswered = 0
        self._open_at_s = self._ask_at_s = -math.inf
        self._thread: threading.Thread | None = None

    # ---- from any thread

    def start(self) -> None:
        """Begin to look for the instrument; once only. Returns at once."""
        if self._thread is not None or self._stopping.is_set():
            return
        self._alive_s = self._now()
        # A daemon: a driver that never returns must not keep the program from ending.
        self._thread = threading.Thread(target=self._run, name=f"her2scope {self.name}", daemon=True)
        self._thread.start()

    def stop(self, wait_s: float = JOIN_S) -> None:
        """Let go of the port for good. Safe to call twice; waits for a driver so long at most."""
        self._stopping.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(wait_s)

    def state(self) -> InstrumentState:
        """How the line is now, in words, too."""
        with self._lock:
            line = self._line_state()
            return InstrumentState(self.name, line, self._problem(line), self._is_fault(line))

    def require_found(self) -> None:
        """InstrumentError unless the instrument is there."""
        state = self.state()
        if state.line is not LineState.FOUND:
            raise InstrumentError(state.problem or f"The {self.name} is not connected yet. Wait a moment.")

    def ask_soon(self) -> None:
        """Ask the instrument at once, and not only when it is time."""
        self._hurry.set()

    # ---- the line's thread

    def step(self) -> None:
        """Do one thing that takes a moment: try to open, ask, or listen. For the line's thread, and tests in it."""
        try:
            if self._port is None:
                self._try_to_open()
            else:
                self._work(self._port)
        except PortLost as error:
            self._lose(str(error))
        except Exception as error:  # noqa: BLE001 - the top of a thread: the state says it, and the line goes on
            self._lose(f"the {self.name} failed: {error!r}. Report this.")
        self._settle()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.step()
        self._shut()
        self._settle()

    def _try_to_open(self) -> None:
        wait_s = self._open_at_s - self._now()
        if wait_s > 0.0:
            self._pause(min(wait_s, FIRST_PAUSE_S))
            return
        self._port = self._open_port(self._settings)
        self._lines = Lines()
        self._ask_at_s = self._now()
        with self._lock:
            self._hearing.begin(self._now())
            self._is_open, self._why_lost = True, ""

    def _work(self, port: Port) -> None:
        request = self._talk.command()
        if not request and (self._now() >= self._ask_at_s or self._hurry.is_set()):
            self._hurry.clear()
            request = self._talk.question()
        if request:
            self._ask(port, request)
        else:
            self._listen(port, "", self._now())

    def _ask(self, port: Port, request: str) -> None:
        """Send, and listen until there is an answer or it is too late for one."""
        port.discard()  # an answer that came too late must not be taken for this one's
        self._lines = Lines()
        sent_s = self._now()
        port.write((request + self._settings.line_end.characters).encode("ascii", "replace"))
        understood = False
        while not understood and self._now() < sent_s + self._settings.answer_s and not self._stopping.is_set():
            understood = self._listen(port, request, sent_s)
        if self._lines.has_half:
            self._note(False)
        self._ask_at_s = sent_s + self._pace_s(understood)

    def _pace_s(self, understood: bool) -> float:
        """How long until the next question: the longer, the more of them were not answered."""
        every_s = self._every_s or LONGEST_POLL_S
        self._unanswered = 0 if understood else min(self._unanswered + 1, MOST_DOUBLINGS)
        return max(every_s, min(LONGEST_POLL_S, every_s * 2.0**self._unanswered))

    def _listen(self, port: Port, request: str, sent_s: float) -> bool:
        """Take in what comes; whether any of it made sense."""
        lines = self._lines.take(port.read(), self._now())
        at_s = 0.5 * (sent_s + self._now())
        understood = [self._talk.heard(line, request, at_s) for line in lines]
        for made_sense in understood:
            self._note(made_sense)
        return any(understood)

    def _note(self, made_sense: bool) -> None:
        with self._lock:
            self._hearing.note(made_sense, self._now())
        if made_sense:
            self._lost_times = 0

    def _lose(self, why: str) -> None:
        self._shut()
        self._open_at_s = self._now() + min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0**self._lost_times)
        self._lost_times = min(self._lost_times + 1, MOST_DOUBLINGS)
        with self._lock:
            self._why_lost = why

    def _shut(self) -> None:
        port, self._port = self._port, None
        with self._lock:
            self._is_open = False
        if port is not None:
            port.close()

    def _settle(self) -> None:
        """Where the instrument went, or did not answer because its driver was blocked, forget what was known of it.

        What one that speaks at will said meanwhile is still to be read.
        """
        with self._lock:
            was_away = self._is_blocked() and self._every_s is not None
            self._alive_s = self._now()
            is_found = self._line_state() is LineState.FOUND
        if was_away or (self._was_found and not is_found):
            self._talk.forget()
        self._was_found = is_found

    # ---- what it means, under the lock

    def _is_blocked(self) -> bool:
        return self._now() - self._alive_s > BLOCKED_S

    def _line_state(self) -> LineState:
        if self._stopping.is_set():
            return LineState.OFF
        if self._why_lost or self._is_blocked():
            return LineState.LOST
        return self._hearing.state(self._now()) if self._is_open else LineState.STARTING

    def _is_fault(self, line: LineState) -> bool:
        is_quiet = line is LineState.SILENT and self._every_s is None
        return line in (LineState.LOST, LineState.GARBLED, LineState.SILENT) and not is_quiet

    def _problem(self, line: LineState) -> str:
        where = f"the {self.name} on {self._settings.port}"
        if line is LineState.LOST:
            why = self._why_lost or f"the driver of {self._settings.port} does not return. Pull the plug and put it in."
            return f"{where}: {why} Until then it is tried again and again."
        if line is LineState.GARBLED:
            return (
                f"{where} sends what makes no sense. Check that this is its port, its baud rate "
                f"({self._settings.baud}) and its settings."
            )
        if line is not LineState.SILENT:
            return ""
        if self._every_s is None:
            return f"nothing was heard yet from {where}. Turn or press it once."
        return f"{where} does not answer. Check its power, cable and baud rate ({self._settings.baud})."
