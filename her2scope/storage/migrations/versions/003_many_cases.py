"""Tables that could hold many cases, a clock that nobody can set beside each event, and signatures.

Every row is taken over as it stands, so its digest and the chain hold. What the tables are is written out here, and not
taken from `tables`: that goes on to change.
"""

import sqlalchemy as sa
from alembic import op

revision = "003"
down_revision = "002"

_TRIGGERS = (
    "CREATE TRIGGER no_gap BEFORE INSERT ON events WHEN NEW.number IS NOT "
    "(SELECT COALESCE(MAX(number), 0) + 1 FROM events WHERE case_id = NEW.case_id) "
    "BEGIN SELECT RAISE(ABORT, 'events are numbered without a gap'); END",
    "CREATE TRIGGER no_change BEFORE UPDATE ON events "
    "BEGIN SELECT RAISE(ABORT, 'what happened to a case is never changed'); END",
    "CREATE TRIGGER no_removal BEFORE DELETE ON events "
    "BEGIN SELECT RAISE(ABORT, 'what happened to a case is never removed'); END",
)


def upgrade(case_id: str) -> None:
    """Take the events over into tables of the new form. SQLite only: no server held a case before."""
    for trigger in ("no_gap", "no_change", "no_removal"):
        op.execute(f"DROP TRIGGER IF EXISTS {trigger}")
    op.rename_table("events", "older_events")
    op.create_table(
        "cases",
        sa.Column("case_id", sa.Text, primary_key=True),
        sa.Column("created_utc", sa.Text, nullable=False),
    )
    op.create_table(
        "events",
        sa.Column("case_id", sa.Text, sa.ForeignKey("cases.case_id"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("at_utc", sa.Text, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("monotonic_us", sa.BigInteger),
        sa.Column("field", sa.Integer),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
    )
    started = "SELECT :case_id, COALESCE((SELECT at_utc FROM older_events WHERE number = 1), '')"
    op.get_bind().execute(sa.text(f"INSERT INTO cases {started}"), {"case_id": case_id})
    taken_over = (
        "SELECT :case_id, number, kind, at_utc, who, NULL, "
        "CASE typeof(field) WHEN 'integer' THEN field END, digest, data FROM older_events ORDER BY number"
    )
    op.get_bind().execute(sa.text(f"INSERT INTO events {taken_over}"), {"case_id": case_id})
    op.drop_table("older_events")
    for trigger in _TRIGGERS:
        op.execute(trigger)
