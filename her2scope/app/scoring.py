"""Images from the command line: all fields of one case, or one control. Nothing is written before all is known."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from her2scope.app.compose import DEFAULT_METHOD, open_session, read_calibration, read_settings, user_name
from her2scope.domain.errors import BadInputError
from her2scope.domain.guideline import Score
from her2scope.domain.score import ControlStatus
from her2scope.imaging.files import encode_png, read_rgb
from her2scope.overlays.model import OverlaySelection
from her2scope.overlays.palette import palette
from her2scope.overlays.raster import cell_labels, draw_overlay
from her2scope.pipeline.session import CaseSession
from her2scope.records import AcceptedField, CameraState, CaseView, ControlReading, Frame
from her2scope.reporting.content import control_json, score_json
from her2scope.reporting.json_report import json_bytes
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


@dataclass(frozen=True, slots=True)
class ScoreAnswer:
    """What `her2scope score` found."""

    lines: Sequence[str]
    control_invalid: bool


def score_images(request: ScoreRequest) -> ScoreAnswer:
    """Score images as the fields of one case and write what was asked for."""
    _check_stems(request)
    check_outputs(_output_paths(request), _input_paths(request))
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
    write_all(_encoded(request, view))
    return ScoreAnswer(_summary(view), view.standing.status is ControlStatus.INVALID)


def check_control(request: ControlRequest) -> tuple[bool, list[str]]:
    """Judge a control of known score from one or more fields.

    Returns
    -------
    bool
        Whether it is sufficient: valid, or valid with a warning.
    list of str
        A line per field.
    """
    outputs = [request.json_path] if request.json_path else []
    check_outputs(outputs, _input_paths(request))
    calibration = read_calibration(request.calibration)
    session = _session(request.method, read_settings(request.settings), calibration)
    frames = [_frame(path, place, request.um_per_px, calibration) for place, path in enumerate(request.images)]
    readings = [session.read_control(frame, request.expected, request.lot) for frame in frames]
    worst = max(readings, key=lambda reading: list(ControlStatus).index(reading.verdict.status))
    write_all({path: json_bytes(control_json(worst)) for path in outputs})
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


def _input_paths(request: ScoreRequest | ControlRequest) -> list[Path]:
    """Every file that a command reads."""
    controls = request.controls if isinstance(request, ScoreRequest) else ()
    settings = [path for path in (request.calibration, request.settings) if path]
    return [*request.images, *controls, *settings]


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


# ---- output files: all of them or none ----------------------------------------------------------------------------


def check_outputs(outputs: Sequence[Path], inputs: Sequence[Path]) -> None:
    """BadInputError for the first output that would replace an input or cannot be written; writes nothing itself."""
    taken = {_identity(path) for path in inputs} | _printed_to()
    folders = {parent for path in outputs for parent in _real(path).parents}
    for path in outputs:
        identity = _identity(path)
        if path.is_dir() or _real(path) in folders:
            raise BadInputError(f"{path}: this is a folder. Give the name of a file.")
        if path.exists() and not path.is_file():
            raise BadInputError(f"{path}: this is a device, not a file. Give the name of a file.")
        if identity in taken:
            raise BadInputError(f"{path}: this command reads or writes this file already. Give another name.")
        taken.add(identity)
    for path in {_real(path).parent: path for path in outputs}.values():
        _check_folder(path)


def _real(path: Path) -> Path:
    """Path with its links followed, as far as it is there; `Path.resolve` fails for links in a circle."""
    return Path(os.path.realpath(path))


def _identity(path: Path) -> object:
    """The same for two names of one file, however they are written."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return os.path.normcase(_real(path))
    except OSError as error:  # too long a name, links in a circle, a folder that may not be entered
        raise BadInputError(
            f"{path}: cannot be used ({error.strerror}). Check the name and its permissions."
        ) from error
    return found.st_dev, found.st_ino


def _printed_to() -> set[object]:
    """Identities of the files that the command's lines go to: `--json /dev/stdout >> log` would replace the log."""
    found: set[object] = set()
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):
            status = os.fstat(descriptor)
            found.add((status.st_dev, status.st_ino))
    return found


def _check_folder(path: Path) -> None:
    """Open a nameless file where the output, or the first of its folders to be made, will stand."""
    there = next(parent for parent in _real(path).parents if parent.exists())
    try:
        tempfile.TemporaryFile(dir=there).close()
    except OSError as error:
        raise _cannot_write(path, error) from error


def write_all(files: Mapping[Path, bytes]) -> None:
    """Write every file aside, then rename all; BadInputError where one cannot be, and then none is left."""
    with contextlib.ExitStack() as undo:
        asides = {path: _write_aside(path, data, undo) for path, data in files.items()}
        for path, aside in asides.items():
            try:
                os.replace(aside, _real(path))
            except OSError as error:
                raise _cannot_write(path, error) from error
            undo.callback(_forget, _real(path))
        undo.pop_all()  # all is written: nothing to undo


def _write_aside(path: Path, data: bytes, undo: contextlib.ExitStack) -> Path:
    """Write `data` where `path` will stand, under a short name that nothing else has."""
    folder = _real(path).parent
    aside = folder / f".her2scope-{secrets.token_hex(8)}.part"
    try:
        _make_folder(folder, undo)
        undo.callback(_forget, aside)
        with aside.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise _cannot_write(path, error) from error
    return aside


def _make_folder(folder: Path, undo: contextlib.ExitStack) -> None:
    for missing in reversed([item for item in (folder, *folder.parents) if not item.exists()]):
        missing.mkdir(exist_ok=True)
        undo.callback(_forget, missing)


def _forget(path: Path) -> None:
    """Remove a file or an empty folder, if it is there and that is possible."""
    with contextlib.suppress(OSError):
        path.rmdir() if path.is_dir() else path.unlink()


def _cannot_write(path: Path, error: OSError) -> BadInputError:
    return BadInputError(
        f"{path}: cannot be written ({error.strerror}). This command keeps none of its files; check the folder, its "
        "permissions and the free space."
    )
