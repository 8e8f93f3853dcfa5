"""The targets of an eyepiece's calibration: each is matched or skipped once, and any can be matched again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2scope.domain.errors import Her2ScopeError
from her2scope.imaging.calibration.refusal import MeasurementRefused
from her2scope.settings.eyepiece import FEWEST_TARGETS
from her2scope.ui.eyepiece_targets import NAMES, Targets, target_places, target_title

DISPLAY_WH = (1280, 720)
FRESH = Targets(DISPLAY_WH, (1280, 720), "40x")
PLACES = target_places(DISPLAY_WH)


@given(st.tuples(st.integers(200, 4000), st.integers(200, 4000)))
def test_targets_lie_apart_on_whole_pixels_of_the_display(display_wh):
    places = target_places(display_wh)
    assert len(set(places)) == len(NAMES) >= 2 * FEWEST_TARGETS
    for x, y in places:
        assert x.is_integer() and y.is_integer()
        assert 0.1 * display_wh[0] < x < 0.9 * display_wh[0] and 0.1 * display_wh[1] < y < 0.9 * display_wh[1]


def test_enough_targets_are_seen_in_a_round_field_as_high_as_the_display():
    width, height = DISPLAY_WH
    seen = [(x - width / 2) ** 2 + (y - height / 2) ** 2 < (height / 2) ** 2 for x, y in PLACES]
    assert sum(seen) >= FEWEST_TARGETS


def test_targets_come_in_their_order():
    targets = FRESH
    for number, (x, y) in enumerate(PLACES):
        assert targets.current == number and targets.place == (x, y)
        targets = targets.match((x, y))
    assert targets.current is None and targets.place is None
    assert targets.match((0.0, 0.0)) is targets and targets.skip() is targets


@given(st.lists(st.sampled_from(["match", "skip"]), min_size=len(NAMES), max_size=len(NAMES)))
def test_each_target_is_matched_or_skipped(steps):
    targets = FRESH
    for step in steps:
        targets = targets.match((1.0, 2.0)) if step == "match" else targets.skip()
    assert targets.current is None
    assert targets.skipped == {number for number, step in enumerate(steps) if step == "skip"}
    assert set(targets.clicked) == set(range(len(NAMES))) - targets.skipped
    assert targets.can_fit is (len(targets.clicked) >= FEWEST_TARGETS)


def test_a_target_can_be_matched_again_and_a_skipped_one_stays_skipped():
    targets = FRESH
    for place in PLACES:
        targets = targets.match(place)
    again = targets.go_to(9).skip().go_to(3).match((5.0, 6.0))
    assert again.current is None and again.skipped == {9}
    assert again.clicked[3] == (5.0, 6.0) and targets.clicked[3] == PLACES[3]


def test_the_newest_match_can_be_nudged():
    targets = FRESH.match((10.0, 20.0)).match((30.0, 40.0)).go_to(0).match((11.0, 21.0)).nudge(0.25, -1.0)
    assert targets.clicked == {1: (30.0, 40.0), 0: (11.25, 20.0)}
    assert FRESH.nudge(1.0, 1.0) is FRESH


def test_a_wrong_match_is_named():
    targets = FRESH
    for x, y in PLACES:
        targets = targets.match((x, y))
    wrong = targets.go_to(6).match((PLACES[6][0] + 30, PLACES[6][1]))
    with pytest.raises(MeasurementRefused) as refused:
        wrong.check(wrong.fit())
    assert target_title(6) in refused.value.why and refused.value.code == "outlier"
    targets.check(targets.fit())


def test_too_few_matches_cannot_be_fitted():
    with pytest.raises(Her2ScopeError, match="at least"):
        FRESH.match((1.0, 1.0)).fit()
