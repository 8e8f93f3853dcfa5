"""The history of control readings: a file of one JSON line per reading that only ever grows, and one in RAM."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, BinaryIO

from her2scope.domain.control_history import ControlEntry, ImpossibleReadingError
from her2scope.domain.errors import CaseLockedError, StoreError
from her2scope.domain.score import ControlStatus
from her2scope.storage.case_lock import CaseLock
from her2scope.storage.durable_files import ONLY_OWNER_FILE, ONLY_OWNER_FOLDER, flush, flush_folder
from her2scope.storage.failures import in_words

SCHEMA = "her2scope.control-entry/1"
TORN = ".torn"
"""Ending of the file beside the history that keeps lines which were never finished."""
PATIENCE_S = 10.0
"""How long to wait for another program's append, which takes one flush of the disk."""
_TEXTS = ("at_utc", "run", "level", "lot", "instrument", "method")


class MemoryControlHistory:
    """Readings that live as long as this object (see `ports.ControlHistory`)."""

    problems: tuple[str, ...] = ()

    def __init__(self) -> None:
        self._lines: list[bytes] = []

    def entries(self) -> tuple[ControlEntry, ...]:
        """All readings in the order in which they were appended."""
        return tuple(_entry(line) for line in self._lines)

    def append(self, entry: ControlEntry) -> None:
        """Keep a reading."""
        self._lines.append(_line(entry))


class FileControlHistory:
    """Readings in a file (see `ports.ControlHistory`); `path` and its folder need not be there yet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._torn = path.with_name(path.name + TORN)

    @property
    def problems(self) -> tuple[str, ...]:
        """An unfinished line that was set aside, until somebody has removed that file."""
        if not self._torn.exists():
            return ()
        return (
            f"The last line of {self.path} was not finished when the power or the program failed. It is kept in "
            f"{self._torn}: read that control again if it is missing, then delete this file.",
        )

    def entries(self) -> tuple[ControlEntry, ...]:
        """All readings in order; StoreError for a line that cannot be read back, or of a newer her2scope."""
        with in_words("read the control history", self.path.parent):
            content = self._content()
            if not _is_whole(content):
                # Another program may be writing it just now: it is unfinished only if it still is under the lock.
                with self._claimed(), self._opened() as file:
                    self._mend(file)
                content = self._content()
        lines = enumerate(content.splitlines(), start=1)
        return tuple(self._parsed(number, line) for number, line in lines if line.strip())

    def append(self, entry: ControlEntry) -> None:
        """Keep a reading; durable when it returns."""
        line = _line(entry)
        with in_words("save the control reading", self.path.parent):
            self.path.parent.mkdir(mode=ONLY_OWNER_FOLDER, parents=True, exist_ok=True)
            with self._claimed(), self._opened() as file:
                self._mend(file)
                _append(file, line)
                flush_folder(self.path.parent)

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
        lock = self._lock()
        try:
            yield
        finally:
            lock.release()

    def _lock(self) -> CaseLock:
        give_up_s = time.monotonic() + PATIENCE_S
        while True:
            try:
                return CaseLock(self.path.with_name(self.path.name + ".lock"), "")
            except CaseLockedError as error:
                if time.monotonic() > give_up_s:
                    raise StoreError(
                        f"The control history {self.path} is held by another her2scope. Repeat the step in a moment; "
                        "if that does not help, close the other program."
                    ) from error

    def _mend(self, file: BinaryIO) -> None:
        """Finish the last line where only its end is missing, else set it aside."""
        content = file.read()
        if _is_whole(content):
            return
        start = content.rfind(b"\n") + 1
        if _is_entry(content[start:]):
            _append(file, b"\n")
            return
        with open(self._torn, "ab", opener=_only_for_the_owner) as torn:
            torn.write(content[start:] + b"\n")
            torn.flush()
            flush(torn.fileno())
        flush_folder(self.path.parent)
        file.truncate(start)
        flush(file.fileno())

    def _parsed(self, number: int, line: bytes) -> ControlEntry:
        try:
            return _entry(line)
        except _NewerError as error:
            raise StoreError(
                f"Line {number} of the control history {self.path} was written by another her2scope ({error}, this one "
                f"knows {SCHEMA}). Open it with that version; nothing was changed."
            ) from None
        except ValueError as error:
            raise StoreError(
                f"Line {number} of the control history {self.path} is damaged ({error}). Restore the file from a "
                "backup, or move it away to start a new history; nothing was changed."
            ) from None


class _NewerError(Exception):
    """A line of a schema that this version does not know."""


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


# ---- one line -----------------------------------------------------------------------------------------------------


def _line(entry: ControlEntry) -> bytes:
    # ASCII: a line break or a lone surrogate in a name is escaped, and the line stays one line.
    return json.dumps({"schema": SCHEMA, **asdict(entry)}, allow_nan=False).encode("ascii") + b"\n"


def _is_entry(line: bytes) -> bool:
    try:
        _entry(line)
    except (_NewerError, ValueError):
        return False
    return True


def _entry(line: bytes) -> ControlEntry:
    """Reading of a line; ValueError saying what is wrong with it, _NewerError for another schema."""
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON") from None
    if not isinstance(data, dict):
        raise ValueError("it is no reading")
    schema = data.pop("schema", None)
    if schema != SCHEMA:
        if isinstance(schema, str) and schema.startswith(SCHEMA.partition("/")[0]):
            raise _NewerError(schema)
        raise ValueError("it is no control reading")
    return _from_json(data)


def _from_json(data: dict[str, Any]) -> ControlEntry:
    known = {item.name for item in fields(ControlEntry)}
    if data.keys() != known:
        raise ValueError(f"its keys differ: {', '.join(sorted(data.keys() ^ known))}"[:120])
    wrong = [name for name in _TEXTS if not isinstance(data[name], str)]
    wrong += [name for name in ("codes", "images") if not _is_texts(data[name])]
    wrong += [name for name, kind in (("intensity_od10", (int, float)), ("n_tumour", int)) if not _is(data[name], kind)]
    wrong += [] if _is_figures(data["figures"]) else ["figures"]
    if wrong:
        raise ValueError(f"its {wrong[0]} cannot be read")
    try:
        status = ControlStatus(data["status"])
        return ControlEntry(**data | {"status": status, "codes": tuple(data["codes"]), "images": tuple(data["images"])})
    except ImpossibleReadingError as error:
        raise ValueError(error.why) from None


def _is(value: object, kind: type | tuple[type, ...]) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _is_figures(value: object) -> bool:
    return isinstance(value, dict) and all(_is(item, (int, float)) for item in value.values())


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
