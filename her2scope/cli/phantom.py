"""Commands that draw phantoms and compare them with real pictures."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from her2scope.cli.arguments import DIFFICULTIES, DONE, PHANTOM_SCORES, OneLineParser, count, length, say, scale, size


def add_phantom(commands: argparse._SubParsersAction[OneLineParser]) -> None:
    """Add `phantom` and its actions."""
    phantom = commands.add_parser("phantom", help="draw synthetic HER2 fields of which every cell's truth is known")
    actions = phantom.add_subparsers(title="actions", metavar="ACTION", required=True, parser_class=OneLineParser)
    render = actions.add_parser("render", help="write field_000.png and field_000.json, ...")
    render.add_argument("--out", type=Path, required=True, metavar="DIR")
    render.add_argument("--fields", type=count, default=1, metavar="N")
    render.add_argument("--score", required=True, choices=PHANTOM_SCORES)
    render.add_argument("--seed", type=int, default=0, metavar="S", help="one seed fixes one staining run")
    render.add_argument("--size", type=size, default=(1280, 720), metavar="WxH")
    render.add_argument("--um-per-px", type=scale, default=0.25, metavar="X")
    render.add_argument("--difficulty", default="usual", choices=DIFFICULTIES)
    render.add_argument("--stainer", metavar="NAME")
    render.add_argument("--camera", metavar="NAME")
    render.add_argument("--damage", metavar="CODE", help="a control damaged as a lab would see it, such as faded")
    render.add_argument("--recipe", metavar="NAME", help="lookalike of a real field, such as haze")
    render.add_argument("--maps", action="store_true", help="write the truth of every pixel as well, as four PNG files")
    render.set_defaults(run=_phantom_render)
    _add_slide(actions)
    _add_beside(actions)
    _add_comparisons(actions)
    _add_shards(actions)


def _add_shards(actions: argparse._SubParsersAction[OneLineParser]) -> None:
    shards = actions.add_parser("shards", help="draw tiles for training; a run that was stopped goes on where it was")
    shards.add_argument("--out", type=Path, required=True, metavar="DIR", help="empty, or the same set; 3.8 MB a tile")
    shards.add_argument("--tiles", type=count, required=True, metavar="N")
    shards.add_argument("--seed", type=int, default=0, metavar="S", help="another seed, other tissues")
    shards.add_argument("--difficulty", default="hard", choices=DIFFICULTIES, help="of the tissue")
    shards.add_argument("--workers", type=count, metavar="W", help="processes (default: one for each core)")
    shards.add_argument("--um-per-px", type=scale, default=0.25, metavar="X", help="0.25 (default), 0.167 or 0.125")
    shards.add_argument("--tile-um", type=length, default=128.0, metavar="L", help="side of a sample (default 128)")
    shards.set_defaults(run=_phantom_shards)


def _add_slide(actions: argparse._SubParsersAction[OneLineParser]) -> None:
    slide = actions.add_parser("slide", help="write a whole slide with its controls, drawn when it is read")
    slide.add_argument("--out", type=Path, required=True, metavar="NAME.phantom.yaml")
    slide.add_argument("--score", required=True, choices=PHANTOM_SCORES)
    slide.add_argument("--seed", type=int, default=0, metavar="S", help="one seed fixes one staining run")
    slide.add_argument("--difficulty", default="usual", choices=DIFFICULTIES)
    slide.add_argument("--stainer", metavar="NAME", help="default: the seed's choice")
    slide.add_argument("--scanner", metavar="NAME", help="an invented one, such as boreas (default aurora)")
    slide.add_argument(
        "--case-um", nargs=2, type=length, default=(1200.0, 900.0), metavar=("W", "H"), help="size of the case's tissue"
    )
    slide.add_argument("--um-per-px", type=scale, default=0.25, metavar="X", help="at full resolution (default 0.25)")
    slide.add_argument("--damage", metavar="CODE", help="a run damaged as a lab would see it, such as faded")
    slide.add_argument("--regions", type=Path, metavar="FILE.geojson", help="write the outlines of its controls")
    slide.add_argument("--tumour", type=Path, metavar="FILE.geojson", help="write the outlines of its tumour")
    slide.add_argument("--truth", type=Path, metavar="FILE.json", help="count all its cells and write score and shares")
    slide.set_defaults(run=_phantom_slide)


def _add_beside(actions: argparse._SubParsersAction[OneLineParser]) -> None:
    beside = actions.add_parser("beside", help="lay phantoms beside real pictures, at one scale")
    beside.add_argument("images", nargs="+", type=Path, metavar="REAL_IMAGE")
    beside.add_argument(
        "--um-per-px", type=scale, action="append", required=True, metavar="X",
        help="size of a pixel in um (40x: about 0.25); once for all images, or once for each in their order",
    )  # fmt: skip
    beside.add_argument("--score", choices=PHANTOM_SCORES, help="of the phantoms (default: the recipe's, else 2+)")
    beside.add_argument("--recipe", metavar="NAME", help="lookalike of a real field, such as haze")
    beside.add_argument("--difficulty", default="usual", choices=DIFFICULTIES)
    beside.add_argument("--seed", type=int, default=0, metavar="S", help="of the first phantom (default 0)")
    beside.add_argument("--show-um-per-px", type=scale, metavar="Y", help="scale that both are shown at")
    beside.add_argument("--crop-um", type=length, metavar="W", help="side of a crop (in a sheet: default 120)")
    beside.add_argument("--truth", action="store_true", help="draw the phantom's cells in the colours of their class")
    beside.add_argument("--out", type=Path, metavar="SHEET.png", help="write a contact sheet instead of a window")
    beside.set_defaults(run=_phantom_beside)


def _add_comparisons(actions: argparse._SubParsersAction[OneLineParser]) -> None:
    nuisances = actions.add_parser("nuisances", help="does the phantom cover what disturbs in real pictures? one table")
    nuisances.add_argument("--fields", type=count, default=40, metavar="N", help="phantom pictures (default 40)")
    nuisances.set_defaults(run=_phantom_nuisances)
    realism = actions.add_parser("realism", help="can a classifier tell real from phantom crops, and by what?")
    realism.add_argument("--score", choices=("0", "1+", "2+", "3+"), help="one level (default: each, and all)")
    realism.add_argument("--fields", type=count, default=12, metavar="N", help="phantom pictures a level (default 12)")
    realism.set_defaults(run=_phantom_realism)
    for action in (nuisances, realism):
        action.add_argument("--real", type=Path, required=True, metavar="LIST.csv", help="list of real pictures")
        action.add_argument("--root", type=Path, metavar="DIR", help="folder of its files (default: the list's own)")
        action.add_argument("--seed", type=int, default=0, metavar="S", help="of the first phantom's run")
        action.add_argument("--json", type=Path, metavar="FILE", help="write the same as JSON")


def _phantom_render(arguments: argparse.Namespace) -> int:
    from her2scope.phantom.field import render_fields

    written = render_fields(
        out_dir=arguments.out, n=arguments.fields, score=arguments.score, seed=arguments.seed,
        size_wh=arguments.size, um_per_px=arguments.um_per_px, difficulty=arguments.difficulty,
        stainer=arguments.stainer, camera=arguments.camera, damage=arguments.damage, recipe=arguments.recipe,
        with_maps=arguments.maps,
    )  # fmt: skip
    return say([f"{len(written)} fields written to {arguments.out}"])


def _phantom_slide(arguments: argparse.Namespace) -> int:
    from her2scope.app.phantom_slides import PhantomSlideRequest, write_phantom_slide
    from her2scope.phantom.scanners import DEFAULT_SCANNER
    from her2scope.phantom.slide_file import SlideSpec

    wide_um, high_um = arguments.case_um
    spec = SlideSpec(
        seed=arguments.seed, score=arguments.score, difficulty=arguments.difficulty, stainer=arguments.stainer,
        scanner=arguments.scanner or DEFAULT_SCANNER, case_um=(wide_um, high_um), um_per_px=arguments.um_per_px,
        damage=arguments.damage,
    )  # fmt: skip
    request = PhantomSlideRequest(arguments.out, spec, arguments.regions, arguments.tumour, arguments.truth)
    return say(write_phantom_slide(request, lambda line: print(line, file=sys.stderr)))


def _phantom_shards(arguments: argparse.Namespace) -> int:
    from her2scope.phantom.shards.store import render_shards
    from her2scope.phantom.shards.tiles import TileSettings

    def tell(there: int, wanted: int) -> None:
        print(f"{there} of {wanted} tiles", file=sys.stderr)

    settings = TileSettings(arguments.seed, arguments.difficulty, arguments.um_per_px, arguments.tile_um)
    workers = arguments.workers or os.cpu_count() or 1
    drawn = render_shards(arguments.out, arguments.tiles, settings, workers, tell)
    return say([f"{arguments.tiles} tiles in {arguments.out}; shards drawn now: {drawn}"])


def _phantom_beside(arguments: argparse.Namespace) -> int:
    from her2scope.app.beside import BesideRequest, run_beside
    from her2scope.phantom.compare.sheets import PhantomChoice, meant_score

    score = arguments.score or meant_score(arguments.recipe, "2+")
    choice = PhantomChoice(score, arguments.seed, arguments.recipe, arguments.difficulty)
    lines = run_beside(
        BesideRequest(
            images=arguments.images, um_per_px=arguments.um_per_px, choice=choice,
            shown_um_per_px=arguments.show_um_per_px, crop_um=arguments.crop_um, truth=arguments.truth,
            out=arguments.out,
        )
    )  # fmt: skip
    return say(lines) if lines else DONE


def _phantom_nuisances(arguments: argparse.Namespace) -> int:
    from her2scope.phantom.compare.nuisance_table import compare

    _check_comparison(arguments)
    return _compared(compare(arguments.real, arguments.root, arguments.fields, arguments.seed), arguments.json)


def _phantom_realism(arguments: argparse.Namespace) -> int:
    from her2scope.phantom.compare.realism import judge

    _check_comparison(arguments)
    found = judge(arguments.real, arguments.root, arguments.score, arguments.fields, arguments.seed)
    return _compared(found, arguments.json)


def _check_comparison(arguments: argparse.Namespace) -> None:
    """Refuse an output that would replace the list or one of its pictures."""
    from her2scope.app.outputs import check_outputs
    from her2scope.phantom.compare.real_fields import read_list

    listed = [field.path for field in read_list(arguments.real, arguments.root)]
    check_outputs([arguments.json] if arguments.json else [], [arguments.real, *listed])


def _compared(found: tuple[list[str], dict[str, Any]], json_path: Path | None) -> int:
    """Print a comparison with real pictures, and write it as JSON where that was asked for."""
    from her2scope.app.outputs import write_all
    from her2scope.reporting.json_report import json_bytes

    lines, content = found
    if json_path:
        write_all({json_path: json_bytes(content)})
    return say(lines)
