"""Fields drawn with their truth: the picture, and what every cell in it is."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from her2scope.domain.cells import CellClass, CellCounts
from her2scope.domain.errors import BadInputError, NotAvailableError
from her2scope.domain.false_cells import MIN_CELLS
from her2scope.domain.guideline import Category
from her2scope.domain.score import MIN_FIELD_CELLS, TooFewCells
from her2scope.imaging.files import write_mask, write_png
from her2scope.phantom.antigen import PATTERNS, Antigen, express
from her2scope.phantom.cells import Patch
from her2scope.phantom.growth import TUMOURS, Matter, Section
from her2scope.phantom.habit import draw_habit
from her2scope.phantom.layers import MARGIN_UM, draw_layers
from her2scope.phantom.noise import Grid, mixed_seed
from her2scope.phantom.optics import Light, exposed, focused, read_light
from her2scope.phantom.recipes import RECIPES
from her2scope.phantom.run import WRONG_LEVEL, Run, make_run
from her2scope.phantom.stain import absorb, transmitted
from her2scope.phantom.tissue import Tissue
from her2scope.phantom.truth import find_truth_score, quick_counts, truth_maps, truth_of
from her2scope.records import RgbImage

FINEST_UM_PER_PX, COARSEST_UM_PER_PX = 0.1, 1.2
DRAWN_UM_PER_PX = 0.25
"""Fields coarser than this are drawn at a fraction of their pixels and gathered."""
TUMOUR_SHARE, STROMA_SHARE, GLASS_SHARE = 0.45, 0.04, 0.02
"""Least of a field's area: what a reader would photograph, with cells that must stay unstained, and with empty glass
from which white can be estimated."""
VIEWS_TRIED = 24
FEW_NEST_LEVEL = 0.50
"""Nest level that leaves a few islands of tumour."""
DRAWN_AT_ONCE_PX = 8_000_000
"""Larger pictures are drawn in parts, which bounds the memory of their layers; cells and camera need theirs for all."""


@dataclass(frozen=True, slots=True)
class PhantomSpec:
    """A field to draw."""

    score: str = "2+"
    """A key of `antigen.PATTERNS`."""
    seed: int = 0
    """Of the run."""
    number: int = 0
    """Which field of that run and score."""
    size_wh: tuple[int, int] = (1280, 720)
    um_per_px: float = 0.25
    difficulty: str = "usual"
    stainer: str | None = None
    camera: str | None = None
    damage: str | None = None
    recipe: str | None = None
    """A key of `recipes.RECIPES`: a lookalike of a real field."""
    lab: int | None = None
    """Seed of the laboratory that the run is one of; None: the run is a laboratory of its own."""

    def __post_init__(self) -> None:
        if self.score not in PATTERNS:
            raise NotAvailableError("phantom score", self.score, list(PATTERNS))
        if not FINEST_UM_PER_PX <= self.um_per_px <= COARSEST_UM_PER_PX:
            raise BadInputError(
                f"a phantom is drawn at {FINEST_UM_PER_PX} to {COARSEST_UM_PER_PX} um/px, not {self.um_per_px:g}."
            )
        if not all(16 <= side <= 8192 for side in self.size_wh):
            raise BadInputError(f"a phantom is 16 to 8192 px wide and high, not {self.size_wh[0]}x{self.size_wh[1]}.")


@dataclass(frozen=True, slots=True, eq=False)
class PhantomField:
    """A drawn field."""

    rgb: RgbImage
    truth: dict[str, Any]
    """One element of `fields` of `her2scope.score/1`, with `visible` per cell, `category` and `run`."""
    grid: Grid
    patch: Patch
    antigen: Antigen


def render_field(spec: PhantomSpec) -> PhantomField:
    """Draw one field. The same spec gives the same bytes."""
    run = make_run(spec.seed, spec.difficulty, spec.stainer, spec.camera, spec.damage, spec.recipe, spec.lab)
    tissue, grid = _chosen_view(spec)
    patch = tissue.patch(grid.widened(ceil(MARGIN_UM / grid.um_per_px)).bounds_um)
    antigen = express(patch, tissue.sections)
    light = focused_light(patch, antigen, run, grid)
    rgb = exposed(light, run.optics, np.random.default_rng(mixed_seed("noise", spec.seed, spec.score, spec.number)))
    return PhantomField(
        rgb, truth_of(patch, antigen, run, grid, (light, read_light(rgb, run.optics))), grid, patch, antigen
    )


def focused_light(
    patch: Patch, antigen: Antigen, run: Run, grid: Grid, drawn_um_per_px: float = DRAWN_UM_PER_PX
) -> Light:
    """Light that a region sends to the sensor, before lamp and camera; drawn at `drawn_um_per_px` or finer."""
    reduction = ceil(grid.um_per_px / drawn_um_per_px - 1e-9)
    if grid.width * grid.height * reduction**2 > DRAWN_AT_ONCE_PX and grid.height > 1:
        halves = [focused_light(patch, antigen, run, half, drawn_um_per_px) for half in grid.halves()]
        return np.concatenate(halves)
    margin_px = ceil(MARGIN_UM / grid.um_per_px)
    drawn = grid.widened(margin_px).refined(reduction)
    light = transmitted(absorb(draw_layers(patch, antigen, drawn), run.stain), run.stain)
    return focused(light, run.optics, drawn.um_per_px, reduction)[margin_px:-margin_px, margin_px:-margin_px]


# ---- where to look ------------------------------------------------------------------------------------------------


def _chosen_view(spec: PhantomSpec) -> tuple[Tissue, Grid]:
    """Tissue and view of a spec: as a reader does, the first of some views that is worth a picture of that score."""
    pattern = WRONG_LEVEL[spec.score] if spec.damage == "wrong_level" else spec.score
    section = Section("tissue", pattern)
    if spec.damage == "too_few":
        section = replace(section, nest_level=FEW_NEST_LEVEL)
    seed = mixed_seed("tissue", spec.seed, spec.score, spec.number)
    like = RECIPES.get(spec.recipe or "")
    habit = draw_habit(seed, spec.difficulty, like.habit if like else None)
    if spec.damage == "too_few":  # no other growth has islands, and ducts come whatever the level is
        habit = replace(habit, growth="nests", in_situ_ducts=0.0)
    tissue = Tissue(seed, (section,), habit)
    grids = [Grid(5000.0 * view, 0.0, spec.um_per_px, *spec.size_wh) for view in range(VIEWS_TRIED)]
    if spec.damage == "too_few":
        few = (grid for grid in grids if 0 < _counted(tissue, grid).n_tumour < MIN_FIELD_CELLS)
        return tissue, next(few, grids[0])
    faults: list[float] = []
    glass_share = 0.0 if spec.difficulty == "hard" or (like and not like.with_glass) else GLASS_SHARE
    for grid in grids:
        faults.append(view_fault(tissue, grid, glass_share))
        if faults[-1] == 0 and _shows(tissue, grid, pattern):
            return tissue, grid
    return tissue, grids[int(np.argmin(faults))]


def view_fault(tissue: Tissue, grid: Grid, glass_share: float = GLASS_SHARE) -> float:
    """How far (in shares of the area) a view is from what a reader would photograph; 0 where it is right.

    Hard fields need no glass: their white cannot be estimated from what is in view.
    """
    left, top, right, bottom = grid.bounds_um
    x_um, y_um = np.meshgrid(np.arange(left, right, 8.0), np.arange(top, bottom, 8.0))
    matter, _ = tissue.matter_at(x_um, y_um)
    wanted = ((TUMOURS, TUMOUR_SHARE), ((Matter.STROMA,), STROMA_SHARE), ((Matter.GLASS,), glass_share))
    return max(0.0, *(least - float(np.isin(matter, kinds).mean()) for kinds, least in wanted))


def _shows(tissue: Tissue, grid: Grid, pattern: str) -> bool:
    """Whether the field's own score is that of its pattern, where it has cells enough for one."""
    counts = _counted(tissue, grid)
    finding = find_truth_score(counts)
    if isinstance(finding, TooFewCells):
        return True
    if pattern == "mixed" and counts[CellClass.COMPLETE_INTENSE] < MIN_CELLS:
        return False
    return (finding.score, finding.category) == EXPECTED[pattern]


