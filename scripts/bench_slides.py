"""How fast, how large and how sure slide runs are: throughput by workers, memory, kills, and the same result each time.

    python scripts/sparse_slide.py small.tif --size 20000x16000 --islands 4
    python scripts/bench_slides.py speed small.tif --times 3
    python scripts/bench_slides.py memory sparse.tif --workers 2
    python scripts/bench_slides.py cluster small.tif
    python scripts/bench_slides.py resume small.tif
    python scripts/bench_slides.py same small.tif

Each run is a program of its own, so that its memory is its own. `speed` runs one and two workers by turns, as threads
and as processes, and beside them two programs that compute without sharing anything: no more can be asked of the
machine. On a machine that others use, too, look at the seconds of processor per mm2 beside the rates. Exit code 1 where
`cluster`, `resume` or `same` finds a difference.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import fields
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from her2scope.app.bench.machine import machine_facts, machine_lines
from her2scope.app.compose import DEFAULT_METHOD, make_analyser
from her2scope.app.slide_worker import analyse_tile, worker_program
from her2scope.cameras.slide_readers import open_slide
from her2scope.imaging.opencv import cv2
from her2scope.settings import Calibration, ScoringSettings
from her2scope.slides.progress import Progress, ProgressLine
from her2scope.slides.records import CLASS_CODES, SlideCells, Survey, TileWork
from her2scope.slides.run import peak_mb, run_tiles
from her2scope.slides.run_identity import slide_digest, work_digest
from her2scope.slides.schedulers import open_scheduler
from her2scope.slides.seams import one_cell_each
from her2scope.slides.survey import survey
from her2scope.slides.tile_store import TileStore
from her2scope.slides.tiles import TILE_PX, plan_tiles

LIMIT_MB = 2000.0
"""What a worker may hold, whatever the slide's size."""
ASKED_RATIO = 1.7
"""Of two workers' rate to one's."""
MOST_OFF = 0.005
"""Share of cells by which tiles of other sizes may differ."""
COMPUTE_S = 6.0
Json = dict[str, Any]


# ---- one run, in a program of its own -----------------------------------------------------------------------------


def one(arguments: argparse.Namespace) -> None:
    """Run a slide, and print what came of it as JSON."""
    start_s = time.monotonic()
    found, work = _work(arguments.slide)
    surveyed_s, surveyed_mb = time.monotonic() - start_s, peak_mb()
    tiles = plan_tiles(found, arguments.tile_px)
    bar = ProgressLine(sys.stderr)
    tell = bar.of_slide(arguments.slide.name, 1, 1)

    def told(progress: Progress) -> None:
        if arguments.kill_pid and progress.n_done >= progress.n_tiles / 3:
            os.kill(arguments.kill_pid, signal.SIGKILL)
            arguments.kill_pid = 0
        tell(progress)

    with open_scheduler(arguments.scheduler, arguments.workers) as crew:
        program = crew.ask(worker_program, work)
        cpu_s = _cpu_s()
        with TileStore(arguments.folder, work_digest(work, tiles, program)) as store:
            ran = run_tiles(work, tiles, store, crew, analyse_tile, told, found.tissue)
            ready_s = sum(_ready_s())
            bar.end()
            cells = one_cell_each(store.results(tiles), found)
            tile_s = sum(result.seconds for result in store.results(tiles))
    cpu_s = _cpu_s() - cpu_s
    print(
        json.dumps(
            {
                "crew": ran.crew, "seconds": ran.seconds, "cpu_s": cpu_s, "tile_s": tile_s, "ready_s": ready_s,
                "mm2": ran.tissue_mm2,
                "n_tiles": ran.n_tiles, "n_kept": ran.n_kept, "lost": len(ran.lost), "peak_mb": dict(ran.peak_mb),
                "client_mb": peak_mb(), "survey_s": surveyed_s, "survey_mb": surveyed_mb, "cells": len(cells),
                "classes": _classes(cells), "digest": _digest(cells),
            }
        )
    )  # fmt: skip


def _work(path: Path) -> tuple[Survey, TileWork]:
    settings, calibration = ScoringSettings(), Calibration()
    analyser = make_analyser(DEFAULT_METHOD, settings, calibration, 1)
    with closing(open_slide(path)) as reader:
        found = survey(reader, path, calibration)
    if found.refusals:
        sys.exit(f"{path} cannot be scored: {'; '.join(found.refusals)}")
    work = TileWork(
        path.absolute(), found.scale, found.white_rgb, found.white_estimated, calibration, settings, DEFAULT_METHOD,
        analyser.default_cuts, slide_sha256=slide_digest(path), model_sha256=analyser.segmenter.model_sha256,
    )  # fmt: skip
    return found, work


