"""The network behind ONNX Runtime: scale, white, padding, tiles, and which processor it runs on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from segmentation.tiny_network import tiny_model, write_tiny_model

from her2scope.domain.errors import SettingsError
from her2scope.segmentation import onnx_network
from her2scope.segmentation.maps import HALF, N_REACHES, NETWORK_UM_PER_PX, QUARTER, NetworkMaps
from her2scope.segmentation.model_card import FULL, QUANTISED, card_in
from her2scope.segmentation.onnx_network import (
    BLOCK_PX,
    CPU,
    CUDA,
    SAME_SCALE,
    OnnxNetwork,
    at_network_scale,
    may_have_cuda,
    picture_of,
    tiles_of,
)

WHITE = (240.0, 238.0, 242.0)
PLANES = ("membrane", "intense", "nucleus", "centre", "tumour", "offset_um", "tissue", "reach_um")


@pytest.fixture(autouse=True)
def _no_cuda(monkeypatch):
    """Whatever this computer has: the processor is what every test here is about, but where it says otherwise."""
    monkeypatch.setattr(onnx_network, "may_have_cuda", lambda: False)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_network, "may_have_cuda", lambda: False)
        return OnnxNetwork(card_in(write_tiny_model(tmp_path_factory.mktemp("model"))), threads=1)


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
    for name, by in (("intense", 1), ("nucleus", HALF), ("centre", HALF), ("tumour", HALF), ("tissue", QUARTER)):
        assert getattr(maps, name).shape == tuple(-(-side // by) for side in maps.membrane.shape)
    assert maps.offset_um.shape == (2, *maps.nucleus.shape)
    assert maps.reach_um.shape == (N_REACHES, *maps.tissue.shape)
    assert all(getattr(maps, name).dtype == np.float32 for name in PLANES)


@pytest.mark.parametrize("um_per_px", [0.15, 0.246, 0.25, 0.31, 0.5, 0.8])
def test_a_place_keeps_its_place(network, um_per_px):
    """A brown spot in a picture of uneven sides is found where `(x + 0.5) * k - 0.5` says, in both axes."""
    rgb = np.full((301, 457, 3), 240, np.uint8)
    radius_px = round(3 / um_per_px)
    for x, y in ((60, 40), (420, 270), (60, 270), (230, 150)):
        rgb[:] = 240
        rgb[y - radius_px : y + radius_px + 1, x - radius_px : x + radius_px + 1] = (160, 110, 60)
        maps = network.predict(rgb, um_per_px, WHITE)
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


def test_what_was_padded_is_not_in_the_maps(network):
    rgb = blobs(128, 128)
    whole, cut = network.predict(rgb, 0.5, WHITE), network.predict(rgb[:121, :115], 0.5, WHITE)
    assert cut.membrane == pytest.approx(whole.membrane[:121, :115], abs=1e-6)
    assert cut.nucleus[:60, :57] == pytest.approx(whole.nucleus[:60, :57], abs=1e-6)


def test_tiles_give_the_maps_of_the_whole(network, monkeypatch):
    rgb = blobs(430, 570)
    whole = network.predict(rgb, 0.5, WHITE)
    monkeypatch.setattr(onnx_network, "MOST_PX", 50_000)
    monkeypatch.setattr(onnx_network, "TILE_PX", 160)
    tiled = network.predict(rgb, 0.5, WHITE)
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


# ---- which model, which processor ---------------------------------------------------------------------------------


def test_the_processor_runs_the_quantised_file(tmp_path):
    network = OnnxNetwork(card_in(write_tiny_model(tmp_path)))
    assert (network.file, network.provider) == (QUANTISED, CPU)
    assert network.sha256 == network.card.sha256(QUANTISED)


def test_a_folder_with_one_file_is_run_with_it(tmp_path):
    assert OnnxNetwork(card_in(write_tiny_model(tmp_path, [FULL]))).file == FULL


def test_an_altered_model_is_not_loaded(tmp_path):
    card = card_in(write_tiny_model(tmp_path))
    (tmp_path / QUANTISED).write_bytes(tiny_model("another"))
    with pytest.raises(SettingsError, match="not the model that its card describes"):
        OnnxNetwork(card)


def test_a_file_that_is_no_model_is_refused_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("segmentation.tiny_network.tiny_model", lambda note: b"no model")
    card = card_in(write_tiny_model(tmp_path))
    with pytest.raises(SettingsError, match="ONNX Runtime cannot run this model") as refusal:
        OnnxNetwork(card)
    assert "\n" not in str(refusal.value)


def test_a_model_with_other_outputs_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("segmentation.tiny_network.tiny_model", lambda note: tiny_model(note, membrane_channels=1))
    card = card_in(write_tiny_model(tmp_path))
    with pytest.raises(SettingsError, match=r"output 'membrane' is \(1, 1, 64, 64\)"):
        OnnxNetwork(card)


class Spy:
    """A session of the real model that calls its processor by another name, or fails on it."""

    def __init__(self, session, provider, fails=False):
        self.session, self.provider, self.fails = session, provider, fails

    def run(self, names, feeds):
        if self.fails:
            raise RuntimeError("no kernel image is available")
        return self.session.run(names, feeds)

    def get_providers(self):
        return [self.provider, CPU]


@pytest.fixture
def opened(monkeypatch):
    """Make CUDA look as if it were there; what was asked of each session that is opened."""
    asked = []
    really = onnx_network.open_session

    def pretend(behaves):
        def opening(content, providers, threads):
            asked.append([item if isinstance(item, str) else item[0] for item in providers])
            if len(providers) == 1:
                return really(content, providers, threads)
            return behaves(really(content, [CPU], threads))

        monkeypatch.setattr(onnx_network, "may_have_cuda", lambda: True)
        monkeypatch.setattr(onnx_network, "open_session", opening)
        return asked

    return pretend


def test_a_graphics_card_runs_the_full_file(tmp_path, opened):
    asked = opened(lambda session: Spy(session, CUDA))
    network = OnnxNetwork(card_in(write_tiny_model(tmp_path)))
    assert (network.file, network.provider, asked) == (FULL, CUDA, [[CUDA, CPU]])


def no_library(session):
    raise RuntimeError("libcublas is missing")


@pytest.mark.parametrize(
    "behaves",
    [lambda session: Spy(session, CPU), lambda session: Spy(session, CUDA, fails=True), no_library],
    ids=["falls back by itself", "fails when it runs", "cannot be opened"],
)
def test_a_graphics_card_that_does_not_work_leaves_it_to_the_processor(tmp_path, opened, behaves):
    asked = opened(behaves)
    network = OnnxNetwork(card_in(write_tiny_model(tmp_path)))
    assert (network.file, network.provider, asked) == (QUANTISED, CPU, [[CUDA, CPU], [CPU]])


def test_an_altered_full_model_is_refused_although_the_processor_would_not_need_it(tmp_path, opened):
    opened(lambda session: Spy(session, CUDA))
    card = card_in(write_tiny_model(tmp_path))
    (tmp_path / FULL).write_bytes(b"altered")
    with pytest.raises(SettingsError, match="not the model that its card describes"):
        OnnxNetwork(card)


def test_without_a_driver_cuda_is_not_tried(monkeypatch):
    monkeypatch.setattr(onnx_network.ctypes, "CDLL", lambda name: (_ for _ in ()).throw(OSError(name)))
    assert not may_have_cuda()


def test_loading_and_a_failed_try_say_nothing(tmp_path, capfd, monkeypatch):
    """Asking for CUDA where it cannot be had prints two lines and a box of stars, unless it is kept from it."""
    monkeypatch.setattr(onnx_network, "may_have_cuda", lambda: True)
    network = OnnxNetwork(card_in(write_tiny_model(tmp_path)))
    network.predict(blobs(64, 64), 0.5, WHITE)
    assert capfd.readouterr() == ("", "")
