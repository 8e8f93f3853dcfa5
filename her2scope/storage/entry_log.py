"""A line log of entries of one kind, each a line of JSON that names its schema: read back, or refused in words."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Generic, TypeVar

from her2scope.storage.line_log import LineLog, NewerLineError

Entry = TypeVar("Entry")


class EntryLog(Generic[Entry]):
    """Entries in a file, appended and never changed; `path` and its folder need not be there yet.

    Parameters
    ----------
    title : what errors call the log: `control history`
    schema : of its lines
    read : entry of a line; ValueError saying what is wrong with it, NewerLineError for another schema
    remedy : what else helps against a damaged line; it follows `Restore the file from a backup`
    """

    def __init__(self, path: Path, title: str, schema: str, read: Callable[[bytes], Entry], remedy: str = "") -> None:
        self._lines = LineLog(path, title, self._is_entry)
        self._schema, self._read, self._remedy = schema, read, remedy

    def entries(self) -> tuple[Entry, ...]:
        """All entries in order; StoreError for a line that cannot be read back, or of a newer her2scope."""
        return tuple(self._parsed(number, line) for number, line in self._lines.lines())

    def append(self, line: bytes, doing: str) -> None:
        """Keep a line; durable when it returns. `doing` begins the error: `save the reading`."""
        self._lines.append(line, doing)

    def holds(self, part: bytes) -> bool:
        """Whether these bytes stand in any line: none is judged, which takes a second for those of a year."""
        return any(part in line for _, line in self._lines.lines())

    def unfinished(self, advice: str) -> tuple[str, ...]:
        """That a line was set aside and what to do about it, until somebody has removed the file it is in."""
        if not self._lines.torn.exists():
            return ()
        return (
            f"The last line of {self._lines.path} was not finished when the power or the program failed. It is kept "
            f"in {self._lines.torn}: {advice}",
        )

    def _parsed(self, number: int, line: bytes) -> Entry:
        try:
            return self._read(line)
        except NewerLineError as error:
            raise self._lines.newer(number, error, self._schema) from None
        except ValueError as error:
            raise self._lines.damaged(number, error, self._remedy) from None

    def _is_entry(self, line: bytes) -> bool:
        try:
            self._read(line)
        except (NewerLineError, ValueError):
            return False
        return True


def entry_line(schema: str, data: dict[str, Any], *, sort_keys: bool = False) -> bytes:
    """An entry as a line, with its line end."""
    # ASCII: a line break or a lone surrogate in a name is escaped, and the line stays one line.
    return json.dumps({"schema": schema, **data}, allow_nan=False, sort_keys=sort_keys).encode("ascii") + b"\n"


def entry_data(line: bytes, schema: str, kind: str, keys: Collection[str]) -> dict[str, Any]:
    """What stands in a line beside its schema; ValueError saying what is wrong with it, NewerLineError.

    Parameters
    ----------
    kind : what the line is to be: `control reading`
    keys : all that it has
    """
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON") from None
    found = data.pop("schema", None) if isinstance(data, dict) else None
    if found != schema:
        if isinstance(found, str) and found.startswith(schema.partition("/")[0]):
            raise NewerLineError(found)
        raise ValueError(f"it is no {kind}")
    entry: dict[str, Any] = data  # only a dict has a schema
    if entry.keys() != set(keys):
        raise ValueError(f"its keys differ: {', '.join(sorted(entry.keys() ^ set(keys)))}"[:120])
    return entry
