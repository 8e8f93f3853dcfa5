"""Phantom slides behind `ports.SlideReader`: a file of a few lines, of which each region is drawn when it is read.

Full resolution and a quarter of it are drawn as a scanner would see the tissue. Coarser levels are hints: each kind of
tissue in its mean colour on this slide, so that a whole slide is surveyed in seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.errors import UnreadableImageError
from her2scope.phantom.growth import Bounds, Matter
from her2scope.phantom.noise import Grid, smooth_noise
from her2scope.phantom.scanners import Grain
from her2scope.phantom.slide import PASSING_LIGHT, TILE_PX, PhantomSlide, View
from her2scope.phantom.slide_file import SlideSpec, read_slide_spec
from her2scope.ports import SlideLevel
from her2scope.records import RgbImage

DRAWN_DOWNSAMPLES, HINT_DOWNSAMPLES = (1, 4), (8, 16)
BEYOND_UM = 40.0
"""Tissue bulges no farther than this beyond the box of its section; what lies farther off is glass."""
HINT_PX = 256
"""Side of what is hinted at in one go: it bounds the memory of a whole slide's overview."""
BLOCK_UM = 256.0
"""Side of what is drawn in one go: margins cost less the larger it is."""
MOTTLE, MOTTLE_UM = 0.06, 18.0
"""Depth and width of the unevenness of a hint: no tissue is as even as a stroke of a pen."""
SAMPLED_UM, SAMPLED_UM_PER_PX = (200.0, 120.0), 1.0
"""Size and scale of the view of each piece of tissue in which the mean colours are measured."""
SLIDES_KEPT = 3
"""Drawn slides that the readers of a process share, a few hundred MB each at most: one in work, the next, a control."""


class PhantomSlideReader:
    """A phantom slide. Readers of the same file share what is drawn; any number of threads may read."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise UnreadableImageError(path, "no such slide file", "Check the path.")
        self._spec = read_slide_spec(path)
        self._drawn = _drawn_slide(self._spec)
        width, height = self._spec.size_px()
        self._levels = tuple(
            SlideLevel(max(1, width // down), max(1, height // down), float(down))
            for down in (*DRAWN_DOWNSAMPLES, *HINT_DOWNSAMPLES)
        )

    @property
    def levels(self) -> tuple[SlideLevel, ...]:
        """From the full resolution to the coarsest."""
        return self._levels

    @property
    def um_per_px(self) -> float | None:
        """Pixel size at full resolution."""
        return self._spec.um_per_px

    def region(self, level: int, left_px: int, top_px: int, width_px: int, height_px: int) -> RgbImage:
        """Draw a region, see `ports.SlideReader`."""
        size = self._levels[level]
        rgb = np.full((height_px, width_px, 3), 255, np.uint8)
        left, top = max(left_px, 0), max(top_px, 0)
        right, bottom = min(left_px + width_px, size.width_px), min(top_px + height_px, size.height_px)
        if left < right and top < bottom:
            view = View(left, top, right - left, bottom - top, self._spec.um_per_px * size.downsample)
            is_drawn = level < len(DRAWN_DOWNSAMPLES)
            inside = self._drawn.picture(level, view) if is_drawn else self._drawn.hint(view)
            rgb[top - top_px : bottom - top_px, left - left_px : right - left_px] = inside
        return rgb

    def close(self) -> None:
        """Let go of the file, which is not held. Safe to call twice."""


class _DrawnSlide:
    """What is drawn of one slide, with the grain and the compression of its scanner."""

    def __init__(self, spec: SlideSpec) -> None:
        self._slide = spec.slide()
        self._grain = Grain(self._slide.run.optics, spec.seed)
        self._lock = Lock()  # guards the two below, whose values are found once
        self._glass: RgbImage | None = None
        self._colours: dict[int, NDArray[np.float64]] = {}

    def picture(self, level: int, view: View) -> RgbImage:
        """A view as it is stored."""
        whole = view.in_whole_tiles()
        even = np.empty((whole.height, whole.width, 3), np.uint8)
        even[:] = self._glass_rgb()
        for part in _tissue_parts(self._slide, whole):
            self._draw_blocks(part)
            x, y = part.left_px - whole.left_px, part.top_px - whole.top_px
            even[y : y + part.height, x : x + part.width] = self._slide.picture(part)
        averaged = float(DRAWN_DOWNSAMPLES[level])
        for y, x in _corners(whole.height, whole.width, TILE_PX):
            tile = even[y : y + TILE_PX, x : x + TILE_PX]
            place = level, (whole.left_px + x) // TILE_PX, (whole.top_px + y) // TILE_PX
            tile[:] = self._grain.on(np.ascontiguousarray(tile), place, averaged)
        x, y = view.left_px - whole.left_px, view.top_px - whole.top_px
        return even[y : y + view.height, x : x + view.width]

    def _draw_blocks(self, view: View) -> None:
        """Draw all that a view lacks in whole blocks: many small views of one tissue then cost less."""
        side_px = TILE_PX * max(1, round(BLOCK_UM / (TILE_PX * view.um_per_px)))
        left, top = (at // side_px * side_px for at in (view.left_px, view.top_px))
        asked = set(view.tiles())
        for y in range(top, view.top_px + view.height, side_px):
            for x in range(left, view.left_px + view.width, side_px):
                block = View(x, y, side_px, side_px, view.um_per_px)
                seen = asked & set(block.tiles())
                for part in _tissue_parts(self._slide, block) if self._slide.missing(seen) else ():
                    self._slide.picture(part)

    def hint(self, view: View) -> RgbImage:
        """Each kind of tissue in its mean colour, a little mottled; edges where the tissue has them."""
        found = np.empty((view.height, view.width, 3), np.uint8)
        found[:] = self._glass_rgb()
        for part in _tissue_parts(self._slide, view.in_whole_tiles()):
            for y, x in _corners(part.height, part.width, HINT_PX):
                size = min(HINT_PX, part.width - x), min(HINT_PX, part.height - y)
                piece = View(part.left_px + x, part.top_px + y, *size, view.um_per_px)
                _lay(found, view, piece, self._hinted(piece))
        return found

    def _hinted(self, view: View) -> RgbImage:
        x_um, y_um = _middles(view.grid)
        matter, section = self._slide.matter_at(x_um, y_um)
        section = np.where(matter == Matter.GLASS, -1, section)
        colour = np.empty((*matter.shape, 3))
        colour[:] = self._glass_rgb()
        for row in np.unique(section[section >= 0]).tolist():
            own = section == row
            colour[own] = self._mean_colours(row)[matter[own]]
        seed = self._slide.run.seed
        mottle = 1.0 + MOTTLE * smooth_noise(seed, "mottle", x_um, y_um, MOTTLE_UM) * (matter != Matter.GLASS)
        return np.clip(np.rint(colour * mottle[..., None]), 0, 255).astype(np.uint8)

    def _mean_colours(self, section: int) -> NDArray[np.float64]:
        """`(kinds of matter, 3)`: mean camera values of one piece of tissue."""
        glass = self._glass_rgb().astype(np.float64)
        with self._lock:
            if section not in self._colours:
                self._colours[section] = self._sampled(self._slide.sections[section].name, glass)
            return self._colours[section]

    def _sampled(self, name: str, glass: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean colours of one piece of tissue at its best place; a kind that is not there as the eye would guess it."""
        (x_um, y_um), (width_um, height_um) = self._slide.places[name], SAMPLED_UM
        sides_um = x_um - width_um / 2, y_um - height_um / 2, width_um, height_um
        left_px, top_px, width_px, height_px = (round(side / SAMPLED_UM_PER_PX) for side in sides_um)
        view = View(left_px, top_px, width_px, height_px, SAMPLED_UM_PER_PX)
        picture = self._slide.picture(view)
        matter, _ = self._slide.matter_at(*_middles(view.grid))

        def colour(kind: Matter) -> NDArray[np.float64]:
            if kind == Matter.GLASS:
                return glass
            if (matter == kind).any():
                return np.asarray(picture[matter == kind].mean(axis=0))
            return glass * PASSING_LIGHT.get(kind, PASSING_LIGHT[Matter.TUMOUR])

        return np.stack([colour(kind) for kind in Matter])

    def _glass_rgb(self) -> RgbImage:
        """Colour of empty glass, `(3,)`: that far from any tissue, without the specks that lie there."""
        with self._lock:
            if self._glass is None:
                far = View(-1000 * TILE_PX, -1000 * TILE_PX, TILE_PX, TILE_PX, SAMPLED_UM_PER_PX)
                self._glass = np.median(self._slide.picture(far), axis=(0, 1)).astype(np.uint8)
            return self._glass


