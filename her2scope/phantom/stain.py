"""Antigen and tissue to od10 of DAB and haematoxylin, and those to transmitted light (Beer-Lambert)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from her2scope.imaging.opencv import cv2
from her2scope.phantom.antigen import Antigen, Level, stretches
from her2scope.phantom.noise import Floats, Grid, smooth_plane, uniform
from her2scope.phantom.tissue import NEST_OCTAVES, Matter, Patch
from her2scope.records import Mask, Plane
from her2scope.settings import Calibration, Vector

WALL_UM: Mapping[Level, float] = {Level.FAINT: 0.64, Level.MODERATE: 1.0, Level.INTENSE: 2.1}
"""Width of the DAB line in 1+, 2+ and 3+ breast cancers (PMC5848460)."""
WALL_OD10: Mapping[Level, float] = {Level.NONE: 0.0, Level.FAINT: 0.18, Level.MODERATE: 0.40, Level.INTENSE: 0.85}
"""DAB of a line in a run of usual strength."""
LINE_PROFILE = ((1.35, 115.0), (0.75, 255.0))
"""Cross-section of a line, (share of its width, 0..255): a paler hem around a core, `WALL_UM` wide at half height."""
LINE_UM_PER_PX = 0.125
"""Lines are drawn at this scale where the grid is coarser: a 0.64 um line is then 5 px wide."""
COARSEST_LINE_UM_PER_PX = 0.30
"""Grids coarser than this are overviews, whose lines are drawn on the grid itself."""
NUCLEUS_OD10: Mapping[str, tuple[float, float]] = {
    "tumour": (0.26, 0.46),
    "fibroblast": (0.36, 0.60),
    "lymphocyte": (0.50, 0.72),
}
"""Haematoxylin of the palest and darkest nucleus of each kind."""
CYTOPLASM_OD10, STROMA_OD10 = 0.055, 0.060
"""Haematoxylin of tissue without nuclei."""
REACH_UM = 26.0
"""No cell, wall or nucleus is farther across."""
Fixed = NDArray[np.int32]
_PER_OD10 = 200.0
"""Grey levels per od10 while shapes are drawn in 8 bits."""
_SHIFT = 4
"""Fractional bits of drawn coordinates: 1/16 px."""


@dataclass(frozen=True, slots=True)
class Stain:
    """How a run stained."""

    haematoxylin_vector: Vector = Calibration().haematoxylin_vector
    dab_vector: Vector = Calibration().dab_vector
    """od10 per channel of each stain; used at unit length, so that od10 of a stain is what unmixing gives back."""
    dab_gain: float = 1.0
    """Strength of the run's DAB; 1 gives `WALL_OD10`."""
    haematoxylin_gain: float = 1.0
    haze_od10: float = 0.05
    """Diffuse DAB in cytoplasm, the mean over tumour cells; more than membrane antigen makes it."""
    leak_share: float = 0.15
    """Share of its membrane's od10 that a cell's cytoplasm carries as well."""
    background_od10: float = 0.0
    """DAB over all tissue."""
    nuclear_od10: float = 0.0
    """DAB over nuclei."""
    granularity: float = 0.2
    """Relative roughness of DAB along a line."""
    ghost_share: float = 0.1
    """Share of cells with a pale, blurred nucleus that shines through from another depth of the section."""

    def wall_od10(self, level: Level) -> float:
        """Mean DAB od10 of a line at `level`."""
        return self.dab_gain * WALL_OD10[level]


@dataclass(frozen=True, slots=True, eq=False)
class Absorption:
    """od10 of both stains, `(H, W)` float32 each."""

    haematoxylin: Plane
    dab: Plane


def absorb(patch: Patch, antigen: Antigen, stain: Stain, grid: Grid) -> Absorption:
    """Stain a patch of tissue, as seen on `grid`."""
    grain, beads, patches = (smooth_plane(patch.seed, f"grain{w:g}", grid, w) for w in (0.8, 2.2, 9.0))
    nuclei = _nuclei_plane(patch, grid) * (1.0 + 0.35 * smooth_plane(patch.seed, "chromatin", grid, 1.2))
    tumour, haze, stroma = _ground(patch, antigen, stain, grid)
    in_nucleus = np.minimum(nuclei * 5.0, 1.0)
    ground = CYTOPLASM_OD10 * tumour * (1.0 + 0.3 * grain + 0.6 * beads) + _fibres(patch.seed, stroma, grid)
    tissue = np.maximum(tumour, stroma)
    behind = np.maximum((1.0 - 0.7 * in_nucleus) * ground, _ghosts_plane(patch, stain.ghost_share, grid) * tissue)
    haematoxylin = stain.haematoxylin_gain * (nuclei + (1.0 - in_nucleus) * behind)

    walls = _walls_plane(patch, antigen, stain, grid) * (1.0 + stain.granularity * (grain + beads + 0.7 * patches))
    diffuse = haze * (1.0 + 0.8 * patches) + stain.background_od10 * tissue
    diffuse *= (1.0 + 0.4 * grain + 0.6 * beads) * (1.0 - 0.6 * in_nucleus)
    dab = np.maximum(walls, 0.0) + np.maximum(diffuse, 0.0) + stain.nuclear_od10 * in_nucleus
    return Absorption(haematoxylin.astype(np.float32, copy=False), dab.astype(np.float32, copy=False))


