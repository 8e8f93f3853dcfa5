"""The network behind ONNX Runtime: scale, white, padding and tiles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from segmentation.tiny_network import write_tiny_model

from her2scope.segmentation import onnx_network, provider_choice
from her2scope.segmentation.forms import picture_of
from her2scope.segmentation.maps import HALF, N_REACHES, NETWORK_UM_PER_PX, QUARTER, NetworkMaps
from her2scope.segmentation.methods import NETWORK
from her2scope.segmentation.model_card import card_in, read_card
from her2scope.segmentation.onnx_network import (
    BLOCK_PX,
    SAME_SCALE,
    OnnxNetwork,
    at_network_scale,
    tiles_of,
)

WHITE = (240.0, 238.0, 242.0)
PLANES = ("membrane", "nucleus", "centre", "tumour", "offset_um", "tissue", "reach_um")


@pytest.fixture(scope="module", params=["shares", "bytes"])
def network(tmp_path_factory, request):
    """Both forms of a model file: a tiny one that takes shares, and the shipped one, which takes bytes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(provider_choice, "may_have_cuda", lambda: False)
        if request.param == "bytes":
            return OnnxNetwork(read_card(NETWORK), threads=1)
        return OnnxNetwork(card_in(write_tiny_model(tmp_path_factory.mktemp("model"))), threads=1)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Of which every answer is known."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(provider_choice, "may_have_cuda", lambda: False)
        return OnnxNetwork(card_in(write_tiny_model(tmp_path_factory.mktemp("tiny"))), threads=1)


