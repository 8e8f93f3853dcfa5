"""Tiles for training, drawn without stain: planes of tissue in 8 bits, with truth. Stained on the fly by `views`.

Everything about a tile follows from the set's seed and the tile's number. Four neighbouring tiles are cut from one
region, which spares the margins: whoever splits a set for validation splits it by `GROUP_TILES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.cells import CellClass
from her2scope.domain.errors import BadInputError, NotAvailableError
from her2scope.imaging.opencv import cv2
from her2scope.phantom.antigen import Antigen, express, true_class
from her2scope.phantom.cells import Patch
from her2scope.phantom.growth import Matter, Section
from her2scope.phantom.habit import draw_habit
from her2scope.phantom.layers import REACH_UM, draw_layers, draw_membranes
from her2scope.phantom.noise import Grid, mixed_seed
from her2scope.phantom.ranges import DIFFICULTIES
from her2scope.phantom.tissue import Tissue
from her2scope.phantom.truth import (
    NEVER_SEEN,
    NO_NUCLEUS,
    SEEN_SHARE,
    Listed,
    TruthMaps,
    listed_cells,
    truth_maps,
    uncovered,
)
from her2scope.records import Mask, Plane

TRUTH_UM_PER_PX = 0.5
"""Scale of truth and of samples: that of the network."""
MOST_SCALE_ERROR = 0.12
"""A sample's pixel is larger or smaller by up to this share: the um per px that a user gives is never exact."""
RIM_UM = 3.0
"""Drawn around the largest sample, so that no blur sees the tile's edge."""
REACH_PX = ceil(REACH_UM / TRUTH_UM_PER_PX)
"""Truth is drawn this much farther than a region reaches: a cell whose middle lies outside may reach in."""
GROUP_SIDE = 2
GROUP_TILES = GROUP_SIDE**2
"""Tiles of one region."""
TRIES = 16
SPAN_UM = 50_000.0
"""Regions lie anywhere within this distance of the slide's middle."""

FULL: Mapping[str, float] = {
    "nuclei": 0.005,
    "cytoplasm": 1.0 / 255.0,
    "covered": 1.0 / 255.0,
    "fibres": 0.016,
    "walls": 0.004,
    "granules": 0.016,
    "specks": 0.010,
}
"""Planes of `Layers` stored at the drawn scale, with the worth of one of the 255 steps."""
HALF: Mapping[str, float] = {
    "ghosts": 0.001,
    "stroma": 1.0 / 255.0,
    "own": 0.004,
    "diffuse": 0.0125,
    "edge": 1.0 / 255.0,
}
"""Those without fine edges, stored in pixels twice as wide."""
TEXTURES = {"grain": 0.8, "beads": 2.2, "patches": 9.0}
"""Planes that are not stored, with their width in um: each sample gets another piece of the same noise. Nor is `slow`
stored, of which each sample gets another place on the section."""
KINDS = (NO_NUCLEUS, "tumour", "normal", "fibroblast", "flat", "lymphocyte", "plasma", "debris", "ghost")
"""Codes of a cell's kind; the first has no nucleus."""
CLASSES = (None, *CellClass)
"""Codes of a cell's class; the first is of cells that have none."""
CELL = np.dtype(
    [
        ("xy_um", "<f4", 2),
        ("axes_um", "<f4", 2),
        ("angle", "<f4"),
        ("kind", "u1"),
        ("cls", "u1"),
        ("can_be_seen", "u1"),
    ]
)
"""A nucleus: its middle from the tile's corner, half axes, code in `KINDS`, code in `CLASSES`, and whether it can be
seen in some stain."""
LEAST_CELL_UM2 = 12.0
"""No tissue has more nuclei than one on each such area."""


@dataclass(frozen=True, slots=True)
class Aim:
    """What a region is drawn for."""

    share: float
    """Share of the regions."""
    wanted: Matter | None
    least: float = 0.0
    """Least share of its area that is `wanted`."""
    nest_level: float = -0.14
    """Of the section."""
    habit: Mapping[str, float] = field(default_factory=dict)
    """What is not drawn as for any tissue."""


