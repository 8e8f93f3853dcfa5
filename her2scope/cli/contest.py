"""Commands of the HER2 contest."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from her2scope.cli.arguments import (
    DIFFICULTIES,
    DONE,
    NEGATIVE,
    OneLineParser,
    count,
    length,
    one_line,
    say,
)
from her2scope.cli.slides import add_slide_options, slide_options


def add_contest(commands: argparse._SubParsersAction[OneLineParser]) -> None:
    """Add `contest` and its actions."""
    contest = commands.add_parser("contest", help="the HER2 scoring contest: answer slides, count points")
    actions = contest.add_subparsers(title="actions", metavar="ACTION", required=True, parser_class=OneLineParser)
    submit = actions.add_parser("submit", help="score all slides of a folder into a table of answers")
    submit.add_argument("slides_dir", type=Path, metavar="SLIDES_DIR")
    submit.add_argument("--out", required=True, type=Path, metavar="RESULTS.csv")
    submit.add_argument(
        "--work", type=Path, metavar="DIR",
        help="folder of each slide's results; the same again goes on where it stopped (default: beside the table)",
    )  # fmt: skip
    add_slide_options(submit)
    submit.set_defaults(run=_contest_submit)
    evaluate = actions.add_parser("evaluate", help="hold a table of answers against the truth")
    evaluate.add_argument("results", type=Path, metavar="RESULTS.csv")
    evaluate.add_argument("truth", type=Path, metavar="TRUTH.csv")
    evaluate.add_argument("--json", type=Path, metavar="FILE", help="write the same as JSON (her2scope.contest/1)")
    evaluate.set_defaults(run=_contest_evaluate)
    _add_phantom(actions)


def _add_phantom(actions: argparse._SubParsersAction[OneLineParser]) -> None:
    phantom = actions.add_parser("phantom", help="write a contest of phantom slides with known truth")
    phantom.add_argument("--out", required=True, type=Path, metavar="DIR")
    phantom.add_argument("--seed", type=int, default=0, metavar="S", help="another seed, another contest")
    phantom.add_argument("--slides", type=count, default=28, metavar="N", help="default 28, as in the contest")
    phantom.add_argument("--difficulty", default="usual", choices=DIFFICULTIES)
    phantom.add_argument(
        "--case-um", nargs=2, type=length, default=(1000.0, 750.0), metavar=("W", "H"), help="size of a case's tissue"
    )
    phantom.add_argument("--workers", type=count, metavar="W", help="processes that count (default: one per core)")
    phantom.set_defaults(run=_contest_phantom)


def _contest_submit(arguments: argparse.Namespace) -> int:
    from her2scope.app.contest import SubmitRequest, submit
    from her2scope.app.slides import SlidesRequest
    from her2scope.slides.progress import ProgressLine

    how = SlidesRequest(slides=(), out=arguments.out, **slide_options(arguments))
    request = SubmitRequest(arguments.slides_dir, arguments.out, how, arguments.work)
    lines = submit(request, _tell, ProgressLine(sys.stderr))
    return say(lines, DONE if len(lines) == 1 else NEGATIVE)


def _contest_evaluate(arguments: argparse.Namespace) -> int:
    from her2scope.app.contest import evaluate_tables

    return say(evaluate_tables(arguments.results, arguments.truth, arguments.json))


def _contest_phantom(arguments: argparse.Namespace) -> int:
    from her2scope.app.contest import PhantomContestRequest, write_phantom_contest

    wide_um, high_um = arguments.case_um
    request = PhantomContestRequest(
        arguments.out, arguments.seed, arguments.slides, arguments.difficulty, (wide_um, high_um),
        arguments.workers or os.cpu_count() or 1,
    )  # fmt: skip
    return say(write_phantom_contest(request, _tell))


def _tell(line: str) -> None:
    print(one_line(line), file=sys.stderr, flush=True)
