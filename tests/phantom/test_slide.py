"""The virtual slide: tiles that are the same whoever draws them, without a seam, on glass of any size."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2scope.domain.errors import BadInputError, NotAvailableError
from her2scope.phantom import slide as slide_module
from her2scope.phantom.antigen import express
from her2scope.phantom.field import focused_light
from her2scope.phantom.layers import MARGIN_UM
from her2scope.phantom.optics import developed
from her2scope.phantom.run import Run, make_run
from her2scope.phantom.slide import (
    AT_ONCE,
    CAMERA_MARGIN_PX,
    CONTROLS,
    TILE_PX,
    TILES_KEPT,
    PhantomSlide,
    View,
    rectangle_of,
)
from her2scope.phantom.tissue import Tissue
from her2scope.records import RgbImage

SIZE_WH = (320, 256)


def place_px(slide: PhantomSlide, place: str = "tissue", um_per_px: float = 0.25) -> tuple[int, int]:
    x_um, y_um = slide.places[place]
    return round(x_um / um_per_px), round(y_um / um_per_px)


def drawn_at_once(slide: PhantomSlide, tissue: Tissue, run: Run, view: View) -> RgbImage:
    """What the tiles of a view must add up to."""
    grid = view.grid.widened(CAMERA_MARGIN_PX)
    left, top, right, bottom = grid.bounds_um
    patch = tissue.patch((left - MARGIN_UM, top - MARGIN_UM, right + MARGIN_UM, bottom + MARGIN_UM))
    light = focused_light(patch, express(patch, tissue.sections), run, grid)
    light = light * (1.0 - run.optics.flare) + run.optics.flare
    lamp = (run.optics.exposure * np.array(run.optics.lamp_rgb)).astype(np.float32)
    inner = slice(CAMERA_MARGIN_PX, -CAMERA_MARGIN_PX)
    return developed(light * lamp, run.optics)[inner, inner]


def test_a_tile_is_the_same_whatever_was_drawn_before() -> None:
    run = make_run(2)
    first, second = PhantomSlide(run, "2+"), PhantomSlide(run, "2+")
    x, y = place_px(first)
    first.view(x - 900, y + 500, SIZE_WH, 0.25)
    first.view(x + 300, y, SIZE_WH, 0.25)
    assert np.array_equal(first.view(x, y, SIZE_WH, 0.25), second.view(x, y, SIZE_WH, 0.25))


def test_a_tile_is_the_same_whichever_thread_draws_it() -> None:
    run = make_run(2)
    shared, alone = PhantomSlide(run, "2+"), PhantomSlide(run, "2+")
    x, y = place_px(shared)
    corners = [(x + 100 * k, y - 60 * k) for k in range(4)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda corner: shared.view(*corner, SIZE_WH, 0.25), corners))
    for corner, picture in zip(corners, together, strict=True):
        assert np.array_equal(picture, alone.view(*corner, SIZE_WH, 0.25))


@pytest.mark.parametrize("camera", ["linear", "sharp", "soft"])
def test_tiles_add_up_to_the_view_drawn_at_once(camera: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Tissue] = []
    monkeypatch.setattr(slide_module, "Tissue", lambda *given: seen.append(Tissue(*given)) or seen[0])
    run = make_run(4, camera=camera)
    slide = PhantomSlide(run, "3+")
    x, y = place_px(slide)
    view = View(x // TILE_PX * TILE_PX - 150, y // TILE_PX * TILE_PX - 120, 400, 300, 0.25)
    difference = slide.picture(view).astype(int) - drawn_at_once(slide, seen[0], run, view)
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("um_per_px", [0.25, 0.5])
def test_tiles_meet_without_a_seam(um_per_px: float) -> None:
    slide = PhantomSlide(make_run(2), "0")
    x, y = (value // TILE_PX * TILE_PX for value in place_px(slide, um_per_px=um_per_px))
    view = slide.view(x - 64, y - 64, (128, 128), um_per_px).astype(int)
    steps = np.abs(np.diff(view, axis=1)).mean(axis=(0, 2))
    assert steps[63] < 1.8 * np.median(steps) + 1.0
    assert np.abs(np.diff(view, axis=0)).mean(axis=(1, 2))[63] < 1.8 * np.median(steps) + 1.0


@pytest.mark.parametrize(("camera", "um_per_px"), [("linear", 0.25), ("sharp", 0.25), ("soft", 0.5)])
def test_tiles_drawn_together_are_those_drawn_one_by_one(camera: str, um_per_px: float) -> None:
    run = make_run(4, camera=camera)
    together, alone = PhantomSlide(run, "3+"), PhantomSlide(run, "3+")
    x, y = place_px(together, um_per_px=um_per_px)
    view = View(x // TILE_PX * TILE_PX, y // TILE_PX * TILE_PX, 2 * TILE_PX, 3 * TILE_PX, um_per_px)
    wanted, drawings = view.tiles(), 0
    while missing := together.missing(wanted):
        together.draw_some(missing)
        drawings += 1
    assert drawings < len(wanted)
    for tile in wanted:
        alone.draw_some([tile])
    assert np.array_equal(together.picture(view), alone.picture(view))


def test_only_what_is_asked_for_is_drawn_and_kept() -> None:
    slide = PhantomSlide(make_run(2), "0")
    corner, across = (0.25, 0, 0), (0.25, 1, 1)
    slide.draw_some([corner, across])
    assert slide.missing([corner, across, (0.25, 0, 1), (0.25, 1, 0)]) == [across, (0.25, 0, 1), (0.25, 1, 0)]
    wanted = [(0.25, 0, 1), (0.5, 0, 0), (0.5, 0, 1)]  # at two scales
    slide.draw_some(wanted)
    assert slide.missing(wanted) == wanted[1:]


@given(places=st.lists(st.tuples(st.integers(-12, 12), st.integers(-12, 12)), min_size=1, max_size=300, unique=True))
def test_what_is_drawn_in_one_go_is_a_rectangle_of_what_is_wanted(places: list[tuple[int, int]]) -> None:
    left = [(0.25, column, row) for column, row in places]
    while left:
        chosen = rectangle_of([*left, (0.5, 0, 0)])
        columns, rows = {tile[1] for tile in chosen}, {tile[2] for tile in chosen}
        assert left[0] in chosen and set(chosen) <= set(left)
        assert len(chosen) == len(set(chosen)) == len(columns) * len(rows) <= AT_ONCE
        assert max(columns) - min(columns) < len(columns) and max(rows) - min(rows) < len(rows)
        left = [tile for tile in left if tile not in chosen]


def test_a_whole_view_is_drawn_in_one_go_wherever_it_lies() -> None:
    for shift in (0, 1, TILE_PX - 1):
        tiles = View(shift, -shift, 1280, 720, 0.25).tiles()
        assert sorted(rectangle_of(tiles)) == sorted(tiles)


def test_places_are_known_by_name_before_they_are_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    looked, fault = [], slide_module.view_fault
    monkeypatch.setattr(slide_module, "view_fault", lambda *given: looked.append(given) or fault(*given))
    places = PhantomSlide(make_run(2), "0").places
    assert [*places] == [*CONTROLS, "tissue"] and len(places) == 5 and "tissue" in places and "cellar" not in places
    assert looked == []
    found, n_looked = places["tissue"], len(looked)
    assert n_looked > 0 and places["tissue"] == found and len(looked) == n_looked, "looked for once"


def test_a_view_beyond_the_slide_is_glass() -> None:
    view = PhantomSlide(make_run(2), "0").view(-5000, -5000, (64, 64), 0.25)
    white = np.array(make_run(2).optics.white_rgb())
    assert np.abs(view - white).max() < 2


@pytest.mark.parametrize("place", CONTROLS)
def test_controls_have_the_level_they_are_named_after(place: str) -> None:
    slide = PhantomSlide(make_run(1), "2+")
    x, y = place_px(slide, place)
    truth = slide.truth(x - 640, y - 360, (1280, 720), 0.25)
    assert truth["score"] == place.removeprefix("control ")
    assert truth["n_tumour"] >= 100


def test_there_is_a_control_of_every_level() -> None:
    assert sorted(CONTROLS.values()) == ["0", "1+", "2+", "3+"]


def test_a_slide_may_be_of_any_size() -> None:
    slide = PhantomSlide(make_run(2), "3+", (60_000.0, 24_000.0))
    x_um, y_um = slide.places["tissue"]
    assert 20_000.0 < x_um < 40_000.0 and 8_000.0 < y_um < 18_000.0
    x, y = place_px(slide)
    assert slide.view(x, y, SIZE_WH, 0.25).std() > 5
    with pytest.raises(BadInputError):
        PhantomSlide(make_run(2), "3+", (60_000.0, 200.0))
    with pytest.raises(NotAvailableError):
        PhantomSlide(make_run(2), "4+")


def test_only_so_many_tiles_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slide_module, "TILES_KEPT", 4)
    slide = PhantomSlide(make_run(2), "0")
    first, second = View(0, 0, 512, 512, 0.25), View(5120, 0, 512, 512, 0.25)
    before = slide.picture(first)
    assert len(slide.missing(first.tiles())) == 4 * 4 - 4
    slide.picture(second)
    assert slide.missing(first.tiles()) == first.tiles() and len(slide.missing(second.tiles())) == 4 * 4 - 4
    assert np.array_equal(slide.picture(first), before)


def test_three_by_three_views_of_full_hd_are_kept() -> None:
    assert len(View(100, 100, 1920, 1080, 0.25).widened(1.0).tiles()) < TILES_KEPT


def test_tiles_come_nearest_first_and_towards_the_travel() -> None:
    view = View(0, 0, 5 * TILE_PX, 5 * TILE_PX, 0.25)
    assert view.tiles()[0] == (0.25, 2, 2) and len(view.tiles()) == 25
    assert view.tiles((2.0 * TILE_PX, 0.0))[0] == (0.25, 4, 2)
    assert view.tiles((2.0 * TILE_PX, 0.0))[-1][1] == 0
    assert view.in_whole_tiles() == view
    assert View(-1, 3, 10, TILE_PX - 3, 0.25).in_whole_tiles() == View(-TILE_PX, 0, 2 * TILE_PX, TILE_PX, 0.25)


def test_a_hint_shows_where_tissue_lies_and_what_is_drawn() -> None:
    slide = PhantomSlide(make_run(2), "0")
    x, y = place_px(slide)
    view = View(x - 300, y - 200, 600, 400, 0.25)
    hint = slide.passing_picture(view)
    assert hint.shape == (400, 600, 3) and slide.missing(view.tiles()) == view.tiles()
    assert hint.min() < 200
    assert np.array_equal(slide.picture(view), slide.passing_picture(view))
