"""Region models: probabilities at their scale, whatever the tiles, and refusals of what is none."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from segmentation.tiny_network import write_tiny_model
from segmentation.tiny_region_model import blue_discs, is_disc, write_tiny_region_model

from her2scope.domain.errors import BadInputError, SettingsError
from her2scope.segmentation import region_model
from her2scope.segmentation.model_card import CARD, FULL, card_in
from her2scope.segmentation.region_model import OnnxRegionModel, load_region_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> OnnxRegionModel:
    return load_region_model(write_tiny_region_model(tmp_path_factory.mktemp("model")), threads=1)


def test_it_finds_what_it_was_made_for(model: OnnxRegionModel) -> None:
    rgb = blue_discs(121, 83)  # no whole blocks
    found = model.probabilities(rgb, 1.0)
    assert found.shape == (2, 121, 83) and found.dtype == np.float32
    np.testing.assert_allclose(found.sum(axis=0), 1.0, atol=1e-6)
    truth = is_disc(121, 83)
    both = ((found[1] > 0.5) & truth).sum()
    assert 2 * both / ((found[1] > 0.5).sum() + truth.sum()) > 0.9


@given(height=st.integers(5, 90), width=st.integers(5, 90), tile=st.integers(1, 12), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_tiles_do_not_show(model: OnnxRegionModel, height: int, width: int, tile: int, seed: int) -> None:
    rgb = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    whole = model.at_own_scale(rgb)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(region_model, "MOST_PX", 1)
        patch.setattr(region_model, "TILE_PX", 4 * tile)
        tiled = model.at_own_scale(rgb)
    np.testing.assert_allclose(tiled, whole, atol=1e-6)


def test_a_place_keeps_its_place_at_another_scale(model: OnnxRegionModel) -> None:
    """Pixel x of the answer is (x + 0.5) * k - 0.5 of the picture."""
    for um_per_px in (0.25, 0.4, 0.7, 1.0, 1.1):
        k = 1.0 / um_per_px
        side = round(200 * k)
        x, y = 61 * k, 127 * k
        rows, columns = np.mgrid[:side, :side]
        inside = np.clip(20 * k + 0.5 - np.hypot(columns + 0.5 - x, rows + 0.5 - y), 0, 1)[:, :, None]
        rgb = np.rint((1 - inside) * (235, 225, 230) + inside * (60, 60, 180)).astype(np.uint8)
        found = model.probabilities(rgb, um_per_px)[1]
        assert abs(found.shape[0] - side / k) <= 0.5
        weights = np.maximum(found - 0.5, 0)
        row, column = (float(np.average(np.arange(found.shape[a]), weights=weights.sum(axis=1 - a))) for a in (0, 1))
        assert (column + 0.5, row + 0.5) == pytest.approx((61, 127), abs=0.05)


def test_a_picture_that_is_too_coarse_is_refused(model: OnnxRegionModel) -> None:
    with pytest.raises(BadInputError, match="works at 1"):
        model.probabilities(blue_discs(64, 64), 2.0)


def test_the_two_kinds_of_models_are_not_confused(tmp_path: Path) -> None:
    cells, region = write_tiny_model(tmp_path / "cells"), write_tiny_region_model(tmp_path / "region")
    with pytest.raises(SettingsError, match="a model that finds cells, not a region model"):
        load_region_model(cells)
    with pytest.raises(SettingsError, match="no readable model card"):
        card_in(region)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"kind": None}, "something else"),
        ({"classes": ["a"]}, "no readable model card"),
        ({"classes": "ab"}, "no readable model card"),
        ({"classes": ["background", "blue", "red"]}, "not one plane for each of 3 classes"),
        ({"um_per_px": 0}, "not possible"),
        ({"block_px": 0}, "out of range"),
        ({"block_px": 3}, "cannot run"),
        ({"files": {}}, "no readable model card"),
        ({"files": {FULL: "0" * 64}}, "not the model that its card describes"),
    ],
)
def test_a_card_that_cannot_be_trusted(tmp_path: Path, entry: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        load_region_model(write_tiny_region_model(tmp_path, **entry))


def test_folders_that_hold_no_model(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such folder"):
        load_region_model(tmp_path / "none")
    with pytest.raises(SettingsError, match="no model folder"):
        load_region_model(tmp_path)
    (tmp_path / CARD).write_bytes(b"\xff\xfe: [")
    with pytest.raises(SettingsError, match="cannot be read as a card"):
        load_region_model(tmp_path)
    (tmp_path / CARD).write_text("just words", encoding="utf-8")
    with pytest.raises(SettingsError, match="something else"):
        load_region_model(tmp_path)


def test_a_file_cut_short(tmp_path: Path) -> None:
    folder = write_tiny_region_model(tmp_path)
    (folder / FULL).unlink()
    with pytest.raises(SettingsError, match="cannot be read"):
        load_region_model(folder)
    card = yaml.safe_load((folder / CARD).read_text(encoding="utf-8"))
    (folder / FULL).write_bytes(b"no onnx")
    card["files"][FULL] = hashlib.sha256(b"no onnx").hexdigest()
    (folder / CARD).write_text(yaml.safe_dump(card), encoding="utf-8")
    with pytest.raises(SettingsError, match="cannot run this region model"):
        load_region_model(folder)
