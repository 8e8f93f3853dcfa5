"""Outlines on the picture: the tool, the question what an outline means, and the regions that are there already."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PyQt6.QtCore import QObject, QPointF, Qt, pyqtSignal
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from her2scope.domain.errors import Her2ScopeError
from her2scope.domain.regions import RegionDraft, RegionKind
from her2scope.overlays.picking import cells_within
from her2scope.pipeline.live import LiveCommands
from her2scope.records import CaseView
from her2scope.ui.case_marks import region_text, to_um
from her2scope.ui.field_view import FieldView
from her2scope.ui.live_view import LiveView
from her2scope.ui.outline_tool import NO_AREA
from her2scope.ui.theme import THEME, set_role

Tell = Callable[[str, bool], None]
"""Shows a line to the reader; True: it is an error."""
CANNOT_TELL = "The program cannot tell in situ (DCIS) from invasive tumour: this is your word."
NO_PLACE = (
    "Where this field lies on the slide is not known: nothing can be outlined on it. Select its cells instead (C)."
)
NO_REGION = "There is no outline here. Draw one first (D)."


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an outline may be drawn for."""

    action: str
    """Of `actions.ACTIONS`."""
    words: str
    kind: RegionKind | None
    """None: the cells within are selected."""
    note: str = ""
    on_live: str = ""
    """Words on the live picture, where they differ: an outline there speaks of fields to come."""


MEANINGS = (
    Meaning("outline_in_situ", "&X  exclude: carcinoma in situ", RegionKind.EXCLUDE, "carcinoma in situ"),
    Meaning("outline_artefact", "&A  exclude: artefact, necrosis", RegionKind.EXCLUDE, "artefact or necrosis"),
    Meaning("outline_duct", "&N  normal duct", RegionKind.NORMAL_DUCT),
    Meaning(
        "outline_invasive",
        "&I  invasive: count only this",
        RegionKind.INVASIVE,
        on_live="&I  invasive: sweep only here",
    ),
    Meaning("outline_cells", "&C  select cells", None),
)


class OutlineChooser(QFrame):
    """Asks beneath the picture what the outline means; each answer has a key."""

    chosen = pyqtSignal(object)
    """`Meaning`."""
    abandoned = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("outline_chooser")
        self.setStyleSheet(
            f"#outline_chooser {{ background: {THEME.panel}; border: 1px solid {THEME.line};"
            f" border-left: 4px solid {THEME.warning}; border-radius: 3px; }}"
        )
        title, self.doubt = QLabel("What is within the outline?"), QLabel(CANNOT_TELL)
        set_role(title, "title")
        set_role(self.doubt, "warning")
        self.doubt.setWordWrap(True)
        self.buttons = {meaning.action: self._button(meaning) for meaning in MEANINGS}
        abandon = QPushButton("Esc  abandon")
        abandon.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        abandon.clicked.connect(self.abandoned)
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 8, 12, 9)
        column.setSpacing(5)
        column.addWidget(title)
        column.addWidget(self.doubt)
        made = [*self.buttons.values(), abandon]
        for buttons in (made[:2], made[2:]):
            row = QHBoxLayout()
            for button in buttons:
                row.addWidget(button, 1)
            column.addLayout(row)
        self.hide()

    def _button(self, meaning: Meaning) -> QPushButton:
        button = QPushButton(_plain(meaning.words))
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        button.clicked.connect(lambda: self.chosen.emit(meaning))
        return button

    def ask(self, *, on_field: bool) -> None:
        """Ask; on an accepted field cells can be selected too."""
        for meaning in MEANINGS:
            self.buttons[meaning.action].setText(
                _plain(meaning.words if on_field else meaning.on_live or meaning.words)
            )
        self.buttons["outline_cells"].setVisible(on_field)
        self.show()


def _plain(words: str) -> str:
    return words.replace("&", "")


