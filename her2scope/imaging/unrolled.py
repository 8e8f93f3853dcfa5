"""The outline of one cell unrolled: what a reader looks at to see why a cell has its class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.cells import StainCuts
from her2scope.imaging.opencv import cv2
from her2scope.imaging.outline_places import N_PLACES, even_places, normals, sampled
from her2scope.imaging.profiles import DEFAULT_PLACE_RULE, HALF_UM, Bools, Floats, PlaceRule, stained_places
from her2scope.records import Cell, CellProfiles, RgbImage, StainImage

SHOWN_HALF_UM = 1.6
"""Half the reach shown: twice the profile's, so that what lies beside a wall (2.1 um in 3+) is seen too."""
STEP_UM = 0.1
"""Between the steps across: half the profile's, finer than a pixel of a 40x objective."""


@dataclass(frozen=True, slots=True, eq=False)
class Unrolled:
    """What lies across one cell's own outline, at P places along it and K steps from its inside to its outside."""

    rgb: RgbImage
    """`(K, P, 3)` uint8: the picture straightened, the inside of the cell on top."""
    od10: Floats
    """`(P, K)` DAB."""
    across_um: Floats
    """`(K,)` of the steps, negative inside."""
    xy_px: Floats
    """`(P, 2)` places of the outline in the frame."""
    angle_deg: Floats
    """`(P,)` 0 to 360, seen from the nucleus' middle: from the +x axis, clockwise on the screen."""
    wall_od10: Floats
    """`(P,)` the wall as it is measured: the maximum within 0.8 um of the outline."""
    stained: Bools | None
    """`(P,)` which places count as stained; None where no profile of the cell is kept."""
    cuts: StainCuts


def unrolled(
    rgb: RgbImage,
    stains: StainImage,
    cell: Cell,
    cuts: StainCuts,
    profile: CellProfiles | None = None,
    rule: PlaceRule = DEFAULT_PLACE_RULE,
    half_um: float = SHOWN_HALF_UM,
) -> Unrolled:
    """Unroll a cell's outline.

    Parameters
    ----------
    rgb : (H, W, 3) uint8
        The frame's picture; beyond it, the nearest pixel goes on.
    stains : StainImage
        Of that picture.
    cell : Cell
        With at least three places of its outline, in pixels of the frame.
    cuts : StainCuts
        Of which the stained one is used.
    profile : CellProfiles
        Of this cell alone (`CellProfiles.of_cell`), where the method keeps them; its places are those of the strip.
    rule : PlaceRule
        By which the method takes a place as stained.
    half_um : float
        How far to each side.
    """
    outline = _clockwise(cell.outline_xy_px)[None]
    xy_px, _ = even_places(outline, N_PLACES if profile is None else profile.membrane.shape[1])
    outward = normals(xy_px)
    n_side = max(1, round(half_um / STEP_UM))
    across_um = np.linspace(-half_um, half_um, 2 * n_side + 1, dtype=np.float32)
    across_px = across_um / np.float32(stains.um_per_px)
    grid = xy_px[0] + across_px[:, None, None] * outward[0]
    od10 = sampled(stains.dab_od10, grid)
    away = xy_px[0] - np.array([cell.x_px, cell.y_px], np.float32)
    near = np.abs(across_um) <= HALF_UM + STEP_UM / 2
    return Unrolled(
        rgb=_picture_at(rgb, grid),
        od10=od10.T,
        across_um=across_um,
        xy_px=xy_px[0],
        angle_deg=np.mod(np.degrees(np.arctan2(away[:, 1], away[:, 0])), np.float32(360)),
        wall_od10=od10[near].max(axis=0) if profile is None else profile.wall_od10[0],
        stained=None if profile is None else stained_places(profile, cuts.stained_od10, rule)[0],
        cuts=cuts,
    )


def _clockwise(outline_px: Floats) -> Floats:
    """The outline round from x towards y, as normals need it; not every method draws its contours that way."""
    x, y = outline_px.T.astype(np.float64)
    doubled_area = np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)
    return outline_px if doubled_area >= 0 else outline_px[::-1]


def _picture_at(rgb: RgbImage, xy_px: NDArray[np.float32]) -> RgbImage:
    """Colours `(K, P, 3)` at places `(K, P, 2)`, bilinear."""
    x, y = np.ascontiguousarray(xy_px[..., 0]), np.ascontiguousarray(xy_px[..., 1])
    return cv2.remap(rgb, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
