from __future__ import annotations

import dataclasses

import factories
import numpy as np
import pytest
from gui.fake_engine import live, tracked
from PyQt6.QtCore import QEvent, QObject, QPoint, QPointF, QRect, Qt, QVariantAnimation
from PyQt6.QtGui import QColor, QImage, QPaintEvent, QWheelEvent
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication

from her2scope.domain.cells import CellClass
from her2scope.domain.regions import Region, RegionKind
from her2scope.overlays.model import NOTHING, OverlaySelection
from her2scope.overlays.palette import SAFE
from her2scope.pipeline.live import Mode
from her2scope.records import Frame, QualityReport, TrackedFrame
from her2scope.ui import fade
from her2scope.ui.frame_picture import touched
from her2scope.ui.live_view import LiveView
from her2scope.ui.theme import THEME

SIZE_HW = (200, 300)
CLASS = CellClass.COMPLETE_INTENSE
RED = SAFE.classes[CLASS]
BLURRED = QualityReport(False, ("blurred",), ("out of focus",), 0.1, 0.0, 0.8)


def field_with_cell_at(x_px: float, y_px: float):
    return factories.field_result([factories.cell(CLASS, x_px, y_px)], SIZE_HW)


RESULT = field_with_cell_at(150.0, 100.0)


@pytest.fixture
def view(qtbot, monkeypatch) -> LiveView:
    """A view in which one image pixel is one screen pixel, and which fades within 20 ms."""
    monkeypatch.setattr(fade, "FADE_MS", 20)
    made = LiveView(SAFE, OverlaySelection(membranes=False, cells=True))
    qtbot.addWidget(made)
    made.resize(SIZE_HW[1], SIZE_HW[0])
    made.show()
    qtbot.waitExposed(made)
    return made


def picture_of(view: LiveView) -> QImage:
    """The view with its newest overlay, which else is drawn aside and comes a moment later."""
    view.finish_overlay()
    return view.grab().toImage()


def colour_at(view: LiveView, x: int, y: int) -> tuple[int, int, int]:
    return QColor(picture_of(view).pixel(x, y)).getRgb()[:3]


def overlay_at(view: LiveView, x: int, y: int) -> bool:
    return colour_at(view, x, y) == RED


def wait_for_fade(view: LiveView) -> None:
    fading = view.findChild(QVariantAnimation)
    for _ in range(100):
        if fading.state() == QVariantAnimation.State.Stopped:
            return
        QTest.qWait(10)
    pytest.fail("the overlay still fades")


def show(view: LiveView, frame: TrackedFrame, result=RESULT, **place) -> None:
    view.show_frame(frame)
    view.show_result(live(result, **place))
    wait_for_fade(view)


def test_overlay_on_its_own_frame(view):
    show(view, tracked(RESULT))
    assert overlay_at(view, 150, 100)


def test_the_overlay_goes_with_a_picture_that_is_not_live(view):
    show(view, tracked(RESULT))
    view.show_camera("Not live: unplugged")
    wait_for_fade(view)
    assert view.state.why_off == "not live" and view.drawn is None
    view.show_camera("")
    wait_for_fade(view)
    assert view.state.visible and overlay_at(view, 150, 100)


def test_overlay_moves_with_the_tissue(view):
    show(view, tracked(RESULT))
    view.show_frame(tracked(RESULT, x_px=20.0, y_px=-10.0))
    assert overlay_at(view, 130, 110)
    assert not overlay_at(view, 150, 100)


def test_overlay_and_tissue_move_alike(view):
    # The tissue itself carries a mark where the cell is: both must be found at one place after the move.
    rgb = np.full((*SIZE_HW, 3), 200, np.uint8)
    rgb[80:121, 130:171] = (0, 90, 0)
    result = factories.field_result([factories.cell(CLASS, 150.0, 100.0)], rgb=rgb)
    show(view, tracked(result), result)
    view.show_frame(tracked(result, x_px=-33.0, y_px=25.0, shift=True))
    picture = picture_of(view)
    green = [
        (x, y) for x in range(300) for y in range(200) if QColor(picture.pixel(x, y)).getRgb()[:3] in [(0, 90, 0), RED]
    ]
    xs, ys = zip(*green, strict=True)
    assert (min(xs), max(xs), min(ys), max(ys)) == (163, 203, 55, 95)
    assert overlay_at(view, 183, 75)


def test_overlay_moves_at_every_zoom(view):
    show(view, tracked(RESULT))
    view.zoom_by(2.0)
    view.show_frame(tracked(RESULT, x_px=10.0))
    at = view.viewport.to_screen(QPointF(140.5, 100.5)).toPoint()
    assert overlay_at(view, at.x(), at.y())


def test_overlay_is_gone_at_once_on_other_tissue(view):
    show(view, tracked(RESULT))
    view.show_frame(tracked(RESULT, island=1))
    assert not overlay_at(view, 150, 100)
    assert view.state.why_off == "analysing"