def _cpu_s() -> float:
    """Of this process and those of its children that ended."""
    told = os.times()
    return told.user + told.system + told.children_user + told.children_system


def _ready_s() -> Iterator[float]:
    """Of each worker's thread in this process, the time that it ran or waited for a core: nothing else held it back."""
    for thread in threading.enumerate():
        if "Dask-Default-Threads" in thread.name and thread.native_id is not None:
            with suppress(OSError, ValueError):  # Linux alone tells
                ran_ns, waited_ns, _ = Path(f"/proc/self/task/{thread.native_id}/schedstat").read_text().split()
                yield (int(ran_ns) + int(waited_ns)) / 1e9


def _classes(cells: SlideCells) -> list[int]:
    """Cells of each class, those that are not tumour last."""
    counts = [int((cells.class_code == code).sum()) for code in range(len(CLASS_CODES))]
    return [*counts, int((~cells.is_tumour).sum())]


def _digest(cells: SlideCells) -> str:
    digest = hashlib.sha256()
    for item in fields(SlideCells):
        digest.update(np.ascontiguousarray(getattr(cells, item.name)).tobytes())
    return digest.hexdigest()


def run(slide: Path, folder: Path, *options: object) -> Json:
    """What `one` prints."""
    done = subprocess.run(_command(slide, folder, *options), stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"a run failed: {' '.join(map(str, options))}")
    told: Json = json.loads(done.stdout)
    return told


def _command(slide: Path, folder: Path, *options: object) -> list[str]:
    return [sys.executable, __file__, "one", str(slide), "--folder", str(folder), *map(str, options)]


@contextmanager
def _fresh() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="her2scope-bench-") as folder:
        yield Path(folder, "tiles")


# ---- speed --------------------------------------------------------------------------------------------------------

RUNS: Mapping[str, Sequence[object]] = {
    "1 worker": ("--workers", 1),
    "2 workers, threads": ("--workers", 2),
    "2 workers, processes": ("--workers", 2, "--scheduler", "processes"),
}


def speed(arguments: argparse.Namespace) -> int:
    """Rates of one and two workers, by turns, and what the machine itself gives."""
    rates: dict[str, list[float]] = {
        name: [] for name in (*RUNS, *(f"{n} x {what}" for what in COMPUTE for n in (1, 2)))
    }
    for _ in range(arguments.times):
        for what, n in product(COMPUTE, (1, 2)):
            rates[f"{n} x {what}"].append(_computed(what, n))
        for name, options in RUNS.items():
            with _fresh() as folder:
                told = run(arguments.slide, folder, "--tile-px", arguments.tile_px, *options)
            rates[name].append(60 * told["mm2"] / told["seconds"])
            cpu = "" if "processes" in name else _of_threads(told)
            took = f"{told['mm2']:.2f} mm2 of tissue in {told['seconds']:.1f} s"
            print(f"{name}: {took}, {rates[name][-1]:.1f} mm2/min{cpu} (load {os.getloadavg()[0]:.1f})", flush=True)
    print(f"\nmedians of {arguments.times}:")
    for name, values in rates.items():
        unit = "mm2/min" if name in RUNS else "rounds/s"
        print(f"  {name}: {median(values):.2f} {unit} ({min(values):.2f} to {max(values):.2f})")
    one_worker = median(rates["1 worker"])
    for name in list(RUNS)[1:]:
        print(f"{name} against 1: {median(rates[name]) / one_worker:.2f} times (asked: {ASKED_RATIO})")
    for what in COMPUTE:
        ratio = median(rates[f"2 x {what}"]) / median(rates[f"1 x {what}"])
        print(f"2 independent programs against 1, {what}: {ratio:.2f} times")
    return 0


def _of_threads(told: Json) -> str:
    """What the machine's load does not change: processor time, and how long threads waited for each other or a disk."""
    held = max(0.0, 1 - told["ready_s"] / told["tile_s"])
    busy = told["tile_s"] / (told["seconds"] * int(told["crew"].split()[0]))
    cpu_s = told["cpu_s"] / told["mm2"]
    return f", {cpu_s:.1f} s of processor per mm2, workers busy {100 * busy:.0f} %, held back {100 * held:.0f} %"


