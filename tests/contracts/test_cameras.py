"""What every source of frames keeps to, whatever stands behind it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from cameras.fake_core import FakeCore, config_file
from cameras.fake_genicam import FakeLibrary
from cameras.fake_slide import FakeSlide
from cameras.fakes import FakeCapture, colour_picture, shows_colour_picture
from cameras.stream_servers import HEAD, Server

import her2scope
from her2scope.cameras.genicam import GenicamSource
from her2scope.cameras.images import ImageFolderSource
from her2scope.cameras.micro_manager import MicroManagerSource
from her2scope.cameras.mm_core import adapters_folder
from her2scope.cameras.mm_scale import KnownScale
from her2scope.cameras.registry import SourceOptions, open_source
from her2scope.cameras.slide_view import SlideMicroscope
from her2scope.cameras.stream import StreamSource
from her2scope.cameras.stream_address import parse_address
from her2scope.cameras.uvc import UvcCameraSource
from her2scope.cameras.video import VideoFileSource
from her2scope.domain.errors import CameraError, CameraLost, CameraNotFound, CameraTimeout
from her2scope.imaging.files import write_png
from her2scope.imaging.opencv import cv2
from her2scope.ports import CameraSource
from her2scope.records import CameraState, Frame

UM_PER_PX = 0.31
STATE = CameraState(objective="40x", response="srgb")
PATIENCE_S = 20.0
"""For a frame that must come: long, so that only a source that hangs runs into it."""
VIDEO_FRAMES = 12


@dataclass(frozen=True)
class Rig:
    """One kind of source, and what a test may do to the device behind it."""

    make: Callable[[], CameraSource]
    make_slow: Callable[[], CameraSource] | None = None
    """The same on a device whose next frame is long in coming."""
    lose: Callable[[CameraSource], None] | None = None
    """Make the open source's device go away, if it does not do so by itself."""
    end: Callable[[], None] = lambda: None
    """Put the device away after the test."""


def phantom_rig(folder: Path) -> Rig:
    if not (Path(her2scope.__file__).parent / "phantom" / "microscope.py").exists():
        pytest.skip("her2scope.phantom.microscope is not there yet")
    return Rig(lambda: open_source("phantom:3+", SourceOptions(size_wh=(320, 256), seed=4)))


def images_rig(folder: Path) -> Rig:
    pictures = [folder / "field 1.png", folder / "field 2.png"]
    for path in pictures:
        write_png(path, colour_picture())

    def make(frames_per_s: float) -> ImageFolderSource:
        return ImageFolderSource(folder, UM_PER_PX, STATE, frames_per_s=frames_per_s)

    def lose(source: CameraSource) -> None:
        assert isinstance(source, ImageFolderSource)
        for path in pictures:
            path.unlink()
        source.step(1)

    return Rig(lambda: make(200.0), lambda: make(0.1), lose)


def video_rig(folder: Path) -> Rig:
    path = folder / "slide.avi"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), 50.0, (64, 48))
    assert writer.isOpened()
    for _ in range(12):
        writer.write(colour_picture()[..., ::-1].copy())
    writer.release()
    slow = FakeCapture(properties={cv2.CAP_PROP_FPS: 0.1})
    return Rig(
        lambda: VideoFileSource(path, UM_PER_PX, STATE),
        lambda: VideoFileSource(path, UM_PER_PX, STATE, capture_factory=lambda device: slow),
        lose=lambda source: None,  # it ends by itself
    )


def uvc_rig(folder: Path) -> Rig:
    capture, slow = FakeCapture(), FakeCapture(interval_s=0.5)

    def plugged_in(device: int | str) -> FakeCapture:
        capture.failing.clear()
        return capture

    return Rig(
        lambda: UvcCameraSource(0, UM_PER_PX, STATE, capture_factory=plugged_in, lost_after_s=0.05),
        lambda: UvcCameraSource(0, UM_PER_PX, STATE, capture_factory=lambda device: slow),
        lose=lambda source: capture.failing.set(),
    )


