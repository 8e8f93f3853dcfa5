"""Staining of a field in figures: known planes give known medians, and the fast way is the slow one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2scope.domain.cells import CellKind, MembraneMeasure
from her2scope.imaging.opencv import cv2
from her2scope.imaging.staining import (
    MIN_STROMA_CELLS,
    SATURATION_LEVELS,
    characteristic_curve,
    summarise_staining,
)
from her2scope.imaging.stains import reduced
from her2scope.records import Cell, StainImage, StainSummary

WHITE = (240.0, 236.0, 230.0)
UM_PER_PX = 0.25


def drawn_cell(drawn: np.random.Generator, size_hw: tuple[int, int], kind: CellKind, n_places: int | None) -> Cell:
    """A cell somewhere in the picture or on its border; with `None` it has as many places as chance gives it."""
    x, y = drawn.uniform(0, size_hw[1] - 1), drawn.uniform(0, size_hw[0] - 1)
    n_places = n_places or int(drawn.integers(3, 90))
    angle = np.linspace(0, 2 * np.pi, n_places, endpoint=False)
    length = drawn.uniform(4, 26, n_places)
    outline = np.stack([x + length * np.cos(angle), y + length * np.sin(angle)], axis=1).astype(np.float32)
    measure = MembraneMeasure(0.5, float(drawn.choice([0.0, drawn.uniform(0.1, 1.0)])), 0.0)
    return Cell(x, y, drawn.uniform(1.5, 4.0), kind, False, measure, outline, None)


def drawn_stains(drawn: np.random.Generator, size_hw: tuple[int, int]) -> StainImage:
    return StainImage(*(drawn.random((2, *size_hw), dtype=np.float32)), UM_PER_PX, WHITE, False)


# ---- the slow way: one cell after the other, in planes that are smoothed as a whole --------------------------------


def at(plane: np.ndarray, xy: np.ndarray) -> np.ndarray:
    height, width = plane.shape
    column = np.clip(np.rint(xy[..., 0]), 0, width - 1).astype(int)
    return plane[np.clip(np.rint(xy[..., 1]), 0, height - 1).astype(int), column]


def some(cells: list[Cell]) -> list[Cell]:
    return cells[:: -(-len(cells) // 120)]


def slowly_summarised(stains: StainImage, cells: list[Cell]) -> StainSummary:
    dab, blue = (cv2.GaussianBlur(p, (0, 0), 0.4 / UM_PER_PX) for p in (stains.dab_od10, stains.haematoxylin_od10))
    cytoplasm, nuclear, counterstain, rings, others_nuclear = [], [], [], [], []
    judged = some([cell for cell in cells if cell.kind is CellKind.TUMOUR] or cells)
    for cell in judged:
        centre = np.array([cell.x_px, cell.y_px])
        away = cell.outline_xy_px - centre
        length = np.linalg.norm(away, axis=1, keepdims=True)
        last = np.maximum(length - 1.5 / UM_PER_PX, 0.5 * length)
        first = np.minimum((cell.nucleus_radius_um + 0.3) / UM_PER_PX, last)
        layers = np.stack([centre + (first + t * (last - first)) * away / length for t in (0, 0.25, 0.5, 0.75, 1)])
        cytoplasm.append(np.median(at(dab, layers).min(axis=0)))
        nuclear.append(at(dab, centre) - cytoplasm[-1])
        counterstain.append(at(blue, centre) - np.median(at(blue, layers).min(axis=0)))
    others = [cell for cell in cells if cell.kind is CellKind.OTHER]
    for cell in some(others) if len(others) >= MIN_STROMA_CELLS else []:
        centre = np.array([cell.x_px, cell.y_px])
        away = cell.outline_xy_px - centre
        ring = centre + (cell.nucleus_radius_um + 1.0) / UM_PER_PX * away / np.linalg.norm(away, axis=1, keepdims=True)
        rings.append(np.median(at(dab, ring)))
        others_nuclear.append(at(dab, centre) - rings[-1])
    stained = [cell.measure.intensity_od10 for cell in judged if cell.measure.intensity_od10 > 0]
    return StainSummary(
        membrane_od10=np.median(stained) if stained else 0.0,
        background_od10=np.median(cytoplasm),
        nuclear_od10=max(np.median(nuclear), np.median(others_nuclear) if rings else -np.inf),
        counterstain_od10=max(0.0, np.median(counterstain)),
        stroma_od10=np.median(rings) if rings else 0.0,
    )


FIGURES = ("membrane_od10", "background_od10", "nuclear_od10", "counterstain_od10", "stroma_od10")


def assert_same(found: StainSummary, expected: StainSummary) -> None:
    for name in FIGURES:
        assert getattr(found, name) == pytest.approx(getattr(expected, name), abs=1e-6), name


@pytest.mark.parametrize("n_places", [48, None])
@pytest.mark.parametrize(
    ("n_tumour", "n_other", "size_hw"),
    [
        (1, 0, (211, 307)),
        (0, 1, (211, 307)),
        (2, 9, (301, 403)),
        (0, 12, (301, 403)),
        (61, 17, (701, 1003)),
        (260, 130, (701, 1003)),
        (60, 30, (90, 75)),  # crowded: what lies around them is more than the picture
    ],
)
def test_cells_together_are_summarised_as_one_by_one(n_tumour, n_other, size_hw, n_places):
    drawn = np.random.default_rng(n_tumour + n_other)
    stains = drawn_stains(drawn, size_hw)
    cells = [drawn_cell(drawn, size_hw, CellKind.TUMOUR, n_places) for _ in range(n_tumour)]
    cells += [drawn_cell(drawn, size_hw, CellKind.OTHER, n_places) for _ in range(n_other)]
    assert_same(summarise_staining(stains, cells), slowly_summarised(stains, cells))


@given(seed=st.integers(0, 9999), n=st.integers(1, 6), height=st.integers(40, 130), width=st.integers(40, 130))
def test_so_they_are_at_the_borders_of_small_pictures(seed, n, height, width):
    drawn = np.random.default_rng(seed)
    stains = drawn_stains(drawn, (height, width))
    kinds = drawn.choice([CellKind.TUMOUR, CellKind.OTHER], n)
    cells = [drawn_cell(drawn, (height, width), kind, None) for kind in kinds]
    assert_same(summarise_staining(stains, cells), slowly_summarised(stains, cells))


def test_a_field_without_cells_has_no_staining():
    stains = drawn_stains(np.random.default_rng(0), (50, 60))
    assert summarise_staining(stains, []) == StainSummary(0.0, 0.0, 0.0, 0.0)


# ---- characteristic curve ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size_hw", [(2, 2), (3, 5), (101, 77), (240, 320)])
@pytest.mark.parametrize("stained_od10", [0.1, 0.5, 2.0])
def test_the_curve_is_the_share_of_stained_pixels_above_each_level(size_hw, stained_od10):
    drawn = np.random.default_rng(5)
    rgb, stains = drawn.integers(0, 256, (*size_hw, 3), dtype=np.uint8), drawn_stains(drawn, size_hw)
    small = reduced(rgb, 2)
    dab = cv2.resize(stains.dab_od10, small.shape[1::-1], interpolation=cv2.INTER_AREA)
    saturation = cv2.cvtColor(small, cv2.COLOR_RGB2HSV)[..., 1][dab >= stained_od10]
    expected = [float(np.mean(saturation > 255 * level)) if saturation.size else 0.0 for level in SATURATION_LEVELS]
    assert characteristic_curve(rgb, stains, stained_od10) == pytest.approx(expected, abs=1e-12)
