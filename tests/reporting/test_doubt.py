"""How sure the score is, in words."""

from __future__ import annotations

import dataclasses

import factories
import pytest

from her2scope.domain.cells import CellClass
from her2scope.records import CaseView
from her2scope.reporting import doubt
from her2scope.reporting.content import field_rows


def view(**more: object) -> CaseView:
    found = factories.case_view([factories.equivocal_field()])
    return dataclasses.replace(found, score=dataclasses.replace(found.score, **more))  # type: ignore[arg-type]


PROBABILITY = {"0": 0.0004, "1+": 0.0196, "2+": 0.93, "3+": 0.05}


def test_each_score_has_its_probability_and_none_is_certain() -> None:
    told = doubt.probability_text(view(score_probability=PROBABILITY))
    assert told == "Probability of each score: 0: < 0.01 \u00b7 1+: 0.01 \u00b7 2+: 0.93 \u00b7 3+: 0.05"
    assert doubt.chance(0.9999) == "> 0.99"
    assert doubt.probability_text(view(score_probability=None)) == ""


def test_scores_that_the_scale_does_not_part_are_one() -> None:
    coarse = dataclasses.replace(view(score_probability=PROBABILITY), um_per_px=0.5)
    assert doubt.probability_text(coarse).startswith("Probability of each score: 0 or 1+: 0.02 \u00b7 2+")


@pytest.mark.parametrize(
    ("borderline", "fields", "cells", "expected"),
    [
        (False, 0, 0, ""),
        (True, 1, 120, "1 further field like these (120 cells) would settle it"),
        (True, 4, None, "4 further fields like these would settle it"),
        (True, None, None, "not settled by 200 further fields"),
    ],
)
def test_a_borderline_score_says_what_would_settle_it(
    borderline: bool, fields: int | None, cells: int | None, expected: str
) -> None:
    assert doubt.settle_text(view(borderline=borderline, further_fields=fields, further_cells=cells)) == expected


def test_a_hot_spot_is_named_with_its_field() -> None:
    even = [factories.counted_field({CellClass.NONE: 190, CellClass.COMPLETE_INTENSE: 2}) for _ in range(6)]
    hot = factories.counted_field({CellClass.NONE: 40, CellClass.COMPLETE_INTENSE: 150})
    found = factories.case_view([*even, hot])
    assert list(doubt.hot_spots(found)) == [7]
    assert field_rows(found)[-1].note.startswith("Hot spot: field 7 has 79 % complete intense")
    assert all("Hot spot" not in row.note for row in field_rows(found)[:-1])
    assert doubt.hot_spots(view(heterogeneity=None)) == {}
