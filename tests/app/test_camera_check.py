"""What the page to send says of a camera, and that it names no file."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import numpy as np
import pytest

from her2scope.app.camera_check import Finding, check_camera
from her2scope.cli import main
from her2scope.domain.errors import CameraLost, CameraNotFound, CameraTimeout
from her2scope.imaging.files import write_png
from her2scope.imaging.opencv import cv2
from her2scope.phantom.field import PhantomSpec, render_field
from her2scope.records import CameraState, Frame, RgbImage
from her2scope.settings import QualitySettings


@pytest.fixture(scope="module")
def tissue() -> RgbImage:
    return render_field(PhantomSpec("2+", 21, 0, size_wh=(480, 360), difficulty="easy")).rgb


@dataclass
class Played:
    """A camera that plays pictures and faults on a clock of its own."""

    plays: list[RgbImage | Exception]
    step_s: float = 0.05
    opens: Exception | None = None
    name: str = "played"
    now_s: float = 100.0
    closed: int = 0
    state: CameraState = field(default_factory=lambda: CameraState(exposure_ms=8.0))

    def open(self) -> None:
        if self.opens is not None:
            raise self.opens

    def read(self, timeout_s: float) -> Frame:
        self.now_s += self.step_s
        item = self.plays.pop(0) if len(self.plays) > 1 else self.plays[0]
        if isinstance(item, Exception):
            raise item
        return Frame(item, 0, self.now_s, 0.25, self.state)

    def close(self) -> None:
        self.closed += 1


def checked(camera: Played, scheme: str = "camera", seconds: float = 2.0) -> dict[str, Finding]:
    findings = check_camera(camera, scheme, seconds, QualitySettings(), lambda: camera.now_s)
    assert camera.closed == 1
    return {finding.what: finding for finding in findings}


def test_a_good_camera_is_well_in_every_line(tissue):
    found = checked(Played([tissue]))
    assert all(finding.ok for finding in found.values())
    assert found["camera"].text == "camera: 480 x 360 px"
    assert found["rate"].text.startswith("20.0 frames/s, longest pause 50 ms")
    assert "exposure 8 ms" in found["settings"].text and "gain not told" in found["settings"].text


def test_what_is_wrong_is_said_with_its_remedy(tissue):
    grey = np.repeat(tissue.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    assert "grey" in checked(Played([grey]))["colour"].text
    warm = np.clip(tissue * np.array([1.1, 1.0, 0.7]), 0, 255).astype(np.uint8)
    colour = checked(Played([warm]))["colour"]
    assert not colour.ok and "white balance" in colour.text
    blurred = cv2.GaussianBlur(tissue, (0, 0), 6.0)
    assert not checked(Played([blurred]))["focus"].ok
    clipped = np.where(tissue > 150, 255, tissue).astype(np.uint8)
    assert not checked(Played([clipped]))["clipped"].ok
    slow = checked(Played([tissue], step_s=0.4))["rate"]
    assert not slow.ok and slow.text.startswith("2.5 frames/s")
    resized = checked(Played([tissue, np.ascontiguousarray(tissue[:240])], step_s=0.6))["camera"]
    assert not resized.ok and "480 x 240, 480 x 360" in resized.text


def test_a_camera_that_is_not_there_silent_or_lost_is_said(tissue):
    assert "in a drawer" in checked(Played([tissue], opens=CameraNotFound("in a drawer")))["camera"].text
    assert "no picture within 2 s" in checked(Played([CameraTimeout("nothing")]))["camera"].text
    lost = checked(Played([tissue, tissue, CameraLost("unplugged", 1)]))
    assert not lost["camera"].ok and "unplugged" in lost["camera"].text
    assert "20.0 frames/s" in lost["rate"].text


@pytest.mark.parametrize("scheme", ["images", "video", "slide"])
def test_no_name_of_a_file_gets_onto_the_page(scheme):
    (finding,) = checked(Played([], opens=CameraNotFound("/data/Smith John.svs is gone")), scheme).values()
    assert "Smith" not in finding.text and "CameraNotFound" in finding.text


def test_the_page_looks_at_a_source_and_names_no_patient(capsys, tmp_path, tissue):
    folder = tmp_path / "Smith John"
    folder.mkdir()
    write_png(folder / "Smith.png", tissue)
    page = tmp_path / "doctor.json"
    arguments = ["--source", f"images:{folder}", "--seconds", "0.5", "--um-per-px", "0.25", "--json", str(page)]
    assert main(["doctor", *arguments]) in (0, 1)
    whats = [check["what"] for check in json.loads(page.read_text())["checks"]]
    assert {"camera", "rate", "colour", "focus", "clipped", "picture", "extras"} <= set(whats)
    assert "Smith" not in page.read_text() and "Smith" not in capsys.readouterr().out


def test_the_page_tells_the_instruments_states(capsys, tmp_path):
    desk = tmp_path / "instruments.yaml"
    desk.write_text(f"stage: {{line: {{port: {tmp_path}/none}}}}\n")
    assert main(["doctor", "--instruments", str(desk)]) == 1
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("NOT")]
    assert "stage" in line and "is not there" in line


def test_wrong_use_of_the_page_is_one_line(capsys):
    assert main(["doctor", "--source", "camra:0"]) == 2
    assert "Did you mean 'camera:'" in capsys.readouterr().err
    for seconds in ("0", "x", "nan", "601"):
        with pytest.raises(SystemExit, match="2"):
            main(["doctor", "--seconds", seconds])
        assert "0.5 to 600 seconds" in capsys.readouterr().err
