from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cameras.fake_genicam import FakeLibrary, Node, colour_nodes
from cameras.fakes import shows_colour_picture

from her2scope.cameras.genicam import PRODUCERS_VARIABLE, GenicamSource, found, producer_files
from her2scope.cameras.registry import SourceOptions, open_source
from her2scope.cameras.wishes import CameraWishes
from her2scope.domain.errors import CameraBusy, CameraError, CameraLost, CameraNotFound, CameraTimeout
from her2scope.records import CameraState

PATIENCE_S = 20.0


def genicam(library: FakeLibrary, serial: str = "40123", **options: Any) -> GenicamSource:
    return GenicamSource(serial, 0.25, CameraState(), producers=(), load=lambda producers: library, **options)


@pytest.fixture
def library() -> Iterator[FakeLibrary]:
    library = FakeLibrary()
    yield library
    library.driver_answers.set()
    library.unplugged.clear()


def until(done: Any) -> bool:
    give_up_s = time.monotonic() + PATIENCE_S
    while not done() and time.monotonic() < give_up_s:
        time.sleep(0.005)
    return bool(done())


def test_buffers_go_back_to_the_driver_at_once(library: FakeLibrary) -> None:
    source = genicam(library)
    source.open()
    for _ in range(5):
        assert shows_colour_picture(source.read(PATIENCE_S).rgb)
    source.close()
    assert library.lent == 0
    assert library.resets == 1


def test_the_state_travels_with_the_frame_and_is_held(library: FakeLibrary) -> None:
    source = genicam(library)
    source.open()
    camera = source.read(PATIENCE_S).camera
    assert (camera.exposure_ms, camera.gain, camera.white_balance) == (12.5, 3.0, "auto")
    source.hold()
    assert until(lambda: source.read(PATIENCE_S).camera.white_balance == "Red 1.52 Blue 1.88")
    source.close()


def test_wishes_reach_the_camera_and_what_it_did_not_take_is_said(library: FakeLibrary) -> None:
    library.nodes.Gain.read_only = True
    source = genicam(library, wishes=CameraWishes(pixel_format="RGB8", exposure_ms=20.0, gain=6.0))
    source.open()
    assert source.read(PATIENCE_S).camera.exposure_ms == 20.0
    source.close()
    assert library.nodes.PixelFormat.value == "RGB8"
    assert source.problems == ("genicam:40123: gain 6 dB was asked for, the driver gives 3 dB.",)


def test_interpolated_colours_are_said() -> None:
    source = genicam(FakeLibrary(nodes=colour_nodes(PixelFormat=Node("BayerRG8", ("BayerRG8",)))))
    source.open()
    assert shows_colour_picture(source.read(PATIENCE_S).rgb)
    source.close()
    assert "interpolated" in source.notes[0]


def test_a_monochrome_camera_is_refused_and_let_go() -> None:
    library = FakeLibrary(nodes=colour_nodes(PixelFormat=Node("Mono8", ("Mono8",))))
    with pytest.raises(CameraNotFound, match="gives no 8-bit colour"):
        genicam(library).open()
    assert library.resets == 1


@pytest.mark.parametrize(("serial", "is_there"), [("40123", True), ("GEV 40123", True), ("", True), ("4012", False)])
def test_a_camera_is_known_by_its_serial_number(library: FakeLibrary, serial: str, is_there: bool) -> None:
    source = genicam(library, serial)
    if is_there:
        source.open()
    else:
        with pytest.raises(CameraNotFound, match="genicam:4012 was not found. There is genicam:40123"):
            source.open()
    source.close()


def test_without_a_serial_number_the_only_camera_is_meant(library: FakeLibrary) -> None:
    library.device_info_list.append(SimpleNamespace(id_="USB 7"))
    with pytest.raises(CameraNotFound, match="There is genicam:40123, genicam:USB 7"):
        genicam(library, "").open()


def test_a_camera_that_another_program_has_is_busy(library: FakeLibrary, monkeypatch: pytest.MonkeyPatch) -> None:
    class ResourceInUseException(Exception):
        pass

    monkeypatch.setattr("her2scope.cameras.genicam.driver_errors", lambda: (ResourceInUseException,))
    library.open_error = ResourceInUseException("-1004")
    with pytest.raises(CameraBusy, match="Close the other program"):
        genicam(library).open()
    library.open_error = None
    source = genicam(library)
    source.open()  # nothing of the failed one is left
    source.close()


