"""The command: one table, one file, and one clear line for what cannot be measured."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from her2scope.app.compose import make_analyser
from her2scope.app.evaluate import PARTS
from her2scope.cli import main
from her2scope.evaluation import speed
from her2scope.evaluation.table import table_json
from her2scope.records import Frame
from her2scope.settings import Calibration, ScoringSettings

METHOD = "closed-contours"
SMALL = ("--size", "480x360")
VALUE = {
    "type": "object",
    "properties": {
        "value": {"type": ["number", "null"]},
        "text": {"type": "string", "minLength": 1},
        "met": {"type": ["boolean", "null"]},
    },
    "required": ["value", "text", "met"],
    "additionalProperties": False,
}
TEXT = {"type": "string"}
ROW = {
    "type": "object",
    "properties": {
        "part": {"enum": list(PARTS)},
        "on": TEXT,
        "figure": TEXT,
        "wanted": TEXT,
        "values": {"type": "object", "additionalProperties": VALUE, "minProperties": 1},
    },
    "required": ["part", "on", "figure", "wanted", "values"],
    "additionalProperties": False,
}
SCHEMA = {
    "type": "object",
    "properties": {
        "schema": {"const": "her2scope.evaluation/1"},
        "program": {"type": "object", "required": ["version"]},
        "guideline": TEXT,
        "methods": {"type": "object", "additionalProperties": {"type": "object", "required": ["model"]}},
        "options": {"type": "object"},
        "seconds": {"type": "object", "additionalProperties": {"type": "number"}},
        "table": {"type": "array", "items": ROW, "minItems": 1},
        "details": {"type": "object", "additionalProperties": {"type": "object"}},
    },
    "required": ["schema", "program", "guideline", "methods", "options", "seconds", "table", "details"],
    "additionalProperties": False,
}


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of the command."""
    try:
        code = main(["evaluate", *map(str, arguments)])
    except SystemExit as stop:
        code = int(stop.code or 0)
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def parts(*names: str) -> list[str]:
    return [word for name in names for word in ("--part", name)]


def test_phantoms_need_no_data_and_the_rest_says_that_it_has_none(capsys, tmp_path):
    path = tmp_path / "out.json"
    real = [name for name, folder in PARTS.items() if folder]
    code, out, err = run(
        capsys,
        "--method",
        METHOD,
        *parts("phantom-fields", *real),
        "--fields",
        1,
        "--first-seed",
        9,
        *SMALL,
        "--json",
        path,
    )
    assert code == 0 and "Traceback" not in err
    assert "phantom fields: 1 of 1" in err
    assert out.count("not measured: no --data") == len(real) and "research use only" in out
    found = json.loads(path.read_text())
    jsonschema.validate(found, SCHEMA)
    assert {row["part"] for row in found["table"]} == {"phantom-fields", *real}
    assert all(set(row["values"]) == {METHOD} for row in found["table"])


def test_cases_stand_in_the_table(capsys, tmp_path):
    kept = tmp_path / "kept.jsonl"
    code, out, _ = run(
        capsys, "--method", METHOD, *parts("phantom-cases"), "--cases", 1, "--case-cells", 20, *SMALL, "--resume", kept
    )
    assert code == 0 and kept.is_file()
    assert "null cases called 2+ or more" in out and "ultralow cases called ultralow" in out


def test_speed_is_told_of_every_method(capsys, monkeypatch):
    monkeypatch.setattr(speed, "SIZES_WH", (speed.LIVE_WH,))
    monkeypatch.setattr(speed, "RUNS", 1)
    code, out, _ = run(capsys, "--method", METHOD, *parts("speed"))
    assert code == 0 and "ms per frame, whole analysis" in out


def test_the_builds_of_a_network_are_timed_each_and_one_has_a_limit():
    frames = []

    def draw(size):
        frame = Frame(np.full((*size[::-1], 3), 200, np.uint8), 0, 0.0, 0.5)
        frames.append(frame)
        return frame

    seen = []
    analyser = make_analyser(METHOD, ScoringSettings(), Calibration())
    runs = {METHOD: {"int8": seen.append, "fp32": seen.append}}
    report = speed.evaluate_speed({METHOD: analyser, "without": analyser}, runs, draw, seen.append)
    table_json({"speed": report}, [METHOD, "without"])  # the methods stand side by side: the same rows
    assert all("no network" in figure.text for figure in report["without"].figures[1:])
    figures = report[METHOD].figures
    assert [figure.met for figure in figures if figure.wanted] == [True]
    assert len(figures) == 1 + 2 * len(speed.SIZES_WH)
    assert all(any(item is frame for item in seen) for frame in frames)


def test_a_data_folder_without_a_set_says_so(capsys, tmp_path):
    code, out, _ = run(capsys, "--method", METHOD, *parts("quality-tiles", "agreement"), "--data", tmp_path)
    assert code == 0
    assert "not measured: no folder her2_bci_20x in --data" in out
    assert "not measured: no two builds to compare" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--method", "magic"], "magic"),
        (["--part", "magic"], "magic"),
        (["--data", "no/such/folder"], "no/such/folder"),
        (["--fields", "0"], "whole number"),
        (["--settings", "no.yaml"], "no.yaml"),
        (["--json", "no.json", "--resume", "no.json"], "no.json"),
    ],
)
def test_bad_input_is_one_clear_line(capsys, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *parts("phantom-fields"), *arguments)
    assert code == 2 and not out
    assert err.splitlines()[-1].startswith("her2scope: ") and said in err.splitlines()[-1] and "Traceback" not in err
    assert not list(tmp_path.iterdir())


def test_a_list_of_real_pictures_without_the_control_is_one_clear_line(capsys, tmp_path):
    listed = tmp_path / "list.csv"
    listed.write_text("file,um_per_px,score,case,recipe,source\nher2_camera_fields/a.png,0.25,0,a,,\n")
    (tmp_path / "her2_camera_fields").mkdir()
    code, _, err = run(capsys, *parts("real-cases"), "--method", METHOD, "--data", tmp_path, "--real", listed)
    assert code == 2 and "case008_f09_score3" in err


def test_a_real_picture_gives_its_rows(capsys, tmp_path: Path, shared_data: Path):
    name = "case010_f04_score2"
    for file in (f"her2_nuclei_reference/{name}.json", f"her2_camera_fields/{name}.jpg"):
        (tmp_path / file).parent.mkdir()
        (tmp_path / file).symlink_to(shared_data / file)
    code, out, _ = run(capsys, "--method", METHOD, *parts("real-nuclei"), "--data", tmp_path)
    assert code == 0 and "27 nuclei on 1 crops" in out and f"{name}: F1" in out
