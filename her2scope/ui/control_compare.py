"""The control's field beside the live one, at the same um per pixel of the screen, with both fields' figures beneath.

It replaces walking back to the control slide. The live picture is not touched: it is the window's own, in less room.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

from PyQt6.QtCore import QEvent, QObject, QPointF, Qt, pyqtSignal
from PyQt6.QtGui import QMouseEvent, QResizeEvent, QWheelEvent
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from her2scope.domain.cells import StainCuts
from her2scope.domain.guideline import SCORES, Score
from her2scope.domain.score import ControlStatus
from her2scope.imaging.quality import white_drift
from her2scope.overlays.model import OverlaySelection
from her2scope.overlays.palette import Palette
from her2scope.pipeline.control import ANCHOR_LEVEL, MAX_WHITE_DRIFT, SAME_SCALE, latest_of, same_camera
from her2scope.pipeline.live import LiveResult, Mode
from her2scope.records import CameraState, CaseView, ControlReading, FieldResult, Frame, TrackedFrame
from her2scope.ui.curve_plot import CurvePlot
from her2scope.ui.intensity_histogram import IntensityHistogram
from her2scope.ui.live_view import WHEEL_STEP, LiveView
from her2scope.ui.theme import THEME, set_role
from her2scope.ui.viewport import Viewport
from her2scope.ui.words import STATUS_ROLES, STATUS_SYMBOLS, count_text

LEVELS: tuple[Score, ...] = tuple(reversed(SCORES))
NOT_READ = "No control read in this case.\nRead the control first: F2"
CAMERA_WORDS = {
    "objective": ("objective", ""),
    "response": ("camera response", ""),
    "exposure_ms": ("exposure", " ms"),
    "gain": ("gain", ""),
    "white_balance": ("white balance", ""),
}
"""What a reader calls each part of a camera's state, and its unit."""
CUTS = (("intense", "intense_od10"), ("moderate", "moderate_od10"), ("stained", "stained_od10"))
"""Names of the cuts; the first that differs is told."""
MARGIN_PX = 12
CURVE_PX = 344
"""In less, the curve's title and keys overlap."""


def differences(control: Frame, live: Frame) -> tuple[str, ...]:
    """In what the two were not taken alike, in words; empty where the control holds for the live picture."""
    if same_camera(control, live):
        return ()
    found = []
    if abs(control.um_per_px / live.um_per_px - 1) > SAME_SCALE:
        found.append(f"scale {control.um_per_px:.3g} / {live.um_per_px:.3g} um/px")
    for item in fields(CameraState):
        ours, theirs = getattr(control.camera, item.name), getattr(live.camera, item.name)
        if ours != theirs:
            words, unit = CAMERA_WORDS.get(item.name, (item.name.replace("_", " "), ""))
            found.append(f"{words} {_known(ours, unit)} / {_known(theirs, unit)}")
    return tuple(found)


def _known(value: object, unit: str) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return "not known" if value is None else text + unit


def drift_text(control: FieldResult, field: FieldResult | None) -> str:
    """By how much the light changed since the control, where a case may not be read with it; else empty.

    It cannot be said without clear glass in both fields.
    """
    then, now = control.clear_white_rgb, None if field is None else field.clear_white_rgb
    drift = white_drift(now, then) if now is not None and then is not None else 0.0
    if drift <= MAX_WHITE_DRIFT:
        return ""
    return f"white differs by {100 * drift:.0f} % (check lamp, condenser and automatic white balance)"


def difference_text(control: FieldResult, live: Frame, field: FieldResult | None = None) -> str:
    """What must be said before the control and the live picture are compared; empty where they may be.

    Parameters
    ----------
    field : the analysis of the tissue in view, None where there is none
    """
    found = [*differences(control.frame, live), *filter(None, [drift_text(control, field)])]
    if not found:
        return ""
    return f"Not comparable, control / live: {'; '.join(found)}. Read the control again with this setting."


