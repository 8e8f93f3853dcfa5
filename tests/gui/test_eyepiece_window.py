"""The eyepiece's window: black where nothing is to be added, marks where the map puts the tissue, else a reason."""

from __future__ import annotations

import dataclasses

import factories
import numpy as np
import pytest
from gui.fake_engine import live, tracked
from PyQt6.QtCore import QTimer, QVariantAnimation
from PyQt6.QtGui import QImage, QPainter
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QWidget

from her2scope.domain.cells import CellClass
from her2scope.domain.regions import Region, RegionKind
from her2scope.imaging.calibration.eyepiece_map import to_display
from her2scope.overlays.eyepiece_palette import EYEPIECE
from her2scope.overlays.palette import REGION_COLOURS
from her2scope.pipeline.live import CameraPhase, CameraStatus
from her2scope.records import FAINT, INTENSE, QualityReport
from her2scope.settings.eyepiece import EyepieceMap, EyepieceMaps, EyepieceView
from her2scope.ui import fade
from her2scope.ui.eyepiece_drawing import MarkOrder, MarkStyle, draw_marks
from her2scope.ui.eyepiece_marks import paint_lines
from her2scope.ui.eyepiece_window import EyepieceWindow
from her2scope.ui.eyepiece_words import Line
from her2scope.ui.images import pixels_of

SIZE_HW, DISPLAY_WH = (200, 300), (640, 480)
CLASS = CellClass.COMPLETE_INTENSE
COLOUR = EYEPIECE.classes[CLASS]
CELL = (180.0, 80.0)
RESULT = factories.field_result([factories.cell(CLASS, *CELL)], SIZE_HW)
MATRIX = ((-1.5, 0.2, 540.0), (0.25, 1.4, 60.0))
"""Mirrored, turned and sheared."""
MAPS = EyepieceMaps({"40x": EyepieceMap(MATRIX, (300, 200), DISPLAY_WH, "2026-01-15", 0.4, 9)})
MARKERS = EyepieceView(
    outlines=False, markers=True, regions=False, border=False, score=False, control=False, mode=False, camera=False
)
LIVE = CameraStatus(CameraPhase.LIVE, "live")
BLURRED = QualityReport(False, ("blurred",), ("out of focus",), 0.1, 0.0, 0.8)


@pytest.fixture
def make(qtbot, monkeypatch):
    monkeypatch.setattr(fade, "FADE_MS", 20)
    made: list[EyepieceWindow] = []

    def build(view: EyepieceView = MARKERS, maps: EyepieceMaps = MAPS, *, feed: bool = True) -> EyepieceWindow:
        window = EyepieceWindow(view, maps)
        made.append(window)
        qtbot.addWidget(window)
        window.resize(*DISPLAY_WH)
        window.show()
        if feed:
            window.show_camera(LIVE)
            window.show_frame(tracked(RESULT))
            window.show_result(live(RESULT))
            wait_for_fade(window)
        return window

    yield build
    for window in made:
        window.close()


def wait_for_fade(window: EyepieceWindow) -> None:
    fading = window.findChild(QVariantAnimation)
    for _ in range(100):
        if fading.state() == QVariantAnimation.State.Stopped:
            return
        QTest.qWait(10)
    pytest.fail("the marks still fade")


def pixels(window: EyepieceWindow) -> np.ndarray:
    """`(H, W, 3)` RGB of the display."""
    window.finish_drawing()
    image = window.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    return pixels_of(image)[..., 2::-1].copy()


