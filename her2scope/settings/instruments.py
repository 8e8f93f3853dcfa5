"""Instruments beside the camera: on which serial port each is, how it speaks, and what its words mean."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from her2scope.domain.errors import SettingsError
from her2scope.settings.files import home_dir, read_yaml
from her2scope.settings.mapping import from_mapping

MAX_TRAVEL_UM = 1e6
"""No stage of a microscope travels a metre: a slip of unit."""


class LineEnd(Enum):
    """What ends a line that is sent. What is received may end in any of them."""

    CR = "cr"
    LF = "lf"
    CRLF = "crlf"

    @property
    def characters(self) -> str:
        """What is sent."""
        return {"cr": "\r", "lf": "\n", "crlf": "\r\n"}[self.value]


class ButtonAction(Enum):
    """What a foot switch, a button or a key can be given to do."""

    ACCEPT = "accept"
    """Read the control, or add the field to the case."""
    CONTROL = "control"
    """Change between control mode and reading mode."""
    UNDO = "undo"
    """Take the last change of the case back."""


class StageDialect(Enum):
    """Command set of a stage's controller."""

    ASI = "asi"
    """ASI MS-2000, RM-2000 and the axis commands of TG-1000 (Tiger)."""


@dataclass(frozen=True, slots=True)
class PortSettings:
    """One serial port: 8 data bits, no parity, 1 stop bit, as all these instruments use."""

    port: str
    """As the system calls it: `/dev/ttyUSB0`, `COM3`; `her2scope devices` lists them."""
    baud: int = 9600
    line_end: LineEnd = LineEnd.CR
    answer_s: float = 0.3
    """How long an answer may take; at 9600 baud one of 20 characters takes 0.02 s."""

    def __post_init__(self) -> None:
        if not self.port.strip():
            raise SettingsError("port is empty. Name it, as /dev/ttyUSB0 or COM3.")
        if not 50 <= self.baud <= 4_000_000:
            raise SettingsError(f"baud must be from 50 to 4000000, not {self.baud}. Correct it.")
        _check_seconds("answer_s", self.answer_s, 0.02, 0.5)


@dataclass(frozen=True, slots=True)
class StageSettings:
    """A motorised stage, and how it is turned against the picture."""

    line: PortSettings
    dialect: StageDialect = StageDialect.ASI
    right: str = "+x"
    down: str = "+y"
    """Which way of the stage's own axes moves the view to the right, and down: +x, -x, +y or -y."""
    poll_s: float = 0.05
    """How often the position is asked for: at 100 um/s, the fastest that is measured, it is then 5 um old at most."""
    places: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Named places, um to the right and down from the stage's origin."""
    travel_um: tuple[float, float, float, float] | None = None
    """Left, top, right and bottom end of where it may be sent; None: as far as its own limits."""

    def __post_init__(self) -> None:
        ways = ("+x", "-x", "+y", "-y")
        if self.right not in ways or self.down not in ways:
            raise SettingsError(f"right and down must be +x, -x, +y or -y, not {self.right} and {self.down}.")
        if self.right[1] == self.down[1]:
            raise SettingsError(f"right and down are both along {self.right[1]}. Give one of them the other axis.")
        _check_seconds("poll_s", self.poll_s, 0.02, 0.3)
        for name, place_um in self.places.items():
            _check_lengths(f"place {name}", place_um)
        if self.travel_um is not None:
            _check_lengths("travel_um", self.travel_um)
            left, top, right, bottom = self.travel_um
            if not (left < right and top < bottom):
                raise SettingsError("travel_um must be [left, top, right, bottom], each end beyond the other.")