def genicam_rig(folder: Path) -> Rig:
    library = FakeLibrary()

    def plugged_in(producers: Sequence[Path]) -> FakeLibrary:
        library.unplugged.clear()
        return library

    def make(load: Callable[[Sequence[Path]], FakeLibrary]) -> GenicamSource:
        return GenicamSource("40123", UM_PER_PX, STATE, producers=(), load=load, lost_after_s=0.05)

    return Rig(
        lambda: make(plugged_in),
        lambda: make(lambda producers: FakeLibrary(interval_s=0.5)),
        lose=lambda source: library.unplugged.set(),
    )


def genicam_simulator_rig(folder: Path) -> Rig:
    package = pytest.importorskip("genicam", reason="genicam is not installed (extra: devices)")
    pytest.importorskip("harvesters", reason="harvesters is not installed (extra: devices)")
    producer = Path(package.__file__).parent / "viky.cti"
    if not producer.exists():
        pytest.skip("the genicam wheel of this system ships no simulator")
    return Rig(lambda: GenicamSource("0", UM_PER_PX, STATE, producers=(producer,)))


def micro_manager_rig(folder: Path) -> Rig:
    core = FakeCore()

    def switched_on() -> FakeCore:
        core.refuses.clear()
        return core

    def make(core_factory: Callable[[], FakeCore]) -> MicroManagerSource:
        known = KnownScale(objective="40x", um_per_px=UM_PER_PX)
        return MicroManagerSource(config_file(folder), known, STATE, core_factory=core_factory)

    return Rig(
        lambda: make(switched_on),
        lambda: make(lambda: FakeCore(interval_s=0.5)),
        lose=lambda source: core.refuses.add("getRemainingImageCount"),
    )


def micro_manager_demo_rig(folder: Path) -> Rig:
    try:
        adapters_folder()
    except CameraNotFound as error:
        pytest.skip(f"no device adapters of Micro-Manager (extra: devices, and mm-test-adapters): {error}")
    return Rig(lambda: open_source("mm:demo", SourceOptions()))


def stream_rig(folder: Path) -> Rig:
    server = Server()

    def make() -> StreamSource:
        return StreamSource(parse_address(server.url), UM_PER_PX, STATE, lost_after_s=PATIENCE_S)

    def make_slow() -> StreamSource:
        server.script = lambda call: (call.send(HEAD), call.stream(interval_s=0.5))[1]
        return make()

    return Rig(make, make_slow, lose=lambda source: server.hang_up(), end=server.close)


def slide_rig(folder: Path) -> Rig:
    glass = np.full((3000, 3000, 3), 255, np.uint8)
    glass[1500:1548, 1500:1564] = colour_picture()
    slide = FakeSlide(glass)

    def opener(path: Path) -> FakeSlide:
        slide.is_damaged = False
        return slide

    def make() -> SlideMicroscope:
        return SlideMicroscope(folder / "a.svs", STATE, um_per_px=UM_PER_PX, size_wh=(64, 48), opener=opener)

    def make_slow() -> SlideMicroscope:
        slide.seconds_per_region = 0.5
        return make()

    def lose(source: CameraSource) -> None:
        assert isinstance(source, SlideMicroscope)
        slide.is_damaged = True
        source.move_by_um(-1e6, -1e6)  # far from what is read ahead

    return Rig(make, make_slow, lose)


RIGS = {
    "phantom": phantom_rig,
    "images": images_rig,
    "video": video_rig,
    "uvc": uvc_rig,
    "micro-manager": micro_manager_rig,
    "micro-manager demo": micro_manager_demo_rig,
    "genicam": genicam_rig,
    "genicam simulator": genicam_simulator_rig,
    "stream": stream_rig,
    "slide": slide_rig,
}


@pytest.fixture(params=RIGS)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    folder = tmp_path / "device"
    folder.mkdir()
    rig = RIGS[request.param](folder)
    yield rig
    rig.end()


@pytest.fixture
def source(rig: Rig) -> Iterator[CameraSource]:
    source = rig.make()
    yield source
    source.close()


REAL_DEVICES = [
    "images",
    "video",
    "uvc",
    "micro-manager",
    "genicam",
    "stream",
    "slide",
]
real_devices = pytest.mark.parametrize("rig", REAL_DEVICES, indirect=True)
"""Sources whose pictures, pixel size and loss the test decides: all but the phantom."""


