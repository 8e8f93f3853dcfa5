"""The command that compares computed scores with readers'."""

from __future__ import annotations

import argparse
from pathlib import Path

from her2scope.cli.arguments import OneLineParser, add_material, say
from her2scope.segmentation.methods import DEFAULT_METHOD


def add_validate(commands: argparse._SubParsersAction[OneLineParser]) -> None:
    """Add `validate`."""
    validate = commands.add_parser("validate", help="how well do computed scores agree with readers'? kept for reports")
    validate.add_argument(
        "cases", type=Path, metavar="CASES.csv",
        help="as `session report --all` writes it, or with the columns case, computed, reader",
    )  # fmt: skip
    validate.add_argument("--json", type=Path, metavar="FILE", help="write the result as JSON (her2scope.validation/1)")
    validate.add_argument(
        "--settings", type=Path, metavar="FILE",
        help="scoring settings (YAML) that the scores were computed with, where the table has no settings_sha256",
    )  # fmt: skip
    validate.add_argument("--method", metavar="NAME", help=f"and the method (default: {DEFAULT_METHOD})")
    add_material(validate)
    validate.set_defaults(run=_validate)


def _validate(arguments: argparse.Namespace) -> int:
    from her2scope.app.validate import ValidateRequest, validate_cases

    request = ValidateRequest(
        cases=arguments.cases, json_path=arguments.json, settings=arguments.settings, method=arguments.method,
        controls=arguments.controls, material=arguments.material,
    )  # fmt: skip
    return say(validate_cases(request))
