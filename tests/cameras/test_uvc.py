from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from cameras.fakes import FakeCapture, shows_colour_picture
from hypothesis import given
from hypothesis import strategies as st

from her2scope.cameras.uvc import (
    UvcCameraSource,
    camera_state,
    fourcc_name,
    hold_settings,
    not_taken,
    set_controls,
    set_format,
)
from her2scope.cameras.wishes import CameraWishes
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


def test_a_camera_known_by_name_is_looked_for_at_each_opening() -> None:
    numbers, asked = iter((0, 3)), []

    def factory(device: int | str) -> FakeCapture:
        asked.append(device)
        return FakeCapture()

    source = UvcCameraSource(
        "name=Bench", 0.25, CameraState(), capture_factory=factory, find=lambda: next(numbers), join_s=PATIENCE_S
    )
    for _ in range(2):
        source.open()
        source.close()
    assert asked == [0, 3] and source.name == "camera:name=Bench"


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
    source = uvc(capture, wishes=CameraWishes(size_wh=(1920, 1080)))
    source.open()
    source.close()
    assert capture.properties[cv2.CAP_PROP_FRAME_WIDTH] == 1920
    assert capture.properties[cv2.CAP_PROP_FRAME_HEIGHT] == 1080


def test_another_size_than_asked_for_is_refused_since_the_pixel_size_would_not_hold() -> None:
    capture = FakeCapture(accepts_size=False)
    with pytest.raises(CameraNotFound, match="640 x 480 pixels, not 1920 x 1080"):
        uvc(capture, wishes=CameraWishes(size_wh=(1920, 1080))).open()
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


# ---- wishes -------------------------------------------------------------------------------------------------------

EVERYTHING = CameraWishes((1920, 1080), 30.0, "MJPG", exposure_ms=10.0, gain=4.0, white_k=5600.0)


def test_what_is_asked_for_is_set_before_the_first_frame() -> None:
    capture = v4l2(auto_exposure=3, auto_white=1)
    source = uvc(capture, wishes=EVERYTHING)
    source.open()
    camera = source.read(PATIENCE_S).camera
    source.close()
    assert source.problems == () or sys.platform != "linux"
    assert "compresses with loss" in source.notes[0]
    assert capture.properties[cv2.CAP_PROP_FOURCC] == cv2.VideoWriter.fourcc(*"MJPG")
    assert capture.properties[cv2.CAP_PROP_FPS] == 30
    if sys.platform == "linux":
        assert (camera.exposure_ms, camera.gain, camera.white_balance) == (10.0, 4.0, "5600 K")


def test_nothing_is_set_that_was_not_asked_for() -> None:
    capture = v4l2(auto_exposure=3, exposure=157, auto_white=1, white_k=4600)
    before = dict(capture.properties)
    for platform in ("linux", "win32", "darwin"):
        set_format(capture, CameraWishes())
        set_controls(capture, CameraWishes(), platform)
        assert not_taken(capture, CameraWishes(), platform) == []
    assert capture.properties == before


def test_a_driver_that_did_not_take_it_is_said() -> None:
    capture = v4l2(auto_exposure=3, exposure=312, gain=12, auto_white=1, white_k=4600)
    capture.properties |= {cv2.CAP_PROP_FOURCC: cv2.VideoWriter.fourcc(*"YUYV"), cv2.CAP_PROP_FPS: 5.0}
    capture.accepts_size = False  # it refuses whatever is set
    set_format(capture, EVERYTHING)
    set_controls(capture, EVERYTHING, "linux")
    said = "\n".join(not_taken(capture, EVERYTHING, "linux"))
    for words in (
        "pixel format MJPG was asked for, the driver gives YUYV",
        "rate 30 frames/s was asked for, the driver gives 5 frames/s",
        "exposure 10 ms was asked for, the driver gives 31.2 ms",
        "gain 4 was asked for, the driver gives 12",
        "white balance 5600 K was asked for, the driver gives 4600 K",
        "still sets its exposure and gain by itself",
        "still sets its white balance by itself",
    ):
        assert words in said


def test_problems_name_the_camera_and_do_not_keep_it_from_opening() -> None:
    class Slow(FakeCapture):
        def get(self, propId: int, /) -> float:
            return 5.0 if propId == cv2.CAP_PROP_FPS else super().get(propId)

    source = uvc(Slow(), wishes=CameraWishes(frames_per_s=30.0))
    source.open()
    source.read(PATIENCE_S)
    source.close()
    assert source.problems == ("camera:9999: rate 30 frames/s was asked for, the driver gives 5 frames/s.",)


def test_directshow_takes_powers_of_two_of_a_second() -> None:
    capture = FakeCapture()
    asked = CameraWishes(exposure_ms=10.0, white_k=5600.0)
    set_controls(capture, asked, "win32")
    assert capture.properties[cv2.CAP_PROP_EXPOSURE] == -7
    assert capture.properties[cv2.CAP_PROP_WHITE_BALANCE_BLUE_U] == 5600
    assert not_taken(capture, asked, "win32") == ["exposure 10 ms was asked for, the driver gives 7.8125 ms."]


def test_a_system_that_cannot_set_them_says_so() -> None:
    capture = FakeCapture()
    before = dict(capture.properties)
    set_controls(capture, EVERYTHING, "darwin")
    assert capture.properties == before
    assert "cannot be set on this system" in not_taken(capture, EVERYTHING, "darwin")[-1]


@given(st.integers(1, 2**32 - 1))
def test_a_pixel_format_has_letters_or_no_name(code: int) -> None:
    name = fourcc_name(code)
    assert name == "" or int.from_bytes(name.ljust(4).encode(), "little") == code


def test_another_size_while_it_runs_is_a_lost_camera() -> None:
    capture = FakeCapture()
    source = uvc(capture)
    source.open()
    source.read(PATIENCE_S)
    capture.bgr = np.zeros((20, 30, 3), np.uint8)
    with pytest.raises(CameraLost, match="now gives 30 x 20 pixels, before 64 x 48"):
        while True:
            source.read(PATIENCE_S)
    source.close()


def test_a_driver_that_blocks_while_opening_holds_nobody() -> None:
    answers = threading.Event()
    capture = FakeCapture()

    def slow(device: int | str) -> FakeCapture:
        answers.wait()
        return capture

    source = UvcCameraSource(0, 0.25, CameraState(), capture_factory=slow, open_s=0.05)
    with pytest.raises(CameraBusy, match=r"did not open it within 0.05 s"):
        source.open()
    with pytest.raises(CameraBusy, match="does not answer"):
        source.open()
    answers.set()
    give_up_s = time.monotonic() + PATIENCE_S
    while not capture.released and time.monotonic() < give_up_s:
        time.sleep(0.005)
    assert capture.released == 1
