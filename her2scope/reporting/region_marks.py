"""Outlined regions drawn over the picture of a field."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from her2scope.domain.regions import Region
from her2scope.imaging.opencv import cv2
from her2scope.overlays.palette import REGION_COLOURS, halo
from her2scope.records import AcceptedField, RgbImage
from her2scope.reporting.cell_standing import polygon_px

LINE_SHARE = 1 / 400
"""Width of an outline as a share of the picture's: as fine on a large picture as on a small one."""
SHIFT = 4
"""OpenCV takes coordinates in 1/16 px."""


def regions_on(item: AcceptedField, regions: Sequence[Region]) -> tuple[Region, ...]:
    """Regions of the island that a field lies on."""
    return tuple(region for region in regions if item.place is not None and region.island == item.place.island)


def draw_regions(rgb: RgbImage, item: AcceptedField, regions: Sequence[Region]) -> RgbImage:
    """A copy of a field's picture, which may be reduced, with the outlines of the regions on it."""
    canvas = np.array(rgb, dtype=np.uint8, order="C")
    if item.place is None:
        return canvas
    factor = rgb.shape[1] / item.result.frame.size_hw[1]
    line_px = max(2, round(LINE_SHARE * rgb.shape[1]))
    for region in regions_on(item, regions):
        corners = (polygon_px(region.polygon_um, item.result, item.place) + 0.5) * factor - 0.5
        fixed = [np.round(corners * (1 << SHIFT)).astype(np.int32)]
        colour = REGION_COLOURS[region.kind]
        cv2.polylines(canvas, fixed, True, halo(colour), line_px + 2, cv2.LINE_AA, SHIFT)
        cv2.polylines(canvas, fixed, True, colour, line_px, cv2.LINE_AA, SHIFT)
    return canvas
