"""Draws overlays aside, so that the picture never waits for them: only the newest order counts."""

from __future__ import annotations

from dataclasses import dataclass

from PyQt6.QtCore import QRect, QSize
from PyQt6.QtGui import QImage, QPainter, QTransform

from her2scope.overlays.model import OverlaySelection
from her2scope.overlays.palette import Palette
from her2scope.pipeline.live import LiveResult
from her2scope.records import AcceptedField
from her2scope.ui.aside_drawer import AsideDrawer
from her2scope.ui.frame_picture import SMOOTH_BELOW_ZOOM
from her2scope.ui.painters import painters_for


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


class OverlayDrawer(AsideDrawer[OverlayOrder]):
    """Draws overlays aside, as `DrawnOverlay`."""

    name = "her2scope overlays"

    def draw(self, order: OverlayOrder) -> DrawnOverlay:
        """Draw an overlay; any thread may."""
        return draw_overlay(order)

    def covers(self, asked: OverlayOrder, order: OverlayOrder) -> bool:
        """Whether the drawing that was asked for shows the same marks, of as much of the frame."""
        return asked.looks_as(order) and asked.image_rect.contains(order.image_rect)
