"""Membrane profiles across each cell's own outline, at full camera resolution, and what they say of its membrane.

A place of an outline is stained where the network sees a membrane, its od10 is above the noise, and it stands out from
what lies beside it. Haze has no line and does not stand out: it is not membrane, however brown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.cells import CellRule, MembraneMeasure, StainCuts
from her2scope.imaging.cell_outlines import CellOutlines
from her2scope.imaging.opencv import cv2
from her2scope.imaging.outlines import MAX_REMAP_ROWS
from her2scope.records import FAINT, INTENSE, CellProfiles, Mask, Plane

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

N_PLACES = 64
"""Places along an outline, evenly by length: 0.6 um apart on a cell of 12 um, 1.2 um on one of 24 um. As many for each
cell, so that their share is the share of its outline."""
HALF_UM = 0.8
"""Half the reach across an outline in which a wall's maximum is taken (design section 1)."""
N_ACROSS = 9
"""Steps across: 0.2 um, a third of the thinnest line."""
N_ACROSS_NETWORK = 5
"""The same for the network's map, whose pixels are 0.5 um."""
BESIDE_UM = (1.2, 2.2, 3.2)
"""How far beside an outline cytoplasm and background are looked for: from just past the profile to past the edge of the
thickest wall (2.1 um wide, 3.6 um where it is cut aslant), whose own profile never leaves it."""
AVERAGED_PLACES = 5
"""Places (3 um) over which wall and surroundings are averaged before they are compared: the outline keeps to the line,
so noise goes down and the line stays."""
UNIFORM_SHARE = CellRule().intense_share
"""Of an outline, that an intense membrane is at least as strong as its cut on."""
BRIDGED_UM = 1.0
"""Gaps shorter than this are no gaps (design section 3)."""


@dataclass(frozen=True, slots=True)
class PlaceRule:
    """When a place of an outline is stained: sure by itself, or likely and joined to one that is sure.

    Chosen on hard phantoms of seven runs with a stand-in for the network: its lines whole, or a tenth or a fifth of the
    faint ones broken and membrane seen where none is. Rightly none, incomplete or complete are 98, 97 and 93 % of the
    cells; 97, 96 and 93 % without likely places, 98, 96 and 88 % without contrast.
    """

    membrane: float = 0.8
    """Probability of a membrane that makes a place sure. On 24 usual and 36 hard phantom fields of the trained networks
    (sure, likely) = (0.6, 0.6), (0.7, 0.5), (0.8, 0.5) and (0.9, 0.5) class 90, 90, 90 and 89 % of the usual cells
    rightly and 70, 70, 70 and 69 % of the hard ones; they find 83, 84, 82 and 77 % of the faint cells of usual fields
    and call 1.4, 1.5, 1.0 and 0.5 % of their unstained cells stained. Any least run from 1 to 3 um does as well."""
    contrast_od10: float = 0.04
    """Contrast that does: twice what noise of a usual camera (0.02 od10) gives haze."""
    contrast_of_wall: float = 0.25
    """Or this share of the wall, where that is less: a pale line on clear ground. One hard run in six is so bright that
    faint lines have 0.03 od10, of which most is contrast."""
    likely_membrane: float = 0.5
    likely_contrast_od10: float = -0.03
    """The same of a likely place. A line goes on where granules or a neighbour's wall lie beside it."""
    joined_um: float = 2.5
    """How far likely places count from a sure one on."""
    least_run_um: float = 3.0
    """Shorter stained pieces are granules beside the outline, not a membrane."""


DEFAULT_PLACE_RULE = PlaceRule()


@dataclass(frozen=True, slots=True, eq=False)
class Profiles:
    """What lies across the outlines of N cells at P places each."""

    xy_px: Floats
    """`(N, P, 2)` places (x, y) in pixels of the frame."""
    spacing_um: Floats
    """`(N,)` between neighbouring places of each cell."""
    od10: Floats
    """`(N, P, K)` DAB from `HALF_UM` inside to `HALF_UM` outside."""
    membrane: Floats
    """`(N, P)` probability (0..1) of a membrane: the map's highest across the outline, or a reader's answer."""
    contrast_od10: Floats
    """`(N, P)` by how much the wall stands out from the mean of its two sides, averaged over 3 um along the outline.

    Of both, for on one side there may be another membrane, a nucleus' veil or a brown neighbour; the cut stands for
    that mean. A place of even haze has none, however brown.
    """

    @property
    def wall_od10(self) -> Floats:
        """`(N, P)` the wall itself: the maximum across. Cytoplasm takes nothing from it."""
        return self.od10.max(axis=2)


