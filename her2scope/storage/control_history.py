"""The history of control readings: a file of one JSON line per reading that only ever grows, and one in RAM."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from her2scope.domain.control_history import ControlEntry, ImpossibleReadingError
from her2scope.domain.score import ControlStatus
from her2scope.storage.line_log import LineLog, NewerLineError

SCHEMA = "her2scope.control-entry/1"
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
        self._log = LineLog(path, "control history", _is_entry)

    @property
    def problems(self) -> tuple[str, ...]:
        """An unfinished line that was set aside, until somebody has removed that file."""
        if not self._log.torn.exists():
            return ()
        return (
            f"The last line of {self.path} was not finished when the power or the program failed. It is kept in "
            f"{self._log.torn}: read that control again if it is missing, then delete this file.",
        )

    def entries(self) -> tuple[ControlEntry, ...]:
        """All readings in order; StoreError for a line that cannot be read back, or of a newer her2scope."""
        return tuple(self._parsed(number, line) for number, line in self._log.lines())

    def append(self, entry: ControlEntry) -> None:
        """Keep a reading; durable when it returns."""
        self._log.append(_line(entry), "save the control reading")

    def _parsed(self, number: int, line: bytes) -> ControlEntry:
        try:
            return _entry(line)
        except NewerLineError as error:
            raise self._log.newer(number, error, SCHEMA) from None
        except ValueError as error:
            raise self._log.damaged(number, error, ", or move it away to start a new history") from None


# ---- one line -----------------------------------------------------------------------------------------------------


def _line(entry: ControlEntry) -> bytes:
    # ASCII: a line break or a lone surrogate in a name is escaped, and the line stays one line.
    return json.dumps({"schema": SCHEMA, **asdict(entry)}, allow_nan=False).encode("ascii") + b"\n"


def _is_entry(line: bytes) -> bool:
    try:
        _entry(line)
    except (NewerLineError, ValueError):
        return False
    return True


def _entry(line: bytes) -> ControlEntry:
    """Reading of a line; ValueError saying what is wrong with it, NewerLineError for another schema."""
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON") from None
    if not isinstance(data, dict):
        raise ValueError("it is no reading")
    schema = data.pop("schema", None)
    if schema != SCHEMA:
        if isinstance(schema, str) and schema.startswith(SCHEMA.partition("/")[0]):
            raise NewerLineError(schema)
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
