"""What the case is, as the laboratory names it: a dialog that stays open until the case has taken the entries."""

from __future__ import annotations

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QComboBox, QFormLayout, QLabel, QLineEdit, QWidget

from her2scope.domain.corrections import SPECIMENS, CaseData
from her2scope.domain.preanalytics import Preanalytic, cold_ischaemia, fixation
from her2scope.records import CaseView
from her2scope.ui.asking_dialog import AskingDialog, label
from her2scope.ui.theme import set_role
from her2scope.ui.words import capitalised

NOTE = "Nothing that names the patient belongs here: these words stand in the report and in the list of cases."
FORMALIN = "10 % neutral buffered formalin"
_LINES = {
    "accession": "&Accession",
    "block": "&Block",
    "slide": "&Slide",
    "antibody_clone": "Antibody c&lone",
    "antibody_run": "Antibody &run",
    "cold_ischaemia_min": "Cold &ischaemia, minutes",
    "fixation_h": "Fixation time, &hours",
}
_CHOICES = {"specimen": ("Speci&men", SPECIMENS), "fixative": ("&Fixative", (FORMALIN,))}
"""Offered words; any other may be written."""
WIDTH_PX = 560
"""A hint needs one line, usually."""
_ORDER = (
    *("accession", "block", "slide", "specimen", "antibody_clone", "antibody_run"),
    *("cold_ischaemia_min", "fixative", "fixation_h"),
)


class CaseDataDialog(AskingDialog):
    """Asks for the entries to be taken; a refusal is shown here, and nothing that was written is lost."""

    entered = pyqtSignal(object)
    """`CaseData`."""

    def __init__(self, data: CaseData, parent: QWidget | None) -> None:
        super().__init__("case_data", "Case data", parent)
        self._wanted: CaseData | None = None
        self.lines: dict[str, QLineEdit] = {name: QLineEdit(getattr(data, name)) for name in _LINES}
        self.choices: dict[str, QComboBox] = {name: _choice(words) for name, (_, words) in _CHOICES.items()}
        for name, box in self.choices.items():
            box.setCurrentText(getattr(data, name))
        self.lines["antibody_clone"].setPlaceholderText("As on the vial, e.g. 4B5")
        self.ischaemia_hint, self.fixation_hint = label(""), label("")
        self._lay_out()
        for entry in (self.lines["cold_ischaemia_min"], self.lines["fixation_h"]):
            entry.textChanged.connect(self._show_hints)
        self.choices["fixative"].currentTextChanged.connect(self._show_hints)
        self._show_hints()
        self.lines["accession"].setFocus()

    @property
    def specimen(self) -> QComboBox:
        """What the tissue is."""
        return self.choices["specimen"]

    @property
    def data(self) -> CaseData:
        """What is written now."""
        texts = {name: line.text() for name, line in self.lines.items()}
        chosen = {name: box.currentText() for name, box in self.choices.items()}
        return CaseData(**texts, **chosen).stripped()

    def hand_over(self) -> None:
        self._wanted = self.data
        self.entered.emit(self._wanted)

    def is_done(self, view: CaseView) -> bool:
        return view.data == self._wanted

    def _show_hints(self) -> None:
        """Hold the entries against the guideline: the tissue is what it is, so this never refuses."""
        data = self.data
        _show_hint(self.ischaemia_hint, cold_ischaemia(data.cold_ischaemia_min))
        _show_hint(self.fixation_hint, fixation(data.fixative, data.fixation_h))
        self.grow()

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setVerticalSpacing(6)
        hints = {"cold_ischaemia_min": self.ischaemia_hint, "fixation_h": self.fixation_hint}
        for name in _ORDER:
            if name in _CHOICES:
                form.addRow(_CHOICES[name][0], self.choices[name])
            else:
                form.addRow(_LINES[name], self.lines[name])
            if name in hints:
                form.addRow(hints[name])
        self.column.addLayout(form)
        self.column.addWidget(label(NOTE, "small"))
        self.end("&Enter")
        self.setMinimumWidth(WIDTH_PX)


def _choice(words: tuple[str, ...]) -> QComboBox:
    box = QComboBox()
    box.setEditable(True)
    box.addItems(["", *words])
    return box


def _show_hint(hint: QLabel, found: Preanalytic) -> None:
    hint.setText(capitalised(found.words.removeprefix(f"{found.text}: ")))
    set_role(hint, "warning" if found.meets is False else "small")
