"""One tissue by many stainers and cameras: how equal, right and spread its readings are, worked by hand."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace

import pytest
from factories import honeycomb_field

from her2scope.app.compose import make_analyser
from her2scope.domain.cells import SHARE_ORDER, CellClass, StainCuts
from her2scope.evaluation import phantom_fields, stain_stability
from her2scope.evaluation.phantom_fields import CONTROL_LEVELS, CONTROL_NUMBER
from her2scope.evaluation.reading import Anchor
from her2scope.evaluation.stain_stability import (
    COHORT_CAMERAS,
    COHORT_SEEDS,
    COHORT_STAINERS,
    LabSpec,
    ReadRun,
    RunSpec,
    TwiceRead,
    evaluate_stain_stability,
    read_lab,
    read_run,
)
from her2scope.evaluation.table import PartReport
from her2scope.phantom.field import PhantomSpec
from her2scope.phantom.run import CAMERAS, STAINERS
from her2scope.settings import Calibration, ScoringSettings

METHOD = "closed-contours"
ALL_INTENSE, HALF_INTENSE = (100.0, 0.0, 0.0, 0.0, 0.0), (50.0, 0.0, 0.0, 0.0, 50.0)


def twice(
    by_default: str | None,
    anchored: str | None,
    true: str | None = "3+",
    percents: tuple[tuple[float, ...], tuple[float, ...]] = (ALL_INTENSE, ALL_INTENSE),
    pattern: str = "3+",
) -> TwiceRead:
    return TwiceRead(pattern, true, by_default, anchored, *percents)


def report(monkeypatch, runs: Mapping[RunSpec, ReadRun]) -> PartReport:
    """Report of `evaluate_stain_stability` where these runs were read, and all others had no field."""
    none = ReadRun(True, StainCuts(), ())
    told: list[str] = []
    monkeypatch.setattr(
        stain_stability,
        "read_lab",
        lambda _, lab: {METHOD: [runs.get(lab.run(seed), none) for seed in lab.seeds]},
    )
    found = evaluate_stain_stability({METHOD: lambda: None}, 2, -COHORT_SEEDS, told.append)  # type: ignore[dict-item]
    assert told[-1] == "stain stability: 15 of 15 laboratories"
    return found[METHOD]


def cohort(*fields: tuple[TwiceRead, ...], seed: int = 0, from_control: bool = True) -> dict[RunSpec, ReadRun]:
    """The first runs of a tissue, with their fields."""
    specs = [RunSpec(0, stainer, camera, seed) for stainer in COHORT_STAINERS for camera in COHORT_CAMERAS]
    return {spec: ReadRun(from_control, StainCuts(), read) for spec, read in zip(specs, fields, strict=False)}


def values(found: PartReport) -> dict[str, float | None]:
    return {item.name: item.value for item in found.figures}


def test_equal_and_right_worked_by_hand(monkeypatch):
    """One tissue of four readings, anchored all alike; by default 3 of 4 say 2+, which is wrong. One of two, half."""
    first = cohort((twice("2+", "3+"),), (twice("2+", "3+"),), (twice("3+", "3+"),), (twice("2+", "3+"),))
    second = cohort((twice("0", "1+", "0"),), (twice("0", "0", "0"),), seed=1)
    found = report(monkeypatch, first | second)
    shown = values(found)
    assert shown["field scores equal, anchored scale"] == pytest.approx((1.0 + 0.5) / 2)
    assert shown["field scores equal, default cuts"] == pytest.approx((0.75 + 1.0) / 2)
    assert shown["field scores right, anchored scale"] == pytest.approx(5 / 6)
    assert shown["field scores right, default cuts"] == pytest.approx(3 / 6)
    (equal, *told) = found.figures
    assert (equal.text, equal.met) == ("75.0 % (2 fields, 6 readings)", False)
    assert all(item.met is None for item in told)


def test_fields_of_one_tissue_are_told_apart_by_their_pattern(monkeypatch):
    both = (twice("3+", "3+"), twice("0", "0", "0", pattern="0"))
    found = report(monkeypatch, cohort(both, both, both))
    assert found.figures[0].text == "100.0 % (2 fields, 6 readings)" and found.figures[0].met


@pytest.mark.parametrize(("true", "right"), [("3+", 0.5), (None, 0.5)])
def test_no_score_contradicts_no_score(monkeypatch, true, right):
    """It says nothing wrong, is told, and is right where the field has too few cells for one."""
    found = report(monkeypatch, cohort((twice("3+", None, true),), (twice("3+", "3+", true),)))
    shown = values(found)
    assert shown["field scores equal, anchored scale"] == 1.0 and shown["field scores equal, default cuts"] == 1.0
    assert found.notes[0] == "1 of 2 readings gave no score"
    assert shown["field scores right, anchored scale"] == right


def test_spread_worked_by_hand(monkeypatch):
    """Two of five classes differ by 50 points, so by an SD of 25: 10 points over the classes."""
    moved, same = (ALL_INTENSE, HALF_INTENSE), (ALL_INTENSE, ALL_INTENSE)
    shown = values(
        report(monkeypatch, cohort((twice("3+", "3+", percents=moved),), (twice("3+", "3+", percents=same),)))
    )
    assert shown["spread of shares (SD), anchored scale"] == pytest.approx(10.0)
    assert shown["spread of shares (SD), default cuts"] == 0.0


def test_readings_without_cells_have_no_spread(monkeypatch):
    empty = twice(None, None, percents=((), ()))
    found = report(monkeypatch, cohort((empty,), (twice("3+", "3+"),)))
    assert values(found)["spread of shares (SD), anchored scale"] is None
    assert found.figures[4].text == "nothing to measure"


def test_runs_whose_control_gave_no_cut_are_counted(monkeypatch):
    found = report(monkeypatch, cohort((twice("3+", "3+"),), (twice("3+", "3+"),), from_control=False))
    assert found.notes[1].startswith("2 of 30 runs: the 3+ control gave no usable cut")


def test_the_table_has_a_line_for_each_run_of_a_pattern(monkeypatch):
    found = report(monkeypatch, cohort((twice("2+", "3+", percents=(HALF_INTENSE, ALL_INTENSE)),)))
    (line,) = found.notes[3:]
    assert line.split() == (
        "3+ alpha linear 100.0 / 0.0 / 0.0 / 0.0 / 0.0 3+ | 50.0 / 0.0 / 0.0 / 0.0 / 50.0 2+".split()
    )
    (listed,) = [run for run in found.details["runs"] if run["fields"]]
    assert (listed["seed"], listed["stainer"], listed["camera"]) == (0, "alpha", "linear")
    assert listed["fields"][0]["anchored"] == {"score": "3+", "percent": list(ALL_INTENSE)}


def test_the_cohort_is_five_stainers_by_three_cameras_of_one_tissue(monkeypatch):
    seen: list[LabSpec] = []

    def read(_: object, spec: LabSpec) -> dict[str, list[ReadRun]]:
        seen.append(spec)
        return {METHOD: [ReadRun(True, StainCuts(), ())]}

    monkeypatch.setattr(stain_stability, "read_lab", read)
    evaluate_stain_stability({METHOD: lambda: None}, 1, 7, lambda _: None)  # type: ignore[dict-item]
    assert len(set(seen)) == 15 and {spec.seeds for spec in seen} == {(COHORT_SEEDS + 7,)}
    assert {spec.stainer for spec in seen} == set(COHORT_STAINERS) <= set(STAINERS) and len(COHORT_STAINERS) == 5
    assert {spec.camera for spec in seen} == set(COHORT_CAMERAS) <= set(CAMERAS) and len(COHORT_CAMERAS) == 3


def test_a_run_is_read_with_the_default_cuts_and_with_those_of_its_controls(monkeypatch):
    """Honeycombs instead of phantoms are drawn at once; the cuts of the controls lie above all their membranes."""
    cuts = StainCuts(0.5, 2.0, 3.0)
    drawn: list[PhantomSpec] = []

    def honeycomb(spec: PhantomSpec) -> SimpleNamespace:
        drawn.append(spec)
        rgb = honeycomb_field({CellClass.COMPLETE_INTENSE: 1.0}, (220, 300)).frame.rgb
        return SimpleNamespace(rgb=rgb, truth={"score": spec.score})

    for module in (stain_stability, phantom_fields):
        monkeypatch.setattr(module, "render_field", honeycomb)
    monkeypatch.setattr(stain_stability, "PATTERNS", ("3+",))
    monkeypatch.setattr(stain_stability, "read_anchor", lambda _, controls: Anchor(cuts, len(controls) == 3, "", ()))
    analysers = {METHOD: make_analyser(METHOD, ScoringSettings(), Calibration())}
    run = read_run(analysers, analysers, RunSpec(9, "zeta", "srgb", 5))[METHOD]
    assert {(spec.lab, spec.seed, spec.stainer, spec.camera) for spec in drawn} == {(9, 5, "zeta", "srgb")}
    assert [(spec.score, spec.number == CONTROL_NUMBER) for spec in drawn] == [
        *((level, True) for level in CONTROL_LEVELS),
        ("3+", False),
    ]
    assert (run.from_control, run.cuts) == (True, cuts)
    (field,) = run.fields
    by_default, anchored = (
        dict(zip(SHARE_ORDER, percent, strict=True)) for percent in (field.default_percent, field.anchored_percent)
    )
    assert by_default[CellClass.COMPLETE_INTENSE] > 90 and anchored[CellClass.COMPLETE_INTENSE] == 0
    assert sum(by_default.values()) == pytest.approx(100) == sum(anchored.values())
    assert (field.pattern, field.true_score) == ("3+", "3+")


def test_a_laboratory_reads_with_limits_of_its_own_and_its_calibration(monkeypatch):
    """Its limits come from the 3+ control of 20 runs, its white and response from its own microscope."""
    drawn: list[PhantomSpec] = []

    def honeycomb(spec: PhantomSpec) -> SimpleNamespace:
        drawn.append(spec)
        rgb = honeycomb_field({CellClass.COMPLETE_INTENSE: 1.0}, (220, 300)).frame.rgb
        return SimpleNamespace(rgb=rgb, truth={"score": spec.score})

    seen = {}

    def read(plain, own, spec: RunSpec) -> dict[str, ReadRun]:
        seen[spec] = plain[METHOD], own[METHOD]
        return {METHOD: ReadRun(True, StainCuts(), ())}

    monkeypatch.setattr(stain_stability, "render_field", honeycomb)
    monkeypatch.setattr(stain_stability, "read_run", read)
    analysers = {METHOD: make_analyser(METHOD, ScoringSettings(), Calibration())}
    lab = LabSpec(9, "zeta", "srgb", (1, 2))
    assert len(read_lab(analysers, lab)[METHOD]) == 2
    assert len({spec.seed for spec in drawn}) == 20 and {spec.score for spec in drawn} == {"3+"}
    plain, own = seen[lab.run(1)]
    assert own.settings.control != plain.settings.control == ScoringSettings().control
    assert own.calibration == plain.calibration == lab.calibration and lab.calibration.response == "srgb"
