"""Failures of disk and database in words: what happened and what to do."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from her2scope.domain.errors import CaseDamagedError, DiskFullError, StoreError
from her2scope.storage.durable_files import write_failure

FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
GONE = {getattr(errno, name, errno.ENOENT) for name in ("ENOENT", "ENOTDIR", "ESTALE", "ENODEV", "ENXIO", "EHOSTDOWN")}
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, getattr(errno, "ENOTSUP", errno.ENOSYS)}
NEEDS_TRIAL = {
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_IOERR,
}
"""SQLite's codes that do not tell a full disk from a forbidden or a missing one."""


@contextmanager
def in_words(doing: str, folder: Path) -> Iterator[None]:
    """Turn an OSError or a failure of SQLite inside into a StoreError that begins `Could not <doing>`."""
    try:
        yield
    except OSError as error:
        raise _from_system(error, doing, folder) from error
    except sqlite3.Error as error:
        raise _from_sqlite(error, doing, folder) from error


def sqlite_code(error: sqlite3.Error) -> int | None:
    """Primary result code, None where Python's own part of sqlite3 raised the error."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def gone(doing: str, folder: Path) -> StoreError:
    """Error of a case whose folder vanished."""
    return StoreError(
        f"Could not {doing}: {folder} is not there any more. "
        "Check the drive or the network, put the folder back, then open the case again."
    )


def damaged(case_id: str, what: str) -> CaseDamagedError:
    """Error of a case that cannot be read back as it was written."""
    return CaseDamagedError(
        f"Case {case_id} is damaged: {what}. Restore its folder from a backup, or read the slide as a new case."
    )


def _from_system(error: OSError, doing: str, folder: Path) -> StoreError:
    if error.errno in FULL:
        return DiskFullError(
            f"Could not {doing}: no space is left on the disk of {folder}. "
            "Free some space, then repeat the step; all that was saved before is safe."
        )
    if error.errno in GONE:
        return gone(doing, folder)
    if error.errno in FORBIDDEN:
        return StoreError(
            f"Could not {doing}: {folder} may not be written. "
            "Ask for the right to write there, or keep the cases in another folder (HER2SCOPE_HOME)."
        )
    if error.errno in NO_LOCKS:
        return StoreError(
            f"Could not {doing}: the drive of {folder} cannot lock files. "
            "Keep the cases on a local disk (HER2SCOPE_HOME)."
        )
    return StoreError(
        f"Could not {doing}: the disk of {folder} reports '{error.strerror or error}'. "
        "Check the drive, then repeat the step."
    )


def _from_sqlite(error: sqlite3.Error, doing: str, folder: Path) -> StoreError:
    code = sqlite_code(error)
    if code == sqlite3.SQLITE_FULL:
        return _from_system(OSError(errno.ENOSPC, str(error)), doing, folder)
    if code in NEEDS_TRIAL:
        return _from_system(write_failure(folder) or OSError(errno.EIO, str(error)), doing, folder)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreError(
            f"Could not {doing}: another program (a backup, a virus scanner) holds the file in {folder}. "
            "Repeat the step in a moment."
        )
    if code is None or code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR):
        return damaged(folder.name, f"its file cannot be read ({error})")
    return StoreError(f"Could not {doing}: {error}. Repeat the step; if it fails again, report it with this line.")
