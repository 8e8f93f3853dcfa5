"""`her2scope devices` and `her2scope doctor`: what is plugged in, what is missing, and how this computer is."""

from __future__ import annotations

import argparse
from pathlib import Path

from her2scope.cli.arguments import DONE, NEGATIVE, OneLineParser, add_scale, say


def add_devices(commands: argparse._SubParsersAction[OneLineParser]) -> None:
    """Add the command that lists devices."""
    devices = commands.add_parser(
        "devices", help="list cameras, serial ports and displays, and why something was not found"
    )
    _add_json(devices)
    devices.set_defaults(run=_devices)


def add_doctor(commands: argparse._SubParsersAction[OneLineParser]) -> None:
    """Add the command that makes the page to send."""
    doctor = commands.add_parser("doctor", help="check what this computer has: one page to send when asking for help")
    doctor.add_argument("--source", metavar="URI", help="look at this source, too: rate, size, colour, focus, clipping")
    doctor.add_argument("--seconds", type=_seconds, default=5.0, metavar="N", help="how long to look (default 5)")
    doctor.add_argument("--calibration", type=Path, metavar="FILE", help="the microscope's calibration (YAML)")
    doctor.add_argument("--objective", metavar="NAME", help="objective in the light path, as the calibration names it")
    add_scale(doctor, required=False)
    doctor.add_argument("--instruments", type=Path, metavar="FILE", help="stage, nosepiece and buttons (YAML)")
    _add_json(doctor)
    doctor.set_defaults(run=_doctor)


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the same as JSON")


def _seconds(text: str) -> float:
    """How long to look at a camera."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.5 <= seconds <= 600.0:
        raise argparse.ArgumentTypeError(f"'{text}' is not a time from 0.5 to 600 seconds.")
    return seconds


def _devices(arguments: argparse.Namespace) -> int:
    from her2scope.app.devices import list_devices

    return say(list_devices(arguments.json))


def _doctor(arguments: argparse.Namespace) -> int:
    from her2scope.app.doctor import DoctorRequest, examine
    from her2scope.app.outputs import check_outputs

    check_outputs([arguments.json] if arguments.json else [], [])
    healthy, lines = examine(
        DoctorRequest(
            arguments.json, arguments.source, arguments.seconds, arguments.calibration, arguments.objective,
            arguments.um_per_px, arguments.instruments,
        )
    )  # fmt: skip
    return say(lines, DONE if healthy else NEGATIVE)
