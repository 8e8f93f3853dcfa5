"""Which cells of a picture that is not accepted yet its case would leave out, as the reader's outlines stand. No Qt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.regions import Floats, Region, RegionKind
from her2scope.overlays.picking import centres_of
from her2scope.records import AcceptedField, CaseView, Cell, MapPlace

Flags = NDArray[np.bool_]


def left_out(cells: Sequence[Cell], um_per_px: float, place: MapPlace, view: CaseView, *, swept: bool) -> Flags:
    """`(N,)` which cells lie where the case's outlines, or its region model, let nothing count.

    As `pipeline.counting` has it once the picture is accepted.

    Parameters
    ----------
    place : of the picture's top left corner
    swept : the picture would be accepted by sweeping, which counts within outlined invasive tumour only
    """
    regions = [region for region in view.regions if region.island == place.island]
    by_model = np.array([not cell.within for cell in cells], dtype=bool)
    if not cells or not (regions or swept):
        return by_model
    xy_um = (centres_of(cells) + 0.5) * um_per_px + (place.x_um, place.y_um)
    invasive = [region for region in regions if region.kind is RegionKind.INVASIVE]
    by_model &= ~_in_any(xy_um, [region for region in invasive if region.field is not None])  # the reader's word
    outside = by_model | _in_any(xy_um, [region for region in regions if region.kind is not RegionKind.INVASIVE])
    for field in view.fields:
        drawn = [region for region in invasive if region.field == field.number]
        if drawn and field.place is not None:
            outside |= _within_frame(xy_um, field, field.place) & ~_in_any(xy_um, drawn)
    if swept:
        outside |= ~_in_any(xy_um, invasive)
    return outside


def _in_any(xy_um: Floats, regions: Sequence[Region]) -> Flags:
    within = np.zeros(len(xy_um), dtype=bool)
    for region in regions:
        within |= region.holds(xy_um)
    return within


def _within_frame(xy_um: Floats, field: AcceptedField, place: MapPlace) -> Flags:
    height, width = field.result.frame.size_hw
    width_um, height_um = width * field.result.frame.um_per_px, height * field.result.frame.um_per_px
    x_um, y_um = xy_um[:, 0] - place.x_um, xy_um[:, 1] - place.y_um
    return (x_um >= 0) & (x_um < width_um) & (y_um >= 0) & (y_um < height_um)
