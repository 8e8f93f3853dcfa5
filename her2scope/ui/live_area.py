"""The picture with what lies on it: legend, mode and messages, each in its corner."""

from __future__ import annotations

from PyQt6.QtCore import QEvent, QObject, QRect
from PyQt6.QtGui import QResizeEvent
from PyQt6.QtWidgets import QLabel, QLayout, QWidget

from her2scope.domain.sign_off import CaseStatus, SignOff
from her2scope.pipeline.live import Mode
from her2scope.ui.control_compare import ControlCompare
from her2scope.ui.legend import Legend
from her2scope.ui.live_view import LiveView
from her2scope.ui.message_bar import MessageBar
from her2scope.ui.picture_marks import SCALE_BAR_PX
from her2scope.ui.review import Review
from her2scope.ui.sign_words import chip_text, is_signed
from her2scope.ui.theme import THEME

MARGIN_PX = 12
MESSAGE_MAX_PX = 680
CHOOSER_MAX_PX = 640
FIGURES_PX = 206
"""Height of the figures beneath the two pictures: that of the legend beside them."""
LEAST_FIGURES_PX = 570
"""Less room than this beside the legend, and the figures get the whole width."""
GAP_PX = 4
FIRST_READING = SignOff()


class ModeChip(QLabel):
    """Says in the picture's corner what it is looked at for, and what Space does."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("mode_chip")
        self._says = ("", "")

    def show_mode(self, mode: Mode, expected: str, sign_off: SignOff = FIRST_READING) -> None:
        """Name the mode, or how far the case has come beyond reading."""
        text = chip_text(sign_off)
        if mode is Mode.CONTROL and sign_off.status is CaseStatus.OPEN:
            text = f"CONTROL {expected}   Space: read it"
        reads = mode is Mode.READING and sign_off.status is CaseStatus.OPEN
        colour = THEME.accent if reads else THEME.good if is_signed(sign_off) else THEME.warning
        if (text, colour) == self._says:
            return  # Qt reads a style sheet anew however often it is given the same
        self._says = text, colour
        self.setText(text)
        self.setStyleSheet(
            f"#mode_chip {{ background: rgba(12, 13, 14, 205); color: {THEME.text}; padding: 5px 10px;"
            f" border-left: 4px solid {colour}; font-weight: bold; }}"
        )
        self.adjustSize()


class LiveArea(QWidget):
    """Holds the live view, the control beside it while that is asked for, and places what lies on them."""

    def __init__(
        self, view: LiveView, legend: Legend, messages: MessageBar, compare: ControlCompare, review: Review
    ) -> None:
        super().__init__()
        self.setObjectName("live_area")
        self.view, self.legend, self.messages, self.compare = view, legend, messages, compare
        self.field_view, self.chooser = review.view, review.outlining.chooser
        for picture in (view, compare.side, compare.figures, self.field_view):
            picture.setParent(self)
            picture.setHidden(picture is not view)
        self.chip = ModeChip(self)
        for child in (legend, self.chooser, messages):
            child.setParent(self)
        self.chooser.hide()
        review.outlining.changed.connect(self.place_children)
        review.changed.connect(lambda: self.chip.setVisible(review.field is None))
        messages.hide()
        compare.toggled.connect(self._show_compare)
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
        self.place_children()

    def place_children(self) -> None:
        """Put everything in its place."""
        self._place_pictures()
        self.field_view.setGeometry(self.view.geometry())
        self.chip.move(self.view.x() + MARGIN_PX, MARGIN_PX)
        self._place_legend()
        if not self.chooser.isHidden():
            self._place_chooser()
        if not self.messages.isHidden():
            self._place_messages()

    def _place_pictures(self) -> None:
        """The live picture alone, or the control on the left of it and the figures beneath both."""
        if not self.compare.is_open:
            self.view.setGeometry(self.rect())
            return
        half, height = (self.width() - GAP_PX) // 2, self.height() - FIGURES_PX
        self.compare.side.setGeometry(0, 0, half, height)
        self.view.setGeometry(half + GAP_PX, 0, self.width() - half - GAP_PX, height)
        left = self.legend.width() + 2 * MARGIN_PX if self._legend_beside_figures() else 0
        self.compare.figures.setGeometry(left, height, self.width() - left, FIGURES_PX)

    def _show_compare(self, is_open: bool) -> None:
        self.compare.side.setVisible(is_open)
        self.compare.figures.setVisible(is_open)
        self.place_children()

    def _legend_beside_figures(self) -> bool:
        room = self.width() - self.legend.width() - 2 * MARGIN_PX
        return not self.legend.isHidden() and room >= LEAST_FIGURES_PX

    def _place_legend(self) -> None:
        above = self.compare.is_open and not self._legend_beside_figures()
        bottom = self.height() - (FIGURES_PX if above else 0) - (MARGIN_PX if above or not self.compare.is_open else 4)
        self.legend.move(MARGIN_PX, bottom - self.legend.height())

    def _place_chooser(self) -> None:
        """Where messages are, beside the legend: what was outlined is seldom there."""
        self._place_below(self.chooser, self.chooser.layout(), CHOOSER_MAX_PX, 0)

    def _place_messages(self) -> None:
        above = 0 if self.chooser.isHidden() else self.chooser.height() + GAP_PX
        self._place_below(self.messages, self.messages.layout(), MESSAGE_MAX_PX, above)

    def _place_below(self, bar: QWidget, layout: QLayout | None, max_px: int, above_px: int) -> None:
        """At the bottom of the live picture, beside the legend and above the scale bar: it covers the least tissue."""
        picture = self.view.geometry()
        beside_legend = not self.legend.isHidden() and not self.compare.is_open
        left = picture.left() + MARGIN_PX + (self.legend.width() + MARGIN_PX if beside_legend else 0)
        right = picture.left() + picture.width()
        width = min(max_px, right - left - MARGIN_PX)
        if layout is not None:
            layout.activate()
        height = layout.totalHeightForWidth(width) if layout is not None else bar.sizeHint().height()
        top = picture.height() - SCALE_BAR_PX - 2 * MARGIN_PX - height - above_px
        bar.setGeometry(QRect(right - MARGIN_PX - width, top, width, height))
        bar.raise_()
