"""What the heads that are kept outside a case's folder say of its chain."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from her2scope.ports import KeptHead
from her2scope.storage.findings import Finding


def superseded(kept: Sequence[KeptHead]) -> list[KeptHead]:
    """Heads of events that were lost when an older bundle was restored: what came after it is another chain."""
    places = [place for place, entry in enumerate(kept) if entry.what == "restored"]
    if not places:
        return []
    restored = kept[places[-1]]
    return [entry for entry in kept[: places[-1]] if entry.head.n_events > restored.head.n_events]


def in_force(kept: Sequence[KeptHead]) -> list[KeptHead]:
    """Heads that the chain must still have."""
    gone = superseded(kept)
    return [entry for entry in kept if entry.head.n_events and entry not in gone]


def differs(entry: KeptHead, digests: Mapping[int, str]) -> bool:
    """Whether an event that a head was kept of is there, and is another one now.

    Parameters
    ----------
    digests : of each event, by its number
    """
    present = digests.get(entry.head.n_events)
    return present is not None and present != entry.head.digest


def doubt(kept: Sequence[KeptHead], digests: Mapping[int, str]) -> str:
    """Why a case is not the one that was kept, in words; empty where it is, as far as the heads tell."""
    heads = in_force(kept)
    longest = max(heads, key=lambda entry: entry.head.n_events, default=None)
    if longest is not None and longest.head.n_events > max(digests, default=0):
        return f"it had {longest.head.n_events} events on {longest.at_utc}, and has {max(digests, default=0)} now"
    changed = min((entry for entry in heads if differs(entry, digests)), key=_n_events, default=None)
    if changed is None:
        return ""
    return f"its event {changed.head.n_events}, or one before it, is not the one of {changed.at_utc}"


def changed_reports(folder: Path, kept: Sequence[KeptHead]) -> Iterator[Finding]:
    """Files of a case's reports that are none of those that were written; one that was never kept is nobody's."""
    for path in sorted(item for item in folder.rglob("*") if item.is_file()):
        written = {entry.files[path.name] for entry in kept if path.name in entry.files}
        try:
            if not written or hashlib.sha256(path.read_bytes()).hexdigest() in written:
                continue
            why = "it is none of the reports that were written of this case"
        except OSError as error:
            why = f"it cannot be read ({error.strerror or error})"
        yield Finding("report_changed", path.relative_to(folder).as_posix(), why)


def _n_events(entry: KeptHead) -> int:
    return entry.head.n_events