def _multiply() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.random((500, 500), np.float32)
    for _ in range(4):
        matrix = matrix @ matrix
        matrix /= matrix.max()


COMPUTE = ("matrix product", "network alone")
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}


def compute(arguments: argparse.Namespace) -> None:
    """Compute in one thread for a while, and print rounds per second."""
    cv2.setNumThreads(1)
    if arguments.what == COMPUTE[0]:
        work = _multiply
    else:
        network: Any = make_analyser(DEFAULT_METHOD, ScoringSettings(), Calibration(), 1).segmenter
        rgb = np.random.default_rng(0).integers(100, 240, (1024, 1024, 3)).astype(np.uint8)

        def work() -> None:
            network.network.predict(rgb, 0.5, (240.0, 240.0, 240.0))

    work()
    print("ready", flush=True)
    sys.stdin.readline()
    start_s, n = time.monotonic(), 0
    while time.monotonic() - start_s < COMPUTE_S:
        work()
        n += 1
    print(n / (time.monotonic() - start_s))


def _computed(what: str, n: int) -> float:
    """Rounds per second of n programs at once."""
    command = [sys.executable, __file__, "compute", what]
    programs = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | ONE_THREAD)
        for _ in range(n)
    ]
    for program in programs:
        if program.stdout is None or program.stdout.readline() != "ready\n":
            sys.exit(f"a program for '{what}' did not begin")
    for program in programs:
        assert program.stdin is not None  # noqa: S101 - for mypy
        program.stdin.write("\n")
        program.stdin.flush()
    return sum(float(program.communicate()[0]) for program in programs)


# ---- memory -------------------------------------------------------------------------------------------------------


def memory(arguments: argparse.Namespace) -> int:
    """Peak memory per worker, as processes, and of threads in one."""
    is_over = False
    for kind in ("processes", "local"):
        with _fresh() as folder:
            told = run(
                arguments.slide, folder, "--workers", arguments.workers, "--scheduler", kind, "--tile-px",
                arguments.tile_px,
            )  # fmt: skip
        peaks = ", ".join(f"{mb:.0f} MB" for mb in told["peak_mb"].values())
        print(
            f"{told['crew']}: {told['n_tiles']} tiles, {told['mm2']:.1f} mm2, {told['cells']} cells in "
            f"{told['seconds']:.0f} s; survey {told['survey_s']:.0f} s\n"
            f"  peak memory of each worker's process: {peaks}\n"
            f"  of the program itself: {told['client_mb']:.0f} MB, after the survey {told['survey_mb']:.0f} MB",
            flush=True,
        )
        most = max(*told["peak_mb"].values(), told["client_mb"])
        is_over |= most > LIMIT_MB * (1 if kind == "processes" else arguments.workers)
    print(f"limit: {LIMIT_MB:.0f} MB per worker{' EXCEEDED' if is_over else ', kept'}")
    return int(is_over)


# ---- the same result ----------------------------------------------------------------------------------------------


def cluster(arguments: argparse.Namespace) -> int:
    """Three workers of a `distributed` scheduler on loopback, one of which is killed after a third of the tiles."""
    with _fresh() as folder:
        alone = run(arguments.slide, folder, "--workers", 1, "--tile-px", arguments.tile_px)
    with _fresh() as folder, _cluster(3) as (address, workers):
        told = run(
            arguments.slide,
            folder,
            "--scheduler",
            address,
            "--kill-pid",
            workers[0].pid,
            "--tile-px",
            arguments.tile_px,
        )
        ended = [worker.poll() for worker in workers]
    print(f"1 worker: {alone['cells']} cells, {alone['digest'][:16]}, {alone['seconds']:.1f} s")
    print(
        f"3 workers, one killed: {told['cells']} cells, {told['digest'][:16]}, {told['seconds']:.1f} s, exits {ended}"
    )
    print(f"  peak memory per worker: {told['peak_mb']}")
    return _verdict(told["digest"] == alone["digest"] and ended == [-signal.SIGKILL, None, None], "the same result")


