"""All figures that show how good the methods are, side by side: one table, one JSON file."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from her2scope import __version__
from her2scope.app.compose import METHODS, load_network, make_analyser, network_segmenter, read_settings
from her2scope.app.outputs import check_outputs, write_all
from her2scope.domain.errors import BadInputError, NotAvailableError, SettingsError
from her2scope.evaluation.agreement import evaluate_agreement
from her2scope.evaluation.control_checks import evaluate_controls
from her2scope.evaluation.intervals import evaluate_intervals
from her2scope.evaluation.membrane_masks import evaluate_membrane_masks
from her2scope.evaluation.nuclear_masks import evaluate_nuclear_masks
from her2scope.evaluation.phantom_cases import CasePlan, evaluate_phantom_cases
from her2scope.evaluation.phantom_fields import SCORES, evaluate_phantom_fields
from her2scope.evaluation.quality_tiles import evaluate_quality_tiles
from her2scope.evaluation.real_cases import evaluate_real_cases
from her2scope.evaluation.real_nuclei import evaluate_real_nuclei
from her2scope.evaluation.registration import evaluate_registration
from her2scope.evaluation.slide_paths import evaluate_slide_paths
from her2scope.evaluation.speed import evaluate_speed
from her2scope.evaluation.stain_stability import evaluate_stain_stability
from her2scope.evaluation.table import SCHEMA, PartReport, Reports, not_measured, table_json, table_lines
from her2scope.evaluation.work import Analysers, Makers, Tell
from her2scope.phantom.compare.real_fields import RealField, read_list
from her2scope.phantom.field import PhantomSpec, render_field
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.ports import JsonObject
from her2scope.records import Frame
from her2scope.reporting.json_report import json_bytes
from her2scope.segmentation.maps import NETWORK_UM_PER_PX
from her2scope.segmentation.methods import NETWORK
from her2scope.segmentation.model_card import FULL, QUANTISED
from her2scope.settings import Calibration, ScoringSettings

LIST_IN_CHECKOUT = Path(__file__).resolve().parents[2] / "scripts" / "real_fields.csv"
"""The list of real pictures is part of the checkout, not of the wheel."""
AGREEMENT_SEEDS = 3_000_000
"""Added to the first seed."""


def _network_twins(analyser: FieldAnalyser) -> tuple[FieldAnalyser, FieldAnalyser]:
    quantised, full = (
        FieldAnalyser(
            network_segmenter(load_network(file=file), analyser.settings), analyser.settings, analyser.calibration
        )
        for file in (QUANTISED, FULL)
    )
    return quantised, full


TWINS: Mapping[str, Callable[[FieldAnalyser], tuple[FieldAnalyser, FieldAnalyser]]] = {NETWORK: _network_twins}
"""By method that comes in two builds: its int8 and its fp32 analyser, with the settings of the one given."""
PARTS: Mapping[str, str | None] = {
    "phantom-fields": None,
    "phantom-cases": None,
    "controls": None,
    "stain-stability": None,
    "real-cases": "her2_camera_fields",
    "real-nuclei": "her2_nuclei_reference",
    "nuclear-masks": "ihc_nuclei_ki67",
    "membrane-masks": "her2_membrane_masks",
    "quality-tiles": "her2_bci_20x",
    "agreement": None,
    "registration": None,
    "slide-paths": None,
    "intervals": None,
    "speed": None,
}
"""Every part in the order of the table, and the folder of real data without which it cannot be measured."""


@dataclass(frozen=True, slots=True)
class EvaluateRequest:
    """What `her2scope evaluate` was asked."""

    methods: Sequence[str] = ()
    """Empty: all that are available."""
    parts: Sequence[str] = ()
    """Empty: all of `PARTS`."""
    data: Path | None = None
    real_list: Path | None = None
    first_seed: int = 100_000
    fields: int = 60
    difficulty: str = "hard"
    size_wh: tuple[int, int] = (1280, 720)
    """Of every phantom field."""
    cases: int = 200
    case_cells: int = 3000
    case_difficulty: str = "usual"
    labs: int = 6
    """Laboratories of which controls are read."""
    tissues: int = 4
    """Of each pattern, read by every stainer and camera."""
    resume: Path | None = None
    settings: Path | None = None
    workers: int = 1
    json_path: Path | None = None


def evaluate(request: EvaluateRequest, tell: Tell) -> list[str]:
    """Measure what was asked for; gives the lines of the table, and writes the JSON file where one is wanted."""
    _check(request)
    settings = read_settings(request.settings)
    methods = list(dict.fromkeys(request.methods)) or _available(settings, tell)
    threads = 1 if request.workers > 1 else 0
    makers: Makers = {
        method: partial(make_analyser, method, settings, Calibration(), threads=threads) for method in methods
    }
    analysers: Analysers = {method: make() for method, make in makers.items()}
    listed = _listed(request)
    found: dict[str, Reports] = {}
    seconds: dict[str, float] = {}
    wanted = [part for part in PARTS if part in (request.parts or PARTS)]
    # The real pictures first: a fault in one of them shows before an hour of phantoms, not after it.
    for part in sorted(wanted, key=lambda part: PARTS[part] is None):
        start_s = time.perf_counter()
        found[part] = _measured(part, request, makers, analysers, listed, tell)
        seconds[part] = round(time.perf_counter() - start_s, 1)
    found = {part: found[part] for part in wanted}
    if request.json_path:
        content = _content(request, settings, analysers, found, seconds)
        write_all({request.json_path: json_bytes(content)})
    took = ", ".join(f"{part} {took_s:.0f} s" for part, took_s in seconds.items())
    return [*table_lines(found, methods), f"took: {took}", "research use only"]


def _available(settings: ScoringSettings, tell: Tell) -> list[str]:
    """Every method that this installation can be run with."""
    found = []
    for method in METHODS:
        try:
            make_analyser(method, settings, Calibration())
            found.append(method)
        except SettingsError as error:  # no model, or not the one of its card
            tell(f"left out: {method}: {error}")
    return found


def _check(request: EvaluateRequest) -> None:
    """Refuse what cannot be measured before an hour was spent on the rest."""
    for part in request.parts:
        if part not in PARTS:
            raise NotAvailableError("part", part, list(PARTS))
    if request.data is not None and not request.data.is_dir():
        raise BadInputError(f"{request.data}: no such folder. Give the folder of the real images.")
    inputs = [path for path in (request.real_list, request.settings) if path]
    check_outputs([path for path in (request.json_path, request.resume) if path], inputs)


def _listed(request: EvaluateRequest) -> list[RealField]:
    """The list of real pictures, with its files in the data folder; empty without data."""
    if request.data is None:
        return []
    path = request.real_list or LIST_IN_CHECKOUT
    if not path.is_file():
        raise BadInputError(f"{path}: the list of real pictures is not there. Give one with --real.")
    return [field for field in read_list(path, request.data) if field.path.is_file()]


def _measured(
    part: str,
    request: EvaluateRequest,
    makers: Makers,
    analysers: Analysers,
    listed: Sequence[RealField],
    tell: Tell,
) -> Reports:
    missing = _missing(part, request.data)
    if missing:
        figure = not_measured(part.replace("-", " "), "all figures", missing)
        return {method: PartReport((figure,)) for method in makers}
    data = request.data or Path()
    plan = CasePlan(request.cases, request.case_cells, request.first_seed, request.case_difficulty, request.size_wh)
    steps: Mapping[str, Callable[[], Reports]] = {
        "phantom-fields": lambda: evaluate_phantom_fields(
            makers,
            request.fields,
            request.first_seed,
            tell,
            request.difficulty,
            request.size_wh,
            workers=request.workers,
        ),
        "phantom-cases": lambda: evaluate_phantom_cases(makers, plan, tell, request.workers, request.resume),
        "controls": lambda: evaluate_controls(
            makers, read_settings(request.settings).control, request.labs, request.first_seed, tell, request.workers
        ),
        "stain-stability": lambda: evaluate_stain_stability(
            makers, request.tissues, request.first_seed, tell, request.workers
        ),
        "real-cases": lambda: evaluate_real_cases(analysers, listed, tell),
        "real-nuclei": lambda: evaluate_real_nuclei(analysers, data, listed, tell),
        "nuclear-masks": lambda: evaluate_nuclear_masks(analysers, data, tell),
        "membrane-masks": lambda: evaluate_membrane_masks(analysers, data, tell),
        "quality-tiles": lambda: evaluate_quality_tiles(analysers, data, tell),
        "agreement": lambda: _agreement(request, analysers, tell),
        "registration": lambda: evaluate_registration(makers, request.first_seed, tell, request.workers),
        "slide-paths": lambda: evaluate_slide_paths(makers, request.first_seed, tell, request.workers),
        "intervals": lambda: evaluate_intervals(list(makers), request.first_seed, tell, request.workers),
        "speed": lambda: evaluate_speed(analysers, _networks(analysers), _live_frame, tell),
    }
    return steps[part]()


def _agreement(request: EvaluateRequest, analysers: Analysers, tell: Tell) -> Reports:
    """Fields of every score, of runs that nothing else is measured on."""
    twins = {method: TWINS[method](analyser) if method in TWINS else None for method, analyser in analysers.items()}
    frames = []
    if any(twins.values()):
        first = request.first_seed + AGREEMENT_SEEDS
        specs = [PhantomSpec(score, first + k, difficulty=request.difficulty) for k, score in enumerate(SCORES)]
        frames = [Frame(render_field(spec).rgb, 0, 0.0, spec.um_per_px) for spec in specs]
    return evaluate_agreement(twins, frames, tell)


def _networks(analysers: Analysers) -> dict[str, dict[str, Callable[[Frame], object]]]:
    """The builds of each method's network, alone, on as many threads as there are cores."""

    def run(file: str) -> Callable[[Frame], object]:
        network = load_network(file=file)
        return lambda frame: network.predict(frame.rgb, frame.um_per_px, (255.0, 255.0, 255.0))

    return {method: {"int8": run(QUANTISED), "fp32": run(FULL)} for method in analysers if method in TWINS}


