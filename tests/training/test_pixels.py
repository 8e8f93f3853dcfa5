"""The run of the pixelwise classifier; it needs torch (`make train-env`, then `make test-train`)."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: make test-train")

from training.pixel_scenes import CLASSES, scene  # noqa: E402

from her2scope.domain.errors import BadInputError  # noqa: E402
from her2scope.segmentation.sessions import CPU, open_session  # noqa: E402
from her2scope.training.pixels import train as run  # noqa: E402
from her2scope.training.pixels.augment import NOT_ASKED, Variation  # noqa: E402
from her2scope.training.pixels.batches import Draws  # noqa: E402
from her2scope.training.pixels.config import PixelConfig  # noqa: E402
from her2scope.training.pixels.export import INPUT, OUTPUT, export_pixels  # noqa: E402
from her2scope.training.pixels.grounds import Ground  # noqa: E402
from her2scope.training.pixels.net import PixelNet, Shipped  # noqa: E402
from her2scope.training.pixels.train import (  # noqa: E402
    CHECKPOINT,
    CURVES,
    LOG,
    State,
    as_picture,
    done_share,
    loss_of,
    rate_at,
    train_pixels,
)
from her2scope.training.train import load_saved  # noqa: E402

CONFIG = PixelConfig(
    CLASSES, 0.5, epochs=3, steps=4, tile_px=48, batch=2, widths=(8, 8, 8), depths=(0, 1, 1), warmup_steps=2, threads=1
)


def quiet(line: str) -> None:
    """Tell nobody."""


@pytest.fixture(scope="module")
def grounds() -> list[Ground]:
    return [scene(f"image {n}", n) for n in range(5)]


def weights(state: State) -> dict[str, np.ndarray]:
    return {name: value.numpy().copy() for name, value in state.net.state_dict().items()}


# ---- network ------------------------------------------------------------------------------------------------------


def test_the_network_looks_no_farther_than_its_settings_say() -> None:
    """A changed pixel changes no answer beyond `surroundings_px`, and one within."""
    config = replace(CONFIG, widths=(8, 8, 8, 8), depths=(0, 1, 1, 2))
    torch.manual_seed(1)
    net = Shipped(PixelNet(3, config.widths, config.depths)).eval()
    side = 2 * config.surroundings_px + 64
    side += -side % config.block_px
    rgb = torch.randint(0, 255, (1, side, side, 3), dtype=torch.uint8)
    other = rgb.clone()
    middle = side // 2
    other[0, middle, middle] = 255 - other[0, middle, middle]
    with torch.no_grad():
        changed = (net(rgb) != net(other)).any(dim=1)[0].nonzero()
    reach = int((changed - middle).abs().max())
    assert 0 < reach <= config.surroundings_px


def test_answers_are_probabilities_of_every_size_of_whole_blocks() -> None:
    net = Shipped(PixelNet(3, CONFIG.widths, CONFIG.depths)).eval()
    for height, width in ((8, 8), (40, 24)):
        with torch.no_grad():
            found = net(torch.randint(0, 255, (2, height, width, 3), dtype=torch.uint8))
        assert found.shape == (2, 3, height, width)
        np.testing.assert_allclose(found.sum(dim=1).numpy(), 1.0, atol=1e-5)


@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_what_is_exported_answers_as_what_was_trained(n_classes: int) -> None:
    torch.manual_seed(n_classes)
    net = PixelNet(n_classes, CONFIG.widths, CONFIG.depths)
    net(torch.rand(4, 3, 32, 32))  # running means other than those of a new network
    rgb = torch.randint(0, 256, (2, 40, 24, 3), dtype=torch.uint8)
    with torch.no_grad():
        trained = torch.softmax(net.eval()(as_picture(rgb.numpy())), dim=1)
        np.testing.assert_allclose(Shipped(net).eval()(rgb).numpy(), trained.numpy(), atol=1e-5)


# ---- loss ---------------------------------------------------------------------------------------------------------


def test_what_is_not_asked_for_does_not_count() -> None:
    labels = torch.randint(0, 3, (2, 16, 16))
    labels[:, 8:] = NOT_ASKED
    logits = torch.randn(2, 3, 16, 16)
    changed = logits.clone()
    changed[:, :, 8:] = 50.0 * torch.randn(2, 3, 8, 16)
    assert float(loss_of(logits, labels)) == pytest.approx(float(loss_of(changed, labels)), rel=1e-5)
    assert float(loss_of(logits, labels)) == pytest.approx(float(loss_of(logits[:, :, :8], labels[:, :8])), rel=1e-5)
    assert float(loss_of(logits, torch.full_like(labels, NOT_ASKED))) == 0.0


def test_the_loss_is_least_where_all_is_right() -> None:
    labels = torch.randint(0, 3, (2, 16, 16))
    right = 20.0 * torch.nn.functional.one_hot(labels, 3).permute(0, 3, 1, 2).float()
    assert float(loss_of(right, labels)) < 1e-3 < float(loss_of(torch.zeros_like(right), labels))


# ---- rate ---------------------------------------------------------------------------------------------------------


def test_the_clock_decides_only_where_the_run_would_not_fit() -> None:
    config = replace(CONFIG, epochs=10, steps=10, minutes=1.0)
    assert done_share(config, 50, 0.0) == done_share(config, 50, 30.0) == 0.5
    assert done_share(config, 50, 45.0) == 0.75
    assert done_share(config, 100, 10.0) == done_share(config, 10, 600.0) == 1.0
    rates = [rate_at(config, step, 0.0) for step in range(config.warmup_steps, 101)]
    assert all(a >= b for a, b in zip(rates[:-1], rates[1:], strict=True))
    assert rates[-1] == pytest.approx(config.final_rate_share * config.learning_rate)


def test_a_run_ends_when_its_minutes_are_over(grounds: list[Ground], tmp_path: Path) -> None:
    state = train_pixels(replace(CONFIG, epochs=1000, minutes=1e-4), grounds, tmp_path, quiet)
    assert state.step == CONFIG.steps and "minutes were over" in state.finished


# ---- runs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["asked", "killed"])
def test_a_run_that_was_ended_goes_on_as_if_nothing_had_been(
    end: str, grounds: list[Ground], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ended within an epoch: the weights, the best ones and the log are those of a run never stopped."""
    whole = train_pixels(CONFIG, grounds, tmp_path / "whole", quiet)
    plain = run.loss_of
    steps = 0

    def ended(*given: torch.Tensor) -> torch.Tensor:
        nonlocal steps
        steps += 1
        if steps == 7 and end == "asked":
            signal.raise_signal(signal.SIGTERM)
        if steps == 7 and end == "killed":  # in the middle of a step: what was begun of it is lost
            raise MemoryError
        return plain(*given)

    monkeypatch.setattr(run, "loss_of", ended)
    monkeypatch.setattr(run, "SAVE_EVERY_S", 0.0)
    with pytest.raises((KeyboardInterrupt, MemoryError)):
        train_pixels(CONFIG, grounds, tmp_path / "ended", quiet)
    assert load_saved(tmp_path / "ended" / CHECKPOINT)["step"] == (7 if end == "asked" else 6)
    monkeypatch.setattr(run, "loss_of", plain)
    again = train_pixels(CONFIG, grounds, tmp_path / "ended", quiet)
    for name, value in weights(whole).items():
        np.testing.assert_array_equal(weights(again)[name], value, err_msg=name)
    for name, value in whole.best.items():
        np.testing.assert_array_equal(again.best[name].numpy(), value.numpy(), err_msg=name)
    assert [{**row, "minutes": 0} for row in again.rows] == [{**row, "minutes": 0} for row in whole.rows]
    assert again.finished == whole.finished == "all 3 epochs"
    assert (tmp_path / "ended" / LOG).read_text(encoding="utf-8").count("\n") == 3
    assert (tmp_path / "ended" / CURVES).stat().st_size > 1000


