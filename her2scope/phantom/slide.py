"""A virtual slide: four controls and a case's tissue on one glass, drawn tile by tile as they come into view."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from her2scope.domain.errors import BadInputError, NotAvailableError
from her2scope.imaging.opencv import cv2
from her2scope.phantom.antigen import PATTERNS, Antigen, express
from her2scope.phantom.cells import Patch
from her2scope.phantom.field import DRAWN_UM_PER_PX, VIEWS_TRIED, focused_light, view_fault
from her2scope.phantom.growth import Bounds, Matter, Section
from her2scope.phantom.habit import draw_habit
from her2scope.phantom.layers import MARGIN_UM
from her2scope.phantom.noise import Floats, Grid, Ints, mixed_seed
from her2scope.phantom.optics import developed
from her2scope.phantom.run import Run
from her2scope.phantom.tissue import Tissue
from her2scope.phantom.truth import truth_of
from her2scope.records import RgbImage

Tile = tuple[float, int, int]
"""Scale (um per px), column and row: the name of one tile on a slide."""
CONTROLS: Mapping[str, str] = {"control 3+": "3+", "control 2+": "2+", "control 1+": "1+", "control 0": "0"}
"""Places with tissue of known score, and its pattern."""
CONTROL_UM, CASE_UM, GAP_UM = (640.0, 440.0), (2400.0, 1800.0), 260.0
LEAST_CASE_UM = 440.0
"""Shortest side of a case: a field and the bare rim around it."""
FIELD_UM = (320.0, 180.0)
"""A field of 1280 x 720 px at 40x."""
CONTROL_NEST_LEVEL = -0.30
"""A control block is chosen for its tumour: more of it than in a case."""
TILE_PX = 128
"""Small: what is drawn for a view goes little beyond it."""
AT_ONCE = 80
"""Tiles drawn in one go at most: a view of 1280 x 720 px wherever it lies, in half a second."""
CAMERA_MARGIN_PX = 16
"""Drawn around a tile and cut off again, so that what the camera does to neighbouring pixels leaves no seam. A multiple
of 16, as `TILE_PX` is: blocks of a compressed picture then meet at the tiles' borders."""
CACHE_BYTES = 200_000_000
"""Of drawn tiles. 3 x 3 views of 1920 x 1080 px take 70 MB; one such view of each place 55 MB."""
TILES_KEPT = CACHE_BYTES // (3 * TILE_PX**2)
OVERVIEW_UM_PER_PX = 0.40
"""Scales coarser than this only serve to find one's way, so they are drawn at half a um per px: four times as fast."""
PLACE_STEP_UM, PLACE_RIM_UM = 60.0, 40.0
"""Where a place's view is looked for: every so far, this far from the edge of its tissue."""
PASSING_STEP_PX = 32
PASSING_LIGHT: Mapping[Matter, tuple[float, float, float]] = {
    Matter.GLASS: (1.0, 1.0, 1.0),
    Matter.STROMA: (0.88, 0.87, 0.92),
    Matter.TUMOUR: (0.76, 0.72, 0.74),
}
"""Light that passes where a picture is only hinted at; what is not named here passes for tumour."""


