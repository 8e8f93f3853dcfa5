"""The window on the eyepiece's display: marks on black, which a beam splitter adds to what the eye sees.

Black is transparent there, so nothing is cleared by waiting: whatever may no longer be shown is painted over at once.
"""

from __future__ import annotations

from dataclasses import replace

from PyQt6.QtCore import QPointF, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QCloseEvent, QColor, QKeyEvent, QPainter, QPaintEvent, QRegion, QResizeEvent, QScreen
from PyQt6.QtWidgets import QWidget

from her2scope.domain.guideline import Score
from her2scope.imaging.calibration.eyepiece_map import fitted_matrix, to_display
from her2scope.overlays.eyepiece_palette import EYEPIECE, EYEPIECE_PALETTES
from her2scope.overlays.palette import Palette
from her2scope.pipeline.live import CameraPhase, CameraStatus, LiveResult, Mode
from her2scope.pipeline.live_camera import STALLED_AFTER_S
from her2scope.records import CaseView, TrackedFrame
from her2scope.settings.eyepiece import EyepieceMaps, EyepieceView
from her2scope.ui.actions import KeyKeeper
from her2scope.ui.case_marks import CaseMarks
from her2scope.ui.eyepiece_drawing import DrawnMarks, MarkDrawer, MarkOrder, MarkStyle, corners_of, draw_marks
from her2scope.ui.eyepiece_marks import (
    CENTRE,
    paint_border,
    paint_crosshair,
    paint_lines,
    paint_regions,
    paint_target,
    picture_edge,
)
from her2scope.ui.eyepiece_state import EyepieceState, Seen, eyepiece_state, size_wh
from her2scope.ui.eyepiece_words import NOTHING_CHOSEN, Line, eyepiece_lines
from her2scope.ui.fade import Fade
from her2scope.ui.frame_picture import on_whole_pixels
from her2scope.ui.images import to_qimage
from her2scope.ui.overlay_state import MAX_SPEED_UM_PER_S

NO_CAMERA = CameraStatus(CameraPhase.STARTING, "waiting for the camera")


