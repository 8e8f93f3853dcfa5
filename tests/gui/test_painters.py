from __future__ import annotations

import dataclasses

import factories
import numpy as np
import pytest
from PyQt6.QtCore import QPointF
from PyQt6.QtGui import QColor, QImage, QPainter, QTransform

from her2scope.domain.cells import CellClass
from her2scope.domain.corrections import Correction
from her2scope.overlays.model import EVERYTHING, NOTHING, CellMark, OverlaySelection
from her2scope.overlays.palette import HAND_COLOUR, MARKERS, PALETTES, SAFE, Marker
from her2scope.records import FAINT, INTENSE
from her2scope.ui.painters import (
    CentrePainter,
    FilledPainter,
    MembranePainter,
    OutlinePainter,
    marker_stamp,
    paint_selected,
    painters_for,
)

GREY = (128, 128, 128)


def painted(painter_of, result, zoom=1.0, size=(64, 64)) -> QImage:
    """A grey picture with one layer over it."""
    image = QImage(round(size[0] * zoom), round(size[1] * zoom), QImage.Format.Format_RGB32)
    image.fill(QColor(*GREY))
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setTransform(QTransform.fromScale(zoom, zoom))
    painter_of.paint(painter, result, zoom)
    painter.end()
    return image


def colour_at(image: QImage, x: int, y: int) -> tuple[int, int, int]:
    red, green, blue, _ = QColor(image.pixel(x, y)).getRgb()
    return red, green, blue


def changed(image: QImage) -> np.ndarray:
    """Where the picture is not grey any more, (H, W) bool."""
    memory = image.bits().asstring(image.sizeInBytes())
    pixels = np.frombuffer(memory, np.uint8).reshape(image.height(), image.width(), 4)[:, :, :3]
    return (pixels != 128).any(axis=2)


def one_cell(cell_class=CellClass.COMPLETE_INTENSE, **more):
    return factories.field_result([factories.cell(cell_class, 30.0, 30.0, **more)])


@pytest.mark.parametrize("zoom", [0.5, 1.0, 3.0])
def test_marker_has_its_class_colour_at_the_cell(zoom):
    image = painted(CentrePainter(SAFE), one_cell(), zoom)
    at = int((30 + 0.5) * zoom)
    assert colour_at(image, at, at) == SAFE.classes[CellClass.COMPLETE_INTENSE]
    rows, columns = np.nonzero(changed(image))
    assert (rows.mean(), columns.mean()) == pytest.approx((at, at), abs=1.0)


def test_marker_keeps_its_size_on_screen_while_the_picture_is_small():
    sizes = [changed(painted(CentrePainter(SAFE), one_cell(), zoom)).sum() for zoom in (0.5, 1.0)]
    assert sizes[0] == sizes[1]


def test_every_class_has_a_shape_of_its_own():
    masks = {}
    for name, shape in MARKERS.items():
        stamp = marker_stamp(CellMark((200, 200, 200), shape, False, True, False), 8)
        masks[name] = changed_alpha(stamp)
    names = list(masks)
    for place, first in enumerate(names):
        for second in names[place + 1 :]:
            differing = (masks[first] ^ masks[second]).sum()
            assert differing > 0.15 * (masks[first] | masks[second]).sum(), (first, second)


def changed_alpha(stamp: QImage) -> np.ndarray:
    memory = stamp.bits().asstring(stamp.sizeInBytes())
    return np.frombuffer(memory, np.uint8).reshape(stamp.height(), stamp.width(), 4)[:, :, 3] > 128


def test_edge_cell_is_hollow_and_grey():
    image = painted(CentrePainter(SAFE), one_cell(edge=True), 3.0)
    middle = int(30.5 * 3)
    assert colour_at(image, middle, middle) == GREY
    drawn = {colour_at(image, x, middle) for x in range(image.width())}
    assert SAFE.edge in drawn
    assert SAFE.classes[CellClass.COMPLETE_INTENSE] not in drawn


@pytest.mark.parametrize("zoom", [1.0, 2.0, 4.0])
def test_outline_lies_on_the_outline_and_is_as_wide_at_every_zoom(zoom):
    result = one_cell(corners=72)
    image = painted(OutlinePainter(SAFE), result, zoom)
    rows, columns = np.nonzero(changed(image))
    distance_px = np.hypot(columns + 0.5 - 30.5 * zoom, rows + 0.5 - 30.5 * zoom)
    assert distance_px.mean() == pytest.approx(12 * zoom, abs=1.0)
    assert np.ptp(distance_px) <= 5.0


def test_outline_of_a_cell_that_is_not_counted_is_dashed():
    whole = changed(painted(OutlinePainter(SAFE), one_cell(corners=72), 2.0)).sum()
    dashed = changed(painted(OutlinePainter(SAFE), one_cell(corners=72, edge=True), 2.0)).sum()
    assert 0.3 * whole < dashed < 0.8 * whole


def test_other_cells_have_no_outline():
    assert not changed(painted(OutlinePainter(SAFE), one_cell(None))).any()


def test_only_enclosed_cells_are_filled():
    for name in CellClass:
        image = painted(FilledPainter(SAFE), one_cell(name))
        assert (colour_at(image, 30, 30) != GREY) == name.is_complete, name


