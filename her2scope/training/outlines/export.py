"""From a checkpoint of the reader of outlines to the file that ships, compared with torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from her2scope.domain.errors import BadInputError
from her2scope.imaging.outline_bands import CHANNELS
from her2scope.imaging.profiles import N_PLACES
from her2scope.segmentation.model_card import FULL, QUANTISED, ModelCard
from her2scope.segmentation.outline_reader import BANDS, MEMBRANE
from her2scope.segmentation.sessions import CPU, open_session
from her2scope.training.export import MOST_DIFFERENCE, OPSET, quiet
from her2scope.training.outlines.net import OutlineNet, ShippedReader
from her2scope.training.train import CHECKPOINT, load_saved

CHECK_CELLS = 64
PLACES = ("model", "teacher")
"""Of a recipe: folders of one machine, not for a card."""


@dataclass(frozen=True, slots=True, eq=False)
class ExportedReader:
    """The file of a reader and what was found about it."""

    content: bytes
    facts: Mapping[str, Any]
    """For the card."""


def is_of_outlines(run_dir: Path) -> bool:
    """Whether a run is one of the reader of outlines; BadInputError where there is no checkpoint."""
    return "outlines" in load_saved(run_dir / CHECKPOINT)


def export_reader(run_dir: Path, card: ModelCard) -> ExportedReader:
    """Export a reader for the network of a card.

    Raises
    ------
    BadInputError
        Where it was trained with another network, or the file does not agree with torch.
    """
    found = load_saved(run_dir / CHECKPOINT)
    config, files = found["outlines"], card.files or {}
    if found["network_sha256"] not in (files.get(FULL), files.get(QUANTISED)):
        raise BadInputError(
            f"{run_dir}: trained with another network than that in {card.folder}. Train it again with "
            f"`model: {card.folder}`; its fields are kept."
        )
    net = OutlineNet.of_recipe(config)
    net.load_state_dict(found["net"])
    shipped = ShippedReader(net).eval()
    path = run_dir / "outlines.onnx"
    with quiet():
        torch.onnx.export(
            shipped, (torch.rand(2, len(CHANNELS), N_PLACES),), str(path), input_names=[BANDS],
            output_names=[MEMBRANE], dynamic_axes={BANDS: {0: "cells"}, MEMBRANE: {0: "cells"}},
            opset_version=OPSET, dynamo=False,
        )  # fmt: skip
    content = path.read_bytes()
    largest = _largest_difference(shipped, content)
    if largest > MOST_DIFFERENCE:
        raise BadInputError(f"the exported reader differs from torch by {largest}: not written.")
    facts = {
        "parameters": sum(weight.numel() for weight in net.parameters()),
        "recipe": {name: value for name, value in config.items() if name not in PLACES},
        **{name: found[name] for name in ("teacher_sha256",) if name in found},
        "cells": found["cells"],
        "held_back": found["held_back"],
        "largest_difference_from_torch": round(largest, 7),
    }
    return ExportedReader(content, facts)


@torch.no_grad()
def _largest_difference(shipped: ShippedReader, content: bytes) -> float:
    bands = np.random.default_rng(0).random((CHECK_CELLS, len(CHANNELS), N_PLACES), np.float32)
    found = open_session(content, [CPU], torch.get_num_threads()).run([MEMBRANE], {BANDS: bands})[0]
    return float(np.abs(found - shipped(torch.from_numpy(bands)).numpy()).max())