def test_to_be_stopped_with_the_last_step_is_heard(
    grounds: list[Ground], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the last epoch is checked, say: what comes after the run, another fold, would not begin."""
    checked = run._end_epoch  # noqa: SLF001 - the moment is ours

    def stopped(config: PixelConfig, state: State, *rest: object) -> None:
        checked(config, state, *rest)  # type: ignore[arg-type]
        if state.finished:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(run, "_end_epoch", stopped)
    with pytest.raises(KeyboardInterrupt):
        train_pixels(CONFIG, grounds, tmp_path, quiet)
    assert load_saved(tmp_path / CHECKPOINT)["finished"] == "all 3 epochs"


def test_a_finished_run_is_not_run_again(grounds: list[Ground], tmp_path: Path) -> None:
    first = train_pixels(CONFIG, grounds, tmp_path, quiet)
    again = train_pixels(CONFIG, grounds, tmp_path, quiet)
    assert again.step == first.step and again.seconds == first.seconds
    for name, value in weights(first).items():
        np.testing.assert_array_equal(weights(again)[name], value)


def test_a_folder_of_another_run_is_left_alone(grounds: list[Ground], tmp_path: Path) -> None:
    train_pixels(replace(CONFIG, epochs=1), grounds, tmp_path, quiet)
    kept = (tmp_path / CHECKPOINT).read_bytes()
    with pytest.raises(BadInputError, match="other epochs, seed"):
        train_pixels(replace(CONFIG, seed=9), grounds, tmp_path, quiet)
    with pytest.raises(BadInputError, match="other images"):
        train_pixels(replace(CONFIG, epochs=1), grounds[:3], tmp_path, quiet)
    assert (tmp_path / CHECKPOINT).read_bytes() == kept
    (tmp_path / CHECKPOINT).write_bytes(b"not a checkpoint")
    with pytest.raises(BadInputError, match="no readable checkpoint"):
        train_pixels(replace(CONFIG, epochs=1), grounds, tmp_path, quiet)
    assert (tmp_path / CHECKPOINT).read_bytes() == b"not a checkpoint"


def test_a_run_does_not_go_on_with_other_outlines(grounds: list[Ground], tmp_path: Path) -> None:
    """Outlines that were corrected are another run, finished or not: else the old model came back as the new one."""
    train_pixels(replace(CONFIG, epochs=1), grounds, tmp_path, quiet)
    other = replace(grounds[2], painter=scene("image 2", 99).painter)
    with pytest.raises(BadInputError, match="other pixels or annotations of image 2"):
        train_pixels(replace(CONFIG, epochs=1), [*grounds[:2], other, *grounds[3:]], tmp_path, quiet)


def test_a_run_does_not_go_on_with_other_images_held_back(
    grounds: list[Ground], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version of the program that parts them otherwise would check on what was learnt."""
    train_pixels(replace(CONFIG, epochs=1), grounds, tmp_path, quiet)
    monkeypatch.setattr(run, "split", lambda *_: ([0, 1, 2, 3], [4]))
    held = load_saved(tmp_path / CHECKPOINT)["held"]
    assert held != ["image 4"] and len(held) == 1
    with pytest.raises(BadInputError, match="a run with other images held back"):
        train_pixels(replace(CONFIG, epochs=1), grounds, tmp_path, quiet)


def test_a_class_that_cannot_be_checked_has_no_dice_and_no_other_class_takes_its_place(tmp_path: Path) -> None:
    """`dark` lies in one image alone, which is learnt from: each epoch has a place for it, which is empty."""
    grounds = [scene("both", 0), *(scene(f"brown {n}", n, classes=("brown",)) for n in range(1, 5))]
    told: list[str] = []
    state = train_pixels(CONFIG, grounds, tmp_path, told.append)
    assert all(row["dice"][0] is None and row["dice"][1] >= 0.0 for row in state.rows)
    assert any("not checked" in line and "dark" in line for line in told)
    assert state.best_dice == pytest.approx(max(row["dice"][1] for row in state.rows), abs=1e-4)
    assert (tmp_path / CURVES).stat().st_size > 1000


def test_where_nothing_can_be_checked_the_last_epoch_is_taken(tmp_path: Path) -> None:
    grounds = [scene("both", 0), scene("none", 1, classes=())]
    state = train_pixels(CONFIG, grounds, tmp_path, quiet)
    assert (state.best_epoch, state.best_dice) == (3, -1.0)
    for name, value in state.mean.state_dict().items():
        np.testing.assert_array_equal(state.best[name].numpy(), value.numpy())


def test_each_epoch_says_how_long_it_still_takes(grounds: list[Ground], tmp_path: Path) -> None:
    told: list[str] = []
    train_pixels(CONFIG, grounds, tmp_path, told.append)
    epochs = [line for line in told if line.startswith("epoch")]
    assert ["left" in line for line in epochs] == [True, True, False]
    assert all("dark 0." in line and "brown 0." in line for line in epochs)


def test_the_last_part_begins_early_where_nothing_gets_better(
    grounds: list[Ground], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After three epochs without a better one the last part, epoch 13 and on, begins; in it the run ends so."""
    said = iter([0.2, 0.5, 0.4, 0.5, 0.3, 0.9, 0.1, 0.1, 0.1, 1.0])
    monkeypatch.setattr(run._Checks, "dice", lambda self, net: (next(said), None))  # noqa: SLF001 - its figures are ours
    asked: dict[int, bool] = {}
    plain = Draws.batch

    def batch(self: Draws, step: int, upright: bool = False) -> tuple[np.ndarray, np.ndarray]:
        asked[step] = upright
        return plain(self, step, upright)

    monkeypatch.setattr(Draws, "batch", batch)
    config = replace(CONFIG, epochs=20, patience=3)
    state = train_pixels(config, grounds, tmp_path, quiet)
    assert [row["epoch"] for row in state.rows] == [1, 2, 3, 4, 5, 13, 14, 15, 16]
    assert (state.best_dice, state.best_epoch, state.finished) == (0.9, 13, "no better Dice in 3 epochs")
    assert config.upright_from == 48 and all(upright == (step >= 48) for step, upright in asked.items())


def test_one_image_is_too_few(grounds: list[Ground], tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="two at least"):
        train_pixels(CONFIG, grounds[:1], tmp_path, quiet)


def test_it_learns_and_the_file_answers_as_torch_does(grounds: list[Ground], tmp_path: Path) -> None:
    config = replace(
        CONFIG, epochs=4, steps=20, batch=4, learning_rate=1e-2, average_decay=0.9,
        variation=Variation(elastic_px=0.0, stain_gain=0.05, stain_turn=0.01),
    )  # fmt: skip
    state = train_pixels(config, grounds, tmp_path, quiet)
    assert state.best_dice > 0.9
    unseen = scene("unseen", 77)
    rgb, labels = unseen.window(0, 0, 128, 128)
    exported = export_pixels(config, state, rgb)
    assert exported.facts["largest_difference_from_torch"] < 1e-4
    session = open_session(exported.content, [CPU], 1)
    found = session.run([OUTPUT], {INPUT: rgb[None]})[0][0].argmax(axis=0)
    for label in (1, 2):
        both = ((found == label) & (labels == label)).sum()
        assert 2 * both / ((found == label).sum() + (labels == label).sum()) > 0.85
