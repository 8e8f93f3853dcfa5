"""Joins overview, cuts, case data, undo, sweep and the own score to the window's actions and to the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from PyQt6.QtCore import QEvent, QObject, QPoint, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QLabel, QWidget

from her2scope.overlays.palette import Palette
from her2scope.pipeline.live import LiveCommands, Message, Mode
from her2scope.pipeline.remeasure import movable
from her2scope.pipeline.sweep import NO_OUTLINE, swept_regions
from her2scope.records import AcceptedField, CaseView, FieldResult, MapView, TrackedFrame
from her2scope.settings import Preferences
from her2scope.ui.bridge import LiveBridge
from her2scope.ui.case_data import CaseDataDialog
from her2scope.ui.case_panel import CasePanel
from her2scope.ui.live_area import MARGIN_PX, LiveArea
from her2scope.ui.navigator import Navigator
from her2scope.ui.overview import Overview
from her2scope.ui.rule_panel import RulePanel
from her2scope.ui.status_line import StatusLine
from her2scope.ui.theme import THEME
from her2scope.ui.words import capitalised, step_text

SWEEP_TEXT = "SWEEP: counting new tissue inside the outlined region   F8: stop"
SWEEP_WAITS = "SWEEP waits: nothing is counted in control mode   F3: go on, F8: stop"
OVERVIEW_SHARE, OVERVIEW_MAX_PX, OVERVIEW_ASPECT = 0.24, 300, 0.78
LEAST_PICTURE_PX = 600
"""In a narrower picture (the control stands beside it) the overview would cover too much tissue."""

_PLACING = (QEvent.Type.Resize, QEvent.Type.Move, QEvent.Type.Show, QEvent.Type.Hide)

Tell = Callable[[str, bool], None]


class SweepChip(QLabel):
    """Says in the picture, at all times, that fields are being counted by themselves."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("sweep_chip")
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setStyleSheet(
            f"#sweep_chip {{ background: {THEME.warning}; color: {THEME.picture}; padding: 5px 10px;"
            " font-weight: bold; }"
        )
        self.show_waits(False)
        self.hide()

    def show_waits(self, waits: bool) -> None:
        """Say whether fields are counted now, or would be in reading mode."""
        self.setText(SWEEP_WAITS if waits else SWEEP_TEXT)
        self.adjustSize()