def cuts_text(control: StainCuts, in_force: StainCuts) -> str:
    """Says that the two fields' cells are marked by different cuts; empty where they are not."""
    if control == in_force:
        return ""
    shown = [(name, f"{getattr(control, part):.2f}", f"{getattr(in_force, part):.2f}") for name, part in CUTS]
    name, ours, theirs = next((item for item in shown if item[1] != item[2]), shown[0])
    return (
        f"Cells of the control are marked by the cuts it was judged with ({name} {ours} od10), "
        f"those of the live field by the cuts in force ({theirs})."
    )


class ControlView(LiveView):
    """A control's field: drawn as a live picture is, but at the scale that it is told."""

    carries_overlays = False
    zoom_asked = pyqtSignal(float)
    """The reader turned the wheel over it: both pictures zoom by this factor."""
    fit_asked = pyqtSignal()

    def __init__(self, palette: Palette, selection: OverlaySelection, parent: QWidget | None = None) -> None:
        self._um_per_screen_px = 0.0
        super().__init__(palette, selection, parent)
        self.setObjectName("control_view")
        self.setAccessibleName("Control's field")
        # The keys stay with the live picture.
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)

    def show_reading(self, reading: ControlReading | None) -> None:
        """Show the field of a reading with its overlays; None where there is none."""
        if reading is None:
            self._shown = self._live = self._drawn = self._overlay = None
            self._update_state()
        else:
            # An island of its own: no overlay is ever carried from one reading to another.
            tracked = TrackedFrame(reading.result.frame, island=reading.number)
            self.show_frame(tracked)
            self.show_result(LiveResult(tracked, reading.result, Mode.CONTROL))
            self._set_viewport(self._viewport)
        self.update()

    def show_scale(self, um_per_screen_px: float) -> None:
        """Show a pixel of the screen that wide, as the live picture does."""
        if um_per_screen_px != self._um_per_screen_px:
            self._um_per_screen_px = um_per_screen_px
            self._set_viewport(self._viewport)

    @property
    def um_per_screen_px(self) -> float | None:
        """How wide a pixel of the screen is, None without a picture."""
        return None if self._shown is None else self._shown.frame.um_per_px / self._viewport.zoom

    def _set_viewport(self, viewport: Viewport) -> None:
        """Whatever asks for another zoom gets the scale that was told, farther out than the whole picture too."""
        if self._shown is not None and self._um_per_screen_px > 0:
            zoom = self._shown.frame.um_per_px / self._um_per_screen_px
            viewport = replace(viewport, zoom=zoom).panned(QPointF())
        super()._set_viewport(viewport)

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        if event is not None:
            self.zoom_asked.emit(WHEEL_STEP ** event.angleDelta().y())
            event.accept()

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        self.fit_asked.emit()


