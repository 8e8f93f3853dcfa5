"""The pathologist's own score and the ISH result, and the sentence that a difference needs."""

from __future__ import annotations

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtWidgets import QComboBox, QGridLayout, QHBoxLayout, QLabel, QLineEdit, QPushButton, QWidget

from her2scope.domain.guideline import SCORES, Ish
from her2scope.records import CaseView, ReaderScore
from her2scope.ui.theme import set_role
from her2scope.ui.words import INDETERMINATE, NOT_ENTERED, own_score_text, remark_needed


class EnterBox(QComboBox):
    """A choice that Enter hands over; reached by Tab or its key: a mouse click must not take Space from the picture."""

    entered = pyqtSignal()

    def __init__(self, name: str, *texts: str) -> None:
        super().__init__()
        self.addItems(texts)
        self.setAccessibleName(name)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if event is not None and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.entered.emit()
        else:
            super().keyPressEvent(event)


class OwnScoreForm(QWidget):
    """Keeps what the reader is writing while the case changes, and asks for a missing sentence before it sends."""

    score_entered = pyqtSignal(object)
    """`ReaderScore`."""
    ish_entered = pyqtSignal(object)
    """`Ish` or None."""
    left = pyqtSignal()
    """The reader pressed Enter, and nothing is missing."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._view: CaseView | None = None
        self._hidden = False
        self._seen_case = ""
        self.score = EnterBox("Your own score", NOT_ENTERED, *SCORES, INDETERMINATE)
        self.ish = EnterBox("ISH result", NOT_ENTERED, *(item.value for item in Ish))
        self.remark = QLineEdit()
        self.remark.setPlaceholderText("Remark")
        self.remark.setAccessibleName("Remark to your own score")
        self.hint = QLabel()
        self.hint.setWordWrap(True)
        self.hint.hide()
        set_role(self.hint, "warning")
        self.enter = QPushButton("Enter")
        self.enter.setToolTip("Enter your own score and the ISH result")
        self.enter.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._lay_out()
        self.enter.clicked.connect(self.enter_scores)
        for pressed in (self.remark.returnPressed, self.score.entered, self.ish.entered):
            pressed.connect(self._enter_and_leave)
        self.remark.textChanged.connect(self._update)
        self.score.currentIndexChanged.connect(self._update)
        self.ish.currentIndexChanged.connect(self._update)
        self._update()

    # ---- what is shown ---------------------------------------------------------------------------------------------

    def show_case(self, view: CaseView, *, hidden: bool) -> None:
        """Show what the case holds, unless the reader is about to change it; `hidden`: its score is not shown yet."""
        if self._view is not None and self._view.case_id != view.case_id:
            self._forget_entries()
        self._view, self._hidden = view, hidden
        if not hidden and view.fields:
            self._seen_case = view.case_id
        entered = view.reader_score
        _show_recorded(self.score, own_score_text(entered))
        _show_recorded(self.ish, NOT_ENTERED if view.ish is None else view.ish.value)
        _show_recorded(self.remark, entered.remark if entered else "")
        self._update()

    def _forget_entries(self) -> None:
        """Empty what the reader entered: the next case is another patient's."""
        for box in (self.score, self.ish, self.remark):
            box.setProperty("recorded", None)

    @property
    def missing_remark(self) -> str:
        """Why a sentence is needed, in words; empty where none is missing. What is hidden cannot differ."""
        reference = None if self._view is None or self._hidden else self._view.score.score
        return remark_needed(self.score.currentText(), reference, self.remark.text())

    # ---- what the reader does --------------------------------------------------------------------------------------

    def enter_scores(self) -> None:
        """Hand over the own score and the ISH result as far as they differ from what the case holds."""
        if self._scored() and self.missing_remark:
            self.ask_remark()
            return
        if self._scored():
            self.score_entered.emit(self._reader_score())
        if _changed(self.ish):
            text = self.ish.currentText()
            self.ish_entered.emit(None if text == NOT_ENTERED else Ish(text))

    def _enter_and_leave(self) -> None:
        self.enter_scores()
        if not (self._scored() and self.missing_remark):
            self.left.emit()

    def ask_remark(self) -> None:
        """Go to the remark that is missing."""
        self.remark.setFocus(Qt.FocusReason.OtherFocusReason)

    def _reader_score(self) -> ReaderScore:
        text = self.score.currentText()
        score = None if text == INDETERMINATE else text
        return ReaderScore(score, self.remark.text().strip(), self._is_blind(text))

    def _is_blind(self, text: str) -> bool:
        """Blind is what was entered before the computed score was shown in this window, and a remark added to it."""
        if self._view is None:
            return False
        before = self._view.reader_score
        if before is not None and before.blind and own_score_text(before) == text:
            return True
        return self._hidden and self._seen_case != self._view.case_id

    def _scored(self) -> bool:
        return self.score.currentText() != NOT_ENTERED and (_changed(self.score) or _changed(self.remark))

    def _update(self) -> None:
        finished = self._view is not None and self._view.finished_utc is not None
        self.enter.setEnabled((self._scored() or _changed(self.ish)) and not finished)
        missing = "" if finished else self.missing_remark
        self.hint.setText(missing)
        self.hint.setVisible(bool(missing))
        self.remark.setPlaceholderText("Why?" if missing else "Remark")
        set_role(self.remark, "warning" if missing else "plain")

    # ---- assembling ------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        own, ish = QLabel("Yo&ur score"), QLabel("&ISH")
        own.setBuddy(self.score)
        ish.setBuddy(self.ish)
        scores = QHBoxLayout()
        scores.setSpacing(8)
        scores.addWidget(self.score, 1)
        scores.addWidget(ish, 0, Qt.AlignmentFlag.AlignRight)
        scores.addWidget(self.ish, 1)
        rows = QGridLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setHorizontalSpacing(8)
        rows.setVerticalSpacing(5)
        rows.addWidget(own, 0, 0)
        rows.addLayout(scores, 0, 1)
        rows.addWidget(self.hint, 1, 0, 1, 2)
        rows.addWidget(self.remark, 2, 0, 1, 2)


def _show_recorded(box: QComboBox | QLineEdit, text: str) -> None:
    """Show what the case holds, unless the reader has begun to change it."""
    if box.property("recorded") in (None, _text(box)):
        if isinstance(box, QComboBox):
            box.setCurrentText(text)
        else:
            box.setText(text)
    box.setProperty("recorded", text)


def _text(box: QComboBox | QLineEdit) -> str:
    return box.currentText() if isinstance(box, QComboBox) else box.text().strip()


def _changed(box: QComboBox | QLineEdit) -> bool:
    default = NOT_ENTERED if isinstance(box, QComboBox) else ""
    recorded = box.property("recorded")
    return bool(_text(box) != (default if recorded is None else recorded))
