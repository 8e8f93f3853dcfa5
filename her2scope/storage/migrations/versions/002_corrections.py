"""Cases may hold corrections, regions, moved cuts and undone events.

The rows stay as they are: the first release has to refuse such a case, which it would score without them.
"""

revision = "002"
down_revision = "001"


def upgrade(case_id: str) -> None:
    """Nothing: whoever comes from here has these tables."""
