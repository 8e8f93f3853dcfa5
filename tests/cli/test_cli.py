"""The commands as another program would call them: exit codes, files, one clear line for bad input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from her2scope.app.outputs import check_outputs, write_all
from her2scope.cli import main
from her2scope.domain.errors import BadInputError
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
        (["--um-per-px", "0.25", "--method", "watershed"], "method 'watershed' is not available"),
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


def test_help_lists_the_window_and_the_commands(capsys):
    code, out, _ = run(capsys, "--help")
    assert code == 0 and all(word in out for word in ("--source", "score", "control", "phantom", "demo", "doctor"))
    for command in (["score"], ["control"], ["control", "check"], ["phantom", "render"], ["demo"], ["doctor"]):
        code, out, _ = run(capsys, *command, "--help")
        assert code == 0 and " ".join(command) in out


@pytest.mark.parametrize("before", [["--settings", "bad.yaml"], ["--settings=bad.yaml"], ["--um-per-px", 0.25]])
def test_an_option_before_the_command_is_refused_not_dropped(capsys, rendered, before):
    line = refused(capsys, *before, "score", rendered / "2+" / "field_000.png", "--um-per-px", 0.25)
    assert "options stand after the command: her2scope score --" in line


def test_an_invalid_control_ends_in_1(capsys, tmp_path, rendered):
    path = tmp_path / "out.json"
    score = ["score", rendered / "2+" / "field_000.png", "--um-per-px", 0.25, "--json", path]
    code, out, _ = run(capsys, *score, "--control", rendered / "0" / "field_000.png")
    found = json.loads(path.read_text())
    assert code == 1 and found["control"]["status"] == "invalid" and not found["case"]["reportable"]
    assert "research use only" in out


# ---- files given and files written --------------------------------------------------------------------------------


@pytest.fixture
def tiny(tmp_path) -> Path:
    """A picture that is quick to score: too small to be usable."""
    path = tmp_path / "in" / "tiny.png"
    write_png(path, np.random.default_rng(0).integers(0, 255, (20, 20, 3), dtype=np.uint8))
    return path


def tree(folder: Path) -> dict[str, bytes | None]:
    """All that lies in a folder, with the files' bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--json", "in/tiny.png"], "reads or writes this file already"),
        (["--json", "in/../in/tiny.png"], "reads or writes this file already"),
        (["--json", "link.json"], "reads or writes this file already"),
        (["--json", "settings.yaml", "--settings", "settings.yaml"], "reads or writes this file already"),
        (["--json", "in/tiny.png", "--control", "in/tiny.png"], "reads or writes this file already"),
        (["--json", "new/tiny_overlay.png", "--overlay-dir", "new"], "reads or writes this file already"),
        (["--json", "in"], "this is a folder"),
        (["--json", "new", "--mask-dir", "new"], "this is a folder"),
        (["--json", "in/tiny.png/out.json"], "cannot be used"),
        (["--overlay-dir", "in/tiny.png"], "cannot be used"),
        (["--json", "circle.json"], "cannot be used"),
        (["--json", f"{'n' * 300}.json"], "cannot be used"),
        (["--json", os.devnull], "this is a device"),
        (["--json", "/proc/x/y.json", "--mask-dir", "new", "--overlay-dir", "new"], "cannot be written"),
    ],
)
def test_outputs_that_cannot_be_are_refused_before_anything_is_written(
    capsys, tmp_path, tiny, monkeypatch, options, says
):
    if "/proc/x/y.json" in options and not sys.platform.startswith("linux"):
        pytest.skip("no /proc")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "settings.yaml").write_text("{}")
    (tmp_path / "link.json").symlink_to(tiny)
    (tmp_path / "circle.json").symlink_to("circle.json")
    before = tree(tmp_path)
    assert says in refused(capsys, "score", tiny, "--um-per-px", 0.25, *options)
    assert tree(tmp_path) == before


def test_a_control_check_does_not_replace_its_image(capsys, tmp_path, tiny):
    before = tree(tmp_path)
    check = ["control", "check", tiny, "--um-per-px", 0.25, "--expect", "3+", "--json"]
    assert "reads or writes this file already" in refused(capsys, *check, tiny)
    assert "this is a folder" in refused(capsys, *check, tmp_path)
    assert "this is a folder" in refused(capsys, "doctor", "--json", tmp_path)
    assert tree(tmp_path) == before


def test_an_image_never_replaces_another(capsys, tmp_path, tiny):
    """The overlay of `tiny.png` has the name of the second image."""
    second = tiny.with_name("tiny_overlay.png")
    second.write_bytes(tiny.read_bytes())
    before = tree(tmp_path)
    assert "already" in refused(capsys, "score", tiny, second, "--um-per-px", 0.25, "--overlay-dir", tiny.parent)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("fails_at", [1, 2, 3])
