"""Profiles across drawn rings: a known share, a known darkness, in pictures of every scale."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from her2scope.domain.cells import MembraneMeasure, StainCuts
from her2scope.imaging.cell_outlines import CellOutlines, OutlineSeeds, find_outlines
from her2scope.imaging.kept_profiles import kept
from her2scope.imaging.outline_places import N_PLACES, OutlinePlaces, even_places, normals, sampled
from her2scope.imaging.profiles import (
    BESIDE_UM,
    DEFAULT_PLACE_RULE,
    HALF_UM,
    N_ACROSS,
    N_ACROSS_NETWORK,
    Floats,
    Membranes,
    Profiles,
    averaged_along,
    measure_membranes,
    membrane_mask,
    read_profiles,
    redrawn_mask,
    seen_across,
    stained_places,
)
from her2scope.imaging.workspace import Workspace
from her2scope.records import FAINT, INTENSE, CellProfiles

SIDE_UM = 30.0
NETWORK_UM = 0.5
CUTS = StainCuts(0.06, 0.35, 0.70)
NUCLEUS_UM = 3.0
LIKELY = DEFAULT_PLACE_RULE.likely_membrane + 0.02
SCALES = st.sampled_from([0.1, 0.2, 0.25, 0.37, 0.5])


@dataclass(frozen=True)
class Ring:
    """A drawn cell: its membrane begins at x to the right and goes round towards y (down)."""

    x_um: float = 15.0
    y_um: float = 15.0
    radius_um: float = 6.0
    od10: float = 0.5
    share: float = 1.0
    width_um: float = 1.0
    begin: float = 0.0
    haze_od10: float = 0.0


def middles(um_per_px: float) -> tuple[np.ndarray, np.ndarray]:
    """Middles (um) of all pixels, x and y."""
    at = (np.arange(round(SIDE_UM / um_per_px)) + 0.5) * um_per_px
    x, y = np.meshgrid(at, at)
    return x, y


def lines(rings: tuple[Ring, ...], um_per_px: float, blur_um: float) -> list[np.ndarray]:
    """Each ring's line, 0..1, its edges soft over `blur_um`."""
    x, y = middles(um_per_px)
    drawn = []
    for ring in rings:
        across = np.abs(np.hypot(x - ring.x_um, y - ring.y_um) - ring.radius_um)
        turn = np.mod(np.arctan2(y - ring.y_um, x - ring.x_um) / (2 * np.pi) - ring.begin, 1)
        edge = np.clip((ring.width_um / 2 - across) / blur_um + 0.5, 0, 1)
        drawn.append(edge * (turn < ring.share))
    return drawn


def dab_of(rings: tuple[Ring, ...], um_per_px: float) -> np.ndarray:
    x, y = middles(um_per_px)
    total = np.zeros(x.shape)
    for ring, line in zip(rings, lines(rings, um_per_px, 0.3), strict=True):
        total += ring.haze_od10 * (np.hypot(x - ring.x_um, y - ring.y_um) < ring.radius_um)
        total += ring.od10 * line
    return total.astype(np.float32)


def membrane_of(rings: tuple[Ring, ...]) -> np.ndarray:
    """As the network would have it: 1 on a line, 0.5 at its edge."""
    return np.max(lines(rings, NETWORK_UM, 0.6), axis=0).astype(np.float32)


def seeds_of(rings: tuple[Ring, ...]) -> OutlineSeeds:
    xy = np.array([[ring.x_um, ring.y_um] for ring in rings]) / NETWORK_UM - 0.5
    reach = np.array([[ring.radius_um] * 32 for ring in rings]) / NETWORK_UM
    return OutlineSeeds(
        xy.astype(np.float32), np.full(len(rings), NUCLEUS_UM / NETWORK_UM, np.float32), reach.astype(np.float32)
    )


def profiles_of(dab: np.ndarray, um_per_px: float, membrane: np.ndarray, seeds: OutlineSeeds) -> Profiles:
    outlines = find_outlines(membrane, NETWORK_UM, seeds).scaled(NETWORK_UM / um_per_px)
    return read_along(outlines, dab, um_per_px, membrane)


def read_along(
    outlines: CellOutlines, dab: np.ndarray, um_per_px: float, membrane: np.ndarray, workspace: Workspace | None = None
) -> Profiles:
    places = OutlinePlaces.along(outlines)
    seen = seen_across(places, membrane, um_per_px, NETWORK_UM, workspace)
    return read_profiles(places, dab, um_per_px, seen, workspace)


