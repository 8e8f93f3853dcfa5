"""Review of accepted fields: shows one frozen, selects its cells, and hands the reader's corrections to the engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PyQt6.QtCore import QObject, QPointF, Qt, pyqtSignal

from her2scope.domain.cells import CellRule
from her2scope.domain.corrections import Correction
from her2scope.domain.errors import Her2ScopeError
from her2scope.overlays.model import OverlaySelection
from her2scope.overlays.palette import Palette
from her2scope.overlays.picking import cell_at, neighbour, reading_order
from her2scope.pipeline.live import LiveCommands, LiveResult
from her2scope.records import AcceptedField, CaseView
from her2scope.settings import Calibration, from_mapping
from her2scope.ui.action_table import Scope
from her2scope.ui.cell_facts import ShownCell
from her2scope.ui.cell_inspector import CellInspector
from her2scope.ui.field_view import FieldView
from her2scope.ui.live_view import LiveView
from her2scope.ui.outlining import MEANINGS, Outlining, Tell
from her2scope.ui.overlay_state import overlay_state

WALK_MARGIN_PX = 90.0
"""A cell that is walked to is shown at least so far from the view's edge."""
SHOW_FIRST = "Show an accepted field first: select it in the list and press Enter."
SELECT_FIRST = "Select a cell first: click it, or walk to it with Tab or the arrow keys."
CORRECTIONS = {
    "class_none": Correction.NONE,
    "class_incomplete_faint": Correction.INCOMPLETE_FAINT,
    "class_incomplete_intense": Correction.INCOMPLETE_INTENSE,
    "class_complete_moderate": Correction.COMPLETE_MODERATE,
    "class_complete_intense": Correction.COMPLETE_INTENSE,
    "cell_excluded": Correction.EXCLUDED,
    "cell_not_tumour": Correction.NOT_TUMOUR,
    "cell_as_read": None,
}
"""By action."""
STEPS = {"cell_left": (-1, 0), "cell_right": (1, 0), "cell_up": (0, -1), "cell_down": (0, 1)}


