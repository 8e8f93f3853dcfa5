"""Classes come from walls: the guideline's words, whatever a cell was meant to express."""

from __future__ import annotations

import numpy as np
import pytest

from her2scope.domain.cells import CellClass
from her2scope.phantom.antigen import PATTERNS, Level, express, stretches, true_class
from her2scope.phantom.tissue import Section, Tissue


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        ((1.0, 0.0, 0.0, 0.0), CellClass.NONE),
        ((0.95, 0.05, 0.0, 0.0), CellClass.NONE),
        ((0.7, 0.3, 0.0, 0.0), CellClass.INCOMPLETE_FAINT),
        ((0.5, 0.2, 0.3, 0.0), CellClass.INCOMPLETE_INTENSE),
        ((0.11, 0.0, 0.0, 0.89), CellClass.INCOMPLETE_INTENSE),
        ((0.05, 0.95, 0.0, 0.0), CellClass.COMPLETE_MODERATE),
        ((0.0, 0.0, 1.0, 0.0), CellClass.COMPLETE_MODERATE),
        ((0.0, 0.0, 0.3, 0.7), CellClass.COMPLETE_MODERATE),
        ((0.0, 0.1, 0.1, 0.8), CellClass.COMPLETE_INTENSE),
    ],
)
def test_a_class_follows_from_the_shares_of_the_outline(share: tuple[float, ...], expected: CellClass) -> None:
    assert true_class(np.array(share)) is expected


@pytest.mark.parametrize("score", PATTERNS)
def test_shares_of_an_outline_sum_to_one(score: str) -> None:
    tissue = Tissue(2, (Section("tissue", score),))
    patch = tissue.patch((0.0, 0.0, 200.0, 200.0))
    shares = express(patch, tissue.sections).share[patch.is_whole & patch.is_tumour()]
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)


def test_a_wall_counts_for_both_tumour_cells_that_touch() -> None:
    tissue = Tissue(4, (Section("tissue", "3+"),))
    patch = tissue.patch((0.0, 0.0, 200.0, 200.0))
    antigen = express(patch, tissue.sections)
    intense = (antigen.levels == Level.INTENSE).any(axis=1)
    assert intense.any()
    assert (antigen.share[patch.wall_cells[intense], Level.INTENSE] > 0).all()


def test_cells_without_tumour_express_nothing() -> None:
    tissue = Tissue(4, (Section("tissue", "3+"),))
    patch = tissue.patch((0.0, 0.0, 400.0, 400.0))
    levels = express(patch, tissue.sections).levels
    between_others = ~patch.is_tumour()[patch.wall_cells].any(axis=1)
    assert between_others.any() and (levels[between_others] == Level.NONE).all()


def test_stretches_are_unbroken() -> None:
    levels = np.array([[0, 1, 1, 2, 1, 0], [2, 2, 2, 2, 2, 2]])
    assert stretches(levels, Level.FAINT) == [(0, 1, 4), (0, 4, 6)]
    assert stretches(levels, Level.MODERATE) == [(0, 3, 5), (1, 0, 7)]
    assert stretches(levels, Level.INTENSE) == []
