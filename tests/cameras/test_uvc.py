from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from cameras.fakes import FakeCapture, shows_colour_picture

from her2scope.cameras.uvc import UvcCameraSource, camera_state, hold_settings
from her2scope.domain.errors import CameraBusy, CameraError, CameraLost, CameraNotFound, CameraTimeout
from her2scope.imaging.opencv import cv2
from her2scope.records import CameraState

PATIENCE_S = 20.0
NO_SUCH_DEVICE = 9999


def uvc(capture: FakeCapture, device: int | str = NO_SUCH_DEVICE, **options: Any) -> UvcCameraSource:
    return UvcCameraSource(device, 0.25, CameraState(), capture_factory=lambda asked: capture, **options)


@pytest.fixture
def blocked() -> Iterator[FakeCapture]:
    """A camera whose driver does not return until the test is over."""
    capture = FakeCapture()
    capture.driver_answers.clear()
    yield capture
    capture.driver_answers.set()


def test_no_camera_is_said_at_once_and_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    started_s = time.monotonic()
    with pytest.raises(CameraNotFound, match=f"camera:{NO_SUCH_DEVICE} was not found. Check"):
        UvcCameraSource(NO_SUCH_DEVICE, 0.25, CameraState()).open()
    assert time.monotonic() - started_s < 5
    assert capfd.readouterr().err == ""


def test_a_device_that_is_there_and_does_not_open_is_busy(tmp_path: Any) -> None:
    device = tmp_path / "video0"
    device.touch()
    capture = FakeCapture(opened=False)
    with pytest.raises(CameraBusy, match="Close the other program"):
        uvc(capture, str(device)).open()
    assert capture.released == 1


def test_a_silent_driver_is_a_timeout(blocked: FakeCapture) -> None:
    source = uvc(blocked, join_s=0.05)
    source.open()
    started_s = time.monotonic()
    with pytest.raises(CameraTimeout, match="0.1 s"):
        source.read(0.1)
    assert 0.09 < time.monotonic() - started_s < 5
    source.close()


def test_a_driver_that_blocks_holds_neither_close_nor_the_next_user(blocked: FakeCapture) -> None:
    source = uvc(blocked, join_s=0.05)
    source.open()
    started_s = time.monotonic()
    source.close()
    assert time.monotonic() - started_s < 5
    assert blocked.released == 0  # a device released under a reading driver takes the program down
    with pytest.raises(CameraBusy, match="does not answer"):
        source.open()
    blocked.driver_answers.set()
    give_up_s = time.monotonic() + PATIENCE_S
    while not blocked.released and time.monotonic() < give_up_s:
        time.sleep(0.005)
    assert blocked.released == 1


def test_it_recovers_from_a_hiccup() -> None:
    capture = FakeCapture()
    source = uvc(capture, lost_after_s=PATIENCE_S)
    source.open()
    source.read(PATIENCE_S)
    capture.failing.set()
    with pytest.raises(CameraTimeout):
        for _ in range(2):  # one frame may lie ready
            source.read(0.1)
    capture.failing.clear()
    source.read(PATIENCE_S)
    source.close()


def test_reads_that_keep_failing_are_a_lost_camera() -> None:
    capture = FakeCapture()
    capture.failing.set()
    source = uvc(capture, lost_after_s=0.05)
    source.open()
    with pytest.raises(CameraLost) as lost:
        source.read(PATIENCE_S)
    assert lost.value.last_index == -1
    assert capture.reads > 1  # it tried again
    source.close()
    assert capture.released == 1


def test_an_error_of_opencv_counts_as_a_failed_read() -> None:
    class Breaking(FakeCapture):
        def read(self) -> tuple[bool, Any]:
            raise cv2.error("VIDIOC_DQBUF")

    source = uvc(Breaking(), lost_after_s=0.05)
    source.open()
    with pytest.raises(CameraLost):
        source.read(PATIENCE_S)
    source.close()


def test_a_slow_reader_gets_the_newest_frame_and_sees_the_gap() -> None:
    source = uvc(FakeCapture(interval_s=0.005))
    source.open()
    first = source.read(PATIENCE_S)
    time.sleep(0.3)
    second = source.read(PATIENCE_S)
    assert second.index > first.index + 3
    assert time.monotonic() - second.captured_s < 0.2
    source.close()


