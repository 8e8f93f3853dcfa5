"""The instruments beside the camera as the main window has them: their states, and what their buttons do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from PyQt6.QtCore import QObject, Qt, QTimer
from PyQt6.QtGui import QKeySequence, QShortcut
from PyQt6.QtWidgets import QApplication, QWidget

from her2scope.instruments.hearing import LineState
from her2scope.instruments.serial_line import InstrumentState
from her2scope.pipeline.live import Message, Severity
from her2scope.ports import Nosepiece, Stage
from her2scope.settings.instruments import ButtonAction
from her2scope.ui.action_table import ACTIONS
from her2scope.ui.message_bar import MessageBar
from her2scope.ui.status_line import StatusLine

LOOK_MS = 200
"""Between two looks at the instruments: with `hearing.PATIENCE_S` a fault shows within a second."""
ASKED_ALREADY = "The button did nothing: a question is open. Answer it first."
SETTING_UP = "The button did nothing: the set-up or a calibration is open. Close it first."


@dataclass(frozen=True, slots=True)
class DeskSetup:
    """What the window has of the instruments; none without any."""

    states: Callable[[], Sequence[InstrumentState]] = lambda: ()
    """How each of them is. Returns at once."""
    stage: Stage | None = None
    nosepiece: Nosepiece | None = None
    keys: Mapping[str, ButtonAction] = field(default_factory=dict)
    """Keys of a foot switch that acts as a keyboard."""


class Desk(QObject):
    """Polls the instruments, and does what is pressed as the window's own keys would.

    Parameters
    ----------
    does : what each button does
    messages : where the reader is told that an instrument went, and where that is taken back when it is there again
    parent : the main window, where the keys of a foot switch work
    is_setting_up : whether a window is open in which the microscope is set up: the picture is of no case then
    """

    def __init__(
        self,
        setup: DeskSetup,
        status: StatusLine,
        does: Mapping[ButtonAction, Callable[[], None]],
        messages: MessageBar,
        parent: QWidget,
        is_setting_up: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(parent)
        self._is_setting_up = is_setting_up
        self._setup, self._status, self._does, self._messages = setup, status, does, messages
        self._told: dict[int, set[str]] = {}
        """What was said of a fault of an instrument (by its place in the list) that is not over."""
        self._were_found: set[int] = set()
        self._in_vain: set[str] = set()
        """What was answered to the reader while an instrument was away."""
        self._clock = QTimer(self)
        self._clock.setInterval(LOOK_MS)
        self._clock.timeout.connect(self.look)
        for key, action in setup.keys.items():
            self._add_key(key, action, parent)
        self.look()
        if setup.states():
            self._clock.start()

    def look(self) -> None:
        """Show how the instruments are now."""
        states = tuple(self._setup.states())
        self._status.show_instruments(states)
        for at, state in enumerate(states):
            self._tell_of(at, state)
        if self._in_vain and all(state.line is LineState.FOUND for state in states):
            self._messages.withdraw(self._in_vain)
            self._in_vain.clear()

    def note_refusal(self, text: str) -> None:
        """Remember an error that a stage or nosepiece answered: while one is away, it is over when all are back."""
        if any(state.line is not LineState.FOUND for state in self._setup.states()):
            self._in_vain.add(text)

    def press(self, action: ButtonAction) -> None:
        """Do what a button is for, unless a question is open: its keys would not reach the window either."""
        if QApplication.activeModalWidget() is not None:
            self._post(Severity.INFO, ASKED_ALREADY)
        elif self._is_setting_up():
            self._post(Severity.INFO, SETTING_UP)
        else:
            self._does[action]()

    def rest(self) -> None:
        """Look no more: the window goes away."""
        self._clock.stop()

    def _tell_of(self, at: int, state: InstrumentState) -> None:
        """Say a fault once, until it is over; one that was there has gone, one that never was may be left at home."""
        told = self._told.setdefault(at, set())
        if state.is_fault and state.problem not in told:
            self._messages.withdraw(told)  # "the connection broke", and then "it is not there"
            told.add(state.problem)
            self._post(Severity.ERROR if at in self._were_found else Severity.WARNING, state.problem)
        elif not state.is_fault and state.line not in (LineState.STARTING, LineState.OFF):
            self._messages.withdraw(told)
            told.clear()
        if state.line is LineState.FOUND:
            self._were_found.add(at)

    def _post(self, severity: Severity, text: str) -> None:
        self._messages.post(Message(severity, text))

    def _add_key(self, key: str, action: ButtonAction, parent: QWidget) -> None:
        """Let a key act, unless it is none, or means something else already."""
        sequence = QKeySequence(key)
        if sequence.isEmpty() or sequence[0].key() == Qt.Key.Key_unknown:
            self._post(Severity.ERROR, f"Instruments: '{key}' is no key. Write it as F13 or Ctrl+F13.")
            return
        other = next((info for info in ACTIONS if sequence in map(QKeySequence, info.keys)), None)
        if other is not None:
            self._post(
                Severity.ERROR, f"Instruments: the key '{key}' is taken: {other.text}. Give the switch another one."
            )
            return
        shortcut = QShortcut(sequence, parent)
        shortcut.setAutoRepeat(False)  # a foot that rests on its switch accepts one field
        shortcut.activated.connect(lambda: self.press(action))
