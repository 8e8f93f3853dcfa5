"""The history of control readings in a window: Levey-Jennings charts of one lot, and every reading beneath."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from PyQt6.QtCore import QSize, Qt, QTimer
from PyQt6.QtGui import QColor, QImage, QPainter, QPaintEvent, QResizeEvent
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QSplitter,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from her2scope.domain.control_history import ControlEntry
from her2scope.domain.score import ControlStatus
from her2scope.domain.westgard import JudgedHistory, JudgedReading, judge_history
from her2scope.pipeline.control import SEVERITY
from her2scope.reporting.levey_jennings import ChartColours, levey_jennings
from her2scope.reporting.words import when
from her2scope.ui.images import to_qimage
from her2scope.ui.theme import THEME, set_role
from her2scope.ui.words import STATUS_ROLES, STATUS_SYMBOLS, count_text

REDRAW_MS = 60
"""After the last change of size: a picture of hundreds of runs takes longer than one step of a drag."""
ROW_PX = 23
COLUMNS = ("Time", "Run", "Level", "od10", "SD from mean", "Verdict", "Rules", "Remarks")
NOT_NAMED = "(not named)"
COLOURS = ChartColours(
    paper=THEME.window,
    ink=THEME.text,
    dim=THEME.dim,
    line=THEME.line,
    shade=THEME.panel,
    valid=THEME.accent,
    warning=THEME.warning,
    invalid=THEME.bad,
)


class LeveyJenningsView(QWidget):
    """The charts of a history, drawn at the widget's own size."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("levey_jennings")
        self.setAccessibleName("Levey-Jennings charts")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self._judged = judge_history(())
        self._image: QImage | None = None
        self._redraw = QTimer(self)
        self._redraw.setSingleShot(True)
        self._redraw.setInterval(REDRAW_MS)
        self._redraw.timeout.connect(self.redraw)

    @property
    def is_current(self) -> bool:
        """Whether the picture was drawn for the present size and history."""
        return self._image is not None and not self._redraw.isActive()

    def show_history(self, judged: JudgedHistory) -> None:
        """Draw another history."""
        self._judged = judged
        self.setAccessibleDescription(". ".join(described(judged)))
        self.redraw()

    def redraw(self) -> None:
        """Draw the charts for the widget's size and screen."""
        self._redraw.stop()
        scale = self.devicePixelRatioF()
        size_wh = (max(1, round(self.width() * scale)), max(1, round(self.height() * scale)))
        self._image = to_qimage(levey_jennings(self._judged, size_wh, scale, COLOURS))
        self._image.setDevicePixelRatio(scale)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(1000, 460)

    def minimumSizeHint(self) -> QSize:
        return QSize(480, 90 + 90 * max(1, len(self._judged.charts)))

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        self._redraw.start()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(THEME.window))
        if self._image is not None:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawImage(self.rect(), self._image)  # stretched while the size changes, sharp right after


