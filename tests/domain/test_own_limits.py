"""A laboratory's own limits: worked by hand, and laws that hold for whatever a history may hold."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from typing import Any

import pytest
from control_series import baseline, entry
from hypothesis import given, settings
from hypothesis import strategies as st

from her2scope.domain.control import ControlLimits, ControlMeasures, judge_control
from her2scope.domain.control_history import BASELINE_RUNS
from her2scope.domain.own_limits import FIGURES, TooFewRunsError, figures_of, own_limits, sufficient_runs
from her2scope.domain.score import ControlStatus
from her2scope.domain.westgard import judge_history
from her2scope.settings import check_limits

BASE = ControlLimits()
USUAL = {
    "membrane_od10": 0.60,
    "intense_od10": 0.50,
    "background_od10": 0.10,
    "stroma_od10": 0.05,
    "nuclear_od10": 0.02,
    "counterstain_od10": 0.08,
    "clipped_share": 0.02,
    "dark_share": 0.002,
}
MEASURES = ControlMeasures(
    n_tumour=300,
    read="3+",
    membrane_od10=0.60,
    intense_od10=0.50,
    background_od10=0.10,
    nuclear_od10=0.02,
    counterstain_od10=0.08,
    clipped_share=0.02,
)
MOVED = {
    "min_intense_od10",
    "max_intense_od10",
    "invalid_intense_od10",
    "min_cut_od10",
    "max_cut_od10",
    "max_background_od10",
    "max_background_share",
    "max_stroma_od10",
    "max_nuclear_od10",
    "min_counterstain_od10",
    "max_clipped_share",
    "max_dark_share",
}
any_number = st.floats(allow_nan=False, allow_infinity=False)
some_figures = st.fixed_dictionaries({}, optional=dict.fromkeys(FIGURES, any_number))
small_noise = st.fixed_dictionaries(dict.fromkeys(FIGURES, st.floats(-0.08, 0.08)))
"""At most twice of it lie between a run and the mean: less than 3.5 of the smallest SD, 0.05."""


def by_name(limits: ControlLimits) -> dict[str, float]:
    return asdict(limits)


def runs(noise: list[dict[str, float]], factor: float = 1.0) -> list[dict[str, float]]:
    """The usual figures, each a little off (nuclear staining, which may be negative, in od10)."""
    return [
        {
            name: value + off[name] / 3 if name == "nuclear_od10" else factor * value * math.exp(off[name])
            for name, value in USUAL.items()
        }
        for off in noise
    ]


def test_limits_worked_by_hand():
    """Membranes with an SD of exactly 0.1 about 0.60 od10; all else is always the same: its smallest SD counts."""
    away = 0.1 * math.sqrt((BASELINE_RUNS - 1) / BASELINE_RUNS)
    found = own_limits(
        [USUAL | {"membrane_od10": 0.60 * math.exp(away if run % 2 else -away)} for run in range(BASELINE_RUNS)], BASE
    )
    assert found == replace(
        BASE,
        min_intense_od10=0.423,  # 0.60 exp(-0.35)
        max_intense_od10=0.851,
        invalid_intense_od10=0.851,
        min_cut_od10=0.352,  # 0.50 exp(-3.5 * 0.10)
        max_cut_od10=0.710,
        max_background_od10=0.142,
        max_background_share=0.0,
        max_stroma_od10=0.101,  # 0.05 exp(3.5 * 0.20)
        max_nuclear_od10=0.09,  # 0.02 + 3.5 * 0.02
        min_counterstain_od10=0.047,  # 0.08 exp(-3.5 * 0.15)
        max_clipped_share=0.04,
        max_dark_share=0.02,  # 0.002 counts as 0.01, which cannot be told from none
    )


@settings(max_examples=25)
@given(noise=st.lists(small_noise, min_size=20, max_size=20))
def test_every_one_of_its_runs_is_within_the_limits(noise):
    of_lab = runs(noise)
    limits = own_limits(of_lab, BASE)
    for figures in of_lab:
        values: dict[str, Any] = dict(figures)
        assert judge_control(replace(MEASURES, **values), "3+", limits).reasons == ()


@settings(max_examples=25)
@given(noise=st.lists(small_noise, min_size=20, max_size=24), factor=st.floats(0.9, 2.0))
def test_a_stronger_stain_moves_the_limits_by_its_factor(noise, factor):
    before, after = (by_name(own_limits(runs(noise, strength), BASE)) for strength in (1.0, factor))
    for name in ("intense_od10", "cut_od10"):
        for end in ("min_", "max_"):
            assert after[end + name] == pytest.approx(factor * before[end + name], abs=0.0005 * (1 + factor) + 1e-9)
    for name in ("max_background_od10", "max_stroma_od10", "min_counterstain_od10"):
        assert after[name] == pytest.approx(factor * before[name], abs=0.0005 * (1 + factor) + 1e-9)
    assert after["max_nuclear_od10"] == before["max_nuclear_od10"]


@settings(max_examples=25)
@given(of_lab=st.lists(some_figures, min_size=20, max_size=24), data=st.data())
def test_the_order_of_runs_does_not_matter(of_lab, data):
    assert own_limits(data.draw(st.permutations(of_lab)), BASE) == own_limits(of_lab, BASE)


@settings(max_examples=25)
@given(of_lab=st.lists(some_figures, min_size=20, max_size=24))
def test_limits_are_such_as_the_settings_take_whatever_a_history_holds(of_lab):
    check_limits(own_limits(of_lab, BASE), "")


@pytest.mark.parametrize("value", [0.0, 5.0, -5.0, 1e300, -1e300])
def test_impossible_figures_give_possible_limits(value):
    mixed = [dict.fromkeys(FIGURES, value if run % 2 else 0.5) for run in range(20)]
    check_limits(own_limits(mixed, BASE), "")


@pytest.mark.parametrize("n", [0, 1, 19])
def test_with_fewer_than_20_runs_there_are_none(n):
    with pytest.raises(TooFewRunsError, match=f"{n} sufficient runs .* 20 are"):
        own_limits([USUAL] * n, BASE)


@pytest.mark.parametrize("name", FIGURES)
def test_what_fewer_than_half_of_20_runs_tell_stays_as_it_is(name):
    without = {key: value for key, value in USUAL.items() if key != name}
    ten, nine = (by_name(own_limits([USUAL] * n + [without] * (20 - n), BASE)) for n in (10, 9))
    assert ten == by_name(own_limits([USUAL] * 20, BASE))
    kept = {key for key in MOVED if nine[key] == by_name(BASE)[key]}
    assert kept == {key for key in MOVED if nine[key] != ten[key]}
    assert kept


def test_runs_that_tell_nothing_change_nothing():
    assert own_limits([{}] * 20, BASE) == BASE


def test_what_is_invalid_is_never_less_than_what_is_doubted():
    brown = own_limits([USUAL | {"background_od10": 0.50}] * 20, BASE)
    assert brown.max_background_od10 == brown.invalid_background_od10 == 0.71  # 0.50 exp(0.35)
    bright = own_limits([USUAL | {"clipped_share": 0.25}] * 20, BASE)
    assert bright.max_clipped_share == bright.invalid_clipped_share == BASE.invalid_clipped_share


def test_figures_are_those_that_were_measured():
    found = figures_of(replace(MEASURES, membrane_od10=0.123456, intense_od10=None))
    assert found.keys() == FIGURES.keys() - {"intense_od10"}
    assert (found["membrane_od10"], found["nuclear_od10"], found["dark_share"]) == (0.1235, 0.02, 0.0)


# ---- which runs ---------------------------------------------------------------------------------------------------


def sufficient(*history: Any) -> list[str]:
    judged = judge_history(history)
    (chart,) = judged.charts
    return [run.run for run in sufficient_runs(chart, judged)]


@pytest.mark.parametrize(
    ("status", "codes", "counts"),
    [
        ("valid", (), True),
        ("warning", ("nuclear",), True),
        ("invalid", ("faded",), True),
        ("invalid", ("over_stained", "background"), True),
        ("invalid", ("wrong_level", "faded"), False),
        ("invalid", ("faded", "nuclear"), False),
        ("invalid", ("too_few",), False),
        ("invalid", ("over_exposed",), False),
        ("invalid", ("blurred",), False),
    ],
)
def test_a_run_is_left_out_by_its_level_and_picture_not_by_limits(status, codes, counts):
    other = entry(1, status=ControlStatus(status), codes=codes)
    assert sufficient(entry(0), other) == ["run 000", "run 001"][: 1 + counts]


def test_each_run_counts_once_by_its_latest_reading():
    again = entry(0, status=ControlStatus.INVALID, codes=("wrong_level",), images=("other",))
    assert sufficient(entry(0), entry(1), again) == ["run 001"]


def test_a_run_that_the_chart_refuses_is_left_out():
    """Its verdict reads as one by limits: invalid, faded. But its own laboratory's mean says that it failed."""
    failed = entry(20, -3.5, status=ControlStatus.INVALID, codes=("faded",))
    warned = entry(21, 2.5, status=ControlStatus.WARNING, codes=("over_stained",))
    assert sufficient(*baseline(), failed, warned) == [f"run {number:03}" for number in (*range(20), 21)]
