"""How much work the network is for a picture, counted from its ONNX file: how near to its limit a processor is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.ports import JsonObject
from her2scope.segmentation.maps import NETWORK_UM_PER_PX
from her2scope.segmentation.model_card import FULL, QUANTISED
from her2scope.segmentation.onnx_network import BLOCK_PX, OnnxNetwork

CONVOLUTIONS = ("Conv", "ConvTranspose")
MATRIX = ("Gemm", "MatMul")
BYTES = {QUANTISED: 1}
"""Of a number in a model file; 4 in every other."""


def count_work(analyser: FieldAnalyser, size_wh: tuple[int, int], um_per_px: float) -> JsonObject | None:
    """Multiply-adds, bytes of weights and of all maps between layers; None where nothing can be counted.

    Counted in the network's 32-bit file, of which the others are other ways to write the same. A layer's result counts
    once written and once read by each layer that uses it, as if no layers were joined: an upper bound of what goes
    through memory.
    """
    network = getattr(analyser.segmenter, "network", None)
    if not isinstance(network, OnnxNetwork):
        return None
    try:
        onnx = import_module("onnx")
    except ImportError:
        return None
    model = onnx.load_from_string(network.card.read_model(FULL))
    factor = max(1.0, NETWORK_UM_PER_PX / um_per_px)
    columns, rows = (BLOCK_PX * math.ceil(side / factor / BLOCK_PX) for side in size_wh)
    for dimension, value in zip(model.graph.input[0].type.tensor_type.shape.dim, (1, 3, rows, columns), strict=True):
        dimension.dim_value = value
    for output in model.graph.output:  # its shape is named, not in numbers, and would contradict what is inferred
        output.type.tensor_type.ClearField("shape")
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    macs, n_weights, n_values = graph_work(graph)
    each = BYTES.get(network.file, 4)
    return {
        "file": network.file,
        "input_wh": [columns, rows],
        "macs": macs,
        "weight_bytes": each * n_weights,
        "map_bytes": each * n_values,
    }


def graph_work(graph: Any) -> tuple[int, int, int]:
    """Multiply-adds, numbers in weights and numbers in maps of an ONNX graph whose shapes are known."""
    shapes = {item.name: _shape(item) for item in (*graph.value_info, *graph.input, *graph.output)}
    weights = {item.name: tuple(item.dims) for item in graph.initializer}
    n_weights = sum(math.prod(dims) for dims in weights.values())
    macs = sum(_macs(node, shapes, weights) for node in graph.node)
    n_values = sum(math.prod(shapes.get(name, (0,))) for node in graph.node for name in (*node.input, *node.output))
    return macs, n_weights, n_values


def _macs(node: Any, shapes: Mapping[str, tuple[int, ...]], weights: Mapping[str, tuple[int, ...]]) -> int:
    """Multiply-adds of a layer; those of layers without weights are left out: they are few."""
    if node.op_type not in (*CONVOLUTIONS, *MATRIX):
        return 0
    kernel = weights.get(node.input[1], ())
    if node.op_type == "ConvTranspose":
        return math.prod(shapes.get(node.input[0], (0,))) * math.prod(kernel[1:])
    n_results = math.prod(shapes.get(node.output[0], (0,)))
    if node.op_type == "Conv":
        return n_results * math.prod(kernel[1:])
    transposed = any(item.name == "transB" and item.i for item in node.attribute)
    return n_results * (kernel[-1] if transposed else kernel[0]) if kernel else 0


def _shape(item: Any) -> tuple[int, ...]:
    return tuple(int(dimension.dim_value) for dimension in item.type.tensor_type.shape.dim)


def work_line(work: JsonObject | None, network_ms: float | None) -> str:
    """The count in words, with what was reached of it."""
    if work is None:
        return "network's work not counted: no network, or the package 'onnx' is not installed"
    macs, moved = work["macs"], work["map_bytes"] + work["weight_bytes"]
    columns, rows = work["input_wh"]
    reached = (
        f"; in {network_ms:.2f} ms: {macs / network_ms / 1e6:.0f} giga multiply-adds/s,"
        f" {moved / network_ms / 1e6:.1f} GB/s at most"
        if network_ms
        else ""
    )
    return (
        f"network's work at {columns}x{rows}: {macs / 1e9:.2f} giga multiply-adds,"
        f" weights {work['weight_bytes'] / 1e6:.2f} MB, maps {work['map_bytes'] / 1e6:.0f} MB{reached}"
    )
