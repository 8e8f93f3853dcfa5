"""One line over the picture: what happened and what to do. Errors stay until they are dismissed."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

from PyQt6.QtCore import Qt, QTimer, pyqtSignal
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QWidget

from her2scope.pipeline.live import Message, Severity
from her2scope.ui.theme import THEME
from her2scope.ui.words import capitalised

SHOWN_MS = {Severity.INFO: 4000, Severity.WARNING: 10000}
PER_LETTER_MS = 40
"""Added for reading."""
UNREAD_MS = 4000
"""A warning that is younger was not read: it stays above what is newer."""
MOST_UNREAD = 3
REMEMBERED = 200
_SYMBOLS = {
    Severity.INFO: ("\N{INFORMATION SOURCE}", THEME.accent),
    Severity.WARNING: ("!", THEME.warning),
    Severity.ERROR: ("\N{MULTIPLICATION X}", THEME.bad),
}


class MessageBar(QFrame):
    """Shows the newest message, below warnings that are too young to have been read.

    An error that nobody has dismissed comes before anything newer that is no error. A newer warning, such as why a key
    did nothing, stands below it for a while.
    """

    changed = pyqtSignal()
    """It needs another size or went away."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("message_bar")
        self.history: deque[Message] = deque(maxlen=REMEMBERED)
        self._errors: deque[Message] = deque(maxlen=REMEMBERED)
        self._unread: list[Message] = []
        self._shown: Message | None = None
        self._below: Message | None = None
        """A warning that came while an error stood."""
        self._keeps = False
        self.symbol = QLabel()
        self.label = QLabel()
        self.label.setWordWrap(True)
        self.label.setTextFormat(Qt.TextFormat.PlainText)
        self.label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.label.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.close_button = QPushButton("Dismiss (Esc)")
        self.close_button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.close_button.clicked.connect(self.dismiss)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 7, 8, 7)
        row.setSpacing(10)
        row.addWidget(self.symbol, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self.label, 1)
        row.addWidget(self.close_button, 0, Qt.AlignmentFlag.AlignTop)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._show_next)
        self.reading = QTimer(self)
        self.reading.setSingleShot(True)
        self.reading.setInterval(UNREAD_MS)
        self.reading.timeout.connect(self._unread.clear)
        self.hide()

    def post(self, message: Message) -> None:
        """Show a message, or keep it behind an error that still stands."""
        self.history.append(message)
        if message.severity is Severity.ERROR:
            # The same error again (a camera that is tried every second) needs no second dismissal.
            if message not in self._errors:
                self._errors.append(message)
            self._show(self._errors[-1])
        elif not self._errors:
            self._show(message)
            if message.severity is Severity.WARNING:
                self._unread[:] = [*self._unread, message][-MOST_UNREAD:]
                self.reading.start()
        elif message.severity is Severity.WARNING:
            self._below = message
            self._show(self._errors[-1])

    def dismiss(self) -> bool:
        """Take away what is shown; whether there was anything."""
        if self.isHidden():
            return False
        if self._errors:
            self._errors.pop()
        self._show_next()
        return True

    def withdraw(self, texts: Collection[str]) -> None:
        """Take away what is over, so that it hides nothing newer; the history keeps it."""
        kept = [error for error in self._errors if error.text not in texts]
        unread = [message for message in self._unread if message.text not in texts]
        is_shown = self._shown is not None and self._shown.text in texts
        if len(kept) == len(self._errors) and len(unread) == len(self._unread) and not is_shown:
            return
        self._errors.clear()
        self._errors.extend(kept)
        self._unread[:] = unread
        if self._errors or (is_shown and not unread) or self._shown is None:
            self._show_next()
        else:
            self._show(unread[-1] if is_shown else self._shown)

    def keep(self, keeps: bool) -> None:
        """Let what is shown stay: where a finished case's report is should not vanish while the reader looks away."""
        self._keeps = keeps
        if keeps:
            self._timer.stop()

    def rest(self) -> None:
        """Let nothing happen later on: the window goes away."""
        self._timer.stop()
        self.reading.stop()

    def _show_next(self) -> None:
        self._below = None
        if self._errors:
            self._show(self._errors[-1])
            return
        self._timer.stop()
        self._unread.clear()
        self._shown = None
        self.hide()
        self.changed.emit()

    def _show(self, message: Message) -> None:
        self._shown = message
        if message.severity is Severity.ERROR:
            self._unread.clear()
        severity = Severity.WARNING if self._unread else message.severity
        symbol, colour = _SYMBOLS[severity]
        self.label.setText(self._words(message))
        self.symbol.setText(symbol)
        self.setStyleSheet(
            f"#message_bar {{ background: {THEME.panel}; border: 1px solid {THEME.line};"
            f" border-left: 4px solid {colour}; }}"
            f"#message_bar QLabel {{ color: {THEME.text}; }}"
        )
        self._timer.stop()
        self.close_button.setVisible(message.severity is Severity.ERROR)
        passing = severity if self._below is None else self._below.severity
        if passing in SHOWN_MS and not self._keeps:
            self._timer.start(SHOWN_MS[passing] + PER_LETTER_MS * len(self.label.text()))
        self.show()
        self.raise_()
        self.changed.emit()

    def _words(self, message: Message) -> str:
        lines = [capitalised(item.text) for item in (*self._unread, message)]
        more = len(self._errors) - 1
        if more > 0:
            lines.append(f"({more} more)")
        if self._below is not None:
            lines.append(capitalised(self._below.text))
        return "\n".join(dict.fromkeys(lines))
