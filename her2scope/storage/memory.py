"""Cases kept in RAM, for images scored from the command line: same behaviour as on disk, nothing left behind."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.errors import CaseLockedError, CaseNotFoundError, StoreError
from her2scope.domain.event_chain import START, ChainHead, next_digest
from her2scope.domain.events import Event
from her2scope.ports import CaseSummary, SealReason
from her2scope.records import image_digest
from her2scope.storage.case_ids import check_case_id
from her2scope.storage.event_data import check_follows, data_as_json
from her2scope.storage.failures import damaged
from her2scope.storage.images import check_image
from her2scope.storage.summaries import newest_first, summarise


@dataclass(slots=True, eq=False)
class _MemoryCase:
    events: list[tuple[Event, str]] = field(default_factory=list)
    """Events and their data as JSON text: each reader gets data of its own."""
    digest: str = START
    images: dict[str, NDArray[np.uint8]] = field(default_factory=dict)
    is_open: bool = False

    def add(self, event: Event, data: str) -> None:
        self.digest = next_digest(
            self.digest, event.number, event.kind.value, event.at_utc, event.who, data, event.monotonic_us
        )
        self.events.append((replace(event, data={}), data))

    def read(self) -> tuple[Event, ...]:
        return tuple(replace(event, data=json.loads(data)) for event, data in self.events)


class MemoryReading:
    """A case, to read only (see `ports.CaseReading`)."""

    def __init__(self, case_id: str, case: _MemoryCase) -> None:
        self.case_id = case_id
        self._case: _MemoryCase | None = case

    def events(self) -> tuple[Event, ...]:
        """All events so far, in order."""
        return self._opened(f"read case {self.case_id}").read()

    def image(self, digest: str) -> NDArray[np.uint8]:
        """Image with that `records.image_digest`, read-only; CaseDamagedError where it is missing."""
        images = self._opened(f"read an image of case {self.case_id}").images
        if digest not in images:
            raise damaged(self.case_id, f"its image {digest:.80} is missing")
        return images[digest]

    def head(self) -> ChainHead:
        """Where the chain of its events ends now."""
        case = self._opened(f"read case {self.case_id}")
        return ChainHead(len(case.events), case.digest)

    def close(self) -> None:
        """Let go of the case. Safe to call twice."""
        self._case = None

    def _opened(self, doing: str) -> _MemoryCase:
        if self._case is None:
            raise StoreError(f"Could not {doing}: it was closed. Open the case again.")
        return self._case


class MemoryCaseFile(MemoryReading):
    """One open case (see `ports.CaseFile`)."""

    def __init__(self, case_id: str, case: _MemoryCase) -> None:
        super().__init__(case_id, case)
        case.is_open = True

    def append(self, event: Event, images: Sequence[NDArray[np.uint8]] = ()) -> None:
        """Keep an event and the images it names by digest."""
        data = data_as_json(event, self.case_id)
        for image in images:
            check_image(image)
        case = self._opened(f"save event {event.number} of case {self.case_id}")
        check_follows(event.number, len(case.events), self.case_id)
        case.images.update((image_digest(image), _own(image)) for image in images)
        case.add(event, data)

    def doubt(self) -> str:
        """Nobody keeps heads of a case in memory."""
        self._opened(f"compare case {self.case_id} with what was kept of it")
        return ""

    def seal(self, what: SealReason) -> None:
        """Nothing to write: there are no files, and no place outside the case that outlives it."""
        self._opened(f"seal case {self.case_id}")

    def close(self) -> None:
        """Let go of the case. Safe to call twice."""
        if self._case is not None:
            self._case.is_open = False
        super().close()


class MemoryCaseStore:
    """Cases that live as long as this object (see `ports.CaseStore`)."""

    def __init__(self) -> None:
        self._cases: dict[str, _MemoryCase] = {}

    def create(self, case_id: str) -> MemoryCaseFile:
        """Start a case; StoreError where the id is taken or could not be a folder name."""
        check_case_id(case_id)
        if case_id in self._cases:
            raise StoreError(f"There is a case {case_id} already. Open it, or choose another name.")
        self._cases[case_id] = _MemoryCase()
        return MemoryCaseFile(case_id, self._cases[case_id])

    def open(self, case_id: str) -> MemoryCaseFile:
        """Open a case; CaseNotFoundError, CaseLockedError."""
        case = self._present(case_id)
        if case.is_open:
            raise CaseLockedError(_open_already(case_id))
        return MemoryCaseFile(case_id, case)

    def read(self, case_id: str) -> MemoryReading:
        """Open a case to read only, whoever has it open; CaseNotFoundError."""
        return MemoryReading(case_id, self._present(case_id))

    def cases(self) -> tuple[CaseSummary, ...]:
        """All cases, newest first."""
        return newest_first(
            summarise(case_id, case.read(), case.is_open, _open_already(case_id) if case.is_open else None)
            for case_id, case in self._cases.items()
        )

    def _present(self, case_id: str) -> _MemoryCase:
        check_case_id(case_id)
        if case_id not in self._cases:
            raise CaseNotFoundError(f"There is no case {case_id} in memory. Check its name.")
        return self._cases[case_id]


def _open_already(case_id: str) -> str:
    return f"Case {case_id} is open in this program already. Close it, then open it again."


def _own(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The image itself where nobody can change it, else a copy."""
    if image.flags.owndata and image.data.readonly:
        return image
    copy = image.copy()
    copy.setflags(write=False)
    return copy
