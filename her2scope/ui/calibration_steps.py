"""What the calibration wizard asks of the program, its pages in words, and what changes. No widgets here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

from her2scope.domain.errors import Her2ScopeError
from her2scope.imaging.calibration.stain_vectors import angle_deg
from her2scope.records import Frame, RgbImage
from her2scope.settings import Calibration, FlatField, Vector


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What one measurement of a calibration found."""

    calibration: Calibration
    """The one it started from, with this part replaced."""
    words: tuple[str, ...]
    """What was found and how well, old and new value, a line each."""
    picture: RgbImage | None = None
    """The fit drawn on the picture."""


class CalibrationSteps(Protocol):
    """Measures and saves. Every method is called on a thread of its own, one at a time.

    A picture that does not allow the measurement raises a `Her2ScopeError` that says why, and what to do.
    """

    def micrometer(self, start: Calibration, frame: Frame, objective: str, division_um: float) -> Measured:
        """Size of a pixel at an objective from a stage micrometer."""

    def empty_field(self, start: Calibration, frames: Sequence[Frame]) -> Measured:
        """White reference and flat field from empty fields."""

    def response(self, start: Calibration, frames: Sequence[Frame], exposures_ms: Sequence[float]) -> Measured:
        """The camera's response from pictures of one still scene."""

    def stains(self, start: Calibration, frames: Sequence[Frame]) -> Measured:
        """The lab's stain vectors from fields with both stains."""

    def save(self, calibration: Calibration) -> Path:
        """Write a new dated file and say where; StoreError or SettingsError where it cannot be."""


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationSetup:
    """What a window needs to offer the wizard."""

    steps: CalibrationSteps
    old: Calibration
    """The calibration in force."""
    age_doubt: str | None = None
    """Why its age is in doubt (`settings.expired`)."""
    missing: tuple[str, ...] = ()
    """What it lacks (`settings.missing_parts`)."""


class Page(Enum):
    """Pages of the wizard in their order."""

    OBJECTIVE = "Objective"
    EMPTY_FIELD = "Empty field"
    RESPONSE = "Camera response"
    STAINS = "Stain colours"
    SUMMARY = "Summary"


@dataclass(frozen=True, slots=True)
class PageWords:
    """What a page tells the reader to do."""

    what: str
    how: str
    fewest: int = 1
    """Pictures it needs."""


WORDS = {
    Page.OBJECTIVE: PageWords(
        "Size of a pixel",
        "Lay a stage micrometer on the stage and focus on its lines: five of them or more in view, nothing else. "
        "Name the objective, say how far two lines are apart, and take the picture. Repeat for each objective.",
    ),
    Page.EMPTY_FIELD: PageWords(
        "White and even light",
        "Move to a clean place of the slide without tissue, at the objective and exposure that you read with, "
        "automatic exposure and white balance off. Take three or more pictures, then measure.",
    ),
    Page.RESPONSE: PageWords(
        "How the camera codes light",
        "Keep one place in view and change nothing but the camera's exposure: take four or more pictures, the last "
        "with at least four times the exposure of the first, none of them too bright. Not possible with your "
        "camera? Go on: od10 then stays apparent, and the report says so.",
        fewest=4,
    ),
    Page.STAINS: PageWords(
        "Your lab's own stains",
        "Show fields of your own slides with brown membranes and blue nuclei, a 3+ control for example. Take three or "
        "more from different places, then measure.",
    ),
    Page.SUMMARY: PageWords(
        "What will be saved",
        "Nothing has been saved yet. Save writes a new dated file; the calibration before stays where it is.",
    ),
}


# ---- measurements of one session -----------------------------------------------------------------------------------

