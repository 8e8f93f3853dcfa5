"""From a finished run to a model: ONNX, compared with torch, and what the card says of it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from her2scope.domain.errors import BadInputError
from her2scope.segmentation.sessions import CPU, open_session
from her2scope.training.export import quiet
from her2scope.training.pixels.config import PixelConfig
from her2scope.training.pixels.net import PixelNet, Shipped
from her2scope.training.pixels.train import State

INPUT, OUTPUT = "rgb", "probabilities"
OPSET = 17
MOST_DIFFERENCE = 1e-3
"""Of a probability, between torch and the file: more is no rounding."""
COMPARED_HW = ((64, 96), (192, 160))
"""Pictures that are compared, other than the one that it was exported with."""


@dataclass(frozen=True, slots=True)
class ExportedPixels:
    """The file of a model, and what was found about it."""

    content: bytes
    facts: dict[str, Any]
    """For the card."""


def export_pixels(config: PixelConfig, state: State, shown: np.ndarray) -> ExportedPixels:
    """Export the weights that were best on the images held back.

    Parameters
    ----------
    shown : (H, W, 3) uint8
        A picture to compare with torch on; it is cut to `COMPARED_HW`.

    Raises
    ------
    BadInputError
        Where the file does not answer as torch does.
    """
    net = PixelNet(len(config.all_classes), config.widths, config.depths)
    net.load_state_dict(state.best)
    shipped = Shipped(net).eval()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        _to_onnx(shipped, path, config.block_px)
        content = path.read_bytes()
    off = _largest_difference(shipped, content, shown)
    if not off <= MOST_DIFFERENCE:
        raise BadInputError(f"the exported network differs from torch by {off:g}: not written.")
    facts = {
        "largest_difference_from_torch": float(f"{off:.2g}"),
        "opset": OPSET,
        "parameters": sum(weight.numel() for weight in net.parameters()),
    }
    return ExportedPixels(content, facts)


def _to_onnx(shipped: Shipped, path: Path, block_px: int) -> None:
    axes = {INPUT: {1: "rows", 2: "columns"}, OUTPUT: {2: "rows", 3: "columns"}}
    side = 4 * block_px
    with quiet():
        torch.onnx.export(
            shipped, (torch.zeros(1, side, side, 3, dtype=torch.uint8),), str(path), input_names=[INPUT],
            output_names=[OUTPUT], dynamic_axes=axes, opset_version=OPSET, dynamo=False,
        )  # fmt: skip


@torch.no_grad()
def _largest_difference(shipped: Shipped, content: bytes, shown: np.ndarray) -> float:
    session = open_session(content, [CPU], torch.get_num_threads())
    largest = 0.0
    for height, width in COMPARED_HW:
        rows, columns = (np.arange(n) % side for n, side in zip((height, width), shown.shape[:2], strict=True))
        picture = np.ascontiguousarray(shown[np.ix_(rows, columns)])[None]
        found = session.run([OUTPUT], {INPUT: picture})[0]
        largest = max(largest, float(np.abs(found - shipped(torch.from_numpy(picture)).numpy()).max()))
    return largest
