"""A field's analysis as JSON values: short, and the same when it is read back."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
from factories import PROGRAM, cell, field_result
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from her2scope.domain.cells import CellClass
from her2scope.pipeline.field_data import field_from_data, field_to_data
from her2scope.segmentation.methods import CLOSED_CONTOURS, NETWORK

PLACES = arrays.arrays(np.float32, st.tuples(st.integers(0, 6), st.just(2)), elements=st.floats(-50, 20_000, width=32))


@given(PLACES)
def test_an_outline_is_kept_to_a_hundredth_of_a_pixel_in_few_digits(outline: np.ndarray) -> None:
    one = replace(cell(CellClass.NONE), outline_xy_px=outline)
    result = field_result((one,))
    data = json.loads(json.dumps(field_to_data(result)))
    written = data["cells"][0][9]
    assert all(len(repr(value)) <= len("-20000.00") for place in written for value in place)
    back = field_from_data(data, result.frame.rgb, result.membrane).cells[0].outline_xy_px
    assert back.dtype == np.float32 and np.array_equal(back, outline.round(2).reshape(-1, 2))


def test_an_earlier_row_is_in_doubt_unless_its_method_knows_none() -> None:
    for method, is_in_doubt in ((NETWORK, True), (CLOSED_CONTOURS, False)):
        program = replace(PROGRAM, method=method)
        result = field_result((cell(CellClass.INCOMPLETE_FAINT),), program=program)
        data = json.loads(json.dumps(field_to_data(result)))
        data["cells"] = [row[:12] for row in data["cells"]]
        (older,) = field_from_data(data, result.frame.rgb, result.membrane).cells
        assert older.is_uncertain_faint is is_in_doubt
