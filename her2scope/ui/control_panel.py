"""The run's positive control: choose its level, read it, see the verdict with every reason."""

from __future__ import annotations

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtGui import QPixmap
from PyQt6.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from her2scope.domain.control import CUTS_WORDS, CutsFrom
from her2scope.domain.control_material import ANCHOR_LEVEL, ControlMaterial, next_level
from her2scope.domain.guideline import SCORES, Score
from her2scope.domain.score import ControlStatus
from her2scope.records import CaseView, ControlReading
from her2scope.ui.images import thumbnail
from her2scope.ui.reasons import ReasonsBox
from her2scope.ui.theme import font, set_role
from her2scope.ui.words import (
    STATUS_ROLES,
    STATUS_SYMBOLS,
    next_step_text,
    open_ends_text,
    reading_text,
    sentence,
    sufficient_levels,
    verdict_title,
)

THUMBNAIL = QSize(150, 100)
LEVELS: tuple[Score, ...] = tuple(reversed(SCORES))


class ControlPanel(QWidget):
    """Shows the readings of a case; asks for new ones and for an override by signals."""

    read_asked = pyqtSignal(str, str, str)
    """Expected score, lot and run."""
    override_asked = pyqtSignal(str)
    """The written reason."""

    def __init__(self, material: ControlMaterial, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("control_panel")
        self._material = material
        self._case_id = ""
        self._n_readings = 0
        self.moved_on = False
        """The level was chosen by the program after a good reading, not by the reader."""
        self.next_step = QLabel()
        self.next_step.setWordWrap(True)
        self.next_step.setAccessibleName("What to show next")
        self.expected = QComboBox()
        self.expected.addItems(LEVELS)
        self.expected.setAccessibleName("Known score of the control")
        self.expected.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.lot = QLineEdit()
        self.lot.setPlaceholderText("antibody lot")
        self.lot.setToolTip("Antibody lot of this run: each lot has its own chart in the history")
        self.run = QLineEdit()
        self.run.setPlaceholderText("today")
        self.run.setToolTip("Name of the staining run; without one it is called by today's date")
        for entry in (self.lot, self.run):
            # They share what a row has, and do not widen the panel.
            entry.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.read = QPushButton("Read control")
        self.read.setToolTip("Read the field in view as a control of that level (Space in control mode)")
        self.read.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.badge = QLabel()
        self.badge.setFont(font(20, bold=True))
        self.badge.setAccessibleName("Verdict of the last control reading")
        self.summary = QLabel()
        self.summary.setWordWrap(True)
        self.reasons = ReasonsBox("Reasons for the verdict", least=4, most=11)
        self.picture = QLabel()
        self.picture.setAccessibleName("The control field that was read last")
        self.levels = QLabel()
        self.levels.setWordWrap(True)
        self.open_ends = QLabel()
        self.open_ends.setWordWrap(True)
        self.open_ends.setAccessibleName("What the levels read so far cannot vouch for")
        self.reason = QLineEdit()
        self.reason.setPlaceholderText("Reason, for the report")
        self.reason.setAccessibleName("Reason for scoring in spite of an invalid control")
        self.override = QPushButton("Override")
        self.override.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.override_row = QWidget()
        self.overridden = QLabel()
        self.overridden.setWordWrap(True)
        self._lay_out()
        self.expected.activated.connect(self.choose_level)
        self.read.clicked.connect(self.ask_reading)
        self.override.clicked.connect(self.ask_override)
        self.reason.returnPressed.connect(self.ask_override)
        self.reason.textChanged.connect(self._update_override)
        self._update_override()
        self._show_nothing()

    # ---- what is shown ---------------------------------------------------------------------------------------------

    def show_case(self, view: CaseView) -> None:
        """Show the case's readings as they are now."""
        if view.controls:
            self._show_reading(view.controls[-1], view)
        else:
            self._show_nothing()
        self._show_next(view)
        invalid = view.standing.status is ControlStatus.INVALID
        self.override_row.setVisible(invalid and not view.standing.overridden)
        self.overridden.setVisible(invalid and view.standing.overridden)
        self.overridden.setText(f"Overridden by the reader: {view.override_reason or ''}")
        self.read.setEnabled(view.finished_utc is None)

    def _show_reading(self, reading: ControlReading, view: CaseView) -> None:
        self.badge.setText(verdict_title(reading.verdict))
        set_role(self.badge, STATUS_ROLES[reading.verdict.status])
        self.summary.setText(sentence(reading_text(reading)))
        whose_cuts = (CUTS_WORDS[view.cuts_from],) if view.cuts_from is CutsFrom.RUN else ()
        self.reasons.show_reasons([sentence(text) for text in (*reading.verdict.reasons, *whose_cuts)])
        self.picture.setPixmap(QPixmap.fromImage(thumbnail(reading.result.frame.rgb, THUMBNAIL)))
        self.picture.show()
        self.levels.setText(_levels_text(view))

    def _show_next(self, view: CaseView) -> None:
        """Say which level to show next and what is open without it.

        In a new case and after a good reading that level is chosen; after an invalid one the reader stays at its level.
        """
        sufficient = sufficient_levels(view)
        next_one = next_level(self._material, sufficient)
        failed = any(reading.expected == next_one for reading in view.controls)
        self.next_step.setText(next_step_text(self._material, next_one, failed=failed))
        # An override answers for a missing anchor, not for a missing low end.
        answered = not view.controls or (view.standing.overridden and ANCHOR_LEVEL not in sufficient)
        ends = "" if answered else open_ends_text(sufficient)
        self.open_ends.setText(ends)
        self.open_ends.setVisible(bool(ends))
        is_new = view.case_id != self._case_id
        was_read = not is_new and len(view.controls) > self._n_readings
        if is_new or was_read:
            self.moved_on = was_read and next_one is not None and view.controls[-1].expected in sufficient
        if next_one is not None and (is_new or (was_read and self.moved_on)):
            self.expected.setCurrentText(next_one)
        self._case_id, self._n_readings = view.case_id, len(view.controls)

    def _show_nothing(self) -> None:
        self.badge.setText(f"{STATUS_SYMBOLS[ControlStatus.ABSENT]}  NOT READ")
        set_role(self.badge, STATUS_ROLES[ControlStatus.ABSENT])
        self.summary.setText(
            "Read the 3+ control of this run first: it sets the intense cut. Without it nothing is reportable."
        )
        self.reasons.show_reasons(())
        self.picture.hide()
        self.levels.setText("")
        self.override_row.hide()
        self.overridden.hide()

    # ---- what the reader does --------------------------------------------------------------------------------------

    def ask_reading(self) -> None:
        """Ask for a reading of the field in view."""
        self.read_asked.emit(self.expected.currentText(), self.lot.text().strip(), self.run.text().strip())

    def ask_override(self) -> None:
        """Ask to score in spite of an invalid control, where a reason is written and the row is offered."""
        reason = self.reason.text().strip()
        if reason and not self.override_row.isHidden():
            self.override_asked.emit(reason)

    def expect(self, level: Score) -> None:
        """Choose a level for the reader."""
        self.expected.setCurrentText(level)
        self.choose_level()

    def choose_level(self) -> None:
        """Take the level as the reader's own choice."""
        self.moved_on = False

    def _update_override(self) -> None:
        self.override.setEnabled(bool(self.reason.text().strip()))

    # ---- assembling ------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 8, 10, 8)
        column.setSpacing(7)
        column.addWidget(self.next_step)
        column.addLayout(self._question())
        column.addWidget(self.read)
        column.addSpacing(4)
        column.addWidget(self.badge)
        column.addWidget(self.summary)
        column.addWidget(self.reasons)
        column.addLayout(self._override())
        column.addWidget(self.open_ends)
        column.addLayout(self._record())
        column.addStretch(1)
        set_role(self.next_step, "title")
        set_role(self.levels, "dim")
        set_role(self.open_ends, "dim")
        set_role(self.overridden, "warning")

    def _question(self) -> QGridLayout:
        """The level over its whole row, lot and run beside each other: on a low screen each row counts."""
        grid = QGridLayout()
        grid.setHorizontalSpacing(8)
        places: tuple[tuple[str, QWidget, int, int, int], ...] = (
            ("&Expected level", self.expected, 0, 0, 3), ("&Lot", self.lot, 1, 0, 1), ("R&un", self.run, 1, 2, 1),
        )  # fmt: skip
        for name, widget, row, column, width in places:
            label = QLabel(name)
            label.setBuddy(widget)
            grid.addWidget(label, row, column)
            grid.addWidget(widget, row, column + 1, 1, width)
        grid.setColumnStretch(1, 1)
        grid.setColumnStretch(3, 1)
        return grid

    def _record(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(12)
        top = Qt.AlignmentFlag.AlignTop
        row.addWidget(self.picture, 0, top)
        row.addWidget(self.levels, 1, top)
        return row

    def _override(self) -> QVBoxLayout:
        row = QHBoxLayout(self.override_row)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.reason, 1)
        row.addWidget(self.override)
        both = QVBoxLayout()
        both.addWidget(self.override_row)
        both.addWidget(self.overridden)
        return both


def _levels_text(view: CaseView) -> str:
    """Every reading of this case, oldest first: none is ever forgotten."""
    lines = ["Read so far"]
    for reading in view.controls:
        status = reading.verdict.status
        joined = f", with {', '.join(map(str, reading.with_earlier))}" if reading.with_earlier else ""
        lines.append(f"{reading.number}.  {reading.expected}  {STATUS_SYMBOLS[status]} {status.value}{joined}")
    return "\n".join(lines)
