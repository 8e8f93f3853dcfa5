"""Where nuclei lie in cells and between them, and the small empty places of a tissue."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from her2scope.phantom.cells import NO_HOLES, NO_NUCLEI, Holes, Nuclei, Patch, clearance
from her2scope.phantom.growth import Bools, Matter, fibre_angle
from her2scope.phantom.noise import Floats, Ints, normal, smooth_noise, uniform

SMALLEST_UM, LARGEST_UM = 5.0, 15.0
"""Diameters that tumour nuclei are meant to have; those without room in their cell are smaller. Marked by hand on real
fields: 4.4 to 8.1 um (5th to 95th percentile)."""
TONE_FLOCK_UM = 50.0
"""Width of flocks of nuclei of like darkness."""
LEAST_ROOM_UM = 1.6
"""Cells narrower than twice this are cut so near their end that no nucleus shows."""
TIP_SHARE = 0.6
"""How far along a nucleus no empty place may begin, as a share of its half length."""
ODD_VARIATION, ODD_LENGTH, ODD_REACH_UM, ODD_DENT = 0.2, 0.5, 2.5, 0.14
"""What disorder 1 adds to the spread of diameters, takes from the breadth over the length, adds to the farthest tip,
and to the depth of dents, of the oddest nucleus."""
Draw = Callable[[str], Floats]


def place_nuclei(patch: Patch) -> Nuclei:
    """Nuclei of a patch's cells, and of the flat cells along ducts and vessels."""
    parts = [_epithelial(patch, Matter.TUMOUR), _epithelial(patch, Matter.IN_SITU), _epithelial(patch, Matter.NORMAL)]
    parts += [_stromal(patch, number) for number in (0, 1)]
    parts += [_along_walls(patch), _along_vessels(patch), _debris(patch), _ghosts(patch)]
    joined = joined_nuclei(parts)
    kept = ~_in_voids(patch, joined)
    return Nuclei(*(getattr(joined, name)[kept] for name in Nuclei.__slots__))


def joined_nuclei(parts: list[Nuclei]) -> Nuclei:
    """Several groups of nuclei as one."""
    return Nuclei(*(np.concatenate([getattr(part, name) for part in parts]) for name in Nuclei.__slots__))


def _draws(patch: Patch, cells: Ints, what: str) -> Draw:
    i, j = patch.key[cells].T
    return lambda name: uniform(patch.seed, f"{what} {name}", i, j)


def _made(cell: Ints, xy_um: Floats, axes_um: Floats, angle: Floats, kind: str, shade: tuple[Floats, ...]) -> Nuclei:
    tone, pale, dent = shade
    return Nuclei(cell, xy_um, axes_um, angle, np.full(len(cell), kind, "U16"), tone, pale, dent)


