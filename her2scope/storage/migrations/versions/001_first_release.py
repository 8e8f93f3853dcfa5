"""The first release: one table of events in one file per case. That program made it by itself, without Alembic."""

revision = "001"
down_revision = None


def upgrade(case_id: str) -> None:
    """Nothing: whoever comes from here has these tables."""
