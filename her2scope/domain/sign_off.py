"""Who signed a case, and what it is since: open, in review, signed or amended."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from her2scope.domain.events import Event, EventKind
from her2scope.domain.guideline import Score


class CaseStatus(StrEnum):
    """What may be done with a case."""

    OPEN = "open"
    """Being read: the first version, or an amendment of a signed one."""
    IN_REVIEW = "in_review"
    """All fields are read; nothing changes but by reopening it."""
    SIGNED = "signed"
    AMENDED = "amended"
    """Signed again after a change; every version before is kept."""


@dataclass(frozen=True, slots=True)
class Signature:
    """A version of a case, as its pathologist signed it."""

    version: int
    """1, 2, 3 ..."""
    event: int
    """Number of the event: this version is the events up to it."""
    name: str
    at_utc: str
    score: Score | None
    """The reference score at that moment."""
    own_score: Score | None
    """The pathologist's own; None: indeterminate."""
    fields: tuple[int, ...]
    """Numbers of the annotated fields that the pathologist confirmed to have looked at (CAP image-analysis guideline,
    doi:10.5858/arpa.2018-0378-CP)."""


@dataclass(frozen=True, slots=True)
class SignOff:
    """How far a case has come."""

    status: CaseStatus = CaseStatus.OPEN
    version: int = 1
    """The version being read, or the last one signed."""
    signatures: tuple[Signature, ...] = ()
    """One for each version signed so far."""
    finished_utc: str | None = None
    """When the reading of this version was finished; None while it goes on."""
    reason: str = ""
    """Why the present version amends the one before; empty in the first."""


def sign_off(events: Iterable[Event]) -> SignOff:
    """Fold a case's events; KeyError or ValueError where they contradict each other."""
    found = SignOff()
    for event in events:
        found = after(found, event)
    return found


_FROM: Mapping[EventKind, tuple[CaseStatus, ...]] = {
    EventKind.REOPENED: (CaseStatus.IN_REVIEW,),
    EventKind.SIGNED: (CaseStatus.IN_REVIEW,),
    EventKind.SIGNING_REFUSED: (CaseStatus.IN_REVIEW, CaseStatus.SIGNED, CaseStatus.AMENDED),
    EventKind.AMENDED: (CaseStatus.SIGNED, CaseStatus.AMENDED),
    EventKind.RESUMED: tuple(CaseStatus),
}
"""In which states an event can happen; any other only while the case is open."""


def after(now: SignOff, event: Event) -> SignOff:
    """How far a case has come with one more event; KeyError or ValueError where that cannot happen to it now."""
    if now.status not in _FROM.get(event.kind, (CaseStatus.OPEN,)):
        raise ValueError(f"{event.kind.value} cannot happen to a case that is {now.status.value.replace('_', ' ')}")
    data = event.data
    match event.kind:
        case EventKind.FINISHED:
            return replace(now, status=CaseStatus.IN_REVIEW, finished_utc=event.at_utc)
        case EventKind.REOPENED:
            return replace(now, status=CaseStatus.OPEN, finished_utc=None)
        case EventKind.SIGNED:
            _check_version(data["version"], now.version)
            status = CaseStatus.SIGNED if now.version == 1 else CaseStatus.AMENDED
            return replace(now, status=status, signatures=(*now.signatures, _signature(event)))
        case EventKind.AMENDED:
            _check_version(data["version"], now.version + 1)
            return SignOff(CaseStatus.OPEN, now.version + 1, now.signatures, None, data["reason"])
        case _:
            return now


def _signature(event: Event) -> Signature:
    data = event.data
    return Signature(
        data["version"], event.number, data["name"], event.at_utc, data["score"], data["own_score"],
        tuple(data["fields"]),
    )  # fmt: skip


def _check_version(told: int, expected: int) -> None:
    if told != expected:
        raise ValueError(f"version {told} was written where version {expected} comes next")


def signer_key(name: str) -> str:
    """By which names of signers are compared: `Dr  Ada Example ` and `dr ada example` are one person."""
    return " ".join(unicodedata.normalize("NFC", name).split()).casefold()
