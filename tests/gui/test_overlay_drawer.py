"""Overlays that are drawn aside: each reason to draw anew, and the drawing against plain painting by Qt."""

from __future__ import annotations

import dataclasses
import threading

import factories
import numpy as np
import pytest
from gui.fake_engine import live, tracked
from PyQt6.QtCore import QObject, QPointF, QRect, QThread
from PyQt6.QtGui import QColor, QImage, QPainter, QTransform
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication

from her2scope.domain.cells import CellClass
from her2scope.domain.corrections import Correction
from her2scope.domain.regions import Region, RegionKind
from her2scope.overlays.model import EVERYTHING, OverlaySelection, mark_of, marks_of
from her2scope.overlays.palette import PAPER, SAFE
from her2scope.records import FAINT, INTENSE
from her2scope.ui import fade, live_view, overlay_drawer
from her2scope.ui.field_view import FieldView
from her2scope.ui.images import pixels_of
from her2scope.ui.live_view import LiveView
from her2scope.ui.overlay_drawer import DrawnOverlay, OverlayDrawer, OverlayOrder, draw_overlay
from her2scope.ui.painters import CentrePainter, Marks, MembranePainter, marker_stamp

SIZE_HW = (200, 300)
CELLS = [factories.cell(name, 40.0 + 45 * place, 100.0) for place, name in enumerate(CellClass)]
MEMBRANE = np.zeros(SIZE_HW, np.uint8)
MEMBRANE[20:60, 30:200], MEMBRANE[120:131, 33:34] = FAINT, INTENSE
RESULT = factories.field_result(CELLS, SIZE_HW, membrane=MEMBRANE)
REGION = Region(1, RegionKind.EXCLUDE, 0, ((0.0, 0.0), (22.5, 0.0), (22.5, 50.0), (0.0, 50.0)))


def order(result=RESULT, zoom: float = 1.0, selection=EVERYTHING, **more) -> OverlayOrder:
    whole = QRect(0, 0, result.frame.size_hw[1], result.frame.size_hw[0])
    given = OverlayOrder(live(result), selection, SAFE, None, (), zoom, 1.0, whole)
    return dataclasses.replace(given, **more)


def colours(image: QImage) -> np.ndarray:
    own = image.copy()
    return pixels_of(own).astype(int)


# ---- as plain painting has it ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("zoom", [0.37, 0.8, 1.0, 2.0, 4.0])
def test_tint_is_as_qt_scales_it(zoom):
    """The reference: the tint as a picture of the whole frame, scaled by Qt."""
    tint = QImage(SIZE_HW[1], SIZE_HW[0], QImage.Format.Format_ARGB32)
    tint.fill(0)
    for y, x in np.argwhere(MEMBRANE > 0).tolist():
        red, green, blue = SAFE.membrane_faint if MEMBRANE[y, x] == FAINT else SAFE.membrane_intense
        tint.setPixelColor(x, y, QColor(red, green, blue, 130))
    ours = draw_overlay(order(zoom=zoom, selection=OverlaySelection(cells=False))).picture
    theirs = QImage(ours.size(), ours.format())
    theirs.fill(0)
    painter = QPainter(theirs)
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, zoom < 3)
    painter.setTransform(QTransform.fromScale(zoom, zoom))
    painter.drawImage(QPointF(0, 0), tint)
    painter.end()
    difference = np.abs(colours(ours) - colours(theirs))
    # Qt smooths the outermost pixels towards nothing; within, both interpolate between the same pixels.
    assert np.percentile(difference, 99) <= 6 and difference.mean() < 0.5


def test_tint_of_a_part_lies_where_that_of_the_whole_does():
    only = OverlaySelection(cells=False)
    whole = colours(draw_overlay(order(zoom=2.0, selection=only)).picture)
    part = colours(draw_overlay(order(zoom=2.0, selection=only, image_rect=QRect(25, 15, 60, 50))).picture)
    assert np.abs(part[4:96, 4:116] - whole[34:126, 54:166]).max() <= 2