def blobs(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Picture with soft structure of all sizes."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(90, 240, (height // 8 + 2, width // 8 + 2, 3), np.uint8)
    return np.ascontiguousarray(np.kron(coarse, np.ones((8, 8, 1), np.uint8))[:height, :width])


def differences(first: NetworkMaps, second: NetworkMaps) -> float:
    return max(float(np.abs(getattr(first, name) - getattr(second, name)).max()) for name in PLANES)


# ---- scale --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("um_per_px", [0.1, 0.15, 0.23, 0.246, 0.25, 0.27, 0.35, 0.49, 0.5, 0.53, 0.6, 1.0])
@pytest.mark.parametrize("size_hw", [(97, 131), (128, 96), (17, 16), (5, 3), (1, 1)])
def test_maps_have_the_networks_scale_and_half_a_pixel_at_most_is_missing(network, um_per_px, size_hw):
    maps = network.predict(blobs(*size_hw), um_per_px, WHITE)
    factor = maps.um_per_px / um_per_px
    if min(size_hw) > 16:
        assert maps.um_per_px == pytest.approx(NETWORK_UM_PER_PX, rel=SAME_SCALE)
    for axis, side in enumerate(size_hw):
        assert abs(maps.membrane.shape[axis] * factor - side) <= 0.5 * factor + 1e-6 * side
    for name, by in (("nucleus", HALF), ("centre", HALF), ("tumour", HALF), ("tissue", QUARTER)):
        assert getattr(maps, name).shape == tuple(-(-side // by) for side in maps.membrane.shape)
    assert maps.offset_um.shape == (2, *maps.nucleus.shape)
    assert maps.reach_um.shape == (N_REACHES, *maps.tissue.shape)
    assert all(getattr(maps, name).dtype == np.float32 for name in PLANES)


@pytest.mark.parametrize("um_per_px", [0.15, 0.246, 0.25, 0.31, 0.5, 0.8])
def test_a_place_keeps_its_place(tiny, um_per_px):
    """A brown spot in a picture of uneven sides is found where `(x + 0.5) * k - 0.5` says, in both axes."""
    rgb = np.full((301, 457, 3), 240, np.uint8)
    radius_px = round(3 / um_per_px)
    for x, y in ((60, 40), (420, 270), (60, 270), (230, 150)):
        rgb[:] = 240
        rgb[y - radius_px : y + radius_px + 1, x - radius_px : x + radius_px + 1] = (160, 110, 60)
        maps = tiny.predict(rgb, um_per_px, WHITE)
        rows, columns = np.nonzero(maps.membrane > 0.5)
        factor = maps.um_per_px / um_per_px
        found = (np.array([columns.mean(), rows.mean()]) + 0.5) * factor - 0.5
        assert found == pytest.approx((x, y), abs=0.3 * factor + 0.1)


def test_a_whole_factor_is_a_mean_of_whole_pixels():
    rgb = blobs(64, 80)
    small, um_per_px = at_network_scale(rgb, 0.2461)
    assert um_per_px == pytest.approx(0.4922)
    assert np.array_equal(small, np.round(rgb.reshape(32, 2, 40, 2, 3).mean(axis=(1, 3)) + 1e-9).astype(np.uint8))


def test_a_picture_at_the_networks_scale_is_taken_as_it_is():
    rgb = blobs(64, 80)
    assert at_network_scale(rgb, 0.48)[0] is rgb


def test_channels_are_shares_of_the_white():
    rgb = np.array([[[120, 119, 121], [240, 238, 242], [255, 255, 255], [0, 0, 0]]], np.uint8)
    picture = picture_of(rgb, WHITE)
    assert picture.shape == (1, 3, 1, 4) and picture.dtype == np.float32
    assert picture[0, :, 0].T == pytest.approx(np.array([[0.5] * 3, [1.0] * 3, [1.0] * 3, [0.0] * 3]))


def test_another_white_makes_another_picture(network):
    rgb = blobs(64, 64)
    assert differences(network.predict(rgb, 0.5, WHITE), network.predict(rgb, 0.5, (200.0, 200.0, 200.0))) > 0.05


# ---- the same answer ----------------------------------------------------------------------------------------------


def test_the_same_picture_gives_the_same_maps_and_is_left_as_it_was(network):
    rgb = blobs(90, 110)
    rgb.setflags(write=False)
    assert differences(network.predict(rgb, 0.5, WHITE), network.predict(rgb, 0.5, WHITE)) == 0


def test_maps_stay_as_they_are_when_the_next_picture_comes(network):
    first = network.predict(blobs(90, 110), 0.5, WHITE)
    before = {name: getattr(first, name).copy() for name in PLANES}
    network.predict(blobs(90, 110, seed=1), 0.5, WHITE)
    assert all(np.array_equal(getattr(first, name), before[name]) for name in PLANES)


def test_what_was_padded_is_not_in_the_maps(tiny):
    rgb = blobs(128, 128)
    whole, cut = tiny.predict(rgb, 0.5, WHITE), tiny.predict(rgb[:121, :115], 0.5, WHITE)
    assert cut.membrane == pytest.approx(whole.membrane[:121, :115], abs=1e-6)
    assert cut.nucleus[:60, :57] == pytest.approx(whole.nucleus[:60, :57], abs=1e-6)


def test_tiles_give_the_maps_of_the_whole(tiny, monkeypatch):
    rgb = blobs(430, 570)
    whole = tiny.predict(rgb, 0.5, WHITE)
    monkeypatch.setattr(onnx_network, "MOST_PX", 50_000)
    monkeypatch.setattr(onnx_network, "TILE_PX", 160)
    tiled = tiny.predict(rgb, 0.5, WHITE)
    assert len(list(tiles_of(432, 576, 144))) == 12
    assert differences(whole, tiled) < 1e-4


@given(st.integers(1, 400), st.integers(1, 400), st.integers(0, 300))
def test_tiles_keep_every_pixel_once_and_show_what_lies_around(height, width, around_px):
    height, width = BLOCK_PX * height, BLOCK_PX * width
    kept = np.zeros((height // BLOCK_PX, width // BLOCK_PX), int)
    for tile in tiles_of(height, width, around_px, most_px=1_000_000):
        kept[tuple(slice(part.start // BLOCK_PX, part.stop // BLOCK_PX) for part in tile.kept)] += 1
        for own, seen, side in zip(tile.kept, tile.seen, (height, width), strict=True):
            assert seen.start <= max(0, own.start - around_px) and seen.stop >= min(side, own.stop + around_px)
            assert all(edge % BLOCK_PX == 0 for edge in (own.start, own.stop, seen.start, seen.stop))
            assert 0 <= seen.start and seen.stop <= side
    assert (kept == 1).all()