class LevelHeader(QFrame):
    """On the control's picture: what it is, and a button for each level."""

    level_chosen = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("level_header")
        self.title, self.summary = QLabel("CONTROL"), QLabel()
        set_role(self.title, "title")
        row = QHBoxLayout()
        row.setSpacing(4)
        row.addWidget(self.title)
        row.addSpacing(6)
        self.buttons = {level: self._button(level) for level in LEVELS}
        for button in self.buttons.values():
            row.addWidget(button)
        row.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 4, 8, 5)
        column.setSpacing(2)
        column.addLayout(row)
        column.addWidget(self.summary)
        self.show_reading(None, ())

    def _button(self, level: Score) -> QPushButton:
        button = QPushButton(level)
        button.setCheckable(True)
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        button.setStyleSheet(
            "QPushButton { padding: 1px 8px; } "
            f"QPushButton:checked {{ background: {THEME.pressed}; border: 1px solid {THEME.accent}; }}"
        )
        button.clicked.connect(lambda _checked, chosen=level: self.level_chosen.emit(chosen))
        return button

    def event(self, event: QEvent | None) -> bool:
        """Grow with what it says: the buttons get their true size only when they are first shown."""
        handled = super().event(event)
        if event is not None and event.type() == QEvent.Type.LayoutRequest:
            self.adjustSize()
        return handled

    def show_reading(self, reading: ControlReading | None, read: Sequence[Score]) -> None:
        """Name the reading on show, and offer the levels that were read."""
        for level, button in self.buttons.items():
            button.setVisible(bool(read))
            button.setEnabled(level in read)
            button.setChecked(reading is not None and reading.expected == level)
            shown = f"Show the {level} control (Shift+K: the next level)"
            button.setToolTip(shown if level in read else f"The {level} control was not read in this case")
        self.summary.setVisible(reading is not None)
        if reading is not None:
            self.summary.setText(_summary(reading))
            set_role(self.summary, STATUS_ROLES[reading.verdict.status])
        colour = THEME.warning if reading is None or reading.verdict.status is not ControlStatus.VALID else THEME.good
        self.setStyleSheet(
            "#level_header { background: rgba(12, 13, 14, 205);" + f" border-left: 4px solid {colour}; }}"
        )
        self.adjustSize()


def _summary(reading: ControlReading) -> str:
    status = reading.verdict.status
    parts = [
        f"{STATUS_SYMBOLS[status]} {status.value}",
        f"reads {reading.measures.read or 'no score'}",
        count_text(reading.measures.n_tumour, "cell", "cells"),
    ]
    if reading.with_earlier:
        parts.append(f"the newest of {len(reading.with_earlier) + 1} fields")
    if reading.lot:
        parts.append(f"lot {reading.lot}")
    return ",  ".join(parts)


class ControlSide(QWidget):
    """The left half: the control's field with its header."""

    def __init__(self, palette: Palette, selection: OverlaySelection) -> None:
        super().__init__()
        self.setObjectName("control_side")
        self.view = ControlView(palette, selection, self)
        self.header = LevelHeader(self)
        self.header.move(MARGIN_PX, MARGIN_PX)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self.view.setGeometry(self.rect())


class CompareFigures(QFrame):
    """Beneath the pictures: what must be said of them, the two curves and the two histograms."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("compare_figures")
        self.setStyleSheet(f"#compare_figures {{ background: {THEME.window}; border-top: 1px solid {THEME.line}; }}")
        self.difference, self.cuts = QLabel(), QLabel()
        for label, role in ((self.difference, "warning"), (self.cuts, "small")):
            set_role(label, role)
            label.setWordWrap(True)
            label.setContentsMargins(MARGIN_PX, 4, MARGIN_PX, 0)
            label.hide()
        self.curve, self.histogram = CurvePlot(), IntensityHistogram()
        self.curve.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.curve.setMinimumWidth(CURVE_PX)
        self._plots = QHBoxLayout()
        self._plots.setSpacing(0)
        self._plots.addWidget(self.curve, 1)
        self._plots.addWidget(self.histogram, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 1, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.difference)
        column.addWidget(self.cuts)
        column.addLayout(self._plots, 1)

    def show_control(self, reading: ControlReading | None, in_force: StainCuts | None) -> None:
        """Show a reading's figures beside the field's, with the case's cuts."""
        result = None if reading is None else reading.result
        self.curve.show_control(() if result is None else result.curve)
        self.histogram.show_control(result, "control" if reading is None else f"control {reading.expected}")
        if in_force is not None:
            self.histogram.show_cuts(in_force)
        _say(self.cuts, "" if result is None or in_force is None else cuts_text(result.cuts, in_force))

    def show_difference(self, text: str) -> None:
        """Warn of pictures that cannot be compared."""
        _say(self.difference, text)


def _say(label: QLabel, text: str) -> None:
    if text != label.text():
        label.setText(text)
        label.setVisible(bool(text))


