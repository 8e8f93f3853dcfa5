"""What a drawn field holds: every cell and every pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.cells import CellClass, CellCounts, CellKind
from her2scope.domain.false_cells import FalseRates
from her2scope.domain.guideline import BREAST_2023, Category, Finding
from her2scope.domain.score import MIN_FIELD_CELLS, TooFewCells, find_score
from her2scope.imaging.opencv import cv2
from her2scope.phantom.antigen import Antigen, Level, true_class
from her2scope.phantom.cells import Nuclei, Patch
from her2scope.phantom.growth import Matter
from her2scope.phantom.layers import HARD_FILL_PX, label_cells, membrane_levels, nucleus_outlines_um
from her2scope.phantom.noise import Floats, Grid, Ints
from her2scope.phantom.optics import Light
from her2scope.phantom.run import Run

SCALE_UM_PER_PX = 0.25
"""Scale that a truth's score is found at: no limit of scale is applied to it."""
SEEN_OD10 = 0.05
"""Least difference (od10, over the channels) of a nucleus from the ring around it that an eye finds."""
SEEN_HUE_OD10 = 0.02
"""From here on it is of another hue: the part of that difference across what the ring absorbs."""
SEEN_SEPARATION, SEEN_GREY_SEPARATION = 0.55, 1.2
"""Least difference, in deviations of single places in the nucleus and on the ring, where the hue is another, and where
a nucleus is only darker or paler, as granules are too.

The limits are about the 5th percentiles of nuclei that were marked as certain by eye on five real pictures: 0.033 to
0.107 od10, 0.01 to 0.04 across, separation 0.55 to 1.06. Of those marked as uncertain a fifth lie below."""
SEEN_SHARE = 0.5
"""Least share of a nucleus that no other nucleus covers."""
NEVER_SEEN = ("ghost", "debris")
"""Kinds that are neither hit nor miss: a nucleus out of focus, pieces of dead ones."""
NO_NUCLEUS = "none"
MOST_CELLS = 65_534
"""A 16-bit map holds no more: cells listed after these have no pixel in it."""


@dataclass(frozen=True, slots=True, eq=False)
class TruthMaps:
    """Truth of every pixel, `(H, W)` each. Labels are the place in the truth's `cells` plus 1."""

    nucleus: NDArray[np.uint16]
    """The one on top, ghosts and debris too: mask what is not `visible`. 0 also where the middle lies outside."""
    cell: NDArray[np.uint16]
    """Cells with a membrane; 0 also for those whose nucleus lies outside the picture."""
    membrane: NDArray[np.uint8]
    """`antigen.Level` where there is a stained membrane."""
    region: NDArray[np.uint8]
    """`growth.Matter`."""


@dataclass(frozen=True, slots=True, eq=False)
class Listed:
    """The cells that a truth lists: nuclei in the picture, then tumour cells whose section holds no nucleus."""

    row: Ints
    """Of the patch's cells; -1: a nucleus in none."""
    nucleus: Ints
    """Row of the nuclei; -1: none."""
    kind: NDArray[np.str_]
    centre_um: Floats
    radius_um: Floats


def truth_of(
    patch: Patch, antigen: Antigen, run: Run, grid: Grid, lights: Sequence[Light] = (), image: str = ""
) -> dict[str, Any]:
    """Truth of the field that `grid` shows, one element of `fields` of `her2scope.score/1` and more.

    Counted are tumour cells whose nucleus can be seen and whose outline lies in the picture: a cell without a nucleus
    is no finding of any reader, so it is listed (`visible: false`) and neither counted nor held against a program.
    Tumour within ducts is counted like any other and named by its `region`. Score and category are the tissue's own.

    Parameters
    ----------
    lights : the field as light, 1 where it is empty: in focus, and as the camera's picture gives it back. A nucleus
        that cannot be made out in each of them is not seen; without any, every nucleus in focus counts as seen
    """
    cells = _cells(patch, antigen, run, grid, lights)
    counts = count_cells(cells)
    finding = find_truth_score(counts)
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


