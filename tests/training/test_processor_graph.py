"""The 8-bit network as the processor runs it: the quantiser's numbers, of whatever widths, in its own order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from her2scope.domain.errors import BadInputError
from her2scope.segmentation.forms import INPUT, OUTPUTS, PLANES, BytesForm, form_of, picture_of
from her2scope.segmentation.maps import N_REACHES
from her2scope.segmentation.sessions import CPU, open_session
from her2scope.training.processor_graph import for_processor, largest_difference

WIDE, DEEP = 8, 16
WHITE = (240.0, 238.0, 251.0)
ANSWERS = ("Sigmoid", "Tanh", "Mul", "Split", "Concat", "DepthToSpace", "Slice")


def small_network(seed: int, lines_width: int) -> onnx.ModelProto:
    """A network built as `net.CellNet` is, by hand and of chance weights: stem, one block, down, up, lines, heads."""
    rng = np.random.default_rng(seed)
    nodes: list[onnx.NodeProto] = []
    weights: dict[str, np.ndarray] = {}

    def layer(kind: str, inputs: list[str], name: str, **how: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [name], name=name, **how))
        return name

    def constant(name: str, values: Any) -> str:
        weights[name] = np.asarray(values)
        return name

    def conv(source: str, name: str, inner: int, outer: int, size: int = 3, stride: int = 1, dilation: int = 1) -> str:
        pad = dilation * ((size - stride + 1) // 2)
        values = rng.normal(0, 1.5 / np.sqrt(inner * size * size), (outer, inner, size, size)).astype(np.float32)
        inputs = [source, constant(f"{name}_w", values)]
        inputs.append(constant(f"{name}_b", rng.normal(0, 0.2, outer).astype(np.float32)))
        return layer(
            "Conv",
            inputs,
            name,
            kernel_shape=[size] * 2,
            strides=[stride] * 2,
            pads=[pad] * 4,
            dilations=[dilation] * 2,
        )

    def relu(source: str) -> str:
        return layer("Relu", [source], f"{source}_relu")

    doubled = layer("Mul", [INPUT, constant("two", np.float32(2))], "doubled")
    shown = layer("Sub", [doubled, constant("one", np.float32(1))], "shown")
    quarter = relu(conv(shown, "stem", 3, WIDE, 8, 4))
    first = relu(conv(quarter, "first", WIDE, WIDE, dilation=2))
    quarter = relu(layer("Add", [quarter, conv(first, "second", WIDE, WIDE)], "beside"))
    eighth = relu(conv(quarter, "down", WIDE, DEEP, 2, 2))
    small = relu(conv(eighth, "narrow", DEEP, WIDE, 1))
    scales = constant("scales", np.array([1, 1, 2, 2], np.float32))
    large = layer(
        "Resize", [small, "", scales], "large", mode="nearest", coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )  # fmt: skip
    quarter = layer("Add", [quarter, large], "joined")
    around = layer(
        "DepthToSpace", [conv(quarter, "around", WIDE, 4 * lines_width, 1)], "shuffled", blocksize=2, mode="CRD"
    )
    lines = relu(conv(relu(conv(shown, "lines", 3, lines_width, 4, 2)), "again", lines_width, lines_width))
    lines = relu(conv(relu(layer("Add", [lines, around], "with")), "joint", lines_width, lines_width))

    def phases(source: str, name: str) -> str:
        return layer("DepthToSpace", [source], name, blocksize=2, mode="CRD")

    def parts(source: str, at: int, name: str) -> tuple[str, str]:
        ends = [constant(f"{name}_{edge}", np.array([edge], np.int64)) for edge in (0, at, 1000)]
        axis = constant("axis", np.array([1], np.int64))
        return (
            layer("Slice", [source, ends[0], ends[1], axis], f"{name}_begin"),
            layer("Slice", [source, ends[1], ends[2], axis], f"{name}_end"),
        )

    layer("Sigmoid", [phases(conv(lines, "membrane_head", lines_width, 8), "membrane_logits")], "membrane")
    found, away = parts(phases(conv(quarter, "nuclei_head", WIDE, 20), "nuclei_logits"), 3, "nuclei_parts")
    away = layer("Mul", [layer("Tanh", [away], "away"), constant("ten", np.float32(10))], "away_um")
    layer("Concat", [layer("Sigmoid", [found], "found"), away], "nuclei", axis=1)
    ground, reach = parts(conv(quarter, "context_head", WIDE, 1 + N_REACHES, 1), 1, "context_parts")
    reach = layer("Mul", [layer("Sigmoid", [reach], "reach"), constant("twenty", np.float32(20))], "far_um")
    layer("Concat", [layer("Sigmoid", [ground], "ground"), reach], "context", axis=1)
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [1, 3, "rows", "columns"])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, None, None, None]) for name in OUTPUTS],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def pictures(n: int, height: int, width: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (height, width, 3), np.uint8) for _ in range(n)]


def quantised(folder: Path, seed: int, lines_width: int = 16) -> bytes:
    """The file that the quantiser makes of it, by the settings of the export."""
    network = small_network(seed, lines_width)
    full, path = folder / "full.onnx", folder / "int8.onnx"
    onnx.save(network, str(full))

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.feeds = iter([{INPUT: picture_of(rgb, WHITE)} for rgb in pictures(3, 32, 32, seed)])

        def get_next(self) -> Any:
            return next(self.feeds, None)

    left_out = [node.name for node in network.graph.node if node.op_type in ANSWERS or node.name.endswith("_head")]
    quantize_static(
        str(full), str(path), Reader(), quant_format=QuantFormat.QDQ, per_channel=True, reduce_range=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, nodes_to_exclude=left_out,
    )  # fmt: skip
    return path.read_bytes()


@pytest.fixture(scope="module", params=[(0, 16), (1, 16), (0, 8)])
def files(request, tmp_path_factory) -> tuple[bytes, bytes]:
    before = quantised(tmp_path_factory.mktemp("files"), *request.param)
    return before, for_processor(before)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("height", "width"), [(16, 16), (16, 80), (112, 32), (64, 96)])
def test_it_says_what_the_quantisers_file_says(files, height, width):
    for rgb in pictures(2, height, width, seed=height):
        assert largest_difference(*files, rgb, WHITE) < 1e-5


def test_its_answers_are_no_constants(files):
    """Else it could say the same by saying nothing."""
    session = open_session(files[1], [CPU], 1)
    form = form_of(session)
    assert isinstance(form, BytesForm)
    planes = form.run(session, pictures(1, 64, 64)[0], WHITE)
    assert all(planes[name].std() > 0.01 for name in PLANES)


def test_another_network_is_refused_in_one_line():
    other = onnx.helper.make_model(
        helper.make_graph([helper.make_node("Relu", ["a"], ["b"])], "g", [], []), ir_version=8
    )
    with pytest.raises(BadInputError, match="not one that can be written for the processor") as refusal:
        for_processor(other.SerializeToString())
    assert "\n" not in str(refusal.value)
