"""A network begun with an exported one; needs torch (`make train-env`, then `make test-train`)."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import yaml

torch = pytest.importorskip("torch", reason="training needs torch: make test-train")

from segmentation.tiny_network import card_of, write_tiny_model  # noqa: E402
from torch import nn  # noqa: E402

from her2scope.domain.errors import BadInputError  # noqa: E402
from her2scope.phantom.shards.store import render_shards  # noqa: E402
from her2scope.phantom.shards.tiles import TileSettings  # noqa: E402
from her2scope.segmentation.model_card import CARD, FULL  # noqa: E402
from her2scope.training.config import TrainConfig  # noqa: E402
from her2scope.training.export import _to_onnx  # noqa: E402
from her2scope.training.narrow import begin_as, network_in  # noqa: E402
from her2scope.training.net import CellNet, Shipped, net_of  # noqa: E402
from her2scope.training.train import read_checkpoint, train  # noqa: E402

torch.set_num_threads(1)
WIDE = {"widths": [16, 16, 16], "depths": [1, 2, 2], "line_width": 16, "line_depth": 2}


def chance_net(seed: int) -> CellNet:
    """A network that has seen something: its layers' means and spreads are not those of a new one."""
    torch.manual_seed(seed)
    net = net_of(WIDE)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.6, 1.4)
                module.bias.uniform_(-0.3, 0.3)
        for _ in range(30):
            net.train()(torch.rand(2, 3, 48, 48))
    return net.eval()


def exported(net: CellNet, folder: Path, **facts: object) -> Path:
    folder.mkdir()
    _to_onnx(Shipped(net).eval(), folder / FULL)
    digest = hashlib.sha256((folder / FULL).read_bytes()).hexdigest()
    (folder / CARD).write_text(yaml.safe_dump(card_of({FULL: digest}) | facts))
    return folder


def difference(first: CellNet, second: CellNet, picture: torch.Tensor) -> float:
    """Mean difference of probabilities; lengths as shares of ten um."""
    with torch.no_grad():
        planes = zip(Shipped(first.eval())(picture), Shipped(second.eval())(picture), strict=True)
        membrane, nuclei, context = ((a - b).abs() for a, b in planes)
    parts = [membrane.mean(), nuclei[:, :3].mean(), nuclei[:, 3:].mean() / 10.0, context[:, 1:].mean() / 10.0]
    return float(torch.stack(parts).mean())


def test_an_exported_network_comes_back(tmp_path: Path) -> None:
    net = chance_net(0)
    found = network_in(exported(net, tmp_path / "model", architecture=WIDE))
    assert difference(net, found, torch.rand(1, 3, 48, 64)) < 1e-5


def test_a_network_of_the_same_widths_answers_as_the_other_one(tmp_path: Path) -> None:
    wide, same = chance_net(1), net_of(WIDE)
    picture = torch.rand(3, 3, 48, 48)
    begin_as(same, wide, picture.split(1))
    assert difference(wide, same, picture) < 0.01
    with torch.no_grad():  # and learns as it answers: what a batch's own means would change is little
        assert all(torch.isfinite(plane).all() for plane in same.train()(picture))


@pytest.mark.parametrize(
    "recipe",
    [
        {"widths": [8, 8, 8], "depths": [1, 2, 2], "line_width": 8, "line_depth": 2},
        {"widths": [16, 16, 16], "depths": [1, 1, 1], "line_width": 16, "line_depth": 1},
    ],
)
def test_a_smaller_one_comes_near(recipe: dict[str, object]) -> None:
    """Nearer than what a new network of the same size would answer after its heads alone were fitted: than a mean."""
    wide, narrow = chance_net(2), net_of(recipe)
    picture = torch.rand(8, 3, 64, 64)
    picture = nn.functional.avg_pool2d(picture, 5, 1, 2)  # something to see
    before = difference(wide, narrow, picture)
    begin_as(narrow, wide, picture[:6].split(1))
    assert difference(wide, narrow, picture[6:]) < 0.6 * before


def test_a_run_begins_with_an_exported_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("her2scope.training.train.FITTED_SAMPLES", 4)
    wide = chance_net(5)
    model = exported(wide, tmp_path / "model", architecture=WIDE)
    render_shards(tmp_path / "tiles", 16, TileSettings(seed=3, tile_um=64.0))
    config = TrainConfig(
        (str(tmp_path / "tiles"),), widths=(8, 16, 16), depths=(1, 1, 2), line_width=8, steps=1, batch=2,
        learning_rate=1e-6, pool=8, threads=1, check_groups=2, start_from=str(model),
    )  # fmt: skip
    said: list[str] = []
    train(config, tmp_path / "run", said.append)
    assert said[0] == f"fitting the network to that of {model}"
    found = read_checkpoint(tmp_path / "run" / "checkpoint.pt")
    begun, anew = net_of(found["config"]), net_of(found["config"])
    begun.load_state_dict(found["mean"])
    picture = torch.rand(1, 3, 64, 64)
    assert difference(wide, begun, picture) < 0.8 * difference(wide, anew, picture)


@pytest.mark.parametrize("more", [{"widths": [16, 24, 16]}, {"depths": [1, 3, 2]}, {"line_width": 24}])
def test_a_larger_network_is_not_begun_with_a_smaller_one(more: dict[str, object]) -> None:
    with pytest.raises(BadInputError, match="smaller somewhere") as error:
        begin_as(net_of(WIDE | more), chance_net(4), [torch.rand(1, 3, 32, 32)])
    assert "\n" not in str(error.value)


def test_what_is_no_exported_network_is_one_line(tmp_path: Path) -> None:
    tiny = write_tiny_model(tmp_path / "tiny")
    other = exported(chance_net(3), tmp_path / "other", architecture=WIDE | {"widths": [8, 8, 8]})
    for folder in (tiny, other):
        with pytest.raises(BadInputError, match="not a network that") as error:
            network_in(folder)
        assert "\n" not in str(error.value)
        assert str(folder) in str(error.value)
