"""A case that nobody writes to has a manifest, and its head is kept outside its folder."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from closed_cases import alter_event, write_rows

from her2scope.domain.errors import CaseDamagedError, DiskFullError, StoreError
from her2scope.domain.event_chain import START, ChainHead
from her2scope.domain.events import Event, EventKind
from her2scope.ports import KeptHead
from her2scope.storage import case_store, event_rows, sqlite_engine
from her2scope.storage.case_store import FolderCaseStore, SqliteCaseFile
from her2scope.storage.head_ledger import FileHeadLedger, MemoryHeadLedger
from her2scope.storage.manifest import digests, read_manifest
from her2scope.storage.verify import verify_case

NOW = "2026-05-01T10:00:00.000+00:00"


class HeldClock:
    def now_utc(self) -> str:
        return NOW

    def monotonic_s(self) -> float:
        return 0.0


@pytest.fixture
def ledger() -> MemoryHeadLedger:
    return MemoryHeadLedger()


@pytest.fixture
def store(tmp_path: Path, ledger: MemoryHeadLedger) -> FolderCaseStore:
    return FolderCaseStore(tmp_path / "cases", ledger, HeldClock())


@pytest.fixture
def case(store: FolderCaseStore) -> Iterator[SqliteCaseFile]:
    with closing(store.create("case 1")) as case:
        yield case


def event(number: int) -> Event:
    return Event(number, EventKind.RESUMED, NOW, "who", {}, number)


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (16, 16, 3), np.uint8)


def kept(ledger: MemoryHeadLedger) -> list[tuple[str, int, bool]]:
    """What was kept of the case: why, its number of events, and whether a manifest was written."""
    return [(item.what, item.head.n_events, bool(item.manifest_sha256)) for item in ledger.of_case("case 1")]


def test_a_closed_case_has_a_manifest_and_the_ledger_knows_it(store: FolderCaseStore, ledger: MemoryHeadLedger) -> None:
    with closing(store.create("case 1")) as case:
        case.append(event(1), [picture(1)])
        head = case.head()
        assert not (case.folder / "manifest.json").exists()
    manifest = read_manifest((case.folder / "manifest.json").read_bytes())
    assert (manifest.case_id, manifest.head) == ("case 1", head)
    assert manifest.files == digests(case.folder)
    assert {Path(name).suffix for name in manifest.files} == {".sqlite", ".png"}
    assert kept(ledger) == [("opened", 0, False), ("closed", 1, True)]
    assert ledger.of_case("case 1")[0] == KeptHead("case 1", "opened", NOW, ChainHead(0, START))
    assert ledger.of_case("case 1")[1].head == head


def test_a_case_that_was_only_looked_at_stays_as_it_was_closed(
    store: FolderCaseStore, ledger: MemoryHeadLedger
) -> None:
    store.create("case 1").close()
    manifest = store.root / "case 1" / "manifest.json"
    before = manifest.stat().st_ino, manifest.read_bytes(), kept(ledger)
    with closing(store.open("case 1")) as case:
        assert case.events() == ()
    assert (manifest.stat().st_ino, manifest.read_bytes(), kept(ledger)) == before


def test_the_ledger_learns_of_the_opening_before_the_manifest_goes(
    store: FolderCaseStore, ledger: MemoryHeadLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.create("case 1").close()
    steps: list[str] = []
    keep, remove_manifest = ledger.keep, case_store.remove_manifest
    monkeypatch.setattr(ledger, "keep", lambda entry: (steps.append(entry.what), keep(entry)))
    monkeypatch.setattr(
        case_store, "remove_manifest", lambda folder: (steps.append("manifest gone"), remove_manifest(folder))
    )
    with closing(store.open("case 1")) as case:
        case.append(event(1), [picture(1)])
        case.append(event(2))
        assert steps == ["opened", "manifest gone"]
        case.seal("signed")
        case.append(event(3))
        assert steps == ["opened", "manifest gone", "signed", "opened", "manifest gone"]
    assert steps[5:] == ["closed"]


def test_a_sealed_case_is_whole_while_it_is_still_open(case: SqliteCaseFile, ledger: MemoryHeadLedger) -> None:
    case.append(event(1), [picture(1)])
    case.seal("signed")
    manifest = (case.folder / "manifest.json").read_bytes()
    assert read_manifest(manifest).files == digests(case.folder)
    assert case.events() == (event(1),)
    assert verify_case(case.folder, ledger).findings == ()
    case.close()
    assert (case.folder / "manifest.json").read_bytes() == manifest
    assert kept(ledger) == [("opened", 0, False), ("signed", 1, True)]


def test_a_case_whose_program_was_killed_is_sealed_when_it_is_closed_again(
    store: FolderCaseStore, ledger: MemoryHeadLedger
) -> None:
    with closing(store.create("case 1")) as case:
        case.append(event(1))
        shutil.copytree(case.folder, store.root / "killed", ignore=shutil.ignore_patterns("case.lock"))
    with closing(store.open("killed")) as killed:
        assert killed.events() == (event(1),)
    assert [item.what for item in ledger.of_case("killed")] == ["closed"]
    assert (store.root / "killed" / "manifest.json").exists()


def test_an_event_that_the_ledger_cannot_precede_is_not_saved(
    store: FolderCaseStore, ledger: MemoryHeadLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.create("case 1").close()

    def full(_: KeptHead) -> None:
        raise DiskFullError("Could not keep it: no space is left.")

    with closing(store.open("case 1")) as case:
        with monkeypatch.context() as patch:
            patch.setattr(ledger, "keep", full)
            with pytest.raises(DiskFullError):
                case.append(event(1), [picture(1)])
        assert case.events() == ()
        assert not list((case.folder / "images").iterdir())
        assert (case.folder / "manifest.json").exists()
        case.append(event(1), [picture(1)])
    assert kept(ledger)[-2:] == [("opened", 0, False), ("closed", 1, True)]


def test_a_seal_that_fails_is_said_and_a_close_that_cannot_seal_loses_nothing(
    store: FolderCaseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> str:
        raise OSError(28, "No space left on device")

    with closing(store.create("case 1")) as case:
        case.append(event(1))
        with monkeypatch.context() as patch:
            patch.setattr(case_store, "write_manifest", full)
            with pytest.raises(DiskFullError, match="Could not seal case case 1: no space is left"):
                case.seal("signed")
            case.append(event(2))
            case.close()
    assert not (case.folder / "manifest.json").exists()
    with closing(store.open("case 1")) as again:
        assert again.events() == (event(1), event(2))
    assert (case.folder / "manifest.json").exists()


def test_a_head_that_could_not_be_kept_is_kept_when_the_case_is_closed(
    store: FolderCaseStore, ledger: MemoryHeadLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: KeptHead) -> None:
        raise DiskFullError("Could not keep it: no space is left.")

    case = store.create("case 1")
    case.append(event(1))
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "keep", full)
        with pytest.raises(DiskFullError):
            case.seal("signed")
    assert (case.folder / "manifest.json").exists()
    case.close()
    assert kept(ledger) == [("opened", 0, False), ("closed", 1, True)]
    assert verify_case(case.folder, ledger).findings == ()


def test_no_event_is_added_beside_a_manifest_of_a_seal_that_failed(
    store: FolderCaseStore, ledger: MemoryHeadLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def written_but_not_flushed(*arguments: Any) -> str:
        write_manifest(*arguments)
        raise OSError(5, "Input/output error")

    write_manifest = case_store.write_manifest
    with closing(store.create("case 1")) as case:
        case.append(event(1))
        with monkeypatch.context() as patch:
            patch.setattr(case_store, "write_manifest", written_but_not_flushed)
            with pytest.raises(StoreError):
                case.seal("signed")
        case.append(event(2))
        assert not (case.folder / "manifest.json").exists()
        assert verify_case(case.folder, ledger).findings == ()


def test_a_name_of_a_case_that_is_gone_is_not_given_again(store: FolderCaseStore) -> None:
    store.create("empty").close()
    with closing(store.create("case 1")) as case:
        case.append(event(1))
    for case_id in ("empty", "case 1"):
        shutil.rmtree(store.root / case_id)
    store.create("empty").close()
    with pytest.raises(StoreError, match="There was a case case 1 here, and its folder is gone. Choose another"):
        store.create("case 1")


def test_a_reader_in_the_way_of_the_seal_is_said(store: FolderCaseStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_engine, "PATIENCE_S", 0.0)
    case = store.create("case 1")
    case.append(event(1))
    with closing(sqlite3.connect(case.folder / "case.sqlite", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM events").fetchall()
        case.append(event(2))
        with pytest.raises(StoreError, match="Could not seal case case 1: another program .* holds the file"):
            case.seal("signed")
        case.close()
    assert not (case.folder / "manifest.json").exists()
    with closing(store.open("case 1")) as again:
        assert again.events() == (event(1), event(2))


def test_half_a_manifest_is_never_taken_for_a_whole_one(store: FolderCaseStore, ledger: MemoryHeadLedger) -> None:
    with closing(store.create("case 1")) as case:
        case.append(event(1))
    whole = case.folder / "manifest.json"
    whole.rename(whole.with_suffix(".json.part"))
    assert verify_case(case.folder, ledger).findings
    with closing(store.open("case 1")) as again:
        assert not list(case.folder.glob("*.part"))
        again.append(event(2))
    assert read_manifest(whole.read_bytes()).head.n_events == 2
    assert verify_case(case.folder, ledger).findings == ()


def test_a_damaged_case_is_closed_without_a_word(store: FolderCaseStore) -> None:
    case = store.create("case 1")
    case.append(event(1))
    with closing(sqlite3.connect(case.folder / "case.sqlite")) as connection:
        connection.execute("DROP TABLE events")
    with pytest.raises(CaseDamagedError):
        case.head()
    case.close()
    assert not (case.folder / "manifest.json").exists()


def test_a_vanished_folder_is_closed_without_a_word_and_not_sealed(store: FolderCaseStore) -> None:
    case = store.create("case 1")
    case.append(event(1))
    case.folder.rename(store.root / "away")
    case.folder.mkdir()
    case.close()
    assert not list(case.folder.iterdir())
    with closing(store.open("away")) as back:
        assert back.events() == (event(1),)


# Reading leaves nothing behind


def test_a_closed_case_is_read_without_a_trace(store: FolderCaseStore) -> None:
    with closing(store.create("case 1")) as case:
        case.append(event(1), [picture(1)])
    before = {path: path.stat().st_mtime_ns for path in case.folder.rglob("*")}
    with closing(store.read("case 1")) as reading:
        assert reading.events() == (event(1),)
        assert reading.head().n_events == 1
    assert store.cases()[0].problem is None
    assert {path: path.stat().st_mtime_ns for path in case.folder.rglob("*")} == before


def test_what_was_torn_by_a_writer_is_read_again(store: FolderCaseStore, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(store.create("case 1")) as case:
        case.append(event(1))
    read, calls = event_rows.read, []

    def torn(*arguments: object) -> Iterator[Event]:
        calls.append(arguments)
        if len(calls) == 1:
            with closing(store.open("case 1")) as writer:
                writer.append(event(2))
            raise CaseDamagedError("torn")
        return read(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(event_rows, "read", torn)
        assert store.read("case 1").events() == (event(1), event(2))
    assert len(calls) == 2


# Another program that holds the database

HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
"""


