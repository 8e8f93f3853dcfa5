"""What a tissue is made of at every pixel, before stain, optics and camera: drawn once, stained in many ways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from her2scope.imaging.opencv import cv2
from her2scope.phantom.antigen import Antigen, Level, stretches
from her2scope.phantom.cells import PENS, Nuclei, Patch
from her2scope.phantom.growth import Matter, fibre_angle
from her2scope.phantom.noise import Floats, Grid, Ints, smooth_noise, smooth_plane, uniform
from her2scope.records import Mask, Plane

WALL_UM: Mapping[Level, float] = {Level.FAINT: 0.64, Level.MODERATE: 1.0, Level.INTENSE: 2.1}
"""Width of the DAB line in 1+, 2+ and 3+ breast cancers (PMC5848460)."""
WALL_OD10: Mapping[Level, float] = {Level.NONE: 0.0, Level.FAINT: 0.18, Level.MODERATE: 0.40, Level.INTENSE: 0.85}
"""DAB of a line in a run of usual strength."""
LINE_PROFILE = ((1.35, 2.0, 115.0), (1.0, 2.7, 255.0))
"""Cross-section of a line: a paler hem around a core, (share of its width, px that smooth edges add to it, 0..255). A
drawn line is `WALL_UM` wide at half height."""
CORNER_CUT = 0.6
"""Half widths by which two lines are cut that go round the end of a bare wall: they join, and cover less of it."""
LINE_UM_PER_PX = 0.125
"""Lines are drawn at this scale where the grid is coarser: a 0.64 um line is then 5 px wide."""
COARSEST_LINE_UM_PER_PX = 0.30
"""Grids coarser than this are overviews, whose lines are drawn on the grid itself."""
NUCLEUS_OD10: Mapping[str, tuple[float, float]] = {
    "tumour": (0.18, 0.52),
    "normal": (0.28, 0.50),
    "fibroblast": (0.30, 0.58),
    "flat": (0.34, 0.60),
    "lymphocyte": (0.46, 0.72),
    "plasma": (0.42, 0.66),
    "debris": (0.20, 0.70),
    "ghost": (0.07, 0.17),
}
"""Haematoxylin of the palest and darkest nucleus of each kind, in a run of usual strength."""
REACH_UM = 40.0
"""No cell, wall or nucleus is farther across."""
MARGIN_UM = 8.0
"""Drawn around a region, so that no blur sees its edge."""
HAZE_FLOCK_UM = 45.0
"""Width of flocks of cells with like cytoplasm."""
SLOW_UM = 3000.0
EDGE_UM = 3.0
"""How far the edge of tissue reaches in, deviation of a Gaussian."""
Fixed = NDArray[np.int32]
SMOOTH_FILL_PX, HARD_FILL_PX = 0.64, 0.47
"""How far OpenCV's filling, with smooth and with hard edges, goes beyond an outline (measured on discs)."""
_PER_OD10 = 200.0
"""Grey levels per od10 while shapes are drawn in 8 bits."""
_SHIFT = 4
"""Fractional bits of drawn coordinates: 1/16 px."""


@dataclass(frozen=True, slots=True, eq=False)
class Layers:
    """Planes `(H, W)` float32 of a grid."""

    nuclei: Plane
    """Haematoxylin of nuclei in focus, od10 at gain 1, with their chromatin."""
    covered: Plane
    """Share (0..1) of nucleus."""
    ghosts: Plane
    """Haematoxylin of nuclei out of focus."""
    cytoplasm: Plane
    """Share (0..1) of epithelial cytoplasm or necrosis."""
    stroma: Plane
    """Share (0..1) of stroma."""
    fibres: Plane
    """Relative density of stroma's fibres, mean about 1 where there is stroma."""
    walls: Plane
    """DAB of membranes, od10 at gain 1."""
    own: Plane
    """DAB of each cell's own membrane averaged over its outline, od10 at gain 1: what may leak into its cytoplasm."""
    diffuse: Plane
    """Relative strength of diffuse DAB in cytoplasm, mean about 1."""
    granules: Plane
    """Relative strength of granular DAB in cytoplasm, 0 where there is none."""
    edge: Plane
    """Nearness (0..1) of empty glass within tissue."""
    specks: Plane
    """Precipitate, od10 at strength 1."""
    grain: Plane
    beads: Plane
    patches: Plane
    """Textures of 0.8, 2.2 and 9 um, within [-1, 1]."""
    slow: Plane
    """Where on the section, within [-1, 1]: changes over 3 mm."""


