"""How the tissue of one case looks before any stain: growth, sizes, gaps, what lies between the nests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from her2scope.phantom.noise import mixed_seed


@dataclass(frozen=True, slots=True)
class Habit:
    """Looks of a tissue. The defaults are a tidy tumour in nests: what difficulty `easy` draws."""

    growth: str = "nests"
    """A key of `growth.GROWTHS`."""
    nest_scale: float = 1.0
    """Factor on the width of nests, sheets and cords, and of the stroma between them."""
    pitch_um: float = 14.5
    """Distance of neighbouring cells before jitter."""
    stretch: float = 1.0
    """Length of cells over their width."""
    grain_angle: float = 0.0
    """Direction (radians) in which cells are long."""
    size_variation: float = 0.0
    """Spread of the cells' sizes (0..0.1): of their power weights, in squares of the pitch."""
    gap_share: float = 0.0
    """Share of walls between epithelial cells that have come apart."""
    gap_um: float = 1.6
    """Widest such gap."""
    bulge: float = 0.12
    """How far cells bulge into empty places, as a share of the wall's length."""
    corner_share: float = 0.0
    """Share of the corners between cells with a small empty place."""
    vacuole_share: float = 0.0
    """Share of epithelial cells with an empty vacuole."""
    slant_share: float = 0.0
    """Share of walls cut aslant: broader and paler."""
    line_width: float = 1.0
    """Factor on the width of DAB lines."""
    line_variation: float = 0.0
    """Share of walls with a thinner or thicker line."""
    ragged_um: float = 0.0
    """Size of the jags in walls, 1.3 um apart."""
    warp_um: float = 0.8
    """Size of the bends, 15 um apart, that make cells uneven."""
    nucleus_share: float = 0.62
    """Mean diameter of tumour nuclei in pitches."""
    nucleus_variation: float = 0.10
    """Relative spread of their diameters."""
    vesicular: float = 0.5
    """How pale nuclei are inside and how marked their rim and nucleoli, 0..1."""
    chromatin: float = 0.6
    """Roughness of nuclei: 1 varies their haematoxylin by about a third."""
    nucleus_blur_um: float = 0.0
    """Deviation of a blur of nuclei alone: their edges seldom stand upright in the section."""
    irregular: float = 0.06
    """Depth of the dents in nuclei, as a share of the radius."""
    eccentric: float = 0.4
    """How far nuclei lie off the middle of their cells: 1 is all the room there is."""
    disorder: float = 0.0
    """How far tumour nuclei leave the order of their cells, 0..1: long, bent and dark ones beside round and pale ones,
    pressed aside, over their neighbours."""
    no_nucleus_share: float = 0.04
    """Tumour cells whose nucleus lies outside the section."""
    ghost_share: float = 0.0
    """Cells with a pale, blurred nucleus that shines through from another depth of the section."""
    mitosis_share: float = 0.004
    lumen_um: float = 62.0
    """Width of the noise that opens lumina in tumour."""
    lumen_level: float = 0.62
    """Its level; 1 opens none."""
    tear_level: float = 0.42
    """Level of the noise that tears stroma open; 1 tears none."""
    retraction: float = 0.0
    """How far (in heights of the nest field) stroma has drawn back from tumour."""
    retraction_level: float = 0.0
    necrosis_level: float = 1.0
    """Level of the noise that makes tumour necrotic; 1 makes none."""
    in_situ_ducts: float = 0.0
    """Chance of a duct filled with tumour per 330 um square."""
    normal_ducts: float = 0.0
    """Chance of a normal duct per 210 um square."""
    normal_stain: float = 0.0
    """Share of a normal duct's cells with some faint membrane."""
    vessels: float = 0.0
    """Chance of a vessel per 95 um square."""
    fat_level: float = 1.0
    """Level of the noise above which stroma is fat; 1 makes none."""
    cellularity: float = 1.0
    """Factor on the number of stromal nuclei."""
    lymphocytes: float = 0.15
    """Share of lymphocytes among stromal nuclei outside their flocks."""
    plasma_share: float = 0.0
    """Share of plasma cells among round stromal cells."""