def test_a_database_that_another_program_holds_is_said_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_engine, "PATIENCE_S", 0.05)
    store = FolderCaseStore(tmp_path / "cases", FileHeadLedger(tmp_path / "case-heads.jsonl"))
    with closing(store.create("case 1")) as case:
        case.append(event(1), [picture(1)])
        command = [sys.executable, "-c", HOLDER, str(case.folder / "case.sqlite")]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            words = "Could not save event 2 of case case 1: another program .* holds the file .* Repeat the step"
            with pytest.raises(StoreError, match=words) as caught:
                case.append(event(2), [picture(2)])
            assert "\n" not in str(caught.value)
            assert not isinstance(caught.value, CaseDamagedError)
            assert case.events() == (event(1),)
            assert store.read("case 1").events() == (event(1),)
            assert len(list((case.folder / "images").iterdir())) == 1
            holder.communicate("")
        case.append(event(2), [picture(2)])
        assert case.events() == (event(1), event(2))
    assert verify_case(case.folder, FileHeadLedger(tmp_path / "case-heads.jsonl")).findings == ()


# ---- a case that is not the one that was kept -----------------------------------------------------------------------


def three_events(store: FolderCaseStore) -> None:
    with closing(store.create("case 1")) as case:
        for number in (1, 2, 3):
            case.append(event(number))
        assert case.doubt() == ""


def test_a_case_is_the_one_that_was_kept_however_often_it_is_opened(store: FolderCaseStore) -> None:
    three_events(store)
    for number in (4, 5):
        with closing(store.open("case 1")) as case:
            assert case.doubt() == ""
            case.append(event(number))
            assert case.doubt() == ""


def test_a_chain_that_was_cut_off_or_made_anew_is_noticed_when_the_case_is_opened(store: FolderCaseStore) -> None:
    three_events(store)
    write_rows(store.folder("case 1"), [], delete=[3])
    with closing(store.open("case 1")) as case:
        assert case.doubt() == f"it had 3 events on {NOW}, and has 2 now"
        case.append(Event(3, EventKind.RESUMED, NOW, "another", {}, 3))
        assert case.doubt() == f"its event 3, or one before it, is not the one of {NOW}"


def test_an_event_made_anew_is_noticed_when_the_case_is_opened(store: FolderCaseStore) -> None:
    three_events(store)
    alter_event(store.folder("case 1"), 2, lambda row: row.__setitem__(3, "another"), anew=True)
    with closing(store.open("case 1")) as case:
        assert case.doubt() == f"its event 3, or one before it, is not the one of {NOW}"
        case.append(event(4))
        assert "is not the one of" in case.doubt()
