"""One seed is one run, whatever is drawn with it; what is named is used, and an unknown name is refused."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from her2scope.domain.errors import NotAvailableError
from her2scope.phantom.antigen import PATTERNS
from her2scope.phantom.field import PhantomSpec, render_field
from her2scope.phantom.habit import Habit
from her2scope.phantom.optics import Optics
from her2scope.phantom.ranges import DIFFICULTIES, OPTICS, RARE, STAINS, drawn
from her2scope.phantom.recipes import RECIPES
from her2scope.phantom.run import CAMERAS, DAMAGES, SEED_CAMERAS, SEED_STAINERS, STAINERS, make_run
from her2scope.phantom.stain import Stain

SMALL = (240, 160)


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_one_seed_is_one_run(difficulty: str) -> None:
    for seed in range(10):
        assert make_run(seed, difficulty) == make_run(seed, difficulty)


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_fields_of_every_score_share_the_run(difficulty: str) -> None:
    specs = [PhantomSpec(score, 3, number, SMALL, difficulty=difficulty) for score in PATTERNS for number in (0, 1)]
    runs = [render_field(spec).truth["run"] for spec in specs[::3]]
    assert all(run == make_run(3, difficulty).as_mapping() for run in runs)


def test_runs_of_different_seeds_differ() -> None:
    runs = [make_run(seed) for seed in range(30)]
    assert len({run.lot for run in runs}) > 25
    assert {run.stainer for run in runs} == set(SEED_STAINERS)
    assert {run.camera for run in runs} == set(SEED_CAMERAS)
    assert len({run.stain.dab_gain for run in runs}) == len({run.optics.lamp_rgb for run in runs}) == 30


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("stainer", STAINERS)
def test_naming_a_stainer_leaves_the_rest_of_the_run(stainer: str, difficulty: str) -> None:
    for seed in range(4):
        seeded, named = make_run(seed, difficulty), make_run(seed, difficulty, stainer=stainer)
        assert (named.stainer, named.lot, named.camera) == (stainer, seeded.lot, seeded.camera)
        assert named.optics == seeded.optics
        machine = {"dab_gain", "haematoxylin_gain", "dab_vector", "haematoxylin_vector"}
        others = [item.name for item in fields(Stain) if item.name not in machine]
        assert all(getattr(named.stain, name) == getattr(seeded.stain, name) for name in others)


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("camera", CAMERAS)
def test_naming_a_camera_leaves_the_rest_of_the_run(camera: str, difficulty: str) -> None:
    for seed in range(4):
        seeded, named = make_run(seed, difficulty), make_run(seed, difficulty, camera=camera)
        assert (named.camera, named.optics.response) == (camera, CAMERAS[camera][0])
        assert (named.stainer, named.lot, named.stain) == (seeded.stainer, seeded.lot, seeded.stain)
        same = replace(named.optics, response=seeded.optics.response, sharpening=seeded.optics.sharpening)
        assert same == seeded.optics


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damage_leaves_the_rest_of_the_run(damage: str) -> None:
    good, bad = make_run(3), make_run(3, damage=damage)
    assert replace(bad, damage=None, stain=good.stain, optics=good.optics) == good
    changed = [
        name
        for before, after in ((good.stain, bad.stain), (good.optics, bad.optics))
        for name in before.__slots__
        if getattr(before, name) != getattr(after, name)
    ]
    assert len(changed) == {"over_stained": 2, "wrong_level": 0, "too_few": 0}.get(damage, 1)


@pytest.mark.parametrize("what", ["difficulty", "stainer", "camera", "damage", "recipe"])
def test_an_unknown_name_is_refused(what: str) -> None:
    names: dict[str, Any] = {what: "odd"}
    with pytest.raises(NotAvailableError, match="odd"):
        make_run(1, **names)
    with pytest.raises(NotAvailableError, match="odd"):
        render_field(PhantomSpec("2+", 1, size_wh=SMALL, **names))


# ---- ranges


@pytest.mark.parametrize("tables", [STAINS, OPTICS], ids=["stains", "optics"])
def test_ranges_rise_and_hard_goes_at_least_as_far_as_usual(tables: Any) -> None:
    assert tables.keys() == set(DIFFICULTIES)
    for ranges in tables.values():
        assert all(least <= most for least, most in ranges.values())
    for name, (least, most) in tables["usual"].items():
        assert tables["hard"][name][0] <= least and most <= tables["hard"][name][1], name
    assert RARE.keys() <= STAINS["hard"].keys() | OPTICS["hard"].keys()


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_what_is_drawn_lies_in_its_range(difficulty: str) -> None:
    for seed in range(20):
        for tables in (STAINS, OPTICS):
            values = drawn(tables, difficulty, np.random.default_rng(seed))
            assert all(least <= values[name] <= most for name, (least, most) in tables[difficulty].items())


# ---- recipes


def test_recipes_name_fields_and_are_meant_for_a_pattern() -> None:
    for recipe in RECIPES.values():
        assert recipe.score in PATTERNS and recipe.about
        for fixed, kind in ((recipe.habit, Habit), (recipe.stain, Stain), (recipe.optics, Optics)):
            assert fixed.keys() <= {item.name for item in fields(kind)}


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("name", RECIPES)
def test_what_a_recipe_fixes_is_used(name: str, difficulty: str) -> None:
    recipe = RECIPES[name]
    for seed in (1, 2):
        run, plain = make_run(seed, difficulty, recipe=name), make_run(seed, difficulty)
        assert run.stain == replace(plain.stain, **recipe.stain)
        assert run.optics == replace(plain.optics, **recipe.optics)
        assert run.recipe == name == run.as_mapping()["recipe"]


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_drawn_and_differs_from_a_field_without_it(name: str) -> None:
    recipe = RECIPES[name]
    like, plain = (
        render_field(PhantomSpec(recipe.score, 2, size_wh=(480, 360), recipe=chosen)) for chosen in (name, None)
    )
    assert like.truth["run"]["recipe"] == name
    assert all(getattr(like.patch.habit, key) == value for key, value in recipe.habit.items())
    assert like.rgb.std() > 5 and not np.array_equal(like.rgb, plain.rgb)
    assert len(like.truth["cells"]) > 10
