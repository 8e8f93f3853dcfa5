"""Moves the slide, the nosepiece or the folder of pictures, as far as the source offers it."""

from __future__ import annotations

from collections.abc import Callable

from her2scope.domain.errors import Her2ScopeError
from her2scope.ports import FrameSequence, Nosepiece, Stage
from her2scope.records import AcceptedField, Frame, TrackedFrame
from her2scope.ui.action_table import Needs


class Navigator:
    """Asks the source and the instruments beside it; a refusal is told to the reader, never raised.

    Parameters
    ----------
    stage, nosepiece : of the desk; they go before those of the source
    """

    def __init__(
        self,
        source: object,
        tell: Callable[[str, bool], None],
        stage: Stage | None = None,
        nosepiece: Nosepiece | None = None,
    ) -> None:
        self._tell = tell
        self._stage = stage or (source if isinstance(source, Stage) else None)
        self._nosepiece = nosepiece or (source if isinstance(source, Nosepiece) else None)
        self._sequence = source if isinstance(source, FrameSequence) else None
        self._place = -1

    @property
    def offers(self) -> frozenset[Needs]:
        """What can be done."""
        offered = {Needs.STAGE: self._stage, Needs.NOSEPIECE: self._nosepiece, Needs.SEQUENCE: self._sequence}
        return frozenset(need for need, it in offered.items() if it is not None)

    def move_by_pictures(self, shown: TrackedFrame | None, across: float, down: float) -> None:
        """Move by a share of the picture's width or height."""
        if shown is not None:
            height, width = shown.frame.size_hw
            um_per_px = shown.frame.um_per_px
            self.move_by_um(across * width * um_per_px, down * height * um_per_px)

    def move_by_um(self, dx_um: float, dy_um: float) -> None:
        """Move over the slide."""
        stage = self._stage
        if stage is not None:
            self._try(lambda: stage.move_by_um(dx_um, dy_um))

    def go_to_field(self, field: AcceptedField | None, shown: TrackedFrame | None) -> None:
        """Move until the middle of an accepted field is in the middle of the picture, by the map of the slide."""
        if field is None:
            self._tell("Select a field of the list first: the stage goes to it.", False)
            return
        place = field.place
        if place is None or shown is None or not shown.trusted or place.island != shown.island:
            self._tell(
                f"The map does not tell where field {field.number} lies from here. Move to tissue that the map shows "
                "together with it.",
                True,
            )
            return
        there_um, here_um = _half_um(field.result.frame), _half_um(shown.frame)
        self._tell(f"Going to field {field.number}", False)
        dx_um = place.x_um + there_um[0] - shown.x_um - here_um[0]
        self.move_by_um(dx_um, place.y_um + there_um[1] - shown.y_um - here_um[1])

    def next_place(self) -> str | None:
        """Go to the next named place, and return its name."""
        if self._stage is None:
            return None
        places = self._stage.places()
        if not places:
            self._tell("This slide has no named places: move with the arrow keys.", False)
            return None
        self._place = (self._place + 1) % len(places)
        return self.go_to(places[self._place])

    def go_to(self, place: str) -> str | None:
        """Go to a named place, and return its name."""
        stage = self._stage
        if stage is None:
            return None
        if place in stage.places():
            self._place = stage.places().index(place)
        if not self._try(lambda: stage.go_to(place)):
            return None
        self._tell(f"Place: {place}", False)
        return place

    def places(self) -> tuple[str, ...]:
        """Named places of the slide."""
        return self._stage.places() if self._stage is not None else ()

    def turn_objective(self, steps: int) -> None:
        """Turn to a stronger (positive) or weaker objective."""
        nosepiece = self._nosepiece
        if nosepiece is None:
            return
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
        sequence = self._sequence
        if sequence is not None:
            self._try(lambda: sequence.step(places))

    def _try(self, act: Callable[[], None]) -> bool:
        try:
            act()
        except Her2ScopeError as error:
            self._tell(str(error), True)
            return False
        return True


def _half_um(frame: Frame) -> tuple[float, float]:
    """From a frame's top left corner to its middle."""
    height, width = frame.size_hw
    return width * frame.um_per_px / 2, height * frame.um_per_px / 2