def measured(*rings: Ring, um_per_px: float = 0.25, cuts: StainCuts = CUTS) -> Membranes:
    profiles = profiles_of(dab_of(rings, um_per_px), um_per_px, membrane_of(rings), seeds_of(rings))
    return measure_membranes(kept(profiles), cuts)


def some_profiles(
    membrane: np.ndarray, contrast: float | np.ndarray = 0.2, wall: float | np.ndarray = 0.3, spacing_um: float = 0.6
) -> CellProfiles:
    """One cell's profiles with given values at its places."""
    n = len(membrane)
    return CellProfiles(
        np.broadcast_to(wall, (1, n)).astype(np.float32),
        np.array(membrane, np.float32)[None],
        np.broadcast_to(contrast, (1, n)).astype(np.float32),
        np.array([spacing_um], np.float32),
    )


# ---- laws ---------------------------------------------------------------------------------------------------------


@given(share=st.floats(0, 1), radius=st.floats(5, 9), begin=st.floats(0, 1), um_per_px=SCALES)
def test_a_ring_of_known_completeness_is_measured(share, radius, begin, um_per_px):
    gap_um = (1 - share) * 2 * np.pi * radius
    assume(not 0.5 < gap_um < 2.0)  # bridged or not: a soft line of the network ends within half a pixel
    assume(not 0 < share * 2 * np.pi * radius < DEFAULT_PLACE_RULE.least_run_um + 1.0)  # a granule?
    found = measured(Ring(radius_um=radius, share=share, begin=begin), um_per_px=um_per_px)
    assert found.completeness[0] == pytest.approx(share, abs=0.05)


@given(
    first=st.floats(0.05, 1.2),
    more=st.floats(0, 1),
    share=st.floats(0.2, 1),
    width=st.sampled_from([0.64, 1.0, 2.1]),
    um_per_px=SCALES,
)
def test_more_stain_on_a_membrane_never_lowers_a_measure(first, more, share, width, um_per_px):
    paler, browner = (
        measured(Ring(od10=od10, share=share, width_um=width), um_per_px=um_per_px) for od10 in (first, first + more)
    )
    assert browner.completeness[0] >= paler.completeness[0]
    assert browner.intensity_od10[0] >= paler.intensity_od10[0] - 1e-6
    assert browner.intense_share[0] >= paler.intense_share[0]


@given(low=st.floats(0.01, 0.5), more=st.floats(0, 0.5))
def test_a_higher_cut_never_raises_completeness(low, more):
    ring = Ring(od10=0.4, share=0.7)
    less, strict = (
        measured(ring, cuts=StainCuts(cut, max(cut, 0.5), max(cut, 0.7))).completeness[0] for cut in (low, low + more)
    )
    assert strict <= less


@given(haze=st.floats(0, 2), um_per_px=SCALES)
def test_even_haze_is_not_membrane_whatever_the_network_says(haze, um_per_px):
    size = round(SIDE_UM / um_per_px)
    dab = np.full((size, size), haze, np.float32)
    everywhere = np.ones((60, 60), np.float32)
    found = measure_membranes(profiles_of(dab, um_per_px, everywhere, seeds_of((Ring(),))), CUTS)
    assert (found.completeness[0], found.intensity_od10[0], found.intense_share[0]) == (0, 0, 0)


@given(turns=st.integers(0, 3), mirrored=st.booleans(), share=st.floats(0.1, 1))
def test_a_turned_or_mirrored_picture_gives_the_same(turns, mirrored, share):
    rings = (Ring(share=share, haze_od10=0.1),)
    planes = [dab_of(rings, 0.25), membrane_of(rings)]
    turned = [np.rot90(plane, turns) for plane in planes]
    if mirrored:
        turned = [plane[:, ::-1] for plane in turned]
    one, other = (
        measure_membranes(kept(profiles_of(dab, 0.25, membrane, seeds_of(rings))), CUTS)
        for dab, membrane in (planes, [np.ascontiguousarray(plane) for plane in turned])
    )
    assert other.completeness == pytest.approx(one.completeness, abs=2.1 / N_PLACES)
    assert other.intensity_od10 == pytest.approx(one.intensity_od10, abs=0.02)