AIMS: Mapping[str, Aim] = {
    "tumour": Aim(0.62, Matter.TUMOUR, 0.35),
    "any": Aim(0.18, None),
    "stroma": Aim(0.06, Matter.STROMA, 0.8, nest_level=3.0),
    "normal": Aim(0.04, Matter.NORMAL, 0.08, nest_level=0.4, habit={"normal_ducts": 0.9}),
    "necrosis": Aim(0.04, Matter.NECROSIS, 0.3, nest_level=-0.8, habit={"necrosis_level": 0.2}),
    "fat": Aim(0.03, Matter.STROMA, 0.5, nest_level=3.0, habit={"fat_level": -0.4}),
    "glass": Aim(0.03, Matter.GLASS, 0.7, nest_level=3.0, habit={"tear_level": -0.2}),
}
"""Most regions hold tumour; the rest is what a network must leave alone."""
SCORES: Mapping[str, float] = {"0": 0.14, "ultralow": 0.10, "1+": 0.20, "2+": 0.26, "3+": 0.20, "mixed": 0.10}
"""How often each pattern of antigen is drawn."""


@dataclass(frozen=True, slots=True)
class TileSettings:
    """What fixes every tile of a set."""

    seed: int = 0
    difficulty: str = "hard"
    um_per_px: float = 0.25
    """Scale that tissue is drawn at: `TRUTH_UM_PER_PX` over 2, 3 or 4."""
    tile_um: float = 128.0
    """Side of a sample without error of scale."""

    def __post_init__(self) -> None:
        if self.difficulty not in DIFFICULTIES:
            raise NotAvailableError("difficulty", self.difficulty, list(DIFFICULTIES))
        if not any(abs(TRUTH_UM_PER_PX / n - self.um_per_px) < 1e-3 for n in (2, 3, 4)):
            raise BadInputError(f"tiles are drawn at 0.25, 0.167 or 0.125 um/px, not {self.um_per_px:g}.")
        if not 32.0 <= self.tile_um <= 512.0 or self.tile_um / TRUTH_UM_PER_PX % 1:
            raise BadInputError(f"a tile is 32 to 512 um wide, in whole and half um, not {self.tile_um:g}.")

    @property
    def finer(self) -> int:
        """How many drawn pixels are one pixel of truth."""
        return round(TRUTH_UM_PER_PX / self.um_per_px)

    @property
    def out_px(self) -> int:
        """Side of a sample."""
        return round(self.tile_um / TRUTH_UM_PER_PX)

    @property
    def truth_px(self) -> int:
        """Side of a stored tile in pixels of truth, even: the largest sample and the rim."""
        return 2 * round((self.tile_um * (1.0 + MOST_SCALE_ERROR) + 2.0 * RIM_UM) / (2.0 * TRUTH_UM_PER_PX) + 0.499)

    @property
    def drawn_px(self) -> int:
        """Side of a stored tile in drawn pixels, even."""
        return self.truth_px * self.finer

    def record(self) -> np.dtype[np.void]:
        """One tile as it is stored."""
        drawn, half, truth = self.drawn_px, self.drawn_px // 2, self.truth_px
        cells = int((truth * TRUTH_UM_PER_PX) ** 2 / LEAST_CELL_UM2)
        return np.dtype(
            [
                ("aim", "u1"),
                ("score", "u1"),
                ("n_cells", "<u4"),
                ("full", "u1", (len(FULL), drawn, drawn)),
                ("half", "u1", (len(HALF), half, half)),
                ("membrane", "u1", (drawn, drawn)),
                ("nucleus", "<u2", (truth, truth)),
                ("cell", "<u2", (truth, truth)),
                ("region", "u1", (truth, truth)),
                ("cells", CELL, (cells,)),
            ]
        )

    def as_mapping(self) -> dict[str, Any]:
        """What an index says of the drawing."""
        return {
            "seed": self.seed,
            "difficulty": self.difficulty,
            "um_per_px": self.um_per_px,
            "tile_um": self.tile_um,
            "drawn_px": self.drawn_px,
            "truth_um_per_px": TRUTH_UM_PER_PX,
            "truth_px": self.truth_px,
            "steps_at_drawn_scale": dict(FULL),
            "steps_at_half_scale": dict(HALF),
            "kinds": list(KINDS),
            "classes": [None if name is None else name.value for name in CLASSES],
            "shares_of_regions": {name: aim.share for name, aim in AIMS.items()},
            "shares_of_scores": dict(SCORES),
            "tiles_of_a_region": GROUP_TILES,
        }


