"""The same tissue stained by several machines and seen by several cameras: its score should stay the same.

Every stainer with every camera is a laboratory that calibrated its white and its camera's response, and knows its own
limits from the 3+ control of 20 runs. Each field is drawn once for every laboratory, and read twice: with the default
cuts, and with those that the 3+, 2+ and 1+ controls of its own staining run give.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from her2scope.domain.cells import SHARE_ORDER, StainCuts
from her2scope.domain.control import ControlLimits
from her2scope.domain.control_history import BASELINE_RUNS
from her2scope.domain.control_material import ANCHOR_LEVEL as LEVEL
from her2scope.domain.own_limits import figures_of, own_limits
from her2scope.evaluation.phantom_fields import NO_SCORE, controls_of
from her2scope.evaluation.reading import read_anchor
from her2scope.evaluation.table import Figure, PartReport, percent_at_least, told
from her2scope.evaluation.tallies import mean_of
from her2scope.evaluation.work import Analysers, Makers, Tell, done_in_any_order
from her2scope.phantom.field import PhantomSpec, render_field
from her2scope.phantom.run import make_run
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.pipeline.control import measure_control, read_field
from her2scope.ports import JsonObject
from her2scope.records import Frame, RgbImage
from her2scope.settings import Calibration

COHORT_STAINERS = ("alpha", "beta", "delta", "epsilon", "zeta")
"""DAB from 0.72 to 1.35 of the usual strength, in four hues."""
COHORT_CAMERAS = ("linear", "sharp", "srgb")
PATTERNS = ("0", "1+", "2+", "3+", "mixed")
UM_PER_PX = 0.25
COHORT_SEEDS = 8_000_000
"""Added to the first seed."""
VALIDATING_SEEDS = 1_000
"""From here on, within a laboratory, runs are those that its limits are taken from."""
ON = "one tissue, 5 stainers x 3 cameras"


@dataclass(frozen=True, slots=True)
class RunSpec:
    """One staining run seen by one camera."""

    lab: int
    stainer: str
    camera: str
    seed: int
    """Of the run and its tissue: the same in every laboratory."""

    def field(self, pattern: str) -> PhantomSpec:
        """A field of it."""
        return PhantomSpec(pattern, self.seed, stainer=self.stainer, camera=self.camera, lab=self.lab)


@dataclass(frozen=True, slots=True)
class LabSpec:
    """One laboratory, and the runs that it reads."""

    lab: int
    stainer: str
    camera: str
    seeds: tuple[int, ...]

    def run(self, seed: int) -> RunSpec:
        """One of its runs."""
        return RunSpec(self.lab, self.stainer, self.camera, seed)

    @property
    def calibration(self) -> Calibration:
        """What it measured at its microscope."""
        optics = make_run(0, stainer=self.stainer, camera=self.camera, lab=self.lab).optics
        red, green, blue = optics.white_rgb()
        white = float(red), float(green), float(blue)
        return Calibration(name=f"{self.stainer}, {self.camera}", response=optics.response, white_rgb=white)


@dataclass(frozen=True, slots=True)
class TwiceRead:
    """One field, read with the default cuts and with those of the controls."""

    pattern: str
    true_score: str | None
    default_score: str | None
    anchored_score: str | None
    default_percent: tuple[float, ...]
    anchored_percent: tuple[float, ...]
    """Shares in `SHARE_ORDER`; empty without cells."""


@dataclass(frozen=True, slots=True)
class ReadRun:
    """One run: its cuts, and its fields."""

    from_control: bool
    cuts: StainCuts
    fields: tuple[TwiceRead, ...]


def evaluate_stain_stability(
    makers: Makers, tissues: int, first_seed: int, tell: Tell, workers: int = 1
) -> Mapping[str, PartReport]:
    """Read so many tissues of each pattern by every stainer and camera; one report by method."""
    lab = first_seed + COHORT_SEEDS
    seeds = tuple(range(lab, lab + tissues))
    specs = [LabSpec(lab, *machines, seeds) for machines in product(COHORT_STAINERS, COHORT_CAMERAS)]
    read: dict[LabSpec, Mapping[str, Sequence[ReadRun]]] = {}
    for spec, runs in done_in_any_order(read_lab, specs, makers, workers):
        read[spec] = runs
        tell(f"stain stability: {len(read)} of {len(specs)} laboratories")
    return {
        method: _report(
            {spec.run(seed): run for spec in specs for seed, run in zip(spec.seeds, read[spec][method], strict=True)}
        )
        for method in makers
    }


def read_lab(analysers: Analysers, spec: LabSpec) -> dict[str, list[ReadRun]]:
    """Take the limits of one laboratory, then draw and read its runs, by each method."""
    calibration = spec.calibration
    plain = {
        method: FieldAnalyser(analyser.segmenter, analyser.settings, calibration)
        for method, analyser in analysers.items()
    }
    limits = _own_limits(plain, spec)
    own = {
        method: FieldAnalyser(analyser.segmenter, replace(analyser.settings, control=limits[method]), calibration)
        for method, analyser in plain.items()
    }
    runs = [read_run(plain, own, spec.run(seed)) for seed in spec.seeds]
    return {method: [run[method] for run in runs] for method in analysers}


def _own_limits(analysers: Analysers, spec: LabSpec) -> dict[str, ControlLimits]:
    """The limits that a laboratory takes from the 3+ control of its first runs."""
    figures: dict[str, list[dict[str, float]]] = {method: [] for method in analysers}
    for number in range(BASELINE_RUNS):
        drawn = render_field(spec.run(VALIDATING_SEEDS + number).field(LEVEL))
        frame = Frame(drawn.rgb, 0, 0.0, UM_PER_PX)
        for method, analyser in analysers.items():
            result = read_field(analyser, frame, LEVEL, analyser.default_cuts)
            figures[method].append(figures_of(measure_control(analyser, [result], LEVEL)))
    return {method: own_limits(figures[method], analyser.settings.control) for method, analyser in analysers.items()}


def read_run(plain: Analysers, own: Analysers, spec: RunSpec) -> dict[str, ReadRun]:
    """Draw the controls and fields of one run, and read them by each method.

    Parameters
    ----------
    plain : with the settings' limits, for the reading with the default cuts
    own : with the limits of the laboratory
    """
    controls = controls_of(spec.field(PATTERNS[0]))
    fields = [render_field(spec.field(pattern)) for pattern in PATTERNS]
    found = {}
    for method, analyser in own.items():
        anchor = read_anchor(analyser, controls)
        both = plain[method].default_cuts, anchor.cuts
        read = [
            _read_twice(analyser, drawn.rgb, pattern, drawn.truth["score"], both)
            for pattern, drawn in zip(PATTERNS, fields, strict=True)
        ]
        found[method] = ReadRun(anchor.from_control, anchor.cuts, tuple(read))
    return found


def _read_twice(
    analyser: FieldAnalyser, rgb: RgbImage, pattern: str, true_score: str | None, cuts: tuple[StainCuts, StainCuts]
) -> TwiceRead:
    """One field by the default and the anchored cuts."""
    frame = Frame(rgb, 0, 0.0, UM_PER_PX)
    by_default, anchored = (analyser.analyse(frame, some) for some in cuts)
    shares = [
        tuple(percent[name] for name in SHARE_ORDER) if (percent := result.counts.shares_percent()) else ()
        for result in (by_default, anchored)
    ]
    return TwiceRead(pattern, true_score, by_default.score, anchored.score, shares[0], shares[1])


# ---- figures ------------------------------------------------------------------------------------------------------


def _report(runs: Mapping[RunSpec, ReadRun]) -> PartReport:
    tissues = _by_tissue(runs)
    n = sum(map(len, tissues.values()))
    figures: list[Figure] = [
        percent_at_least(
            ON, "field scores equal, anchored scale", _equal(tissues, anchored=True), 95.0,
            f"{len(tissues)} fields, {n} readings",
        ),
        told(ON, "field scores equal, default cuts", *_percent(_equal(tissues, anchored=False))),
        told(ON, "field scores right, anchored scale", *_percent(_right(tissues, anchored=True))),
        told(ON, "field scores right, default cuts", *_percent(_right(tissues, anchored=False))),
        told(ON, "spread of shares (SD), anchored scale", *_points(_spread(tissues, anchored=True))),
        told(ON, "spread of shares (SD), default cuts", *_points(_spread(tissues, anchored=False))),
    ]  # fmt: skip
    unscored = sum(_score(field, anchored=True) == NO_SCORE for fields in tissues.values() for field in fields)
    without = sum(not run.from_control for run in runs.values())
    notes = [
        f"{unscored} of {n} readings gave no score",
        f"{without} of {len(runs)} runs: the 3+ control gave no usable cut, and the default cuts were used",
    ]
    return PartReport(tuple(figures), _details(runs), (*notes, *_table(runs)))


def _by_tissue(runs: Mapping[RunSpec, ReadRun]) -> dict[tuple[int, str], list[TwiceRead]]:
    """The readings of each field."""
    tissues: dict[tuple[int, str], list[TwiceRead]] = {}
    for spec, run in runs.items():
        for field in run.fields:
            tissues.setdefault((spec.seed, field.pattern), []).append(field)
    return tissues


def _score(field: TwiceRead, anchored: bool) -> str:
    return (field.anchored_score if anchored else field.default_score) or NO_SCORE


def _equal(tissues: Mapping[tuple[int, str], Sequence[TwiceRead]], anchored: bool) -> float | None:
    """Share of a field's scores that are its most frequent one; a reading that gives no score says nothing wrong."""
    agreeing = []
    for fields in tissues.values():
        scores = [score for field in fields if (score := _score(field, anchored)) != NO_SCORE]
        if scores:
            agreeing.append(max(Counter(scores).values()) / len(scores))
    return mean_of(agreeing)