@given(gap=st.floats(2.5, 5.0))
def test_a_neighbours_ring_is_not_taken(gap):
    bare = Ring(x_um=8.0, radius_um=5.0, share=0.0)
    ringed = Ring(x_um=8.0 + 10.0 + gap, radius_um=5.0, od10=1.0)
    found = measured(bare, ringed)
    assert found.completeness[0] == 0
    assert found.completeness[1] >= 0.97


# ---- cases --------------------------------------------------------------------------------------------------------


def test_a_line_between_two_cells_counts_for_both():
    rings = tuple(Ring(x_um=x, radius_um=5.0, od10=0.0, share=0.0) for x in (10.0, 20.0))
    x, y = middles(0.25)
    dab = 0.6 * ((np.abs(x - 15.0) < 0.5) & (np.abs(y - 15.0) < 3.0))
    x, y = middles(NETWORK_UM)
    membrane = ((np.abs(x - 15.0) < 0.6) & (np.abs(y - 15.0) < 3.0)).astype(np.float32)
    found = measure_membranes(kept(profiles_of(dab.astype(np.float32), 0.25, membrane, seeds_of(rings))), CUTS)
    assert found.completeness == pytest.approx([0.2, 0.2], abs=0.06)
    assert found.completeness[0] == pytest.approx(found.completeness[1], abs=1.1 / N_PLACES)


@pytest.mark.parametrize("width_um", [2.1, 3.0, 3.6])
@pytest.mark.parametrize("um_per_px", [0.1, 0.25, 0.5])
def test_a_wall_wider_than_the_profile_is_complete_and_intense(width_um, um_per_px):
    found = measured(Ring(radius_um=8.0, od10=0.9, width_um=width_um), um_per_px=um_per_px)
    assert found.completeness[0] == 1
    assert found.intense_share[0] == 1


def test_cytoplasm_takes_nothing_from_intensity():
    clear, hazy = (measured(Ring(od10=0.8, haze_od10=haze)) for haze in (0.0, 0.3))
    assert clear.intensity_od10[0] == pytest.approx(0.8, abs=0.03)
    assert hazy.intensity_od10[0] >= clear.intensity_od10[0]
    assert hazy.completeness[0] == clear.completeness[0] == 1


def test_golden_cell_half_intense_a_quarter_faint():
    rings = (Ring(od10=1.0, share=0.5), Ring(od10=0.2, share=0.25, begin=0.5))
    profiles = profiles_of(dab_of(rings, 0.25), 0.25, membrane_of(rings), seeds_of(rings[:1]))
    (measure,) = measure_membranes(kept(profiles), CUTS).measures()
    assert isinstance(measure, MembraneMeasure)
    assert measure.completeness == pytest.approx(0.75, abs=0.03)
    assert measure.intense_share == pytest.approx(0.50, abs=0.03)
    assert measure.intensity_od10 == pytest.approx(1.0, abs=0.03)


def test_noise_on_haze_is_hardly_membrane_even_where_the_network_sees_one_everywhere():
    noise = np.random.default_rng(3).normal(0.3, 0.02, (120, 120)).astype(np.float32)
    seeds = OutlineSeeds(*(np.repeat(part, 50, axis=0) for part in _parts(seeds_of((Ring(),)))))
    rng = np.random.default_rng(4)
    seeds = OutlineSeeds(seeds.xy_px + rng.uniform(-8, 8, (50, 2)).astype(np.float32), seeds.nucleus_px, seeds.reach_px)
    found = measure_membranes(kept(profiles_of(noise, 0.25, np.ones((60, 60), np.float32), seeds)), CUTS)
    assert found.completeness.mean() < 0.05


def _parts(seeds: OutlineSeeds) -> list[np.ndarray]:
    return [seeds.xy_px, seeds.nucleus_px, seeds.reach_px]


def test_membrane_that_the_network_does_not_see_is_none():
    rings = (Ring(od10=0.8),)
    unseen = 0.3 * membrane_of(rings)
    found = measure_membranes(kept(profiles_of(dab_of(rings, 0.25), 0.25, unseen, seeds_of(rings))), CUTS)
    assert found.completeness[0] == 0


def test_a_broken_line_of_the_network_is_joined():
    membrane = np.full(N_PLACES, 0.9)
    membrane[10:14] = membrane[40:44] = LIKELY
    assert stained_places(some_profiles(membrane), 0.06).all()
    assert not stained_places(some_profiles(np.full(N_PLACES, LIKELY)), 0.06).any()