def _directions(angle: Floats) -> Floats:
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _epithelial(patch: Patch, matter: Matter) -> Nuclei:
    """Nuclei of cells with a membrane: off the middle, long where the cell is long, with some room to the wall."""
    habit = patch.habit
    i, j = patch.key.T
    has_room = patch.inner_radius_um > LEAST_ROOM_UM
    in_section = uniform(patch.seed, "no nucleus", i, j) >= habit.no_nucleus_share
    cell = np.nonzero(patch.is_whole & (patch.matter == matter) & has_room & in_section)[0]
    if not len(cell):
        return NO_NUCLEI
    draw = _draws(patch, cell, "nucleus")
    disorder = habit.disorder if matter != Matter.NORMAL else 0.0
    odd = disorder * draw("odd")
    variation = habit.nucleus_variation + ODD_VARIATION * disorder
    spread = 1.0 + variation * normal(patch.seed, "nucleus size", i[cell], j[cell])
    size = 0.8 if matter == Matter.NORMAL else 1.0
    wanted_um = np.clip(size * habit.nucleus_share * habit.pitch_um * spread, SMALLEST_UM, LARGEST_UM) / 2.0
    room_um = patch.inner_radius_um[cell]
    shape = np.clip((0.70 + 0.28 * draw("shape")) / habit.stretch**0.6 * (1.0 - ODD_LENGTH * odd), 0.3, 1.0)
    short_um = np.clip(np.minimum(wanted_um * np.sqrt(shape), room_um - 0.1), 1.5, None)
    longest_um = np.minimum(short_um / (0.45 - 0.15 * odd), 1.25 * room_um + 0.8 + ODD_REACH_UM * odd)
    long_um = np.clip(wanted_um**2 / short_um, short_um, longest_um)
    free_um = np.clip(room_um - 0.3 * short_um - 0.7 * long_um, 0.0, 3.5) + 0.25 * habit.pitch_um * (habit.stretch - 1)
    shift_um = np.minimum(habit.eccentric * free_um * np.sqrt(draw("eccentric")), 4.5)
    towards = 2.0 * np.pi * draw("towards")
    grain = _directions(np.full(len(cell), habit.grain_angle))
    away = _directions(towards)
    lean = (away * grain).sum(axis=1, keepdims=True) * grain  # a long cell has its room along its length
    away = away + (habit.stretch - 1.0) * lean
    away /= np.hypot(away[:, 0], away[:, 1])[:, None]
    turn = np.pi * draw("turn")
    along_grain = (habit.stretch > 1.12) & (draw("astray") >= 0.7 * disorder)
    angle = np.where(along_grain, habit.grain_angle + 0.6 * (draw("turn") - 0.5), turn)
    pale = np.clip(habit.vesicular + (0.35 + 0.6 * disorder) * (draw("pale") - 0.5), 0.0, 1.0)
    x_um, y_um = patch.site_um[cell].T
    flock = 0.5 + 0.9 * smooth_noise(patch.seed, "tone flock", x_um, y_um, TONE_FLOCK_UM)
    few_dark = 1.5 - 0.8 * disorder
    tone = np.clip(0.65 * draw("tone") + 0.35 * flock, 0.0, 1.0) ** few_dark
    dent = habit.irregular * (0.4 + 1.2 * draw("dent")) + ODD_DENT * odd
    shift, fitting_um = _within(patch, cell, shift_um[:, None] * away, np.stack([long_um, short_um], axis=1), angle)
    long_um = np.where(draw("over") < 0.6 * disorder, long_um, fitting_um)
    dividing = draw("mitosis") < habit.mitosis_share
    axes = np.stack([long_um, np.where(dividing, 0.4 * long_um, short_um)], axis=1)
    shade = (np.where(dividing, 1.3, tone), np.where(dividing, 0.0, pale), np.where(dividing, 0.22, dent))
    return _made(
        cell, patch.centre_um[cell] + shift, axes, angle, "normal" if matter == Matter.NORMAL else "tumour", shade
    )


def _within(patch: Patch, cell: Ints, shift: Floats, axes_um: Floats, angle: Floats) -> tuple[Floats, Floats]:
    """Shifts from the cells' middles, and longer half axes, with which nuclei stay within their cells."""
    place = np.full(len(patch.key), -1)
    place[cell] = np.arange(len(cell))
    owner = place[patch.side_cell]
    around = patch.around_um[owner >= 0] - patch.centre_um[patch.side_cell[owner >= 0]][:, None]
    owner = owner[owner >= 0]
    long_um, short_um = axes_um.T
    share = np.ones(len(cell))
    for less in (0.7, 0.4, 0.0):
        offset = around - (share[:, None] * shift)[owner][:, None]
        share[clearance(offset, owner, len(cell)) < short_um] = less
    shift = share[:, None] * shift
    offset = around - shift[owner][:, None]
    cos, sin = np.cos(angle)[owner, None], np.sin(angle)[owner, None]
    along, across = offset[..., 0] * cos + offset[..., 1] * sin, offset[..., 1] * cos - offset[..., 0] * sin
    rest = 1.0 - (across / short_um[owner, None]) ** 2  # an ellipse through the place has this share of `along`
    fitting = np.where(rest > 0.0, np.abs(along) / np.sqrt(np.maximum(rest, 1e-9)), np.inf).min(axis=1)
    np.minimum.at(long_um := long_um.copy(), owner, fitting)
    return shift, np.maximum(long_um, short_um)


