"""The band along each cell's own outline, unrolled: what a reader of outlines sees.

A picture of the stains 3 um to each side of the outline, straightened, so that a wall runs along it and what crosses it
is something else.
"""

from __future__ import annotations

import numpy as np

from her2scope.imaging.cell_outlines import CellOutlines
from her2scope.imaging.profiles import N_PLACES, Floats, even_places, normals, sampled
from her2scope.records import Plane

BAND_UM = 3.2
"""How far to each side: past the thickest wall (3.6 um wide, cut aslant), to a neighbour's and a nucleus' rim."""
N_STAIN, N_MAP = 17, 9
"""Steps across: 0.4 um in the frame, 0.8 um in the network's maps."""
CHANNELS = (
    *(f"dab_{k}" for k in range(N_STAIN)),
    *(f"haematoxylin_{k}" for k in range(N_STAIN)),
    *(f"membrane_{k}" for k in range(N_MAP)),
    *(f"nucleus_{k}" for k in range(N_MAP)),
    "um_per_px",
    "spacing_um",
    "nucleus_um",
)
"""Rows of a band, from the inside of the cell outwards; the last three are the same at every place."""
OD10_UNIT, OD10_LIMITS = 0.25, (-0.25, 1.5)
"""od10 is given in units of a usual faint wall."""


def read_bands(
    outlines: CellOutlines,
    dab_od10: Plane,
    haematoxylin_od10: Plane,
    um_per_px: float,
    membrane: Plane,
    nucleus: Plane,
    membrane_um_per_px: float,
) -> Floats:
    """Bands `(N, len(CHANNELS), N_PLACES)` of N cells.

    Parameters
    ----------
    outlines : CellOutlines
        In pixels of the frame.
    dab_od10, haematoxylin_od10 : (H, W) float32
        The frame's stains.
    um_per_px : float
        Of the frame.
    membrane : (h, w) float32
        Probability (0..1) that a stained membrane passes; it begins at the frame's top left corner.
    nucleus : (h/2, w/2) float32
        Probability (0..1) of a nucleus.
    membrane_um_per_px : float
        Of the plane `membrane`; that of `nucleus` is twice as coarse.
    """
    xy_px, spacing_px = even_places(outlines.places_xy_px(), N_PLACES)
    outward = normals(xy_px)
    bands = np.empty((len(xy_px), len(CHANNELS), N_PLACES), np.float32)
    row = 0
    for plane in (dab_od10, haematoxylin_od10):
        for step_um in np.linspace(-BAND_UM, BAND_UM, N_STAIN):
            od10 = sampled(plane, xy_px + np.float32(step_um / um_per_px) * outward)
            bands[:, row] = np.clip(od10, *OD10_LIMITS) / OD10_UNIT
            row += 1
    for plane, coarse_um in ((membrane, membrane_um_per_px), (nucleus, 2 * membrane_um_per_px)):
        factor = np.float32(um_per_px / coarse_um)
        middle_px = (xy_px + np.float32(0.5)) * factor - np.float32(0.5)
        for step_um in np.linspace(-BAND_UM, BAND_UM, N_MAP):
            bands[:, row] = sampled(plane, middle_px + np.float32(step_um / coarse_um) * outward)
            row += 1
    bands[:, row] = um_per_px / 0.25
    bands[:, row + 1] = spacing_px[:, None] * np.float32(um_per_px)
    bands[:, row + 2] = outlines.nucleus_px[:, None] * np.float32(um_per_px / 4.0)
    return bands
