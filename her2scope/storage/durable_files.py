"""Files that are whole or not there, and still there after the power failed."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from pathlib import Path

PART = ".part"
"""Ending of a file that is being written; one left behind is rubbish."""
ONLY_OWNER_FOLDER, ONLY_OWNER_FILE = 0o700, 0o600


def write_durably(path: Path, content: bytes) -> None:
    """Write aside, flush to the disk, rename. The name itself is durable after `flush_folder`."""
    aside = path.with_name(path.name + PART)
    try:
        with open(aside, "wb", opener=_only_for_the_owner) as file:
            file.write(content)
            file.flush()
            flush(file.fileno())
        os.replace(aside, path)
    except BaseException:
        with suppress(OSError):
            aside.unlink()
        raise


def flush(descriptor: int) -> None:
    """Wait until the disk has it."""
    if sys.platform == "darwin":
        import fcntl

        # On macOS fsync only hands over to the drive, which may keep it in its cache.
        with suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def flush_folder(folder: Path) -> None:
    """Wait until the disk has the names in `folder`; Windows keeps them durable by itself."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network drives flush files but not folders.
        if error.errno not in (errno.EINVAL, errno.ENOSYS):
            raise
    finally:
        os.close(descriptor)


def remove_part_files(folder: Path) -> None:
    """Clear away what an interrupted `write_durably` left."""
    for aside in folder.glob(f"*{PART}"):
        # On a read-only or failing disk the next append says so, in words.
        with suppress(OSError):
            aside.unlink()


def write_failure(folder: Path) -> OSError | None:
    """Error that writing a small file to `folder` meets now, None where it works."""
    trial = folder / f"trial{PART}"
    try:
        write_durably(trial, bytes(64 * 1024))
        trial.unlink()
    except OSError as error:
        return error
    return None


def _only_for_the_owner(path: str, flags: int) -> int:
    return os.open(path, flags, ONLY_OWNER_FILE)