def _counted(tissue: Tissue, grid: Grid) -> CellCounts:
    patch = tissue.patch(grid.bounds_um)
    return quick_counts(patch, express(patch, tissue.sections), grid)


EXPECTED = {
    "0": ("0", Category.NULL),
    "ultralow": ("0", Category.ULTRALOW),
    "1+": ("1+", Category.LOW),
    "2+": ("2+", Category.EQUIVOCAL),
    "3+": ("3+", Category.POSITIVE),
    "mixed": ("2+", Category.EQUIVOCAL),
}
"""Score and category that a field of each pattern has by the guideline."""


# ---- files --------------------------------------------------------------------------------------------------------


def render_fields(
    out_dir: Path,
    n: int,
    score: str,
    seed: int,
    size_wh: tuple[int, int] = (1280, 720),
    um_per_px: float = 0.25,
    difficulty: str = "usual",
    stainer: str | None = None,
    camera: str | None = None,
    damage: str | None = None,
    recipe: str | None = None,
    with_maps: bool = False,
) -> list[Path]:
    """Write `field_000.png` and its truth `field_000.json` and so on, each aside and then renamed.

    With `with_maps` also `field_000_nucleus.png`, `_cell.png` (16 bit: place in the truth's `cells` plus 1),
    `_membrane.png` and `_region.png` (8 bit: codes of `antigen.Level` and `growth.Matter`).

    Returns
    -------
    list of Path
        The pictures, in order.

    Raises
    ------
    BadInputError
        If `out_dir` already holds fields, cannot be written, or the field cannot be drawn.
    """
    if n < 1:
        raise BadInputError(f"{n} fields cannot be drawn. Ask for one or more.")
    specs = [
        PhantomSpec(score, seed, number, size_wh, um_per_px, difficulty, stainer, camera, damage, recipe)
        for number in range(n)
    ]
    make_run(seed, difficulty, stainer, camera, damage, recipe)  # a wrong name is refused before anything is written
    if out_dir.is_dir() and any(out_dir.glob("field_*.png")):
        raise BadInputError(f"{out_dir}: already holds fields. Choose an empty folder, so that none is overwritten.")
    paths = []
    for spec in specs:
        path = out_dir / f"field_{spec.number:03d}.png"
        drawn = render_field(spec)
        write_png(path, drawn.rgb)
        _write_json(path.with_suffix(".json"), {**drawn.truth, "image": path.name})
        if with_maps:
            maps = truth_maps(drawn.patch, drawn.antigen, drawn.grid)
            for name in ("nucleus", "cell", "membrane", "region"):
                write_mask(path.with_name(f"{path.stem}_{name}.png"), getattr(maps, name))
        paths.append(path)
    return paths


def _write_json(path: Path, content: dict[str, Any]) -> None:
    aside = path.with_name(path.name + ".part")
    try:
        aside.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        os.replace(aside, path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise BadInputError(f"{path}: cannot be written ({error.strerror}). Check the folder and the space.") from error