def _stromal(patch: Patch, number: int) -> Nuclei:
    """Spindle nuclei of fibroblasts along the fibres, round ones of lymphocytes and plasma cells in flocks."""
    habit = patch.habit
    stroma = np.nonzero(patch.is_whole & (patch.matter == Matter.STROMA))[0]
    if not len(stroma):
        return NO_NUCLEI
    x_um, y_um = patch.centre_um[stroma].T
    flock = smooth_noise(patch.seed, "flock", x_um, y_um, 90.0) > 0.62 - 0.8 * habit.lymphocytes
    density = smooth_noise(patch.seed, "cellular", x_um, y_um, 120.0)
    chance = np.clip(habit.cellularity * (0.55 - 0.35 * number) * (1.0 + 0.9 * density), 0.0, 0.95)
    draw_all = _draws(patch, stroma, f"stroma {number}")
    present = draw_all("present") < np.where(flock, 0.85, chance)
    cell, flock = stroma[present], flock[present]
    draw = _draws(patch, cell, f"stroma {number}")
    is_round = draw("kind") < np.where(flock, 0.85, habit.lymphocytes)
    is_plasma = is_round & (draw("plasma") < habit.plasma_share)
    towards = 2.0 * np.pi * (uniform(patch.seed, "stroma side", *patch.key[cell].T) + 0.5 * number)
    reach_um = (1.5 + 2.5 * draw("reach")) * habit.pitch_um / 14.5
    xy_um = patch.centre_um[cell] + reach_um[:, None] * _directions(towards)
    size = draw("size")
    long_um = np.where(is_round, 2.5 + 0.9 * size, 4.0 + 5.0 * size)
    long_um = np.where(is_plasma, 2.7 + 0.7 * size, long_um)
    short_um = np.where(is_round, long_um * (0.82 + 0.16 * draw("roundness")), 0.9 + 1.1 * draw("width"))
    angle = fibre_angle(patch.seed, xy_um, habit.nest_scale) + 0.7 * (draw("turn") - 0.5)
    shade = (draw("tone"), 0.4 * draw("pale"), np.where(is_round, 0.03, 0.08))
    found = _made(cell, xy_um, np.stack([long_um, short_um], axis=1), angle, "fibroblast", shade)
    found.kind[is_round] = "lymphocyte"
    found.kind[is_plasma] = "plasma"
    return found


