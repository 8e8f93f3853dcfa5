"""The controls of a laboratory as data: which tissue or cell line carries which score, and what is sufficient there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from her2scope.domain.control import ControlLimits
from her2scope.domain.errors import SettingsError
from her2scope.domain.guideline import SCORES, Score

ANCHOR_LEVEL: Score = "3+"
"""The level that anchors the intensity scale: no control is without it."""
WIZARD_ORDER: tuple[Score, ...] = ("3+", "0", "1+", "2+")
"""In which order levels are read: the anchor first, then those without which a score below 2+, or of 3+, stands with a
reservation (design section 3), at last the one that only places the moderate cut more exactly."""


class Placement(StrEnum):
    """Where a control lies."""

    ON_SLIDE = "on_slide"
    RUN_SLIDE = "run_slide"


@dataclass(frozen=True, slots=True)
class ControlLevel:
    """One level of a control."""

    tissue: str = ""
    """What it is: a tissue block or a cell line."""
    where: str = ""
    """Where on the slide it lies, for the reader who has to find it."""


@dataclass(frozen=True, slots=True)
class ControlMaterial:
    """A control slide, or controls on the patient's slide."""

    name: str
    placement: Placement = Placement.RUN_SLIDE
    levels: Mapping[str, ControlLevel] = field(default_factory=lambda: {ANCHOR_LEVEL: ControlLevel()})
    """By score."""
    lot: str = ""
    """Of the control material itself."""
    antibody: str = ""
    """Clone and maker."""
    stainer: str = ""
    limits: ControlLimits = ControlLimits()
    """What is sufficient with this control, antibody and stainer."""

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise SettingsError("a control has no name. Name it: its readings are kept under it.")
        unknown = [level for level in self.levels if level not in SCORES]
        if unknown:
            raise SettingsError(f"control {self.name}: '{unknown[0]}' is no level. Use {', '.join(SCORES)}.")
        if ANCHOR_LEVEL not in self.levels:
            raise SettingsError(f"control {self.name}: it has no {ANCHOR_LEVEL} level, which sets the intense cut.")

    @property
    def order(self) -> tuple[Score, ...]:
        """Its levels in the order in which they are read."""
        return tuple(level for level in WIZARD_ORDER if level in self.levels)


@dataclass(frozen=True, slots=True)
class ControlMaterials:
    """All controls that a laboratory uses."""

    controls: tuple[ControlMaterial, ...] = (
        ControlMaterial("run slide", levels={level: ControlLevel() for level in WIZARD_ORDER}),
    )

    def __post_init__(self) -> None:
        if not self.controls:
            raise SettingsError("no control is listed. List one, or leave the file out.")
        names = [item.name for item in self.controls]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise SettingsError(f"two controls are named '{twice[0]}': their readings could not be told apart.")

    def named(self, name: str | None) -> ControlMaterial:
        """The control of a name, the first one without; SettingsError where there is none."""
        if name is None:
            return self.controls[0]
        for item in self.controls:
            if item.name == name:
                return item
        known = ", ".join(item.name for item in self.controls)
        raise SettingsError(f"no control is named '{name}'. Known: {known}.")


def next_level(material: ControlMaterial, read: Sequence[Score]) -> Score | None:
    """The level to be shown next, None where all were read."""
    return next((level for level in material.order if level not in read), None)


def open_ends(read: Sequence[Score]) -> tuple[str, ...]:
    """What the levels that were read cannot vouch for, in words."""
    if ANCHOR_LEVEL not in read:
        return (f"without the {ANCHOR_LEVEL} level there is no intense cut: nothing is reportable",)
    ends = []
    if "0" not in read:
        ends.append("no negative level: over-staining is not excluded, a 3+ stands with that reservation")
    if not {"0", "1+"} <= set(read):
        ends.append("1+ and negative level not both read: the low end is not covered, 0 and 1+ stand with that")
    if not {"1+", "2+"} & set(read):
        ends.append("no 1+ or 2+ level: faint and moderate are parted by a fraction of the intense cut")
    return tuple(ends)
