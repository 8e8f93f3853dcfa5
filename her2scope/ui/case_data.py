"""What the case is, as the laboratory names it: a dialog that stays open until the case has taken the entries."""

from __future__ import annotations

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QComboBox, QDialog, QDialogButtonBox, QFormLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from her2scope.domain.corrections import SPECIMENS, CaseData
from her2scope.pipeline.live import Message, Severity
from her2scope.records import CaseView
from her2scope.ui.theme import set_role
from her2scope.ui.words import capitalised

NOTE = "Nothing that names the patient belongs here: these words stand in the report and in the list of cases."
_LINES = (
    ("accession", "&Accession"),
    ("block", "&Block"),
    ("slide", "&Slide"),
    ("antibody_run", "Antibody &run"),
)


class CaseDataDialog(QDialog):
    """Asks for the entries to be taken; a refusal is shown here, and nothing that was written is lost."""

    entered = pyqtSignal(object)
    """`CaseData`."""

    def __init__(self, data: CaseData, parent: QWidget | None) -> None:
        super().__init__(parent)
        self.setObjectName("case_data")
        self.setWindowTitle("Case data")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._asked: CaseData | None = None
        self.lines: dict[str, QLineEdit] = {name: QLineEdit(getattr(data, name)) for name, _ in _LINES}
        self.specimen = QComboBox()
        self.specimen.setEditable(True)
        self.specimen.addItems(["", *SPECIMENS])
        self.specimen.setCurrentText(data.specimen)
        self.refusal = QLabel()
        self.refusal.setWordWrap(True)
        self.refusal.setTextFormat(Qt.TextFormat.PlainText)
        self.refusal.hide()
        set_role(self.refusal, "bad")
        self._lay_out()
        self.lines["accession"].setFocus()

    @property
    def data(self) -> CaseData:
        """What is written now."""
        texts = {name: line.text() for name, line in self.lines.items()}
        return CaseData(**texts, specimen=self.specimen.currentText()).stripped()

    def enter(self) -> None:
        """Ask for the entries to be taken."""
        self.refusal.hide()
        self._asked = self.data
        self.entered.emit(self._asked)

    def show_case(self, view: CaseView) -> None:
        """Close once the case holds what was asked for."""
        if self._asked is not None and view.data == self._asked:
            self.accept()

    def show_message(self, message: Message) -> None:
        """Show why the entries were not taken."""
        if self._asked is not None and message.severity is not Severity.INFO:
            self.refusal.setText(capitalised(message.text))
            self.refusal.show()

    def _lay_out(self) -> None:
        form = QFormLayout()
        for name, label in _LINES[:3]:
            form.addRow(label, self.lines[name])
        form.addRow("Speci&men", self.specimen)
        for name, label in _LINES[3:]:
            form.addRow(label, self.lines[name])
        note = QLabel(NOTE)
        note.setWordWrap(True)
        set_role(note, "small")
        buttons = QDialogButtonBox()
        self.ok = buttons.addButton("&Enter", QDialogButtonBox.ButtonRole.ActionRole)
        self.cancel = buttons.addButton("Cancel (Esc)", QDialogButtonBox.ButtonRole.RejectRole)
        buttons.rejected.connect(self.reject)
        if self.ok is not None:
            self.ok.setDefault(True)
            self.ok.clicked.connect(self.enter)
        column = QVBoxLayout(self)
        column.setContentsMargins(18, 16, 18, 14)
        column.setSpacing(9)
        column.addLayout(form)
        column.addWidget(note)
        column.addWidget(self.refusal)
        column.addWidget(buttons)
        self.setMinimumWidth(440)
