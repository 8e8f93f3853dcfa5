"""Cases as released programs made them: their tables, and rows chained as they chained them. Never changed."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np

from her2scope.records import image_digest

APPLICATION_ID = 0x48455232
SCHEMA_STEPS = (
    (
        """CREATE TABLE events (
            number INTEGER PRIMARY KEY,
            kind TEXT NOT NULL,
            at_utc TEXT NOT NULL,
            who TEXT NOT NULL,
            field INTEGER AS (json_extract(data, '$.field')) STORED,
            digest TEXT NOT NULL,
            data TEXT NOT NULL)""",
        """CREATE TRIGGER no_gap BEFORE INSERT ON events
            WHEN NEW.number IS NOT (SELECT COALESCE(MAX(number), 0) + 1 FROM events)
            BEGIN SELECT RAISE(ABORT, 'events are numbered without a gap'); END""",
        """CREATE TRIGGER no_change BEFORE UPDATE ON events
            BEGIN SELECT RAISE(ABORT, 'what happened to a case is never changed'); END""",
        """CREATE TRIGGER no_removal BEFORE DELETE ON events
            BEGIN SELECT RAISE(ABORT, 'what happened to a case is never removed'); END""",
    ),
    (),
)
"""Step N leads from schema N to N + 1."""
Row = tuple[str, str, str, str]
"""Kind, time, who and data of an event."""


def write(folder: Path, schema: int, rows: Sequence[Row], images: Sequence[np.ndarray] = ()) -> None:
    """Make a closed case in `folder`, as the program of that schema left it."""
    (folder / "images").mkdir(parents=True)
    for image in images:
        cv2.imwrite(str(folder / "images" / f"{image_digest(image)}.png"), image[..., ::-1])
    with closing(sqlite3.connect(folder / "case.sqlite", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        for statements in SCHEMA_STEPS[:schema]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {schema}")
        digest = ""
        for number, (kind, at_utc, who, data) in enumerate(rows, start=1):
            digest = hashlib.sha256(json.dumps([digest, number, kind, at_utc, who, data]).encode()).hexdigest()
            connection.execute(
                "INSERT INTO events (number, kind, at_utc, who, digest, data) VALUES (?, ?, ?, ?, ?, ?)",
                (number, kind, at_utc, who, digest, data),
            )
    (folder / "case.lock").touch()
