"""Network, batches and loop; they need torch (`make train-env`, then `make test-train`)."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: make test-train")

from segmentation.tiny_network import write_tiny_model  # noqa: E402

from her2scope.domain.errors import BadInputError  # noqa: E402
from her2scope.imaging.outline_bands import CHANNELS  # noqa: E402
from her2scope.imaging.profiles import N_PLACES  # noqa: E402
from her2scope.phantom.shards.store import ShardSet, render_shards  # noqa: E402
from her2scope.phantom.shards.tiles import TileSettings  # noqa: E402
from her2scope.segmentation.forms import form_of  # noqa: E402
from her2scope.segmentation.maps import N_REACHES, NETWORK_UM_PER_PX  # noqa: E402
from her2scope.segmentation.model_card import CARD, FULL, card_in  # noqa: E402
from her2scope.segmentation.outline_reader import BANDS, MEMBRANE  # noqa: E402
from her2scope.segmentation.sessions import CPU, open_session  # noqa: E402
from her2scope.training.batches import plain_batch, scaled, turn  # noqa: E402
from her2scope.training.config import OutlineConfig, TrainConfig  # noqa: E402
from her2scope.training.export import export  # noqa: E402
from her2scope.training.losses import WEIGHTS, losses  # noqa: E402
from her2scope.training.net import CellNet, Shipped  # noqa: E402
from her2scope.training.outlines.export import export_reader, is_of_outlines  # noqa: E402
from her2scope.training.outlines.net import OutlineNet  # noqa: E402
from her2scope.training.outlines.train import train_outlines  # noqa: E402
from her2scope.training.targets import NOT_ASKED, OFFSET_STEP_UM, ON_LINE, make_record  # noqa: E402
from her2scope.training.train import read_checkpoint, train  # noqa: E402

SMALL = (8, 8, 8)


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiles")
    render_shards(folder, 16, TileSettings(seed=3, tile_um=64.0))
    return folder


def run_of(tiles: Path, steps: int) -> TrainConfig:
    return TrainConfig(
        (str(tiles),), widths=SMALL, depths=(1, 1, 1), steps=steps, batch=2, pool=16, reuse=2.0, threads=1,
        check_groups=2, check_every=4, save_every=2,
    )  # fmt: skip


def test_the_network_takes_any_multiple_of_sixteen() -> None:
    net = Shipped(CellNet(SMALL)).eval()
    for height, width in ((16, 16), (48, 80)):
        with torch.no_grad():
            membrane, nuclei, context = net(torch.rand(1, 3, height, width))
        assert membrane.shape == (1, 2, height, width)
        assert nuclei.shape == (1, 5, height // 2, width // 2)
        assert context.shape == (1, 1 + N_REACHES, height // 4, width // 4)
        assert 0 <= float(membrane.min()) and float(membrane.max()) <= 1


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("is_mirrored", [False, True])
def test_offsets_and_reaches_turn_with_the_picture(turns: int, is_mirrored: bool) -> None:
    """A place that points at a spot points at the turned spot after the turn."""
    side, row, column, dx, dy = 16, 5, 9, 3, -2
    spot = torch.zeros(1, 1, side, side)
    spot[0, 0, row + dy, column + dx] = 1
    offset = torch.zeros(1, 2, side, side, dtype=torch.int8)
    offset[0, :, row, column] = torch.tensor([dx, dy], dtype=torch.int8)
    reach = torch.zeros(1, N_REACHES, side, side)
    towards = round(math.atan2(dy, dx) / (2 * math.pi) * N_REACHES) % N_REACHES
    reach[0, towards, row, column] = 1
    picture, truth = turn(spot, {"offset": offset, "reach": reach}, turns, is_mirrored)
    y, x = (int(v) for v in picture[0, 0].nonzero()[0])
    place = truth["offset"][0].abs().sum(0).nonzero()[0]
    assert (x, y) == (
        int(place[1]) + int(truth["offset"][0, 0, place[0], place[1]]),
        int(place[0]) + int(truth["offset"][0, 1, place[0], place[1]]),
    )
    direction, reach_row, reach_column = (int(v) for v in truth["reach"][0].nonzero()[0])
    assert (reach_row, reach_column) == (int(place[0]), int(place[1]))
    angle = math.atan2(y - reach_row, x - reach_column) / (2 * math.pi) * N_REACHES
    assert min((direction - angle) % N_REACHES, (angle - direction) % N_REACHES) < 0.75


@pytest.mark.parametrize("factor", [0.625, 1.25])
def test_truth_keeps_to_the_picture_at_another_scale(tiles: Path, factor: float) -> None:
    """Middles that offsets point at lie on the hills, lines stay whole, and what is not asked stays so."""
    record = make_record(ShardSet(tiles).sample(0, np.random.default_rng(0)))
    picture, truth = plain_batch(record[None])
    smaller, other = scaled(picture, truth, factor)
    side = smaller.shape[-1]
    assert side == 16 * round(factor * picture.shape[-1] / 16)
    assert other["membrane"].shape[-1] == side and other["reach"].shape[-1] == side // 4
    for name in ("nucleus", "centre", "tumour", "reach"):
        share, before = ((found[name] == NOT_ASKED).float().mean() for found in (other, truth))
        assert abs(float(share) - float(before)) < 0.03
    lines, before = ((found["membrane"] >= ON_LINE).float().mean() for found in (other, truth))
    assert 0.6 * float(before) <= float(lines) <= 1.6 * float(before)
    assert truth["offset"].float().abs().max() * factor >= 0.9 * other["offset"].float().abs().max()
    peaks = (other["centre"][0] > 180) & (other["centre"][0] != NOT_ASKED)
    offset_px = other["offset"][0].float() * OFFSET_STEP_UM / (2 * NETWORK_UM_PER_PX)
    assert bool(peaks.any()) and float(offset_px[:, peaks].abs().median()) < 1.5


def test_nothing_is_learnt_from_what_is_not_asked(tiles: Path) -> None:
    """Where a target says `not asked`, its loss has no gradient."""
    record = make_record(ShardSet(tiles).sample(0, np.random.default_rng(0)))
    _, truth = plain_batch(np.stack([record]))
    truth["nucleus"].fill_(255)
    truth["centre"].fill_(255)
    truth["tumour"].fill_(255)
    truth["reach"].fill_(255)
    side = record["rgb"].shape[0]
    answer = tuple(
        torch.zeros(1, n, side // by, side // by, requires_grad=True)
        for n, by in ((2, 1), (5, 2), (1 + N_REACHES, 4), (6, 4))
    )
    parts = losses(answer, truth)
    assert set(parts) == set(WEIGHTS)
    for name in ("nucleus", "centre", "tumour", "offset", "reach"):
        assert float(parts[name].detach()) == 0.0


def test_a_run_goes_on_from_its_checkpoint_and_ships(tiles: Path, tmp_path: Path) -> None:
    said: list[str] = []
    train(run_of(tiles, 4), tmp_path, said.append)
    before = read_checkpoint(tmp_path / "checkpoint.pt")
    assert before["step"] == 4
    train(run_of(tiles, 6), tmp_path, said.append)
    after = read_checkpoint(tmp_path / "checkpoint.pt")
    assert after["step"] == 6
    assert after["seconds"] >= before["seconds"]
    assert any(not torch.equal(before["net"][name], after["net"][name]) for name in before["net"])
    assert (tmp_path / "check_000004.png").stat().st_size > 1000

    shipped = export(tmp_path)
    picture = np.random.default_rng(0).integers(0, 256, (64, 48, 3), np.uint8)
    for content in (shipped.full, shipped.quantised):
        session = open_session(content, [CPU], 1)
        planes = form_of(session).run(session, picture, (240.0, 238.0, 242.0))
        assert planes["membrane"].shape == (1, 64, 48) and planes["nuclei"].shape == (3, 32, 24)
        assert planes["reach_um"].shape == (N_REACHES, 16, 12)
    assert shipped.facts["agreement_with_torch"]["full"]["largest"] < 1e-3


def test_a_reader_of_outlines_is_trained_with_a_network_and_ships_with_it_alone(tmp_path: Path) -> None:
    """Fields are drawn once; the reader learns; it goes to its own network and to no other."""
    model = write_tiny_model(tmp_path / "model")
    config = OutlineConfig(
        str(model),
        fields=4,
        usual_share=1.0,
        recipe_share=0.0,
        width=8,
        steps=40,
        batch=16,
        check_every=20,
        workers=2,
    )
    said: list[str] = []
    train_outlines(config, tmp_path / "run", said.append)
    drawn = sorted((tmp_path / "run" / "fields").iterdir())
    assert len(drawn) == 4
    before = [path.stat().st_mtime_ns for path in drawn]
    train_outlines(config, tmp_path / "run", said.append)
    assert [path.stat().st_mtime_ns for path in drawn] == before
    assert is_of_outlines(tmp_path / "run")

    exported = export_reader(tmp_path / "run", card_in(model))
    assert exported.facts["largest_difference_from_torch"] < 1e-3
    bands = np.zeros((3, len(CHANNELS), N_PLACES), np.float32)
    places = open_session(exported.content, [CPU], 1).run([MEMBRANE], {BANDS: bands})[0]
    assert places.shape == (3, N_PLACES) and 0 <= places.min() and places.max() <= 1
    other = write_tiny_model(tmp_path / "other", files=(FULL,))
    (other / FULL).write_bytes(b"x")
    (other / CARD).write_text((other / CARD).read_text().replace(card_in(other).sha256(FULL), "ab" * 32))
    with pytest.raises(BadInputError, match="trained with another network"):
        export_reader(tmp_path / "run", card_in(other))


def test_a_turn_of_the_outline_turns_what_the_reader_says() -> None:
    net = OutlineNet(8).eval()
    bands = torch.rand(2, len(CHANNELS), N_PLACES)
    with torch.no_grad():
        assert torch.allclose(net(torch.roll(bands, 9, -1)), torch.roll(net(bands), 9, -1), atol=1e-5)
