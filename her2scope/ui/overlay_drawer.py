"""Draws overlays aside, so that the picture never waits for them: only the newest order counts."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

from PyQt6.QtCore import QObject, QRect, QSize, pyqtSignal
from PyQt6.QtGui import QImage, QPainter, QTransform

from her2scope.overlays.model import OverlaySelection
from her2scope.overlays.palette import Palette
from her2scope.pipeline.live import LiveResult
from her2scope.records import AcceptedField
from her2scope.ui.frame_picture import SMOOTH_BELOW_ZOOM
from her2scope.ui.painters import painters_for

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class OverlayOrder:
    """Which overlay is wanted."""

    live: LiveResult
    selection: OverlaySelection
    palette: Palette
    field: AcceptedField | None
    """The field of a case whose result it is, with the reader's corrections; None: it is in no case."""
    left_out: tuple[bool, ...]
    """Cells that the reader's outlines leave out; empty: none."""
    zoom: float
    ratio: float
    """Device pixels per screen pixel."""
    image_rect: QRect
    """What of the analysed frame it covers, in whole image pixels."""

    def looks_as(self, other: OverlayOrder) -> bool:
        """Whether a drawing of `other` shows the same marks in the same style and size, wherever it ends."""
        return (
            self.live is other.live
            and self.selection == other.selection
            and self.palette is other.palette
            and self.field is other.field
            and self.left_out == other.left_out
            and (self.zoom, self.ratio) == (other.zoom, other.ratio)
        )


@dataclass(frozen=True, slots=True, eq=False)
class DrawnOverlay:
    """An order, and its drawing at screen size; nothing paints on it any more."""

    order: OverlayOrder
    picture: QImage

    @property
    def live(self) -> LiveResult:
        """The analysis that is drawn."""
        return self.order.live


def draw_overlay(order: OverlayOrder) -> DrawnOverlay:
    """Draw an order; any thread may."""
    rect, scale = order.image_rect, order.zoom * order.ratio
    # Cells at the right and the lower edge have markers that reach a little beyond the picture's last pixel.
    size = QSize(int(rect.width() * scale) + 2, int(rect.height() * scale) + 2)
    picture = QImage(size, QImage.Format.Format_ARGB32_Premultiplied)
    picture.setDevicePixelRatio(order.ratio)
    picture.fill(0)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, order.zoom < SMOOTH_BELOW_ZOOM)
    painter.setTransform(QTransform.fromScale(order.zoom, order.zoom).translate(-rect.x(), -rect.y()))
    counted = tuple(not out for out in order.left_out)
    for layer in painters_for(order.selection, order.palette, order.field, counted=lambda _result: counted):
        painter.save()
        layer.paint(painter, order.live.result, order.zoom)
        painter.restore()
    painter.end()
    return DrawnOverlay(order, picture)


class OverlayDrawer(QObject):
    """A thread that draws; its drawings arrive on the GUI thread, where it must be made.

    The thread starts with the first order. This is nobody's child: it must outlive the widget that it draws for.
    """

    drawn = pyqtSignal(object)
    """`DrawnOverlay`."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = threading.Condition()
        self._wanted: OverlayOrder | None = None
        self._asked: OverlayOrder | None = None
        self._stops = False
        self._thread: threading.Thread | None = None

    def ask(self, order: OverlayOrder) -> None:
        """Draw this next, instead of what else still waits; what was asked for last is not drawn twice."""
        asked = self._asked
        if asked is not None and asked.looks_as(order) and asked.image_rect.contains(order.image_rect):
            return
        self._asked = order
        with self._changed:
            self._wanted = order
            self._changed.notify()
        if self._thread is None:
            self._stops = False
            self._thread = threading.Thread(target=self._work, name="her2scope overlays", daemon=True)
            self._thread.start()

    def rest(self) -> None:
        """Forget what waits, and end the thread; the next order starts another. What is being drawn is waited for."""
        with self._changed:
            self._stops, self._wanted, self._asked = True, None, None
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _work(self) -> None:
        while (order := self._next()) is not None:
            drawn = _try(order)
            with self._changed:  # `rest` waits for this, and nothing is sent to a window that is gone
                if drawn is not None and not self._stops:
                    self.drawn.emit(drawn)

    def _next(self) -> OverlayOrder | None:
        with self._changed:
            self._changed.wait_for(lambda: self._stops or self._wanted is not None)
            order, self._wanted = self._wanted, None
            return order


def _try(order: OverlayOrder) -> DrawnOverlay | None:
    try:
        return draw_overlay(order)
    except Exception:  # noqa: BLE001 - in a thread it would be lost, and with it every later overlay
        LOG.exception("an overlay could not be drawn")
        return None
