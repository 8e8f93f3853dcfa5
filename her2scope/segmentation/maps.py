"""What the network says of a picture: maps at its own scale, before any cell is cut out of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from her2scope.records import Plane

NETWORK_UM_PER_PX = 0.5
"""Scale that pictures are brought to (design section 2)."""
HALF, QUARTER = 2, 4
"""Maps of nuclei have a half, those of the surroundings a quarter of the input's rows and columns."""
N_REACHES = 32
"""Directions in which the network says how far a cell reaches: x to the right first, then towards y (down)."""


@dataclass(frozen=True, slots=True, eq=False)
class NetworkMaps:
    """Maps of a picture of `(H, W)` network pixels; pixel centres are integers in each map's own pixels.

    `x` of a map `n` times smaller is `n * x + (n - 1) / 2` in network pixels.
    """

    membrane: Plane
    """`(H, W)` 0..1: a stained membrane passes here. Haze and granules of the cytoplasm are none."""
    nucleus: Plane
    """`(H/2, W/2)` 0..1: a nucleus that an eye can find."""
    centre: Plane
    """`(H/2, W/2)` 0..1: 1 in the middle of a nucleus, falling to its rim."""
    tumour: Plane
    """`(H/2, W/2)` 0..1: the nucleus here is a tumour cell's; elsewhere without meaning."""
    offset_um: NDArray[np.float32]
    """`(2, H/2, W/2)`: from here to the middle of the nucleus that is here, x then y; elsewhere without meaning."""
    tissue: Plane
    """`(H/4, W/4)` 0..1: tissue, not glass, lumen or fat."""
    reach_um: NDArray[np.float32]
    """`(N_REACHES, H/4, W/4)`: from here to the outline of the cell whose nucleus is here; elsewhere without
    meaning. The network's guess, good to about 1 um: what follows membranes starts from it."""
    um_per_px: float
    """True scale of a network pixel: the frame's own, times the whole factor of reduction."""