@dataclass(frozen=True, slots=True)
class View:
    """What a camera sees of a slide, in px of its scale; pixel 0 lies at the slide's corner."""

    left_px: int
    top_px: int
    width: int
    height: int
    um_per_px: float

    @property
    def grid(self) -> Grid:
        """The same in um."""
        left_um, top_um = self.left_px * self.um_per_px, self.top_px * self.um_per_px
        return Grid(left_um, top_um, self.um_per_px, self.width, self.height)

    def widened(self, share: float) -> View:
        """The view with this share of its width and height more on every side."""
        dx, dy = round(share * self.width), round(share * self.height)
        sides = self.left_px - dx, self.top_px - dy, self.width + 2 * dx, self.height + 2 * dy
        return View(*sides, self.um_per_px)

    def in_whole_tiles(self) -> View:
        """The smallest view of whole tiles that holds this one."""
        left_px, top_px = self.left_px // TILE_PX * TILE_PX, self.top_px // TILE_PX * TILE_PX
        right_px, bottom_px = self.left_px + self.width, self.top_px + self.height
        width, height = (-(-side // TILE_PX) * TILE_PX for side in (right_px - left_px, bottom_px - top_px))
        return View(left_px, top_px, width, height, self.um_per_px)

    def tiles(self, towards_px: tuple[float, float] = (0.0, 0.0)) -> list[Tile]:
        """Tiles that the view needs, the nearest to its middle (moved by `towards_px`) first."""
        x = (self.left_px + self.width / 2 + towards_px[0]) / TILE_PX - 0.5
        y = (self.top_px + self.height / 2 + towards_px[1]) / TILE_PX - 0.5
        columns = range(self.left_px // TILE_PX, (self.left_px + self.width - 1) // TILE_PX + 1)
        rows = range(self.top_px // TILE_PX, (self.top_px + self.height - 1) // TILE_PX + 1)
        places = sorted((math.hypot(column - x, row - y), column, row) for column in columns for row in rows)
        return [(self.um_per_px, column, row) for _, column, row in places]


class PhantomSlide:
    """The slide of one run and case, for any number of threads.

    A tile depends on run, score, scale and place only: whoever draws it, whenever, draws the same bytes.

    Parameters
    ----------
    run : staining run and microscope
    score : of the case's tissue, a key of `antigen.PATTERNS`
    case_um : width and height of the case's tissue; a slide of any size costs the same, as only what is seen is drawn
    """

    def __init__(self, run: Run, score: str, case_um: tuple[float, float] = CASE_UM) -> None:
        if score not in PATTERNS:
            raise NotAvailableError("phantom score", score, list(PATTERNS))
        if not all(LEAST_CASE_UM <= side < math.inf for side in case_um):
            raise BadInputError(
                f"no case is {case_um[0]:g} x {case_um[1]:g} um: each side is {LEAST_CASE_UM:g} or more."
            )
        self.run = run
        sections = _sections(score, case_um)
        self.sections = sections
        boxes = [section.bounds_um for section in sections if section.bounds_um]
        right_um, bottom_um = (max(box[side] for box in boxes) + GAP_UM for side in (2, 3))
        self.bounds_um: Bounds = (0.0, 0.0, right_um, bottom_um)
        seed = mixed_seed("slide", run.seed, score)
        self._tissue = Tissue(seed, sections, draw_habit(seed, run.difficulty))
        self.places: Mapping[str, tuple[float, float]] = _Places(self._tissue, sections)
        """Middle (um) of a view worth a picture, of each piece of tissue by its name."""
        self._tiles = _Tiles(TILES_KEPT)

    def view(self, left_px: int, top_px: int, size_wh: tuple[int, int], um_per_px: float) -> RgbImage:
        """Evenly lit picture without noise, `(H, W, 3)` uint8; pixel 0 lies at the slide's corner."""
        return self.picture(View(left_px, top_px, *size_wh, um_per_px))

    def picture(self, view: View) -> RgbImage:
        """The same of a `View`."""
        picture = np.empty((view.height, view.width, 3), np.uint8)
        tiles = view.tiles()
        while tiles:
            missing = []
            for tile in tiles:
                drawn = self._tiles.find(tile)
                if drawn is None:
                    missing.append(tile)
                else:
                    _lay(picture, view, tile, drawn)
            if missing:
                self.draw_some(missing)
            tiles = missing
        return picture

    def passing_picture(self, view: View) -> RgbImage:
        """The picture as far as it is drawn; elsewhere a hint of the tissue, for the eye while the stage moves."""
        picture = self._hint(view)
        for tile in view.tiles():
            drawn = self._tiles.find(tile)
            if drawn is not None:
                _lay(picture, view, tile, drawn)
        return picture

    def missing(self, tiles: Iterable[Tile]) -> list[Tile]:
        """Those not drawn yet, in the same order; the others are kept a while longer."""
        return [tile for tile in tiles if self._tiles.find(tile) is None]

    def draw_some(self, tiles: Sequence[Tile]) -> None:
        """Draw the first tile that no other thread is at, and a rectangle of those around it; without one, wait.

        Tiles drawn at once share their margins and the tissue that is grown for them: a view takes a quarter of the
        time that its tiles take one by one.
        """
        self._tiles.make_free(tiles, rectangle_of, self._drawn_together)

    def matter_at(self, x_um: Floats, y_um: Floats) -> tuple[Ints, Ints]:
        """What lies at each place (codes of `Matter`), and in which of `sections`, before any cell is drawn."""
        return self._tissue.matter_at(x_um, y_um)

    def truth(
        self,
        left_px: int,
        top_px: int,
        size_wh: tuple[int, int],
        um_per_px: float,
        drawn_um_per_px: float = DRAWN_UM_PER_PX,
    ) -> dict[str, Any]:
        """Truth of a view, as in a truth file; which nuclei are seen is asked of a picture drawn so finely."""
        grid = View(left_px, top_px, *size_wh, um_per_px).grid
        patch, antigen = self._grown(grid)
        light = focused_light(patch, antigen, self.run, grid, drawn_um_per_px)
        return truth_of(patch, antigen, self.run, grid, (light,))

    def _drawn_together(self, tiles: Sequence[Tile]) -> list[RgbImage]:
        """Tiles of a rectangle; in memory of their own, as each is kept for itself."""
        um_per_px, columns, rows = tiles[0][0], [tile[1] for tile in tiles], [tile[2] for tile in tiles]
        left, top = min(columns), min(rows)
        size_wh = (max(columns) + 1 - left) * TILE_PX, (max(rows) + 1 - top) * TILE_PX
        picture = self._drawn(View(left * TILE_PX, top * TILE_PX, *size_wh, um_per_px).grid)
        corners = [((column - left) * TILE_PX, (row - top) * TILE_PX) for _, column, row in tiles]
        return [picture[y : y + TILE_PX, x : x + TILE_PX].copy() for x, y in corners]

    def _drawn(self, grid: Grid) -> RgbImage:
        seen = grid.widened(CAMERA_MARGIN_PX)
        patch, antigen = self._grown(seen)
        drawn_um_per_px = 0.5 if grid.um_per_px > OVERVIEW_UM_PER_PX else 0.25
        light = focused_light(patch, antigen, self.run, seen, drawn_um_per_px)
        optics = self.run.optics
        lamp = (optics.exposure * np.array(optics.lamp_rgb)).astype(np.float32)
        inner = slice(CAMERA_MARGIN_PX, -CAMERA_MARGIN_PX)
        return developed((light * (1.0 - optics.flare) + optics.flare) * lamp, optics)[inner, inner]

    def _grown(self, grid: Grid) -> tuple[Patch, Antigen]:
        """Tissue of a region and of the margin that its drawing needs."""
        patch = self._tissue.patch(grid.widened(math.ceil(MARGIN_UM / grid.um_per_px)).bounds_um)
        return patch, express(patch, self._tissue.sections)

    def _hint(self, view: View) -> RgbImage:
        step_um = PASSING_STEP_PX * view.um_per_px
        left, top, right, bottom = view.grid.bounds_um
        x_um, y_um = np.meshgrid(np.arange(left, right, step_um), np.arange(top, bottom, step_um))
        matter, _ = self._tissue.matter_at(x_um, y_um)
        light = (
            np.array([PASSING_LIGHT.get(kind, PASSING_LIGHT[Matter.TUMOUR]) for kind in Matter])
            * self.run.optics.white_rgb()
        )
        hint: RgbImage = cv2.resize(light.astype(np.uint8)[matter], (view.width, view.height))
        return hint


class _Tiles:
    """Drawn tiles, each drawn by whichever thread needs it first; the one not asked for longest makes room."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._drawn: OrderedDict[Tile, RgbImage] = OrderedDict()
        self._in_work: set[Tile] = set()
        self._changed = threading.Condition()

    def find(self, tile: Tile) -> RgbImage | None:
        """A drawn tile; None where it is not drawn yet."""
        with self._changed:
            if tile in self._drawn:
                self._drawn.move_to_end(tile)
            return self._drawn.get(tile)

    def make_free(
        self,
        tiles: Sequence[Tile],
        choose: Callable[[Sequence[Tile]], Sequence[Tile]],
        draw: Callable[[Sequence[Tile]], Sequence[RgbImage]],
    ) -> None:
        """Draw what is chosen of the missing ones that no thread is at; where there is none, wait for the first."""
        with self._changed:
            free = [tile for tile in tiles if tile not in self._in_work and tile not in self._drawn]
            if not free:
                self._changed.wait_for(lambda: tiles[0] not in self._in_work)
                return
            chosen = choose(free)
            self._in_work.update(chosen)
        try:
            drawn = draw(chosen)
            with self._changed:
                self._drawn.update(zip(chosen, drawn, strict=True))
                while len(self._drawn) > self._most:
                    self._drawn.popitem(last=False)
        finally:
            with self._changed:
                self._in_work.difference_update(chosen)
                self._changed.notify_all()


def rectangle_of(tiles: Sequence[Tile]) -> list[Tile]:
    """The first of some tiles with as many around it as make a rectangle of its scale, `AT_ONCE` at most."""
    (um_per_px, left, top), those = tiles[0], set(tiles)
    right, bottom = left + 1, top + 1
    grows = True
    while grows:
        grows = False
        for dl, dt, dr, db in ((1, 0, 0, 0), (0, 0, 1, 0), (0, 1, 0, 0), (0, 0, 0, 1)):
            columns, rows = range(left - dl, right + dr), range(top - dt, bottom + db)
            wider = {(um_per_px, column, row) for column in columns for row in rows}
            if wider <= those and len(wider) <= AT_ONCE:
                left, top, right, bottom = columns.start, rows.start, columns.stop, rows.stop
                grows = True
    return [(um_per_px, column, row) for column in range(left, right) for row in range(top, bottom)]


def _lay(picture: RgbImage, view: View, tile: Tile, drawn: RgbImage) -> None:
    """Copy what a view sees of a tile into its picture."""
    x, y = tile[1] * TILE_PX - view.left_px, tile[2] * TILE_PX - view.top_px
    to_x, to_y = slice(max(x, 0), min(x + TILE_PX, view.width)), slice(max(y, 0), min(y + TILE_PX, view.height))
    picture[to_y, to_x] = drawn[to_y.start - y : to_y.stop - y, to_x.start - x : to_x.stop - x]


def _sections(score: str, case_um: tuple[float, float]) -> tuple[Section, ...]:
    """Controls in a row along the top, the case below them."""
    width, height = CONTROL_UM
    controls = [
        Section(name, pattern, _box(GAP_UM + k * (width + GAP_UM), GAP_UM, width, height), CONTROL_NEST_LEVEL, True)
        for k, (name, pattern) in enumerate(CONTROLS.items())
    ]
    return (*controls, Section("tissue", score, _box(GAP_UM, 2 * GAP_UM + height, *case_um)))


def _box(left: float, top: float, width: float, height: float) -> Bounds:
    return left, top, left + width, top + height


class _Places(Mapping[str, tuple[float, float]]):
    """Middle of a view worth a picture, of each piece of tissue by its name; looked for when it is first asked for."""

    def __init__(self, tissue: Tissue, sections: Sequence[Section]) -> None:
        self._tissue, self._sections = tissue, {section.name: section for section in sections}
        self._found: dict[str, tuple[float, float]] = {}

    def __getitem__(self, name: str) -> tuple[float, float]:
        if name not in self._found:  # two threads that ask at once find the same
            self._found[name] = _good_place(self._tissue, self._sections[name])
        return self._found[name]

    def __contains__(self, name: object) -> bool:
        return name in self._sections

    def __iter__(self) -> Iterator[str]:
        return iter(self._sections)

    def __len__(self) -> int:
        return len(self._sections)


def _good_place(tissue: Tissue, section: Section) -> tuple[float, float]:
    """Middle of a field that a reader would choose, as near to the section's own middle as there is one."""
    left, top, right, bottom = section.bounds_um or (0.0, 0.0, 0.0, 0.0)
    width_um, height_um = FIELD_UM
    middle = ((left + right - width_um) / 2.0, (top + bottom - height_um) / 2.0)
    columns = _steps_near(middle[0], left + PLACE_RIM_UM, right - width_um - PLACE_RIM_UM)
    rows = _steps_near(middle[1], top + PLACE_RIM_UM, bottom - height_um - PLACE_RIM_UM)
    corners = [(x, y) for x in columns for y in rows]
    nearest = sorted(corners, key=lambda corner: math.dist(corner, middle))[:VIEWS_TRIED]
    faults: list[float] = []
    for corner in nearest:
        faults.append(view_fault(tissue, Grid(*corner, 1.0, int(width_um), int(height_um))))
        if faults[-1] == 0.0:  # none is better, and none of these is nearer
            break
    x_um, y_um = nearest[int(np.argmin(faults))]
    return x_um + width_um / 2.0, y_um + height_um / 2.0


def _steps_near(middle_um: float, first_um: float, last_um: float) -> list[float]:
    """Places from `first_um` to `last_um`, no more around the middle than are ever tried."""
    near = int(max(0.0, (middle_um - first_um) // PLACE_STEP_UM - VIEWS_TRIED))
    steps = range(near, near + 2 * VIEWS_TRIED + 2)
    return [first_um + step * PLACE_STEP_UM for step in steps if first_um + step * PLACE_STEP_UM < last_um + 1.0]