def test_only_one_is_open_in_a_program(library: FakeLibrary) -> None:
    source = genicam(library)
    source.open()
    with pytest.raises(CameraBusy, match="another GenICam camera is open"):
        genicam(FakeLibrary()).open()
    assert "is open in this program" in found((), lambda producers: library)[0].problem
    source.close()
    assert found((), lambda producers: library)[0].uri == "genicam:40123"


def test_silence_is_a_timeout_and_then_a_lost_camera(library: FakeLibrary) -> None:
    source = genicam(library, lost_after_s=0.3)
    source.open()
    last = source.read(PATIENCE_S)
    library.unplugged.set()
    with pytest.raises((CameraTimeout, CameraLost)):
        while True:
            last = source.read(0.01)
    with pytest.raises(CameraLost) as lost:
        while True:
            try:
                last = source.read(PATIENCE_S)
            except CameraTimeout:
                continue
    assert lost.value.last_index == last.index
    source.close()


def test_a_driver_that_blocks_holds_neither_open_nor_close(library: FakeLibrary) -> None:
    library.driver_answers.clear()
    source = genicam(library, join_s=0.05)
    source.open()
    with pytest.raises(CameraTimeout):
        source.read(0.05)
    source.close()
    with pytest.raises(CameraBusy, match="does not answer"):
        source.open()
    library.driver_answers.set()
    assert until(lambda: library.resets == 1)


def test_a_driver_that_does_not_open_it_is_busy(library: FakeLibrary) -> None:
    class Slow(FakeLibrary):
        def update(self) -> None:
            self.driver_answers.wait()

    library = Slow()
    library.driver_answers.clear()
    source = genicam(library, open_s=0.05)
    with pytest.raises(CameraBusy, match="did not open it within 0.05 s"):
        source.open()
    library.driver_answers.set()
    assert until(lambda: library.resets == 1)
    assert until(lambda: _opens(source))
    source.close()


def _opens(source: GenicamSource) -> bool:
    try:
        source.open()
    except CameraBusy:
        return False
    return True


def test_another_size_while_it_runs_is_a_lost_camera(library: FakeLibrary) -> None:
    source = genicam(library)
    source.open()
    source.read(PATIENCE_S)
    library.picture = np.zeros((20, 30, 3), np.uint8)
    with pytest.raises(CameraLost, match="now gives 30 x 20 pixels, before 64 x 48, and the pixel size would not hold"):
        while True:
            source.read(PATIENCE_S)
    source.close()
    source.open()
    with pytest.raises(CameraLost, match="now gives 30 x 20 pixels"):
        source.read(PATIENCE_S)  # opening it again does not make it hold
    source.close()


def test_a_driver_that_breaks_is_an_error_in_words(library: FakeLibrary) -> None:
    def breaks(*, timeout: float) -> Any:
        raise RuntimeError("heap")

    library.try_fetch = breaks  # type: ignore[method-assign]
    source = genicam(library)
    source.open()
    with pytest.raises(CameraError, match=r"driver of genicam:40123 failed \(heap\)"):
        source.read(PATIENCE_S)
    source.close()


# ---- search -------------------------------------------------------------------------------------------------------


def test_cameras_are_listed_with_what_keeps_them(library: FakeLibrary) -> None:
    device = found((), lambda producers: library)[0]
    assert (device.uri, device.name, device.problem) == ("genicam:40123", "Maker M5", "")
    library.device_info_list[0].access_status = 4
    assert "another program" in found((), lambda producers: library)[0].problem
    library.device_info_list.clear()
    assert "no camera answers" in found((), lambda producers: library)[0].problem
    assert library.resets == 3
    assert library.opened == 0


@pytest.mark.parametrize(("folders", "says"), [("", "is not set"), ("{0}{1}{0}/b", "in ")])
def test_without_a_producer_it_says_where_to_get_one(
    folders: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PRODUCERS_VARIABLE, folders.format(tmp_path, os.pathsep))
    with pytest.raises(CameraNotFound, match=r"Install the program of the camera's maker") as error:
        producer_files()
    assert says in str(error.value)
    assert found()[0].problem == str(error.value)