@pytest.mark.parametrize(("place", "surest", "is_uncertain"), [(20, 0.92, True), (20, 0.94, False), (50, 0.99, True)])
def test_a_cell_is_beyond_doubt_by_one_stained_place_that_is(place, surest, is_uncertain):
    membrane = np.full(N_PLACES, 0.0)
    membrane[10:30] = 0.9
    membrane[place] = surest  # a place by itself is no membrane, however sure
    found = measure_membranes(some_profiles(membrane), CUTS)
    assert found.stained.any() and found.uncertain.tolist() == [is_uncertain]
    assert [one.uncertain for one in found.measures()] == [is_uncertain]


def test_likely_places_count_only_near_a_sure_one():
    membrane = np.full(N_PLACES, LIKELY)
    membrane[20] = 0.9
    assert np.flatnonzero(stained_places(some_profiles(membrane), 0.06)[0]).tolist() == list(range(16, 25))


@pytest.mark.parametrize(
    ("gap_places", "spacing_um", "is_bridged"),
    [(1, 0.6, True), (2, 0.6, False), (2, 0.45, True), (3, 0.3, True), (4, 0.3, False), (1, 1.2, False)],
)
def test_gaps_under_1_um_are_bridged(gap_places, spacing_um, is_bridged):
    membrane = np.ones(N_PLACES)
    membrane[:gap_places] = 0.0
    membrane[-5:] = 1.0
    found = stained_places(some_profiles(membrane, spacing_um=spacing_um), 0.06)[0]
    assert found.sum() == (N_PLACES if is_bridged else N_PLACES - gap_places)


def test_a_gap_is_not_bridged_from_one_side():
    membrane = np.zeros(N_PLACES)
    membrane[3] = 1.0
    rule = replace(DEFAULT_PLACE_RULE, least_run_um=0.0)
    assert stained_places(some_profiles(membrane, spacing_um=0.3), 0.06, rule)[0].sum() == 1


@pytest.mark.parametrize("n_stained", [0, 2, 3, 5, N_PLACES])
def test_intensity_is_the_median_over_stained_places(n_stained):
    walls = np.linspace(0.2, 1.4, N_PLACES)
    membrane = np.where(np.arange(N_PLACES) < n_stained, 1.0, 0.0)
    found = measure_membranes(some_profiles(membrane, wall=walls, spacing_um=1.5), CUTS)
    assert found.intensity_od10[0] == pytest.approx(np.median(walls[:n_stained]) if n_stained else 0, abs=1e-6)
    assert found.intense_share[0] == pytest.approx(np.mean((walls >= 0.7) & (membrane > 0)))


def test_places_are_even_along_the_outline():
    corners = np.array([[[0, 0], [8, 0], [8, 2], [0, 2]], [[0, 0], [4, 0], [4, 4], [0, 4]]], np.float32)
    places, spacing = even_places(corners, 10)
    assert spacing == pytest.approx([2.0, 1.6])
    assert places[0, :6].tolist() == [[0, 0], [2, 0], [4, 0], [6, 0], [8, 0], [8, 2]]
    assert places[1, 5] == pytest.approx([4, 4])


def test_averages_go_round():
    values = np.zeros((1, 8), np.float32)
    values[0, 0] = 5.0
    assert averaged_along(values)[0].tolist() == [1, 1, 1, 0, 0, 0, 1, 1]


def test_the_profile_runs_from_inside_to_outside():
    rings = (Ring(radius_um=6.4),)  # drawn 0.4 um outside the outline
    found = find_outlines(np.zeros((60, 60), np.float32), NETWORK_UM, seeds_of((Ring(),)))
    profiles = read_along(found.scaled(2), dab_of(rings, 0.25), 0.25, membrane_of(rings))
    assert profiles.od10.shape == (1, N_PLACES, N_ACROSS)
    assert np.median(profiles.od10.argmax(axis=2)) > N_ACROSS // 2
    assert profiles.wall_od10 == pytest.approx(profiles.od10.max(axis=2))
    assert profiles.spacing_um == pytest.approx(2 * np.pi * 6 / N_PLACES, rel=0.01)


def test_no_cell_no_measure():
    nobody = OutlineSeeds(*(part[:0] for part in _parts(seeds_of((Ring(),)))))
    profiles = profiles_of(dab_of((Ring(),), 0.25), 0.25, membrane_of((Ring(),)), nobody)
    assert list(measure_membranes(kept(profiles), CUTS).measures()) == []


