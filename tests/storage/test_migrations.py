"""A case of an older her2scope goes on as it was: every event, its digest and its images."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from storage import older_cases

from her2scope.domain.errors import DiskFullError, StoreError
from her2scope.domain.events import Event, EventKind
from her2scope.domain.sign_off import CaseStatus
from her2scope.records import image_digest
from her2scope.storage import sqlite_engine
from her2scope.storage.case_store import FolderCaseStore

AT = "2024-05-01T10:00:00.000+00:00"
IMAGE = np.random.default_rng(1).integers(0, 256, (20, 30, 3), np.uint8)
ROWS: list[older_cases.Row] = [
    ("opened", AT, "Dr. Ada Müller", '{"guideline":"breast-2023"}'),
    ("field_accepted", AT, "who", json.dumps({"field": 1, "image": image_digest(IMAGE), "cells": [0.1] * 20_000})),
    ("region_drawn", AT, "Ö, 読者", '{"region":1,"field":null}'),
    ("field_accepted", AT, "who", '{"field": 2,  "spaces": "as they were written"}'),
    ("finished", AT, "who", '{"score":"2+"}'),
]
KEPT = "SELECT number, kind, at_utc, who, field, digest, data FROM events ORDER BY number"


@pytest.fixture(params=[1, 2], ids=["first release", "corrections"])
def older(request: pytest.FixtureRequest, tmp_path: Path) -> FolderCaseStore:
    older_cases.write(tmp_path / "old 1", request.param, ROWS, [IMAGE])
    return FolderCaseStore(tmp_path)


def rows(store: FolderCaseStore, query: str = KEPT) -> list[Any]:
    with closing(sqlite3.connect(f"file:{store.root / 'old 1' / 'case.sqlite'}?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()


def tables(database: Path) -> dict[str, str]:
    with closing(sqlite3.connect(database)) as connection:
        found = connection.execute("SELECT type || ' ' || name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        return {name: " ".join(sql.split()).replace("( ", "(").replace(" )", ")") for name, sql in found}


def test_every_event_is_taken_over_as_it_was(older: FolderCaseStore) -> None:
    before = rows(older)
    with closing(older.open("old 1")) as case:
        assert rows(older) == before
        events = case.events()
        assert [event.data for event in events] == [json.loads(row[3]) for row in ROWS]
        assert {event.monotonic_us for event in events} == {None}
        assert np.array_equal(case.image(image_digest(IMAGE)), IMAGE)
        assert (case.head().n_events, case.head().digest) == (5, before[-1][5])
        case.append(Event(6, EventKind.REOPENED, AT, "who", {"reason": "one more field"}, 123_456_789_012))
        assert case.events() == (*events, Event(6, EventKind.REOPENED, AT, "who", {"reason": "one more field"},
                                                123_456_789_012))  # fmt: skip
    with closing(older.open("old 1")) as case:
        assert len(case.events()) == 6


def test_its_tables_are_those_of_a_new_case(older: FolderCaseStore) -> None:
    older.open("old 1").close()
    older.create("new 1").close()
    new = tables(older.root / "new 1" / "case.sqlite")
    assert tables(older.root / "old 1" / "case.sqlite") == new
    assert {"table cases", "table events", "trigger no_gap", "table alembic_version"} <= set(new)
    assert rows(older, "SELECT * FROM cases") == [("old 1", AT)]
    assert rows(older, "SELECT version_num FROM alembic_version") == [("003",)]
    assert rows(older, "PRAGMA user_version") == [(3,)]
    assert rows(older, "PRAGMA foreign_key_check") == []
    for statement in ("UPDATE events SET who = 'other'", "DELETE FROM events"):
        with closing(sqlite3.connect(older.root / "old 1" / "case.sqlite")) as connection:
            with pytest.raises(sqlite3.IntegrityError, match="never"):
                connection.execute(statement)


def test_a_field_that_is_no_number_stays_out_of_the_list_and_in_the_event(tmp_path: Path) -> None:
    odd = [("opened", AT, "who", '{"field":"none of it"}'), ("resumed", AT, "who", '{"field":1.5}')]
    older_cases.write(tmp_path / "old 1", 2, odd)
    store = FolderCaseStore(tmp_path)
    with closing(store.open("old 1")) as case:
        assert [event.data["field"] for event in case.events()] == ["none of it", 1.5]
    assert rows(store, "SELECT field FROM events") == [(None,), (None,)]


def test_reading_and_listing_change_nothing(older: FolderCaseStore) -> None:
    folder = older.root / "old 1"
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    (summary,) = older.cases()
    assert (summary.n_fields, summary.status, summary.problem) == (2, CaseStatus.IN_REVIEW, None)
    with closing(older.read("old 1")) as case:
        assert len(case.events()) == case.head().n_events == 5
        assert np.array_equal(case.image(image_digest(IMAGE)), IMAGE)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_case_without_events_is_brought_up_too(tmp_path: Path) -> None:
    older_cases.write(tmp_path / "old 1", 1, [])
    store = FolderCaseStore(tmp_path)
    with closing(store.open("old 1")) as case:
        assert case.events() == ()
        case.append(Event(1, EventKind.OPENED, AT, "who", {}))
    assert rows(store, "SELECT * FROM cases") == [("old 1", "")]


def test_an_upgrade_that_meets_a_full_disk_leaves_the_case_as_it_was(
    older: FolderCaseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, before, schema = sqlite3.connect, rows(older), rows(older, "PRAGMA user_version")

    def cramped(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*arguments, **options)
        (n_pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {n_pages + 5}")
        return connection

    with monkeypatch.context() as patch:
        patch.setattr(sqlite_engine.sqlite3, "connect", cramped)
        with pytest.raises(DiskFullError, match="Could not open case old 1: no space is left"):
            older.open("old 1")
    assert rows(older) == before
    assert rows(older, "PRAGMA user_version") == schema
    assert not rows(older, "SELECT name FROM sqlite_master WHERE name IN ('cases', 'older_events', 'alembic_version')")
    with closing(older.open("old 1")) as case:
        assert len(case.events()) == 5


ENDED_HALF_WAY = """
import os, sys
from pathlib import Path
from alembic.operations import Operations
from her2scope.storage.case_store import FolderCaseStore
n_left = int(sys.argv[2])
execute = Operations.invoke
def invoke(*arguments):
    global n_left
    n_left -= 1
    if n_left < 0:
        os._exit(9)
    return execute(*arguments)