class CaseTools(QObject):
    """What the reader's hand needs beside the panels; the window only makes it and hands on what arrives."""

    field_chosen = pyqtSignal(int)
    """The reader chose a field on the overview; it is selected in the list already."""
    left = pyqtSignal()
    """The reader is done with a line or with the sliders: the picture should have the keys again."""
    rules_toggled = pyqtSignal()
    """The sliders came or went."""
    hiding_changed = pyqtSignal()
    """Whether what gives the computed score away must be hidden is another now."""

    def __init__(
        self, commands: LiveCommands, panel: CasePanel, area: LiveArea, navigator: Navigator,
        status: StatusLine, palette: Palette, tell: Tell, parent: QWidget,
    ) -> None:  # fmt: skip
        super().__init__(parent)
        self._commands, self._panel, self._area = commands, panel, area
        self._status, self._tell, self._window = status, tell, parent
        self._case: CaseView | None = None
        self._dialog: CaseDataDialog | None = None
        self._actions: Mapping[str, QAction] = {}
        self._sweeping = False
        self._fixed: dict[str, str] = {}
        self._fixed_of: tuple[str, tuple[int, ...]] = ("", ())
        self._movable: dict[int, tuple[FieldResult, frozenset[str]]] = {}
        """Of each field, by its number: looked at once, for it looks at every cell."""
        self.overview = Overview(palette, area)
        self.overview.hide()
        self.rules = RulePanel()
        self.rules.hide()
        self.sweep_chip = SweepChip(area)
        for watched in (area, area.view, area.chip, area.field_view, area.chooser):
            watched.installEventFilter(self)
        self._connect(navigator)

    def _connect(self, navigator: Navigator) -> None:
        panel, commands = self._panel, self._commands
        panel.annotate_asked.connect(commands.annotate_field)
        panel.annotation.left.connect(self.left)
        panel.own.score_entered.connect(commands.enter_reader_score)
        panel.own.left.connect(self.left)
        panel.own.ish_entered.connect(commands.enter_ish)
        panel.hiding_changed.connect(self.hiding_changed)
        panel.head.data_asked.connect(self._enter_data)
        panel.head.reset_asked.connect(self.rules.ask_reset)
        panel.fields.currentRowChanged.connect(self._mark_selected)
        self.rules.preview_asked.connect(commands.preview_rule)
        self.rules.change_asked.connect(commands.change_rule)
        self.overview.field_chosen.connect(self._choose_field)
        self.overview.move_asked.connect(navigator.move_by_um)
        self.overview.refused.connect(lambda text: self._tell(text, False))

    def connect_bridge(self, bridge: LiveBridge) -> None:
        """Follow the engine. The case is handed on by the window, after its panels have it."""
        bridge.frame_changed.connect(self._show_frame)
        bridge.map_changed.connect(self._show_map)
        bridge.sweep_changed.connect(self._show_sweep)
        bridge.message_posted.connect(self._show_message)

    # ---- actions ---------------------------------------------------------------------------------------------------

    def handlers(self) -> dict[str, Callable[[], None]]:
        """What the rows of the action table do that belong here."""
        return {
            "undo": self._undo,
            "redo": self._redo,
            "annotate": self._annotate,
            "case_data": self._enter_data,
            "own_first": self._set_own_first,
            "rules": self._toggle_rules,
            "sweep": self._toggle_sweep,
            "overview": self.place,
            "next_island": self._step_island,
        }

    def bind(self, actions: Mapping[str, QAction], preferences: Preferences) -> None:
        """Take the actions, once they are made, and set them as the reader likes them."""
        self._actions = actions
        actions["overview"].setChecked(preferences.show_overview)
        actions["own_first"].setChecked(preferences.own_score_first)
        self._set_own_first()

    def chosen(self, preferences: Preferences) -> Preferences:
        """The preferences with what was chosen here."""
        return replace(
            preferences,
            show_overview=self._actions["overview"].isChecked(),
            own_score_first=self._actions["own_first"].isChecked(),
        )

    def may_finish(self) -> bool:
        """Whether the case may be finished; where something of the own score is missing, go there and say what."""
        own = self._panel.own
        if self._panel.hides_score:
            text = "Enter your own score first (S); then the reference score is shown and the case can be finished."
        elif own.missing_remark:
            text = own.missing_remark
        elif own.enter.isEnabled():
            text = "What you chose as your own score or ISH result is not entered yet: press Enter there, or undo it."
        else:
            return True
        self._actions["mode_reading"].trigger()
        own.ask_remark() if own.missing_remark else own.score.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self._tell(text, False)
        return False

    def _undo(self) -> None:
        if self._case is not None and self._case.undo_text:
            self._commands.undo()
        else:
            self._tell("There is nothing to undo.", False)

    def _redo(self) -> None:
        if self._case is not None and self._case.redo_text:
            self._commands.redo()
        else:
            self._tell("There is nothing to redo.", False)

    def _annotate(self) -> None:
        self._actions["mode_reading"].trigger()
        if not self._panel.annotate_field():
            self._tell("There is no field to write a remark to yet.", False)

    def _set_own_first(self) -> None:
        self._panel.set_own_first(self._actions["own_first"].isChecked())
        self._show_hiding()

    def _toggle_rules(self) -> None:
        is_open = self._actions["rules"].isChecked()
        self.rules.setVisible(is_open)
        self.rules_toggled.emit()
        if is_open:
            self._actions["mode_reading"].trigger()
            self.rules.focus_first()
        else:
            self.left.emit()

    def _toggle_sweep(self) -> None:
        """Ask; the action and the chip show what the engine then says is so."""
        wanted = not self._sweeping
        self._actions["sweep"].setChecked(self._sweeping)
        regions = self._case.regions if self._case is not None else ()
        if wanted and not swept_regions(regions):
            self._tell(capitalised(NO_OUTLINE), False)
        else:
            self._commands.set_sweep(wanted)

    def _step_island(self) -> None:
        if not self.overview.step_island():
            self._tell("The map has one island only: tracking was not lost.", False)

    def _enter_data(self) -> None:
        if self._case is None:
            self._tell("There is no case yet.", False)
            return
        if self._dialog is None:
            self._dialog = CaseDataDialog(self._case.data, self._window)
            self._dialog.entered.connect(self._commands.enter_case_data)
            self._dialog.finished.connect(self._forget_dialog)
        self._dialog.open()

    def _forget_dialog(self) -> None:
        self._dialog = None

    # ---- from the engine -------------------------------------------------------------------------------------------

    def show_case(self, view: CaseView) -> None:
        """Show the case as it is now."""
        self._case = view
        self._actions["undo"].setText(step_text("Undo", view.undo_text))
        self._actions["redo"].setText(step_text("Redo", view.redo_text))
        stored = view.stored_score
        if stored is not None and not self._panel.hides_score:
            self._panel.show_stored(stored)
        self._find_fixed(view)
        self.rules.show_case(view, stored, self._fixed, hidden=self._panel.hides_score)
        self._show_hiding()
        if self._dialog is not None:
            self._dialog.show_case(view)

    def _find_fixed(self, view: CaseView) -> None:
        """Find out what cannot be moved for this case's fields; looked at anew only when a field came or went."""
        of = (view.case_id, tuple(item.number for item in view.active_fields))
        if of != self._fixed_of:
            self._movable = {item.number: self._movable_of(item) for item in view.fields}
            movable_cuts = {item.number: self._movable[item.number][1] for item in view.active_fields}
            self._fixed, self._fixed_of = _fixed_cuts(view.program.method, movable_cuts), of

    def _movable_of(self, field: AcceptedField) -> tuple[FieldResult, frozenset[str]]:
        result = field.read or field.result
        known = self._movable.get(field.number)
        return known if known is not None and known[0] is result else (result, frozenset(movable(result)))

    def show_mode(self, mode: Mode) -> None:
        """Take what is looked at: a control is not swept."""
        self.sweep_chip.show_waits(mode is Mode.CONTROL)

    def set_palette(self, palette: Palette) -> None:
        """Choose the colours."""
        self.overview.set_palette(palette)

    def _show_hiding(self) -> None:
        if self._case is not None:
            self.overview.show_case(self._case, hidden=self._panel.hides_score)

    def _show_frame(self, tracked: TrackedFrame) -> None:
        self.overview.show_frame(tracked)

    def _show_map(self, view: MapView) -> None:
        had_map = self.overview.has_map
        self.overview.show_map(view)
        self._status.show_tracking(view)
        if self.overview.has_map != had_map:
            self.place()

    def _show_sweep(self, on: bool) -> None:
        self._sweeping = on
        self._actions["sweep"].setChecked(on)
        self._area.view.show_sweep(on)
        self.sweep_chip.setVisible(on)
        self.place()

    def _show_message(self, message: Message) -> None:
        if self._dialog is not None:
            self._dialog.show_message(message)

    def _choose_field(self, number: int) -> None:
        self._panel.fields.select_number(number)
        self.field_chosen.emit(number)

    def _mark_selected(self) -> None:
        field = self._panel.fields.selected_field()
        self.overview.show_selected(0 if field is None else field.number)

    # ---- place on the picture --------------------------------------------------------------------------------------

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event is not None and event.type() in _PLACING:
            self.place()
        return super().eventFilter(watched, event)

    def place(self) -> None:
        """Put the overview into the picture's upper right corner, the chip of the sweep beneath the mode's."""
        picture, chip = self._area.view.geometry(), self._area.chip.geometry()
        self.sweep_chip.move(QPoint(chip.left(), chip.bottom() + 6))
        self.sweep_chip.raise_()
        width = min(OVERVIEW_MAX_PX, round(OVERVIEW_SHARE * picture.width()))
        self.overview.setGeometry(picture.right() - MARGIN_PX - width, MARGIN_PX, width, round(OVERVIEW_ASPECT * width))
        wanted = bool(self._actions) and self._actions["overview"].isChecked()
        pictures = (self._area.view, self._area.field_view)
        has_room = picture.width() >= LEAST_PICTURE_PX and not any(item.tool.is_on for item in pictures)
        self.overview.setVisible(wanted and self.overview.has_map and has_room)
        shown = not self.overview.isHidden()
        covered = QRectF(self.overview.geometry().translated(-picture.topLeft())) if shown else QRectF()
        for item in pictures:
            item.marks.covered = covered
        self.overview.raise_()


def _fixed_cuts(method: str, movable_cuts: Mapping[int, frozenset[str]]) -> dict[str, str]:
    """Cuts that some active field does not let move, by their name in `RuleChange`, with the reason in words."""
    reasons = {}
    for cut, name in (("stained", "stained_od10"), ("moderate", "moderate_od10"), ("intense", "intense_od10"),
                      ("complete_share", "complete_share")):  # fmt: skip
        fields = [number for number, cuts in movable_cuts.items() if cut not in cuts]
        if fields:
            which = f"field {fields[0]} has" if len(fields) == 1 else f"{len(fields)} fields have"
            reasons[name] = f"Grey cuts cannot be moved: {which} no membrane profiles ({method})."
    return reasons