def draw_layers(patch: Patch, antigen: Antigen, grid: Grid, walls: Plane | None = None) -> Layers:
    """Draw a patch of tissue on `grid`; `walls`, where they are drawn already, are those of `draw_membranes`."""
    grain, beads, patches = (smooth_plane(patch.seed, f"grain{w:g}", grid, w) for w in (0.8, 2.2, 9.0))
    labels = label_cells(patch, grid)
    present = _presence(patch, grid)
    cytoplasm, necrosis, stroma = (_soft(np.take(values, labels), grid, 0.35) * present for values in _covers(patch))
    _draw_fat(patch, grid, stroma)
    nuclei, covered = _nuclei_planes(patch.nuclei, grid, is_sharp=True)
    if patch.habit.nucleus_blur_um > 0.05:
        nuclei, covered = (_soft(plane, grid, patch.habit.nucleus_blur_um) for plane in (nuclei, covered))
    chromatin = smooth_plane(patch.seed, "chromatin", grid, 1.2) + 0.6 * smooth_plane(patch.seed, "clumps", grid, 2.6)
    nuclei *= 1.0 + 0.45 * patch.habit.chromatin * chromatin
    diffuse, own, granular = (_soft(np.take(v, labels), grid, 0.5) * present for v in _cell_values(patch, antigen))
    spots = np.clip(beads + 0.7 * grain + 0.25 * smooth_plane(patch.seed, "spots", grid, 4.5) - 0.15, 0.0, None)
    tissue = np.clip(cytoplasm + necrosis + stroma, 0.0, 1.0)
    edge = tissue * (1.0 - _soft(tissue, grid, EDGE_UM))
    return Layers(
        nuclei=nuclei,
        covered=covered,
        ghosts=_soft(_nuclei_planes(patch.nuclei, grid, is_sharp=False)[0], grid, 0.9),
        cytoplasm=np.clip(cytoplasm + necrosis, 0.0, 1.0),
        stroma=stroma,
        fibres=_fibres(patch.seed, patch.habit.nest_scale, stroma, grid),
        walls=draw_membranes(patch, antigen, grid)[0] if walls is None else walls,
        own=own,
        diffuse=diffuse + 1.3 * necrosis,
        granules=granular * spots + 0.8 * necrosis * np.clip(beads + grain, 0.0, None),
        edge=edge,
        specks=_specks(patch.seed, grid),
        grain=grain,
        beads=beads,
        patches=patches,
        slow=smooth_plane(patch.seed, "slow", grid, SLOW_UM),
    )


def _soft(plane: Plane, grid: Grid, sigma_um: float) -> Plane:
    soft: Plane = cv2.GaussianBlur(plane, (0, 0), max(sigma_um / grid.um_per_px, 0.3))
    return soft


def _fixed(grid: Grid, xy_um: Floats) -> Fixed:
    """Positions in 1/16 px, as OpenCV's drawing takes them."""
    return np.rint(grid.to_px(xy_um) * (1 << _SHIFT)).astype(np.int32)


def _fill(plane: NDArray[np.uint8] | NDArray[np.int32], outline: Fixed, value: float) -> None:
    line = cv2.LINE_AA if plane.dtype == np.uint8 else cv2.LINE_8
    cv2.fillPoly(plane, [outline], value if plane.dtype == np.int32 else min(value, 255.0), line, _SHIFT)


def _near(grid: Grid, xy_um: Floats) -> NDArray[np.bool_]:
    """Which places lie so near the grid that a cell there reaches in."""
    left, top, right, bottom = grid.bounds_um
    x_um, y_um = xy_um[..., 0], xy_um[..., 1]
    return np.asarray(
        (x_um > left - REACH_UM) & (x_um < right + REACH_UM) & (y_um > top - REACH_UM) & (y_um < bottom + REACH_UM)
    )


# ---- cells --------------------------------------------------------------------------------------------------------


def label_cells(patch: Patch, grid: Grid) -> NDArray[np.int32]:
    """Row of the patch's cell at each pixel plus 1, `(H, W)`; 0 where there is none."""
    labels = np.zeros((grid.height, grid.width), np.int32)
    sides = patch.side_lines(_fixed(grid, patch.both_sides_um))
    solid = patch.is_whole & (patch.matter != Matter.GLASS) & _near(grid, patch.site_um)
    epithelial = patch.is_epithelium()
    # A pixel on a wall is the later cell's. Drawn line by line, all cells would move half a pixel left and up.
    order = np.argsort(uniform(patch.seed, "on top", *patch.key.T))
    for group in (solid & ~epithelial, solid & epithelial):
        for cell in order[group[order]].tolist():
            outline = sides[patch.sides(cell), :-1].reshape(-1, 2)
            if len(outline):
                _fill(labels, outline, cell + 1)
    return labels


