"""What every ledger of heads promises (`ports.HeadLedger`), and what only the one on disk can meet."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from her2scope.domain.errors import StoreError
from her2scope.domain.event_chain import ChainHead
from her2scope.ports import HeadLedger, KeptHead
from her2scope.storage.head_ledger import FileHeadLedger, MemoryHeadLedger

ENTRIES = (
    KeptHead("case 1", "opened", "2026-01-01T00:00:00.000+00:00", ChainHead(0, "")),
    KeptHead("Fall Müller", "closed", "2026-01-01T00:01:00.000+00:00", ChainHead(2, "ab" * 32), "cd" * 32),
    KeptHead("case 1", "reported", "x", ChainHead(7, "01" * 32), files={"report.pdf": "ef" * 32, "bü.html": "00" * 32}),
)


@pytest.fixture(params=["file", "memory"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> HeadLedger:
    return FileHeadLedger(tmp_path / "home" / "heads.jsonl") if request.param == "file" else MemoryHeadLedger()


def test_nothing_is_kept_at_first(ledger: HeadLedger) -> None:
    assert ledger.of_case("case 1") == ()


def test_what_is_kept_comes_back_by_case_and_in_order(ledger: HeadLedger) -> None:
    for entry in ENTRIES:
        ledger.keep(entry)
    assert ledger.of_case("case 1") == (ENTRIES[0], ENTRIES[2])
    assert ledger.of_case("Fall Müller") == (ENTRIES[1],)
    assert [ledger.knows(name) for name in ("case 1", "Fall Müller", "case", "ase 1")] == [True, True, False, False]


@pytest.fixture
def on_disk(tmp_path: Path) -> FileHeadLedger:
    ledger = FileHeadLedger(tmp_path / "heads.jsonl")
    for entry in ENTRIES:
        ledger.keep(entry)
    return ledger


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda data: data.pop("what"), "its keys differ: what"),
        (lambda data: data.update(what="eaten"), "its what cannot be read"),
        (lambda data: data.update(case_id=5), "its case_id cannot be read"),
        (lambda data: data.update(at_utc=None), "its at_utc cannot be read"),
        (lambda data: data.update(n_events=-1), "its n_events cannot be read"),
        (lambda data: data.update(n_events=True), "its n_events cannot be read"),
        (lambda data: data.update(head="AB" * 32), "its head cannot be read"),
        (lambda data: data.update(head=""), "its head cannot be read"),
        (lambda data: data.update(manifest_sha256="x"), "its manifest_sha256 cannot be read"),
        (lambda data: data.update(files={"a": 1}), "its files cannot be read"),
        (lambda data: data.update(files=[]), "its files cannot be read"),
        (lambda data: data.update(schema=7), "it is no entry of the ledger"),
    ],
)
def test_a_damaged_line_is_named(on_disk: FileHeadLedger, change: Callable[[dict[str, Any]], Any], says: str) -> None:
    lines = on_disk.path.read_text().splitlines()
    data = json.loads(lines[1])
    change(data)
    on_disk.path.write_text("\n".join([lines[0], json.dumps(data), lines[2]]) + "\n")
    with pytest.raises(StoreError) as caught:
        on_disk.of_case("case 1")
    assert f"Line 2 of the ledger of cases {on_disk.path} is damaged ({says}" in str(caught.value)


@pytest.mark.parametrize("line", ["{", "[]", "[" * 100_000])
def test_a_line_that_is_no_entry_is_named(on_disk: FileHeadLedger, line: str) -> None:
    on_disk.path.write_text(line + "\n")
    with pytest.raises(StoreError, match="Line 1 of the ledger of cases .* is damaged"):
        on_disk.entries()


def test_a_newer_schema_is_refused(on_disk: FileHeadLedger) -> None:
    on_disk.path.write_text(on_disk.path.read_text().replace("case-head/1", "case-head/2"))
    with pytest.raises(StoreError, match=r"by another her2scope \(her2scope.case-head/2, this one knows"):
        on_disk.entries()


def test_a_torn_line_is_set_aside_and_said(on_disk: FileHeadLedger) -> None:
    assert on_disk.problems == ()
    size = on_disk.path.stat().st_size
    os.truncate(on_disk.path, size - 20)
    assert on_disk.entries() == ENTRIES[:2]
    (problem,) = on_disk.problems
    assert "heads.jsonl.torn" in problem
    on_disk.keep(ENTRIES[2])
    assert on_disk.entries() == ENTRIES
