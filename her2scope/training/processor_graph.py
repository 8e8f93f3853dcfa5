"""The 8-bit network in the order in which a processor runs it fastest: the same integers, less carrying about.

The quantiser leaves 32-bit layers between rounding steps, channels first. ONNX Runtime makes 8-bit layers of most of
them, channels last, and carries pixels to and fro between the two. Here all of it is written channels last:

- The picture comes in as the bytes that the first rounding step would make of it.
- Four pixels of a row are the channels of one place, so the first layers work on whole blocks of channels; so are two
  pixels where a later layer has few channels.
- The left and right half of a pixel are neighbours in memory, so enlarging and shuffling are copies of rows.
- Probabilities leave as the four phases of each 2x2 pixels, which the program puts in their places.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from her2scope.domain.errors import BadInputError
from her2scope.records import RgbImage
from her2scope.segmentation.forms import INPUT, LEVEL_STEP, LEVEL_ZERO, MARGIN_PX, PIXELS_OF_PLACE, PLANES, form_of
from her2scope.segmentation.maps import HALF
from her2scope.segmentation.sessions import CPU, open_session

MICROSOFT = "com.microsoft"
"""Domain of ONNX Runtime's own 8-bit layers."""
OPSET, IR_VERSION = 17, 8
RGB = 3
ROUNDING = ("DequantizeLinear", "QuantizeLinear")
N_NUCLEI, N_OFFSETS = (PLANES[name][0] * HALF**2 for name in ("nuclei", "offset_um"))
"""Phases of the nuclei's probabilities and offsets: the channels of one head."""
LAYERS = ("Conv", "Add", "Resize", "DepthToSpace")
BLOCK = 16
"""Channels that a processor works on at once: with 8 it takes as long, and longer for carrying them about."""
COARSEST_OF_PLACES = 8
"""Reduction up to which a plane's rows have an even number of pixels: pictures are multiples of 16."""


def for_processor(quantised: bytes) -> bytes:
    """The network of a file of the quantiser, as the processor is to run it.

    Raises
    ------
    BadInputError
        Where the file is not of the network that `net.CellNet` describes.
    """
    try:
        return _Rewriter(onnx.load_from_string(quantised)).rewritten()
    except (KeyError, IndexError, StopIteration, ValueError) as error:
        raise BadInputError(
            f"the 8-bit network is not one that can be written for the processor ({error!r}): not written."
        ) from None


def largest_difference(quantised: bytes, rewritten: bytes, rgb: RgbImage, white_rgb: Sequence[float]) -> float:
    """Largest difference of any plane of a picture of whole blocks, between the quantiser's file and ours."""
    before, after = (
        form_of(session).run(session, rgb, white_rgb)
        for session in (open_session(content, [CPU], 1) for content in (quantised, rewritten))
    )
    return max(float(np.abs(before[name] - after[name]).max()) for name in before)


@dataclass(frozen=True, slots=True)
class _Levels:
    """An 8-bit plane, channels last, and the constants that say what its levels stand for."""

    plane: str
    step: str
    zero: str

    @property
    def inputs(self) -> tuple[str, str, str]:
        """As a layer takes it."""
        return self.plane, self.step, self.zero


@dataclass(frozen=True, slots=True)
class _Weights:
    """Of an 8-bit layer, one row for each channel that it makes."""

    values: NDArray[np.int8]
    """`(O, I, H, W)`"""
    step: NDArray[np.float32]
    zero: NDArray[np.int8]
    bias: NDArray[np.int32]

    def rows(self, which: NDArray[np.intp]) -> _Weights:
        """These channels of it, in this order."""
        return _Weights(self.values[which], self.step[which], self.zero[which], self.bias[which])


