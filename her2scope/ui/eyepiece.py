"""The eyepiece's display as the main window has it: opens and closes, follows its screen, keeps what was chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from PyQt6.QtCore import QObject
from PyQt6.QtGui import QGuiApplication, QScreen
from PyQt6.QtWidgets import QApplication, QWidget

from her2scope.domain.errors import SettingsError
from her2scope.domain.guideline import Score
from her2scope.pipeline.live import CameraStatus, Mode
from her2scope.records import CaseView
from her2scope.settings.eyepiece import (
    EyepieceMap,
    EyepieceMaps,
    EyepieceView,
    load_maps,
    load_view,
    maps_path,
    save,
    save_map,
    view_path,
)
from her2scope.ui.bridge import LiveBridge
from her2scope.ui.eyepiece_calibration import EyepieceCalibration
from her2scope.ui.eyepiece_choices import EyepieceChoices
from her2scope.ui.eyepiece_window import NO_CAMERA, EyepieceWindow
from her2scope.ui.overlay_state import MAX_SPEED_UM_PER_S

NO_SECOND = "There is no second display for the eyepiece. Connect it, or choose a display for it (Shift+F9)."
OPEN_FIRST = "Open the eyepiece display first (F9): the calibration shows its crosses there."
Tell = Callable[[str, bool], None]
"""Say something to the reader; True: it is an error."""


@dataclass(frozen=True, slots=True)
class EyepieceSetup:
    """What is shown, the maps, and how both are kept; SettingsError where they cannot be."""

    view: EyepieceView = EyepieceView()
    maps: EyepieceMaps = EyepieceMaps()
    save_view: Callable[[EyepieceView], object] = lambda _view: None
    save_map: Callable[[str, EyepieceMap], object] = lambda _objective, _made: None


def stored_setup() -> tuple[EyepieceSetup, tuple[str, ...]]:
    """What this user has stored, and what must be said of its files."""
    view, told = load_view(view_path())
    try:
        maps = load_maps(maps_path())
    except SettingsError as error:
        maps, told = EyepieceMaps(), (*told, f"{error} Until then the eyepiece counts as not calibrated.")
    setup = EyepieceSetup(
        view,
        maps,
        lambda chosen: save(chosen, view_path()),
        lambda objective, made: save_map(objective, made, maps_path()),
    )
    return setup, told


def screen_for(wanted: str, screens: Sequence[QScreen], own: QScreen | None) -> QScreen | None:
    """The display of that name, without a name any; of several not the main window's own. None: it is not there."""
    others = [screen for screen in screens if screen is not own]
    if not wanted:
        return others[0] if others else None
    return next((screen for screen in (*others, *screens) if screen.name() == wanted), None)