@dataclass(frozen=True, slots=True, eq=False)
class Membranes:
    """Measures of N cells, one a row."""

    completeness: Floats
    """`(N,)` share (0..1) of the outline that is stained, gaps bridged."""
    intensity_od10: Floats
    """`(N,)` median of the wall over stained places; 0 where none is."""
    intense_share: Floats
    """`(N,)` share (0..1) of the outline that is stained above the intense cut."""
    uniform_od10: Floats
    """`(N,)` od10 that `UNIFORM_SHARE` of all places reach."""
    stained: Bools
    """`(N, P)` which places are stained, bridged gaps too."""

    def measures(self) -> Iterator[MembraneMeasure]:
        """The measure of each cell, in order."""
        columns = self.completeness, self.intensity_od10, self.intense_share, self.uniform_od10
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return (MembraneMeasure(*row) for row in rows)


def read_profiles(
    outlines: CellOutlines, dab_od10: Plane, um_per_px: float, membrane: Plane, membrane_um_per_px: float
) -> Profiles:
    """Sample DAB and membrane across each outline, along its local normal.

    Parameters
    ----------
    outlines : CellOutlines
        Of N cells, in pixels of `dab_od10` (see `CellOutlines.scaled`).
    dab_od10 : (H, W) float32
        The frame's DAB.
    um_per_px : float
        Of the frame.
    membrane : (h, w) float32
        Probability (0..1) that a stained membrane passes; it begins at the frame's top left corner.
    membrane_um_per_px : float
        Of that plane.

    Returns
    -------
    Profiles
        Of `N_PLACES` places and `N_ACROSS` steps. Outside the picture the nearest pixel goes on.
    """
    xy_px, spacing_px = even_places(outlines.places_xy_px(), N_PLACES)
    outward = normals(xy_px)
    across_px = np.linspace(-HALF_UM, HALF_UM, N_ACROSS, dtype=np.float32) / np.float32(um_per_px)
    od10 = np.stack([sampled(dab_od10, xy_px + step * outward) for step in across_px])
    inside, outside = _beside(outlines, dab_od10, xy_px, outward, um_per_px)
    wall = averaged_along(od10).max(axis=0)
    probability = _highest_across(membrane, xy_px, outward, um_per_px, membrane_um_per_px)
    contrast = wall - (inside + outside) / 2
    return Profiles(xy_px, spacing_px * np.float32(um_per_px), np.moveaxis(od10, 0, 2), probability, contrast)


def even_places(outline_px: Floats, n: int) -> tuple[Floats, Floats]:
    """`(N, n, 2)` places spread evenly by length over closed outlines `(N, A, 2)`, and `(N,)` their distance."""
    closed = np.concatenate([outline_px, outline_px[:, :1]], axis=1)
    pieces = np.diff(closed, axis=1)
    length = np.cumsum(np.hypot(pieces[..., 0], pieces[..., 1]), axis=1, dtype=np.float64)
    whole = np.maximum(length[:, -1:], 1e-6)
    # One table for all outlines, which np.interp reads in one go: each takes up 1, and then 1 is left free.
    row = 2.0 * np.arange(len(closed))[:, None]
    table = (row + np.concatenate([np.zeros_like(whole), length / whole], axis=1)).ravel()
    wanted = (row + np.arange(n) / n).ravel()
    axes = [np.interp(wanted, table, closed[..., axis].ravel()) if len(closed) else wanted for axis in (0, 1)]
    return np.stack(axes, axis=1).reshape(-1, n, 2).astype(np.float32), (whole[:, 0] / n).astype(np.float32)


def normals(xy_px: Floats) -> Floats:
    """Outward unit normals `(N, P, 2)` of outlines that go round from x towards y, from places two apart each way."""
    along = np.roll(xy_px, -2, axis=1) - np.roll(xy_px, 2, axis=1)
    along /= np.maximum(np.hypot(along[..., 0], along[..., 1]), np.float32(1e-6))[..., None]
    return np.stack([along[..., 1], -along[..., 0]], axis=2)


