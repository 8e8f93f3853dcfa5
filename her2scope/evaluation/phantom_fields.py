"""Phantom fields of fresh seeds: every nucleus, cell class and share beside the truth.

Each field is a run of its own, read after a field of the 3+, 2+ and 1+ control of that run, without a calibration: as a
reader would.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.cells import SHARE_ORDER, CellClass, CellCounts, CellKind
from her2scope.domain.guideline import Score
from her2scope.domain.score import MIN_FIELD_CELLS
from her2scope.evaluation.matching import Bounds, Matching, TrueNuclei, match_nuclei
from her2scope.evaluation.reading import Anchor, are_tumour, centres_of, read_anchor
from her2scope.evaluation.table import Figure, PartReport, at_least, at_most, percent_at_least, told
from her2scope.evaluation.tallies import KindTally, NucleusTally, mean_of, share_of
from her2scope.evaluation.work import Analysers, Makers, Tell, done_in_any_order
from her2scope.phantom.compare.truth_marks import truth_cells
from her2scope.phantom.field import PhantomSpec, render_field
from her2scope.phantom.truth import count_cells
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.ports import JsonObject
from her2scope.records import Cell, FieldResult, Frame

SCORES = ("0", "ultralow", "1+", "2+", "3+", "mixed")
CONTROL_LEVELS: tuple[Score, ...] = ("3+", "2+", "1+")
CONTROL_NUMBER = 1_000_000
"""The controls are other tissues than any field of their run."""
MOST_CONTROL_FIELDS = 4
"""Fields of a level that are read while there are too few cells."""
MATCH_UM = 3.0
CLASSES = tuple(SHARE_ORDER)
NO_SCORE = "no score"


@dataclass(frozen=True, slots=True)
class FieldTally:
    """One field read by one method."""

    pattern: str
    seed: int
    anchor: Anchor
    refused: tuple[str, ...]
    """Codes of the quality gate; empty where the field was read."""
    nuclei: NucleusTally
    kinds: KindTally
    classes: tuple[tuple[int, ...], ...]
    """Matched tumour cells that lie whole in the picture: true class by found class, the last column found as other."""
    true_counts: CellCounts
    found_counts: CellCounts
    true_score: str | None
    found_score: str | None
    doubts: tuple[str, ...]
    ms: float
    """Of the whole analysis."""


def evaluate_phantom_fields(
    makers: Makers,
    n_fields: int,
    first_seed: int,
    tell: Tell,
    difficulty: str = "hard",
    size_wh: tuple[int, int] = (1280, 720),
    um_per_px: float = 0.25,
    workers: int = 1,
) -> Mapping[str, PartReport]:
    """Draw and read `n_fields` fields, the scores in turn, seeds from `first_seed` on; one report by method."""
    specs = [
        PhantomSpec(SCORES[k % len(SCORES)], first_seed + k, 0, size_wh, um_per_px, difficulty) for k in range(n_fields)
    ]
    read = {}
    for spec, tallies in done_in_any_order(read_field, specs, makers, workers):
        read[spec.seed] = tallies
        tell(f"phantom fields: {len(read)} of {n_fields}")
    return {
        method: _report(f"phantoms, {difficulty}", [read[spec.seed][method] for spec in specs]) for method in makers
    }


def read_field(analysers: Analysers, spec: PhantomSpec) -> dict[str, FieldTally]:
    """Draw one field and its control, and read both by each method."""
    drawn = render_field(spec)
    controls = controls_of(spec)
    frame = Frame(drawn.rgb, 0, 0.0, spec.um_per_px)
    return {method: _read(analyser, spec, frame, drawn.truth, controls) for method, analyser in analysers.items()}


def controls_of(spec: PhantomSpec) -> dict[Score, ControlFields]:
    """The control fields of each level of a spec's run, of the same size and scale."""
    return {level: ControlFields(replace(spec, score=level, number=CONTROL_NUMBER)) for level in CONTROL_LEVELS}


class ControlFields:
    """Fields of one level of a control; the first is drawn at once, a further one when it is first asked for."""

    def __init__(self, spec: PhantomSpec) -> None:
        self._spec = spec
        self._drawn = [self._field(0)]

    def __iter__(self) -> Iterator[Frame]:
        for number in range(MOST_CONTROL_FIELDS):
            if number == len(self._drawn):
                self._drawn.append(self._field(number))
            yield self._drawn[number]

    def _field(self, number: int) -> Frame:
        spec = replace(self._spec, number=self._spec.number + number)
        return Frame(render_field(spec).rgb, 0, 0.0, spec.um_per_px)


