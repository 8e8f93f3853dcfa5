"""From outlined images to a model folder, with folds; it needs torch (`make train-env`, then `make test-train`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: make test-train")

import yaml  # noqa: E402
from training.pixel_scenes import CLASSES, scene  # noqa: E402

from her2scope.annotations.trace import trace_labels  # noqa: E402
from her2scope.annotations.write import write_geojson  # noqa: E402
from her2scope.app.pixel_images import pair_up  # noqa: E402
from her2scope.app.pixel_judge import judge, judged_json  # noqa: E402
from her2scope.app.pixels import FOLDS, RUN, TrainRequest, train_model  # noqa: E402
from her2scope.imaging.files import write_png  # noqa: E402
from her2scope.segmentation.model_card import CARD  # noqa: E402
from her2scope.segmentation.region_model import KIND, load_region_model  # noqa: E402

OPTIONS: dict[str, Any] = {
    "epochs": 2, "steps": 15, "tile_px": 48, "batch": 4, "widths": (8, 16, 16), "depths": (0, 1, 1), "warmup_steps": 2,
    "threads": 1, "learning_rate": 1e-2, "average_decay": 0.8,
}  # fmt: skip


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six images of blobs at 0.5 um/px, the last without any."""
    folder = tmp_path_factory.mktemp("images")
    for n in range(6):
        rgb, labels = scene(f"{n}", n, side=120, n=0 if n == 5 else 10).window(0, 0, 120, 120)
        write_png(folder / f"{n}.png", rgb)
        if labels.any():
            write_geojson(trace_labels(labels, CLASSES), folder / f"{n}.geojson")
    return folder


def test_folds_then_a_model_that_is_what_its_card_says(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "blobs"
    request = TrainRequest(
        [images], images, CLASSES, 0.5, out, folds=2, empty=True, licence="drawn by the tests", options=OPTIONS
    )
    lines = train_model(request, lambda line: None)
    folds = json.loads((out / FOLDS).read_text(encoding="utf-8"))
    assert sorted(name for fold in folds["folds"] for name in fold["held_out"]) == list("012345")
    assert set(folds["images"]) == set("012345") and folds["classes"]["dark"]["dice"] > 0.5
    assert any("2 folds, 6 images: dark: Dice" in line for line in lines)
    # each fold's model was not shown the images that it is judged on
    for fold in folds["folds"]:
        card = yaml.safe_load((out / f"fold_{fold['fold']}" / CARD).read_text(encoding="utf-8"))
        known = set(card["training"]["images"]) | set(card["training"]["images_held_back"])
        assert known | set(fold["held_out"]) == set("012345") and not known & set(fold["held_out"])
    again = [
        judge(
            load_region_model(out / f"fold_{fold['fold']}"),
            [pair for pair in pair_up([images], images, True) if pair.name in fold["held_out"]],
            0.5,
            CLASSES,
        )
        for fold in folds["folds"]
    ]
    whole = judged_json(type(again[0]).joined(again))
    assert whole["classes"] == folds["classes"]
    card = yaml.safe_load((out / CARD).read_text(encoding="utf-8"))
    assert card["kind"] == KIND and card["name"] == "blobs" and card["classes"] == ["background", *CLASSES]
    assert card["training"]["licence_of_the_data"] == "drawn by the tests"
    assert card["largest_difference_from_torch"] < 1e-4
    model = load_region_model(out)
    found = model.probabilities(scene("new", 50, side=100).window(0, 0, 100, 100)[0], 0.5)
    assert found.shape == (3, 100, 100)
    np.testing.assert_allclose(found.sum(axis=0), 1.0, atol=1e-5)


def test_the_same_command_goes_on(images: Path, tmp_path: Path) -> None:
    """A run that has ended is not trained again: the model is the same to the byte."""
    request = TrainRequest([images], images, CLASSES, 0.5, tmp_path / "m", empty=True, options=OPTIONS)
    train_model(request, lambda line: None)
    first = {path.name: path.read_bytes() for path in (tmp_path / "m").iterdir() if path.is_file()}
    told: list[str] = []
    train_model(request, told.append)
    assert {path.name: path.read_bytes() for path in (tmp_path / "m").iterdir() if path.is_file()} == first
    assert not any(line.startswith("epoch") for line in told)
    assert any("this run has ended (all 2 epochs)" in line for line in told)
    assert (tmp_path / "m" / RUN / "curves.png").read_bytes() == first["curves.png"]
