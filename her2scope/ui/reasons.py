"""A box of reasons: as tall as they need up to a few lines, and scrolled beyond, so that none is ever cut off."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import QSize, Qt
from PyQt6.QtGui import QResizeEvent
from PyQt6.QtWidgets import QFrame, QLabel, QScrollArea, QSizePolicy

from her2scope.ui.theme import set_role


class ReasonsBox(QScrollArea):
    """Lines with a bullet each; hidden while there are none.

    Gives way to others down to `least` lines, and takes at most `most`.
    """

    def __init__(self, name: str, least: int, most: int) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Maximum)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._least, self._most = least, most
        self._label = QLabel()
        self._label.setWordWrap(True)
        self._label.setTextFormat(Qt.TextFormat.PlainText)
        self._label.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._label.setContentsMargins(0, 0, 4, 0)
        set_role(self._label, "plain")
        self.setWidget(self._label)
        self.hide()

    @property
    def text(self) -> str:
        """What it says."""
        return self._label.text()

    def show_reasons(self, reasons: Sequence[str]) -> None:
        """Say these reasons."""
        text = "\n".join(f"\N{BULLET} {reason}" for reason in reasons)
        if text != self.text:
            self._label.setText(text)
            self.setToolTip(text)
            self.setVisible(bool(reasons))
            self.updateGeometry()

    def sizeHint(self) -> QSize:
        return QSize(280, self._height_px(self._most))

    def minimumSizeHint(self) -> QSize:
        return QSize(120, self._height_px(self._least))

    def _height_px(self, lines: int) -> int:
        return min(lines * self._line_px(), self._needed_px())

    def _needed_px(self) -> int:
        return self._label.heightForWidth(max(200, self.width() - 4))

    def _line_px(self) -> int:
        """Height of one line as the label lays it out, which rounds otherwise than the font's own line spacing."""
        unwrapped_px = 100_000
        return max(1, self._label.heightForWidth(unwrapped_px) // (self.text.count("\n") + 1))

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._show_whole_lines()
        if event is not None and event.size().width() != event.oldSize().width():
            self.updateGeometry()

    def _show_whole_lines(self) -> None:
        """Leave a strip empty below rather than show half a line, which would look cut off."""
        strip_px = 0 if self._needed_px() <= self.height() else self.height() % self._line_px()
        if strip_px != self.viewportMargins().bottom():
            self.setViewportMargins(0, 0, 0, strip_px)