def test_a_write_that_fails_midway_leaves_nothing(tmp_path, monkeypatch, step, fails_at):
    files = {tmp_path / "a" / "b" / "1": b"1", tmp_path / "a" / "2": b"2", tmp_path / "3": b"3"}
    real, calls = getattr(os, step), []

    def failing(*arguments):
        calls.append(arguments)
        if len(calls) == fails_at:
            raise OSError(28, "No space left on device")
        return real(*arguments)

    monkeypatch.setattr(os, step, failing)
    with pytest.raises(BadInputError, match=r"No space left on device.*keeps none of its files"):
        write_all(files)
    assert tree(tmp_path) == {}
    write_all(files)
    assert {path: path.read_bytes() for path in files} == files
    assert len(tree(tmp_path)) == len(files) + 2


def test_the_file_that_lines_go_to_is_not_replaced(tmp_path, tiny):
    log = tmp_path / "log.txt"
    log.write_text("earlier\n")
    with log.open("ab") as out:
        done = subprocess.run(
            [sys.executable, "-m", "her2scope", "score", str(tiny), "--um-per-px", "0.25", "--json", str(log)],
            stdout=out, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 2 and "reads or writes this file already" in done.stderr
    assert log.read_text() == "earlier\n"


def test_an_output_is_written_where_its_link_leads(tmp_path):
    (tmp_path / "kept").mkdir()
    link = tmp_path / "out.json"
    link.symlink_to(tmp_path / "kept" / "real.json")
    check_outputs([link], [])
    write_all({link: b"{}"})
    assert link.is_symlink() and (tmp_path / "kept" / "real.json").read_bytes() == b"{}"


def test_an_image_behind_links_is_read(capsys, tmp_path, tiny):
    (tmp_path / "folder").symlink_to(tiny.parent, target_is_directory=True)
    (tmp_path / "image.png").symlink_to(tmp_path / "folder" / "tiny.png")
    found = score_json(capsys, tmp_path, tmp_path / "folder" / "tiny.png", tmp_path / "image.png", "--um-per-px", 0.25)
    assert len(found["fields"]) == 2


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("in", "this is a folder"),
        ("in/tiny.png/more.png", "Not a directory"),
        ("circle.png", "Too many levels of symbolic links"),
        ("gone.png", "no such file"),
        ("n" * 300 + ".png", "File name too long"),
        ("two\nlines.png", r"two\nlines.png: no such file"),
        ("bell\a \u202etxt.png", r"bell\x07 \u202etxt.png: no such file"),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="the words are those of POSIX systems")
def test_an_odd_image_is_one_line(capsys, tmp_path, tiny, name, says):
    (tmp_path / "circle.png").symlink_to("circle.png")
    (tmp_path / "gone.png").symlink_to("nowhere")
    assert says in refused(capsys, "score", tmp_path / name, "--um-per-px", 0.25)
    assert says in refused(capsys, "control", "check", tmp_path / name, "--um-per-px", 0.25, "--expect", "3+")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root and Windows may read and write it")
def test_what_may_not_be_read_or_written_is_one_line(capsys, tmp_path, tiny):
    tiny.chmod(0)
    tiny.parent.chmod(0o500)
    assert "Permission denied" in refused(capsys, "score", tiny, "--um-per-px", 0.25)
    out = tiny.parent / "new" / "out.json"
    assert "Permission denied" in refused(capsys, "score", tiny, "--um-per-px", 0.25, "--json", out)
    tiny.parent.chmod(0o700)


# ---- printing -----------------------------------------------------------------------------------------------------


def program(*arguments: object, **environment: str) -> subprocess.Popen[bytes]:
    """The command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "her2scope", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **environment},
    )  # fmt: skip


def test_a_name_that_the_terminal_lacks_is_escaped(tmp_path, tiny):
    image = tiny.rename(tiny.with_name("Grün.png"))
    out, err = program("score", image, "--um-per-px", 0.25, PYTHONIOENCODING="ascii").communicate(timeout=60)
    assert rb"field Gr\xfcn.png" in out and b"research use only" in out and not err


def test_a_name_of_two_lines_is_printed_on_one(capsys, tiny):
    image = tiny.rename(tiny.with_name("two\nlines.png"))
    code, out, _ = run(capsys, "score", image, "--um-per-px", 0.25)
    assert code == 0 and r"field two\nlines.png: unusable" in out


@pytest.mark.parametrize("arguments", [["score", "--um-per-px", 0.25], ["--help"]])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_is_gone_changes_nothing(tmp_path, tiny, arguments, unbuffered):
    path = tmp_path / "out.json"
    options = [tiny, "--json", path] if "score" in arguments else []
    with program(*arguments, *options, PYTHONUNBUFFERED=unbuffered) as running:
        running.stdout.close()
        err = running.stderr.read()
        assert (running.wait(60), err) == (0, b"")
    assert path.exists() == bool(options)


def test_a_full_disk_behind_the_output_is_one_line(tiny):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "her2scope", "score", str(tiny), "--um-per-px", "0.25"],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 2 and "No space left" in done.stderr and done.stderr.count("\n") == 1
