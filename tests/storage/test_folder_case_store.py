"""What only a case on disk can meet: full disks, lost folders, altered files, other programs."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import sqlite3
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from sqlalchemy import Connection

from her2scope.domain.errors import CaseDamagedError, CaseLockedError, DiskFullError, StoreError
from her2scope.domain.event_chain import next_digest
from her2scope.domain.events import Event, EventKind
from her2scope.records import image_digest
from her2scope.storage import case_lock, durable_files, event_rows, sqlite_engine
from her2scope.storage.case_store import FolderCaseStore, SqliteCaseFile

posix_only = pytest.mark.skipif(
    os.name != "posix", reason="Windows has other rights and keeps open files from deletion"
)
IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


@pytest.fixture
def store(tmp_path: Path) -> FolderCaseStore:
    return FolderCaseStore(tmp_path / "cases")


@pytest.fixture
def case(store: FolderCaseStore) -> Iterator[SqliteCaseFile]:
    with closing(store.create("case 1")) as case:
        case.append(event(1, EventKind.OPENED))
        yield case


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MB that can really be full."""
    place = tmp_path / "disk"
    place.mkdir()
    if not (IS_ROOT and sys.platform == "linux" and mounted("-t", "tmpfs", "-o", "size=4m", "tmpfs", place)):
        pytest.skip("needs the right to mount a small disk (root on Linux)")
    yield place
    subprocess.run(["umount", place], check=True)


def mounted(*arguments: object) -> bool:
    return subprocess.run(["mount", *map(str, arguments)], capture_output=True, check=False).returncode == 0


def event(number: int, kind: EventKind = EventKind.FIELD_ACCEPTED, **data: Any) -> Event:
    return Event(number, kind, "2024-05-01T10:00:00.000+00:00", "who", {"field": number, **data})