class _Rewriter:
    """Goes through the quantiser's graph once, from the picture to the answers."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.known = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
        self.source = list(model.graph.node)
        self.maker = {name: node for node in self.source for name in node.output}
        self.rounded = {node.input[0]: node for node in self.source if node.op_type == "QuantizeLinear"}
        self.levels: dict[str, _Levels] = {}
        """Planes by their name in the quantiser's graph, rounded and read back."""
        self.by: dict[str, int] = {}
        """How many times smaller than the picture they are."""
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, NDArray[Any]] = {}

    def rewritten(self) -> bytes:
        """The model, serialised."""
        picture = next(node for node in self.source if node.op_type == "QuantizeLinear")
        self._rounded_as(picture.input[0], self._seen(INPUT, (0, 0, -1, RGB * PIXELS_OF_PLACE)))
        self.by[picture.input[0]] = 1
        for node in self.source:
            if node.op_type == "DequantizeLinear" and node.input[0] in self.maker:
                before = self.maker[node.input[0]].input[0]
                self.levels[node.output[0]], self.by[node.output[0]] = self.levels[before], self.by[before]
            elif node.op_type in LAYERS and node.output[0] in self.rounded:
                self.by[node.output[0]] = self._reduction(node)
                getattr(self, f"_{node.op_type.lower()}")(node)
        self._answers()
        step, zero = (self.known[name] for name in picture.input[1:])
        return self._serialised({LEVEL_STEP: repr(float(step)), LEVEL_ZERO: str(int(zero))})

    # ---- layers ---------------------------------------------------------------------------------------------------

    def _conv(self, node: onnx.NodeProto) -> None:
        weights, how = self._weights(node), _attributes(node)
        if weights.values.shape[1] == RGB:
            self._first_conv(node, weights, how)
            return
        if self._is_shuffled(node.output[0]):  # each place's halves of rows together, then its columns
            n = len(weights.values)
            weights = weights.rows(np.arange(n).reshape(n // HALF**2, HALF, HALF).transpose(1, 2, 0).reshape(-1))
        if self._is_narrow(node, weights, how):
            self._conv_of_places(node, weights, how)
            return
        self._convolved(node, weights, how, node.output[0], self.levels[node.input[0]])

    def _first_conv(self, node: onnx.NodeProto, weights: _Weights, how: dict[str, Any]) -> None:
        """A layer on the picture, of places of four pixels instead of pixels.

        It makes the columns of one place as channels; weights of pixels outside its kernel are 0.
        """
        n, (_, _, height, width) = len(weights.values), weights.values.shape
        stride, pad = how["strides"][1], how["pads"][1]
        n_columns, begin = PIXELS_OF_PLACE // stride, MARGIN_PX - pad
        n_places = -(-((n_columns - 1) * stride + width + begin) // PIXELS_OF_PLACE)
        values = np.zeros((n_columns, n, n_places * PIXELS_OF_PLACE, RGB, height), np.int8)
        for column in range(n_columns):
            first = begin + column * stride
            values[column, :, first : first + width] = weights.values.transpose(0, 3, 1, 2)
        places = values.reshape(n_columns * n, n_places, PIXELS_OF_PLACE * RGB, height).transpose(0, 2, 3, 1)
        each = weights.rows(np.tile(np.arange(n), n_columns))
        wide = _Weights(np.ascontiguousarray(places), each.step, each.zero, each.bias)
        how = {"strides": [stride, 1], "pads": [pad, 0, pad, 0], "kernel_shape": [height, n_places]}
        self._convolved(node, wide, how, f"{node.output[0]} of places", self.levels[node.input[0]])
        self._rounded_as(node.output[0], self._seen(f"{node.output[0]} of places", (0, 0, -1, n)))

    def _is_narrow(self, node: onnx.NodeProto, weights: _Weights, how: dict[str, Any]) -> bool:
        """Whether two pixels of a row fit into one block of channels, before the layer and after it."""
        outer, inner, *size = weights.values.shape
        is_plain = size == [3, 3] and set(how["strides"]) == set(how["dilations"]) == set(how["pads"]) == {1}
        return is_plain and HALF * max(outer, inner) <= BLOCK and self.by[node.output[0]] <= COARSEST_OF_PLACES

    def _conv_of_places(self, node: onnx.NodeProto, weights: _Weights, how: dict[str, Any]) -> None:
        """A layer of few channels, of places of two pixels."""
        source = self.levels[node.input[0]]
        n, channels, height, _ = weights.values.shape
        places = self._places_of_two(source, channels)
        twice = weights.rows(np.tile(np.arange(n), HALF))
        wide = _Weights(_of_two_pixels(weights.values), twice.step, twice.zero, twice.bias)
        how = {"strides": [1, 1], "pads": [1, 0, 1, 0], "kernel_shape": [height, HALF]}
        self._convolved(node, wide, how, f"{node.output[0]} of places", _Levels(places, source.step, source.zero))
        self._rounded_as(node.output[0], self._seen(f"{node.output[0]} of places", (0, 0, -1, n)))

    def _places_of_two(self, levels: _Levels, channels: int) -> str:
        """Two pixels of a row as one place: with a margin of one pixel, a layer's pixel looks at two of them."""
        margin = self._constant("margin of a pixel", np.array([0, 0, 1, 0, 0, 0, 1, 0], np.int64))
        padded = self._node("Pad", [levels.plane, margin, levels.zero], f"{levels.plane} with margin")
        return self._seen(padded, (0, 0, -1, HALF * channels))

    def _reduction(self, node: onnx.NodeProto) -> int:
        """How many times smaller than the picture a layer's plane is."""
        before = self.by[node.input[0]]
        if node.op_type in ("Resize", "DepthToSpace"):
            return before // HALF
        return before * (_attributes(node)["strides"][0] if node.op_type == "Conv" else 1)

    def _convolved(
        self, node: onnx.NodeProto, weights: _Weights, how: dict[str, Any], output: str, source: _Levels
    ) -> None:
        name = node.name
        parts = [
            self._constant(f"{name} weights", weights.values),
            self._constant(f"{name} step", weights.step),
            self._constant(f"{name} zero", weights.zero),
        ]
        bias = self._constant(f"{name} bias", weights.bias)
        to = self._rounded_as(node.output[0], output)
        inputs = [*source.inputs, *parts, to.step, to.zero, bias]
        self._node("QLinearConv", inputs, output, MICROSOFT, channels_last=1, **how)

    def _add(self, node: onnx.NodeProto) -> None:
        first, second = (self.levels[name] for name in node.input)
        to = self._rounded_as(node.output[0], node.output[0])
        self._node("QLinearAdd", [*first.inputs, *second.inputs, to.step, to.zero], to.plane, MICROSOFT)

    def _resize(self, node: onnx.NodeProto) -> None:
        """Twice as many rows and columns: each place twice in its row, each row twice."""
        source, to = self._passed_on(node)
        wide = self._node("Concat", [source.plane] * HALF, f"{to.plane} wide", axis=3)
        row = self._seen(wide, (0, 0, 1, -1))
        twice = self._node("Concat", [row] * HALF, f"{to.plane} twice", axis=2)
        self._seen_larger(twice, source.plane, self._channels(node), to.plane)

    def _depthtospace(self, node: onnx.NodeProto) -> None:
        """Channels that are the halves of rows and columns, put in their places."""
        source, to = self._passed_on(node)
        channels = self._channels(node) // HALF**2
        halves = self._seen(source.plane, (0, 0, 0, HALF, HALF * channels))
        rows = self._node("Transpose", [halves], f"{to.plane} in rows", perm=[0, 1, 3, 2, 4])
        self._seen_larger(rows, source.plane, channels, to.plane)

    def _passed_on(self, node: onnx.NodeProto) -> tuple[_Levels, _Levels]:
        """What a layer that only moves pixels takes and makes: their levels must be the same."""
        source, to = self.levels[node.input[0]], self._rounded_as(node.output[0], node.output[0])
        for before, after in ((source.step, to.step), (source.zero, to.zero)):
            if self.known[before] != self.known[after]:
                raise ValueError(f"{node.name} rounds again")
        return source, to

    # ---- answers --------------------------------------------------------------------------------------------------

    def _answers(self) -> None:
        """Probabilities and lengths in 32 bits, the phases of a plane one after the other."""
        self._answer_membrane()
        self._answer_nuclei()
        for name, channels in (("tissue", slice(0, 1)), ("reach_um", slice(1, None))):
            conv = self._head("context")
            weights, bias = (self.known[item][channels] for item in conv.input[1:])
            logits = self._convolved_whole(name, self._whole(conv.input[0]), weights, bias, _attributes(conv))
            self._answer("Sigmoid", logits, name, "context")

    def _answer_membrane(self) -> None:
        """One plane, from places of two pixels: they fill a block of channels that one pixel would half fill.

        The layer looks from a pixel before to a pixel after a place; with a margin of one pixel that is two places.
        """
        conv = self._head("membrane")
        weights, bias = (self.known[item][: HALF**2] for item in conv.input[1:])
        levels = self.levels[conv.input[0]]
        _, channels, height, _ = weights.shape
        seen = _Levels(self._places_of_two(levels, channels), levels.step, levels.zero)
        places = self._first_channels(seen, "places of membrane")
        how = {"kernel_shape": [height, HALF], "pads": [1, 0, 1, 0], "strides": [1, 1]}
        logits = self._convolved_whole("membrane", places, _of_two_pixels(weights), np.tile(bias, HALF), how)
        self._answer("Sigmoid", logits, "membrane", "membrane")

    def _answer_nuclei(self) -> None:
        """Probabilities and offsets come from one layer."""
        conv = self._head("nuclei")
        weights, bias = (self.known[item] for item in conv.input[1:])
        logits = self._convolved_whole("nuclei", self._whole(conv.input[0]), weights, bias, _attributes(conv))
        sizes = self._constant("nuclei sizes", np.array([N_NUCLEI, N_OFFSETS], np.int64))
        parts = [f"{name} logits of them" for name in ("nuclei", "offset_um")]
        self.nodes.append(helper.make_node("Split", [logits, sizes], parts, name="nuclei parts", axis=1))
        self._answer("Sigmoid", parts[0], "nuclei", "nuclei")
        self._answer("Tanh", parts[1], "offset_um", "nuclei")

    def _convolved_whole(
        self, name: str, plane: str, weights: NDArray[np.float32], bias: NDArray[np.float32], how: dict[str, Any]
    ) -> str:
        inputs = [plane, self._constant(f"{name} weights", weights), self._constant(f"{name} bias", bias)]
        return self._node("Conv", inputs, f"{name} logits", **how)

    def _answer(self, kind: str, logits: str, name: str, output: str) -> None:
        """An output of the new graph; lengths are a share of the span that the quantiser's graph gives them."""
        if not name.endswith("_um"):
            self._node(kind, [logits], name)
            return
        share = self._node(kind, [logits], f"{name} share")
        span = self.maker[self.maker[output].input[1]].input[1]
        self._node("Mul", [share, self._kept(span)], name)

    def _head(self, output: str) -> onnx.NodeProto:
        """The layer that an output of the quantiser's graph comes from."""
        node = self.maker[output]
        while node.op_type != "Conv":
            node = self.maker[node.input[0]]
        return node

    def _whole(self, name: str) -> str:
        """A plane of the quantiser's graph as 32-bit numbers, channels first; written once."""
        first = f"{name} whole"
        is_written = any(first in node.output for node in self.nodes)
        return first if is_written else self._first_channels(self.levels[name], first)

    def _first_channels(self, levels: _Levels, output: str) -> str:
        numbers = self._node("DequantizeLinear", levels.inputs, f"{output}, numbers")
        return self._node("Transpose", [numbers], output, perm=[0, 3, 1, 2])

    # ---- what the quantiser's graph says --------------------------------------------------------------------------

    def _weights(self, node: onnx.NodeProto) -> _Weights:
        values, step, zero = (self.known[name] for name in self.maker[node.input[1]].input)
        bias = self.known[self.maker[node.input[2]].input[0]]
        return _Weights(values, step, zero, bias)

    def _is_shuffled(self, name: str) -> bool:
        """Whether a layer's plane goes to a `DepthToSpace`."""
        return any(node.op_type == "DepthToSpace" and self._before(node).output[0] == name for node in self.source)

    def _channels(self, node: onnx.NodeProto) -> int:
        """Of the plane that a layer takes: what the layer before it makes."""
        return len(self._weights(self._before(node)).values)

    def _before(self, node: onnx.NodeProto) -> onnx.NodeProto:
        """The layer whose plane a layer takes, past the rounding between them."""
        before = self.maker[node.input[0]]
        while before.op_type in ROUNDING:
            before = self.maker[before.input[0]]
        return before

    # ---- writing --------------------------------------------------------------------------------------------------

    def _rounded_as(self, name: str, plane: str) -> _Levels:
        """Note that a plane of the quantiser's graph is this one of the new graph, with the levels it is rounded to."""
        _, step, zero = self.rounded[name].input
        self.levels[name] = _Levels(plane, self._kept(step), self._kept(zero))
        return self.levels[name]

    def _node(self, kind: str, inputs: Sequence[str], output: str, domain: str = "", **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=output, domain=domain, **attributes))
        return output

    def _constant(self, name: str, values: NDArray[Any]) -> str:
        self.constants[name] = values
        return name

    def _kept(self, name: str) -> str:
        """A constant of the quantiser's graph."""
        return self._constant(name, self.known[name])

    def _seen(self, plane: str, shape: Sequence[int]) -> str:
        """The same memory in another shape (0: as it is, -1: the rest)."""
        to = self._constant(f"shape {shape}", np.array(shape, np.int64))
        return self._node("Reshape", [plane, to], f"{plane} as {shape}")

    def _seen_larger(self, plane: str, small: str, channels: int, output: str) -> None:
        """The same memory as a plane of twice as many rows and columns as a small one has."""
        one, twice = self._constant("one", np.array([1], np.int64)), self._constant("twice", np.array([HALF], np.int64))
        size = self._node("Shape", [small], f"{output} size", start=1, end=3)
        larger = self._node("Mul", [size, twice], f"{output} larger")
        last = self._constant(f"{channels} channels", np.array([channels], np.int64))
        shape = self._node("Concat", [one, larger, last], f"{output} shape", axis=0)
        self._node("Reshape", [plane, shape], output)

    def _serialised(self, facts: Mapping[str, str]) -> bytes:
        outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, None, None, None]) for name in PLANES]
        graph = helper.make_graph(
            self.nodes,
            "network",
            [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, [1, None, None, RGB])],
            outputs,
            [numpy_helper.from_array(np.asarray(values), name) for name, values in self.constants.items()],
        )
        domains = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
        model = helper.make_model(graph, opset_imports=domains, ir_version=IR_VERSION, producer_name="her2scope")
        helper.set_model_props(model, dict(facts))
        return bytes(model.SerializeToString())


def _of_two_pixels(weights: NDArray[Any]) -> NDArray[Any]:
    """Weights `(2 * O, 2 * I, H, 2)` that make two pixels of a row of places of two; others are 0."""
    n, channels, height, width = weights.shape
    values = np.zeros((HALF, n, height, HALF * HALF, channels), weights.dtype)
    for pixel in range(HALF):
        values[pixel, :, :, pixel : pixel + width] = weights.transpose(0, 2, 3, 1)
    places = values.reshape(HALF * n, height, HALF, HALF * channels).transpose(0, 3, 1, 2)
    return np.ascontiguousarray(places)


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """How a convolution moves over its plane; its rows and columns are alike."""
    found = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    return {name: found[name] for name in ("dilations", "kernel_shape", "pads", "strides")}
