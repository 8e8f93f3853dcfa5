"""A region model of one hand-set filter: what is blue is class `blue`, all else background. It looks 2 px around."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper

from her2scope.segmentation.model_card import CARD, FULL
from her2scope.segmentation.region_model import INPUT, KIND, OUTPUT

BLOCK_PX, AROUND_PX = 4, 2
STEEPNESS = 0.1


def write_tiny_region_model(folder: Path, um_per_px: float = 1.0, **card: Any) -> Path:
    """Model folder with a card; keys of the card may be replaced, and None takes one out."""
    folder.mkdir(parents=True, exist_ok=True)
    content = tiny_region_model()
    (folder / FULL).write_bytes(content)
    entries: dict[str, Any] = {
        "kind": KIND,
        "name": "tiny",
        "task": "what is blue",
        "um_per_px": um_per_px,
        "classes": ["background", "blue"],
        "files": {FULL: hashlib.sha256(content).hexdigest()},
        "block_px": BLOCK_PX,
        "surroundings_px": AROUND_PX,
        "limits": ["it is a toy"],
    } | card
    text = yaml.safe_dump({name: value for name, value in entries.items() if value is not None})
    (folder / CARD).write_text(text, encoding="utf-8")
    return folder


def tiny_region_model() -> bytes:
    """Softmax of (0, how much bluer than red the pixels around are); pictures must be whole blocks."""
    side = 2 * AROUND_PX + 1
    weight = np.zeros((2, 3, side, side), np.float32)
    weight[1, 2], weight[1, 0] = STEEPNESS / side**2, -STEEPNESS / side**2
    bias = np.array([0.0, -3.0], np.float32)
    # through blocks and back: a picture that is not whole blocks fails, as with the trained network
    nodes = [
        helper.make_node("Cast", [INPUT], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["numbers"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("SpaceToDepth", ["planes"], ["blocks"], blocksize=BLOCK_PX),
        helper.make_node("DepthToSpace", ["blocks"], ["whole"], blocksize=BLOCK_PX, mode="DCR"),
        helper.make_node("Conv", ["whole", "weight", "bias"], ["logits"], pads=[AROUND_PX] * 4),
        helper.make_node("Softmax", ["logits"], [OUTPUT], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, [1, "rows", "columns", 3])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [1, 2, "rows", "columns"])],
        [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(bias, "bias")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def blue_discs(height: int, width: int, every_px: int = 40, radius_px: float = 11.0) -> np.ndarray:
    """Picture of blue discs on pale ground, and where they are: `(H, W, 3)` uint8."""
    rgb = np.full((height, width, 3), (235, 225, 230), np.uint8)
    rgb[is_disc(height, width, every_px, radius_px)] = (60, 60, 180)
    return rgb


def is_disc(height: int, width: int, every_px: int = 40, radius_px: float = 11.0) -> np.ndarray:
    """`(H, W)` bool."""
    y, x = np.mgrid[:height, :width]
    off = [(at % every_px) - every_px / 2 + 0.5 for at in (y, x)]
    return off[0] ** 2 + off[1] ** 2 <= radius_px**2
