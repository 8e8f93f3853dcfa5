from __future__ import annotations

import dataclasses
from typing import Any

import factories
import pytest
from gui.conftest import Stand
from gui.fake_engine import MIXED, STRONG, live, tracked
from hypothesis import given
from hypothesis import strategies as st
from PyQt6.QtCore import QPoint, QPointF, Qt
from PyQt6.QtGui import QWheelEvent
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication

from her2scope.domain.cells import CellClass, StainCuts
from her2scope.domain.score import ControlStatus
from her2scope.pipeline.control import same_camera
from her2scope.records import CameraState, Frame, QualityReport
from her2scope.ui.control_compare import CAMERA_WORDS, ControlCompare, cuts_text, difference_text, differences

Key = Qt.Key
SHIFT, CTRL = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier
CAMERA = CameraState("40x", "srgb", 8.0, 1.0, "fixed")


def control(level: str = "3+", number: int = 1, um_per_px: float = 0.25, status=ControlStatus.VALID, **more: Any):
    result = factories.honeycomb_field(STRONG, (220, 260), um_per_px, seed=number, **more)
    return factories.control_reading(status, expected=level, read=level, result=result, number=number)


def read(stand: Stand, *readings) -> ControlCompare:
    """The window after these readings, with the view open."""
    stand.engine.controls = list(readings)
    stand.engine.tell_case()
    QApplication.processEvents()
    if not stand.window.compare.is_open:
        stand.press(Key.Key_K)
    return stand.window.compare


def live_um_per_screen_px(stand: Stand) -> float:
    view = stand.window.view
    return view.shown.frame.um_per_px / view.viewport.zoom


# ---- what was not taken alike -------------------------------------------------------------------------------------

states = st.builds(
    CameraState,
    objective=st.sampled_from([None, "20x", "40x"]),
    response=st.sampled_from(["srgb", "unknown"]),
    exposure_ms=st.sampled_from([None, 8.0, 12.0]),
    gain=st.sampled_from([None, 1.0]),
    white_balance=st.sampled_from([None, "fixed"]),
    scale_assumed=st.booleans(),
)
frames = st.builds(
    lambda camera, um_per_px: Frame(factories.field_result(()).frame.rgb, 0, 0.0, um_per_px, camera),
    states,
    st.sampled_from([0.25, 0.252, 0.26, 0.5]),
)


@given(frames, frames)
def test_differences_are_named_exactly_where_the_control_does_not_hold(first, second):
    same = same_camera(first, second)
    assert (differences(first, second) == ()) is same
    control_field = dataclasses.replace(factories.field_result(()), frame=first)
    assert (difference_text(control_field, second) == "") is same


WHITE = (236.0, 238.0, 240.0)


@pytest.mark.parametrize(
    ("then", "now", "said"),
    [
        (WHITE, (236.0, 238.0, 200.0), "white differs by 17 %"),
        (WHITE, (238.0, 238.0, 238.0), ""),
        (WHITE, None, ""),
        (None, WHITE, ""),
    ],
)
def test_a_light_that_changed_since_the_control_is_told(then, now, said):
    control_field = dataclasses.replace(factories.field_result(()), clear_white_rgb=then)
    field = dataclasses.replace(control_field, clear_white_rgb=now)
    text = difference_text(control_field, field.frame, field)
    assert said in text and bool(text) is bool(said)
    assert difference_text(control_field, field.frame) == ""


def test_the_drift_of_the_light_follows_the_field_in_view(stand: Stand):
    reading = control()
    bright = dataclasses.replace(reading, result=dataclasses.replace(reading.result, clear_white_rgb=WHITE))
    warning = read(stand, bright).figures.difference
    assert not warning.isVisible()
    dim = dataclasses.replace(stand.engine.result, clear_white_rgb=(200.0, 200.0, 200.0))
    stand.bridge.on_result(live(dim))
    QApplication.processEvents()
    assert warning.isVisible() and "check lamp" in warning.text()
    stand.bridge.on_result(live(stand.engine.result))
    QApplication.processEvents()
    assert not warning.isVisible()


