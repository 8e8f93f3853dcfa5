from __future__ import annotations

import dataclasses

import factories
import numpy as np
import pytest
import scored_slides as slides
from hypothesis import given, settings
from hypothesis import strategies as st

from her2scope.domain.cells import CellClass, CellCounts
from her2scope.domain.false_cells import FalseRates
from her2scope.domain.guideline import BREAST_2023, Category
from her2scope.domain.score import LOW_END_NOT_COVERED, NEGATIVE_NOT_READ, ControlStanding, ControlStatus, score_case
from her2scope.slides.slide_json import slide_json
from her2scope.slides.slide_score import (
    MAX_DOUBTED_PERCENT,
    UNSTAINED,
    Controlled,
    Doubts,
    Rules,
    refused_slide,
    score_slide,
    scored_squares,
)

INTENSE, MODERATE, FAINT, NONE = (
    CellClass.COMPLETE_INTENSE,
    CellClass.COMPLETE_MODERATE,
    CellClass.INCOMPLETE_FAINT,
    CellClass.NONE,
)
some_cells = st.lists(
    st.tuples(
        st.sampled_from([*CellClass, None]), st.floats(0, 2000), st.floats(0, 1500), st.booleans()
    ),
    max_size=40,
)  # fmt: skip


def cells_from(drawn: list[tuple[CellClass | None, float, float, bool]]) -> slides.SlideCells:
    classes, x_um, y_um, within = zip(*drawn, strict=True) if drawn else ((), (), (), ())
    return slides.cells_of(classes, x_um, y_um, within)


# ---- squares ------------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(drawn=some_cells)
def test_squares_hold_every_counted_cell_once(drawn: list[tuple[CellClass | None, float, float, bool]]) -> None:
    squares = scored_squares(cells_from(drawn))
    counted = CellCounts.of(name for name, _, _, within in drawn if within)
    assert CellCounts.total(square.counts for square in squares) == counted
    assert [square.number for square in squares] == list(range(1, len(squares) + 1))


@settings(max_examples=40)
@given(drawn=some_cells, data=st.data())
def test_the_order_of_cells_does_not_matter(
    drawn: list[tuple[CellClass | None, float, float, bool]], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(drawn))
    assert scored_squares(cells_from(drawn)) == scored_squares(cells_from(shuffled))


def test_squares_know_which_faint_cells_are_in_doubt() -> None:
    cells = slides.cells_of([FAINT, FAINT, INTENSE, FAINT], [10.0, 20.0, 30.0, 700.0], [10.0] * 4)
    in_doubt = dataclasses.replace(cells, uncertain=np.array([True, False, True, True]))
    first, second = scored_squares(in_doubt)
    assert first.counts == CellCounts(complete_intense=1, incomplete_faint=2, uncertain_faint=1)
    assert second.counts == CellCounts(incomplete_faint=1, uncertain_faint=1)


def test_a_cell_lies_in_the_square_of_its_middle() -> None:
    cells = slides.cells_of([INTENSE, NONE, None], [499.9, 500.0, 1200.0], [10.0, 10.0, 600.0])
    found = {(one.left_um, one.top_um): one.counts for one in scored_squares(cells)}
    assert found == {
        (0.0, 0.0): CellCounts(complete_intense=1),
        (500.0, 0.0): CellCounts(none=1),
        (1000.0, 500.0): CellCounts(n_other=1),
    }


# ---- score --------------------------------------------------------------------------------------------------------


@settings(max_examples=15)
@given(
    counts=st.dictionaries(st.sampled_from([*CellClass, None]), st.integers(0, 400), min_size=1),
    standing=st.sampled_from([slides.VALID, slides.INVALID]),
)
def test_a_slide_is_scored_by_the_rules_of_a_case(counts: dict[CellClass | None, int], standing: Controlled) -> None:
    score, cells = slides.scored(counts, standing)
    fields = [square.counts for square in scored_squares(cells)]
    case = score_case(fields, BREAST_2023, FalseRates(), 0.25, standing.standing)
    assert (score.case.score, score.case.category, score.case.reportable) == (
        case.score,
        case.category,
        case.reportable,
    )
    assert score.case.counts == CellCounts.total(fields)
    assert score.case.interval95_percent == case.interval95_percent


def test_complete_membranes_are_both_complete_classes_with_an_interval() -> None:
    score, _ = slides.scored({INTENSE: 100, MODERATE: 200, CellClass.INCOMPLETE_INTENSE: 200, NONE: 500, None: 80})
    assert score.complete_percent == pytest.approx(30.0)
    low, high = score.complete_interval95_percent or (0, 0)
    assert 15 < low < 30 < high < 45
    assert score.case.counts.n_other == 80


def test_without_a_cell_there_is_no_percentage() -> None:
    score, _ = slides.scored({})
    assert score.complete_percent is None and score.complete_interval95_percent is None
    assert score.case.score is None and "insufficient" in score.case.reasons[0]


def test_too_few_cells_are_not_the_only_reason_that_is_said() -> None:
    for controlled, why in ((slides.ABSENT, "no control of this run"), (slides.INVALID, "the control is invalid")):
        case = slides.scored({NONE: 30}, controlled)[0].case
        assert case.score is None and "insufficient" in case.blocking[0] and why in case.blocking[1]
    assert len(slides.scored({NONE: 30})[0].case.blocking) == 1


def test_what_else_forbids_a_report_is_no_fault_of_the_control() -> None:
    score, _ = slides.scored({INTENSE: 300, NONE: 100}, refusals=("haze",))
    assert not score.case.reportable and score.case.blocking == ("haze",)
    assert score.standing.refusals == () and slide_json(score, "ef" * 32)["control"]["reasons"] == []


