"""The command that calibrates the microscope."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from her2scope.cli.arguments import NEGATIVE, OneLineParser, one_line, say


def add_calibration(commands: argparse._SubParsersAction[OneLineParser]) -> None:
    """Add `calibrate` and its actions."""
    calibrate = commands.add_parser("calibrate", help="measure the microscope: scale, white, response, stain colours")
    actions = calibrate.add_subparsers(title="actions", metavar="ACTION", required=True, parser_class=OneLineParser)
    micrometer = actions.add_parser("micrometer", help="um per px of an objective from a stage micrometer's picture")
    micrometer.add_argument("images", nargs=1, type=Path, metavar="IMAGE")
    micrometer.add_argument("--objective", required=True, metavar="NAME", help="in the light path, such as 40x")
    micrometer.add_argument(
        "--division-um", type=_positive, default=10.0, metavar="X", help="smallest division in view (default 10)"
    )
    empty = actions.add_parser("empty", help="white reference and flat field from pictures of an empty field")
    empty.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    empty.add_argument("--exposure-ms", type=_positive, metavar="X", help="of the camera, for which they hold")
    empty.add_argument("--gain", type=_positive, metavar="X")
    empty.add_argument("--white-balance", metavar="TEXT")
    response = actions.add_parser("response", help="how the camera codes light, from a still scene's exposure series")
    response.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    response.add_argument("--exposures-ms", required=True, type=_exposures, metavar="1,2,4", help="one for each image")
    stains = actions.add_parser("stains", help="haematoxylin and DAB vectors from your own fields")
    stains.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    for part, action in (("micrometer", micrometer), ("empty", empty), ("response", response), ("stains", stains)):
        _add_files(action)
        action.set_defaults(run=_calibrate, part=part)
    show = actions.add_parser("show", help="what a calibration holds, how old it is, what is missing")
    show.add_argument("calibration", nargs="?", type=Path, metavar="FILE", help="default: the newest saved one")
    show.add_argument("--json", type=Path, metavar="FILE", help="write the same as JSON")
    show.set_defaults(run=_show)


def _add_files(action: argparse.ArgumentParser) -> None:
    action.add_argument(
        "--calibration", type=Path, metavar="FILE", help="what to start from (default: the newest saved one, else new)"
    )
    action.add_argument("--name", metavar="NAME", help="of the microscope")
    action.add_argument("--out", type=Path, metavar="FILE", help="the new calibration (default: in her2scope's folder)")
    action.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON (her2scope.calibration/1)")
    action.add_argument("--picture", type=Path, metavar="FILE.png", help="write the fit, drawn")


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number. Give it without a unit.") from None
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"'{text}' is not possible. Give a number above 0.")
    return value


def _exposures(text: str) -> tuple[float, ...]:
    return tuple(_positive(part) for part in text.split(","))


def _calibrate(arguments: argparse.Namespace) -> int:
    from her2scope.app.calibrate import CalibrateRequest, calibrate
    from her2scope.imaging.calibration.refusal import MeasurementRefused
    from her2scope.records import CameraState

    given = vars(arguments)
    state = CameraState(
        exposure_ms=given.get("exposure_ms"), gain=given.get("gain"), white_balance=given.get("white_balance")
    )
    request = CalibrateRequest(
        part=arguments.part, images=arguments.images, objective=given.get("objective", ""),
        division_um=given.get("division_um", 10.0), exposures_ms=given.get("exposures_ms", ()),
        calibration=arguments.calibration, name=arguments.name, out=arguments.out, json_path=arguments.json,
        picture=arguments.picture, state=state,
    )  # fmt: skip
    try:
        return say(calibrate(request))
    except MeasurementRefused as refusal:
        print(f"refused, the calibration stays as it was: {one_line(str(refusal))}", file=sys.stderr)
        return NEGATIVE


def _show(arguments: argparse.Namespace) -> int:
    from her2scope.app.calibrate import show_calibration

    return say(show_calibration(arguments.calibration, arguments.json))
