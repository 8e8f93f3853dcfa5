"""Verdicts on controls: each doubt has its code, and only what is sufficient passes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2scope.domain.cells import StainCuts
from her2scope.domain.control import (
    ControlCode,
    ControlLimits,
    ControlMeasures,
    after_earlier,
    anchored_cuts,
    cuts_within,
    judge_control,
    run_cuts,
)
from her2scope.domain.score import ControlStatus

GOOD = ControlMeasures(
    n_tumour=300,
    read="3+",
    membrane_od10=0.9,
    intense_od10=0.7,
    background_od10=0.05,
    nuclear_od10=0.02,
    counterstain_od10=0.3,
    clipped_share=0.01,
)


def test_a_good_control_is_valid_without_a_word():
    verdict = judge_control(GOOD, "3+", ControlLimits())
    assert (verdict.status, verdict.codes, verdict.reasons) == (ControlStatus.VALID, (), ())


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"membrane_od10": 0.2}, "invalid", "faded"),
        ({"read": "1+", "membrane_od10": 0.5}, "invalid", "wrong_level"),
        ({"membrane_od10": 1.9}, "warning", "over_stained"),
        ({"membrane_od10": 2.3}, "invalid", "over_stained"),
        ({"stroma_od10": 0.3}, "warning", "background"),
        ({"field_scores": ("3+", "2+")}, "warning", "wrong_level"),
        ({"field_scores": ("3+", "0")}, "invalid", "wrong_level"),
        ({"field_od10": (0.6, 0.95)}, "warning", "drift"),
        ({"drift": "drift: the white differs by 15 % from the calibrated one"}, "warning", "drift"),
        ({"shares_percent": {"complete_intense": 18.0}}, "warning", "faded"),
        ({"background_od10": 0.3}, "warning", "background"),
        ({"background_od10": 0.5}, "invalid", "background"),
        ({"nuclear_od10": 0.5}, "warning", "nuclear"),
        ({"counterstain_od10": 0.02}, "warning", "no_counterstain"),
        ({"quality_codes": ("blurred",), "n_tumour": 0, "read": None}, "invalid", "blurred"),
        ({"clipped_share": 0.08}, "warning", "over_exposed"),
        ({"clipped_share": 0.4}, "invalid", "over_exposed"),
        ({"n_tumour": 99}, "invalid", "too_few"),
    ],
)
def test_each_fault_has_its_code_and_a_reason(change, status, code):
    verdict = judge_control(replace(GOOD, **change), "3+", ControlLimits())
    assert verdict.status is ControlStatus(status)
    assert ControlCode(code) in verdict.codes
    assert all(len(reason) > 10 for reason in verdict.reasons)


def test_fields_of_a_level_that_reads_0_are_not_held_together_by_the_cells_that_are_misread():
    negative = replace(GOOD, read="0", membrane_od10=0.12, intense_od10=None, field_od10=(0.08, 0.3))
    assert judge_control(negative, "0", ControlLimits()).status is ControlStatus.VALID
    uneven = judge_control(replace(negative, field_scores=("0", "1+")), "0", ControlLimits())
    assert (uneven.status, uneven.codes) == (ControlStatus.WARNING, (ControlCode.WRONG_LEVEL,))


@pytest.mark.parametrize("expected", ["1+", "2+", "3+"])
@pytest.mark.parametrize("fields", [(), (0.1, 0.1), (0.08, 0.3)])
def test_a_stained_level_that_reads_0_never_passes(expected, fields):
    failed = replace(GOOD, read="0", membrane_od10=0.12, intense_od10=None, field_od10=fields)
    verdict = judge_control(failed, expected, ControlLimits())
    assert verdict.status is ControlStatus.INVALID and ControlCode.WRONG_LEVEL in verdict.codes


def test_a_field_that_cannot_be_used_is_a_warning_beside_good_ones():
    verdict = judge_control(replace(GOOD, quality_codes=("blurred", "no_tissue")), "3+", ControlLimits())
    assert verdict.status is ControlStatus.WARNING
    assert verdict.codes == (ControlCode.BLURRED, ControlCode.TOO_FEW)


def test_a_level_too_weak_is_faded_too():
    verdict = judge_control(replace(GOOD, read="2+", membrane_od10=0.4), "3+", ControlLimits())
    assert {ControlCode.WRONG_LEVEL, ControlCode.FADED} <= set(verdict.codes)


def test_a_negative_control_that_stains_is_over_stained():
    verdict = judge_control(replace(GOOD, read="2+"), "0", ControlLimits())
    assert {ControlCode.WRONG_LEVEL, ControlCode.OVER_STAINED} <= set(verdict.codes)


@pytest.mark.parametrize("expected", ["0", "1+"])
def test_faint_staining_within_the_false_cells_vouches_for_no_low_end(expected):
    verdict = judge_control(replace(GOOD, read="1+", membrane_od10=0.2, low_end_open=True), expected, ControlLimits())
    assert (verdict.status, verdict.codes) == (ControlStatus.WARNING, (ControlCode.LOW_END_NOT_COVERED,))


def test_valid_after_invalid_is_at_best_a_warning():
    valid = judge_control(GOOD, "3+", ControlLimits())
    assert after_earlier(valid, [ControlStatus.VALID]).status is ControlStatus.VALID
    second = after_earlier(valid, [ControlStatus.INVALID, ControlStatus.VALID])
    assert second.status is ControlStatus.WARNING
    assert any("earlier reading" in reason for reason in second.reasons)


@given(low=st.floats(0.05, 3.0), span=st.floats(1.0, 3.0))
def test_default_cuts_come_down_to_the_labs_own_range(low, span):
    limits = ControlLimits(min_cut_od10=low, max_cut_od10=min(5.0, low * span))
    cuts = cuts_within(StainCuts(), limits)
    assert cuts.stained_od10 == StainCuts().stained_od10
    assert cuts.intense_od10 <= min(StainCuts().intense_od10, max(limits.max_cut_od10, cuts.stained_od10)) + 1e-9
    assert limits.max_cut_od10 < StainCuts().intense_od10 or cuts == StainCuts()


def test_default_cuts_inside_the_labs_own_range_stay():
    assert cuts_within(StainCuts(), ControlLimits()) == StainCuts()


@given(intense=st.floats(0.02, 3.0))
def test_anchored_cuts_always_rise(intense):
    cuts = anchored_cuts(StainCuts(), intense)
    assert 0 < cuts.stained_od10 <= cuts.moderate_od10 <= cuts.intense_od10
    assert cuts.intense_od10 >= intense


# ---- cuts of a run whose 3+ control no report can rest on -----------------------------------------------------------

DARK = replace(GOOD, membrane_od10=3.48, intense_od10=1.78)
"""As a scanner shows it that sharpens; so are the levels below it."""
DARK_BELOW = {
    "2+": replace(GOOD, read="3+", membrane_od10=0.81, intense_od10=None, moderate_od10=0.57),
    "1+": replace(GOOD, read="2+", membrane_od10=0.32, intense_od10=None, moderate_od10=0.45),
}


def cuts_of_run(anchor: ControlMeasures = DARK, **below: ControlMeasures):
    levels = {name.removeprefix("level_") + "+": measures for name, measures in below.items()}
    return run_cuts(StainCuts(), anchor, levels or DARK_BELOW, ControlLimits())


def test_levels_that_contradict_the_settings_bear_their_own_control_out():
    cuts = cuts_of_run()
    assert cuts is not None and cuts.intense_od10 == 1.78
    assert cuts.moderate_od10 == pytest.approx((0.57 * 0.45) ** 0.5)


def test_one_level_is_enough():
    cuts = cuts_of_run(level_2=DARK_BELOW["2+"])
    assert cuts is not None and (cuts.moderate_od10, cuts.intense_od10) == (0.57, 1.78)
    pale = replace(GOOD, read="1+", membrane_od10=0.3, moderate_od10=0.21)  # its 2+ reads 1+ by the settings
    faded = cuts_of_run(replace(GOOD, membrane_od10=0.6, intense_od10=0.42), level_2=pale)
    assert faded is not None and (faded.moderate_od10, faded.intense_od10) == (0.21, 0.42)


@pytest.mark.parametrize(
    ("anchor", "below"),
    [
        pytest.param(DARK, {"2+": replace(DARK_BELOW["2+"], membrane_od10=0.6)}, id="its level fits the settings"),
        pytest.param(DARK, {}, id="no level was read"),
        pytest.param(replace(DARK, intense_od10=None), DARK_BELOW, id="no cut"),
        pytest.param(replace(DARK, read="2+"), DARK_BELOW, id="a control that is no 3+"),
        pytest.param(replace(DARK, n_tumour=99), DARK_BELOW, id="too few cells"),
        pytest.param(DARK, {"2+": replace(DARK_BELOW["2+"], n_tumour=99)}, id="too few cells of the level"),
        pytest.param(DARK, {"2+": replace(DARK_BELOW["2+"], moderate_od10=None)}, id="too few membranes of the level"),
        pytest.param(replace(DARK, intense_od10=0.8), DARK_BELOW, id="a 2+ as strong as the cut"),
        pytest.param(DARK, {**DARK_BELOW, "1+": replace(DARK_BELOW["1+"], membrane_od10=0.9)}, id="out of order"),
    ],
)
def test_else_the_settings_hold(anchor, below):
    assert run_cuts(StainCuts(), anchor, below, ControlLimits()) is None


@given(
    cut=st.floats(0.05, 4.0),
    two=st.floats(0.01, 4.0),
    one=st.floats(0.01, 4.0),
    read=st.sampled_from(["0", "2+", "3+"]),
)
def test_cuts_of_a_run_part_its_levels(cut, two, one, read):
    levels = {
        "2+": replace(DARK_BELOW["2+"], membrane_od10=two, moderate_od10=0.7 * two),
        "1+": replace(DARK_BELOW["1+"], membrane_od10=one, moderate_od10=1.4 * one),
    }
    cuts = run_cuts(StainCuts(), replace(DARK, read=read, intense_od10=cut), levels, ControlLimits())
    if cuts is None:
        return
    assert read == "3+" and one < two < cut == cuts.intense_od10
    assert not (one < StainCuts().moderate_od10 <= two < StainCuts().intense_od10)
