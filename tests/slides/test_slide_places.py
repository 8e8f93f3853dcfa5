from __future__ import annotations

import numpy as np
import pytest
import scored_slides as slides

from her2scope.domain.cells import CellClass
from her2scope.domain.errors import UnreadableImageError
from her2scope.records import RgbImage
from her2scope.slides.slide_places import as_cells, places_to_show, view_of


def spotted() -> tuple[slides.SlideScore, slides.SlideCells]:
    cold = slides.spread_cells({CellClass.NONE: 2400, None: 300}, (2000.0, 1500.0))
    rng = np.random.default_rng(1)
    hot = slides.cells_of([CellClass.COMPLETE_INTENSE] * 80, rng.uniform(1210, 1390, 80), rng.uniform(810, 930, 80))
    return slides.scored({}, cells=slides.SlideCells.joined([cold, hot]))


def test_a_hot_spot_is_shown_first_and_with_its_cells() -> None:
    score, cells = spotted()
    places = places_to_show(score, cells, slides.plain_slide(score.survey), "srgb")
    assert places[0].title == f"Hot spot, square {score.hot_spots[0].number}"
    assert places[0].result.counts[CellClass.COMPLETE_INTENSE] == 80  # the view goes where they are
    titles = [place.title for place in places]
    assert len(set(titles)) == len(titles) > 4 and any(title.startswith("Usual") for title in titles)


def test_cells_lie_on_the_pixels_that_they_were_found_at() -> None:
    survey = slides.survey_of((400.0, 300.0))
    cells = slides.cells_of([CellClass.COMPLETE_MODERATE], [(200 + 0.5) * 0.25], [(120 + 0.5) * 0.25])
    score, _ = slides.scored({}, cells=cells, survey=survey)
    rgb = np.full((1200, 1600, 3), 220, np.uint8)
    rgb[120, 200] = 0
    view = view_of(score, cells, slides.ArraySlide(rgb), "srgb", (25.1, 10.2), (60.0, 40.0))
    (cell,) = view.cells
    black = np.argwhere(view.frame.rgb[..., 0] == 0)[0]
    assert (cell.y_px, cell.x_px) == pytest.approx(tuple(black))
    assert cell.outline_xy_px.mean(axis=0) == pytest.approx((cell.x_px, cell.y_px), abs=0.1)


def test_a_cell_in_doubt_is_one_where_it_is_shown() -> None:
    cells = slides.cells_of([CellClass.INCOMPLETE_FAINT] * 2, [50.0, 60.0], [50.0, 50.0])
    cells.uncertain[1] = True
    score, _ = slides.scored({}, cells=cells, survey=slides.survey_of((400.0, 300.0)))
    view = view_of(score, cells, slides.plain_slide(score.survey), "srgb", (0.0, 0.0), (100.0, 100.0))
    assert [cell.is_uncertain_faint for cell in sorted(view.cells, key=lambda cell: cell.x_px)] == [False, True]
    assert view.counts.uncertain_faint == 1


def test_what_is_not_counted_is_not_shown() -> None:
    cells = slides.cells_of([CellClass.NONE, CellClass.NONE], [50.0, 60.0], [50.0, 50.0], [True, False])
    score, _ = slides.scored({}, cells=cells, survey=slides.survey_of((400.0, 300.0)))
    view = view_of(score, cells, slides.plain_slide(score.survey), "srgb", (0.0, 0.0), (100.0, 100.0))
    assert len(view.cells) == 1


def test_a_rim_with_a_few_cells_is_no_place() -> None:
    inside = slides.spread_cells({CellClass.NONE: 3000}, (1000.0, 1000.0))
    rim = slides.cells_of([CellClass.COMPLETE_INTENSE] * 25, np.linspace(1010, 1100, 25), np.full(25, 20.0))
    score, cells = slides.scored({}, cells=slides.SlideCells.joined([inside, rim]))
    places = places_to_show(score, cells, slides.plain_slide(score.survey), "srgb")
    rim_square = next(one.number for one in score.squares if one.left_um == 1000.0)
    assert not any(place.title.endswith(f"square {rim_square}") for place in places if "Hot" not in place.title)


def test_a_damaged_part_of_the_slide_is_no_place() -> None:
    class Damaged(slides.ArraySlide):
        def region(self, level: int, left_px: int, top_px: int, width_px: int, height_px: int) -> RgbImage:
            raise UnreadableImageError("a.svs", "a part of it cannot be read")

    score, cells = spotted()
    assert places_to_show(score, cells, Damaged(np.zeros((4, 4, 3), np.uint8)), "srgb") == []


def test_cells_keep_their_measures() -> None:
    cells = slides.cells_of([CellClass.COMPLETE_INTENSE, None], [10.0, 20.0], [10.0, 20.0])
    both = as_cells(cells, np.array([0, 1]), np.zeros((2, 2)), 1.0)
    assert both[0].measure.completeness == 1.0 and both[0].cell_class is CellClass.COMPLETE_INTENSE
    assert both[1].cell_class is None
