"""A file of one JSON line per record that only ever grows: durable, shared by programs, whole after a power cut."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from her2scope.domain.errors import StoreError
from her2scope.storage.case_lock import lock_of_file
from her2scope.storage.durable_files import ONLY_OWNER_FILE, ONLY_OWNER_FOLDER, flush, flush_folder
from her2scope.storage.failures import in_words

TORN = ".torn"
"""Ending of the file beside the log that keeps lines which were never finished."""


class NewerLineError(Exception):
    """A line of a schema that this version does not know, which the text names."""


class LineLog:
    """Lines in a file, appended and never changed; `path` and its folder need not be there yet.

    Parameters
    ----------
    title : what errors call the log: `control history`
    is_record : whether a line without its end is a whole record all the same
    """

    def __init__(self, path: Path, title: str, is_record: Callable[[bytes], bool]) -> None:
        self.path, self.title = path, title
        self._is_record = is_record
        self.torn = path.with_name(path.name + TORN)

    def lines(self) -> list[tuple[int, bytes]]:
        """Every line that is not empty, with its number from 1; StoreError where the file cannot be read."""
        with in_words(f"read the {self.title}", self.path.parent):
            content = self._content()
            if not _is_whole(content):
                # Another program may be writing it just now: it is unfinished only if it still is under the lock.
                with self._claimed(), self._opened() as file:
                    self._mend(file)
                content = self._content()
        return [(number, line) for number, line in enumerate(content.splitlines(), start=1) if line.strip()]

    def append(self, line: bytes, doing: str) -> None:
        """Keep a line, which has its line end; durable when it returns. `doing` begins the error: `save the reading`.

        Raises DiskFullError or StoreError; then nothing of it is kept.
        """
        with in_words(doing, self.path.parent):
            self.path.parent.mkdir(mode=ONLY_OWNER_FOLDER, parents=True, exist_ok=True)
            with self._claimed(), self._opened() as file:
                self._mend(file)
                _append(file, line)
                flush_folder(self.path.parent)

    def newer(self, number: int, schema: object, known: str) -> StoreError:
        """Error of a line that a newer her2scope wrote."""
        return StoreError(
            f"Line {number} of the {self.title} {self.path} was written by another her2scope ({schema}, this one "
            f"knows {known}). Open it with that version; nothing was changed."
        )

    def damaged(self, number: int, why: object, remedy: str) -> StoreError:
        """Error of a line that cannot be read back; `remedy` follows `Restore the file from a backup`."""
        return StoreError(
            f"Line {number} of the {self.title} {self.path} is damaged ({why}). Restore the file from a "
            f"backup{remedy}; nothing was changed."
        )

    def _content(self) -> bytes:
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return b""

    def _opened(self) -> BinaryIO:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
        return os.fdopen(os.open(self.path, flags, ONLY_OWNER_FILE), "r+b", buffering=0)

    @contextmanager
    def _claimed(self) -> Iterator[None]:
        """Keep other programs from writing."""
        lock = lock_of_file(self.path, self.title)
        try:
            yield
        finally:
            lock.release()

    def _mend(self, file: BinaryIO) -> None:
        """Finish the last line where only its end is missing, else set it aside."""
        content = file.read()
        if _is_whole(content):
            return
        start = content.rfind(b"\n") + 1
        if self._is_record(content[start:]):
            _append(file, b"\n")
            return
        with open(self.torn, "ab", opener=_only_for_the_owner) as torn:
            torn.write(content[start:] + b"\n")
            torn.flush()
            flush(torn.fileno())
        flush_folder(self.path.parent)
        file.truncate(start)
        flush(file.fileno())


def _append(file: BinaryIO, data: bytes) -> None:
    """Write at the end, all of it or nothing."""
    end = file.seek(0, os.SEEK_END)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[file.write(rest) :]
        flush(file.fileno())
    except BaseException:
        file.truncate(end)
        raise


def _is_whole(content: bytes) -> bool:
    return not content or content.endswith(b"\n")


def _only_for_the_owner(path: str, flags: int) -> int:
    return os.open(path, flags, ONLY_OWNER_FILE)
