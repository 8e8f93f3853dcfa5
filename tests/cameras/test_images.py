from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from cameras.fakes import colour_picture

from her2scope.cameras.images import KEPT_PICTURES, ImageFolderSource
from her2scope.domain.errors import CameraNotFound
from her2scope.imaging.files import write_png
from her2scope.ports import FrameSequence
from her2scope.records import CameraState

PATIENCE_S = 20.0


@pytest.fixture
def open_folder(tmp_path: Path) -> Iterator[Callable[..., ImageFolderSource]]:
    """Open a folder with the named pictures, by default at a speed that does not slow the tests."""
    opened: list[ImageFolderSource] = []

    def open_it(*names: str, frames_per_s: float = 500.0) -> ImageFolderSource:
        for name in names:
            write_png(tmp_path / name, colour_picture())
        source = ImageFolderSource(tmp_path, 0.25, CameraState(), frames_per_s=frames_per_s)
        source.open()
        opened.append(source)
        return source

    yield open_it
    for source in opened:
        source.close()


def name_shown(source: ImageFolderSource) -> str:
    return source.read(PATIENCE_S).name


def test_it_is_paged_like_the_file_list(open_folder: Callable[..., ImageFolderSource]) -> None:
    source = open_folder("field 10.png", "field 2.png", "field 1.png")
    assert isinstance(source, FrameSequence)
    shown = [name_shown(source)]
    for _ in range(3):
        source.step(1)
        shown.append(name_shown(source))
    assert shown == ["field 1.png", "field 2.png", "field 10.png", "field 1.png"]


def test_steps_wrap_round_at_both_ends_and_add_up(open_folder: Callable[..., ImageFolderSource]) -> None:
    source = open_folder("a.png", "b.png", "c.png")
    source.step(-1)
    assert name_shown(source) == "c.png"
    source.step(5)
    source.step(-1)
    assert name_shown(source) == "a.png"


def test_it_stays_on_a_picture_until_told_to_step(open_folder: Callable[..., ImageFolderSource]) -> None:
    source = open_folder("a.png", "b.png")
    assert {name_shown(source) for _ in range(5)} == {"a.png"}


def test_a_step_from_another_thread_is_shown_at_once(open_folder: Callable[..., ImageFolderSource]) -> None:
    source = open_folder("a.png", "b.png", frames_per_s=0.01)
    name_shown(source)
    other = threading.Timer(0.05, source.step, [1])
    other.start()
    started_s = time.monotonic()
    assert name_shown(source) == "b.png"
    assert time.monotonic() - started_s < 5
    other.join()


def test_frames_come_at_the_stated_rate(open_folder: Callable[..., ImageFolderSource]) -> None:
    source = open_folder("a.png", frames_per_s=20.0)
    started_s = time.monotonic()
    for _ in range(5):
        source.read(PATIENCE_S)
    assert time.monotonic() - started_s > 0.19  # four intervals of 50 ms


def test_a_picture_that_cannot_be_read_is_passed_over_and_named(
    tmp_path: Path, open_folder: Callable[..., ImageFolderSource]
) -> None:
    (tmp_path / "b.jpg").write_text("not an image")
    source = open_folder("a.png", "c.png")
    assert source.problems == ()
    source.step(1)
    assert name_shown(source) == "c.png"
    source.step(-1)
    assert name_shown(source) == "a.png"
    assert len(source.problems) == 1
    assert "b.jpg" in source.problems[0]


def test_it_starts_at_the_first_readable_picture(tmp_path: Path, open_folder: Callable[..., ImageFolderSource]) -> None:
    (tmp_path / "a.jpg").write_bytes(b"")
    assert name_shown(open_folder("b.png")) == "b.png"


def test_a_picture_deleted_meanwhile_is_passed_over(
    tmp_path: Path, open_folder: Callable[..., ImageFolderSource]
) -> None:
    source = open_folder("a.png", "b.png", "c.png")
    (tmp_path / "b.png").unlink()
    source.step(1)
    assert name_shown(source) == "c.png"


def test_a_tiny_picture_is_shown(tmp_path: Path) -> None:
    write_png(tmp_path / "tiny.png", colour_picture(20, 20))
    source = ImageFolderSource(tmp_path, 0.25, CameraState())
    source.open()
    assert source.read(PATIENCE_S).size_hw == (20, 20)
    source.close()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda folder: folder / "nowhere", "no such folder"),
        (lambda folder: folder, "no image"),
    ],
)
def test_without_pictures_it_does_not_open(tmp_path: Path, make: Callable[[Path], Path], says: str) -> None:
    with pytest.raises(CameraNotFound, match=says):
        ImageFolderSource(make(tmp_path), 0.25, CameraState()).open()


def test_with_unreadable_pictures_only_it_does_not_open_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("not an image")
    (tmp_path / "b.png").write_bytes(b"")
    source = ImageFolderSource(tmp_path, 0.25, CameraState())
    with pytest.raises(CameraNotFound, match="none of its 2 images.*a.jpg: not a PNG"):
        source.open()
    assert len(source.problems) == 2


def test_the_picture_of_a_frame_is_not_decoded_again(
    tmp_path: Path, open_folder: Callable[..., ImageFolderSource]
) -> None:
    source = open_folder("a.png")
    first, second = source.read(PATIENCE_S), source.read(PATIENCE_S)
    assert np.shares_memory(first.rgb, second.rgb)


def test_a_file_written_anew_is_read_again_when_turned_to_not_while_shown(
    tmp_path: Path, open_folder: Callable[..., ImageFolderSource]
) -> None:
    source = open_folder("a.png", "b.png")
    source.read(PATIENCE_S)
    mirrored = colour_picture()[:, ::-1]
    write_png(tmp_path / "a.png", mirrored)
    assert np.array_equal(source.read(PATIENCE_S).rgb, colour_picture())
    source.step(2)
    assert np.array_equal(source.read(PATIENCE_S).rgb, mirrored)


def test_few_pictures_are_kept_in_memory(open_folder: Callable[..., ImageFolderSource]) -> None:
    source = open_folder(*(f"{number}.png" for number in range(KEPT_PICTURES + 2)))
    first = source.read(PATIENCE_S)
    for _ in range(KEPT_PICTURES + 2):
        source.step(1)
        last = source.read(PATIENCE_S)
    assert last.name == first.name
    assert not np.shares_memory(first.rgb, last.rgb)
