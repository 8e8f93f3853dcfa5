"""What of a case lies on a picture of its slide: borders of accepted fields, and the reader's regions.

Places are in um of an island of the map; what is painted is in screen pixels, so that lines and words keep their size.
"""

from __future__ import annotations

from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QBrush, QColor, QFontMetrics, QPainter, QPen, QPolygonF

from her2scope.domain.regions import Region, RegionKind
from her2scope.overlays.left_out import left_out
from her2scope.overlays.palette import REGION_COLOURS, REGION_LABELS
from her2scope.pipeline.live import LiveResult, Mode
from her2scope.records import CaseView, MapPlace, TrackedFrame
from her2scope.ui.picture_marks import BACKDROP
from her2scope.ui.theme import SMALL_PX, THEME, font
from her2scope.ui.viewport import Viewport

NEAR_PX = 6.0
"""A click so near to a region's line means the region."""
LABEL_PX = 19
LINES = {
    RegionKind.EXCLUDE: Qt.PenStyle.DashLine,
    RegionKind.NORMAL_DUCT: Qt.PenStyle.DotLine,
    RegionKind.INVASIVE: Qt.PenStyle.SolidLine,
}
HATCHES = {
    RegionKind.EXCLUDE: Qt.BrushStyle.BDiagPattern,
    RegionKind.NORMAL_DUCT: Qt.BrushStyle.Dense7Pattern,
    RegionKind.INVASIVE: Qt.BrushStyle.NoBrush,
}
"""With the lines, they tell the kinds apart without colour."""


def to_um(point: QPointF, shown: TrackedFrame) -> tuple[float, float]:
    """Place on the island of a point of the picture."""
    um_per_px = shown.frame.um_per_px
    return shown.x_um + point.x() * um_per_px, shown.y_um + point.y() * um_per_px


def to_image(x_um: float, y_um: float, shown: TrackedFrame) -> QPointF:
    """Point of the picture at a place on its island."""
    um_per_px = shown.frame.um_per_px
    return QPointF((x_um - shown.x_um) / um_per_px, (y_um - shown.y_um) / um_per_px)


class CaseMarks:
    """Paints them, and finds the region under a click."""

    def __init__(self) -> None:
        self.shows_fields = True
        """Borders of accepted fields are drawn; not on a field itself."""
        self.chosen: int | None = None
        """Number of the region that is drawn strong."""
        self.covered = QRectF()
        """Of the view, what lies over its picture (the overview): no words are written there."""
        self._view: CaseView | None = None

    def show_case(self, view: CaseView) -> bool:
        """Take the case as it is now; whether its regions are others."""
        before, self._view = self._view, view
        if self.chosen is not None and all(region.number != self.chosen for region in view.regions):
            self.chosen = None
        return before is None or before.regions != view.regions

    def left_out(self, live: LiveResult, *, swept: bool) -> tuple[bool, ...]:
        """Which cells of an analysis the case leaves out; empty: as its region model says, or its place is guessed."""
        at = live.tracked
        if self._view is None or live.mode is Mode.CONTROL or not at.trusted:
            return ()
        place = MapPlace(at.island, at.x_um, at.y_um)
        found = left_out(live.result.cells, at.frame.um_per_px, place, self._view, swept=swept)
        told = found.any() or not all(cell.within for cell in live.result.cells)
        return tuple(found.tolist()) if told else ()

    def regions_on(self, shown: TrackedFrame | None) -> tuple[Region, ...]:
        """Regions of the picture's island that reach into it."""
        if self._view is None or shown is None or not shown.trusted:
            return ()
        height, width = shown.frame.size_hw
        whole = QRectF(0, 0, width, height)
        return tuple(
            region
            for region in self._view.regions
            if region.island == shown.island and _polygon(region, shown).boundingRect().intersects(whole)
        )

    def region_at(self, at: QPointF, shown: TrackedFrame, port: Viewport) -> int | None:
        """Number of the region whose label or line is at a place on screen, the newest of several."""
        for region in reversed(self.regions_on(shown)):
            polygon = _on_screen(region, shown, port)
            if self._label_box(region, polygon, port).contains(at) or _is_near(polygon, at):
                return region.number
        return None

    # ---- painting --------------------------------------------------------------------------------------------------

    def paint(self, painter: QPainter, shown: TrackedFrame, port: Viewport) -> None:
        """Draw over the picture; nothing where its place on the slide is only guessed."""
        if self._view is None or not shown.trusted:
            return
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setClipRect(port.picture_rect())
        if self.shows_fields:
            self._paint_fields(painter, shown, port)
        for region in self.regions_on(shown):
            polygon, chosen = _on_screen(region, shown, port), region.number == self.chosen
            _paint_outline(painter, region, polygon, chosen)
            _paint_words(painter, region, self._label_box(region, polygon, port), chosen)
        painter.restore()

    def _label_box(self, region: Region, polygon: QPolygonF, port: Viewport) -> QRectF:
        """Where a region's words stand: at its top, pushed into the picture, beside what covers it."""
        bounds, room = polygon.boundingRect(), port.picture_rect().intersected(QRectF(QPointF(0, 0), port.view))
        width = QFontMetrics(font(SMALL_PX)).horizontalAdvance(region_text(region)) + 14
        left = min(max(bounds.center().x() - width / 2, room.left()), max(room.left(), room.right() - width))
        top = min(max(bounds.top() - LABEL_PX / 2, room.top()), max(room.top(), room.bottom() - LABEL_PX))
        return self._beside_cover(QRectF(left, top, width, LABEL_PX))

    def _beside_cover(self, box: QRectF) -> QRectF:
        """A box of words, moved to the left of what covers the picture in a corner."""
        return box.translated(min(0.0, self.covered.left() - box.right()), 0) if box.intersects(self.covered) else box

    def _paint_fields(self, painter: QPainter, shown: TrackedFrame, port: Viewport) -> None:
        """A thin border round tissue that the case has already."""
        painter.setFont(font(SMALL_PX))
        for field in self._view.active_fields if self._view is not None else ():
            place, frame = field.place, field.result.frame
            if place is None or place.island != shown.island:
                continue
            height, width = frame.size_hw
            corner = port.to_screen(to_image(place.x_um, place.y_um, shown))
            scale = port.zoom * frame.um_per_px / shown.frame.um_per_px
            box = QRectF(corner.x(), corner.y(), width * scale, height * scale)
            for colour, grow in ((QColor(0, 0, 0, 120), 1.0), (QColor(255, 255, 255, 190), 0.0)):
                painter.setPen(QPen(colour, 1.0))
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.drawRect(box.adjusted(-grow, -grow, grow, grow))
            seen = box.intersected(port.picture_rect())
            if seen.width() > 60 and seen.height() > LABEL_PX:
                text = f"field {field.number}"
                width = painter.fontMetrics().horizontalAdvance(text) + 10
                label = QRectF(seen.right() - 1 - width, seen.top() + 1, width, LABEL_PX)
                _paint_label(painter, self._beside_cover(label), text, THEME.dim)


