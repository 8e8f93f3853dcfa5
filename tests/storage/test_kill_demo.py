"""scripts/kill_test.py, the whole program killed at random moments, in short."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "kill_test.py"
STAND_IN = Path(__file__).with_name("stand_in_demo.py")


def kill_test(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.timeout(600)
def test_the_demo_loses_no_field_that_it_reported() -> None:
    ended = kill_test("--times", 2)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert re.search(r"^kills \d+, fields reported \d+, lost 0, cases opened \d+, cases damaged 0", ended.stdout, re.M)


def test_a_program_that_saves_before_it_reports_passes() -> None:
    ended = kill_test("--times", 4, "--", sys.executable, STAND_IN)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    summary = re.search(r"^kills (\d+), fields reported (\d+), lost 0, cases opened \d+", ended.stdout, re.M)
    assert summary is not None
    assert int(summary[1]) > 0
    assert int(summary[2]) > 0


def test_a_program_that_reports_before_it_has_saved_is_caught() -> None:
    ended = kill_test("--times", 6, "--", sys.executable, STAND_IN, "hasty")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert re.search(r"^field \d+ of case demo 1: it is not in the case$", ended.stdout, re.M)


def test_a_program_that_fails_at_once_is_no_use() -> None:
    ended = kill_test("--times", 1, "--", sys.executable, "-c", "raise SystemExit('no camera')")
    assert ended.returncode == 1
    assert "The complete run is no use: exit code 1, 0 fields reported" in ended.stderr
    assert "no camera" in ended.stderr
