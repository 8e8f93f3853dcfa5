"""scripts/alter_cases.py in short: every kind of change, a few of each."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from closed_cases import closed_case

SCRIPT = Path(__file__).parents[2] / "scripts" / "alter_cases.py"


def alter_cases(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_every_change_is_found_where_it_is_and_the_case_stays_as_it_was(tmp_path: Path) -> None:
    folder = closed_case(tmp_path)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    ended = alter_cases("--case", folder, "--times", 60, "--json", tmp_path / "found.json")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    tallies = json.loads((tmp_path / "found.json").read_text())
    assert len(tallies) == 11 and sum(tally["made"] for tally in tallies) > 80
    for tally in tallies:
        assert tally["made"] == tally["found"] == tally["named"] > 0, tally


def test_a_case_that_is_no_use_is_refused(tmp_path: Path) -> None:
    folder = closed_case(tmp_path)
    (folder / "manifest.json").unlink()
    shutil.rmtree(folder / "images")
    ended = alter_cases("--case", folder, "--times", 3)
    assert ended.returncode == 1 and "is no closed case that verifies" in ended.stderr
