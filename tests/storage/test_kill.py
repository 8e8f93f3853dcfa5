"""What was acknowledged survives a program that is killed at any moment."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np

from her2scope.storage.case_store import FolderCaseStore

APPENDER = Path(__file__).with_name("appender.py")
KILLS = 8
LONGEST_LIFE_S = 0.3
"""After the case is open; an event takes a few milliseconds."""


def acknowledged_until_killed(root: Path, life_s: float) -> list[int]:
    """Numbers that the program printed before its end."""
    command = [sys.executable, str(APPENDER), str(root), "case 1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        time.sleep(life_s)
        program.kill()
        lines = program.stdout.read().splitlines(keepends=True)
    return [int(line) for line in lines if line.endswith("\n")]


def test_every_acknowledged_event_and_image_survives_a_kill(tmp_path: Path) -> None:
    rng = random.Random(7)  # noqa: S311
    known = 0
    for _ in range(KILLS):
        acknowledged = acknowledged_until_killed(tmp_path, rng.uniform(0, LONGEST_LIFE_S))
        with closing(FolderCaseStore(tmp_path).open("case 1")) as case:
            events = case.events()
            for event in events[known:]:
                assert np.array_equal(case.image(event.data["image"]).shape, (60, 80, 3))
        with closing(sqlite3.connect(tmp_path / "case 1" / "case.sqlite")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert acknowledged == list(range(known + 1, known + 1 + len(acknowledged)))
        # One event may have been saved without the time to say so; not more.
        assert len(events) - known - len(acknowledged) in (0, 1)
        assert not list(tmp_path.glob("**/*.part"))
        known = len(events)
    assert known > KILLS, "hardly anything was written: the test killed too early to show anything"
