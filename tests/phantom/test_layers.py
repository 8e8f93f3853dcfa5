"""What is drawn is what the truth says: lines where antigen is, cells and nuclei where they lie."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from her2scope.imaging.opencv import cv2
from her2scope.phantom.antigen import Antigen, Level, express
from her2scope.phantom.cells import Patch
from her2scope.phantom.growth import Section
from her2scope.phantom.habit import Habit, draw_habit
from her2scope.phantom.layers import (
    WALL_OD10,
    WALL_UM,
    Layers,
    draw_layers,
    draw_membranes,
    label_cells,
    nucleus_outlines_um,
)
from her2scope.phantom.noise import Grid
from her2scope.phantom.tissue import Tissue
from her2scope.records import Plane

GRID = Grid(0.0, 0.0, 0.25, 800, 560)
SMALL = Grid(40.0, 30.0, 0.25, 240, 160)
STAINED_OD10 = 0.5 * WALL_OD10[Level.FAINT]
"""Half the height of the faintest line."""


def grown(difficulty: str, score: str, seed: int, grid: Grid = GRID) -> tuple[Patch, Antigen]:
    tissue = Tissue(seed, (Section("tissue", score),), draw_habit(seed, difficulty))
    patch = tissue.patch(grid.widened(32).bounds_um)
    return patch, express(patch, tissue.sections)


@cache
def full_of_tumour(grid: Grid) -> tuple[Patch, Antigen]:
    tissue = Tissue(4, (Section("tissue", "0", nest_level=-9.0),), Habit(lumen_level=1.0, necrosis_level=1.0))
    patch = tissue.patch(grid.widened(32).bounds_um)
    return patch, express(patch, tissue.sections)


@cache
def small(difficulty: str = "hard", score: str = "2+", seed: int = 4) -> tuple[Patch, Antigen]:
    return grown(difficulty, score, seed, SMALL)


def inner_cells(patch: Patch, grid: Grid, margin_um: float) -> list[int]:
    left, top, right, bottom = grid.bounds_um
    x, y = patch.centre_um.T
    inside = (x > left + margin_um) & (x < right - margin_um) & (y > top + margin_um) & (y < bottom - margin_um)
    return [int(cell) for cell in np.nonzero(patch.is_whole & patch.is_tumour() & inside)[0]]


def completeness_drawn(dab: Plane, outline_um: NDArray[np.float64], grid: Grid) -> float:
    """Share of an outline with DAB, in steps of 0.1 um."""
    closed = np.vstack([outline_um, outline_um[:1]])
    length = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
    places = np.arange(0.0, length[-1], 0.1)
    along = np.column_stack([np.interp(places, length, closed[:, axis]) for axis in (0, 1)])
    x, y = grid.to_px(along).astype(np.float32).T
    return float((cv2.remap(dab, x[:, None], y[:, None], cv2.INTER_LINEAR) > STAINED_OD10).mean())


# ---- membranes


@pytest.mark.parametrize("score", ["1+", "2+", "3+"])
@pytest.mark.parametrize("difficulty", ["easy", "usual", "hard"])
def test_completeness_on_the_antigen_image_is_that_of_the_truth(difficulty: str, score: str) -> None:
    errors, changed, far_off = [], [], []
    for seed in range(6):
        patch, antigen = grown(difficulty, score, seed)
        dab, _ = draw_membranes(patch, antigen, GRID)
        true = antigen.completeness()
        first = len(errors)
        for cell in inner_cells(patch, GRID, 25.0):
            found = completeness_drawn(dab, patch.outline_um(cell), GRID)
            errors.append(found - true[cell])
            changed.append((found >= 0.9) != (true[cell] >= 0.9) or (found >= 0.1) != (true[cell] >= 0.1))
        far_off.append(np.mean(np.abs(errors[first:]) > 0.05))
    assert len(errors) > 250
    assert np.abs(errors).mean() < 0.02
    # What is left are corners, where the lines of two walls are broad enough to cover the end of a bare third one. They
    # are a larger part of small cells: each run counts alike, however many of its cells are in view.
    assert np.mean(far_off) < 0.10 and np.abs(errors).max() < 0.25
    assert np.mean(changed) < 0.03


def test_bare_cells_stay_bare_and_complete_ones_complete() -> None:
    errors = []
    for seed in range(4):
        patch, antigen = grown("hard", "2+", seed)
        dab, _ = draw_membranes(patch, antigen, GRID)
        true = antigen.completeness()
        cells = [cell for cell in inner_cells(patch, GRID, 25.0) if true[cell] in (0.0, 1.0)]
        errors += [abs(completeness_drawn(dab, patch.outline_um(cell), GRID) - true[cell]) for cell in cells]
    assert len(errors) > 100 and np.mean(errors) < 0.005


@pytest.mark.parametrize(("score", "level"), [("1+", Level.FAINT), ("2+", Level.MODERATE), ("3+", Level.INTENSE)])
def test_a_line_has_the_od10_of_its_level(score: str, level: Level) -> None:
    dab, levels = draw_membranes(*grown("easy", score, 4), GRID)
    expected = WALL_OD10[level]
    assert np.percentile(dab[levels == level], 90) == pytest.approx(expected, rel=0.02)
    assert levels.max() == level and ((dab > 0.6 * expected) <= (levels > 0)).all()


def test_stronger_levels_have_wider_and_darker_lines() -> None:
    assert list(WALL_UM.values()) == sorted(WALL_UM.values())
    assert list(WALL_OD10.values()) == sorted(WALL_OD10.values())


@settings(max_examples=10)
@given(seed=st.integers(0, 1000), share=st.floats(0.02, 0.6), whole_walls=st.booleans())
def test_stronger_antigen_never_lowers_dab(seed: int, share: float, whole_walls: bool) -> None:
    patch, antigen = small()
    rng = np.random.default_rng(seed)
    raised_at = rng.random((len(antigen.levels), 1 if whole_walls else antigen.levels.shape[1])) < share
    raised = np.minimum(antigen.levels + raised_at, int(Level.INTENSE))
    before = draw_membranes(patch, antigen, SMALL)[0]
    after = draw_membranes(patch, replace(antigen, levels=raised), SMALL)[0]
    lower = np.minimum(after - before, 0.0)  # beside the tips of lines only, which are the rounder the wider they are
    assert lower.min() > -0.2 and (lower < -0.01).mean() < 0.003
    assert (after - before).max() > 0.1


def test_without_antigen_there_is_no_membrane() -> None:
    patch, antigen = small()
    bare = replace(antigen, levels=np.zeros_like(antigen.levels), share=np.eye(4)[[0] * len(antigen.share)])
    layers = draw_layers(patch, bare, SMALL)
    assert layers.walls.max() == 0.0 and layers.own.max() == 0.0
    drawn = draw_layers(patch, antigen, SMALL)
    for name in ("nuclei", "ghosts", "cytoplasm", "stroma", "fibres", "diffuse", "granules", "edge", "specks"):
        assert np.array_equal(getattr(layers, name), getattr(drawn, name))


# ---- cells and nuclei


@pytest.mark.parametrize("um_per_px", [0.1, 0.25, 0.46, 0.6])
def test_labels_lie_where_the_outlines_are(um_per_px: float) -> None:
    grid = Grid(40.0, 30.0, um_per_px, int(90.0 / um_per_px), int(70.0 / um_per_px))
    patch, _ = full_of_tumour(grid)
    labels = label_cells(patch, grid)
    y_px, x_px = np.mgrid[: grid.height, : grid.width]
    off = []
    for cell in inner_cells(patch, grid, 12.0):
        own = labels == cell + 1
        off.append(np.array([x_px[own].mean(), y_px[own].mean()]) - grid.to_px(patch.centre_um[cell]))
    assert len(off) > 5
    away = np.hypot(*np.array(off).T)
    assert away.mean() < 0.3 and np.mean(away < 0.5) > 0.9
    assert np.abs(np.mean(off, axis=0)).max() < 0.15


@pytest.mark.parametrize("um_per_px", [0.1, 0.25, 0.46, 0.6])
def test_nuclei_lie_where_their_centres_are(um_per_px: float) -> None:
    grid = Grid(40.0, 30.0, um_per_px, int(90.0 / um_per_px), int(70.0 / um_per_px))
    patch, antigen = full_of_tumour(grid)
    blue = draw_layers(with_even_nuclei(patch), antigen, grid).nuclei
    off = [off_px for _, off_px in alone(patch, grid, blue)]
    assert len(off) > 8
    assert np.hypot(*np.array(off).T).max() < 0.5
    assert np.abs(np.mean(off, axis=0)).max() < 0.2


def with_even_nuclei(patch: Patch) -> Patch:
    """Nothing in the nuclei shifts their centre of gravity."""
    return replace(patch, nuclei=replace(patch.nuclei, pale=np.zeros_like(patch.nuclei.pale)))


def alone(patch: Patch, grid: Grid, plane: Plane) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Nuclei that no other touches, and how far (px) their drawn centre lies from where it should."""
    centres = grid.to_px(patch.nuclei.xy_um)
    radii = patch.nuclei.axes_um[:, 0] / grid.um_per_px
    y_px, x_px = np.mgrid[: grid.height, : grid.width]
    for row, (x, y) in enumerate(centres.tolist()):
        gap = np.hypot(*(centres - (x, y)).T) - radii - 1.3 * radii[row]
        gap[row] = np.inf
        margin = 1.5 * radii[row] + 1.0
        inside = margin < x < grid.width - 1 - margin and margin < y < grid.height - 1 - margin
        if not inside or gap.min() < 1.0 / grid.um_per_px or patch.nuclei.kind[row] != "tumour":
            continue
        near = (plane > 0.08) * (np.hypot(x_px - x, y_px - y) < 1.3 * radii[row] + 0.5)
        yield row, np.array([np.sum(near * x_px), np.sum(near * y_px)]) / near.sum() - (x, y)