def picture(seed: int, shape: tuple[int, ...] = (64, 64, 3)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def numbers(case: SqliteCaseFile) -> list[int]:
    return [item.number for item in case.events()]


def files(folder: Path) -> set[str]:
    return {item.name for item in folder.iterdir()}


def alter(store: FolderCaseStore, *statements: str) -> None:
    """Change a closed case behind the program's back, past its triggers."""
    with closing(sqlite3.connect(store.root / "case 1" / "case.sqlite", isolation_level=None)) as connection:
        for trigger in ("no_gap", "no_change", "no_removal"):
            connection.execute(f"DROP TRIGGER IF EXISTS {trigger}")
        for statement in statements:
            connection.execute(statement)


def filled(store: FolderCaseStore, n_events: int = 3) -> None:
    """A closed case whose every event has an image."""
    with closing(store.create("case 1")) as case:
        for number in range(1, n_events + 1):
            image = picture(number)
            case.append(event(number, image=image_digest(image)), [image])


# What lies on the disk


def test_a_case_is_a_folder_with_a_database_and_png_files(store: FolderCaseStore) -> None:
    image = picture(1)
    with closing(store.create("case 1")) as case:
        case.append(event(1), [image])
        folder = store.root / "case 1"
        assert store.folder("case 1") == case.folder == folder
        assert {"case.sqlite", "case.lock", "images"} <= files(folder)
        assert (folder / "case.lock").read_text() == f"{os.getpid()} {socket.gethostname()}\n"
    assert files(folder) == {"case.sqlite", "case.lock", "images", "manifest.json"}
    assert files(store.root) == {"case 1"}
    (png,) = (folder / "images").iterdir()
    assert png.name == f"{image_digest(image)}.png"
    assert np.array_equal(cv2.imread(str(png))[..., ::-1], image)


def test_plain_sqlite_reads_a_case_and_may_not_change_it(store: FolderCaseStore) -> None:
    filled(store)
    with closing(sqlite3.connect(store.root / "case 1" / "case.sqlite", isolation_level=None)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA user_version").fetchone() == (3,)
        assert connection.execute("SELECT number, kind FROM events").fetchall()[0] == (1, "field_accepted")
        for statement in (
            "UPDATE events SET who = 'other'",
            "DELETE FROM events WHERE number = 3",
            "INSERT INTO events (case_id, number, kind, at_utc, who, digest, data) "
            "VALUES ('case 1', 5, '', '', '', '', '{}')",
        ):
            with pytest.raises(sqlite3.IntegrityError, match="never|without a gap"):
                connection.execute(statement)
    with closing(store.open("case 1")) as case:
        assert numbers(case) == [1, 2, 3]


@posix_only
def test_an_image_is_flushed_and_named_before_its_event_is_written(
    case: SqliteCaseFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, replace, append = os.fsync, os.replace, event_rows.append

    def noted_fsync(descriptor: int) -> None:
        steps.append("flush folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "flush file")
        fsync(descriptor)

    def noted_replace(source: Path, target: Path) -> None:
        steps.append("rename")
        replace(source, target)

    def noted_append(connection: Connection, *arguments: Any) -> None:
        steps.append("write event")
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
        append(connection, *arguments)

    monkeypatch.setattr(durable_files.os, "fsync", noted_fsync)
    monkeypatch.setattr(durable_files.os, "replace", noted_replace)
    monkeypatch.setattr(event_rows, "append", noted_append)
    monkeypatch.setattr(sys, "platform", "linux")
    case.append(event(2), [picture(1)])
    assert steps == ["flush file", "rename", "flush folder", "write event"]


def test_a_stored_image_is_not_written_again(case: SqliteCaseFile) -> None:
    image = picture(1)
    case.append(event(2), [image])
    (png,) = (case.folder / "images").iterdir()
    before = png.stat()
    case.append(event(3), [image])
    assert (png.stat().st_ino, png.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_an_altered_image_is_written_anew_when_it_comes_again(case: SqliteCaseFile) -> None:
    image = picture(1)
    case.append(event(2), [image])
    (png,) = (case.folder / "images").iterdir()
    png.write_bytes(png.read_bytes()[:100])
    case.append(event(3), [image])
    assert np.array_equal(case.image(image_digest(image)), image)


@posix_only
def test_only_the_owner_may_look_into_a_case(store: FolderCaseStore) -> None:
    before = os.umask(0)
    try:
        filled(store)
        with closing(store.open("case 1")) as case:
            case.append(event(4))
            modes = {item: stat.S_IMODE(item.stat().st_mode) for item in [store.root, *store.root.rglob("*")]}
    finally:
        os.umask(before)
    assert {item.name for item in modes} >= {"case.sqlite", "case.sqlite-wal", "case.sqlite-shm", "case.lock"}
    assert {mode for item, mode in modes.items() if item.is_dir()} == {0o700}
    assert {mode for item, mode in modes.items() if item.is_file()} == {0o600}


def test_stale_part_files_are_cleared_away(store: FolderCaseStore) -> None:
    filled(store)
    stale = [store.root / "case 1" / "case.part", store.root / "case 1" / "images" / "0.png.part"]
    for path in stale:
        path.write_bytes(b"half")
    with closing(store.open("case 1")) as case:
        assert not any(path.exists() for path in stale)
        assert numbers(case) == [1, 2, 3]


def test_a_case_that_was_never_finished_being_made_is_not_there(store: FolderCaseStore) -> None:
    filled(store)
    old, fresh = store.root / ".new-old", store.root / ".new-fresh"
    for folder in (old, fresh):
        folder.mkdir()
    two_hours_ago = time.time() - 7200
    os.utime(old, (two_hours_ago, two_hours_ago))
    assert [summary.case_id for summary in store.cases()] == ["case 1"]
    store.create("case 2").close()
    assert files(store.root) == {"case 1", "case 2", ".new-fresh"}


# A disk that is full


@pytest.mark.parametrize("step", ["open", "fsync", "replace"])
@pytest.mark.parametrize("code", ["ENOSPC", "EDQUOT"])
def test_a_disk_that_fills_while_an_image_is_written_leaves_nothing(
    case: SqliteCaseFile, monkeypatch: pytest.MonkeyPatch, step: str, code: str
) -> None:
    if not hasattr(errno, code):
        pytest.skip(f"no {code} on this system")

    def full(*_: object, **__: object) -> None:
        raise OSError(getattr(errno, code), "no space")

    with monkeypatch.context() as patch:
        if step == "open":
            patch.setattr(durable_files, "open", full, raising=False)
        else:
            patch.setattr(durable_files.os, step, full)
        with pytest.raises(DiskFullError, match=r"Could not save event 2 .* no space is left .* Free some space"):
            case.append(event(2), [picture(1), picture(2)])
    assert numbers(case) == [1]
    assert files(case.folder / "images") == set()
    case.append(event(2), [picture(1), picture(2)])
    assert numbers(case) == [1, 2]
    assert len(files(case.folder / "images")) == 2


def test_a_disk_that_fills_at_the_second_image_takes_back_the_first(
    case: SqliteCaseFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, calls = os.replace, []

    def full_at_second(source: Any, target: Any) -> None:
        calls.append(target)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "no space")
        replace(source, target)

    monkeypatch.setattr(durable_files.os, "replace", full_at_second)
    with pytest.raises(DiskFullError):
        case.append(event(2), [picture(1), picture(2)])
    assert len(calls) == 2
    assert files(case.folder / "images") == set()


def test_a_database_that_cannot_grow_is_a_full_disk(store: FolderCaseStore, monkeypatch: pytest.MonkeyPatch) -> None:
    connections: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def remembered(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connections.append(connect(*arguments, **options))
        return connections[-1]

    monkeypatch.setattr(sqlite_engine.sqlite3, "connect", remembered)
    with closing(store.create("case 1")) as case:
        case.append(event(1))
        connections[-1].execute("PRAGMA max_page_count = 40")
        with pytest.raises(DiskFullError, match="Could not save event 2 of case case 1: no space is left"):
            case.append(event(2, cells="x" * 300_000), [picture(1)])
        assert numbers(case) == [1]
        assert files(case.folder / "images") == set()
        case.append(event(2))
        connections[-1].execute("PRAGMA max_page_count = 4000")
        case.append(event(3, cells="x" * 300_000), [picture(1)])
        assert numbers(case) == [1, 2, 3]


def test_a_really_full_disk_loses_nothing_and_goes_on_when_there_is_space(small_disk: Path) -> None:
    store = FolderCaseStore(small_disk / "cases")
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1_500_000))
    saved: list[np.ndarray] = []
    with closing(store.create("case 1")) as case:
        with pytest.raises(DiskFullError, match="no space is left"):
            for number in range(1, 100):
                image = picture(number, (120, 160, 3))
                case.append(event(number, cells="x" * 100_000), [image])
                saved.append(image)
        assert 3 < len(saved) < 50
        assert numbers(case) == list(range(1, len(saved) + 1))
        assert len(files(case.folder / "images")) == len(saved)
        # Without an image it is SQLite that meets the full disk.
        with pytest.raises(DiskFullError, match="no space is left"):
            case.append(event(len(saved) + 1, cells="x" * 2_000_000))
        ballast.unlink()
        saved.append(image)
        case.append(event(len(saved), cells="x" * 100_000), [image])
        assert numbers(case) == list(range(1, len(saved) + 1))
    with closing(store.open("case 1")) as case:
        assert numbers(case) == list(range(1, len(saved) + 1))
        assert all(np.array_equal(case.image(image_digest(image)), image) for image in saved)


def test_a_full_disk_is_said_when_a_case_is_started_or_opened(small_disk: Path) -> None:
    store = FolderCaseStore(small_disk / "cases")
    filled(store)
    with open(small_disk / "ballast", "wb", buffering=0) as ballast, suppress(OSError):
        while ballast.write(bytes(4096)):
            pass
    with pytest.raises(DiskFullError, match="Could not start case case 2: no space is left"):
        store.create("case 2")
    with pytest.raises(DiskFullError, match="Could not open case case 1: no space is left"):
        store.open("case 1")
    (small_disk / "ballast").unlink()
    assert files(store.root) == {"case 1"}
    store.create("case 2").close()
    store.open("case 1").close()


class CommitThatIsNotFlushed(sqlite3.Connection):
    """A connection whose COMMIT meets a disk that does not flush, while `fails` says so."""

    fails = False

    def commit(self) -> None:
        if CommitThatIsNotFlushed.fails and self.in_transaction:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
            raise error
        super().commit()


def test_a_flush_that_fails_is_an_error_and_keeps_the_images(
    store: FolderCaseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(store)
    connect = partial(sqlite3.connect, factory=CommitThatIsNotFlushed)
    monkeypatch.setattr(sqlite_engine.sqlite3, "connect", connect)
    with closing(store.open("case 1")) as case:
        case.append(event(4), [picture(4)])
        with monkeypatch.context() as patch:
            patch.setattr(CommitThatIsNotFlushed, "fails", True)
            with pytest.raises(StoreError, match="Could not save event 5 .* the disk of .* reports .* Check the drive"):
                case.append(event(5), [picture(5)])
        # After a crash now the event could be there: its image has to be there too.
        assert len(files(case.folder / "images")) == 5
        assert numbers(case) == [1, 2, 3, 4]
        case.append(event(5), [picture(5)])
        assert numbers(case) == [1, 2, 3, 4, 5]


# A folder that is lost or forbidden


@posix_only
@pytest.mark.parametrize("images", [[], [picture(1)]], ids=["without image", "with image"])
def test_a_folder_that_vanished_is_said_and_goes_on_when_it_is_back(case: SqliteCaseFile, images: list[Any]) -> None:
    away = case.folder.with_name("away")
    case.folder.rename(away)
    for work in (lambda: case.append(event(2), images), case.events, lambda: case.image("0" * 64)):
        with pytest.raises(StoreError, match="is not there any more. Check the drive") as caught:
            work()
        assert not isinstance(caught.value, CaseDamagedError)
    away.rename(case.folder)
    case.append(event(2), images)
    assert numbers(case) == [1, 2]


@posix_only
def test_a_deleted_or_replaced_case_is_never_written_into_the_void(store: FolderCaseStore) -> None:
    with closing(store.create("case 1")) as case:
        case.append(event(1))
        shutil.rmtree(case.folder)
        with pytest.raises(StoreError, match="is not there any more"):
            case.append(event(2))
        with closing(store.create("case 1")) as replacement:
            with pytest.raises(StoreError, match="is not there any more"):
                case.append(event(2))
            replacement.append(event(1))
            assert numbers(replacement) == [1]


@posix_only
def test_a_missing_database_is_said(case: SqliteCaseFile) -> None:
    (case.folder / "case.sqlite").unlink()
    with pytest.raises(StoreError, match="is not there any more"):
        case.append(event(2))


def test_an_images_folder_that_was_removed_comes_back_at_opening(store: FolderCaseStore) -> None:
    filled(store)
    shutil.rmtree(store.root / "case 1" / "images")
    with closing(store.open("case 1")) as case:
        case.append(event(4), [picture(4)])
        with pytest.raises(CaseDamagedError, match="is missing"):
            case.image(image_digest(picture(1)))


@posix_only
def test_a_read_only_folder_is_said_and_still_listed(store: FolderCaseStore) -> None:
    filled(store)
    folders = [store.root / "case 1" / "images", store.root / "case 1", store.root]
    try:
        for folder in folders:
            folder.chmod(0o500)
        if os.access(store.root, os.W_OK):
            pytest.skip("root may write everywhere")
        check_read_only(store)
    finally:
        for folder in reversed(folders):
            folder.chmod(0o700)


def test_a_read_only_disk_is_said_and_still_listed(small_disk: Path) -> None:
    store = FolderCaseStore(small_disk / "cases")
    filled(store)
    assert mounted("-o", "remount,ro", small_disk)
    check_read_only(store)


def check_read_only(store: FolderCaseStore) -> None:
    with pytest.raises(StoreError, match=r"Could not start case case 2: .* may not be written\. Ask for the right"):
        store.create("case 2")
    with pytest.raises(StoreError, match=r"Could not open case case 1: .* may not be written\. Ask for the right"):
        store.open("case 1")
    (summary,) = store.cases()
    assert (summary.case_id, summary.n_fields, summary.problem) == ("case 1", 3, None)


def test_a_disk_that_becomes_read_only_is_said_and_goes_on_later(small_disk: Path) -> None:
    with closing(FolderCaseStore(small_disk / "cases").create("case 1")) as case:
        # A file that is open for writing keeps Linux from a remount: an image is what meets the disk here.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(durable_files.os, "fsync", raiser(errno.EROFS))
            with pytest.raises(StoreError, match="may not be written"):
                case.append(event(1), [picture(1)])
        case.append(event(1), [picture(1)])


def raiser(code: int) -> Any:
    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


def test_a_failing_disk_is_said_in_one_line(case: SqliteCaseFile, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(durable_files.os, "fsync", raiser(errno.EIO))
        with pytest.raises(StoreError, match="reports 'Input/output error'. Check the drive") as caught:
            case.append(event(2), [picture(1)])
    assert "\n" not in str(caught.value)
    assert files(case.folder / "images") == set()


def test_a_file_in_the_place_of_the_case_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    store = FolderCaseStore(tmp_path / "file")
    for act in (store.cases, lambda: store.create("case 1")):
        with pytest.raises(StoreError, match="Could not"):
            act()


# A case that was altered


def test_an_altered_image_is_found(store: FolderCaseStore) -> None:
    filled(store)
    digest = image_digest(picture(1))
    png = store.root / "case 1" / "images" / f"{digest}.png"
    other = picture(1)
    other[3, 3, 1] ^= 1
    contents = [
        cv2.imencode(".png", other[..., ::-1])[1].tobytes(),
        cv2.imencode(".png", picture(1)[..., 0])[1].tobytes(),
        cv2.imencode(".png", picture(1).astype(np.uint16))[1].tobytes(),
        b"no image",
        b"",
    ]
    with closing(store.open("case 1")) as case:
        case.image(digest)
        for content in contents:
            png.write_bytes(content)
            with pytest.raises(CaseDamagedError, match=f"its image {digest}.png was altered. Restore its folder"):
                case.image(digest)
        png.unlink()
        with pytest.raises(CaseDamagedError, match=f"its image {digest}.png is missing"):
            case.image(digest)
        assert np.array_equal(case.image(image_digest(picture(2))), picture(2))


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        (["DELETE FROM events WHERE number = 2"], "its event 2 is missing"),
        (["DELETE FROM events WHERE number = 1"], "its event 1 is missing"),
        (["DELETE FROM events WHERE number = 2", "UPDATE events SET number = 2 WHERE number = 3"], "event 2 was alter"),
        (["UPDATE events SET data = '{\"field\":9}' WHERE number = 2"], "its event 2 was altered"),
        (["UPDATE events SET who = 'other' WHERE number = 3"], "its event 3 was altered"),
        (["UPDATE events SET who = x'ff' WHERE number = 3"], "its event 3 was altered"),
        (["UPDATE events SET who = CAST(x'ff' AS TEXT) WHERE number = 3"], "its file cannot be read"),
        (["DROP TABLE events"], "its file cannot be read"),
    ],
)
def test_an_event_cut_out_or_altered_is_found(store: FolderCaseStore, statements: list[str], words: str) -> None:
    filled(store)
    alter(store, *statements)
    with closing(store.open("case 1")) as case, pytest.raises(CaseDamagedError, match=words) as caught:
        case.events()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("4, 'unheard_of', '', '', ?, '{}'", "its event 4 is of the unknown kind 'unheard_of'"),
        ("4, 'resumed', '', '', ?, '[1]'", "the data of its event 4 cannot be read"),
    ],
)
def test_an_event_of_unknown_form_is_found(store: FolderCaseStore, row: str, words: str) -> None:
    filled(store)
    with closing(sqlite3.connect(store.root / "case 1" / "case.sqlite", isolation_level=None)) as connection:
        (previous,) = connection.execute("SELECT digest FROM events WHERE number = 3").fetchone()
        # The rule by which anyone can check a case: each digest covers the one before and its own row.
        kind, data = ("unheard_of", "{}") if "unheard_of" in row else ("resumed", "[1]")
        digest = next_digest(previous, 4, kind, "", "", data, None)
        columns = "case_id, number, kind, at_utc, who, digest, data"
        connection.execute(f"INSERT INTO events ({columns}) VALUES ('case 1', {row})", (digest,))  # noqa: S608
    with closing(store.open("case 1")) as case, pytest.raises(CaseDamagedError, match=words):
        case.events()


@pytest.mark.parametrize("content", [b"", b"a text file\n" * 100, bytes(8192), b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_foreign_file_in_the_place_of_the_database_is_found(store: FolderCaseStore, content: bytes) -> None:
    filled(store)
    (store.root / "case 1" / "case.sqlite").write_bytes(content)
    with pytest.raises(CaseDamagedError, match=r"Case case 1 is damaged: .* Restore its folder") as caught:
        store.open("case 1")
    assert "\n" not in str(caught.value)
    (summary,) = store.cases()
    assert summary.problem == str(caught.value)
    assert (store.root / "case 1" / "case.sqlite").read_bytes() == content


def test_a_database_of_another_program_is_found(store: FolderCaseStore) -> None:
    filled(store)
    alter(store, "PRAGMA application_id = 7")
    with pytest.raises(CaseDamagedError, match="belongs to another program"):
        store.open("case 1")


def test_a_case_of_a_newer_version_is_left_alone(store: FolderCaseStore) -> None:
    filled(store)
    alter(store, "PRAGMA user_version = 99")
    with pytest.raises(StoreError, match=r"written by a newer her2scope \(schema 99, this one knows 3\)") as caught:
        store.open("case 1")
    assert not isinstance(caught.value, CaseDamagedError)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (EventKind.UNDONE, {"event": 2}),
        (EventKind.UNDONE, {}),
        (EventKind.SIGNED, {"version": 2}),
        (EventKind.AMENDED, {}),
        (EventKind.CASE_DATA_ENTERED, dict.fromkeys(("accession", "block", "slide", "specimen", "antibody_run"), 7)),
    ],
)
def test_events_that_contradict_each_other_are_listed_as_damage(
    store: FolderCaseStore, kind: EventKind, data: dict[str, Any]
) -> None:
    filled(store)
    with closing(store.open("case 1")) as case:
        case.append(event(4, kind, **data))
    (summary,) = store.cases()
    assert summary.case_id == "case 1"
    assert "its events contradict each other" in str(summary.problem)


def test_a_damaged_case_is_listed_and_hides_no_other(store: FolderCaseStore) -> None:
    filled(store)
    for name in ("no database", "text", "gap"):
        with closing(store.create(name)) as case:
            for number in range(1, 4):
                case.append(event(number))
    (store.root / "no database" / "case.sqlite").unlink()
    (store.root / "text" / "case.sqlite").write_text("text")
    (store.root / "gap").rename(store.root / "kept")
    (store.root / "case 1").rename(store.root / "gap")
    (store.root / "kept").rename(store.root / "case 1")
    alter(store, "DELETE FROM events WHERE number = 2")
    (store.root / "a folder of the user").mkdir()
    (store.root / "file.txt").write_text("x")

    problems = {summary.case_id: summary.problem for summary in store.cases()}
    assert problems.pop("gap") is None
    assert set(problems) == {"no database", "text", "case 1"}
    assert "its case.sqlite is missing" in str(problems["no database"])
    assert "its event 2 is missing" in str(problems["case 1"])
    assert all("\n" not in str(problem) and str(problem).endswith(".") for problem in problems.values())


# Other programs and threads


def holder(case_folder: Path, code: str) -> subprocess.Popen[str]:
    """Another program that has the case open and runs `code`, until its stdin closes."""
    program = f"""
        import sys
        from her2scope.storage.case_store import FolderCaseStore
        case = FolderCaseStore(__import__("pathlib").Path({str(case_folder.parent)!r})).open({case_folder.name!r})
        {code}
        print("ready", flush=True)
        sys.stdin.read()
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_a_second_program_is_kept_out_and_told_by_whom(store: FolderCaseStore) -> None:
    filled(store)
    with holder(store.root / "case 1", "pass") as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        words = rf"Case case 1 is open in another her2scope \(pid {other.pid}\)\. Close it there"
        with pytest.raises(CaseLockedError, match=words):
            store.open("case 1")
        (summary,) = store.cases()
        assert (summary.n_fields, summary.locked) == (3, True)
        assert f"pid {other.pid}" in str(summary.problem)
        other.kill()
    with closing(store.open("case 1")) as case:
        assert numbers(case) == [1, 2, 3]


def test_a_case_started_by_this_program_is_kept_from_another(case: SqliteCaseFile) -> None:
    with holder(case.folder, "pass") as other:
        assert other.stdout is not None
        assert other.stdout.readline() == ""
    assert other.returncode == 1


def test_a_program_on_another_computer_is_named(store: FolderCaseStore, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(store.create("case 1")), monkeypatch.context() as patch:
        patch.setattr(socket, "gethostname", lambda: "this")
        (store.root / "case 1" / "case.lock").write_text("12 lab-pc-3\n")
        with pytest.raises(CaseLockedError, match=r"another her2scope \(pid 12 on lab-pc-3\)"):
            store.open("case 1")
        (store.root / "case 1" / "case.lock").write_bytes(b"\xff")
        with pytest.raises(CaseLockedError, match=r"another her2scope\. Close it there"):
            store.open("case 1")


def test_a_lock_that_is_free_in_a_moment_is_waited_for(store: FolderCaseStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case_lock, "PATIENCE_S", 30.0)
    case = store.create("case 1")
    with ThreadPoolExecutor(1) as other:
        opening = other.submit(store.open, "case 1")
        time.sleep(0.1)
        case.close()
        opening.result().close()


def test_threads_at_the_same_time_wait_for_each_other(case: SqliteCaseFile) -> None:
    def attempt(seed: int) -> bool:
        try:
            case.append(event(2), [picture(seed)])
        except StoreError as error:
            assert "does not follow" in str(error)
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(attempt, range(8))) == 1
    assert numbers(case) == [1, 2]
    assert len(files(case.folder / "images")) == 1


def test_a_list_reads_what_another_connection_just_wrote(store: FolderCaseStore) -> None:
    with closing(store.create("case 1")) as case:
        for number in range(1, 4):
            case.append(event(number))
            assert store.cases()[0].n_fields == number
    assert store.cases()[0].n_fields == 3


def test_windows_locks_are_used_where_there_is_no_fcntl(tmp_path: Path) -> None:
    """The same module, told that it runs on Windows, with a stand-in for Windows' own lock."""
    program = """
        import errno, importlib, os, sys, types
        from pathlib import Path
        import her2scope.storage.case_store
        held = {}
        def locking(descriptor, mode, n_bytes):
            place = (os.fstat(descriptor).st_ino, os.lseek(descriptor, 0, os.SEEK_CUR), n_bytes)
            if mode == "lock" and held.setdefault(place, descriptor) != descriptor:
                raise OSError(errno.EACCES, "held")
            if mode == "unlock":
                del held[place]
        sys.modules["msvcrt"] = types.SimpleNamespace(locking=locking, LK_NBLCK="lock", LK_UNLCK="unlock")
        sys.modules["fcntl"] = None
        sys.platform = "win32"
        module = importlib.reload(sys.modules["her2scope.storage.case_lock"])
        path = Path(sys.argv[1])
        lock = module.CaseLock(path, "case 1")
        assert path.read_text().startswith(str(os.getpid()))
        assert lock.in_place() and module.is_locked(path) and held
        try:
            module.CaseLock(path, "case 1")
        except module.CaseLockedError as error:
            print(error)
        lock.release()
        assert not module.is_locked(path) and not held
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "case.lock")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "open in this program already" in ended.stdout
