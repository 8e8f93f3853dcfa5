"""The case: its reference score with reasons, shares, fields, and the pathologist's own score beside it."""

from __future__ import annotations

from PyQt6.QtCore import QEvent, Qt, pyqtSignal
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QLineEdit, QPushButton, QScrollArea, QVBoxLayout, QWidget

from her2scope.domain.score import CaseScore
from her2scope.domain.sign_off import CaseStatus
from her2scope.overlays.palette import Palette
from her2scope.records import AcceptedField, CaseView
from her2scope.ui.actions import is_shortcut_override
from her2scope.ui.case_head import CaseHead
from her2scope.ui.fields_list import FieldsList
from her2scope.ui.own_score import OwnScoreForm
from her2scope.ui.reasons import ReasonsBox
from her2scope.ui.share_chart import ShareChart
from her2scope.ui.theme import set_role
from her2scope.ui.words import by_moved_cuts, count_text, sentence

LEAST_MIDDLE_PX = 24
"""Of the scrolled part: where sliders and a cell leave no room, it gives way before the score's words are cut."""

NEXT_STEPS = {
    CaseStatus.OPEN: ("Finish case", "End the reading and write the report (Ctrl+F)"),
    CaseStatus.IN_REVIEW: ("Sign\N{HORIZONTAL ELLIPSIS}", "Sign the case with name and PIN (Ctrl+Shift+S)"),
}
"""Text and tip of the button for the next step."""
SIGNED = ("Signed", "To change a signed case, amend it (Ctrl+Shift+A)")


