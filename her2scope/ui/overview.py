"""The overview: where on the slide the reader has been, which fields are accepted, and where the picture is now."""

from __future__ import annotations

import math

from PyQt6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import (
    QColor,
    QHelpEvent,
    QImage,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QPolygonF,
    QResizeEvent,
)
from PyQt6.QtWidgets import QSizePolicy, QToolTip, QWidget

from her2scope.domain.cells import CellClass
from her2scope.domain.guideline import Score
from her2scope.domain.regions import RegionKind
from her2scope.overlays.palette import Palette
from her2scope.records import AcceptedField, CaseView, MapTile, MapView, TrackedFrame
from her2scope.ui.images import to_qimage
from her2scope.ui.theme import SMALL_PX, THEME, font
from her2scope.ui.words import by_moved_cuts, field_words, island_text, islands_of

TITLE_PX = 19
PADDING_PX = 6
LEAST_BOX_PX = 6.0
"""A field is drawn and clicked at least this large, however large the map is."""
NEAR_UM = 600.0
"""Tissue farther from the case's fields than this is left out until the picture goes there: on one slide the controls
lie beside the tissue, and would make the fields too small to be told apart."""
SLACK_SHARE = 0.1
"""Of the map, kept free around it, so that it does not jump with each step of the stage."""
GROUND = QColor(22, 24, 27, 240)
"""Beneath the map: nearly opaque, or the tissue of the picture would be taken for the map's."""
KEYS_TIP = "A click on a field shows it. By key: Ctrl+Up and Ctrl+Down select a field, Enter shows it."
MIN_SPAN_UM = 600.0
"""A map is drawn as at least this wide: a single field does not fill it."""
_SCORE_CLASSES: dict[Score, CellClass] = {
    "0": CellClass.NONE,
    "1+": CellClass.INCOMPLETE_FAINT,
    "2+": CellClass.COMPLETE_MODERATE,
    "3+": CellClass.COMPLETE_INTENSE,
}
"""A field has the colour of the class that its score is about."""
_REGION_LINES = {
    RegionKind.INVASIVE: (THEME.good, Qt.PenStyle.SolidLine),
    RegionKind.EXCLUDE: (THEME.bad, Qt.PenStyle.DashLine),
    RegionKind.NORMAL_DUCT: (THEME.accent, Qt.PenStyle.DotLine),
}


