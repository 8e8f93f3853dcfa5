"""Fields drawn with their truth: the picture, and what every cell in it is."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from her2scope.domain.cells import CellClass, CellCounts, CellKind
from her2scope.domain.errors import BadInputError, NotAvailableError
from her2scope.domain.false_cells import MIN_CELLS, FalseRates
from her2scope.domain.guideline import BREAST_2023, Category, Finding
from her2scope.domain.score import MIN_FIELD_CELLS, TooFewCells, find_score
from her2scope.imaging.files import write_png
from her2scope.phantom.antigen import PATTERNS, Antigen, Level, express, true_class
from her2scope.phantom.noise import Grid, mixed_seed
from her2scope.phantom.optics import Light, exposed, focused
from her2scope.phantom.run import WRONG_LEVEL, Run, make_run
from her2scope.phantom.stain import NUCLEUS_OD10, absorb, transmitted
from her2scope.phantom.tissue import Matter, Patch, Section, Tissue
from her2scope.records import RgbImage

FINEST_UM_PER_PX, COARSEST_UM_PER_PX = 0.1, 1.2
DRAWN_UM_PER_PX = 0.25
"""Fields coarser than this are drawn at a fraction of their pixels and gathered."""
MARGIN_UM = 6.0
"""Drawn around a region, so that no blur sees its edge."""
SEEN_NUCLEUS_OD10 = 0.02
"""A nucleus paler than this over its surroundings cannot be seen."""
TUMOUR_SHARE, STROMA_SHARE, GLASS_SHARE = 0.45, 0.04, 0.02
"""Least of a field's area: what a reader would photograph, with cells that must stay unstained, and with empty glass
from which white can be estimated."""
VIEWS_TRIED = 24
FEW_NEST_LEVEL = 0.50
"""Nest level that leaves a few islands of tumour."""
DRAWN_AT_ONCE_PX = 8_000_000
"""Larger pictures are drawn in parts, which bounds the memory (about 60 bytes a pixel)."""


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
    run = make_run(spec.seed, spec.difficulty, spec.stainer, spec.camera, spec.damage)
    tissue, grid = _chosen_view(spec)
    patch = tissue.patch(grid.widened(ceil(MARGIN_UM / grid.um_per_px)).bounds_um)
    antigen = express(patch, tissue.sections)
    light = focused_light(patch, antigen, run, grid)
    rgb = exposed(light, run.optics, np.random.default_rng(mixed_seed("noise", spec.seed, spec.score, spec.number)))
    return PhantomField(rgb, truth_of(patch, antigen, run, grid), grid, patch, antigen)


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
    light = transmitted(absorb(patch, antigen, run.stain, drawn), run.stain)
    return focused(light, run.optics, drawn.um_per_px, reduction)[margin_px:-margin_px, margin_px:-margin_px]


# ---- where to look ------------------------------------------------------------------------------------------------


def _chosen_view(spec: PhantomSpec) -> tuple[Tissue, Grid]:
    """Tissue and view of a spec: as a reader does, the first of some views that is worth a picture of that score."""
    pattern = WRONG_LEVEL[spec.score] if spec.damage == "wrong_level" else spec.score
    section = Section("tissue", pattern)
    if spec.damage == "too_few":
        section = replace(section, nest_level=FEW_NEST_LEVEL)
    tissue = Tissue(mixed_seed("tissue", spec.seed, spec.score, spec.number), (section,))
    grids = [Grid(5000.0 * view, 0.0, spec.um_per_px, *spec.size_wh) for view in range(VIEWS_TRIED)]
    if spec.damage == "too_few":
        few = (grid for grid in grids if 0 < _counted(tissue, grid).n_tumour < MIN_FIELD_CELLS)
        return tissue, next(few, grids[0])
    faults = [view_fault(tissue, grid) for grid in grids]
    right = (grid for grid, fault in zip(grids, faults, strict=True) if fault == 0 and _shows(tissue, grid, pattern))
    return tissue, next(right, grids[int(np.argmin(faults))])


def view_fault(tissue: Tissue, grid: Grid) -> float:
    """How far (in shares of the area) a view is from what a reader would photograph; 0 where it is right."""
    left, top, right, bottom = grid.bounds_um
    x_um, y_um = np.meshgrid(np.arange(left, right, 8.0), np.arange(top, bottom, 8.0))
    matter, _ = tissue.matter_at(x_um, y_um)
    wanted = {Matter.TUMOUR: TUMOUR_SHARE, Matter.STROMA: STROMA_SHARE, Matter.GLASS: GLASS_SHARE}
    return max(0.0, *(least - float((matter == kind).mean()) for kind, least in wanted.items()))


def _shows(tissue: Tissue, grid: Grid, pattern: str) -> bool:
    """Whether the field's own score is that of its pattern, where it has cells enough for one."""
    counts = _counted(tissue, grid)
    finding = _finding(counts)
    if isinstance(finding, TooFewCells):
        return True
    if pattern == "mixed" and counts[CellClass.COMPLETE_INTENSE] < MIN_CELLS:
        return False
    return (finding.score, finding.category) == EXPECTED[pattern]


def _counted(tissue: Tissue, grid: Grid) -> CellCounts:
    patch = tissue.patch(grid.bounds_um)
    return _counts(_cells(patch, express(patch, tissue.sections), make_run(0), grid))


