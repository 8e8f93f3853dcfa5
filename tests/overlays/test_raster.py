"""Drawing on tiny pictures: what is drawn, where, and that nothing else is touched."""

from __future__ import annotations

import factories
import numpy as np
import pytest
from numpy.typing import NDArray

from her2scope.domain.cells import CellClass
from her2scope.domain.errors import BadInputError
from her2scope.overlays.model import EVERYTHING, NOTHING, OverlaySelection, mark_of
from her2scope.overlays.palette import PALETTES, SAFE, Palette
from her2scope.overlays.raster import (
    cell_labels,
    dashes,
    draw_annotated,
    draw_legend,
    draw_overlay,
    membrane_mask,
)
from her2scope.records import FAINT, INTENSE, FieldResult

GREY = 200
ONLY = {
    name: OverlaySelection(
        membranes=name == "membranes", cells=name == "cells", outlines=name == "outlines", filled=name == "filled"
    )
    for name in ("membranes", "cells", "outlines", "filled")
}


def drawn(result: FieldResult, layer: str, palette: Palette = SAFE) -> NDArray[np.uint8]:
    return draw_overlay(result.frame.rgb, result, palette, ONLY[layer])


def changed(result: FieldResult, layer: str) -> NDArray[np.bool_]:
    """Where the layer painted anything."""
    return (drawn(result, layer) != result.frame.rgb).any(axis=2)


@pytest.fixture
def one_cell() -> FieldResult:
    return factories.field_result([factories.cell(CellClass.COMPLETE_INTENSE, 32, 32, radius_px=20)])


@pytest.mark.parametrize("selection", [EVERYTHING, NOTHING, *ONLY.values()])
def test_the_callers_picture_is_never_painted_on(one_cell: FieldResult, selection: OverlaySelection) -> None:
    before = one_cell.frame.rgb.copy()
    canvas = draw_overlay(one_cell.frame.rgb, one_cell, SAFE, selection)
    assert canvas.shape == before.shape
    assert not np.shares_memory(canvas, one_cell.frame.rgb)
    np.testing.assert_array_equal(one_cell.frame.rgb, before)


def test_nothing_chosen_draws_nothing(one_cell: FieldResult) -> None:
    assert not NOTHING.anything
    np.testing.assert_array_equal(draw_overlay(one_cell.frame.rgb, one_cell, SAFE, NOTHING), one_cell.frame.rgb)


@pytest.mark.parametrize("name", CellClass)
@pytest.mark.parametrize("palette", PALETTES.values(), ids=PALETTES)
def test_a_marker_has_its_class_colour_at_the_centre(name: CellClass, palette: Palette) -> None:
    result = factories.field_result([factories.cell(name, 32, 32)])
    assert tuple(drawn(result, "cells", palette)[32, 32]) == palette.classes[name]


def test_other_cells_have_their_own_colour_and_a_smaller_marker() -> None:
    other = factories.field_result([factories.cell(None, 32, 32)])
    tumour = factories.field_result([factories.cell(CellClass.NONE, 32, 32)])
    assert tuple(drawn(other, "cells")[32, 32]) == SAFE.other
    assert np.ptp(np.nonzero(changed(other, "cells"))[1]) < np.ptp(np.nonzero(changed(tumour, "cells"))[1])


def test_an_outline_runs_where_the_cell_ends(one_cell: FieldResult) -> None:
    canvas = drawn(one_cell, "outlines")
    assert tuple(canvas[32, 52]) == SAFE.classes[CellClass.COMPLETE_INTENSE]
    assert tuple(canvas[32, 42]) == (GREY,) * 3
    assert tuple(canvas[32, 60]) == (GREY,) * 3


def test_outlines_are_drawn_between_pixels() -> None:
    """Half a pixel to the right moves the line by half a pixel, which whole-pixel drawing could not show."""
    columns = np.arange(64)
    middles = []
    for x_px in (30.0, 30.5):
        result = factories.field_result([factories.cell(CellClass.COMPLETE_INTENSE, x_px, 32, 16, corners=96)])
        row = np.abs(drawn(result, "outlines")[32, 32:, 1].astype(float) - GREY)
        middles.append((columns[32:] * row).sum() / row.sum())
    assert middles[1] - middles[0] == pytest.approx(0.5, abs=0.15)


