"""The HER2 contest: slides of a folder answered, answers held against the truth, and a contest of phantom slides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from her2scope.app.outputs import check_outputs, write_all
from her2scope.app.phantom_slides import control_regions, geojson_bytes
from her2scope.app.slides import SlidesRequest, score_slides
from her2scope.cameras.registry import SLIDE_SUFFIXES
from her2scope.domain.errors import BadInputError
from her2scope.phantom.contest import CASE_UM, SLIDES, ContestSlide, plan_contest
from her2scope.phantom.slide_file import SUFFIX, is_phantom_slide, phantom_stem, slide_spec_bytes
from her2scope.phantom.slide_truth import slide_truth
from her2scope.reporting.json_report import json_bytes
from her2scope.slides.contest_points import ContestResult, evaluate, result_json, result_lines
from her2scope.slides.contest_rules import contest_rules
from her2scope.slides.contest_tables import (
    Answer,
    Truth,
    answers_csv,
    check_same_cases,
    read_answers,
    read_truth,
    truth_csv,
)
from her2scope.slides.progress import ProgressLine
from her2scope.slides.records import SlideOutcome

READ_SUFFIXES = (*SLIDE_SUFFIXES, ".tif", ".tiff", ".svslide")
"""Files of a folder that are taken for slides, beside phantom slides."""
SLIDES_FOLDER, CONTROLS_FOLDER, TRUTH_FOLDER, TRUTH_NAME = "slides", "controls", "truth", "truth.csv"
"""Within the folder of a phantom contest."""
Told = Callable[[str], None]


# ---- answers ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SubmitRequest:
    """Slides to answer."""

    slides_dir: Path
    out: Path
    """Table of answers."""
    how: SlidesRequest
    """How slides are scored; which, and where their results go, is put in here."""
    work: Path | None = None
    """Folder of the slides' results; None: beside the table."""


def submit(request: SubmitRequest, told: Told, bar: ProgressLine | None = None) -> list[str]:
    """Score all slides of a folder in the order of their names, and write the table of answers.

    Every slide has a line. One without a score has an empty one and says why: no score is made up for it, so it has no
    points.

    Parameters
    ----------
    bar : shows how far a slide has come
    """
    slides, others = slides_of(request.slides_dir)
    work = request.work or request.out.with_name(f"{request.out.stem}_slides")
    check_outputs([request.out], slides)
    if others:
        told(f"{len(others)} other files in {request.slides_dir} are no slides: {', '.join(others[:5])}")
    outcomes = score_slides(replace(request.how, slides=slides, out=work), told, bar)
    answers = [answer_of(outcome) for outcome in outcomes]
    write_all({request.out: answers_csv(answers)})
    without = [answer.case for answer in answers if answer.score is None]
    lines = [f"{len(answers)} cases written to {request.out}; their reports are in {work}"]
    return [*lines, f"without a score: {', '.join(without)}"] if without else lines


def slides_of(folder: Path) -> tuple[list[Path], list[str]]:
    """Slides of a folder in the order of their names, and the names of its other files."""
    if not folder.is_dir():
        raise BadInputError(f"{folder}: no such folder of slides. Check the path.")
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    slides = [path for path in files if is_phantom_slide(path) or path.suffix.lower() in READ_SUFFIXES]
    if not slides:
        known = ", ".join((*READ_SUFFIXES, SUFFIX))
        raise BadInputError(f"{folder}: no slide in it. A slide's name ends in one of {known}.")
    return slides, [path.name for path in files if path not in slides]


def answer_of(outcome: SlideOutcome) -> Answer:
    """The answer that a slide's score gives: its score, how probable that is, and its complete membranes."""
    case = phantom_stem(outcome.path)
    scored = outcome.score
    if scored is None or scored.case.score is None:
        complete = scored.complete_percent if scored is not None else None
        return Answer(case, None, None, complete, outcome.problem or "no score")
    probability = scored.case.score_probability or {}
    reason = "" if scored.case.reportable else "not reportable: " + "; ".join(scored.case.blocking)
    return Answer(case, scored.case.score, probability.get(scored.case.score), scored.complete_percent, reason)