def middle_of(rgb: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Middle (x, y) of all pixels of a colour."""
    rows, columns = np.nonzero((rgb == colour).all(axis=2))
    assert len(rows), "no pixel of that colour"
    return np.array([columns.mean(), rows.mean()])


def is_black(rgb: np.ndarray) -> bool:
    return not rgb.any()


def test_a_mark_lies_where_the_map_puts_its_cell_and_all_else_is_black(make):
    rgb = pixels(make())
    place = to_display(MATRIX, [CELL])[0]
    assert middle_of(rgb, COLOUR) == pytest.approx(place, abs=1.0)
    x, y = np.round(place).astype(int)
    rgb[y - 20 : y + 21, x - 20 : x + 21] = 0
    assert is_black(rgb)


def test_marks_move_with_the_tissue(make):
    window = make()
    window.show_frame(tracked(RESULT, x_px=40.0, y_px=-30.0))
    assert middle_of(pixels(window), COLOUR) == pytest.approx(to_display(MATRIX, [(140.0, 110.0)])[0], abs=1.0)


def test_no_mark_lies_outside_of_the_camera_picture(make):
    window = make()
    assert (pixels(window) == COLOUR).all(axis=2).any()
    window.show_frame(tracked(RESULT, x_px=CELL[0] + 20.0))
    assert window.state.visible and not (pixels(window) == COLOUR).all(axis=2).any()


def test_an_outline_has_its_width_on_the_display(make):
    result = factories.field_result([factories.cell(CLASS, 150.0, 100.0, radius_px=60.0, corners=200)], SIZE_HW)
    double = ((2.0, 0.0, 20.0), (0.0, 2.0, 40.0))
    for line_px in (1.0, 3.0, 5.0, 7.0, 12.0):
        style = MarkStyle(outlines=True, markers=False, membranes=False, line_px=line_px)
        drawn = draw_marks(MarkOrder(live(result), style, EYEPIECE, double, DISPLAY_WH))
        line = pixels_of(drawn.picture)[round(240 - drawn.corner.y()), :, 3].astype(float) / 255
        assert line.sum() / 2 == pytest.approx(line_px, abs=1.0)  # it crosses both sides of the cell
        left = np.nonzero(line > 0.4)[0][0] + drawn.corner.x()
        assert left == pytest.approx(2 * 90 + 20.5 - line_px / 2, abs=1.0)


def test_membranes_are_tinted_where_they_are(make):
    membrane = np.zeros(SIZE_HW, np.uint8)
    membrane[40:60, 100:130], membrane[120:140, 200:230] = FAINT, INTENSE
    result = factories.field_result((), SIZE_HW, membrane=membrane)
    style = MarkStyle(outlines=False, markers=False, membranes=True, line_px=2.0)
    drawn = draw_marks(MarkOrder(live(result), style, EYEPIECE, MATRIX, DISPLAY_WH))
    corner = np.array([drawn.corner.x(), drawn.corner.y()])
    for colour, middle in ((EYEPIECE.membrane_faint, (114.5, 49.5)), (EYEPIECE.membrane_intense, (214.5, 129.5))):
        found = middle_of(pixels_of(drawn.picture)[..., 2::-1], colour) + corner
        assert found == pytest.approx(to_display(MATRIX, [middle])[0], abs=1.0)


def test_cells_that_do_not_count_are_dashed():
    cells = [factories.cell(CLASS, 150.0, 100.0, radius_px=60.0, corners=200)]
    result, style = factories.field_result(cells, SIZE_HW), MarkStyle(True, False, False, 3.0)
    whole, left_out = (
        draw_marks(MarkOrder(live(result), style, EYEPIECE, MATRIX, DISPLAY_WH, flags)) for flags in ((), (True,))
    )
    covered = [(pixels_of(drawn.picture)[..., 3] > 128).sum() for drawn in (whole, left_out)]
    assert 0.3 < covered[1] / covered[0] < 0.8


@pytest.mark.parametrize(
    "result", [factories.field_result((), SIZE_HW), factories.field_result([factories.cell(None)])]
)
def test_a_field_without_tumour_cells_can_be_drawn(result):
    style = MarkStyle(True, True, True, 3.0)
    assert not draw_marks(MarkOrder(live(result), style, EYEPIECE, MATRIX, DISPLAY_WH)).picture.isNull()


def test_a_picture_that_lies_beside_the_display_is_not_drawn():
    beside = ((1.0, 0.0, 9000.0), (0.0, 1.0, 0.0))
    drawn = draw_marks(MarkOrder(live(RESULT), MarkStyle(True, True, True, 3.0), EYEPIECE, beside, DISPLAY_WH))
    assert drawn.picture.width() == 0


def test_a_camera_that_sees_far_more_than_the_display_makes_no_huge_drawing():
    large = ((400.0, 0.0, 0.0), (0.0, 400.0, 0.0))
    drawn = draw_marks(MarkOrder(live(RESULT), MarkStyle(True, True, True, 3.0), EYEPIECE, large, DISPLAY_WH))
    assert drawn.picture.width() <= 2 * DISPLAY_WH[0] + 2 and drawn.picture.height() <= 2 * DISPLAY_WH[1] + 2


# ---- when nothing may be shown ------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", [CameraPhase.LOST, CameraPhase.STALLED, CameraPhase.STARTING])
def test_marks_are_gone_at_once_when_the_camera_is(make, phase):
    window = make()
    window.show_camera(CameraStatus(phase, "no frames"))
    assert not (pixels(window) == COLOUR).all(axis=2).any()
    assert phase.value in window.lines[-1].text
    window.show_camera(LIVE)
    assert not (pixels(window) == COLOUR).all(axis=2).any()  # old frames say nothing of where the tissue is now
    window.show_frame(tracked(RESULT))
    wait_for_fade(window)
    assert (pixels(window) == COLOUR).all(axis=2).any()


def test_marks_are_gone_when_frames_stop_coming(make):
    window = make()
    silence = window.findChild(QTimer)
    assert silence.isActive() and silence.interval() <= 1000
    silence.timeout.emit()
    assert not (pixels(window) == COLOUR).all(axis=2).any()
    assert "no new picture" in window.lines[-1].text
    window.show_frame(tracked(RESULT))
    assert window.state.visible


def test_marks_are_gone_at_once_while_the_stage_moves(make):
    window = make()
    window.show_frame(tracked(RESULT, x_px=5.0, speed_um_per_s=100.0))
    assert not (pixels(window) == COLOUR).all(axis=2).any()
    assert "stage moving" in window.lines[-1].text


def test_marks_fade_when_the_picture_blurs(make):
    window = make()
    window.show_result(live(factories.field_result((), SIZE_HW, quality=BLURRED)))
    wait_for_fade(window)
    assert not (pixels(window) == COLOUR).all(axis=2).any()
    assert "out of focus" in window.lines[-1].text


def test_without_a_map_there_are_words_alone(make):
    window = make(maps=EyepieceMaps())
    assert "not calibrated for 40x" in window.lines[-1].text
    assert not (pixels(window) == COLOUR).all(axis=2).any()
    window.set_maps(MAPS)
    wait_for_fade(window)
    assert (pixels(window) == COLOUR).all(axis=2).any()


def test_a_display_of_another_size_shows_no_marks(make):
    window = make()
    window.resize(500, 400)
    assert "another display size" in window.state.why_off


def test_own_score_first_hides_the_marks(make):
    window = make()
    window.show_blind(True)
    assert not (pixels(window) == COLOUR).all(axis=2).any()


def test_changes_of_what_is_said_are_told(make):
    window, told = make(), []
    window.state_changed.connect(lambda state: told.append(state.why_off))
    window.show_frame(tracked(RESULT, speed_um_per_s=100.0))
    window.show_frame(tracked(RESULT, speed_um_per_s=101.0))
    window.show_frame(tracked(RESULT))
    assert told == ["stage moving", ""]


# ---- what else is shown -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "where"),
    [("border", (2, 100)), ("crosshair", (149.5, 99.5))],
)
def test_border_and_crosshair_lie_on_the_picture(make, name, where):
    plain = dataclasses.replace(MARKERS, markers=False, outlines=True)
    without, having = pixels(make(plain)), pixels(make(dataclasses.replace(plain, **{name: True})))
    x, y = np.round(to_display(MATRIX, [where])[0]).astype(int)
    around = np.s_[y - 8 : y + 9, x - 8 : x + 9]
    assert not without[around].any() and having[around].any()


def test_cells_left_out_by_the_reader_change_with_the_regions(make):
    window = make()
    scale = RESULT.frame.um_per_px
    corners = tuple((x * scale, y * scale) for x, y in ((0, 0), (300, 0), (300, 200), (0, 200)))
    region = Region(1, RegionKind.EXCLUDE, 0, corners, None)
    case = dataclasses.replace(factories.case_view([]), regions=(region,))
    assert (pixels(window) == COLOUR).all(axis=2).any()
    window.show_case(case)
    assert not (pixels(window) == COLOUR).all(axis=2).any() and (pixels(window) == EYEPIECE.edge).all(axis=2).any()
    window.show_case(dataclasses.replace(case, regions=()))
    assert (pixels(window) == COLOUR).all(axis=2).any()
    window.show_sweep(True)
    assert not (pixels(window) == COLOUR).all(axis=2).any()


def test_nothing_chosen_is_said(make):
    window = make(dataclasses.replace(MARKERS, markers=False))
    assert window.lines[-1].text == "! No marks: none chosen"


def test_regions_are_outlined_where_they_are(make):
    window = make(dataclasses.replace(MARKERS, regions=True))
    scale = RESULT.frame.um_per_px
    corners = tuple((x * scale, y * scale) for x, y in ((40, 120), (140, 120), (140, 180), (40, 180)))
    region = Region(1, RegionKind.INVASIVE, 0, corners, None)
    window.show_case(dataclasses.replace(factories.case_view([]), regions=(region,)))
    x, y = np.round(to_display(MATRIX, [(39.5, 150)])[0]).astype(int)
    assert (pixels(window)[y - 3 : y + 4, x - 3 : x + 4] == REGION_COLOURS[RegionKind.INVASIVE]).all(axis=2).any()


def written(view: EyepieceView) -> np.ndarray:
    """How much is lit, in 20 x 20 places of a display on which two lines are written in the middle."""
    display = QImage(400, 400, QImage.Format.Format_RGB32)
    display.fill(0)
    painter = QPainter(display)
    view = dataclasses.replace(view, text_x_share=0.5, text_y_share=0.5)
    paint_lines(painter, [Line("2+  equivocal"), Line("L", "bad")], (400, 400), view, EYEPIECE)
    painter.end()
    return pixels_of(display)[..., :3].max(axis=2).reshape(20, 20, 20, 20).mean(axis=(1, 3))


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("turned", [0, 90, 180, 270])
def test_words_stand_as_the_eye_needs_them(qapp, mirrored, turned):
    upright = written(EyepieceView())
    expected = np.rot90(upright[:, ::-1] if mirrored else upright, -turned // 90)
    found = written(EyepieceView(text_mirrored=mirrored, text_turned_deg=turned))
    assert np.corrcoef(expected.ravel(), found.ravel())[0, 1] > 0.9


@pytest.mark.parametrize(("x", "y"), [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)])
def test_words_are_pushed_into_the_display(make, x, y):
    shown = pixels(make(dataclasses.replace(MARKERS, mode=True, text_x_share=x, text_y_share=y), EyepieceMaps()))
    middle = pixels(make(dataclasses.replace(MARKERS, mode=True, text_y_share=0.5), EyepieceMaps()))
    assert shown.any(axis=2).sum() == pytest.approx(middle.any(axis=2).sum(), rel=0.05)


def test_a_monitor_shows_the_picture_and_its_marks(make):
    window = make(dataclasses.replace(MARKERS, picture=True), EyepieceMaps())
    rgb = pixels(window)
    assert (rgb[240, 320] == 200).all()
    assert middle_of(rgb, COLOUR) == pytest.approx(np.array(CELL) * 640 / 300 + (0, (480 - 200 * 640 / 300) / 2), abs=2)
    window.show_camera(CameraStatus(CameraPhase.LOST, ""))
    assert not (pixels(window) == 200).all(axis=2).any()


def test_a_calibration_shows_one_cross_and_nothing_else(make):
    window = make()
    window.show_target((320.0, 240.0))
    rgb = pixels(window)
    assert middle_of(rgb, EYEPIECE.text) == pytest.approx((320.0, 240.0), abs=0.5)
    rgb[190:291, 270:371] = 0
    assert is_black(rgb)
    window.show_target(None)
    assert is_black(pixels(window))
    window.end_calibration()
    assert (pixels(window) == COLOUR).all(axis=2).any()


def test_escape_closes(make, qtbot):
    window = make()
    with qtbot.waitSignal(window.closed):
        QTest.keyClick(window, "\x1b")
    assert not window.isVisible()


def test_marks_are_drawn_aside_and_come(make, qtbot):
    window = make()

    def has_mark() -> bool:
        image = window.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
        return bool((pixels_of(image)[..., 2::-1] == COLOUR).all(axis=2).any())

    qtbot.waitUntil(has_mark)


def test_the_window_lies_over_no_focus(qtbot):
    parent = QWidget()
    qtbot.addWidget(parent)
    window = EyepieceWindow(MARKERS, MAPS, parent)
    assert window.isWindow() and window.parentWidget() is parent
