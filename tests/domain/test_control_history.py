"""Charts of control readings: what is a point, and when the baseline is fixed."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from control_series import MEAN_OD10, SD_LN, baseline, entry, series
from hypothesis import given
from hypothesis import strategies as st

from her2scope.domain.control_history import (
    BASELINE_RUNS,
    MIN_SD_LN,
    ControlChart,
    ControlEntry,
    ImpossibleReadingError,
    Standing,
    control_charts,
    first_told,
)
from her2scope.domain.score import ControlStatus


def chart(*history: ControlEntry) -> ControlChart:
    (found,) = control_charts(history)
    return found


def standings(found: ControlChart) -> list[Standing]:
    return [reading.standing for reading in found.readings]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"at_utc": "yesterday"}, "not ISO 8601 in UTC"),
        ({"at_utc": "2026-01-05T09:30:00"}, "not ISO 8601 in UTC"),
        ({"at_utc": "2026-01-05T09:30:00+02:00"}, "not ISO 8601 in UTC"),
        ({"level": "4+"}, "'4+' is none of 0, 1+, 2+, 3+"),
        ({"intensity_od10": -0.1}, "its intensity is -0.1 od10"),
        ({"intensity_od10": math.nan}, "its intensity is nan od10"),
        ({"status": ControlStatus.ABSENT}, "it has no verdict"),
        ({"n_tumour": -1}, "-1 tumour cells"),
    ],
)
def test_an_impossible_reading_is_refused_in_words(changes, says):
    with pytest.raises(ImpossibleReadingError) as caught:
        entry(**changes)
    assert says in str(caught.value) and "Read the control again" in str(caught.value)


def test_an_empty_history_has_no_charts():
    assert control_charts(()) == ()


@pytest.mark.parametrize("name", ["level", "lot", "instrument", "method"])
def test_another_level_lot_instrument_or_method_is_another_chart(name):
    history = [entry(0), entry(1, **{name: "2+"}), entry(2)]
    first, second = sorted(control_charts(history), key=lambda item: -len(item.points))
    assert (len(first.points), len(second.points)) == (2, 1)
    assert getattr(second.key, name) == "2+"


def test_charts_stand_series_by_series_the_strongest_level_first():
    history = [entry(0, level="0"), entry(0, level="3+"), entry(1, lot="L2", level="2+"), entry(1, level="1+")]
    found = [(item.key.lot, item.key.level) for item in control_charts(history)]
    assert found == [("L1", "3+"), ("L1", "1+"), ("L1", "0"), ("L2", "2+")]


@pytest.mark.parametrize("name", ["lot", "run"])
def test_without_a_lot_or_a_run_there_is_no_chart(name):
    assert entry(**{name: "  "}).key is None
    assert control_charts([entry(**{name: ""})]) == ()


def test_a_run_is_one_point_its_latest_reading_in_its_first_place():
    found = chart(entry(0, 1.0), entry(1, 0.5), entry(0, -1.0))
    assert [point.entry for point in found.points] == [entry(0, -1.0), entry(1, 0.5)]
    assert standings(found) == [Standing.EARLIER, Standing.POINT, Standing.POINT]


@pytest.mark.parametrize(
    "change", [{"codes": ("blurred",)}, {"codes": ("faded", "over_exposed")}, {"codes": ("too_few",)}]
)
def test_what_its_picture_did_not_let_judge_is_kept_and_no_point(change):
    found = chart(entry(0), replace(entry(0, 2.0), status=ControlStatus.INVALID, **change))
    assert standings(found) == [Standing.POINT, Standing.NOT_MEASURED]
    assert [point.entry for point in found.points] == [entry(0)]


def test_a_warning_of_clipped_pixels_leaves_the_reading_a_point():
    clipped = replace(entry(1, 2.0), status=ControlStatus.WARNING, codes=("over_exposed",))
    assert standings(chart(entry(0), clipped)) == [Standing.POINT, Standing.POINT]


def test_an_intensity_of_nothing_is_no_point():
    assert standings(chart(entry(0, intensity_od10=0.0))) == [Standing.NOT_MEASURED]


def test_the_same_images_again_are_no_new_point():
    first = entry(0, images=("a", "b"))
    again = entry(5, 1.0, images=("b", "a"))
    found = chart(first, again, entry(6))
    assert standings(found) == [Standing.POINT, Standing.REPEATED, Standing.POINT]
    assert first_told(again, [entry(9), first]) == 1
    assert first_told(entry(5, images=()), [entry(0, images=())]) is None
    assert first_told(replace(again, lot="L2"), [first]) is None


def test_readings_without_images_are_each_their_own():
    assert standings(chart(entry(0, images=()), entry(1, images=()))) == [Standing.POINT, Standing.POINT]


def test_twenty_valid_runs_make_the_baseline():
    found = chart(*baseline())
    assert found.baseline is not None and found.n_valid == BASELINE_RUNS
    assert found.baseline.mean_od10 == pytest.approx(MEAN_OD10)
    assert found.baseline.sd_ln == pytest.approx(SD_LN)
    assert found.points[1].z == pytest.approx(math.sqrt(0.95))
    assert found.note == "mean 0.60 od10, SD 10.5 % (first 20 valid runs)"


@pytest.mark.parametrize("status", [ControlStatus.WARNING, ControlStatus.INVALID])
def test_only_valid_runs_enter_it(status):
    history = (*baseline()[:19], entry(19, 2.0, status=status))
    found = chart(*history)
    assert found.baseline is None and found.points[0].z is None
    assert found.note == "19 of 20 valid runs: only the absolute limits hold"
    assert chart(*history, entry(20)).baseline is not None


def test_reading_a_run_again_adds_no_run_to_it():
    assert chart(*baseline()[:19], entry(3, 0.5)).baseline is None


def test_a_run_read_again_counts_as_it_read_last():
    found = chart(*baseline()[:19], entry(3, 0.5, status=ControlStatus.WARNING), entry(20))
    assert found.baseline is None and found.n_valid == 19


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.floats(-5, 5), st.sampled_from(ControlStatus).filter(lambda s: s != "absent"))
    )
)
def test_once_fixed_it_never_changes(more):
    fixed = chart(*baseline()).baseline
    later = [entry(number, z, status=status) for number, z, status in more]
    assert chart(*baseline(), *later).baseline == fixed


def test_a_lucky_series_does_not_make_the_limits_tight():
    found = chart(*series([0.0] * 20, 0))
    assert found.baseline is not None and found.baseline.sd_ln == MIN_SD_LN


@given(st.floats(0.2, 3.0), st.lists(st.floats(-4, 4), min_size=1, max_size=6))
def test_a_constant_factor_on_all_readings_leaves_z_as_it_is(factor, zs):
    history = (*baseline(), *series(zs))
    scaled = [replace(item, intensity_od10=factor * item.intensity_od10) for item in history]
    for before, after in zip(chart(*history).points, chart(*scaled).points, strict=True):
        assert after.z == pytest.approx(before.z, abs=1e-9)


@given(st.floats(-6, 6))
def test_z_and_intensity_are_each_others_inverse(z):
    found = chart(*baseline()).baseline
    assert found is not None and found.z(found.intensity_od10(z)) == pytest.approx(z, abs=1e-9)