@pytest.mark.parametrize("zoom", [0.5, 1.0, 3.0])
def test_markers_are_those_that_are_painted_one_by_one(zoom):
    """The reference: each cell's own mark, and its own stamp on the nearest whole pixel."""
    cells = [*CELLS, factories.cell(None, 150.0, 150.0), factories.cell(CellClass.NONE, 152.0, 152.0, edge=True)]
    ours, theirs = (QImage(900, 600, QImage.Format.Format_ARGB32_Premultiplied) for _ in range(2))
    for image in (ours, theirs):
        image.fill(0)
    painter = QPainter(ours)
    painter.setTransform(QTransform.fromScale(zoom, zoom))
    CentrePainter(SAFE).paint(painter, factories.field_result(cells, SIZE_HW), zoom)
    painter.end()
    painter = QPainter(theirs)
    for cell in cells:
        stamp = marker_stamp(mark_of(cell, SAFE), 4.5 * min(2.0, max(1.0, zoom)))
        half = stamp.width() / 2
        corner = np.round(np.array([cell.x_px + 0.5, cell.y_px + 0.5]) * zoom - half)
        painter.drawImage(QPointF(*corner), stamp)
    painter.end()
    assert (colours(ours) == colours(theirs)).all()


@pytest.mark.parametrize("result", [factories.field_result((), SIZE_HW), factories.field_result(CELLS[:1], SIZE_HW)])
def test_fields_of_no_and_of_one_cell(result):
    drawn = colours(draw_overlay(order(result, selection=OverlaySelection(membranes=False))).picture)
    assert drawn.any() == bool(result.cells)


def test_nothing_in_view_is_an_empty_drawing():
    assert not colours(draw_overlay(order(image_rect=QRect())).picture).any()


def test_marks_are_made_once_for_cells_that_look_alike():
    cells = [*CELLS, *CELLS, factories.cell(CellClass.NONE, 9.0, 9.0, edge=True)]
    flags = [place % 3 > 0 for place in range(len(cells))]
    words = [Correction.EXCLUDED if place % 4 == 0 else None for place in range(len(cells))]
    marks = marks_of(cells, SAFE, flags, words)
    assert marks == [mark_of(cell, SAFE, flag, word) for cell, flag, word in zip(cells, flags, words, strict=True)]
    plain = marks_of(cells, SAFE)
    assert all(plain[place] is plain[place + len(CELLS)] for place in range(len(CELLS)))


def test_the_tint_is_made_once_per_result():
    painter, made = MembranePainter(SAFE), []
    make = painter._make  # noqa: SLF001 - what is counted is how often it runs
    painter._make = lambda result: made.append(result) or make(result)  # noqa: SLF001
    canvas = QImage(300, 200, QImage.Format.Format_ARGB32_Premultiplied)
    other = dataclasses.replace(RESULT)
    for result in (RESULT, RESULT, other):
        with QPainter(canvas) as target:
            painter.paint(target, result, 1.0)
    assert made == [RESULT, other]
    marks = Marks(SAFE)
    assert marks.of(RESULT) is marks.of(RESULT)


# ---- when it is drawn anew ------------------------------------------------------------------------------------------


@pytest.fixture
def drawn(monkeypatch) -> list[OverlayOrder]:
    """Orders that were drawn at once or aside."""
    orders: list[OverlayOrder] = []

    def draw(given: OverlayOrder) -> DrawnOverlay:
        orders.append(given)
        return draw_overlay(given)

    monkeypatch.setattr(live_view, "draw_overlay", draw)
    monkeypatch.setattr(overlay_drawer, "draw_overlay", draw)
    return orders


@pytest.fixture
def view(qtbot, monkeypatch, drawn) -> LiveView:
    """A view with a drawn overlay that does not fade."""
    monkeypatch.setattr(fade, "FADE_MS", 0)
    made = LiveView(SAFE, OverlaySelection(membranes=False))
    qtbot.addWidget(made)
    made.resize(SIZE_HW[1], SIZE_HW[0])
    made.show()
    qtbot.waitExposed(made)
    made.show_frame(tracked(RESULT))
    made.show_result(live(RESULT))
    QTest.qWait(1)
    made._drawer.rest()  # noqa: SLF001 - what it still draws of this picture would come in the midst of a test
    QTest.qWait(1)
    made._drawer.rest()  # noqa: SLF001 - and what that painting asked for
    made.finish_overlay()
    made.grab()
    drawn.clear()
    return made