def _along_walls(patch: Patch) -> Nuclei:
    """Flat nuclei along the outer wall of ducts (myoepithelium) and, fewer, along nests (fibroblasts)."""
    matter = patch.matter[patch.walls.cells]
    to_stroma = (matter == Matter.STROMA).any(axis=1) & patch.is_whole[patch.walls.cells].all(axis=1)
    in_duct = np.isin(matter, (Matter.IN_SITU, Matter.NORMAL)).any(axis=1)
    name = patch.key[patch.walls.cells].sum(axis=1).T
    chance = np.where(in_duct, 0.45, np.where((matter == Matter.TUMOUR).any(axis=1), 0.12, 0.0))
    wall = np.nonzero(to_stroma & (uniform(patch.seed, "flat", *name) < chance))[0]
    if not len(wall):
        return NO_NUCLEI
    stroma = np.where(matter[wall, 0] == Matter.STROMA, 0, 1)
    line = patch.both_sides_um[wall, stroma]  # where stroma has drawn back they lie on its own side of the gap
    middle, along = line[:, line.shape[1] // 2], line[:, -1] - line[:, 0]
    outward = patch.site_um[patch.walls.cells[wall, stroma]] - middle
    outward /= np.hypot(outward[:, 0], outward[:, 1])[:, None]
    size, tone = (uniform(patch.seed, f"flat {what}", *name)[wall] for what in ("size", "tone"))
    axes = np.stack([2.6 + 2.2 * size, 0.9 + 0.8 * tone], axis=1)
    angle = np.arctan2(along[:, 1], along[:, 0])
    shade = (tone, 0.2 * size, np.full(len(wall), 0.05))
    return _made(np.full(len(wall), -1), middle + (axes[:, 1:] + 0.9) * outward, axes, angle, "flat", shade)


def _along_vessels(patch: Patch) -> Nuclei:
    """Flat nuclei on the rim of vessels, few on that of fat cells."""
    groups = []
    for outlines, chance in ((patch.vessels, 0.14), (patch.fat, 0.012)):
        for outline in outlines:
            place = np.rint(outline * 8.0).astype(np.int64)
            chosen = np.nonzero(uniform(patch.seed, "rim", *place.T) < chance)[0]
            along = np.roll(outline, -1, axis=0)[chosen] - outline[chosen]
            size, tone = (uniform(patch.seed, f"rim {what}", *place[chosen].T) for what in ("size", "tone"))
            axes = np.stack([2.4 + 2.0 * size, 0.8 + 0.6 * tone], axis=1)
            away = outline[chosen] - outline.mean(axis=0)
            away /= np.hypot(away[:, 0], away[:, 1])[:, None]
            shade = (tone, 0.2 * size, np.full(len(chosen), 0.05))
            angle = np.arctan2(along[:, 1], along[:, 0])
            groups.append(_made(np.full(len(chosen), -1), outline[chosen] + 0.8 * away, axes, angle, "flat", shade))
    return joined_nuclei(groups) if groups else NO_NUCLEI


def _debris(patch: Patch) -> Nuclei:
    """Shrunken and broken nuclei in necrosis: no cell of any count."""
    cell = np.nonzero(patch.is_whole & (patch.matter == Matter.NECROSIS))[0]
    groups = [NO_NUCLEI]
    for number in range(3):
        draw_all = _draws(patch, cell, f"debris {number}")
        chosen = cell[draw_all("there") < 0.5]
        draw = _draws(patch, chosen, f"debris {number}")
        away = (0.4 * patch.habit.pitch_um * draw("far"))[:, None] * _directions(2.0 * np.pi * draw("towards"))
        radius = 0.5 + 1.8 * draw("size") ** 2
        axes = np.stack([radius, radius * (0.6 + 0.4 * draw("shape"))], axis=1)
        shade = (draw("tone"), np.zeros(len(chosen)), np.full(len(chosen), 0.12))
        groups.append(_made(chosen, patch.site_um[chosen] + away, axes, np.pi * draw("turn"), "debris", shade))
    return joined_nuclei(groups)


def _ghosts(patch: Patch) -> Nuclei:
    """Nuclei that shine through, pale and blurred, from above or below the plane of focus."""
    i, j = patch.key.T
    solid = np.isin(patch.matter, (Matter.TUMOUR, Matter.IN_SITU, Matter.STROMA))
    cell = np.nonzero(patch.is_whole & solid & (uniform(patch.seed, "ghost", i, j) < patch.habit.ghost_share))[0]
    draw = _draws(patch, cell, "ghost")
    away = (0.35 * patch.habit.pitch_um) * _directions(2.0 * np.pi * draw("towards"))
    long_um = 0.3 * patch.habit.pitch_um * (0.9 + 0.4 * draw("size"))
    axes = np.stack([long_um, long_um * (0.6 + 0.35 * draw("shape"))], axis=1)
    shade = (draw("tone"), np.zeros(len(cell)), np.full(len(cell), 0.05))
    return _made(cell, patch.centre_um[cell] + away, axes, np.pi * draw("turn"), "ghost", shade)


def _in_voids(patch: Patch, nuclei: Nuclei) -> Bools:
    """Which nuclei of stroma reach into a fat cell or vessel, which are empty of stroma alone."""
    tip = (TIP_SHARE * nuclei.axes_um[:, :1]) * _directions(nuclei.angle)
    places = nuclei.xy_um[:, None] + np.stack([-tip, np.zeros_like(tip), tip], axis=1)
    inside = np.zeros(places.shape[:2], np.bool_)
    for outline in [*patch.fat, *patch.vessels]:
        middle = outline.mean(axis=0)
        away = outline - middle
        turn = np.arctan2(away[:, 1], away[:, 0])
        order = np.argsort(turn)
        x, y = np.moveaxis(places - middle, -1, 0)
        rim = np.interp(np.arctan2(y, x), turn[order], np.hypot(*away[order].T), period=2 * np.pi)
        inside |= np.hypot(x, y) < rim
    in_stroma = (nuclei.cell < 0) | (patch.matter[nuclei.cell] == Matter.STROMA)
    return np.asarray(inside.any(axis=1) & in_stroma)


def place_holes(patch: Patch) -> Holes:
    """Vacuoles of epithelial cells, and empty corners between them."""
    parts = [_vacuoles(patch), _corners(patch)]
    return Holes(*(np.concatenate([getattr(part, name) for part in parts]) for name in Holes.__slots__))


def _vacuoles(patch: Patch) -> Holes:
    i, j = patch.key.T
    has_one = uniform(patch.seed, "vacuole", i, j) < patch.habit.vacuole_share
    cell = np.nonzero(patch.is_whole & patch.is_epithelium() & has_one & (patch.inner_radius_um > 2.5))[0]
    if not len(cell):
        return NO_HOLES
    draw = _draws(patch, cell, "vacuole")
    radius_um = np.minimum(0.7 + 3.5 * draw("size") ** 1.5, 0.7 * patch.inner_radius_um[cell])
    # Opposite to where the nucleus leans.
    towards = 2.0 * np.pi * _draws(patch, cell, "nucleus")("towards") + np.pi
    away_um = np.clip(patch.inner_radius_um[cell] - radius_um - 0.4, 0.0, None)
    xy_um = patch.centre_um[cell] + away_um[:, None] * _directions(towards)
    return Holes(xy_um, radius_um, 0.6 + 0.4 * draw("clear"))


def _corners(patch: Patch) -> Holes:
    """At one end of some walls between epithelial cells."""
    epithelial = patch.is_epithelium()[patch.walls.cells].all(axis=1)
    name = patch.key[patch.walls.cells].sum(axis=1).T
    wall = np.nonzero(epithelial & (uniform(patch.seed, "corner", *name) < patch.habit.corner_share))[0]
    size, clear = (uniform(patch.seed, f"corner {what}", *name)[wall] for what in ("size", "clear"))
    return Holes(patch.walls.line_um[wall, 0], 0.4 + 1.3 * size**1.5, 0.5 + 0.5 * clear)