def test_producers_are_those_of_all_named_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [tmp_path / "a" / "x.cti", tmp_path / "b" / "y.cti"]
    for path in files:
        path.parent.mkdir()
        path.touch()
    monkeypatch.setenv(PRODUCERS_VARIABLE, f"{tmp_path / 'a'}{os.pathsep}{tmp_path / 'b'}")
    assert list(producer_files()) == files


def test_without_harvesters_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "harvesters.core", None)
    with pytest.raises(CameraNotFound, match=r"pip install 'her2scope\[devices\]'"):
        GenicamSource("1", 0.25, CameraState(), producers=(tmp_path / "x.cti",)).open()


# ---- the simulator that the genicam wheel ships --------------------------------------------------------------------


@pytest.fixture
def simulator() -> Path:
    genicam_package = pytest.importorskip("genicam", reason="genicam is not installed (extra: devices)")
    pytest.importorskip("harvesters", reason="harvesters is not installed (extra: devices)")
    path = Path(genicam_package.__file__).parent / "viky.cti"
    if not path.exists():
        pytest.skip("the genicam wheel of this system ships no simulator")
    return path


def test_the_simulator_is_found_read_and_read_again(simulator: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PRODUCERS_VARIABLE, str(simulator.parent))
    listed = found()
    assert [device.uri for device in listed] == ["genicam:0", "genicam:1", "genicam:2"]
    assert not any(device.problem for device in listed)
    source = open_source(listed[0].uri, SourceOptions(um_per_px=0.25))
    last = -1
    for _ in range(2):
        source.open()
        frames = [source.read(PATIENCE_S) for _ in range(3)]
        source.close()
        assert all(frame.rgb.shape == (400, 400, 3) for frame in frames)
        assert last < frames[0].index < frames[-1].index
        last = frames[-1].index


def test_a_serial_that_the_simulator_does_not_have(simulator: Path) -> None:
    source = open_source(f"genicam:77?cti={simulator}", SourceOptions(um_per_px=0.25))
    with pytest.raises(CameraNotFound, match="There is genicam:0, genicam:1, genicam:2"):
        source.open()


def test_mono_of_the_simulator_is_refused(simulator: Path) -> None:
    source = open_source(f"genicam:0?cti={simulator}&format=Mono8", SourceOptions(um_per_px=0.25))
    with pytest.raises(CameraNotFound, match="no readable pixel format Mono8. Ask for RGBa8"):
        source.open()


def test_the_simulator_takes_size_or_says_so(simulator: Path) -> None:
    source = open_source(f"genicam:0?cti={simulator}&size=640x480&fps=30", SourceOptions(um_per_px=0.25))
    source.open()
    size_hw = source.read(PATIENCE_S).size_hw
    source.close()
    assert size_hw == (480, 640) and source.problems == ()
    source = open_source(f"genicam:0?cti={simulator}", SourceOptions(um_per_px=0.25, size_wh=(40_000, 10)))
    with pytest.raises(CameraNotFound, match="not 40000 x 10, and the pixel size would not hold"):
        source.open()


@pytest.mark.parametrize("content", [None, b"not a library"])
def test_a_file_that_is_no_producer_is_said(
    content: bytes | None, tmp_path: Path, simulator: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.cti"
    if content is not None:
        path.write_bytes(content)
    source = open_source(f"genicam:0?cti={path}", SourceOptions(um_per_px=0.25))
    with pytest.raises(CameraNotFound, match="no such GenTL producer|cannot be loaded"):
        source.open()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("serial", "colour"), [(0, (255, 0, 0)), (1, (0, 255, 0)), (2, (0, 0, 255))])
def test_the_simulators_red_green_and_blue_balls_have_their_colours(
    serial: int, colour: tuple[int, int, int], simulator: Path
) -> None:
    source = open_source(f"genicam:{serial}?cti={simulator}", SourceOptions(um_per_px=0.25))
    source.open()
    pixels = source.read(PATIENCE_S).rgb.reshape(-1, 3)
    source.close()
    coloured = pixels[pixels.max(axis=1) > pixels.min(axis=1)]
    assert len(coloured) > 100
    assert np.array_equal(np.median(coloured, axis=0), colour)


def test_a_program_that_ends_without_closing_it_ends_quietly(simulator: Path) -> None:
    program = (
        "from her2scope.cameras.registry import SourceOptions, open_source\n"
        f"source = open_source(r'genicam:0?cti={simulator}', SourceOptions(um_per_px=0.25))\n"
        "source.open()\n"
        f"source.read({PATIENCE_S})\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