class ControlHistoryDialog(QDialog):
    """Charts and readings of one lot, instrument and method, chosen in three boxes.

    Parameters
    ----------
    entries : the whole history, oldest first
    problems : what could not be kept as it was written (`ports.ControlHistory.problems`)
    """

    def __init__(
        self, entries: Sequence[ControlEntry], problems: Sequence[str] = (), parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setObjectName("control_history")
        self.setWindowTitle("Control history")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._judged = judge_history(())
        self.lot, self.instrument, self.method = QComboBox(), QComboBox(), QComboBox()
        self.problems, self.summary = QLabel(), QLabel()
        self.charts, self.table = LeveyJenningsView(), _table()
        self._lay_out()
        self.lot.activated.connect(self._choose_lot)
        self.instrument.activated.connect(self._choose_instrument)
        self.method.activated.connect(self._show)
        self.show_entries(entries, problems)
        self.resize(1120, 780)
        self.lot.setFocus()

    def show_entries(self, entries: Sequence[ControlEntry], problems: Sequence[str] = ()) -> None:
        """Show another state of the history: the lot, instrument and method of its newest reading."""
        self._judged = judge_history(entries)
        self.problems.setText("\n".join(problems))
        self.problems.setVisible(bool(problems))
        _offer(self.lot, (entry.lot for entry in entries))
        self._choose_lot()

    def _choose_lot(self) -> None:
        _offer(self.instrument, (item.entry.instrument for item in self._judged.only(lot=_chosen(self.lot)).readings))
        self._choose_instrument()

    def _choose_instrument(self) -> None:
        part = self._judged.only(lot=_chosen(self.lot), instrument=_chosen(self.instrument))
        _offer(self.method, (item.entry.method for item in part.readings))
        self._show()

    def _show(self) -> None:
        judged = self._judged.only(
            lot=_chosen(self.lot), instrument=_chosen(self.instrument), method=_chosen(self.method)
        )
        self.charts.show_history(judged)
        n = count_text(len(judged.readings), "reading", "readings")
        self.summary.setText(f"{n}, newest first" if judged.readings else "No control was read so far.")
        self.table.setRowCount(len(judged.readings))
        for row, reading in enumerate(reversed(judged.readings)):
            _fill_row(self.table, row, reading)
        self.table.resizeColumnsToContents()

    def _lay_out(self) -> None:
        boxes = QHBoxLayout()
        for name, box in (("&Lot", self.lot), ("&Instrument", self.instrument), ("&Method", self.method)):
            label = QLabel(name)
            label.setBuddy(box)
            box.setAccessibleName(name.replace("&", ""))
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
            boxes.addWidget(label)
            boxes.addWidget(box)
            boxes.addSpacing(12)
        boxes.addStretch(1)
        for label, role in ((self.problems, "warning"), (self.summary, "small")):
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setWordWrap(True)
            set_role(label, role)
        parts = QSplitter(Qt.Orientation.Vertical)
        parts.setChildrenCollapsible(False)
        parts.addWidget(self.charts)
        parts.addWidget(self.table)
        parts.setSizes([440, 200])
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.addLayout(boxes)
        column.addWidget(self.problems)
        column.addWidget(parts, 1)
        column.addWidget(self.summary)
        column.addWidget(buttons)


def described(judged: JudgedHistory) -> list[str]:
    """The charts in sentences, for a screen reader."""
    lines = []
    for chart in judged.charts:
        words = f"{chart.key.level} control, {count_text(len(chart.points), 'run', 'runs')}, {chart.note}"
        if chart.points:
            latest = chart.points[-1]
            z = "" if latest.z is None else f", {latest.z:+.1f} SD"
            rules = " ".join(finding.rule for finding in judged.of(latest)) or "no rule broken"
            words += f"; latest {latest.entry.intensity_od10:.2f} od10{z}, {rules}"
        lines.append(words)
    return lines or ["No chart"]


def _table() -> QTableWidget:
    table = QTableWidget(0, len(COLUMNS))
    table.setObjectName("control_readings")
    table.setAccessibleName("Control readings")
    table.setHorizontalHeaderLabels(COLUMNS)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setTabKeyNavigation(False)  # Tab leaves the table, arrows move in it
    names, header = table.verticalHeader(), table.horizontalHeader()
    if names is not None:
        names.setDefaultSectionSize(ROW_PX)
        names.hide()
    if header is not None:
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft)
        header.setStretchLastSection(True)
    return table


def _fill_row(table: QTableWidget, row: int, reading: JudgedReading) -> None:
    entry, status = reading.entry, _worst(reading)
    texts = (
        when(entry.at_utc),
        entry.run,
        entry.level,
        f"{entry.intensity_od10:.3f}" if entry.intensity_od10 else "-",
        "-" if reading.z is None else f"{reading.z:+.1f}",
        f"{STATUS_SYMBOLS[status]} {status.value}",
        " ".join(finding.rule for finding in reading.findings),
        reading.remarks,
    )
    why = "\n".join(finding.reason for finding in reading.findings)
    role = STATUS_ROLES[status]
    for column, text in enumerate(texts):
        item = QTableWidgetItem(text)
        item.setToolTip(why)
        if COLUMNS[column] == "Verdict":
            item.setForeground(QColor({"good": THEME.good, "warning": THEME.warning}.get(role, THEME.bad)))
        table.setItem(row, column, item)


def _worst(reading: JudgedReading) -> ControlStatus:
    """Its verdict together with the rules that the run breaks by now: as the chart marks it."""
    return max((reading.entry.status, *(finding.severity for finding in reading.findings)), key=SEVERITY.index)


def _offer(box: QComboBox, names: Iterable[str]) -> None:
    """Offer each name once, the newest first and chosen; the one chosen before stays where it is still there."""
    before = box.currentData()
    newest_first = list(dict.fromkeys(name.strip() for name in reversed(list(names))))
    box.clear()
    for name in newest_first:
        box.addItem(name or NOT_NAMED, name)
    if before in newest_first:
        box.setCurrentIndex(newest_first.index(before))


def _chosen(box: QComboBox) -> str | None:
    name = box.currentData()
    return name if isinstance(name, str) else None
