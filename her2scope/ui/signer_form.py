"""Who signs, and the PIN: asked for in the dialogs that sign a case or open a signed one again."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QComboBox, QFormLayout, QLineEdit, QWidget

from her2scope.ui.asking_dialog import label

NEW_SIGNER = "Somebody who signs here for the first time"
ENROL_NOTE = (
    "Choose a PIN of at least 6 characters. It is yours from now on: nobody can read it back, so keep it in mind."
)


class PinLine(QLineEdit):
    """Hides what is typed, and gives it away once."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setEchoMode(QLineEdit.EchoMode.Password)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.NoContextMenu)
        hints = Qt.InputMethodHint
        self.setInputMethodHints(hints.ImhHiddenText | hints.ImhSensitiveData | hints.ImhNoPredictiveText)
        self.setAccessibleName(name)

    def take(self) -> str:
        """The PIN; the line is empty then."""
        pin = self.text()
        self.setText("")
        return pin


class SignerForm(QWidget):
    """Rows for a name that is known, or a new one with its PIN twice.

    Parameters
    ----------
    names : of all who may sign
    likely : who probably signs now; chosen where it is one of them
    enrols : somebody new may sign too
    """

    resized = pyqtSignal()
    """There are other rows now."""

    def __init__(self, names: Sequence[str], likely: str, *, enrols: bool) -> None:
        super().__init__()
        self._enrols = enrols
        self._names: tuple[str, ...] = ()
        self.name = QComboBox()
        self.name.setAccessibleName("Signer")
        self.new_name = QLineEdit()
        self.new_name.setAccessibleName("Name of the new signer")
        self.new_name.setPlaceholderText("As it should stand in the report")
        self.pin, self.again = PinLine("PIN"), PinLine("PIN once more")
        self.note = label(ENROL_NOTE, "small")
        self._form = QFormLayout(self)
        self._form.setContentsMargins(0, 0, 0, 0)
        self._form.setVerticalSpacing(6)
        self._form.addRow("Si&gner", self.name)
        self._form.addRow("Na&me", self.new_name)
        self._form.addRow("&PIN", self.pin)
        self._form.addRow("PIN &once more", self.again)
        self._form.addRow(self.note)
        self._set_names(names, likely)
        self.name.currentIndexChanged.connect(self._show_rows)
        self._show_rows()

    @property
    def is_new(self) -> bool:
        """Whether somebody new signs."""
        return self._enrols and self.name.currentIndex() == self.name.count() - 1

    @property
    def signer(self) -> str:
        """Who signs; empty where nobody is named."""
        return self.new_name.text().strip() if self.is_new else self.name.currentText()

    def offer(self, names: Sequence[str]) -> None:
        """Let these sign; who was chosen or written stays chosen."""
        if tuple(names) != self._names:
            self._set_names(names, self.signer)

    def _set_names(self, names: Sequence[str], likely: str) -> None:
        self._names = tuple(names)
        self.name.clear()
        self.name.addItems([*names, *([NEW_SIGNER] if self._enrols else [])])
        known = self.name.findText(likely)
        nobody = self.name.count() - 1 if self.new_name.text() else 0
        self.name.setCurrentIndex(known if known >= 0 else nobody)

    def missing(self) -> str:
        """What is not written yet, in words; goes there. Empty where nothing is missing."""
        if not self.signer:
            self.new_name.setFocus()
            return "Write your name." if self._enrols else "Nobody signs here yet."
        if not self.pin.text():
            self.pin.setFocus()
            return "Enter your PIN."
        if self.is_new and self.pin.text() != self.again.text():
            self.forget_pin()
            return "The two PINs differ: enter the same one twice."
        return ""

    def take_pin(self) -> str:
        """The PIN; no widget holds it any longer."""
        self.again.take()
        return self.pin.take()

    def forget_pin(self) -> None:
        """Empty the lines, for another try."""
        self.take_pin()
        self.pin.setFocus()

    def _show_rows(self) -> None:
        for row in (self.new_name, self.again, self.note):
            self._form.setRowVisible(row, self.is_new)
        self.take_pin()
        self.resized.emit()
