"""Who signed a case, and what it is since: open, in review, signed or amended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
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
        found = _after(found, event)
    return found


def _after(now: SignOff, event: Event) -> SignOff:
    data = event.data
    match event.kind:
        case EventKind.FINISHED:
            return SignOff(CaseStatus.IN_REVIEW, now.version, now.signatures, event.at_utc, now.reason)
        case EventKind.REOPENED:
            return SignOff(CaseStatus.OPEN, now.version, now.signatures, None, now.reason)
        case EventKind.SIGNED:
            if data["version"] != now.version:
                raise ValueError(f"version {data['version']} was signed, and {now.version} was read")
            signature = Signature(
                now.version, event.number, data["name"], event.at_utc, data["score"], data["own_score"],
                tuple(data["fields"]),
            )  # fmt: skip
            status = CaseStatus.SIGNED if now.version == 1 else CaseStatus.AMENDED
            return SignOff(status, now.version, (*now.signatures, signature), now.finished_utc, now.reason)
        case EventKind.AMENDED:
            return SignOff(CaseStatus.OPEN, data["version"], now.signatures, None, data["reason"])
        case _:
            return now
