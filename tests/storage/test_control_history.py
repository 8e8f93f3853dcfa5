"""The history on disk: power cuts, full disks, damaged lines, several programs at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from control_series import entry, series
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from her2scope.domain.errors import DiskFullError, StoreError
from her2scope.storage import case_lock, line_log
from her2scope.storage.case_lock import CaseLock
from her2scope.storage.control_history import FileControlHistory

APPENDER = """
import sys
from pathlib import Path
from control_series import entry
from her2scope.storage.control_history import FileControlHistory

history = FileControlHistory(Path(sys.argv[1]))
for number in range(12):
    history.append(entry(number, lot=sys.argv[2]))
"""


@pytest.fixture
def history(tmp_path: Path) -> FileControlHistory:
    made = FileControlHistory(tmp_path / "controls" / "history.jsonl")
    for item in series([0.1, 0.2, 0.3]):
        made.append(item)
    return made


def torn(history: FileControlHistory) -> Path:
    return history.path.with_name("history.jsonl.torn")


def change_line(history: FileControlHistory, number: int, change: Callable[[dict[str, Any]], None]) -> bytes:
    """Alter one line by hand; returns the whole file as it then is."""
    lines = history.path.read_text().splitlines()
    data = json.loads(lines[number - 1])
    change(data)
    lines[number - 1] = json.dumps(data)
    history.path.write_text("\n".join(lines) + "\n")
    return history.path.read_bytes()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(data=st.data())
def test_a_line_cut_anywhere_is_set_aside_and_said(tmp_path: Path, data: st.DataObject) -> None:
    folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
    history = FileControlHistory(folder / "history.jsonl")
    kept, last = series([0.1, 0.2])
    history.append(kept)
    start = history.path.stat().st_size
    history.append(last)
    length = history.path.stat().st_size - start
    cut = data.draw(st.integers(1, length - 2))
    os.truncate(history.path, start + cut)
    tail = history.path.read_bytes()[start:]
    if data.draw(st.booleans(), "read before the next append"):
        assert history.entries() == (kept,)
    history.append(entry(9))
    assert history.entries() == (kept, entry(9))
    assert torn(history).read_bytes() == tail + b"\n"
    (problem,) = history.problems
    assert str(torn(history)) in problem and "delete this file" in problem
    assert FileControlHistory(history.path).problems == history.problems  # said until the file is gone


def test_two_torn_lines_are_both_kept(history: FileControlHistory) -> None:
    for piece in (b'{"schema": "her', b"\0\0\0"):
        with history.path.open("ab") as file:
            file.write(piece)
        assert len(history.entries()) == 3
    assert torn(history).read_bytes() == b'{"schema": "her\n\0\0\0\n'
    torn(history).unlink()
    assert history.problems == ()


def test_a_whole_reading_without_its_line_end_is_kept(history: FileControlHistory) -> None:
    os.truncate(history.path, history.path.stat().st_size - 1)
    history.append(entry(9))
    assert history.entries() == (*series([0.1, 0.2, 0.3]), entry(9))
    assert history.problems == () and not torn(history).exists()


def test_lines_edited_on_windows_are_read(history: FileControlHistory) -> None:
    history.path.write_bytes(history.path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    assert history.entries() == series([0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda data: data.pop("run"), "its keys differ: run"),
        (lambda data: data.update(more=1), "its keys differ: more"),
        (lambda data: data.update(lot=5), "its lot cannot be read"),
        (lambda data: data.update(codes="faded"), "its codes cannot be read"),
        (lambda data: data.update(images=[1]), "its images cannot be read"),
        (lambda data: data.update(intensity_od10="0.6"), "its intensity_od10 cannot be read"),
        (lambda data: data.update(n_tumour=True), "its n_tumour cannot be read"),
        (lambda data: data.update(status="good"), "'good'"),
        (lambda data: data.update(status=[]), "ControlStatus"),
        (lambda data: data.update(level="5+"), "its level '5+' is none of"),
        (lambda data: data.update(at_utc="now"), "not ISO 8601 in UTC"),
        (lambda data: data.update(intensity_od10=float("nan")), "its intensity is nan od10"),
        (lambda data: data.update(schema=7), "it is no control reading"),
    ],
)
def test_a_damaged_line_is_named_and_nothing_is_overwritten(history: FileControlHistory, change, says) -> None:
    content = change_line(history, 2, change)
    with pytest.raises(StoreError) as caught:
        history.entries()
    text = str(caught.value)
    assert text.startswith(f"Line 2 of the control history {history.path} is damaged (") and says in text
    assert "Restore the file from a backup" in text and history.path.read_bytes() == content
    history.append(entry(9))  # a new reading is kept all the same
    assert history.path.read_bytes().startswith(content)


@pytest.mark.parametrize("line", [b"{", b"not json", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_a_line_that_is_no_reading_is_named(history: FileControlHistory, line: bytes) -> None:
    history.path.write_bytes(line + b"\n" + history.path.read_bytes())
    with pytest.raises(StoreError, match="Line 1 of the control history .* is damaged"):
        history.entries()


def test_a_newer_schema_is_refused(history: FileControlHistory) -> None:
    content = change_line(history, 3, lambda data: data.update(schema="her2scope.control-entry/2"))
    with pytest.raises(StoreError, match=r"Line 3 .* by another her2scope \(her2scope.control-entry/2, this one knows"):
        history.entries()
    assert history.path.read_bytes() == content


def test_a_full_disk_keeps_nothing_of_the_reading(history: FileControlHistory, monkeypatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(line_log, "flush", full)
    with pytest.raises(DiskFullError, match="Could not save the control reading: no space is left"):
        history.append(entry(9))
    assert history.entries() == series([0.1, 0.2, 0.3])


def test_a_folder_in_its_place_is_said(tmp_path: Path) -> None:
    history = FileControlHistory(tmp_path)
    with pytest.raises(StoreError, match="Could not read the control history"):
        history.entries()


def test_another_program_that_keeps_the_lock_is_said(history: FileControlHistory, monkeypatch) -> None:
    monkeypatch.setattr(case_lock, "LONG_PATIENCE_S", 0.0)
    lock = CaseLock(history.path.with_name("history.jsonl.lock"), "")
    try:
        with pytest.raises(StoreError, match="is held by another her2scope"):
            history.append(entry(9))
        assert len(history.entries()) == 3  # reading needs no lock
    finally:
        lock.release()
    history.append(entry(9))


def test_two_programs_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "controls" / "history.jsonl"
    tests = str(Path(__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": tests}
    programs = [
        subprocess.Popen([sys.executable, "-c", APPENDER, str(path), lot], env=environment) for lot in ("A", "B")
    ]
    assert [program.wait(60) for program in programs] == [0, 0]
    found = FileControlHistory(path).entries()
    for lot in ("A", "B"):
        assert [item for item in found if item.lot == lot] == [entry(number, lot=lot) for number in range(12)]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_only_the_owner_may_read_it(history: FileControlHistory) -> None:
    assert history.path.stat().st_mode & 0o077 == 0 and history.path.parent.stat().st_mode & 0o077 == 0