class AnnotationLine(QLineEdit):
    """One line for a remark to one field; that field stays the same while the selection moves on."""

    entered = pyqtSignal(int, str)
    left = pyqtSignal()
    """Entered or given up."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._number = 0
        self.setAccessibleName("Remark to the selected field")
        self.returnPressed.connect(self._enter)
        self.hide()

    def open_for(self, field: AcceptedField) -> None:
        """Write a remark to this field."""
        if self.isHidden() or field.number != self._number:
            self._number = field.number
            self.setText(field.annotation)
        self.setPlaceholderText(f"Remark to field {field.number}: Enter keeps it, Esc gives it up")
        self.show()
        self.selectAll()
        self.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def _enter(self) -> None:
        self.entered.emit(self._number, self.text().strip())
        self._leave()

    def _leave(self) -> None:
        self.hide()
        self.left.emit()

    def event(self, event: QEvent | None) -> bool:
        if is_shortcut_override(event) and isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape:
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if event is not None and event.key() == Qt.Key.Key_Escape:
            self._leave()
        else:
            super().keyPressEvent(event)


class CasePanel(QWidget):
    """Shows a `CaseView`; asks for changes by signals and shows them once the case says so."""

    remove_asked = pyqtSignal(int)
    restore_asked = pyqtSignal(int)
    annotate_asked = pyqtSignal(int, str)
    finish_asked = pyqtSignal()
    sign_asked = pyqtSignal()
    hiding_changed = pyqtSignal()
    """`hides_score` is another now."""

    def __init__(self, palette: Palette, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("case_panel")
        self._view: CaseView | None = None
        self._own_first = self._hides = False
        self.head = CaseHead()
        self.cells = QLabel("No field yet")
        self.reasons = ReasonsBox("Reasons for the score", least=3, most=6)
        self.chart = ShareChart(palette)
        self.fields = FieldsList(palette)
        self.annotation = AnnotationLine()
        self.own = OwnScoreForm()
        self.remove = _button("Remove", "Take the selected field out of the case (Delete)")
        self.finish = _button(*NEXT_STEPS[CaseStatus.OPEN])
        """The next step: in review it signs."""
        self._lay_out()
        self._connect()
        self._update_buttons()

    # ---- what is shown ---------------------------------------------------------------------------------------------

    @property
    def hides_score(self) -> bool:
        """Whether the computed score must not be given away yet: the reader wants to enter their own first."""
        return self._hides

    def set_own_first(self, own_first: bool) -> None:
        """Hide the computed score until the own one is entered, or not."""
        self._own_first = own_first
        if self._view is not None:
            self.show_case(self._view)
        else:
            self._set_hides(own_first)

    def show_case(self, view: CaseView) -> None:
        """Show the case as it is now."""
        self._view = view
        self._set_hides(self._own_first and view.reader_score is None and view.finished_utc is None)
        score, hidden = view.score, self._hides
        self.head.show_case(view, hidden=hidden)
        self.cells.setText(self._cells_text(view))
        self.reasons.show_reasons(() if hidden else _reasons(view))
        self.chart.setVisible(not hidden)
        if hidden:
            self.chart.show_shares(None, None)
        else:
            self.chart.show_shares(score.shares_percent, score.interval95_percent)
        self.fields.show_fields(view.fields, hidden=hidden, hot=_hot_fields(view), moved=by_moved_cuts(view))
        self.own.show_case(view, hidden=hidden)
        self._update_buttons()

    def show_stored(self, stored: CaseScore) -> None:
        """Show beside the case what it scores by the stored settings: the reader has moved the cuts."""
        if self._view is not None and not self._hides:
            score = self._view.score
            self.chart.show_shares(score.shares_percent, score.interval95_percent, stored.shares_percent)
            self.head.show_stored(stored)

    def set_palette(self, palette: Palette) -> None:
        """Choose the colours."""
        self.chart.set_palette(palette)
        self.fields.set_palette(palette)

    def _set_hides(self, hides: bool) -> None:
        if hides != self._hides:
            self._hides = hides
            self.hiding_changed.emit()

    def _cells_text(self, view: CaseView) -> str:
        n = len(view.active_fields)
        if not view.fields:
            return "No field yet: Space adds the field in view"
        cells = count_text(view.score.counts.n_tumour, "tumour cell", "tumour cells")
        text = f"{cells} in {count_text(n, 'field', 'fields')}"
        return f"{text}, borderline" if view.score.borderline and not self._hides else text

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

    def annotate_field(self) -> bool:
        """Open the line for a remark to the selected field; whether there is one."""
        field = self.fields.selected_field()
        if field is not None:
            self.annotation.open_for(field)
        return field is not None

    def _update_buttons(self) -> None:
        finished = self._view is not None and self._view.finished_utc is not None
        field = self.fields.selected_field()
        self.remove.setEnabled(field is not None and not finished)
        self.remove.setText("Restore" if field is not None and not field.active else "Remove")
        text, tip = NEXT_STEPS.get(self._status, SIGNED)
        self.finish.setText(text)
        self.finish.setToolTip(tip)
        signs = self._status is CaseStatus.IN_REVIEW
        self.finish.setEnabled(self._view is not None and (signs or not finished))

    @property
    def _status(self) -> CaseStatus:
        return CaseStatus.OPEN if self._view is None else self._view.sign_off.status

    def _step_on(self) -> None:
        (self.sign_asked if self._status is CaseStatus.IN_REVIEW else self.finish_asked).emit()

    # ---- assembling ------------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        self.remove.clicked.connect(self.toggle_field)
        self.finish.clicked.connect(self._step_on)
        self.annotation.entered.connect(self.annotate_asked)
        self.fields.currentRowChanged.connect(self._update_buttons)

    def _lay_out(self) -> None:
        """Head and own score stand still; what lies between them is scrolled on a low screen."""
        set_role(self.cells, "dim")
        content = QWidget()
        middle = QVBoxLayout(content)
        middle.setContentsMargins(0, 0, 0, 0)
        middle.setSpacing(6)
        middle.addWidget(self.reasons)
        middle.addWidget(self.chart)
        middle.addWidget(self.cells)
        middle.addWidget(self.fields, 1)
        self.middle = QScrollArea()
        self.middle.setWidget(content)
        self.middle.setWidgetResizable(True)
        self.middle.setFrameShape(QFrame.Shape.NoFrame)
        self.middle.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.middle.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.middle.setMinimumHeight(LEAST_MIDDLE_PX)
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 6, 10, 8)
        column.setSpacing(6)
        column.addWidget(self.head)
        column.addWidget(self.middle, 1)
        column.addWidget(self.annotation)
        column.addWidget(self.own)
        buttons = QHBoxLayout()
        for button in (self.remove, self.own.enter, self.finish):
            buttons.addWidget(button)
        column.addLayout(buttons)


def _reasons(view: CaseView) -> tuple[str, ...]:
    if not view.fields:
        return ()
    reasons = view.score.reasons
    if view.override_reason:
        reasons = (*reasons, f"override: {view.override_reason}")
    return tuple(sentence(reason) for reason in reasons)


def _hot_fields(view: CaseView) -> frozenset[int]:
    """Numbers of the fields that are hot spots of the case."""
    found = view.score.heterogeneity
    return frozenset() if found is None else frozenset(spot.number for spot in found.hot_spots)


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return button