class ControlCompare(QObject):
    """The side by side view: follows the case, the live picture's scale, and the field in view while it is open."""

    toggled = pyqtSignal(bool)

    def __init__(self, live: LiveView, palette: Palette, selection: OverlaySelection) -> None:
        super().__init__()
        self.side, self.figures = ControlSide(palette, selection), CompareFigures()
        self.is_open = False
        self._live = live
        self._was_fitted = True
        self._case: CaseView | None = None
        self._level: Score = ANCHOR_LEVEL
        self._reading: ControlReading | None = None
        self._field: FieldResult | None = None
        self.side.view.show_notice(NOT_READ)
        self.side.view.zoom_asked.connect(live.zoom_by)
        self.side.view.fit_asked.connect(live.fit)
        self.side.header.level_chosen.connect(self.choose)
        live.zoom_changed.connect(self.follow)

    @property
    def reading(self) -> ControlReading | None:
        """The reading beside the live field."""
        return self._reading

    @property
    def levels(self) -> tuple[Score, ...]:
        """Levels that were read in this case, the strongest first."""
        return tuple(level for level in LEVELS if self._latest(level) is not None)

    def _latest(self, level: Score) -> ControlReading | None:
        return None if self._case is None else latest_of(self._case.controls, level)

    # ---- what the reader does --------------------------------------------------------------------------------------

    def set_open(self, is_open: bool) -> None:
        """Show the control beside the live picture, or the live picture alone.

        The live picture keeps its scale where it gets less room: it is cut, not made smaller.
        """
        if is_open == self.is_open:
            return
        zoom, fitted = self._live.viewport.zoom, self._live.viewport.is_fitted
        self.is_open = is_open
        self._show_reading()
        self.toggled.emit(is_open)
        if is_open:
            self._was_fitted = fitted
            self._live.zoom_by(zoom / self._live.viewport.zoom)
        elif self._was_fitted:
            self._live.fit()
        self.follow()

    def choose(self, level: Score) -> None:
        """Show another level that was read."""
        self._level = level
        self._show_reading()

    def next_level(self) -> None:
        """Show the next weaker level that was read, after the weakest the strongest."""
        levels, shown = self.levels, self._reading
        if shown is not None:
            self.choose(levels[(levels.index(shown.expected) + 1) % len(levels)])

    def set_style(self, selection: OverlaySelection, palette: Palette) -> None:
        """Choose the layers and their colours."""
        self.side.view.set_style(selection, palette)

    # ---- what is shown ---------------------------------------------------------------------------------------------

    def show_case(self, case: CaseView) -> None:
        """Take the case as it is now: its readings and its cuts."""
        self._case = case
        self._show_reading()

    def show_field(self, result: FieldResult | None) -> None:
        """Take the field in view; None where nothing can be said of it."""
        self._field = result
        if self.is_open:
            self.figures.curve.show_field(() if result is None else result.curve)
            self.figures.histogram.show_field(result)
            self.follow()

    def follow(self) -> None:
        """Take the live picture's scale, and compare how the two were taken."""
        shown = self._live.shown
        if not self.is_open or shown is None:
            return
        self.side.view.show_scale(shown.frame.um_per_px / self._live.viewport.zoom)
        control = self._reading
        text = "" if control is None else difference_text(control.result, shown.frame, self._field)
        self.figures.show_difference(text)

    def _show_reading(self) -> None:
        """Show the chosen level, or else the strongest that was read; nothing is done while the view is closed."""
        if not self.is_open:
            return
        levels = self.levels
        reading = self._latest(self._level if self._level in levels or not levels else levels[0])
        if reading is not self._reading:
            self._reading = reading
            self.side.view.show_reading(reading)
        self.side.view.show_notice(NOT_READ if reading is None else "")
        self.side.header.show_reading(reading, levels)
        self.figures.show_control(reading, None if self._case is None else self._case.cuts)
        self.follow()
