"""What to show over a field, and how each cell is marked; painters for the screen and for files both ask here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from her2scope.domain.cells import SHARE_ORDER, CellClass, CellKind
from her2scope.domain.corrections import Correction
from her2scope.overlays.palette import (
    EDGE_LABEL,
    LABELS,
    MARKERS,
    OTHER_LABEL,
    OTHER_MARKER,
    OUTSIDE_COLOUR,
    OUTSIDE_LABEL,
    Marker,
    Palette,
    Rgb,
    marker,
)
from her2scope.records import AcceptedField, Cell


@dataclass(frozen=True, slots=True)
class OverlaySelection:
    """Which layers are shown."""

    membranes: bool = True
    """Stained membrane pixels, faint and intense, tinted."""
    cells: bool = True
    """A marker at each cell's centre."""
    outlines: bool = False
    """Each cell's own outline."""
    filled: bool = False
    """Cells that a complete membrane encloses, filled."""
    outside: bool = True
    """Tissue that the region model leaves out, dimmed and hatched beneath the other layers."""

    @property
    def anything(self) -> bool:
        """Whether there is anything to draw; tissue outside is dimmed beneath what is drawn, never by itself."""
        return self.membranes or self.cells or self.outlines or self.filled


EVERYTHING = OverlaySelection(membranes=True, cells=True, outlines=True, filled=True)
NOTHING = OverlaySelection(membranes=False, cells=False, outside=False)
FOR_REPORT = OverlaySelection(membranes=False, cells=True, outlines=True, filled=False)
"""Outlines leave the tissue visible beneath, so a colleague can check each cell."""


@dataclass(frozen=True, slots=True)
class CellMark:
    """How one cell is drawn."""

    colour: Rgb
    marker: Marker
    dashed: bool
    """A tumour cell that is not counted: dashed outline, hollow marker."""
    tumour: bool
    """A cell that is not tumour gets a smaller marker."""
    filled: bool
    """Enclosed by a complete membrane: filled where that layer is shown."""
    corrected: bool = False
    """The reader spoke of this very cell: a small square beside it says so."""
    struck: bool = False
    """The reader excluded it: a line through it."""


def mark_of(cell: Cell, palette: Palette, counted: bool = True, correction: Correction | None = None) -> CellMark:
    """How `cell` is drawn.

    Parameters
    ----------
    counted : False where the case leaves it out: an earlier field counted it, the reader excluded it, or it lies
        outside the tissue to count in
    correction : what the reader said of it, None where nothing
    """
    tumour = cell.kind is CellKind.TUMOUR
    left_out = tumour and (cell.edge or not counted)
    colour = palette.edge if left_out else palette.colour(cell.cell_class)
    enclosed = tumour and not left_out and cell.cell_class is not None and cell.cell_class.is_complete
    return CellMark(
        colour,
        marker(cell.cell_class),
        left_out,
        tumour,
        enclosed,
        corrected=correction is not None,
        struck=correction is Correction.EXCLUDED,
    )


def marks_of(
    cells: Sequence[Cell],
    palette: Palette,
    counted: Sequence[bool] | None = None,
    corrections: Sequence[Correction | None] | None = None,
) -> list[CellMark]:
    """How each cell of a field is drawn; without flags or corrections (None or empty) as the method read it."""
    flags = counted or [cell.within for cell in cells]
    words = corrections or [None] * len(cells)
    # A field of a thousand cells has a dozen marks: each is made once.
    made: dict[tuple[CellKind, CellClass | None, bool, Correction | None], CellMark] = {}
    marks = []
    for cell, flag, word in zip(cells, flags, words, strict=True):
        key = (cell.kind, cell.cell_class, cell.edge or not flag, word)
        mark = made.get(key)
        if mark is None:
            mark = made[key] = mark_of(cell, palette, flag, word)
        marks.append(mark)
    return marks


def marks_in_case(field: AcceptedField, palette: Palette) -> list[CellMark]:
    """How each cell of a field is drawn as its case has it."""
    return marks_of(field.result.cells, palette, field.counted, field.corrections)


@dataclass(frozen=True, slots=True)
class LegendEntry:
    """One line of a legend."""

    words: str
    marker: Marker
    colour: Rgb
    hollow: bool = False


def legend_entries(
    palette: Palette, shares_percent: Mapping[CellClass, float] | None, *, outside: bool = False
) -> tuple[LegendEntry, ...]:
    """Everything that may be marked in a field; the classes with their shares where there are any.

    Parameters
    ----------
    outside : part of the field is dimmed: tissue that the region model leaves out
    """
    shares = {name: f" {share:.1f} %" for name, share in (shares_percent or {}).items()}
    return (
        *(
            LegendEntry(LABELS[name] + shares.get(name, ""), MARKERS[name], palette.classes[name])
            for name in SHARE_ORDER
        ),
        LegendEntry(OTHER_LABEL, OTHER_MARKER, palette.other),
        LegendEntry(EDGE_LABEL, Marker.CIRCLE, palette.edge, hollow=True),
        *((LegendEntry(OUTSIDE_LABEL, Marker.SQUARE, OUTSIDE_COLOUR),) if outside else ()),
    )