def _right(tissues: Mapping[tuple[int, str], Sequence[TwiceRead]], anchored: bool) -> float | None:
    """Share of readings that say what is true of the field."""
    return mean_of(
        float(_score(field, anchored) == (field.true_score or NO_SCORE))
        for fields in tissues.values()
        for field in fields
    )


def _spread(tissues: Mapping[tuple[int, str], Sequence[TwiceRead]], anchored: bool) -> float | None:
    """Standard deviation of a field's shares over stainers and cameras, mean of classes and fields, in points."""
    found = []
    for fields in tissues.values():
        shares = [percent for one in fields if (percent := one.anchored_percent if anchored else one.default_percent)]
        if len(shares) > 1:
            found.append(float(np.std(np.array(shares), axis=0).mean()))
    return mean_of(found)


def _percent(share: float | None) -> tuple[float | None, str]:
    return share, "nothing to measure" if share is None else f"{100 * share:.1f} %"


def _points(value: float | None) -> tuple[float | None, str]:
    return value, "nothing to measure" if value is None else f"{value:.1f} points"


def _table(runs: Mapping[RunSpec, ReadRun]) -> Iterator[str]:
    """Shares and scores of each pattern by stainer and camera, the mean over its tissues."""
    yield f"shares in percent ({' / '.join(name.value for name in SHARE_ORDER)}) and scores, anchored | default cuts"
    for pattern, stainer, camera in product(PATTERNS, COHORT_STAINERS, COHORT_CAMERAS):
        fields = [
            field
            for spec, run in runs.items()
            for field in run.fields
            if (field.pattern, spec.stainer, spec.camera) == (pattern, stainer, camera)
        ]
        if fields:
            both = (_cell(fields, anchored=True), _cell(fields, anchored=False))
            yield f"{pattern:>5}  {stainer:8} {camera:7} {both[0]} | {both[1]}"


def _cell(fields: Sequence[TwiceRead], anchored: bool) -> str:
    shares = [percent for one in fields if (percent := one.anchored_percent if anchored else one.default_percent)]
    means = np.array(shares).mean(axis=0) if shares else []
    scores = Counter(_score(field, anchored) for field in fields)
    said = " ".join(f"{name}x{n}" if n > 1 else name for name, n in scores.most_common())
    return f"{' / '.join(f'{value:4.1f}' for value in means)}  {said}"


def _details(runs: Mapping[RunSpec, ReadRun]) -> JsonObject:
    return {
        "runs": [
            {
                "seed": spec.seed,
                "stainer": spec.stainer,
                "camera": spec.camera,
                "from_control": run.from_control,
                "moderate_od10": run.cuts.moderate_od10,
                "intense_od10": run.cuts.intense_od10,
                "fields": [
                    {
                        "pattern": field.pattern,
                        "true_score": field.true_score,
                        "anchored": {"score": field.anchored_score, "percent": list(field.anchored_percent)},
                        "default": {"score": field.default_score, "percent": list(field.default_percent)},
                    }
                    for field in run.fields
                ],
            }
            for spec, run in runs.items()
        ]
    }
