"""The window of the live program: assembles the parts and joins them to the engine. Decides nothing itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from PyQt6.QtCore import QSize, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QAction, QCloseEvent, QGuiApplication, QResizeEvent
from PyQt6.QtWidgets import QApplication, QMainWindow, QMenu, QTabWidget, QWidget

from her2scope.domain.control_history import ControlEntry
from her2scope.domain.control_material import ControlMaterial, ControlMaterials
from her2scope.domain.guideline import SCORES
from her2scope.domain.score import ControlStanding
from her2scope.overlays.model import NOTHING, OverlaySelection
from her2scope.overlays.palette import PALETTES, Palette
from her2scope.pipeline.live import CameraPhase, CameraStatus, LiveCommands, LiveResult, Message, Mode, Severity
from her2scope.records import CaseView, TrackedFrame
from her2scope.settings import Calibration, Preferences
from her2scope.settings.instruments import ButtonAction
from her2scope.ui.action_table import ACTIONS, Menu
from her2scope.ui.actions import KeyKeeper, apply_scope, fill_menus, keeps_key, make_actions
from her2scope.ui.background_read import BackgroundRead
from her2scope.ui.bridge import LiveBridge
from her2scope.ui.calibration_steps import CalibrationSetup
from her2scope.ui.calibration_wizard import CalibrationWizard
from her2scope.ui.case_panel import CasePanel
from her2scope.ui.case_steps import CaseSteps, SignerNames, StoredCases
from her2scope.ui.case_tools import CaseTools
from her2scope.ui.control_compare import ControlCompare
from her2scope.ui.control_panel import ControlPanel
from her2scope.ui.curve_plot import CurvePlot
from her2scope.ui.desk import Desk, DeskSetup
from her2scope.ui.dialogs import KeysDialog, messages_dialog
from her2scope.ui.eyepiece import Eyepiece, EyepieceSetup
from her2scope.ui.field_keys import FieldKeys
from her2scope.ui.first_start import FirstStart
from her2scope.ui.first_start_steps import Chosen, SetupSteps, kept_choice
from her2scope.ui.legend import Legend, field_legend_text, legend_text
from her2scope.ui.live_area import FIRST_READING, LiveArea
from her2scope.ui.live_view import LiveView
from her2scope.ui.live_words import COVERED, FROZEN
from her2scope.ui.message_bar import MessageBar
from her2scope.ui.navigator import Navigator
from her2scope.ui.overlay_state import MAX_SPEED_UM_PER_S, same_tissue
from her2scope.ui.review import Review
from her2scope.ui.sign_words import title_state
from her2scope.ui.status_line import StatusLine
from her2scope.ui.window_layout import Parts, lay_out
from her2scope.ui.words import by_moved_cuts, case_title, sentence

SMALL_STEP, LARGE_STEP = 0.1, 0.75
"""Shares of a picture: the small one keeps enough tissue in view to follow it, the large one shows mostly new cells."""
ZOOM_STEP = 1.25
FRAME_PX = QSize(16, 40)
"""Room for a title bar and borders: Qt does not know them before the window is shown, and a status line below the
screen's edge says nothing."""
LAYERS = ("membranes", "cells", "outlines", "filled", "outside")
SWITCHED_OFF = "switched off (M, N, O, B)"
OWN_SCORE_FIRST = "own score first (S)"
NO_OUTLINE_ON_CONTROL = "A control is read whole: nothing is outlined on it. Go to reading mode first (F3)."
METER_MS = 500
"""Between two looks at how live the picture is: as often as figures can be read."""
ROOMY_PX = 900
"""Height of a window that has room for the sliders, a cell and its plot beneath the case."""

SavePreferences = Callable[[Preferences], None]
ReadHistory = Callable[[], tuple[tuple[ControlEntry, ...], tuple[str, ...]]]
"""All readings, and what of the history could not be kept as it was."""


