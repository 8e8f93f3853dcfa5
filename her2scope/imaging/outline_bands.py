"""The band along each cell's own outline, unrolled: what a reader of outlines sees.

A picture of the stains 3 um to each side of the outline, straightened, so that a wall runs along it and what crosses it
is something else.
"""

from __future__ import annotations

import numpy as np

from her2scope.imaging.outline_places import Floats, OutlinePlaces
from her2scope.imaging.workspace import Workspace
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
CELLS_AT_ONCE = 128
"""Whose bands (1.8 MB) and places are worked on at once: more would leave the processor's cache."""
OD10_UNIT, OD10_LIMITS = 0.25, (-0.25, 1.5)
"""od10 is given in units of a usual faint wall."""


def read_bands(
    places: OutlinePlaces,
    dab_od10: Plane,
    haematoxylin_od10: Plane,
    um_per_px: float,
    membrane: Plane,
    nucleus: Plane,
    membrane_um_per_px: float,
    workspace: Workspace | None = None,
) -> Floats:
    """Bands `(N, len(CHANNELS), P)` of N cells.

    Parameters
    ----------
    places : OutlinePlaces
        P along each outline, in pixels of the frame.
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
    workspace : Workspace
        Where the bands lie until it is used again; without it they are the caller's own.
    """
    workspace = workspace or Workspace()
    bands = workspace.floats("bands", len(places), len(CHANNELS), places.x_px.shape[1])
    for rows, some in places.parts(CELLS_AT_ONCE):
        _unroll_stains(some, (dab_od10, haematoxylin_od10), um_per_px, bands[rows], workspace)
        maps = (membrane, membrane_um_per_px), (nucleus, 2 * membrane_um_per_px)
        _unroll_maps(some, maps, um_per_px, bands[rows], workspace)
    bands[:, -3] = um_per_px / 0.25
    bands[:, -2] = places.spacing_px[:, None] * np.float32(um_per_px)
    bands[:, -1] = places.outlines.nucleus_px[:, None] * np.float32(um_per_px / 4.0)
    return bands


def _unroll_stains(
    places: OutlinePlaces, planes: tuple[Plane, Plane], um_per_px: float, bands: Floats, workspace: Workspace
) -> None:
    """Write the stains' rows of bands."""
    across = places.across(_steps_px(N_STAIN, um_per_px), workspace)
    for k, plane in enumerate(planes):
        across.sampled(plane, _channels(bands, k * N_STAIN, N_STAIN))
    od10 = _channels(bands, 0, 2 * N_STAIN)
    np.clip(od10, *OD10_LIMITS, out=od10)
    od10 *= np.float32(1 / OD10_UNIT)  # a power of two: as exact as a division, and faster


def _unroll_maps(
    places: OutlinePlaces,
    planes: tuple[tuple[Plane, float], ...],
    um_per_px: float,
    bands: Floats,
    workspace: Workspace,
) -> None:
    """Write the rows of planes that have scales (um per px) of their own."""
    for k, (plane, plane_um) in enumerate(planes):
        across = places.scaled(um_per_px / plane_um).across(_steps_px(N_MAP, plane_um), workspace)
        across.sampled(plane, _channels(bands, 2 * N_STAIN + k * N_MAP, N_MAP))


def _steps_px(n: int, um_per_px: float) -> Floats:
    return (np.linspace(-BAND_UM, BAND_UM, n) / um_per_px).astype(np.float32)


def _channels(bands: Floats, first: int, n: int) -> Floats:
    """Some channels of bands, `(N, n * P)`, in place."""
    n_places = bands.shape[2]
    return bands.reshape(len(bands), -1)[:, first * n_places : (first + n) * n_places]
