"""Controls of phantom laboratories: the figures that come of their verdicts, worked on measures made by hand."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from factories import honeycomb_field

from her2scope.app.compose import make_analyser
from her2scope.domain.cells import CellClass
from her2scope.domain.control import ControlCode, ControlLimits, ControlMeasures, ControlVerdict
from her2scope.domain.own_limits import TooFewRunsError
from her2scope.domain.score import ControlStatus
from her2scope.evaluation import control_checks
from her2scope.evaluation.control_checks import (
    DAMAGED_PER_LAB,
    FIELDS,
    GOOD_PER_LAB,
    LAB_SEEDS,
    VALIDATING_RUNS,
    ControlSpec,
    evaluate_controls,
    judged,
    read_spec,
    sufficiency_auc,
)
from her2scope.evaluation.table import Figure, PartReport
from her2scope.phantom.run import DAMAGES, make_run
from her2scope.settings import Calibration, ScoringSettings

METHOD = "closed-contours"
BASE = ControlLimits()
GOOD = ControlMeasures(
    n_tumour=300,
    read="3+",
    membrane_od10=0.60,
    intense_od10=0.50,
    background_od10=0.10,
    nuclear_od10=0.02,
    counterstain_od10=0.08,
    clipped_share=0.01,
)
SHOWN: dict[str, dict[str, Any]] = {
    "faded": {"membrane_od10": 0.18},
    "over_stained": {"membrane_od10": 1.30},
    "background": {"background_od10": 0.45},
    "no_counterstain": {"counterstain_od10": 0.004},
    "nuclear": {"nuclear_od10": 0.45},
    "blurred": {"n_tumour": 0, "read": None, "membrane_od10": 0.0, "quality_codes": ("blurred",)},
    "over_exposed": {"clipped_share": 0.45},
    "wrong_level": {"read": "1+"},
    "too_few": {"n_tumour": 40, "read": None},
    "drift": {"drift": "drift: the white differs by 20 % from the calibrated one"},
}
"""What each damage does to the measures."""


def noisy(number: int) -> ControlMeasures:
    """A good run, whose membranes differ from run to run with an SD of 4 %."""
    return replace(GOOD, membrane_od10=0.60 * math.exp(0.04 * (-1) ** number))


def lab_runs(lab: int = 1, good: int = 8, damaged: int = 4) -> dict[ControlSpec, ControlMeasures]:
    """A laboratory whose every damage shows."""
    found = {ControlSpec(lab, number, None, True): noisy(number) for number in range(VALIDATING_RUNS)}
    kinds: list[str | None] = [*[None] * good, *list(DAMAGES) * damaged]
    for number, damage in enumerate(kinds, start=VALIDATING_RUNS):
        found[ControlSpec(lab, number, damage, False)] = replace(noisy(number), **SHOWN.get(damage or "", {}))
    return found


def further(membrane_od10: float, number: int = 99) -> dict[ControlSpec, ControlMeasures]:
    return {ControlSpec(1, number, None, False): replace(GOOD, membrane_od10=membrane_od10)}


def verdict(status: str, n_reasons: int = 0) -> ControlVerdict:
    return ControlVerdict(ControlStatus(status), (), ("a reason",) * n_reasons)


# ---- verdicts -----------------------------------------------------------------------------------------------------


def test_only_further_runs_are_judged_and_good_ones_pass():
    verdicts = judged(lab_runs(), BASE)
    assert {spec for spec in verdicts if spec.validates} == set()
    assert len(verdicts) == 8 + 4 * len(DAMAGES)
    assert {found.status for spec, found in verdicts.items() if spec.damage is None} == {ControlStatus.VALID}


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_damage_is_named(damage):
    verdicts = judged(lab_runs(good=0, damaged=1), BASE)
    (found,) = [found for spec, found in verdicts.items() if spec.damage == damage]
    assert ControlCode(damage) in found.codes and found.status is not ControlStatus.VALID


def test_a_strong_run_is_beyond_the_labs_limits_though_within_those_of_the_settings():
    (found,) = judged(lab_runs(good=0, damaged=0) | further(0.90), BASE).values()
    assert found.status is ControlStatus.INVALID and found.codes == (ControlCode.OVER_STAINED,)
    assert "DAB too strong" in found.reasons[0] and found.rules == ("1-3s",)


def test_the_chart_refuses_what_the_limits_let_pass():
    """The limits lie 3.5 SD (of at least 5 %) from the mean, the chart's at 3."""
    (found,) = judged(lab_runs(good=0, damaged=0) | further(0.60 * math.exp(0.16)), BASE).values()
    assert (found.status, found.rules, len(found.reasons)) == (ControlStatus.INVALID, ("1-3s",), 1)


