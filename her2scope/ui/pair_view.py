"""Two pictures of one scale side by side: one zoom and one place for both, so that neither can differ."""

from __future__ import annotations

from PyQt6.QtCore import QPointF, QRect, QRectF, QSize, QSizeF, Qt
from PyQt6.QtGui import (
    QColor,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QTransform,
    QWheelEvent,
)
from PyQt6.QtWidgets import QSizePolicy, QWidget

from her2scope.overlays.model import CellMark, LegendEntry
from her2scope.overlays.palette import SAFE, Palette
from her2scope.phantom.compare.sheets import Piece
from her2scope.phantom.compare.truth_marks import TRUTH_LAYERS, truth_legend, truth_result
from her2scope.records import FieldResult
from her2scope.ui.frame_picture import SMOOTH_BELOW_ZOOM
from her2scope.ui.images import to_qimage
from her2scope.ui.live_view import WHEEL_STEP
from her2scope.ui.painters import draw_marker, painters_for
from her2scope.ui.picture_marks import BACKDROP, MARGIN_PX, paint_notice, paint_scale_bar
from her2scope.ui.theme import BASE_PX, SMALL_PX, THEME, font
from her2scope.ui.viewport import Viewport

GAP_PX = 4
HEADING_PX = 26
LEGEND_ROW_PX, LEGEND_MARKER_PX = 19, 5.0


class PairView(QWidget):
    """Real on the left, phantom on the right. Wheel zooms, drag pans, a double click fits."""

    def __init__(self, palette: Palette = SAFE, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("pair_view")
        self.setAccessibleName("Real picture beside phantom")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.notice = ""
        """Written across the phantom's half."""
        self._palette = palette
        self._painters = painters_for(TRUTH_LAYERS, palette)
        self._pieces: list[Piece | None] = [None, None]
        self._images = [QImage(), QImage()]
        self._truth: FieldResult | None = None
        self._shows_truth = False
        self._viewport = Viewport(QSizeF(1, 1), QSizeF(1, 1))
        self._drag_from: QPointF | None = None

    # ---- what is shown ---------------------------------------------------------------------------------------------

    @property
    def viewport(self) -> Viewport:
        """Zoom and place in either half."""
        return self._viewport

    @property
    def real(self) -> Piece | None:
        """What is on the left."""
        return self._pieces[0]

    @property
    def phantom(self) -> Piece | None:
        """What is on the right."""
        return self._pieces[1]

    @property
    def shows_truth(self) -> bool:
        """Whether the phantom's cells are drawn over it."""
        return self._shows_truth

    def show_real(self, piece: Piece) -> None:
        """Show another real picture; what is magnified stays as large in um."""
        before = self.real
        if piece is before:
            return
        self._pieces[0], self._images[0] = piece, to_qimage(piece.rgb)
        if before is None or piece.size_wh != before.size_wh or piece.um_per_px != before.um_per_px:
            self._set_phantom(None)
            port = Viewport.fitted(self._half(), QSizeF(*piece.size_wh))
            if before is not None and not self._viewport.is_fitted:
                port = _zoomed_to(port, self._viewport.zoom * piece.um_per_px / before.um_per_px)
            self._viewport = port
        self.update()

    def show_phantom(self, piece: Piece) -> None:
        """Show another phantom, of the real picture's size and scale."""
        real = self.real
        if real is None or (piece.size_wh, piece.um_per_px) != (real.size_wh, real.um_per_px):
            raise ValueError("a phantom is shown beside a real picture of its own size and scale")
        self._set_phantom(piece)
        self.update()

    def show_truth(self, shows: bool) -> None:
        """Draw the phantom's cells over it, or not."""
        self._shows_truth = shows
        self.update()

    def show_notice(self, text: str) -> None:
        """Write across the phantom's half, or nothing."""
        self.notice = text
        self.update()

    def _set_phantom(self, piece: Piece | None) -> None:
        self._pieces[1] = piece
        self._images[1] = QImage() if piece is None else to_qimage(piece.rgb)
        self._truth = None if piece is None else truth_result(piece.rgb, piece.um_per_px, piece.cells)

    # ---- zoom and pan ----------------------------------------------------------------------------------------------

    def fit(self) -> None:
        """Show both whole."""
        self._set_viewport(Viewport.fitted(self._half(), self._viewport.image))

    def fill(self) -> None:
        """Show as much of both as fills the halves: they are narrow, and whole pictures would be small in them."""
        view, image = self._viewport.view, self._viewport.image
        self._set_viewport(
            _zoomed_to(self._viewport, max(view.width() / image.width(), view.height() / image.height()))
        )

    def zoom_by(self, factor: float) -> None:
        """Zoom about the middle of each half."""
        self._set_viewport(_zoomed_to(self._viewport, self._viewport.zoom * factor))

    def show_scale(self, um_per_screen_px: float) -> None:
        """Zoom so that a pixel of the screen is that wide; not farther out than both whole."""
        if self.real is not None:
            self._set_viewport(_zoomed_to(self._viewport, self.real.um_per_px / um_per_screen_px))

    def _set_viewport(self, viewport: Viewport) -> None:
        self._viewport = viewport
        self.update()

    def _half(self) -> QSizeF:
        return QSizeF(max(1, (self.width() - GAP_PX) // 2), max(1, self.height()))

    def _half_rect(self, side: int) -> QRect:
        width = int(self._half().width())
        return QRect(side * (width + GAP_PX), 0, width, self.height())

    # ---- painting --------------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(THEME.line))
        for side in (0, 1):
            half = self._half_rect(side)
            painter.save()
            painter.setClipRect(half)
            painter.fillRect(half, QColor(THEME.picture))
            self._paint_half(painter, half, side)
            painter.restore()
        if self.hasFocus():
            painter.setPen(QColor(THEME.accent))
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))

    def _paint_half(self, painter: QPainter, half: QRect, side: int) -> None:
        piece = self._pieces[side]
        if piece is not None:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, self._viewport.zoom < SMOOTH_BELOW_ZOOM)
            painter.drawImage(self._viewport.picture_rect().translated(QPointF(half.topLeft())), self._images[side])
            if side == 1 and self._shows_truth:
                self._paint_truth(painter, half)
            paint_scale_bar(painter, half, piece.um_per_px / self._viewport.zoom)
            _paint_heading(painter, half, piece.name if not piece.is_real else f"real: {piece.name}")
        if side == 1 and self.notice:
            paint_notice(painter, half, self.notice)

    def _paint_truth(self, painter: QPainter, half: QRect) -> None:
        if self._truth is None:
            return
        zoom, corner = self._viewport.zoom, self._viewport.picture_rect().topLeft() + QPointF(half.topLeft())
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setTransform(QTransform.fromTranslate(corner.x(), corner.y()).scale(zoom, zoom))
        for layer in self._painters:
            painter.save()
            layer.paint(painter, self._truth, zoom)
            painter.restore()
        painter.restore()
        _paint_legend(painter, half, truth_legend(self._palette))

    # ---- mouse and keys --------------------------------------------------------------------------------------------

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        self._set_viewport(self._viewport.resized(self._half(), self._viewport.image))
        super().resizeEvent(event)

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        if event is not None:
            self._set_viewport(self._viewport.zoomed(WHEEL_STEP ** event.angleDelta().y(), self._in_half(event)))
            event.accept()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        if event is not None and event.button() in (Qt.MouseButton.LeftButton, Qt.MouseButton.MiddleButton):
            self._drag_from = event.position()
            self.setCursor(Qt.CursorShape.ClosedHandCursor)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        if event is not None and self._drag_from is not None:
            moved, self._drag_from = event.position() - self._drag_from, event.position()
            self._set_viewport(self._viewport.panned(moved))

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        self._drag_from = None
        self.unsetCursor()

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        self.fit()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        # Every key is the window's.
        if event is not None:
            event.ignore()

    def _in_half(self, event: QWheelEvent) -> QPointF:
        at = event.position()
        right = self._half_rect(1).left()
        return at - QPointF(right, 0) if at.x() >= right else at

    def sizeHint(self) -> QSize:
        return QSize(1280, 640)

    def minimumSizeHint(self) -> QSize:
        return QSize(640, 320)