def find_truth_score(counts: CellCounts) -> Finding | TooFewCells:
    """Score of true counts: no false cell, no limit of scale."""
    return find_score(counts, BREAST_2023, FalseRates(), SCALE_UM_PER_PX, MIN_FIELD_CELLS)


def count_cells(cells: Sequence[dict[str, Any]]) -> CellCounts:
    """Counts of a truth's cells."""
    counted = [cell["class"] for cell in cells if cell["visible"] and not cell["edge"]]
    return CellCounts.of(None if name is None else CellClass(name) for name in counted)


def quick_counts(patch: Patch, antigen: Antigen, grid: Grid) -> CellCounts:
    """Counts as if every nucleus were seen and no cell were cut by the edge: to choose a view by."""
    listed = listed_cells(patch, grid)
    counted = listed.row[(listed.kind == "tumour") & (listed.nucleus >= 0)]
    return CellCounts.of(true_class(share) for share in antigen.share[counted])


def truth_maps(patch: Patch, antigen: Antigen, grid: Grid, membrane: NDArray[np.uint8] | None = None) -> TruthMaps:
    """Truth of every pixel; labels as in `truth_of` of the same grid. A `membrane` that is given is not drawn again."""
    listed = listed_cells(patch, grid)
    labels = label_cells(patch, grid)
    of_row = np.zeros(len(patch.key) + 1, np.uint16)
    epithelial = (listed.row >= 0) & np.isin(listed.kind, ("tumour", "normal", NO_NUCLEUS))
    epithelial[MOST_CELLS:] = False
    of_row[listed.row[epithelial] + 1] = np.nonzero(epithelial)[0] + 1
    matter = np.concatenate([[int(Matter.GLASS)], patch.matter]).astype(np.uint8)
    region = matter[labels]
    empty = np.zeros(region.shape, np.uint8)
    for outline in [*patch.fat, *patch.vessels]:  # one by one: where two overlap in one call, they leave a hole
        cv2.fillPoly(empty, [np.rint(grid.to_px(outline) * 16.0).astype(np.int32)], 1, cv2.LINE_8, 4)
    region[(empty > 0) & (region == Matter.STROMA)] = Matter.GLASS
    membrane = membrane_levels(patch, antigen, grid) if membrane is None else membrane
    nucleus = _nucleus_labels(patch.nuclei, listed, grid)
    nucleus[nucleus > MOST_CELLS] = 0
    return TruthMaps(nucleus.astype(np.uint16), of_row[labels], membrane, region)


def _nucleus_labels(nuclei: Nuclei, listed: Listed, grid: Grid) -> NDArray[np.int32]:
    """Place of the nucleus on top at each pixel plus 1, `(H, W)`; one out of focus lies behind all others."""
    labels = np.zeros((grid.height, grid.width), np.int32)
    places = np.nonzero(listed.nucleus >= 0)[0]
    places = places[np.argsort(listed.kind[places] != "ghost", kind="stable")]
    within_um = HARD_FILL_PX * grid.um_per_px
    outlines = np.rint(grid.to_px(nucleus_outlines_um(nuclei, listed.nucleus[places], within_um)) * 16.0).astype(
        np.int32
    )
    for place, outline in zip(places.tolist(), outlines, strict=True):
        cv2.fillPoly(labels, [outline], place + 1, cv2.LINE_8, 4)
    return labels


def listed_cells(patch: Patch, grid: Grid) -> Listed:
    """The cells that a truth of this grid lists, in its order."""
    nuclei = patch.nuclei
    has_none = patch.is_whole & patch.is_tumour()
    has_none[nuclei.cell[(nuclei.cell >= 0) & (nuclei.kind != "ghost")]] = False
    bare = np.nonzero(has_none)[0]
    centre_um = np.concatenate([nuclei.xy_um, patch.centre_um[bare]])
    centre_px = grid.to_px(centre_um)
    shown = ((centre_px >= -0.5) & (centre_px < (grid.width - 0.5, grid.height - 0.5))).all(axis=1)
    listed = Listed(
        np.concatenate([nuclei.cell, bare]),
        np.concatenate([np.arange(len(nuclei.cell)), np.full(len(bare), -1)]),
        np.concatenate([nuclei.kind, np.full(len(bare), NO_NUCLEUS)]),
        centre_um,
        np.concatenate([np.sqrt(nuclei.axes_um.prod(axis=1)), np.zeros(len(bare))]),
    )
    return Listed(*(getattr(listed, name)[shown] for name in Listed.__slots__))


