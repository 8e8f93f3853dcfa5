"""Laws of the optics and the camera: nuisances change how a field looks, not where things lie or what glass is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from her2scope.domain.errors import BadInputError
from her2scope.imaging.opencv import cv2
from her2scope.phantom.optics import (
    Light,
    Optics,
    developed,
    encoded,
    exposed,
    focused,
    obstacles,
    shading_plane,
)
from her2scope.records import RgbImage

QUIET: dict[str, Any] = {"electrons": 1e9, "shading": 0.0, "response": "linear"}
"""No noise and even light."""
EVERYTHING = Optics(
    response="gamma:1.2", exposure=1.1, sharpening=3.0, lateral_px=(1.0, -0.4), lateral_shift_px=(0.1, -0.2),
    tilt_px=1.5, tilt_towards_deg=40.0, lamp_tilt=(0.05, -0.03), vignetting=0.2, corner_rgb=(0.05, 0.0, -0.05),
    flare=0.04, dust=8, bubbles=2, ink=1, upscaling=1.4, bayer=True, read_noise=10.0, black_level=-0.01, contrast=0.3,
    saturation=1.2, hue_deg=5.0, denoise=0.7, chroma_blur_px=1.5, sharpening_px=1.8, sharpening_luma=True,
    halo_limit=40.0, jpeg_quality=70,
)  # fmt: skip
NUISANCES: dict[str, Any] = {
    name: getattr(EVERYTHING, name)
    for name in EVERYTHING.__slots__
    if name not in ("response", "lamp_rgb", "exposure", "lamp_centre", "blur_um", "electrons", "shading", "dust_seed")
}


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def glass(width: int = 96, height: int = 80) -> Light:
    return np.ones((height, width, 3), np.float32)


def tissue(width: int = 128, height: int = 96, seed: int = 0) -> Light:
    """Smooth coloured light, 0.2..1."""
    noise = cv2.GaussianBlur(rng(seed).random((height, width, 3), dtype=np.float32), (0, 0), 2.0)
    light: Light = 0.2 + 0.8 * (noise - noise.min()) / (noise.max() - noise.min())
    return light


def grid_of_dots(side: int = 256, step: int = 32, sigma_px: float = 2.5) -> tuple[Light, NDArray[np.float64]]:
    """Dark round dots on glass, and their places as (x, y)."""
    places = np.stack(np.meshgrid(*[np.arange(step // 2, side, step)] * 2), axis=-1).reshape(-1, 2).astype(float)
    y, x = np.mgrid[:side, :side]
    dark = sum(np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma_px**2)) for px, py in places)
    return np.repeat((1.0 - 0.7 * dark)[..., None], 3, axis=2).astype(np.float32), places


def moved_px(plane: NDArray[Any], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each dot's middle lies from its place."""
    away = []
    for px, py in places.astype(int):
        y, x = np.mgrid[py - 8 : py + 9, px - 8 : px + 9]
        around = plane[y, x].astype(float)
        weight = np.maximum(0.0, np.median(around[[0, -1]]) - around - 8.0)
        away.append(np.hypot((weight * x).sum() / weight.sum() - px, (weight * y).sum() / weight.sum() - py))
    return np.array(away)


def luma(picture: RgbImage) -> NDArray[np.float64]:
    return picture @ np.array([0.299, 0.587, 0.114])


# ---- the plain camera ---------------------------------------------------------------------------------------------


def test_the_default_is_lamp_shading_shot_noise_and_response() -> None:
    optics, light = Optics(), tissue(512, 384)
    lit = light * shading_plane(optics, 512, 384) * np.array(optics.lamp_rgb)
    expected = 255.0 * encoded(lit.astype(float), "srgb")
    assert np.abs(exposed(light, replace(optics, electrons=1e9), rng()) - expected).max() < 0.6
    error = (exposed(light, optics, rng()) / 255.0 - expected / 255.0) / np.gradient(
        encoded(np.array([0.5, 0.51]), "srgb"), 0.01
    )[0]
    middle = np.abs(lit - 0.5) < 0.05
    assert abs(error[middle].mean()) < 0.001
    assert error[middle].std() == pytest.approx(np.sqrt(0.5 / optics.electrons), rel=0.08)


def test_the_light_is_not_changed() -> None:
    light = tissue()
    before = light.copy()
    exposed(light, EVERYTHING, rng())
    exposed(light, Optics(), rng())
    assert (light == before).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(64, 150), st.integers(64, 150), st.sampled_from([None, *NUISANCES]))
