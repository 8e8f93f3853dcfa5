"""Measure how fast training is fed: tiles of 256x256 px drawn, and sampled, per second and core.

Usage: python scripts/bench_shards.py [--tiles 32] [--samples 200] [--difficulty hard] [--profile]

Both steps run in one process with one thread. Other programs that compute at the same time make both figures worse: the
time of the processor, which is told beside the time of the clock, is closer to what the machine can do.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from her2scope.imaging.opencv import cv2
from her2scope.phantom.shards.store import ShardSet, render_shards
from her2scope.phantom.shards.tiles import TileSettings


def main() -> None:
    """Draw a small set in a temporary folder, then sample from it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiles", type=int, default=32)
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--difficulty", default="hard", choices=("easy", "usual", "hard"))
    parser.add_argument("--profile", action="store_true", help="tell what takes the time")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    settings = TileSettings(seed=arguments.seed, difficulty=arguments.difficulty)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "set"
        size_mb = settings.record().itemsize / 1e6
        print(f"a stored tile: {size_mb:.2f} MB, {settings.drawn_px} px wide at {settings.um_per_px:g} um/px")
        _measure("drawn", arguments.tiles, lambda: render_shards(path, arguments.tiles, settings), arguments.profile)
        shards = ShardSet(path)
        shards.sample(0, np.random.default_rng(0))  # makes the textures

        def sample() -> None:
            for number in range(arguments.samples):
                shards.sample(number % len(shards), np.random.default_rng(number), arguments.difficulty)

        _measure("sampled", arguments.samples, sample, arguments.profile)


def _measure(what: str, n: int, work: Callable[[], object], is_profiled: bool) -> None:
    profile = cProfile.Profile()
    clock_s, processor_s = time.perf_counter(), time.process_time()
    if is_profiled:
        profile.runcall(work)
    else:
        work()
    clock_s, processor_s = time.perf_counter() - clock_s, time.process_time() - processor_s
    print(f"{what}: {n / clock_s:.1f} tiles of 256x256 per second and core ({n / processor_s:.1f} by processor time)")
    if is_profiled:
        pstats.Stats(profile).sort_stats("tottime").print_stats(20)


if __name__ == "__main__":
    main()
