"""The history of control readings: a file of one JSON line per reading that only ever grows, and one in RAM."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path

from her2scope.domain.control_history import ControlEntry, ImpossibleReadingError
from her2scope.domain.score import ControlStatus
from her2scope.storage.entry_log import EntryLog, entry_data, entry_line

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
        self._log = EntryLog(path, "control history", SCHEMA, _entry, ", or move it away to start a new history")

    @property
    def problems(self) -> tuple[str, ...]:
        """An unfinished line that was set aside, until somebody has removed that file."""
        return self._log.unfinished("read that control again if it is missing, then delete this file.")

    def entries(self) -> tuple[ControlEntry, ...]:
        """All readings in order; StoreError for a line that cannot be read back, or of a newer her2scope."""
        return self._log.entries()

    def append(self, entry: ControlEntry) -> None:
        """Keep a reading; durable when it returns."""
        self._log.append(_line(entry), "save the control reading")


# ---- one line -----------------------------------------------------------------------------------------------------


def _line(entry: ControlEntry) -> bytes:
    return entry_line(SCHEMA, asdict(entry))


def _entry(line: bytes) -> ControlEntry:
    data = entry_data(line, SCHEMA, "control reading", {item.name for item in fields(ControlEntry)})
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
