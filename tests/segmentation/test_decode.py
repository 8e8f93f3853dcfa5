"""Nuclei out of the network's maps, from drawn nuclei of which all is known."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from segmentation.drawn_maps import Oval, maps_of, maps_of_phantom, noisy

from her2scope.phantom.field import PhantomSpec, render_field
from her2scope.segmentation.decode import FoundNuclei, decode
from her2scope.segmentation.maps import NETWORK_UM_PER_PX
from her2scope.settings import NetworkSettings

SETTINGS = NetworkSettings()


def matched(found: FoundNuclei, truth_xy_px: np.ndarray, within_um: float) -> list[tuple[int, int]]:
    """(found, true) pairs, nearest first, each nucleus in one pair at most."""
    apart = np.hypot(*(found.xy_px[:, None] - truth_xy_px[None]).transpose(2, 0, 1)) * NETWORK_UM_PER_PX
    pairs = []
    while apart.size and apart.min() <= within_um:
        place = np.unravel_index(apart.argmin(), apart.shape)
        pairs.append((int(place[0]), int(place[1])))
        apart[place[0]], apart[:, place[1]] = np.inf, np.inf
    return pairs


@given(
    x_um=st.floats(16, 48),
    y_um=st.floats(16, 48),
    radius_um=st.floats(2.2, 7),
    ratio=st.floats(1, 2.5),
    angle=st.floats(0, math.pi),
)
def test_one_nucleus_is_found_once_with_its_place_and_size(x_um, y_um, radius_um, ratio, angle):
    across_um = max(1.8, radius_um / math.sqrt(ratio))
    oval = Oval(x_um, y_um, radius_um**2 / across_um, across_um, angle)
    found = decode(maps_of([oval]), SETTINGS)
    assert len(found) == 1
    assert found.xy_px[0] == pytest.approx(oval.xy_px, abs=0.2)
    assert found.radius_um[0] == pytest.approx(oval.radius_um, abs=0.35)
    assert found.tumour[0] == pytest.approx(1) and 0.3 < found.strength[0] <= 1


@pytest.mark.parametrize("radius_um", [2.2, 3.0, 4.0, 6.0])
@pytest.mark.parametrize("angle", [0.0, 0.6, math.pi / 2])
@pytest.mark.parametrize("seed", [None, 0, 1])
def test_touching_pairs_are_two(radius_um, angle, seed):
    apart_um = 2 * radius_um
    pair = [
        Oval(32 + sign * apart_um / 2 * math.cos(angle), 32 + sign * apart_um / 2 * math.sin(angle), radius_um)
        for sign in (-1, 1)
    ]
    maps = maps_of(pair) if seed is None else noisy(maps_of(pair), seed, blur_um=0.6, noise=0.05)
    found = decode(maps, SETTINGS)
    assert len(found) == 2
    assert len(matched(found, np.array([oval.xy_px for oval in pair]), within_um=1.0)) == 2
    assert found.radius_um == pytest.approx([radius_um] * 2, rel=0.15, abs=0.3)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("along_um", "across_um"), [(7, 7), (9, 2.2), (8, 5)])
def test_uneven_maps_do_not_split_a_nucleus(along_um, across_um, seed):
    oval = Oval(32, 31, along_um, across_um, angle=0.4)
    found = decode(noisy(maps_of([oval]), seed), SETTINGS)
    assert len(found) == 1
    assert found.xy_px[0] == pytest.approx(oval.xy_px, abs=2.0)


def test_two_peaks_of_which_all_pixels_point_to_one_middle_are_one_nucleus():
    long = Oval(32, 32, 9, 2.5)
    maps = maps_of([long])
    spurious = maps_of([Oval(27, 32, 2.5), Oval(37, 32, 2.5)]).centre
    found = decode(dataclasses.replace(maps, centre=np.maximum(maps.centre, 0.7 * spurious)), SETTINGS)
    assert len(found) == 1
    assert found.xy_px[0] == pytest.approx(long.xy_px, abs=1.0)
    assert found.radius_um[0] == pytest.approx(long.radius_um, abs=0.3)


def test_large_and_small_side_by_side():
    ovals = [Oval(30, 32, 6.5), Oval(30 + 6.5 + 2.4, 32, 2.4, tumour=False)]
    found = decode(maps_of(ovals), SETTINGS)
    pairs = dict(matched(found, np.array([oval.xy_px for oval in ovals]), within_um=1.0))
    assert sorted(pairs.values()) == [0, 1]
    for place, true in pairs.items():
        assert found.radius_um[place] == pytest.approx(ovals[true].radius_um, abs=0.4)
        assert found.tumour[place] == pytest.approx(float(ovals[true].tumour), abs=0.15)


def test_faint_nuclei_are_found_down_to_the_cut_and_the_surest_stands_first():
    ovals = [Oval(16, 32, sure=0.5), Oval(32, 32, sure=0.95), Oval(48, 32, sure=0.15)]
    found = decode(maps_of(ovals), SETTINGS)
    assert found.xy_px[:, 0] == pytest.approx([ovals[1].xy_px[0], ovals[0].xy_px[0]], abs=0.3)
    assert (np.diff(found.strength) < 0).all()
    assert len(decode(maps_of(ovals), dataclasses.replace(SETTINGS, min_nucleus_score=0.05))) == 3
    assert len(decode(maps_of(ovals), dataclasses.replace(SETTINGS, min_nucleus_score=0.95))) == 0


def test_pixels_of_a_nucleus_that_is_not_found_are_not_given_to_its_neighbour():
    ovals = [Oval(28, 32, 4.0), Oval(36, 32, 4.0, sure=0.05)]
    found = decode(maps_of(ovals), SETTINGS)
    assert len(found) == 1
    assert found.radius_um[0] == pytest.approx(4.0, abs=0.3)


def test_specks_are_none():
    assert len(decode(maps_of([Oval(32, 32, 0.9, sure=1.0)]), dataclasses.replace(SETTINGS, min_nucleus_score=0))) == 0


def test_a_nucleus_whose_middle_lies_outside_is_not_in_the_picture():
    ovals = [Oval(-1.5, 20, 5), Oval(20, 65.5, 5), Oval(1.0, 44, 5), Oval(63.2, 30, 5)]
    found = decode(maps_of(ovals), SETTINGS)
    assert sorted(true for _, true in matched(found, np.array([oval.xy_px for oval in ovals]), 1.0)) == [2, 3]
    assert len(found) == 2
    assert ((found.xy_px >= -0.5) & (found.xy_px < 127.5)).all()


@pytest.mark.parametrize("size_hw", [(16, 16), (17, 33), (128, 96)])
def test_empty_pictures_have_none(size_hw):
    found = decode(maps_of([], size_hw), SETTINGS)
    assert len(found) == 0
    assert found.xy_px.shape == (0, 2) and found.radius_um.shape == found.tumour.shape == found.strength.shape == (0,)


def test_a_map_of_nothing_but_middles_is_bounded():
    maps = maps_of([])
    flat = dataclasses.replace(maps, nucleus=np.ones_like(maps.nucleus), centre=np.ones_like(maps.centre))
    assert len(decode(flat, SETTINGS)) <= 1


def test_the_maps_are_left_as_they_were():
    maps = noisy(maps_of([Oval(32, 32), Oval(41, 32)]))
    before = {name: getattr(maps, name).copy() for name in ("nucleus", "centre", "tumour", "offset_um")}
    decode(maps, SETTINGS)
    for name, values in before.items():
        assert np.array_equal(getattr(maps, name), values)


@pytest.fixture(
    scope="module",
    params=[("2+", "usual", 4), ("3+", "usual", 5), ("1+", "hard", 6)],
    ids=lambda item: "-".join(map(str, item)),
)
def phantom(request):
    score, difficulty, seed = request.param
    return render_field(
        PhantomSpec(score=score, seed=seed, size_wh=(400, 320), um_per_px=NETWORK_UM_PER_PX, difficulty=difficulty)
    )


def seen(field) -> list[dict]:
    return [cell for cell in field.truth["cells"] if cell["visible"]]


def test_phantom_nuclei_come_back_from_their_own_maps(phantom):
    cells = seen(phantom)
    found = decode(maps_of_phantom(phantom), SETTINGS)
    truth_xy_px = np.array([(cell["x_px"], cell["y_px"]) for cell in cells])
    pairs = matched(found, truth_xy_px, within_um=2.0)
    assert len(pairs) >= 0.96 * len(cells)  # some lie half under another one
    apart_um = np.hypot(*(truth_xy_px[:, None] - truth_xy_px[None]).transpose(2, 0, 1)) * NETWORK_UM_PER_PX
    alone = np.flatnonzero((apart_um < 3.0).sum(axis=1) == 1)
    assert np.isin(alone, [true for _, true in pairs]).mean() >= 0.99
    assert len(pairs) >= 0.99 * len(found)
    is_tumour = np.array([cell["kind"] == "tumour" for cell in cells])
    assert np.mean([(found.tumour[place] >= 0.5) == is_tumour[true] for place, true in pairs]) >= 0.99
    ratio = [found.radius_um[place] / cells[true]["nucleus_radius_um"] for place, true in pairs]
    assert np.median(ratio) == pytest.approx(1, abs=0.05)


def test_phantom_nuclei_come_back_from_unsure_maps(phantom):
    cells = seen(phantom)
    found = decode(noisy(maps_of_phantom(phantom), blur_um=0.8, noise=0.07), SETTINGS)
    truth_xy_px = np.array([(cell["x_px"], cell["y_px"]) for cell in cells])
    pairs = matched(found, truth_xy_px, within_um=3.0)
    assert len(pairs) >= 0.90 * len(cells)
    assert len(pairs) >= 0.98 * len(found)