def redraw(view: LiveView) -> None:
    view.finish_overlay()
    view.grab()


def new_result(view):
    view.show_result(live(dataclasses.replace(RESULT)))


def other_layers(view):
    view.set_style(OverlaySelection(membranes=False, outlines=True), SAFE)


def other_palette(view):
    view.set_style(OverlaySelection(membranes=False), PAPER)


def other_zoom(view):
    view.zoom_by(2.0)


def other_regions(view):
    view.show_case(factories.case_view([], regions=(REGION,)))


@pytest.mark.parametrize("change", [new_result, other_layers, other_palette, other_zoom, other_regions])
def test_each_of_these_needs_one_new_drawing(view, drawn, change):
    change(view)
    for _ in range(3):
        redraw(view)
    assert len(drawn) == 1


def test_so_does_a_place_that_was_not_drawn_yet(view, drawn):
    view.zoom_by(4.0)
    redraw(view)
    view.bring_into_view(QPointF(5.0, 5.0), 20.0)
    redraw(view)
    redraw(view)
    assert len(drawn) == 2


def tissue_moves(view):
    for place in range(20):
        view.show_frame(tracked(RESULT, x_px=float(place)))
        view.grab()


def same_style(view):
    view.set_style(OverlaySelection(membranes=False), SAFE)


def cell_selected(view):
    view.show_selected(view.live, (0,))


def a_notice(view):
    view.show_notice("Not live")


def case_without_new_regions(view):
    view.show_case(factories.case_view([]))


def unusable_result(view):
    blurred = dataclasses.replace(RESULT, quality=dataclasses.replace(RESULT.quality, usable=False, codes=("blurred",)))
    view.show_result(live(blurred))


@pytest.mark.parametrize(
    "change", [tissue_moves, same_style, cell_selected, a_notice, case_without_new_regions, unusable_result]
)
def test_none_of_these_needs_a_new_drawing(view, drawn, change):
    change(view)
    redraw(view)
    assert drawn == []


def test_an_accepted_field_is_drawn_anew_when_a_cell_is_corrected_only(qtbot, drawn):
    view = FieldView(SAFE, OverlaySelection())
    qtbot.addWidget(view)
    view.resize(SIZE_HW[1], SIZE_HW[0])
    field = factories.accepted(RESULT)
    view.show_field(field)
    redraw(view)
    view.show_field(field)
    redraw(view)
    assert len(drawn) == 1
    words = (Correction.NONE, *(None,) * (len(CELLS) - 1))
    view.show_field(dataclasses.replace(field, corrections=words))
    redraw(view)
    assert len(drawn) == 2 and drawn[-1].field.corrections == words


def test_the_last_drawing_moves_on_until_the_next_is_there(view, drawn, monkeypatch):
    """The drawing of the new result waits; what is on the picture is still right for its tissue."""
    painted = []
    view.meter.listen(painted.append)
    monkeypatch.setattr(OverlayDrawer, "ask", lambda _self, _order: None)
    view.show_result(live(dataclasses.replace(RESULT), x_px=10.0))
    view.show_frame(tracked(RESULT, x_px=20.0))
    picture = view.grab().toImage()
    assert QColor(picture.pixel(40 - 20, 100)).getRgb()[:3] == SAFE.classes[next(iter(CellClass))]
    assert painted[-1].overlay_captured_s == 0.0 and not painted[-1].overlay_is_new and drawn == []