def test_the_words_of_a_slide_have_squares_and_no_fields() -> None:
    score, _ = slides.scored({INTENSE: 90, NONE: 910})
    told = " ".join((*score.case.reasons, score.case.sentence))
    assert "square" in told and "field" not in told


def test_coarse_scales_do_not_tell_0_from_1() -> None:
    score, _ = slides.scored({NONE: 900, FAINT: 300}, survey=slides.survey_of(um_per_px=0.5))
    assert score.case.category is Category.UNDETERMINED


# ---- control ------------------------------------------------------------------------------------------------------


def test_an_unstained_slide_without_a_control_is_not_a_0() -> None:
    score, _ = slides.scored({NONE: 1000}, slides.ABSENT)
    assert score.case.score is None and score.case.category is Category.UNDETERMINED and not score.case.reportable
    assert score.case.reasons[0] == UNSTAINED == score.case.blocking[0]
    assert score.case.score_probability is None


def test_false_faint_cells_do_not_make_an_unstained_slide_a_score() -> None:
    rules = Rules(BREAST_2023, FalseRates({FAINT: 0.18}), 100)
    cells = slides.spread_cells({NONE: 850, FAINT: 150}, (2000.0, 1500.0))
    score = score_slide(slides.survey_of(), cells, slides.ABSENT, rules, factories.PROGRAM, 1)
    assert score.case.score is None and UNSTAINED in score.case.reasons


def test_an_ultralow_slide_without_a_control_keeps_its_score() -> None:
    """Faint cells beyond doubt are staining seen; as many in doubt are not."""
    rules = Rules(BREAST_2023, FalseRates({FAINT: 0.03}, certain_faint=0.002), 100)
    cells = slides.spread_cells({NONE: 960, FAINT: 40}, (2000.0, 1500.0))
    doubted = dataclasses.replace(cells, uncertain=np.ones_like(cells.uncertain))
    one, other = (
        score_slide(slides.survey_of(), some, slides.ABSENT, rules, factories.PROGRAM, 1).case
        for some in (cells, doubted)
    )
    assert (one.score, one.category) == ("0", Category.ULTRALOW)
    assert other.score is None and UNSTAINED in other.reasons


@pytest.mark.parametrize("controlled", [slides.VALID, slides.INVALID])
def test_with_a_control_it_is(controlled: Controlled) -> None:
    score, _ = slides.scored({NONE: 1000}, controlled)
    assert score.case.score == "0"
    assert score.case.reportable is (controlled is slides.VALID)


def test_stained_without_a_control_is_scored_and_not_reportable() -> None:
    score, _ = slides.scored({INTENSE: 500, NONE: 500}, slides.ABSENT)
    assert score.case.score == "3+" and not score.case.reportable
    assert any("no control" in reason for reason in score.case.blocking)


def test_what_no_control_vouches_for_is_said() -> None:
    only_3 = dataclasses.replace(slides.VALID, standing=ControlStanding(ControlStatus.VALID))
    assert NEGATIVE_NOT_READ in slides.scored({INTENSE: 500, NONE: 500}, only_3)[0].case.reasons
    assert LOW_END_NOT_COVERED in slides.scored({NONE: 1000}, only_3)[0].case.reasons


def test_a_refusal_forbids_a_report() -> None:
    score, _ = slides.scored({INTENSE: 500, NONE: 500}, refusals=("the light changed",))
    assert not score.case.reportable and "the light changed" in score.case.blocking


# ---- doubts -------------------------------------------------------------------------------------------------------


@given(st.permutations([(90, ()), (5, ("haze",)), (2, ("haze",)), (3, ("grey",))]))
def test_doubts_of_tiles_are_weighed_by_their_cells(tiles: list[tuple[int, tuple[str, ...]]]) -> None:
    doubts = Doubts()
    for n_tumour, words in tiles:
        doubts.add(n_tumour, words)
    refusals, notes = doubts.told()
    assert 3 <= MAX_DOUBTED_PERCENT < 7
    assert refusals == ("haze (2 tiles with 7.0 % of the tumour cells)",)
    assert notes == ("grey (1 tiles with 3.0 % of the tumour cells)",)


# ---- hot spots, refusals ------------------------------------------------------------------------------------------


def test_a_hot_spot_is_found_where_it_is() -> None:
    cold = slides.spread_cells({NONE: 2400}, (2000.0, 1500.0))
    rng = np.random.default_rng(1)
    hot = slides.cells_of([INTENSE] * 80, rng.uniform(1010, 1490, 80), rng.uniform(510, 990, 80))
    score, _ = slides.scored({}, cells=slides.SlideCells.joined([cold, hot]))
    assert [(spot.x_um, spot.y_um) for spot in score.hot_spots] == [(1250.0, 750.0)]
    assert score.hot_spots[0].counts[INTENSE] == 80
    assert "square" in score.hot_spots[0].words


def test_an_even_slide_has_none() -> None:
    assert slides.scored({INTENSE: 1000, NONE: 1000})[0].hot_spots == ()


def test_a_refused_slide_says_why() -> None:
    survey = slides.survey_of(refusals=("its colours are haematoxylin and eosin",), notes=("white estimated",))
    score = refused_slide(survey, slides.RULES, factories.PROGRAM, ("no outlines",))
    assert score.case.score is None and not score.case.reportable
    assert score.case.reasons == survey.refusals and score.notes == ("white estimated", "no outlines")
