"""The tissue is the same however a region is reached, and its cells have the sizes of cells."""

from __future__ import annotations

import numpy as np
import pytest

from her2scope.phantom.antigen import express
from her2scope.phantom.tissue import Matter, Patch, Section, Tissue

TISSUE = Tissue(11, (Section("tissue", "2+"),))
REGION = (0.0, 0.0, 320.0, 180.0)
OVERLAPPING = (150.0, -90.0, 260.0, 70.0)


def by_place(patch: Patch) -> dict[tuple[int, int], int]:
    return {(int(i), int(j)): row for row, (i, j) in enumerate(patch.key) if patch.is_whole[row]}


def test_an_overlapping_region_has_the_same_cells_walls_and_antigen() -> None:
    first, second = TISSUE.patch(REGION), TISSUE.patch(OVERLAPPING)
    first_share, second_share = (express(patch, TISSUE.sections).share for patch in (first, second))
    here, there = by_place(first), by_place(second)
    both = here.keys() & there.keys()
    assert len(both) > 30
    for place in both:
        a, b = here[place], there[place]
        assert first.matter[a] == second.matter[b]
        assert np.array_equal(first.centre_um[a], second.centre_um[b])
        np.testing.assert_allclose(first_share[a], second_share[b], atol=1e-12)
        assert {tuple(p) for p in first.outline_um(a)} == {tuple(p) for p in second.outline_um(b)}


def test_nuclei_are_the_same_in_an_overlapping_region() -> None:
    def shown(bounds: tuple[float, float, float, float]) -> set[tuple[float, ...]]:
        nuclei = TISSUE.patch(bounds).nuclei
        rows = np.column_stack([nuclei.xy_um, nuclei.axes_um, nuclei.angle, nuclei.tone])
        left, top, right, bottom = 150.0, 0.0, 260.0, 70.0
        x, y = nuclei.xy_um.T
        return {tuple(row) for row in rows[(x > left) & (x < right) & (y > top) & (y < bottom)]}

    assert len(shown(REGION)) > 20
    assert shown(REGION) == shown(OVERLAPPING)


def test_the_walls_around_a_cell_close() -> None:
    patch = TISSUE.patch(REGION)
    for cell in np.nonzero(patch.is_whole & patch.is_tumour())[0]:
        outline = patch.outline_um(int(cell))
        steps = np.hypot(*(outline - np.roll(outline, 1, axis=0)).T)
        assert steps.max() < 2.0
        assert patch.inner_radius_um[cell] > 2.0


def test_cells_fill_the_plane_once() -> None:
    patch = TISSUE.patch((0.0, 0.0, 1000.0, 1000.0))

    def area(outline: np.ndarray) -> float:
        x, y = (outline - outline.mean(axis=0)).T
        return 0.5 * float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))

    tumour = np.nonzero(patch.is_whole & patch.is_tumour())[0]
    mean = np.mean([area(patch.outline_um(int(cell))) for cell in tumour])
    pitch_area = 14.5**2 * 3**0.5 / 2
    assert mean == pytest.approx(pitch_area, rel=0.05)


def test_nuclei_have_the_sizes_of_nuclei() -> None:
    nuclei = TISSUE.patch((0.0, 0.0, 600.0, 600.0)).nuclei
    width_um = 2 * np.sqrt(nuclei.axes_um.prod(axis=1))
    kind = np.array(nuclei.kind)
    assert 7.0 < np.percentile(width_um[kind == "tumour"], 5) < np.percentile(width_um[kind == "tumour"], 95) < 12.0
    round_ones = width_um[kind == "lymphocyte"]
    assert 4.5 < round_ones.min() and round_ones.max() < 7.0


def test_a_region_of_bare_glass_is_empty_and_no_error() -> None:
    tissue = Tissue(3, (Section("tissue", "3+", (0.0, 0.0, 300.0, 300.0)),))
    patch = tissue.patch((5000.0, 5000.0, 5200.0, 5200.0))
    assert (patch.matter == Matter.GLASS).all()
    assert len(patch.nuclei.kind) == 0 and len(patch.wall_cells) == 0


def test_another_seed_is_another_tissue() -> None:
    other = Tissue(12, TISSUE.sections).patch(REGION)
    assert not np.array_equal(other.site_um, TISSUE.patch(REGION).site_um)
