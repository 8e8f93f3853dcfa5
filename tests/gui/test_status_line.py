"""What the line at the bottom keeps readable when all speak at once."""

from __future__ import annotations

from PyQt6.QtWidgets import QApplication

from her2scope.instruments.hearing import LineState
from her2scope.instruments.serial_line import InstrumentState
from her2scope.pipeline.live import CameraPhase, CameraStatus, LiveFigures
from her2scope.records import MapView
from her2scope.ui.status_line import CAMERA_LEAST_PX, OVERLAY_LEAST_PX, StatusLine

SMALL_SCREEN_PX = 1366


def test_the_camera_and_why_there_is_no_overlay_keep_room_on_a_small_screen(qtbot):
    line = StatusLine()
    qtbot.addWidget(line)
    line.show()
    line.show_camera(CameraStatus(CameraPhase.LIVE, "stream:http://192.168.100.200:8097/live/video.mjpg live"))
    line.show_figures(LiveFigures(124.9, 112.4, 1083.0, 21_217, "CUDAExecutionProvider", 88.0))
    line.show_instruments([InstrumentState(name, LineState.LOST) for name in ("stage", "nosepiece", "buttons")])
    line.show_tracking(MapView(2, lost="objective changed while the stage moved"))
    line.show_calibration("measured 400 days ago", ["no white reference"])
    line.show_overlay("the objective is not known: turn one in until it clicks, and check its sensor")
    line.resize(SMALL_SCREEN_PX, line.height())
    QApplication.processEvents()
    assert line.width() == SMALL_SCREEN_PX  # no part forces it to be wider
    assert line.overlay.width() >= OVERLAY_LEAST_PX and line.camera.width() >= CAMERA_LEAST_PX
    assert line.disclaimer.width() >= line.disclaimer.sizeHint().width()
