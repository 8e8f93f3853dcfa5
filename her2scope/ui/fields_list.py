"""Accepted fields as a list of thumbnails; removed ones stay, struck through."""

from __future__ import annotations

from PyQt6.QtCore import QModelIndex, QPersistentModelIndex, QPointF, QRect, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QFontMetrics, QImage, QPainter, QPen
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QListWidget,
    QListWidgetItem,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from her2scope.domain.cells import SHARE_ORDER
from her2scope.overlays.palette import LABELS, Palette
from her2scope.records import AcceptedField, FieldResult
from her2scope.ui.images import thumbnail
from her2scope.ui.theme import BASE_PX, SMALL_PX, THEME, font
from her2scope.ui.words import field_caption, field_detail, field_words, percent_text

ROW_PX = 52
THUMBNAIL = QSize(68, 44)
FIELD_ROLE = Qt.ItemDataRole.UserRole
IMAGE_ROLE = Qt.ItemDataRole.UserRole + 1
STYLE_ROLE = Qt.ItemDataRole.UserRole + 2
"""`(hidden, hot, moved)`: its score is not shown yet; it is a hot spot of the case; it is by moved cuts."""


class FieldsList(QListWidget):
    """Newest field last; the newest is selected when it comes, so that Delete takes back a slip."""

    def __init__(self, palette: Palette, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("fields_list")
        self.setAccessibleName("Fields of the case")
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setUniformItemSizes(True)
        self._row_painter = _FieldDelegate(palette, self)
        self.setItemDelegate(self._row_painter)
        self._thumbnails: dict[int, tuple[FieldResult, QImage]] = {}

    def sizeHint(self) -> QSize:
        return QSize(280, 3 * ROW_PX + 4)

    def minimumSizeHint(self) -> QSize:
        return QSize(200, 2 * ROW_PX + 4)

    def set_palette(self, palette: Palette) -> None:
        """Choose the colours of the share bars."""
        self._row_painter.palette = palette
        view = self.viewport()
        if view is not None:
            view.update()

    def show_fields(
        self,
        fields: tuple[AcceptedField, ...],
        *,
        hidden: bool = False,
        hot: frozenset[int] = frozenset(),
        moved: bool = False,
    ) -> None:
        """Show the case's fields; a new one is selected.

        Parameters
        ----------
        hidden : without scores
        hot : the hot spots' numbers
        moved : the scores are by cuts that the reader moved
        """
        grown = len(fields) > self.count()
        while self.count() > len(fields):
            self.takeItem(self.count() - 1)
        while self.count() < len(fields):
            self.addItem(QListWidgetItem())
        for row, field in enumerate(fields):
            self._fill(row, field, (hidden, field.number in hot and not hidden, moved and not hidden))
        if grown or self.currentRow() < 0:
            self.setCurrentRow(len(fields) - 1)

    def selected_field(self) -> AcceptedField | None:
        """The field under the selection."""
        item = self.currentItem()
        found = item.data(FIELD_ROLE) if item is not None else None
        return found if isinstance(found, AcceptedField) else None

    def select_number(self, number: int) -> None:
        """Select the field of this number, where it is in the list."""
        for row in range(self.count()):
            item = self.item(row)
            field = item.data(FIELD_ROLE) if item is not None else None
            if isinstance(field, AcceptedField) and field.number == number:
                self.setCurrentRow(row)

    def select_by(self, places: int) -> None:
        """Move the selection up (negative) or down."""
        if self.count():
            self.setCurrentRow(min(self.count() - 1, max(0, self.currentRow() + places)))

    def _fill(self, row: int, field: AcceptedField, style: tuple[bool, bool, bool]) -> None:
        item = self.item(row)
        if item is None or (item.data(FIELD_ROLE) is field and item.data(STYLE_ROLE) == style):
            return
        item.setData(FIELD_ROLE, field)
        item.setData(STYLE_ROLE, style)
        item.setData(IMAGE_ROLE, self._thumbnail(field))
        hidden, hot, moved = style
        words = field_words(field, hidden=hidden, hot=hot, moved=moved)
        item.setData(Qt.ItemDataRole.AccessibleTextRole, words)
        verb = "Delete removes it" if field.active else "Delete or R puts it back"
        item.setToolTip("\n".join([words, *([] if hidden else _share_lines(field)), f"{verb}, A writes a remark"]))

    def _thumbnail(self, field: AcceptedField) -> QImage:
        """Made once per picture: a case of many fields is told anew with each change."""
        known = self._thumbnails.get(field.number)
        if known is not None and known[0] is field.result:
            return known[1]
        made = thumbnail(field.result.frame.rgb, THUMBNAIL)
        self._thumbnails[field.number] = (field.result, made)
        return made


class _FieldDelegate(QStyledItemDelegate):
    def __init__(self, palette: Palette, parent: QWidget) -> None:
        super().__init__(parent)
        self.palette = palette

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        return QSize(200, ROW_PX)

    def paint(
        self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        field = index.data(FIELD_ROLE)
        if painter is None or not isinstance(field, AcceptedField):
            return
        painter.save()
        painter.setClipRect(option.rect)
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        if selected:
            painter.fillRect(option.rect, QColor(THEME.pressed))
            painter.fillRect(
                QRect(option.rect.left(), option.rect.top(), 3, option.rect.height()), QColor(THEME.accent)
            )
        self._paint_thumbnail(painter, option.rect, index.data(IMAGE_ROLE), field.active)
        box = option.rect.adjusted(THUMBNAIL.width() + 16, 3, -8, -3)
        self._paint_words(painter, box, field, *index.data(STYLE_ROLE))
        painter.restore()

    @staticmethod
    def _paint_thumbnail(painter: QPainter, row: QRect, image: object, active: bool) -> None:
        place = QRect(row.left() + 8, row.center().y() - THUMBNAIL.height() // 2, THUMBNAIL.width(), THUMBNAIL.height())
        if isinstance(image, QImage):
            painter.setOpacity(1.0 if active else 0.35)
            painter.drawImage(place, image)
            painter.setOpacity(1.0)
        if not active:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(QColor(THEME.bad), 2))
            painter.drawLine(place.bottomLeft(), place.topRight())

    def _paint_words(
        self, painter: QPainter, box: QRect, field: AcceptedField, hidden: bool, hot: bool, moved: bool
    ) -> None:
        caption = font(BASE_PX, bold=True)
        caption.setStrikeOut(not field.active)
        painter.setFont(caption)
        painter.setPen(QColor(THEME.warning if hot or moved else THEME.text if field.active else THEME.dim))
        text = field_caption(field, hidden=hidden, hot=hot, moved=moved)
        painter.drawText(box, int(Qt.AlignmentFlag.AlignTop), text)
        after_px = painter.fontMetrics().horizontalAdvance(text) + 12
        painter.setFont(font(SMALL_PX))
        painter.setPen(QColor(THEME.accent))
        remark = painter.fontMetrics().elidedText(field.annotation, Qt.TextElideMode.ElideRight, box.width() - after_px)
        painter.drawText(box.adjusted(after_px, 1, 0, 0), int(Qt.AlignmentFlag.AlignTop), remark)
        painter.setPen(QColor(THEME.dim))
        detail = detail_in(painter.fontMetrics(), field, box.width())
        painter.drawText(box.adjusted(0, 17, 0, 0), int(Qt.AlignmentFlag.AlignTop), detail)
        if field.active and not hidden:
            self._paint_shares(painter, QRectF(box.left(), box.bottom() - 7, box.width(), 6), field)

    def _paint_shares(self, painter: QPainter, bar: QRectF, field: AcceptedField) -> None:
        """One bar parted into the classes, most stained first: fields that differ are seen at a glance."""
        shares = field.counts.shares_percent()
        left = bar.left()
        for name in SHARE_ORDER if shares else ():
            width = bar.width() * (shares or {})[name] / 100
            painter.fillRect(
                QRectF(QPointF(left, bar.top()), QPointF(left + width, bar.bottom())),
                QColor(*self.palette.colour(name)),
            )
            left += width


def detail_in(metrics: QFontMetrics, field: AcceptedField, width_px: int) -> str:
    """Second line of a row as it fits: whole, else short, else cut where one sees that it is; the tool tip has all."""
    whole = field_detail(field)
    if metrics.horizontalAdvance(whole) <= width_px:
        return whole
    return metrics.elidedText(field_detail(field, short=True), Qt.TextElideMode.ElideRight, width_px)


def _share_lines(field: AcceptedField) -> list[str]:
    shares = field.counts.shares_percent()
    return [] if shares is None else [f"{LABELS[name]}: {percent_text(shares[name])}" for name in SHARE_ORDER]
