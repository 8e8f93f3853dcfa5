"""The plan of tiles covers all tissue once, and every tile is read where the network's blocks lie alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from drawn_tissue import ArraySlide
from hypothesis import given, settings
from hypothesis import strategies as st

from her2scope.domain.errors import BadInputError
from her2scope.segmentation.onnx_network import BLOCK_PX, at_network_scale
from her2scope.slides.records import SlideScale, Square, Survey, TissueMap
from her2scope.slides.tiles import (
    SEEN_AROUND_PX,
    TOLD_SHARE,
    margin_px,
    network_factor,
    period_px,
    plan_tiles,
    read_core,
    seen_from_px,
    seen_to_px,
    told_um_per_px,
)

SQUARE_UM = 32.0


def survey_of(squares, um_per_px=0.25, refusals=()) -> Survey:
    rows, columns = squares.shape
    width, height = (int(n * SQUARE_UM / um_per_px) - 3 for n in (columns, rows))  # a slide ends within a square
    return Survey(
        Path("a.svs"), SlideScale(0, 1.0, um_per_px, width, height), (240.0, 240.0, 240.0), True,
        TissueMap(SQUARE_UM, squares), np.zeros((2, 2, 3), np.uint8), 8.0, refusals=refusals,
    )  # fmt: skip


maps = st.builds(
    lambda rows, columns, seed, share: np.where(
        np.random.default_rng(seed).random((rows, columns)) < share, Square.TISSUE, Square.FOLD
    ).astype(np.uint8),
    st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1), st.floats(0, 1),
)  # fmt: skip
scales = st.floats(0.1, 0.6)


@settings(max_examples=40)
@given(squares=maps, um_per_px=st.floats(0.22, 0.6), tile_px=st.integers(256, 700))
def test_every_pixel_of_tissue_lies_in_one_core(squares, um_per_px, tile_px):
    survey = survey_of(squares, um_per_px)
    covered = np.zeros((survey.scale.height_px, survey.scale.width_px), np.uint8)
    for tile in plan_tiles(survey, tile_px):
        part = np.s_[tile.top_px : tile.top_px + tile.height_px, tile.left_px : tile.left_px + tile.width_px]
        assert covered[part].shape == (tile.height_px, tile.width_px), "within the slide"
        assert tile.left_px // tile_px == (tile.left_px + tile.width_px - 1) // tile_px == tile.column
        assert tile.top_px // tile_px == (tile.top_px + tile.height_px - 1) // tile_px == tile.row
        covered[part] += 1
    y, x = np.mgrid[: covered.shape[0], : covered.shape[1]]
    rows, columns = (((at + 0.5) * um_per_px / SQUARE_UM).astype(int) for at in (y, x))
    assert (covered[squares[rows, columns] == Square.TISSUE] == 1).all()
    assert covered.max(initial=0) <= 1


@given(squares=maps, tile_px=st.integers(256, 1500))
def test_a_tile_without_tissue_is_not_planned_and_a_core_is_no_larger_than_its_tissue(squares, tile_px):
    for tile in plan_tiles(survey_of(squares), tile_px):
        square_px = SQUARE_UM / 0.25
        rows, columns = (
            slice(int(start // square_px), int(np.ceil((start + length) / square_px)))
            for start, length in ((tile.top_px, tile.height_px), (tile.left_px, tile.width_px))
        )
        held = squares[rows, columns] == Square.TISSUE
        assert held[0].any() and held[-1].any() and held[:, 0].any() and held[:, -1].any()


def test_a_refused_slide_has_no_tiles():
    assert plan_tiles(survey_of(np.ones((4, 4), np.uint8), refusals=("eosin",))) == ()


@pytest.mark.parametrize("tile_px", [0, 100, 20_000])
def test_a_tile_of_no_use_is_refused(tile_px):
    with pytest.raises(BadInputError, match="--tile-px"):
        plan_tiles(survey_of(np.ones((4, 4), np.uint8)), tile_px)


@given(um_per_px=scales, start_px=st.integers(0, 100_000))
def test_reading_begins_where_the_networks_blocks_lie_alike(um_per_px, start_px):
    begin = seen_from_px(start_px, um_per_px)
    block_px = BLOCK_PX * network_factor(told_um_per_px(um_per_px))
    assert begin % period_px(um_per_px) == 0
    assert abs(begin / block_px - round(begin / block_px)) < 1e-6
    assert begin == 0 or start_px - begin >= margin_px(um_per_px)
    assert start_px - begin < margin_px(um_per_px) + period_px(um_per_px)


@given(um_per_px=scales)
def test_the_network_is_told_nearly_the_true_scale_and_reduces_by_it(um_per_px):
    told = told_um_per_px(um_per_px)
    assert abs(told / um_per_px - 1) <= TOLD_SHARE * 1.01
    small, network_um_per_px = at_network_scale(np.zeros((64, 64, 3), np.uint8), told)
    assert network_um_per_px / told == pytest.approx(network_factor(told), rel=1e-9)
    assert margin_px(um_per_px) >= SEEN_AROUND_PX * network_factor(told)


@pytest.mark.parametrize("um_per_px", [0.25, 0.2527, 0.2425, 0.1725, 0.5])
def test_the_usual_scanners_scales_are_told_as_they_are(um_per_px):
    assert told_um_per_px(um_per_px) == um_per_px
    assert period_px(um_per_px) == BLOCK_PX * round(0.5 / um_per_px)


def test_reading_ends_with_the_slide():
    assert seen_to_px(1000, 0.25, 5000) == 1000 + margin_px(0.25)
    assert seen_to_px(4900, 0.25, 5000) == 5000


def test_a_piece_is_cut_by_place_and_white_beyond_the_slide():
    rgb = np.arange(40 * 30 * 3, dtype=np.uint32).reshape(40, 30, 3).astype(np.uint8)
    scale = SlideScale(0, 1.0, 0.5, 30, 40)
    cut = read_core(ArraySlide(rgb, downsamples=(1,)), scale, 5.0, 10.0, 4.0, 3.0)
    np.testing.assert_array_equal(cut, rgb[20:26, 10:18])
    beyond = read_core(ArraySlide(rgb, downsamples=(1,)), scale, 14.0, 19.0, 4.0, 4.0)
    np.testing.assert_array_equal(beyond[:2, :2], rgb[38:, 28:])
    assert (beyond[2:] == 255).all() and (beyond[:, 2:] == 255).all()
