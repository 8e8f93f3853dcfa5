"""Images from the command line: all fields of one case, or one control. Nothing is written before all is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from her2scope.app.compose import DEFAULT_METHOD, open_session, read_calibration, read_settings, user_name
from her2scope.domain.errors import BadInputError
from her2scope.domain.guideline import Score
from her2scope.domain.score import ControlStatus
from her2scope.imaging.files import read_rgb, write_mask, write_png
from her2scope.overlays.model import OverlaySelection
from her2scope.overlays.palette import palette
from her2scope.overlays.raster import cell_labels, draw_overlay
from her2scope.pipeline.session import CaseSession
from her2scope.records import AcceptedField, CameraState, CaseView, ControlReading, Frame
from her2scope.reporting.content import control_json, score_json
from her2scope.reporting.json_report import write_json
from her2scope.settings import Calibration, ScoringSettings
from her2scope.storage.memory import MemoryCaseStore

ANCHOR_LEVEL: Score = "3+"
"""What `--control` images are: the level that anchors the intensity scale."""


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """What `her2scope score` was asked."""

    images: Sequence[Path]
    um_per_px: float
    controls: Sequence[Path] = ()
    control_um_per_px: float | None = None
    calibration: Path | None = None
    settings: Path | None = None
    guideline: str | None = None
    method: str | None = None
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
    calibration: Path | None = None
    settings: Path | None = None
    method: str | None = None
    json_path: Path | None = None


def score_images(request: ScoreRequest) -> list[str]:
    """Score images as the fields of one case and write what was asked for; the result in lines of text."""
    _check_stems(request)
    settings = read_settings(request.settings)
    if request.guideline:
        settings = replace(settings, guideline=request.guideline)
    calibration = read_calibration(request.calibration)
    session = _session(request.method, settings, calibration)
    # all images are read before any is scored: one that cannot be read leaves nothing behind
    control_um_per_px = request.control_um_per_px or request.um_per_px
    controls = [_frame(path, place, control_um_per_px, calibration) for place, path in enumerate(request.controls)]
    frames = [_frame(path, place, request.um_per_px, calibration) for place, path in enumerate(request.images)]
    for frame in controls:
        session.read_control(frame, ANCHOR_LEVEL, lot="")
    for frame in frames:
        session.accept(frame, keep_unusable=True)
    view = session.view
    _write(request, view)
    return _summary(view)


def check_control(request: ControlRequest) -> tuple[bool, list[str]]:
    """Judge a control of known score from one or more fields.

    Returns
    -------
    bool
        Whether it is sufficient: valid, or valid with a warning.
    list of str
        A line per field.
    """
    calibration = read_calibration(request.calibration)
    session = _session(request.method, read_settings(request.settings), calibration)
    frames = [_frame(path, place, request.um_per_px, calibration) for place, path in enumerate(request.images)]
    readings = [session.read_control(frame, request.expected, request.lot) for frame in frames]
    worst = max(readings, key=lambda reading: list(ControlStatus).index(reading.verdict.status))
    if request.json_path:
        write_json(control_json(worst), request.json_path)
    lines = [f"{reading.result.frame.name}: {_verdict(reading)}" for reading in readings]
    return worst.verdict.status is not ControlStatus.INVALID, lines


def _session(method: str | None, settings: ScoringSettings, calibration: Calibration) -> CaseSession:
    file = MemoryCaseStore().create("score")
    return open_session(file, method or DEFAULT_METHOD, settings, calibration, user_name())


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


def _write(request: ScoreRequest, view: CaseView) -> None:
    for item in view.fields:
        stem = Path(item.result.frame.name).stem
        if request.overlay_dir:
            drawn = draw_overlay(item.result.frame.rgb, item.result, palette("safe"), OverlaySelection())
            write_png(request.overlay_dir / f"{stem}_overlay.png", drawn)
        if request.mask_dir:
            write_mask(request.mask_dir / f"{stem}_membrane.png", item.result.membrane)
            write_mask(request.mask_dir / f"{stem}_cells.png", cell_labels(item.result))
    if request.json_path:
        write_json(score_json(view), request.json_path)


def _summary(view: CaseView) -> list[str]:
    """A line per control, field and case."""
    lines = [f"control {Path(reading.result.frame.name).name}: {_verdict(reading)}" for reading in view.controls]
    lines += [f"field {Path(item.result.frame.name).name}: {_field(item)}" for item in view.fields]
    score = view.score
    name = f"reference score {score.score}" if score.score is not None else "no score"
    standing = "reportable" if score.reportable else "not reportable"
    lines.append(f"case: {name}, {score.category.value}, {standing}, {score.counts.n_tumour} tumour cells")
    return lines + [f"  - {reason}" for reason in score.reasons] + ["research use only"]


def _field(item: AcceptedField) -> str:
    if not item.result.quality.usable:
        return f"unusable: {'; '.join(item.result.quality.reasons)}"
    said = f" ({'; '.join(item.result.quality.reasons)})" if item.result.quality.reasons else ""
    seen = item.result.counts.n_tumour - item.counts.n_tumour
    again = f", {seen} of them seen in an earlier field" if seen else ""
    return f"{item.result.score or 'no score'}, {item.result.counts.n_tumour} tumour cells{again}{said}"


def _verdict(reading: ControlReading) -> str:
    reasons = f": {'; '.join(reading.verdict.reasons)}" if reading.verdict.reasons else ""
    return f"{reading.expected} control {reading.verdict.status.value}{reasons}"