Ask = Callable[[Calibration], Measured]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One measurement: where it belongs, and how it is made again from the same pictures."""

    page: Page
    name: str
    """Tells apart the objectives; empty elsewhere."""
    ask: Ask


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """A part with what came of it: a measurement, or the reason why there is none."""

    part: Part
    found: Measured | str


def try_part(start: Calibration, part: Part) -> Outcome:
    """Measure; a refusal becomes its words."""
    try:
        return Outcome(part, part.ask(start))
    except Her2ScopeError as error:
        return Outcome(part, str(error))
    except Exception as error:  # noqa: BLE001 - in a thread it would be lost; here it is shown
        return Outcome(part, f"The picture could not be measured: {error!r}. Nothing was changed.")


@dataclass(frozen=True, slots=True, eq=False)
class Session:
    """All that a wizard has measured so far; nothing of it is saved."""

    old: Calibration
    measured: tuple[Outcome, ...] = ()
    """Each built on the one before, in the order of the pages."""

    @property
    def calibration(self) -> Calibration:
        """The old one with all that was measured."""
        return _calibration_of(self.measured[-1]) if self.measured else self.old

    def of_page(self, page: Page) -> tuple[Outcome, ...]:
        """What was measured on a page."""
        return tuple(item for item in self.measured if item.part.page is page)

    def with_part(self, part: Part) -> Change:
        """Measure a part, once more where it was measured before; a refused one changes nothing.

        What was measured on later pages is measured again from its own pictures: stain vectors hang on the white and
        on the response.
        """
        kept = [item for item in self.measured if (item.part.page, item.part.name) != (part.page, part.name)]
        before = tuple(item for item in kept if _ORDER[item.part.page] <= _ORDER[part.page])
        after = kept[len(before) :]
        if len(kept) < len(self.measured):  # what was built on the replaced one is built anew
            before = self._remade([], before, None).session.measured
        asked = try_part(Session(self.old, before).calibration, part)
        return Change(self, asked) if isinstance(asked.found, str) else self._remade([*before, asked], after, asked)

    def without_page(self, page: Page) -> Change:
        """Forget what a page measured."""
        before = [item for item in self.measured if _ORDER[item.part.page] < _ORDER[page]]
        after = [item for item in self.measured if _ORDER[item.part.page] > _ORDER[page]]
        return self._remade(before, after, None)

    def _remade(self, held: list[Outcome], after: Sequence[Outcome], asked: Outcome | None) -> Change:
        lost: list[Outcome] = []
        for item in after:
            again = try_part(Session(self.old, tuple(held)).calibration, item.part)
            (lost if isinstance(again.found, str) else held).append(again)
        return Change(Session(self.old, tuple(held)), asked, tuple(lost))


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """What came of a step."""

    session: Session
    asked: Outcome | None = None
    lost: tuple[Outcome, ...] = ()
    """Later measurements that are refused now that an earlier one is another."""


def _calibration_of(outcome: Outcome) -> Calibration:
    if isinstance(outcome.found, str):
        raise TypeError("a refused measurement has no calibration")
    return outcome.found.calibration


_ORDER = {page: place for place, page in enumerate(Page)}


# ---- what changes -------------------------------------------------------------------------------------------------


def changes(old: Calibration, new: Calibration) -> tuple[tuple[str, str, str], ...]:
    """What differs: name, old and new value in words."""
    return tuple((name, before, after) for name, before, after in _pairs(old, new) if before != after)


def _pairs(old: Calibration, new: Calibration) -> Iterator[tuple[str, str, str]]:
    for name in dict.fromkeys((*old.objectives, *new.objectives)):
        yield f"Objective {name}", _scale(old.objectives.get(name)), _scale(new.objectives.get(name))
    yield "White (red, green, blue)", _white(old.white_rgb), _white(new.white_rgb)
    yield "Flat field", _flat_field(old.flat_field), _flat_field(new.flat_field)
    yield "Camera response", old.response, new.response
    stains = (
        ("Haematoxylin", old.haematoxylin_vector, new.haematoxylin_vector),
        ("DAB", old.dab_vector, new.dab_vector),
    )
    for name, before, after in stains:
        turned = "" if before == after else f" ({angle_deg(before, after):.1f}° from the old one)"
        yield name, _vector(before), _vector(after) + turned
    yield "Exposure", _known(old.exposure_ms, " ms"), _known(new.exposure_ms, " ms")
    yield "Gain", _known(old.gain), _known(new.gain)
    yield "White balance", old.white_balance or "not known", new.white_balance or "not known"


def _scale(um_per_px: float | None) -> str:
    return "not calibrated" if um_per_px is None else f"{um_per_px:.4f} um/px"


def _white(rgb: Vector | None) -> str:
    return "estimated from each picture" if rgb is None else ", ".join(f"{value:.0f}" for value in rgb)


def _flat_field(grid: FlatField | None) -> str:
    if grid is None:
        return "none: even light"
    values = [value for row in grid for place in row for value in place]
    return f"darkest place {100 * min(values) / max(values):.0f} % of the brightest"


def _vector(vector: Vector) -> str:
    return ", ".join(f"{value:.3f}" for value in vector)


def _known(value: float | None, unit: str = "") -> str:
    return "not known" if value is None else f"{value:g}{unit}"
