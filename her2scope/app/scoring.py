"""Images from the command line: all fields of one case, or one control. Nothing is written before all is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from her2scope.app.compose import (
    DEFAULT_METHOD,
    make_analyser,
    open_session,
    read_calibration,
    read_settings,
    user_name,
    with_material,
)
from her2scope.app.control_history import control_history
from her2scope.app.outputs import check_outputs, write_all
from her2scope.app.where_to_count import asked_gate
from her2scope.domain.control_history import ControlEntry
from her2scope.domain.errors import BadInputError, StoreError
from her2scope.domain.guideline import SCORES, Score
from her2scope.domain.score import ControlStatus
from her2scope.domain.score_sentence import INTERVAL_SCOPE
from her2scope.domain.westgard import baseline_note
from her2scope.imaging.files import encode_png, read_rgb
from her2scope.overlays.model import OverlaySelection
from her2scope.overlays.palette import palette
from her2scope.overlays.raster import cell_labels, draw_overlay
from her2scope.pipeline.clock import SystemClock
from her2scope.pipeline.control import compared, judge, measure_control, read_field
from her2scope.pipeline.region_gate import RegionGate
from her2scope.pipeline.session import CaseSession
from her2scope.records import AcceptedField, CameraState, CaseView, ControlReading, Frame
from her2scope.reporting.content import control_json, score_json
from her2scope.reporting.json_report import json_bytes
from her2scope.reporting.words import caveats, sentence
from her2scope.settings import Calibration, ScoringSettings
from her2scope.storage.memory import MemoryCaseStore

ANCHOR_LEVEL: Score = "3+"
"""What `--control` images are: the level that anchors the intensity scale."""
_Picture = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """What `her2scope score` was asked."""

    images: Sequence[Path]
    um_per_px: float
    controls: Sequence[Path] = ()
    """Fields of the 3+ control."""
    lower_controls: Sequence[tuple[Score, Path]] = ()
    """Fields of the run's other controls, with the score that each is known to have."""
    control_um_per_px: float | None = None
    control_file: Path | None = None
    """The laboratory's controls, for their limits."""
    material: str | None = None
    calibration: Path | None = None
    settings: Path | None = None
    guideline: str | None = None
    method: str | None = None
    region_model: Path | None = None
    """Folder of the model that says where to count; None: everywhere."""
    count_in: Sequence[str] = ()
    """Its classes in which cells count."""
    json_path: Path | None = None
    overlay_dir: Path | None = None
    mask_dir: Path | None = None


@dataclass(frozen=True, slots=True)
class ControlRequest:
    """What `her2scope control check` was asked."""

    images: Sequence[Path]
    um_per_px: float
    expected: Score
    lot: str = ""
    run: str = ""
    """Empty: this reading is a run of its own."""
    instrument: str | None = None
    """None: the name of the calibration."""
    control_file: Path | None = None
    """The laboratory's controls, for their limits."""
    material: str | None = None
    calibration: Path | None = None
    settings: Path | None = None
    method: str | None = None
    json_path: Path | None = None


@dataclass(frozen=True, slots=True)
class ScoreAnswer:
    """What `her2scope score` found."""

    lines: Sequence[str]
    control_invalid: bool


def score_images(request: ScoreRequest) -> ScoreAnswer:
    """Score images as the fields of one case and write what was asked for."""
    _check_stems(request)
    check_outputs(_output_paths(request), _input_paths(request))
    settings = with_material(read_settings(request.settings), request.control_file, request.material)
    if request.guideline:
        settings = replace(settings, guideline=request.guideline)
    settings, gate = asked_gate(request.region_model, request.count_in, settings)
    calibration = read_calibration(request.calibration)
    session = _session(request.method, settings, calibration, gate)
    # all images are read before any is scored: one that cannot be read leaves nothing behind
    control_um_per_px = request.control_um_per_px or request.um_per_px
    controls = [
        (_frame(path, place, control_um_per_px, calibration), level)
        for place, (level, path) in enumerate(_controls(request))
    ]
    frames = [_frame(path, place, request.um_per_px, calibration) for place, path in enumerate(request.images)]
    _check_frames(frames, gate)
    for frame, level in controls:
        session.read_control(frame, level, lot="")
    for frame in frames:
        session.accept(frame, keep_unusable=True)
    view = session.view
    write_all(_encoded(request, view))
    return ScoreAnswer(_summary(view), view.standing.status is ControlStatus.INVALID)


