"""The live picture: zoom and pan in image coordinates, and the overlay that moves with the tissue."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from math import ceil, floor

from PyQt6.QtCore import QPoint, QPointF, QRect, QRectF, QSize, QSizeF, Qt, pyqtSignal
from PyQt6.QtGui import (
    QCloseEvent,
    QColor,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QRegion,
    QResizeEvent,
    QWheelEvent,
)
from PyQt6.QtWidgets import QApplication, QSizePolicy, QWidget

from her2scope.domain.cells import CellKind
from her2scope.overlays.model import OverlaySelection
from her2scope.overlays.palette import Palette
from her2scope.pipeline.live import LiveResult
from her2scope.records import AcceptedField, CaseView, TrackedFrame
from her2scope.ui.case_marks import CaseMarks
from her2scope.ui.display_meter import DisplayMeter, Painted
from her2scope.ui.fade import Fade
from her2scope.ui.frame_picture import FramePicture, on_whole_pixels, pixels_in, touched
from her2scope.ui.outline_tool import HINT, OutlineTool
from her2scope.ui.overlay_drawer import DrawnOverlay, OverlayDrawer, OverlayOrder, draw_overlay
from her2scope.ui.overlay_state import MAX_SPEED_UM_PER_S, OverlayState, overlay_state
from her2scope.ui.painters import paint_selected
from her2scope.ui.picture_marks import paint_hint, paint_notice, paint_scale_bar, scale_bar_rows
from her2scope.ui.theme import THEME
from her2scope.ui.viewport import Viewport

WHEEL_STEP = 1.0015
"""Zoom per eighth of a degree: a usual notch (120) zooms by 1.2."""
MARGIN_SHARE = 0.2
"""Of the view, drawn around it in advance, so that an overlay can move with the tissue without being drawn anew."""


class LiveView(QWidget):
    """Shows frames as they come; draws overlays only on the tissue that they were computed from.

    Overlays are drawn aside: until the newest one is drawn, the last one moves with its tissue.
    """

    carries_overlays = True
    """An overlay is moved along to later frames; False where each picture stands for itself."""
    overlay_changed = pyqtSignal(object)
    """`OverlayState`, when what is said of the overlay changed."""
    stage_drag_um = pyqtSignal(float, float)
    """The reader dragged the tissue: move the view over the slide by this much, x to the right, y down."""
    zoom_changed = pyqtSignal(float)
    clicked = pyqtSignal(QPointF, Qt.KeyboardModifier)
    """The reader clicked without dragging: the place on screen."""
    outline_closed = pyqtSignal()
    """The outline that is drawn (`tool`) is finished."""

    def __init__(self, palette: Palette, selection: OverlaySelection, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("live_view")
        self.setAccessibleName("Live picture")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.stage_draggable = False
        """Dragging moves the stage while the whole picture is in view."""
        self.max_speed_um_per_s = MAX_SPEED_UM_PER_S
        self.notice = ""
        self._not_live = ""
        """Written across a picture that is not live."""
        self.marks = CaseMarks()
        self.tool = OutlineTool()
        self.meter = DisplayMeter()
        self.setMouseTracking(True)
        self._palette, self._selection = palette, selection
        self._shown: TrackedFrame | None = None
        self._picture = FramePicture()
        self._viewport = Viewport(QSizeF(1, 1), QSizeF(1, 1))
        self._live: LiveResult | None = None
        self._drawn: LiveResult | None = None
        self._drawer = OverlayDrawer()
        self._drawer.drawn.connect(self._take_overlay)
        self._overlay: DrawnOverlay | None = None
        self._overlay_is_new = False
        self._state = overlay_state(None, None)
        self._selected: tuple[LiveResult, tuple[int, ...]] | None = None
        self._sweeps = False
        self._left_out: tuple[LiveResult, tuple[bool, ...]] | None = None
        self._is_frozen = False
        self._held_frame: TrackedFrame | None = None
        self._held_result: LiveResult | None = None
        self._drag_from: QPointF | None = None
        self._pressed_at: QPointF | None = None
        self._drag_pans = False
        self._fade = Fade(self)

    # ---- what is shown ---------------------------------------------------------------------------------------------

    @property
    def state(self) -> OverlayState:
        """Whether the overlay may be shown now, and if not, why."""
        return self._state

    @property
    def viewport(self) -> Viewport:
        """Zoom and place of the picture."""
        return self._viewport

    @property
    def shown(self) -> TrackedFrame | None:
        """The frame on screen."""
        return self._shown

    @property
    def is_frozen(self) -> bool:
        """Whether the picture is held still."""
        return self._is_frozen

    @property
    def live(self) -> LiveResult | None:
        """The newest analysis."""
        return self._live

    @property
    def drawn(self) -> LiveResult | None:
        """The analysis whose overlay is on the picture now, None where there is none."""
        return self._drawn if self._state.visible else None

    def show_frame(self, tracked: TrackedFrame) -> None:
        """Show a new frame; while the picture is frozen, the newest waits."""
        if self._is_frozen:
            self._held_frame = tracked
            return
        before, self._shown = self._shown, tracked
        height, width = tracked.frame.size_hw
        size = QSizeF(width, height)
        if size != self._viewport.image:
            self._set_viewport(Viewport.fitted(QSizeF(self.size()), size))
        self._update_state()
        if before is None or _has_other_bar(before, tracked):
            self.update()
        else:
            self._update_picture()

    def show_result(self, live: LiveResult) -> None:
        """Take a new analysis; it is drawn where its tissue is in the frame on screen."""
        if self._is_frozen:
            self._held_result = live
            return
        self._live = live
        if live.result.quality.usable:
            self._drawn = live
        self._update_state()
        self._update_picture()

    def _update_picture(self) -> None:
        """Paint the picture: what lies around it stays as it is, and so does what lies over that."""
        self.update(touched(self._viewport))

    def show_notice(self, text: str) -> None:
        """Write across the picture that it is not live, or nothing."""
        self.notice = text
        self.update()

    def show_camera(self, not_live: str) -> None:
        """Take why the picture is not live, empty where it is: the overlay goes with a picture that only looks so."""
        self._not_live = not_live
        self.show_notice(not_live)
        self._update_state()

    def set_style(self, selection: OverlaySelection, palette: Palette) -> None:
        """Choose the layers and their colours."""
        self._selection, self._palette = selection, palette
        self.update()

    def show_case(self, view: CaseView) -> None:
        """Take the case, whose fields and regions are marked; cells that its regions leave out look so."""
        if self.marks.show_case(view):
            self._renew_left_out()
        self.update()

    def show_sweep(self, on: bool) -> None:
        """Take whether fields are accepted by themselves: then only cells within outlined invasive tumour count."""
        self._sweeps = on
        self._renew_left_out()

    def left_out(self, live: LiveResult) -> tuple[bool, ...]:
        """Which cells of an analysis the reader's outlines leave out of the case; empty: none."""
        known = self._left_out
        if known is None or known[0] is not live:
            known = self._left_out = live, self.marks.left_out(live, swept=self._sweeps)
        return known[1]

    @property
    def n_left_out(self) -> int:
        """Tumour cells of the newest analysis that would count but for the reader's outlines."""
        if self._live is None:
            return 0
        flags = self.left_out(self._live)
        cells = self._live.result.cells if flags else ()
        return sum(
            out and cell.kind is CellKind.TUMOUR and cell.is_countable for cell, out in zip(cells, flags, strict=True)
        )

    def _renew_left_out(self) -> None:
        self._left_out = None
        self.update()

    def show_selected(self, live: LiveResult | None, cells: Sequence[int] = ()) -> None:
        """Draw cells of an analysis strong, as long as their tissue is in the picture."""
        self._selected = None if live is None or not cells else (live, tuple(cells))
        self.update()

    def freeze(self, frozen: bool) -> None:
        """Hold the picture still, for drawing on it; afterwards the newest frame comes at once."""
        self._is_frozen = frozen
        frame, result, self._held_frame, self._held_result = self._held_frame, self._held_result, None, None
        if not frozen:
            if frame is not None:
                self.show_frame(frame)
            if result is not None:
                self.show_result(result)
        self._show_cursor()
        self.update()

    def set_max_speed(self, um_per_s: float) -> None:
        """Take the speed above which the stage counts as moving."""
        self.max_speed_um_per_s = um_per_s
        self._update_state()

    def rest(self) -> None:
        """Stop fading and drawing: the window goes away."""
        self._fade.stop()
        self._drawer.rest()

    # ---- zoom and pan ----------------------------------------------------------------------------------------------

    def fit(self) -> None:
        """Show the whole picture."""
        self._set_viewport(Viewport.fitted(QSizeF(self.size()), self._viewport.image))

    def zoom_by(self, factor: float) -> None:
        """Zoom about the middle of the view."""
        self._set_viewport(self._viewport.zoomed(factor, QPointF(self.rect().center())))

    def bring_into_view(self, point: QPointF, margin_px: float) -> None:
        """Move the picture as little as needed to show an image point."""
        self._set_viewport(self._viewport.showing(point, margin_px))

    def show_actual_pixels(self) -> None:
        """One image pixel on one screen pixel."""
        self.zoom_by(1.0 / self._viewport.zoom)

    def _set_viewport(self, viewport: Viewport) -> None:
        zoomed = viewport.zoom != self._viewport.zoom
        self._viewport = viewport
        self._show_cursor()
        if zoomed:
            self.zoom_changed.emit(viewport.zoom)
        self.update()

    # ---- overlay ---------------------------------------------------------------------------------------------------

    def _update_state(self) -> None:
        before, self._state = self._state, overlay_state(self._shown, self._live, self.max_speed_um_per_s)
        if self._not_live and self._state.visible:
            self._state = replace(self._state, why_off="not live")
        if not self._state.same_place:
            # Other tissue: even one fading outline on it would be wrong.
            self._fade.cut(0.0)
        else:
            self._fade.turn(self._state.visible)
        if self._state.why_off != before.why_off:
            self.overlay_changed.emit(self._state)

    def _offset_of(self, live: LiveResult) -> QPointF | None:
        """How far an analysed frame's tissue has moved on the shown one, None where it is not there."""
        if not self.carries_overlays and (self._shown is None or live.result.frame is not self._shown.frame):
            return None
        place = overlay_state(self._shown, live, self.max_speed_um_per_s)
        return QPointF(place.dx_px, place.dy_px) if place.same_place else None

    def _order(self, live: LiveResult, offset: QPointF) -> OverlayOrder:
        """The overlay of `live` as it should be now: at least what of it is in view."""
        view = self._viewport.image_in_view().translated(-offset)
        margin_x, margin_y = MARGIN_SHARE * view.width(), MARGIN_SHARE * view.height()
        size_hw, field = live.result.frame.size_hw, self._field_of_case()
        order = OverlayOrder(
            live,
            self._selection,
            self._palette,
            field,
            self.left_out(live) if field is None else (),
            self._viewport.zoom,
            self.devicePixelRatioF(),
            pixels_in(view, size_hw),
        )
        if self._is_drawn(order):
            return order
        return replace(order, image_rect=pixels_in(view.adjusted(-margin_x, -margin_y, margin_x, margin_y), size_hw))

    def _field_of_case(self) -> AcceptedField | None:
        """The field whose result is shown, with the reader's corrections; a live picture is in no case yet."""
        return None

    def _is_drawn(self, order: OverlayOrder) -> bool:
        last = self._overlay
        return last is not None and last.order.looks_as(order) and last.order.image_rect.contains(order.image_rect)

    def _take_overlay(self, drawn: DrawnOverlay) -> None:
        # One that was never painted stays new when it is drawn again.
        self._overlay_is_new |= self._overlay is None or self._overlay.live is not drawn.live
        self._overlay = drawn
        self._update_picture()

    def finish_overlay(self) -> None:
        """Draw the overlay at once where it is still being drawn aside: for a picture of the window."""
        if self._drawn is not None and (offset := self._offset_of(self._drawn)) is not None:
            order = self._order(self._drawn, offset)
            if not self._is_drawn(order):
                self._take_overlay(draw_overlay(order))

    # ---- painting --------------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        if self._shown is None:
            painter.fillRect(self.rect(), QColor(THEME.picture))
            paint_notice(painter, self.rect(), self.notice or "Waiting for the camera")
            return
        overlay = self._paint_picture(painter, self._shown, self.rect() if event is None else event.rect())
        painter.end()
        frame, is_new = self._shown.frame, overlay is not None and self._overlay_is_new
        self._overlay_is_new = self._overlay_is_new and not is_new
        overlay_s = None if overlay is None else overlay.tracked.frame.captured_s
        self.meter.painted(Painted(frame.index, frame.captured_s, time.monotonic(), overlay_s, is_new))

    def _paint_picture(self, painter: QPainter, shown: TrackedFrame, wanted: QRect) -> LiveResult | None:
        """Paint the frame and all that lies on it, as far as it is wanted; the analysis whose overlay is painted."""
        image, place = self._picture.of(shown.frame.rgb, self._viewport, self.devicePixelRatioF())
        self._paint_around(painter, QRectF(place, image.deviceIndependentSize()))
        painter.drawImage(place, image)
        rect = self._viewport.picture_rect()
        overlay = self._paint_overlay(painter, rect) if self._selection.anything else None
        self.marks.paint(painter, shown, self._viewport)
        self._paint_selected(painter, shown, rect)
        self.tool.paint(painter, self._viewport)
        if not shown.doubt and wanted.intersects(scale_bar_rows(self.rect())):
            paint_scale_bar(painter, self.rect(), shown.frame.um_per_px / self._viewport.zoom)
        if self.tool.is_on and not self.tool.is_closed:
            paint_hint(painter, self.rect(), f"Picture frozen. {HINT}" if self._is_frozen else HINT)
        if self.notice:
            paint_notice(painter, self.rect(), self.notice)
        if self.hasFocus():
            painter.setPen(QColor(THEME.accent))
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))
        return overlay

    def _paint_around(self, painter: QPainter, picture: QRectF) -> None:
        """Paint what the picture does not cover."""
        whole = self.rect()
        corners = ceil(picture.left()), ceil(picture.top()), floor(picture.right()), floor(picture.bottom())
        covered = QRect(QPoint(*corners[:2]), QPoint(corners[2] - 1, corners[3] - 1))
        if not covered.contains(whole):
            painter.setClipRegion(QRegion(whole).subtracted(QRegion(covered)))
            painter.fillRect(whole, QColor(THEME.picture))
            painter.setClipping(False)

    def _paint_overlay(self, painter: QPainter, picture_rect: QRectF) -> LiveResult | None:
        """Paint the newest drawing, and have a newer one made where it is not the newest any more."""
        if self._drawn is None or self._fade.opacity <= 0 or (offset := self._offset_of(self._drawn)) is None:
            return None
        order = self._order(self._drawn, offset)
        if not self._is_drawn(order):
            self._drawer.ask(order)
        last = self._overlay
        if last is None or (moved := self._offset_of(last.live)) is None:
            return None
        # An older one stays only where it might be shown by itself: its place is sure, and it is not too old.
        if last.live is not self._drawn and not overlay_state(self._shown, last.live, self.max_speed_um_per_s).visible:
            return None
        rect, grown = last.order.image_rect, self._viewport.zoom / last.order.zoom
        place = on_whole_pixels(self._viewport.to_screen(QPointF(rect.topLeft()) + moved), self.devicePixelRatioF())
        painter.save()
        painter.setClipRect(picture_rect)
        painter.setOpacity(self._fade.opacity)
        # Between two zooms the last drawing is stretched for the moment that the next one takes.
        painter.translate(place)
        painter.scale(grown, grown)
        painter.drawImage(QPointF(0, 0), last.picture)
        painter.restore()
        return last.live

    def _paint_selected(self, painter: QPainter, shown: TrackedFrame, picture_rect: QRectF) -> None:
        if self._selected is None:
            return
        live, cells = self._selected
        place = overlay_state(shown, live, self.max_speed_um_per_s)
        if place.same_place and (shown.trusted or shown.frame is live.tracked.frame):
            painter.save()
            painter.setClipRect(picture_rect)
            corner = self._viewport.to_screen(QPointF(place.dx_px, place.dy_px))
            chosen = [live.result.cells[cell] for cell in cells]
            paint_selected(painter, chosen, corner, self._viewport.zoom, live.result.frame.um_per_px)
            painter.restore()

    # ---- mouse -----------------------------------------------------------------------------------------------------

    def closeEvent(self, event: QCloseEvent | None) -> None:
        self.rest()
        super().closeEvent(event)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        self._set_viewport(self._viewport.resized(QSizeF(self.size()), self._viewport.image))
        super().resizeEvent(event)

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        if event is not None and self._shown is not None:
            self._set_viewport(self._viewport.zoomed(WHEEL_STEP ** event.angleDelta().y(), event.position()))
            event.accept()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        if event is None or event.button() not in (Qt.MouseButton.LeftButton, Qt.MouseButton.MiddleButton):
            return
        if self.tool.is_on and event.button() == Qt.MouseButton.LeftButton:
            self.tool.press(self._in_picture(event.position()))
            self.update()
            return
        self._pressed_at = event.position() if event.button() == Qt.MouseButton.LeftButton else None
        ctrl = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        self._drag_pans = ctrl or event.button() == Qt.MouseButton.MiddleButton or not self._drag_moves_stage()
        self._drag_from = event.position()
        self._show_cursor()

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        if event is None:
            return
        if self.tool.is_on and self._drag_from is None:
            self.tool.move(self._in_picture(event.position()), self._viewport.zoom)
            self.update()
        if self._drag_from is None or self._is_still_a_click(event.position()):
            return
        self._pressed_at = None
        moved, self._drag_from = event.position() - self._drag_from, event.position()
        if self._drag_pans:
            self._set_viewport(self._viewport.panned(moved))
        elif self._shown is not None:
            # The tissue follows the hand, so the view goes the other way over the slide.
            um_per_screen_px = self._shown.frame.um_per_px / self._viewport.zoom
            self.stage_drag_um.emit(-moved.x() * um_per_screen_px, -moved.y() * um_per_screen_px)

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        pressed_at, self._pressed_at, self._drag_from = self._pressed_at, None, None
        self._show_cursor()
        if self.tool.is_on:
            if self.tool.release():
                self.outline_closed.emit()
            self.update()
        elif pressed_at is not None and event is not None:
            self.clicked.emit(pressed_at, event.modifiers())

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        if not self.tool.is_on:
            self.fit()
        else:
            self.close_outline()

    def close_outline(self) -> bool:
        """Finish the outline that is drawn; False where it has too few corners yet."""
        was_closed = self.tool.is_closed
        if self.tool.close() and not was_closed:
            self.outline_closed.emit()
        self.update()
        return self.tool.is_closed

    def _is_still_a_click(self, at: QPointF) -> bool:
        """A hand that trembles on the button drags nothing."""
        if self._pressed_at is None:
            return False
        return (at - self._pressed_at).manhattanLength() < QApplication.startDragDistance()

    def _in_picture(self, at: QPointF) -> QPointF:
        """Point of the image under a place on screen, pushed into it: outlines end at the picture's edge."""
        point, image = self._viewport.to_image(at), self._viewport.image
        return QPointF(min(image.width(), max(0.0, point.x())), min(image.height(), max(0.0, point.y())))

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        # Every key of the picture is an action of the window (`actions.py`), so that the key list is complete.
        if event is not None:
            event.ignore()

    def _drag_moves_stage(self) -> bool:
        return self.stage_draggable and self._viewport.is_fitted

    def _show_cursor(self) -> None:
        if self.tool.is_on:
            self.setCursor(Qt.CursorShape.CrossCursor)
        elif self._drag_from is not None:
            self.setCursor(Qt.CursorShape.ClosedHandCursor)
        elif self._shown is not None and (self.stage_draggable or not self._viewport.is_fitted):
            self.setCursor(Qt.CursorShape.OpenHandCursor)
        else:
            self.unsetCursor()

    def sizeHint(self) -> QSize:
        return QSize(960, 640)

    def minimumSizeHint(self) -> QSize:
        return QSize(480, 360)


def _has_other_bar(before: TrackedFrame, now: TrackedFrame) -> bool:
    """Whether the scale bar of two frames of one size differs: it may lie beside the picture."""
    return (before.frame.um_per_px, bool(before.doubt)) != (now.frame.um_per_px, bool(now.doubt))
