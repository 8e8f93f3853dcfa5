"""The reader of outlines by ONNX Runtime: its card's file or none, any number of cells, one clear error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from segmentation.tiny_network import tiny_reader, write_tiny_model

from her2scope.domain.errors import SettingsError
from her2scope.imaging.outline_bands import CHANNELS
from her2scope.imaging.profiles import N_PLACES
from her2scope.imaging.workers import Workers
from her2scope.segmentation import outline_reader
from her2scope.segmentation.model_card import FULL, OUTLINES, QUANTISED, card_in
from her2scope.segmentation.outline_reader import OnnxOutlineReader

BROWN = CHANNELS.index("dab_8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("tiny"), (FULL, QUANTISED, OUTLINES))


def test_places_are_read_each_for_itself_however_many_cells_there_are(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bands = np.zeros((7, len(CHANNELS), N_PLACES), np.float32)
    bands[2, BROWN, 5] = 4.0
    reader = OnnxOutlineReader(card_in(folder), threads=1)
    whole = reader.read(bands)
    assert whole.shape == (7, N_PLACES)
    assert whole[2, 5] > 0.9 and np.count_nonzero(whole > 0.5) == 1
    monkeypatch.setattr(outline_reader, "AT_ONCE", 3)
    assert np.array_equal(reader.read(bands), whole)
    assert reader.read(bands[:0]).shape == (0, N_PLACES)


def test_several_threads_may_ask_at_once(folder: Path) -> None:
    bands = np.random.default_rng(5).uniform(0, 4, (24, len(CHANNELS), N_PLACES)).astype(np.float32)
    reader = OnnxOutlineReader(card_in(folder))
    whole = reader.read(bands)
    shared = Workers(4).each(lambda row: reader.read(bands[row : row + 1]), range(len(bands)))
    assert np.array_equal(np.concatenate(shared), whole)


def test_a_card_without_a_reader_has_none(tmp_path: Path) -> None:
    card = card_in(write_tiny_model(tmp_path))
    with pytest.raises(SettingsError, match=f"no sha256 of {OUTLINES}"):
        OnnxOutlineReader(card)
    assert card.digest(QUANTISED) == card.sha256(QUANTISED)


def test_an_altered_file_and_one_that_is_no_reader_are_refused(folder: Path, tmp_path: Path) -> None:
    write_tiny_model(tmp_path, (FULL, QUANTISED, OUTLINES))
    (tmp_path / OUTLINES).write_bytes(tiny_reader("another"))
    with pytest.raises(SettingsError, match="not the model that its card describes"):
        OnnxOutlineReader(card_in(tmp_path))
    write_tiny_model(tmp_path, (FULL, QUANTISED, OUTLINES), reader=b"no model")
    with pytest.raises(SettingsError, match="cannot run this model") as refusal:
        OnnxOutlineReader(card_in(tmp_path))
    assert "\n" not in str(refusal.value)


def test_the_model_is_named_by_both_files(folder: Path, tmp_path: Path) -> None:
    card, other = (
        card_in(folder),
        card_in(write_tiny_model(tmp_path, (FULL, QUANTISED, OUTLINES), reader=tiny_reader("b"))),
    )
    assert len(card.digest(QUANTISED)) == 64
    assert len({card.digest(QUANTISED), card.digest(FULL), other.digest(QUANTISED), card.sha256(QUANTISED)}) == 4