def _controls(request: ScoreRequest) -> list[tuple[Score, Path]]:
    """Every control with its level, the strongest first: it sets the scale that the others are read by."""
    lower = sorted(request.lower_controls, key=lambda item: SCORES.index(item[0]), reverse=True)
    return [*((ANCHOR_LEVEL, path) for path in request.controls), *lower]


def check_control(request: ControlRequest) -> tuple[bool, list[str]]:
    """Judge a control of known score by all its fields together.

    Returns
    -------
    bool
        Whether it is sufficient: valid, or valid with a warning.
    list of str
        The verdict in lines of text.
    """
    outputs = [request.json_path] if request.json_path else []
    history = control_history().path
    check_outputs(outputs, [*_input_paths(request), *([history] if history.exists() else [])])
    calibration = read_calibration(request.calibration)
    settings = with_material(read_settings(request.settings), request.control_file, request.material)
    analyser = make_analyser(request.method or DEFAULT_METHOD, settings, calibration)
    frames = [_frame(path, place, request.um_per_px, calibration) for place, path in enumerate(request.images)]
    results = [read_field(analyser, frame, request.expected, analyser.default_cuts) for frame in frames]
    measures = measure_control(analyser, results, request.expected)
    verdict = judge(analyser, measures, request.expected, [])
    now_utc = SystemClock().now_utc()
    run = request.run or (now_utc if request.lot else "")
    readings = [
        ControlReading(number, now_utc, request.expected, request.lot, measures, verdict, result, run=run)
        for number, result in enumerate(results, start=1)
    ]
    reading, told = _kept(readings, calibration.name if request.instrument is None else request.instrument)
    verdict = reading.verdict
    write_all({path: json_bytes(control_json(reading)) for path in outputs})
    n_usable = sum(result.quality.usable for result in results)
    fields = f"{n_usable} of {len(results)} field(s)"
    lines = [_verdict(reading), f"{measures.n_tumour} tumour cells in {fields}, reads {measures.read or 'no score'}"]
    for result in results:
        if not result.quality.usable:
            lines.append(f"{result.frame.name} was left out: {'; '.join(result.quality.reasons)}")
    return verdict.status is not ControlStatus.INVALID, [*lines, *told]


def _kept(readings: Sequence[ControlReading], instrument: str) -> tuple[ControlReading, list[str]]:
    """The last of the readings of one control in view of the history, which keeps it; and what is to be said of it."""
    history = control_history()
    entries: tuple[ControlEntry, ...] = ()
    told = []
    try:
        entries = history.entries()
    except StoreError as error:  # what is read now is not lost for a line that cannot be read
        told.append(f"{error} Until then only the absolute limits hold.")
    reading, entry = compared(readings[-1], readings[:-1], entries, readings[-1].at_utc, instrument)
    told = told or [baseline_note(entry, entries)]
    try:
        history.append(entry)
    except StoreError as error:
        told.append(f"this reading is not in the history: {error}")
    return reading, [*told, *history.problems]


def _session(
    method: str | None, settings: ScoringSettings, calibration: Calibration, gate: RegionGate | None
) -> CaseSession:
    file = MemoryCaseStore().create("score")
    return open_session(file, method or DEFAULT_METHOD, settings, calibration, user_name(), gate=gate)


def _check_frames(frames: Sequence[Frame], gate: RegionGate | None) -> None:
    """Raise BadInputError for a picture of which the region model can say nothing."""
    for frame in frames if gate is not None else ():
        refusal = gate.refusal(frame.um_per_px, frame.size_hw) if gate is not None else ""
        if refusal:
            raise BadInputError(f"{frame.name}: {refusal}.")


