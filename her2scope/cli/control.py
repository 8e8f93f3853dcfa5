"""Commands about the positive control: whether one is sufficient, and what all of them were like."""

from __future__ import annotations

import argparse
from pathlib import Path

from her2scope.cli.arguments import DONE, NEGATIVE, OneLineParser, add_how, add_material, add_scale, say

LEVELS = ("0", "1+", "2+", "3+")


def add_control(commands: argparse._SubParsersAction[OneLineParser]) -> None:
    """Add `control` and its actions."""
    control = commands.add_parser("control", help="check a control; the history of all controls")
    actions = control.add_subparsers(title="actions", metavar="ACTION", required=True, parser_class=OneLineParser)
    _add_check(actions)
    _add_history(actions)
    _add_limits(actions)


def _add_check(actions: argparse._SubParsersAction[OneLineParser]) -> None:
    check = actions.add_parser("check", help="is this control of known score sufficient? (exit 1: invalid)")
    check.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    add_scale(check, required=True)
    check.add_argument("--expect", required=True, choices=LEVELS, help="known score of the control")
    check.add_argument("--lot", default="", metavar="L", help="antibody lot: its readings make a chart")
    check.add_argument("--run", dest="run_id", default="", metavar="ID", help="staining run (default: this call)")
    check.add_argument("--instrument", metavar="NAME", help="microscope (default: the name of the calibration)")
    add_material(check)
    check.add_argument("--json", type=Path, metavar="FILE", help="write the result as JSON (her2scope.control/1)")
    add_how(check)
    check.set_defaults(run=_control_check)


def _add_history(actions: argparse._SubParsersAction[OneLineParser]) -> None:
    history = actions.add_parser(
        "history", help="every control reading, its SD from the lab's mean, the rules it breaks"
    )
    history.add_argument("--json", type=Path, metavar="FILE", help="write it as JSON (her2scope.control-history/1)")
    history.add_argument("--png", type=Path, metavar="FILE", help="draw the Levey-Jennings charts")
    history.add_argument("--lot", metavar="L", help="of this antibody lot only")
    history.add_argument("--instrument", metavar="NAME", help="of this instrument only")
    history.add_argument("--level", choices=LEVELS, help="of controls of this score only")
    history.set_defaults(run=_control_history)


def _add_limits(actions: argparse._SubParsersAction[OneLineParser]) -> None:
    limits = actions.add_parser("limits", help="limits of your own, from the 3+ readings of your sufficient runs")
    limits.add_argument("--lot", metavar="L", help="of this antibody lot only")
    limits.add_argument("--instrument", metavar="NAME", help="of this instrument only")
    limits.add_argument("--method", metavar="NAME", help="read by this method only, named as the history names it")
    limits.add_argument("--controls", type=Path, metavar="FILE", help="controls to start from (YAML)")
    limits.add_argument("--material", metavar="NAME", help="which control of that file gets them (default: the first)")
    limits.add_argument("--out", type=Path, metavar="FILE", help="write the controls with these limits (YAML)")
    limits.set_defaults(run=_control_limits)


def _control_limits(arguments: argparse.Namespace) -> int:
    from her2scope.app.control_limits import LimitsRequest, find_limits

    return say(
        find_limits(
            LimitsRequest(
                lot=arguments.lot, instrument=arguments.instrument, method=arguments.method,
                controls=arguments.controls, material=arguments.material, out=arguments.out,
            )
        )
    )  # fmt: skip


def _control_check(arguments: argparse.Namespace) -> int:
    from her2scope.app.scoring import ControlRequest, check_control

    sufficient, lines = check_control(
        ControlRequest(
            images=arguments.images, um_per_px=arguments.um_per_px, expected=arguments.expect, lot=arguments.lot,
            run=arguments.run_id, instrument=arguments.instrument, control_file=arguments.controls,
            material=arguments.material,
            calibration=arguments.calibration, settings=arguments.settings, method=arguments.method,
            json_path=arguments.json,
        )
    )  # fmt: skip
    return say(lines, DONE if sufficient else NEGATIVE)


def _control_history(arguments: argparse.Namespace) -> int:
    from her2scope.app.control_history import HistoryRequest, show_history

    return say(
        show_history(
            HistoryRequest(
                json_path=arguments.json, png_path=arguments.png, level=arguments.level, lot=arguments.lot,
                instrument=arguments.instrument,
            )
        )
    )  # fmt: skip
