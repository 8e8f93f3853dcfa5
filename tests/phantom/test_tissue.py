"""The tissue is the same however a region is reached, and its cells and nuclei have the shapes of such."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from her2scope.imaging.opencv import cv2
from her2scope.phantom.antigen import express
from her2scope.phantom.cells import Patch
from her2scope.phantom.growth import GROWTHS, Bounds, Matter, Section
from her2scope.phantom.habit import Habit, draw_habit
from her2scope.phantom.layers import nucleus_outlines_um
from her2scope.phantom.nuclei import LARGEST_UM, SMALLEST_UM
from her2scope.phantom.tessellation import Lattice, walls_between
from her2scope.phantom.tissue import Tissue

Outline = NDArray[np.float64]

SECTIONS = (Section("tissue", "2+"),)
TISSUE = Tissue(11, SECTIONS)
REGION, OVERLAPPING = (0.0, 0.0, 320.0, 180.0), (150.0, -90.0, 260.0, 70.0)
WORST = Habit(
    pitch_um=9.5, stretch=1.8, grain_angle=0.7, size_variation=0.1, gap_share=0.35, gap_um=4.0, bulge=0.3,
    corner_share=0.6, vacuole_share=0.15, slant_share=0.35, nucleus_share=0.74, nucleus_variation=0.22, eccentric=1.0,
    no_nucleus_share=0.2, ghost_share=0.35, retraction=0.3, in_situ_ducts=0.25, normal_ducts=0.25, normal_stain=0.6,
    vessels=0.5, fat_level=0.25, cellularity=2.0,
)  # fmt: skip
"""Every range of hard at its worse end."""
HABITS = {
    **{
        growth: draw_habit(number, "hard", {"growth": growth, "disorder": 0.0}) for number, growth in enumerate(GROWTHS)
    },
    "worst": WORST,
    "worst and wide": replace(WORST, pitch_um=18.0, grain_angle=2.4),
    "easy": Habit(),
}


@cache
def patch_of(name: str, bounds: Bounds = (0.0, 0.0, 600.0, 450.0), seed: int = 11) -> Patch:
    return Tissue(seed, SECTIONS, HABITS[name]).patch(bounds)


def area(outline: Outline) -> float:
    x, y = (outline - outline.mean(axis=0)).T
    return 0.5 * float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))


def whole_tumour(patch: Patch) -> list[int]:
    return [int(cell) for cell in np.nonzero(patch.is_whole & patch.is_tumour())[0]]


def rows_within(bounds: Bounds, patch: Patch) -> NDArray[np.bool_]:
    left, top, right, bottom = bounds
    x, y = patch.nuclei.xy_um.T
    return (x > left) & (x < right) & (y > top) & (y < bottom)


# ---- the same from every side


@pytest.mark.parametrize("name", HABITS)
def test_an_overlapping_region_has_the_same_cells_walls_and_antigen(name: str) -> None:
    first, second = patch_of(name, REGION), patch_of(name, OVERLAPPING)
    first_share, second_share = (express(patch, SECTIONS).share for patch in (first, second))
    here, there = (
        {(int(i), int(j)): row for row, (i, j) in enumerate(patch.key) if patch.is_whole[row]}
        for patch in (first, second)
    )
    both = here.keys() & there.keys()
    assert len(both) > 25
    for place in both:
        a, b = here[place], there[place]
        assert first.matter[a] == second.matter[b]
        np.testing.assert_allclose(first.centre_um[a], second.centre_um[b], atol=1e-9)
        np.testing.assert_allclose(first_share[a], second_share[b], atol=1e-9)
        assert {tuple(p) for p in first.outline_um(a).round(6)} == {tuple(p) for p in second.outline_um(b).round(6)}


@pytest.mark.parametrize("name", HABITS)
def test_an_overlapping_region_has_the_same_nuclei_and_empty_places(name: str) -> None:
    shared = (150.0, 0.0, 260.0, 70.0)

    def shown(bounds: Bounds) -> tuple[set[tuple[float, ...]], set[tuple[float, ...]]]:
        patch = patch_of(name, bounds)
        nuclei, holes = patch.nuclei, patch.holes
        rows = np.column_stack([nuclei.xy_um, nuclei.axes_um, nuclei.angle, nuclei.tone, nuclei.pale, nuclei.dent])
        named = {(*row, kind) for row, kind in zip(map(tuple, rows.round(6)), nuclei.kind.tolist(), strict=True)}
        round_places = map(tuple, np.column_stack([holes.xy_um, holes.radius_um, holes.clear]).round(6))
        left, top, right, bottom = shared
        return (
            {row for row in named if left < row[0] < right and top < row[1] < bottom},
            {row for row in round_places if left < row[0] < right and top < row[1] < bottom},
        )

    assert len(shown(REGION)[0]) > 15
    assert shown(REGION) == shown(OVERLAPPING)


def test_every_cell_that_touches_a_region_is_whole_in_it() -> None:
    for name in HABITS:
        wide, close = patch_of(name, (-150.0, -150.0, 260.0, 220.0)), patch_of(name, (0.0, 0.0, 110.0, 70.0))
        whole = {tuple(key) for key in close.key[close.is_whole]}
        for cell in np.nonzero(wide.is_whole & wide.is_epithelium())[0]:
            x, y = wide.outline_um(int(cell)).T
            if ((x > 0.0) & (x < 110.0) & (y > 0.0) & (y < 70.0)).any():
                assert tuple(wide.key[cell]) in whole


def test_another_seed_is_another_tissue() -> None:
    other = Tissue(12, SECTIONS).patch(REGION)
    assert not np.array_equal(other.site_um, TISSUE.patch(REGION).site_um)


def test_a_region_of_bare_glass_is_empty_and_no_error() -> None:
    for habit in (Habit(), WORST):
        patch = Tissue(3, (Section("tissue", "3+", (0.0, 0.0, 300.0, 300.0)),), habit).patch((5e3, 5e3, 5.2e3, 5.2e3))
        assert (patch.matter == Matter.GLASS).all()
        assert len(patch.nuclei.kind) == 0 and len(patch.walls.cells) == 0


# ---- cells


@pytest.mark.parametrize("name", HABITS)
def test_outlines_close_without_a_jump(name: str) -> None:
    patch = patch_of(name)
    for cell in whole_tumour(patch):
        outline = patch.outline_um(cell)
        steps = np.hypot(*(outline - np.roll(outline, 1, axis=0)).T)
        apart_um = 2.0 * patch.habit.gap_um + patch.habit.bulge * 10.0
        assert steps.max() < 3.0 + apart_um


@pytest.mark.parametrize("name", HABITS)
def test_an_outline_goes_round_its_cell_once(name: str) -> None:
    patch = patch_of(name)
    areas, crossed = [], []
    for cell in whole_tumour(patch):
        outline = patch.outline_um(cell)
        areas.append(area(outline))
        corner = outline.min(axis=0) - 1.0
        canvas = np.zeros(np.ceil((np.ptp(outline, axis=0) + 2.0) * 10.0).astype(int)[::-1], np.uint8)
        cv2.fillPoly(canvas, [np.rint((outline - corner) * 160.0).astype(np.int32)], 1, cv2.LINE_8, 4)
        crossed.append(abs(canvas.sum() / 100.0 - areas[-1]) / areas[-1])  # loops fill otherwise than they sum
    assert min(areas) > 0.0
    assert np.mean(np.array(crossed) > 0.06) < 0.02


@pytest.mark.parametrize("name", HABITS)
def test_cells_without_gaps_fill_the_plane_once(name: str) -> None:
    habit = replace(HABITS[name], gap_share=0.0, lumen_level=1.0, necrosis_level=1.0, bulge=0.0)
    patch = Tissue(11, SECTIONS, habit).patch((0.0, 0.0, 500.0, 400.0))
    solid = np.nonzero(patch.is_whole & (patch.matter != Matter.GLASS))[0]
    mean = np.mean([area(patch.outline_um(int(cell))) for cell in solid])
    assert mean == pytest.approx(habit.pitch_um**2 * 3**0.5 / 2, rel=0.02)


def test_gaps_take_area_from_cells_and_bulges_give_it_back() -> None:
    def mean_area(**values: float) -> float:
        patch = Tissue(11, SECTIONS, replace(Habit(), **values)).patch((0.0, 0.0, 500.0, 500.0))
        return float(np.mean([area(patch.outline_um(cell)) for cell in whole_tumour(patch)]))

    plain = mean_area(gap_share=0.0, bulge=0.0)
    assert mean_area(gap_share=0.35, gap_um=4.0, bulge=0.0) < 0.98 * plain
    assert mean_area(gap_share=0.0, bulge=0.3) > plain


@pytest.mark.parametrize(("stretch", "angle"), [(1.0, 0.0), (1.4, 0.0), (1.8, 1.1), (1.8, 2.9)])
def test_stretched_cells_are_long_along_the_grain(stretch: float, angle: float) -> None:
    patch = Tissue(5, SECTIONS, Habit(stretch=stretch, grain_angle=angle)).patch((0.0, 0.0, 500.0, 500.0))
    around = [patch.outline_um(cell) - patch.centre_um[cell] for cell in whole_tumour(patch)]
    spread = np.mean([points.T @ points / len(points) for points in around], axis=0)
    value, vector = np.linalg.eigh(spread)
    assert np.sqrt(value[1] / value[0]) == pytest.approx(stretch, rel=0.1)
    if stretch > 1.0:
        assert abs(np.dot(vector[:, 1], (np.cos(angle), np.sin(angle)))) > 0.98


def test_sizes_vary_as_the_habit_says() -> None:
    def spread(variation: float) -> float:
        patch = Tissue(5, SECTIONS, Habit(size_variation=variation)).patch((0.0, 0.0, 500.0, 500.0))
        areas = np.array([area(patch.outline_um(cell)) for cell in whole_tumour(patch)])
        return float(areas.std() / areas.mean())

    assert spread(0.0) < spread(0.05) < spread(0.10)


def test_no_cell_reaches_past_its_neighbours_neighbours() -> None:
    """Walls among the nearest 24 sites are all there are: with more sites around, they are the same."""
    lattice = Lattice(3, Habit(size_variation=0.1))
    i, j = lattice.places((0.0, 0.0, 500.0, 500.0), 0.0)
    x, y = lattice.sites(i, j)
    cells, ends = walls_between(x, y, lattice.weights(i, j), np.arange(x.size).reshape(x.shape))
    sites = np.stack([x.ravel(), y.ravel()], axis=1)
    middles, weight = ends.mean(axis=1), lattice.weights(i, j).ravel()
    inner = ((middles > 100.0) & (middles < 400.0)).all(axis=1)
    power = ((middles[inner, None] - sites[None]) ** 2).sum(axis=2) - weight
    own = np.take_along_axis(power, cells[inner], axis=1)
    np.testing.assert_allclose(own[:, 0], own[:, 1], atol=1e-6)
    assert (own[:, 0] <= power.min(axis=1) + 1e-6).all()


# ---- nuclei


@pytest.mark.parametrize("name", HABITS)
def test_nuclei_of_cells_lie_in_their_cells(name: str) -> None:
    patch = patch_of(name)
    own = np.nonzero(np.isin(patch.nuclei.kind, ("tumour", "normal")))[0]
    outlines = nucleus_outlines_um(patch.nuclei, own)
    assert len(own) > 50
    inside = []
    for nucleus, outline in zip(own, outlines, strict=True):
        cell = patch.outline_um(int(patch.nuclei.cell[nucleus])).astype(np.float32)
        x, y = patch.nuclei.xy_um[nucleus].tolist()
        assert cv2.pointPolygonTest(cell, (x, y), False) > 0
        corner = cell.min(axis=0) - 6.0
        size = np.ceil((np.ptp(cell, axis=0) + 12.0) * 8.0).astype(int)[::-1]
        planes = []
        for shape in (cell, outline):
            plane = np.zeros(size, np.uint8)
            cv2.fillPoly(plane, [np.rint((shape - corner) * 128.0).astype(np.int32)], 1, cv2.LINE_8, 4)
            planes.append(plane)
        inside.append((planes[0] & planes[1]).sum() / planes[1].sum())
    assert np.mean(np.array(inside) >= 0.95) >= 0.95
    assert min(inside) > 0.5


def test_disorder_makes_nuclei_long_uneven_and_astray_but_leaves_their_middles_in_their_cells() -> None:
    orderly, odd = (
        Tissue(11, SECTIONS, replace(Habit(), disorder=disorder)).patch((0.0, 0.0, 600.0, 450.0))
        for disorder in (0.0, 1.0)
    )
    length, size, tone = {}, {}, {}
    for name, patch in (("orderly", orderly), ("odd", odd)):
        own = patch.nuclei.kind == "tumour"
        dividing = patch.nuclei.tone > 1.0
        axes_um = patch.nuclei.axes_um[own & ~dividing]
        length[name] = axes_um[:, 0] / axes_um[:, 1]
        size[name] = np.sqrt(axes_um.prod(axis=1))
        tone[name] = patch.nuclei.tone[own & ~dividing]
    assert np.percentile(length["odd"], 75) > 1.25 * np.percentile(length["orderly"], 75)
    assert size["odd"].std() > 1.3 * size["orderly"].std()
    assert tone["odd"].mean() > tone["orderly"].mean() + 0.05
    for nucleus in np.nonzero(odd.nuclei.kind == "tumour")[0]:
        cell = odd.outline_um(int(odd.nuclei.cell[nucleus])).astype(np.float32)
        assert cv2.pointPolygonTest(cell, tuple(odd.nuclei.xy_um[nucleus].tolist()), False) > 0


@pytest.mark.parametrize("name", HABITS)
def test_nuclei_have_the_sizes_of_nuclei(name: str) -> None:
    nuclei = patch_of(name).nuclei
    width_um = 2.0 * np.sqrt(nuclei.axes_um.prod(axis=1))
    assert (nuclei.axes_um[:, 0] >= nuclei.axes_um[:, 1]).all() and (nuclei.axes_um > 0.3).all()
    dividing = nuclei.tone > 1.0
    tumour = width_um[(nuclei.kind == "tumour") & ~dividing]
    assert tumour.max() < LARGEST_UM + 1e-6
    assert np.mean(tumour >= 0.8 * SMALLEST_UM) > 0.9 and tumour.min() > 2.9  # grazed cells show less of theirs
    lymphocytes = width_um[nuclei.kind == "lymphocyte"]
    assert not len(lymphocytes) or (4.4 < lymphocytes.min() and lymphocytes.max() < 7.0)


def test_easy_nuclei_are_of_one_size() -> None:
    nuclei = patch_of("easy").nuclei
    width_um = 2.0 * np.sqrt(nuclei.axes_um.prod(axis=1))[(nuclei.kind == "tumour") & (nuclei.tone <= 1.0)]
    assert 7.0 < np.percentile(width_um, 5) < np.percentile(width_um, 95) < 12.0


@pytest.mark.parametrize("seed", [1, 2])
def test_no_nucleus_lies_in_fat_or_vessels(seed: int) -> None:
    habit = Habit(vessels=0.6, fat_level=0.2, cellularity=2.0, gap_share=0.3)
    patch = Tissue(seed, SECTIONS, habit).patch((0.0, 0.0, 900.0, 700.0))
    voids = [outline.astype(np.float32) for outline in [*patch.fat, *patch.vessels]]
    assert len(voids) > 5
    for outline in voids:
        assert all(cv2.pointPolygonTest(outline, tuple(xy), True) < 0.15 for xy in patch.nuclei.xy_um.tolist())


@pytest.mark.parametrize("share", [0.0, 0.1, 0.4])
def test_some_tumour_cells_have_no_nucleus(share: float) -> None:
    patch = Tissue(4, SECTIONS, Habit(no_nucleus_share=share)).patch((0.0, 0.0, 700.0, 700.0))
    cells = set(whole_tumour(patch))
    with_one = set(patch.nuclei.cell[patch.nuclei.kind == "tumour"].tolist())
    assert with_one <= cells
    assert len(with_one) / len(cells) == pytest.approx(1.0 - share, abs=0.06)


def test_each_cell_has_one_nucleus_at_most() -> None:
    for name in HABITS:
        nuclei = patch_of(name).nuclei
        cells = nuclei.cell[np.isin(nuclei.kind, ("tumour", "normal"))]
        assert len(np.unique(cells)) == len(cells)


def test_kinds_of_nuclei_lie_in_their_matter() -> None:
    patch = patch_of("worst", (0.0, 0.0, 900.0, 700.0))
    of = {"tumour": (Matter.TUMOUR, Matter.IN_SITU), "normal": (Matter.NORMAL,), "debris": (Matter.NECROSIS,)}
    of |= {kind: (Matter.STROMA,) for kind in ("lymphocyte", "fibroblast", "plasma")}
    for kind, matters in of.items():
        cells = patch.nuclei.cell[patch.nuclei.kind == kind]
        assert np.isin(patch.matter[cells], matters).all()
    assert (patch.nuclei.cell[patch.nuclei.kind == "flat"] == -1).all()
