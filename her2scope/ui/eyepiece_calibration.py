"""The dialog that calibrates the eyepiece's display: a cross is shown there, and its place clicked in the picture.

Nothing is saved before Save, and nothing that `check_eyepiece_fit` refuses can be saved.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from PyQt6.QtCore import QPointF, QRectF, QSignalBlocker, QSizeF, Qt, pyqtSignal
from PyQt6.QtGui import QCloseEvent, QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QDialog, QLabel, QListWidget, QPushButton, QVBoxLayout, QWidget

from her2scope.domain.errors import Her2ScopeError
from her2scope.imaging.calibration.eyepiece_map import EyepieceFit, to_display
from her2scope.imaging.calibration.refusal import MeasurementRefused
from her2scope.overlays.eyepiece_palette import EYEPIECE
from her2scope.overlays.model import NOTHING
from her2scope.pipeline.live import CameraPhase, CameraStatus
from her2scope.records import TrackedFrame
from her2scope.settings.eyepiece import FEWEST_TARGETS, MAX_RESIDUAL_PX, EyepieceMap
from her2scope.ui.asking_dialog import label
from her2scope.ui.eyepiece_marks import CENTRE
from her2scope.ui.eyepiece_state import objective_of, size_wh
from her2scope.ui.eyepiece_targets import NAMES, Place, Targets, target_title
from her2scope.ui.eyepiece_window import EyepieceWindow
from her2scope.ui.layouts import lay_beside, row_of
from her2scope.ui.live_view import LiveView
from her2scope.ui.picture_marks import BACKDROP
from her2scope.ui.theme import THEME, font, set_role
from her2scope.ui.words import capitalised

COLUMN_PX, TARGETS_PX, VERDICT_PX = 360, 256, 96
CHECK, CROSS = "\N{CHECK MARK}", "\N{MULTIPLICATION X}"
ARM_PX = 9.0
NUDGE_PX, FINE_NUDGE_PX = 1.0, 0.25
"""Camera pixels that an arrow key moves the newest match by, without and with Shift."""
HOW = (
    "Look into the eyepiece: a cross lies over the tissue. Click the same place in this picture; the wheel enlarges "
    "it. Arrow keys move the last click by a pixel, with Shift by a quarter. Skip a cross that you cannot see."
)
CHECK_IT = "Move the mouse over the picture: the cross in the eyepiece must stay on the same tissue. Then save."
IN_LIST = "Click a target in the list to see its cross again, then its place in the picture."
SaveMap = Callable[[str, EyepieceMap], object]


class MatchPicture(LiveView):
    """The camera picture, with what was clicked in it."""

    pointed = pyqtSignal(QPointF)
    """Where the mouse is, in image coordinates."""

    def __init__(self) -> None:
        super().__init__(EYEPIECE, NOTHING)
        self.setObjectName("match_picture")
        self.setAccessibleName("Camera picture, to click the cross in")
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.matches: tuple[tuple[str, Place], ...] = ()
        """Name and camera place (pixel centres are integers) of each match."""

    def show_matches(self, matches: tuple[tuple[str, Place], ...]) -> None:
        """Mark these places."""
        self.matches = matches
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setFont(font(bold=True))
        for name, (x, y) in self.matches:
            at = self.viewport.to_screen(QPointF(x + CENTRE, y + CENTRE))
            for colour, width_px in (("#000000", 3.0), (THEME.accent, 1.0)):
                painter.setPen(QPen(QColor(colour), width_px))
                painter.drawLine(at - QPointF(ARM_PX, 0), at + QPointF(ARM_PX, 0))
                painter.drawLine(at - QPointF(0, ARM_PX), at + QPointF(0, ARM_PX))
            size = painter.boundingRect(QRectF(), 0, name).adjusted(-4, 0, 4, 0).size()
            box = label_box(at, size, QRectF(self.rect()))
            painter.fillRect(box, BACKDROP)
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, name)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        super().mouseMoveEvent(event)
        if event is not None and self.shown is not None:
            self.pointed.emit(self.viewport.to_image(event.position()))


class EyepieceCalibration(QDialog):
    """The picture on the left, targets and residuals on the right. It does not block: the stage can be moved behind it.

    Parameters
    ----------
    eyepiece : shows the crosses; is open
    save : keeps a map for an objective; Her2ScopeError where it cannot
    """

    saved = pyqtSignal(str, object)
    """Objective, and its `EyepieceMap`."""

    def __init__(
        self,
        eyepiece: EyepieceWindow,
        save: SaveMap,
        parent: QWidget | None = None,
        *,
        today: Callable[[], date] = date.today,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("eyepiece_calibration")
        self.setWindowTitle("Calibrate the eyepiece display")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._eyepiece, self._save, self._today = eyepiece, save, today
        self._targets: Targets | None = None
        self._fit: EyepieceFit | None = None
        self._refusal = ""
        self._is_live = True
        self._camera_notice = self._doubt = ""
        """Why nothing can be matched: in the camera's state, and in the newest frame."""
        self._make_parts()
        self._lay_out()
        eyepiece.closed.connect(self.reject)
        self._show()

    def _make_parts(self) -> None:
        self.picture = MatchPicture()
        self.what, self.how, self.verdict = QLabel(), label(HOW), label("")
        self.verdict.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.verdict.setMinimumHeight(VERDICT_PX)
        self.what.setFont(font(17, bold=True))
        self.what.setWordWrap(True)
        self.targets = QListWidget()
        self.targets.setAccessibleName("Targets, with their distances")
        self.targets.setFixedHeight(TARGETS_PX)
        self.skip = QPushButton("Not seen: &skip")
        self.over = QPushButton("Start &over")
        self.keep = QPushButton("Save (Enter)")
        self.cancel = QPushButton("Cancel (Esc)")
        for button in (self.skip, self.over, self.cancel):
            button.setAutoDefault(False)
        self.keep.setDefault(True)
        self.picture.clicked.connect(lambda at, _modifiers: self.match(self.picture.viewport.to_image(at)))
        self.picture.pointed.connect(self._point)
        self.targets.itemActivated.connect(lambda _item: self.go_to(self.targets.currentRow()))
        self.targets.itemClicked.connect(lambda _item: self.go_to(self.targets.currentRow()))
        self.skip.clicked.connect(self.skip_target)
        self.over.clicked.connect(self.start_over)
        self.keep.clicked.connect(self.save)
        self.cancel.clicked.connect(self.reject)

    def _lay_out(self) -> None:
        column = QVBoxLayout()
        for widget in (self.what, self.how, self.targets, self.verdict):
            column.addWidget(widget)
        column.addStretch(1)
        for buttons in ((self.skip, self.over), (self.cancel, self.keep)):
            column.addLayout(row_of(*buttons))
        lay_beside(self, self.picture, column, COLUMN_PX)
        self.resize(1180, 720)

    # ---- what the reader does --------------------------------------------------------------------------------------

    @property
    def session(self) -> Targets | None:
        """How far it has come; None before the first frame."""
        return self._targets

    @property
    def may_save(self) -> bool:
        """Whether the map is good enough to be kept."""
        return self._fit is not None and not self._refusal

    def show_frame(self, tracked: TrackedFrame) -> None:
        """Take the newest live frame; another objective or picture size starts over."""
        self.picture.show_frame(tracked)
        self._doubt = tracked.short_doubt
        self._show_notice()
        if self._doubt:
            return
        before = self._targets
        now = Targets(self._eyepiece.display_wh, size_wh(tracked.frame), objective_of(tracked.frame))
        if before is not None and _same_bench(before, now):
            return
        self._take(now)
        if before is not None and before.clicked:
            self._say("The objective, the picture's size or the display changed: the targets start over.", "warning")

    def show_camera(self, status: CameraStatus) -> None:
        """Take the camera's state: in a picture that is not live, nothing can be matched."""
        self._is_live = status.phase is CameraPhase.LIVE
        self._camera_notice = "" if self._is_live else f"Not live: {status.text}"
        self._show_notice()

    def _show_notice(self) -> None:
        self.picture.show_notice(self._camera_notice or self._doubt)

    def match(self, at: QPointF) -> None:
        """The current target lies at this point of the picture."""
        targets = self._targets
        if targets is None or targets.current is None or not self._is_live or self._doubt:
            return
        width, height = targets.camera_wh
        if 0 <= at.x() < width and 0 <= at.y() < height:
            self._take(targets.match((at.x() - CENTRE, at.y() - CENTRE)))

    def skip_target(self) -> None:
        """Leave the current target out."""
        if self._targets is not None:
            self._take(self._targets.skip())

    def go_to(self, number: int) -> None:
        """Show a target (again), to click it anew."""
        if self._targets is not None and 0 <= number < len(NAMES):
            self._take(self._targets.go_to(number))

    def start_over(self) -> None:
        """Forget all that was clicked."""
        if self._targets is not None:
            self._take(Targets(self._targets.display_wh, self._targets.camera_wh, self._targets.objective))

    def save(self) -> None:
        """Keep the map, and close; stays open with the reason where it cannot be kept."""
        targets, fit = self._targets, self._fit
        if targets is None or fit is None or self._refusal:
            return
        screen = self._eyepiece.screen()
        try:
            made = EyepieceMap(
                fit.matrix, targets.camera_wh, targets.display_wh, self._today().isoformat(), fit.residual_px,
                len(targets.clicked), screen.name() if screen is not None else "",
            )  # fmt: skip
            self._save(targets.objective, made)
        except Her2ScopeError as error:
            self._say(f"{CROSS} Not saved: {error}", "bad")
            return
        self.saved.emit(targets.objective, made)
        self.accept()

    def done(self, result: int) -> None:
        self._eyepiece.end_calibration()
        self.picture.rest()
        super().done(result)

    def closeEvent(self, event: QCloseEvent | None) -> None:
        self._eyepiece.end_calibration()
        self.picture.rest()
        super().closeEvent(event)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        steps = {Qt.Key.Key_Left: (-1, 0), Qt.Key.Key_Right: (1, 0), Qt.Key.Key_Up: (0, -1), Qt.Key.Key_Down: (0, 1)}
        step = steps.get(Qt.Key(event.key())) if event is not None else None
        if event is None or step is None or self._targets is None:
            super().keyPressEvent(event)
            return
        size = FINE_NUDGE_PX if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else NUDGE_PX
        self._take(self._targets.nudge(step[0] * size, step[1] * size))

    # ---- what is shown ---------------------------------------------------------------------------------------------

    def _take(self, targets: Targets) -> None:
        self._targets, self._fit, self._refusal = targets, None, ""
        try:
            if targets.can_fit:
                self._fit = targets.fit()
                targets.check(self._fit)
        except MeasurementRefused as refused:
            self._refusal = refused.why
        self._show()

    def _point(self, at: QPointF) -> None:
        """To check the map: the cross in the eyepiece follows the mouse."""
        targets, fit = self._targets, self._fit
        if targets is not None and targets.current is None and fit is not None and self.may_save:
            ((x, y),) = to_display(fit.matrix, [(at.x() - CENTRE, at.y() - CENTRE)]).tolist()
            self._eyepiece.show_target((x, y))

    def _show(self) -> None:
        targets = self._targets
        self._eyepiece.show_target(None if targets is None else targets.place)
        self.what.setText(_title(targets))
        self.how.setText(CHECK_IT if targets is not None and targets.current is None and self.may_save else HOW)
        self.skip.setEnabled(targets is not None and targets.current is not None)
        self.over.setEnabled(targets is not None and bool(targets.clicked or targets.skipped))
        self.keep.setEnabled(self.may_save)
        clicked = targets.clicked if targets is not None else {}
        self.picture.show_matches(tuple((str(number + 1), place) for number, place in clicked.items()))
        self._list_targets()
        self._say(*self._verdict())
        if not self.targets.hasFocus():
            self.picture.setFocus()

    def _list_targets(self) -> None:
        targets, distances = self._targets, self._distances_px()
        with QSignalBlocker(self.targets):
            self.targets.clear()
            for number, name in enumerate(NAMES):
                state = f"{distances[number]:.2f} px" if number in distances else ""
                if targets is not None and not state:
                    state = "matched" if number in targets.clicked else "skipped" if number in targets.skipped else ""
                self.targets.addItem(f"{number + 1}  {capitalised(name)}{f':  {state}' if state else ''}")
            if targets is not None and targets.current is not None:
                self.targets.setCurrentRow(targets.current)

    def _distances_px(self) -> dict[int, float]:
        """Of each matched target from where the map places it."""
        if self._targets is None or self._fit is None:
            return {}
        return dict(zip(sorted(self._targets.clicked), self._fit.distances_px, strict=True))

    def _verdict(self) -> tuple[str, str]:
        """What is to be said, and its role."""
        targets, fit = self._targets, self._fit
        if targets is None:
            return "", "dim"
        if self._refusal:
            again = "" if targets.current is not None else f" {IN_LIST}"
            return f"{CROSS} {capitalised(self._refusal)}{again}", "bad"
        if fit is not None:
            edge = f"about {fit.edge_error_px:.2f} px at the picture's edge"
            found = f"residual {fit.residual_px:.2f} display pixels (limit {MAX_RESIDUAL_PX:g}), {edge}"
            return f"{CHECK} {targets.objective}: {found}; {fit.shape.words}.", "good"
        missing = FEWEST_TARGETS - len(targets.clicked)
        if targets.current is None:
            return f"{CROSS} {missing} more targets are needed. Click skipped ones in the list that you can see.", "bad"
        return f"{missing} more are needed; more of them make it surer.", "dim"

    def _say(self, text: str, role: str) -> None:
        self.verdict.setText(text)
        set_role(self.verdict, role)


def label_box(at: QPointF, size: QSizeF, room: QRectF) -> QRectF:
    """Where the name of a mark stands: to its upper right, at the picture's edge on its other side."""
    box = QRectF(at + QPointF(ARM_PX, -ARM_PX - size.height()), size)
    if box.right() > room.right():
        box.moveRight(at.x() - ARM_PX)
    if box.top() < room.top():
        box.moveTop(at.y() + ARM_PX)
    return box


def _title(targets: Targets | None) -> str:
    if targets is None:
        return "Waiting for the camera"
    if targets.current is None:
        return f"{targets.objective}: all targets shown"
    return f"{targets.objective}: {target_title(targets.current)}"


def _same_bench(one: Targets, other: Targets) -> bool:
    return (one.display_wh, one.camera_wh, one.objective) == (other.display_wh, other.camera_wh, other.objective)