def test_fill_lets_the_tissue_through():
    image = painted(FilledPainter(SAFE), one_cell())
    full = SAFE.classes[CellClass.COMPLETE_INTENSE]
    mixed = [(128 * 150 + value * 105) / 255 for value in full]
    assert colour_at(image, 30, 30) == pytest.approx(mixed, abs=2)


def test_overlapping_cells_do_not_darken_each_other():
    pair = [factories.cell(CellClass.COMPLETE_INTENSE, x, 30.0) for x in (26.0, 34.0)]
    image = painted(FilledPainter(SAFE), factories.field_result(pair))
    assert colour_at(image, 30, 30) == colour_at(image, 18, 30)


def test_membranes_are_yellow_and_red():
    membrane = np.zeros((64, 64), np.uint8)
    membrane[10:20, 10:20], membrane[40:50, 40:50] = FAINT, INTENSE
    image = painted(MembranePainter(SAFE, alpha=255), factories.field_result((), membrane=membrane))
    assert colour_at(image, 15, 15) == SAFE.membrane_faint
    assert colour_at(image, 45, 45) == SAFE.membrane_intense
    assert changed(image).sum() == 200


def test_a_new_result_is_drawn_anew():
    painter = CentrePainter(SAFE)
    painted(painter, one_cell())
    image = painted(painter, factories.field_result([factories.cell(CellClass.NONE, 10.0, 50.0)]))
    assert colour_at(image, 10, 50) == SAFE.classes[CellClass.NONE]
    assert colour_at(image, 30, 30) == GREY


@pytest.mark.parametrize("palette", PALETTES.values(), ids=list(PALETTES))
def test_all_layers_paint_an_empty_field(palette):
    for painter in painters_for(EVERYTHING, palette):
        assert not changed(painted(painter, factories.field_result(()))).any()


def test_cell_without_outline_gets_a_marker_only():
    cell = factories.cell(CellClass.COMPLETE_INTENSE, 30.0, 30.0, corners=0)
    result = factories.field_result([cell, factories.cell(CellClass.COMPLETE_INTENSE, 10.0, 10.0)])
    assert not changed(painted(FilledPainter(SAFE), result))[28:33, 28:33].any()
    assert changed(painted(CentrePainter(SAFE), result))[28:33, 28:33].any()


def test_nothing_selected_paints_nothing():
    assert painters_for(NOTHING, SAFE) == ()
    assert len(painters_for(EVERYTHING, SAFE)) == 5


def test_other_cells_are_marked_by_a_cross():
    image = painted(CentrePainter(SAFE), one_cell(None))
    assert colour_at(image, 30, 30) == SAFE.other
    assert Marker.CROSS not in MARKERS.values()


def in_case(corrections, counted=(True, True)):
    cells = [factories.cell(CellClass.COMPLETE_INTENSE, x, 32.0) for x in (16.0, 48.0)]
    field = factories.accepted(factories.field_result(cells))
    return dataclasses.replace(field, corrections=corrections, counted=counted)


def painted_in_case(field) -> QImage:
    image = QImage(64, 64, QImage.Format.Format_RGB32)
    image.fill(QColor(*GREY))
    painter = QPainter(image)
    for layer in painters_for(OverlaySelection(membranes=False), SAFE, field):
        layer.paint(painter, field.result, 1.0)
    painter.end()
    return image


def test_cells_that_their_case_leaves_out_are_hollow_and_grey():
    image = painted_in_case(in_case((), counted=(True, False)))
    assert colour_at(image, 16, 32) == SAFE.classes[CellClass.COMPLETE_INTENSE]
    assert colour_at(image, 48, 32) == GREY


def test_a_corrected_cell_has_a_small_square_and_an_excluded_one_a_line_through_it():
    plain = painted_in_case(in_case(()))
    corrected = changed_between(plain, painted_in_case(in_case((Correction.NONE, None))))
    rows, columns = np.nonzero(corrected)
    assert 20 < columns.min() and columns.max() < 34 and rows.max() < 32
    struck = painted_in_case(in_case((None, Correction.EXCLUDED), counted=(True, False)))
    assert colour_at(struck, 42, 38) == HAND_COLOUR  # on the way from the lower left to the upper right
    assert not changed_between(plain, struck)[:, :30].any()


def changed_between(first: QImage, second: QImage) -> np.ndarray:
    pixels = [
        np.frombuffer(item.bits().asstring(item.sizeInBytes()), np.uint8).reshape(64, 64, 4) for item in (first, second)
    ]
    return (pixels[0] != pixels[1]).any(axis=2)


def test_a_selected_cell_is_ringed_in_white_within_black():
    image = QImage(128, 128, QImage.Format.Format_RGB32)
    image.fill(QColor(*GREY))
    painter = QPainter(image)
    paint_selected(painter, [factories.cell(CellClass.NONE, 30.0, 30.0, corners=72)], QPointF(2.0, 4.0), 2.0, 0.25)
    painter.end()
    # The outline's right end: 12 px from the centre, which lies at 30.5, at twice the size and moved.
    assert colour_at(image, round(2 + 2 * 42.5), round(4 + 2 * 30.5)) == (255, 255, 255)
    assert colour_at(image, 2 + 61, 4 + 61) == GREY
