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
    """The picture on the left, the panels on the right, the status below."""
    split = QSplitter(Qt.Orientation.Horizontal)
    split.addWidget(parts.area)
    split.addWidget(_panels(parts))
    split.setStretchFactor(0, 1)
    split.setStretchFactor(1, 0)
    split.setChildrenCollapsible(False)
    split.setHandleWidth(3)
    middle = QWidget()
    whole = QVBoxLayout(middle)
    whole.setContentsMargins(0, 0, 0, 0)
    whole.setSpacing(0)
    whole.addWidget(split, 1)
    whole.addWidget(parts.status)
    window.setCentralWidget(middle)
    window.setMinimumSize(MINIMUM_SIZE)
    _set_tab_order(parts)


def _panels(parts: Parts) -> QWidget:
    tabs = parts.tabs
    tabs.addTab(_scrolled(parts.control), "Control  F2")
    tabs.addTab(parts.case, "Case  F3")
    tabs.setDocumentMode(True)
    bar = tabs.tabBar()
    if bar is not None:
        bar.setDrawBase(False)
    column = QWidget()
    column.setMinimumWidth(PANEL_WIDTH_PX)
    stack = QVBoxLayout(column)
    stack.setContentsMargins(0, 0, 0, 0)
    stack.setSpacing(0)
    stack.addWidget(tabs, 1)
    for part in (parts.rules, parts.curve, parts.inspector):
        stack.addWidget(part)
    return column


def _set_tab_order(parts: Parts) -> None:
    control, case = parts.control, parts.case
    chain: list[QWidget] = [parts.area.view, parts.tabs]
    chain += [control.expected, control.lot, control.run, control.read, control.reason, control.override]
    chain += [case.head.data, case.head.reset, case.fields, case.annotation]
    chain += [case.own.score, case.own.ish, case.own.remark, case.remove, case.own.enter, case.finish]
    chain += [*parts.rules.sliders.values(), parts.rules.reset]
    for first, second in zip(chain, chain[1:], strict=False):
        QWidget.setTabOrder(first, second)


def _scrolled(panel: QWidget) -> QScrollArea:
    """A panel on a low screen is scrolled rather than cut."""
    area = QScrollArea()
    area.setWidget(panel)
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return area