Operations.invoke = invoke
FolderCaseStore(Path(sys.argv[1])).open("old 1")
print("upgraded")
"""


@pytest.mark.parametrize("n_steps", [0, 4, 6, 9])
def test_an_upgrade_that_ends_half_way_leaves_the_case_as_it_was(tmp_path: Path, n_steps: int) -> None:
    older_cases.write(tmp_path / "old 1", 2, ROWS, [IMAGE])
    store = FolderCaseStore(tmp_path)
    before = rows(store)
    command = [sys.executable, "-c", ENDED_HALF_WAY, str(tmp_path), str(n_steps)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (9, ""), ended.stderr
    assert rows(store) == before
    assert rows(store, "PRAGMA user_version") == [(2,)]
    with closing(store.open("old 1")) as case:
        assert len(case.events()) == 5
    assert rows(store) == before


def test_a_case_goes_on_in_a_folder_of_another_name(older: FolderCaseStore) -> None:
    older.open("old 1").close()
    shutil.copytree(older.root / "old 1", older.root / "copy")
    with closing(older.open("copy")) as case:
        case.append(Event(6, EventKind.RESUMED, AT, "who", {}))
        assert (case.case_id, len(case.events())) == ("copy", 6)
    assert len(older.read("old 1").events()) == 5


def test_a_database_of_two_cases_is_no_case_of_one_folder(older: FolderCaseStore) -> None:
    older.open("old 1").close()
    with closing(sqlite3.connect(older.root / "old 1" / "case.sqlite")) as connection, connection:
        connection.execute("INSERT INTO cases VALUES ('another', '')")
    for act in (older.open, older.read):
        with pytest.raises(StoreError, match="its file holds 2 cases"):
            act("old 1")


def test_a_new_case_is_made_without_loading_alembic(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from her2scope.storage.case_store import FolderCaseStore;"
        "assert 'sqlalchemy' not in sys.modules;"
        "FolderCaseStore(Path(sys.argv[1])).create('new 1').close();"
        "assert 'sqlalchemy' in sys.modules and 'alembic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)
