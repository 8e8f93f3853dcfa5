"""The cells of a field as the case has them: counted or why not, corrected or not, and as the method read them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.cells import CellClass, CellKind
from her2scope.domain.corrections import CellStanding, Correction
from her2scope.overlays.palette import LABELS
from her2scope.records import AcceptedField, Cell, FieldResult, MapPlace

_CORRECTIONS = {Correction.NOT_TUMOUR: "not a tumour cell", Correction.EXCLUDED: "excluded"}


def standings(item: AcceptedField) -> tuple[CellStanding, ...]:
    """Why each cell is counted or not; without the reader's hand its edge and its flag tell."""
    if item.standings:
        return item.standings
    uncounted = map(_why_uncounted, item.result.cells)
    return tuple(CellStanding.COUNTED if flag else why for flag, why in zip(item.counted, uncounted, strict=True))


def _why_uncounted(cell: Cell) -> CellStanding:
    if cell.edge:
        return CellStanding.EDGE
    return CellStanding.SEEN_BEFORE if cell.within else CellStanding.OUTSIDE


def corrections(item: AcceptedField) -> tuple[Correction | None, ...]:
    """The reader's word on each cell, None where there is none."""
    return item.corrections or (None,) * len(item.result.cells)


def as_read(item: AcceptedField) -> FieldResult:
    """The field as the method read it, before any correction and by the cuts of the control or the settings."""
    return item.read or item.result


def n_tumour(item: AcceptedField, standing: CellStanding) -> int:
    """Tumour cells of a field with that standing."""
    cells = zip(item.result.cells, standings(item), strict=True)
    return sum(found is standing and cell.kind is CellKind.TUMOUR for cell, found in cells)


def corrected_cells(item: AcceptedField) -> tuple[tuple[int, CellClass | None, Correction], ...]:
    """Number (from 1), class as read and correction of each corrected cell that no earlier field shows."""
    rows = zip(as_read(item).cells, corrections(item), standings(item), strict=True)
    return tuple(
        (number, cell.cell_class, word)
        for number, (cell, word, standing) in enumerate(rows, start=1)
        if word is not None and standing is not CellStanding.SEEN_BEFORE
    )


def correction_label(word: Correction | str | None) -> str:
    """A correction as the reader would say it; None takes one back."""
    if word is None:
        return "as read"
    word = Correction(word)
    return _CORRECTIONS[word] if word.cell_class is None else LABELS[word.cell_class]


def places_um(result: FieldResult, place: MapPlace) -> NDArray[np.float64]:
    """`(N, 2)` places (x, y) of a field's cells on its island."""
    xy_px = np.array([(cell.x_px, cell.y_px) for cell in result.cells], dtype=np.float64).reshape(-1, 2)
    # whole numbers are the middles of pixels, a place is a corner: hence the half
    return (xy_px + 0.5) * result.frame.um_per_px + (place.x_um, place.y_um)


def polygon_px(polygon_um: Sequence[Sequence[float]], result: FieldResult, place: MapPlace) -> NDArray[np.float64]:
    """`(N, 2)` corners of a region in a field's pixels."""
    xy_um = np.array(polygon_um, dtype=np.float64)
    return (xy_um - (place.x_um, place.y_um)) / result.frame.um_per_px - 0.5