def test_pictures_have_the_size_of_the_light_and_follow_the_seed(width: int, height: int, name: str | None) -> None:
    light = tissue(width, height)
    optics = EVERYTHING if name is None else replace(Optics(), **{name: NUISANCES[name]})
    picture = exposed(light, optics, rng(3))
    assert picture.shape == (height, width, 3) and picture.dtype == np.uint8
    assert (picture == exposed(light.copy(), optics, rng(3))).all()
    assert (picture != exposed(light, optics, rng(4))).any()


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["linear", "srgb", "gamma:1.4"]),
    st.floats(0.4, 1.5),
    st.floats(1.01, 1.5),
    st.floats(-0.04, 0.04),
    st.floats(-0.5, 1.0),
    st.floats(0.0, 0.2),
)
def test_more_exposure_never_darkens(
    response: str, exposure: float, more: float, black: float, contrast: float, flare: float
) -> None:
    optics = Optics(
        response=response, electrons=1e9, exposure=exposure, black_level=black, contrast=contrast, flare=flare
    )
    brighter = replace(optics, exposure=more * exposure)
    light = tissue(64, 64)
    assert (exposed(light, brighter, rng()) >= exposed(light, optics, rng())).all()
    assert min(np.subtract(brighter.white_rgb(), optics.white_rgb())) >= 0


# ---- glass --------------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["linear", "srgb", "gamma:1.2"]),
    st.tuples(*[st.floats(0.6, 1.0)] * 3),
    st.floats(0.7, 1.6),
    st.floats(-0.5, 1.0),
    st.floats(0.5, 1.6),
    st.floats(-12.0, 12.0),
    st.floats(0.0, 0.2),
    st.booleans(),
    st.sampled_from([0, 40, 80]),
)
def test_glass_in_the_middle_is_white_rgb(
    response: str,
    lamp: tuple[float, float, float],
    exposure: float,
    contrast: float,
    saturation: float,
    hue_deg: float,
    flare: float,
    bayer: bool,
    jpeg_quality: int,
) -> None:
    optics = Optics(
        response=response, lamp_rgb=lamp, exposure=exposure, contrast=contrast, saturation=saturation, hue_deg=hue_deg,
        flare=flare, bayer=bayer, electrons=1e8, sharpening=3.0, sharpening_luma=True, denoise=0.8, chroma_blur_px=2.0,
        vignetting=0.2, black_level=-0.02, upscaling=1.3, lateral_px=(0.5, -0.5), jpeg_quality=jpeg_quality,
        lamp_tilt=(0.03, 0.03), corner_rgb=(0.05, 0.0, -0.05),
    )  # fmt: skip
    middle = exposed(glass(256, 256), optics, rng())[124:132, 124:132].mean(axis=(0, 1))
    # JPEG stores means in steps (2.5 in luma and in colour at 40, 0.8 at 80), and blue takes 1.8 times that of colour.
    assert np.abs(middle - optics.white_rgb()).max() < {0: 1.0, 80: 2.5, 40: 5.0}[jpeg_quality]


def test_flare_keeps_dark_stain_pale_and_glass_as_it_is() -> None:
    dark = np.full((64, 64, 3), 0.001, np.float32)
    optics = Optics(**QUIET, flare=0.05, lamp_rgb=(0.9, 0.9, 0.9))
    assert exposed(dark, optics, rng()).mean() == pytest.approx(255 * 0.9 * 0.051, abs=0.6)
    assert optics.white_rgb() == replace(optics, flare=0.0).white_rgb()


def test_corners_lose_light_and_colour() -> None:
    optics = Optics(**QUIET, vignetting=0.2, corner_rgb=(0.1, 0.0, -0.1), lamp_rgb=(0.8, 0.8, 0.8))
    picture = exposed(glass(200, 100), optics, rng()).astype(int)
    corner, middle = picture[0, 0], picture[50, 100]
    assert (middle == 204).all()
    assert corner == pytest.approx(204 * 0.8 * np.array([0.9, 1.0, 1.1]), rel=0.03)


def test_lamp_tilt_is_brighter_at_one_side() -> None:
    plane = shading_plane(Optics(shading=0.0, lamp_tilt=(0.1, 0.0)), 100, 60)[..., 0]
    assert plane[30, 0] == pytest.approx(0.95, abs=0.01) and plane[30, 99] == pytest.approx(1.05, abs=0.01)