def transmitted(absorption: Absorption, stain: Stain) -> NDArray[np.float32]:
    """Light that passes, `(H, W, 3)` float32, 1 where there is nothing."""
    haematoxylin, dab = (_unit(vector) for vector in (stain.haematoxylin_vector, stain.dab_vector))
    ln10 = np.log(10.0)
    channels = [
        cv2.exp(cv2.addWeighted(absorption.haematoxylin, -ln10 * h, absorption.dab, -ln10 * d, 0.0))
        for h, d in zip(haematoxylin, dab, strict=True)
    ]
    light: NDArray[np.float32] = cv2.merge(channels)
    return light


def _unit(vector: Vector) -> Floats:
    return np.asarray(np.array(vector) / np.linalg.norm(vector))


def _fixed(grid: Grid, xy_um: Floats) -> Fixed:
    """Positions in 1/16 px, as OpenCV's drawing takes them."""
    return np.rint(grid.to_px(xy_um) * (1 << _SHIFT)).astype(np.int32)


def _fill(plane: Mask, outline: Fixed, value: float) -> None:
    cv2.fillPoly(plane, [outline], min(value, 255.0), cv2.LINE_AA, _SHIFT)


def _near(grid: Grid, xy_um: Floats) -> NDArray[np.bool_]:
    """Which places lie so near the grid that a cell there reaches in."""
    left, top, right, bottom = grid.bounds_um
    x_um, y_um = xy_um[..., 0], xy_um[..., 1]
    return np.asarray(
        (x_um > left - REACH_UM) & (x_um < right + REACH_UM) & (y_um > top - REACH_UM) & (y_um < bottom + REACH_UM)
    )


def _walls_plane(patch: Patch, antigen: Antigen, stain: Stain, grid: Grid) -> Plane:
    """DAB of the walls. The strongest line wins where lines meet, so more antigen never means less DAB."""
    factor = 1
    if grid.um_per_px <= COARSEST_LINE_UM_PER_PX:
        factor = max(1, round(grid.um_per_px / LINE_UM_PER_PX))
    fine = grid.refined(factor)
    near = _near(grid, patch.wall_um[:, 0])
    walls, levels = _fixed(fine, patch.wall_um[near]), antigen.levels[near]
    dab = np.zeros((grid.height, grid.width), np.float32)
    for level, width_um in WALL_UM.items():
        lines = [walls[wall, first:end] for wall, first, end in stretches(levels, level)]
        if not lines:
            continue
        mask = np.zeros((fine.height, fine.width), np.uint8)
        for share, value in LINE_PROFILE:
            width_px = max(1, round(share * width_um / fine.um_per_px))
            cv2.polylines(mask, lines, False, value, width_px, cv2.LINE_AA, _SHIFT)
        if factor > 1:
            mask = cv2.resize(mask, (grid.width, grid.height), interpolation=cv2.INTER_AREA)
        np.maximum(dab, mask.astype(np.float32) * (stain.wall_od10(level) / 255.0), out=dab)
    return dab


def _ground(patch: Patch, antigen: Antigen, stain: Stain, grid: Grid) -> tuple[Plane, Plane, Plane]:
    """Share of tumour cytoplasm, its diffuse DAB (od10), and share of stroma, at each pixel."""
    tumour, haze, stroma = (np.zeros((grid.height, grid.width), np.uint8) for _ in range(3))
    own = uniform(patch.seed, "haze", *patch.key.T)
    expressed = (antigen.share * [stain.wall_od10(level) for level in Level]).sum(axis=1)
    haze_value = _PER_OD10 * (stain.haze_od10 * (0.3 + 1.4 * own) + stain.leak_share * expressed)
    near = patch.is_whole & (patch.matter != Matter.GLASS) & _near(grid, patch.site_um)
    walls = _fixed(grid, patch.wall_um)
    for cell in np.nonzero(near)[0].tolist():
        outline = patch.around(cell, walls)
        if patch.matter[cell] == Matter.STROMA:
            _fill(stroma, outline, 255.0)
        else:
            _fill(tumour, outline, 255.0)
            _fill(haze, outline, float(haze_value[cell]))
    soft_px = 0.5 / grid.um_per_px
    planes = [cv2.GaussianBlur(plane.astype(np.float32), (0, 0), soft_px) for plane in (tumour, haze, stroma)]
    return planes[0] / 255.0, planes[1] / _PER_OD10, planes[2] / 255.0


