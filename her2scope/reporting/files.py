"""Writing aside and renaming: a reader never finds half a report."""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path

from her2scope.domain.errors import DiskFullError, StoreError


def write_aside(path: Path, data: bytes) -> None:
    """Write `data` to `path` in one step, so that an older file stays whole until the new one is.

    Raises
    ------
    DiskFullError, StoreError
        If it cannot be written; nothing is left behind.
    """
    # a name of its own: two programs may write the same report at once
    aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        _forget(aside)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(f"{path}: the disk is full. Free some space and write the report again.") from error
        raise StoreError(f"{path}: cannot be written ({error.strerror or error}). Choose another folder.") from error


def _forget(aside: Path) -> None:
    try:
        aside.unlink(missing_ok=True)
    except OSError:
        return  # a folder that cannot be written to cannot be tidied either; the caller hears of the first error