def test_lines_keep_their_width_in_um() -> None:
    def painted_um(um_per_px: float) -> float:
        cell = factories.cell(CellClass.COMPLETE_MODERATE, 100, 100, radius_px=4 / um_per_px)
        result = factories.field_result([cell], (200, 200), um_per_px=um_per_px)
        own_colour = (drawn(result, "outlines") == SAFE.classes[CellClass.COMPLETE_MODERATE]).all(axis=2)
        return float(own_colour[100, 100:].sum() * um_per_px)

    assert painted_um(0.05) == pytest.approx(0.4, abs=0.1)
    assert painted_um(0.10) == pytest.approx(0.4, abs=0.1)


def test_a_filled_cell_is_tinted_and_only_complete_ones_are_filled() -> None:
    complete = factories.cell(CellClass.COMPLETE_MODERATE, 16, 32, 10)
    open_cell = factories.cell(CellClass.INCOMPLETE_INTENSE, 46, 32, 10)
    painted = changed(factories.field_result([complete, open_cell]), "filled")
    assert painted[32, 16]
    assert not painted[:, 32:].any()


def test_two_filled_cells_do_not_darken_each_other() -> None:
    cells = [factories.cell(CellClass.COMPLETE_MODERATE, x, 32, 14) for x in (26, 38)]
    canvas = drawn(factories.field_result(cells), "filled")
    assert tuple(canvas[32, 32]) == tuple(canvas[32, 18])


def test_membranes_are_yellow_and_red() -> None:
    membrane = np.zeros((64, 64), np.uint8)
    membrane[10:20], membrane[40:50] = FAINT, INTENSE
    result = factories.field_result([], membrane=membrane)
    canvas = drawn(result, "membranes").astype(int)
    for row, colour in ((15, SAFE.membrane_faint), (45, SAFE.membrane_intense)):
        np.testing.assert_allclose(canvas[row, 5], 0.45 * GREY + 0.55 * np.array(colour), atol=1)
    assert (canvas[30] == GREY).all()


def test_edge_cells_are_grey_and_dashed() -> None:
    cell = factories.cell(CellClass.COMPLETE_INTENSE, 60, 32, 16, edge=True)
    mark = mark_of(cell, SAFE)
    assert (mark.dashed, mark.colour, mark.filled) == (True, SAFE.edge, False)
    whole = changed(factories.field_result([factories.cell(CellClass.NONE, 60, 32, 16)]), "outlines").sum()
    assert 0.2 * whole < changed(factories.field_result([cell]), "outlines").sum() < 0.8 * whole


def test_a_cell_counted_in_another_field_is_drawn_like_an_edge_cell() -> None:
    cell = factories.cell(CellClass.COMPLETE_INTENSE, 32, 32, 16)
    edge = factories.cell(CellClass.COMPLETE_INTENSE, 32, 32, 16, edge=True)
    seen, outside = factories.field_result([cell]), factories.field_result([edge])
    np.testing.assert_array_equal(
        draw_overlay(seen.frame.rgb, seen, SAFE, EVERYTHING, counted=[False]),
        draw_overlay(outside.frame.rgb, outside, SAFE, EVERYTHING),
    )


def test_dashes_cover_half_of_the_outline() -> None:
    outline = factories.cell(radius_px=30, corners=200).outline_xy_px
    pieces = dashes(outline, dash_px=5)
    covered_px = sum(np.hypot(*np.diff(piece, axis=0).T).sum() for piece in pieces)
    assert covered_px == pytest.approx(np.pi * 30, rel=0.02)
    assert len(pieces) == 19


def test_a_reduced_copy_is_drawn_on_at_its_own_scale(one_cell: FieldResult) -> None:
    small = np.ascontiguousarray(one_cell.frame.rgb[::2, ::2])
    canvas = draw_overlay(small, one_cell, SAFE, EVERYTHING)
    assert canvas.shape == (32, 32, 3)
    assert tuple(canvas[16, 16]) == SAFE.classes[CellClass.COMPLETE_INTENSE]