def test_each_further_run_is_judged_by_itself():
    """Two in a row beyond 2 SD would break rule 2-2s, were the second judged by a chart with the first."""
    strong = 0.60 * math.exp(0.12)
    verdicts = judged(lab_runs(good=0, damaged=0) | further(strong, 98) | further(strong, 99), BASE)
    assert [found.rules for found in verdicts.values()] == [("1-2s",), ("1-2s",)]


def test_a_lab_of_which_fewer_than_20_runs_read_their_level_has_no_limits():
    runs = lab_runs()
    for spec in [spec for spec in runs if spec.validates][:3]:
        runs[spec] = replace(runs[spec], read="2+")
    with pytest.raises(TooFewRunsError, match="19 sufficient runs"):
        judged(runs, BASE)


# ---- figures ------------------------------------------------------------------------------------------------------


def verdicts_of(good: list[ControlVerdict], damaged: list[ControlVerdict]) -> dict[ControlSpec, ControlVerdict]:
    kinds: list[tuple[str | None, ControlVerdict]] = [
        *((None, item) for item in good),
        *(("faded", item) for item in damaged),
    ]
    return {ControlSpec(1, number, damage, False): item for number, (damage, item) in enumerate(kinds)}


@pytest.mark.parametrize(
    ("good", "damaged", "auc"),
    [
        ([verdict("valid")], [verdict("invalid", 1)], 1.0),
        ([verdict("invalid", 1)], [verdict("valid")], 0.0),
        ([verdict("warning", 1)], [verdict("warning", 1)], 0.5),
        ([verdict("warning", 1)], [verdict("warning", 2)], 1.0),
        ([verdict("warning", 9)], [verdict("invalid", 1)], 1.0),
        ([verdict("valid"), verdict("warning", 1)], [verdict("warning", 1), verdict("invalid", 2)], 0.875),
        ([], [verdict("invalid", 1)], None),
        ([verdict("valid")], [], None),
    ],
)
def test_auc_worked_by_hand(good, damaged, auc):
    assert sufficiency_auc(verdicts_of(good, damaged)) == auc


def report(monkeypatch, runs: dict[ControlSpec, ControlMeasures]) -> PartReport:
    """Report of `evaluate_controls` on such runs."""
    labs = len({spec.lab for spec in runs})
    monkeypatch.setattr(control_checks, "_runs_of", lambda lab: [spec for spec in runs if spec.lab == lab - LAB_SEEDS])
    monkeypatch.setattr(control_checks, "read_spec", lambda _, spec: {METHOD: runs[spec]})
    told: list[str] = []
    found = evaluate_controls({METHOD: lambda: None}, BASE, labs, 1, told.append)  # type: ignore[dict-item]
    assert told[-1] == f"controls: {len(runs)} of {len(runs)}"
    return found[METHOD]


def figure(found: PartReport, name: str) -> Figure:
    (only,) = [item for item in found.figures if item.name == name]
    return only


def test_a_lab_that_names_all_meets_every_limit(monkeypatch):
    found = report(monkeypatch, lab_runs())
    assert all(item.met for item in found.figures if item.wanted)
    assert figure(found, "ROC AUC of sufficient").text == "1.000 (8 good, 40 damaged)"
    assert [item.name for item in found.figures if item.wanted] == [
        "ROC AUC of sufficient",
        "good ones of the lab's own range called invalid",
        *(f"damage named: {damage}" for damage in DAMAGES),
    ]
    assert [note.partition(":")[0] for note in found.notes] == ["good", *DAMAGES]
    assert found.notes[0] == "good: 8 valid (no code)"
    listed = found.details["controls"]
    assert Counter(item["kind"] for item in listed) == {"good": 8, **dict.fromkeys(DAMAGES, 4)}
    assert all(item["status_by_default_limits"] == "valid" for item in listed if item["kind"] == "good")


