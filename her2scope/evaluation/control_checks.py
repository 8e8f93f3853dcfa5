"""Positive controls of phantom laboratories: good ones are let through, and every damage is named.

Each laboratory reads the 3+ control of some good runs, takes its own limits and its chart from them, and then judges
further runs, good and damaged, each by itself. The white of its microscope is calibrated, as a laboratory's would be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from her2scope.domain.control import ControlLimits, ControlMeasures, ControlVerdict, judge_control
from her2scope.domain.control_history import BASELINE_RUNS, ControlEntry
from her2scope.domain.guideline import Score
from her2scope.domain.own_limits import TooFewRunsError, figures_of, own_limits
from her2scope.domain.score import ControlStatus
from her2scope.domain.westgard import judge_by_history
from her2scope.evaluation.table import Figure, PartReport, at_least, percent_at_least, percent_at_most, told
from her2scope.evaluation.tallies import share_of
from her2scope.evaluation.work import Analysers, Makers, Tell, done_in_any_order
from her2scope.phantom.field import PhantomSpec, render_field
from her2scope.phantom.run import DAMAGES, make_run
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.pipeline.control import SEVERITY, measure_control, read_field, with_findings
from her2scope.ports import JsonObject
from her2scope.records import Frame
from her2scope.settings import Calibration

LEVEL: Score = "3+"
DIFFICULTY = "usual"
GOOD = "good"
VALIDATING_RUNS = BASELINE_RUNS + 2
"""A laboratory needs 20 sufficient ones; one may have too few cells in view."""
FIELDS = 2
"""Of each control: one may hold too few cells, and fields of one run differ by 7 %."""
GOOD_PER_LAB, DAMAGED_PER_LAB = 8, 4
"""Further runs of each laboratory, and of each damage."""
LAB_SEEDS = 7_000_000
"""Added to the first seed, so that no laboratory's run is any other phantom's."""
ON = "phantom 3+ controls"


@dataclass(frozen=True, slots=True)
class ControlSpec:
    """One control to draw and read."""

    lab: int
    number: int
    """Of the run, within the laboratory."""
    damage: str | None
    validates: bool
    """One of the runs that limits and chart are taken from."""

    @property
    def kind(self) -> str:
        """What is wrong with it, or that nothing is."""
        return self.damage or GOOD


def evaluate_controls(
    makers: Makers, limits: ControlLimits, labs: int, first_seed: int, tell: Tell, workers: int = 1
) -> Mapping[str, PartReport]:
    """Read the controls of so many laboratories; one report by method.

    Parameters
    ----------
    limits : of the settings, which hold for what a laboratory's own do not tell
    """
    specs = [spec for lab in range(labs) for spec in _runs_of(first_seed + LAB_SEEDS + lab)]
    read: dict[ControlSpec, Mapping[str, ControlMeasures]] = {}
    for spec, measures in done_in_any_order(read_spec, specs, makers, workers):
        read[spec] = measures
        tell(f"controls: {len(read)} of {len(specs)}")
    return {method: _report({spec: read[spec][method] for spec in specs}, limits) for method in makers}


def _runs_of(lab: int) -> Iterator[ControlSpec]:
    yield from (ControlSpec(lab, number, None, True) for number in range(VALIDATING_RUNS))
    kinds: list[str | None] = [*[None] * GOOD_PER_LAB, *list(DAMAGES) * DAMAGED_PER_LAB]
    for number, damage in enumerate(kinds, start=VALIDATING_RUNS):
        yield ControlSpec(lab, number, damage, False)


def read_spec(analysers: Analysers, spec: ControlSpec) -> dict[str, ControlMeasures]:
    """Draw one control and read it by each method."""
    seed = 1000 * spec.lab + spec.number
    specs = [
        PhantomSpec(LEVEL, seed, number, difficulty=DIFFICULTY, damage=spec.damage, lab=spec.lab)
        for number in range(FIELDS)
    ]
    frames = [Frame(render_field(one).rgb, 0, 0.0, one.um_per_px) for one in specs]
    red, green, blue = make_run(0, DIFFICULTY, lab=spec.lab).optics.white_rgb()
    calibration = Calibration(name=f"laboratory {spec.lab}", white_rgb=(float(red), float(green), float(blue)))
    found = {}
    for method, analyser in analysers.items():
        own = FieldAnalyser(analyser.segmenter, analyser.settings, calibration)
        results = [read_field(own, frame, LEVEL, own.default_cuts) for frame in frames]
        found[method] = measure_control(own, results, LEVEL)
    return found


# ---- verdicts -----------------------------------------------------------------------------------------------------


def judged(runs: Mapping[ControlSpec, ControlMeasures], base: ControlLimits) -> dict[ControlSpec, ControlVerdict]:
    """Verdicts on the further runs of one laboratory, by the limits and the chart that its first ones gave."""
    first = {spec: measures for spec, measures in runs.items() if spec.validates and measures.read == LEVEL}
    limits = own_limits([figures_of(measures) for measures in first.values()], base)
    chart = [_entry(spec, measures, ControlStatus.VALID, ()) for spec, measures in first.items()]
    verdicts = {}
    for spec, measures in runs.items():
        if not spec.validates:
            verdict = judge_control(measures, LEVEL, limits)
            entry = _entry(spec, measures, verdict.status, tuple(code.value for code in verdict.codes))
            verdicts[spec] = with_findings(verdict, judge_by_history(entry, chart))
    return verdicts


def _entry(spec: ControlSpec, measures: ControlMeasures, status: ControlStatus, codes: tuple[str, ...]) -> ControlEntry:
    return ControlEntry(
        at_utc="2026-01-01T08:00:00.000+00:00",
        run=str(spec.number),
        level=LEVEL,
        lot="phantom",
        instrument=f"laboratory {spec.lab}",
        method="",
        intensity_od10=measures.followed_od10,
        status=status,
        codes=codes,
        n_tumour=measures.n_tumour,
        images=(),
    )


def sufficiency_auc(verdicts: Mapping[ControlSpec, ControlVerdict]) -> float | None:
    """ROC AUC (0..1) of the verdict, good runs against damaged: by its status, then by how many doubts it has."""

    def rank(verdict: ControlVerdict) -> tuple[int, int]:
        return -SEVERITY.index(verdict.status), -len(verdict.reasons)

    good = [rank(verdict) for spec, verdict in verdicts.items() if spec.damage is None]
    damaged = [rank(verdict) for spec, verdict in verdicts.items() if spec.damage is not None]
    if not good or not damaged:
        return None
    wins = sum((one > other) + 0.5 * (one == other) for one in good for other in damaged)
    return wins / (len(good) * len(damaged))


# ---- figures ------------------------------------------------------------------------------------------------------


def _report(runs: Mapping[ControlSpec, ControlMeasures], base: ControlLimits) -> PartReport:
    labs = dict.fromkeys(spec.lab for spec in runs)
    own: dict[ControlSpec, ControlVerdict] = {}
    without_limits = []
    for lab in labs:
        of_lab = {spec: measures for spec, measures in runs.items() if spec.lab == lab}
        try:
            own |= judged(of_lab, base)
        except TooFewRunsError as error:
            without_limits.append(f"laboratory {lab} is left out: {error}")
    default = {spec: judge_control(measures, LEVEL, base) for spec, measures in runs.items() if not spec.validates}
    figures = (
        _auc(own, "ROC AUC of sufficient", 0.98),
        _called_invalid(own, 2.0),
        *(_named(own, damage) for damage in DAMAGES),
        told(ON, "without limits of the lab's own: AUC", *_shown(sufficiency_auc(default))),
        told(ON, "without limits of the lab's own: good ones called invalid", *_shown(_share_invalid(default))),
    )
    return PartReport(figures, _details(own, default), (*without_limits, *_table(own)))


def _auc(verdicts: Mapping[ControlSpec, ControlVerdict], name: str, limit: float) -> Figure:
    n_good = sum(spec.damage is None for spec in verdicts)
    return at_least(ON, name, sufficiency_auc(verdicts), limit, f"{n_good} good, {len(verdicts) - n_good} damaged")


def _called_invalid(verdicts: Mapping[ControlSpec, ControlVerdict], limit_percent: float) -> Figure:
    good = [verdict for spec, verdict in verdicts.items() if spec.damage is None]
    n_invalid = sum(verdict.status is ControlStatus.INVALID for verdict in good)
    name = "good ones of the lab's own range called invalid"
    return percent_at_most(ON, name, _share_invalid(verdicts), limit_percent, f"{n_invalid} of {len(good)}")


def _share_invalid(verdicts: Mapping[ControlSpec, ControlVerdict]) -> float | None:
    return share_of(
        [verdict.status is ControlStatus.INVALID for spec, verdict in verdicts.items() if spec.damage is None]
    )


def _named(verdicts: Mapping[ControlSpec, ControlVerdict], damage: str) -> Figure:
    damaged = [verdict for spec, verdict in verdicts.items() if spec.damage == damage]
    n_named = sum(damage in verdict.codes for verdict in damaged)
    share = n_named / len(damaged) if damaged else None
    return percent_at_least(ON, f"damage named: {damage}", share, 90.0, f"{n_named} of {len(damaged)}")


def _shown(share: float | None) -> tuple[float | None, str]:
    return share, "nothing to measure" if share is None else f"{share:.3f}"


def _table(verdicts: Mapping[ControlSpec, ControlVerdict]) -> Iterator[str]:
    """What runs of each kind were called, and by which codes."""
    for kind in (GOOD, *DAMAGES):
        some = [verdict for spec, verdict in verdicts.items() if spec.kind == kind]
        statuses = Counter(verdict.status.value for verdict in some)
        codes = Counter(code.value for verdict in some for code in verdict.codes)
        called = ", ".join(f"{n} {name}" for name, n in statuses.most_common())
        by = ", ".join(f"{n} {name}" for name, n in codes.most_common())
        yield f"{kind}: {called or 'none read'} ({by or 'no code'})"


def _details(own: Mapping[ControlSpec, ControlVerdict], default: Mapping[ControlSpec, ControlVerdict]) -> JsonObject:
    return {
        "controls": [
            {
                "lab": spec.lab,
                "run": spec.number,
                "kind": spec.kind,
                "status": verdict.status.value,
                "codes": [code.value for code in verdict.codes],
                "rules": list(verdict.rules),
                "reasons": list(verdict.reasons),
                "status_by_default_limits": default[spec].status.value,
            }
            for spec, verdict in own.items()
        ]
    }
