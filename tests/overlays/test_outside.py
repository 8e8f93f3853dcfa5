"""Dimmed and hatched is what the region model leaves out, wherever it is drawn."""

from __future__ import annotations

import dataclasses

import factories
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from her2scope.domain.cells import CellClass
from her2scope.overlays.model import NOTHING, OverlaySelection, legend_entries, mark_of, marks_of
from her2scope.overlays.outside import DIM_ALPHA, LINE_ALPHA, has_outside, outside_layer
from her2scope.overlays.palette import OUTSIDE_LABEL, SAFE
from her2scope.overlays.raster import draw_overlay

RIGHT = np.zeros((16, 16), np.uint8)
RIGHT[:, 8:] = 255


def field(cells=()):
    return dataclasses.replace(factories.field_result(cells), outside=RIGHT)  # 64 x 64 px


@given(st.floats(0.5, 6.0), st.integers(0, 40), st.integers(0, 40))
def test_a_part_is_that_part_of_the_whole(scale, left, top):
    """Drawn by pieces, or panned over, the lines lie still on the tissue."""
    side = int(16 * scale)
    left, top = left % max(1, side - 1), top % max(1, side - 1)
    whole = outside_layer(RIGHT, (side, side), scale=scale)
    part = outside_layer(RIGHT, (side - top, side - left), left, top, scale)
    assert (part == whole[top:, left:]).mean() > 0.98  # the border may move by a pixel


def test_only_what_is_outside_is_dimmed_and_tissue_stays_to_be_seen():
    layer = outside_layer(RIGHT, (64, 64), scale=4.0)
    assert not layer[:, :31].any()
    assert set(np.unique(layer[:, 33:, 3])) == {DIM_ALPHA, LINE_ALPHA}
    assert (layer[..., :3] <= layer[..., 3:]).all()  # premultiplied


def test_drawn_under_the_other_layers_and_never_by_itself():
    result = field()
    plain = result.frame.rgb
    drawn = draw_overlay(plain, result, SAFE, OverlaySelection())
    assert np.array_equal(drawn[:, :31], plain[:, :31])
    assert (drawn[:, 33:] != plain[:, 33:]).all(axis=2).mean() > 0.9 and drawn[:, 33:].min() > 100
    for selection in (NOTHING, OverlaySelection(outside=False), OverlaySelection(False, False, outside=True)):
        assert np.array_equal(draw_overlay(plain, result, SAFE, selection), plain)
    assert np.array_equal(
        draw_overlay(plain, dataclasses.replace(result, outside=None), SAFE, OverlaySelection()), plain
    )


def test_cells_outside_look_left_out_unless_the_case_counts_them():
    inside = factories.cell(CellClass.COMPLETE_INTENSE)
    outside = dataclasses.replace(inside, within=False)
    first, second = marks_of([inside, outside], SAFE)
    assert first == mark_of(inside, SAFE) and second == mark_of(inside, SAFE, counted=False)
    assert marks_of([outside], SAFE, [True]) == [first]  # the reader's word


def test_the_legend_names_it_where_there_is_some():
    assert has_outside(field()) and not has_outside(factories.field_result([]))
    assert not has_outside(dataclasses.replace(field(), outside=np.zeros((4, 4), np.uint8)))
    labels = [[entry.words for entry in legend_entries(SAFE, None, outside=flag)] for flag in (False, True)]
    assert OUTSIDE_LABEL not in labels[0] and labels[1] == [*labels[0], OUTSIDE_LABEL]