def test_frames_do_not_share_the_buffer_of_the_driver() -> None:
    capture = FakeCapture()
    source = uvc(capture)
    source.open()
    frame = source.read(PATIENCE_S)
    capture.bgr[:] = 0
    assert shows_colour_picture(frame.rgb)
    source.close()


@pytest.mark.parametrize(
    "picture", [np.zeros((48, 64), np.uint8), np.zeros((48, 64, 3), np.uint16), np.zeros((1, 5000), np.uint8), None]
)
def test_a_camera_that_gives_no_8_bit_colour_is_refused(picture: Any) -> None:
    capture = FakeCapture()
    capture.bgr = picture
    source = uvc(capture, lost_after_s=0.05)
    source.open()
    with pytest.raises(CameraError, match="not 8-bit colour|stopped"):
        source.read(PATIENCE_S)
    source.close()


def test_a_size_is_asked_for() -> None:
    capture = FakeCapture()
    source = uvc(capture, size_wh=(1920, 1080))
    source.open()
    source.close()
    assert capture.properties[cv2.CAP_PROP_FRAME_WIDTH] == 1920
    assert capture.properties[cv2.CAP_PROP_FRAME_HEIGHT] == 1080


def test_another_size_than_asked_for_is_refused_since_the_pixel_size_would_not_hold() -> None:
    capture = FakeCapture(accepts_size=False)
    with pytest.raises(CameraNotFound, match="640 x 480 pixels, not 1920 x 1080"):
        uvc(capture, size_wh=(1920, 1080)).open()
    assert capture.released == 1


def v4l2(**properties: float) -> FakeCapture:
    named = {
        "auto_exposure": cv2.CAP_PROP_AUTO_EXPOSURE,
        "exposure": cv2.CAP_PROP_EXPOSURE,
        "gain": cv2.CAP_PROP_GAIN,
        "auto_white": cv2.CAP_PROP_AUTO_WB,
        "white_k": cv2.CAP_PROP_WB_TEMPERATURE,
    }
    return FakeCapture(properties={named[name]: value for name, value in properties.items()})


KNOWN = CameraState(objective="20x", response="linear")


def test_a_camera_set_by_hand_tells_its_state() -> None:
    capture = v4l2(auto_exposure=1, exposure=157, gain=0, auto_white=0, white_k=4600)
    assert camera_state(capture, KNOWN, "linux") == CameraState("20x", "linear", 15.7, 0.0, "4600 K")


def test_what_the_camera_changes_by_itself_is_no_state() -> None:
    capture = v4l2(auto_exposure=3, exposure=157, gain=12, auto_white=1, white_k=4600)
    assert camera_state(capture, KNOWN, "linux") == CameraState("20x", "linear", None, None, "auto")


@pytest.mark.parametrize("platform", ["linux", "win32"])
def test_what_a_driver_does_not_tell_is_not_made_up(platform: str) -> None:
    assert camera_state(v4l2(), KNOWN, platform) == KNOWN


def test_a_held_camera_keeps_what_it_has_come_to() -> None:
    capture = v4l2(auto_exposure=3, exposure=157, gain=12, auto_white=1, white_k=4600)
    hold_settings(capture, "linux")
    assert camera_state(capture, KNOWN, "linux") == CameraState("20x", "linear", 15.7, 12.0, "4600 K")


def test_a_driver_that_does_not_obey_still_tells_that_the_camera_changes_by_itself() -> None:
    capture = v4l2(auto_exposure=3, exposure=157, gain=12, auto_white=1, white_k=4600)
    capture.accepts_size = False  # it refuses whatever is set
    hold_settings(capture, "linux")
    assert camera_state(capture, KNOWN, "linux").white_balance == "auto"


def test_elsewhere_nothing_is_set_since_its_units_are_not_known() -> None:
    capture = v4l2(auto_exposure=3, exposure=157, auto_white=1, white_k=4600)
    before = dict(capture.properties)
    hold_settings(capture, "win32")
    assert capture.properties == before


def test_a_source_is_held_while_it_runs_and_only_then() -> None:
    capture = v4l2(auto_exposure=3, exposure=157, gain=12, auto_white=1, white_k=4600)
    source = uvc(capture)
    source.hold()  # closed: nothing to hold
    source.open()
    try:
        source.hold()
        frames = (source.read(5.0) for _ in range(2000))
        assert any(frame.camera.white_balance != "auto" for frame in frames) or sys.platform != "linux"
    finally:
        source.close()