def _covers(patch: Patch) -> list[NDArray[np.float32]]:
    """By label: whether it is epithelial cytoplasm, necrosis, stroma."""
    matter = np.concatenate([[int(Matter.GLASS)], patch.matter])
    necrosis, stroma = matter == Matter.NECROSIS, matter == Matter.STROMA
    epithelium = np.concatenate([[False], patch.is_epithelium()])
    return [part.astype(np.float32) for part in (epithelium, necrosis, stroma)]


def _cell_values(patch: Patch, antigen: Antigen) -> list[NDArray[np.float32]]:
    """By label: relative diffuse DAB, od10 of the cell's own membrane, relative granular DAB."""
    i, j = patch.key.T
    x_um, y_um = patch.site_um.T
    draws = []
    for name in ("haze", "granular"):  # like cells flock together
        flock = 0.5 + 0.8 * smooth_noise(patch.seed, f"{name} flock", x_um, y_um, HAZE_FLOCK_UM)
        draws.append(np.clip(0.45 * uniform(patch.seed, name, i, j) + 0.55 * flock, 0.0, 1.0))
    epithelium = patch.is_epithelium()
    od10 = np.array([WALL_OD10[level] for level in Level])
    own = np.where(epithelium, (antigen.share * od10).sum(axis=1), 0.0)
    diffuse, granular = (
        np.where(epithelium, 0.3 + 1.4 * draws[0], 0.0),
        np.where(epithelium, 2.0 * draws[1] ** 1.5, 0.0),
    )
    normal = patch.matter == Matter.NORMAL
    diffuse[normal] *= 0.6
    granular[normal] *= 0.3
    return [np.concatenate([[0.0], part]).astype(np.float32) for part in (diffuse, own, granular)]


def _presence(patch: Patch, grid: Grid) -> Plane:
    """1 where nothing is missing; less in vacuoles and empty corners."""
    plane = np.full((grid.height, grid.width), 255, np.uint8)
    near = _near(grid, patch.holes.xy_um)
    centres = _fixed(grid, patch.holes.xy_um[near])
    radii = np.rint(patch.holes.radius_um[near] / grid.um_per_px * (1 << _SHIFT)).astype(int)
    clear = np.rint(255.0 * (1.0 - patch.holes.clear[near])).astype(int)
    for (x, y), radius, value in zip(centres.tolist(), radii.tolist(), clear.tolist(), strict=True):
        cv2.circle(plane, (x, y), radius, value, -1, cv2.LINE_AA, _SHIFT)
    present: Plane = plane.astype(np.float32) / 255.0
    return present


def _draw_fat(patch: Patch, grid: Grid, stroma: Plane) -> None:
    """Empty fat cells and vessels out of stroma; between fat cells a thin wall stays."""
    if not patch.fat and not patch.vessels:
        return
    empty = np.zeros(stroma.shape, np.uint8)
    for outline in [*patch.fat, *patch.vessels]:
        _fill(empty, _fixed(grid, outline), 255.0)
    stroma *= 1.0 - _soft(empty.astype(np.float32), grid, 0.25) / 255.0


# ---- membranes ----------------------------------------------------------------------------------------------------


def draw_membranes(patch: Patch, antigen: Antigen, grid: Grid) -> tuple[Plane, NDArray[np.uint8]]:
    """DAB of the walls (od10 at gain 1) and the `Level` of the membrane at each pixel, `(H, W)` each.

    The stronger line wins where lines meet, so more antigen never means less DAB.
    """
    dab = np.zeros((grid.height, grid.width), np.float32)
    levels = np.zeros((grid.height, grid.width), np.uint8)
    for level, strength, mask in _line_masks(patch, antigen, grid):
        np.maximum(dab, WALL_OD10[level] * strength / 255.0 * mask, out=dab)
        levels[mask > LINE_PROFILE[0][2] + 1.0] = level
    return dab, levels


def membrane_levels(patch: Patch, antigen: Antigen, grid: Grid) -> NDArray[np.uint8]:
    """`Level` of the membrane at each pixel, `(H, W)`; `NONE` away from membranes."""
    return draw_membranes(patch, antigen, grid)[1]


