"""Draw small phantom slides with scattered tumour, and as many without, for the pixelwise classifier.

    python scripts/draw_tumour_slides.py OUT --slides 24 --seed 7000
    her2scope pixels train OUT --annotations OUT --empty --classes tumour --um-per-px 1 --epochs 40 --out MODEL
    her2scope pixels evaluate MODEL OTHER --annotations OTHER --empty --um-per-px 1 --lesions tumour

A slide is `slide_000.png` at 1 um/px, and its tumour `slide_000.geojson`; every other one has none, and no such file.
Slides of a run that was stopped are not drawn again.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from her2scope.annotations.shapes import Annotation, Annotations
from her2scope.annotations.trace import trace
from her2scope.annotations.write import write_geojson
from her2scope.imaging.files import write_png
from her2scope.phantom.growth import Section
from her2scope.phantom.habit import draw_habit
from her2scope.phantom.noise import Grid, mixed_seed
from her2scope.phantom.run import make_run
from her2scope.phantom.slide import PhantomSlide
from her2scope.phantom.slide_truth import tumour_map
from her2scope.phantom.tissue import Tissue

UM_PER_PX = 1.0
SCORES = ("0", "1+", "2+", "3+", "mixed")
SCATTERED_LEVELS = (0.55, 0.8)
"""Heights of the nest field from which tissue is tumour: nests far apart, from a few cells to half a millimetre."""
NO_TUMOUR_LEVEL = 99.0
RIM_UM = 60.0
LEAST_UM2 = 400.0
"""Smaller pieces are of two cells or fewer: nobody would outline them."""


class TumourSlide(PhantomSlide):
    """A slide without controls, with one piece of tissue in which nests of tumour are far apart, or are not."""

    def __init__(self, seed: int, has_tumour: bool, size_um: tuple[float, float], difficulty: str) -> None:
        rng = np.random.default_rng(mixed_seed("tumour slide", seed))
        score = str(rng.choice(SCORES))
        super().__init__(make_run(seed, difficulty), score, size_um)
        level = float(rng.uniform(*SCATTERED_LEVELS)) if has_tumour else NO_TUMOUR_LEVEL
        right, bottom = (RIM_UM + side for side in size_um)
        self.sections = (Section("tissue", score, (RIM_UM, RIM_UM, right, bottom), level),)
        self.bounds_um = (0.0, 0.0, right + RIM_UM, bottom + RIM_UM)
        habit = replace(draw_habit(mixed_seed("habit", seed), difficulty), growth="nests", in_situ_ducts=0.0)
        self._tissue = Tissue(mixed_seed("tissue", seed), self.sections, habit)


def draw(folder: Path, number: int, seed: int, size_um: tuple[float, float], difficulty: str) -> None:
    """Draw one slide and its outlines."""
    start = folder / f"slide_{number:03d}"
    if start.with_suffix(".png").exists():
        return
    slide = TumourSlide(seed, number % 2 == 0, size_um, difficulty)
    width, height = (int(side / UM_PER_PX) for side in slide.bounds_um[2:])
    found = [
        polygon
        for polygon in trace(tumour_map(slide, Grid(0.0, 0.0, 2.0, width // 2, height // 2)), 0, 0, 2.0, 1.0)
        if np.ptp(polygon.outer, axis=0).prod() >= LEAST_UM2
    ]
    if found:
        items = tuple(Annotation("", "tumour", (polygon,)) for polygon in found)
        write_geojson(Annotations(items), start.with_suffix(".geojson"))
    write_png(start.with_suffix(".png"), slide.view(0, 0, (width, height), UM_PER_PX))
    print(f"{start.name}: {len(found)} pieces of tumour", flush=True)


def main() -> None:
    """Read the options and draw."""
    parser = argparse.ArgumentParser(description="phantom slides with scattered tumour, and without")
    parser.add_argument("out", type=Path)
    parser.add_argument("--slides", type=int, default=24)
    parser.add_argument("--seed", type=int, default=7000, help="of the first slide")
    parser.add_argument("--size-um", type=float, nargs=2, default=(1800.0, 1200.0), metavar=("W", "H"))
    parser.add_argument("--difficulty", default="usual")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for number in range(arguments.slides):
        draw(arguments.out, number, arguments.seed + number, tuple(arguments.size_um), arguments.difficulty)


if __name__ == "__main__":
    main()
