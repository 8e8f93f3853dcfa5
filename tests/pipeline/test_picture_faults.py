"""Faults of a picture: each one is noticed, and no tissue, glass or light is taken for one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2scope.imaging.opencv import cv2
from her2scope.phantom.field import PhantomSpec, render_field
from her2scope.pipeline.picture_faults import BLACK, GREY, REPEATED, SWAPPED, PictureFaults
from her2scope.records import RgbImage

FRAME_S = 0.05


@pytest.fixture(scope="module")
def fields() -> dict[tuple[int, str], RgbImage]:
    """Fields of several runs, stainers and cameras."""
    wanted = itertools.product(range(4), ("0", "2+", "3+"))
    return {
        (seed, score): render_field(
            PhantomSpec(score, seed, 0, difficulty=("easy", "usual", "hard")[seed % 3], size_wh=(320, 240))
        ).rgb
        for seed, score in wanted
    }


def grey(rgb: RgbImage) -> RgbImage:
    return np.repeat(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


def noisy(rgb: RgbImage, number: int) -> RgbImage:
    noise = np.random.default_rng(number).integers(-2, 3, rgb.shape)
    return np.clip(rgb + noise, 0, 255).astype(np.uint8)


def camera() -> PictureFaults:
    return PictureFaults(has_noise=True, keeps_colours=True)


def test_no_tissue_after_another_is_a_fault(fields) -> None:
    faults = camera()
    for number, (one, other) in enumerate(itertools.permutations(fields.values(), 2)):
        assert faults.look(one, number) is None
        assert faults.look(other, number + 0.5) is None


def test_neither_glass_nor_light_that_is_dimmed_is_a_fault(fields) -> None:
    for field in fields.values():
        faults = camera()
        glass = np.full_like(field, 238)
        for number, rgb in enumerate((field, glass, field, field // 2 + 30, glass // 3, field)):
            assert faults.look(noisy(rgb, number), float(number)) is None


@given(st.integers(0, 12), st.integers(0, 3))
def test_black_with_noise_and_hot_pixels_is_black(level: int, n_hot: int) -> None:
    rgb = noisy(np.full((240, 320, 3), level, np.uint8), level)
    rgb[0, : 8 * n_hot] = 255
    assert PictureFaults(has_noise=False, keeps_colours=False).look(rgb, 0.0) is BLACK


@given(st.integers(1, 50), st.integers(1, 70), st.integers(0, 30), st.integers(0, 2**32 - 1))
def test_a_picture_is_black_where_next_to_no_pixel_that_is_looked_at_has_a_bright_channel(
    height: int, width: int, n_bright: int, seed: int
) -> None:
    draw = np.random.default_rng(seed)
    rgb = draw.integers(0, 21, (height, width, 3)).astype(np.uint8)
    at = draw.integers(0, height, n_bright), draw.integers(0, width, n_bright), draw.integers(0, 3, n_bright)
    rgb[at] = draw.integers(21, 256, n_bright)
    few = rgb[::8, ::8]
    is_black = (few.max(axis=2) > 20).mean() <= 0.01
    assert (PictureFaults(has_noise=True, keeps_colours=True).look(rgb, 0.0) is BLACK) == is_black


def test_red_and_blue_exchanged_are_noticed_and_so_is_their_return(fields) -> None:
    for field in fields.values():
        faults = camera()
        shown = [field, field, field[..., ::-1], field[..., ::-1], field]
        told = [faults.look(noisy(rgb, number), float(number)) for number, rgb in enumerate(shown)]
        assert told == [None, None, SWAPPED, SWAPPED, None]


def test_a_camera_opened_again_with_other_colours_is_noticed_until_the_reader_says_they_are_right(fields) -> None:
    faults, field = camera(), fields[0, "2+"]
    assert faults.look(field, 0.0) is None
    assert faults.look(field[..., ::-1], 9.0) is SWAPPED
    faults.trust_colours()
    assert faults.look(noisy(field[..., ::-1], 1), 10.0) is None


def test_colours_that_go_are_noticed_and_so_is_their_return(fields) -> None:
    for field in fields.values():
        faults = camera()
        shown = [field, grey(field), grey(field), field]
        told = [faults.look(noisy(rgb, number), float(number)) for number, rgb in enumerate(shown)]
        assert told == [None, GREY, GREY, None]


def test_a_folder_may_show_what_colours_it_likes(fields) -> None:
    field, faults = fields[0, "3+"], PictureFaults(has_noise=False, keeps_colours=False)
    for number, rgb in enumerate((field, field[..., ::-1], grey(field), field, field)):
        assert faults.look(rgb, float(number)) is None


def test_a_frozen_picture_of_a_sensor_is_noticed_within_a_second(fields) -> None:
    faults, field = camera(), fields[1, "2+"]
    for number in range(5):
        assert faults.look(noisy(field, number), number * FRAME_S) is None
    frozen = [faults.look(noisy(field, 4), (5 + number) * FRAME_S) for number in range(20)]
    assert frozen[-1] is REPEATED
    assert 0.2 < frozen.index(REPEATED) * FRAME_S < 0.8
    assert faults.look(noisy(field, 5), 30 * FRAME_S) is None


def test_single_repeats_white_and_files_may_repeat(fields) -> None:
    field, white = fields[1, "2+"], np.full((240, 320, 3), 255, np.uint8)
    twice = camera()
    assert {twice.look(noisy(field, number // 2), number * 0.5) for number in range(10)} == {None}
    clipped = camera()
    clipped.look(field, 0.0)
    assert {clipped.look(white.copy(), number * 0.2) for number in range(10)} == {None}
    file = PictureFaults(has_noise=False, keeps_colours=True)
    assert {file.look(field, number * 0.2) for number in range(10)} == {None}