def test_the_last_drawing_goes_where_its_place_was_only_guessed(view, monkeypatch):
    view.show_result(live(dataclasses.replace(RESULT), trusted=False))
    redraw(view)
    painted = []
    view.meter.listen(painted.append)
    monkeypatch.setattr(OverlayDrawer, "ask", lambda _self, _order: None)
    view.show_result(live(dataclasses.replace(RESULT)))
    view.show_frame(tracked(RESULT, x_px=20.0))
    QTest.qWait(1)
    view.grab()
    assert view.state.visible and painted[-1].overlay_captured_s is None


def test_another_field_s_marks_are_never_on_a_field(qtbot, monkeypatch):
    view = FieldView(SAFE, OverlaySelection())
    qtbot.addWidget(view)
    view.resize(SIZE_HW[1], SIZE_HW[0])
    view.show_field(factories.accepted(RESULT))
    redraw(view)
    monkeypatch.setattr(OverlayDrawer, "ask", lambda _self, _order: None)
    empty = factories.field_result((), SIZE_HW)
    view.show_field(factories.accepted(empty, 2))
    bare = view.grab().toImage()
    view.finish_overlay()
    assert view.grab().toImage() == bare


def test_the_meter_hears_of_each_overlay_once(view):
    painted = []
    view.meter.listen(painted.append)
    view.grab()
    new_result(view)
    redraw(view)
    view.grab()
    assert [item.overlay_is_new for item in painted] == [False, True, False]


# ---- aside ----------------------------------------------------------------------------------------------------------


class Taker(QObject):
    """Takes drawings, and notes on which thread; a slot of a QObject is called on its own."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[QThread | None] = []

    def take(self, _drawn: DrawnOverlay) -> None:
        self.threads.append(QThread.currentThread())


def test_drawings_are_made_in_a_thread_and_arrive_on_the_gui_thread(qapp, qtbot, monkeypatch):
    drawer, taker, threads = OverlayDrawer(), Taker(), []
    monkeypatch.setattr(
        overlay_drawer, "draw_overlay", lambda given: threads.append(threading.current_thread()) or draw_overlay(given)
    )
    drawer.drawn.connect(taker.take)
    drawer.ask(order())
    qtbot.waitUntil(lambda: bool(taker.threads))
    drawer.rest()
    assert taker.threads == [qapp.thread()]
    assert threads[0] is not threading.main_thread() and not threads[0].is_alive()


def test_only_the_newest_order_counts(qapp, monkeypatch):
    drawer, begun, go_on, drawn = OverlayDrawer(), threading.Event(), threading.Event(), []

    def slow(given: OverlayOrder) -> DrawnOverlay:
        drawn.append(given)
        begun.set()
        assert go_on.wait(10)
        return draw_overlay(given)

    monkeypatch.setattr(overlay_drawer, "draw_overlay", slow)
    orders = [order(zoom=zoom) for zoom in (1.0, 1.1, 1.2, 1.3)]
    drawer.ask(orders[0])
    assert begun.wait(10)
    begun.clear()
    for given in (*orders[1:], orders[-1]):
        drawer.ask(given)
    go_on.set()
    assert begun.wait(10)
    drawer.rest()
    assert drawn == [orders[0], orders[-1]]


def test_nothing_arrives_after_rest_and_the_next_order_is_drawn_again(qtbot):
    drawer, arrived = OverlayDrawer(), []
    drawer.drawn.connect(arrived.append)
    drawer.rest()
    given = order()
    for _ in range(2):
        with qtbot.waitSignal(drawer.drawn):
            drawer.ask(given)
        drawer.rest()
    QApplication.processEvents()
    assert [item.order for item in arrived] == [given, given]


def test_a_drawing_that_fails_does_not_end_the_thread(qtbot, monkeypatch, caplog):
    drawer, failing = OverlayDrawer(), order()
    real = draw_overlay

    def draw(given: OverlayOrder) -> DrawnOverlay:
        if given is failing:
            raise RuntimeError("no memory")
        return real(given)

    monkeypatch.setattr(overlay_drawer, "draw_overlay", draw)
    drawer.ask(failing)
    qtbot.waitUntil(lambda: "could not be drawn" in caplog.text)
    with qtbot.waitSignal(drawer.drawn):
        drawer.ask(order(zoom=2.0))
    drawer.rest()
