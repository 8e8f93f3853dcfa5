"""The picture back into the eyepiece: what its display shows, and where the camera's pixels lie on it.

What is shown repairs itself, as preferences do. The maps refuse an unknown key or an impossible value: a slip there
lays outlines beside their cells.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from her2scope.domain.errors import Her2ScopeError, SettingsError
from her2scope.settings.files import home_dir, read_yaml, save_yaml
from her2scope.settings.mapping import from_mapping

MAX_RESIDUAL_PX = 1.0
"""Greatest residual of a map, in display pixels: more than the thinnest line is wide, and a line is beside its cell."""
FEWEST_TARGETS = 6
"""Least number of matched targets: three make any map fit, and six still tell which one of them was wrong."""
DISPLAY_SIDES_PX = (64, 16_384)
SCALE_RANGE = (0.02, 50.0)
"""Display pixels for a camera pixel: far wider than any pair of devices needs, so that only a slip is refused."""

Row = tuple[float, float, float]
Matrix = tuple[Row, Row]
"""Display place `(a * x + b * y + c, d * x + e * y + f)` of the camera pixel `(x, y)`. In both, pixel centres are
integers and the origin is top left."""


@dataclass(frozen=True, slots=True)
class EyepieceView:
    """What the eyepiece's display shows; nothing here can move a score."""

    is_open: bool = False
    """It was open when the window closed, and opens with it again."""
    screen: str = ""
    """Name of the display; empty: the second one."""
    picture: bool = False
    """The camera picture beneath, for a monitor beside the eyepiece; it then needs no map."""
    palette: str = "eyepiece"
    line_px: float = 3.0
    text_px: int = 30
    outlines: bool = True
    markers: bool = False
    membranes: bool = False
    regions: bool = True
    """The reader's outlined regions."""
    border: bool = True
    """Edge of the camera's picture: nothing outside of it is analysed."""
    crosshair: bool = False
    """Middle of the camera's picture."""
    score: bool = True
    control: bool = True
    mode: bool = True
    camera: bool = True
    """That the picture is live. That it is not is always said: a display without outlines reads as a finding."""
    text_x_share: float = 0.5
    text_y_share: float = 0.14
    """Middle of the text, as shares of the display: corners lie outside of a round field of view."""
    text_mirrored: bool = False
    text_turned_deg: int = 0
    """How the eye sees the display, so that its text can be read."""

    def __post_init__(self) -> None:
        _check_between("line_px", self.line_px, 1, 20)
        _check_between("text_px", self.text_px, 10, 200)
        _check_between("text_x_share", self.text_x_share, 0, 1)
        _check_between("text_y_share", self.text_y_share, 0, 1)
        if self.text_turned_deg not in (0, 90, 180, 270):
            raise SettingsError(f"text_turned_deg must be 0, 90, 180 or 270, not {self.text_turned_deg}.")


@dataclass(frozen=True, slots=True)
class EyepieceMap:
    """Where the camera's pixels lie on the eyepiece's display, for one objective."""

    matrix: Matrix
    camera_wh: tuple[int, int]
    display_wh: tuple[int, int]
    date: str
    """ISO 8601."""
    residual_px: float
    """Root mean square distance of the targets, in display pixels."""
    n_targets: int
    display: str = ""
    """Name of the display."""

    def __post_init__(self) -> None:
        for what in ("camera_wh", "display_wh"):
            for side in getattr(self, what):
                _check_between(what, side, *DISPLAY_SIDES_PX)
        if not all(math.isfinite(value) for row in self.matrix for value in row):
            raise SettingsError("matrix holds a value that is no number. Calibrate the eyepiece again.")
        (a, b, _), (c, d, _) = self.matrix
        scale = math.sqrt(abs(a * d - b * c))
        _check_between("matrix: display pixels for a camera pixel", scale, *SCALE_RANGE)
        _check_between("residual_px", self.residual_px, 0, MAX_RESIDUAL_PX)
        _check_between("n_targets", self.n_targets, FEWEST_TARGETS, 1000)
        try:
            date.fromisoformat(self.date)
        except ValueError:
            raise SettingsError(f"date: '{self.date}' is not a date. Write year-month-day, as 2026-01-15.") from None

    @property
    def words(self) -> str:
        """How good it is, for a list."""
        width, height = self.display_wh
        return f"{self.residual_px:.2f} px from {self.n_targets} targets, {self.date}, display {width} x {height}"