def _cells(patch: Patch, antigen: Antigen, run: Run, grid: Grid, lights: Sequence[Light]) -> list[dict[str, Any]]:
    """Truth cells whose nucleus (or middle, where the section holds no nucleus) lies in the picture."""
    listed = listed_cells(patch, grid)
    visible = _visible(patch.nuclei, listed, grid, lights)
    centre_px = grid.to_px(listed.centre_um)
    intensity = np.array([run.stain.wall_od10(level) for level in Level])[antigen.median_level()]
    completeness = antigen.completeness()
    nuclei_px = np.round(grid.to_px(nucleus_outlines_um(patch.nuclei, listed.nucleus)), 1)
    last_px = np.array([grid.width - 0.5, grid.height - 0.5])

    def cell(place: int) -> dict[str, Any]:
        row, kind = int(listed.row[place]), str(listed.kind[place])
        is_tumour = kind in ("tumour", NO_NUCLEUS)
        outline_px = grid.to_px(patch.outline_um(row)) if is_tumour else nuclei_px[place]
        has_nucleus = listed.nucleus[place] >= 0
        return {
            "x_px": round(float(centre_px[place, 0]), 3),
            "y_px": round(float(centre_px[place, 1]), 3),
            "nucleus_radius_um": round(float(listed.radius_um[place]), 3),
            "kind": (CellKind.TUMOUR if is_tumour else CellKind.OTHER).value,
            "edge": bool((outline_px < -0.5).any() or (outline_px > last_px).any()),
            "visible": bool(visible[place]),
            "completeness": round(float(completeness[row]), 4) if is_tumour else 0.0,
            "intensity_od10": round(float(intensity[row]), 4) if is_tumour else 0.0,
            "class": true_class(antigen.share[row]).value if is_tumour else None,
            "type": kind,
            "region": Matter(int(patch.matter[row])).name.lower() if row >= 0 else Matter.STROMA.name.lower(),
            "nucleus_px": nuclei_px[place].tolist() if has_nucleus else [],
            "outline_px": np.round(outline_px, 1).tolist() if is_tumour else [],
            "arcs": _arcs(patch, antigen, row) if is_tumour else [],
        }

    return [cell(place) for place in range(len(listed.row))]


def _arcs(patch: Patch, antigen: Antigen, row: int) -> list[list[Any]]:
    """Stained arcs `[begin, end, level]` of a cell, as shares (0..1) of its outline from the first point on."""
    sides = patch.sides(row)
    wall, number = patch.side_wall[sides], patch.side_number[sides]
    levels = antigen.levels[wall]
    levels = np.where(number[:, None] == 0, levels, levels[:, ::-1]).ravel()
    if not levels.any():
        return []
    outline = patch.outline_um(row)
    length = np.concatenate([[0.0], np.cumsum(np.hypot(*(np.roll(outline, -1, axis=0) - outline).T))])
    change = np.nonzero(np.diff(levels))[0] + 1
    starts, ends = np.concatenate([[0], change]), np.concatenate([change, [len(levels)]])
    shares = length / length[-1]
    return [
        [round(float(shares[a]), 4), round(float(shares[b]), 4), Level(int(levels[a])).name.lower()]
        for a, b in zip(starts.tolist(), ends.tolist(), strict=True)
        if levels[a] > 0
    ]


_AROUND = np.linspace(0.0, 2.0 * np.pi, 16, endpoint=False)
_RING = np.stack([np.cos(_AROUND), np.sin(_AROUND)], axis=1)


