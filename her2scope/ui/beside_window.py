"""The window that lays phantoms beside real pictures: leaf through both by keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QCloseEvent, QKeyEvent
from PyQt6.QtWidgets import QLabel, QVBoxLayout, QWidget

from her2scope.phantom.antigen import PATTERNS
from her2scope.phantom.compare.sheets import Draw, PhantomChoice, PhantomOrder, Piece, meant_score, order_beside
from her2scope.phantom.field import render_field
from her2scope.phantom.recipes import RECIPES
from her2scope.ui.pair_view import PairView
from her2scope.ui.phantom_drawer import PhantomDrawer
from her2scope.ui.theme import set_role

T = TypeVar("T")
ZOOM_STEP = 1.25
KEYS = (
    "N / P  phantom seed    S  score    R  recipe    T  truth    + / -  zoom    F  whole    "
    "\N{LEFTWARDS ARROW} / \N{RIGHTWARDS ARROW}  real picture    Esc  close"
)
DRAWING = "drawing\N{HORIZONTAL ELLIPSIS}"


class BesideWindow(QWidget):
    """Real on the left, phantom on the right, and a line that says what is shown.

    Parameters
    ----------
    reals : real pieces, at least one
    choice : the first phantom
    draw : what draws a field, in a thread of its own
    """

    def __init__(
        self,
        reals: Sequence[Piece],
        choice: PhantomChoice,
        *,
        truth: bool = False,
        recipes: Sequence[str] = tuple(RECIPES),
        draw: Draw = render_field,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("beside_window")
        self._reals, self._place, self._choice = tuple(reals), 0, choice
        self._recipes: tuple[str | None, ...] = (None, *recipes)
        self.view = PairView()
        self.drawer = PhantomDrawer(draw, self)
        drawer = self.drawer
        self.destroyed.connect(lambda: drawer.close())  # also where nobody closed the window before
        self.drawer.drawn.connect(self._take)
        self.drawer.failed.connect(self._take_failure)
        self.status, self.keys = QLabel(), QLabel(KEYS)
        self._lay_out()
        self._handlers = self._make_handlers()
        self.view.show_truth(truth)
        self._change()

    @property
    def choice(self) -> PhantomChoice:
        """The phantom that is asked for."""
        return self._choice

    @property
    def order(self) -> PhantomOrder:
        """The phantom that is asked for beside the present real picture."""
        return order_beside(self._reals[self._place], self._choice)

    @property
    def is_drawing(self) -> bool:
        """Whether the phantom that was asked for is still being drawn."""
        return self.view.notice == DRAWING

    def show_scale(self, um_per_screen_px: float) -> None:
        """Zoom so that a pixel of the screen is that wide, or as far out as both are whole."""
        self.view.show_scale(um_per_screen_px)
        self._say()

    def fill(self) -> None:
        """Zoom so that the pictures fill their halves, as far as they go."""
        self.view.fill()
        self._say()

    # ---- keys ------------------------------------------------------------------------------------------------------

    def _make_handlers(self) -> Mapping[int, Callable[[], None]]:
        key = Qt.Key
        return {
            key.Key_N: lambda: self._choose(replace(self._choice, seed=self._choice.seed + 1)),
            key.Key_P: lambda: self._choose(replace(self._choice, seed=max(0, self._choice.seed - 1))),
            key.Key_S: lambda: self._choose(replace(self._choice, score=_after(self._choice.score, tuple(PATTERNS)))),
            key.Key_R: self._next_recipe,
            key.Key_T: lambda: self.view.show_truth(not self.view.shows_truth),
            key.Key_Plus: lambda: self.view.zoom_by(ZOOM_STEP),
            key.Key_Equal: lambda: self.view.zoom_by(ZOOM_STEP),  # the plus without Shift
            key.Key_Minus: lambda: self.view.zoom_by(1 / ZOOM_STEP),
            key.Key_F: self.view.fit,
            key.Key_Right: lambda: self._turn_to(self._place + 1),
            key.Key_Left: lambda: self._turn_to(self._place - 1),
            key.Key_Escape: self._leave,
        }

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if event is None:
            return
        handler = self._handlers.get(event.key())
        if handler is None or event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            super().keyPressEvent(event)
            return
        handler()
        self._say()

    def _choose(self, choice: PhantomChoice) -> None:
        if choice != self._choice:
            self._choice = choice
            self._change()

    def _next_recipe(self) -> None:
        """Take the next recipe with the score that it is meant for; S then chooses another."""
        recipe = _after(self._choice.recipe, self._recipes)
        self._choose(replace(self._choice, recipe=recipe, score=meant_score(recipe, self._choice.score)))

    def _turn_to(self, place: int) -> None:
        self._place = place % len(self._reals)
        self._change()

    # ---- what is shown ---------------------------------------------------------------------------------------------

    def _change(self) -> None:
        """Show the chosen pair; a phantom not drawn yet follows when it is."""
        self.view.show_real(self._reals[self._place])
        known = self.drawer.ask(self.order)
        if known is None:
            self.view.show_notice(DRAWING)
        else:
            self._show_phantom(known)
        self._say()

    def _take(self, order: PhantomOrder, piece: Piece) -> None:
        if order == self.order:  # else the reader has gone on
            self._show_phantom(piece)
            self._say()

    def _take_failure(self, order: PhantomOrder, why: str) -> None:
        if order == self.order:
            self.view.show_notice(why)
            self._say()

    def _show_phantom(self, piece: Piece) -> None:
        self.view.show_phantom(piece)
        self.view.show_notice("")

    def _say(self) -> None:
        real = self._reals[self._place]
        count = f" ({self._place + 1} of {len(self._reals)})" if len(self._reals) > 1 else ""
        parts = [
            f"{real.name}{count}",
            self._choice.words + ("" if self._choice.recipe else ", no recipe chosen"),
            f"difficulty {self._choice.difficulty}",
            f"both at {real.um_per_px:.4g} µm/px, {real.um_per_px / self.view.viewport.zoom:.3g} µm per screen pixel",
            "truth shown" if self.view.shows_truth else "truth off",
        ]
        state = f"   \N{BULLET}   {DRAWING}" if self.is_drawing else ""
        self.status.setText("   |   ".join(parts) + state)
        self.setWindowTitle(f"{real.name} beside {self._choice.words} - her2scope")

    def _lay_out(self) -> None:
        set_role(self.keys, "small")
        for label in (self.status, self.keys):
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setWordWrap(True)
            label.setContentsMargins(12, 0, 12, 0)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 8)
        column.addWidget(self.view, 1)
        column.addWidget(self.status)
        column.addWidget(self.keys)
        self.view.setFocus()

    def _leave(self) -> None:
        self.close()

    def closeEvent(self, event: QCloseEvent | None) -> None:
        self.drawer.close()
        super().closeEvent(event)


def _after(value: T, known: tuple[T, ...]) -> T:
    """The next one in a circle; the first after one that is not in it."""
    return known[(known.index(value) + 1) % len(known)] if value in known else known[0]
