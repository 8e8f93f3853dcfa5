"""What lies where: the same from every side, and each growth has tumour and something beside it."""

from __future__ import annotations

import numpy as np
import pytest

from her2scope.phantom.growth import (
    FAT_CELLS,
    GROWTHS,
    IN_SITU_DUCTS,
    NORMAL_DUCTS,
    TUMOURS,
    VESSELS,
    Discs,
    Ground,
    Matter,
    Section,
    fibre_angle,
    nest_field,
)
from her2scope.phantom.habit import Habit, draw_habit
from her2scope.phantom.noise import Floats

X_UM, Y_UM = np.meshgrid(np.arange(-900.0, 900.0, 7.0), np.arange(-900.0, 900.0, 7.0))
ALL_DISCS = (IN_SITU_DUCTS, NORMAL_DUCTS, VESSELS, FAT_CELLS)
RICH = Habit(in_situ_ducts=0.3, normal_ducts=0.4, vessels=0.5, fat_level=0.3, necrosis_level=0.6, retraction=0.2)


def ground(habit: Habit, seed: int = 7, level: float = -0.14) -> Ground:
    return Ground(seed, habit, (Section("tissue", "2+", nest_level=level),))


def sections(*bounds_um: tuple[float, float, float, float]) -> tuple[Section, ...]:
    return tuple(Section(f"piece {row}", "2+", bounds) for row, bounds in enumerate(bounds_um))


@pytest.mark.parametrize("growth", GROWTHS)
def test_every_growth_has_tumour_and_stroma(growth: str) -> None:
    for seed in (1, 2):
        matter, _ = ground(Habit(growth=growth), seed).matter_at(X_UM, Y_UM)
        assert 0.15 < np.isin(matter, TUMOURS).mean() < 0.97
        assert (matter == Matter.STROMA).mean() > 0.01


@pytest.mark.parametrize("growth", GROWTHS)
def test_a_place_is_the_same_whatever_else_is_asked_for(growth: str) -> None:
    here = ground(draw_habit(5, "hard", {"growth": growth}))
    matter, section = here.matter_at(X_UM, Y_UM)
    part = (slice(40, 95), slice(17, 60))
    assert np.array_equal(here.matter_at(X_UM[part], Y_UM[part])[0], matter[part])
    assert np.array_equal(here.matter_at(X_UM[part], Y_UM[part])[1], section[part])
    assert here.matter_at(X_UM[50, 50:51], Y_UM[50, 50:51])[0] == matter[50, 50]


@pytest.mark.parametrize("growth", GROWTHS)
def test_a_lower_nest_level_has_all_the_tumour_of_a_higher_one(growth: str) -> None:
    habit = Habit(growth=growth)
    less, more = (np.isin(ground(habit, level=level).matter_at(X_UM, Y_UM)[0], TUMOURS) for level in (0.3, -0.2))
    assert more[less].all() and more.sum() > less.sum()


def test_a_rich_tissue_has_every_matter() -> None:
    assert set(np.unique(ground(RICH).matter_at(X_UM, Y_UM)[0])) == set(Matter)


@pytest.mark.parametrize(
    ("fewer", "more", "what"),
    [
        ({"tear_level": 0.9}, {"tear_level": 0.2}, Matter.GLASS),
        ({"lumen_level": 0.8}, {"lumen_level": 0.4}, Matter.GLASS),
        ({"retraction": 0.0}, {"retraction": 0.3}, Matter.GLASS),
        ({"necrosis_level": 1.0}, {"necrosis_level": 0.5}, Matter.NECROSIS),
        ({"in_situ_ducts": 0.0}, {"in_situ_ducts": 0.4}, Matter.IN_SITU),
        ({"normal_ducts": 0.0}, {"normal_ducts": 0.4}, Matter.NORMAL),
    ],
)
def test_a_habit_makes_more_of_what_it_names(fewer: dict[str, float], more: dict[str, float], what: Matter) -> None:
    shares = [(ground(Habit(**values)).matter_at(X_UM, Y_UM)[0] == what).mean() for values in (fewer, more)]
    assert shares[1] > shares[0] + 0.005