def test_every_part_of_the_camera_state_has_words():
    named = {item.name for item in dataclasses.fields(CameraState)} - {"scale_assumed"}
    assert set(CAMERA_WORDS) == named


def test_differences_are_told_with_both_values():
    rgb = factories.field_result(()).frame.rgb
    control_frame = Frame(rgb, 0, 0.0, 0.25, CAMERA)
    live_frame = Frame(rgb, 1, 1.0, 0.5, dataclasses.replace(CAMERA, objective="20x", exposure_ms=12.5, gain=None))
    assert differences(control_frame, live_frame) == (
        "scale 0.25 / 0.5 um/px",
        "objective 40x / 20x",
        "exposure 8 ms / 12.5 ms",
        "gain 1 / not known",
    )


def test_cuts_are_told_only_where_they_differ():
    assert cuts_text(StainCuts(), StainCuts()) == ""
    text = cuts_text(StainCuts(), StainCuts(intense_od10=0.86))
    assert "0.70 od10" in text and "0.86" in text


def test_the_cut_that_differs_is_the_one_that_is_told():
    read_with, in_force = (
        StainCuts(intense_od10=0.7, moderate_od10=0.35),
        StainCuts(intense_od10=0.7, moderate_od10=0.4),
    )
    text = cuts_text(read_with, in_force)
    assert "(moderate 0.35 od10)" in text and "in force (0.40)" in text and "0.70" not in text


# ---- side by side -------------------------------------------------------------------------------------------------


def test_one_key_opens_and_closes(stand: Stand):
    window = stand.window
    whole = window.view.geometry()
    stand.press(Key.Key_K)
    assert window.compare.is_open and window.compare.side.isVisible() and window.compare.figures.isVisible()
    assert window.compare.side.geometry().right() < window.view.geometry().left()
    assert not window.curve.isVisible()
    stand.press(Key.Key_K)
    assert not window.compare.is_open and not window.compare.side.isVisible()
    assert window.view.geometry() == whole and window.view.viewport.is_fitted
    assert window.curve.isVisible()


def test_without_a_reading_it_says_what_to_do(stand: Stand):
    compare = read(stand)
    assert "F2" in compare.side.view.notice
    assert compare.reading is None and compare.side.view.shown is None
    assert not compare.side.header.buttons["3+"].isVisible()


@pytest.mark.parametrize("um_per_px", [0.25, 0.5, 0.11], ids=["as live", "coarser", "finer"])
def test_both_pictures_have_one_scale_at_every_zoom(stand: Stand, um_per_px):
    compare = read(stand, control(um_per_px=um_per_px))
    for keys in ((), (Key.Key_Plus, CTRL), (Key.Key_Plus, CTRL), (Key.Key_F,), (Key.Key_1,)):
        if keys:
            stand.press(*keys)
        assert compare.side.view.um_per_screen_px == pytest.approx(live_um_per_screen_px(stand))


def test_a_new_objective_keeps_one_scale(stand: Stand):
    compare = read(stand, control())
    coarse = factories.honeycomb_field(MIXED, (200, 300), 0.5)
    stand.bridge.on_frame(tracked(coarse))
    QApplication.processEvents()
    assert live_um_per_screen_px(stand) == pytest.approx(0.5 / stand.window.view.viewport.zoom)
    assert compare.side.view.um_per_screen_px == pytest.approx(live_um_per_screen_px(stand))
    assert "scale 0.25 / 0.5 um/px" in compare.figures.difference.text()
    assert compare.figures.difference.isVisible()


def test_opening_keeps_the_scale_of_the_live_picture(stand: Stand):
    before = live_um_per_screen_px(stand)
    read(stand, control())
    assert live_um_per_screen_px(stand) == pytest.approx(before)


