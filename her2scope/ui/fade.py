"""How strongly an overlay is drawn: it fades in and out on its own tissue, and is gone at once on any other."""

from __future__ import annotations

from PyQt6.QtCore import QVariantAnimation
from PyQt6.QtWidgets import QWidget

FADE_MS = 150


class Fade(QVariantAnimation):
    """Opacity of what a widget draws; the widget is painted again at each step."""

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget)
        self._widget = widget
        self.opacity = 0.0
        """From 0, not drawn, to 1."""
        self.setDuration(FADE_MS)
        self.valueChanged.connect(self._take)

    def cut(self, opacity: float) -> None:
        """Be so strong at once: for other tissue, where even one fading outline would be wrong."""
        self.stop()
        self.opacity = opacity

    def turn(self, visible: bool) -> None:
        """Fade in or out, unless it is there or on its way already."""
        if visible == (self._target() > 0):
            return
        self.stop()
        self.setStartValue(self.opacity)
        self.setEndValue(1.0 if visible else 0.0)
        self.start()

    def _target(self) -> float:
        running = self.state() == QVariantAnimation.State.Running
        return float(self.endValue()) if running else self.opacity

    def _take(self, value: object) -> None:
        if isinstance(value, float):
            self.opacity = value
            self._widget.update()