def test_what_is_missed_is_counted(monkeypatch):
    runs = lab_runs()
    good = [spec for spec in runs if not spec.validates and spec.damage is None]
    faded = [spec for spec in runs if spec.damage == "faded"]
    runs[good[0]] = replace(GOOD, **SHOWN["faded"])
    runs[faded[0]] = GOOD
    found = report(monkeypatch, runs)
    called, named = (
        figure(found, "good ones of the lab's own range called invalid"),
        figure(found, "damage named: faded"),
    )
    assert (called.text, called.met) == ("12.5 % (1 of 8)", False)
    assert (named.text, named.met) == ("75.0 % (3 of 4)", False)
    # one of 8 good ones as bad as (most of) the damaged, one of 40 damaged as good as the good
    auc = sufficiency_auc(judged(runs, BASE))
    assert figure(found, "ROC AUC of sufficient").value == auc and auc is not None and 0.85 < auc < 0.98
    assert figure(found, "damage named: drift").met


def test_a_lab_with_too_few_sufficient_runs_is_left_out_and_named(monkeypatch):
    poor = lab_runs(2, good=5)
    for spec in [spec for spec in poor if spec.validates][:3]:
        poor[spec] = replace(poor[spec], read="2+")
    found = report(monkeypatch, lab_runs(1) | poor)
    assert found.notes[0].startswith("laboratory 2 is left out: 19 sufficient runs")
    assert figure(found, "ROC AUC of sufficient").text == "1.000 (8 good, 40 damaged)"
    assert {item["lab"] for item in found.details["controls"]} == {1}


def test_with_no_lab_left_nothing_is_claimed(monkeypatch):
    runs = {spec: replace(measures, read="2+") for spec, measures in lab_runs().items()}
    found = report(monkeypatch, runs)
    assert [item.met for item in found.figures if item.wanted] == [None] * (2 + len(DAMAGES))
    assert found.details == {"controls": []} and "good: none read (no code)" in found.notes


def test_three_labs_are_two_hundred_controls_each_of_its_own_run(monkeypatch):
    seen: list[ControlSpec] = []

    def read(_: object, spec: ControlSpec) -> dict[str, ControlMeasures]:
        seen.append(spec)
        return {METHOD: noisy(spec.number)}

    monkeypatch.setattr(control_checks, "read_spec", read)
    evaluate_controls({METHOD: lambda: None}, BASE, 3, 50, lambda _: None)  # type: ignore[dict-item]
    assert len(seen) == len({(spec.lab, spec.number) for spec in seen}) >= 200
    assert {spec.lab for spec in seen} == {LAB_SEEDS + 50, LAB_SEEDS + 51, LAB_SEEDS + 52}
    one = [spec for spec in seen if spec.lab == LAB_SEEDS + 50]
    assert Counter(spec.damage for spec in one if not spec.validates) == {
        None: GOOD_PER_LAB,
        **dict.fromkeys(DAMAGES, DAMAGED_PER_LAB),
    }
    assert [spec.damage for spec in one if spec.validates] == [None] * VALIDATING_RUNS


def test_a_control_is_read_over_its_fields_against_the_labs_own_white(monkeypatch):
    """Pictures of a white as the laboratory's: no drift; the same pictures in less light: drift."""
    white = np.array(make_run(0, control_checks.DIFFICULTY, lab=3).optics.white_rgb())
    drawn = []

    def honeycomb(spec: Any) -> SimpleNamespace:
        drawn.append(spec)
        light = 0.7 if spec.damage == "drift" else 1.0
        cells = honeycomb_field({CellClass.COMPLETE_INTENSE: 1.0}, (300, 400), seed=spec.number).frame.rgb
        rgb = cells * (light * white / cells.max(axis=(0, 1)))
        rgb[:, :80] = light * white  # empty glass, from which the white is seen
        return SimpleNamespace(rgb=rgb.astype(np.uint8))

    monkeypatch.setattr(control_checks, "render_field", honeycomb)
    analysers = {METHOD: make_analyser(METHOD, ScoringSettings(), Calibration())}
    good, drifted = (read_spec(analysers, ControlSpec(3, 5, damage, False))[METHOD] for damage in (None, "drift"))
    assert len(drawn) == 2 * FIELDS and {(spec.score, spec.seed, spec.lab) for spec in drawn} == {("3+", 3005, 3)}
    assert good.read == "3+" and len(good.field_od10) == FIELDS and good.n_tumour > 30
    assert good.drift == "" and drifted.drift.startswith("drift")
