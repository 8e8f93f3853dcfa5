from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from cameras.fakes import colour_picture

from her2scope.cameras.genicam import GenicamSource
from her2scope.cameras.images import ImageFolderSource
from her2scope.cameras.micro_manager import MicroManagerSource
from her2scope.cameras.registry import SOURCE_URIS, SourceOptions, UnknownSourceError, open_source, pixel_size_um
from her2scope.cameras.slide_view import SlideMicroscope
from her2scope.cameras.stream import StreamSource
from her2scope.cameras.uvc import UvcCameraSource
from her2scope.cameras.video import VideoFileSource
from her2scope.domain.errors import BadInputError, CameraNotFound, NotAvailableError
from her2scope.imaging.files import write_png
from her2scope.settings import Calibration

CALIBRATION = Calibration(name="lab 3", objectives={"20x": 0.5, "40x": 0.25}, response="srgb")
BY_HAND = SourceOptions(um_per_px=0.25)


@pytest.mark.parametrize(
    ("uri", "kind", "name"),
    [
        ("images:some/folder", ImageFolderSource, "images:some/folder"),
        ("video:some/file.mp4", VideoFileSource, "video:file.mp4"),
        ("mm:some/stand.cfg", MicroManagerSource, "mm:stand.cfg"),
        ("camera:0", UvcCameraSource, "camera:0"),
        ("camera:/dev/video2", UvcCameraSource, "camera:/dev/video2"),
        ("/dev/video2", UvcCameraSource, "camera:/dev/video2"),
        ("camera:1?size=640x480&fps=30", UvcCameraSource, "camera:1"),
        ("/dev/video2?format=MJPG", UvcCameraSource, "camera:/dev/video2"),
        ("genicam:40123", GenicamSource, "genicam:40123"),
        ("genicam:40123?cti=/x/y.cti&format=BayerRG8&exposure_ms=5", GenicamSource, "genicam:40123"),
        ("genicam:40123?size=1024x768&fps=20&wb=1.5,1.9", GenicamSource, "genicam:40123"),
        ("stream:rtsp://eva:secret@10.0.0.5/live", StreamSource, "stream:rtsp://10.0.0.5/live"),
        ("http://10.0.0.5/video", StreamSource, "stream:http://10.0.0.5/video"),
        ("slide:some/slide.svs", SlideMicroscope, "slide:slide.svs"),
        ("IMAGES:some/folder", ImageFolderSource, "images:some/folder"),
    ],
)
def test_a_uri_names_its_source_without_opening_it(
    uri: str, kind: type, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "some" / "folder").mkdir(parents=True)
    for file in ("folder/a.png", "file.mp4", "slide.svs", "stand.cfg"):
        (tmp_path / "some" / file).touch()
    source = open_source(uri, BY_HAND)
    assert isinstance(source, kind)
    assert source.name == name


@pytest.mark.parametrize(
    ("uri", "meant"),
    [("image:folder", "images:"), ("cam:0", "camera:"), ("vide:x.mp4", "video:"), ("phantoms:", "phantom:")],
)
def test_an_unknown_source_names_the_nearest_and_all(uri: str, meant: str) -> None:
    with pytest.raises(UnknownSourceError, match=f"Did you mean '{meant}'") as error:
        open_source(uri, BY_HAND)
    assert all(known in str(error.value) for known in SOURCE_URIS)


@pytest.mark.parametrize("uri", ["", "7", ":"])
def test_what_this_version_does_not_know_is_not_available(uri: str) -> None:
    with pytest.raises(NotAvailableError, match="not available in this version"):
        open_source(uri, BY_HAND)


def test_a_mistyped_stream_does_not_tell_its_password() -> None:
    with pytest.raises(UnknownSourceError, match="Did you mean 'stream:'") as error:
        open_source("steam:rtsp://eva:secret@box/live", BY_HAND)
    assert "secret" not in str(error.value) and "secret" not in error.value.name


def test_a_bare_slide_is_answered_with_the_uri_for_it() -> None:
    with pytest.raises(NotAvailableError, match="Did you mean 'slide:some/slide.SVS'"):
        open_source("some/slide.SVS", BY_HAND)


def test_a_bare_folder_is_answered_with_the_uri_for_it(tmp_path: Path) -> None:
    with pytest.raises(NotAvailableError, match=f"Did you mean 'images:{tmp_path}'"):
        open_source(str(tmp_path), BY_HAND)


