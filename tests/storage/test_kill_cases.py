"""scripts/kill_cases.py, the store killed at random instants, in short."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "kill_cases.py"


def kill_cases(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.timeout(300)
def test_nothing_that_was_reported_is_lost(tmp_path: Path) -> None:
    ended = kill_cases("--times", 8, "--seed", 1, "--json", tmp_path / "tally.json")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    tally = json.loads((tmp_path / "tally.json").read_text())
    assert (tally["kills"], tally["lost"], tally["problems"]) == (8, [], [])
    # Each kill leaves two cases of older releases, and those that it met.
    assert tally["cases"] == tally["opened"] == tally["chains_verified"] >= 16
    assert sum(tally["during"].values()) == 8


@pytest.mark.timeout(300)
def test_a_program_that_reports_too_early_is_caught() -> None:
    ended = kill_cases("--times", 5, "--hasty")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "is not there" in ended.stdout
