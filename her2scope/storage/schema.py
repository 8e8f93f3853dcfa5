"""What tells a case's database from any other SQLite file, and from those of other versions."""

APPLICATION_ID = 0x48455232
"""`HER2`."""
SCHEMA = 3
"""Raised with each step of `migrations`; an older her2scope, which would leave part of such a case out, refuses it."""
REVISION = f"{SCHEMA:03}"
"""The step that leads to `SCHEMA`."""
