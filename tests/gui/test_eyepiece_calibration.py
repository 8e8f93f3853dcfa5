"""Calibrating the eyepiece as a person does: crosses come, places are clicked, a bad map cannot be saved."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import date

import factories
import numpy as np
import pytest
from gui.fake_engine import tracked
from imaging.calibration.test_eyepiece_map import Bench
from PyQt6.QtCore import QPointF, QRectF, QSizeF, Qt
from PyQt6.QtGui import QImage
from PyQt6.QtTest import QTest

from her2scope.domain.errors import SettingsError
from her2scope.imaging.calibration.eyepiece_map import to_camera, to_display
from her2scope.pipeline.live import CameraPhase, CameraStatus
from her2scope.records import CameraState, Frame
from her2scope.settings.eyepiece import EyepieceMap, EyepieceMaps, EyepieceView
from her2scope.ui.eyepiece_calibration import IN_LIST, EyepieceCalibration, label_box
from her2scope.ui.eyepiece_targets import NAMES, target_places
from her2scope.ui.eyepiece_window import EyepieceWindow
from her2scope.ui.images import pixels_of

DISPLAY_WH, CAMERA_WH = (1280, 720), (1920, 1200)
BENCH = Bench(turn_deg=4.0, mirrored=True, shear=0.03)
TODAY = date(2026, 1, 15)


def frame(objective: str = "40x", size_wh: tuple[int, int] = CAMERA_WH):
    rgb = np.full((size_wh[1], size_wh[0], 3), 200, np.uint8)
    return dataclasses.replace(
        tracked(factories.field_result(())), frame=Frame(rgb, 0, 0.0, 0.25, CameraState(objective))
    )


class Desk:
    """A dialog, the eyepiece's window, and what was saved; a hand that clicks where the optics put the cross."""

    def __init__(self, qtbot, save: Callable[[str, EyepieceMap], object] | None = None) -> None:
        self.window = EyepieceWindow(EyepieceView(), EyepieceMaps())
        self.window.resize(*DISPLAY_WH)
        self.window.show()
        self.kept: dict[str, EyepieceMap] = {}
        self.dialog = EyepieceCalibration(self.window, save or self.kept.__setitem__, today=lambda: TODAY)
        self.dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)  # it is looked at after it closed
        for widget in (self.window, self.dialog):
            qtbot.addWidget(widget)
        self.dialog.show()
        self.dialog.show_frame(frame())
        self.random = np.random.default_rng(3)

    def click(self, error_px: float = 0.4, wrong_px: float = 0.0) -> None:
        """Click the cross that the eyepiece shows now."""
        (at,) = to_camera(BENCH.matrix, [self.dialog.session.place]) + self.random.normal(0, error_px, 2) + wrong_px
        self.dialog.match(QPointF(at[0] + 0.5, at[1] + 0.5))

    def click_all(self, **how: float) -> None:
        while self.dialog.session.current is not None:
            self.click(**how)


@pytest.fixture
def desk(qtbot):
    made = Desk(qtbot)
    yield made
    made.dialog.close()
    made.window.close()


def test_all_targets_matched_give_a_map_that_is_saved(desk):
    assert not desk.dialog.may_save and not desk.dialog.keep.isEnabled()
    desk.click_all()
    assert desk.dialog.may_save and "residual" in desk.dialog.verdict.text()
    desk.dialog.keep.click()
    made = desk.kept["40x"]
    assert made.date == "2026-01-15" and made.n_targets == len(NAMES)
    assert made.camera_wh == CAMERA_WH and made.display_wh == DISPLAY_WH
    everywhere = to_camera(BENCH.matrix, np.random.default_rng(0).uniform((0, 0), DISPLAY_WH, (500, 2)))
    off = to_display(made.matrix, everywhere) - to_display(BENCH.matrix, everywhere)
    assert np.linalg.norm(off, axis=1).max() <= 1.0
    assert not desk.dialog.isVisible()


def test_a_wrong_click_is_named_cannot_be_saved_and_is_put_right(desk):
    for number in range(len(NAMES)):
        desk.click(wrong_px=40.0 if number == 4 else 0.0)
    assert not desk.dialog.may_save and not desk.dialog.keep.isEnabled()
    assert "target 5 (" in desk.dialog.verdict.text() and desk.dialog.verdict.text().endswith(IN_LIST)
    desk.dialog.save()
    assert desk.kept == {}
    desk.dialog.go_to(4)
    desk.click()
    assert desk.dialog.may_save and desk.dialog.session.current is None