def test_the_wheel_over_the_control_zooms_both(stand: Stand):
    compare = read(stand, control())
    before = live_um_per_screen_px(stand)
    nothing, none = QPoint(0, 0), Qt.KeyboardModifier.NoModifier
    wheel = QWheelEvent(QPointF(50, 50), QPointF(50, 50), nothing, QPoint(0, 240), Qt.MouseButton.NoButton, none,
                        Qt.ScrollPhase.NoScrollPhase, False)  # fmt: skip
    QApplication.sendEvent(compare.side.view, wheel)
    assert live_um_per_screen_px(stand) < before
    assert compare.side.view.um_per_screen_px == pytest.approx(live_um_per_screen_px(stand))
    QTest.mouseDClick(compare.side.view, Qt.MouseButton.LeftButton)
    assert stand.window.view.viewport.is_fitted


def test_dragging_the_control_moves_it_alone(stand: Stand):
    compare = read(stand, control())
    stand.window.view.zoom_by(8)
    ours, theirs = compare.side.view, stand.window.view
    before, live_before = ours.viewport.centre, theirs.viewport.centre
    middle = ours.rect().center()
    QTest.mousePress(ours, Qt.MouseButton.LeftButton, pos=middle)
    QTest.mouseMove(ours, middle + QPoint(40, 0))
    QTest.mouseRelease(ours, Qt.MouseButton.LeftButton, pos=middle + QPoint(40, 0))
    assert ours.viewport.centre.x() == pytest.approx(before.x() - 40 / ours.viewport.zoom)
    assert theirs.viewport.centre == live_before and stand.source.calls == []


# ---- levels -------------------------------------------------------------------------------------------------------


def test_the_strongest_level_comes_first_and_the_key_walks_through_those_read(stand: Stand):
    compare = read(stand, control("1+", 1), control("3+", 2), control("0", 3))
    shown = []
    for _ in range(4):
        shown.append(compare.reading.expected)
        assert compare.side.view.shown.frame is compare.reading.result.frame
        assert compare.side.header.buttons[shown[-1]].isChecked()
        stand.press(Key.Key_K, SHIFT)
    assert shown == ["3+", "1+", "0", "3+"]
    assert [level for level, button in compare.side.header.buttons.items() if button.isEnabled()] == ["3+", "1+", "0"]


def test_a_level_is_chosen_by_its_button(stand: Stand):
    compare = read(stand, control("3+", 1), control("1+", 2))
    QTest.mouseClick(compare.side.header.buttons["1+"], Qt.MouseButton.LeftButton)
    assert compare.reading.number == 2
    assert "1+" in compare.figures.histogram.accessibleDescription()


def test_the_latest_reading_of_a_level_is_shown_with_its_verdict(stand: Stand):
    compare = read(stand, control("3+", 1), control("3+", 2, status=ControlStatus.INVALID))
    assert compare.reading.number == 2
    assert "invalid" in compare.side.header.summary.text()
    assert compare.side.header.summary.property("role") == "bad"


def test_only_a_control_read_in_another_level_is_shown_rather_than_none(stand: Stand):
    low, high = control("1+", 1), control("3+", 2)
    assert read(stand, low).reading is low
    assert read(stand, low, high).reading is high


def test_a_chosen_level_stays_when_another_is_read(stand: Stand):
    compare = read(stand, control("3+", 1), control("1+", 2))
    stand.press(Key.Key_K, SHIFT)
    read(stand, *stand.engine.controls, control("0", 3))
    assert compare.reading.expected == "1+"
    again = control("1+", 4)
    read(stand, *stand.engine.controls, again)
    assert compare.reading is again


def test_a_new_case_has_no_control_beside_it(stand: Stand):
    compare = read(stand, control())
    stand.press(Key.Key_N, CTRL)
    assert compare.reading is None and compare.side.view.shown is None
    assert compare.figures.curve.control == () and compare.figures.histogram.control.n_tumour == 0


def test_next_level_opens_the_view_where_it_is_closed(stand: Stand):
    stand.press(Key.Key_K, SHIFT)
    assert stand.window.compare.is_open and stand.window.actions_by_id["compare"].isChecked()