def _line_masks(patch: Patch, antigen: Antigen, grid: Grid) -> Iterator[tuple[Level, float, Plane]]:
    """Lines of each level from the faintest, by pen: the pen's strength, and the lines at each pixel, 0..255."""
    factor = 1
    if grid.um_per_px <= COARSEST_LINE_UM_PER_PX:
        factor = max(1, round(grid.um_per_px / LINE_UM_PER_PX))
    fine = grid.refined(factor)
    near = _near(grid, patch.walls.line_um[:, 0])
    cuts = _end_cuts(patch, antigen.levels)
    for level, width_um in WALL_UM.items():
        for pen, (broader, strength) in enumerate(PENS):
            chosen = np.nonzero(near & (patch.walls.pen == pen))[0]
            width = width_um * patch.habit.line_width * broader
            lines = [_fixed(fine, line) for line in _lines(patch, antigen.levels, level, chosen, cuts, width)]
            if lines:
                yield level, strength, _drawn_lines(lines, width, fine, grid)


def _drawn_lines(lines: list[Fixed], width_um: float, fine: Grid, grid: Grid) -> Plane:
    mask: Mask = np.zeros((fine.height, fine.width), np.uint8)
    for share, added_px, value in LINE_PROFILE:
        width_px = max(1, round(share * width_um / fine.um_per_px - added_px))
        cv2.polylines(mask, lines, False, value, width_px, cv2.LINE_AA, _SHIFT)
    if fine.width > grid.width:
        mask = cv2.resize(mask, (grid.width, grid.height), interpolation=cv2.INTER_AREA)
    drawn: Plane = mask.astype(np.float32)
    return drawn


def _lines(patch: Patch, levels: Ints, level: Level, walls: Ints, cuts: Floats, width_um: float) -> list[Floats]:
    """Lines to draw at a level: one where two cells touch, two where they have come apart."""
    found = []
    apart = np.abs(patch.walls.inward_um).max(axis=(2, 3)) > 0.05
    epithelial = patch.is_epithelium()[patch.walls.cells]
    cap_um = 0.5 * LINE_PROFILE[0][0] * width_um
    for row, first, end in stretches(levels[walls], level):
        wall = int(walls[row])
        sides = [number for number in (0, 1) if epithelial[wall, number]]
        if not apart[wall].any():
            sides = sides[:1]
        # Under a stronger stretch a line goes on.
        begin = cuts[wall, 0] if first == 0 else levels[wall, first - 1] < level
        finish = cuts[wall, 1] if end > levels.shape[1] else levels[wall, end - 1] < level
        for number in sides:
            line = patch.both_sides_um[wall, number, first:end]
            found.append(_trimmed(line, cap_um * float(begin), cap_um * float(finish)))
    return found


def _end_cuts(patch: Patch, levels: Ints) -> Floats:
    """How many half widths a wall's two ends, `(W, 2)`, are cut by, so that no round cap reaches past its antigen.

    A whole one where no other stained wall meets it; less where two stained walls go round the end of a bare one.
    """
    ends = np.concatenate([patch.walls.line_um[:, 0], patch.walls.line_um[:, -1]])
    stained = np.concatenate([levels[:, 0], levels[:, -1]]) > Level.NONE
    bare = ~stained & np.tile(patch.is_epithelium()[patch.walls.cells].any(axis=1), 2)
    _, vertex = np.unique(np.rint(ends * 1000.0).astype(np.int64), axis=0, return_inverse=True)
    vertex = vertex.ravel()
    beside_bare = np.bincount(vertex, bare)[vertex] > 0
    cuts = np.where(beside_bare, CORNER_CUT, 0.0)
    cuts[np.bincount(vertex, stained)[vertex] < 2] = 1.0
    return cuts.reshape(2, -1).T


def _trimmed(line: Floats, start_um: float, stop_um: float) -> Floats:
    """A line shortened at its ends."""
    if start_um == stop_um == 0.0:
        return line
    length = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    start, stop = start_um, length[-1] - stop_um
    if stop <= start:
        start = stop = float(np.clip((start + stop) / 2.0, 0.0, length[-1]))
    places = np.concatenate([[start], length[(length > start) & (length < stop)], [stop]])
    return np.stack([np.interp(places, length, line[:, axis]) for axis in (0, 1)], axis=1)


# ---- nuclei -------------------------------------------------------------------------------------------------------


