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
from her2scope.imaging.opencv import cv2
from her2scope.imaging.outline_places import N_PLACES as N_PLACES
from her2scope.imaging.outline_places import OutlinePlaces
from her2scope.imaging.planes import row_blocks
from her2scope.imaging.workspace import Workspace
from her2scope.records import FAINT, INTENSE, CellProfiles, Mask, Plane

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

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
CELLS_AT_ONCE = 128
"""Whose samples (0.5 MB) stay in the processor's cache while they are worked on."""
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

    membrane: float = 0.752
    """Probability of a membrane that makes a place sure: for the shipped reader of outlines see `NetworkSettings`. Of
    the readers before it, on 24 usual and 36 hard phantom fields of the trained networks
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
    certain_membrane: float = 0.932
    """Probability that makes a stained place one beyond doubt."""


DEFAULT_PLACE_RULE = PlaceRule()


@dataclass(frozen=True, slots=True, eq=False)
class Profiles:
    """What lies across the outlines of N cells at P places each."""

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
    uncertain: Bools
    """`(N,)` whether none of them is so beyond doubt."""

    def measures(self) -> Iterator[MembraneMeasure]:
        """The measure of each cell, in order."""
        columns = self.completeness, self.intensity_od10, self.intense_share, self.uniform_od10, self.uncertain
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return (MembraneMeasure(*row) for row in rows)


def read_profiles(
    places: OutlinePlaces,
    dab_od10: Plane,
    um_per_px: float,
    membrane: Floats,
    workspace: Workspace | None = None,
) -> Profiles:
    """Sample DAB across each outline, along its local normal.

    Parameters
    ----------
    places : OutlinePlaces
        Of N cells at P places each, in pixels of `dab_od10`.
    dab_od10 : (H, W) float32
        The frame's DAB.
    um_per_px : float
        Of the frame.
    membrane : (N, P) float32
        Probability (0..1) of a membrane at each place: `seen_across`, or a reader's answer.
    workspace : Workspace
        Kept from frame to frame by who has many.

    Returns
    -------
    Profiles
        Of `N_ACROSS` steps. Outside the picture the nearest pixel goes on.
    """
    workspace = workspace or Workspace()
    n, n_places = places.x_px.shape
    od10 = np.empty((n, N_ACROSS, n_places), np.float32)
    contrast = np.empty((n, n_places), np.float32)
    across_px = np.linspace(-HALF_UM, HALF_UM, N_ACROSS, dtype=np.float32) / np.float32(um_per_px)
    beside_px = np.array(BESIDE_UM, np.float32) / np.float32(um_per_px)
    for rows, some in places.parts(CELLS_AT_ONCE):
        outward = _values_at(some, np.concatenate([across_px, beside_px]), dab_od10, workspace)
        od10[rows] = outward[:, :N_ACROSS]
        averaged = averaged_along(outward)
        wall, outside = averaged[:, :N_ACROSS].max(axis=1), averaged[:, N_ACROSS:].min(axis=1)
        inside = averaged_along(_values_at(some, _inward_px(some, beside_px), dab_od10, workspace)).min(axis=1)
        contrast[rows] = wall - (inside + outside) / 2
    spacing_um = places.spacing_px * np.float32(um_per_px)
    return Profiles(spacing_um, od10.transpose(0, 2, 1), membrane, contrast)


def seen_across(
    places: OutlinePlaces,
    membrane: Plane,
    um_per_px: float,
    membrane_um_per_px: float,
    workspace: Workspace | None = None,
) -> Floats:
    """The map of membranes' highest probability `(N, P)` across each outline.

    Parameters
    ----------
    places : OutlinePlaces
        Of N cells at P places each, in pixels of the frame.
    membrane : (h, w) float32
        Probability (0..1) that a stained membrane passes; it begins at the frame's top left corner.
    um_per_px, membrane_um_per_px : float
        Of the frame, and of that plane.
    workspace : Workspace
        Kept from frame to frame by who has many.
    """
    workspace = workspace or Workspace()
    across_px = np.linspace(-HALF_UM, HALF_UM, N_ACROSS_NETWORK, dtype=np.float32) / np.float32(membrane_um_per_px)
    highest = np.empty_like(places.x_px)
    for rows, some in places.scaled(um_per_px / membrane_um_per_px).parts(CELLS_AT_ONCE):
        highest[rows] = _values_at(some, across_px, membrane, workspace).max(axis=1)
    return highest


def _values_at(places: OutlinePlaces, steps_px: Floats, plane: Plane, workspace: Workspace) -> Floats:
    """Values `(N, S, P)` of a plane at steps out of each cell; overwritten by the next call."""
    across = places.across(steps_px, workspace)
    values = workspace.floats("values across", *across.x_px.shape)
    across.sampled(plane, values)
    return values.reshape(len(places), -1, places.x_px.shape[1])


def _inward_px(places: OutlinePlaces, depths_px: Floats) -> Floats:
    """Steps `(N, S, P)` to ground beside the wall on the inside.

    None is in the nucleus, where there is less or other DAB than in the cytoplasm.
    """
    middle_px = places.outlines.xy_px
    from_middle_px = np.hypot(places.x_px - middle_px[:, :1], places.y_px - middle_px[:, 1:])
    room_px = np.maximum(from_middle_px - places.outlines.nucleus_px[:, None], depths_px[0])
    return -np.minimum(depths_px[:, None], room_px[:, None])


def averaged_along(values: Floats) -> Floats:
    """Running mean over `AVERAGED_PLACES` around closed outlines `(..., P)`."""
    half, n = AVERAGED_PLACES // 2, values.shape[-1]
    around = np.concatenate([values[..., -half:], values, values[..., :half]], axis=-1)
    # All outlines in one run, for numpy is slow on short rows: what runs over the ends of each is dropped.
    flat = around.reshape(-1)
    total = np.empty_like(flat)
    sums = total[: max(0, len(flat) - 2 * half)]
    np.add(flat[: len(sums)], flat[1 : 1 + len(sums)], out=sums)
    for shift in range(2, AVERAGED_PLACES):
        sums += flat[shift : shift + len(sums)]
    sums /= np.float32(AVERAGED_PLACES)
    return total.reshape(around.shape)[..., :n]


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
    certain = stained & (profiles.membrane >= rule.certain_membrane)
    return Membranes(complete, medians, intense_share, reached, stained, np.asarray(~certain.any(axis=1)))


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
    workspace: Workspace | None = None,
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
    workspace : Workspace
        Kept from frame to frame by who has many.
    """
    factor = um_per_px / membrane_um_per_px
    shift = 0.5 * factor - 0.5
    onto = np.array([[factor, 0, shift], [0, factor, shift]], np.float64)
    probability = (workspace or Workspace()).floats("probability", *dab_od10.shape)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    cv2.warpAffine(membrane, onto, dab_od10.shape[::-1], probability, flags, cv2.BORDER_REPLICATE)
    mask = np.empty(dab_od10.shape, np.uint8)
    for rows in row_blocks(mask):
        _draw(mask[rows], probability[rows] >= least_membrane, dab_od10[rows], cuts)
    return mask


def redrawn_mask(seen: Mask | Bools, dab_od10: Plane, cuts: StainCuts) -> Mask:
    """The mask by these cuts where a membrane is seen `(H, W)`, or was by a stained cut that was not higher."""
    mask = np.empty(dab_od10.shape, np.uint8)
    for rows in row_blocks(mask):
        _draw(mask[rows], seen[rows] > 0, dab_od10[rows], cuts)
    return mask


def _draw(mask: Mask, seen: Bools, dab_od10: Plane, cuts: StainCuts) -> None:
    """Write some rows of the mask."""
    # FAINT has no bit that INTENSE lacks: all in bytes, of which a processor does 32 at once
    np.greater_equal(dab_od10, cuts.intense_od10, out=mask.view(np.bool_))
    mask *= np.uint8(INTENSE)
    mask |= np.uint8(FAINT)
    stained = np.greater_equal(dab_od10, cuts.stained_od10)
    stained &= seen
    mask *= stained.view(np.uint8)