class MainWindow(QMainWindow):
    """Live picture on the left, control and case on the right, status below.

    Parameters
    ----------
    commands : the engine, as far as the window may ask it
    bridge : what the engine was given as its listener
    source : the source of frames; where it is also a `Stage`, a `Nosepiece` or a `FrameSequence`, its keys work
    preferences : how the window looked last
    save_preferences : called once, when the window closes
    max_speed_um_per_s : speed of the slide above which the overlay fades; as in the quality settings
    calibration : what the calibration wizard needs; None: this window cannot calibrate
    material : the control of the laboratory; None: a run slide with all levels
    read_history : every control reading of the laboratory, and what of it could not be kept; may wait for the disk
    signer_names : of all who may sign cases, for the sign-off; may wait for the disk
    stored_cases : all of them, newest first; may wait for the disk
    eyepiece : what the eyepiece's display shows, and how that is kept
    desk : the instruments beside the camera
    set_up : what the set-up asks of the program; None: this window cannot set up
    """

    closed = pyqtSignal()
    """The reader closed the window; the engine may stop now."""

    def __init__(
        self,
        commands: LiveCommands,
        bridge: LiveBridge,
        source: object = None,
        preferences: Preferences | None = None,
        *,
        save_preferences: SavePreferences | None = None,
        max_speed_um_per_s: float = MAX_SPEED_UM_PER_S,
        calibration: CalibrationSetup | None = None,
        material: ControlMaterial | None = None,
        read_history: ReadHistory | None = None,
        signer_names: SignerNames = lambda: (),
        stored_cases: StoredCases = lambda: (),
        eyepiece: EyepieceSetup | None = None,
        desk: DeskSetup | None = None,
        set_up: SetupSteps | None = None,
    ) -> None:
        super().__init__()
        self.setWindowTitle("her2scope")
        self._commands, self._bridge = commands, bridge
        self._preferences = preferences or Preferences()
        self._save_preferences = save_preferences
        self._calibration = calibration
        self._material = material or ControlMaterials().controls[0]
        self._history = BackgroundRead("control history", read_history or (lambda: ((), ())), self)
        self._wizard: CalibrationWizard | None = None
        self._set_up_steps = set_up
        self._set_up: FirstStart | None = None
        self._mode = self._analysed_mode = Mode.READING
        self._case: CaseView | None = None
        self._read_as_control: TrackedFrame | None = None
        self._lost_camera: set[str] = set()
        """What was said of a camera that is lost, until it is back."""
        self._blind = self._live_moved = False
        self._make_parts(max_speed_um_per_s)
        desk = desk or DeskSetup()
        self._navigator = Navigator(source, self._tell_of_slide, desk.stage, desk.nosepiece)
        self.eyepiece = Eyepiece(
            bridge, eyepiece or EyepieceSetup(), self._tell, self, max_speed_um_per_s=max_speed_um_per_s
        )
        self.tools = CaseTools(
            commands, self.case_panel, self.area, self._navigator, self.status, self._palette(), self._tell, self
        )
        self.steps = CaseSteps(commands, self.tools.may_finish, signer_names, stored_cases, self._tell, self)
        self.fields = FieldKeys(self.review, self.case_panel, self._read_tissue, self._tell, self)
        self.actions_by_id = make_actions(self, self._handlers())
        self._keeper = KeyKeeper(self, lambda event: keeps_key(QApplication.focusWidget(), event))
        self._desk = Desk(desk, self.status, self._button_handlers(), self.messages, self, self._is_setting_up)
        self._make_menus()
        lay_out(self, self._parts())
        self._connect_panels()
        self._connect_bridge()
        self._show_source()
        if calibration is not None:
            self.status.show_calibration(calibration.age_doubt, calibration.missing)
        self._show_preferences()
        self._show_mode()
        self.view.setFocus()

    # ---- parts -----------------------------------------------------------------------------------------------------

    def _make_parts(self, max_speed_um_per_s: float) -> None:
        palette, selection = self._palette(), self._selection()
        self.view = LiveView(palette, selection)
        self.view.set_max_speed(max_speed_um_per_s)
        self.legend = Legend(palette)
        self.messages = MessageBar()
        self.compare = ControlCompare(self.view, palette, selection)
        self.review = Review(self.view, palette, selection, self._commands, self._tell, self)
        self.area = LiveArea(self.view, self.legend, self.messages, self.compare, self.review)
        self.control_panel = ControlPanel(self._material)
        self.case_panel = CasePanel(palette)
        self.curve = CurvePlot()
        self.status = StatusLine()
        self._meter_clock = QTimer(self)
        self._meter_clock.setInterval(METER_MS)
        self.tabs = QTabWidget()

    def _parts(self) -> Parts:
        return Parts(
            area=self.area,
            tabs=self.tabs,
            control=self.control_panel,
            case=self.case_panel,
            rules=self.tools.rules,
            curve=self.curve,
            inspector=self.review.inspector,
            status=self.status,
        )

    def _make_menus(self) -> None:
        bar = self.menuBar()
        if bar is None:
            return
        menus = fill_menus(bar, self.actions_by_id)
        self._places_menu = QMenu("Go to place", menus[Menu.SLIDE])
        menus[Menu.SLIDE].insertMenu(self.actions_by_id["stronger_objective"], self._places_menu)
        self._places_menu.aboutToShow.connect(self._fill_places)

    # ---- joining ---------------------------------------------------------------------------------------------------

    def _connect_bridge(self) -> None:
        self._bridge.frame_changed.connect(self._on_frame)
        self._bridge.result_changed.connect(self._on_result)
        self._bridge.case_changed.connect(self._on_case)
        self._bridge.camera_changed.connect(self._on_camera)
        self._bridge.figures_changed.connect(self.status.show_figures)
        self._bridge.message_posted.connect(self.messages.post)
        self._bridge.button_pressed.connect(self._desk.press)
        self.tools.connect_bridge(self._bridge)
        self.steps.connect_bridge(self._bridge)
        self._meter_clock.timeout.connect(self._show_how_live)
        self._meter_clock.start()

    def _connect_panels(self) -> None:
        self.view.overlay_changed.connect(self._show_overlay_state)
        self.view.stage_drag_um.connect(self._navigator.move_by_um)
        self.review.changed.connect(self._show_figures_of_field)
        self.review.inspector.toggled.connect(self._show_curve)
        self.review.outlining.changed.connect(self.tools.place)
        self.review.scope_changed.connect(lambda scope: apply_scope(self.actions_by_id, scope))
        self.tabs.currentChanged.connect(lambda index: self._set_mode(_mode_of_tab(index)))
        self._history.loaded.connect(lambda found: self._show_history(*found))
        self._history.failed.connect(lambda text: self._tell(text, True))
        self.control_panel.read_asked.connect(self._read_control)
        self.control_panel.override_asked.connect(self._commands.override_control)
        self.control_panel.expected.currentIndexChanged.connect(self._show_mode)
        self.case_panel.remove_asked.connect(self._commands.remove_field)
        self.case_panel.restore_asked.connect(self._commands.restore_field)
        self.case_panel.finish_asked.connect(self.steps.finish)
        self.case_panel.sign_asked.connect(self.steps.sign)
        self.steps.field_asked.connect(self._look_at_field)
        self.review.changed.connect(lambda: self.steps.note_shown(self.review.field))
        self.tools.hiding_changed.connect(self._show_mode)
        self.tools.rules_toggled.connect(self._show_curve)
        self.tools.field_chosen.connect(lambda _number: self.fields.show_selected())
        self.tools.left.connect(lambda: self.review.picture.setFocus())

    def _handlers(self) -> dict[str, Callable[[], None]]:
        return {
            **self._case_handlers(),
            **self._slide_handlers(),
            **self._view_handlers(),
            **self.review.handlers(),
            **self.fields.handlers(),
            **self.tools.handlers(),
            **self.steps.handlers(),
            **self.eyepiece.handlers(),
            "mode_control": lambda: self._set_mode(Mode.CONTROL),
            "mode_reading": lambda: self._set_mode(Mode.READING),
            "expected": self._go_to_level,
            "lot": lambda: self._go_to(Mode.CONTROL, self.control_panel.lot),
            "override": self._go_to_override,
            "keys": lambda: KeysDialog(self).open(),
            "messages": lambda: messages_dialog(tuple(self.messages.history), self).open(),
            "dismiss": self._dismiss,
            "next_pane": self._next_pane,
            "outline": self._outline,
            "compare": self._toggle_compare,
            "next_level": self._show_next_level,
            "calibrate": self._calibrate,
            "set_up": self._open_set_up,
            "control_history": self._history.start,
        }

    def _button_handlers(self) -> dict[ButtonAction, Callable[[], None]]:
        """What the instruments' buttons do: the same as keys."""
        actions = self.actions_by_id
        return {
            ButtonAction.ACCEPT: actions["accept"].trigger,
            ButtonAction.CONTROL: lambda: self._set_mode(Mode.READING if self._mode is Mode.CONTROL else Mode.CONTROL),
            ButtonAction.UNDO: actions["undo"].trigger,
        }

    def _is_setting_up(self) -> bool:
        return any(item is not None for item in (self._wizard, self._set_up, self.eyepiece.calibration))

    def _case_handlers(self) -> dict[str, Callable[[], None]]:
        return {
            "accept": self._accept,
            "restore": self.case_panel.restore_field,
            "own_score": lambda: self._go_to(Mode.READING, self.case_panel.own.score),
            "ish": lambda: self._go_to(Mode.READING, self.case_panel.own.ish),
            "quit": self._quit,
        }

    def _slide_handlers(self) -> dict[str, Callable[[], None]]:
        steps = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
        handlers: dict[str, Callable[[], None]] = {}
        for name, (across, down) in steps.items():
            handlers[f"stage_{name}"] = self._step(across * SMALL_STEP, down * SMALL_STEP)
            handlers[f"stage_far_{name}"] = self._step(across * LARGE_STEP, down * LARGE_STEP)
        return handlers | {
            "next_place": lambda: self._arrive(self._navigator.next_place()),
            "go_to_field": lambda: self._navigator.go_to_field(
                self.case_panel.fields.selected_field(), self.view.shown
            ),
            "stronger_objective": lambda: self._navigator.turn_objective(1),
            "weaker_objective": lambda: self._navigator.turn_objective(-1),
            "previous_picture": lambda: self._navigator.step_picture(-1),
            "next_picture": lambda: self._navigator.step_picture(1),
            "reconnect": lambda: self._commands.reconnect(),
        }

    def _view_handlers(self) -> dict[str, Callable[[], None]]:
        return {
            **dict.fromkeys((*LAYERS, "hide_all", "palette", "legend"), self._style_chosen),
            "fit": lambda: self.review.picture.fit(),
            "zoom_in": lambda: self.review.picture.zoom_by(ZOOM_STEP),
            "zoom_out": lambda: self.review.picture.zoom_by(1 / ZOOM_STEP),
            "actual_pixels": lambda: self.review.picture.show_actual_pixels(),
            "full_screen": self._toggle_full_screen,
        }

    def _step(self, across: float, down: float) -> Callable[[], None]:
        return lambda: self._navigator.move_by_pictures(self.view.shown, across, down)

    # ---- from the engine -------------------------------------------------------------------------------------------

    def _on_frame(self, tracked: TrackedFrame) -> None:
        self.view.show_frame(tracked)
        self.compare.follow()
        self.status.show_drawn(tracked.frame.is_drawn)

    def _on_result(self, live: LiveResult) -> None:
        self.view.show_result(live)
        self._follow_mode(live.mode)
        self._show_figures_of_field()

    def _on_case(self, view: CaseView) -> None:
        self._case = view
        if view.rule is None or not view.rule.is_preview:
            self._live_moved = by_moved_cuts(view)
        self.setWindowTitle(f"{case_title(view)}{title_state(view.sign_off)} \N{EN DASH} her2scope")
        self.case_panel.show_case(view)
        self.tools.show_case(view)
        self.control_panel.show_case(view)
        self.review.show_case(view)
        self.compare.show_case(view)
        self.curve.show_control(view.control.result.curve if view.control is not None else ())
        self.messages.keep(view.finished_utc is not None)
        self._show_mode()
        self._show_figures_of_field()
        self.steps.show_case(view)

    def _show_how_live(self) -> None:
        held = COVERED if self.review.field is not None else FROZEN if self.view.is_frozen else ""
        self.status.show_display(self.view.meter.figures(time.monotonic()), held)

    def _on_camera(self, status: CameraStatus) -> None:
        self.status.show_camera(status)
        if status.phase is CameraPhase.LOST:
            self._lost_camera.add(status.text)
        elif status.phase is CameraPhase.LIVE:
            self.messages.withdraw(self._lost_camera)
            self._lost_camera.clear()
        plain = sentence(status.text)
        words = {CameraPhase.LIVE: "", CameraPhase.STARTING: plain, CameraPhase.STALLED: plain}
        self.view.show_camera(words.get(status.phase, f"Not live: {status.text}"))

    # ---- what is shown ---------------------------------------------------------------------------------------------

    def _palette(self) -> Palette:
        return PALETTES.get(self._preferences.palette, PALETTES["safe"])

    def _selection(self) -> OverlaySelection:
        shown = self._preferences
        return OverlaySelection(
            shown.show_membranes, shown.show_cells, shown.show_outlines, shown.show_filled, shown.show_outside
        )

    def _show_overlay_state(self) -> None:
        why_off = self.view.state.why_off
        if not why_off and not self._effective_selection().anything:
            why_off = OWN_SCORE_FIRST if self._blind else SWITCHED_OFF
        self.status.show_overlay(why_off)
        self._show_figures_of_field()

    def _show_figures_of_field(self) -> None:
        """Legend and curve: of the tissue on screen, or empty."""
        live, why_off = self.view.live, OWN_SCORE_FIRST if self._blind else self.view.state.why_off
        standing = self._case.standing if self._case is not None else ControlStanding()
        field = self.review.field
        if field is not None:
            hidden = why_off if self._blind else ""
            moved = self._case is not None and by_moved_cuts(self._case)
            self.legend.show_text(field_legend_text(field, standing, hidden, moved=moved))
            self.curve.show_field(field.result.curve if not self._blind else ())
            return
        # An unusable picture has no figures, but a reason that belongs into the legend.
        unusable = live is not None and not live.result.quality.usable and self.view.state.same_place
        text = legend_text(
            live, "" if unusable else why_off, standing, moved=self._live_moved, n_left_out=self.view.n_left_out
        )
        self.legend.show_text(text)
        result = live.result if live is not None and not why_off else None
        self.curve.show_field(result.curve if result is not None else ())
        self.compare.show_field(result)

    def _show_source(self) -> None:
        offers = self._navigator.offers
        for info in ACTIONS:
            if info.needs is not None:
                self.actions_by_id[info.id].setEnabled(info.needs in offers)
        stage = self.actions_by_id["next_place"].isEnabled()
        self.view.stage_draggable = stage
        self._places_menu.setEnabled(stage)

    def _show_preferences(self) -> None:
        selection = self._selection()
        for layer in LAYERS:
            self.actions_by_id[layer].setChecked(getattr(selection, layer))
        self.actions_by_id["palette"].setChecked(self._preferences.palette == "paper")
        self.actions_by_id["legend"].setChecked(True)
        self.tools.bind(self.actions_by_id, self._preferences)
        width, height = self._preferences.window_wh
        screen = QGuiApplication.primaryScreen()
        room = screen.availableSize() - FRAME_PX if screen is not None else QSize(width, height)
        self.resize(QSize(width, height).boundedTo(room))

    def _style_chosen(self) -> None:
        """Take the layers, the palette and the legend from the state of their actions."""
        chosen = {layer: self.actions_by_id[layer].isChecked() for layer in LAYERS}
        self._preferences = replace(
            self._preferences,
            show_membranes=chosen["membranes"],
            show_cells=chosen["cells"],
            show_outlines=chosen["outlines"],
            show_filled=chosen["filled"],
            show_outside=chosen["outside"],
            palette="paper" if self.actions_by_id["palette"].isChecked() else "safe",
        )
        palette = self._palette()
        self.view.set_style(self._effective_selection(), palette)
        self.review.set_style(self._effective_selection(), palette, hides_classes=self._blind)
        self.compare.set_style(self._effective_selection(), palette)
        self.legend.set_palette(palette)
        self.case_panel.set_palette(palette)
        self.tools.set_palette(palette)
        self.legend.setVisible(self.actions_by_id["legend"].isChecked())
        self._show_overlay_state()

    def _effective_selection(self) -> OverlaySelection:
        return NOTHING if self.actions_by_id["hide_all"].isChecked() or self._blind else self._selection()

    # ---- what the reader does --------------------------------------------------------------------------------------

    def _set_mode(self, mode: Mode) -> None:
        if mode is not self._mode:
            self._mode = mode
            self._commands.set_mode(mode)
        if mode is Mode.CONTROL:
            self.review.outlining.abandon()
            self.review.back_to_live()
        self._show_mode()

    def _read_tissue(self) -> None:
        self._set_mode(Mode.READING)

    def _look_at_field(self, number: int) -> None:
        """Show a field before the signature."""
        self._read_tissue()
        self.review.show_field(number)
        self._tell("Ctrl+Down shows the next field; Ctrl+Shift+S goes back to the signature.", False)

    def _follow_mode(self, mode: Mode) -> None:
        """Show a mode that the demo chose; analyses from before the reader's own choice do not count."""
        changed, self._analysed_mode = mode is not self._analysed_mode, mode
        if changed and mode is not self._mode:
            self._mode = mode
            self._show_mode()

    def _show_mode(self) -> None:
        control = self._mode is Mode.CONTROL
        sign_off = self._case.sign_off if self._case is not None else FIRST_READING
        self.actions_by_id["mode_control"].setChecked(control)
        self.actions_by_id["mode_reading"].setChecked(not control)
        self.tabs.setCurrentIndex(0 if control else 1)
        expected = self.control_panel.expected.currentText()
        self.area.chip.show_mode(self._mode, expected, sign_off)
        self.eyepiece.show_mode(self._mode, expected)
        self.tools.show_mode(self._mode)
        self._show_blind(self.case_panel.hides_score and not control)

    def _show_blind(self, blind: bool) -> None:
        """Hide what gives the computed score away, or show it again; a control gives nothing away."""
        if blind != self._blind:
            self._blind = blind
            self._style_chosen()
            self.eyepiece.show_blind(blind)

    def _outline(self) -> None:
        """Outlines are of the case's tissue."""
        if self._mode is Mode.CONTROL:
            self._tell(NO_OUTLINE_ON_CONTROL, False)
        else:
            self.review.outlining.begin(self.review.picture)

    def _accept(self) -> None:
        if self.review.stops_accepting():
            return
        if self._mode is Mode.CONTROL:
            self.control_panel.ask_reading()
        else:
            self._commands.accept_field()

    def _read_control(self, level: str, lot: str, run: str) -> None:
        """Read the field in view, but not the field of one level as the next: Space may have been pressed twice."""
        shown, read = self.view.shown, self._read_as_control
        if self.control_panel.moved_on and shown is not None and read is not None and same_tissue(shown, read):
            text = f"This field was read just now. Show the {level} control first, or choose its level by hand (E)."
            self._tell(text, False)
            return
        self._read_as_control = shown
        self._commands.read_control(level, lot, run)

    def _arrive(self, place: str | None) -> None:
        """A place named after a control level is expected to show that level; the mode stays the reader's choice."""
        level = (place or "").removeprefix("control ")
        if place and place.startswith("control ") and level in SCORES:
            self.control_panel.expect(level)

    def _fill_places(self) -> None:
        self._places_menu.clear()
        for place in self._navigator.places():
            action = QAction(place, self._places_menu)
            action.triggered.connect(lambda _checked, name=place: self._arrive(self._navigator.go_to(name)))
            self._places_menu.addAction(action)

    def _go_to(self, mode: Mode, widget: QWidget) -> None:
        self._set_mode(mode)
        widget.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def _go_to_level(self) -> None:
        self.control_panel.choose_level()
        self._go_to(Mode.CONTROL, self.control_panel.expected)

    def _go_to_override(self) -> None:
        if self.control_panel.override_row.isHidden():
            self._tell("Nothing to override: the control is not invalid.", False)
        else:
            self._go_to(Mode.CONTROL, self.control_panel.reason)

    def _calibrate(self) -> None:
        """Open the calibration wizard beside the picture, once."""
        if self._calibration is None:
            self._tell("This window cannot calibrate. Use the command line: her2scope calibrate.", False)
            return
        if self._wizard is None:
            shown = self.view.shown
            told = None if shown is None else shown.frame.camera.objective
            setup, objectives = self._calibration, [told] if told is not None else []
            self._wizard = wizard = CalibrationWizard(setup.steps, setup.old, objectives, self)
            self._bridge.frame_changed.connect(wizard.show_frame)
            wizard.saved.connect(self._calibration_saved)
            wizard.finished.connect(self._forget_wizard)
            if shown is not None:
                wizard.show_frame(shown)
        self._wizard.show()
        self._wizard.raise_()
        self._wizard.activateWindow()

    def _calibration_saved(self, path: Path, calibration: Calibration) -> None:
        if self._calibration is not None:
            self._calibration = replace(self._calibration, old=calibration)
        text = (
            f"Calibration saved: {path}. The open case keeps its own; the next start without --calibration uses this."
        )
        self._tell(text, False)

    def _forget_wizard(self) -> None:
        self._wizard = None

    def _open_set_up(self) -> None:
        """Open the set-up beside the picture, once."""
        if self._set_up_steps is None:
            self._tell("This window cannot set up. Start her2scope without a demonstration.", False)
            return
        if self._set_up is None:
            self._set_up = dialog = FirstStart(self._set_up_steps, self)
            self._bridge.frame_changed.connect(dialog.show_frame)
            dialog.chosen.connect(self._take_set_up)
            dialog.finished.connect(self._forget_set_up)
        self._set_up.show()
        self._set_up.raise_()
        self._set_up.activateWindow()

    def _take_set_up(self, chosen: Chosen) -> None:
        """Keep the choice at once; the open source and case stay as they are."""
        self._preferences, told = kept_choice(self._preferences, chosen)
        if self._save_preferences is not None:
            self._save_preferences(self._preferences)
        self._tell(told or "Set-up kept: it holds from the next start without --source.", bool(told))

    def _forget_set_up(self) -> None:
        self._set_up = None

    def _show_history(self, entries: Sequence[ControlEntry], problems: Sequence[str]) -> None:
        from her2scope.ui.levey_jennings import ControlHistoryDialog  # brings fonts and a drawing library

        ControlHistoryDialog(entries, problems, self).show()

    def _toggle_compare(self) -> None:
        """The control beside the live picture; its figures then replace the curve beneath the panels."""
        self.compare.set_open(self.actions_by_id["compare"].isChecked())
        self._show_curve()
        self._show_figures_of_field()

    def _show_curve(self) -> None:
        """Where there is room for it: not beside a control's figures, a cell's or the sliders."""
        others = (self.review.inspector, self.tools.rules)
        self.curve.setHidden(self.compare.is_open or not all(item.isHidden() for item in others))
        self._fit_inspector()

    def _fit_inspector(self) -> None:
        self.review.inspector.set_compact(not self.tools.rules.isHidden() and self.height() < ROOMY_PX)

    def _show_next_level(self) -> None:
        if self.compare.is_open:
            self.compare.next_level()
        else:
            self.actions_by_id["compare"].trigger()

    def _next_pane(self) -> None:
        first = self.control_panel.expected if self._mode is Mode.CONTROL else self.case_panel.own.score
        panes: list[QWidget] = [self.review.picture, first]
        if self._mode is Mode.READING:
            panes.append(self.case_panel.fields)
        focused = QApplication.focusWidget()
        at = panes.index(focused) if focused in panes else -1
        panes[(at + 1) % len(panes)].setFocus(Qt.FocusReason.TabFocusReason)

    def _dismiss(self) -> None:
        if self.review.outlining.abandon() or self.messages.dismiss():
            return
        picture = self.review.picture
        if picture.hasFocus() and not self.review.escape() and self.isFullScreen():
            self.actions_by_id["full_screen"].trigger()
        self.review.picture.setFocus()

    def _quit(self) -> None:
        self.close()

    def _toggle_full_screen(self) -> None:
        if self.actions_by_id["full_screen"].isChecked():
            self.showFullScreen()
        else:
            self.showNormal()

    def _tell(self, text: str, is_error: bool) -> None:
        self.messages.post(Message(Severity.ERROR if is_error else Severity.INFO, text))

    def _tell_of_slide(self, text: str, is_error: bool) -> None:
        """Say what became of a move; of an instrument that is away it is over when that is back."""
        self._tell(text, is_error)
        if is_error:
            self._desk.note_refusal(text)

    # ---- Qt --------------------------------------------------------------------------------------------------------

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._fit_inspector()

    def closeEvent(self, event: QCloseEvent | None) -> None:
        # Nothing may still paint a frame after this; the engine is stopped by whoever started it.
        self._bridge.close()
        self._meter_clock.stop()
        self._desk.rest()
        self.eyepiece.rest()
        if self._set_up is not None:
            self._set_up.leave()
        self.view.rest()
        self.review.view.rest()
        self.compare.side.view.rest()
        self.messages.rest()
        if not self.isFullScreen() and not self.isMaximized():
            self._preferences = replace(self._preferences, window_wh=(self.width(), self.height()))
        self._preferences = self.tools.chosen(self._preferences)
        if self._save_preferences is not None:
            self._save_preferences(self._preferences)
            self._save_preferences = None
        super().closeEvent(event)
        self.closed.emit()


def _mode_of_tab(index: int) -> Mode:
    return Mode.CONTROL if index == 0 else Mode.READING
