"""Runs of one phantom laboratory: one machine, one microscope, and a stain that differs a little from run to run."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from statistics import fmean, stdev

import numpy as np
import pytest

from her2scope.domain.errors import NotAvailableError
from her2scope.phantom.field import PhantomSpec, render_field
from her2scope.phantom.noise import mixed_seed
from her2scope.phantom.optics import Optics
from her2scope.phantom.run import (
    DAMAGES,
    DRIFTED_LIGHT,
    LAB_SPREAD,
    LAMP_SPREAD,
    MOST_LAB_BOOST,
    SEED_STAINERS,
    STAINERS,
    make_run,
)
from her2scope.phantom.stain import Stain

SMALL = (240, 160)
LABS = (1, 7, 7_000_000)
SEEDS = range(150)
NEAR = 4 / math.sqrt(2 * len(SEEDS))
"""Relative error that the SD of so many runs hardly exceeds."""


def changed(before: Stain | Optics, after: Stain | Optics) -> set[str]:
    """Names of the values in which two runs differ."""
    return {item.name for item in fields(before) if getattr(before, item.name) != getattr(after, item.name)}


@pytest.mark.parametrize("lab", LABS)
def test_runs_of_a_lab_share_machine_and_microscope(lab):
    first, *others = (make_run(seed, lab=lab) for seed in range(10))
    for run in others:
        assert (run.stainer, run.camera, run.lot) == (first.stainer, first.camera, first.lot)
        assert changed(first.stain, run.stain) <= LAB_SPREAD.keys()
        assert changed(first.optics, run.optics) == {"lamp_rgb"}
    assert len({run.stain.dab_gain for run in (first, *others)}) == 10


def test_a_run_of_a_lab_is_fixed_by_its_lab_and_seed():
    assert make_run(4, lab=2) == make_run(4, lab=2)
    assert make_run(4, lab=2) != make_run(5, lab=2)
    assert make_run(4, lab=2).optics.white_rgb() != make_run(4, lab=3).optics.white_rgb()
    assert {make_run(0, lab=lab).stainer for lab in range(30)} == set(SEED_STAINERS)


@pytest.mark.parametrize("name", LAB_SPREAD)
def test_what_varies_within_a_lab_varies_about_its_mean_by_its_spread(name):
    values = [getattr(make_run(seed, lab=1).stain, name) for seed in SEEDS]
    logs = [math.log(value) for value in values]
    assert stdev(logs) == pytest.approx(LAB_SPREAD[name], rel=NEAR)
    usual = getattr(make_run(mixed_seed("lab", 1)).stain, name)
    assert fmean(logs) == pytest.approx(math.log(usual), abs=4 * LAB_SPREAD[name] / math.sqrt(len(SEEDS)))


def test_dab_differs_by_seven_percent_and_the_lamp_by_one():
    runs = [make_run(seed, lab=7) for seed in SEEDS]
    assert LAB_SPREAD["dab_gain"] == 0.07 and LAMP_SPREAD == 0.01
    assert stdev(math.log(run.stain.dab_gain) for run in runs) == pytest.approx(0.07, rel=NEAR)
    assert stdev(math.log(run.optics.lamp_rgb[1]) for run in runs) == pytest.approx(0.01, rel=NEAR)
    tints = {tuple(round(light / run.optics.lamp_rgb[1], 9) for light in run.optics.lamp_rgb) for run in runs}
    assert len(tints) == 1  # brighter or darker, never of another colour


def test_no_lab_stains_beyond_what_a_camera_can_measure():
    boosts = [make_run(0, lab=lab).stain.intense_boost for lab in range(20)]
    assert max(boosts) == MOST_LAB_BOOST > min(boosts)


@pytest.mark.parametrize("lab", [None, 3])
def test_drift_dims_the_lamp_and_nothing_else(lab):
    good, drifted = make_run(5, lab=lab), make_run(5, lab=lab, damage="drift")
    expected = tuple(light * part for light, part in zip(good.optics.lamp_rgb, DRIFTED_LIGHT, strict=True))
    assert drifted == replace(good, damage="drift", optics=replace(good.optics, lamp_rgb=expected))
    assert all(now < then for now, then in zip(drifted.optics.white_rgb(), good.optics.white_rgb(), strict=True))


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damage_of_a_lab_leaves_the_rest_of_the_run(damage):
    good, bad = make_run(5, lab=3), make_run(5, lab=3, damage=damage)
    assert bad.damage == damage and replace(bad, damage=None, stain=good.stain, optics=good.optics) == good
    n_changed = len(changed(good.stain, bad.stain)) + len(changed(good.optics, bad.optics))
    assert n_changed == {"over_stained": 2, "wrong_level": 0, "too_few": 0}.get(damage, 1)


def test_an_unknown_damage_of_a_lab_is_refused():
    with pytest.raises(NotAvailableError, match="odd"):
        make_run(1, lab=1, damage="odd")


def test_a_field_is_drawn_with_its_labs_run():
    spec = PhantomSpec("3+", 11, size_wh=SMALL, lab=3)
    drawn = render_field(spec)
    assert drawn.truth["run"] == make_run(11, lab=3).as_mapping()
    assert np.array_equal(drawn.rgb, render_field(spec).rgb)
    assert not np.array_equal(drawn.rgb, render_field(replace(spec, lab=None)).rgb)


# ---- runs of no laboratory are what they were -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seed", "stainer", "lot", "camera", "dab_gain", "light"),
    [
        (0, "alpha", "11007", "sharp", 0.854008, 0.846771),
        (1, "gamma", "54705", "soft", 1.096865, 0.825302),
        (2, "gamma", "15563", "sharp", 1.131167, 0.913679),
        (3, "beta", "98312", "linear", 0.975408, 0.933662),
        (8, "delta", "17027", "sharp", 0.934472, 0.925784),
        (21, "alpha", "96511", "linear", 1.099680, 0.860244),
        (31, "beta", "30708", "linear", 0.942710, 0.862521),
    ],
)
def test_seeds_give_the_runs_that_they_always_gave(seed, stainer, lot, camera, dab_gain, light):
    """Written down before there were laboratories: figures that were measured on these phantoms stay comparable."""
    run = make_run(seed)
    assert (run.stainer, run.lot, run.camera) == (stainer, lot, camera)
    assert (run.stain.dab_gain, run.optics.lamp_rgb[1]) == pytest.approx((dab_gain, light), abs=1e-6)


def test_a_seed_never_chooses_the_pale_or_the_strong_protocol():
    assert SEED_STAINERS == ("alpha", "beta", "gamma", "delta")  # their order decides what a seed draws
    assert set(STAINERS) - set(SEED_STAINERS) == {"epsilon", "zeta"}
    assert {make_run(seed).stainer for seed in range(40)} == set(SEED_STAINERS)
    assert make_run(3, stainer="zeta").stain.dab_gain > make_run(3, stainer="epsilon").stain.dab_gain
