"""Calibrate the microscope: measure one part, put it into a calibration, save that as a dated file. Knows no Qt.

Each measurement is a plain function from pictures and the old calibration to a `Measured`; a window calls them with
frames of its camera and then `save_measured`. A refused measurement raises and changes nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

from her2scope.app.compose import read_calibration
from her2scope.app.outputs import check_outputs, write_all
from her2scope.domain.errors import BadInputError
from her2scope.imaging.calibration.camera_response import UNKNOWN, measure_response
from her2scope.imaging.calibration.empty_field import measure_empty_field
from her2scope.imaging.calibration.figures import (
    draw_empty_field_fit,
    draw_micrometer_fit,
    draw_response_fit,
    draw_stain_fit,
)
from her2scope.imaging.calibration.micrometer import DEFAULT_DIVISION_UM, MicrometerFit, measure_micrometer
from her2scope.imaging.calibration.refusal import MeasurementRefused
from her2scope.imaging.calibration.stain_vectors import measure_stain_vectors
from her2scope.imaging.files import encode_png, read_rgb
from her2scope.records import CameraState, RgbImage
from her2scope.settings import (
    Calibration,
    Vector,
    as_mapping,
    as_yaml,
    check_for_use,
    expired,
    home_dir,
    missing_parts,
)

SCHEMA = "her2scope.calibration/1"
DEFAULT_NAME = "microscope"
SURPRISING_CHANGE = 0.05
"""Change of an objective's pixel size from which the result asks whether objective and division are the right ones."""


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """One part of a calibration, newly measured."""

    part: str
    """`micrometer`, `empty`, `response` or `stains`."""
    calibration: Calibration
    """The old one with this part replaced, dated; nothing is saved yet."""
    lines: tuple[str, ...]
    """What was found, and old value -> new value."""
    figures: Mapping[str, Any]
    picture: RgbImage
    """The fit, drawn."""


@dataclass(frozen=True, slots=True)
class CalibrateRequest:
    """One run of the command."""

    part: str
    images: Sequence[Path]
    objective: str = ""
    division_um: float = DEFAULT_DIVISION_UM
    exposures_ms: Sequence[float] = ()
    calibration: Path | None = None
    """What to start from; None: the newest saved one (of that name), else a new one."""
    name: str | None = None
    out: Path | None = None
    json_path: Path | None = None
    picture: Path | None = None
    state: CameraState = field(default_factory=CameraState)
    """For which white and flat field hold."""


# ---- measurements -------------------------------------------------------------------------------------------------


def calibrate_objective(
    rgb: RgbImage, objective: str, old: Calibration, today: date, division_um: float = DEFAULT_DIVISION_UM
) -> Measured:
    """Pixel size of an objective from a picture of a stage micrometer."""
    if not objective.strip():
        raise BadInputError("the objective has no name. Give one, such as 40x.")
    fit = measure_micrometer(rgb, division_um)
    before = old.objectives.get(objective)
    note = f"stage micrometer, {fit.n_lines} lines of {division_um:g} um, {fit.residual_px:.2f} px rms"
    um_per_px = float(f"{fit.um_per_px:.5g}")
    new = _dated(old, today, {f"objective {objective}": note}, objectives={**old.objectives, objective: um_per_px})
    lines = [
        f"{objective}: {_um_per_px(before)} -> {_um_per_px(um_per_px)} (standard error "
        f"{100 * fit.error_um_per_px / fit.um_per_px:.2g} %)",
        f"{fit.n_lines} lines, {fit.period_px:.2f} px apart, {fit.residual_px:.2f} px (root mean square) from an even "
        f"ruling, turned by {fit.rotation_deg:.2f} degrees",
    ]
    if before and abs(um_per_px / before - 1.0) > SURPRISING_CHANGE:
        lines.append(
            f"this is {100 * (um_per_px / before - 1.0):+.0f} % from the value before: check that {objective} was in "
            f"the light path, the camera's picture size, and that the smallest division is {division_um:g} um"
        )
    return Measured("micrometer", new, tuple(lines), _micrometer_figures(fit), draw_micrometer_fit(rgb, fit))


def calibrate_empty_field(
    pictures: Sequence[RgbImage], old: Calibration, today: date, state: CameraState | None = None
) -> Measured:
    """White reference and flat field from pictures of an empty field, for one state of the camera."""
    fit = measure_empty_field(pictures)
    state = state or CameraState()
    note = f"empty field, {fit.n_pictures} picture(s), {100 * fit.dust_share:.2f} % dust left out"
    new = _dated(
        old, today, {"white and flat field": note}, white_rgb=fit.white_rgb, flat_field=fit.flat_field,
        exposure_ms=state.exposure_ms, gain=state.gain, white_balance=state.white_balance,
    )  # fmt: skip
    evens = ", ".join(f"{100 * share:.1f}" for share in fit.even_share)
    lines = (
        f"white: {_rgb(old.white_rgb)} -> {_rgb(fit.white_rgb)}",
        f"flat field: the darkest place has {evens} % of the brightest (red, green, blue)",
        f"dust: {100 * fit.dust_share:.2f} % of the field, left out",
    )
    figures = {
        "white_rgb": list(fit.white_rgb), "even_share": list(fit.even_share), "dust_share": fit.dust_share,
        "n_pictures": fit.n_pictures,
    }  # fmt: skip
    return Measured("empty", new, lines, figures, draw_empty_field_fit(pictures[0], fit))