@pytest.mark.parametrize(
    "uri",
    [
        "images:",
        "video:",
        "mm:",
        "camera:",
        "camera:one",
        "camera:-1",
        "camera:0?size=big",
        "camera:0?format=MJPEG",
        "camera:name=",
        "genicam:",
        "genicam:?cti=/x/y.cti",
        "genicam:1?wb=5600",
        "genicam:1?wb=1.5,nan",
        "genicam:1?colour=warm",
    ],
)
def test_a_source_without_its_device_is_bad_input(uri: str) -> None:
    with pytest.raises(BadInputError):
        open_source(uri, BY_HAND)


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("mm:MISSING.cfg", "'mm:MISSING.cfg': no such Micro-Manager configuration"),
        ("slide:MISSING.svs", "'slide:MISSING.svs': no such slide file"),
        ("video:MISSING.mp4", "'video:MISSING.mp4': no such video file"),
        ("video:there.mp4?loop=1", "no such video file"),
        ("video:" + "x" * 5000, "no such video file"),
        ("video:empty", "'video:empty' is a folder. Name the video file itself"),
        ("images:MISSING", "'images:MISSING': no such folder"),
    ],
)
def test_a_file_that_is_not_there_is_bad_input_before_anything_opens(
    uri: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "there.mp4").touch()
    with pytest.raises(BadInputError, match=re.escape(says)):
        open_source(uri, BY_HAND)
    with pytest.raises(CameraNotFound):  # where it may come later, opening says so, and is tried again
        open_source(uri, replace(BY_HAND, may_come_later=True)).open()


def test_a_folder_may_be_empty_and_is_no_file(tmp_path: Path) -> None:
    source = open_source(f"images:{tmp_path}", BY_HAND)
    with pytest.raises(CameraNotFound, match="no image in this folder"):
        source.open()
    write_png(tmp_path / "a.png", colour_picture())  # as it comes from a program that saves pictures there
    source.open()
    source.close()
    for options in (BY_HAND, replace(BY_HAND, may_come_later=True)):
        with pytest.raises(BadInputError, match="is a file"):
            open_source(f"images:{tmp_path / 'a.png'}", options)


@pytest.mark.parametrize("uri", ["camera:7", "camera:/dev/video77", "genicam:77", "stream:rtsp://10.255.0.1/live"])
def test_a_device_that_is_unplugged_is_waited_for(uri: str) -> None:
    assert open_source(uri, BY_HAND).name


def test_a_camera_by_name_is_waited_for_where_names_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    uri = "camera:name=Bench camera: v2?fps=30"
    monkeypatch.setattr("sys.platform", "linux")
    assert open_source(uri, BY_HAND).name == "camera:name=Bench camera: v2"
    monkeypatch.setattr("sys.platform", "win32")
    with pytest.raises(BadInputError, match="on Linux alone"):
        open_source(uri, BY_HAND)


def test_a_pixel_size_given_by_hand_wins() -> None:
    assert pixel_size_um(SourceOptions(CALIBRATION, objective="40x", um_per_px=0.3)) == 0.3


def test_the_objective_gives_the_pixel_size() -> None:
    assert pixel_size_um(SourceOptions(CALIBRATION, objective="20x")) == 0.5


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (SourceOptions(), "pixel size unknown: give --um-per-px, or --objective with --calibration"),
        (SourceOptions(CALIBRATION), "pixel size unknown"),
        (SourceOptions(CALIBRATION, objective="63x"), "'lab 3' has no objective '63x'. It knows 20x, 40x"),
        (SourceOptions(objective="40x"), "lists no objectives"),
        (SourceOptions(um_per_px=250.0), "not possible"),
        (SourceOptions(um_per_px=float("nan")), "not possible"),
        (SourceOptions(um_per_px=0.0), "not possible"),
    ],
)
@pytest.mark.parametrize("uri", ["images:folder", "camera:0", "video:file"])
def test_without_a_usable_pixel_size_nothing_is_made(uri: str, options: SourceOptions, says: str) -> None:
    with pytest.raises(BadInputError, match=says):
        open_source(uri, options)


def test_objective_and_response_reach_the_frame(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", colour_picture())
    source = open_source(f"images:{tmp_path}", SourceOptions(CALIBRATION, objective="40x"))
    source.open()
    frame = source.read(20.0)
    source.close()
    assert (frame.um_per_px, frame.camera.objective, frame.camera.response) == (0.25, "40x", "srgb")


@pytest.mark.parametrize("uri", ["phantom:3+?seed=x", "phantom:?sede=3", "phantom:?seed=", "phantom:?seed=-1"])
def test_an_option_that_the_phantom_does_not_know_is_refused(uri: str) -> None:
    pytest.importorskip("her2scope.phantom.microscope", reason="the phantom microscope is not there yet")
    with pytest.raises(BadInputError, match="phantom"):
        open_source(uri, SourceOptions())