class Overview(QWidget):
    """A small map of one island, painted over a corner of the picture."""

    field_chosen = pyqtSignal(int)
    """The reader clicked on the field of this number."""
    move_asked = pyqtSignal(float, float)
    """The reader clicked elsewhere: move the view over the slide by this much (um), x to the right, y down."""
    refused = pyqtSignal(str)
    """Why a click does nothing."""

    def __init__(self, palette: Palette, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("overview")
        self.setAccessibleName("Overview of the slide")
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self._palette = palette
        self._map = MapView(0)
        self._pictures: dict[int, QImage] = {}
        self._case: CaseView | None = None
        self._shown: TrackedFrame | None = None
        self._stepped: int | None = None
        self._selected = 0
        self._hidden = False
        self._world = QRectF()
        self._drawn: QPixmap | None = None

    # ---- what is shown ---------------------------------------------------------------------------------------------

    @property
    def island(self) -> int:
        """The island that is shown: the present one, unless the reader stepped to another."""
        return self._map.island if self._stepped is None else self._stepped

    @property
    def has_map(self) -> bool:
        """Whether there is anything to show."""
        return bool(self._map.tiles)

    @property
    def title(self) -> str:
        """What stands above the map."""
        return island_text(self._map, self.island, self._islands_of_fields()) or "Slide"

    @property
    def islands(self) -> list[int]:
        """All that the map or the case knows, in their order."""
        return islands_of(self._map, self._islands_of_fields())

    def _islands_of_fields(self) -> set[int]:
        """Also of those accepted before the program was started anew, or the camera was lost."""
        fields = self._case.fields if self._case is not None else ()
        return {item.place.island for item in fields if item.place is not None}

    def show_map(self, view: MapView) -> None:
        """Show the map after it grew; a new island of the tracking becomes the one that is shown."""
        if view.island != self._map.island:
            self._stepped = None
        known = {id(tile): self._pictures[id(tile)] for tile in self._map.tiles if id(tile) in self._pictures}
        self._pictures = {id(tile): known.get(id(tile)) or to_qimage(tile.picture) for tile in view.tiles}
        self._map = view
        self._keep_step()
        self._fit()

    def show_case(self, view: CaseView, *, hidden: bool) -> None:
        """Show the case's fields and regions; `hidden`: without what gives the score away."""
        self._case, self._hidden = view, hidden
        self._keep_step()
        self._fit()

    def _keep_step(self) -> None:
        """Stay on the island that the reader stepped to, as long as it is one."""
        if self._stepped not in self.islands:
            self._stepped = None

    def show_frame(self, tracked: TrackedFrame) -> None:
        """Follow the picture, at camera rate."""
        moved = self._shown is None or (tracked.island, tracked.x_um, tracked.y_um, tracked.trusted) != (
            self._shown.island, self._shown.x_um, self._shown.y_um, self._shown.trusted
        )  # fmt: skip
        self._shown = tracked
        if moved and self.isVisible():
            if tracked.island == self.island and not self._world.contains(_frame_rect(tracked)):
                self._fit()
            self.update()

    def show_selected(self, number: int) -> None:
        """Mark the field that is selected in the list; 0: none."""
        self._selected = number
        self._renew()

    def set_palette(self, palette: Palette) -> None:
        """Choose the colours."""
        self._palette = palette
        self._renew()

    def step_island(self) -> bool:
        """Show the next island; whether there are several."""
        islands = self.islands
        if len(islands) < 2:
            return False
        following = islands[(islands.index(self.island) + 1) % len(islands)]
        self._stepped = None if following == self._map.island else following
        self._fit()
        return True

    # ---- place -----------------------------------------------------------------------------------------------------

    def _fields(self) -> list[AcceptedField]:
        fields = self._case.fields if self._case is not None else ()
        return [item for item in fields if item.place is not None and item.place.island == self.island]

    def _fit(self) -> None:
        """Take in the fields, the picture and the tissue near them, with some room around it."""
        world = QRectF()
        for item in self._fields():
            world = world.united(_field_rect(item))
        if self._shown is not None and self._shown.island == self.island:
            world = world.united(_frame_rect(self._shown))
        world = _grown(world, [_tile_rect(tile) for tile in self._map.tiles if tile.island == self.island])
        room = self._room()
        least_high_um = MIN_SPAN_UM * room.height() / room.width() if room.isValid() else MIN_SPAN_UM
        wide, high = max(world.width(), MIN_SPAN_UM), max(world.height(), least_high_um)
        slack_x, slack_y = wide * (1 + SLACK_SHARE) - world.width(), high * (1 + SLACK_SHARE) - world.height()
        self._world = world.adjusted(-slack_x / 2, -slack_y / 2, slack_x / 2, slack_y / 2)
        self.setAccessibleDescription(f"{self.title}. {len(self._fields())} accepted fields")
        self._renew()

    def _room(self) -> QRectF:
        return QRectF(self.rect()).adjusted(PADDING_PX, TITLE_PX + 2, -PADDING_PX, -PADDING_PX)

    def _px_per_um(self) -> float:
        room = self._room()
        if self._world.isEmpty():
            return 1.0
        return min(room.width() / self._world.width(), room.height() / self._world.height())

    def to_screen(self, x_um: float, y_um: float) -> QPointF:
        """Place of the widget where a place of the shown island is drawn."""
        centre, scale = self._world.center(), self._px_per_um()
        return self._room().center() + QPointF((x_um - centre.x()) * scale, (y_um - centre.y()) * scale)

    def to_um(self, place: QPointF) -> QPointF:
        """Place (um) on the shown island under a place of the widget."""
        return self._world.center() + (place - self._room().center()) / self._px_per_um()

    def _on_screen(self, rect_um: QRectF, least_px: float = 0.0) -> QRectF:
        top_left = self.to_screen(rect_um.left(), rect_um.top())
        size = rect_um.size() * self._px_per_um()
        rect = QRectF(top_left, size)
        grow_x, grow_y = max(0.0, least_px - rect.width()) / 2, max(0.0, least_px - rect.height()) / 2
        return rect.adjusted(-grow_x, -grow_y, grow_x, grow_y)

    def field_at(self, place: QPointF) -> AcceptedField | None:
        """The field under a place of the widget: of several the one whose middle is nearest."""
        found = [item for item in self._fields() if self._on_screen(_field_rect(item), LEAST_BOX_PX).contains(place)]

        def distance(item: AcceptedField) -> float:
            between = self._on_screen(_field_rect(item)).center() - place
            return math.hypot(between.x(), between.y())

        return min(found, key=distance, default=None)

    def tip_at(self, place: QPointF) -> str:
        """What a place of the widget shows, and how a field is chosen with and without the mouse."""
        field, moved = self.field_at(place), self._case is not None and by_moved_cuts(self._case)
        words = (
            self.title if field is None else field_words(field, hidden=self._hidden, moved=moved and not self._hidden)
        )
        return f"{words}\n{KEYS_TIP}"

    # ---- painting --------------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent | None) -> None:
        if self._drawn is None:
            self._drawn = self._draw_map()
        painter = QPainter(self)
        painter.drawPixmap(0, 0, self._drawn)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setClipRect(self._room())
        self._paint_live(painter)

    def _renew(self) -> None:
        """Draw the map anew: all but the place of the picture, which moves at camera rate, is drawn once."""
        self._drawn = None
        self.update()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._renew()

    def _draw_map(self) -> QPixmap:
        ratio = self.devicePixelRatioF()
        picture = QPixmap(self.size() * ratio)
        picture.setDevicePixelRatio(ratio)
        picture.fill(Qt.GlobalColor.transparent)
        painter = QPainter(picture)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.setPen(QPen(QColor(THEME.line), 1))
        painter.setBrush(GROUND)
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)
        self._paint_title(painter)
        painter.setClipRect(self._room())
        for tile in self._map.tiles:
            if tile.island == self.island:
                painter.drawImage(self._on_screen(_tile_rect(tile)), self._pictures[id(tile)])
        self._paint_regions(painter)
        for item in self._fields():
            self._paint_field(painter, item)
        painter.end()
        return picture

    def _paint_title(self, painter: QPainter) -> None:
        present = self.island == self._map.island
        painter.setFont(font(SMALL_PX))
        painter.setPen(QColor(THEME.text if present and not self._map.lost else THEME.warning))
        room = self.rect().adjusted(PADDING_PX + 2, 2, -PADDING_PX, 0)
        title = painter.fontMetrics().elidedText(self.title, Qt.TextElideMode.ElideRight, room.width())
        painter.drawText(room, int(Qt.AlignmentFlag.AlignTop), title)

    def _paint_regions(self, painter: QPainter) -> None:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for region in self._case.regions if self._case is not None else ():
            if region.island == self.island:
                colour, line = _REGION_LINES[region.kind]
                painter.setPen(QPen(QColor(colour), 1.6, line))
                painter.drawPolygon(QPolygonF([self.to_screen(x, y) for x, y in region.polygon_um]))

    def _paint_field(self, painter: QPainter, item: AcceptedField) -> None:
        """A rectangle in the colour of its score with a dark edge, so that it shows on every tissue; its number."""
        rect = self._on_screen(_field_rect(item), LEAST_BOX_PX)
        score = None if self._hidden or not item.active else item.result.score
        colour = QColor(THEME.text) if score is None else QColor(*self._palette.colour(_SCORE_CLASSES[score]))
        line = Qt.PenStyle.SolidLine if item.active else Qt.PenStyle.DashLine
        width = 3.0 if item.number == self._selected else 1.6
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for pen in (QPen(QColor(0, 0, 0, 190), width + 1.6), QPen(colour, width, line)):
            painter.setPen(pen)
            painter.drawRect(rect)
        painter.setFont(font(SMALL_PX, bold=True))
        text = str(item.number)
        box = QRectF(rect.center() - QPointF(20, 8), QPointF(rect.center() + QPointF(20, 8)))
        for offset, ink in ((QPointF(1, 1), QColor(0, 0, 0)), (QPointF(0, 0), QColor("#ffffff"))):
            painter.setPen(ink)
            painter.drawText(box.translated(offset), Qt.AlignmentFlag.AlignCenter, text)

    def _paint_live(self, painter: QPainter) -> None:
        """Where the picture is now; dashed while that is not certain."""
        if self._shown is None or self._shown.island != self.island:
            return
        rect = self._on_screen(_frame_rect(self._shown), LEAST_BOX_PX)
        line = Qt.PenStyle.SolidLine if self._shown.trusted else Qt.PenStyle.DotLine
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for pen in (QPen(QColor(0, 0, 0), 3.6), QPen(QColor("#ffffff"), 1.8, line)):
            painter.setPen(pen)
            painter.drawRoundedRect(rect, 2, 2)

    # ---- mouse -----------------------------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        if event is None or event.button() != Qt.MouseButton.LeftButton:
            return
        event.accept()
        if event.position().y() < TITLE_PX:
            self.step_island()
            return
        field = self.field_at(event.position())
        if field is not None:
            self.field_chosen.emit(field.number)
        elif self._shown is None or self.island != self._map.island or self._shown.island != self.island:
            self.refused.emit("This part of the map is not where the picture is now: the way there is not known.")
        else:
            way = self.to_um(event.position()) - _frame_rect(self._shown).center()
            self.move_asked.emit(way.x(), way.y())

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        # The second press of a double click must not move the stage once more.
        if event is not None:
            event.accept()

    def event(self, event: QEvent | None) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            QToolTip.showText(event.globalPos(), self.tip_at(QPointF(event.pos())), self)
            return True
        return super().event(event)

    def sizeHint(self) -> QSize:
        return QSize(240, 190)