def _frame(path: Path, place: int, um_per_px: float, calibration: Calibration) -> Frame:
    camera = CameraState(response=calibration.response)
    return Frame(read_rgb(path), place, 0.0, um_per_px, camera, str(path))


def _check_stems(request: ScoreRequest) -> None:
    """Overlays and masks are named by stem: two images of one stem would overwrite each other."""
    stems = [path.stem for path in request.images]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice and (request.overlay_dir or request.mask_dir):
        raise BadInputError(
            f"two images are named '{twice[0]}': their overlays would overwrite each other. Rename one."
        )


def _input_paths(request: ScoreRequest | ControlRequest) -> list[Path]:
    """Every file that a command reads."""
    controls = [path for _, path in _controls(request)] if isinstance(request, ScoreRequest) else []
    settings = [path for path in (request.calibration, request.settings, request.control_file) if path]
    folder = request.region_model if isinstance(request, ScoreRequest) else None
    model = sorted(folder.iterdir()) if folder is not None and folder.is_dir() else []
    return [*request.images, *controls, *settings, *model]


def _pictures(request: ScoreRequest) -> list[tuple[Path, str, Callable[[AcceptedField], _Picture]]]:
    """What is drawn of each field: folder, end of the name, and how."""
    overlay, mask = request.overlay_dir, request.mask_dir
    return [
        *([(overlay, "_overlay.png", _overlay)] if overlay else []),
        *([(mask, "_membrane.png", _membrane), (mask, "_cells.png", _cells)] if mask else []),
    ]


def _output_paths(request: ScoreRequest) -> list[Path]:
    """Every file that the request asks for; known before anything is scored."""
    paths = [folder / (image.stem + end) for folder, end, _ in _pictures(request) for image in request.images]
    return [*paths, *([request.json_path] if request.json_path else [])]


def _encoded(request: ScoreRequest, view: CaseView) -> dict[Path, bytes]:
    """The files of `_output_paths` and what stands in them."""
    files = {
        folder / (Path(item.result.frame.name).stem + end): encode_png(draw(item))
        for folder, end, draw in _pictures(request)
        for item in view.fields
    }
    return files | ({request.json_path: json_bytes(score_json(view))} if request.json_path else {})


def _overlay(item: AcceptedField) -> _Picture:
    return draw_overlay(item.result.frame.rgb, item.result, palette("safe"), OverlaySelection())


def _membrane(item: AcceptedField) -> _Picture:
    return item.result.membrane


def _cells(item: AcceptedField) -> _Picture:
    return cell_labels(item.result)


def _summary(view: CaseView) -> list[str]:
    """A line per control, field and case."""
    lines = [f"control {Path(reading.result.frame.name).name}: {_verdict(reading)}" for reading in view.controls]
    lines += [f"field {Path(item.result.frame.name).name}: {_field(item)}" for item in view.fields]
    score = view.score
    name = f"reference score {score.score}" if score.score is not None else "no score"
    standing = "reportable" if score.reportable else "not reportable"
    lines.append(f"case: {name}, {score.category.value}, {standing}, {score.counts.n_tumour} tumour cells")
    told = [sentence(text) for text in (score.sentence, INTERVAL_SCOPE) if score.score is not None and text]
    lines += [f"  {text}" for text in told]
    return lines + [f"  - {reason}" for reason in (*score.reasons, *caveats(view))] + ["research use only"]


def _field(item: AcceptedField) -> str:
    if not item.result.quality.usable:
        return f"unusable: {'; '.join(item.result.quality.reasons)}"
    said = f" ({'; '.join(item.result.remarks)})" if item.result.remarks else ""
    seen = item.n_seen_before
    again = f", {seen} of them seen in an earlier field" if seen else ""
    outside = f", {item.n_outside} more outside the counted tissue" if item.n_outside else ""
    return f"{item.result.score or 'no score'}, {item.result.counts.n_tumour} tumour cells{outside}{again}{said}"


def _verdict(reading: ControlReading) -> str:
    reasons = f": {'; '.join(reading.verdict.reasons)}" if reading.verdict.reasons else ""
    return f"{reading.expected} control {reading.verdict.status.value}{reasons}"