def read(source: CameraSource) -> Frame:
    return source.read(PATIENCE_S)


def test_it_has_a_name_for_the_status_line(source: CameraSource) -> None:
    assert source.name.strip()


def test_frames_are_8_bit_rgb_that_nobody_can_change(source: CameraSource) -> None:
    source.open()
    frame = read(source)
    assert frame.rgb.ndim == 3 and frame.rgb.shape[2] == 3
    assert frame.rgb.dtype == np.uint8
    assert frame.rgb.flags.c_contiguous
    assert frame.name
    with pytest.raises(ValueError, match="read-only"):
        frame.rgb[0, 0, 0] = 1


def test_a_frame_is_handed_over_not_lent(source: CameraSource) -> None:
    source.open()
    frame = read(source)
    assert frame.rgb.base is None and frame.rgb.flags.owndata
    before = frame.rgb.copy()
    read(source)
    read(source)
    assert np.array_equal(frame.rgb, before)


def test_index_and_time_rise(source: CameraSource) -> None:
    source.open()
    before_s = time.monotonic()
    frames = [read(source) for _ in range(4)]
    indices, times_s = [frame.index for frame in frames], [frame.captured_s for frame in frames]
    assert indices == sorted(set(indices))
    assert times_s == sorted(times_s)
    assert before_s - 1.0 <= times_s[0] and times_s[-1] <= time.monotonic()


def test_the_pixel_size_is_a_possible_one(source: CameraSource) -> None:
    source.open()
    assert 0.05 < read(source).um_per_px < 5


def test_closing_twice_and_before_opening_is_safe(source: CameraSource) -> None:
    source.close()
    source.open()
    read(source)
    source.close()
    source.close()


def test_reading_before_open_is_an_error(source: CameraSource) -> None:
    with pytest.raises(CameraError):
        source.read(0.1)


def test_reading_after_close_is_an_error(source: CameraSource) -> None:
    source.open()
    source.close()
    with pytest.raises(CameraError):
        source.read(0.1)


def test_it_opens_again_and_the_index_goes_on(source: CameraSource) -> None:
    source.open()
    first = read(source)
    source.close()
    source.open()
    assert read(source).index > first.index


def test_closing_ends_its_threads(source: CameraSource) -> None:
    before = set(threading.enumerate())
    source.open()
    read(source)
    source.close()
    assert set(threading.enumerate()) <= before


@real_devices
def test_red_stays_red(source: CameraSource) -> None:
    source.open()
    assert shows_colour_picture(read(source).rgb)


@real_devices
def test_pixel_size_and_camera_state_travel_with_the_frame(source: CameraSource) -> None:
    source.open()
    frame = read(source)
    assert frame.um_per_px == UM_PER_PX
    assert (frame.camera.objective, frame.camera.response) == ("40x", "srgb")


@real_devices
def test_a_lost_device_says_after_which_frame(rig: Rig, source: CameraSource) -> None:
    source.open()
    last = read(source)
    assert rig.lose is not None
    rig.lose(source)
    with pytest.raises(CameraLost) as lost:
        for _ in range(1000):
            last = read(source)
    assert lost.value.last_index == last.index
    with pytest.raises(CameraLost):
        read(source)


@pytest.mark.parametrize("rig", [name for name in REAL_DEVICES if name != "images"], indirect=True)
def test_a_lost_device_can_be_opened_again(rig: Rig, source: CameraSource) -> None:
    source.open()
    assert rig.lose is not None
    rig.lose(source)
    with pytest.raises(CameraLost) as lost:
        for _ in range(1000):
            read(source)
    source.open()
    assert read(source).index > lost.value.last_index


@real_devices
def test_a_slow_device_does_not_hold_the_reader(rig: Rig) -> None:
    assert rig.make_slow is not None
    source = rig.make_slow()
    source.open()
    started_s = time.monotonic()
    with pytest.raises(CameraTimeout):
        for _ in range(2):  # a folder or file has its first frame at hand
            source.read(0.1)
    assert 0.09 < time.monotonic() - started_s < 5
    source.close()