class EyepieceWindow(QWidget):
    """Marks of the newest analysis, moved with the tissue; nothing at all where their place is not sure.

    A tool window of the main window: that one keeps the focus, and its keys work while this one has it.

    Parameters
    ----------
    view : what is shown
    maps : where the camera's pixels lie on the display, per objective
    """

    closed = pyqtSignal()
    """By Esc, by whoever opened it, or with its screen."""
    state_changed = pyqtSignal(object)
    """`EyepieceState`, when what is said of the marks changed."""

    def __init__(self, view: EyepieceView, maps: EyepieceMaps, parent: QWidget | None = None) -> None:
        flags = Qt.WindowType.Tool | Qt.WindowType.FramelessWindowHint | Qt.WindowType.WindowStaysOnTopHint
        super().__init__(parent, flags)
        self.setObjectName("eyepiece_window")
        self.setWindowTitle("her2scope eyepiece")
        self.setAccessibleName("Eyepiece display")
        for attribute in (
            Qt.WidgetAttribute.WA_OpaquePaintEvent,
            Qt.WidgetAttribute.WA_ShowWithoutActivating,
            Qt.WidgetAttribute.WA_MacAlwaysShowToolWindow,
        ):
            self.setAttribute(attribute)
        self.setCursor(Qt.CursorShape.BlankCursor)
        self.marks = CaseMarks()
        self._view = view
        self._seen = Seen(None, NO_CAMERA, False, maps, view.picture, (1, 1), MAX_SPEED_UM_PER_S)
        self._live: LiveResult | None = None
        self._usable: LiveResult | None = None
        self._case: CaseView | None = None
        self._mode, self._expected = Mode.READING, ""
        self._sweeps = False
        self._left_out: tuple[LiveResult, tuple[bool, ...]] | None = None
        self._target: tuple[float, float] | None = None
        self._is_calibrating = False
        self._state = eyepiece_state(self._seen, None)
        self._drawn: DrawnMarks | None = None
        self._drawer = MarkDrawer()
        self._drawer.drawn.connect(self._take_drawn)
        self._silence = QTimer(self)
        self._silence.setSingleShot(True)
        self._silence.setInterval(round(1000 * STALLED_AFTER_S))
        self._silence.timeout.connect(self._take_silence)
        self._fade = Fade(self)
        # Esc is an action of the main window, too; here it closes.
        self._keeper = KeyKeeper(self, lambda event: event.key() == Qt.Key.Key_Escape)

    # ---- what it is told -------------------------------------------------------------------------------------------

    @property
    def state(self) -> EyepieceState:
        """Whether the marks may be shown now, and if not, why."""
        return self._state

    @property
    def shown(self) -> TrackedFrame | None:
        """The newest frame."""
        return self._seen.shown

    @property
    def display_wh(self) -> tuple[int, int]:
        """Width and height in pixels of the display itself, whatever the desktop enlarges."""
        ratio = self.devicePixelRatioF()
        return round(self.width() * ratio), round(self.height() * ratio)

    @property
    def lines(self) -> tuple[Line, ...]:
        """What is written."""
        why_off = self._state.why_off
        if not why_off and not MarkStyle.of(self._view).anything:
            why_off = NOTHING_CHOSEN
        blind = self._seen.is_blind
        return eyepiece_lines(self._view, self._case, self._mode, self._expected, why_off, blind=blind)

    def open_on(self, screen: QScreen) -> None:
        """Fill a screen."""
        self.setScreen(screen)
        self.setGeometry(screen.geometry())
        # Not `showFullScreen`, which takes the focus from the main window.
        self.setWindowState(Qt.WindowState.WindowFullScreen)
        self.show()

    def show_frame(self, tracked: TrackedFrame) -> None:
        """Take the newest frame: the marks move to where its tissue is."""
        self._silence.start()
        self._look(replace(self._seen, shown=tracked, is_silent=False))

    def show_result(self, live: LiveResult) -> None:
        """Take a new analysis."""
        self._live = live
        if live.result.quality.usable:
            self._usable = live
        self._look(self._seen)

    def show_camera(self, status: CameraStatus) -> None:
        """Take the camera's state: marks are for a live picture only."""
        # Frames from before it was lost say nothing of where the tissue is when it comes back.
        shown = self._seen.shown if status.phase is CameraPhase.LIVE else None
        self._look(replace(self._seen, camera=status, shown=shown))

    def show_case(self, view: CaseView) -> None:
        """Take the case: its score, control and regions."""
        self._case = view
        if self.marks.show_case(view):
            self._left_out = None
        self.update()

    def show_sweep(self, on: bool) -> None:
        """Take whether fields are accepted by themselves: then only cells within outlined invasive tumour count."""
        self._sweeps, self._left_out = on, None
        self.update()

    def show_mode(self, mode: Mode, expected: Score | str) -> None:
        """Take what is looked at, and the level of a control."""
        self._mode, self._expected = mode, expected
        self.update()

    def show_blind(self, blind: bool) -> None:
        """Hide all that gives the computed score away, or show it again."""
        self._look(replace(self._seen, is_blind=blind))

    def set_view(self, view: EyepieceView) -> None:
        """Choose what is shown."""
        self._view = view
        self._look(replace(self._seen, fits_picture=view.picture))

    def set_maps(self, maps: EyepieceMaps) -> None:
        """Take other maps."""
        self._look(replace(self._seen, maps=maps))

    def set_max_speed(self, um_per_s: float) -> None:
        """Take the speed above which the stage counts as moving."""
        self._look(replace(self._seen, max_speed_um_per_s=um_per_s))

    def show_target(self, place: tuple[float, float] | None) -> None:
        """For a calibration: show one cross at a display pixel, or none, and nothing else."""
        self._is_calibrating, self._target = True, place
        self.update()

    def end_calibration(self) -> None:
        """Show the marks again."""
        self._is_calibrating, self._target = False, None
        self.update()

    def finish_drawing(self) -> None:
        """Draw the marks at once where they are still being drawn aside: for a picture of the window."""
        order = self._order()
        if order is not None and not self._is_drawn(order):
            self._take_drawn(draw_marks(order))

    def rest(self) -> None:
        """Stop fading and drawing: the window goes away."""
        self._fade.stop()
        self._silence.stop()
        self._drawer.rest()

    # ---- what may be shown -----------------------------------------------------------------------------------------

    def _look(self, seen: Seen) -> None:
        self._seen = replace(seen, display_wh=self.display_wh)
        before, self._state = self._state, eyepiece_state(self._seen, self._live)
        if not self._state.may_fade:
            # Other tissue, or tissue on its way: even one fading outline on it would be wrong.
            self._fade.cut(0.0)
        else:
            self._fade.turn(self._state.visible)
        if self._state.why_off != before.why_off:
            self.state_changed.emit(self._state)
        self.update()

    def _take_silence(self) -> None:
        """No frame came for so long that the picture is not live, whatever the camera's state says."""
        self._look(replace(self._seen, is_silent=True))

    # ---- drawing ---------------------------------------------------------------------------------------------------

    def _palette(self) -> Palette:
        return EYEPIECE_PALETTES.get(self._view.palette, EYEPIECE)

    def _order(self) -> MarkOrder | None:
        """The marks of the newest usable analysis, as they should be drawn now; None: none are wanted."""
        style, matrix, live = MarkStyle.of(self._view), self._state.matrix, self._usable
        if live is None or matrix is None or not style.anything:
            return None
        if self._left_out is None or self._left_out[0] is not live:
            self._left_out = live, self.marks.left_out(live, swept=self._sweeps)
        return MarkOrder(live, style, self._palette(), matrix, self.display_wh, self._left_out[1])

    def _is_drawn(self, order: MarkOrder) -> bool:
        return self._drawn is not None and self._drawn.order.looks_as(order)

    def _take_drawn(self, drawn: DrawnMarks) -> None:
        self._drawn = drawn
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(0, 0, 0))
        ratio = self.devicePixelRatioF()
        painter.scale(1 / ratio, 1 / ratio)  # from here on in the display's own pixels
        if self._is_calibrating:
            if self._target is not None:
                paint_target(painter, self._target, self._palette())
            return
        self._paint_picture(painter)
        shown, order = self._seen.shown, self._order() if self._fade.opacity > 0 else None
        if shown is not None and order is not None:
            self._paint_marks(painter, order, shown)
        self._paint_places(painter)
        paint_lines(painter, self.lines, self.display_wh, self._view, self._palette())

    def _paint_picture(self, painter: QPainter) -> None:
        """For a monitor beside the eyepiece: the camera picture, as long as it is live."""
        shown = self._seen.shown
        if not self._view.picture or shown is None or self._seen.is_silent:
            return
        matrix = fitted_matrix(size_wh(shown.frame), self.display_wh)
        corner, scale = to_display(matrix, corners_of((0, 0)))[0] + CENTRE, matrix[0][0]
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.translate(*corner.tolist())
        painter.scale(scale, scale)
        painter.drawImage(QPointF(0, 0), to_qimage(shown.frame.rgb))
        painter.restore()

    def _paint_marks(self, painter: QPainter, order: MarkOrder, shown: TrackedFrame) -> None:
        """Paint the newest drawing, and have a newer one made where it is not the newest any more."""
        if not self._is_drawn(order):
            self._drawer.ask(order)
        drawn = self._drawn
        if drawn is None or drawn.order.matrix != order.matrix or drawn.order.display_wh != order.display_wh:
            return
        place = eyepiece_state(self._seen, drawn.order.live)
        # An older one stays only where it might be shown by itself: its place is sure, and it is not too old.
        if not place.may_fade or (drawn.order.live is not order.live and not place.visible):
            return
        painter.save()
        painter.setClipRegion(QRegion(picture_edge(shown, order.matrix).toPolygon()))
        painter.setOpacity(self._fade.opacity)
        painter.drawImage(on_whole_pixels(drawn.corner + QPointF(*place.shift_xy_px), 1.0), drawn.picture)
        painter.restore()

    def _paint_places(self, painter: QPainter) -> None:
        """Paint what belongs to the newest frame itself, analysed or not."""
        shown, matrix, view, palette = self._seen.shown, self._state.matrix, self._view, self._palette()
        if shown is None or matrix is None:
            return
        if view.regions:
            paint_regions(painter, self.marks.regions_on(shown), shown, matrix, view)
        if view.border:
            paint_border(painter, shown, matrix, palette, view.line_px)
        if view.crosshair:
            paint_crosshair(painter, shown, matrix, palette, view.line_px)

    # ---- Qt --------------------------------------------------------------------------------------------------------

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if event is not None and event.key() == Qt.Key.Key_Escape:
            self.close()
            return
        super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._look(self._seen)

    def closeEvent(self, event: QCloseEvent | None) -> None:
        self.rest()
        super().closeEvent(event)
        self.closed.emit()
