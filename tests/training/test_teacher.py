"""What a run learns from another network's answers; needs torch (`make train-env`, then `make test-train`)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: make test-train")

from segmentation.tiny_network import write_tiny_model  # noqa: E402

from her2scope.domain.errors import SettingsError  # noqa: E402
from her2scope.phantom.shards.store import ShardSet, render_shards  # noqa: E402
from her2scope.phantom.shards.tiles import TileSettings  # noqa: E402
from her2scope.segmentation.maps import N_REACHES  # noqa: E402
from her2scope.training import feed  # noqa: E402
from her2scope.training.batches import make_batch  # noqa: E402
from her2scope.training.config import TrainConfig  # noqa: E402
from her2scope.training.losses import WEIGHTS, losses, taught, weighted  # noqa: E402
from her2scope.training.net import CellNet, context_of, nuclei_of  # noqa: E402
from her2scope.training.targets import make_record  # noqa: E402
from her2scope.training.teacher import Teacher  # noqa: E402
from her2scope.training.train import LOG, _with_teacher, train  # noqa: E402

HEADS = ((2, 1), (5, 2), (1 + N_REACHES, 4), (6, 4))
"""Channels of each head, and how many times smaller than the picture it is."""


def logits(seed: int, side: int = 16) -> tuple[torch.Tensor, ...]:
    chance = torch.Generator().manual_seed(seed)
    return tuple(2.0 * torch.randn(2, n, side // by, side // by, generator=chance) for n, by in HEADS)


def answers(logits: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return torch.sigmoid(logits[0]), nuclei_of(logits[1]), context_of(logits[2])


@pytest.mark.parametrize("seed", range(3))
def test_who_answers_as_the_teacher_has_nothing_to_learn(seed: int) -> None:
    same = taught(logits(seed), answers(logits(seed)))
    other = taught(logits(seed + 100), answers(logits(seed)))
    assert set(same) == set(other) == set(WEIGHTS) - {"overlap", "region"}
    for name in same:
        assert abs(float(same[name])) < 1e-5
        assert float(other[name]) > 0.05


def test_a_teacher_answers_each_picture_of_a_batch_as_it_does_alone(tmp_path: Path) -> None:
    teacher = Teacher(write_tiny_model(tmp_path / "model"), 1)
    picture = torch.rand(3, 3, 32, 48)
    together = teacher.answers(picture.contiguous(memory_format=torch.channels_last))
    assert [tuple(plane.shape) for plane in together] == [(3, 2, 32, 48), (3, 5, 16, 24), (3, 1 + N_REACHES, 8, 12)]
    for number in range(3):
        for plane, alone in zip(together, teacher.answers(picture[number : number + 1]), strict=True):
            assert torch.equal(plane[number], alone[0])


def test_a_teacher_is_not_asked_about_what_it_may_not_know(tmp_path: Path) -> None:
    render_shards(tmp_path / "tiles", 4, TileSettings(seed=3, tile_um=64.0))
    tiles, rng = ShardSet(tmp_path / "tiles"), np.random.default_rng(0)
    records = np.stack([make_record(*feed.draw_sample(tiles, index, rng, nuclear_share=1.0)) for index in range(4)])
    records["taught"][:2] = True
    picture, truth = make_batch(records, rng)
    assert truth["taught"].tolist() == [True, True, False, False]
    brown = [feed.draw_sample(tiles, index, rng, nuclear_share=1.0) for index in range(4)]
    assert not any(usual for _, usual in brown)
    assert not all(sample.membrane.any() for sample, _ in brown)


@pytest.mark.parametrize("share", [0.0, 0.7, 1.0])
def test_what_a_teacher_may_not_know_is_learnt_from_the_truth_whatever_its_share(tmp_path: Path, share: float) -> None:
    render_shards(tmp_path / "tiles", 4, TileSettings(seed=3, tile_um=64.0))
    tiles, rng = ShardSet(tmp_path / "tiles"), np.random.default_rng(0)
    records = np.stack([make_record(*feed.draw_sample(tiles, index, rng, nuclear_share=1.0)) for index in range(4)])
    records["taught"][:1] = True
    picture, truth = make_batch(records, rng)
    teacher = Teacher(write_tiny_model(tmp_path / "model"), 1)
    torch.manual_seed(1)
    answer = CellNet((8, 8, 8), (1, 1, 1), 8, 1)(picture)
    loss, apart = _with_teacher(share, teacher, picture, answer, truth)
    known, other = (
        losses(tuple(planes[k] for planes in answer), {name: planes[k] for name, planes in truth.items()})
        for k in (slice(0, 1), slice(1, 4))
    )
    other.pop("tumour")  # brown of another antibody teaches nothing of the kind of a cell
    expected = 0.25 * (share * weighted(apart) + (1 - share) * weighted(known)) + 0.75 * weighted(other)
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)


def test_a_run_comes_nearer_to_its_teacher(tmp_path: Path) -> None:
    render_shards(tmp_path / "tiles", 16, TileSettings(seed=3, tile_um=64.0))
    config = TrainConfig(
        (str(tmp_path / "tiles"),), widths=(8, 8, 8), depths=(1, 1, 1), line_width=8, line_depth=1, steps=24, batch=2,
        learning_rate=0.01, warmup_steps=2, pool=16, reuse=2.0, threads=1, check_groups=2, check_every=2,
        teacher=str(write_tiny_model(tmp_path / "model")), teacher_share=1.0,
    )  # fmt: skip
    train(config, tmp_path / "run", lambda _: None)
    rows = [json.loads(line) for line in (tmp_path / "run" / LOG).read_text().splitlines()]
    apart = [
        sum(WEIGHTS[name.split()[0]] * value for name, value in row["held_back"].items() if "teacher" in name)
        for row in rows
    ]
    assert np.isfinite(apart).all()
    assert apart[-1] < 0.8 * apart[0]


def test_a_teacher_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as error:
        Teacher(tmp_path / "none", 1)
    assert str(tmp_path / "none") in str(error.value)
    assert "\n" not in str(error.value)
