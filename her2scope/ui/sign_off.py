"""Dialogs of the sign-off: sign a case in review, take it back to reading, amend a signed one."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QColor, QKeyEvent, QPalette
from PyQt6.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QWidget,
)

from her2scope.domain.sign_off import CaseStatus
from her2scope.records import CaseView
from her2scope.ui.asking_dialog import AskingDialog, label
from her2scope.ui.sign_words import CONFIRMATION, is_signed, signature_text, signing_lines
from her2scope.ui.signer_form import SignerForm
from her2scope.ui.theme import THEME
from her2scope.ui.words import by_moved_cuts, case_title, count_text, field_caption, field_detail

FROZEN = "A signed case is frozen: only an amendment opens it again, and this version is kept beside it."
NO_OWN_SCORE = (
    "A case is signed with your own score, and it has none. Take it back to reading (Ctrl+Shift+F), enter your score "
    "or indeterminate, finish it, then sign."
)
SHOWN, NOT_SHOWN = "\N{CHECK MARK}", "\N{EN DASH}"
ROWS_PX, LEAST_PX = 74, 580


class SignDialog(AskingDialog):
    """Says what is signed; asks for the name, the PIN and that the annotated fields were looked at.

    Parameters
    ----------
    names : of all who may sign
    shown : numbers of the fields that this window has shown
    """

    sign_asked = pyqtSignal(str, str, bool)
    """Name, PIN, and that the fields were looked at."""
    enrol_asked = pyqtSignal(str, str, bool)
    """The same, by somebody new."""
    field_asked = pyqtSignal(int)
    """The reader wants to see this field first."""

    def __init__(self, view: CaseView, names: Sequence[str], shown: Collection[int], parent: QWidget | None) -> None:
        super().__init__("sign_case", "Sign case", parent)
        self._case_id = view.case_id
        self._has_own_score = view.reader_score is not None
        self.fields = _fields_list(view, shown)
        self.look = QPushButton("&Look at this field")
        self.look.clicked.connect(self._look)
        self.fields.itemActivated.connect(self._look)
        self.confirmed = QCheckBox(CONFIRMATION.replace("have", "&have", 1))
        _show_box(self.confirmed)
        self.signer = SignerForm(names, view.who, enrols=True)
        self._lay_out(view, shown)
        self.fields.setFocus()

    def missing(self) -> str:
        if not self._has_own_score:
            return NO_OWN_SCORE
        if not self.confirmed.isChecked():
            self.confirmed.setFocus()
            return "Look at the annotated fields, then confirm it here."
        return self.signer.missing()

    def hand_over(self) -> None:
        asked = self.enrol_asked if self.signer.is_new else self.sign_asked
        asked.emit(self.signer.signer, self.signer.take_pin(), True)

    def is_done(self, view: CaseView) -> bool:
        return view.case_id == self._case_id and is_signed(view.sign_off)

    def refused(self) -> None:
        self.signer.forget_pin()

    def _look(self) -> None:
        item = self.fields.currentItem()
        if item is not None:
            self.reject()
            self.field_asked.emit(item.data(Qt.ItemDataRole.UserRole))

    def _lay_out(self, view: CaseView, shown: Collection[int]) -> None:
        version = f"version {view.sign_off.version} of " if view.sign_off.version > 1 else ""
        self.column.addWidget(label(f"Sign {version}case {case_title(view)}?", "title"))
        for line in signing_lines(view):
            self.column.addWidget(label(line))
        seen = sum(field.number in shown for field in view.active_fields)
        fields = count_text(len(view.active_fields), "annotated field", "annotated fields")
        role = "small" if seen == len(view.active_fields) else "warning"
        row = QHBoxLayout()
        row.addWidget(label(f"This window has shown {seen} of {fields} ({SHOWN}).", role), 1)
        row.addWidget(self.look)
        self.column.addWidget(self.fields)
        self.column.addLayout(row)
        self.column.addWidget(self.confirmed)
        self.column.addWidget(self.signer)
        self.column.addWidget(label(FROZEN, "small"))
        self.end("&Sign (Enter)")
        self.setMinimumWidth(LEAST_PX)
        self.signer.resized.connect(self.grow)


class ReopenDialog(AskingDialog):
    """Asks why a case in review goes back to reading."""

    reopen_asked = pyqtSignal(str)

    def __init__(self, view: CaseView, parent: QWidget | None) -> None:
        super().__init__("reopen_case", "Back to reading", parent)
        self.reason = _reason_line()
        self.column.addWidget(label(f"Take case {case_title(view)} back to reading?", "title"))
        self.column.addWidget(label("Its fields can be changed again, and it must be finished anew to be signed."))
        self.column.addLayout(_reason_row(self.reason))
        self.end("&Back to reading (Enter)")
        self.setMinimumWidth(LEAST_PX)

    def missing(self) -> str:
        return _missing(self.reason)

    def hand_over(self) -> None:
        self.reopen_asked.emit(self.reason.text().strip())

    def is_done(self, view: CaseView) -> bool:
        return view.sign_off.status is CaseStatus.OPEN


class AmendDialog(AskingDialog):
    """Asks who opens a signed case again, and why."""

    amend_asked = pyqtSignal(str, str, str)
    """Name, PIN, reason."""

    def __init__(self, view: CaseView, names: Sequence[str], parent: QWidget | None) -> None:
        super().__init__("amend_case", "Amend signed case", parent)
        self._version = view.sign_off.version + 1
        last = view.sign_off.signatures[-1]
        self.signer = SignerForm(names, view.who, enrols=False)
        self.reason = _reason_line()
        self.column.addWidget(label(f"Amend case {case_title(view)}?", "title"))
        self.column.addWidget(
            label(
                f"Version {last.version}, signed by {signature_text(last)}, is kept as it is. Version {self._version} "
                "begins as its copy; it is read, finished and signed anew."
            )
        )
        self.column.addLayout(_reason_row(self.reason))
        self.column.addWidget(self.signer)
        self.end("&Amend (Enter)")
        self.setMinimumWidth(LEAST_PX)
        self.reason.setFocus()

    def missing(self) -> str:
        return _missing(self.reason) or self.signer.missing()

    def hand_over(self) -> None:
        self.amend_asked.emit(self.signer.signer, self.signer.take_pin(), self.reason.text().strip())

    def is_done(self, view: CaseView) -> bool:
        return view.sign_off.version == self._version

    def refused(self) -> None:
        self.signer.forget_pin()


class FieldChoice(QListWidget):
    """A list in which Enter is only for its item, and not for the dialog's button too."""

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        super().keyPressEvent(event)
        if event is not None and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            event.accept()