def _read(
    analyser: FieldAnalyser,
    spec: PhantomSpec,
    frame: Frame,
    truth: Mapping[str, Any],
    controls: Mapping[Score, ControlFields],
) -> FieldTally:
    anchor = read_anchor(analyser, controls)
    result = analyser.analyse(frame, anchor.cuts)
    cells = truth_cells(truth)
    visible = np.array([cell["visible"] for cell in truth["cells"]], bool)
    whole = visible & ~np.array([cell["edge"] for cell in truth["cells"]], bool)
    matching = match_cells(result, cells, visible)
    usable = result.quality.usable
    return FieldTally(
        pattern=spec.score,
        seed=spec.seed,
        anchor=anchor,
        refused=() if usable else result.quality.codes,
        nuclei=matching.tally if usable else NucleusTally(),
        kinds=KindTally.of(are_tumour(cells)[matching.true], are_tumour(result.cells)[matching.found]),
        classes=_class_table(result.cells, cells, whole, matching),
        true_counts=count_cells(truth["cells"]),
        found_counts=result.counts,
        true_score=truth["score"],
        found_score=result.score,
        doubts=result.doubts,
        ms=sum(result.timings_ms.values()),
    )


def match_cells(result: FieldResult, truth: Sequence[Cell], visible: NDArray[np.bool_]) -> Matching:
    """Match a field's cells with those of its truth: centres within 3 um.

    Neither hit nor miss are true cells that cannot be seen, and those within their own radius of the picture's edge;
    a find within the mean radius of it that hits none is not false.
    """
    frame = result.frame
    radius_px = np.array([cell.nucleus_radius_um for cell in truth], np.float64) / frame.um_per_px
    xy_px = centres_of(truth)
    rim_px = float(radius_px[visible].mean()) if visible.any() else MATCH_UM / frame.um_per_px
    last_px = np.array([frame.size_hw[1] - 0.5, frame.size_hw[0] - 0.5])
    inside = ((xy_px - radius_px[:, None] >= -0.5) & (xy_px + radius_px[:, None] <= last_px)).all(axis=1)
    tolerance_px = np.full(len(truth), MATCH_UM / frame.um_per_px)
    known = TrueNuclei(xy_px, tolerance_px, visible & inside)
    return match_nuclei(centres_of(result.cells), known, Bounds.of_picture(frame.size_hw, rim_px))


def _class_table(
    found: Sequence[Cell], truth: Sequence[Cell], whole: NDArray[np.bool_], matching: Matching
) -> tuple[tuple[int, ...], ...]:
    """True class by found class of matched tumour cells; a find that is cut by the edge is measured in part only."""
    table = np.zeros((len(CLASSES), len(CLASSES) + 1), int)
    for place, true in zip(matching.found.tolist(), matching.true.tolist(), strict=True):
        cell, known = found[place], truth[true]
        if known.cell_class is None or not whole[true] or cell.edge:
            continue
        column = len(CLASSES) if cell.kind is CellKind.OTHER else CLASSES.index(_class_of(cell))
        table[CLASSES.index(known.cell_class), column] += 1
    return tuple(tuple(map(int, row)) for row in table)


def _class_of(cell: Cell) -> CellClass:
    return CellClass.NONE if cell.cell_class is None else cell.cell_class


# ---- figures ------------------------------------------------------------------------------------------------------


def _report(on: str, fields: Sequence[FieldTally]) -> PartReport:
    read = [field for field in fields if not field.refused]
    nuclei, kinds = _nuclei(read), _kinds(read)
    refused = len(fields) - len(read)
    left_out = f"{len(read)} of {len(fields)} fields, {refused} refused" if refused else f"{len(read)} fields"
    scored = [field for field in fields if field.true_score is not None]
    exact = sum(field.found_score == field.true_score for field in scored)
    unscored = sum(field.found_score is None for field in scored)
    figures: tuple[Figure, ...] = (
        at_least(on, "nucleus F1, centre within 3 um", nuclei.f1, 0.93, left_out),
        at_least(on, "tumour / other accuracy, matched cells", kinds.accuracy, 0.95, f"{kinds.n} cells"),
        at_least(on, "class accuracy, five classes", class_accuracy(read), 0.90),
        told(on, "tumour cells counted / true", *_counted(read)),
        at_most(on, "mean absolute error of shares per field", mean_of(map(share_error, read)), 3.0, "points"),
        percent_at_least(
            on, "field score exact", exact / len(scored) if scored else None, 95.0,
            f"{exact} of {len(scored)}; no score: {unscored}",
        ),
        told(on, "ms per field, whole analysis", *_median_ms(read)),
    )  # fmt: skip
    return PartReport(figures, _details(fields), _notes(fields))


def class_accuracy(fields: Sequence[FieldTally]) -> float | None:
    """Share (0..1) of tumour cells that were found as tumour whose class is the true one."""
    table = _classes(fields)[:, : len(CLASSES)]
    return float(np.trace(table) / table.sum()) if table.sum() else None


def share_error(field: FieldTally) -> float | None:
    """Mean absolute error over the classes of a field's shares, in percentage points; None with too few cells."""
    true, found = field.true_counts.shares_percent(), field.found_counts.shares_percent()
    enough = min(field.true_counts.n_tumour, field.found_counts.n_tumour) >= MIN_FIELD_CELLS
    if true is None or found is None or not enough:
        return None
    return float(np.mean([abs(true[name] - found[name]) for name in CLASSES]))


