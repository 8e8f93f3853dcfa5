"""Classes come from walls: the guideline's words, whatever a cell was meant to express."""

from __future__ import annotations

import numpy as np
import pytest

from her2scope.domain.cells import CellClass
from her2scope.phantom.antigen import PATTERNS, Antigen, Level, express, stretches, true_class
from her2scope.phantom.growth import Matter, Section
from her2scope.phantom.habit import Habit, draw_habit
from her2scope.phantom.tissue import Tissue


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
    assert (antigen.share[patch.walls.cells[intense], Level.INTENSE] > 0).all()


def test_walls_between_others_carry_nothing() -> None:
    tissue = Tissue(4, (Section("tissue", "3+"),))
    patch = tissue.patch((0.0, 0.0, 400.0, 400.0))
    levels = express(patch, tissue.sections).levels
    between_others = ~patch.is_epithelium()[patch.walls.cells].any(axis=1)
    assert between_others.any() and (levels[between_others] == Level.NONE).all()


def test_stretches_are_unbroken() -> None:
    levels = np.array([[0, 1, 1, 2, 1, 0], [2, 2, 2, 2, 2, 2]])
    assert stretches(levels, Level.FAINT) == [(0, 1, 4), (0, 4, 6)]
    assert stretches(levels, Level.MODERATE) == [(0, 3, 5), (1, 0, 7)]
    assert stretches(levels, Level.INTENSE) == []


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_normal_ducts_are_faint_at_most(share: float) -> None:
    habit = Habit(normal_ducts=0.6, normal_stain=share)
    tissue = Tissue(4, (Section("tissue", "0"),), habit)
    patch = tissue.patch((0.0, 0.0, 600.0, 600.0))
    antigen = express(patch, tissue.sections)
    normal = patch.is_whole & (patch.matter == Matter.NORMAL)
    assert normal.sum() > 50
    assert antigen.levels.max() == (Level.FAINT if share else Level.NONE)
    assert (antigen.completeness()[normal] > 0).any() == (share > 0)


@pytest.mark.parametrize("difficulty", ["easy", "usual", "hard"])
def test_shares_are_those_of_the_cells_own_outline(difficulty: str) -> None:
    tissue = Tissue(6, (Section("tissue", "2+"),), draw_habit(6, difficulty))
    patch = tissue.patch((0.0, 0.0, 150.0, 150.0))
    antigen = express(patch, tissue.sections)
    for cell in np.nonzero(patch.is_whole & patch.is_tumour())[0]:
        sides = patch.sides(int(cell))
        levels = antigen.levels[patch.side_wall[sides]]
        levels = np.where(patch.side_number[sides, None] == 0, levels, levels[:, ::-1])
        pieces = np.diff(patch.around_um[sides], axis=1)
        length = np.hypot(pieces[..., 0], pieces[..., 1])
        shares = [length[levels == level].sum() / length.sum() for level in Level]
        np.testing.assert_allclose(antigen.share[cell], shares, atol=1e-9)


def test_the_median_level_is_that_of_the_middle_place() -> None:
    shares = np.array([[1.0, 0.0, 0.0, 0.0], [0.5, 0.3, 0.2, 0.0], [0.0, 0.1, 0.2, 0.7], [0.7, 0.1, 0.2, 0.0]])
    levels = Antigen(np.zeros((0, 14), np.int64), shares).median_level().tolist()
    assert levels == [Level.NONE, Level.FAINT, Level.INTENSE, Level.MODERATE]


@pytest.mark.parametrize("score", PATTERNS)
def test_a_pattern_has_the_levels_that_it_names(score: str) -> None:
    found: set[int] = set()
    for seed in range(8):
        tissue = Tissue(seed, (Section("tissue", score),))
        found |= set(np.unique(express(tissue.patch((0.0, 0.0, 320.0, 180.0)), tissue.sections).levels))
    named = {item.level for pattern in PATTERNS[score] for item in pattern.expressions}
    assert max(found) == max(named, default=Level.NONE)
