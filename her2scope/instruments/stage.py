"""A motorised stage on a serial line: tells where it is, and drives to a place."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from her2scope.domain.errors import NotAvailableError
from her2scope.instruments import asi
from her2scope.instruments.serial_line import InstrumentError, InstrumentState, SerialLine
from her2scope.instruments.serial_port import PortFactory, open_port
from her2scope.settings.instruments import StageSettings

MAX_AGE_S = 0.3
"""A position that is older is not told: at 5 mm/s a stage has by then gone 1.5 mm."""

Place = tuple[float, float]
"""um to the right and down, as the view moves over the slide."""


@dataclass(frozen=True, slots=True)
class Axes:
    """How the stage's own axes lie to the picture."""

    right: str
    down: str

    def of_view(self, stage: Place) -> Place:
        """From the stage's x and y to right and down."""
        return _along(self.right, stage), _along(self.down, stage)

    def of_stage(self, view: Place) -> Place:
        """From right and down to the stage's x and y."""
        x, y = 0.0, 0.0
        for way, um in ((self.right, view[0]), (self.down, view[1])):
            signed = -um if way[0] == "-" else um
            x, y = (signed, y) if way[1] == "x" else (x, signed)
        return x, y


def _along(way: str, stage: Place) -> float:
    um = stage["xy".index(way[1])]
    return -um if way[0] == "-" else um


@dataclass(frozen=True, slots=True)
class _Move:
    """What waits to be driven: a place to go to, if any, and then by how much further."""

    to: Place | None
    by: Place = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class _Reading:
    at_um: Place
    at_s: float