def _zoomed_to(port: Viewport, zoom: float) -> Viewport:
    return port.zoomed(zoom / port.zoom, QPointF(port.view.width() / 2, port.view.height() / 2))


def _paint_heading(painter: QPainter, half: QRect, text: str) -> None:
    """Write what a half shows into its upper left corner."""
    painter.save()
    painter.setFont(font(BASE_PX, bold=True))
    metrics = painter.fontMetrics()
    text = metrics.elidedText(text, Qt.TextElideMode.ElideMiddle, half.width() - 2 * MARGIN_PX - 20)
    box = QRectF(half.left() + MARGIN_PX, MARGIN_PX, metrics.horizontalAdvance(text) + 20, HEADING_PX)
    _paint_backdrop(painter, box)
    painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)
    painter.restore()


def _paint_legend(painter: QPainter, half: QRect, entries: tuple[LegendEntry, ...]) -> None:
    """Say in the lower left corner what the markers mean."""
    painter.save()
    painter.setFont(font(SMALL_PX))
    width = max(painter.fontMetrics().horizontalAdvance(entry.words) for entry in entries) + 42
    height = LEGEND_ROW_PX * len(entries) + 12
    box = QRectF(half.left() + MARGIN_PX, half.bottom() - MARGIN_PX - height, width, height)
    _paint_backdrop(painter, box)
    row = QRectF(box.left() + 10, box.top() + 6, width - 20, LEGEND_ROW_PX)
    for entry in entries:
        painter.save()
        painter.translate(QPointF(row.left() + LEGEND_MARKER_PX, row.center().y()))
        draw_marker(painter, CellMark(entry.colour, entry.marker, entry.hollow, True, False), LEGEND_MARKER_PX)
        painter.restore()
        painter.drawText(row.adjusted(22, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, entry.words)
        row.translate(0, LEGEND_ROW_PX)
    painter.restore()


def _paint_backdrop(painter: QPainter, box: QRectF) -> None:
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(BACKDROP)
    painter.drawRoundedRect(box, 3, 3)
    painter.setPen(QColor(THEME.text))
