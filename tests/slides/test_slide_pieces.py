"""Pieces of tissue that read as different as a case and its control."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scored_slides as slides
from hypothesis import given, settings
from hypothesis import strategies as st

from her2scope.domain.cells import CellClass
from her2scope.domain.false_cells import FalseRates
from her2scope.slides.records import SlideCells, Square, Survey
from her2scope.slides.slide_pieces import APART_UM, pieces_doubt

OF_SCORE = {"0": CellClass.NONE, "1+": CellClass.INCOMPLETE_FAINT, "2+": CellClass.COMPLETE_MODERATE,
            "3+": CellClass.COMPLETE_INTENSE}  # fmt: skip
SIDE_UM = 640.0


def two_pieces(left: str, right: str, apart_um: float, n: tuple[int, int] = (300, 150)) -> tuple[Survey, SlideCells]:
    """Two pieces of tissue of one score each, so far from each other."""
    at_um = SIDE_UM + round(apart_um / slides.SQUARE_UM) * slides.SQUARE_UM
    squares = np.full((10, int(at_um / slides.SQUARE_UM) + 10), Square.GLASS, np.uint8)
    squares[:, :10] = squares[:, -10:] = Square.TISSUE
    survey = slides.survey_of((at_um + SIDE_UM, SIDE_UM), squares=squares)
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.uniform(0, SIDE_UM, n[0]), at_um + rng.uniform(0, SIDE_UM, n[1])])
    classes = [OF_SCORE[left]] * n[0] + [OF_SCORE[right]] * n[1]
    return survey, slides.cells_of(classes, x, rng.uniform(0, SIDE_UM, sum(n)))


def doubt_of(survey: Survey, cells: SlideCells) -> tuple[str, ...]:
    return pieces_doubt(cells, survey.tissue, slides.RULES, survey.scale.um_per_px)


@pytest.mark.parametrize(("left", "right"), [("0", "3+"), ("3+", "0"), ("1+", "3+")])
def test_a_control_that_nobody_outlined_is_told_by_its_distance_and_its_score(left: str, right: str) -> None:
    (doubt,) = doubt_of(*two_pieces(left, right, 2 * APART_UM))
    assert f"{left} (" in doubt and f"{right} (" in doubt
    assert "(300 tumour cells around x 0.3, y 0.3 mm)" in doubt and "outline it (control 3+" in doubt


@pytest.mark.parametrize(
    ("left", "right", "apart_um", "n"),
    [
        ("2+", "3+", 2 * APART_UM, (300, 150)),  # as tumours are
        ("0", "2+", 2 * APART_UM, (300, 150)),
        ("0", "3+", 0.5 * APART_UM, (300, 150)),  # one piece, with a clone in it
        ("0", "3+", 2 * APART_UM, (300, 90)),  # too few for a score
    ],
)
def test_a_tumour_of_several_pieces_is_not_doubted(left: str, right: str, apart_um: float, n: tuple[int, int]) -> None:
    assert doubt_of(*two_pieces(left, right, apart_um, n)) == ()


def test_cells_that_the_method_misreads_make_no_piece_of_a_case_stained() -> None:
    """False cells come in squares, as in the score of the whole slide: a few of them in one square are no finding."""
    survey, cells = two_pieces("0", "3+", 2 * APART_UM)
    intense = cells.class_code[-1]
    codes = cells.class_code.copy()
    codes[:9] = intense  # 3 %, where 1 % are false in the mean and come together
    rates = FalseRates({CellClass.COMPLETE_INTENSE: 0.01}, icc=0.1)
    rules = replace(slides.RULES, false_rates=rates)
    assert pieces_doubt(replace(cells, class_code=codes), survey.tissue, rules, survey.scale.um_per_px) != ()


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_the_order_of_cells_does_not_matter(seed: int) -> None:
    survey, cells = two_pieces("0", "3+", 2 * APART_UM)
    order = np.random.default_rng(seed).permutation(len(cells))
    assert doubt_of(survey, cells.chosen(order)) == doubt_of(survey, cells)


def test_a_slide_without_cells_has_no_pieces() -> None:
    assert doubt_of(slides.survey_of(), slides.cells_of([], [], [])) == ()
