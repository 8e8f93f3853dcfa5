"""Commands about whole slides."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from her2scope.cli.arguments import (
    DONE,
    NEGATIVE,
    WRONG_USE,
    OneLineParser,
    add_how,
    add_material,
    count,
    one_line,
    scale,
)
from her2scope.cli.control import LEVELS
from her2scope.domain.errors import BadInputError

if TYPE_CHECKING:
    from her2scope.slides.records import SlideOutcome


STOPPED = "stopped by the user. Run the same command again: what is done is kept."


def add_slides(commands: argparse._SubParsersAction[OneLineParser]) -> None:
    """Add `slides` and its actions."""
    slides = commands.add_parser("slides", help="score whole slides")
    actions = slides.add_subparsers(title="actions", metavar="ACTION", required=True, parser_class=OneLineParser)
    _add_score(actions)


def _add_score(actions: argparse._SubParsersAction[OneLineParser]) -> None:
    score = actions.add_parser("score", help="score whole slides, each a case of its own")
    score.add_argument("slides", nargs="+", type=Path, metavar="SLIDE")
    score.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of the results, one per slide")
    add_slide_options(score)
    score.set_defaults(run=_slides_score)


def add_slide_options(parser: argparse.ArgumentParser) -> None:
    """Add all options of a run over slides but the slides themselves and where results go."""
    parser.add_argument(
        "--um-per-px", type=scale, metavar="X", help="size of a pixel in um; it goes before what the files tell"
    )
    parser.add_argument(
        "--annotations", type=Path, metavar="FILE|DIR",
        help="outlines (GeoJSON, ASAP XML) of the slide, or a folder with a file of each slide's name",
    )  # fmt: skip
    parser.add_argument(
        "--count-in", action="append", default=[], metavar="CLASS",
        help="count only in outlines, or regions of the model, of this class; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--leave-out", action="append", default=[], metavar="CLASS",
        help="leave out outlines of this class, beside those called Ignore, Exclude, Artefact, Necrosis, in situ",
    )  # fmt: skip
    parser.add_argument(
        "--control", action="append", default=[], type=Path, metavar="SLIDE|IMAGE",
        help="the 3+ control: a slide, or a picture of a field (may be repeated)",
    )  # fmt: skip
    parser.add_argument(
        "--control-level", nargs=2, action="append", default=[], metavar=("LEVEL", "SLIDE|IMAGE"),
        help="the run's 2+, 1+ or 0 control; may be repeated",
    )  # fmt: skip
    parser.add_argument("--control-um-per-px", type=scale, metavar="X", help="pixel size of the controls' files")
    parser.add_argument("--guideline", metavar="NAME", help="breast-2023 (default)")
    parser.add_argument(
        "--scheduler", default="local", metavar="local|processes|tcp://HOST:PORT", help="who analyses tiles (Dask)"
    )
    parser.add_argument("--workers", type=count, metavar="N", help="on this machine (default: one per core)")
    parser.add_argument("--tile-px", type=_tile_px, metavar="N", help="side of a tile (default 3072)")
    parser.add_argument("--region-model", type=Path, metavar="DIR", help="model (`pixels train`) of where to count")
    add_material(parser)
    add_how(parser)


def _tile_px(text: str) -> int:
    """Side of a tile: found out before the first slide is opened."""
    from her2scope.slides.tiles import TILE_SIDES_PX

    least, most = TILE_SIDES_PX
    side = count(text)
    if not least <= side <= most:
        raise argparse.ArgumentTypeError(f"'{text}' is no side of a tile. Give {least} to {most} px.")
    return side


def slide_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Values of `add_slide_options`, by the names of `app.slides.SlidesRequest`."""
    found: dict[str, Any] = {
        "um_per_px": arguments.um_per_px,
        "annotations": arguments.annotations,
        "count_in": tuple(arguments.count_in),
        "leave_out": tuple(arguments.leave_out),
        "controls": tuple(arguments.control),
        "lower_controls": _leveled(arguments.control_level),
        "control_um_per_px": arguments.control_um_per_px,
        "control_file": arguments.controls,
        "material": arguments.material,
        "calibration": arguments.calibration,
        "settings": arguments.settings,
        "guideline": arguments.guideline,
        "method": arguments.method,
        "scheduler": arguments.scheduler,
        "workers": arguments.workers,
        "region_model": arguments.region_model,
    }
    return found if arguments.tile_px is None else {**found, "tile_px": arguments.tile_px}


def _leveled(given: Sequence[Sequence[str]]) -> tuple[tuple[str, Path], ...]:
    for level, _ in given:
        if level not in LEVELS:
            raise BadInputError(f"--control-level {level}: no such level. Use 0, 1+, 2+ or 3+, then the file.")
    return tuple((level, Path(path)) for level, path in given)


def _slides_score(arguments: argparse.Namespace) -> int:
    from her2scope.app.slides import SlidesRequest, score_slides
    from her2scope.slides.progress import ProgressLine

    request = SlidesRequest(slides=arguments.slides, out=arguments.out, **slide_options(arguments))
    try:
        outcomes = score_slides(request, _tell, ProgressLine(sys.stderr))
    except KeyboardInterrupt as stopped:
        print(f"her2scope: {one_line(str(stopped) or STOPPED)}", file=sys.stderr)
        return WRONG_USE
    unread = [outcome for outcome in outcomes if outcome.score is None]
    lines = [f"{outcome.path.name}: {outcome.problem}" for outcome in outcomes if outcome.problem]
    if lines:
        print("without a score:")
        print("\n".join(f"  {one_line(line)}" for line in lines))
    print(one_line(f"results in {arguments.out}; research use only"))
    if len(unread) == len(outcomes):
        print(f"her2scope: {one_line(f'{unread[0].path}: {unread[0].problem}')}", file=sys.stderr)
    return exit_code(outcomes)


def _tell(line: str) -> None:
    print(one_line(line), flush=True)


def exit_code(outcomes: Sequence[SlideOutcome]) -> int:
    """0: every slide has a score; 1: one has none, or its control is invalid; 2: none could be read at all."""
    if all(outcome.score is None for outcome in outcomes):
        return WRONG_USE
    invalid = any(outcome.score is not None and outcome.score.standing.status == "invalid" for outcome in outcomes)
    return NEGATIVE if invalid or any(outcome.problem for outcome in outcomes) else DONE
