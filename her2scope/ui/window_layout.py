"""Where the parts of the window stand, and in which order Tab walks through them."""

from __future__ import annotations

from dataclasses import dataclass

from PyQt6.QtCore import QSize, Qt
from PyQt6.QtWidgets import QFrame, QMainWindow, QScrollArea, QSplitter, QTabWidget, QVBoxLayout, QWidget

from her2scope.ui.case_panel import CasePanel
from her2scope.ui.cell_inspector import CellInspector
from her2scope.ui.control_panel import ControlPanel
from her2scope.ui.curve_plot import CurvePlot
from her2scope.ui.live_area import LiveArea
from her2scope.ui.rule_panel import RulePanel
from her2scope.ui.status_line import StatusLine

PANEL_WIDTH_PX = 372
MINIMUM_SIZE = QSize(1024, 640)


@dataclass(frozen=True, slots=True)
class Parts:
    """What is laid out."""

    area: LiveArea
    tabs: QTabWidget
    control: ControlPanel
    case: CasePanel
    rules: RulePanel
    curve: CurvePlot
    inspector: CellInspector
    status: StatusLine


def lay_out(window: QMainWindow, parts: Parts) -> None:
    """The picture on the left, the panels on the right, the status below.

    From the outside in: with each new parent, the style sheet goes through a part and all that it holds once more.
    """
    middle = QWidget()
    window.setCentralWidget(middle)
    whole = QVBoxLayout(middle)
    whole.setContentsMargins(0, 0, 0, 0)
    whole.setSpacing(0)
    split = QSplitter(Qt.Orientation.Horizontal)
    whole.addWidget(split, 1)
    whole.addWidget(parts.status)
    split.addWidget(parts.area)
    column = QWidget()
    split.addWidget(column)
    _fill_column(column, parts)
    split.setStretchFactor(0, 1)
    split.setStretchFactor(1, 0)
    split.setChildrenCollapsible(False)
    split.setHandleWidth(3)
    window.setMinimumSize(MINIMUM_SIZE)
    _set_tab_order(parts)


def _fill_column(column: QWidget, parts: Parts) -> None:
    column.setMinimumWidth(PANEL_WIDTH_PX)
    stack = QVBoxLayout(column)
    stack.setContentsMargins(0, 0, 0, 0)
    stack.setSpacing(0)
    tabs = parts.tabs
    stack.addWidget(tabs, 1)
    for part in (parts.rules, parts.curve, parts.inspector):
        stack.addWidget(part)
    scrolled = _scrolling()
    tabs.addTab(scrolled, "Control  F2")
    scrolled.setWidget(parts.control)
    tabs.addTab(parts.case, "Case  F3")
    tabs.setDocumentMode(True)
    bar = tabs.tabBar()
    if bar is not None:
        bar.setDrawBase(False)


def _set_tab_order(parts: Parts) -> None:
    control, case = parts.control, parts.case
    chain: list[QWidget] = [parts.area.view, parts.tabs]
    chain += [control.expected, control.lot, control.run, control.read, control.reason, control.override]
    chain += [case.head.data, case.head.reset, case.fields, case.annotation]
    chain += [case.own.score, case.own.ish, case.own.remark, case.remove, case.own.enter, case.finish]
    chain += [*parts.rules.sliders.values(), parts.rules.reset]
    for first, second in zip(chain, chain[1:], strict=False):
        QWidget.setTabOrder(first, second)


def _scrolling() -> QScrollArea:
    """A panel on a low screen is scrolled rather than cut."""
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return area