def test_a_foreign_picture_is_refused(one_cell: FieldResult) -> None:
    with pytest.raises(ValueError, match="is no copy of a frame"):
        draw_overlay(np.zeros((64, 20, 3), np.uint8), one_cell, SAFE, EVERYTHING)


# ---- masks --------------------------------------------------------------------------------------------------------


def test_labels_are_the_cells_in_order() -> None:
    cells = [factories.cell(None, 16, 16, 8), factories.cell(CellClass.NONE, 44, 40, 10)]
    labels = cell_labels(factories.field_result(cells))
    assert (labels.dtype, labels.shape) == (np.uint16, (64, 64))
    assert (labels[16, 16], labels[40, 44], labels[2, 60]) == (1, 2, 0)


def test_a_label_covers_its_outline() -> None:
    labels = cell_labels(factories.field_result([factories.cell(CellClass.NONE, 32, 32, 20, corners=200)]))
    y_px, x_px = np.mgrid[:64, :64]
    distance = np.hypot(x_px - 32, y_px - 32)
    assert (labels[distance < 19.3] == 1).all()
    assert (labels[distance > 20.8] == 0).all()


def test_overlapping_labels_part_half_way() -> None:
    cells = [factories.cell(CellClass.NONE, x, 32, 14) for x in (22, 42)]
    labels = cell_labels(factories.field_result(cells))
    assert (labels[32, 31], labels[32, 32], labels[32, 33]) == (1, 1, 2)


def test_a_label_ends_at_the_images_edge() -> None:
    labels = cell_labels(factories.field_result([factories.cell(CellClass.NONE, 62, 1, 10, edge=True)]))
    assert labels[1, 62] == labels[0, 63] == 1


def test_a_cell_wholly_outside_has_no_label() -> None:
    assert not cell_labels(factories.field_result([factories.cell(CellClass.NONE, 200, 1, 10, edge=True)])).any()


def test_a_cell_without_an_outline_is_a_disc() -> None:
    bare = factories.cell(CellClass.NONE, 32, 32, corners=0)
    result = factories.field_result([bare])
    assert cell_labels(result)[32, 32 + 11] == 1  # radius 3 um at 0.25 um/px
    assert cell_labels(result)[32, 32 + 14] == 0
    draw_overlay(result.frame.rgb, result, SAFE, EVERYTHING)


def test_more_cells_than_labels_is_refused() -> None:
    result = factories.field_result([factories.cell()] * 65536)
    with pytest.raises(BadInputError, match="65536 cells do not fit"):
        cell_labels(result)


def test_the_membrane_mask_is_a_copy_of_the_frames_size(one_cell: FieldResult) -> None:
    mask = membrane_mask(one_cell)
    assert mask.shape == one_cell.frame.size_hw
    assert not np.shares_memory(mask, one_cell.membrane)


# ---- legend -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width_px", [64, 300, 1000, 2448])
def test_a_legend_is_as_wide_as_asked(width_px: int) -> None:
    strip = draw_legend(factories.equivocal_field(), SAFE, width_px)
    assert strip.shape[1:] == (width_px, 3)
    assert strip.shape[0] < 260


def test_the_legend_shows_every_class_colour() -> None:
    strip = draw_legend(factories.equivocal_field(), SAFE, 1200)
    for colour in SAFE.classes.values():
        assert (strip == colour).all(axis=2).sum() > 20


def test_the_words_of_a_legend_end_before_its_edge() -> None:
    for width_px in (300, 640, 1000, 1600, 2448):
        strip = draw_legend(factories.equivocal_field(), SAFE, width_px)
        assert (strip[:, -3:] == 255).all(), width_px


@pytest.mark.parametrize("result", [factories.unusable_field(), factories.counted_field({CellClass.NONE: 3})])
def test_a_field_without_a_score_has_a_legend(result: FieldResult) -> None:
    overlay = draw_annotated(result.frame.rgb, result, SAFE, EVERYTHING)
    assert overlay.shape[0] > result.frame.size_hw[0]
    assert overlay.shape[1] == result.frame.size_hw[1]