# ---- overlays and figures -----------------------------------------------------------------------------------------


def test_the_control_carries_the_layers_that_the_live_picture_has(stand: Stand, qtbot):
    view = read(stand, control()).side.view
    qtbot.waitUntil(lambda: view.state.visible)
    QTest.qWait(200)  # the overlay fades in
    view.finish_overlay()
    marked = view.grab().toImage()
    stand.press(Key.Key_H)
    plain = view.grab().toImage()
    stand.press(Key.Key_H)
    view.finish_overlay()
    assert marked != plain and view.grab().toImage() == marked


def test_no_overlay_of_one_level_on_a_level_that_could_not_be_analysed(stand: Stand):
    blurred = QualityReport(False, ("blurred",), ("out of focus",), 0.1, 0.0, 0.8)
    failed = dataclasses.replace(control("1+", 2), result=factories.field_result((), (220, 260), quality=blurred))
    view = read(stand, control("3+", 1), failed).side.view
    QTest.qWait(200)
    stand.press(Key.Key_K, SHIFT)
    view.finish_overlay()
    marked = view.grab().toImage()
    stand.press(Key.Key_H)
    assert view.grab().toImage() == marked


def test_figures_are_those_of_both_fields_and_of_the_cuts_in_force(stand: Stand):
    compare = read(stand, control())
    figures, view = compare.figures, stand.engine.view()
    assert figures.curve.control == compare.reading.result.curve and figures.curve.field == stand.engine.result.curve
    assert figures.histogram.cuts == view.cuts
    assert figures.histogram.control.n_tumour == compare.reading.result.counts.n_tumour
    assert figures.histogram.field.n_tumour == stand.engine.result.counts.n_tumour
    assert "0.62" in figures.cuts.text() and figures.cuts.isVisible()
    assert not figures.difference.isVisible()


def test_the_header_shows_its_title_and_every_level(stand: Stand):
    header = read(stand, control("3+", 1), control("0", 2)).side.header
    QApplication.processEvents()
    for widget in (header.title, header.summary, *header.buttons.values()):
        assert widget.width() >= widget.sizeHint().width()
        assert header.rect().contains(widget.geometry())


def test_the_live_figures_go_with_the_overlay(stand: Stand):
    histogram = read(stand, control()).figures.histogram
    assert histogram.field.n_tumour > 0
    stand.bridge.on_frame(tracked(stand.engine.result, island=7))
    QApplication.processEvents()
    assert histogram.field.n_tumour == 0
    stand.bridge.on_result(live(stand.engine.result, island=7))
    QApplication.processEvents()
    assert histogram.field.n_tumour > 0


def test_a_closed_view_does_no_work(stand: Stand):
    stand.engine.controls = [control()]
    stand.engine.tell_case()
    QApplication.processEvents()
    compare = stand.window.compare
    assert compare.side.view.shown is None and compare.figures.histogram.field.n_tumour == 0


@pytest.mark.parametrize("size", [(1024, 640), (1366, 698), (1900, 1000)])
def test_nothing_covers_the_other_at_any_size(stand: Stand, size):
    window, compare = stand.window, read(stand, control())
    window.resize(*size)
    QApplication.processEvents()
    area = window.area
    assert area.rect().contains(compare.figures.geometry()) and area.rect().contains(window.legend.geometry())
    assert not window.view.geometry().intersects(compare.side.geometry())
    assert not window.legend.geometry().intersects(compare.figures.geometry())
    assert not window.legend.geometry().intersects(window.view.geometry())
    assert window.view.geometry().contains(area.chip.geometry())
    window.messages.show()
    area.place_children()
    assert window.view.geometry().contains(window.messages.geometry())


def test_marks_of_none_are_left_out_of_the_words():
    text = difference_text(
        factories.field_result((), camera=CAMERA),
        factories.field_result([factories.cell(CellClass.NONE)], camera=CameraState()).frame,
    )
    assert "objective 40x / not known" in text and "None" not in text
