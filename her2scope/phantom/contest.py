"""A contest of phantom slides: which slides, by one seed. Nothing of them is drawn or stored."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle, islice

import numpy as np

from her2scope.phantom.noise import mixed_seed
from her2scope.phantom.run import STAINERS
from her2scope.phantom.scanners import SCANNERS
from her2scope.phantom.slide_file import SlideSpec

SLIDES = 28
"""As many as the HER2 contest had."""
PATTERNS_IN_TURN = ("0", "1+", "2+", "3+", "ultralow", "1+", "mixed", "3+")
"""As many of each score; half of the 0 are ultralow, half of the 2+ have a few intense cells."""
CASE_UM = (1000.0, 750.0)
"""A thousand tumour cells or more, in 0.75 mm2: real slides have a hundred times as much."""
UM_PER_PX = {"boreas": 0.23}
"""Of scanners that differ from `USUAL_UM_PER_PX`."""
USUAL_UM_PER_PX = 0.25


@dataclass(frozen=True, slots=True)
class ContestSlide:
    """One slide of a contest."""

    case: str
    spec: SlideSpec


def plan_contest(
    seed: int, slides: int = SLIDES, difficulty: str = "usual", case_um: tuple[float, float] = CASE_UM
) -> list[ContestSlide]:
    """The slides of a contest, by their names. Scores, stainers and scanners are as even as can be, in random order."""
    rng = np.random.default_rng(mixed_seed("contest", seed))
    patterns, stainers, scanners = (
        rng.permutation(list(islice(cycle(names), slides))).tolist()
        for names in (PATTERNS_IN_TURN, tuple(STAINERS), tuple(SCANNERS))
    )
    width = max(2, len(str(slides)))
    return [
        ContestSlide(
            f"case_{number:0{width}d}",
            SlideSpec(
                seed=mixed_seed("contest slide", seed, number) % 2**31,
                score=pattern,
                difficulty=difficulty,
                stainer=stainer,
                scanner=scanner,
                case_um=case_um,
                um_per_px=UM_PER_PX.get(scanner, USUAL_UM_PER_PX),
            ),
        )
        for number, (pattern, stainer, scanner) in enumerate(zip(patterns, stainers, scanners, strict=True), start=1)
    ]
