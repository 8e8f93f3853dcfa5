"""Keys and clicks that choose a field: between the case's list of fields and the review."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QObject

from her2scope.ui.case_panel import CasePanel
from her2scope.ui.outlining import Tell
from her2scope.ui.review import Review


class FieldKeys(QObject):
    """What is shown is selected in the list; what is selected is shown when the reader asks.

    Parameters
    ----------
    read : turns the window to the reading mode
    """

    def __init__(self, review: Review, panel: CasePanel, read: Callable[[], None], tell: Tell, parent: QObject) -> None:
        super().__init__(parent)
        self._review, self._panel, self._read, self._tell = review, panel, read, tell
        panel.fields.itemActivated.connect(lambda _item: self.show_selected())
        review.changed.connect(self._select_shown)

    def handlers(self) -> dict[str, Callable[[], None]]:
        """What its actions do."""
        return {
            "show_field": self._enter,
            "remove": self._remove,
            "previous_field": lambda: self._select_by(-1),
            "next_field": lambda: self._select_by(1),
        }

    def show_selected(self) -> None:
        """Show the field that is selected in the list."""
        field = self._panel.fields.selected_field()
        if field is None:
            self._tell("No field yet: Space adds the field in view.", False)
        else:
            self._read()
            self._review.show_field(field.number)

    def _enter(self) -> None:
        """Enter closes an outline that is being drawn, else it shows the selected field."""
        if not self._review.finishes_outline():
            self.show_selected()

    def _select_by(self, places: int) -> None:
        """Go up or down the list; while a field is shown, the next one is shown."""
        self._panel.fields.select_by(places)
        if self._review.field is not None:
            self.show_selected()

    def _remove(self) -> None:
        """Delete takes what is selected: a region, the field that is shown, or the one in the list."""
        if self._review.outlining.remove_chosen(self._review.picture):
            return
        if not self._panel.fields.hasFocus():
            self._select_shown()
        self._panel.toggle_field()

    def _select_shown(self) -> None:
        """A field that came meanwhile may be selected in the list: what is shown goes before it."""
        shown = self._review.field
        rows = self._review.numbers
        if shown is not None and shown.number in rows:
            self._panel.fields.setCurrentRow(rows.index(shown.number))
