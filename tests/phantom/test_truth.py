"""The truth of a field: it sits on the picture, adds up, and does not depend on how much of the slide is shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from math import ceil
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from her2scope.domain.cells import CellClass
from her2scope.imaging.opencv import cv2
from her2scope.phantom import truth
from her2scope.phantom.antigen import Antigen, Level, express, true_class
from her2scope.phantom.cells import Patch
from her2scope.phantom.field import focused_light
from her2scope.phantom.growth import Matter, Section
from her2scope.phantom.habit import Habit, draw_habit
from her2scope.phantom.layers import MARGIN_UM
from her2scope.phantom.noise import Grid
from her2scope.phantom.optics import Light, Optics
from her2scope.phantom.run import Run, make_run
from her2scope.phantom.stain import Stain
from her2scope.phantom.tissue import Tissue
from her2scope.phantom.truth import NEVER_SEEN, NO_NUCLEUS, count_cells, quick_counts, truth_maps, truth_of

Cells = list[dict[str, Any]]
GRID = Grid(0.0, 0.0, 0.25, 640, 480)
SCALES = (0.1, 0.25, 0.46, 0.6)
FULL = Habit(lumen_level=1.0, necrosis_level=1.0)
"""Tumour and nothing else, with a nest level below every height."""
RUN = make_run(0, "easy")
CLEAN = replace(RUN, stain=Stain(haze_od10=0.0, leak_share=0.0, dab_gain=0.0), optics=Optics(shading=0.0, blur_um=0.06))


@cache
def grown(
    score: str = "2+", habit: Habit | None = None, grid: Grid = GRID, level: float = -0.14, seed: int = 4
) -> tuple[Patch, Antigen]:
    tissue = Tissue(seed, (Section("tissue", score, nest_level=level),), habit or draw_habit(seed, "hard"))
    patch = tissue.patch(grid.widened(ceil(MARGIN_UM / grid.um_per_px)).bounds_um)
    return patch, express(patch, tissue.sections)


def full_of_tumour(um_per_px: float, score: str = "0") -> tuple[Patch, Antigen, Grid]:
    grid = Grid(40.0, 30.0, um_per_px, int(100.0 / um_per_px), int(80.0 / um_per_px))
    return *grown(score, FULL, grid, -9.0), grid


def cells_of(score: str = "2+", light: Light | None = None) -> Cells:
    cells: Cells = truth_of(*grown(score), RUN, GRID, () if light is None else (light,))["cells"]
    return cells


def area_and_centre(outline: list[list[float]]) -> tuple[float, NDArray[np.float64]]:
    moments = cv2.moments(np.array(outline, np.float32))
    return moments["m00"], np.array([moments["m10"], moments["m01"]]) / moments["m00"]


# ---- it adds up


@pytest.mark.parametrize("score", ["0", "1+", "2+", "3+"])
def test_arcs_agree_with_completeness_and_class(score: str) -> None:
    tumour = [cell for cell in cells_of(score) if cell["kind"] == "tumour"]
    assert len(tumour) > 30
    for cell in tumour:
        at_level = [
            sum(end - begin for begin, end, name in cell["arcs"] if name == level.name.lower()) for level in Level
        ]
        assert sum(at_level) == pytest.approx(cell["completeness"], abs=2e-3)
        assert at_level[Level.NONE] == 0.0 and (cell["intensity_od10"] > 0) == (cell["completeness"] > 0)
        share = np.array([1.0 - sum(at_level), *at_level[1:]])
        near_limit = min(abs(share[1:].sum() - limit) for limit in (0.1, 0.9)) < 2e-3 or abs(share[3] - 0.75) < 2e-3
        assert near_limit or true_class(share).value == cell["class"]


def test_arcs_do_not_overlap_and_lie_on_the_outline() -> None:
    for cell in cells_of("2+"):
        ends = [place for begin, end, _ in cell["arcs"] for place in (begin, end)]
        assert ends == sorted(ends) and all(0.0 <= place <= 1.0 for place in ends)


def test_figures_follow_from_the_cells() -> None:
    truth = truth_of(*grown("2+"), RUN, GRID)
    counted = [cell for cell in truth["cells"] if cell["visible"] and not cell["edge"]]
    tumour = [cell for cell in counted if cell["kind"] == "tumour"]
    assert truth["n_tumour"] == len(tumour) and truth["n_other"] == len(counted) - len(tumour)
    for name in CellClass:
        share = 100.0 * sum(cell["class"] == name.value for cell in tumour) / len(tumour)
        assert truth["shares_percent"][name.value] == pytest.approx(share, abs=1e-3)


def test_quick_counts_are_near_those_of_the_truth() -> None:
    patch, antigen = grown("2+")
    quick, truth = quick_counts(patch, antigen, GRID), truth_of(patch, antigen, RUN, GRID)
    assert truth["n_tumour"] <= quick.n_tumour < 1.5 * truth["n_tumour"]


def test_others_have_no_class_and_no_membrane() -> None:
    others = [cell for cell in cells_of("3+") if cell["kind"] == "other"]
    assert others
    for cell in others:
        assert cell["class"] is None and cell["completeness"] == cell["intensity_od10"] == 0.0
        assert cell["arcs"] == cell["outline_px"] == [] and cell["type"] not in ("tumour", NO_NUCLEUS)


# ---- what is counted


def test_kinds_that_no_reader_counts_are_never_counted() -> None:
    habit = replace(FULL, ghost_share=0.3, no_nucleus_share=0.2, necrosis_level=0.0)
    patch, antigen = grown("2+", habit, GRID, -9.0)
    cells = truth_of(patch, antigen, RUN, GRID)["cells"]
    never = [cell for cell in cells if cell["type"] in (*NEVER_SEEN, NO_NUCLEUS)]
    assert {cell["type"] for cell in never} == {"ghost", "debris", NO_NUCLEUS}
    assert not any(cell["visible"] for cell in never)
    counts = count_cells(cells)
    assert counts == count_cells([cell for cell in cells if cell not in never])


def test_a_cell_is_listed_once() -> None:
    patch, _ = grown()
    cells = cells_of()
    own = [(cell["x_px"], cell["y_px"]) for cell in cells]
    assert len(set(own)) == len(own)
    tumour = [cell for cell in cells if cell["kind"] == "tumour"]
    centres = GRID.to_px(patch.centre_um[patch.is_whole & patch.is_tumour()])
    inside = ((centres > 40.0) & (centres < (GRID.width - 41.0, GRID.height - 41.0))).all(axis=1)
    middles = np.array([area_and_centre(cell["outline_px"])[1] for cell in tumour])
    nearest = [np.hypot(*(middles - centre).T).min() for centre in centres[inside]]
    assert len(nearest) > 10 and max(nearest) < 1.0


def test_tumour_in_ducts_is_counted_and_named() -> None:
    habit = Habit(in_situ_ducts=0.5, normal_ducts=0.8)
    wide = Grid(0.0, 0.0, 0.5, 900, 800)
    patch, antigen = grown("2+", habit, wide, 0.3)
    cells = truth_of(patch, antigen, RUN, wide)["cells"]
    regions = {cell["region"] for cell in cells if cell["kind"] == "tumour"}
    assert "in_situ" in regions <= {"in_situ", "tumour"}
    in_situ = [cell for cell in cells if cell["region"] == "in_situ" and cell["type"] == "tumour"]
    assert in_situ and all(cell["class"] for cell in in_situ)
    normal = [cell for cell in cells if cell["type"] == "normal"]
    assert normal and all(cell["kind"] == "other" and cell["region"] == "normal" for cell in normal)


def test_an_outline_that_is_cut_is_at_the_edge() -> None:
    for cell in cells_of("2+"):
        outline = np.array(cell["outline_px"] if cell["kind"] == "tumour" else cell["nucleus_px"])
        cut = (outline < -0.5).any() or (outline > (GRID.width - 0.5, GRID.height - 0.5)).any()
        close = (np.abs(outline + 0.5) < 0.1).any()
        assert close or cell["edge"] == cut


# ---- it does not depend on how much is shown


@pytest.mark.parametrize("seed", [5, 7])
def test_a_cell_is_the_same_in_overlapping_fields(seed: int) -> None:
    def found(grid: Grid) -> dict[tuple[float, float], dict[str, Any]]:
        patch, antigen = grown("2+", None, grid, -0.14, seed)
        cells = {}
        for cell in truth_of(patch, antigen, RUN, grid)["cells"]:
            shift = np.array([grid.left_um, grid.top_um]) / grid.um_per_px
            place = (round(cell["x_px"] + shift[0], 1), round(cell["y_px"] + shift[1], 1))
            centre = np.array([cell["x_px"], cell["y_px"]])
            at = {key: np.array(cell[key]).reshape(-1, 2) + shift for key in ("outline_px", "nucleus_px")}
            same = {key: cell[key] for key in ("class", "completeness", "kind", "type", "region", "intensity_od10")}
            if (centre > 100).all() and (centre < np.array([grid.width, grid.height]) - 101).all():
                cells[place] = same | at | {"visible": cell["visible"], "arcs": cell["arcs"]}
        return cells

    here, there = found(Grid(0.0, 0.0, 0.25, 800, 640)), found(Grid(40.0, 30.0, 0.25, 800, 560))
    both = here.keys() & there.keys()
    assert len(both) > 20
    for place in both:
        a, b = here[place], there[place]
        assert all(a[key] == b[key] for key in ("class", "kind", "type", "region", "intensity_od10", "visible"))
        assert a["completeness"] == pytest.approx(b["completeness"], abs=1e-4)
        for key in ("outline_px", "nucleus_px"):
            np.testing.assert_allclose(a[key], b[key], atol=0.11)


# ---- what can be seen


def light_of(stain: Stain, habit: Habit = FULL) -> tuple[Patch, Antigen, Light]:
    patch, antigen = grown("0", habit, GRID, -9.0)
    run = replace(CLEAN, stain=replace(CLEAN.stain, haematoxylin_gain=stain.haematoxylin_gain))
    return patch, antigen, focused_light(patch, antigen, run, GRID)


def seen_with(gain: float) -> NDArray[np.bool_]:
    patch, antigen, light = light_of(Stain(haematoxylin_gain=gain))
    return np.array([cell["visible"] for cell in truth_of(patch, antigen, CLEAN, GRID, (light,))["cells"]])


def test_without_haematoxylin_no_nucleus_is_seen() -> None:
    assert seen_with(1.0).mean() > 0.8
    assert not seen_with(0.01).any()


def test_more_haematoxylin_hides_no_nucleus() -> None:
    gains = (0.05, 0.1, 0.2, 0.4, 0.8, 1.4)
    seen = [seen_with(gain) for gain in gains]
    assert all((more | ~less).all() for less, more in zip(seen, seen[1:], strict=False))
    assert seen[0].sum() < seen[-1].sum()


def test_a_nucleus_under_another_is_not_seen() -> None:
    patch, antigen = grown("0", FULL, GRID, -9.0)
    nuclei = patch.nuclei
    inside = ((nuclei.xy_um > 20.0) & (nuclei.xy_um < 100.0)).all(axis=1)
    first, second = np.nonzero(inside)[0][[0, -1]]
    moved = nuclei.xy_um.copy()
    moved[second] = moved[first]
    axes = nuclei.axes_um.copy()
    axes[second] = 1.2 * axes[first]
    stacked = replace(patch, nuclei=replace(nuclei, xy_um=moved, axes_um=axes))
    run = replace(CLEAN, stain=Stain())
    light = focused_light(stacked, antigen, run, GRID)
    cells = truth_of(stacked, antigen, run, GRID, (light,))["cells"]
    place = GRID.to_px(moved[first])
    at = [cell for cell in cells if np.hypot(cell["x_px"] - place[0], cell["y_px"] - place[1]) < 0.01]
    assert [cell["visible"] for cell in sorted(at, key=lambda cell: cell["nucleus_radius_um"])] == [False, True]


def test_a_nucleus_out_of_focus_lies_behind_all_others() -> None:
    patch, antigen = grown("0", replace(FULL, ghost_share=0.5), GRID, -9.0)
    cells = truth_of(patch, antigen, RUN, GRID)["cells"]
    nucleus = truth_maps(patch, antigen, GRID).nucleus
    is_ghost = np.array([False, *(cell["type"] == "ghost" for cell in cells)])
    without = truth_maps(*grown("0", FULL, GRID, -9.0), GRID).nucleus
    assert is_ghost[nucleus].any()
    assert np.array_equal((nucleus > 0) & ~is_ghost[nucleus], without > 0)


def test_cells_beyond_what_a_map_holds_have_no_label(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = truth_maps(*grown("2+"), GRID)
    monkeypatch.setattr(truth, "MOST_CELLS", 20)
    cut = truth_maps(*grown("2+"), GRID)
    for name in ("nucleus", "cell"):
        before, after = getattr(whole, name), getattr(cut, name)
        assert before.max() > 20
        assert np.array_equal(after, np.where(before <= 20, before, 0))


# ---- it sits on the picture


def lone_nuclei(cells: Cells, grid: Grid) -> Iterator[tuple[dict[str, Any], float]]:
    """Nuclei that no other touches, and their radius in px."""
    centres = np.array([(cell["x_px"], cell["y_px"]) for cell in cells])
    radii = np.array([cell["nucleus_radius_um"] for cell in cells]) / grid.um_per_px
    for cell, centre, radius in zip(cells, centres, radii, strict=True):
        gap = np.sort(np.hypot(*(centres - centre).T) - 1.2 * radii)[1] - 1.3 * radius
        margin = 1.8 * radius
        inside = (centre > margin).all() and (centre < np.array([grid.width, grid.height]) - margin).all()
        if cell["visible"] and inside and gap > 0.4 / grid.um_per_px:
            yield cell, radius


@pytest.mark.parametrize("um_per_px", SCALES)
def test_truth_centres_lie_on_nuclei_in_the_light(um_per_px: float) -> None:
    patch, antigen, grid = full_of_tumour(um_per_px)
    even = replace(patch, nuclei=replace(patch.nuclei, pale=np.zeros_like(patch.nuclei.pale)))
    run: Run = replace(CLEAN, stain=replace(CLEAN.stain, cytoplasm_od10=0.0, stroma_od10=0.0))
    dark = -np.log10(focused_light(even, antigen, run, grid)).sum(axis=2)
    cells = truth_of(even, antigen, run, grid)["cells"]
    y_px, x_px = np.mgrid[: grid.height, : grid.width]
    off = []
    for cell, radius in lone_nuclei(cells, grid):
        near = (dark > 0.1) * (np.hypot(x_px - cell["x_px"], y_px - cell["y_px"]) < 1.4 * radius + 1.0)
        centre = np.array([np.sum(near * x_px), np.sum(near * y_px)]) / near.sum()
        off.append(centre - (cell["x_px"], cell["y_px"]))
    assert len(off) > 10
    assert np.hypot(*np.array(off).T).max() < 0.5
    assert np.abs(np.mean(off, axis=0)).max() < 0.15


@pytest.mark.parametrize("um_per_px", SCALES)
def test_outlines_and_nuclei_in_pixels_agree_with_the_maps(um_per_px: float) -> None:
    patch, antigen, grid = full_of_tumour(um_per_px, "2+")
    cells = truth_of(patch, antigen, RUN, grid)["cells"]
    maps = truth_maps(patch, antigen, grid)
    y_px, x_px = np.mgrid[: grid.height, : grid.width]
    off_cell, off_nucleus = [], []
    for place, cell in enumerate(cells):
        if cell["edge"]:
            continue
        if cell["kind"] == "tumour":
            area, centre = area_and_centre(cell["outline_px"])
            own = maps.cell == place + 1
            off_cell.append((x_px[own].mean(), y_px[own].mean()) - centre)
            assert own.sum() == pytest.approx(area, rel=0.15)
        if cell["nucleus_px"] and cell["type"] == "tumour":
            centre = area_and_centre(cell["nucleus_px"])[1]
            assert np.hypot(*(centre - (cell["x_px"], cell["y_px"]))) < 0.5
            own = maps.nucleus == place + 1
            if own.sum() > 0.95 * np.pi * (cell["nucleus_radius_um"] / um_per_px) ** 2:
                off_nucleus.append((x_px[own].mean(), y_px[own].mean()) - centre)
    for off in (off_cell, off_nucleus):
        assert len(off) > 8
        away = np.hypot(*np.array(off).T)
        assert np.mean(away < 0.5) > 0.85 and away.max() < 0.9
        assert np.abs(np.mean(off, axis=0)).max() < 0.15


def test_maps_name_what_lies_there() -> None:
    patch, antigen = grown("2+")
    cells, maps = truth_of(patch, antigen, RUN, GRID)["cells"], truth_maps(patch, antigen, GRID)
    assert maps.nucleus.max() <= len(cells) and maps.cell.max() <= len(cells)
    for name, plane in (("nucleus", maps.nucleus), ("cell", maps.cell)):
        assert plane.shape == (GRID.height, GRID.width) and plane.dtype == np.uint16, name
    assert set(np.unique(maps.membrane)) <= {int(level) for level in Level}
    assert set(np.unique(maps.region)) <= {int(matter) for matter in Matter}
    named = {name.name.lower(): int(name) for name in Matter}
    agree = [
        maps.region[round(cell["y_px"]), round(cell["x_px"])] == named[cell["region"]]
        for cell in cells
        if cell["type"] == "tumour" and not cell["edge"]
    ]
    assert np.mean(agree) > 0.97


def test_arcs_lie_on_the_membrane_of_the_map() -> None:
    patch, antigen, grid = full_of_tumour(0.25, "2+")
    levels = truth_maps(patch, antigen, grid).membrane
    on, off = [], []
    for cell in truth_of(patch, antigen, RUN, grid)["cells"]:
        if cell["edge"] or cell["kind"] != "tumour":
            continue
        outline = np.array([*cell["outline_px"], cell["outline_px"][0]])
        length = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(outline, axis=0).T))])
        places = np.linspace(0.0, 1.0, 120, endpoint=False)
        x, y = (np.rint(np.interp(places * length[-1], length, outline[:, axis])).astype(int) for axis in (0, 1))
        stained = np.zeros(len(places), np.bool_)
        near_end = np.zeros(len(places), np.bool_)
        for begin, end, _ in cell["arcs"]:
            stained |= (places >= begin) & (places < end)
            near_end |= (np.abs(places - begin) < 0.03) | (np.abs(places - end) < 0.03)
        found = levels[y, x] > 0
        on.append(found[stained & ~near_end])
        off.append(found[~stained & ~near_end])
    assert np.concatenate(on).mean() > 0.97 and np.concatenate(off).mean() < 0.05
