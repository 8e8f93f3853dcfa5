"""Habits: drawn once per case, within their ranges, and what is fixed is fixed."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from her2scope.phantom.growth import GROWTHS
from her2scope.phantom.habit import EASY, GROWTH_CHANCES, HARD, USUAL, Habit, draw_habit

NAMES = {item.name for item in fields(Habit)}


def test_every_growth_can_be_drawn_and_the_chances_sum_to_one() -> None:
    assert GROWTH_CHANCES.keys() == GROWTHS.keys()
    assert sum(GROWTH_CHANCES.values()) == pytest.approx(1.0)
    assert {draw_habit(seed, "usual").growth for seed in range(150)} == set(GROWTHS)


def test_ranges_rise_and_name_fields_of_a_habit() -> None:
    for ranges in (USUAL, HARD):
        assert ranges.keys() <= NAMES
        assert all(least < most for least, most in ranges.values())


def test_hard_goes_at_least_as_far_as_usual() -> None:
    for name, (least, most) in USUAL.items():
        none = 1.0 if name.endswith("_level") else most  # no noise is above level 1
        assert HARD[name][0] <= least and min(most, none) <= HARD[name][1], name


@pytest.mark.parametrize(("difficulty", "ranges"), [("usual", USUAL), ("hard", HARD)])
def test_what_is_drawn_lies_in_its_range(difficulty: str, ranges: dict[str, tuple[float, float]]) -> None:
    for seed in range(30):
        habit = draw_habit(seed, difficulty)
        assert habit == draw_habit(seed, difficulty)
        assert all(least <= getattr(habit, name) <= most for name, (least, most) in ranges.items())


def test_an_easy_habit_is_the_same_whatever_the_seed() -> None:
    assert draw_habit(1, "easy") == draw_habit(2, "easy") == EASY


@pytest.mark.parametrize("difficulty", ["easy", "usual", "hard"])
def test_what_is_fixed_leaves_the_rest(difficulty: str) -> None:
    fixed = {"growth": "cords", "pitch_um": 12.0}
    assert draw_habit(3, difficulty, fixed) == replace(draw_habit(3, difficulty), growth="cords", pitch_um=12.0)
