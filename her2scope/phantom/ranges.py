"""How far each nuisance of stain, optics and camera goes, by difficulty.

Ranges of what could be measured on real fields cover what was found there; `docs/guides/phantom.md` has the figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from her2scope.domain.errors import NotAvailableError

Ranges = Mapping[str, tuple[float, float]]

DIFFICULTIES = ("easy", "usual", "hard")
RARE = {
    "haze_od10": 1.4,
    "granular_od10": 1.6,
    "background_od10": 2.0,
    "nuclear_od10": 3.0,
    "edge_od10": 2.0,
    "precipitate": 3.0,
    "flare": 2.0,
    "defocus_um": 2.0,
    "electrons": 2.0,
    "haematoxylin_gain": 1.2,
    "denoise": 1.5,
    "axial_blur_um": 1.5,
    "vignetting": 2.0,
    "shading": 3.0,
    "exposure": 3.0,
    "upscaling": 1.5,
}
"""What most runs have near the lower end of its range: the power that an even draw is raised to."""

STAINS: Mapping[str, Ranges] = {
    "easy": {
        "dab_gain": (0.92, 1.08),
        "haematoxylin_gain": (1.03, 1.27),
        "cytoplasm_od10": (0.05, 0.06),
        "stroma_od10": (0.05, 0.07),
        "haze_od10": (0.014, 0.026),
        "leak_share": (0.035, 0.065),
        "granularity": (0.2, 0.2),
        "patchiness": (0.14, 0.14),
    },
    "usual": {
        "dab_gain": (0.85, 1.15),
        "intense_boost": (1.0, 1.6),
        "haematoxylin_gain": (0.4, 1.1),
        "cytoplasm_od10": (0.01, 0.08),
        "roughness": (0.4, 1.4),
        "stroma_od10": (0.03, 0.10),
        "haze_od10": (0.0, 0.22),
        "granular_od10": (0.0, 0.25),
        "leak_share": (0.05, 0.45),
        "background_od10": (0.0, 0.02),
        "nuclear_od10": (0.0, 0.03),
        "veil_share": (0.3, 0.8),
        "granularity": (0.2, 0.45),
        "patchiness": (0.10, 0.50),
        "edge_od10": (0.0, 0.2),
        "precipitate": (0.0, 0.3),
        "unevenness": (0.0, 0.1),
    },
    "hard": {
        "dab_gain": (0.75, 1.6),
        "intense_boost": (1.0, 3.0),
        "haematoxylin_gain": (0.0, 1.4),
        "cytoplasm_od10": (0.0, 0.13),
        "roughness": (0.0, 2.0),
        "stroma_od10": (0.01, 0.16),
        "haze_od10": (0.0, 0.40),
        "granular_od10": (0.0, 0.4),
        "leak_share": (0.03, 0.6),
        "background_od10": (0.0, 0.12),
        "nuclear_od10": (0.0, 0.12),
        "veil_share": (0.1, 0.9),
        "granularity": (0.15, 0.75),
        "patchiness": (0.08, 0.65),
        "edge_od10": (0.0, 0.8),
        "precipitate": (0.0, 1.0),
        "unevenness": (0.0, 0.25),
    },
}
HUE_SHIFTS_DEG: Mapping[str, float] = {"easy": 1.0, "usual": 3.0, "hard": 6.0}
"""Largest turn of a stain's hue, in each of two angles, within a stainer."""

OPTICS: Mapping[str, Ranges] = {
    "easy": {
        "shading": (0.02, 0.02),
        "blur_um": (0.06, 0.06),
        "electrons": (40_000.0, 40_000.0),
        "white": (0.85, 0.92),
        "red_cast": (-0.05, 0.03),
        "blue_cast": (-0.03, 0.05),
    },
    "usual": {
        "shading": (0.0, 0.08),
        "lamp_tilt": (0.0, 0.03),
        "vignetting": (0.0, 0.05),
        "blur_um": (0.04, 0.14),
        "electrons": (2_500.0, 12_000.0),
        "read_noise": (3.0, 10.0),
        "white": (0.80, 0.94),
        "red_cast": (-0.08, 0.03),
        "blue_cast": (-0.03, 0.06),
        "defocus_um": (0.0, 0.2),
        "axial_blur_um": (0.0, 0.1),
        "lateral": (-0.2, 0.2),
        "flare": (0.0, 0.03),
        "black_level": (-0.01, 0.01),
        "contrast": (0.0, 0.3),
        "saturation": (0.9, 1.2),
        "hue_deg": (-4.0, 4.0),
        "sharpening": (0.0, 3.0),
        "sharpening_px": (1.0, 1.8),
        "denoise": (0.0, 0.4),
        "chroma_blur_px": (0.0, 1.5),
        "upscaling": (1.0, 1.3),
    },
    "hard": {
        "shading": (0.0, 0.20),
        "lamp_tilt": (0.0, 0.10),
        "vignetting": (0.0, 0.3),
        "blur_um": (0.02, 0.25),
        "electrons": (1_500.0, 12_000.0),
        "read_noise": (3.0, 20.0),
        "white": (0.56, 1.02),
        "red_cast": (-0.14, 0.06),
        "blue_cast": (-0.09, 0.12),
        "exposure": (1.0, 1.3),
        "defocus_um": (0.0, 0.6),
        "axial_blur_um": (0.0, 0.4),
        "lateral": (-1.0, 1.0),
        "flare": (0.0, 0.07),
        "black_level": (-0.06, 0.04),
        "contrast": (-0.3, 0.6),
        "saturation": (0.6, 1.5),
        "hue_deg": (-6.0, 6.0),
        "sharpening": (0.0, 5.0),
        "sharpening_px": (0.9, 3.0),
        "denoise": (0.0, 0.9),
        "chroma_blur_px": (0.0, 2.5),
        "upscaling": (1.0, 2.0),
    },
}


def drawn(tables: Mapping[str, Ranges], difficulty: str, rng: np.random.Generator) -> dict[str, Any]:
    """One value of each range of a difficulty.

    Raises
    ------
    NotAvailableError
        If the difficulty has no table.
    """
    if difficulty not in tables:
        raise NotAvailableError("difficulty", difficulty, sorted(tables))
    return {
        name: low + (high - low) * float(rng.random()) ** RARE.get(name, 1.0)
        for name, (low, high) in tables[difficulty].items()
    }
