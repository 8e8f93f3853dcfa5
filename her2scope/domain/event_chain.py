"""The chain of digests through a case's events: what was changed, cut out or moved breaks it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

START = ""
"""What the first event follows."""


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The end of a case's chain at one moment: printed in reports, and kept outside the case's folder."""

    n_events: int
    digest: str
    """SHA-256 in hex of the last event and the digest before it; `START` where there is no event."""


def next_digest(
    previous: str, number: int, kind: str, at_utc: str, who: str, data: str, monotonic_us: int | None
) -> str:
    """Digest of an event and the digest before it.

    Parameters
    ----------
    data : the event's data, as the very JSON text that is stored
    monotonic_us : None for an event of an earlier version, which knew no such clock
    """
    columns: list[int | str] = [number, kind, at_utc, who, data]
    if monotonic_us is not None:
        columns.append(monotonic_us)
    return hashlib.sha256(json.dumps([previous, *columns], default=repr).encode()).hexdigest()
