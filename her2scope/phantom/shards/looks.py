"""Looks of a stored tile that are drawn anew with each sample: how dark nuclei of each kind are, how plain the ground.

What is tumour must not be told by one habit of drawing: on real slides tumour nuclei are paler or darker than those of
the stroma, and its cytoplasm is as blue and uneven as the ground around it, or not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from her2scope.imaging.opencv import cv2
from her2scope.phantom.shards.tiles import KINDS
from her2scope.records import Mask, Plane

EPITHELIAL_TONE, STROMAL_TONE = (-0.3, 0.9), (-0.9, 0.1)
"""Span of the logarithm of a factor on the haematoxylin of nuclei in a membrane, and of those without: drawn as they
are, the palest tumour nucleus (0.18 od10) stands far from the palest lymphocyte (0.46)."""
OWN_TONE = 0.35
"""Largest deviation of the logarithm from nucleus to nucleus: pleomorphic tumours vary most."""
MOST_UNEVEN = 0.6
"""Largest share by which cytoplasm varies over 9 um and over 2 um, each."""
SOFT_EDGE_UM = 0.5
"""Over which one nucleus' factor passes into the next one's."""
LARGEST = 255
_EPITHELIAL = np.isin(KINDS, ("none", "tumour", "normal"))


@dataclass(frozen=True, slots=True)
class Looks:
    """What is changed of a tile's looks; the defaults change nothing."""

    epithelial_tone: float = 0.0
    """Logarithm of the factor on nuclei of epithelial cells."""
    stromal_tone: float = 0.0
    """The same of all others."""
    own_tone: float = 0.0
    """Deviation of that logarithm from nucleus to nucleus."""
    plain_stroma: float = 0.0
    """Share (0..1) of the stroma's fibres that is spread evenly."""
    uneven_um9: float = 0.0
    uneven_um2: float = 0.0
    """Share (0..1) by which cytoplasm varies over 9 um and over 2 um."""


def draw_looks(rng: np.random.Generator) -> Looks:
    """Looks of one sample."""
    return Looks(
        float(rng.uniform(*EPITHELIAL_TONE)),
        float(rng.uniform(*STROMAL_TONE)),
        float(rng.uniform(0.0, OWN_TONE)),
        float(rng.random()),
        *(float(MOST_UNEVEN * rng.random()) for _ in range(2)),
    )


def with_looks(
    planes: dict[str, Plane | Mask],
    nucleus: NDArray[np.uint16],
    cells: NDArray[np.void],
    um_per_px: float,
    looks: Looks,
    rng: np.random.Generator,
) -> dict[str, Plane | Mask]:
    """Planes of a view with other looks.

    Parameters
    ----------
    planes : `nuclei`, `cytoplasm`, `fibres` and `stroma` in steps of 8 bits; `patches` and `beads` are textures
    nucleus : (h, w) rows of `cells` plus 1, over the same view at any scale
    cells : `tiles.CELL`
    um_per_px : scale of the planes
    """
    is_epithelial = _EPITHELIAL[cells["kind"]]
    tone = np.where(is_epithelial, looks.epithelial_tone, looks.stromal_tone)
    factor = np.exp(tone + looks.own_tone * rng.standard_normal(len(cells)))
    factor = np.concatenate([[1.0], factor])[nucleus].astype(np.float32)
    side = planes["nuclei"].shape[::-1]
    # A rim of the same factor: the drawn edge of a nucleus may lie a pixel outside its label.
    grown = np.where(nucleus > 0, factor, cv2.dilate(np.where(nucleus > 0, factor, 0.0), np.ones((3, 3), np.uint8)))
    grown = np.where(grown > 0.0, grown, 1.0).astype(np.float32)
    wide = cv2.GaussianBlur(cv2.resize(grown, side), (0, 0), SOFT_EDGE_UM / um_per_px)
    uneven = 1.0 + looks.uneven_um9 * planes["patches"] + looks.uneven_um2 * planes["beads"]
    fibres = planes["fibres"].astype(np.float32)
    plain = planes["stroma"] * np.float32(fibres.mean() / max(float(planes["stroma"].mean()), 1.0))
    return {
        **planes,
        "nuclei": _in_steps(planes["nuclei"] * wide),
        "cytoplasm": _in_steps(uneven * planes["cytoplasm"]),
        "fibres": _in_steps(fibres + looks.plain_stroma * (plain - fibres)),
    }


def _in_steps(plane: Plane | Mask) -> Mask:
    return np.clip(np.rint(plane), 0, LARGEST).astype(np.uint8)