def test_nucleus_outlines_have_their_centre_and_their_size() -> None:
    nuclei = small()[0].nuclei
    outlines = nucleus_outlines_um(nuclei, np.arange(len(nuclei.cell)))
    x, y = np.moveaxis(outlines - nuclei.xy_um[:, None], 2, 0)
    cross = x * np.roll(y, -1, axis=1) - np.roll(x, -1, axis=1) * y
    area = cross.sum(axis=1) / 2.0
    np.testing.assert_allclose(area, np.pi * nuclei.axes_um.prod(axis=1), rtol=0.06)
    centre = [((part + np.roll(part, -1, axis=1)) * cross).sum(axis=1) / 6.0 / area for part in (x, y)]
    assert np.hypot(*centre).max() < 0.1


# ---- all planes


@pytest.mark.parametrize("difficulty", ["easy", "hard"])
def test_layers_are_the_same_in_an_overlapping_region(difficulty: str) -> None:
    patch, antigen = small(difficulty)
    whole = draw_layers(patch, antigen, SMALL)
    tissue = Tissue(4, (Section("tissue", "2+"),), draw_habit(4, difficulty))
    part = Grid(SMALL.left_um + 20.0, SMALL.top_um + 10.0, 0.25, 100, 80)
    there = tissue.patch(part.widened(32 + 32).bounds_um)
    drawn = draw_layers(there, express(there, tissue.sections), part.widened(32))
    for item in fields(Layers):
        cut = getattr(whole, item.name)[40:120, 80:180]
        own = getattr(drawn, item.name)[32:-32, 32:-32]
        if item.name == "edge":  # a blur of 3 um, cut by the margin
            assert np.abs(cut - own).max() < 0.05
        else:
            assert np.abs(cut - own).max() < 0.02 + 0.01 * np.abs(cut).max(), item.name


def test_layers_keep_their_bounds() -> None:
    layers = draw_layers(*small(), SMALL)
    for name in ("cytoplasm", "stroma", "edge"):
        plane = getattr(layers, name)
        assert plane.min() >= -1e-6 and plane.max() <= 1.0 + 1e-6
    for name in ("nuclei", "ghosts", "walls", "own", "diffuse", "granules", "fibres", "specks"):
        assert getattr(layers, name).min() >= -1e-6
    for name in ("grain", "beads", "patches"):
        assert np.abs(getattr(layers, name)).max() <= 1.0
    assert all(getattr(layers, item.name).shape == (SMALL.height, SMALL.width) for item in fields(Layers))


def test_glass_holds_nothing_but_specks() -> None:
    tissue = Tissue(3, (Section("tissue", "3+", (5e3, 5e3, 6e3, 6e3)),), Habit())
    patch = tissue.patch(SMALL.widened(32).bounds_um)
    layers = draw_layers(patch, express(patch, tissue.sections), SMALL)
    for name in ("nuclei", "ghosts", "cytoplasm", "stroma", "fibres", "walls", "own", "diffuse", "granules", "edge"):
        assert getattr(layers, name).max() == 0.0