def test_overlay_comes_back_with_the_analysis_of_the_new_place(view):
    show(view, tracked(RESULT))
    elsewhere = field_with_cell_at(60.0, 60.0)
    show(view, tracked(elsewhere, island=1), elsewhere, island=1)
    assert overlay_at(view, 60, 60)
    assert not overlay_at(view, 150, 100)


def test_overlay_fades_when_the_picture_blurs(view):
    show(view, tracked(RESULT))
    view.show_result(live(factories.field_result((), SIZE_HW, quality=BLURRED)))
    assert view.state.why_off == "out of focus"
    wait_for_fade(view)
    assert not overlay_at(view, 150, 100)
    view.show_result(live(RESULT))
    wait_for_fade(view)
    assert overlay_at(view, 150, 100)


def test_fading_overlay_still_moves_with_its_tissue(view):
    show(view, tracked(RESULT))
    view.show_result(live(factories.field_result((), SIZE_HW, quality=BLURRED)))
    view.show_frame(tracked(RESULT, x_px=20.0))
    assert colour_at(view, 150, 100) == (200, 200, 200)


def test_overlay_off_by_choice_draws_nothing(view):
    show(view, tracked(RESULT))
    view.set_style(NOTHING, SAFE)
    assert not overlay_at(view, 150, 100)
    view.set_style(OverlaySelection(), SAFE)
    assert overlay_at(view, 150, 100)


def test_overlay_never_leaves_the_picture(view):
    # The view is wider than the picture, and the moved cell would lie in the empty room beside it.
    view.resize(500, 200)
    show(view, tracked(RESULT), field_with_cell_at(290.0, 100.0))
    view.show_frame(tracked(RESULT, x_px=-30.0))
    picture = picture_of(view)
    assert all(QColor(picture.pixel(x, 100)).getRgb()[:3] != RED for x in range(401, 500))


def test_what_is_said_of_the_overlay_changes_only_when_it_does(view, qtbot):
    said = []
    view.overlay_changed.connect(lambda state: said.append(state.why_off))
    show(view, tracked(RESULT))
    for place in range(5):
        view.show_frame(tracked(RESULT, x_px=float(place)))
    view.show_frame(tracked(RESULT, island=2))
    assert said == ["analysing", "", "analysing"]


def test_new_frame_size_is_shown_whole(view):
    show(view, tracked(RESULT))
    view.zoom_by(4)
    wide = Frame(np.full((100, 400, 3), 90, np.uint8), 1, 0.1, 0.5)
    view.show_frame(TrackedFrame(wide, island=1))
    assert view.viewport.is_fitted
    assert colour_at(view, 150, 30) == (90, 90, 90)