def test_the_name_of_a_mark_stays_within_the_picture():
    room, size = QRectF(0, 0, 300, 200), QSizeF(20, 16)
    for x in range(0, 301, 20):
        for y in range(0, 201, 20):
            box = label_box(QPointF(x, y), size, room)
            assert room.contains(box) and not box.contains(QPointF(x, y))
            assert box.size() == size


def test_targets_that_are_not_seen_are_skipped(desk):
    for number in range(len(NAMES)):
        if number >= 9:
            QTest.mouseClick(desk.dialog.skip, Qt.MouseButton.LeftButton)
        else:
            desk.click()
    assert desk.dialog.may_save
    desk.dialog.save()
    assert desk.kept["40x"].n_targets == 9


def test_skipping_too_many_says_what_is_missing(desk):
    for number in range(len(NAMES)):
        desk.click() if number < 4 else desk.dialog.skip_target()
    assert "2 more targets are needed" in desk.dialog.verdict.text() and not desk.dialog.may_save


def test_the_eyepiece_shows_the_current_target_then_follows_the_mouse(desk):
    assert desk.dialog.session.place == target_places(DISPLAY_WH)[0]
    desk.click_all()
    shown = []
    desk.window.show_target = shown.append  # type: ignore[method-assign]
    desk.dialog.picture.pointed.emit(QPointF(960.5, 600.5))
    assert shown[0] == pytest.approx(tuple(to_display(BENCH.matrix, [(960.0, 600.0)])[0]), abs=1.0)


def test_a_click_with_the_mouse_is_where_it_is(desk):
    picture = desk.dialog.picture
    at = picture.viewport.to_screen(QPointF(960.5, 600.5)).toPoint()
    QTest.mouseClick(picture, Qt.MouseButton.LeftButton, pos=at)
    expected = picture.viewport.to_image(QPointF(at))
    assert desk.dialog.session.clicked == {0: (expected.x() - 0.5, expected.y() - 0.5)}
    QTest.keyClick(picture, Qt.Key.Key_Right)
    QTest.keyClick(picture, Qt.Key.Key_Up, Qt.KeyboardModifier.ShiftModifier)
    assert desk.dialog.session.clicked == {0: (expected.x() + 0.5, expected.y() - 0.75)}


def test_a_click_beside_the_picture_matches_nothing(desk):
    desk.dialog.match(QPointF(-1.0, 5.0))
    desk.dialog.match(QPointF(5.0, CAMERA_WH[1] + 1.0))
    assert desk.dialog.session.clicked == {}


def test_in_a_picture_that_is_not_live_nothing_is_matched(desk):
    desk.dialog.show_camera(CameraStatus(CameraPhase.LOST, "unplugged"))
    desk.click()
    assert desk.dialog.session.clicked == {} and "unplugged" in desk.dialog.picture.notice
    desk.dialog.show_camera(CameraStatus(CameraPhase.LIVE, "live"))
    desk.click()
    assert len(desk.dialog.session.clicked) == 1 and desk.dialog.picture.notice == ""


def test_another_objective_starts_over_and_says_so(desk):
    desk.click()
    desk.dialog.show_frame(frame("20x"))
    assert desk.dialog.session.clicked == {} and "start over" in desk.dialog.verdict.text()
    desk.click()
    desk.dialog.show_frame(frame("20x"))
    assert len(desk.dialog.session.clicked) == 1
    desk.dialog.over.click()
    assert desk.dialog.session.clicked == {}


def test_a_map_that_cannot_be_written_stays_in_the_dialog(qtbot):
    def refuse(objective: str, made: EyepieceMap) -> None:
        raise SettingsError("the disk is full. Free space.")

    desk = Desk(qtbot, refuse)
    desk.click_all()
    desk.dialog.save()
    assert desk.dialog.isVisible() and desk.dialog.may_save
    assert "the disk is full" in desk.dialog.verdict.text()
    desk.window.close()
    assert not desk.dialog.isVisible()


def test_leaving_gives_the_eyepiece_back(desk):
    desk.dialog.reject()
    assert desk.kept == {}
    assert any("No marks" in line.text for line in desk.window.lines)
    image = desk.window.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    assert (pixels_of(image)[:200, :, :3].max(axis=2) > 100).sum() > 500  # its words are back


def test_no_target_is_matched_in_a_picture_of_an_unknown_objective(desk):
    known = frame()
    desk.dialog.show_frame(dataclasses.replace(known, doubt="the objective is not known: turn one in."))
    assert desk.dialog.picture.notice == "the objective is not known"
    before = desk.dialog.session
    desk.click()
    assert desk.dialog.session == before
    desk.dialog.show_frame(known)
    desk.click()
    assert desk.dialog.picture.notice == "" and desk.dialog.session != before
