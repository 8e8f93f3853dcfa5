"""`her2scope calibrate` as another program would call it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from her2scope.app.calibrate import calibration_dir, newest_calibration
from her2scope.cli import main
from her2scope.imaging.files import read_rgb, write_png
from her2scope.phantom.calibration_targets import (
    MicrometerSpec,
    draw_empty_field,
    draw_exposure_series,
    draw_micrometer,
)
from her2scope.phantom.optics import Optics
from her2scope.settings import load_calibration

TINTED = Optics(response="srgb", lamp_rgb=(0.85, 0.90, 0.88), shading=0.1)
TIMES = (0.1, 0.2, 0.4, 0.8)


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    try:
        code = main([str(item) for item in arguments])
    except SystemExit as stop:
        code = int(stop.code or 0)
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("targets")
    write_png(folder / "ruling.png", draw_micrometer(MicrometerSpec(size_wh=(640, 360), optics=TINTED)))
    write_png(folder / "jumble.png", draw_micrometer(MicrometerSpec(size_wh=(640, 360), optics=TINTED, jitter_um=1.5)))
    write_png(folder / "empty.png", draw_empty_field(TINTED, (320, 240)))
    for number, picture in enumerate(draw_exposure_series(TINTED, TIMES)):
        write_png(folder / f"step{number}.png", picture)
    return folder


def test_part_by_part_a_calibration_grows(capsys, tmp_path, targets):
    steps = [targets / f"step{number}.png" for number in range(len(TIMES))]
    fit, figures = tmp_path / "fit.png", tmp_path / "figures.json"
    code, out, _ = run(
        capsys, "calibrate", "micrometer", targets / "ruling.png", "--objective", "40x", "--name", "room 7",
        "--picture", fit, "--json", figures,
    )  # fmt: skip
    assert code == 0 and "not calibrated -> 0.25 um/px" in out and "a new calibration" in out
    assert read_rgb(fit).shape[1] == 640
    answer = json.loads(figures.read_text())
    assert answer["schema"] == "her2scope.calibration/1" and answer["measured"]["n_lines"] >= 12
    assert run(capsys, "calibrate", "empty", targets / "empty.png", "--exposure-ms", 4)[0] == 0
    assert run(capsys, "calibrate", "response", *steps, "--exposures-ms", "0.1,0.2,0.4,0.8")[0] == 0
    newest = newest_calibration()
    assert newest is not None and newest.name.startswith("room-7-") and len(list(calibration_dir().iterdir())) == 3
    found = load_calibration(newest)
    assert found.objectives == {"40x": pytest.approx(0.25, rel=1e-3)} and found.response == "srgb"
    assert found.exposure_ms == 4 and found.flat_field is not None
    code, out, _ = run(capsys, "calibrate", "show", "--json", tmp_path / "show.json")
    assert code == 0 and "response: srgb" in out and "stain vectors are the literature's" in out
    assert json.loads((tmp_path / "show.json").read_text())["expired"] is None


def test_a_refused_measurement_writes_nothing_and_keeps_the_old_one(capsys, tmp_path, targets):
    assert run(capsys, "calibrate", "micrometer", targets / "ruling.png", "--objective", "40x")[0] == 0
    before = {path: path.read_bytes() for path in calibration_dir().iterdir()}
    for arguments in (
        ("micrometer", targets / "jumble.png", "--objective", "40x"),
        ("empty", targets / "ruling.png"),
        ("response", targets / "step0.png", "--exposures-ms", "1"),
        ("stains", targets / "empty.png"),
    ):
        code, out, err = run(
            capsys, "calibrate", *arguments, "--json", tmp_path / "a.json", "--picture", tmp_path / "a.png"
        )
        assert code == 1 and out == "" and err.startswith("refused, the calibration stays as it was: ")
        assert err.count("\n") == 1
    assert {path: path.read_bytes() for path in calibration_dir().iterdir()} == before
    assert not (tmp_path / "a.json").exists() and not (tmp_path / "a.png").exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("white_rgb: [0.94, 0.93, 0.92]", "looks like shares of full scale"),
        ("objectives: {40x: 250}", "looks like nanometres: give 0.25"),
        ("objectives: {40x: 0.25 mm}", "without a unit"),
        ("date: 2999-01-01", "lies in the future"),
        ("whit_rgb: [1, 2, 3]", "Did you mean 'white_rgb'"),
    ],
)
def test_a_damaged_start_is_named_and_kept(capsys, tmp_path, targets, text, says):
    start = tmp_path / "start.yaml"
    start.write_text(text)
    code, _, err = run(capsys, "calibrate", "empty", targets / "empty.png", "--calibration", start)
    assert code == 2 and says in err and err.count("\n") == 1
    assert start.read_text() == text and not calibration_dir().exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("show",), "no calibration is saved here"),
        (("micrometer", "none.png", "--objective", "40x"), "no such file"),
        (("micrometer", "none.png"), "--objective"),
        (("response", "none.png", "--exposures-ms", "1,two"), "not a number"),
        (("empty", "none.png", "--gain", "-1"), "above 0"),
    ],
)
def test_wrong_use_is_one_line(capsys, arguments, says):
    code, _, err = run(capsys, "calibrate", *arguments)
    assert code == 2 and says in err and err.count("\n") == 1


def test_an_existing_file_is_not_replaced(capsys, tmp_path, targets):
    out = tmp_path / "mine.yaml"
    out.write_text("name: mine\n")
    arguments = ("calibrate", "micrometer", targets / "ruling.png", "--objective", "40x", "--out", out)
    code, _, err = run(capsys, *arguments)
    assert code == 2 and "is there already" in err and yaml.safe_load(out.read_text()) == {"name": "mine"}
