"""Sliders for the cuts and the completeness needed: what the whole case would score, shown at once and marked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QFocusEvent, QKeyEvent, QMouseEvent, QWheelEvent
from PyQt6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QPushButton, QSlider, QVBoxLayout, QWidget

from her2scope.domain.corrections import RuleChange, RuleInForce
from her2scope.domain.score import CaseScore
from her2scope.records import CaseView
from her2scope.ui.case_head import SMALL_BUTTON
from her2scope.ui.theme import set_role
from her2scope.ui.words import HIDDEN_SCORE, probability_text, score_title

STEPS = 100
"""Steps a unit: a slider moves by 0.01 od10, or by 1 % of the outline."""
PAGE_STEPS = 5
_MOVING_KEYS = {
    Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Up, Qt.Key.Key_Down,
    Qt.Key.Key_PageUp, Qt.Key.Key_PageDown, Qt.Key.Key_Home, Qt.Key.Key_End,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Row:
    """One value of the rule that may be moved."""

    name: str
    """As in `RuleChange`."""
    label: str
    least: int
    most: int
    is_share: bool = False


ROWS = (
    _Row("stained_od10", "&Stained from", 1, 100),
    _Row("moderate_od10", "Mo&derate from", 1, 150),
    _Row("intense_od10", "&Intense from", 1, 200),
    _Row("complete_share", "&Complete from", 50, 100, is_share=True),
)
"""Ends of the sliders in steps; a value in force that lies beyond widens them."""


class CutSlider(QSlider):
    """Tells a move while it is made and once more when it is over, by mouse or by key; the wheel scrolls the panel."""

    moved = pyqtSignal()
    released = pyqtSignal()

    def __init__(self, row: _Row) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self.setRange(row.least, row.most)
        self.setPageStep(PAGE_STEPS)
        self.setAccessibleName(row.label.replace("&", ""))
        # Reached by Tab or its key: after a mouse drag the arrows still move the stage, not a cut.
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._held = self._told = False
        self.valueChanged.connect(self._tell_moved)

    @property
    def is_held(self) -> bool:
        """The reader is moving it now."""
        return self._held

    def show_value(self, steps: int) -> None:
        """Show what is in force, unless the reader is moving it."""
        if self._held:
            return
        self.blockSignals(True)
        self.setRange(min(self.minimum(), steps), max(self.maximum(), steps))
        self.setValue(steps)
        self.blockSignals(False)

    def _tell_moved(self) -> None:
        self._told = True
        self.moved.emit()
        if not self._held:  # by an assistive tool: moved and let go in one
            self._let_go()

    def _let_go(self) -> None:
        self._held = False
        if self._told:
            self._told = False
            self.released.emit()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        self._held = True
        super().mousePressEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        super().mouseReleaseEvent(event)
        self._let_go()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if event is not None and event.key() in _MOVING_KEYS:
            self._held = True
        super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent | None) -> None:
        super().keyReleaseEvent(event)
        if event is not None and event.key() in _MOVING_KEYS and not event.isAutoRepeat():
            self._let_go()

    def focusOutEvent(self, event: QFocusEvent | None) -> None:
        super().focusOutEvent(event)
        self._let_go()

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        if event is not None:
            event.ignore()


class RulePanel(QWidget):
    """Shows the rule of a `CaseView`; asks for previews while a slider moves and for the change when it is let go."""

    preview_asked = pyqtSignal(object)
    """`RuleChange`, as often as a slider moves."""
    change_asked = pyqtSignal(object)
    """`RuleChange`; an empty one asks for the stored settings."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("rule_panel")
        self._rule: RuleInForce | None = None
        self.sliders: dict[str, CutSlider] = {row.name: CutSlider(row) for row in ROWS}
        self.labels: dict[str, QLabel] = {row.name: QLabel(row.label) for row in ROWS}
        self.values: dict[str, QLabel] = {row.name: QLabel() for row in ROWS}
        self.effect = QLabel()
        self.why_not = QLabel()
        for label in (self.effect, self.why_not):
            label.setWordWrap(True)
        self.reset = QPushButton("Reset")
        self.reset.setToolTip("Back to the stored settings and the control's cut")
        self.reset.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.reset.clicked.connect(self.ask_reset)
        self._lay_out()
        for name, slider in self.sliders.items():
            slider.moved.connect(lambda name=name: self._moved(name))
            slider.released.connect(lambda name=name: self._released(name))
        self._set_enabled(frozenset(), "No case yet.")

    # ---- what is shown ---------------------------------------------------------------------------------------------

    def show_case(
        self, view: CaseView, stored: CaseScore | None, fixed: Mapping[str, str] | None = None, *, hidden: bool = False
    ) -> None:
        """Show the rule in force and what it does to the case.

        Parameters
        ----------
        stored : score by the stored settings, where the cuts were moved and it is known
        fixed : reason in words for each value that cannot be moved for this case's fields
        hidden : the computed score is not shown yet
        """
        self._rule = view.rule
        if view.rule is None:
            self._set_enabled(frozenset(), "Cuts can be moved in an open case only.")
            return
        for row in ROWS:
            self.sliders[row.name].show_value(_steps(_value(view.rule, row.name)))
            self._show_value(row)
        finished = view.finished_utc is not None
        if finished:
            self._set_enabled(frozenset(), "The case is not being read: its cuts stay as they are.")
        else:
            reasons = "; ".join(dict.fromkeys((fixed or {}).values()))
            self._set_enabled(frozenset(self.sliders) - frozenset(fixed or {}), reasons)
        self._show_effect(view, stored, hidden)

    def _show_value(self, row: _Row) -> None:
        if self._rule is None:
            return
        base = _base(self._rule, row.name)
        at = self.sliders[row.name].value()
        now = base if at == _steps(base) else at / STEPS
        label = self.values[row.name]
        moved = now != base
        label.setText(f"{_text(row, now)} ({_text(row, base)})" if moved else _text(row, now))
        set_role(label, "warning" if moved else "dim")

    def _show_effect(self, view: CaseView, stored: CaseScore | None, hidden: bool) -> None:
        rule = view.rule
        if rule is None or not (rule.deviates or rule.is_preview):
            text, role = "As stored. A moved cut is marked wherever the score stands.", "dim"
        elif hidden:
            text, role = HIDDEN_SCORE, "warning"
        else:
            before = f", as stored {_score_text(stored)}" if stored is not None else ""
            text, role = f"With moved cuts {_score_text(view.score)}{before}", "warning"
        self.effect.setText(text)
        set_role(self.effect, role)

    def _set_enabled(self, names: frozenset[str], why_not: str) -> None:
        for name, slider in self.sliders.items():
            for part in (slider, self.labels[name], self.values[name]):
                part.setEnabled(name in names)
                part.setToolTip("" if name in names else why_not)
        self.why_not.setText(why_not)
        self.why_not.setVisible(bool(why_not))
        self.reset.setEnabled(bool(names) and self._rule is not None and bool(self._rule.change))

    # ---- what the reader does --------------------------------------------------------------------------------------

    def focus_first(self) -> None:
        """Go to the first slider that can be moved."""
        for slider in self.sliders.values():
            if slider.isEnabled():
                slider.setFocus(Qt.FocusReason.ShortcutFocusReason)
                return

    def ask_reset(self) -> None:
        """Ask for the stored settings."""
        self.change_asked.emit(RuleChange())

    def _moved(self, name: str) -> None:
        self._keep_order(name)
        self.preview_asked.emit(self._change())

    def _released(self, name: str) -> None:
        self._keep_order(name)
        self.change_asked.emit(self._change())

    def _change(self) -> RuleChange:
        """What the sliders say beyond the stored settings; a slider back on its stored step is not moved at all."""
        if self._rule is None:
            return RuleChange()
        at = {name: slider.value() for name, slider in self.sliders.items()}
        moved = {name: steps / STEPS for name, steps in at.items() if steps != _steps(_base(self._rule, name))}
        return RuleChange(**moved)

    def _keep_order(self, name: str) -> None:
        """Stop a cut at its neighbours: stained <= moderate <= intense."""
        if self._rule is None:
            return
        names = [row.name for row in ROWS if not row.is_share]
        slider = self.sliders[name]
        if name in names:
            place = names.index(name)
            low = _value(self._rule, names[place - 1]) if place > 0 else 0.01
            high = _value(self._rule, names[place + 1]) if place + 1 < len(names) else math.inf
            least = math.ceil(low * STEPS - 1e-6)
            most = slider.maximum() if high == math.inf else math.floor(high * STEPS + 1e-6)
            slider.blockSignals(True)
            slider.setValue(max(least, min(most, slider.value())))
            slider.blockSignals(False)
        self._show_value(next(row for row in ROWS if row.name == name))

    # ---- assembling ------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        title = QLabel("Cuts of this case (od10)")
        set_role(title, "title")
        self.reset.setStyleSheet(SMALL_BUTTON)
        head = QHBoxLayout()
        head.addWidget(title, 1)
        head.addWidget(self.reset)
        grid = QGridLayout()
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(2)
        grid.setColumnStretch(1, 1)
        for place, row in enumerate(ROWS):
            label, value = self.labels[row.name], self.values[row.name]
            label.setBuddy(self.sliders[row.name])
            value.setMinimumWidth(value.fontMetrics().horizontalAdvance("0.00 (0.00) "))
            value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            grid.addWidget(label, place, 0)
            grid.addWidget(self.sliders[row.name], place, 1)
            grid.addWidget(value, place, 2)
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 6, 10, 6)
        column.setSpacing(4)
        column.addLayout(head)
        column.addLayout(grid)
        column.addWidget(self.effect)
        column.addWidget(self.why_not)
        set_role(self.why_not, "small")


def _steps(value: float) -> int:
    return round(value * STEPS)


def _value(rule: RuleInForce, name: str) -> float:
    return float(getattr(rule.cell if name == "complete_share" else rule.cuts, name))


def _base(rule: RuleInForce, name: str) -> float:
    return float(getattr(rule.base_cell if name == "complete_share" else rule.base_cuts, name))


def _text(row: _Row, value: float) -> str:
    return f"{value:.0%}".replace("%", "\N{NO-BREAK SPACE}%") if row.is_share else f"{value:.2f}"


def _score_text(score: CaseScore) -> str:
    """`2+ (0.93)`: a score and its probability."""
    probability = (score.score_probability or {}).get(score.score or "")
    return score_title(score.score) if probability is None else f"{score.score} ({probability_text(probability)})"