def calibrate_response(
    pictures: Sequence[RgbImage], exposures_ms: Sequence[float], old: Calibration, today: date
) -> Measured:
    """Camera's response from a series of exposures; MeasurementRefused where it stays unknown."""
    fit = measure_response(pictures, exposures_ms)
    if fit.response == UNKNOWN:
        raise MeasurementRefused(fit.code, f"the response is unknown: {fit.reason}")
    tried = ", ".join(f"{name} {value:.4f}" for name, value in fit.residual_od10.items())
    note = f"{len(pictures)} exposures, {fit.residual_od10[fit.response]:.4f} od10 rms"
    new = _dated(old, today, {"camera response": note}, response=fit.response)
    steps = (
        f"{step.exposure_ms:g} ms: mean value {step.mean_value:.0f}, "
        + ("not used" if step.residual_od10 is None else f"{step.residual_od10:+.4f} od10 from the fit")
        for step in fit.steps
    )
    lines = [f"response: {old.response} -> {fit.response}", f"root mean square in od10: {tried}", *steps]
    if old.response != fit.response:
        lines.append("od10 changes with it: measure the stain vectors again, and read the controls again")
    return Measured("response", new, tuple(lines), asdict(fit), draw_response_fit(fit))


def calibrate_stains(fields: Sequence[RgbImage], old: Calibration, today: date) -> Measured:
    """Stain vectors from the laboratory's own fields, read with the old calibration's white and response."""
    fit = measure_stain_vectors(fields, old)
    note = f"{fit.n_fields} field(s), {fit.n_pixels} stained pixels"
    new = _dated(old, today, {"stain vectors": note}, haematoxylin_vector=fit.haematoxylin, dab_vector=fit.dab)
    lines = [
        f"haematoxylin: {_vector(old.haematoxylin_vector)} -> {_vector(fit.haematoxylin)}, "
        f"{fit.haematoxylin_from_literature_deg:.1f} degrees from Ruifrok and Johnston's",
        f"DAB: {_vector(old.dab_vector)} -> {_vector(fit.dab)}, "
        f"{fit.dab_from_literature_deg:.1f} degrees from Ruifrok and Johnston's",
        f"{fit.between_deg:.1f} degrees between them (Ruifrok and Johnston's: 37)",
    ]
    if old.white_rgb is None:
        lines.append("the white was estimated from each field: measure it first (calibrate empty) for surer colours")
    figures = {
        "haematoxylin_vector": list(fit.haematoxylin), "dab_vector": list(fit.dab),
        "haematoxylin_from_literature_deg": fit.haematoxylin_from_literature_deg,
        "dab_from_literature_deg": fit.dab_from_literature_deg, "between_deg": fit.between_deg,
        "n_fields": fit.n_fields, "n_pixels": fit.n_pixels,
    }  # fmt: skip
    return Measured("stains", new, tuple(lines), figures, draw_stain_fit(fit))


def _dated(old: Calibration, today: date, notes: Mapping[str, str], **changes: Any) -> Calibration:
    """The old calibration with a part replaced and its source noted."""
    name = DEFAULT_NAME if old == Calibration() else old.name
    on = today.isoformat()
    return replace(
        old, name=name, date=on, measured_from={**old.measured_from, **notes},
        measured_on={**old.measured_on, **dict.fromkeys(notes, on)}, **changes,
    )  # fmt: skip


def _micrometer_figures(fit: MicrometerFit) -> dict[str, Any]:
    return {
        "um_per_px": fit.um_per_px, "error_um_per_px": fit.error_um_per_px, "division_um": fit.division_um,
        "period_px": fit.period_px, "rotation_deg": fit.rotation_deg, "residual_px": fit.residual_px,
        "n_lines": fit.n_lines, "crossed_um_per_px": fit.crossed_um_per_px,
        "residuals_px": [round(line.residual_px, 3) for line in fit.lines],
    }  # fmt: skip


def _um_per_px(value: float | None) -> str:
    return "not calibrated" if value is None else f"{value:.5g} um/px"


def _rgb(white: Vector | None) -> str:
    return "estimated from each picture" if white is None else ", ".join(f"{value:.1f}" for value in white)


def _vector(vector: Vector) -> str:
    return "(" + ", ".join(f"{value:.3f}" for value in vector) + ")"


# ---- files --------------------------------------------------------------------------------------------------------


def calibration_dir() -> Path:
    """Where this user's calibrations are kept."""
    return home_dir() / "calibration"