def _tile_rect(tile: MapTile) -> QRectF:
    return QRectF(tile.x_um, tile.y_um, tile.width_um, tile.height_um)


def _grown(world: QRectF, tiles: list[QRectF]) -> QRectF:
    """The part of the map united with all tiles that lie near it, or near those; of all where it is empty."""
    if world.isNull() and tiles:
        world = tiles.pop()
    while tiles:
        reach = world.adjusted(-NEAR_UM, -NEAR_UM, NEAR_UM, NEAR_UM)
        near = [rect for rect in tiles if rect.intersects(reach)]
        if not near:
            break
        tiles = [rect for rect in tiles if not rect.intersects(reach)]
        for rect in near:
            world = world.united(rect)
    return world


def _field_rect(item: AcceptedField) -> QRectF:
    """Where a placed field lies on its island (um)."""
    if item.place is None:
        return QRectF()
    height, width = item.result.frame.size_hw
    um_per_px = item.result.frame.um_per_px
    return QRectF(item.place.x_um, item.place.y_um, width * um_per_px, height * um_per_px)


def _frame_rect(tracked: TrackedFrame) -> QRectF:
    height, width = tracked.frame.size_hw
    um_per_px = tracked.frame.um_per_px
    return QRectF(tracked.x_um, tracked.y_um, width * um_per_px, height * um_per_px)
