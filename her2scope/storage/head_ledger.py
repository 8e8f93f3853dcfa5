"""The heads of all cases' chains, kept outside their folders: in a file that only ever grows, and in RAM."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

from her2scope.domain.event_chain import START, ChainHead
from her2scope.ports import KeptHead, SealReason
from her2scope.storage import entry_log

SCHEMA = "her2scope.case-head/1"
_KEYS = {"case_id", "what", "at_utc", "n_events", "head", "manifest_sha256", "files"}
_SHA256 = re.compile(r"[0-9a-f]{64}")


class MemoryHeadLedger:
    """Heads that live as long as this object (see `ports.HeadLedger`)."""

    def __init__(self, entries: Iterable[KeptHead] = ()) -> None:
        self._entries = list(entries)

    def keep(self, entry: KeptHead) -> None:
        """Append."""
        self._entries.append(entry)

    def of_case(self, case_id: str) -> tuple[KeptHead, ...]:
        """All that was kept of a case, in order."""
        return tuple(entry for entry in self._entries if entry.case_id == case_id)

    def knows(self, case_id: str) -> bool:
        """Whether anything was kept of a case."""
        return any(entry.case_id == case_id for entry in self._entries)


class FileHeadLedger:
    """Heads in a file (see `ports.HeadLedger`); `path` and its folder need not be there yet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._log = entry_log.EntryLog(path, "ledger of cases", SCHEMA, read_entry)

    @property
    def problems(self) -> tuple[str, ...]:
        """An unfinished line that was set aside, until somebody has removed that file."""
        return self._log.unfinished("the cases themselves are safe; delete this file when you have seen it.")

    def entries(self) -> tuple[KeptHead, ...]:
        """All that was kept, in order; StoreError where a line cannot be read back."""
        return self._log.entries()

    def keep(self, entry: KeptHead) -> None:
        """Append; durable when it returns."""
        self._log.append(entry_line(entry), f"keep where the events of case {entry.case_id} end")

    def of_case(self, case_id: str) -> tuple[KeptHead, ...]:
        """All that was kept of a case, in order; StoreError where a line cannot be read back."""
        return tuple(entry for entry in self.entries() if entry.case_id == case_id)

    def knows(self, case_id: str) -> bool:
        """Whether anything was kept of a case."""
        return self._log.holds(f'"case_id": {json.dumps(case_id)},'.encode("ascii"))  # as `entry_line` writes it


def entry_line(entry: KeptHead) -> bytes:
    """An entry as a line of the ledger."""
    data = {
        "case_id": entry.case_id,
        "what": entry.what,
        "at_utc": entry.at_utc,
        "n_events": entry.head.n_events,
        "head": entry.head.digest,
        "manifest_sha256": entry.manifest_sha256,
        "files": dict(entry.files),
    }
    return entry_log.entry_line(SCHEMA, data, sort_keys=True)


def read_entry(line: bytes) -> KeptHead:
    """Entry of a line; ValueError saying what is wrong with it, NewerLineError for another schema."""
    data = entry_log.entry_data(line, SCHEMA, "entry of the ledger", _KEYS)
    wrong = next((name for name, is_right in _checks(data).items() if not is_right), None)
    if wrong:
        raise ValueError(f"its {wrong} cannot be read")
    what: SealReason = data["what"]
    head = ChainHead(data["n_events"], data["head"])
    return KeptHead(data["case_id"], what, data["at_utc"], head, data["manifest_sha256"], data["files"])


def _checks(data: dict[str, Any]) -> dict[str, bool]:
    n_events, files = data["n_events"], data["files"]
    is_number = isinstance(n_events, int) and not isinstance(n_events, bool) and n_events >= 0
    return {
        "case_id": isinstance(data["case_id"], str),
        "what": data["what"] in get_args(SealReason),
        "at_utc": isinstance(data["at_utc"], str),
        "n_events": is_number,
        "head": data["head"] == START if n_events == 0 else _is_digest(data["head"]),
        "manifest_sha256": data["manifest_sha256"] == "" or _is_digest(data["manifest_sha256"]),
        "files": isinstance(files, dict) and all(map(_is_digest, files.values())),
    }


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None
