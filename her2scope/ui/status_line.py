"""The line at the bottom: camera, how live the picture is, provider, and why the overlay is off."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import QSize, Qt
from PyQt6.QtGui import QPainter, QPaintEvent
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QWidget

from her2scope.instruments.hearing import LineState
from her2scope.instruments.serial_line import InstrumentState
from her2scope.pipeline.live import CameraPhase, CameraStatus, LiveFigures
from her2scope.records import MapView
from her2scope.ui.display_meter import DisplayFigures
from her2scope.ui.live_words import LiveWords, live_words
from her2scope.ui.theme import set_role
from her2scope.ui.words import calibration_text

DISCLAIMER = "Research use only"
DRAWN = f"Virtual microscope \N{MIDDLE DOT} {DISCLAIMER.lower()}"
PROVIDER_TIP = "What runs the network"
LOST_LETTERS = 24
CAMERA_LEAST_PX, OVERLAY_LEAST_PX = 130, 200
"""Room that is left to them beside everything else in a window 1366 px wide: what cannot be missed stands there."""
_PHASES = {
    CameraPhase.STARTING: ("\N{WHITE CIRCLE}", "warning"),
    CameraPhase.LIVE: ("\N{BLACK CIRCLE}", "good"),
    CameraPhase.STALLED: ("!", "warning"),
    CameraPhase.RECONNECTING: ("!", "warning"),
    CameraPhase.LOST: ("\N{MULTIPLICATION X}", "bad"),
}


class ElidedLabel(QLabel):
    """A label that shortens its text to its room, but not below `least_px`; the whole of it is in the tool tip."""

    def __init__(
        self, text: str = "", least_px: int = 60, elide: Qt.TextElideMode = Qt.TextElideMode.ElideRight
    ) -> None:
        super().__init__(text)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._least_px, self._elide = least_px, elide

    def setText(self, text: str | None) -> None:
        super().setText(text)
        self.setToolTip(text)

    def minimumSizeHint(self) -> QSize:
        return QSize(self._least_px, super().minimumSizeHint().height())

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setPen(self.palette().color(self.foregroundRole()))
        text = self.fontMetrics().elidedText(self.text(), self._elide, self.width())
        painter.drawText(self.rect(), int(Qt.AlignmentFlag.AlignVCenter), text)


class StatusLine(QWidget):
    """Fixed places, so that the eye finds each figure where it was."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("status_line")
        self.camera = ElidedLabel("\N{WHITE CIRCLE} camera starting", CAMERA_LEAST_PX, Qt.TextElideMode.ElideMiddle)
        self.rates, self.behind = QLabel(), QLabel()
        self.provider = QLabel("\N{EN DASH}")
        self.overlay = ElidedLabel("overlay off: no picture yet", OVERLAY_LEAST_PX)
        self.tracking = ElidedLabel()
        self.tracking.hide()
        self.calibration = ElidedLabel()
        self.calibration.hide()
        self.instruments = ElidedLabel()
        self.instruments.hide()
        self._instruments: tuple[InstrumentState, ...] = ()
        self.disclaimer = QLabel(DISCLAIMER)
        row = QHBoxLayout(self)
        row.setContentsMargins(10, 3, 10, 3)
        row.setSpacing(18)
        for label in (self.camera, self.rates, self.behind, self.provider):
            row.addWidget(label)
        row.addWidget(self.overlay, 1)
        row.addWidget(self.instruments)
        row.addWidget(self.tracking)
        row.addWidget(self.calibration)
        row.addWidget(self.disclaimer)
        set_role(self.rates, "dim")
        for label in (self.tracking, self.calibration):
            set_role(label, "warning")
        self._figures, self._display, self._held = LiveFigures(0.0, 0.0, 0.0, 0, ""), DisplayFigures(0.0, 0.0, 0.0), ""
        self._is_live = False
        self._words: LiveWords | None = None
        self._say_live()

    def show_camera(self, status: CameraStatus) -> None:
        """Show the camera's state."""
        symbol, role = _PHASES[status.phase]
        # The first sentence: the remedy in the rest is shown as a message and in the tool tip.
        words = status.text.split(". ")[0]
        self.camera.setText(f"{symbol} {words if len(words) <= 60 else words[:59] + '…'}")
        self.camera.setToolTip(status.text)
        set_role(self.camera, role)
        self._is_live = status.phase is CameraPhase.LIVE
        self._say_live()

    def show_calibration(self, age_doubt: str | None, missing: Sequence[str]) -> None:
        """Say in short that the microscope's calibration is old or has gaps; all of it is in the tool tip."""
        text = calibration_text(age_doubt, missing)
        self.calibration.setText(f"! {text}")
        self.calibration.setToolTip("\n".join([*filter(None, [age_doubt]), *missing, "Calibrate: Ctrl+M"]))
        self.calibration.setVisible(bool(text))

    def show_instruments(self, states: Sequence[InstrumentState]) -> None:
        """Say in short how the instruments beside the camera are; what is wrong and what to do is in the tool tip."""
        if tuple(states) == self._instruments:
            return
        self._instruments = tuple(states)
        quiet = [state for state in states if state.line is LineState.SILENT and not state.is_fault]
        found = [state.name for state in states if state.line is LineState.FOUND]
        found += [f"{state.name} not heard yet" for state in quiet]  # a switch that nobody pressed
        away = [state for state in states if state.line is not LineState.FOUND and state not in quiet]
        missing = [f"{state.name} {state.line.value}" for state in away]
        starting = all(state.line is LineState.STARTING for state in away)
        self.instruments.setText(f"! {', '.join(missing)}" if missing else ", ".join(found))
        lines = [f"{state.name}: {state.problem or state.line.value}" for state in states]
        self.instruments.setToolTip("\n".join(lines))
        set_role(self.instruments, "dim" if starting else "warning")
        self.instruments.setVisible(bool(states))

    def show_drawn(self, is_drawn: bool) -> None:
        """Say that the pictures are the virtual microscope's, as long as they are."""
        words = DRAWN if is_drawn else DISCLAIMER
        if self.disclaimer.text() != words:
            self.disclaimer.setText(words)
            set_role(self.disclaimer, "warning" if is_drawn else "plain")

    def show_figures(self, figures: LiveFigures) -> None:
        """Show what the engine counted."""
        self._figures = figures
        self._say_live()

    def show_display(self, display: DisplayFigures, held: str) -> None:
        """Show what was painted; `held`: why the picture is not live though the camera is, empty: it is."""
        self._display, self._held = display, held
        self._say_live()

    def _say_live(self) -> None:
        words = live_words(self._figures, self._display, self._held, is_live=self._is_live)
        before, self._words = self._words, words
        if words == before:
            return
        self.rates.setText(words.rates)
        self.behind.setText(words.behind)
        self.provider.setText(words.provider)
        for label in (self.rates, self.behind):
            label.setToolTip(words.details)
        self.provider.setToolTip("\n".join(filter(None, [PROVIDER_TIP, words.provider_note])))
        if before is None or before.is_late != words.is_late:
            set_role(self.behind, "warning" if words.is_late else "dim")
        if before is None or bool(before.provider_note) != bool(words.provider_note):
            set_role(self.provider, "warning" if words.provider_note else "dim")

    def show_tracking(self, view: MapView) -> None:
        """Say that tracking was lost and a new island of the map began; nothing while all is one island."""
        words = (
            view.lost if len(view.lost) <= LOST_LETTERS else view.lost[: LOST_LETTERS - 1] + "\N{HORIZONTAL ELLIPSIS}"
        )
        self.tracking.setText(f"! new island: {words}")
        self.tracking.setToolTip(
            f"Tracking was lost: {view.lost}. A new island of the map began; go back over known tissue to join them."
        )
        self.tracking.setVisible(bool(view.lost))

    def show_overlay(self, why_off: str) -> None:
        """Say that the overlay is on, or why it is not."""
        self.overlay.setText(f"overlay off: {why_off}" if why_off else "overlay on")
        set_role(self.overlay, "warning" if why_off else "dim")
