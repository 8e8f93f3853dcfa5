"""One program per case: a lock that the operating system lets go of when its holder ends, however it ends."""

from __future__ import annotations

import errno
import os
import socket
import sys
import time
from pathlib import Path

from her2scope.domain.errors import CaseLockedError, StoreError

PATIENCE_S = 0.5
"""A list of cases tries each lock for an instant; whoever opens a case waits that long for it."""
LONG_PATIENCE_S = 10.0
"""How long to wait for a program that appends a line (one flush of the disk) or checks a PIN (a fifth of a second)."""
HELD = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)

if sys.platform == "win32":
    import msvcrt

    # Windows lets nobody read a locked byte: the byte lies far behind the holder's note.
    _LOCK_BYTE = 1 << 30

    def _lock(descriptor: int, *, shared: bool) -> None:
        os.lseek(descriptor, _LOCK_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, _LOCK_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    # flock and not lockf: a lockf lock is lost when the same process closes any other handle of the file.
    def _lock(descriptor: int, *, shared: bool) -> None:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


class CaseLock:
    """A claimed `case.lock`; the file itself stays, for to remove it would let two programs in."""

    def __init__(self, path: Path, case_id: str) -> None:
        """Claim `path`; CaseLockedError where another holds it, OSError where the folder allows no lock."""
        self._path = path
        self._descriptor: int | None = os.open(path, os.O_RDWR | os.O_CREAT | _O_BINARY, 0o600)
        try:
            if not _claimed_in_time(self._descriptor):
                raise CaseLockedError(locked_text(path, case_id))
            _write_note(self._descriptor, f"{os.getpid()} {socket.gethostname()}\n")
        except BaseException:
            os.close(self._descriptor)
            raise

    def in_place(self) -> bool:
        """Whether the locked file still lies in its folder: False once the folder was deleted, moved or replaced."""
        if self._descriptor is None:
            return False
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.stat(self._path))
        except OSError:
            return False

    def release(self) -> None:
        """Let the next one in. Safe to call twice."""
        if self._descriptor is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        try:
            _write_note(descriptor, "")
            _unlock(descriptor)
        finally:
            os.close(descriptor)


def lock_of_file(path: Path, title: str) -> CaseLock:
    """Claim the lock beside a file that programs change by turns; StoreError where another one never lets go.

    Parameters
    ----------
    title : what the file is, as in `The <title> <path> is held by ...`
    """
    give_up_s = time.monotonic() + LONG_PATIENCE_S
    while True:
        try:
            return CaseLock(path.with_name(path.name + ".lock"), "")
        except CaseLockedError as error:
            if time.monotonic() > give_up_s:
                raise StoreError(
                    f"The {title} {path} is held by another her2scope. Repeat the step in a moment; if that does not "
                    "help, close the other program."
                ) from error


def is_locked(path: Path) -> bool:
    """Whether a program holds the lock now."""
    try:
        descriptor = os.open(path, os.O_RDONLY | _O_BINARY)
    except OSError:
        return False
    try:
        claimed = _claimed(descriptor, shared=True)
        if claimed:
            _unlock(descriptor)
        return not claimed
    except OSError:
        return False
    finally:
        os.close(descriptor)


def locked_text(path: Path, case_id: str) -> str:
    """Who holds the lock and what to do."""
    try:
        pid, _, host = path.read_text(encoding="utf-8").strip().partition(" ")
    except (OSError, UnicodeDecodeError):
        pid, host = "", ""
    if host == socket.gethostname() and pid == str(os.getpid()):
        return f"Case {case_id} is open in this program already. Close it, then open it again."
    where = f" on {host}" if host and host != socket.gethostname() else ""
    who = f" (pid {pid}{where})" if pid else ""
    return f"Case {case_id} is open in another her2scope{who}. Close it there, then open it again."


_O_BINARY = getattr(os, "O_BINARY", 0)


def _claimed_in_time(descriptor: int) -> bool:
    give_up_s = time.monotonic() + PATIENCE_S
    while not _claimed(descriptor, shared=False):
        if time.monotonic() > give_up_s:
            return False
        time.sleep(0.02)
    return True


def _claimed(descriptor: int, *, shared: bool) -> bool:
    try:
        _lock(descriptor, shared=shared)
    except OSError as error:
        if error.errno in HELD:
            return False
        raise
    return True


def _write_note(descriptor: int, text: str) -> None:
    """Say who holds the lock: a courtesy, so a full disk must not keep anyone from opening a case."""
    try:
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, text.encode())
    except OSError:
        return