def test_outside_every_section_there_is_glass() -> None:
    pieces = sections((-600.0, -600.0, -100.0, 600.0), (100.0, -600.0, 600.0, 600.0))
    matter, section = Ground(3, Habit(), pieces).matter_at(X_UM, Y_UM)
    outside = (np.abs(X_UM) > 600.0) | (np.abs(Y_UM) > 600.0) | (np.abs(X_UM) < 100.0)
    assert (matter[outside] == Matter.GLASS).all()
    assert (section[(matter != Matter.GLASS) & (X_UM > 0)] == 1).all()
    assert (section[(matter != Matter.GLASS) & (X_UM < 0)] == 0).all()


def test_fibres_run_along_the_contours_of_the_nest_field() -> None:
    xy_um = np.stack([X_UM.ravel(), Y_UM.ravel()], axis=1)[::97]
    step = 0.5 * np.stack([np.cos(fibre_angle(4, xy_um)), np.sin(fibre_angle(4, xy_um))], axis=1)

    def change(along: Floats) -> Floats:
        ends = [nest_field(4, *(xy_um + sign * along).T) for sign in (1.0, -1.0)]
        return np.abs(ends[0] - ends[1])

    assert np.median(change(step)) < 0.1 * np.median(change(step[:, ::-1] * (-1.0, 1.0)))


# ---- discs


@pytest.mark.parametrize("discs", ALL_DISCS, ids=lambda discs: discs.name)
def test_a_disc_stays_within_reach_of_its_lattice_place(discs: Discs) -> None:
    assert discs.radius_um[1] <= 0.45 * discs.pitch_um
    outlines, centres = discs.outlines(3, (0.0, 0.0, 2000.0, 2000.0), 1.0)
    away = np.hypot(*np.moveaxis(outlines - centres[:, None], 2, 0))
    least, most = discs.radius_um
    assert (1 - discs.dent) * least - 1e-9 <= away.min() and away.max() <= (1 + discs.dent) * most + 1e-9


@pytest.mark.parametrize("discs", ALL_DISCS, ids=lambda discs: discs.name)
def test_a_greater_chance_keeps_the_discs_of_a_lesser_one(discs: Discs) -> None:
    few, many = (discs.outlines(3, (0.0, 0.0, 2000.0, 2000.0), chance)[1] for chance in (0.2, 0.6))
    assert len(few) < len(many)
    assert {tuple(centre) for centre in few} < {tuple(centre) for centre in many}


@pytest.mark.parametrize("discs", ALL_DISCS, ids=lambda discs: discs.name)
def test_the_depth_in_a_disc_is_zero_on_its_outline(discs: Discs) -> None:
    outlines, centres = discs.outlines(3, (0.0, 0.0, 600.0, 600.0), 0.3)
    inner, outer = (centres[:, None] + share * (outlines - centres[:, None]) for share in (0.98, 1.02))
    assert (discs.depth_um(3, inner[..., 0], inner[..., 1], 0.3)[0] > 0).all()
    alone = discs.depth_um(3, outer[..., 0], outer[..., 1], 0.3)[0] < 0
    assert alone.mean() > 0.9  # the rest lies in a disc beside it


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_fat_and_vessels_lie_in_stroma(seed: int) -> None:
    here = ground(RICH, seed)
    fat, vessels = here.voids((-900.0, -900.0, 900.0, 900.0))
    assert fat and vessels
    corners = np.concatenate([outline[::5] for outline in [*fat, *vessels]])
    assert (here.matter_at(corners[:, 0], corners[:, 1])[0] == Matter.STROMA).all()


def test_fat_and_vessels_are_the_same_from_every_side() -> None:
    def touching(bounds: tuple[float, float, float, float]) -> set[bytes]:
        inside = [o for group in ground(RICH).voids(bounds) for o in group if (np.abs(o) < 200.0).all()]
        return {outline.tobytes() for outline in inside}

    assert touching((-900.0, -900.0, 900.0, 900.0)) == touching((-210.0, -210.0, 210.0, 210.0)) != set()
