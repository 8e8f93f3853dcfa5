"""What the live benchmarks look at: a drawn slide that moves slowly, and any source with a time code."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2scope.app.bench.request import BenchRequest
from her2scope.app.bench.sources import NOISE_LEVELS, SPEED_UM_PER_S, DrawnSlide, RoundTrip, TimeCoded, source_for
from her2scope.app.bench.time_code import code_rect, read_code
from her2scope.domain.errors import CameraError, CameraTimeout, NotAvailableError
from her2scope.records import CameraState, Frame
from her2scope.settings import QualitySettings

rooms = st.tuples(st.integers(0, 300), st.integers(0, 300))


@given(room=rooms, speed=st.floats(20, 300), at_s=st.floats(0, 200), step_s=st.floats(0.001, 0.5))
def test_the_path_stays_in_its_room_and_below_its_speed(room, speed, at_s, step_s):
    path = RoundTrip(room, speed)
    (x, y), (to_x, to_y) = path.at(at_s), path.at(at_s + step_s)
    assert 0 <= x <= room[0] and 0 <= y <= room[1]
    assert abs(to_x - x) + abs(to_y - y) <= speed * step_s + 2  # each place is rounded to a pixel


@given(room=rooms, at_s=st.floats(0, 100))
def test_the_path_comes_round(room, at_s):
    path = RoundTrip(room, 80.0)
    (x, y), (to_x, to_y) = path.at(at_s), path.at(at_s + path.round_s)
    assert abs(to_x - x) <= 1 and abs(to_y - y) <= 1


def test_the_path_rests_at_every_corner():
    path = RoundTrip((80, 40), 40.0)
    assert [path.at(at_s) for at_s in (0.0, 1.9, 4.1, 5.9, 7.1, 9.0)] == [
        (0, 0), (0, 0), (80, 0), (80, 0), (80, 40), (80, 40),
    ]  # fmt: skip


def test_a_slide_is_moved_no_faster_than_the_gate_allows():
    assert QualitySettings().max_speed_um_per_s > SPEED_UM_PER_S


@pytest.fixture
def slide() -> DrawnSlide:
    even = np.random.default_rng(0).integers(60, 200, (240, 400, 3), dtype=np.uint8)
    return DrawnSlide(even, (320, 200), 0.25, CameraState("40x"), frame_rate=None)


def test_every_frame_is_of_the_slide_with_noise_of_its_own(slide):
    slide.open()
    first, second = slide.read(1.0), slide.read(1.0)
    assert first.size_hw == (200, 320) and first.um_per_px == 0.25
    noise = second.rgb[40:].astype(int) - first.rgb[40:]
    assert 0.7 < noise.std() / (NOISE_LEVELS * 2**0.5) < 1.3
    assert abs(noise.mean()) < 0.2


def test_every_frame_tells_its_number(slide):
    slide.open()
    frames = [slide.read(1.0) for _ in range(3)]
    left, top, width, height = code_rect(320)
    assert [read_code(frame.rgb[top : top + height, left : left + width]) for frame in frames] == [0, 1, 2]
    assert [frame.index for frame in frames] == [0, 1, 2]


def test_grey_levels_stay_what_they_are():
    plain = np.full((200, 320, 3), 77, np.uint8)
    source = DrawnSlide(plain, (320, 200), 0.25, CameraState(), frame_rate=None)
    source.open()
    assert abs(float(source.read(1.0).rgb[100:].mean()) - 77) < 0.1


def test_a_closed_slide_gives_no_frame(slide):
    with pytest.raises(CameraError):
        slide.read(1.0)
    slide.open()
    slide.close()
    with pytest.raises(CameraError):
        slide.read(1.0)


def test_a_frame_that_is_not_due_is_waited_for_in_vain():
    even = np.zeros((100, 100, 3), np.uint8)
    source = DrawnSlide(even, (100, 100), 0.25, CameraState(), frame_rate=0.001)
    source.open()
    source.read(0.0)
    with pytest.raises(CameraTimeout):
        source.read(0.001)


class OneFrame:
    name = "one frame"

    def __init__(self) -> None:
        self.frame = Frame(np.full((60, 300, 3), 90, np.uint8), 5, 1.0, 0.5)
        self.calls: list[str] = []

    def open(self) -> None:
        self.calls.append("open")

    def close(self) -> None:
        self.calls.append("close")

    def read(self, timeout_s: float) -> Frame:
        return self.frame


def test_a_source_with_a_time_code_keeps_its_own_pixels():
    inner = OneFrame()
    source = TimeCoded(inner)
    source.open()
    frame = source.read(1.0)
    source.close()
    left, top, width, height = code_rect(300)
    assert read_code(frame.rgb[top : top + height, left : left + width]) == 5
    assert (inner.frame.rgb == 90).all()
    assert (frame.index, frame.captured_s, frame.um_per_px) == (5, 1.0, 0.5)
    assert inner.calls == ["open", "close"] and source.name == "one frame"


def test_an_unknown_phantom_is_refused_before_anything_is_drawn():
    with pytest.raises(NotAvailableError):
        source_for(BenchRequest("live", source="phantom:4+"))