# ---- where things lie ---------------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(
    st.tuples(*[st.floats(-1.1, 1.1)] * 2),
    st.tuples(*[st.floats(-0.25, 0.25)] * 2),
    st.floats(0.0, 2.5),
    st.floats(0.0, 360.0),
    st.sampled_from([1.0, 1.37, 2.0]),
    st.booleans(),
)
def test_chromatic_shift_and_tilt_keep_a_grid_in_place(
    lateral: tuple[float, float],
    shift: tuple[float, float],
    tilt_px: float,
    towards: float,
    upscaling: float,
    bayer: bool,
) -> None:
    light, places = grid_of_dots()
    optics = Optics(
        **QUIET, lateral_px=lateral, lateral_shift_px=shift, tilt_px=tilt_px, tilt_towards_deg=towards,
        upscaling=upscaling, bayer=bayer,
    )  # fmt: skip
    picture = exposed(light, optics, rng())
    assert moved_px(picture[..., 1], places).max() < 0.5
    assert moved_px(luma(picture), places).max() < 0.5


def test_chromatic_shift_goes_outwards_in_red_and_not_in_green() -> None:
    light, places = grid_of_dots()
    picture = exposed(light, Optics(**QUIET, lateral_px=(1.2, 0.0)), rng())
    corner = np.hypot(*(places - 127.5).T) > 140
    assert moved_px(picture[..., 0], places)[corner].min() > 0.8
    assert moved_px(picture[..., 1], places).max() < 0.1
    at_end = picture[240, 232:250, 0].astype(float)
    assert (np.arange(232, 250) * (230 - at_end)).sum() / (230 - at_end).sum() > 240.5


@pytest.mark.parametrize("luma_only", [False, True])
@pytest.mark.parametrize("radius_px", [1.0, 1.8, 3.0])
@pytest.mark.parametrize("strength", [2.5, 5.0])
def test_sharpening_overshoots_beside_a_line_that_stays(strength: float, radius_px: float, luma_only: bool) -> None:
    x = np.arange(128)
    line = 0.8 - 0.5 * np.exp(-((x - 63.3) ** 2) / (2 * 1.5**2))
    light = np.repeat(np.repeat(line[None, :, None], 64, axis=0), 3, axis=2).astype(np.float32)
    plain = Optics(**QUIET, lamp_rgb=(1.0, 1.0, 1.0))
    sharp = replace(plain, sharpening=strength, sharpening_px=radius_px, sharpening_luma=luma_only)
    before, after = (luma(exposed(light, optics, rng()))[32] for optics in (plain, sharp))
    assert before.max() < 205 and after.max() > 207 and after.min() < before.min() - 5
    depth = np.maximum(0.0, 190 - after)
    assert abs((depth * x).sum() / depth.sum() - 63.3) < 0.5
    limited = luma(exposed(light, replace(sharp, halo_limit=3.0), rng()))[32]
    assert limited.max() < 208 and limited.min() == pytest.approx(after.min(), abs=1.0)


def test_the_range_of_sharpening_covers_the_halos_of_strong_cameras() -> None:
    # Median profile across the membranes of the most sharpened camera field: 42 on the line, 199 at 4 px, 185 at 9 px.
    x = np.arange(128)
    line = 0.72 - 0.38 * np.exp(-((x - 64) ** 2) / (2 * 1.8**2))
    light = np.repeat(np.repeat(line[None, :, None], 64, axis=0), 3, axis=2).astype(np.float32)
    optics = Optics(**QUIET, lamp_rgb=(1.0, 1.0, 1.0), sharpening=4.0, sharpening_px=1.8, sharpening_luma=True)
    profile = luma(exposed(light, optics, rng()))[32]
    assert (profile.max() - profile[110]) / (profile[110] - profile.min()) > 0.14


def test_defocus_spreads_a_point_to_a_disc() -> None:
    light = np.ones((101, 101, 3), np.float32)
    light[50, 50] = 0.0
    spread = 1.0 - focused(light, Optics(blur_um=0.0, defocus_um=2.5), 0.25, 1)[..., 1]
    y, x = np.mgrid[-50:51, -50:51]
    assert spread.sum() == pytest.approx(1.0, abs=1e-3)
    assert spread[50, 50] == pytest.approx(spread[50, 56], rel=0.1) and spread[50, 64] < 0.02 * spread[50, 50]
    assert abs((spread * x).sum()) < 0.01
    sigma_px = Optics(blur_um=0.0, defocus_um=2.5).sigma_um(0.25) / 0.25
    assert np.sqrt((spread * x**2).sum()) == pytest.approx(sigma_px, rel=0.05)


def test_axial_colour_blurs_blue_more_than_green() -> None:
    light, places = grid_of_dots(128)
    seen = focused(light, Optics(axial_um=(0.1, 0.0, 0.8)), 0.25, 1)
    column, row = places[0].astype(int)
    red, green, blue = seen[row, column]
    assert green < red < blue
    assert (seen[..., 1] == focused(light, Optics(), 0.25, 1)[..., 1]).all()