def _nuclei(fields: Sequence[FieldTally]) -> NucleusTally:
    return reduce(add, (field.nuclei for field in fields), NucleusTally())


def _kinds(fields: Sequence[FieldTally]) -> KindTally:
    return reduce(add, (field.kinds for field in fields), KindTally())


def _classes(fields: Sequence[FieldTally]) -> NDArray[np.int64]:
    empty = np.zeros((len(CLASSES), len(CLASSES) + 1), np.int64)
    return np.asarray(sum((np.array(field.classes, np.int64) for field in fields), empty))


def _counted(fields: Sequence[FieldTally]) -> tuple[float | None, str]:
    found = sum(field.found_counts.n_tumour for field in fields)
    true = sum(field.true_counts.n_tumour for field in fields)
    return (found / true if true else None), f"{found} / {true}"


def _median_ms(fields: Sequence[FieldTally]) -> tuple[float | None, str]:
    if not fields:
        return None, "nothing to measure"
    value = float(np.median([field.ms for field in fields]))
    return value, f"{value:.0f} (as busy as this machine was)"


def _notes(fields: Sequence[FieldTally]) -> tuple[str, ...]:
    statuses = Counter(field.anchor.status for field in fields)
    codes = Counter(code for field in fields for code in field.anchor.codes)
    without = sum(not field.anchor.from_control for field in fields)
    doubted = sum(bool(field.doubts) for field in fields)
    return (
        f"3+ controls: {_counts(statuses)} ({_counts(codes)}); {without} gave no cut, and their fields were read with "
        "the default cuts",
        f"fields that the method itself doubts, which no report can rest on: {doubted} of {len(fields)}",
        *(f"{name}: {_line(some)}" for name, some in _by_pattern(fields).items()),
    )


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{n} {name}" for name, n in counter.most_common()) or "none"


def _by_pattern(fields: Sequence[FieldTally]) -> dict[str, list[FieldTally]]:
    found = {name: [field for field in fields if field.pattern == name] for name in SCORES}
    return {name: some for name, some in found.items() if some}


def _line(fields: Sequence[FieldTally]) -> str:
    """One pattern's figures."""
    summary = _summary(fields)
    names = ("nucleus_f1", "kind_accuracy", "class_accuracy", "share_error_points", "score_exact")
    said = (
        f"{name.replace('_', ' ')} {'-' if summary[name] is None else format(summary[name], '.3f')}" for name in names
    )
    found = Counter(field.found_score or NO_SCORE for field in fields)
    return f"{', '.join(said)}; called {_counts(found)}"


def _details(fields: Sequence[FieldTally]) -> JsonObject:
    return {
        "class_names": [name.value for name in CLASSES],
        "classes": _classes(fields).tolist(),
        "nuclei": _nuclei(fields).as_json(),
        "kinds": _kinds(fields).as_json(),
        "scores": _score_table(fields),
        "by_pattern": {name: _summary(some) for name, some in _by_pattern(fields).items()},
        "fields": [_field_json(field) for field in fields],
    }


def _score_table(fields: Sequence[FieldTally]) -> JsonObject:
    """Fields by true and found score."""
    table: dict[str, dict[str, int]] = {}
    for field in fields:
        row = table.setdefault(field.true_score or NO_SCORE, {})
        found = field.found_score or NO_SCORE
        row[found] = row.get(found, 0) + 1
    return table


def _summary(fields: Sequence[FieldTally]) -> JsonObject:
    read = [field for field in fields if not field.refused]
    scored = [field for field in fields if field.true_score is not None]
    return {
        "fields": len(fields),
        "refused": len(fields) - len(read),
        "nucleus_f1": _nuclei(read).f1,
        "kind_accuracy": _kinds(read).accuracy,
        "class_accuracy": class_accuracy(read),
        "share_error_points": mean_of(map(share_error, read)),
        "score_exact": share_of([field.found_score == field.true_score for field in scored]),
        "scores": _score_table(fields),
        "classes": _classes(read).tolist(),
    }


def _field_json(field: FieldTally) -> JsonObject:
    return {
        "pattern": field.pattern,
        "seed": field.seed,
        "control": {
            "status": field.anchor.status,
            "codes": list(field.anchor.codes),
            "gave_cuts": field.anchor.from_control,
            "intense_od10": field.anchor.cuts.intense_od10,
        },
        "refused": list(field.refused),
        "doubts": list(field.doubts),
        "true_score": field.true_score,
        "found_score": field.found_score,
        "nucleus_f1": field.nuclei.f1,
        "kind_accuracy": field.kinds.accuracy,
        "class_accuracy": class_accuracy([field]),
        "share_error_points": share_error(field),
        "n_tumour": {"true": field.true_counts.n_tumour, "found": field.found_counts.n_tumour},
        "shares_percent": {"true": _shares(field.true_counts), "found": _shares(field.found_counts)},
        "ms": round(field.ms, 1),
    }


def _shares(counts: CellCounts) -> JsonObject | None:
    shares = counts.shares_percent()
    return None if shares is None else {name.value: round(share, 2) for name, share in shares.items()}