def newest_calibration(name: str | None = None) -> Path | None:
    """The last saved calibration (of that microscope), None where there is none.

    By the date and number in its file's name, so that a copied or touched file is not taken for a newer one.
    """
    dated = []
    for path in calibration_dir().glob("*.yaml"):
        found = re.fullmatch(r"(.+)-(\d{4}-\d{2}-\d{2})(?:-(\d+))?", path.stem)
        if found and (name is None or found[1] == _file_name(name)):
            dated.append((found[2], int(found[3] or 1), path.stat().st_mtime, path))
    return max(dated)[-1] if dated else None


def path_for(calibration: Calibration) -> Path:
    """Where a calibration is saved: by name and date, with a number where there is one of that day already."""
    stem, number = f"{_file_name(calibration.name)}-{calibration.date}", 1
    path = calibration_dir() / f"{stem}.yaml"
    while path.exists():
        number += 1
        path = calibration_dir() / f"{stem}-{number}.yaml"
    return path


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.]+", "-", name).strip("-.") or DEFAULT_NAME


def save_measured(
    measured: Measured, out: Path | None = None, json_path: Path | None = None, picture: Path | None = None
) -> Path:
    """Save the new calibration, and where wanted its figures and the drawn fit: all of them or none.

    An earlier calibration is never replaced. Returns the calibration's file.
    """
    check_for_use(measured.calibration, date.today())
    path = out or path_for(measured.calibration)
    if path.exists():
        raise BadInputError(f"{path}: is there already, and earlier calibrations are kept. Give another name.")
    files = {path: as_yaml(measured.calibration)}
    if json_path:
        files[json_path] = _json(measured, path)
    if picture:
        files[picture] = encode_png(measured.picture)
    write_all(files)
    return path


def _json(measured: Measured, path: Path) -> bytes:
    answer = {
        "schema": SCHEMA, "part": measured.part, "file": str(path), "measured": dict(measured.figures),
        "calibration": as_mapping(measured.calibration),
    }  # fmt: skip
    return (json.dumps(answer, indent=1) + "\n").encode()


# ---- commands -----------------------------------------------------------------------------------------------------


def calibrate(request: CalibrateRequest) -> tuple[str, ...]:
    """Measure, save, and say old and new; MeasurementRefused with nothing written."""
    start = request.calibration or newest_calibration(request.name)
    outputs = [path for path in (request.out, request.json_path, request.picture) if path]
    check_outputs(outputs, [*request.images, *([start] if start else [])])
    old = read_calibration(start)
    if request.name:
        old = replace(old, name=request.name)
    pictures = [read_rgb(path) for path in request.images]
    measured = _measure(request, pictures, old, date.today())
    path = save_measured(measured, request.out, request.json_path, request.picture)
    began = f"started from {start}" if start else "started from nothing: a new calibration"
    missing = (f"still missing: {part}" for part in missing_parts(measured.calibration))
    return *measured.lines, *missing, began, f"saved as {path}"


def _measure(request: CalibrateRequest, pictures: Sequence[RgbImage], old: Calibration, today: date) -> Measured:
    match request.part:
        case "micrometer":
            if len(pictures) != 1:
                raise BadInputError("a stage micrometer is measured in one picture. Give one.")
            return calibrate_objective(pictures[0], request.objective, old, today, request.division_um)
        case "empty":
            return calibrate_empty_field(pictures, old, today, request.state)
        case "response":
            return calibrate_response(pictures, request.exposures_ms, old, today)
        case "stains":
            return calibrate_stains(pictures, old, today)
    raise ValueError(f"no such part of a calibration: {request.part}")


def show_calibration(path: Path | None, json_path: Path | None = None) -> tuple[str, ...]:
    """What a calibration (the newest saved one) holds, how old it is, what is missing."""
    shown = path or newest_calibration()
    if shown is None:
        raise BadInputError(f"{calibration_dir()}: no calibration is saved here. Make one: her2scope calibrate --help.")
    check_outputs([json_path] if json_path else [], [shown])
    calibration = read_calibration(shown)
    doubt = expired(calibration, date.today())
    if json_path:
        answer = {
            "schema": SCHEMA, "part": "show", "file": str(shown), "calibration": as_mapping(calibration),
            "expired": doubt, "missing": list(missing_parts(calibration)),
        }  # fmt: skip
        write_all({json_path: (json.dumps(answer, indent=1) + "\n").encode()})
    return (
        f"{shown}: {calibration.name}, {calibration.date or 'not dated'}, valid for {calibration.valid_days} days",
        *(f"objective {name}: {um_per_px:g} um/px" for name, um_per_px in calibration.objectives.items()),
        f"response: {calibration.response}",
        f"white: {_rgb(calibration.white_rgb)}",
        f"flat field: {'none' if calibration.flat_field is None else 'measured'}",
        f"haematoxylin: {_vector(calibration.haematoxylin_vector)}",
        f"DAB: {_vector(calibration.dab_vector)}",
        *(
            f"{part}: measured {calibration.measured_on.get(part, 'at an unknown date')}: {note}"
            for part, note in calibration.measured_from.items()
        ),
        *((f"expired: {doubt}",) if doubt else ()),
        *(f"missing: {part}" for part in missing_parts(calibration)),
    )