class Outlining(QObject):
    """Joins the tool of whichever picture is shown to the engine."""

    changed = pyqtSignal()
    """Drawing began, an outline was closed, or it is over."""
    cells_chosen = pyqtSignal(object)
    """Places in the list of the shown field's cells that an outline encloses."""

    def __init__(self, live: LiveView, field: FieldView, commands: LiveCommands, tell: Tell, parent: QObject) -> None:
        super().__init__(parent)
        self.chooser = OutlineChooser()
        self._live, self._field, self._commands, self._tell = live, field, commands, tell
        self._view: CaseView | None = None
        self._picture: LiveView = live
        live.outline_closed.connect(self._ask)
        field.outline_closed.connect(self._ask)
        self.chooser.chosen.connect(self.settle)
        self.chooser.abandoned.connect(self.abandon)

    @property
    def is_drawing(self) -> bool:
        """An outline is begun and not settled yet."""
        return self._picture.tool.is_on

    @property
    def asks(self) -> bool:
        """An outline is closed, and what it means is asked."""
        return self._picture.tool.is_closed

    def show_case(self, view: CaseView) -> None:
        """Take the case as it is now."""
        self._view = view

    # ---- drawing ---------------------------------------------------------------------------------------------------

    def begin(self, picture: LiveView) -> None:
        """Draw on a picture; the live one is frozen meanwhile. A second time: abandon."""
        if self.is_drawing:
            self.abandon()
            return
        shown = picture.shown
        if shown is None:
            self._tell("There is no picture to draw on yet.", False)
        elif picture is self._live and not shown.trusted:
            self._tell("The place of this picture on the slide is uncertain: hold the slide still, then draw.", False)
        else:
            self._picture = picture
            self._picture.tool.begin()
            self._live.freeze(picture is self._live)
            self.changed.emit()

    def close(self) -> None:
        """Join the last corner to the first."""
        if not self.asks and not self._picture.close_outline():
            self._tell(NO_AREA, False)

    def abandon(self) -> bool:
        """Forget what is drawn; False where nothing is."""
        was_drawing = self.is_drawing
        self._picture.tool.abandon()
        self._live.freeze(False)
        self.chooser.hide()
        if was_drawing:
            self.changed.emit()
        return was_drawing

    def settle(self, meaning: Meaning) -> None:
        """Hand the outline over as what it means."""
        picture, shown, field = self._picture, self._picture.shown, self._field.field
        if not self.asks or shown is None:
            return
        on_field = picture is self._field and field is not None
        if meaning.kind is None:
            corners = picture.tool.polygon_px
            self.abandon()
            if on_field and field is not None:
                # The middle of a pixel lies at a half for Qt, at a whole number in the records.
                inside = cells_within(field.result.cells, tuple((x - 0.5, y - 0.5) for x, y in corners))
                self.cells_chosen.emit(inside)
            else:
                self._tell("Cells are corrected on an accepted field: add this one (Space) and show it (Enter).", False)
            return
        if on_field and field is not None and field.place is None:
            self._tell(NO_PLACE, True)
            return
        polygon_um = tuple(to_um(QPointF(x, y), shown) for x, y in picture.tool.polygon_px)
        number = field.number if on_field and field is not None else None
        self.abandon()
        try:
            self._commands.draw_region(RegionDraft(meaning.kind, shown.island, polygon_um, number, meaning.note))
        except Her2ScopeError as error:
            self._tell(str(error), True)

    def _ask(self) -> None:
        self.chooser.ask(on_field=self._picture is self._field)
        self.changed.emit()

    # ---- regions that are there ------------------------------------------------------------------------------------

    def choose_at(self, picture: LiveView, at: QPointF) -> bool:
        """Choose the region whose line or label is at a place on screen; False where none is."""
        shown = picture.shown
        number = None if shown is None else picture.marks.region_at(at, shown, picture.viewport)
        self._choose(picture, number)
        return number is not None

    def choose_next(self, picture: LiveView) -> None:
        """Choose the picture's regions one after the other."""
        numbers = [region.number for region in picture.marks.regions_on(picture.shown)]
        if not numbers:
            self._tell(NO_REGION, False)
            return
        chosen = picture.marks.chosen
        at = numbers.index(chosen) + 1 if chosen in numbers else 0
        self._choose(picture, numbers[at % len(numbers)])

    def let_go(self, picture: LiveView) -> bool:
        """Choose no region; False where none was."""
        was_chosen = picture.marks.chosen is not None
        self._choose(picture, None)
        return was_chosen

    def remove_chosen(self, picture: LiveView) -> bool:
        """Take the chosen region back; False where none is chosen."""
        number = picture.marks.chosen
        if number is None:
            return False
        self._choose(picture, None)
        self._commands.remove_region(number)
        return True

    def _choose(self, picture: LiveView, number: int | None) -> None:
        picture.marks.chosen = number
        picture.update()
        region = next((item for item in self._view.regions if item.number == number), None) if self._view else None
        if region is not None:
            self._tell(f"{region_text(region)}. Delete removes it, Esc lets it go.", False)
