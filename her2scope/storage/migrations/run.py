"""Alembic's steps on one open case, in the transaction of whoever asks for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

STEPS = Path(__file__).parent


def migrate(connection: Connection, stamp: str | None, revision: str, case_id: str) -> None:
    """Lead the case on `connection` to `revision`.

    Parameters
    ----------
    stamp : revision of a case from before Alembic kept it in the case; None: the case knows its own
    """
    steps = ScriptDirectory(str(STEPS))

    def on_the_way(present: Any, _: MigrationContext) -> object:
        return steps._upgrade_revs(revision, present)  # noqa: SLF001 - Alembic's own `upgrade` command does the same

    context = MigrationContext.configure(connection, opts={"fn": on_the_way, "script": steps})
    if stamp is not None:
        context.stamp(steps, stamp)
    with Operations.context(context):
        context.run_migrations(case_id=case_id)
