"""Profiles as a case keeps them: rounded once, stored and read back to the bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from her2scope.domain.cells import StainCuts
from her2scope.imaging.kept_profiles import kept, profile_image, profiles_of_image
from her2scope.imaging.profiles import DEFAULT_PLACE_RULE, N_ACROSS, N_PLACES, Profiles, measure_membranes
from her2scope.records import CellProfiles
from her2scope.storage.images import check_image

NAMES = ("wall_od10", "membrane", "contrast_od10", "spacing_um")


def floats(shape: tuple[int, ...], low: float, high: float) -> st.SearchStrategy[np.ndarray]:
    return arrays(np.float32, shape, elements=st.floats(low, high, width=32))


@st.composite
def read(draw: st.DrawFn) -> Profiles:
    n, n_places = draw(st.integers(0, 4)), draw(st.sampled_from([2, 5, N_PLACES]))
    return Profiles(
        draw(floats((n,), 0, 9)),
        np.repeat(draw(floats((n, n_places, 1), 0, 40)), N_ACROSS, axis=2),
        draw(floats((n, n_places), 0, 1)),
        draw(floats((n, n_places), -20, 20)),
    )


def same(one: CellProfiles, other: CellProfiles) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in NAMES)


@given(read())
def test_what_is_stored_comes_back_to_the_bit(profiles):
    rounded = kept(profiles)
    image = profile_image(rounded)
    check_image(image)
    back = profiles_of_image(image)
    assert same(rounded, back)
    assert all(getattr(back, name).dtype == np.float32 for name in NAMES)


@given(read())
def test_rounding_is_finer_than_noise_and_happens_once(profiles):
    rounded = kept(profiles)
    assert np.abs(rounded.wall_od10 - np.minimum(profiles.wall_od10, 32.76)).max(initial=0) < 0.01
    usual = profiles.wall_od10 < 5
    assert np.abs(rounded.wall_od10 - profiles.wall_od10)[usual].max(initial=0) <= 0.00026
    usual = np.abs(profiles.contrast_od10) < 5
    assert np.abs(rounded.contrast_od10 - profiles.contrast_od10)[usual].max(initial=0) <= 0.00026
    assert np.all((profiles.membrane - rounded.membrane < 0.0041) & (rounded.membrane <= profiles.membrane + 1e-6))
    walls = rounded.wall_od10[:, :, None]
    again = kept(Profiles(rounded.spacing_um, walls, rounded.membrane + 1e-5, rounded.contrast_od10))
    assert same(rounded, again)


@given(floats((1, N_PLACES), 0, 1))
def test_the_cuts_of_probability_act_as_on_what_was_not_rounded(membrane):
    cuts = (DEFAULT_PLACE_RULE.membrane, DEFAULT_PLACE_RULE.likely_membrane, DEFAULT_PLACE_RULE.certain_membrane)
    membrane[0, :9] = np.concatenate([np.nextafter(np.float32(cuts), np.float32(side)) for side in (0, 1)] + [cuts])
    even = np.zeros((1, N_PLACES), np.float32)
    rounded = kept(Profiles(even[:, 0], even[:, :, None], membrane, even))
    for cut in cuts:
        assert np.array_equal(rounded.membrane >= cut, membrane >= cut)


def test_a_cut_of_od10_that_is_a_step_keeps_what_lies_on_it():
    for cut in (0.05, 0.15, 0.35, 0.7, 0.6235):
        walls = np.full((1, N_PLACES), cut, np.float32)
        profiles = Profiles(np.float32([0.6]), walls[:, :, None], np.ones_like(walls), walls)
        assert measure_membranes(kept(profiles), StainCuts(0.01, 0.01, cut)).intense_share.tolist() == [1.0]


def test_another_image_holds_no_profiles():
    profiles = CellProfiles(*(np.ones((3, N_PLACES), np.float32) for _ in range(3)), np.ones(3, np.float32))
    image = profile_image(profiles)
    newer = image.copy()
    newer[0, 9] += 1
    for other in (image[:, :-1], image[1:], newer, np.stack([image] * 3, axis=2), image[:, :2]):
        with pytest.raises(ValueError, match="holds no profiles"):
            profiles_of_image(other)


def test_the_profiles_of_one_cell():
    rows = np.arange(3 * N_PLACES, dtype=np.float32).reshape(3, N_PLACES)
    one = CellProfiles(rows, rows + 1, rows + 2, np.float32([0.4, 0.5, 0.6])).of_cell(1)
    assert same(one, CellProfiles(rows[1:2], rows[1:2] + 1, rows[1:2] + 2, np.float32([0.5])))
