"""Sweeping: what of the picture is new tissue of the outlined invasive tumour, so that it is counted by itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from her2scope.domain.errors import CaseRuleError
from her2scope.domain.regions import Floats, Region, RegionKind
from her2scope.records import CaseView, MapPlace

STEP_UM = 6.0
"""Between the places at which a picture is asked whether it is new: half a cell."""
MIN_NEW_SHARE = 0.25
"""Of a picture, that must be new to be worth a field: cells cut by one field's edge then lie whole in the next."""
NO_OUTLINE = (
    "sweeping counts within outlined invasive tumour only, and none is outlined. Outline it on the picture first (D): "
    "the program cannot tell invasive tumour from carcinoma in situ."
)
Size = tuple[float, float]
"""Width and height in um."""


def swept_regions(regions: Sequence[Region]) -> tuple[Region, ...]:
    """Outlines of invasive tumour within which sweeping counts: those on the map, not those on a field."""
    return tuple(item for item in regions if item.kind is RegionKind.INVASIVE and item.field is None)


def check_can_sweep(view: CaseView) -> None:
    """Raise CaseRuleError where nothing is outlined."""
    if not swept_regions(view.regions):
        raise CaseRuleError(NO_OUTLINE)


def new_share(place: MapPlace, size_um: Size, view: CaseView) -> float:
    """Share (0..1) of a picture that lies within outlined invasive tumour and in no field of the case.

    What a removed field shows is not new: sweeping must not put back at once what the reader took out.
    """
    regions = [item for item in swept_regions(view.regions) if item.island == place.island]
    if not regions:
        return 0.0
    xy_um = _grid(place, size_um)
    new = np.zeros(len(xy_um), dtype=bool)
    for region in regions:
        new |= region.holds(xy_um)
    for item in view.fields:
        if item.place is not None and item.place.island == place.island:
            height, width = item.result.frame.size_hw
            scale = item.result.frame.um_per_px
            from_corner = xy_um - (item.place.x_um, item.place.y_um)
            new &= ~((from_corner >= 0) & (from_corner < (width * scale, height * scale))).all(axis=1)
    return float(new.mean())


def _grid(place: MapPlace, size_um: Size) -> Floats:
    x_um, y_um = (
        corner + np.arange(STEP_UM / 2, side, STEP_UM)
        for corner, side in zip((place.x_um, place.y_um), size_um, strict=True)
    )
    return np.stack([axis.ravel() for axis in np.meshgrid(x_um, y_um)], axis=1)