# ---- points -------------------------------------------------------------------------------------------------------


def evaluate_tables(answers_path: Path, truth_path: Path, json_path: Path | None = None) -> list[str]:
    """Hold a table of answers against one of the truth; the lines to print."""
    if json_path is not None:
        check_outputs([json_path], [answers_path, truth_path])
    result = compare_tables(answers_path, truth_path)
    if json_path is not None:
        write_all({json_path: json_bytes(result_json(result))})
    return result_lines(result)


def compare_tables(answers_path: Path, truth_path: Path) -> ContestResult:
    """The same as a result."""
    answers, truth = read_answers(answers_path), read_truth(truth_path)
    check_same_cases(answers, truth, answers_path)
    return evaluate(answers, truth, contest_rules())


# ---- a contest of phantoms ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PhantomContestRequest:
    """A phantom contest to write."""

    out: Path
    seed: int = 0
    slides: int = SLIDES
    difficulty: str = "usual"
    case_um: tuple[float, float] = CASE_UM
    workers: int = 1


def write_phantom_contest(request: PhantomContestRequest, told: Told) -> list[str]:
    """Write the slides of a phantom contest, outlines of their controls, and the truth; all or none."""
    plan = plan_contest(request.seed, request.slides, request.difficulty, request.case_um)
    if request.out.exists() and (not request.out.is_dir() or any(request.out.iterdir())):
        raise BadInputError(
            f"{request.out}: is there already. Choose an empty folder, so that no contest is overwritten."
        )
    slides_dir, controls_dir, truth_dir = (
        request.out / name for name in (SLIDES_FOLDER, CONTROLS_FOLDER, TRUTH_FOLDER)
    )
    table = request.out / TRUTH_NAME
    check_outputs([table], [])
    truths = _truths(plan, request.workers, told)
    files = {}
    for item, truth in zip(plan, truths, strict=True):
        files[slides_dir / f"{item.case}{SUFFIX}"] = slide_spec_bytes(item.spec)
        files[controls_dir / f"{item.case}.geojson"] = geojson_bytes(control_regions(item.spec))
        files[truth_dir / f"{item.case}.json"] = json_bytes(truth)
    files[table] = _truth_table(plan, truths)
    write_all(files)
    return [
        f"{len(plan)} slides written to {slides_dir}, their controls to {controls_dir}, their truth to {table}",
        f"answer them with: her2scope contest submit {slides_dir} --annotations {controls_dir} --out results.csv",
    ]


def _truths(plan: Sequence[ContestSlide], workers: int, told: Told) -> list[dict[str, Any]]:
    """Truth of each slide, all cells of its case counted."""
    found = []
    with ProcessPoolExecutor(workers) as pool:
        for item, truth in zip(plan, pool.map(_truth, plan), strict=True):
            if truth["score"] is None:
                raise BadInputError(
                    f"{item.case} has too few cells for a true score. Give larger cases, or another seed."
                )
            told(f"{item.case}: {truth['score']}, {truth['n_tumour']} tumour cells")
            found.append(truth)
    return found


def _truth(item: ContestSlide) -> dict[str, Any]:
    return slide_truth(item.spec)


def _truth_table(plan: Sequence[ContestSlide], truths: Sequence[dict[str, Any]]) -> bytes:
    rows = [
        Truth(item.case, truth["score"], truth["complete_percent"]) for item, truth in zip(plan, truths, strict=True)
    ]
    both = list(zip(plan, truths, strict=True))
    return truth_csv(
        rows,
        {
            "category": {item.case: truth["category"] for item, truth in both},
            "n_tumour": {item.case: str(truth["n_tumour"]) for item, truth in both},
            "pattern": {item.case: item.spec.score for item in plan},
            "stainer": {item.case: item.spec.stainer or "" for item in plan},
            "scanner": {item.case: item.spec.scanner for item in plan},
            "difficulty": {item.case: item.spec.difficulty for item in plan},
        },
    )