def draw_group(settings: TileSettings, number: int) -> NDArray[np.void]:
    """Draw the tiles of one region, `(GROUP_TILES,)` records."""
    rng = np.random.default_rng(mixed_seed("shard tiles", settings.seed, number))
    aim = str(rng.choice(list(AIMS), p=list(_even(AIMS[name].share for name in AIMS))))
    score = str(rng.choice(list(SCORES), p=list(_even(SCORES.values()))))
    tissue = _tissue(settings, number, AIMS[aim], score)
    grid = _place(settings, tissue, AIMS[aim], rng)
    patch = tissue.patch(grid.bounds_um)
    antigen = express(patch, tissue.sections)
    tiles = np.zeros(GROUP_TILES, settings.record())
    tiles["aim"], tiles["score"] = list(AIMS).index(aim), list(SCORES).index(score)
    levels = _put_planes(settings, tiles, patch, antigen, grid)
    _put_truth(settings, tiles, patch, antigen, grid, levels)
    return tiles


def _even(shares: Any) -> NDArray[np.float64]:
    values = np.array(list(shares), np.float64)
    return values / values.sum()


def _tissue(settings: TileSettings, number: int, aim: Aim, score: str) -> Tissue:
    seed = mixed_seed("shard tissue", settings.seed, number)
    habit = draw_habit(seed, settings.difficulty, aim.habit)
    return Tissue(seed, (Section("tissue", score, nest_level=aim.nest_level),), habit)


def _place(settings: TileSettings, tissue: Tissue, aim: Aim, rng: np.random.Generator) -> Grid:
    """Region that holds what is aimed at: the first of some that does, else the one that holds most."""
    side_um = (GROUP_SIDE - 1) * settings.tile_um + settings.truth_px * TRUTH_UM_PER_PX
    side_px = round(side_um / TRUTH_UM_PER_PX) * settings.finer
    um_per_px = TRUTH_UM_PER_PX / settings.finer
    best, best_share = Grid(0.0, 0.0, um_per_px, side_px, side_px), -1.0
    for _ in range(TRIES):
        left_um, top_um = (float(value) for value in np.round(rng.uniform(-SPAN_UM, SPAN_UM, 2)))
        grid = Grid(left_um, top_um, um_per_px, side_px, side_px)
        if aim.wanted is None:
            return grid
        x_um, y_um = np.meshgrid(left_um + np.arange(4.0, side_um, 12.0), top_um + np.arange(4.0, side_um, 12.0))
        share = float((tissue.matter_at(x_um, y_um)[0] == aim.wanted).mean())
        if share > best_share:
            best, best_share = grid, share
        if share >= aim.least:
            break
    return best


def _corner(settings: TileSettings, place: int) -> tuple[int, int]:
    """Column and row of a tile's corner in its region, in pixels of truth."""
    return place % GROUP_SIDE * settings.out_px, place // GROUP_SIDE * settings.out_px


# ---- planes -------------------------------------------------------------------------------------------------------


