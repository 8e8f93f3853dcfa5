"""How well and how fast frames are placed on the map of a slide: drawn slides, a hand's way, blur, and jumps."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from her2scope.evaluation.moving_views import UM_PER_PX, Camera, DrawnArea, Places, hand_path, velocities_px_s
from her2scope.evaluation.table import Figure, PartReport, at_most, told
from her2scope.evaluation.work import Analysers, Makers, Tell, done_in_any_order
from her2scope.imaging.opencv import cv2
from her2scope.pipeline.slide_map import SlideMap
from her2scope.ports import JsonObject

AREA_WH = (3200, 1560)
SIZES_WH: Sequence[tuple[int, int]] = ((1280, 720), (1920, 1080))
FRAMES = 200
PATTERNS = ("2+", "1+", "0")
PATH_SEEDS = 9_000_000
"""Added to the first seed."""
MEDIAN_UM, P95_UM, MOST_MS = 1.0, 3.0, 5.0
OUT_OF_FOCUS = slice(80, 95)
"""Half a second of a path is taken out of focus."""
DEFOCUS_PX = 6.0
STILL = 12
"""Frames at each place that is jumped to."""


@dataclass(frozen=True, slots=True)
class SlideSpec:
    """One drawn slide."""

    pattern: str
    seed: int


@dataclass(frozen=True, slots=True)
class PathTally:
    """One path over one slide."""

    kind: str
    errors_um: tuple[float, ...]
    """Of the frames that the map trusts, on its first island."""
    return_um: float
    """How far the last frame, taken where the first was, is placed from it."""
    ms: tuple[float, ...]
    """Processor time of each frame."""
    untrusted: int
    islands: int
    """Started, the first one included."""
    left: int
    """Not joined at the end."""


def evaluate_registration(makers: Makers, first_seed: int, tell: Tell, workers: int = 1) -> Mapping[str, PartReport]:
    """Lead a camera over drawn slides; no method reads them, so every method's report is the same."""
    specs = [SlideSpec(pattern, first_seed + PATH_SEEDS + k) for k, pattern in enumerate(PATTERNS)]
    found: dict[SlideSpec, list[PathTally]] = {}
    for spec, tallies in done_in_any_order(walk_slide, specs, {}, workers):
        found[spec] = tallies
        tell(f"registration: {len(found)} of {len(specs)} slides")
    report = _report([tally for spec in specs for tally in found[spec]])
    return dict.fromkeys(makers, report)


def walk_slide(_: Analysers, spec: SlideSpec) -> list[PathTally]:
    """Draw one slide and walk all paths over it, on one core."""
    area = DrawnArea.of(spec.pattern, spec.seed, AREA_WH)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        return list(_walked(area, spec.seed))
    finally:
        cv2.setNumThreads(threads)


def _walked(area: DrawnArea, seed: int) -> Iterator[PathTally]:
    rng = np.random.default_rng(seed)
    for size_wh in SIZES_WH:
        right, bottom = AREA_WH[0] - size_wh[0] - 40.0, AREA_WH[1] - size_wh[1] - 40.0
        corners = [(40.0, 40.0), (right, 60.0), (right - 40.0, bottom), (60.0, bottom), (40.0, 40.0)]
        places = hand_path(corners, FRAMES // 4, rng)[:FRAMES]
        places[-1] = places[0]
        yield _walk(f"{size_wh[0]}x{size_wh[1]}", Camera(area, size_wh, seed), places, velocities_px_s(places))
        near, far = (40.0, 40.0), (right, bottom)
        jumps = np.repeat([near, far, near], STILL, axis=0)
        walk = hand_path([near, far, far, near], 40, rng)
        velocities = np.concatenate([np.zeros_like(jumps), velocities_px_s(walk)])
        camera = Camera(area, size_wh, seed)
        yield _walk(f"{size_wh[0]}x{size_wh[1]}, jumps", camera, np.concatenate([jumps, walk]), velocities)


def _walk(kind: str, camera: Camera, places: Places, velocities: Places) -> PathTally:
    slide_map, placed, ms, untrusted = SlideMap(), [], [], 0
    for k, (place, velocity) in enumerate(zip(places, velocities, strict=True)):
        out_of_focus = OUT_OF_FOCUS.start <= k < OUT_OF_FOCUS.stop
        frame = camera.taken(place, velocity, DEFOCUS_PX if out_of_focus else 0.0)
        start_s = time.thread_time()
        tracked = slide_map.place(frame)
        ms.append(1000.0 * (time.thread_time() - start_s))
        untrusted += not tracked.trusted
        placed.append((tracked.island, tracked.x_um, tracked.y_um, tracked.trusted))
    first = placed[0][0]
    off_um = np.array([item[1:3] for item in placed]) - (places - places[0]) * UM_PER_PX
    errors = [float(np.hypot(*off)) for off, item in zip(off_um, placed, strict=True) if item[0] == first and item[3]]
    view = slide_map.view
    last = float(np.hypot(*off_um[-1])) if placed[-1][0] == first else float("inf")
    left = len({tile.island for tile in view.tiles})
    return PathTally(kind, tuple(errors), last, tuple(ms), untrusted, slide_map.next_island, left)


# ---- figures ------------------------------------------------------------------------------------------------------


def _report(tallies: Sequence[PathTally]) -> PartReport:
    figures: list[Figure] = []
    for kind in dict.fromkeys(tally.kind for tally in tallies):
        figures += _figures(kind, [tally for tally in tallies if tally.kind == kind])
    return PartReport(tuple(figures), _details(tallies))


def _figures(kind: str, tallies: Sequence[PathTally]) -> list[Figure]:
    on = f"hand's way over a drawn slide, {kind}"
    errors = np.concatenate([tally.errors_um for tally in tallies])
    ms = np.concatenate([tally.ms for tally in tallies])
    n = f"{len(tallies)} slides, {len(ms)} frames"
    islands = "; ".join(f"{tally.islands} started, {tally.left} left" for tally in tallies)
    untrusted = sum(tally.untrusted for tally in tallies)
    return [
        at_most(on, "error of the place, median", float(np.median(errors)), MEDIAN_UM, "um", n),
        at_most(on, "error of the place, p95", float(np.percentile(errors, 95)), P95_UM, "um"),
        at_most(on, "error after the return", max(tally.return_um for tally in tallies), MEDIAN_UM, "um", "largest"),
        at_most(on, "ms per frame, median", float(np.median(ms)), MOST_MS, "ms", "processor time, one thread"),
        told(on, "ms per frame, p95", *_ms(np.percentile(ms, 95))),
        told(on, "islands", None, islands),
        told(on, "frames not trusted", float(untrusted), f"{untrusted} of {len(ms)}"),
    ]


def _ms(value: float) -> tuple[float, str]:
    return float(value), f"{value:.1f} ms"


def _details(tallies: Sequence[PathTally]) -> JsonObject:
    return {
        "paths": [
            {
                "kind": tally.kind,
                "median_um": float(np.median(tally.errors_um)),
                "p95_um": float(np.percentile(tally.errors_um, 95)),
                "largest_um": max(tally.errors_um),
                "untrusted": tally.untrusted,
                "islands": tally.islands,
                "left": tally.left,
            }
            for tally in tallies
        ]
    }
