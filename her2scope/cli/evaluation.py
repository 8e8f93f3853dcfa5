"""The command that measures how good the methods are."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from her2scope.cli.arguments import DIFFICULTIES, OneLineParser, count, say, size


def add_evaluation(commands: argparse._SubParsersAction[OneLineParser]) -> None:
    """Add `evaluate`."""
    evaluate = commands.add_parser("evaluate", help="how good are the methods? one table, side by side")
    evaluate.add_argument("--method", action="append", default=[], metavar="NAME", help="default: all; may be repeated")
    evaluate.add_argument(
        "--part", action="append", default=[], metavar="NAME",
        help="phantom-fields, phantom-cases (the long one), controls, stain-stability, real-cases, "
        " real-nuclei, nuclear-masks, membrane-masks, "
        "quality-tiles, agreement, registration, slide-paths, intervals, speed; default: all; may be repeated",
    )  # fmt: skip
    evaluate.add_argument("--data", type=Path, metavar="DIR", help="real images; without it only phantoms are read")
    evaluate.add_argument("--real", type=Path, metavar="LIST.csv", help="list of its pictures with um per px")
    evaluate.add_argument("--json", type=Path, metavar="FILE", help="write all figures as JSON")
    evaluate.add_argument("--settings", type=Path, metavar="FILE", help="scoring settings (YAML)")
    evaluate.add_argument("--workers", type=count, default=1, metavar="W", help="processes for phantoms (default 1)")
    _add_phantoms(evaluate)
    evaluate.set_defaults(run=_evaluate)


def _add_phantoms(evaluate: argparse.ArgumentParser) -> None:
    evaluate.add_argument("--first-seed", type=int, default=100_000, metavar="S", help="of the phantoms' runs")
    evaluate.add_argument("--fields", type=count, default=60, metavar="N", help="phantom fields (default 60)")
    evaluate.add_argument("--difficulty", default="hard", choices=DIFFICULTIES, help="of these (default hard)")
    evaluate.add_argument("--size", type=size, default=(1280, 720), metavar="WxH", help="of a field (default 1280x720)")
    evaluate.add_argument("--cases", type=count, default=200, metavar="N", help="cases a pattern (default 200)")
    evaluate.add_argument("--case-cells", type=count, default=3000, metavar="N", help="cells a case (default 3000)")
    evaluate.add_argument("--case-difficulty", default="usual", choices=DIFFICULTIES, help="default usual")
    evaluate.add_argument("--labs", type=count, default=6, metavar="N", help="laboratories with controls (default 6)")
    evaluate.add_argument("--tissues", type=count, default=4, metavar="N", help="tissues a pattern (default 4)")
    evaluate.add_argument("--resume", type=Path, metavar="FILE", help="keep read cases here, and go on from them")


def _evaluate(arguments: argparse.Namespace) -> int:
    from her2scope.app.evaluate import EvaluateRequest, evaluate

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    request = EvaluateRequest(
        methods=arguments.method, parts=arguments.part, data=arguments.data, real_list=arguments.real,
        first_seed=arguments.first_seed, fields=arguments.fields, difficulty=arguments.difficulty,
        size_wh=arguments.size, cases=arguments.cases, case_cells=arguments.case_cells,
        case_difficulty=arguments.case_difficulty, labs=arguments.labs, tissues=arguments.tissues,
        resume=arguments.resume, settings=arguments.settings,
        workers=arguments.workers, json_path=arguments.json,
    )  # fmt: skip
    return say(evaluate(request, tell))
