"""A plan of the slide: where the accepted fields and the outlined regions lie, an island of the map at a time."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from her2scope.domain.regions import Region, RegionKind
from her2scope.overlays.palette import REGION_COLOURS, Rgb
from her2scope.records import AcceptedField, CaseView, MapPlace

MARGIN_SHARE = 0.04
"""Free space round all that a panel shows, as a share of its longer side."""
BAR_SHARE = 0.3
"""Most of a panel's width that its scale bar takes."""
PLAN_TITLE = "Where the fields lie on the slide"
PLAN_KEY = (
    "Each box is an accepted field with its number; a bold box is a hot spot. Lines are what the reader outlined: "
    "solid invasive tumour, dashed excluded tissue, dotted normal ducts, each with the number of its region (R)."
)
REGION_LINES: Mapping[RegionKind, tuple[Rgb, tuple[float, ...]]] = {
    RegionKind.EXCLUDE: (REGION_COLOURS[RegionKind.EXCLUDE], (6, 3)),
    RegionKind.NORMAL_DUCT: (REGION_COLOURS[RegionKind.NORMAL_DUCT], (1.5, 2.5)),
    RegionKind.INVASIVE: ((26, 26, 26), ()),
}
"""Colour and dashes of an outline on paper, where the white of the screen would not show."""


@dataclass(frozen=True, slots=True)
class PlanField:
    """One field on the plan."""

    number: int
    x_um: float
    y_um: float
    width_um: float
    height_um: float
    hot: bool
    """It is a hot spot of the case."""


@dataclass(frozen=True, slots=True)
class PlanPanel:
    """One island; x to the right, y down, in um."""

    title: str
    left_um: float
    top_um: float
    width_um: float
    height_um: float
    bar_um: float
    fields: tuple[PlanField, ...]
    regions: tuple[Region, ...]

    def corners(self, region: Region) -> list[tuple[float, float]]:
        """Corners of a region from the panel's top left corner."""
        return [self.inside(x, y) for x, y in region.polygon_um]

    def inside(self, x_um: float, y_um: float) -> tuple[float, float]:
        """A place of the island from the panel's top left corner."""
        return x_um - self.left_um, y_um - self.top_um


@dataclass(frozen=True, slots=True)
class SlidePlan:
    """All islands that show how fields lie to each other, and the fields of which nobody knows."""

    panels: tuple[PlanPanel, ...]
    alone: tuple[int, ...]
    """Fields that lie on no island, or by themselves on one: where they lie to the others is not known."""

    @property
    def note(self) -> str:
        """What the panels do not show; empty where they show all."""
        if not self.alone:
            return ""
        noun = "field" if len(self.alone) == 1 else "fields"
        return f"Not known where on the slide: {noun} {', '.join(map(str, self.alone))}."

    def scale(self, width: float, height: float) -> float:
        """Units per um at which every panel fits `width` by `height`: one scale for all, so that fields compare."""
        return min(min(width / panel.width_um, height / panel.height_um) for panel in self.panels)


def slide_plan(view: CaseView, hot: Collection[int] = ()) -> SlidePlan:
    """Plan of the active fields and the regions.

    Parameters
    ----------
    hot : numbers of the fields that are hot spots
    """
    islands: dict[int, list[AcceptedField]] = {region.island: [] for region in view.regions}
    alone = [item.number for item in view.active_fields if item.place is None]
    for item in view.active_fields:
        if item.place is not None:
            islands.setdefault(item.place.island, []).append(item)
    regions = {number: tuple(item for item in view.regions if item.island == number) for number in islands}
    for number, items in list(islands.items()):
        if len(items) == 1 and not regions[number]:
            alone += [item.number for item in islands.pop(number)]
    panels = tuple(
        _panel(_title(place, len(islands)), islands[number], regions[number], hot)
        for place, number in enumerate(sorted(islands, key=lambda number: (number < 0, abs(number))), start=1)
    )
    return SlidePlan(panels, tuple(sorted(alone)) if panels else ())


def _title(place: int, n_islands: int) -> str:
    return f"Part {place} of {n_islands}: how the parts lie to each other is not known" if n_islands > 1 else ""


def _panel(title: str, items: Sequence[AcceptedField], regions: tuple[Region, ...], hot: Collection[int]) -> PlanPanel:
    fields = tuple(_field(item, item.place, item.number in hot) for item in items if item.place is not None)
    corners = [(item.x_um, item.y_um) for item in fields]
    corners += [(item.x_um + item.width_um, item.y_um + item.height_um) for item in fields]
    corners += [corner for region in regions for corner in region.polygon_um]
    (left, right), (top, bottom) = ((min(values), max(values)) for values in zip(*corners, strict=True))
    free = MARGIN_SHARE * max(right - left, bottom - top)
    width = right - left + 2 * free
    return PlanPanel(title, left - free, top - free, width, bottom - top + 2 * free, bar_um(width), fields, regions)


def _field(item: AcceptedField, place: MapPlace, hot: bool) -> PlanField:
    height_px, width_px = item.result.frame.size_hw
    scale = item.result.frame.um_per_px
    return PlanField(item.number, place.x_um, place.y_um, width_px * scale, height_px * scale, hot)


def bar_um(width_um: float) -> float:
    """Length of a scale bar: the longest 1, 2 or 5 times a power of ten that takes `BAR_SHARE` of the width at most."""
    most = BAR_SHARE * width_um
    power = 10.0 ** math.floor(math.log10(most))
    return max(step * power for step in (1, 2, 5) if step * power <= most * (1 + 1e-9))


def bar_text(length_um: float) -> str:
    """Length of the scale bar in words."""
    return f"{length_um / 1000:g} mm" if length_um >= 1000 else f"{length_um:g} \u00b5m"
