"""Cards: what they say, and that no other model is loaded than the one they were written for."""

from __future__ import annotations

import pytest
import yaml
from segmentation.tiny_network import card_of, write_tiny_model

from her2scope.domain.cells import CellClass
from her2scope.domain.errors import SettingsError
from her2scope.resources import resource_dir
from her2scope.segmentation.model_card import CARD, FULL, QUANTISED, card_in, has_card, read_card


@pytest.mark.parametrize("name", sorted(path.parent.name for path in resource_dir("models").glob(f"*/{CARD}")))
def test_every_shipped_card_can_be_read_and_its_models_are_those_it_names(name):
    card = read_card(name)
    assert has_card(name) and card.name and card.task and card.limits and 0 < card.um_per_px <= 1
    assert card.false_rates.rates and card.false_rates.source
    for file in card.files or {}:
        assert card.read_model(file)


def test_a_networks_card_says_all(tmp_path):
    card = card_in(write_tiny_model(tmp_path))
    assert (card.name, card.um_per_px, card.channels) == ("tiny", 0.5, ("red", "green", "blue"))
    assert card.outputs is not None and len(card.outputs["context"]) == 33
    assert card.surroundings_px == 144 and card.limits == ("it is a toy",)
    assert card.false_rates.of([CellClass.INCOMPLETE_FAINT]) == 0.01
    assert card.false_rates.of_certain_faint == 0.01  # it doubts none of its own
    assert card.read_model(QUANTISED) == (tmp_path / QUANTISED).read_bytes()


def test_a_card_may_tell_the_rate_of_faint_cells_beyond_doubt(tmp_path):
    (tmp_path / CARD).write_text(yaml.safe_dump(card_of({}) | {"false_rate_certain_faint": 0.002}))
    assert card_in(tmp_path).false_rates.of_certain_faint == 0.002


def test_another_model_than_the_cards_is_refused_in_one_line(tmp_path):
    card = card_in(write_tiny_model(tmp_path))
    (tmp_path / FULL).write_bytes((tmp_path / QUANTISED).read_bytes())
    with pytest.raises(
        SettingsError, match="not the model that its card describes.*Install her2scope again"
    ) as refusal:
        card.read_model(FULL)
    assert "\n" not in str(refusal.value)


def test_a_missing_model_is_said(tmp_path):
    card = card_in(write_tiny_model(tmp_path))
    (tmp_path / FULL).unlink()
    with pytest.raises(SettingsError, match="the model cannot be read"):
        card.read_model(FULL)
    with pytest.raises(SettingsError, match="no sha256 of other.onnx"):
        card.read_model("other.onnx")


@pytest.mark.parametrize(
    "change",
    [
        {"false_rates": {"incomplete_faint": 2}},
        {"false_rates": {"very_stained": 0.1}},
        {"false_rates_icc": "much"},
        {"false_rate_certain_faint": -0.1},
        {"files": {FULL: "abc"}},
        {"files": [FULL]},
        {"limits": "none"},
        {"um_per_px": None},
    ],
)
def test_a_card_with_a_slip_is_refused(tmp_path, change):
    (tmp_path / CARD).write_text(yaml.safe_dump(card_of({}) | change))
    with pytest.raises(SettingsError, match="no readable model card"):
        card_in(tmp_path)


@pytest.mark.parametrize("text", ["", "[1, 2]", "name: [", "name: x"])
def test_what_is_no_card_is_refused(tmp_path, text):
    (tmp_path / CARD).write_text(text)
    with pytest.raises(SettingsError, match="no readable model card"):
        card_in(tmp_path)
    assert not has_card("no-such-method")
