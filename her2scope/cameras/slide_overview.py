"""A small picture of a whole slide: where its tissue lies, and what shows while the slide moves too fast to be read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from her2scope.imaging.opencv import cv2
from her2scope.ports import SlideReader
from her2scope.records import Mask, RgbImage

SIDE_PX = 1024
"""Longest side of the overview."""
MOST_PIXELS = 40_000_000
"""A slide whose coarsest level is larger gets no overview: to read it would take longer than anybody waits."""
LEAST_SATURATION = 15
"""Of 255. Glass is grey to within a few levels; the palest tissue is not. Otsu's cut above it parts the two."""
LEAST_SHARE = 0.02
"""Pieces smaller than this share of the largest are dust, folds and marks of a pen."""
MOST_PLACES = 9


@dataclass(frozen=True, slots=True, eq=False)
class Overview:
    """A slide at a glance."""

    rgb: RgbImage
    reduction: float
    """Pixels of the full resolution to one of the overview."""

    def places(self) -> dict[str, tuple[float, float]]:
        """Middle of each piece of tissue, the largest first, in pixels of the full resolution."""
        tissue = _tissue(self.rgb)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(tissue)
        areas = stats[1:, cv2.CC_STAT_AREA]
        if not len(areas):
            return {}
        largest_first = [int(at) for at in np.argsort(-areas, kind="stable") if areas[at] >= LEAST_SHARE * areas.max()]
        inmost = [_inmost_px((labels == at + 1).astype(np.uint8)) for at in largest_first[:MOST_PLACES]]
        names = ["tissue", *(f"tissue {k}" for k in range(2, len(inmost) + 1))]
        return {
            name: ((x + 0.5) * self.reduction, (y + 0.5) * self.reduction)
            for name, (x, y) in zip(names, inmost, strict=True)
        }

    def view(self, left_px: float, top_px: float, size_wh: tuple[int, int], reduction: float) -> RgbImage:
        """A view of the slide, blurred as the overview is; its corner in pixels of the view's own reduction."""
        scale = reduction / self.reduction
        # warpAffine maps centres of pixels, which lie half a pixel inside their corners.
        shift_x, shift_y = (scale * (corner + 0.5) - 0.5 for corner in (left_px, top_px))
        to_overview = np.array([[scale, 0.0, shift_x], [0.0, scale, shift_y]])
        return cv2.warpAffine(
            self.rgb,
            to_overview,
            size_wh,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(255, 255, 255),
        )


def overview_of(slide: SlideReader) -> Overview | None:
    """Overview from the coarsest level; None where that is too large to be read at once."""
    level = slide.levels[-1]
    if level.width_px * level.height_px > MOST_PIXELS:
        return None
    rgb = slide.region(len(slide.levels) - 1, 0, 0, level.width_px, level.height_px)
    shrink = max(1.0, max(level.width_px, level.height_px) / SIDE_PX)
    size_wh = max(1, round(level.width_px / shrink)), max(1, round(level.height_px / shrink))
    return Overview(
        cv2.resize(rgb, size_wh, interpolation=cv2.INTER_AREA), level.downsample * level.width_px / size_wh[0]
    )


def _tissue(rgb: RgbImage) -> Mask:
    """Mask of what is coloured."""
    saturation = cv2.medianBlur(cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV)[..., 1], 5)
    cut, _ = cv2.threshold(saturation, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    # Otsu parts any picture in two: where all is glass, or all is tissue, its cut says nothing.
    return (saturation > min(max(cut, LEAST_SATURATION), 2 * LEAST_SATURATION)).astype(np.uint8)


def _inmost_px(piece: Mask) -> tuple[int, int]:
    """Point of a piece that lies farthest from its edge."""
    framed = cv2.copyMakeBorder(piece, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    _, _, _, (x, y) = cv2.minMaxLoc(cv2.distanceTransform(framed, cv2.DIST_L2, 3))
    return x - 1, y - 1
