"""The command that measures how fast the program is."""

from __future__ import annotations

import argparse
from pathlib import Path

from her2scope.cli.arguments import DONE, NEGATIVE, OneLineParser, add_scale, count, say, size

HELP = {
    "live": "the real window on a source: frames/s, latency to the screen, stalls, memory",
    "stages": "what one analysis spends its time on, stage by stage",
    "startup": "from start to the first live picture; --help; imports",
    "memory": "what the live program holds over thousands of frames",
    "cells": "cost against cells per frame and size of the frame",
    "peers": "a whole field beside other programs' pipelines, with how well each finds nuclei",
}


def add_bench(commands: argparse._SubParsersAction[OneLineParser]) -> None:
    """Add `bench` and what can be measured."""
    bench = commands.add_parser("bench", help="how fast is this computer? live, stages, startup, memory, cells, peers")
    kinds = bench.add_subparsers(dest="what", metavar="WHAT", required=True, parser_class=OneLineParser)
    for what, words in HELP.items():
        kind = kinds.add_parser(what, help=words)
        kind.add_argument("--source", metavar="URI", help="phantom:, camera:N, images:DIR, video:FILE (live, memory)")
        kind.add_argument("--size", type=size, metavar="WxH", help="of the picture; of the largest one for cells")
        kind.add_argument("--seconds", type=_seconds, metavar="N", help="how long is measured")
        kind.add_argument("--json", type=Path, metavar="FILE", help="write all figures as JSON")
        kind.set_defaults(run=_bench)
        _ADD_OWN.get(what, lambda _kind: None)(kind)


def _add_source(kind: argparse.ArgumentParser) -> None:
    add_scale(kind, required=False)
    kind.add_argument("--calibration", type=Path, metavar="FILE", help="the microscope's calibration (YAML)")


def _add_memory(kind: argparse.ArgumentParser) -> None:
    _add_source(kind)
    kind.add_argument("--frames", type=count, default=20_000, metavar="N", help="default 20000")


def _add_stages(kind: argparse.ArgumentParser) -> None:
    kind.add_argument("--provider", metavar="NAME", help="measure only where the network runs on it (CUDA, CPU)")


def _add_startup(kind: argparse.ArgumentParser) -> None:
    kind.add_argument("--runs", type=count, default=5, metavar="N", help="fresh processes of each kind (default 5)")


def _add_peers(kind: argparse.ArgumentParser) -> None:
    kind.add_argument("--runs", type=count, default=5, metavar="N", help="fields (default 5)")
    kind.add_argument("--instanseg", type=Path, metavar="FILE", help="its TorchScript file; needs torch")


_ADD_OWN = {
    "live": _add_source, "memory": _add_memory, "stages": _add_stages, "startup": _add_startup, "peers": _add_peers,
}  # fmt: skip


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 36_000.0:
        raise argparse.ArgumentTypeError(f"'{text}' is no time to measure for. Give seconds, such as 20.")
    return seconds


def _bench(arguments: argparse.Namespace) -> int:
    from her2scope.app.bench.request import BenchRequest
    from her2scope.app.bench.run import run_bench

    given = {name: value for name, value in vars(arguments).items() if value is not None}
    chosen = {
        "size_wh": "size", "seconds": "seconds", "json_path": "json", "source": "source", "um_per_px": "um_per_px",
        "calibration": "calibration", "frames": "frames", "runs": "runs", "instanseg": "instanseg",
        "provider": "provider",
    }  # fmt: skip
    report = run_bench(
        BenchRequest(arguments.what, **{name: given[option] for name, option in chosen.items() if option in given})
    )
    return say(report.lines, NEGATIVE if report.failed else DONE)
