from __future__ import annotations

import numpy as np
import pytest
import scored_slides as slides
from hypothesis import given
from hypothesis import strategies as st

from her2scope.domain.cells import CellClass, CellCounts
from her2scope.overlays.palette import luminance
from her2scope.slides.records import Square
from her2scope.slides.slide_maps import (
    COMPLETE_SCALE,
    KIND_COLOURS,
    STAINING_SCALE,
    STEPS,
    heat_map,
    step_of,
    tissue_map,
)

counts = st.builds(CellCounts, *(st.integers(0, 50) for _ in range(5)))


@given(counts)
def test_more_complete_cells_never_get_a_darker_step(have: CellCounts) -> None:
    more = have + CellCounts(complete_intense=10)
    for scale in (COMPLETE_SCALE, STAINING_SCALE):
        assert 0 <= step_of(scale, have) <= step_of(scale, more) < len(STEPS) == len(scale.words)


def test_steps_are_told_apart_by_their_lightness_alone() -> None:
    light = [luminance(colour) for colour in STEPS]
    assert all(later > 1.5 * sooner for sooner, later in zip(light, light[1:], strict=False))


def half_slide() -> tuple[slides.SlideScore, slides.SlideCells]:
    """Complete cells on the left half, none on the right; the lowest quarter is glass."""
    squares = np.full((24, 32), Square.TISSUE, np.uint8)
    squares[18:] = Square.GLASS
    survey = slides.survey_of((2048.0, 1536.0), squares=squares)
    left = slides.spread_cells({CellClass.COMPLETE_INTENSE: 800}, (999.0, 1536.0))
    right = slides.spread_cells({CellClass.NONE: 800}, (999.0, 1536.0), seed=1)
    right.x_um[:] += 1001.0
    return slides.scored({}, survey=survey, cells=slides.SlideCells.joined([left, right]))


def test_the_map_shows_where_the_staining_is() -> None:
    score, cells = half_slide()
    drawn = heat_map(score, cells).astype(float)
    per_um = 3 / score.survey.overview_um_per_px  # drawn three times as large as it was read
    y = round(500 * per_um)
    left, right = drawn[y, round(400 * per_um)], drawn[y, round(1600 * per_um)]
    assert left.sum() > right.sum() + 150  # yellow is lighter than violet
    glass = drawn[round(1400 * per_um), round(400 * per_um)]
    assert np.ptp(glass) < 3  # nothing is coloured where no tissue is


def test_few_cells_are_no_colour() -> None:
    score, cells = slides.scored({CellClass.COMPLETE_INTENSE: 40}, survey=slides.survey_of((4000.0, 4000.0)))
    assert np.ptp(heat_map(score, cells)[:400].astype(int), axis=2).max() < 3


def test_each_kind_that_is_left_out_is_drawn_in_its_own_colour() -> None:
    squares = np.full((24, 32), Square.TISSUE, np.uint8)
    kinds = [kind for kind in KIND_COLOURS if kind is not Square.TISSUE]
    for place, kind in enumerate(kinds):
        squares[4:10, 6 * place : 6 * place + 5] = kind
    score, _ = slides.scored({CellClass.NONE: 500}, survey=slides.survey_of((2048.0, 1536.0), squares=squares))
    drawn = tissue_map(score)
    per_um = 3 / score.survey.overview_um_per_px
    for place, kind in enumerate(kinds):
        top, bottom = (round(row * slides.SQUARE_UM * per_um) for row in (4, 10))
        left, right = (round(column * slides.SQUARE_UM * per_um) for column in (6 * place, 6 * place + 5))
        found = {tuple(colour) for colour in drawn[top:bottom, left:right].reshape(-1, 3).tolist()}
        assert KIND_COLOURS[kind] in found


def test_nothing_is_drawn_into_the_survey() -> None:
    score, cells = half_slide()
    before = score.survey.overview.copy()
    heat_map(score, cells), tissue_map(score)
    assert np.array_equal(score.survey.overview, before)


@pytest.mark.parametrize("size_um", [(300.0, 200.0), (40.0, 3000.0), (90_000.0, 600.0)])
def test_any_form_of_slide_gets_a_map(size_um: tuple[float, float]) -> None:
    score, cells = slides.scored({CellClass.NONE: 200}, survey=slides.survey_of(size_um, um_per_px=1.0))
    assert heat_map(score, cells).shape[2] == 3 and tissue_map(score).dtype == np.uint8


def test_a_narrow_slide_leaves_its_legend_room() -> None:
    survey = slides.survey_of((500.0, 4000.0))
    score, cells = slides.scored({CellClass.NONE: 700}, survey=survey)
    for drawn in (tissue_map(score), heat_map(score, cells, STAINING_SCALE)):
        assert drawn.shape[1] >= 960
    assert (tissue_map(score)[:1000, 500:] == 255).all()  # beside the slide is paper
