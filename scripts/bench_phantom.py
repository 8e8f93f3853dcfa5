"""Measure the phantom microscope as a live source: frames per second, time per read, time to the first frame.

Usage: python scripts/bench_phantom.py [--size 1920x1080] [--seconds 10] [--pan] [--objective 40x] [--rate 30]
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from her2scope.phantom.microscope import OBJECTIVES, PhantomMicroscope

PATIENCE_S = 300.0
PAN_UM_PER_S = 40.0
"""A slow search: a field in eight seconds at 40x."""
PAN_EVERY_S = 0.1


def main() -> None:
    """Measure at rest, then while panning where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--pan", action="store_true")
    parser.add_argument("--objective", default="40x", choices=list(OBJECTIVES))
    parser.add_argument("--rate", type=float, default=30.0, help="frames per second asked for")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    width, height = (int(side) for side in arguments.size.split("x"))
    started_s = time.monotonic()
    microscope = PhantomMicroscope(
        arguments.seed, (width, height), objective=arguments.objective, frame_rate=arguments.rate
    )
    print(f"made in {time.monotonic() - started_s:.2f} s")
    started_s = time.monotonic()
    microscope.open()
    microscope.read(PATIENCE_S)
    print(f"first frame {time.monotonic() - started_s:.2f} s after opening")
    _measure(microscope, arguments.seconds, "at rest, drawing ahead")
    all_drawn = microscope.draw_ahead(PATIENCE_S)
    print(f"all drawn ahead {time.monotonic() - started_s:.1f} s after opening: {all_drawn}")
    _measure(microscope, arguments.seconds, "at rest")
    if arguments.pan:
        _measure(microscope, arguments.seconds, "panning", PAN_UM_PER_S)
    started_s = time.monotonic()
    microscope.close()
    print(f"closed in {time.monotonic() - started_s:.2f} s")


def _measure(microscope: PhantomMicroscope, seconds: float, what: str, pan_um_per_s: float = 0.0) -> None:
    """Read for some time; the time of a read without the wait for the next frame's turn is told as work."""
    started_s = moved_s = time.monotonic()
    read_ms, work_ms = [], []
    while (now_s := time.monotonic()) < started_s + seconds:
        if pan_um_per_s and now_s >= moved_s + PAN_EVERY_S:
            microscope.move_by_um(pan_um_per_s * (now_s - moved_s), 0.0)
            moved_s = now_s
        frame = microscope.read(PATIENCE_S)
        ended_s = time.monotonic()
        read_ms.append(1e3 * (ended_s - now_s))
        work_ms.append(1e3 * (ended_s - frame.captured_s))
    rate = len(read_ms) / (time.monotonic() - started_s)
    print(f"{what}: {rate:.1f} frames/s, read {_figures(read_ms)}, of that after the wait {_figures(work_ms)}")


def _figures(times_ms: list[float]) -> str:
    return f"median {np.median(times_ms):.1f} ms, p95 {np.percentile(times_ms, 95):.1f} ms"


if __name__ == "__main__":
    main()