@contextmanager
def _cluster(n: int) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and workers as anybody would start them by hand, each a program of its own."""
    with tempfile.TemporaryDirectory(prefix="her2scope-bench-") as scratch:
        file = Path(scratch, "scheduler.json")
        quiet = "--host", "127.0.0.1", "--no-dashboard", "--dashboard-address", "127.0.0.1:0"
        begun = [_dask("scheduler", "--port", "0", "--scheduler-file", str(file), *quiet)]
        try:
            while not file.exists() or not file.read_text().strip():
                time.sleep(0.1)
            address = str(json.loads(file.read_text())["address"])
            each = address, "--nthreads", "1", "--no-nanny", "--local-directory", scratch, *quiet
            begun += [_dask("worker", *each) for _ in range(n)]
            _await_workers(address, n)
            yield address, begun[1:]
        finally:
            for program in reversed(begun):
                program.kill()
                program.wait()


def _dask(what: str, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", f"distributed.cli.dask_{what}", *options]
    environment = os.environ | ONE_THREAD
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)


def _await_workers(address: str, n: int) -> None:
    from distributed import Client

    with Client(address, timeout=30, set_as_default=False) as client:
        client.wait_for_workers(n, timeout=120)


def resume(arguments: argparse.Namespace) -> int:
    """Kill a run after a third of its tiles, and have another go on."""
    with _fresh() as folder:
        whole = run(arguments.slide, folder, "--workers", 2, "--tile-px", arguments.tile_px)
    with _fresh() as folder:
        command = _command(arguments.slide, folder, "--workers", 2, "--tile-px", arguments.tile_px)
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as program:
            while program.poll() is None and len(_files(folder)) < whole["n_tiles"] / 3:
                time.sleep(0.02)
            program.kill()
        before = _files(folder)
        told = run(arguments.slide, folder, "--workers", 2, "--tile-px", arguments.tile_px)
        after = _files(folder)
    again = sum(after[name] != written for name, written in before.items())
    print(f"killed after {len(before)} of {whole['n_tiles']} tiles; finished tiles done again: {again}")
    print(f"cells {told['cells']}, {told['digest'][:16]}; of a run that was not killed {whole['digest'][:16]}")
    is_right = again == 0 and told["n_kept"] == len(before) < whole["n_tiles"] and told["digest"] == whole["digest"]
    return _verdict(is_right, "no tile twice, the same result")


def _files(folder: Path) -> dict[str, int]:
    """When each tile's file was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*/*.npz")}


def same(arguments: argparse.Namespace) -> int:
    """The cells by 1, 2 and 3 workers and by tiles of 512, 1024 and 2048 px."""
    rows: list[tuple[str, Json]] = []
    for options in ((1, 2048), (2, 2048), (3, 2048), (2, 1024), (2, 512)):
        with _fresh() as folder:
            told = run(arguments.slide, folder, "--workers", options[0], "--tile-px", options[1])
        rows.append((f"{options[0]} workers, tiles of {options[1]} px", told))
        print(f"{rows[-1][0]}: {told['cells']} cells, by class {told['classes']}, {told['digest'][:16]}", flush=True)
    first = rows[0][1]
    off = max(abs(told["cells"] / first["cells"] - 1) for _, told in rows)
    classes = max(
        sum(abs(a - b) for a, b in zip(told["classes"], first["classes"], strict=True)) / first["cells"]
        for _, told in rows
    )
    print(f"cells differ by at most {100 * off:.3f} %, counts of classes by {100 * classes:.3f} % of the cells")
    same_workers = len({told["digest"] for _, told in rows[:3]}) == 1
    return _verdict(same_workers and off <= MOST_OFF, "the same cells")


def _verdict(is_right: bool, what: str) -> int:
    print(f"{what}: {'yes' if is_right else 'NO'}")
    return 0 if is_right else 1


# ---- command line -------------------------------------------------------------------------------------------------


def main() -> int:
    """Measure what was asked."""
    arguments = _arguments()
    if arguments.run in (one, compute):
        arguments.run(arguments)
        return 0
    for line in machine_lines(machine_facts()):
        print(line)
    return int(arguments.run(arguments))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(required=True)
    for part in (speed, memory, cluster, resume, same, one):
        one_part = parts.add_parser(part.__name__, help=part.__doc__)
        one_part.add_argument("slide", type=Path)
        one_part.add_argument("--tile-px", type=int, default=TILE_PX)
        one_part.add_argument("--workers", type=int, default=2 if part is memory else None)
        one_part.add_argument("--times", type=int, default=3)
        one_part.add_argument("--scheduler", default="local")
        one_part.add_argument("--folder", type=Path)
        one_part.add_argument("--kill-pid", type=int, default=0)
        one_part.set_defaults(run=part)
    computing = parts.add_parser("compute", help=compute.__doc__)
    computing.add_argument("what", choices=COMPUTE)
    computing.set_defaults(run=compute)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
