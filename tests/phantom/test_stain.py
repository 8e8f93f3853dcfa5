"""How a run stains what was drawn: more of a stain is never less of it, and light gives the stains back."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from her2scope.imaging.stains import unmix
from her2scope.phantom.antigen import Antigen, Level, express
from her2scope.phantom.cells import Patch
from her2scope.phantom.field import focused_light
from her2scope.phantom.growth import Section
from her2scope.phantom.habit import draw_habit
from her2scope.phantom.layers import WALL_OD10, Layers, draw_layers
from her2scope.phantom.noise import Grid
from her2scope.phantom.optics import Optics, developed
from her2scope.phantom.run import make_run
from her2scope.phantom.stain import Stain, absorb, transmitted, unit, vector_of
from her2scope.phantom.tissue import Tissue
from her2scope.settings import Calibration

GRID = Grid(0.0, 0.0, 0.25, 320, 240)
PLAIN = Stain(haze_od10=0.0, leak_share=0.0, granularity=0.0, patchiness=0.0)
"""Even lines, and no DAB but on membranes."""


@cache
def grown(score: str = "2+", difficulty: str = "easy") -> tuple[Patch, Antigen]:
    tissue = Tissue(4, (Section("tissue", score),), draw_habit(4, difficulty))
    patch = tissue.patch(GRID.widened(32).bounds_um)
    return patch, express(patch, tissue.sections)


@cache
def layers(score: str = "2+", difficulty: str = "easy") -> Layers:
    return draw_layers(*grown(score, difficulty), GRID)


def shares(most: float) -> st.SearchStrategy[float]:
    return st.floats(0.0, most)


STAINS = st.builds(
    Stain,
    dab_gain=st.floats(0.2, 2.2),
    intense_boost=st.floats(1.0, 2.0),
    haematoxylin_gain=st.floats(0.1, 1.6),
    cytoplasm_od10=shares(0.15),
    stroma_od10=shares(0.16),
    roughness=st.floats(0.0, 2.5),
    haze_od10=shares(0.3),
    granular_od10=shares(0.5),
    leak_share=shares(0.6),
    background_od10=shares(0.35),
    nuclear_od10=shares(0.45),
    nuclear_mottle=shares(2.5),
    veil_share=st.floats(0.1, 0.9),
    granularity=shares(0.75),
    patchiness=shares(0.35),
    edge_od10=shares(0.8),
    precipitate=shares(1.2),
)
TOLERANCE = 1e-5
"""Of numbers held in 32 bits."""


@settings(max_examples=20)
@given(
    stain=STAINS,
    what=st.sampled_from([
        "dab_gain", "intense_boost", "haze_od10", "granular_od10", "leak_share", "background_od10", "nuclear_od10",
        "edge_od10", "precipitate", "veil_share",
    ]),
    more=st.floats(1.05, 2.0),
)  # fmt: skip
def test_more_of_a_cause_never_lowers_dab(stain: Stain, what: str, more: float) -> None:
    stronger = replace(stain, **{what: more * getattr(stain, what)})
    for score, difficulty in (("2+", "easy"), ("3+", "hard")):
        before, after = (absorb(layers(score, difficulty), each) for each in (stain, stronger))
        assert (after.dab - before.dab).min() >= -TOLERANCE
        assert np.array_equal(after.haematoxylin, before.haematoxylin)


@settings(max_examples=15)
@given(
    stain=STAINS,
    what=st.sampled_from(["haematoxylin_gain", "cytoplasm_od10", "stroma_od10"]),
    more=st.floats(1.05, 2.0),
)
def test_more_of_a_cause_never_lowers_haematoxylin(stain: Stain, what: str, more: float) -> None:
    stronger = replace(stain, **{what: more * getattr(stain, what)})
    for difficulty in ("easy", "hard"):
        before, after = (absorb(layers("2+", difficulty), each) for each in (stain, stronger))
        assert (after.haematoxylin - before.haematoxylin).min() >= -TOLERANCE
        assert np.array_equal(after.dab, before.dab)


@settings(max_examples=15)
@given(stain=STAINS)
def test_od10_is_never_negative_and_always_a_number(stain: Stain) -> None:
    found = absorb(layers("3+", "hard"), stain)
    for plane in (found.dab, found.haematoxylin):
        assert plane.dtype == np.float32 and np.isfinite(plane).all() and plane.min() >= 0.0
    light = transmitted(found, stain)
    assert light.max() <= 1.0 + TOLERANCE and light.min() > 0.0


@settings(max_examples=10)
@given(haze=shares(0.3), granular=shares(0.5), background=shares(0.3))
def test_diffuse_dab_is_added_to_the_membranes_as_they_are(haze: float, granular: float, background: float) -> None:
    hazy = replace(PLAIN, haze_od10=haze, granular_od10=granular, background_od10=background)
    before = layers("2+", "hard").walls.copy()
    added = absorb(layers("2+", "hard"), hazy).dab - absorb(layers("2+", "hard"), PLAIN).dab
    without = absorb(layers("0", "hard"), hazy).dab
    assert np.array_equal(layers("2+", "hard").walls, before)
    assert np.abs(added - without).max() < 1e-4


@pytest.mark.parametrize(("score", "level"), [("1+", Level.FAINT), ("2+", Level.MODERATE), ("3+", Level.INTENSE)])
def test_a_line_has_the_od10_that_the_stain_states(score: str, level: Level) -> None:
    for values in ({}, {"dab_gain": 0.7}, {"intense_boost": 1.5}):
        stain = replace(PLAIN, **values)
        dab = absorb(layers(score), stain).dab
        expected = stain.wall_od10(level)
        assert np.percentile(dab[layers(score).walls > 0.8 * WALL_OD10[level]], 90) == pytest.approx(expected, rel=0.03)


def test_nuclei_are_spared_by_what_lies_in_the_cytoplasm() -> None:
    drawn = layers("0")
    hazy = absorb(drawn, replace(PLAIN, haze_od10=0.2, veil_share=0.3)).dab
    nucleus = drawn.covered > 0.95
    cytoplasm = (drawn.cytoplasm > 0.95) & (drawn.covered < 0.05)
    assert hazy[nucleus].mean() == pytest.approx(0.3 * hazy[cytoplasm].mean(), rel=0.35)
    assert absorb(drawn, replace(PLAIN, nuclear_od10=0.3)).dab[nucleus].mean() == pytest.approx(0.3, rel=0.05)


def test_a_nuclear_antibody_stains_some_nuclei_and_others_not_and_nothing_else() -> None:
    drawn = layers("0")
    plain = absorb(drawn, PLAIN)
    nuclear = absorb(drawn, replace(PLAIN, nuclear_od10=0.5, nuclear_mottle=2.0))
    more = nuclear.dab - plain.dab
    nucleus = drawn.covered > 0.95
    assert more[drawn.covered == 0].max() == 0.0
    assert np.mean(more[nucleus] < 0.05) > 0.1 and np.mean(more[nucleus] > 0.7) > 0.1
    assert np.array_equal(nuclear.haematoxylin, plain.haematoxylin)


@pytest.mark.parametrize("difficulty", ["easy", "hard"])
def test_unmixing_gives_back_the_stains(difficulty: str) -> None:
    absorption = absorb(layers("3+", difficulty), PLAIN)
    optics = Optics(response="linear", lamp_rgb=(1.0, 1.0, 1.0))
    picture = developed(transmitted(absorption, PLAIN), optics)
    found = unmix(picture, 0.25, Calibration(response="linear", white_rgb=(255.0, 255.0, 255.0)))
    assert np.abs(found.dab_od10 - absorption.dab).mean() < 0.01
    assert np.abs(found.haematoxylin_od10 - absorption.haematoxylin).mean() < 0.01


@given(red_blue_deg=st.floats(5.0, 85.0), green_deg=st.floats(10.0, 60.0))
def test_a_vector_of_a_hue_has_unit_length(red_blue_deg: float, green_deg: float) -> None:
    vector = vector_of(red_blue_deg, green_deg)
    np.testing.assert_allclose(unit(vector), vector, atol=1e-12)
    assert min(vector) > 0.0


def test_a_picture_drawn_in_parts_has_no_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    run, grid = make_run(0), Grid(0.0, 0.0, 0.25, 200, 150)
    whole = focused_light(*grown(), run, grid)
    monkeypatch.setattr("her2scope.phantom.field.DRAWN_AT_ONCE_PX", 10_000)
    assert np.abs(focused_light(*grown(), run, grid) - whole).max() < 1e-3


@pytest.mark.parametrize("um_per_px", [0.1, 0.46, 1.2])
def test_light_of_any_scale_has_the_shape_of_its_grid(um_per_px: float) -> None:
    grid = Grid(5.0, 5.0, um_per_px, int(40.0 / um_per_px), int(30.0 / um_per_px))
    light = focused_light(*grown(), make_run(0), grid)
    values: Any = (light.shape, light.dtype)
    assert values == ((grid.height, grid.width, 3), np.float32)
    assert 0.0 < light.min() and light.max() < 1.001