def _put_planes(settings: TileSettings, tiles: NDArray[np.void], patch: Patch, antigen: Antigen, grid: Grid) -> Mask:
    """Put in the planes and the membrane's levels, which are also given back for the whole region."""
    walls, levels = draw_membranes(patch, antigen, grid)
    layers = draw_layers(patch, antigen, grid, walls)
    side = settings.drawn_px
    for place, tile in enumerate(tiles):
        column, row = (settings.finer * value for value in _corner(settings, place))
        cut = (slice(row, row + side), slice(column, column + side))
        tile["membrane"][:] = levels[cut]
        for number, (name, step) in enumerate(FULL.items()):
            tile["full"][number] = _in_steps(getattr(layers, name)[cut], step)
        for number, (name, step) in enumerate(HALF.items()):
            half = cv2.resize(getattr(layers, name)[cut], (side // 2, side // 2), interpolation=cv2.INTER_AREA)
            tile["half"][number] = _in_steps(half, step)
    return levels


def _in_steps(plane: Plane, step: float) -> Mask:
    """A plane without negative values in 8 bits, rounded; larger values are cut."""
    return cv2.convertScaleAbs(plane, alpha=1.0 / step)


# ---- truth --------------------------------------------------------------------------------------------------------


def _put_truth(
    settings: TileSettings, tiles: NDArray[np.void], patch: Patch, antigen: Antigen, grid: Grid, levels: Mask
) -> None:
    coarse = Grid(
        grid.left_um, grid.top_um, TRUTH_UM_PER_PX, grid.width // settings.finer, grid.height // settings.finer
    )
    wide = coarse.widened(REACH_PX)
    listed, maps = listed_cells(patch, wide), truth_maps(patch, antigen, wide, levels)
    cells = _cell_table(patch, antigen, listed, wide)
    for place, tile in enumerate(tiles):
        column, row = _corner(settings, place)
        _cut_truth(settings, tile, maps, cells, (column + REACH_PX, row + REACH_PX))


def _cell_table(patch: Patch, antigen: Antigen, listed: Listed, grid: Grid) -> NDArray[np.void]:
    """The listed cells as `CELL`, from the grid's corner."""
    table = np.zeros(len(listed.row), CELL)
    has = listed.nucleus >= 0
    table["xy_um"] = listed.centre_um - (grid.left_um, grid.top_um)
    table["axes_um"][has] = patch.nuclei.axes_um[listed.nucleus[has]]
    table["angle"][has] = patch.nuclei.angle[listed.nucleus[has]]
    table["kind"] = [KINDS.index(kind) for kind in listed.kind.tolist()]
    has_class = np.isin(listed.kind, ("tumour", NO_NUCLEUS))
    classes = [CLASSES.index(true_class(share)) for share in antigen.share[listed.row[has_class]]]
    table["cls"][has_class] = classes
    shown = uncovered(patch.nuclei, listed, grid) >= SEEN_SHARE
    table["can_be_seen"] = has & ~np.isin(listed.kind, NEVER_SEEN) & shown
    return table


def _cut_truth(
    settings: TileSettings, tile: np.void, maps: TruthMaps, cells: NDArray[np.void], corner: tuple[int, int]
) -> None:
    """Cut one tile's truth; its cells are numbered anew, those that only reach in among them."""
    (column, row), side = corner, settings.truth_px
    cut = (slice(row, row + side), slice(column, column + side))
    nucleus, cell = maps.nucleus[cut], maps.cell[cut]
    shift_um = TRUTH_UM_PER_PX * np.array([column, row])
    inside = ((cells["xy_um"] >= shift_um) & (cells["xy_um"] < shift_um + side * TRUTH_UM_PER_PX)).all(axis=1)
    inside |= np.bincount(nucleus.ravel(), minlength=len(cells) + 1)[1:] > 0
    inside |= np.bincount(cell.ravel(), minlength=len(cells) + 1)[1:] > 0
    chosen = np.nonzero(inside)[0][: tile["cells"].shape[0]]
    numbers = np.zeros(len(cells) + 1, np.uint16)
    numbers[chosen + 1] = np.arange(1, len(chosen) + 1)
    tile["nucleus"][:], tile["cell"][:], tile["region"][:] = numbers[nucleus], numbers[cell], maps.region[cut]
    own = cells[chosen]
    own["xy_um"] -= shift_um.astype(np.float32)
    tile["cells"][: len(chosen)] = own
    tile["n_cells"] = len(chosen)