def region_text(region: Region) -> str:
    """A region in words: `Outline 2: Excluded (carcinoma in situ)`."""
    note = f" ({region.note})" if region.note else ""
    return f"Outline {region.number}: {REGION_LABELS[region.kind]}{note}"


def _polygon(region: Region, shown: TrackedFrame) -> QPolygonF:
    return QPolygonF([to_image(x_um, y_um, shown) for x_um, y_um in region.polygon_um])


def _on_screen(region: Region, shown: TrackedFrame, port: Viewport) -> QPolygonF:
    return QPolygonF([port.to_screen(to_image(x_um, y_um, shown)) for x_um, y_um in region.polygon_um])


def _is_near(polygon: QPolygonF, at: QPointF) -> bool:
    corners = [polygon.at(place) for place in range(polygon.count())]
    return any(
        _distance_px(at, one, two) <= NEAR_PX for one, two in zip(corners, [*corners[1:], corners[0]], strict=True)
    )


def _distance_px(at: QPointF, one: QPointF, two: QPointF) -> float:
    along, away = two - one, at - one
    length2 = QPointF.dotProduct(along, along)
    share = 0.0 if length2 == 0 else min(1.0, max(0.0, QPointF.dotProduct(away, along) / length2))
    miss = away - along * share
    return float(QPointF.dotProduct(miss, miss) ** 0.5)


def _paint_outline(painter: QPainter, region: Region, polygon: QPolygonF, chosen: bool) -> None:
    colour = QColor(*REGION_COLOURS[region.kind])
    faint = QColor(colour)
    faint.setAlpha(120)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QBrush(faint, HATCHES[region.kind]))
    painter.drawPolygon(polygon)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    width_px = 4.0 if chosen else 2.0
    painter.setPen(QPen(QColor(0, 0, 0, 170), width_px + 2))
    painter.drawPolygon(polygon)
    painter.setPen(QPen(colour, width_px, LINES[region.kind]))
    painter.drawPolygon(polygon)


def _paint_words(painter: QPainter, region: Region, box: QRectF, chosen: bool) -> None:
    painter.setPen(QPen(QColor(THEME.accent if chosen else THEME.line), 2 if chosen else 1))
    painter.setBrush(BACKDROP)
    painter.drawRoundedRect(box, 3, 3)
    painter.setPen(QColor(THEME.text))
    painter.setFont(font(SMALL_PX))
    painter.drawText(box, Qt.AlignmentFlag.AlignCenter, region_text(region))


def _paint_label(painter: QPainter, box: QRectF, text: str, colour: str) -> None:
    painter.fillRect(box, BACKDROP)
    painter.setPen(QColor(colour))
    painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)