class Eyepiece(QObject):
    """Joins the eyepiece's window and its dialogs to the bridge and to the main window.

    Parameters
    ----------
    tell : says something to the reader
    parent : the main window
    """

    def __init__(
        self,
        bridge: LiveBridge,
        setup: EyepieceSetup,
        tell: Tell,
        parent: QWidget,
        *,
        max_speed_um_per_s: float = MAX_SPEED_UM_PER_S,
    ) -> None:
        super().__init__(parent)
        self._bridge, self._setup, self._tell, self._parent = bridge, setup, tell, parent
        self._view, self._maps, self._max_speed_um_per_s = setup.view, setup.maps, max_speed_um_per_s
        self._camera = NO_CAMERA
        self._case: CaseView | None = None
        self._mode, self._expected, self._blind, self._sweeps = Mode.READING, "", False, False
        self._waits_for: str | None = None
        """Name of a display that was unplugged while it was in use."""
        self.window: EyepieceWindow | None = None
        self.calibration: EyepieceCalibration | None = None
        bridge.camera_changed.connect(self._take_camera)
        bridge.case_changed.connect(self._take_case)
        bridge.sweep_changed.connect(self._take_sweep)
        app = QApplication.instance()
        if isinstance(app, QGuiApplication):
            app.screenRemoved.connect(self._screen_removed)
            app.screenAdded.connect(self._screen_added)

    def handlers(self) -> dict[str, Callable[[], None]]:
        """What the keys do."""
        return {
            "eyepiece": self.toggle,
            "eyepiece_choices": self.choose,
            "eyepiece_calibration": self.calibrate,
        }

    @property
    def view(self) -> EyepieceView:
        """What is shown."""
        return self._view

    @property
    def is_open(self) -> bool:
        """Whether the display is in use."""
        return self.window is not None

    # ---- what the main window tells --------------------------------------------------------------------------------

    def open_as_before(self) -> None:
        """Open at the start, where it was open when the program was left; says nothing of a display that is gone."""
        if self._view.is_open and (screen := self._screen()) is not None:
            self._open_on(screen)

    def show_mode(self, mode: Mode, expected: Score | str) -> None:
        """Take what is looked at, and the level of a control."""
        self._mode, self._expected = mode, expected
        if self.window is not None:
            self.window.show_mode(mode, expected)

    def show_blind(self, blind: bool) -> None:
        """Hide all that gives the computed score away, or show it again."""
        self._blind = blind
        if self.window is not None:
            self.window.show_blind(blind)

    def rest(self) -> None:
        """Close for good, and keep what was chosen: the main window goes away."""
        self._waits_for = None
        chosen = replace(self._view, is_open=self.is_open)
        self.close()
        if chosen != self._setup.view:
            self._keep(chosen)

    # ---- what the reader does --------------------------------------------------------------------------------------

    def toggle(self) -> None:
        """Open the display, or close it."""
        self._waits_for = None
        if self.window is not None:
            self.close()
        elif (screen := self._screen()) is not None:
            self._open_on(screen)
        else:
            gone = f"The display '{self._view.screen}' is not there. Connect it, or choose another one (Shift+F9)."
            self._tell(gone if self._view.screen else NO_SECOND, True)

    def close(self) -> None:
        """Close the display and its calibration."""
        if self.window is not None:
            self.window.close()

    def choose(self) -> None:
        """Open the dialog that says what is shown."""
        names = [screen.name() for screen in QGuiApplication.screens()]
        dialog = EyepieceChoices(self._view, names, self._maps, self._parent)
        dialog.changed.connect(self._take_view)
        dialog.finished.connect(lambda _result: self._keep(self._view))
        dialog.show()

    def calibrate(self) -> None:
        """Open the calibration, once."""
        if self.window is None:
            self._tell(OPEN_FIRST, False)
            return
        if self.calibration is None:
            self.calibration = dialog = EyepieceCalibration(self.window, self._setup.save_map, self._parent)
            self._bridge.frame_changed.connect(dialog.show_frame)
            dialog.saved.connect(self._take_map)
            dialog.finished.connect(self._forget_calibration)
            dialog.show_camera(self._camera)
            if self.window.shown is not None:
                dialog.show_frame(self.window.shown)
        self.calibration.show()
        self.calibration.raise_()
        self.calibration.activateWindow()

    # ---- window ----------------------------------------------------------------------------------------------------

    def _screen(self) -> QScreen | None:
        own = self._parent.screen() or QGuiApplication.primaryScreen()
        return screen_for(self._view.screen, QGuiApplication.screens(), own)

    def _open_on(self, screen: QScreen) -> None:
        self._waits_for = None
        self.window = window = EyepieceWindow(self._view, self._maps, self._parent)
        window.set_max_speed(self._max_speed_um_per_s)
        window.show_blind(self._blind)
        window.show_mode(self._mode, self._expected)
        window.show_sweep(self._sweeps)
        window.show_camera(self._camera)
        if self._case is not None:
            window.show_case(self._case)
        self._bridge.frame_changed.connect(window.show_frame)
        self._bridge.result_changed.connect(window.show_result)
        window.closed.connect(self._forget_window)
        window.open_on(screen)

    def _forget_window(self) -> None:
        window, self.window = self.window, None
        if window is not None:
            self._bridge.frame_changed.disconnect(window.show_frame)
            self._bridge.result_changed.disconnect(window.show_result)
            window.deleteLater()

    def _forget_calibration(self) -> None:
        dialog, self.calibration = self.calibration, None
        if dialog is not None:
            self._bridge.frame_changed.disconnect(dialog.show_frame)

    def _screen_removed(self, screen: QScreen) -> None:
        """Close before the desktop moves the window over the reader's own."""
        if self.window is None or self.window.screen() is not screen:
            return
        self.close()
        self._waits_for = name = screen.name()
        self._tell(f"The eyepiece display {name} is gone. Check its cable; it opens again when it is back.", True)

    def _screen_added(self, screen: QScreen) -> None:
        if screen.name() == self._waits_for:
            self._open_on(screen)

    # ---- what changes ----------------------------------------------------------------------------------------------

    def _take_camera(self, status: CameraStatus) -> None:
        self._camera = status
        for part in (self.window, self.calibration):
            if part is not None:
                part.show_camera(status)

    def _take_case(self, view: CaseView) -> None:
        self._case = view
        if self.window is not None:
            self.window.show_case(view)

    def _take_sweep(self, on: bool) -> None:
        self._sweeps = on
        if self.window is not None:
            self.window.show_sweep(on)

    def _take_view(self, view: EyepieceView) -> None:
        moved, self._view = view.screen != self._view.screen, view
        if self.window is None:
            return
        self.window.set_view(view)
        if moved and (screen := self._screen()) is not None:
            self.window.open_on(screen)

    def _take_map(self, objective: str, made: EyepieceMap) -> None:
        self._maps = self._maps.with_map(objective, made)
        if self.window is not None:
            self.window.set_maps(self._maps)
        self._tell(f"Eyepiece calibrated for {objective}: {made.words}.", False)

    def _keep(self, view: EyepieceView) -> None:
        try:
            self._setup.save_view(view)
        except SettingsError as error:
            self._tell(str(error), True)
