"""`her2scope control history`: what it prints, writes and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from control_series import baseline, entry

from her2scope.app.control_history import control_history
from her2scope.cli import main
from her2scope.domain.score import ControlStatus
from her2scope.imaging.files import read_rgb
from her2scope.reporting.content import schema

HISTORY = (
    *baseline(),
    entry(20, 3.5, status=ControlStatus.INVALID, codes=("over_stained",)),
    entry(21, level="1+", lot="L2", instrument="bench 3"),
    entry(22, lot=""),
)


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of `control history`."""
    code = main(["control", "history", *map(str, arguments)])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def refused(capsys, *arguments: object) -> str:
    """The one line with which it ends."""
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "") and err.startswith("her2scope: ") and err.count("\n") == 1
    return err


@pytest.fixture
def filled() -> Path:
    history = control_history()
    for item in HISTORY:
        history.append(item)
    return history.path


def test_an_empty_history_says_so(capsys, tmp_path):
    code, out, _ = run(capsys, "--json", tmp_path / "h.json")
    assert (code, out) == (0, "No control was read so far: the history is empty.\n")
    found = json.loads((tmp_path / "h.json").read_text())
    assert found == {"schema": "her2scope.control-history/1", "readings": [], "charts": []}
    assert not control_history().path.exists()


def test_readings_stand_under_their_chart(capsys, filled):
    code, out, _ = run(capsys)
    lines = out.splitlines()
    assert code == 0 and lines[0] == "3+ control, lot L1, bench 2, network 3fa2b1"
    assert lines[1] == "  mean 0.60 od10, SD 10.5 % (first 20 valid runs)"
    (bad,) = [line.split() for line in lines if "run 020" in line]
    assert bad[5:] == ["3+", "0.851", "+3.5", "invalid", "1-3s", "over_stained"]
    assert "1 of 20 valid runs: only the absolute limits hold" in out
    assert lines[-3] == "on no chart, as no lot or run was given" and lines[-1].endswith("no lot or run given")


def test_the_json_is_the_contract(capsys, tmp_path, filled):
    code, _, _ = run(capsys, "--json", tmp_path / "h.json")
    found = json.loads((tmp_path / "h.json").read_text())
    jsonschema.validate(found, schema("her2scope.control-history/1"))
    assert code == 0 and len(found["readings"]) == len(HISTORY)
    first, second = found["charts"]
    assert first["baseline"]["n"] == 20 and first["baseline"]["mean_od10"] == pytest.approx(0.6)
    assert second["baseline"] is None and second["points"][0]["z"] is None
    assert [(point["run"], point["rules"]) for point in first["points"][-2:]] == [
        ("run 019", []),
        ("run 020", ["1-3s"]),
    ]


@pytest.mark.parametrize(
    ("options", "runs"),
    [
        (("--lot", "L2"), ["run 021"]),
        (("--instrument", "bench 3"), ["run 021"]),
        (("--level", "1+"), ["run 021"]),
        (("--lot", ""), ["run 022"]),
        (("--lot", "L1", "--level", "1+"), []),
    ],
)
def test_a_part_can_be_asked_for(capsys, tmp_path, filled, options, runs):
    code, _, _ = run(capsys, *options, "--json", tmp_path / "h.json")
    found = json.loads((tmp_path / "h.json").read_text())
    assert code == 0 and [reading["run"] for reading in found["readings"]] == runs


def test_a_lot_that_is_not_there_says_which_are(capsys, filled):
    code, out, _ = run(capsys, "--lot", "L9")
    assert code == 0 and "None of the 23 control readings is of that kind" in out and "lot: L1, L2, (none)" in out


def test_the_picture_is_written(capsys, tmp_path, filled):
    code, _, _ = run(capsys, "--png", tmp_path / "new" / "chart.png")
    assert code == 0 and read_rgb(tmp_path / "new" / "chart.png").shape[1] == 1200


@pytest.mark.parametrize("options", [(), ("--lot", ""), ("--lot", "L9")])
def test_with_nothing_to_draw_nothing_is_written(capsys, tmp_path, request, options):
    if options:
        request.getfixturevalue("filled")
    out = tmp_path / "out"
    line = refused(capsys, *options, "--png", out / "chart.png", "--json", out / "h.json")
    assert "nothing to draw" in line and not out.exists()


def test_it_does_not_replace_the_history(capsys, filled):
    before = filled.read_bytes()
    assert "reads or writes this file already" in refused(capsys, "--json", filled)
    assert filled.read_bytes() == before


def test_a_damaged_history_is_one_line(capsys, filled):
    filled.write_bytes(b"{}\n" + filled.read_bytes())
    assert "Line 1 of the control history" in refused(capsys)


def test_a_torn_line_is_said(capsys, filled):
    with filled.open("ab") as file:
        file.write(b'{"schema": "her2scope.con')
    code, out, _ = run(capsys)
    assert code == 0 and "was not finished when the power or the program failed" in out.splitlines()[-1]