@pytest.mark.parametrize("change", [{"lateral_px": (2.0, 0.0)}, {"upscaling": 3.0}, {"upscaling": 0.5}])
def test_what_would_move_the_truth_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(BadInputError):
        Optics(**change)


# ---- camera -------------------------------------------------------------------------------------------------------


def test_a_mosaic_keeps_colours() -> None:
    light = np.empty((65, 71, 3), np.float32)
    light[:] = (0.8, 0.4, 0.1)
    picture = exposed(light, Optics(**QUIET, lamp_rgb=(1.0, 1.0, 1.0), bayer=True), rng())
    assert (np.abs(picture - np.array([204, 102, 25.5])) < 1).all()


def test_read_noise_shows_in_the_dark() -> None:
    dark = np.full((64, 64, 3), 0.05, np.float32)
    optics = replace(Optics(**QUIET), electrons=1000.0)
    assert exposed(dark, replace(optics, read_noise=30.0), rng()).std() > 2 * exposed(dark, optics, rng()).std()


def test_denoising_smooths_and_colour_smoothing_leaves_luma() -> None:
    optics = replace(Optics(**QUIET), electrons=800.0, bayer=True)
    noisy, painted, smooth = (
        exposed(0.5 * glass(), replace(optics, **change), rng())
        for change in ({}, {"denoise": 1.0}, {"chroma_blur_px": 3.0})
    )
    assert luma(painted).std() < 0.7 * luma(noisy).std()
    assert luma(smooth).std() == pytest.approx(luma(noisy).std(), rel=0.03)
    assert (smooth[..., 0].astype(int) - smooth[..., 2]).std() < 0.4 * (noisy[..., 0].astype(int) - noisy[..., 2]).std()


def test_saturation_and_hue_change_colour_and_not_luma() -> None:
    light = 0.3 + 0.4 * tissue()
    plain, vivid, turned = (
        developed(light, Optics(**change)) for change in ({}, {"saturation": 1.4}, {"hue_deg": 15.0})
    )
    assert np.ptp(vivid, axis=2).mean() > 1.25 * np.ptp(plain, axis=2).mean()
    assert np.abs(luma(vivid) - luma(plain)).max() < 1.5 and np.abs(luma(turned) - luma(plain)).max() < 1.5
    assert np.abs(turned.astype(int) - plain).max() > 3


def test_worse_jpeg_is_farther_from_the_picture() -> None:
    light = tissue()
    plain = exposed(light, Optics(), rng())
    errors = [
        np.abs(exposed(light, Optics(jpeg_quality=quality), rng()).astype(int) - plain).mean()
        for quality in (40, 80, 98)
    ]
    assert errors[0] > errors[1] > errors[2] > 0


# ---- things in the light path -------------------------------------------------------------------------------------


def test_dust_stays_and_bubbles_and_ink_move() -> None:
    shape = (240, 320)
    for change in ({"bubbles": 2}, {"ink": 1}):
        first, again, other = (obstacles(shape, Optics(**change), rng(seed)) for seed in (1, 1, 2))
        assert first is not None and again is not None and other is not None
        assert (first == again).all() and (first != other).any()
    dust, same, moved = (
        obstacles(shape, Optics(dust=6, dust_seed=dust_seed), rng(seed)) for dust_seed, seed in ((5, 1), (5, 2), (6, 1))
    )
    assert dust is not None and same is not None and moved is not None
    assert (dust == same).all() and (dust != moved).any()
    assert dust.min() < 0.95 and (dust > 0.99).mean() > 0.7
    assert obstacles(shape, Optics(), rng()) is None


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(64, 400), st.integers(64, 300))
def test_obstacles_are_factors_on_the_light(seed: int, width: int, height: int) -> None:
    shade = obstacles((height, width), Optics(dust=5, dust_seed=seed, bubbles=2, ink=1), rng(seed))
    assert shade is not None
    assert shade.shape == (height, width, 3) and shade.dtype == np.float32
    assert shade.min() >= 0 and shade.max() < 2.5


def test_a_fold_darkens_a_band_and_nothing_else() -> None:
    light = np.full((200, 300, 3), 0.6, np.float32)
    plain, folded = (exposed(light, Optics(folds=n), np.random.default_rng(3)).astype(int) for n in (0, 1))
    darker = (plain - folded).mean(axis=2) > 20
    assert 0.01 < darker.mean() < 0.3
    assert (folded - plain).max() < 20
