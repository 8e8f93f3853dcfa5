"""A smaller reader of outlines, taught by a larger one; these need torch (`make train-env`, then `make test-train`)."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: make test-train")

from segmentation.tiny_network import write_tiny_model  # noqa: E402

from her2scope.domain.errors import SettingsError  # noqa: E402
from her2scope.imaging.outline_bands import CHANNELS  # noqa: E402
from her2scope.imaging.profiles import N_PLACES  # noqa: E402
from her2scope.segmentation.model_card import FULL, OUTLINES, QUANTISED, card_in  # noqa: E402
from her2scope.segmentation.outline_reader import BANDS, MEMBRANE  # noqa: E402
from her2scope.segmentation.sessions import CPU, open_session  # noqa: E402
from her2scope.training.config import TOGETHER, OutlineConfig  # noqa: E402
from her2scope.training.outlines.export import export_reader  # noqa: E402
from her2scope.training.outlines.net import OutlineNet  # noqa: E402
from her2scope.training.outlines.samples import OutlineSamples  # noqa: E402
from her2scope.training.outlines.train import make_batch, train_outlines  # noqa: E402


@pytest.mark.parametrize("together", TOGETHER)
def test_a_turn_by_what_is_seen_together_turns_what_the_reader_says(together: int) -> None:
    net = OutlineNet(8, together).eval()
    bands = torch.rand(2, len(CHANNELS), N_PLACES)
    with torch.no_grad():
        assert net(bands).shape == (2, N_PLACES)
        turned = net(torch.roll(bands, 3 * together, -1))
        assert torch.allclose(turned, torch.roll(net(bands), 3 * together, -1), atol=1e-5)


@pytest.mark.parametrize("together", TOGETHER)
def test_each_place_is_answered_from_itself_and_as_far_each_way(together: int) -> None:
    """The answers of places that are seen together keep their order, and none looks 16 places away."""
    torch.manual_seed(together)
    net = OutlineNet(8, together).eval()
    net.whole.weight.data.zero_()  # else one look at the whole outline reaches everywhere
    bands = torch.rand(1, len(CHANNELS), N_PLACES)
    changed = bands.clone()
    changed[..., 20] += 1.0
    with torch.no_grad():
        moved = np.nonzero((net(bands) - net(changed))[0].abs().numpy() > 1e-6)[0]
    assert 20 in moved
    assert moved.min() >= 20 - 8 - (together - 1) and moved.max() <= 20 + 8 + (together - 1)
    assert moved.max() - moved.min() >= 8


def test_a_run_of_before_the_shape_was_named_is_read_as_it_was() -> None:
    old, new = OutlineNet(8), OutlineNet.of_recipe({"width": 8, "seed": 1})
    new.load_state_dict(old.state_dict())
    assert OutlineNet.of_recipe(dataclasses.asdict(OutlineConfig("m", width=8, together=2))).answer.out_channels == 2


def test_a_spliced_arc_brings_its_own_truth() -> None:
    """Each cell here is one number in all its rows: where it is another's, the level is that other's too."""
    n = 16
    bands = np.ones((n, len(CHANNELS), N_PLACES), np.float16) * np.arange(1, n + 1)[:, None, None]
    level = np.repeat(np.arange(1, n + 1, dtype=np.uint8)[:, None], N_PLACES, axis=1)
    rng = np.random.default_rng(2)
    seen, truth = make_batch(OutlineSamples(bands.astype(np.float16), level), 64, rng, splice_share=1.0)
    nucleus, row = (seen[:, CHANNELS.index(name)].round() for name in ("nucleus_um", "nucleus_4"))  # some are noisy
    assert (nucleus == nucleus[:, :1]).all()
    assert (truth != truth[:, :1]).any()
    assert (row.to(torch.uint8) == truth).all()


def test_no_cell_is_spliced_where_none_is_asked_for() -> None:
    bands = np.ones((4, len(CHANNELS), N_PLACES), np.float16)
    level = np.repeat(np.arange(4, dtype=np.uint8)[:, None], N_PLACES, axis=1)
    _, truth = make_batch(OutlineSamples(bands, level), 32, np.random.default_rng(0))
    assert (truth == truth[:, :1]).all()


def run_of(model: Path, **more: Any) -> OutlineConfig:
    return dataclasses.replace(
        OutlineConfig(str(model), fields=4, usual_share=1.0, recipe_share=0.0, width=8, batch=32, workers=1), **more
    )


def test_a_small_reader_learns_what_its_teacher_says(tmp_path: Path) -> None:
    """Taught by nothing but its teacher, which calls dark places membrane whatever the truth, it says the same."""
    model = write_tiny_model(tmp_path / "model", files=(FULL, QUANTISED, OUTLINES))
    config = run_of(
        model, steps=150, check_every=150, together=2, teacher=str(model), teacher_share=1.0, splice_share=0.5
    )
    train_outlines(config, tmp_path / "run", lambda said: None)
    exported = export_reader(tmp_path / "run", card_in(model))
    assert exported.facts["teacher_sha256"] == card_in(model).sha256(OUTLINES)
    assert exported.facts["recipe"]["together"] == 2
    assert str(tmp_path) not in str(exported.facts), "the card travels, folders of this machine do not"
    bands = np.zeros((2, len(CHANNELS), N_PLACES), np.float32)
    bands[0, : CHANNELS.index("haematoxylin_0")] = 2.0
    dark, pale = open_session(exported.content, [CPU], 1).run([MEMBRANE], {BANDS: bands})[0]
    assert dark.min() > 0.5 > pale.max()


def test_a_teacher_that_is_not_there_is_said_before_a_field_is_drawn(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "model")
    with pytest.raises(SettingsError, match="no sha256 of outlines"):
        train_outlines(run_of(model, teacher=str(model)), tmp_path / "run", lambda said: None)
    assert not (tmp_path / "run").exists()