GROWTH_CHANCES: Mapping[str, float] = {
    "nests": 0.30,
    "sheets": 0.24,
    "cords": 0.14,
    "single_file": 0.08,
    "glands": 0.14,
    "ducts": 0.10,
}
"""How often each growth is drawn. Most breast cancers are of no special type: nests, sheets and cords."""
Range = tuple[float, float]
USUAL: Mapping[str, Range] = {
    "pitch_um": (10.0, 15.5),
    "stretch": (1.0, 1.35),
    "size_variation": (0.0, 0.06),
    "gap_share": (0.0, 0.15),
    "gap_um": (0.8, 2.5),
    "bulge": (0.02, 0.2),
    "corner_share": (0.0, 0.25),
    "vacuole_share": (0.0, 0.05),
    "slant_share": (0.0, 0.15),
    "line_width": (0.85, 1.2),
    "line_variation": (0.1, 0.4),
    "ragged_um": (0.0, 0.3),
    "warp_um": (0.6, 1.8),
    "chromatin": (0.2, 1.0),
    "nucleus_blur_um": (0.0, 0.4),
    "nucleus_share": (0.54, 0.68),
    "nucleus_variation": (0.08, 0.18),
    "vesicular": (0.1, 0.9),
    "irregular": (0.04, 0.10),
    "eccentric": (0.2, 0.9),
    "no_nucleus_share": (0.03, 0.15),
    "ghost_share": (0.0, 0.15),
    "lumen_um": (40.0, 75.0),
    "lumen_level": (0.5, 0.85),
    "tear_level": (0.3, 0.8),
    "retraction": (0.0, 0.12),
    "retraction_level": (-0.2, 0.8),
    "necrosis_level": (0.7, 1.2),
    "in_situ_ducts": (0.0, 0.10),
    "normal_ducts": (0.0, 0.10),
    "normal_stain": (0.0, 0.25),
    "vessels": (0.05, 0.30),
    "fat_level": (0.25, 1.3),
    "cellularity": (0.6, 1.3),
    "lymphocytes": (0.05, 0.4),
    "plasma_share": (0.0, 0.35),
    "disorder": (0.0, 0.3),
    "nest_scale": (0.8, 1.2),
}
"""Ranges of what is drawn evenly per case: measured ones beside their figures in `docs/guides/phantom.md`."""
HARD: Mapping[str, Range] = {
    **USUAL,
    "pitch_um": (7.8, 21.0),
    "stretch": (1.0, 1.8),
    "size_variation": (0.0, 0.10),
    "gap_share": (0.0, 0.35),
    "gap_um": (0.8, 4.0),
    "bulge": (0.0, 0.3),
    "corner_share": (0.0, 0.6),
    "vacuole_share": (0.0, 0.15),
    "slant_share": (0.0, 0.35),
    "line_width": (0.50, 1.35),
    "line_variation": (0.1, 0.7),
    "ragged_um": (0.0, 0.5),
    "warp_um": (0.6, 2.2),
    "chromatin": (0.0, 1.2),
    "nucleus_blur_um": (0.0, 0.7),
    "nucleus_share": (0.46, 0.90),
    "nucleus_variation": (0.08, 0.28),
    "vesicular": (0.0, 1.0),
    "irregular": (0.04, 0.16),
    "eccentric": (0.2, 1.0),
    "no_nucleus_share": (0.03, 0.45),
    "ghost_share": (0.0, 0.35),
    "lumen_level": (0.42, 1.3),
    "tear_level": (0.25, 1.4),
    "retraction": (0.0, 0.30),
    "necrosis_level": (0.6, 1.1),
    "in_situ_ducts": (0.0, 0.25),
    "normal_ducts": (0.0, 0.25),
    "normal_stain": (0.0, 0.6),
    "vessels": (0.05, 0.5),
    "cellularity": (0.4, 2.0),
    "lymphocytes": (0.05, 0.7),
    "disorder": (0.0, 1.0),
    "nest_scale": (0.4, 1.3),
}
EVEN_BY_FACTOR = ("pitch_um", "nest_scale")
"""Of `HARD`, drawn evenly by factor, not by difference: small cells are as common as large ones."""
EASY = Habit()


def draw_habit(seed: int, difficulty: str, fixed: Mapping[str, float | str] | None = None) -> Habit:
    """Habit of a case. What `fixed` names is not drawn; the rest stays the same whatever it names."""
    if difficulty == "easy":
        return replace(EASY, **(fixed or {}))  # type: ignore[arg-type]
    ranges = HARD if difficulty == "hard" else USUAL
    rng = np.random.default_rng(mixed_seed("habit", seed))
    growth = str(rng.choice(list(GROWTH_CHANCES), p=list(GROWTH_CHANCES.values())))
    drawn = {name: float(rng.uniform(*ranges[name])) for name in ranges}
    if difficulty == "hard":
        for name in EVEN_BY_FACTOR:
            low, high = ranges[name]
            drawn[name] = low * (high / low) ** ((drawn[name] - low) / (high - low))
    angle = float(rng.uniform(0.0, np.pi))
    return replace(Habit(growth=growth, grain_angle=angle, **drawn), **(fixed or {}))  # type: ignore[arg-type]