def test_an_outline_beyond_the_picture_is_measured_on_its_last_pixels():
    outline = CellOutlines(*(np.array(part, np.float32) for part in ([[0, 0]], [2], [[12] * 48])))
    found = read_along(outline, np.zeros((40, 40), np.float32), 0.25, np.zeros((20, 20), np.float32))
    assert np.isfinite(found.contrast_od10).all()


# ---- the fast way and the plain one ---------------------------------------------------------------------------------


def cells_around(n: int, size_hw: tuple[int, int], seed: int) -> CellOutlines:
    """Wavy outlines of cells in and just outside a picture."""
    rng = np.random.default_rng(seed)
    middles = rng.uniform(-8, np.array(size_hw[::-1]) + 8, (n, 2))
    radius = rng.uniform(8, 30, (n, 1)) * rng.uniform(0.8, 1.2, (n, 48))
    return CellOutlines(*(part.astype(np.float32) for part in (middles, rng.uniform(4, 12, n), radius)))


def plainly_read(outlines: CellOutlines, dab: Floats, um_per_px: float, membrane: Floats) -> Profiles:
    """What `read_profiles` is to give, step by step over the whole of the places."""
    xy_px, spacing_px = even_places(outlines.places_xy_px(), N_PLACES)
    outward = normals(xy_px)
    across_px = np.linspace(-HALF_UM, HALF_UM, N_ACROSS, dtype=np.float32) / np.float32(um_per_px)
    od10 = np.stack([sampled(dab, xy_px + step * outward) for step in across_px])
    depths_px = np.array(BESIDE_UM, np.float32) / np.float32(um_per_px)
    away = xy_px - outlines.xy_px[:, None]
    room_px = np.maximum(np.hypot(away[..., 0], away[..., 1]) - outlines.nucleus_px[:, None], depths_px[0])
    inside = [sampled(dab, xy_px - np.minimum(depth, room_px)[..., None] * outward) for depth in depths_px]
    outside = [sampled(dab, xy_px + depth * outward) for depth in depths_px]
    palest = sum(plainly_averaged(np.stack(side)).min(axis=0) for side in (inside, outside))
    contrast = plainly_averaged(od10).max(axis=0) - palest / 2
    on_map_px = (xy_px + np.float32(0.5)) * np.float32(um_per_px / NETWORK_UM) - np.float32(0.5)
    steps_px = np.linspace(-HALF_UM, HALF_UM, N_ACROSS_NETWORK, dtype=np.float32) / np.float32(NETWORK_UM)
    seen = np.max([sampled(membrane, on_map_px + step * outward) for step in steps_px], axis=0)
    return Profiles(spacing_px * np.float32(um_per_px), np.moveaxis(od10, 0, 2), seen, contrast)


def plainly_averaged(values: Floats) -> Floats:
    return sum(np.roll(values, shift, axis=-1) for shift in (2, 1, 0, -1, -2)) / np.float32(5)


def same_profiles(one: Profiles, other: Profiles) -> bool:
    names = "spacing_um", "od10", "membrane", "contrast_od10"
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


@pytest.mark.parametrize("n", [0, 1, 3, 300])
@pytest.mark.parametrize(("size_hw", "um_per_px"), [((97, 131), 0.25), ((64, 41), 0.37), ((50, 50), 0.5)])
def test_profiles_are_to_the_bit_what_step_by_step_gives(n: int, size_hw: tuple[int, int], um_per_px: float) -> None:
    rng = np.random.default_rng(n)
    outlines = cells_around(n, size_hw, seed=n)
    dab = rng.normal(0.3, 0.2, size_hw).astype(np.float32)
    membrane = rng.random(size_hw, np.float32)
    workspace = Workspace()
    read_along(cells_around(400, size_hw, seed=9), dab, um_per_px, membrane, workspace)
    found = read_along(outlines, dab, um_per_px, membrane, workspace)
    assert same_profiles(found, plainly_read(outlines, dab, um_per_px, membrane))
    read_along(cells_around(n, size_hw, seed=8), -dab, um_per_px, 1 - membrane, workspace)
    assert same_profiles(found, plainly_read(outlines, dab, um_per_px, membrane))


