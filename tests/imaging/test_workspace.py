"""Kept memory: the same for the same name, large enough for whoever asks, one thread's at a time."""

from __future__ import annotations

import numpy as np
import pytest
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


def test_each_thread_is_lent_one_of_its_own_and_they_are_kept():
    workspace = Workspace()
    with workspace.lent() as first, workspace.lent() as second:
        assert len({workspace, first, second}) == 3
    with workspace.lent() as again, workspace.lent() as other:
        assert {again, other} == {first, second}


def test_a_lent_workspace_comes_back_after_an_error():
    workspace = Workspace()
    with pytest.raises(ValueError, match="on the way"), workspace.lent() as lent:
        raise ValueError("on the way")
    with workspace.lent() as again:
        assert again is lent
