"""Kept memory: the same for the same name, large enough for whoever asks."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from her2scope.imaging.workspace import Workspace


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=9))
def test_an_array_has_the_shape_that_is_asked_for_and_can_be_written(shapes):
    workspace = Workspace()
    for shape in shapes:
        array = workspace.floats("a", *shape)
        assert array.shape == shape and array.dtype == np.float32 and array.flags.c_contiguous
        array[:] = 1


def test_a_smaller_one_lies_where_the_larger_lay_and_other_names_elsewhere():
    workspace = Workspace()
    large, other = workspace.floats("a", 4, 5), workspace.floats("b", 4, 5)
    assert np.shares_memory(workspace.floats("a", 3, 2), large)
    assert not np.shares_memory(large, other)
