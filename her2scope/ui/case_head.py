"""The head of the case panel, always in view: the score, how sure it is, whether the cuts were moved, who signed it."""

from __future__ import annotations

from collections.abc import Mapping

from PyQt6.QtCore import QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QPainter, QPaintEvent
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from her2scope.domain.guideline import SCORES, Score
from her2scope.domain.score import CaseScore
from her2scope.records import CaseView
from her2scope.ui.sign_words import state_text
from her2scope.ui.status_line import ElidedLabel
from her2scope.ui.theme import SCORE_PX, SMALL_PX, THEME, font, set_role
from her2scope.ui.words import (
    CATEGORY_WORDS,
    HIDDEN_SCORE,
    capitalised,
    case_title,
    deviation_text,
    probability_text,
    reportable_text,
    score_title,
    sentence,
    where_text,
)

BAR_PX, TEXT_PX, GAP_PX = 5, 16, 6
SMALL_BUTTON = "padding: 1px 8px;"


class ProbabilityBars(QWidget):
    """The probability of each score, side by side, with its figure."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("probability_bars")
        self.setAccessibleName("Probability of each score")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._probability: Mapping[Score, float] = {}
        self.hide()

    @property
    def texts(self) -> tuple[str, ...]:
        """The figures, as `2+  0.93`."""
        known = self._probability
        return tuple(f"{score}  {probability_text(known.get(score, 0.0))}" for score in SCORES if known)

    def show_probability(self, probability: Mapping[Score, float] | None) -> None:
        """Show other probabilities; hidden where there are none."""
        self._probability = probability or {}
        words = "Probability of each score, for tissue like the accepted fields: " + ", ".join(self.texts)
        self.setToolTip(words)
        self.setAccessibleDescription(words)
        self.setVisible(bool(self._probability))
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(320, TEXT_PX + BAR_PX + 1)

    def minimumSizeHint(self) -> QSize:
        return QSize(240, self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        room = (self.width() - GAP_PX * (len(SCORES) - 1)) / len(SCORES)
        best = max(self._probability, key=lambda name: self._probability[name], default=None)
        for place, (score, text) in enumerate(zip(SCORES, self.texts, strict=False)):
            left = place * (room + GAP_PX)
            painter.setFont(font(SMALL_PX, bold=score == best))
            painter.setPen(QColor(THEME.text if score == best else THEME.dim))
            painter.drawText(QRectF(left, 0, room, TEXT_PX), int(Qt.AlignmentFlag.AlignVCenter), text)
            painter.fillRect(QRectF(left, TEXT_PX, room, BAR_PX), QColor(THEME.raised))
            filled = QRectF(left, TEXT_PX, room * self._probability.get(score, 0.0), BAR_PX)
            painter.fillRect(filled, QColor(THEME.accent))


class CaseHead(QWidget):
    """Score, category and plain sentence; marked where the cuts were moved, empty while the score is hidden."""

    data_asked = pyqtSignal()
    """The reader wants to enter what the case is."""
    reset_asked = pyqtSignal()
    """Back to the stored cuts."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.score = QLabel(score_title(None))
        self.score.setFont(font(SCORE_PX, bold=True))
        self.score.setAccessibleName("Reference score of the case")
        self.heading = ElidedLabel("No case yet")
        self.data = QPushButton("Data\N{HORIZONTAL ELLIPSIS}")
        self.data.setToolTip("Enter accession, block, slide, specimen, antibody and fixation (Ctrl+D)")
        self.where = ElidedLabel()
        self.where.hide()
        self.category = QLabel("Reference score")
        self.reportable = QLabel("No score yet")
        self.state = _wrapped("warning")
        self.sentence = _wrapped("text")
        self.probability = ProbabilityBars()
        self.deviation = _wrapped("warning")
        self.reset = QPushButton("Reset")
        self.reset.setToolTip("Back to the stored cuts")
        for button in (self.data, self.reset):
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.setStyleSheet(SMALL_BUTTON)
        self.reset.hide()
        self.data.clicked.connect(self.data_asked)
        self.reset.clicked.connect(self.reset_asked)
        self._lay_out()

    def show_case(self, view: CaseView, *, hidden: bool) -> None:
        """Show the case's score, or that the reader's own comes first."""
        self.heading.setText(f"Case {case_title(view)}")
        state, role = state_text(view.sign_off)
        self.state.setText(state)
        self.state.setVisible(bool(state))
        set_role(self.state, role)
        if hidden:
            self._show("?", "Reference score hidden", ("Not shown yet", "dim"), HIDDEN_SCORE)
            self.probability.show_probability(None)
        else:
            score = view.score
            words = f": {CATEGORY_WORDS[score.category]}" if score.score else ""
            text = capitalised(sentence(score.sentence)) if view.fields else ""
            self._show(score_title(score.score), f"Reference score{words}", reportable_text(view), text)
            self.probability.show_probability(score.score_probability)
        self._show_deviation(view, hidden)
        self._show_where(view)

    def show_stored(self, stored: CaseScore) -> None:
        """Say what the case scores by the stored settings, beside what the reader's cuts make of it."""
        self.deviation.setText(
            f"{self.deviation.text()}. Stored settings:\N{NO-BREAK SPACE}{score_title(stored.score)}"
        )

    def _show(self, score: str, category: str, reportable: tuple[str, str], words: str) -> None:
        self.score.setText(score)
        self.category.setText(category)
        text, role = reportable
        self.reportable.setText(text)
        set_role(self.reportable, role)
        self.sentence.setText(words)
        self.sentence.setVisible(bool(words))

    def _show_where(self, view: CaseView) -> None:
        """In which tissue cells are counted, where a region model says so."""
        text = where_text(view)
        self.where.setText(text)
        self.where.setVisible(bool(text))

    def _show_deviation(self, view: CaseView, hidden: bool) -> None:
        text = deviation_text(view.rule)
        self.deviation.setText(text)
        self.deviation.setVisible(bool(text))
        recorded = view.rule is not None and bool(view.rule.deviates) and not view.rule.is_preview
        self.reset.setVisible(recorded and view.finished_utc is None)
        set_role(self.score, "warning" if text and not hidden else "plain")

    def _lay_out(self) -> None:
        set_role(self.category, "title")
        set_role(self.heading, "dim")
        set_role(self.where, "dim")
        name = QHBoxLayout()
        name.setSpacing(6)
        name.addWidget(self.heading, 1)
        name.addWidget(self.data)
        beside = QVBoxLayout()
        beside.setSpacing(1)
        beside.addLayout(name)
        beside.addWidget(self.category)
        beside.addWidget(self.reportable)
        row = QHBoxLayout()
        row.setSpacing(14)
        row.addWidget(self.score)
        row.addLayout(beside, 1)
        moved = QHBoxLayout()
        moved.setSpacing(6)
        moved.addWidget(self.deviation, 1)
        moved.addWidget(self.reset)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(row)
        column.addWidget(self.where)
        column.addWidget(self.state)
        column.addLayout(moved)
        column.addWidget(self.sentence)
        column.addWidget(self.probability)


def _wrapped(role: str) -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.hide()
    set_role(label, role)
    return label