def _fields_list(view: CaseView, shown: Collection[int]) -> FieldChoice:
    """The annotated fields; the first one that this window has not shown is chosen."""
    made = FieldChoice()
    made.setAccessibleName("Annotated fields")
    made.setFixedHeight(ROWS_PX)
    moved = by_moved_cuts(view)
    for field in view.active_fields:
        mark = SHOWN if field.number in shown else NOT_SHOWN
        item = QListWidgetItem(f"{mark}  {field_caption(field, moved=moved)}, {field_detail(field)}")
        item.setData(Qt.ItemDataRole.UserRole, field.number)
        made.addItem(item)
    unseen = [row for row, field in enumerate(view.active_fields) if field.number not in shown]
    made.setCurrentRow(unseen[0] if unseen else 0)
    return made


def _show_box(box: QCheckBox) -> None:
    """The style's own box is as dark as the window: nobody would see that there is something to tick."""
    palette = box.palette()
    palette.setColor(QPalette.ColorRole.Base, QColor(THEME.box))
    box.setPalette(palette)


def _reason_line() -> QLineEdit:
    line = QLineEdit()
    line.setAccessibleName("Reason")
    line.setPlaceholderText("A sentence; it stands in the report")
    return line


def _reason_row(line: QLineEdit) -> QFormLayout:
    row = QFormLayout()
    row.addRow("&Reason", line)
    return row


def _missing(reason: QLineEdit) -> str:
    if reason.text().strip():
        return ""
    reason.setFocus()
    return "Write the reason."