@dataclass(frozen=True, slots=True)
class NoMap:
    """No map holds, and why: outlines at a wrong place are worse than none."""

    why: str


@dataclass(frozen=True, slots=True)
class EyepieceMaps:
    """One map for each objective."""

    maps: Mapping[str, EyepieceMap] = field(default_factory=dict)

    def fitting(self, objective: str, camera_wh: tuple[int, int], display_wh: tuple[int, int]) -> EyepieceMap | NoMap:
        """The map of an objective, if it was made for a camera picture and a display of these sizes."""
        found = self.maps.get(objective)
        if found is None:
            return NoMap(f"eyepiece not calibrated for {objective}")
        for what, then, now in (("display", found.display_wh, display_wh), ("picture", found.camera_wh, camera_wh)):
            if then != now:
                sizes = f"{then[0]} x {then[1]}, now {now[0]} x {now[1]}"
                return NoMap(f"eyepiece calibrated for another {what} size ({sizes})")
        return found

    def with_map(self, objective: str, made: EyepieceMap) -> EyepieceMaps:
        """These maps with one more, or another one for its objective."""
        return EyepieceMaps({**self.maps, objective: made})


# ---- files --------------------------------------------------------------------------------------------------------


def maps_path() -> Path:
    """Where this user's maps are kept, beside the calibrations of the microscope."""
    return home_dir() / "calibration" / "eyepiece.yaml"


def view_path() -> Path:
    """Where is kept what the eyepiece shows."""
    return home_dir() / "eyepiece.yaml"


def load_maps(path: Path) -> EyepieceMaps:
    """Read the maps of an eyepiece; none where nothing was calibrated yet. SettingsError for a damaged file."""
    return from_mapping(EyepieceMaps, read_yaml(path), str(path)) if path.exists() else EyepieceMaps()


def load_view(path: Path) -> tuple[EyepieceView, tuple[str, ...]]:
    """Read what is shown, replacing whatever is wrong by its default; also what was replaced, in words."""
    if not path.exists():
        return EyepieceView(), ()
    try:
        data = read_yaml(path)
    except SettingsError as error:
        return EyepieceView(), (f"{error} What the eyepiece shows is as at first.",)
    if not isinstance(data, Mapping):
        return EyepieceView(), (f"{path}: expected keys with values. What the eyepiece shows is as at first.",)
    good, repairs = EyepieceView(), []
    for key, value in data.items():
        try:
            read = from_mapping(EyepieceView, {key: value}, str(path))
            good = dataclasses.replace(good, **{str(key): getattr(read, str(key))})
        except Her2ScopeError as error:
            repairs.append(f"{error} Its default is used.")
    return good, tuple(repairs)


def save_map(objective: str, made: EyepieceMap, path: Path) -> EyepieceMaps:
    """Add a map to those in a file, and give them all.

    SettingsError where that file is damaged or cannot be written: the maps in it are not lost by saving another one.
    """
    maps = load_maps(path).with_map(objective, made)
    save(maps, path)
    return maps


def save(settings: EyepieceView | EyepieceMaps, path: Path) -> None:
    """Write either, aside and then renamed; SettingsError where it cannot be written, and the old file stays."""
    try:
        save_yaml(settings, path)
    except OSError as error:
        why = error.strerror or str(error)
        raise SettingsError(
            f"{path}: cannot be written ({why}). Free space or rights there, and save again."
        ) from error


def _check_between(what: str, value: Any, low: float, high: float) -> None:
    if not low <= value <= high:
        raise SettingsError(f"{what} must be from {low:g} to {high:g}, not {value:g}. Correct it.")