class SerialStage:
    """A `Stage` that also tells its position. Its calls return at once and may come from any thread.

    Moves that are asked for while the stage is on its way add up and are sent as one when it has arrived. None waits
    for an instrument that is not there: it would move when nobody expects it.
    """

    def __init__(
        self,
        settings: StageSettings,
        *,
        open_port: PortFactory = open_port,
        now: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self._settings, self._now = settings, now
        self._talk = _AsiTalk(Axes(settings.right, settings.down))
        self.line = SerialLine(
            "stage", settings.line, self._talk, settings.poll_s, open_port=open_port, now=now, pause=pause
        )

    def state(self) -> InstrumentState:
        """How it is, and why its last move was refused."""
        state = self.line.state()
        refused = self._talk.refused
        return state if state.problem or not refused else replace(state, problem=refused, is_fault=True)

    def position_um(self, at_s: float | None = None) -> Place | None:
        """Centre of the view, um to the right and down from the stage's origin; None where it is not known.

        On its way it is carried on from the last two readings to the moment `at_s` (monotonic; now, if not given).
        """
        at_s = self._now() if at_s is None else at_s
        readings = self._talk.readings
        if not readings or abs(at_s - readings[-1].at_s) > MAX_AGE_S:
            return None
        return _carried_on(readings, at_s)

    @property
    def is_moving(self) -> bool:
        """Whether it is on its way by a command; by hand or joystick it does not tell."""
        return self._talk.is_busy

    # ---- the port `Stage`

    def move_by_um(self, dx_um: float, dy_um: float) -> None:
        """Move the view over the slide, x to the right, y down; InstrumentError where it cannot."""
        self._ask(None, (dx_um, dy_um))

    def places(self) -> tuple[str, ...]:
        """Named places of the settings."""
        return tuple(self._settings.places)

    def go_to(self, place: str) -> None:
        """Drive to a named place."""
        if place not in self._settings.places:
            raise NotAvailableError("place", place, list(self._settings.places))
        self.move_to_um(*self._settings.places[place])

    # ---- beyond it

    def move_to_um(self, x_um: float, y_um: float) -> None:
        """Drive to a position, such as that of an accepted field."""
        self._ask((x_um, y_um), (0.0, 0.0))

    def halt(self) -> None:
        """Stop it where it is, and forget what waits."""
        self.line.require_found()
        self._talk.halt()

    def _ask(self, to: Place | None, by: Place) -> None:
        if not all(math.isfinite(um) for um in (*(to or ()), *by)):
            raise InstrumentError("a move without a length was asked of the stage. Try again.")
        self.line.require_found()
        self._talk.add(to, by, self._within_travel)

    def _within_travel(self, end_um: Place) -> None:
        """InstrumentError for a place where the settings do not let it go."""
        if self._settings.travel_um is None:
            return
        left, top, right, bottom = self._settings.travel_um
        if not (left <= end_um[0] <= right and top <= end_um[1] <= bottom):
            raise InstrumentError(
                f"the stage would leave its travel ({end_um[0]:.0f}, {end_um[1]:.0f} um). Move the other way, or "
                "change travel_um in the settings of the instruments."
            )


def _carried_on(readings: tuple[_Reading, ...], at_s: float) -> Place:
    """Where the stage is at `at_s`, one interval of the readings beyond the last one at most."""
    before, last = readings[0], readings[-1]
    interval_s = last.at_s - before.at_s
    if interval_s <= 0.0 or before.at_um == last.at_um:
        return last.at_um
    share = min(1.0, max(-1.0, (at_s - last.at_s) / interval_s))
    x, y = (end + share * (end - start) for start, end in zip(before.at_um, last.at_um, strict=True))
    return x, y


class _AsiTalk:
    """What is said to an ASI controller; readings and waiting moves are shared with the other threads."""

    def __init__(self, axes: Axes) -> None:
        self._axes = axes
        self._lock = threading.Lock()  # guards all below but the last
        self.readings: tuple[_Reading, ...] = ()
        """The last two, the older first."""
        self.is_busy = False
        self.refused = ""
        self._move: _Move | None = None
        self._end_um: Place | None = None
        """Where the move that is under way ends, as far as it is known."""
        self._halting = False
        self._ask_where = True

    def add(self, to: Place | None, by: Place, check: Callable[[Place], None]) -> None:
        """Let a move wait; `check` may refuse where it would end, as far as that is known."""
        with self._lock:
            waiting = self._move or _Move(None)
            move = _Move(to) if to is not None else _Move(waiting.to, _sum(waiting.by, by))
            end_um = self._end_of(move)
            if end_um is not None:
                check(end_um)
            self._move, self.refused = move, ""

    def halt(self) -> None:
        """Stop at the next step."""
        with self._lock:
            self._move, self._halting = None, True

    # ---- Talk

    def command(self) -> str:
        """Stop, else the move that waits once the last one is over."""
        with self._lock:
            if self._halting:
                return asi.HALT
            if self._move is None or self.is_busy:
                return ""
            move, self._move = self._move, None
            self._end_um = self._end_of(move)
            self.is_busy = True
        if move.to is not None:
            return asi.move_to(*self._axes.of_stage(_sum(move.to, move.by)))
        return asi.move_by(*self._axes.of_stage(move.by))

    def question(self) -> str:
        """Where it is; while it is on its way, in turn with whether it has arrived."""
        self._ask_where = not (self._ask_where and self.is_busy)
        return asi.WHERE if self._ask_where else asi.STATUS

    def heard(self, line: str, request: str, at_s: float) -> bool:
        """Take an answer in."""
        if request == asi.WHERE:
            return self._heard_where(line, at_s)
        if request == asi.STATUS:
            return self._heard_status(line)
        code = asi.refusal(line)
        if not request or (code is None and not asi.accepted(line)):
            return False
        if request == asi.HALT:
            with self._lock:
                self._halting = False
        elif code is not None:
            self._refuse(code)
        return True

    def forget(self) -> None:
        """Where it is, and what waits."""
        with self._lock:
            self.readings, self._move, self._end_um = (), None, None
            self.is_busy = self._halting = False

    def _heard_where(self, line: str, at_s: float) -> bool:
        stage_um = asi.position_um(line)
        if stage_um is None:
            return False
        with self._lock:
            self.readings = (*self.readings[-1:], _Reading(self._axes.of_view(stage_um), at_s))
        return True

    def _heard_status(self, line: str) -> bool:
        busy = asi.is_busy(line)
        if busy is None:
            return False
        with self._lock:
            self.is_busy = busy
        return True

    def _refuse(self, code: int) -> None:
        why = asi.REFUSALS.get(code, f"gave error {code}")
        with self._lock:
            self.refused = f"the stage {why}: the last move was not made. Move the other way, or check the controller."

    def _end_of(self, move: _Move) -> Place | None:
        """Where a move would end, under the lock; None where it is not known."""
        here = self._end_um if self.is_busy else self.readings[-1].at_um if self.readings else None
        start = here if move.to is None else move.to
        return None if start is None else _sum(start, move.by)


def _sum(first: Place, second: Place) -> Place:
    return first[0] + second[0], first[1] + second[1]
