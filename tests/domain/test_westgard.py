"""Every Westgard rule on series worked by hand: at its limit it is silent, beyond it speaks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from control_series import baseline, entry, series
from hypothesis import given, settings
from hypothesis import strategies as st

from her2scope.domain.control_history import ControlEntry, Standing
from her2scope.domain.score import ControlStatus
from her2scope.domain.westgard import baseline_note, judge_by_history, judge_history

OVER = 0.001
LEVELS = ("3+", "1+")
TWO_LEVELS = (*baseline(), *baseline(level="1+"))


def rules(*zs: float, before: tuple[ControlEntry, ...] = baseline()) -> list[str]:
    """What the last of some runs after the baseline breaks."""
    *earlier, last = series(zs)
    return [finding.rule for finding in judge_by_history(last, (*before, *earlier))]


def rules_in_a_run(first_z: float, second_z: float) -> list[str]:
    """What the 1+ control of a run breaks after its 3+ control was read."""
    history = (*TWO_LEVELS, entry(20, first_z))
    return [finding.rule for finding in judge_by_history(entry(20, second_z, level="1+"), history)]


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(
    ("zs", "broken"),
    [
        ((0,), []),
        ((2,), []),
        ((2 + OVER,), ["1-2s"]),
        ((3,), ["1-2s"]),
        ((3 + OVER,), ["1-3s"]),
        ((2 + OVER, 2 + OVER), ["2-2s"]),
        ((2 + OVER, 2), []),
        ((2, 2 + OVER), ["1-2s"]),
        ((2 + OVER, -2 - OVER), ["1-2s"]),  # one after the other is no R-4s: that is of one run
        ((2 + OVER, 0, 2 + OVER), ["1-2s"]),
        ((2 + OVER, 3 + OVER), ["1-3s", "2-2s"]),
        ((1 + OVER,) * 4, ["4-1s"]),
        ((1, *(1 + OVER,) * 3), []),
        ((1 + OVER,) * 3, []),
        ((1 + OVER, 1 + OVER, -1 - OVER, 1 + OVER), []),
        ((1 + OVER, 1 + OVER, 1 + OVER, 2 + OVER), ["1-2s", "4-1s"]),
        ((-0.5, *(OVER,) * 10), ["10x"]),
        ((-0.5, 0, *(OVER,) * 9), []),  # on the mean is on neither side
        ((-0.5, *(OVER,) * 9), []),
        ((-0.5, *(1.5,) * 10), ["4-1s", "10x"]),
    ],
)
def test_each_rule_on_one_level(side, zs, broken):
    flipped = [replace(item, intensity_od10=0.36 / item.intensity_od10) for item in baseline()]
    history = baseline() if side > 0 else tuple(flipped)
    assert rules(*(side * z for z in zs), before=history) == broken


@pytest.mark.parametrize(
    ("first", "second", "broken"),
    [
        (2 + OVER, -2 - OVER, ["R-4s"]),
        (-2 - OVER, 2 + OVER, ["R-4s"]),
        (2 + OVER, -2, []),
        (2, -2 - OVER, ["1-2s"]),
        (2 + OVER, 2 + OVER, ["2-2s"]),
        (-2 - OVER, -2 - OVER, ["2-2s"]),
        (2, 2 + OVER, ["1-2s"]),
        (4.0, -3 - OVER, ["1-3s", "R-4s"]),
    ],
)
def test_each_rule_on_two_levels_of_a_run(first, second, broken):
    assert rules_in_a_run(first, second) == broken


@pytest.mark.parametrize("changes", [{"run": "another"}, {"lot": "L2"}, {"instrument": "bench 3"}, {"method": "x"}])
def test_levels_of_another_run_lot_instrument_or_method_are_no_pair(changes):
    history = (*TWO_LEVELS, *baseline(**changes), entry(20, 2.5, **changes))
    assert [item.rule for item in judge_by_history(entry(20, -2.5, level="1+"), history)] == ["1-2s"]


@pytest.mark.parametrize(
    ("zs", "severity", "code", "words"),
    [
        ((2.6,), "warning", "over_stained", "3+ control: 2.6 SD above this lot's mean (rule 1-2s); watch the next run"),
        ((-2.6,), "warning", "faded", "3+ control: 2.6 SD below this lot's mean (rule 1-2s); watch the next run"),
        ((3.4,), "invalid", "over_stained", "(rule 1-3s); DAB too strong: check antibody dilution and DAB time"),
        ((-3.4,), "invalid", "faded", "(rule 1-3s); DAB too weak: check antibody, incubation, retrieval"),
        ((-2.1, -2.2), "invalid", "faded", "this run and the one before more than 2 SD below this lot's mean"),
        ((-0.1,) * 10, "warning", "drift", "systematic shift, the last 10 runs below this lot's mean (rule 10x)"),
        ((1.5,) * 4, "warning", "drift", "systematic shift, the last 4 runs more than 1 SD above this lot's mean"),
    ],
)
def test_a_finding_speaks_as_a_lab_does(zs, severity, code, words):
    *earlier, last = series(zs)
    (finding,) = judge_by_history(last, (*baseline(), *earlier))
    assert (finding.severity, finding.code) == (severity, code)
    assert words in finding.reason


def test_levels_that_disagree_are_named():
    (finding,) = judge_by_history(entry(20, -2.4, level="1+"), (*TWO_LEVELS, entry(20, 2.1)))
    assert finding.reason.startswith("1+ control 2.4 SD below, 3+ control 2.1 SD above this lot's mean in one run")
    assert (finding.severity, finding.code) == (ControlStatus.INVALID, "faded")


def test_levels_that_agree_are_named():
    (finding,) = judge_by_history(entry(20, 2.4, level="1+"), (*TWO_LEVELS, entry(20, 2.1)))
    assert "1+ and 3+ control of this run more than 2 SD above" in finding.reason


BLURRED = {"codes": ("blurred",), "status": ControlStatus.INVALID}


@given(st.lists(st.floats(-9, 9), max_size=19), st.floats(-9, 9))
def test_before_there_is_a_baseline_nothing_is_found(zs, z):
    assert judge_by_history(entry(50, z), series(zs, 0)) == ()


def test_a_reading_that_completes_the_baseline_is_not_judged_by_it():
    assert judge_by_history(entry(19, 9.0), baseline()[:19]) == ()
    assert all(not reading.findings for reading in judge_history((*baseline()[:19], entry(19, 9.0))).readings)


@pytest.mark.parametrize("changes", [{"lot": ""}, {"run": ""}, {"lot": "new"}, BLURRED])
def test_what_is_on_no_chart_or_on_a_new_one_is_not_judged(changes):
    assert judge_by_history(entry(20, 5.0, **changes), baseline()) == ()


def test_a_run_read_again_replaces_its_own_reading_and_is_not_its_own_pair():
    again = entry(20, 2.5, images=("again",))
    assert [item.rule for item in judge_by_history(again, (*baseline(), entry(20, 2.5)))] == ["1-2s"]


def test_a_run_of_the_baseline_read_again_is_judged():
    assert [item.rule for item in judge_by_history(entry(4, 3.5), baseline())] == ["1-3s"]


def test_the_same_images_again_are_judged_as_they_were():
    bad = entry(21, 2.5)
    history = (*baseline(), entry(20, 2.5), bad, entry(22), entry(23))
    assert [item.rule for item in judge_by_history(replace(bad, run="another day"), history)] == ["2-2s"]


OTHERS = st.lists(
    st.builds(
        entry,
        number=st.integers(0, 60),
        z=st.floats(-5, 5),
        lot=st.sampled_from(["L2", ""]),
        level=st.sampled_from(LEVELS),
    ),
    max_size=30,
)


@settings(max_examples=30)
@given(st.lists(st.floats(-4, 4), min_size=1, max_size=6), OTHERS, st.randoms())
def test_readings_of_other_charts_change_nothing(zs, others, random):
    *earlier, last = series(zs)
    own = [*baseline(), *earlier]
    mixed = list(own)
    for other in others:
        mixed.insert(random.randrange(len(mixed) + 1), other)
    assert judge_by_history(last, mixed) == judge_by_history(last, own)


@settings(max_examples=30)
@given(st.lists(st.floats(-4, 4), min_size=1, max_size=12), st.floats(0.2, 3.0))
def test_a_constant_factor_on_all_readings_changes_nothing(zs, factor):
    zs = [round(z, 3) + 0.0004 for z in zs]  # off the limits, where rounding decides
    *earlier, last = [replace(item, intensity_od10=factor * item.intensity_od10) for item in (*baseline(), *series(zs))]
    assert [item.rule for item in judge_by_history(last, earlier)] == rules(*zs)


@settings(max_examples=30)
@given(st.lists(st.floats(-4, 4), max_size=12))
def test_the_history_says_of_each_run_what_was_said_when_it_was_read(zs):
    history = (*baseline(), *series(zs))
    for place, reading in enumerate(judge_history(history).readings):
        assert reading.findings == judge_by_history(reading.entry, history[:place])


def test_the_history_tells_what_each_reading_is():
    history = [
        entry(0),
        entry(0, 1.0),
        entry(1, lot=""),
        entry(2, **BLURRED),
        entry(3, images=("3+ L1 0 1.0",)),
    ]
    assert [reading.standing for reading in judge_history(history).readings] == [
        Standing.EARLIER, Standing.POINT, Standing.NO_CHART, Standing.NOT_MEASURED, Standing.REPEATED,
    ]  # fmt: skip


def test_a_part_of_the_history_keeps_what_its_runs_broke():
    whole = judge_history((*TWO_LEVELS, entry(20, 2.5), entry(20, -2.5, level="1+"), entry(21, lot="")))
    part = whole.only(level="1+", lot="L1", instrument="bench 2")
    assert {reading.entry.level for reading in part.readings} == {"1+"}
    (chart,) = part.charts
    assert [item.rule for item in part.of(chart.points[-1])] == ["R-4s"]
    assert len(whole.only(lot="").readings) == 1 and whole.only(lot="").charts == ()
    assert whole.only() == whole


def test_the_note_says_how_far_the_baseline_is():
    assert baseline_note(entry(6), baseline()[:6]) == "7 of 20 valid runs: only the absolute limits hold"
    assert baseline_note(entry(20), baseline()).startswith("mean 0.60 od10, SD 10.5 %")
    assert "no lot or run given" in baseline_note(entry(6, lot=""), ())
