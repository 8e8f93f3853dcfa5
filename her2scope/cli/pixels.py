"""Commands of the pixelwise classifier."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from her2scope.cli.arguments import OneLineParser, add_scale, count, one_line, say, scale
from her2scope.domain.errors import BadInputError

STOPPED = "stopped by the user. Run the same command again: what is done is kept."


def add_pixels(commands: argparse._SubParsersAction[OneLineParser]) -> None:
    """Add `pixels` and its actions."""
    pixels = commands.add_parser("pixels", help="learn a pixelwise classifier from outlined images, apply and judge it")
    actions = pixels.add_subparsers(title="actions", metavar="ACTION", required=True, parser_class=OneLineParser)
    _add_train(actions)
    _add_apply(actions)
    _add_evaluate(actions)


def _add_train(actions: argparse._SubParsersAction[OneLineParser]) -> None:
    train = actions.add_parser("train", help="learn from polygons (`make train-env`); goes on where it stopped")
    train.add_argument("images", nargs="+", type=Path, metavar="IMAGES", help="folder, or images and slides")
    train.add_argument("--annotations", type=Path, required=True, metavar="DIR", help="NAME.xml, .geojson or .png each")
    train.add_argument("--classes", required=True, metavar="A,B", help="the rest is background; the later one wins")
    add_scale(train, required=False)
    train.add_argument("--work-um-per-px", type=scale, metavar="X", help="scale of the model (default: of the images)")
    train.add_argument("--out", type=Path, required=True, metavar="DIR", help="the model, its card, the run")
    train.add_argument("--folds", type=count, default=0, metavar="K", help="cross-validate first: folds.json")
    train.add_argument("--folds-only", action="store_true", help="without the model of all images")
    train.add_argument("--empty", action="store_true", help="images without annotations hold none of the classes")
    _add_outlines(train, "not learnt from")
    train.add_argument("--licence", default="not stated", metavar="TEXT", help="of the data, for the card")
    train.add_argument("--epochs", type=count, metavar="N", help="of 50 steps each (default 14)")
    train.add_argument("--minutes", type=_minutes, metavar="M", help="most of one training (default 30)")
    train.add_argument("--seed", type=int, metavar="S")
    train.add_argument("--threads", type=count, metavar="T", help="of the processor (default 2)")
    train.add_argument("--tile", type=count, metavar="PX", help="side of a tile that is learnt from (default 192)")
    train.set_defaults(run=_train)


def _add_apply(actions: argparse._SubParsersAction[OneLineParser]) -> None:
    apply = actions.add_parser("apply", help="mask, probability map, polygons and overlay of images and slides")
    apply.add_argument("model", type=Path, metavar="MODEL_DIR")
    apply.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    add_scale(apply, required=False)
    apply.add_argument("--out", type=Path, required=True, metavar="DIR")
    apply.add_argument("--threads", type=count, default=0, metavar="T", help="of the processor (default: all)")
    apply.set_defaults(run=_apply)


def _add_evaluate(actions: argparse._SubParsersAction[OneLineParser]) -> None:
    judge = actions.add_parser("evaluate", help="Dice, IoU and AUC of each class; FROC of lesions")
    judge.add_argument("model", type=Path, metavar="MODEL_DIR")
    judge.add_argument("images", nargs="+", type=Path, metavar="IMAGES", help="folder, or images and slides")
    judge.add_argument("--annotations", type=Path, required=True, metavar="DIR")
    add_scale(judge, required=False)
    judge.add_argument("--json", type=Path, metavar="FILE")
    judge.add_argument("--empty", action="store_true", help="images without annotations hold none of the classes")
    _add_outlines(judge, "not judged")
    judge.add_argument("--lesions", metavar="CLASS", help="find its areas one by one: FROC, and AUC of slides")
    judge.add_argument("--threads", type=count, default=0, metavar="T", help="of the processor (default: all)")
    judge.set_defaults(run=_evaluate)


def _add_outlines(parser: argparse.ArgumentParser, unknown: str) -> None:
    """Add what is meant by the outlines."""
    parser.add_argument(
        "--unlabelled", choices=("background", "ignore"), default="background",
        help=f"what no polygon covers: background (default), or unknown and {unknown}",
    )  # fmt: skip
    parser.add_argument("--no-scale-check", action="store_true", help="outlines of one corner alone are as meant")


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number. Give minutes.") from None
    if not 0.01 <= minutes <= 10_000:
        raise argparse.ArgumentTypeError(f"'{text}' is no time to train. Give minutes, such as 30.")
    return minutes


def _tell(line: str) -> None:
    print(one_line(line), file=sys.stderr, flush=True)


def _goes_on(run: Callable[[], list[str]]) -> int:
    """Print what a run gives, or how to go on where the user stops it."""
    try:
        return say(run())
    except KeyboardInterrupt:
        raise KeyboardInterrupt(STOPPED) from None


def _train(arguments: argparse.Namespace) -> int:
    from her2scope.app.pixels import TrainRequest, train_model

    classes = tuple(name.strip() for name in arguments.classes.split(","))
    if not all(classes):
        raise BadInputError(f"--classes {arguments.classes}: a name is empty. Give names with commas between them.")
    given = {
        "seed": arguments.seed, "epochs": arguments.epochs, "minutes": arguments.minutes, "threads": arguments.threads,
        "tile_px": arguments.tile,
    }  # fmt: skip
    options = {name: value for name, value in given.items() if value is not None}
    request = TrainRequest(
        images=arguments.images, annotations=arguments.annotations, classes=classes,
        um_per_px=arguments.um_per_px, out=arguments.out, work_um_per_px=arguments.work_um_per_px,
        folds=arguments.folds, folds_only=arguments.folds_only, empty=arguments.empty,
        licence=arguments.licence, check_scale=not arguments.no_scale_check,
        options=options | {"ignore_unlabelled": arguments.unlabelled == "ignore"},
    )  # fmt: skip
    return _goes_on(lambda: train_model(request, _tell))


def _apply(arguments: argparse.Namespace) -> int:
    from her2scope.app.pixel_apply import ApplyRequest, apply_model

    request = ApplyRequest(
        arguments.model, arguments.images, arguments.um_per_px, arguments.out, threads=arguments.threads
    )
    return _goes_on(lambda: apply_model(request, _tell))


def _evaluate(arguments: argparse.Namespace) -> int:
    from her2scope.app.pixel_judge import JudgeRequest, evaluate_model

    return say(
        evaluate_model(
            JudgeRequest(
                model=arguments.model, images=arguments.images, annotations=arguments.annotations,
                um_per_px=arguments.um_per_px, json_path=arguments.json, empty=arguments.empty,
                lesions=arguments.lesions, threads=arguments.threads, check_scale=not arguments.no_scale_check,
                ignore_unlabelled=arguments.unlabelled == "ignore",
            ),
            _tell,
        )
    )  # fmt: skip
