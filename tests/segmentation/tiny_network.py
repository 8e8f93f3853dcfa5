"""A network of a few hand-set filters with the contract of the trained one: blue is nucleus, brown is membrane.

It reads the drawn honeycomb of `factories` well enough to run everything that comes after a network.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper

from her2scope.imaging.outline_bands import CHANNELS
from her2scope.imaging.profiles import N_PLACES
from her2scope.segmentation.forms import INPUT, OUTPUTS
from her2scope.segmentation.maps import HALF, N_REACHES, QUARTER
from her2scope.segmentation.model_card import CARD, FULL, OUTLINES, QUANTISED
from her2scope.segmentation.outline_reader import BANDS, MEMBRANE

REACH_UM = 6.5
TISSUE_BLUR_PX = 32
"""So far the tiny network looks around, in quarter pixels each way: 128 network pixels."""


def write_tiny_model(
    folder: Path, files: Sequence[str] = (FULL, QUANTISED), reader: bytes | None = None, **card: Any
) -> Path:
    """Model folder with a card; keys of the card may be replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    digests = {}
    for name in files:
        content = (reader or tiny_reader()) if name == OUTLINES else tiny_model(note=name)
        (folder / name).write_bytes(content)
        digests[name] = hashlib.sha256(content).hexdigest()
    text = yaml.safe_dump(card_of(digests) | card)
    (folder / CARD).write_text(text, encoding="utf-8")
    return folder


def card_of(files: Mapping[str, str]) -> dict[str, Any]:
    """What a network's card says."""
    return {
        "name": "tiny",
        "task": "blue is nucleus, brown is membrane",
        "um_per_px": 0.5,
        "channels": ["red", "green", "blue"],
        "outputs": {
            "membrane": ["membrane", "intense"],
            "nuclei": ["nucleus", "centre", "tumour", "offset_x_um", "offset_y_um"],
            "context": ["tissue", *(f"reach_{number}_um" for number in range(N_REACHES))],
        },
        "files": dict(files),
        "surroundings_px": 144,
        "limits": ["it is a toy"],
        "false_rates": {"incomplete_faint": 0.01},
        "false_rates_icc": 0.1,
        "false_rates_source": "nothing: a toy",
    }


def tiny_reader(note: str = "") -> bytes:
    """A reader of outlines by hand: a place that is browner than 0.15 od10 in its middle carries membrane."""
    weights = np.zeros((1, len(CHANNELS), 1), np.float32)
    weights[0, CHANNELS.index("dab_8")] = 8.0
    nodes = [
        helper.make_node("Conv", [BANDS, "weights", "bias"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["places"]),
        helper.make_node("Squeeze", ["places", "axis"], [MEMBRANE]),
    ]
    initial = {"weights": weights, "bias": np.array([-8.0 * 0.6], np.float32), "axis": np.array([1], np.int64)}
    graph = helper.make_graph(
        nodes,
        "tiny reader",
        [helper.make_tensor_value_info(BANDS, TensorProto.FLOAT, ["cells", len(CHANNELS), N_PLACES])],
        [helper.make_tensor_value_info(MEMBRANE, TensorProto.FLOAT, ["cells", N_PLACES])],
        [numpy_helper.from_array(values, name) for name, values in initial.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, doc_string=note)
    return bytes(model.SerializeToString())


def tiny_model(note: str = "", membrane_channels: int = 2) -> bytes:
    """The model, serialised. Another `note` makes another file of the same network."""
    nodes, weights = [], {}

    def layer(kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def weight(name: str, values: Any) -> str:
        weights[name] = np.asarray(values, np.float32)
        return name

    def pointwise(name: str, source: str, rows: Any, bias: Any) -> str:
        matrix = np.asarray(rows, np.float32)[:, :, None, None]
        return layer("Conv", [source, weight(f"{name}_w", matrix), weight(f"{name}_b", bias)], name)

    def blurred(name: str, source: str, radius: int) -> str:
        return layer(
            "AveragePool", [source], name, kernel_shape=[2 * radius + 1] * 2, pads=[radius] * 4, count_include_pad=0
        )

    brown = pointwise("brown", INPUT, [[25, 0, -25], [25, 0, -25]][:membrane_channels], [-4, -10][:membrane_channels])
    layer("Sigmoid", [brown], "membrane")
    half = layer("AveragePool", [INPUT], "half", kernel_shape=[HALF] * 2, strides=[HALF] * 2)
    nucleus = layer("Sigmoid", [pointwise("blue", half, [[-60, 0, 60]], [-6])], "nucleus")
    middle = blurred("middle", blurred("inner", nucleus, 2), 1)
    tumour = layer("Sigmoid", [pointwise("pale", half, [[60, 0, 0]], [-25])], "tumour")
    offsets = pointwise("offsets", half, np.zeros((2, 3)), np.zeros(2))
    layer("Concat", [nucleus, middle, tumour, offsets], "nuclei", axis=1)
    quarter = layer("AveragePool", [INPUT], "quarter", kernel_shape=[QUARTER] * 2, strides=[QUARTER] * 2)
    wide = blurred("wide", quarter, TISSUE_BLUR_PX)
    tissue = layer("Sigmoid", [pointwise("dense", wide, [[0, -20, 0]], [18])], "tissue")
    reach = pointwise("reach", quarter, np.zeros((N_REACHES, 3)), np.full(N_REACHES, REACH_UM))
    layer("Concat", [tissue, reach], "context", axis=1)
    side = [None, None]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [1, 3, *side])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, None, *side]) for name in OUTPUTS],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, doc_string=note)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
