"""A small closed case of phantom fields, and ways to alter it behind the program's back."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from her2scope.app.compose import make_analyser
from her2scope.domain.corrections import CaseData
from her2scope.domain.event_chain import START, next_digest
from her2scope.phantom.field import PhantomSpec, render_field
from her2scope.pipeline.clock import SystemClock
from her2scope.pipeline.session import CaseSession
from her2scope.ports import HeadLedger
from her2scope.records import Frame
from her2scope.settings import Calibration, ScoringSettings
from her2scope.storage.case_store import FolderCaseStore

SELECT = "SELECT number, kind, at_utc, who, data, monotonic_us, digest FROM events ORDER BY number"
UPDATE = "UPDATE events SET kind = ?, at_utc = ?, who = ?, data = ?, monotonic_us = ?, digest = ? WHERE number = ?"
Rows = list[list[Any]]


def opened_case(root: Path, ledger: HeadLedger | None = None, case_id: str = "case 1") -> CaseSession:
    """An open case of one field, with events 1 opened, 2 field accepted, 3 case data."""
    analyser = make_analyser("closed-contours", ScoringSettings(), Calibration(), 1)
    session = CaseSession(FolderCaseStore(root, ledger).create(case_id), analyser, SystemClock(), "who")
    spec = PhantomSpec("2+", 21, 1, (240, 180), difficulty="easy", camera="linear")
    session.accept(Frame(render_field(spec).rgb, 1, 0.0, spec.um_per_px, name="1.png"))
    session.enter_case_data(CaseData(accession="S24-1", block="A1", slide="HER2"))
    return session


def closed_case(root: Path, ledger: HeadLedger | None = None) -> Path:
    """Folder of the same case, closed after event 4, a remark."""
    with closing(opened_case(root, ledger)) as session:
        session.annotate(1, "folded")
    return root / "case 1"


def rows(folder: Path) -> Rows:
    """Number, kind, time, user, data, clock, digest of every event."""
    with closing(sqlite3.connect(folder / "case.sqlite")) as connection:
        return [list(row) for row in connection.execute(SELECT)]


def write_rows(folder: Path, changed: Sequence[Sequence[Any]], delete: Sequence[int] = ()) -> None:
    """Write events anew past the triggers, and take some away."""
    with closing(sqlite3.connect(folder / "case.sqlite", isolation_level=None)) as connection:
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        connection.executemany(UPDATE, [(*row[1:], row[0]) for row in changed])
        connection.executemany("DELETE FROM events WHERE number = ?", [(number,) for number in delete])
        for _, statement in triggers:
            connection.execute(statement)


def chained(changed: Rows) -> Rows:
    """The same events with the digests that belong to them."""
    previous, made = START, []
    for number, kind, at_utc, who, data, clock, _ in changed:
        previous = next_digest(previous, number, kind, at_utc, who, data, clock)
        made.append([number, kind, at_utc, who, data, clock, previous])
    return made


def alter_event(folder: Path, number: int, change: Callable[[list[Any]], None], anew: bool = False) -> None:
    """Change one event; `anew` makes the chain anew from there."""
    found = rows(folder)
    change(found[number - 1])
    write_rows(folder, chained(found) if anew else found)
