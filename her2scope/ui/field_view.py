"""An accepted field, shown frozen in the place of the live picture and marked so that nobody takes it for live."""

from __future__ import annotations

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QLabel, QWidget

from her2scope.overlays.model import OverlaySelection
from her2scope.overlays.palette import Palette
from her2scope.pipeline.live import LiveResult, Mode
from her2scope.records import AcceptedField, MapPlace, TrackedFrame
from her2scope.ui.live_view import LiveView
from her2scope.ui.theme import THEME

FRAME_PX = 4
MARGIN_PX = 12


class FieldView(LiveView):
    """Drawn as a live picture is, with the reader's corrections; a drag pans and never moves the stage."""

    carries_overlays = False
    walk_asked = pyqtSignal(int)
    """To the next (1) or the previous (-1) cell: Tab stays in the picture, F6 leaves it."""

    def __init__(self, palette: Palette, selection: OverlaySelection, parent: QWidget | None = None) -> None:
        self.field: AcceptedField | None = None
        super().__init__(palette, selection, parent)
        self.setObjectName("field_view")
        self.setAccessibleName("Accepted field, not live")
        self.marks.shows_fields = False
        self.chip = QLabel(self)
        self.chip.setObjectName("field_chip")
        self.chip.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.chip.setStyleSheet(
            f"#field_chip {{ background: rgba(12, 13, 14, 205); color: {THEME.text}; padding: 5px 10px;"
            f" border-left: 4px solid {THEME.warning}; font-weight: bold; }}"
        )
        self.chip.move(MARGIN_PX, MARGIN_PX)

    def show_field(self, field: AcceptedField) -> None:
        """Show a field, or the same field after it changed; zoom and place stay with it."""
        before, self.field = self.field, field
        if before is field:
            return
        # A field that the pictures do not place has an island of its own, where nothing else lies.
        place = field.place or MapPlace(-field.number, 0.0, 0.0)
        tracked = TrackedFrame(field.result.frame, place.x_um, place.y_um, place.island)
        if before is not None and before.result.frame is field.result.frame:
            self._shown = tracked
        else:
            self.show_frame(tracked)
            self.fit()
        self.show_result(LiveResult(tracked, field.result, Mode.READING))
        self._fade.cut(1.0 if self.state.visible else 0.0)
        self.update()
        self._show_words(field)

    @property
    def shown_result(self) -> LiveResult | None:
        """The field as it is drawn."""
        return self.live if self.field is not None else None

    def _field_of_case(self) -> AcceptedField | None:
        return self.field

    def _show_words(self, field: AcceptedField) -> None:
        removed = "" if field.active else " (REMOVED, NOT COUNTED)"
        self.chip.setText(f"FIELD {field.number}{removed}, NOT LIVE   Esc or Space: back to the live picture")
        self.chip.adjustSize()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setPen(QPen(QColor(THEME.warning), FRAME_PX))
        half = FRAME_PX // 2
        painter.drawRect(self.rect().adjusted(half, half, -half, -half))

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        self.setFocus(Qt.FocusReason.MouseFocusReason)
        super().mousePressEvent(event)

    def focusNextPrevChild(self, next: bool) -> bool:  # noqa: A002 - Qt's name
        self.walk_asked.emit(1 if next else -1)
        return True
