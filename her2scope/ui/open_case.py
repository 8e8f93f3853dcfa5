"""The stored cases in a table, to open one of them: any number of them, sorted and filtered."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QColor, QKeyEvent
from PyQt6.QtWidgets import QAbstractItemView, QLineEdit, QTableWidget, QTableWidgetItem, QWidget

from her2scope.ports import CaseSummary
from her2scope.records import CaseView
from her2scope.ui.asking_dialog import AskingDialog, label
from her2scope.ui.sign_words import summary_state
from her2scope.ui.theme import THEME, set_role
from her2scope.ui.words import capitalised, count_text, utc_text

COLUMNS = ("Case", "Accession, slide", "Opened (UTC)", "Fields", "State", "Signed by", "Cannot be opened")
WIDTHS_PX = (186, 160, 140, 64, 150, 160)
SIZE_PX = (1120, 560)
LOCKED = "open in another program"
HERE = "open in this window"
FIELDS = COLUMNS.index("Fields")


class OpenCaseDialog(AskingDialog):
    """Lists the cases; one that cannot be opened is listed with its reason.

    Parameters
    ----------
    present : the case of this window
    """

    open_asked = pyqtSignal(str)
    """Id of a case."""

    def __init__(self, cases: Sequence[CaseSummary], present: CaseView | None, parent: QWidget | None) -> None:
        super().__init__("open_case", "Open case", parent)
        self._wanted = ""
        self._why_not = {item.case_id: why_not(item, present.case_id if present else "") for item in cases}
        self.filter = FilterLine()
        self.filter.setPlaceholderText("Filter: any part of a line")
        self.filter.setAccessibleName("Filter of the cases")
        self.table = _table(cases, self._why_not)
        self.filter.textChanged.connect(self._filter)
        self.filter.down_asked.connect(self._go_down)
        self.table.cellDoubleClicked.connect(self.ask)
        self.table.currentCellChanged.connect(self._show_why_not)
        self.found = label("", "small")
        self._lay_out(present)
        self._filter("")
        self.filter.setFocus()

    @property
    def chosen(self) -> str:
        """Id of the case in the chosen line that is not filtered away; empty where none is chosen."""
        row = self.table.currentRow()
        item = self.table.item(row, 0)
        return "" if item is None or self.table.isRowHidden(row) else item.text()

    def missing(self) -> str:
        if not self.chosen:
            return "Choose a case first: filter the list, and go to a line with the arrow keys."
        why = self._why_not[self.chosen]
        return f"Case {self.chosen} cannot be opened: {why.rstrip('.')}." if why else ""

    def hand_over(self) -> None:
        self._wanted = self.chosen
        self.open_asked.emit(self._wanted)

    def is_done(self, view: CaseView) -> bool:
        return view.case_id == self._wanted

    def _filter(self, text: str) -> None:
        """Hide what does not fit, and choose the first line that does and can be opened."""
        words = text.casefold().split()
        fitting = []
        for row in range(self.table.rowCount()):
            line = " ".join(_text(self.table, row, column) for column in range(len(COLUMNS))).casefold()
            fits = all(word in line for word in words)
            self.table.setRowHidden(row, not fits)
            fitting += [row] if fits else []
        self.found.setText(f"{len(fitting)} of {count_text(self.table.rowCount(), 'case', 'cases')}")
        likely = [row for row in fitting if not self._why_not[_text(self.table, row, 0)]] or fitting
        if likely and self.table.currentRow() not in likely:
            self.table.setCurrentCell(likely[0], 0)
        self._show_why_not()

    def _go_down(self) -> None:
        """From the filter to the line below the chosen one, where there is one."""
        self.table.setFocus()
        below = range(self.table.currentRow() + 1, self.table.rowCount())
        row = next((row for row in below if not self.table.isRowHidden(row)), None)
        if row is not None:
            self.table.setCurrentCell(row, 0)

    def _show_why_not(self) -> None:
        """The column may be too narrow for it."""
        self.refuse(self.missing() if self.chosen else "")

    def _lay_out(self, present: CaseView | None) -> None:
        self.column.addWidget(self.filter)
        self.column.addWidget(self.table, 1)
        self.column.addWidget(self.found)
        if present is not None and present.finished_utc is None and present.fields:
            kept = label(f"Case {present.case_id} of this window is not finished. It is kept as it is.")
            set_role(kept, "warning")
            self.column.addWidget(kept)
        self.end("&Open (Enter)")
        self.resize(*SIZE_PX)


class FilterLine(QLineEdit):
    """A line from which the down arrow goes to the list."""

    down_asked = pyqtSignal()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if event is not None and event.key() == Qt.Key.Key_Down:
            self.down_asked.emit()
        else:
            super().keyPressEvent(event)


def why_not(summary: CaseSummary, present: str) -> str:
    """Why a case cannot be opened, in words; empty where it can."""
    if summary.case_id == present:
        return HERE
    if summary.problem:
        return summary.problem.replace(f"Case {summary.case_id} ", "it ", 1)  # the line names it already
    return LOCKED if summary.locked else ""


def _table(cases: Sequence[CaseSummary], why: dict[str, str]) -> QTableWidget:
    table = QTableWidget(len(cases), len(COLUMNS))
    table.setAccessibleName("Stored cases")
    table.setHorizontalHeaderLabels(COLUMNS)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    table.setTabKeyNavigation(False)  # Tab leaves the table, arrows move in it
    table.setShowGrid(False)
    for row, summary in enumerate(cases):
        _fill_row(table, row, summary, capitalised(why[summary.case_id]))
    for column, width in enumerate(WIDTHS_PX):
        table.setColumnWidth(column, width)
    names, header = table.verticalHeader(), table.horizontalHeader()
    if names is not None:
        names.setDefaultSectionSize(24)
        names.hide()
    if header is not None:
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft)
        header.setStretchLastSection(True)
        header.setSortIndicator(COLUMNS.index("Opened (UTC)"), Qt.SortOrder.DescendingOrder)
    table.setSortingEnabled(True)
    return table


def _fill_row(table: QTableWidget, row: int, summary: CaseSummary, why: str) -> None:
    opened = utc_text(summary.opened_utc).removesuffix(" UTC")
    texts = (summary.case_id, summary.title, opened, "", summary_state(summary), summary.signed_by, why)
    for column, text in enumerate(texts):
        item = QTableWidgetItem(text)
        if column == FIELDS:
            item.setData(Qt.ItemDataRole.DisplayRole, summary.n_fields)  # a number, so that 9 sorts before 10
        item.setToolTip(why or text)
        if why:
            item.setForeground(QColor(THEME.dim))
        table.setItem(row, column, item)


def _text(table: QTableWidget, row: int, column: int) -> str:
    item = table.item(row, column)
    return "" if item is None else item.text()
