"""Whole phantom cases: how often a null case is called stained, and a case with a few faint cells found to have them.

A case is one staining run: a 3+ control field, then fields until the truth counts enough tumour cells. What each
field counted is kept, so a case is judged by the rules that are in force when the table is printed.

Cost: fields of 1280x720 px at 0.25 um/px, as a reader takes them; 3000 cells are about 15 of them, drawn in 0.7 s and
read in 0.3 s each on one core. Larger fields cost the same for each cell, and coarser ones are drawn at twice the
pixels; so nothing is saved but by more workers, and by going on from what is kept. Fields without a truth of their own
would save a sixth, but then nobody knew how many faint cells there are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from her2scope.domain.cells import CellClass, CellCounts
from her2scope.domain.errors import BadInputError
from her2scope.domain.guideline import Category
from her2scope.domain.score import CaseScore, ControlStanding, score_case
from her2scope.evaluation.phantom_fields import controls_of
from her2scope.evaluation.reading import read_anchor
from her2scope.evaluation.table import Figure, PartReport, percent_at_least, percent_at_most, told
from her2scope.evaluation.tallies import mean_of, share_of
from her2scope.evaluation.work import Analysers, Makers, Tell, done_in_any_order
from her2scope.phantom.field import PhantomSpec, render_field
from her2scope.phantom.truth import count_cells
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.ports import JsonObject
from her2scope.records import Frame
from her2scope.settings import as_mapping

NULL, ULTRALOW = "0", "ultralow"
FAINT_SHARE = 0.02
"""True share of faint cells in an ultralow case. A phantom field of that score holds about twice as many, since one
with fewer is none of that score by itself: so fields without any stand between such fields, as they do on slides."""
PATTERNS = (NULL, ULTRALOW)
SEED_STEP = {NULL: 0, ULTRALOW: 500_000}
"""The cases of the two patterns are of different runs."""
CASE_SEEDS = 1_000_000
"""Added to the first seed, so that no case is of a run of the single fields."""
MOST_FIELDS = 200
"""A case that has not enough cells by then never will."""


@dataclass(frozen=True, slots=True)
class CasePlan:
    """Which cases are drawn."""

    cases: int = 200
    cells: int = 3000
    first_seed: int = 100_000
    difficulty: str = "usual"
    size_wh: tuple[int, int] = (1280, 720)
    um_per_px: float = 0.25

    def specs(self) -> list[CaseSpec]:
        """Every case, the two patterns in turn, so that a run that is stopped has some of both."""
        return [
            CaseSpec(pattern, self.first_seed + CASE_SEEDS + SEED_STEP[pattern] + k, self)
            for k in range(self.cases)
            for pattern in PATTERNS
        ]


@dataclass(frozen=True, slots=True)
class CaseSpec:
    """One case."""

    pattern: str
    seed: int
    plan: CasePlan

    @property
    def key(self) -> str:
        """Name under which a reading of it is kept."""
        plan = self.plan
        size = f"{plan.size_wh[0]}x{plan.size_wh[1]}"
        return f"{self.pattern} {self.seed} {plan.difficulty} {size} {plan.um_per_px:g} {plan.cells} {FAINT_SHARE:g}"

    def field(self, number: int, so_far: CellCounts) -> PhantomSpec:
        """The next field, after fields of which the truth counts `so_far`."""
        enough = so_far[CellClass.INCOMPLETE_FAINT] >= FAINT_SHARE * max(1, so_far.n_tumour)
        pattern = NULL if self.pattern == NULL or enough else ULTRALOW
        plan = self.plan
        return PhantomSpec(pattern, self.seed, number, plan.size_wh, plan.um_per_px, plan.difficulty)


@dataclass(frozen=True, slots=True)
class CaseReading:
    """What one method counted in a case."""

    fields: tuple[CellCounts, ...]
    """Of the fields that were not refused."""
    refused: int
    doubtful: int
    """Fields that the method itself doubts."""
    control_status: str
    gave_cuts: bool


@dataclass(frozen=True, slots=True)
class ReadCase:
    """A case: its truth, and what each method counted."""

    pattern: str
    true_counts: CellCounts
    n_fields: int
    readings: Mapping[str, CaseReading]


def evaluate_phantom_cases(
    makers: Makers, plan: CasePlan, tell: Tell, workers: int = 1, keep: Path | None = None
) -> Mapping[str, PartReport]:
    """Draw and read the cases of a plan, or take them from `keep`; one report by method."""
    analysers = {method: make() for method, make in makers.items()}
    marks = {method: method_mark(analyser) for method, analyser in analysers.items()}
    specs = plan.specs()
    kept = _Kept(keep, marks)
    cases = {spec: case for spec in specs if (case := kept.cases.get(spec.key)) is not None}
    missing = [spec for spec in specs if spec not in cases]
    if cases:
        tell(f"phantom cases: {len(cases)} of {len(specs)} were kept from before")
    for spec, case in done_in_any_order(read_case, missing, makers, workers):
        cases[spec] = case
        kept.add(spec, case)
        tell(f"phantom cases: {len(cases)} of {len(specs)}")
    ordered = [cases[spec] for spec in specs]
    return {method: _report(method, analyser, ordered, plan) for method, analyser in analysers.items()}


def read_case(analysers: Analysers, spec: CaseSpec) -> ReadCase:
    """Draw one case field by field, and read it by each method."""
    plan = spec.plan
    controls = controls_of(spec.field(0, CellCounts()))
    anchors = {method: read_anchor(analyser, controls) for method, analyser in analysers.items()}
    true = CellCounts()
    results: dict[str, list[tuple[bool, bool, CellCounts]]] = {method: [] for method in analysers}
    n_fields = 0
    while true.n_tumour < plan.cells and n_fields < MOST_FIELDS:
        drawn = render_field(spec.field(n_fields, true))
        true += count_cells(drawn.truth["cells"])
        n_fields += 1
        frame = Frame(drawn.rgb, 0, 0.0, plan.um_per_px)
        for method, analyser in analysers.items():
            result = analyser.analyse(frame, anchors[method].cuts)
            results[method].append((result.quality.usable, bool(result.doubts), result.counts))
    readings = {
        method: CaseReading(
            fields=tuple(counts for usable, _, counts in found if usable),
            refused=sum(not usable for usable, _, _ in found),
            doubtful=sum(doubt for _, doubt, _ in found),
            control_status=anchors[method].status,
            gave_cuts=anchors[method].from_control,
        )
        for method, found in results.items()
    }
    return ReadCase(spec.pattern, true, n_fields, readings)


def judge_case(analyser: FieldAnalyser, reading: CaseReading, um_per_px: float) -> CaseScore:
    """Score of the counts by the rules and false rates that the analyser has now."""
    return score_case(
        reading.fields, analyser.guideline, analyser.segmenter.false_rates, um_per_px, ControlStanding(), None,
        analyser.settings.min_case_cells,
    )  # fmt: skip


def method_mark(analyser: FieldAnalyser) -> str:
    """Digest of all that decides what a method counts: model and settings."""
    segmenter = analyser.segmenter
    told_of = [segmenter.method, segmenter.model_name, segmenter.model_sha256, as_mapping(analyser.settings)]
    return hashlib.sha256(json.dumps(told_of, sort_keys=True, default=str).encode()).hexdigest()[:16]


# ---- figures ------------------------------------------------------------------------------------------------------


def _report(method: str, analyser: FieldAnalyser, cases: Sequence[ReadCase], plan: CasePlan) -> PartReport:
    on = f"{plan.cases} null and {plan.cases} ultralow phantom cases"
    scores = {
        pattern: [
            judge_case(analyser, case.readings[method], plan.um_per_px) for case in cases if case.pattern == pattern
        ]
        for pattern in PATTERNS
    }
    null, faint = scores[NULL], scores[ULTRALOW]
    true_percent = mean_of(_faint_percent(case) for case in cases if case.pattern == ULTRALOW)
    figures: tuple[Figure, ...] = (
        percent_at_most(on, "null cases called ultralow", _called(null, Category.ULTRALOW), 5.0, f"of {len(null)}"),
        percent_at_most(on, "null cases called 2+ or more", _scored(null, ("2+", "3+")), 0.0, f"of {len(null)}"),
        told(on, "null cases called null", share_of([item.category is Category.NULL for item in null]), _calls(null)),
        percent_at_least(
            on, "ultralow cases called ultralow", _called(faint, Category.ULTRALOW), 90.0,
            f"of {len(faint)}, {true_percent or 0.0:.1f} % true faint cells",
        ),
        told(on, "ultralow cases, all calls", None, _calls(faint)),
    )  # fmt: skip
    return PartReport(figures, _details(method, cases, scores), _notes(method, cases))


def _called(scores: Sequence[CaseScore], category: Category) -> float | None:
    return share_of([item.category is category for item in scores])


def _scored(scores: Sequence[CaseScore], names: Sequence[str]) -> float | None:
    return share_of([item.score in names for item in scores])


def _calls(scores: Sequence[CaseScore]) -> str:
    """How many cases were called what."""
    names = [f"{item.score or 'no score'} {item.category.value}" for item in scores]
    return ", ".join(f"{names.count(name)} {name}" for name in sorted(set(names)))


def _faint_percent(case: ReadCase) -> float:
    return 100 * case.true_counts[CellClass.INCOMPLETE_FAINT] / max(1, case.true_counts.n_tumour)


def _notes(method: str, cases: Sequence[ReadCase]) -> tuple[str, ...]:
    readings = [case.readings[method] for case in cases]
    without = sum(not reading.gave_cuts for reading in readings)
    doubtful = sum(reading.doubtful > 0 for reading in readings)
    fields, refused = sum(case.n_fields for case in cases), sum(reading.refused for reading in readings)
    return (
        f"{len(cases)} cases of {fields} fields, {refused} of them refused; {without} cases without cuts from their "
        f"control; {doubtful} with fields that the method itself doubts, which no report can rest on",
    )


def _details(method: str, cases: Sequence[ReadCase], scores: Mapping[str, Sequence[CaseScore]]) -> JsonObject:
    rest = {pattern: iter(found) for pattern, found in scores.items()}
    return {
        "cases": [
            {
                "pattern": case.pattern,
                "fields": case.n_fields,
                "true_tumour": case.true_counts.n_tumour,
                "true_faint_percent": round(_faint_percent(case), 3),
                "score": (score := next(rest[case.pattern])).score,
                "category": score.category.value,
                "n_tumour": score.counts.n_tumour,
                "counts": {name.value: score.counts[name] for name in CellClass},
                "uncertain_faint": score.counts.uncertain_faint,
                "doubtful_fields": case.readings[method].doubtful,
                "control_status": case.readings[method].control_status,
            }
            for case in cases
        ]
    }


# ---- what is kept -------------------------------------------------------------------------------------------------


class _Kept:
    """Cases read before, a line each. One read with another model or other settings does not count."""

    def __init__(self, path: Path | None, marks: Mapping[str, str]) -> None:
        self._path, self._marks = path, marks
        self.cases: dict[str, ReadCase] = {}
        if path is None or not path.is_file():
            return
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
            whole = [content for line in lines if (content := _whole(line)) is not None]
            if lines and not whole:
                raise ValueError("no line can be read")
            for content in whole:
                self._take(content)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadInputError(f"{path}: these are no kept cases ({error!r}). Give another file.") from error

    def add(self, spec: CaseSpec, case: ReadCase) -> None:
        """Keep a case."""
        if self._path is None:
            return
        line = {
            "case": spec.key,
            "pattern": case.pattern,
            "true_counts": asdict(case.true_counts),
            "n_fields": case.n_fields,
            "marks": dict(self._marks),
            "readings": {method: asdict(reading) for method, reading in case.readings.items()},
        }
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write("\n" * self._is_cut() + json.dumps(line) + "\n")
        except OSError as error:
            raise BadInputError(
                f"{self._path}: cannot be written ({error.strerror}). Check folder and space."
            ) from error

    def _is_cut(self) -> bool:
        """Whether the last line was not written to its end."""
        text = self._path.read_bytes() if self._path is not None and self._path.is_file() else b""
        return bool(text) and not text.endswith(b"\n")

    def _take(self, line: Mapping[str, Any]) -> None:
        if any(line["marks"].get(method) != mark for method, mark in self._marks.items()):
            return
        readings = {method: _reading(line["readings"][method]) for method in self._marks}
        true = CellCounts(**line["true_counts"])
        self.cases[line["case"]] = ReadCase(line["pattern"], true, int(line["n_fields"]), readings)


def _whole(line: str) -> Any:
    """Content of a line; None where it was cut off, by the end of the program: that case is read again."""
    try:
        return json.loads(line)
    except ValueError:
        return None


def _reading(data: Mapping[str, Any]) -> CaseReading:
    fields = tuple(CellCounts(**counts) for counts in data["fields"])
    return CaseReading(
        fields, int(data["refused"]), int(data["doubtful"]), str(data["control_status"]), bool(data["gave_cuts"])
    )
