"""Laws of matching: one to one, whatever the order, and what is ignored counts neither way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2scope.domain.errors import BadInputError
from her2scope.evaluation.matching import Bounds, TrueNuclei, match_nuclei

EVERYWHERE = Bounds(-np.inf, -np.inf, np.inf, np.inf, 0.0)
TOLERANCE_PX = 12.0
places = st.lists(st.tuples(st.integers(0, 120), st.integers(0, 120)), max_size=14, unique=True)


def truth(points, counted=None) -> TrueNuclei:
    xy_px = np.array(points, float).reshape(-1, 2)
    flags = np.ones(len(xy_px), bool) if counted is None else np.array(counted, bool)
    return TrueNuclei(xy_px, np.full(len(xy_px), TOLERANCE_PX), flags)


def match(found, known, bounds=EVERYWHERE):
    return match_nuclei(np.array(found, float).reshape(-1, 2), known, bounds)


@given(places)
def test_the_truth_itself_is_found_whole(points):
    tally = match(points, truth(points)).tally
    assert (tally.hits, tally.missed, tally.false) == (len(points), 0, 0)
    assert tally.f1 == (1.0 if points else None)


@given(places, places)
def test_each_nucleus_and_each_find_is_used_once_and_all_are_accounted_for(found, points):
    matching = match(found, truth(points))
    assert len(set(matching.found.tolist())) == len(matching.found) == len(set(matching.true.tolist()))
    assert matching.tally.hits + matching.tally.missed == len(points)
    assert matching.tally.hits + matching.tally.false == len(found)
    apart = np.array(found, float).reshape(-1, 2)[matching.found] - truth(points).xy_px[matching.true]
    assert (np.hypot(*apart.T) <= TOLERANCE_PX).all()


@given(places, places, st.randoms(use_true_random=False))
def test_order_does_not_matter(found, points, random):
    one = match(found, truth(points))
    mixed_found, mixed_points = random.sample(found, len(found)), random.sample(points, len(points))
    other = match(mixed_found, truth(mixed_points))
    assert one.tally == other.tally
    pairs = {(found[a], points[b]) for a, b in zip(one.found, one.true, strict=True)}
    assert pairs == {(mixed_found[a], mixed_points[b]) for a, b in zip(other.found, other.true, strict=True)}


@given(places, places, places)
def test_nuclei_that_do_not_count_change_no_hit_and_no_miss(found, points, doubtful):
    alone = match(found, truth(points)).tally
    counted = [True] * len(points) + [False] * len(doubtful)
    both = match(found, truth([*points, *doubtful], counted)).tally
    assert (both.hits, both.missed) == (alone.hits, alone.missed)
    assert both.false <= alone.false


@given(places)
def test_finding_only_what_does_not_count_is_neither_right_nor_wrong(points):
    tally = match(points, truth(points, [False] * len(points))).tally
    assert (tally.hits, tally.missed, tally.false) == (0, 0, 0)


def test_a_second_find_on_one_nucleus_is_false():
    tally = match([(50, 50), (53, 50)], truth([(50, 50)])).tally
    assert (tally.hits, tally.missed, tally.false) == (1, 0, 1)


def test_the_nearest_find_is_the_hit():
    matching = match([(56, 50), (52, 50)], truth([(50, 50)]))
    assert matching.found.tolist() == [1]


def test_a_find_in_the_rim_is_not_false_but_may_be_a_hit():
    bounds = Bounds.of_picture((100, 100), rim_px=10.0)
    tally = match([(4, 50), (4, 95), (50, 50)], truth([(8, 50)]), bounds).tally
    assert (tally.hits, tally.missed, tally.false) == (1, 0, 1)


def test_a_pair_that_may_match_need_not_be_near():
    found, known = np.array([[80.0, 50.0]]), truth([(50, 50)])
    assert match_nuclei(found, known, EVERYWHERE).tally.hits == 0
    assert match_nuclei(found, known, EVERYWHERE, np.array([[True]])).tally.hits == 1


@pytest.mark.parametrize("places", [np.zeros((3, 3)), np.array([1.0, 2.0, 3.0]), np.array([[np.nan, 1.0]])])
def test_what_are_no_places_is_refused(places):
    with pytest.raises(BadInputError, match="centres of nuclei"):
        match_nuclei(places, truth([]), EVERYWHERE)
