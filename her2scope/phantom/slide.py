"""A virtual slide: three controls and a case's tissue on one glass, drawn tile by tile as they come into view."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

import numpy as np

from her2scope.domain.errors import NotAvailableError
from her2scope.phantom.antigen import PATTERNS, Antigen, express
from her2scope.phantom.field import MARGIN_UM, VIEWS_TRIED, focused_light, truth_of, view_fault
from her2scope.phantom.noise import Grid, mixed_seed
from her2scope.phantom.optics import developed
from her2scope.phantom.run import Run
from her2scope.phantom.tissue import Bounds, Patch, Section, Tissue
from her2scope.records import RgbImage

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
CONTROLS: Mapping[str, str] = {"control 3+": "3+", "control 1+": "1+", "control 0": "0"}
"""Places with tissue of known score, and its pattern."""
CONTROL_UM, CASE_UM, GAP_UM = (640.0, 440.0), (2400.0, 1800.0), 260.0
FIELD_UM = (320.0, 180.0)
"""A field of 1280 x 720 px at 40x."""
CONTROL_NEST_LEVEL = -0.30
"""A control block is chosen for its tumour: more of it than in a case."""
TILE_PX = 256
BLOCK_UM = 256.0
"""Side of the square of tissue that is grown at once: it serves several tiles."""
BLOCKS_KEPT = 48
TILES_KEPT = 600
"""About 120 MB."""
OVERVIEW_UM_PER_PX = 0.40
"""Scales coarser than this only serve to find one's way, so they are drawn at half a um per px: four times as fast."""


class PhantomSlide:
    """The slide of one run and case. Not for use by several threads at once."""

    def __init__(self, run: Run, score: str) -> None:
        if score not in PATTERNS:
            raise NotAvailableError("phantom score", score, list(PATTERNS))
        self.run = run
        sections = _sections(score)
        boxes = [section.bounds_um for section in sections if section.bounds_um]
        right_um, bottom_um = (max(box[side] for box in boxes) + GAP_UM for side in (2, 3))
        self.bounds_um: Bounds = (0.0, 0.0, right_um, bottom_um)
        self._tissue = Tissue(mixed_seed("slide", run.seed, score), sections)
        self.places = {section.name: _good_place(self._tissue, section) for section in sections}
        """Middle (um) of a view worth a picture, of each piece of tissue by its name."""
        self._tiles: OrderedDict[tuple[float, int, int], RgbImage] = OrderedDict()
        self._blocks: OrderedDict[tuple[int, int], tuple[Patch, Antigen]] = OrderedDict()

    def view(self, left_px: int, top_px: int, size_wh: tuple[int, int], um_per_px: float) -> RgbImage:
        """Evenly lit picture without noise, `(H, W, 3)` uint8; pixel 0 lies at the slide's corner."""
        width, height = size_wh
        picture = np.empty((height, width, 3), np.uint8)
        for row in range(top_px // TILE_PX, (top_px + height - 1) // TILE_PX + 1):
            for column in range(left_px // TILE_PX, (left_px + width - 1) // TILE_PX + 1):
                x, y = column * TILE_PX - left_px, row * TILE_PX - top_px
                to_x, to_y = slice(max(x, 0), min(x + TILE_PX, width)), slice(max(y, 0), min(y + TILE_PX, height))
                tile = self._tile(um_per_px, column, row)
                picture[to_y, to_x] = tile[to_y.start - y : to_y.stop - y, to_x.start - x : to_x.stop - x]
        return picture

    def truth(self, left_px: int, top_px: int, size_wh: tuple[int, int], um_per_px: float) -> dict[str, Any]:
        """Truth of a view, as in a truth file."""
        grid = Grid(left_px * um_per_px, top_px * um_per_px, um_per_px, *size_wh)
        return truth_of(*self._grown(grid.bounds_um), self.run, grid)

    def _tile(self, um_per_px: float, column: int, row: int) -> RgbImage:
        side_um = TILE_PX * um_per_px
        grid = Grid(column * side_um, row * side_um, um_per_px, TILE_PX, TILE_PX)
        return _kept(self._tiles, (um_per_px, column, row), TILES_KEPT, lambda: self._drawn(grid))

    def _drawn(self, grid: Grid) -> RgbImage:
        column, row = int(grid.left_um // BLOCK_UM), int(grid.top_um // BLOCK_UM)
        left, top = column * BLOCK_UM - MARGIN_UM, row * BLOCK_UM - MARGIN_UM
        bounds_um = (left, top, left + BLOCK_UM + 2 * MARGIN_UM, top + BLOCK_UM + 2 * MARGIN_UM)
        patch, antigen = _kept(self._blocks, (column, row), BLOCKS_KEPT, lambda: self._grown(bounds_um))
        drawn_um_per_px = 0.5 if grid.um_per_px > OVERVIEW_UM_PER_PX else 0.25
        light = focused_light(patch, antigen, self.run, grid, drawn_um_per_px)
        lamp = self.run.optics.exposure * np.array(self.run.optics.lamp_rgb)
        return developed(light * lamp.astype(np.float32), self.run.optics)

    def _grown(self, bounds_um: Bounds) -> tuple[Patch, Antigen]:
        patch = self._tissue.patch(bounds_um)
        return patch, express(patch, self._tissue.sections)


def _kept(store: OrderedDict[K, V], key: K, most: int, make: Callable[[], V]) -> V:
    """Value of `key`, made where it is missing; the one not asked for longest makes room."""
    if key not in store:
        store[key] = make()
        if len(store) > most:
            store.popitem(last=False)
    store.move_to_end(key)
    return store[key]


def _sections(score: str) -> tuple[Section, ...]:
    """Controls in a row along the top, the case below them."""
    width, height = CONTROL_UM
    controls = [
        Section(name, pattern, _box(GAP_UM + k * (width + GAP_UM), GAP_UM, width, height), CONTROL_NEST_LEVEL)
        for k, (name, pattern) in enumerate(CONTROLS.items())
    ]
    return (*controls, Section("tissue", score, _box(GAP_UM, 2 * GAP_UM + height, *CASE_UM)))


def _box(left: float, top: float, width: float, height: float) -> Bounds:
    return left, top, left + width, top + height


def _good_place(tissue: Tissue, section: Section) -> tuple[float, float]:
    """Middle of a field that a reader would choose, as near to the section's own middle as there is one."""
    left, top, right, bottom = section.bounds_um or (0.0, 0.0, 0.0, 0.0)
    width_um, height_um = FIELD_UM
    corners = [
        (x, y)
        for x in np.arange(left + 40.0, right - width_um - 39.0, 60.0).tolist()
        for y in np.arange(top + 40.0, bottom - height_um - 39.0, 60.0).tolist()
    ]
    middle = ((left + right - width_um) / 2.0, (top + bottom - height_um) / 2.0)
    nearest = sorted(corners, key=lambda corner: math.dist(corner, middle))[:VIEWS_TRIED]
    faults = [view_fault(tissue, Grid(*corner, 1.0, int(width_um), int(height_um))) for corner in nearest]
    x_um, y_um = nearest[int(np.argmin(faults))]
    return x_um + width_um / 2.0, y_um + height_um / 2.0