def _fibres(seed: int, stroma: Plane, grid: Grid) -> Plane:
    """Haematoxylin of stroma: pale bundles along the contours of the nest field."""
    if not stroma.any():
        return stroma
    nest = sum(weight * smooth_plane(seed, name, grid, width_um) for name, weight, width_um in NEST_OCTAVES)
    loose, frayed = smooth_plane(seed, "loose", grid, 17.0), smooth_plane(seed, "frayed", grid, 4.0)
    bundles = (0.5 + 0.5 * np.sin(70.0 * nest + 4.0 * loose + 2.0 * frayed)) * (1.0 + loose) * (1.0 + 0.6 * frayed)
    fibres: Plane = (STROMA_OD10 * stroma * (0.5 + 0.7 * bundles)).astype(np.float32)
    return fibres


def _nuclei_plane(patch: Patch, grid: Grid) -> Plane:
    """Haematoxylin of nuclei: tumour nuclei have a dark rim, are paler inside, and some show a nucleolus."""
    plane = np.zeros((grid.height, grid.width), np.uint8)
    nuclei = patch.nuclei
    near = np.nonzero(_near(grid, nuclei.xy_um))[0]
    shapes = (nuclei.xy_um[near], nuclei.axes_um[near], nuclei.angle[near], nuclei.tone[near])
    outlines_um = nucleus_outlines_um(*shapes)
    middles_um = nuclei.xy_um[near][:, None]
    rims, insides = _fixed(grid, outlines_um), _fixed(grid, middles_um + 0.84 * (outlines_um - middles_um))
    nucleoli = _fixed(grid, _nucleoli_um(middles_um, nuclei.tone[near]))
    for place, row in enumerate(near.tolist()):
        kind, tone = nuclei.kind[row], float(nuclei.tone[row])
        pale, dark = NUCLEUS_OD10[kind]
        value = _PER_OD10 * (pale + (dark - pale) * tone)
        _fill(plane, rims[place], value)
        if kind == "tumour":
            _fill(plane, insides[place], 0.78 * value)
            if tone > 0.4:
                _fill(plane, nucleoli[place], 1.25 * value)
    found: Plane = plane.astype(np.float32) / _PER_OD10
    return found


def _ghosts_plane(patch: Patch, share: float, grid: Grid) -> Plane:
    """Haematoxylin of nuclei that lie behind the plane of focus. They belong to no cell of the truth."""
    plane = np.zeros((grid.height, grid.width), np.uint8)
    i, j = patch.key.T
    has_one = patch.is_whole & (patch.matter != Matter.GLASS) & (uniform(patch.seed, "ghost", i, j) < share)
    cells = np.nonzero(has_one & _near(grid, patch.site_um))[0]
    turn, tone = (uniform(patch.seed, name, i, j)[cells] for name in ("ghost turn", "ghost tone"))
    away = 2.0 * np.pi * turn[:, None]
    middles_um = patch.centre_um[cells] + 5.0 * np.concatenate([np.cos(away), np.sin(away)], axis=1)
    axes_um = np.stack([4.6 + tone, 3.4 + tone], axis=1)
    outlines = _fixed(grid, nucleus_outlines_um(middles_um, axes_um, np.pi * tone, tone))
    for outline, dark in zip(outlines, tone.tolist(), strict=True):
        _fill(plane, outline, _PER_OD10 * (0.10 + 0.08 * dark))
    soft: Plane = cv2.GaussianBlur(plane.astype(np.float32), (0, 0), 1.0 / grid.um_per_px) / _PER_OD10
    return soft


_TURN = np.linspace(0.0, 2.0 * np.pi, 28, endpoint=False)


def nucleus_outlines_um(xy_um: Floats, axes_um: Floats, angle: Floats, tone: Floats) -> Floats:
    """Outlines `(N, 28, 2)` of nuclei: ellipses with dents that leave the centre of gravity where it is."""
    phase = 60.0 * tone[:, None]
    dents = 1.0 + 0.05 * np.cos(3.0 * _TURN + phase) + 0.025 * np.cos(5.0 * _TURN + 2.0 * phase)
    along, across = axes_um[:, :1] * dents * np.cos(_TURN), axes_um[:, 1:] * dents * np.sin(_TURN)
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    return np.asarray(xy_um[:, None] + np.stack([along * cos - across * sin, along * sin + across * cos], axis=2))


def _nucleoli_um(middles_um: Floats, tone: Floats) -> Floats:
    """Outlines of nucleoli, each a little off the middle."""
    turn, radius_um = 40.0 * tone[:, None, None], 0.5 + 0.4 * tone[:, None, None]
    away_um = 1.3 * np.concatenate([np.cos(turn), np.sin(turn)], axis=2)
    return np.asarray(middles_um + away_um + radius_um * np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1))


def fit(vector: Vector, shift: Floats) -> Vector:
    """A stain vector, shifted a little and of unit length."""
    moved = np.array(_unit(vector)) + shift
    red, green, blue = (float(value) for value in moved / np.linalg.norm(moved))
    return red, green, blue
