"""Questions and lists in windows of their own. None blocks the picture: it stays live behind them."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from types import TracebackType

from PyQt6.QtCore import QObject, Qt, pyqtSignal
from PyQt6.QtGui import QColor
from PyQt6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QLabel,
    QPlainTextEdit,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from her2scope.domain.errors import Her2ScopeError
from her2scope.pipeline.live import Message, Severity
from her2scope.ports import CaseSummary
from her2scope.records import CaseView
from her2scope.ui.action_table import ACTIONS, Menu, shortcut_text
from her2scope.ui.theme import THEME, font, set_role
from her2scope.ui.words import (
    CATEGORY_WORDS,
    case_title,
    count_text,
    deviation_text,
    own_score_text,
    reportable_text,
    sentence,
    utc_text,
)

log = logging.getLogger(__name__)


class Question(QDialog):
    """A question with two answers, both with a key; Esc is the one that changes nothing."""

    def __init__(self, title: str, text: str, lines: Sequence[str], yes: str, no: str, parent: QWidget | None) -> None:
        super().__init__(parent)
        self.setObjectName("question")
        self.setWindowTitle(title)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.question = QLabel(text)
        self.question.setWordWrap(True)
        self.question.setMinimumWidth(420)
        set_role(self.question, "title")
        column = QVBoxLayout(self)
        column.setContentsMargins(18, 16, 18, 14)
        column.setSpacing(9)
        column.addWidget(self.question)
        for line in lines:
            label = QLabel(line)
            label.setWordWrap(True)
            label.setTextFormat(Qt.TextFormat.PlainText)
            column.addWidget(label)
        buttons = QDialogButtonBox()
        self.yes = buttons.addButton(yes, QDialogButtonBox.ButtonRole.AcceptRole)
        self.no = buttons.addButton(no, QDialogButtonBox.ButtonRole.RejectRole)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        column.addSpacing(4)
        column.addWidget(buttons)
        if self.yes is not None:
            self.yes.setDefault(True)


def finish_question(view: CaseView, parent: QWidget | None) -> Question:
    """Whether to end the reading, with what the report will say first."""
    score = view.score
    n = count_text(len(view.active_fields), "field", "fields")
    cells = count_text(score.counts.n_tumour, "tumour cell", "tumour cells")
    own = view.reader_score
    remark = f", {own.remark}" if own is not None and own.remark else ""
    deviation = deviation_text(view.rule)
    lines = [
        f"Reference score {score.score or 'none'}, {CATEGORY_WORDS[score.category]}: {cells} in {n}.",
        *([f"{deviation}."] if deviation else []),
        f"{reportable_text(view)[0]}. Control: {view.standing.status.value}.",
        f"Your own score: {own_score_text(own)}{remark}{'' if own else ', and without one the case cannot be signed'}.",
        "The case is then in review until it is signed; until then it can be taken back to reading.",
    ]
    text = f"Finish case {case_title(view)} and write its report?"
    return Question("Finish case", text, lines, "&Finish (Enter)", "Go on &reading (Esc)", parent)


def new_case_question(view: CaseView, parent: QWidget | None) -> Question:
    """Whether to leave a case that is not finished."""
    n = count_text(len(view.active_fields), "field", "fields")
    lines = [f"It has {n}. It is saved, and her2scope offers to resume it at its next start."]
    text = f"Leave case {case_title(view)} unfinished and start the next one?"
    return Question("New case", text, lines, "&New case (Enter)", "Go on &reading (Esc)", parent)


def resume_question(summary: CaseSummary, parent: QWidget | None = None) -> Question:
    """Whether to go on with a case that was not finished."""
    fields = count_text(summary.n_fields, "field", "fields")
    lines = [f"Opened {utc_text(summary.opened_utc)}, {fields} accepted."]
    text = f"Case {summary.title or summary.case_id} was not finished."
    return Question("her2scope", text, lines, "&Resume it (Enter)", "&New case (Esc)", parent)


def ask_resume(summary: CaseSummary, parent: QWidget | None = None) -> bool:
    """Ask before the window opens, and wait for the answer: True to resume."""
    return resume_question(summary, parent).exec() == QDialog.DialogCode.Accepted


class KeysDialog(QDialog):
    """Every action with its keys, under its menu, from the same table as the menus."""

    def __init__(self, parent: QWidget | None) -> None:
        super().__init__(parent)
        self.setObjectName("keys_dialog")
        self.setWindowTitle("Keys")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.table = QTableWidget(0, 3)
        self.table.setHorizontalHeaderLabels(["Key", "Does", "More"])
        self.table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.table.setSelectionMode(QTableWidget.SelectionMode.NoSelection)
        self.table.setShowGrid(False)
        for menu in Menu:
            self._add_row(menu.value.replace("&", ""), "", "", heading=True)
            for info in ACTIONS:
                if info.menu is menu:
                    self._add_row(shortcut_text(info), info.text, info.tip)
        self._size_columns()
        _fill(self, self.table)
        self.resize(880, 640)

    def _add_row(self, *texts: str, heading: bool = False) -> None:
        row = self.table.rowCount()
        self.table.insertRow(row)
        self.table.setRowHeight(row, 30 if heading else 23)
        for column, text in enumerate(texts):
            item = QTableWidgetItem(text)
            if heading:
                item.setFont(font(bold=True))
                item.setForeground(QColor(THEME.accent))
            self.table.setItem(row, column, item)

    def _size_columns(self) -> None:
        self.table.resizeColumnsToContents()
        names, header = self.table.verticalHeader(), self.table.horizontalHeader()
        if names is not None:
            names.hide()
        if header is not None:
            header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft)
            header.setStretchLastSection(True)


class TextDialog(QDialog):
    """Text that can be read and copied."""

    def __init__(self, title: str, text: str, parent: QWidget | None) -> None:
        super().__init__(parent)
        self.setObjectName("text_dialog")
        self.setWindowTitle(title)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.box = QPlainTextEdit(text)
        self.box.setReadOnly(True)
        _fill(self, self.box)
        self.resize(760, 380)


def messages_dialog(messages: Sequence[Message], parent: QWidget | None) -> TextDialog:
    """The messages of this session, newest first."""
    lines = [f"{message.severity.value:8} {message.text}" for message in reversed(messages)]
    return TextDialog("Messages", "\n".join(lines) or "No message so far.", parent)


def _fill(dialog: QDialog, content: QWidget) -> None:
    column = QVBoxLayout(dialog)
    column.addWidget(content)
    buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
    buttons.rejected.connect(dialog.reject)
    column.addWidget(buttons)


class ExceptionCatcher(QObject):
    """Keeps the window alive when a slot fails: the reader sees a message, the log gets the traceback.

    Without a hook PyQt6 ends the process, and with it a case in the middle of a slide.
    """

    failed = pyqtSignal(object)
    """`Message`; a signal, because any thread may fail, and only the GUI thread may show it."""

    def __init__(self, show: Callable[[Message], None], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._before, self._before_threads = sys.excepthook, threading.excepthook
        self.failed.connect(show)

    def install(self) -> None:
        """Take over the hooks of the interpreter and of its threads."""
        self._before, self._before_threads = sys.excepthook, threading.excepthook
        sys.excepthook, threading.excepthook = self.catch, self._catch_in_thread

    def uninstall(self) -> None:
        """Give them back."""
        sys.excepthook, threading.excepthook = self._before, self._before_threads

    def _catch_in_thread(self, failure: threading.ExceptHookArgs) -> None:
        if failure.exc_value is not None:
            self.catch(failure.exc_type, failure.exc_value, failure.exc_traceback)

    def catch(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """Log an exception that nobody caught, and tell the reader."""
        if issubclass(kind, KeyboardInterrupt):
            self._before(kind, error, trace)
            return
        log.error("not caught: %s", "".join(traceback.format_exception(kind, error, trace)))
        if isinstance(error, Her2ScopeError):
            text = str(error)
        else:
            text = (
                f"{sentence(kind.__name__)}: {error}. The case so far is saved; if this comes again, restart her2scope."
            )
        self.failed.emit(Message(Severity.ERROR, text))