@dataclass(frozen=True, slots=True)
class NosepieceSettings:
    """A sensor that tells which objective is in the light path, by a line of text."""

    line: PortSettings
    objectives: Mapping[str, str]
    """What it says -> the objective as the calibration names it, weakest first; empty for no objective."""
    pattern: str = r"(?P<position>.+)"
    """Regular expression that a whole line must match; its group `position` is looked up in `objectives`."""
    ask: str = ""
    """What makes it tell; empty where it tells by itself."""
    every_s: float | None = None
    """How often it is asked, or tells by itself even while nothing is turned; None: only when it is turned."""
    ignored: tuple[str, ...] = ()
    """Lines that mean nothing, such as a greeting."""

    def __post_init__(self) -> None:
        if not any(self.objectives.values()):
            raise SettingsError("objectives is empty. Give what the sensor says for each, as 1: 10x.")
        _check_texts((*self.objectives, *self.ignored))
        try:
            pattern = re.compile(self.pattern)
        except re.error as error:
            raise SettingsError(f"pattern '{self.pattern}' is no regular expression: {error}. Correct it.") from None
        if "position" not in pattern.groupindex:
            raise SettingsError(f"pattern '{self.pattern}' has no group (?P<position>...). Mark the part that tells.")
        if self.every_s is not None:
            _check_seconds("every_s", self.every_s, 0.05, 60.0)
        if self.ask and (self.every_s is None or self.every_s > 0.5):
            raise SettingsError("a sensor that is asked needs every_s, 0.5 at most: a turn must show within a second.")


@dataclass(frozen=True, slots=True)
class ButtonSettings:
    """A foot switch or a box of buttons that sends a line for each press."""

    line: PortSettings
    actions: Mapping[str, ButtonAction]
    """Line -> what it does."""
    ignored: tuple[str, ...] = ()
    """Lines that do nothing, such as those for letting go."""
    debounce_s: float = 0.3
    """A line that comes again sooner than this after the last of its kind is the same press."""

    def __post_init__(self) -> None:
        if not self.actions:
            raise SettingsError("actions is empty. Give the line of each button, as PEDAL: accept.")
        _check_texts((*self.actions, *self.ignored))
        both = set(self.actions) & set(self.ignored)
        if both:
            raise SettingsError(f"line '{min(both)}' is both an action and ignored. Remove one.")
        _check_seconds("debounce_s", self.debounce_s, 0.0, 5.0)


@dataclass(frozen=True, slots=True)
class InstrumentSettings:
    """All instruments of one desk."""

    stage: StageSettings | None = None
    nosepiece: NosepieceSettings | None = None
    buttons: tuple[ButtonSettings, ...] = ()
    keys: Mapping[str, ButtonAction] = field(default_factory=dict)
    """Keys of a foot switch or button that acts as a keyboard (HID), as `F13` -> what it does."""

    def __post_init__(self) -> None:
        lines = [item.line for item in (self.stage, self.nosepiece, *self.buttons) if item is not None]
        ports = [line.port for line in lines]
        for port in ports:
            if ports.count(port) > 1:
                raise SettingsError(f"port {port} is given to two instruments. Correct one of them.")


def instruments_file(asked: Path | None) -> Path | None:
    """The file that was asked for, else this user's own, beside the calibrations of the microscope; None without."""
    if asked is not None:
        return asked
    usual = home_dir() / "calibration" / "instruments.yaml"
    return usual if usual.exists() else None


def load_instruments(path: Path) -> InstrumentSettings:
    """Read the instruments of a desk; an unknown key is refused."""
    return from_mapping(InstrumentSettings, read_yaml(path), str(path))


def _check_texts(said: tuple[str, ...]) -> None:
    """SettingsError for what YAML took for a truth value: on, off, yes and no would never be heard."""
    for text in said:
        if text in ("True", "False", "None"):
            raise SettingsError(f"'{text}' is not a text to YAML. Put what the instrument says in quotes.")


def _check_seconds(what: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise SettingsError(f"{what} must be from {low:g} to {high:g} seconds, not {value:g}. Correct it.")


def _check_lengths(what: str, lengths_um: tuple[float, ...]) -> None:
    if not all(math.isfinite(value) and abs(value) <= MAX_TRAVEL_UM for value in lengths_um):
        raise SettingsError(f"{what}: {list(lengths_um)} is farther than a stage goes. Give micrometres.")
