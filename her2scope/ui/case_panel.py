"""The case: its reference score with reasons, shares, fields, and the pathologist's own score beside it."""

from __future__ import annotations

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QComboBox, QGridLayout, QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from her2scope.domain.guideline import SCORES, Ish
from her2scope.overlays.palette import Palette
from her2scope.records import CaseView, ReaderScore
from her2scope.ui.fields_list import FieldsList
from her2scope.ui.reasons import ReasonsBox
from her2scope.ui.share_chart import ShareChart
from her2scope.ui.status_line import ElidedLabel
from her2scope.ui.theme import SCORE_PX, font, set_role
from her2scope.ui.words import CATEGORY_WORDS, count_text, reportable_text, score_title, sentence

NOT_ENTERED = "not entered"
INDETERMINATE = "indeterminate"


class CasePanel(QWidget):
    """Shows a `CaseView`; asks for changes by signals and shows them once the case says so."""

    remove_asked = pyqtSignal(int)
    restore_asked = pyqtSignal(int)
    reader_score_entered = pyqtSignal(object)
    """`ReaderScore`."""
    ish_entered = pyqtSignal(object)
    """`Ish` or None."""
    finish_asked = pyqtSignal()

    def __init__(self, palette: Palette, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("case_panel")
        self._view: CaseView | None = None
        self.score = QLabel(score_title(None))
        self.score.setFont(font(SCORE_PX, bold=True))
        self.score.setAccessibleName("Reference score of the case")
        self.heading = ElidedLabel("No case yet")
        self.category = QLabel("Reference score")
        self.reportable = QLabel("No score yet")
        self.cells = QLabel("No field yet")
        self.reasons = ReasonsBox("Reasons for the score", least=3, most=6)
        self.chart = ShareChart(palette)
        self.fields = FieldsList(palette)
        self.own_score = _combo("Your own score", NOT_ENTERED, *SCORES, INDETERMINATE)
        self.ish = _combo("ISH result", NOT_ENTERED, *(item.value for item in Ish))
        self.remark = QLineEdit()
        self.remark.setPlaceholderText("Remark")
        self.remark.setAccessibleName("Remark to your own score")
        self.enter = _button("Enter", "Enter your own score and the ISH result")
        self.remove = _button("Remove", "Take the selected field out of the case (Delete)")
        self.finish = _button("Finish case", "Close the case and write its report (Ctrl+F)")
        self._lay_out()
        self._connect()
        self._update_buttons()

    # ---- what is shown ---------------------------------------------------------------------------------------------

    def show_case(self, view: CaseView) -> None:
        """Show the case as it is now."""
        if self._view is not None and self._view.case_id != view.case_id:
            self._forget_entries()
        self._view = view
        score = view.score
        self.score.setText(score_title(score.score))
        self.heading.setText(f"Case {view.case_id}")
        words = f": {CATEGORY_WORDS[score.category]}" if score.score else ""
        self.category.setText(f"Reference score{words}")
        text, role = reportable_text(view)
        self.reportable.setText(text)
        set_role(self.reportable, role)
        self.cells.setText(self._cells_text(view))
        self.reasons.show_reasons(_reasons(view))
        self.chart.show_shares(score.shares_percent, score.interval95_percent)
        self.fields.show_fields(view.fields)
        self._show_entered(view)
        self._update_buttons()

    def set_palette(self, palette: Palette) -> None:
        """Choose the colours."""
        self.chart.set_palette(palette)
        self.fields.set_palette(palette)

    @staticmethod
    def _cells_text(view: CaseView) -> str:
        n = len(view.active_fields)
        if not view.fields:
            return "No field yet: Space adds the field in view"
        cells = count_text(view.score.counts.n_tumour, "tumour cell", "tumour cells")
        text = f"{cells} in {count_text(n, 'field', 'fields')}"
        return f"{text}, borderline" if view.score.borderline else text

    def _forget_entries(self) -> None:
        """Empty what the reader entered: the next case is another patient's."""
        for box in (self.own_score, self.ish, self.remark):
            box.setProperty("recorded", None)

    def _show_entered(self, view: CaseView) -> None:
        """Show what the case holds, unless the reader is about to change it."""
        entered = view.reader_score
        for box, text in ((self.own_score, _score_text(entered)), (self.ish, _ish_text(view.ish))):
            if box.property("recorded") in (None, box.currentText()):
                box.setCurrentText(text)
            box.setProperty("recorded", text)
        recorded = entered.remark if entered else ""
        if self.remark.property("recorded") in (None, self.remark.text()):
            self.remark.setText(recorded)
        self.remark.setProperty("recorded", recorded)

    # ---- what the reader does --------------------------------------------------------------------------------------

    def toggle_field(self) -> None:
        """Remove the selected field, or put it back where it is removed."""
        field = self.fields.selected_field()
        if field is not None:
            (self.remove_asked if field.active else self.restore_asked).emit(field.number)

    def restore_field(self) -> None:
        """Put the selected field back; where it is in the case, the last one that was removed."""
        field = self.fields.selected_field()
        if (field is None or field.active) and self._view is not None:
            field = next((item for item in reversed(self._view.fields) if not item.active), None)
        if field is not None and not field.active:
            self.restore_asked.emit(field.number)

    def enter_scores(self) -> None:
        """Hand over the own score and the ISH result as far as they differ from what the case holds."""
        if self._score_changed() and self.own_score.currentText() != NOT_ENTERED:
            text = self.own_score.currentText()
            self.reader_score_entered.emit(
                ReaderScore(None if text == INDETERMINATE else text, self.remark.text().strip())
            )
        if self._ish_changed():
            text = self.ish.currentText()
            self.ish_entered.emit(None if text == NOT_ENTERED else Ish(text))

    def _score_changed(self) -> bool:
        return any(_changed(box, _text(box)) for box in (self.own_score, self.remark))

    def _ish_changed(self) -> bool:
        return _changed(self.ish, self.ish.currentText())

    def _update_buttons(self) -> None:
        finished = self._view is not None and self._view.finished_utc is not None
        field = self.fields.selected_field()
        self.remove.setEnabled(field is not None and not finished)
        self.remove.setText("Restore" if field is not None and not field.active else "Remove")
        scored = self._score_changed() and self.own_score.currentText() != NOT_ENTERED
        self.enter.setEnabled((scored or self._ish_changed()) and not finished)
        self.finish.setEnabled(self._view is not None and not finished)

    # ---- assembling ------------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        self.remove.clicked.connect(self.toggle_field)
        self.enter.clicked.connect(self.enter_scores)
        self.finish.clicked.connect(self.finish_asked)
        self.remark.returnPressed.connect(self.enter_scores)
        self.remark.textChanged.connect(self._update_buttons)
        self.own_score.currentIndexChanged.connect(self._update_buttons)
        self.ish.currentIndexChanged.connect(self._update_buttons)
        self.fields.currentRowChanged.connect(self._update_buttons)

    def _lay_out(self) -> None:
        set_role(self.category, "title")
        set_role(self.cells, "dim")
        set_role(self.heading, "dim")
        beside = QVBoxLayout()
        beside.setSpacing(1)
        beside.addStretch()
        beside.addWidget(self.heading)
        beside.addWidget(self.category)
        beside.addWidget(self.reportable)
        beside.addStretch()
        head = QHBoxLayout()
        head.setSpacing(14)
        head.addWidget(self.score)
        head.addLayout(beside, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 6, 10, 8)
        column.setSpacing(6)
        column.addLayout(head)
        column.addWidget(self.reasons)
        column.addWidget(self.chart)
        column.addWidget(self.cells)
        column.addWidget(self.fields, 1)
        column.addLayout(self._own_rows())

    def _own_rows(self) -> QGridLayout:
        rows = QGridLayout()
        rows.setHorizontalSpacing(8)
        rows.setVerticalSpacing(5)
        own, ish = QLabel("Yo&ur score"), QLabel("&ISH")
        own.setBuddy(self.own_score)
        ish.setBuddy(self.ish)
        scores = QHBoxLayout()
        scores.setSpacing(8)
        scores.addWidget(self.own_score, 1)
        scores.addWidget(ish, 0, Qt.AlignmentFlag.AlignRight)
        scores.addWidget(self.ish, 1)
        rows.addWidget(own, 0, 0)
        rows.addLayout(scores, 0, 1)
        rows.addWidget(self.remark, 1, 0, 1, 2)
        buttons = QHBoxLayout()
        for button in (self.remove, self.enter, self.finish):
            buttons.addWidget(button)
        rows.addLayout(buttons, 2, 0, 1, 2)
        return rows


def _reasons(view: CaseView) -> tuple[str, ...]:
    if not view.fields:
        return ()
    reasons = view.score.reasons
    if view.override_reason:
        reasons = (*reasons, f"override: {view.override_reason}")
    return tuple(sentence(reason) for reason in reasons)


def _score_text(entered: ReaderScore | None) -> str:
    return NOT_ENTERED if entered is None else entered.score or INDETERMINATE


def _ish_text(ish: Ish | None) -> str:
    return NOT_ENTERED if ish is None else ish.value


def _text(box: QComboBox | QLineEdit) -> str:
    return box.currentText() if isinstance(box, QComboBox) else box.text().strip()


def _changed(box: QComboBox | QLineEdit, text: str) -> bool:
    default = NOT_ENTERED if isinstance(box, QComboBox) else ""
    recorded = box.property("recorded")
    return bool(text != (default if recorded is None else recorded))


def _combo(name: str, *texts: str) -> QComboBox:
    box = QComboBox()
    box.addItems(texts)
    box.setAccessibleName(name)
    # Reached by Tab or its key; a mouse click must not take Space away from the picture.
    box.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return box


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return button