def _live_frame(size_wh: tuple[int, int]) -> Frame:
    """A phantom at the network's scale, whatever its size: the same tissue again where it is larger."""
    drawn = render_field(PhantomSpec("2+", 1, 0, (960, 544), NETWORK_UM_PER_PX)).rgb
    across, down = (-(-wanted // there) for wanted, there in zip(size_wh, (960, 544), strict=True))
    rgb = np.tile(drawn, (down, across, 1))[: size_wh[1], : size_wh[0]]
    return Frame(np.ascontiguousarray(rgb), 0, 0.0, NETWORK_UM_PER_PX)


def _missing(part: str, data: Path | None) -> str | None:
    """Why a part cannot be measured, None where it can."""
    folder = PARTS[part]
    if folder is None:
        return None
    if data is None:
        return "no --data"
    return None if (data / folder).is_dir() else f"no folder {folder} in --data"


def _content(
    request: EvaluateRequest,
    settings: ScoringSettings,
    analysers: Analysers,
    found: Mapping[str, Reports],
    seconds: Mapping[str, float],
) -> JsonObject:
    return {
        "schema": SCHEMA,
        "program": {"version": __version__},
        "guideline": settings.guideline,
        "methods": {name: _method_json(analyser) for name, analyser in analysers.items()},
        "options": {
            "first_seed": request.first_seed,
            "fields": request.fields,
            "difficulty": request.difficulty,
            "size_wh": list(request.size_wh),
            "cases": request.cases,
            "case_cells": request.case_cells,
            "case_difficulty": request.case_difficulty,
            "labs": request.labs,
            "tissues": request.tissues,
            "data": request.data is not None,
        },
        "seconds": dict(seconds),
        **table_json(found, list(analysers)),
    }


def _method_json(analyser: FieldAnalyser) -> JsonObject:
    segmenter = analyser.segmenter
    return {"model": {"name": segmenter.model_name, "sha256": segmenter.model_sha256}}
