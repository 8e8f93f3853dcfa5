"""Forms of model files: bytes as the model would round them, and phases put in their places."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from her2scope.segmentation.forms import (
    MARGIN_PX,
    PHASES,
    PLANES,
    BytesForm,
    form_of,
    joined,
    levels_of,
    picture_of,
    share_of_white,
)
from her2scope.segmentation.methods import NETWORK
from her2scope.segmentation.model_card import QUANTISED, read_card
from her2scope.segmentation.sessions import CPU, open_session

STEP, ZERO = np.float32(0.007843138), 128


@pytest.fixture(scope="module")
def rounding():
    """The first layers of a network as the quantiser writes them: 2 * share - 1, rounded to bytes."""
    nodes = [
        helper.make_node("Mul", ["picture", "two"], ["doubled"]),
        helper.make_node("Sub", ["doubled", "one"], ["shown"]),
        helper.make_node("QuantizeLinear", ["shown", "step", "zero"], ["bytes"]),
    ]
    constants = {"two": np.float32(2), "one": np.float32(1), "step": STEP, "zero": np.uint8(ZERO)}
    graph = helper.make_graph(
        nodes,
        "rounding",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 3, None, None])],
        [helper.make_tensor_value_info("bytes", TensorProto.UINT8, [1, 3, None, None])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return open_session(model.SerializeToString(), [CPU], 1)


def test_every_byte_is_rounded_as_the_model_rounds_it_whatever_the_white(rounding):
    """All 256 values, for whites in steps of a twentieth from 1 to 255, and odd ones."""
    whites = np.concatenate([np.arange(0.0, 255.05, 0.05), np.random.default_rng(0).uniform(1, 255, 300)])
    values = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2)
    for white in whites.tolist():
        (right,) = rounding.run(["bytes"], {"picture": picture_of(values, (white,) * 3)})
        assert np.array_equal(levels_of(share_of_white(white), STEP, ZERO), right[0, 0, :, 0]), white


def test_channels_are_shares_of_the_white():
    rgb = np.array([[[120, 119, 121], [240, 238, 242], [255, 255, 255], [0, 0, 0]]], np.uint8)
    picture = picture_of(rgb, (240.0, 238.0, 242.0))
    assert picture.shape == (1, 3, 1, 4) and picture.dtype == np.float32
    assert picture[0, :, 0].T == pytest.approx(np.array([[0.5] * 3, [1.0] * 3, [1.0] * 3, [0.0] * 3]))


class Listening:
    """A session that keeps what it is fed."""

    def __init__(self, session):
        self.session, self.fed = session, []

    def run(self, names, feeds):
        self.fed.append({name: values.copy() for name, values in feeds.items()})
        return self.session.run(names, feeds)


def test_a_picture_lies_between_margins_of_nothing_and_the_next_one_leaves_no_trace():
    session = Listening(open_session(read_card(NETWORK).read_model(QUANTISED), [CPU], 1))
    form = form_of(session.session)
    assert isinstance(form, BytesForm)
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (*size, 3), np.uint8) for size in ((32, 48), (32, 48), (16, 16), (32, 48))]
    white = (250.0, 231.5, 199.0)
    found = [form.run(session, rgb, white) for rgb in pictures]
    for rgb, feeds, planes in zip(pictures, session.fed, found, strict=True):
        (picture,) = feeds["picture"]
        assert (picture[:, :MARGIN_PX] == ZERO).all() and (picture[:, -MARGIN_PX:] == ZERO).all()
        for channel in range(3):
            table = levels_of(share_of_white(white[channel]), STEP, ZERO)
            assert np.array_equal(picture[:, MARGIN_PX:-MARGIN_PX, channel], table[rgb[..., channel]])
        again = form_of(session.session).run(session.session, rgb, white)
        assert all(np.array_equal(planes[name], again[name]) for name in PLANES)


@given(st.sampled_from(sorted(PHASES)), st.integers(1, 5), st.integers(1, 7), st.integers(0, 99))
def test_phases_are_put_in_their_places(name, height, width, seed):
    rows, columns, n_planes = PHASES[name]
    phases = np.random.default_rng(seed).random((rows * columns * n_planes, height, width), np.float32)
    found = joined(phases, rows, columns, n_planes)
    assert found.shape == (n_planes, rows * height, columns * width)
    for plane, y, x in np.ndindex(found.shape):
        pair, side = divmod(x % columns, 2)
        channel = ((pair * n_planes + plane) * rows + y % rows) * 2 + side
        assert found[plane, y, x] == phases[channel, y // rows, x // columns]


def test_a_model_that_gives_other_planes_is_refused():
    class Other:
        def run(self, names, feeds):
            return [np.zeros((1, 8, 8, 8), np.float32) for _ in names]

    with pytest.raises(ValueError, match=r"output 'membrane' is \(1, 8, 8, 8\), not \(1, 8, 8, 4\)"):
        BytesForm(STEP, ZERO).run(Other(), np.zeros((16, 16, 3), np.uint8), (240.0,) * 3)