@given(st.integers(0, 5), st.integers(5, 70), st.integers(0, 99))
def test_a_running_mean_around_is_that_of_turned_copies(n: int, n_places: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(0, 1, (n, 3, n_places)).astype(np.float32)
    assert averaged_along(values) == pytest.approx(plainly_averaged(values), abs=1e-6)


@given(st.integers(1, 4), st.integers(0, 99))
def test_even_places_are_those_of_each_outline_alone(n: int, seed: int) -> None:
    outlines = cells_around(n, (100, 100), seed).places_xy_px()
    places, spacing = even_places(outlines, N_PLACES)
    for outline, found, apart in zip(outlines, places, spacing, strict=True):
        closed = np.vstack([outline, outline[:1]]).astype(float)
        length = np.r_[0, np.cumsum(np.hypot(*np.diff(closed, axis=0).T))]
        wanted = length[-1] * np.arange(N_PLACES) / N_PLACES
        expected = np.stack([np.interp(wanted, length, closed[:, axis]) for axis in (0, 1)], axis=1)
        assert found == pytest.approx(expected, abs=1e-3)
        assert apart == pytest.approx(length[-1] / N_PLACES, rel=1e-5)


@pytest.mark.parametrize("seen_type", [np.bool_, np.uint8])
def test_the_mask_is_what_its_three_cases_say(seen_type: type) -> None:
    rng = np.random.default_rng(0)
    steps = np.float32([0.0, CUTS.stained_od10, 0.2, CUTS.intense_od10, 1.0, -0.1])
    dab, seen = rng.choice(steps, (31, 17)), rng.choice([0, 1], (31, 17)).astype(seen_type)
    expected = np.where(dab >= CUTS.intense_od10, INTENSE, FAINT)
    expected[(seen == 0) | (dab < CUTS.stained_od10)] = 0
    found = redrawn_mask(seen, dab, CUTS)
    assert found.dtype == np.uint8
    assert np.array_equal(found, expected)


# ---- mask ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("um_per_px", [0.1, 0.25, 0.37, 0.5])
def test_the_mask_is_drawn_where_the_membrane_is(um_per_px):
    rings = (Ring(od10=1.0, share=0.5), Ring(od10=0.3, share=0.5, begin=0.5))
    dab = dab_of(rings, um_per_px)
    mask = membrane_mask(membrane_of(rings), NETWORK_UM, dab, um_per_px, CUTS)
    assert mask.shape == dab.shape
    assert mask.dtype == np.uint8
    x, y = middles(um_per_px)
    on_line = np.abs(np.hypot(x - 15, y - 15) - 6) < 0.2
    assert np.mean(mask[on_line & (y > 16)] == INTENSE) > 0.95
    assert np.mean(mask[on_line & (y < 14)] == FAINT) > 0.95
    assert not mask[np.abs(np.hypot(x - 15, y - 15) - 6) > 1.2].any()


def test_the_mask_holds_no_haze_and_no_noise():
    hazy = np.full((120, 120), 0.9, np.float32)
    assert not membrane_mask(np.zeros((60, 60), np.float32), NETWORK_UM, hazy, 0.25, CUTS).any()
    assert not membrane_mask(np.ones((60, 60), np.float32), NETWORK_UM, 0.01 * hazy, 0.25, CUTS).any()


def test_a_padded_map_of_the_network_is_drawn_at_its_own_scale():
    rings = (Ring(od10=1.0),)
    padded = np.pad(membrane_of(rings), ((0, 7), (0, 3)))
    plain, other = (
        membrane_mask(part, NETWORK_UM, dab_of(rings, 0.25), 0.25, CUTS) for part in (membrane_of(rings), padded)
    )
    assert (plain == other).all()


@given(st.integers(0, 24), st.integers(1, 20), st.sampled_from([0.4, 0.6, 1.0]))
def test_a_piece_shorter_than_a_membrane_is_a_granule(first: int, n: int, spacing_um: float) -> None:
    """Whatever begins and ends within the least length is dropped; a longer piece stays whole."""
    membrane = np.zeros(48)
    membrane[first : first + n] = 0.9
    profiles = some_profiles(membrane, spacing_um=spacing_um)
    found = stained_places(profiles, 0.06)[0]
    if n * spacing_um < DEFAULT_PLACE_RULE.least_run_um:
        assert not found.any()
    else:
        assert np.array_equal(found, membrane > 0)