def wheel(view: LiveView, at: QPoint, notches: int) -> None:
    event = QWheelEvent(
        QPointF(at),
        QPointF(view.mapToGlobal(at)),
        QPoint(),
        QPoint(0, 120 * notches),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(view, event)


def test_wheel_zooms_about_the_cursor(view):
    show(view, tracked(RESULT))
    before = view.viewport.to_image(QPointF(70, 50))
    wheel(view, QPoint(70, 50), 5)
    after = view.viewport.to_image(QPointF(70, 50))
    assert view.viewport.zoom == pytest.approx(1.2**5, rel=0.05)
    assert (after.x(), after.y()) == pytest.approx((before.x(), before.y()), abs=1e-6)
    wheel(view, QPoint(70, 50), -20)
    assert view.viewport.is_fitted


def drag(view: LiveView, button=Qt.MouseButton.LeftButton, modifiers=Qt.KeyboardModifier.NoModifier) -> None:
    QTest.mousePress(view, button, modifiers, QPoint(100, 100))
    QTest.mouseMove(view, QPoint(140, 90))
    QTest.mouseRelease(view, button, modifiers, QPoint(140, 90))


def test_drag_moves_the_stage_so_that_the_tissue_follows_the_hand(view):
    moved = []
    view.stage_drag_um.connect(lambda dx, dy: moved.append((dx, dy)))
    view.stage_draggable = True
    show(view, tracked(RESULT))
    drag(view)
    total = np.array(moved).sum(axis=0)
    # 40 px to the right and 10 px up at 0.25 um/px.
    assert total == pytest.approx([-10.0, 2.5])


@pytest.mark.parametrize(
    ("button", "modifiers"),
    [
        (Qt.MouseButton.MiddleButton, Qt.KeyboardModifier.NoModifier),
        (Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ControlModifier),
    ],
)
def test_middle_button_and_ctrl_pan_the_view(view, button, modifiers):
    moved = []
    view.stage_drag_um.connect(lambda *by: moved.append(by))
    view.stage_draggable = True
    show(view, tracked(RESULT))
    view.zoom_by(3)
    before = view.viewport.centre
    drag(view, button, modifiers)
    assert moved == []
    assert view.viewport.centre != before


def test_enlarged_picture_is_panned_not_moved(view):
    moved = []
    view.stage_drag_um.connect(lambda *by: moved.append(by))
    view.stage_draggable = True
    show(view, tracked(RESULT))
    view.zoom_by(2)
    held = view.viewport.to_image(QPointF(100, 100))
    drag(view)
    now = view.viewport.to_image(QPointF(140, 90))
    assert moved == []
    assert (now.x(), now.y()) == pytest.approx((held.x(), held.y()), abs=0.1)


def test_no_picture_yet_says_so(view):
    assert view.state.why_off == "no picture yet"
    picture = picture_of(view)
    brightest = max(QColor(picture.pixel(x, y)).green() for x in range(300) for y in range(80, 120))
    assert brightest > 180


def test_cells_that_outlines_leave_out_are_grey_on_the_live_picture(view):
    cells = [factories.cell(CLASS, x_px, 100.0) for x_px in (60.0, 150.0, 240.0)]
    result = factories.field_result(cells, SIZE_HW)
    corners_um = ((0.0, 0.0), (22.5, 0.0), (22.5, 50.0), (0.0, 50.0))  # the left 90 px
    show(view, tracked(result), result)
    assert [overlay_at(view, x, 100) for x in (60, 150, 240)] == [True, True, True] and view.n_left_out == 0
    view.show_case(factories.case_view([], regions=(Region(1, RegionKind.EXCLUDE, 0, corners_um),)))
    assert [overlay_at(view, x, 100) for x in (60, 150, 240)] == [False, True, True] and view.n_left_out == 1
    show(view, tracked(result, x_px=50.0), dataclasses.replace(result), x_px=50.0)
    assert [overlay_at(view, x, 100) for x in (60, 150, 240)] == [True, True, True], "the stage moved: other cells"
    show(view, tracked(result), dataclasses.replace(result), mode=Mode.CONTROL)
    assert overlay_at(view, 60, 100) and view.n_left_out == 0, "a control is read whole"


def test_while_sweeping_only_invasive_tumour_looks_counted(view):
    cells = [factories.cell(CLASS, x_px, 100.0) for x_px in (60.0, 240.0)]
    result = factories.field_result(cells, SIZE_HW)
    corners_um = ((0.0, 0.0), (22.5, 0.0), (22.5, 50.0), (0.0, 50.0))
    view.show_case(factories.case_view([], regions=(Region(1, RegionKind.INVASIVE, 0, corners_um),)))
    show(view, tracked(result), result)
    assert overlay_at(view, 60, 100) and overlay_at(view, 240, 100), "Space counts the whole field"
    view.show_sweep(True)
    assert overlay_at(view, 60, 100) and not overlay_at(view, 240, 100) and view.n_left_out == 1
    view.show_sweep(False)
    assert overlay_at(view, 240, 100)


class Painted(QObject):
    """Notes what of a widget is asked to be painted."""

    def __init__(self, view: LiveView) -> None:
        super().__init__()
        self.rects: list[QRect] = []
        view.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if isinstance(event, QPaintEvent):
            self.rects.append(event.rect())
        return False


def on_screen(view: LiveView) -> QImage:
    """What lies on the screen once it stays: all that was painted piece by piece.

    A window system resizes and uncovers windows when it likes, and tells it later: one look may come before that.
    """
    last = None
    for _ in range(100):
        QTest.qWait(20)
        now = view.screen().grabWindow(view.winId()).toImage()
        if now == last:
            return now
        last = now
    pytest.fail("the picture on the screen does not come to rest")


def painted_whole(view: LiveView) -> QImage:
    view.update()
    return on_screen(view)


@pytest.mark.parametrize(("width", "height"), [(300, 320), (470, 200), (401, 367), (300, 200)])
def test_a_new_frame_is_painted_where_it_lies_and_what_is_around_it_stays_right(view, width, height):
    view.resize(width, height)
    view.set_style(NOTHING, SAFE)
    view.show_frame(dataclasses.replace(tracked(RESULT), doubt="no scale, and no bar"))
    on_screen(view)
    painted = Painted(view)
    for seed in range(3):
        rgb = np.random.default_rng(seed).integers(0, 255, (*SIZE_HW, 3)).astype(np.uint8)
        frame = tracked(factories.field_result([], rgb=rgb))
        view.show_frame(dataclasses.replace(frame, doubt="no scale, and no bar"))
        shown = on_screen(view)
        assert shown == painted_whole(view)
    place = view.viewport.picture_rect().toAlignedRect() & view.rect()
    pieces = [rect for rect in painted.rects if rect != view.rect()]
    piece = touched(view.viewport) & view.rect()
    assert piece == view.rect() or (pieces and all(rect == piece for rect in pieces))
    around = [(x, y) for x in range(width) for y in range(height) if not place.contains(x, y)]
    assert {shown.pixelColor(x, y).name() for x, y in around} <= {THEME.picture, THEME.accent}, "that is the focus"


def test_a_frame_of_another_scale_is_painted_with_its_scale_bar(view):
    view.resize(300, 320)
    view.show_frame(tracked(RESULT))
    before = on_screen(view)
    frame = dataclasses.replace(RESULT.frame, um_per_px=4 * RESULT.frame.um_per_px)
    view.show_frame(TrackedFrame(frame))
    after = on_screen(view)
    assert after == painted_whole(view)
    assert after != before
    view.show_frame(TrackedFrame(frame, doubt="the scale is not known"))
    assert on_screen(view) not in (before, after), "without a scale there is no bar"
