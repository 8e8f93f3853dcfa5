"""scripts/break_cameras.py, every kind of source broken in every way, in short."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "break_cameras.py"


def break_cameras(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.timeout(300)
def test_every_fault_is_seen_and_gets_over(tmp_path: Path) -> None:
    ended = break_cameras("--clock", 300, "--json", tmp_path / "tally.json")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    tally = json.loads((tmp_path / "tally.json").read_text())
    assert tally["n_faults"] == tally["live_again"] == tally["seen_within_1_s"] == 300
    assert len(tally["faults"]) == 10, "each kind was met"
    assert (tally["fields_accepted"], tally["fields_lost"], tally["crashes"]) == (3, [], [])


@pytest.mark.timeout(300)
def test_every_source_gets_over_a_fault_in_real_time(tmp_path: Path) -> None:
    ended = break_cameras("--times", 9, "--json", tmp_path / "tally.json")
    tally = json.loads((tmp_path / "tally.json").read_text())
    assert tally["n_faults"] == tally["live_again"] == 9, ended.stdout + ended.stderr
    assert len(tally["faults"]) == 9, "one of each source"
    assert (tally["fields_lost"], tally["accepted_while_broken"], tally["crashes"]) == ([], [], [])


@pytest.mark.timeout(300)
def test_a_camera_that_nobody_looks_at_is_caught() -> None:
    ended = break_cameras("--clock", 30, "--blind")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "accepted while broken: clock: " in ended.stdout
