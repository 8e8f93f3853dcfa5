"""Targets of the eyepiece's calibration: where they are shown, and where each was clicked in the camera picture. No Qt.

Thirteen places, the middle first: four about it, and eight farther out. The field of view of an eyepiece is round, so
that the outermost may not be seen, and are left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from her2scope.imaging.calibration.eyepiece_map import EyepieceFit, check_eyepiece_fit, fit_eyepiece_map
from her2scope.settings.eyepiece import FEWEST_TARGETS

_NEAR, _FAR = 0.18, 0.36
"""Shares of the display, from its middle."""
_SIDES = {"upper": -1, "lower": 1, "left": -1, "right": 1}
_PLACES = (
    ("the middle", 0.0, 0.0),
    *((f"{down} {across}, inner", _SIDES[across] * _NEAR, _SIDES[down] * _NEAR)
      for down in ("upper", "lower") for across in ("left", "right")),
    ("the left edge", -_FAR, 0.0),
    ("the right edge", _FAR, 0.0),
    ("the upper edge", 0.0, -_FAR),
    ("the lower edge", 0.0, _FAR),
    *((f"{down} {across}, outer", _SIDES[across] * _FAR, _SIDES[down] * _FAR)
      for down in ("upper", "lower") for across in ("left", "right")),
)  # fmt: skip
NAMES = tuple(name for name, _, _ in _PLACES)

Place = tuple[float, float]


def target_places(display_wh: tuple[int, int]) -> tuple[Place, ...]:
    """Display places of all targets, on whole pixels so that their lines are sharp."""
    width, height = display_wh
    return tuple((float(round((0.5 + x) * (width - 1))), float(round((0.5 + y) * (height - 1)))) for _, x, y in _PLACES)


@dataclass(frozen=True, slots=True)
class Targets:
    """How far the calibration has come. Each step gives another one, and the old one stays as it was."""

    display_wh: tuple[int, int]
    camera_wh: tuple[int, int]
    objective: str
    current: int | None = 0
    """The target that is shown; None: all were shown."""
    clicked: dict[int, Place] = field(default_factory=dict)
    """Camera places by the target's number, the newest last."""
    skipped: frozenset[int] = frozenset()
    """Targets that cannot be seen."""

    @property
    def place(self) -> Place | None:
        """Where the current target lies on the display."""
        return None if self.current is None else target_places(self.display_wh)[self.current]

    @property
    def can_fit(self) -> bool:
        """Whether enough are matched."""
        return len(self.clicked) >= FEWEST_TARGETS

    def match(self, camera_xy_px: Place) -> Targets:
        """The current target lies there in the camera picture; the next open one follows."""
        if self.current is None:
            return self
        return self._onward({**self._others(self.current), self.current: camera_xy_px}, self.skipped - {self.current})

    def skip(self) -> Targets:
        """The current target cannot be seen: what was clicked for it goes, too."""
        if self.current is None:
            return self
        return self._onward(self._others(self.current), self.skipped | {self.current})

    def nudge(self, x_px: float, y_px: float) -> Targets:
        """Move the newest match in the camera picture by a little."""
        if not self.clicked:
            return self
        newest, (x, y) = next(reversed(self.clicked.items()))
        return replace(self, clicked={**self.clicked, newest: (x + x_px, y + y_px)})

    def go_to(self, number: int) -> Targets:
        """Show a target (again); what was clicked for it stays until it is clicked anew."""
        return replace(self, current=number)

    def _others(self, number: int) -> dict[int, Place]:
        return {other: place for other, place in self.clicked.items() if other != number}

    def _onward(self, clicked: dict[int, Place], skipped: frozenset[int]) -> Targets:
        left = (number for number in range(len(NAMES)) if number not in clicked and number not in skipped)
        return replace(self, clicked=clicked, skipped=skipped, current=next(left, None))

    def fit(self) -> EyepieceFit:
        """The map of what is matched; MeasurementRefused where none can be fitted."""
        places = target_places(self.display_wh)
        numbers = sorted(self.clicked)
        camera, display = [self.clicked[number] for number in numbers], [places[number] for number in numbers]
        return fit_eyepiece_map(camera, display, self.camera_wh, self.display_wh)

    def check(self, fit: EyepieceFit) -> None:
        """MeasurementRefused where the map may not be used, naming the target that is wrong."""
        check_eyepiece_fit(fit, [target_title(number) for number in sorted(self.clicked)])


def target_title(number: int) -> str:
    """`target 3 (upper right, inner)`."""
    return f"target {number + 1} ({NAMES[number]})"