def _nuclei_planes(nuclei: Nuclei, grid: Grid, is_sharp: bool) -> tuple[Plane, Plane]:
    """Haematoxylin of nuclei in focus or not, and the share of nucleus: a dark rim, paler inside, nucleoli."""
    plane, cover = (np.zeros((grid.height, grid.width), np.uint8) for _ in range(2))
    near = np.nonzero(_near(grid, nuclei.xy_um) & ((nuclei.kind != "ghost") == is_sharp))[0]
    outlines_um = nucleus_outlines_um(nuclei, near, SMOOTH_FILL_PX * grid.um_per_px)
    middles_um = nuclei.xy_um[near][:, None]
    short_um = nuclei.axes_um[near, 1][:, None, None]
    inner = np.clip(1.0 - 0.55 / np.maximum(short_um, 1.0), 0.5, 0.9)
    rims, insides = _fixed(grid, outlines_um), _fixed(grid, middles_um + inner * (outlines_um - middles_um))
    for place, row in enumerate(near.tolist()):
        palest, darkest = NUCLEUS_OD10[str(nuclei.kind[row])]
        value = _PER_OD10 * (palest + (darkest - palest) * float(nuclei.tone[row]))
        pale = float(nuclei.pale[row])
        _fill(plane, rims[place], value)
        _fill(cover, rims[place], 255.0)
        if pale > 0.05:
            _fill(plane, insides[place], value * (1.0 - 0.55 * pale))
        if pale > 0.35:
            _draw_nucleoli(plane, grid, nuclei, row, value)
    return plane.astype(np.float32) / _PER_OD10, cover.astype(np.float32) / 255.0


def _draw_nucleoli(plane: Mask, grid: Grid, nuclei: Nuclei, row: int, value: float) -> None:
    """One to three dark dots; their number and places follow from the nucleus's own tone."""
    tone, pale = float(nuclei.tone[row]), float(nuclei.pale[row])
    for number in range(1 + int(7.0 * tone) % 3):
        turn, far = 40.0 * tone + 2.3 * number, (0.15 + 0.35 * ((13.0 * tone + 0.37 * number) % 1.0))
        offset = far * nuclei.axes_um[row, 1] * np.array([np.cos(turn), np.sin(turn)])
        x, y = _fixed(grid, nuclei.xy_um[row] + offset).tolist()
        radius_um = (0.45 + 0.45 * ((29.0 * tone) % 1.0)) / (1.0 + 0.35 * number)
        radius = max(1, round(radius_um / grid.um_per_px * (1 << _SHIFT)))
        cv2.circle(plane, (x, y), radius, min(255.0, value * (1.0 + 0.35 * pale)), -1, cv2.LINE_AA, _SHIFT)


_TURN = np.linspace(0.0, 2.0 * np.pi, 32, endpoint=False)


def nucleus_outlines_um(nuclei: Nuclei, rows: Ints, within_um: float = 0.0) -> Floats:
    """Outlines `(N, 32, 2)` of nuclei: ellipses with dents that leave the centre of gravity where it is.

    `within_um` smaller on all sides, for drawing that adds as much.
    """
    phase, dent = 60.0 * nuclei.tone[rows][:, None], nuclei.dent[rows][:, None]
    dents = 1.0 + dent * (0.65 * np.cos(3.0 * _TURN + phase) + 0.35 * np.cos(5.0 * _TURN + 2.0 * phase))
    axes_um, angle = np.maximum(nuclei.axes_um[rows] - within_um, 0.2), nuclei.angle[rows]
    along, across = axes_um[:, :1] * dents * np.cos(_TURN), axes_um[:, 1:] * dents * np.sin(_TURN)
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    return np.asarray(
        nuclei.xy_um[rows][:, None] + np.stack([along * cos - across * sin, along * sin + across * cos], 2)
    )


# ---- between cells ------------------------------------------------------------------------------------------------


FIBRE_PITCH_UM = 5.0
"""One fibre, 14 to 46 um long, begins in each square of this side."""
FIBRE_STEPS, FIBRE_STEP_UM = 9, 4.0
FIBRE_REACH_UM = 46.0
"""How far a fibre may lie from where it begins, with its sway."""