class Review(QObject):
    """The window's part for fields and cells; the live view goes on beneath a field that is shown.

    Parameters
    ----------
    live : the live picture
    tell : shows a line to the reader, as an error or not
    """

    changed = pyqtSignal()
    """Another field is shown, the shown one changed, or the live picture is back."""
    scope_changed = pyqtSignal(object)
    """`Scope`: what the keys act on now."""

    def __init__(
        self,
        live: LiveView,
        palette: Palette,
        selection: OverlaySelection,
        commands: LiveCommands,
        tell: Tell,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self.view = FieldView(palette, selection)
        self.view.hide()
        self.inspector = CellInspector()
        self.outlining = Outlining(live, self.view, commands, tell, self)
        self._live, self._commands, self._tell = live, commands, tell
        self._case: CaseView | None = None
        self._calibration = Calibration()
        self._live_rule = CellRule()
        """By which the live picture is classed: cuts that are only tried do not touch it."""
        self._hides_classes = False
        self._cells: tuple[int, ...] = ()
        """Selected cells of the shown field."""
        self._looked_at: tuple[LiveResult, int] | None = None
        """Selected cell of the live picture."""
        live.clicked.connect(self._click_live)
        self.view.clicked.connect(self._click_field)
        self.view.walk_asked.connect(self.walk)
        self.outlining.cells_chosen.connect(self._select_outlined)
        self.outlining.changed.connect(lambda: self.scope_changed.emit(self.scope))

    # ---- what is shown ---------------------------------------------------------------------------------------------

    @property
    def field(self) -> AcceptedField | None:
        """The field that is shown in the place of the live picture; None: that is live."""
        return self.view.field

    @property
    def picture(self) -> LiveView:
        """What is shown: the field or the live picture."""
        return self._live if self.field is None else self.view

    @property
    def scope(self) -> Scope:
        """What the keys act on."""
        if self.outlining.is_drawing:
            return Scope.OUTLINE if self.outlining.asks else Scope.DRAWING
        return Scope.LIVE if self.field is None else Scope.REVIEW

    @property
    def numbers(self) -> list[int]:
        """Numbers of the case's fields, in their order."""
        return [] if self._case is None else [field.number for field in self._case.fields]

    @property
    def selected(self) -> tuple[int, ...]:
        """Places in the list of the shown field's cells."""
        return self._cells

    def show_case(self, view: CaseView) -> None:
        """Take the case as it is now; the shown field stays, with what changed in it."""
        before, self._case = self._case, view
        if before is None or before.calibration != view.calibration:
            self._calibration = _calibration(view)
        if view.rule is not None and not view.rule.is_preview:
            self._live_rule = view.rule.cell
        self._live.show_case(view)
        self.view.show_case(view)
        self.outlining.show_case(view)
        if self.field is None:
            self._show_inspector()
            return
        same_case = before is not None and before.case_id == view.case_id
        field = _field(view, self.field.number) if same_case else None
        if field is None:
            self.back_to_live("The field that was shown is no longer in the case.")
            return
        self.view.show_field(field)
        self._show_selection()
        self.changed.emit()

    def set_style(self, selection: OverlaySelection, palette: Palette, *, hides_classes: bool = False) -> None:
        """Choose the layers and their colours; `hides_classes`: nothing may tell a cell's class now."""
        self.view.set_style(selection, palette)
        self._hides_classes = hides_classes
        self._show_inspector()

    def show_field(self, number: int) -> None:
        """Show an accepted field in the place of the live picture."""
        field = _field(self._case, number) if self._case is not None else None
        if field is None:
            self._tell(f"There is no field {number} in this case.", False)
            return
        self.outlining.abandon()
        if self.field is None or self.field.number != number:
            self._cells = ()
        self._looked_at = None
        self.outlining.let_go(self._live)
        self.view.show_field(field)
        self.view.show()
        self.view.setFocus()
        self._show_selection()
        self.scope_changed.emit(self.scope)
        self.changed.emit()

    def back_to_live(self, why: str = "") -> bool:
        """Show the live picture again; False where it was shown."""
        if self.field is None:
            return False
        self.outlining.abandon()
        self.outlining.let_go(self.view)
        self.view.field, self._cells = None, ()
        self.view.hide()
        self._live.setFocus()
        self._show_selection()
        self.scope_changed.emit(self.scope)
        self.changed.emit()
        if why:
            self._tell(why, False)
        return True

    # ---- keys ------------------------------------------------------------------------------------------------------

    def handlers(self) -> dict[str, Callable[[], None]]:
        """What the review's own actions do."""
        moves = {name: (lambda step=step: self.walk_towards(*step)) for name, step in STEPS.items()}
        words = {name: (lambda word=word: self.correct(word)) for name, word in CORRECTIONS.items()}
        meanings = {meaning.action: (lambda meaning=meaning: self.outlining.settle(meaning)) for meaning in MEANINGS}
        return {
            **moves,
            **words,
            **meanings,
            "next_cell": lambda: self.walk(1),
            "previous_cell": lambda: self.walk(-1),
            "outline": lambda: self.outlining.begin(self.picture),
            "next_region": lambda: self.outlining.choose_next(self.picture),
        }

    def escape(self) -> bool:
        """Leave what was begun last: an outline, a region, a cell of the live picture, the shown field."""
        if self.outlining.abandon() or self.outlining.let_go(self.picture):
            return True
        if self._looked_at is not None:
            self._looked_at = None
            self._show_selection()
            return True
        return self.back_to_live()

    def stops_accepting(self) -> bool:
        """Whether Space may not add a field now, because something else than the live picture is looked at; says so."""
        if self.outlining.is_drawing:
            self._tell("Nothing was added: finish the outline first (Enter), or abandon it (Esc).", False)
            return True
        return self.back_to_live("Back to the live picture; nothing was added. Space adds the field in view.")

    def finishes_outline(self) -> bool:
        """Take Enter for an outline that is being drawn; False where none is."""
        if self.outlining.is_drawing:
            self.outlining.close()
        return self.outlining.is_drawing

    # ---- cells -----------------------------------------------------------------------------------------------------

    def walk(self, step: int) -> None:
        """Select the next (1) or previous (-1) cell in the order of reading, the first where none is selected."""
        result = self._result()
        if result is None or not result.result.cells:
            return
        order = reading_order(result.result.cells, result.result.frame.um_per_px)
        at = order.index(self._cells[-1]) + step if self._cells else 0 if step > 0 else -1
        self._walk_to(order[at % len(order)])

    def walk_towards(self, across: int, down: int) -> None:
        """Select the nearest cell in a direction; the first cell where none is selected."""
        result = self._result()
        if result is None or not self._cells:
            self.walk(1)
            return
        found = neighbour(result.result.cells, self._cells[-1], across, down)
        if found is not None:
            self._walk_to(found)

    def correct(self, word: Correction | None) -> None:
        """Say of all selected cells what they are; None: as the method read them."""
        if self.field is None:
            self._tell(SHOW_FIRST, False)
        elif not self.field.active:
            self._tell(f"Field {self.field.number} is removed: put it back first (Delete).", False)
        elif not self._cells:
            self._tell(SELECT_FIRST, False)
        else:
            self._commands.correct_cells(self.field.number, self._cells, word)

    def _result(self) -> LiveResult | None:
        if self.field is None:
            self._tell(SHOW_FIRST, False)
        return self.view.shown_result

    def _walk_to(self, cell: int) -> None:
        self._select((cell,))
        result = self._result()
        if result is not None:
            found = result.result.cells[cell]
            self.view.bring_into_view(QPointF(found.x_px + 0.5, found.y_px + 0.5), WALK_MARGIN_PX)

    def _select(self, cells: Sequence[int]) -> None:
        self._cells = tuple(cells)
        self._show_selection()

    def _select_outlined(self, cells: tuple[int, ...]) -> None:
        self._select(cells)
        if not cells:
            self._tell("There is no cell within this outline.", False)

    def _click_field(self, at: QPointF, modifiers: Qt.KeyboardModifier) -> None:
        if self.outlining.choose_at(self.view, at) or self.view.shown_result is None:
            return
        result = self.view.shown_result.result
        point = self.view.viewport.to_image(at)
        found = cell_at(result.cells, point.x() - 0.5, point.y() - 0.5, result.frame.um_per_px)
        adds = bool(modifiers & Qt.KeyboardModifier.ShiftModifier)
        if found is None:
            self._select(self._cells if adds else ())
        elif not adds:
            self._select((found,))
        elif found in self._cells:
            self._select([cell for cell in self._cells if cell != found])
        else:
            self._select((*self._cells, found))

    def _click_live(self, at: QPointF, _modifiers: Qt.KeyboardModifier) -> None:
        """Look at a cell of the newest analysis, where its tissue is in the picture now."""
        self._looked_at = None
        live, shown = self._live.drawn, self._live.shown
        if not self.outlining.choose_at(self._live, at) and live is not None and shown is not None:
            moved = overlay_state(shown, live, self._live.max_speed_um_per_s)
            point = self._live.viewport.to_image(at) - QPointF(moved.dx_px + 0.5, moved.dy_px + 0.5)
            found = cell_at(live.result.cells, point.x(), point.y(), live.result.frame.um_per_px)
            if moved.same_place and found is not None:
                self._looked_at = live, found
        self._show_selection()

    # ---- inspector -------------------------------------------------------------------------------------------------

    def _show_selection(self) -> None:
        self.view.show_selected(self.view.shown_result, self._cells)
        live, cell = self._looked_at or (None, 0)
        self._live.show_selected(live, () if live is None else (cell,))
        self._show_inspector()

    def _show_inspector(self) -> None:
        if self._hides_classes:
            self.inspector.hide()
        elif self.field is not None and len(self._cells) > 1:
            self.inspector.show_many(len(self._cells), f"field {self.field.number}")
        elif self.field is not None and self._cells:
            result, rule = self.field.result, self._case.rule if self._case is not None else None
            cuts, cell_rule = (result.cuts, CellRule()) if rule is None else (rule.cuts, rule.cell)
            self.inspector.show_cell(ShownCell(result, self._cells[0], cuts, cell_rule, self._calibration, self.field))
        elif self._looked_at is not None:
            live, cell = self._looked_at
            self.inspector.show_cell(ShownCell(live.result, cell, live.result.cuts, self._live_rule, self._calibration))
        else:
            self.inspector.hide()


def _field(view: CaseView, number: int) -> AcceptedField | None:
    return next((field for field in view.fields if field.number == number), None)


def _calibration(view: CaseView) -> Calibration:
    """The case's own; a case whose calibration this version does not know is looked at without one."""
    try:
        return from_mapping(Calibration, dict(view.calibration), "the case's calibration")
    except Her2ScopeError:
        return Calibration()
