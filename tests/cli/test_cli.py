"""The commands as another program would call them: exit codes, files, one clear line for bad input."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from her2scope.cli import main
from her2scope.imaging.files import read_rgb, write_png
from her2scope.imaging.opencv import cv2
from her2scope.reporting.content import schema


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    try:
        code = main([str(item) for item in arguments])
    except SystemExit as stop:
        code = int(stop.code or 0)
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def refused(capsys, *arguments: object) -> str:
    """The one line with which wrong use or bad input ends."""
    code, _, err = run(capsys, *arguments)
    assert code == 2
    assert err.startswith("her2scope: ") and err.count("\n") == 1 and "Traceback" not in err
    return err


def score_json(capsys, tmp_path: Path, *arguments: object) -> dict:
    path = tmp_path / "out.json"
    code, out, _ = run(capsys, "score", *arguments, "--json", path)
    assert code == 0 and "research use only" in out
    found = json.loads(path.read_text())
    jsonschema.validate(found, schema("her2scope.score/1"))
    return found


def test_score_with_control_writes_the_contract(capsys, tmp_path, rendered):
    fields = [rendered / "2+" / "field_000.png", rendered / "2+" / "field_001.png"]
    found = score_json(
        capsys, tmp_path, *fields, "--um-per-px", 0.25, "--control", rendered / "3+" / "field_000.png",
        "--overlay-dir", tmp_path / "overlays", "--mask-dir", tmp_path / "masks",
    )  # fmt: skip
    assert found["case"]["score"] == "2+" and found["case"]["category"] == "equivocal"
    assert found["control"]["status"] in ("valid", "warning") and found["control"]["intense_od10"] > 0
    assert [Path(item["image"]).name for item in found["fields"]] == ["field_000.png", "field_001.png"]
    shape = read_rgb(fields[0]).shape[:2]
    assert read_rgb(tmp_path / "overlays" / "field_000_overlay.png").shape[:2] == shape
    membrane = cv2.imread(str(tmp_path / "masks" / "field_000_membrane.png"), cv2.IMREAD_UNCHANGED)
    cells = cv2.imread(str(tmp_path / "masks" / "field_000_cells.png"), cv2.IMREAD_UNCHANGED)
    assert membrane.shape == cells.shape == shape
    assert membrane.dtype == np.uint8 and set(np.unique(membrane)) <= {0, 128, 255}
    assert cells.dtype == np.uint16 and cells.max() <= len(found["fields"][0]["cells"])


def test_shares_are_those_of_the_listed_cells(capsys, tmp_path, rendered):
    found = score_json(capsys, tmp_path, rendered / "2+" / "field_000.png", "--um-per-px", 0.25)
    field = found["fields"][0]
    counted = [cell for cell in field["cells"] if cell["kind"] == "tumour" and not cell["edge"]]
    assert field["n_tumour"] == len(counted) == found["case"]["n_tumour"]
    for name, share in field["shares_percent"].items():
        assert share == pytest.approx(100 * sum(cell["class"] == name for cell in counted) / len(counted))
    assert sum(field["shares_percent"].values()) == pytest.approx(100)
    assert found["control"]["status"] == "absent" and not found["case"]["reportable"]


def test_a_blurred_image_is_listed_unusable(capsys, tmp_path, rendered):
    blurred = tmp_path / "blurred.png"
    write_png(blurred, cv2.GaussianBlur(read_rgb(rendered / "2+" / "field_000.png"), (0, 0), 10))
    found = score_json(capsys, tmp_path, rendered / "2+" / "field_001.png", blurred, "--um-per-px", 0.25)
    field = found["fields"][1]
    assert (field["usable"], field["score"], field["shares_percent"], field["cells"]) == (False, None, None, [])
    assert field["reasons"]


def test_a_tiny_image_is_listed_too_small(capsys, tmp_path):
    tiny = tmp_path / "tiny.png"
    write_png(tiny, np.random.default_rng(0).integers(0, 255, (20, 20, 3), dtype=np.uint8))
    found = score_json(capsys, tmp_path, tiny, "--um-per-px", 0.25)
    assert not found["fields"][0]["usable"] and "too small" in found["fields"][0]["reasons"][0]
    assert found["case"]["score"] is None


def test_one_image_given_twice_counts_once(capsys, tmp_path, rendered):
    image = rendered / "2+" / "field_000.png"
    once = score_json(capsys, tmp_path, image, "--um-per-px", 0.25)
    twice = score_json(capsys, tmp_path, image, image, "--um-per-px", 0.25)
    assert twice["case"]["n_tumour"] == once["case"]["n_tumour"]


@pytest.mark.parametrize("bad", ["text.jpg", "16bit.png", "grey.png", "missing.png", "empty.png"])
def test_one_bad_image_stops_all_and_writes_nothing(capsys, tmp_path, rendered, bad):
    (tmp_path / "text.jpg").write_text("this is not a picture")
    (tmp_path / "empty.png").write_bytes(b"")
    cv2.imwrite(str(tmp_path / "16bit.png"), np.full((80, 80, 3), 30_000, np.uint16))
    cv2.imwrite(str(tmp_path / "grey.png"), np.random.default_rng(0).integers(0, 255, (80, 80), dtype=np.uint8))
    out = tmp_path / "out"
    line = refused(
        capsys, "score", rendered / "2+" / "field_000.png", tmp_path / bad, "--um-per-px", 0.25,
        "--json", out / "o.json", "--overlay-dir", out, "--mask-dir", out,
    )  # fmt: skip
    assert bad in line
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--um-per-px", "250"], "not possible for a light microscope"),
        (["--um-per-px", "abc"], "is not a number"),
        ([], "--um-per-px"),
        (["--um-per-px", "0.25", "--guideline", "gastric-2016"], "guideline 'gastric-2016' is not available"),
        (["--um-per-px", "0.25", "--method", "network"], "method 'network' is not available"),
        (["--um-per-px", "0.25", "--calibration", "nowhere.yaml"], "nowhere.yaml: no such file"),
    ],
)
def test_wrong_options_are_one_clear_line(capsys, rendered, arguments, says):
    assert says in refused(capsys, "score", rendered / "2+" / "field_000.png", *arguments)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("cutz: {intense_od10: 0.5}", "unknown key 'cutz'. Did you mean 'cuts'?"),
        ("cuts: {intense_od10: high}", "expected a number"),
        ("cuts: {intense_od10: 0.01}", "must rise"),
        ("- a list", "expected keys with values"),
        ("a: [1, 2", "not valid YAML"),
    ],
)
def test_settings_with_a_slip_are_refused(capsys, tmp_path, rendered, text, says):
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    line = refused(capsys, "score", rendered / "2+" / "field_000.png", "--um-per-px", 0.25, "--settings", path)
    assert says in line and "settings.yaml" in line


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("white_rgb: [0, 240, 240]", "white_rgb"),
        ("dab_vector: [0, 0, 0]", "has no direction"),
        ("objectives: {40x: -0.25}", "not possible"),
        ("response: camera", "response 'camera' is not known"),
        ("dab_vector: [0.65, 0.70, 0.286]", "cannot be told apart"),
        ("um_per_pixel: 0.25", "unknown key 'um_per_pixel'"),
    ],
)
def test_calibrations_with_a_slip_are_refused(capsys, tmp_path, rendered, text, says):
    path = tmp_path / "microscope.yaml"
    path.write_text(text)
    line = refused(capsys, "score", rendered / "2+" / "field_000.png", "--um-per-px", 0.25, "--calibration", path)
    assert says in line


def test_control_check_says_valid_and_invalid_by_its_exit_code(capsys, tmp_path, rendered):
    path = tmp_path / "control.json"
    check = ["control", "check", "--um-per-px", "0.25", "--expect", "3+", "--lot", "L1", "--json", path]
    code, _, _ = run(capsys, *check, rendered / "3+" / "field_000.png")
    found = json.loads(path.read_text())
    jsonschema.validate(found, schema("her2scope.control/1"))
    assert code == 0 and found["status"] in ("valid", "warning") and found["read"] == "3+"
    code, out, _ = run(capsys, *check, rendered / "0" / "field_000.png")
    found = json.loads(path.read_text())
    jsonschema.validate(found, schema("her2scope.control/1"))
    assert code == 1 and found["status"] == "invalid" and "wrong_level" in found["codes"]
    assert "invalid" in out


def test_a_used_phantom_folder_is_refused(capsys, rendered):
    before = sorted(path.name for path in (rendered / "2+").iterdir())
    line = refused(capsys, "phantom", "render", "--out", rendered / "2+", "--score", "2+")
    assert str(rendered / "2+") in line
    assert sorted(path.name for path in (rendered / "2+").iterdir()) == before


def test_headless_demo_does_the_whole_job(capsys, tmp_path):
    code, out, _ = run(capsys, "demo", "--headless", "--out", tmp_path / "report", "--fields", 1)
    assert code == 0
    assert "control 3+: valid" in out and "accepted field 1 of case" in out
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == ["report.html", "report.json", "report.pdf"]
    found = json.loads((tmp_path / "report" / "report.json").read_text())
    jsonschema.validate(found, schema("her2scope.score/1"))
    assert found["case"]["score"] == "2+"
    assert "holds a report already" in refused(capsys, "demo", "--headless", "--out", tmp_path / "report")


def test_doctor_prints_a_page(capsys, tmp_path):
    code, out, _ = run(capsys, "doctor", "--json", tmp_path / "doctor.json")
    assert code == 0 and "case folder" in out and "ONNX Runtime" in out
    assert json.loads((tmp_path / "doctor.json").read_text())["schema"] == "her2scope.doctor/1"


def test_unknown_commands_are_one_line(capsys):
    assert "invalid choice: 'nonsense'" in refused(capsys, "nonsense")


def test_no_display_is_said_not_crashed(tmp_path):
    """In a process of its own: a QApplication of another test would count as a display."""
    import os

    environment = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "WAYLAND_DISPLAY")}
    environment.pop("QT_QPA_PLATFORM", None)
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "her2scope", "--source", "phantom:"], capture_output=True, text=True, env=environment,
        timeout=60, check=False,
    )  # fmt: skip
    if sys.platform.startswith("linux"):
        assert done.returncode == 2
        assert "there is no display" in done.stderr and done.stderr.count("\n") == 1


def test_help_is_quick_to_load():
    """Help must not import what it does not need: neither Qt, nor OpenCV, nor ONNX Runtime."""
    code = (
        "import sys; import her2scope.cli as cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([name for name in ('PyQt6', 'cv2', 'onnxruntime', 'numpy', 'reportlab') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.strip().endswith("[]")
