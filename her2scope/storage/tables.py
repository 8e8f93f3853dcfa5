"""The tables of a case: in one file per case, or of all cases on a department's server."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    event,
    text,
)

METADATA = MetaData()
CASES = Table(
    "cases",
    METADATA,
    # As the case was named when it was made: a copy restored under another name goes on in its folder.
    Column("case_id", Text, primary_key=True),
    Column("created_utc", Text, nullable=False),
)
EVENTS = Table(
    "events",
    METADATA,
    Column("case_id", Text, ForeignKey(CASES.c.case_id), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("at_utc", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("monotonic_us", BigInteger),
    # Before `data`: a list of cases reads it without the 300 KB of measures behind it.
    Column("field", Integer),
    Column("digest", Text, nullable=False),
    Column("data", Text, nullable=False),
)
VERSION = Table(
    "alembic_version",
    METADATA,
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""The one that Alembic makes: a new case is stamped without loading it."""

_GAP = "events are numbered without a gap"
_CHANGED = "what happened to a case is never changed"
_REMOVED = "what happened to a case is never removed"
_NEXT = "(SELECT COALESCE(MAX(number), 0) + 1 FROM events WHERE case_id = NEW.case_id)"
_TRIGGERS = {
    "sqlite": (
        f"CREATE TRIGGER no_gap BEFORE INSERT ON events WHEN NEW.number IS NOT {_NEXT} "
        f"BEGIN SELECT RAISE(ABORT, '{_GAP}'); END",
        f"CREATE TRIGGER no_change BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, '{_CHANGED}'); END",
        f"CREATE TRIGGER no_removal BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, '{_REMOVED}'); END",
    ),
    "postgresql": (
        "CREATE FUNCTION events_are_kept() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF TG_OP = 'UPDATE' THEN RAISE EXCEPTION '{_CHANGED}'; "
        f"ELSIF TG_OP = 'DELETE' THEN RAISE EXCEPTION '{_REMOVED}'; "
        f"ELSIF NEW.number <> {_NEXT} THEN RAISE EXCEPTION '{_GAP}'; END IF; "
        "RETURN NEW; END $$",
        "CREATE TRIGGER events_are_kept BEFORE INSERT OR UPDATE OR DELETE ON events "
        "FOR EACH ROW EXECUTE FUNCTION events_are_kept()",
    ),
}


@event.listens_for(EVENTS, "after_create")
def _guard(_: Table, connection: Connection, **__: Any) -> None:
    for statement in _TRIGGERS.get(connection.dialect.name, ()):
        connection.execute(text(statement))