@lru_cache(maxsize=SLIDES_KEPT)
def _drawn_slide(spec: SlideSpec) -> _DrawnSlide:
    return _DrawnSlide(spec)


def forget_drawn() -> None:
    """Let go of all that is drawn; open readers keep theirs."""
    _drawn_slide.cache_clear()


def _tissue_parts(slide: PhantomSlide, view: View) -> Iterator[View]:
    """Parts of a view of whole tiles in which there may be tissue, in whole tiles; they do not overlap."""
    for section in slide.sections:
        if section.bounds_um is None:
            yield view
        else:
            part = _overlap(view, section.bounds_um)
            if part is not None:
                yield part


def _overlap(view: View, box_um: Bounds) -> View | None:
    """Whole tiles of a view that a box and what bulges from it touch."""
    left_um, top_um, right_um, bottom_um = box_um
    tile_um = TILE_PX * view.um_per_px
    left, top = (int((side - BEYOND_UM) // tile_um) * TILE_PX for side in (left_um, top_um))
    right, bottom = (int((side + BEYOND_UM) // tile_um + 1) * TILE_PX for side in (right_um, bottom_um))
    left, top = max(left, view.left_px), max(top, view.top_px)
    right, bottom = min(right, view.left_px + view.width), min(bottom, view.top_px + view.height)
    return View(left, top, right - left, bottom - top, view.um_per_px) if left < right and top < bottom else None


def _lay(found: RgbImage, view: View, piece: View, drawn: RgbImage) -> None:
    """Copy what a view sees of a piece into its picture."""
    left, top = max(piece.left_px, view.left_px), max(piece.top_px, view.top_px)
    right = min(piece.left_px + piece.width, view.left_px + view.width)
    bottom = min(piece.top_px + piece.height, view.top_px + view.height)
    if left < right and top < bottom:
        seen = drawn[top - piece.top_px : bottom - piece.top_px, left - piece.left_px : right - piece.left_px]
        found[top - view.top_px : bottom - view.top_px, left - view.left_px : right - view.left_px] = seen


def _middles(grid: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places (um) of the pixels' middles, `(H, W)` each."""
    x = grid.left_um + (np.arange(grid.width) + 0.5) * grid.um_per_px
    y = grid.top_um + (np.arange(grid.height) + 0.5) * grid.um_per_px
    x_um, y_um = np.meshgrid(x, y)
    return x_um, y_um


def _corners(height: int, width: int, side: int) -> Iterator[tuple[int, int]]:
    return ((y, x) for y in range(0, height, side) for x in range(0, width, side))
