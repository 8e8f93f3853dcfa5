"""Moves the slide, the nosepiece or the folder of pictures, as far as the source offers it."""

from __future__ import annotations

from collections.abc import Callable

from her2scope.domain.errors import Her2ScopeError
from her2scope.ports import FrameSequence, Nosepiece, Stage
from her2scope.records import TrackedFrame
from her2scope.ui.action_table import Needs


class Navigator:
    """Asks the source; a refusal is told to the reader, never raised."""

    def __init__(self, source: object, tell: Callable[[str, bool], None]) -> None:
        self._source, self._tell = source, tell
        self._place = -1

    @property
    def offers(self) -> frozenset[Needs]:
        """What the source can do."""
        kinds = {Needs.STAGE: Stage, Needs.NOSEPIECE: Nosepiece, Needs.SEQUENCE: FrameSequence}
        return frozenset(need for need, kind in kinds.items() if isinstance(self._source, kind))

    def move_by_pictures(self, shown: TrackedFrame | None, across: float, down: float) -> None:
        """Move by a share of the picture's width or height."""
        if shown is not None:
            height, width = shown.frame.size_hw
            um_per_px = shown.frame.um_per_px
            self.move_by_um(across * width * um_per_px, down * height * um_per_px)

    def move_by_um(self, dx_um: float, dy_um: float) -> None:
        """Move over the slide."""
        if isinstance(self._source, Stage):
            stage = self._source
            self._try(lambda: stage.move_by_um(dx_um, dy_um))

    def next_place(self) -> str | None:
        """Go to the next named place, and return its name."""
        if not isinstance(self._source, Stage):
            return None
        stage = self._source
        places = stage.places()
        if not places:
            self._tell("This slide has no named places: move with the arrow keys.", False)
            return None
        self._place = (self._place + 1) % len(places)
        return self.go_to(places[self._place])

    def go_to(self, place: str) -> str | None:
        """Go to a named place, and return its name."""
        if not isinstance(self._source, Stage):
            return None
        stage = self._source
        if place in stage.places():
            self._place = stage.places().index(place)
        if not self._try(lambda: stage.go_to(place)):
            return None
        self._tell(f"Place: {place}", False)
        return place

    def places(self) -> tuple[str, ...]:
        """Named places of the slide."""
        return self._source.places() if isinstance(self._source, Stage) else ()

    def turn_objective(self, steps: int) -> None:
        """Turn to a stronger (positive) or weaker objective."""
        if not isinstance(self._source, Nosepiece):
            return
        nosepiece = self._source
        names = nosepiece.objectives()
        if nosepiece.objective() not in names:
            return
        at = names.index(nosepiece.objective()) + steps
        if not 0 <= at < len(names):
            which = "strongest" if steps > 0 else "weakest"
            self._tell(f"{nosepiece.objective()} is the {which} objective.", False)
        elif self._try(lambda: nosepiece.select_objective(names[at])):
            self._tell(f"Objective {names[at]}", False)

    def step_picture(self, places: int) -> None:
        """Show another picture of the folder."""
        if isinstance(self._source, FrameSequence):
            sequence = self._source
            self._try(lambda: sequence.step(places))

    def _try(self, act: Callable[[], None]) -> bool:
        try:
            act()
        except Her2ScopeError as error:
            self._tell(str(error), True)
            return False
        return True
