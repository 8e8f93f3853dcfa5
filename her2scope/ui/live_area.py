"""The picture with what lies on it: legend, mode and messages, each in its corner."""

from __future__ import annotations

from PyQt6.QtCore import QEvent, QObject, QRect
from PyQt6.QtGui import QResizeEvent
from PyQt6.QtWidgets import QLabel, QWidget

from her2scope.pipeline.live import Mode
from her2scope.ui.legend import Legend
from her2scope.ui.live_view import LiveView
from her2scope.ui.message_bar import MessageBar
from her2scope.ui.picture_marks import SCALE_BAR_PX
from her2scope.ui.theme import THEME

MARGIN_PX = 12
MESSAGE_MAX_PX = 680


class ModeChip(QLabel):
    """Says in the picture's corner what it is looked at for, and what Space does."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("mode_chip")

    def show_mode(self, mode: Mode, expected: str, *, finished: bool = False) -> None:
        """Name the mode."""
        control = mode is Mode.CONTROL and not finished
        if finished:
            text = "FINISHED   Ctrl+N: next case"
        else:
            text = f"CONTROL {expected}   Space: read it" if control else "READING   Space: add field"
        self.setText(text)
        colour = THEME.warning if control else THEME.good if finished else THEME.accent
        self.setStyleSheet(
            f"#mode_chip {{ background: rgba(12, 13, 14, 205); color: {THEME.text}; padding: 5px 10px;"
            f" border-left: 4px solid {colour}; font-weight: bold; }}"
        )
        self.adjustSize()


class LiveArea(QWidget):
    """Holds the live view and places what lies on it."""

    def __init__(self, view: LiveView, legend: Legend, messages: MessageBar) -> None:
        super().__init__()
        self.setObjectName("live_area")
        self.view, self.legend, self.messages = view, legend, messages
        view.setParent(self)
        self.chip = ModeChip(self)
        for child in (legend, messages):
            child.setParent(self)
        messages.hide()
        messages.changed.connect(self.place_children)
        # The legend changes its own size with what it says.
        legend.installEventFilter(self)
        self.setMinimumSize(view.minimumSizeHint())

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event is not None and event.type() in (QEvent.Type.Resize, QEvent.Type.Show, QEvent.Type.Hide):
            self.place_children()
        return super().eventFilter(watched, event)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self.view.setGeometry(self.rect())
        self.place_children()

    def place_children(self) -> None:
        """Put everything in its corner."""
        self.chip.move(MARGIN_PX, MARGIN_PX)
        self._place_legend()
        if not self.messages.isHidden():
            self._place_messages()

    def _place_legend(self) -> None:
        self.legend.move(MARGIN_PX, self.height() - self.legend.height() - MARGIN_PX)

    def _place_messages(self) -> None:
        """At the bottom, beside the legend and above the scale bar: there it covers the least tissue."""
        bar, layout = self.messages, self.messages.layout()
        left = MARGIN_PX + (0 if self.legend.isHidden() else self.legend.width() + MARGIN_PX)
        width = min(MESSAGE_MAX_PX, self.width() - left - MARGIN_PX)
        height = layout.totalHeightForWidth(width) if layout is not None else bar.sizeHint().height()
        top = self.height() - SCALE_BAR_PX - 2 * MARGIN_PX - height
        bar.setGeometry(QRect(self.width() - MARGIN_PX - width, top, width, height))
        bar.raise_()
