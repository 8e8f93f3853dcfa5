"""The instruments beside the camera as the main window has them: their states, and what their buttons do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from PyQt6.QtCore import QObject, Qt, QTimer
from PyQt6.QtGui import QKeySequence, QShortcut
from PyQt6.QtWidgets import QApplication, QWidget

from her2scope.instruments.serial_line import InstrumentState
from her2scope.ports import Nosepiece, Stage
from her2scope.settings.instruments import ButtonAction
from her2scope.ui.action_table import ACTIONS
from her2scope.ui.status_line import StatusLine

LOOK_MS = 500
"""Between two looks at the instruments: a fault then shows within a second."""
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
    tell : says something to the reader; True: it is an error
    parent : the main window, where the keys of a foot switch work
    is_setting_up : whether a window is open in which the microscope is set up: the picture is of no case then
    """

    def __init__(
        self,
        setup: DeskSetup,
        status: StatusLine,
        does: Mapping[ButtonAction, Callable[[], None]],
        tell: Callable[[str, bool], None],
        parent: QWidget,
        is_setting_up: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(parent)
        self._is_setting_up = is_setting_up
        self._setup, self._status, self._does, self._tell = setup, status, does, tell
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
        self._status.show_instruments(self._setup.states())

    def press(self, action: ButtonAction) -> None:
        """Do what a button is for, unless a question is open: its keys would not reach the window either."""
        if QApplication.activeModalWidget() is not None:
            self._tell(ASKED_ALREADY, False)
        elif self._is_setting_up():
            self._tell(SETTING_UP, False)
        else:
            self._does[action]()

    def rest(self) -> None:
        """Look no more: the window goes away."""
        self._clock.stop()

    def _add_key(self, key: str, action: ButtonAction, parent: QWidget) -> None:
        """Let a key act, unless it is none, or means something else already."""
        sequence = QKeySequence(key)
        if sequence.isEmpty() or sequence[0].key() == Qt.Key.Key_unknown:
            self._tell(f"Instruments: '{key}' is no key. Write it as F13 or Ctrl+F13.", True)
            return
        other = next((info for info in ACTIONS if sequence in map(QKeySequence, info.keys)), None)
        if other is not None:
            self._tell(f"Instruments: the key '{key}' is taken: {other.text}. Give the switch another one.", True)
            return
        shortcut = QShortcut(sequence, parent)
        shortcut.setAutoRepeat(False)  # a foot that rests on its switch accepts one field
        shortcut.activated.connect(lambda: self.press(action))