def _visible(nuclei: Nuclei, listed: Listed, grid: Grid, lights: Sequence[Light]) -> NDArray[np.bool_]:
    """Which of the listed cells have a nucleus that can be seen."""
    can_be = (listed.nucleus >= 0) & ~np.isin(listed.kind, NEVER_SEEN)
    if not lights or not can_be.any():
        return can_be
    rows = listed.nucleus[can_be]
    seen = can_be.copy()
    for light in lights:
        seen[can_be] &= stands_out(light, grid, nuclei.xy_um[rows], nuclei.axes_um[rows], nuclei.angle[rows])
    return seen & (uncovered(nuclei, listed, grid) >= SEEN_SHARE)


def stands_out(light: Light, grid: Grid, middle: Floats, axes_um: Floats, angle: Floats) -> NDArray[np.bool_]:
    """Which nuclei (middles `(N, 2)` in um, half axes `(N, 2)`, directions) an eye finds in the light of `grid`."""
    turn = np.stack([np.cos(angle), np.sin(angle)], axis=1)

    def ellipse(scale: float, wider_um: float) -> Floats:
        along, across = (axes_um[:, k, None] * scale + wider_um for k in (0, 1))
        u, v = along * _RING[:, 0], across * _RING[:, 1]
        x = u * turn[:, :1] - v * turn[:, 1:]
        y = u * turn[:, 1:] + v * turn[:, :1]
        return np.asarray(middle[:, None] + np.stack([x, y], axis=2))

    inside = np.concatenate([middle[:, None], ellipse(0.35, 0.0), ellipse(0.7, 0.0)], axis=1)
    od10 = _od10_at(light, grid, np.concatenate([inside, ellipse(1.1, 0.6)], axis=1))
    return _differ(od10[:, : inside.shape[1]], od10[:, inside.shape[1] :])


def _differ(within: Floats, around: Floats) -> NDArray[np.bool_]:
    """Whether od10 `(N, M, 3)` within nuclei differs from that around them enough to be seen."""
    inner, outer = within.mean(axis=1), around.mean(axis=1)
    contrast = np.linalg.norm(inner - outer, axis=1)
    towards = (inner - outer) / np.maximum(contrast, 1e-9)[:, None]
    deviations = [np.einsum("nmc,nc->nm", places, towards).std(axis=1) for places in (within, around)]
    separation = contrast / np.maximum(np.hypot(*deviations) / np.sqrt(2.0), 1e-9)
    ground = outer / np.maximum(np.linalg.norm(outer, axis=1, keepdims=True), 1e-9)
    along = ((inner - outer) * ground).sum(axis=1, keepdims=True) * ground
    hue = np.linalg.norm(inner - outer - along, axis=1)
    least = np.where(hue >= SEEN_HUE_OD10, SEEN_SEPARATION, SEEN_GREY_SEPARATION)
    return np.asarray((contrast >= SEEN_OD10) & (separation >= least))


def _od10_at(light: Light, grid: Grid, xy_um: Floats) -> Floats:
    """od10 `(N, M, 3)` of the light at places `(N, M, 2)`, the nearest pixel's."""
    px = np.rint(grid.to_px(xy_um)).astype(np.int64)
    x, y = px[..., 0].clip(0, grid.width - 1), px[..., 1].clip(0, grid.height - 1)
    return -np.log10(np.maximum(light[y, x], np.float32(1e-4))).astype(np.float64)


def uncovered(nuclei: Nuclei, listed: Listed, grid: Grid) -> Floats:
    """Share of each listed nucleus that no other covers; 1 of those with no pixel of their own size."""
    labels = _nucleus_labels(nuclei, listed, grid)
    shown = np.bincount(labels.ravel(), minlength=len(listed.row) + 1)[1:]
    area_px = np.pi * (listed.radius_um / grid.um_per_px) ** 2
    middle = grid.to_px(listed.centre_um)
    radius_px = listed.radius_um[:, None] / grid.um_per_px
    cut = (middle < 1.6 * radius_px) | (middle > (grid.width, grid.height) - 1.6 * radius_px)
    return np.where((area_px < 4.0) | cut.any(axis=1), 1.0, shown / np.maximum(area_px, 1.0))
