"""Commands that make the network."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from her2scope.cli.arguments import OneLineParser, count, say


def add_training(commands: argparse._SubParsersAction[OneLineParser]) -> None:
    """Add `train` and `export`."""
    train = commands.add_parser("train", help="train the network on phantom tiles (needs `make train-env`)")
    train.add_argument(
        "config",
        type=Path,
        metavar="RUN.yaml",
        help="sets of tiles, or the model whose outlines are read; seed, steps, ...",
    )
    train.add_argument("--out", type=Path, required=True, metavar="DIR", help="checkpoint, log and pictures; resumed")
    train.set_defaults(run=_train)
    export = commands.add_parser("export", help="write a trained network as ONNX with its card (needs torch too)")
    export.add_argument("run_dir", type=Path, metavar="DIR", help="folder of a training run")
    export.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the model")
    export.add_argument(
        "--runs", type=count, default=40, metavar="N", help="negative phantom runs for false cells (40)"
    )
    export.add_argument("--first-seed", type=int, default=5000, metavar="S", help="of these (default 5000)")
    export.set_defaults(run=_export)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _train(arguments: argparse.Namespace) -> int:
    from her2scope.app.train import train_network

    return say(train_network(arguments.config, arguments.out, _tell))


def _export(arguments: argparse.Namespace) -> int:
    from her2scope.app.train import export_run

    seeds = range(arguments.first_seed, arguments.first_seed + arguments.runs)
    return say(export_run(arguments.run_dir, arguments.out, seeds, _tell))