EXPECTED = {
    "0": ("0", Category.NULL),
    "ultralow": ("0", Category.ULTRALOW),
    "1+": ("1+", Category.LOW),
    "2+": ("2+", Category.EQUIVOCAL),
    "3+": ("3+", Category.POSITIVE),
    "mixed": ("2+", Category.EQUIVOCAL),
}
"""Score and category that a field of each pattern has by the guideline."""


# ---- truth --------------------------------------------------------------------------------------------------------


def truth_of(patch: Patch, antigen: Antigen, run: Run, grid: Grid, image: str = "") -> dict[str, Any]:
    """Truth of the field that `grid` shows.

    Counted are tumour cells whose nucleus can be seen and whose outline lies in the picture: a cell without a nucleus
    is no finding of any reader, so it is listed (`visible: false`) and neither counted nor held against a program.
    Score and category are the tissue's own: no limit of scale is applied to them.
    """
    cells = _cells(patch, antigen, run, grid)
    counts = _counts(cells)
    finding = _finding(counts)
    reasons = {
        "blurred": "blurred: the field was drawn out of focus",
        "over_exposed": "over_exposed: the field was drawn with its pale parts clipped",
    }
    unusable = reasons.get(run.damage or "")
    scored = finding if isinstance(finding, Finding) and unusable is None else None
    shares = counts.shares_percent() if unusable is None else None
    found = finding.reasons if isinstance(finding, Finding) else (str(finding),)
    return {
        "image": image,
        "um_per_px": grid.um_per_px,
        "usable": unusable is None,
        "reasons": [unusable] if unusable else list(found),
        "n_tumour": counts.n_tumour,
        "n_other": counts.n_other,
        "shares_percent": None if shares is None else {name.value: round(share, 4) for name, share in shares.items()},
        "score": scored.score if scored else None,
        "category": scored.category.value if scored else Category.UNDETERMINED.value,
        "cells": cells,
        "run": run.as_mapping(),
    }


def _finding(counts: CellCounts) -> Finding | TooFewCells:
    return find_score(counts, BREAST_2023, FalseRates(), DRAWN_UM_PER_PX, MIN_FIELD_CELLS)


def _counts(cells: Sequence[dict[str, Any]]) -> CellCounts:
    counted = [cell["class"] for cell in cells if cell["visible"] and not cell["edge"]]
    return CellCounts.of(None if name is None else CellClass(name) for name in counted)


def _cells(patch: Patch, antigen: Antigen, run: Run, grid: Grid) -> list[dict[str, Any]]:
    """Truth cells whose nucleus (or middle, where the section holds no nucleus) lies in the picture."""
    nuclei = patch.nuclei
    bare = patch.is_whole & patch.is_tumour()
    bare[nuclei.cell] = False
    rows = np.concatenate([nuclei.cell, np.nonzero(bare)[0]])
    centres_um = np.concatenate([nuclei.xy_um, patch.centre_um[bare]])
    radii_um = np.concatenate([np.sqrt(nuclei.axes_um.prod(axis=1)), np.zeros(int(bare.sum()))])
    kinds = [*nuclei.kind, *[NO_NUCLEUS] * int(bare.sum())]
    corner_px = (grid.width - 0.5, grid.height - 0.5)
    centres_px = grid.to_px(centres_um)
    shown = ((centres_px >= -0.5) & (centres_px < corner_px)).all(axis=1)
    intensity = np.array([run.stain.wall_od10(level) for level in Level])[antigen.median_level()]
    completeness = antigen.completeness()

    def cell(place: int) -> dict[str, Any]:
        row, is_tumour = int(rows[place]), kinds[place] in ("tumour", NO_NUCLEUS)
        around_um = patch.outline_um(row) if is_tumour else centres_um[place] + radii_um[place] * _BOX
        around_px = grid.to_px(around_um)
        return {
            "x_px": round(float(centres_px[place, 0]), 3),
            "y_px": round(float(centres_px[place, 1]), 3),
            "nucleus_radius_um": round(float(radii_um[place]), 3),
            "kind": (CellKind.TUMOUR if is_tumour else CellKind.OTHER).value,
            "edge": bool((around_px < -0.5).any() or (around_px > corner_px).any()),
            "visible": _can_be_seen(kinds[place], run),
            "completeness": round(float(completeness[row]), 4) if is_tumour else 0.0,
            "intensity_od10": round(float(intensity[row]), 4) if is_tumour else 0.0,
            "class": true_class(antigen.share[row]).value if is_tumour else None,
        }

    return [cell(int(place)) for place in np.nonzero(shown)[0]]


def _can_be_seen(kind: str, run: Run) -> bool:
    return kind != NO_NUCLEUS and run.stain.haematoxylin_gain * NUCLEUS_OD10[kind][0] >= SEEN_NUCLEUS_OD10


NO_NUCLEUS = "none"
_BOX = np.array([(-1.0, -1.0), (1.0, 1.0)])


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
) -> list[Path]:
    """Write `field_000.png` and its truth `field_000.json` and so on, each aside and then renamed.

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
        PhantomSpec(score, seed, number, size_wh, um_per_px, difficulty, stainer, camera, damage) for number in range(n)
    ]
    make_run(seed, difficulty, stainer, camera, damage)  # a wrong name is refused before anything is written
    if out_dir.is_dir() and any(out_dir.glob("field_*.png")):
        raise BadInputError(f"{out_dir}: already holds fields. Choose an empty folder, so that none is overwritten.")
    paths = []
    for spec in specs:
        path = out_dir / f"field_{spec.number:03d}.png"
        drawn = render_field(spec)
        write_png(path, drawn.rgb)
        _write_json(path.with_suffix(".json"), {**drawn.truth, "image": path.name})
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
