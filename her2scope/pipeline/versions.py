"""A signed version of a case is the beginning of its events, up to the signature: what came later cannot change it."""

from __future__ import annotations

import json

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.errors import CaseDamagedError, CaseRuleError
from her2scope.domain.event_chain import START, ChainHead, next_digest
from her2scope.domain.events import Event
from her2scope.domain.sign_off import SignOff, sign_off
from her2scope.ports import CaseReading


def as_signed(reading: CaseReading, version: int) -> CaseReading:
    """A case as it was when that version of it was signed; CaseRuleError for a version that nobody signed."""
    return _Version(reading, version)


class _Version:
    """The beginning of a stored case (see `ports.CaseReading`); its images are the case's."""

    def __init__(self, reading: CaseReading, version: int) -> None:
        self.case_id, self._reading = reading.case_id, reading
        newest, events = reading.head(), reading.events()  # in this order: somebody may go on with the case
        self._events = events[: _last_event(reading.case_id, events, version)]
        self._head = _head_of(len(self._events), events, newest, reading.case_id)

    def events(self) -> tuple[Event, ...]:
        """The events up to the signature."""
        return self._events

    def image(self, digest: str) -> NDArray[np.uint8]:
        """Image with that `records.image_digest`."""
        return self._reading.image(digest)

    def head(self) -> ChainHead:
        """Where the chain of events ended with the signature."""
        return self._head

    def close(self) -> None:
        """Let go of the case."""
        self._reading.close()


def _last_event(case_id: str, events: tuple[Event, ...], version: int) -> int:
    """Number of the event that signed a version."""
    try:
        found = sign_off(events)
    except (KeyError, TypeError, ValueError) as error:
        raise CaseDamagedError(f"Case {case_id} is damaged: {error}. Restore its folder from a backup.") from error
    number = next((one.event for one in found.signatures if one.version == version), None)
    if number is None:
        raise CaseRuleError(f"case {case_id} has no signed version {version}: {_signed_words(found)}.")
    return number


def _signed_words(found: SignOff) -> str:
    n = len(found.signatures)
    if n == 0:
        return f"nobody signed it yet, it is {found.status.value.replace('_', ' ')}"
    return "version 1 was signed" if n == 1 else f"versions 1 to {n} were signed"


def _head_of(n_events: int, events: tuple[Event, ...], newest: ChainHead, case_id: str) -> ChainHead:
    """Head of the chain after so many events; only the newest head is kept, so the chain is computed again.

    Raises CaseDamagedError where that does not lead to the case's own head.
    """
    digests = [START]
    for event in events:
        data = json.dumps(dict(event.data), separators=(",", ":"))  # as the stores write it
        columns = event.number, event.kind.value, event.at_utc, event.who, data, event.monotonic_us
        digests.append(next_digest(digests[-1], *columns))
    if newest.n_events >= len(digests) or digests[newest.n_events] != newest.digest:
        raise CaseDamagedError(
            f"Case {case_id} is damaged: its events do not lead to the end of its chain. "
            "Ask her2scope session verify what was changed."
        )
    return ChainHead(n_events, digests[n_events])
