"""The selected cell beside the picture: what was measured, its outline unrolled, why it has its class."""

from __future__ import annotations

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QHideEvent, QShowEvent
from PyQt6.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget

from her2scope.ui.cell_facts import ShownCell, cell_facts, unrolled_cell
from her2scope.ui.outline_plot import OutlinePlot
from her2scope.ui.theme import set_role

LIVE_KEYS = "To correct a cell, add its field (Space), then show that field (Enter)."
REVIEW_KEYS = "0 to 4 class, X exclude, T not tumour, Backspace as read"
REVIEW_KEYS_TIP = "0 none, 1 incomplete faint, 2 incomplete intense, 3 complete moderate, 4 complete intense"


class CellInspector(QWidget):
    """Words and a plot; hidden while no cell is selected."""

    toggled = pyqtSignal(bool)
    """It came or went: its column has other room."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("cell_inspector")
        self.setAccessibleName("Selected cell")
        self.title, self.state, self.figures = _label("title"), _label(""), _label("dim")
        self.plot = OutlinePlot()
        self.why, self.keys = _label(""), _label("small")
        self.keys.setToolTip(REVIEW_KEYS_TIP)
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 4, 10, 6)
        column.setSpacing(2)
        for part in (self.title, self.state, self.figures, self.plot, self.why, self.keys):
            column.addWidget(part)
        self._is_compact = False
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        self.hide()

    def show_cell(self, shown: ShownCell) -> None:
        """Show one cell."""
        facts = cell_facts(shown)
        self.plot.show_outline(unrolled_cell(shown), shown.cuts)
        self._say(facts.title, facts.state, facts.figures, "\n".join(facts.why), in_review=shown.field is not None)

    def show_many(self, n_cells: int, where: str) -> None:
        """Say that several cells are selected: what is pressed next is said of all of them."""
        self._say(f"{n_cells} cells selected, {where}", "A key below is said of all of them.", "", "", in_review=True)

    def _say(self, title: str, state: str, figures: str, why: str, *, in_review: bool) -> None:
        for part, text in ((self.title, title), (self.state, state), (self.figures, figures), (self.why, why)):
            part.setText(text)
            part.setVisible(bool(text))
        self._show_parts()
        self.keys.setText(REVIEW_KEYS if in_review else LIVE_KEYS)
        self.setAccessibleDescription(f"{title}. {state} {why}")
        self.show()

    def set_compact(self, compact: bool) -> None:
        """Leave out the plot and the keys where the column is low and the sliders stand in it too."""
        self._is_compact = compact
        self._show_parts()

    def _show_parts(self) -> None:
        self.plot.setVisible(bool(self.figures.text()) and not self._is_compact)
        self.keys.setVisible(not self._is_compact)

    def showEvent(self, event: QShowEvent | None) -> None:
        super().showEvent(event)
        self.toggled.emit(True)

    def hideEvent(self, event: QHideEvent | None) -> None:
        super().hideEvent(event)
        self.toggled.emit(False)


def _label(role: str) -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    if role:
        set_role(label, role)
    return label
