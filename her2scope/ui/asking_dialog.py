"""A dialog that asks the engine for a change and stays open, with the refusal, until the case has made it."""

from __future__ import annotations

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QDialog, QDialogButtonBox, QLabel, QVBoxLayout, QWidget

from her2scope.pipeline.live import Message, Severity
from her2scope.records import CaseView
from her2scope.ui.theme import set_role
from her2scope.ui.words import capitalised

CANCEL = "Cancel (Esc)"
WAITING = "Please wait"


class AskingDialog(QDialog):
    """Base of those dialogs: the first button asks, and nothing that was written is lost by a refusal.

    A subclass fills `column`, calls `end` and says in `missing`, `hand_over` and `is_done` what is asked for.
    """

    def __init__(self, name: str, title: str, parent: QWidget | None) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self.setWindowTitle(title)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._ok_text = ""
        self._asked = False
        """At least once. An answer to something else may come between, so a refusal does not end it."""
        self.refusal = label("", "bad")
        self.refusal.hide()
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(18, 16, 18, 14)
        self.column.setSpacing(8)
        self.buttons = QDialogButtonBox()
        self.ok = self.buttons.addButton("", QDialogButtonBox.ButtonRole.ActionRole)
        self.cancel = self.buttons.addButton(CANCEL, QDialogButtonBox.ButtonRole.RejectRole)

    # ---- what a subclass says --------------------------------------------------------------------------------------

    def missing(self) -> str:
        """What must be written before anything can be asked, in words; goes there. Empty where nothing is."""
        return ""

    def hand_over(self) -> None:
        """Ask for what is written."""
        raise NotImplementedError

    def is_done(self, view: CaseView) -> bool:
        """Whether the case now is what was asked for."""
        raise NotImplementedError

    # ---- asking ----------------------------------------------------------------------------------------------------

    def ask(self) -> None:
        """Ask, or say what is missing."""
        missing = self.missing()
        self.refuse(missing)
        if not missing:
            self._asked = True
            self._set_ready(False)
            self.hand_over()

    def show_case(self, view: CaseView) -> None:
        """Close once the case is what was asked for."""
        if self._asked and self.is_done(view):
            self.accept()

    def show_message(self, message: Message) -> None:
        """Show why it was refused."""
        if self._asked and message.severity is not Severity.INFO:
            self._set_ready(True)
            self.refuse(capitalised(message.text))
            self.refused()

    def refused(self) -> None:
        """Make ready for another try."""

    # ---- assembling ------------------------------------------------------------------------------------------------

    def end(self, ok: str) -> None:
        """Add the refusal and the buttons, beneath all that was laid out; `ok` is what Enter does."""
        self.column.addWidget(self.refusal)
        self.column.addWidget(self.buttons)
        self.buttons.rejected.connect(self.reject)
        if self.ok is not None:
            self.ok.setText(ok)
            self._ok_text = ok
            self.ok.setDefault(True)  # of this dialog, so not before it is in it
            self.ok.clicked.connect(self.ask)

    def _set_ready(self, ready: bool) -> None:
        """Let the button ask, unless the answer is still to come."""
        if self.ok is not None:
            self.ok.setEnabled(ready)
            self.ok.setText(self._ok_text if ready else WAITING)

    def refuse(self, text: str) -> None:
        """Show why not, empty: nothing."""
        self.refusal.setText(text)
        self.refusal.setVisible(bool(text))
        self.grow()

    def grow(self) -> None:
        """Make room for words that take more lines now: Qt counts the lines of a wrapped text only once."""
        self.column.activate()
        self.resize(self.width(), max(self.height(), self.column.totalHeightForWidth(self.width())))


def label(text: str, role: str = "plain") -> QLabel:
    """Plain text, as many lines as it needs."""
    made = QLabel(text)
    made.setWordWrap(True)
    made.setTextFormat(Qt.TextFormat.PlainText)
    set_role(made, role)
    return made