def _fibres(seed: int, nest_scale: float, stroma: Plane, grid: Grid) -> Plane:
    """Relative density of stroma: wavy fibres along the contours of the nest field, over loose ground substance."""
    if not stroma.any():
        return stroma
    left, top, right, bottom = grid.widened(round(FIBRE_REACH_UM / grid.um_per_px)).bounds_um
    columns = np.arange(int(left // FIBRE_PITCH_UM), int(right // FIBRE_PITCH_UM) + 1)
    rows = np.arange(int(top // FIBRE_PITCH_UM), int(bottom // FIBRE_PITCH_UM) + 1)
    i, j = (part.ravel() for part in np.meshgrid(columns, rows))
    shift = np.stack([uniform(seed, f"fibre {axis}", i, j) for axis in "xy"], axis=1)
    lines_um = _streamlines(
        seed, nest_scale, FIBRE_PITCH_UM * (np.stack([i, j], axis=1) + shift), uniform(seed, "fibre turn", i, j)
    )
    width, dark, long = (uniform(seed, f"fibre {what}", i, j) for what in ("width", "dark", "long"))
    lines, kept = _fixed(grid, lines_um), 3 + (long * (FIBRE_STEPS - 2)).astype(int)
    widths_px = np.maximum(1, np.rint((0.5 + 3.0 * width**2) / grid.um_per_px)).astype(int)
    groups: list[dict[tuple[int, int], list[int]]] = [{}, {}, {}]
    values, layers = (40 + 30 * (5 * dark).astype(int)).tolist(), np.mod(i + 2 * j, 3).tolist()
    for row, (layer, *pen) in enumerate(zip(layers, values, widths_px.tolist(), strict=True)):
        groups[layer].setdefault((pen[0], pen[1]), []).append(row)
    total = np.zeros(stroma.shape, np.float32)
    for layer in range(3):  # fibres cross: those of one layer hide each other, the layers add up
        plane = np.zeros(stroma.shape, np.uint8)
        for (value, width_px), members in sorted(groups[layer].items()):
            cv2.polylines(
                plane, [lines[row, : kept[row]] for row in members], False, value, width_px, cv2.LINE_AA, _SHIFT
            )
        total += plane
    ground = 1.0 + 0.5 * smooth_plane(seed, "loose", grid, 17.0) + 0.2 * smooth_plane(seed, "frayed", grid, 3.0)
    fibres: Plane = stroma * (0.55 * ground + _soft(total, grid, 0.35) * np.float32(1.0 / 220.0))
    return fibres


def _streamlines(seed: int, nest_scale: float, start_um: Floats, turn: Floats) -> Floats:
    """Places `(N, FIBRE_STEPS + 1, 2)` along the fibres that begin at the given places."""
    angle = fibre_angle(seed, start_um, nest_scale) + 0.7 * (turn - 0.5)
    steps = np.arange(FIBRE_STEPS + 1)
    along = FIBRE_STEP_UM * steps * np.stack([np.cos(angle), np.sin(angle)], axis=1)[..., None]  # (N, 2, STEPS + 1)
    straight = start_um[:, None] + np.moveaxis(along, 1, 2)
    x_um, y_um = straight[..., 0], straight[..., 1]
    sway = 2.5 * smooth_noise(seed, "sway", x_um, y_um, 14.0) + 5.0 * smooth_noise(seed, "sway wide", x_um, y_um, 40.0)
    across = np.stack([-np.sin(angle), np.cos(angle)], axis=1)[:, None]
    return np.asarray(straight + sway[..., None] * across)


SPECK_PITCH_UM = 45.0


def _specks(seed: int, grid: Grid) -> Plane:
    """Grains of precipitate, some in clusters."""
    plane = np.zeros((grid.height, grid.width), np.uint8)
    left, top, right, bottom = grid.bounds_um
    i = np.arange(int(left // SPECK_PITCH_UM) - 1, int(right // SPECK_PITCH_UM) + 2)
    j = np.arange(int(top // SPECK_PITCH_UM) - 1, int(bottom // SPECK_PITCH_UM) + 2)
    columns, rows = (part.ravel() for part in np.meshgrid(i, j))
    cluster = uniform(seed, "speck cluster", columns // 4, rows // 4) < 0.3
    for number in range(4):
        there = uniform(seed, f"speck {number}", columns, rows) < np.where(cluster, 0.8, 0.05)
        x, y, size = (uniform(seed, f"speck {what} {number}", columns, rows)[there] for what in ("x", "y", "size"))
        xy_um = SPECK_PITCH_UM * np.stack([columns[there] + x, rows[there] + y], axis=1)
        for (px, py), own in zip(_fixed(grid, xy_um).tolist(), size.tolist(), strict=True):
            radius = max(1, round((0.25 + 1.1 * own**3) / grid.um_per_px * (1 << _SHIFT)))
            cv2.circle(plane, (px, py), radius, 90 + round(160 * own), -1, cv2.LINE_AA, _SHIFT)
    specks: Plane = plane.astype(np.float32) / 100.0
    return specks