def sampled(plane: Plane, xy_px: Floats) -> Floats:
    """Values `(N, P)` of a plane at places `(N, P, 2)`, bilinear; outside the picture that of its nearest pixel."""
    x, y = np.ascontiguousarray(xy_px[..., 0]), np.ascontiguousarray(xy_px[..., 1])
    values = np.empty(x.shape, np.float32)
    for start in range(0, len(x), MAX_REMAP_ROWS):
        rows = slice(start, start + MAX_REMAP_ROWS)
        values[rows] = cv2.remap(plane, x[rows], y[rows], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return values


def _highest_across(
    membrane: Plane, xy_px: Floats, outward: Floats, um_per_px: float, membrane_um_per_px: float
) -> Floats:
    """Highest value `(N, P)` across outlines of a plane of another scale that begins at the same corner."""
    factor = np.float32(um_per_px / membrane_um_per_px)
    middle_px = (xy_px + np.float32(0.5)) * factor - np.float32(0.5)
    across_px = np.linspace(-HALF_UM, HALF_UM, N_ACROSS_NETWORK, dtype=np.float32) / np.float32(membrane_um_per_px)
    highest = sampled(membrane, middle_px)
    for step in across_px[across_px != 0]:
        np.maximum(highest, sampled(membrane, middle_px + step * outward), out=highest)
    return highest


def _beside(
    outlines: CellOutlines, dab_od10: Plane, xy_px: Floats, outward: Floats, um_per_px: float
) -> tuple[Floats, Floats]:
    """DAB `(N, P)` of the palest ground beside the wall, inside and outside.

    Inside, it is not looked for in the nucleus, where there is less or other DAB than in the cytoplasm.
    """
    depths_px = np.array(BESIDE_UM, np.float32) / np.float32(um_per_px)
    away = xy_px - outlines.xy_px[:, None]
    room_px = np.maximum(np.hypot(away[..., 0], away[..., 1]) - outlines.nucleus_px[:, None], depths_px[0])
    inside = [sampled(dab_od10, xy_px - np.minimum(depth, room_px)[..., None] * outward) for depth in depths_px]
    outside = [sampled(dab_od10, xy_px + depth * outward) for depth in depths_px]
    palest_inside, palest_outside = (averaged_along(np.stack(side)).min(axis=0) for side in (inside, outside))
    return palest_inside, palest_outside


def averaged_along(values: Floats) -> Floats:
    """Running mean over `AVERAGED_PLACES` around closed outlines `(..., P)`."""
    half, n = AVERAGED_PLACES // 2, values.shape[-1]
    around = np.concatenate([values[..., -half:], values, values[..., :half]], axis=-1)
    total = around[..., :n].copy()
    for shift in range(1, AVERAGED_PLACES):
        total += around[..., shift : shift + n]
    total /= np.float32(AVERAGED_PLACES)
    return total


def measure_membranes(profiles: CellProfiles, cuts: StainCuts, rule: PlaceRule = DEFAULT_PLACE_RULE) -> Membranes:
    """Completeness, intensity and intense share of each cell.

    Parameters
    ----------
    profiles : CellProfiles
        Of N cells.
    cuts : StainCuts
        Of which `stained_od10`, the noise floor, and `intense_od10` are used.
    rule : PlaceRule
        When a place is stained.
    """
    stained = stained_places(profiles, cuts.stained_od10, rule)
    intense = stained & (profiles.wall_od10 >= cuts.intense_od10)
    complete, intense_share = (places.mean(axis=1, dtype=np.float32) for places in (stained, intense))
    medians, reached = _medians_and_reached(profiles.wall_od10, stained)
    return Membranes(complete, medians, intense_share, reached, stained)


def stained_places(profiles: CellProfiles, stained_od10: float, rule: PlaceRule = DEFAULT_PLACE_RULE) -> Bools:
    """`(N, P)` which places of the outlines carry a membrane; likely places joined, gaps bridged."""
    walls = profiles.wall_od10
    dark = walls >= stained_od10
    least_od10 = np.minimum(np.float32(rule.contrast_of_wall) * walls, np.float32(rule.contrast_od10))
    stained = dark & (profiles.membrane >= rule.membrane) & (profiles.contrast_od10 >= least_od10)
    likely = dark & (profiles.membrane >= rule.likely_membrane)
    likely &= profiles.contrast_od10 >= rule.likely_contrast_od10
    steps = _most_places(profiles, rule.joined_um)
    for step in range(1, steps + 1):
        near = likely & (step * profiles.spacing_um <= rule.joined_um)[:, None]
        stained = stained | near & (np.roll(stained, 1, axis=1) | np.roll(stained, -1, axis=1))
    bridged = _closed(stained, profiles, BRIDGED_UM)
    return ~_closed(~bridged, profiles, rule.least_run_um)


def _most_places(profiles: CellProfiles, length_um: float) -> int:
    """Places of the finest spacing that a length holds, at most an outline's."""
    finest_um = float(profiles.spacing_um.min(initial=np.inf))
    return min(int(length_um / max(finest_um, 1e-3)), profiles.membrane.shape[1] - 2)


def _closed(places: Bools, profiles: CellProfiles, length_um: float) -> Bools:
    """Places `(N, P)` with the gaps shorter than a length closed."""
    closed = places.copy()
    for gap in range(1, _most_places(profiles, length_um) + 1):  # the shorter ones are closed by now
        is_short = (gap * profiles.spacing_um < length_um)[:, None]
        ends_gap = places & np.roll(places, gap + 1, axis=1) & is_short
        for back in range(1, gap + 1):
            closed |= np.roll(ends_gap, -back, axis=1)
    return closed


def _medians_and_reached(walls: Floats, stained: Bools) -> tuple[Floats, Floats]:
    """Of the stained walls of each row `(N, P)`: their median, 0 where none is, and what `UNIFORM_SHARE` of P reach.

    The latter is 0 where fewer are stained.
    """
    n_stained, n = stained.sum(axis=1), walls.shape[1]
    ranked = np.sort(np.where(stained, walls, np.float32(np.inf)), axis=1)
    uniform = n_stained - ceil(UNIFORM_SHARE * n)
    at = np.stack([(n_stained - 1) // 2, n_stained // 2, uniform], axis=1)
    found = np.take_along_axis(ranked, np.clip(at, 0, n - 1), axis=1)
    medians = np.where(n_stained > 0, found[:, :2].mean(axis=1, dtype=np.float32), np.float32(0))
    return medians, np.where(uniform >= 0, found[:, 2], np.float32(0))


def membrane_mask(
    membrane: Plane,
    membrane_um_per_px: float,
    dab_od10: Plane,
    um_per_px: float,
    cuts: StainCuts,
    least_membrane: float = DEFAULT_PLACE_RULE.membrane,
) -> Mask:
    """Membrane mask `(H, W)` at the frame's size: 0 none, `FAINT`, `INTENSE`.

    Parameters
    ----------
    membrane : (h, w) float32
        Probability (0..1) that a stained membrane passes; it begins at the frame's top left corner.
    membrane_um_per_px : float
        Of that plane.
    dab_od10 : (H, W) float32
        The frame's DAB.
    um_per_px : float
        Of the frame.
    cuts : StainCuts
        Membrane paler than `stained_od10` is noise, from `intense_od10` on it is intense.
    least_membrane : float
        Least probability of a membrane.
    """
    factor = um_per_px / membrane_um_per_px
    shift = 0.5 * factor - 0.5
    onto = np.array([[factor, 0, shift], [0, factor, shift]], np.float64)
    height, width = dab_od10.shape
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    probability = cv2.warpAffine(membrane, onto, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return redrawn_mask(probability >= least_membrane, dab_od10, cuts)


def redrawn_mask(seen: Mask | Bools, dab_od10: Plane, cuts: StainCuts) -> Mask:
    """The mask by these cuts where a membrane is seen `(H, W)`, or was by a stained cut that was not higher."""
    stained = (seen > 0) & (dab_od10 >= cuts.stained_od10)
    strength = np.where(dab_od10 >= cuts.intense_od10, np.uint8(INTENSE), np.uint8(FAINT))
    return np.where(stained, strength, np.uint8(0))
