"""Operations and numbers of a network, counted by hand and by the benchmark."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from her2scope.app.bench.fields import field_calibration
from her2scope.app.bench.network_work import count_work, graph_work, work_line
from her2scope.app.compose import DEFAULT_METHOD, make_analyser
from her2scope.settings import ScoringSettings


def test_a_small_graph_is_counted():
    weights = [
        numpy_helper.from_array(np.zeros((4, 3, 3, 3), np.float32), "conv"),
        numpy_helper.from_array(np.zeros((4, 2, 2, 2), np.float32), "up"),
        numpy_helper.from_array(np.zeros((5, 512), np.float32), "gemm"),
    ]
    nodes = [
        helper.make_node("Conv", ["picture", "conv"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("ConvTranspose", ["b", "up"], ["c"], strides=[2, 2]),
        helper.make_node("Flatten", ["c"], ["d"]),
        helper.make_node("Gemm", ["d", "gemm"], ["e"], transB=1),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("picture", [1, 3, 8, 8]), ("e", [1, 5]))
    ]
    graph = helper.make_graph(nodes, "small", ends[:1], ends[1:], weights)
    model = onnx.shape_inference.infer_shapes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))
    picture, plane, larger = 3 * 64, 4 * 64, 2 * 256
    macs, n_weights, n_values = graph_work(model.graph)
    assert macs == plane * 27 + plane * 2 * 4 + 5 * 512
    assert n_weights == 4 * 27 + 4 * 8 + 5 * 512
    assert n_values == (picture + plane) + (plane + plane) + (plane + larger) + (larger + larger) + (larger + 5)


def test_the_work_grows_with_the_picture_and_the_weights_do_not():
    analyser = make_analyser(DEFAULT_METHOD, ScoringSettings(), field_calibration())
    small, large = (count_work(analyser, size_wh, 0.25) for size_wh in ((640, 480), (1280, 960)))
    assert small is not None and large is not None
    assert small["input_wh"] == [320, 240]
    assert large["macs"] == 4 * small["macs"] > 0
    assert large["weight_bytes"] == small["weight_bytes"] > 100_000
    assert "GB/s" in work_line(small, 10.0) and "GB/s" not in work_line(small, None)


def test_what_cannot_be_counted_is_said():
    assert "not counted" in work_line(None, 10.0)
