from __future__ import annotations

import time
from pathlib import Path

import pytest
from cameras.fakes import FakeCapture

from her2scope.cameras.video import VideoEnded, VideoFileSource
from her2scope.domain.errors import CameraError, CameraNotFound
from her2scope.imaging.opencv import cv2
from her2scope.records import CameraState

PATIENCE_S = 20.0


def video(path: Path, capture: FakeCapture) -> VideoFileSource:
    path.touch()
    return VideoFileSource(path, 0.25, CameraState(), capture_factory=lambda device: capture)


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(CameraNotFound, match="no such video"):
        VideoFileSource(tmp_path / "nowhere.mp4", 0.25, CameraState()).open()


def test_a_text_file_is_no_video_and_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "slide.mp4"
    path.write_text("not a video")
    with pytest.raises(CameraNotFound, match="not a video"):
        VideoFileSource(path, 0.25, CameraState()).open()
    assert capfd.readouterr().err == ""


def test_it_plays_at_the_speed_of_the_file(tmp_path: Path) -> None:
    source = video(tmp_path / "v.avi", FakeCapture(properties={cv2.CAP_PROP_FPS: 20.0}))
    source.open()
    started_s = time.monotonic()
    for _ in range(5):
        source.read(PATIENCE_S)
    assert time.monotonic() - started_s > 0.19  # four intervals of 50 ms
    source.close()


@pytest.mark.parametrize("stated", [-1.0, 0.0, 90_000.0, float("nan")])
def test_an_impossible_speed_is_replaced_by_the_usual_one(tmp_path: Path, stated: float) -> None:
    source = video(tmp_path / "v.avi", FakeCapture(properties={cv2.CAP_PROP_FPS: stated}))
    source.open()
    started_s = time.monotonic()
    for _ in range(4):
        source.read(PATIENCE_S)
    assert 0.1 < time.monotonic() - started_s < 5
    source.close()


def test_the_end_is_said_as_such_and_it_can_be_played_again(tmp_path: Path) -> None:
    capture = FakeCapture(properties={cv2.CAP_PROP_FPS: 500.0})
    source = video(tmp_path / "v.avi", capture)
    source.open()
    frame = source.read(PATIENCE_S)
    capture.failing.set()
    with pytest.raises(VideoEnded, match=f"v.avi ended after frame {frame.index}.*again"):
        source.read(PATIENCE_S)
    capture.failing.clear()
    source.open()
    assert source.read(PATIENCE_S).index == frame.index + 1
    source.close()


def test_it_lets_go_of_the_file(tmp_path: Path) -> None:
    capture = FakeCapture()
    source = video(tmp_path / "v.avi", capture)
    source.open()
    source.close()
    source.close()
    assert capture.released == 1


def test_a_file_that_does_not_open_is_let_go_of(tmp_path: Path) -> None:
    capture = FakeCapture(opened=False)
    with pytest.raises(CameraError):
        video(tmp_path / "v.avi", capture).open()
    assert capture.released == 1
