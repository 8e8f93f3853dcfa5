"""What is said of one cell: its measures, whether it counts, why it has its class. No widgets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from her2scope.domain.cells import CellKind, CellRule, StainCuts, why
from her2scope.domain.corrections import STANDING_WORDS, CellStanding, Correction
from her2scope.imaging.stains import unmix
from her2scope.imaging.unrolled import SHOWN_HALF_UM, Unrolled, unrolled
from her2scope.records import AcceptedField, Cell, CellProfiles, FieldResult
from her2scope.settings import Calibration
from her2scope.ui.words import SHORT_LABELS, sentence

ROOM_UM = SHOWN_HALF_UM + 2.0
"""Cut out round a cell's outline: all that its strip shows."""
UNCERTAIN = "No place of it is stained beyond doubt: it counts, but does not by itself show that there is faint stain."
NO_FIGURE = "\N{EN DASH}"
OTHER = "not a tumour cell"
CORRECTION_WORDS = {
    Correction.NOT_TUMOUR: OTHER,
    Correction.EXCLUDED: "excluded",
    **{word: SHORT_LABELS[word.cell_class] for word in Correction if word.cell_class is not None},
}


@dataclass(frozen=True, slots=True, eq=False)
class ShownCell:
    """A cell, with what it is judged by."""

    result: FieldResult
    """In force."""
    number: int
    """Its place in the result's cells."""
    cuts: StainCuts
    rule: CellRule
    calibration: Calibration
    """The case's."""
    field: AcceptedField | None = None
    """None for a cell of the live picture."""

    @property
    def cell(self) -> Cell:
        """The cell in force."""
        return self.result.cells[self.number]

    @property
    def read(self) -> FieldResult:
        """The field as the method read it."""
        return self.result if self.field is None or self.field.read is None else self.field.read

    @property
    def correction(self) -> Correction | None:
        """The reader's word on it."""
        words = () if self.field is None else self.field.corrections
        return words[self.number] if words else None

    @property
    def standing(self) -> CellStanding | None:
        """Whether its case counts it; None for a cell of the live picture, and where its case does not say."""
        if self.cell.edge:
            return CellStanding.EDGE
        standings = () if self.field is None else self.field.standings
        if standings:
            return standings[self.number]
        return None if self.cell.within else CellStanding.OUTSIDE


@dataclass(frozen=True, slots=True)
class CellFacts:
    """All words of the inspector."""

    title: str
    state: str
    """Whether it counts, and who says what of its class."""
    figures: str
    why: tuple[str, ...]


def cell_facts(shown: ShownCell) -> CellFacts:
    """The words for a cell."""
    name = shown.cell.cell_class
    where = "live picture" if shown.field is None else f"field {shown.field.number}"
    what = OTHER if name is None else SHORT_LABELS[name]
    return CellFacts(f"Cell {shown.number + 1}, {where}: {what}", _state(shown), _figures(shown), _why(shown))


def _state(shown: ShownCell) -> str:
    parts = []
    if shown.correction is not None:
        parts.append(f"Your word: {CORRECTION_WORDS[shown.correction]}")
    as_read = shown.read.cells[shown.number].cell_class
    if as_read is not shown.cell.cell_class or shown.correction is not None:
        parts.append(f"as read: {OTHER if as_read is None else SHORT_LABELS[as_read]}")
    if shown.standing is not None and shown.cell.kind is CellKind.TUMOUR:
        parts.append(STANDING_WORDS[shown.standing])
    return sentence("; ".join(parts)) if parts else ""


def _figures(shown: ShownCell) -> str:
    """Two short lines: they stand between the picture and its reasons, in a narrow column."""
    cell, measure = shown.cell, shown.cell.measure
    nucleus = f"nucleus {2 * cell.nucleus_radius_um:.1f} \N{MICRO SIGN}m wide"
    if shown.read.cells[shown.number].kind is not CellKind.TUMOUR:
        return nucleus.capitalize()
    uniform = f"{measure.uniform_od10:.2f}" if measure.uniform_od10 > 0 else NO_FIGURE
    return (
        f"Complete {100 * measure.completeness:.0f} %, intense {100 * measure.intense_share:.0f} %, {nucleus}\n"
        f"Intensity {measure.intensity_od10:.2f} od10; three quarters reach {uniform} od10"
    )


def _why(shown: ShownCell) -> tuple[str, ...]:
    as_read = shown.read.cells[shown.number]
    if as_read.kind is not CellKind.TUMOUR:
        return ("The method takes it for stroma, a lymphocyte or a normal duct: its membrane is not judged.",)
    reasons = tuple(sentence(line) for line in why(shown.cell.measure, shown.cuts, shown.rule))
    if shown.cell.is_uncertain_faint:
        reasons += (UNCERTAIN,)
    return ("By its measures:", *reasons) if shown.correction is not None else reasons


def unrolled_cell(shown: ShownCell) -> Unrolled | None:
    """The cell's outline unrolled; None where it was given no outline."""
    cell, result = shown.cell, shown.result
    if len(cell.outline_xy_px) < 3:
        return None
    frame, calibration = result.frame, replace(shown.calibration, white_rgb=result.white_rgb)
    # Shading depends on the place in the picture, so with a flat field the whole of it is unmixed.
    left, top, right, bottom = (0, 0, *frame.size_hw[::-1]) if calibration.flat_field else _box(cell, result)
    rgb = np.ascontiguousarray(frame.rgb[top:bottom, left:right])
    corner = np.array([left, top], np.float32)
    moved = replace(
        cell, x_px=cell.x_px - left, y_px=cell.y_px - top, outline_xy_px=cell.outline_xy_px.astype(np.float32) - corner
    )
    return unrolled(rgb, unmix(rgb, frame.um_per_px, calibration), moved, shown.cuts, _profile(shown))


def _box(cell: Cell, result: FieldResult) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what is cut out round a cell."""
    room_px = ceil(ROOM_UM / result.frame.um_per_px)
    height, width = result.frame.size_hw
    low = np.floor(cell.outline_xy_px.min(axis=0)).astype(int) - room_px
    high = np.ceil(cell.outline_xy_px.max(axis=0)).astype(int) + room_px + 1
    left, top = (int(value) for value in np.clip(low, 0, (width - 1, height - 1)))
    right, bottom = (int(value) for value in np.clip(high, (left + 1, top + 1), (width, height)))
    return left, top, right, bottom


def _profile(shown: ShownCell) -> CellProfiles | None:
    """Profiles are kept of the cells that the method took for tumour, in their order."""
    cells, profiles = shown.read.cells, shown.read.profiles
    if profiles is None or cells[shown.number].kind is not CellKind.TUMOUR:
        return None
    return profiles.of_cell(sum(cell.kind is CellKind.TUMOUR for cell in cells[: shown.number]))
