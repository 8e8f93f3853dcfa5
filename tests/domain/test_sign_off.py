"""Open, in review, signed, amended: only the allowed ways lead from one to the next, and a version never changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2scope.domain.events import UNDOABLE, Event, EventKind, timeline
from her2scope.domain.sign_off import CaseStatus, SignOff, sign_off, signer_key

ALLOWED = {
    CaseStatus.OPEN: {EventKind.FINISHED: CaseStatus.IN_REVIEW},
    CaseStatus.IN_REVIEW: {EventKind.REOPENED: CaseStatus.OPEN, EventKind.SIGNED: "signed"},
    CaseStatus.SIGNED: {EventKind.AMENDED: CaseStatus.OPEN},
    CaseStatus.AMENDED: {EventKind.AMENDED: CaseStatus.OPEN},
}
"""As the issue draws it: the first version signed is `signed`, a later one `amended`."""
ALWAYS = {EventKind.RESUMED}
WHILE_FROZEN = {EventKind.SIGNING_REFUSED, EventKind.RESUMED}
WHILE_OPEN = set(EventKind) - WHILE_FROZEN - {EventKind.REOPENED, EventKind.SIGNED, EventKind.AMENDED}


def event(number: int, kind: EventKind, version: int = 1, **data: Any) -> Event:
    told = {
        "version": version,
        "name": "Dr A",
        "score": "2+",
        "own_score": "2+",
        "fields": [1],
        "reason": f"no {number}",
    }
    return Event(number, kind, f"2026-01-01T00:{number:02d}:00.000+00:00", "reader", told | data)


def told_version(now: SignOff, kind: EventKind) -> int:
    return now.version + 1 if kind is EventKind.AMENDED else now.version


def story(kinds: Sequence[EventKind]) -> list[Event]:
    """Events of these kinds in their order, less those that cannot happen then."""
    events: list[Event] = []
    for kind in kinds:
        now = sign_off(events)
        if is_allowed(now.status, kind):
            events.append(event(len(events) + 1, kind, told_version(now, kind)))
    return events


def is_allowed(status: CaseStatus, kind: EventKind) -> bool:
    if kind in ALLOWED[status]:
        return True
    return kind in (WHILE_OPEN if status is CaseStatus.OPEN else WHILE_FROZEN) | ALWAYS


STEPS = st.lists(
    st.sampled_from(
        [EventKind.FINISHED, EventKind.REOPENED, EventKind.SIGNED, EventKind.AMENDED, EventKind.FIELD_REMOVED]
    ),
    max_size=40,
)


@given(STEPS, st.sampled_from(sorted(EventKind)))
def test_only_the_allowed_ways_lead_on(steps, kind):
    events = story(steps)
    now = sign_off(events)
    following = [*events, event(len(events) + 1, kind, told_version(now, kind))]
    if not is_allowed(now.status, kind):
        with pytest.raises(ValueError, match=f"{kind.value} cannot happen to a case that is"):
            sign_off(following)
        return
    expected = ALLOWED[now.status].get(kind, now.status)
    signed = CaseStatus.SIGNED if now.version == 1 else CaseStatus.AMENDED
    assert sign_off(following).status is (signed if expected == "signed" else expected)


@given(STEPS)
def test_versions_count_and_each_is_a_prefix_that_later_events_leave_alone(steps):
    events = story(steps)
    now = sign_off(events)
    assert [one.version for one in now.signatures] == list(range(1, len(now.signatures) + 1))
    assert now.version == len(now.signatures) + (now.status in (CaseStatus.OPEN, CaseStatus.IN_REVIEW))
    signed = [item.number for item in events if item.kind is EventKind.SIGNED]
    for one, number in zip(now.signatures, signed, strict=True):
        then = sign_off(events[:number])
        assert one.event == number and then.signatures[-1] == one
        assert then.status is (CaseStatus.SIGNED if one.version == 1 else CaseStatus.AMENDED)
        assert then.signatures == now.signatures[: one.version]


@given(STEPS)
def test_a_reading_is_finished_from_its_end_to_the_next_opening(steps):
    now = sign_off(story(steps))
    assert (now.finished_utc is None) == (now.status is CaseStatus.OPEN)
    assert bool(now.reason) == (now.version > 1)


@given(st.lists(st.sampled_from([*sorted(UNDOABLE), "undo", "redo", "sign"]), max_size=60))
def test_what_was_signed_can_neither_be_undone_nor_redone(doings):
    """However the reader goes back and forth after an amendment, what held at the signature holds."""
    events = [event(1, EventKind.OPENED)]
    at_signature: tuple[Event, ...] = ()

    def add(kind: EventKind, **data: Any) -> None:
        events.append(event(len(events) + 1, kind, **data))

    for doing in doings:
        now = timeline(events)
        if doing == "sign":
            add(EventKind.SIGNED)
            at_signature = timeline(events).effective
            assert timeline(events).undoable is None and timeline(events).redoable is None
        elif doing == "undo" and now.undoable:
            add(EventKind.UNDONE, event=now.undoable.number)
        elif doing == "redo" and now.redoable:
            add(EventKind.REDONE, event=now.redoable.number)
        elif doing not in ("undo", "redo"):
            add(EventKind(doing))
        assert timeline(events).effective[: len(at_signature)] == at_signature


def test_another_version_than_the_next_is_refused():
    read = [event(1, EventKind.OPENED), event(2, EventKind.FINISHED)]
    with pytest.raises(ValueError, match="version 2 was written where version 1 comes next"):
        sign_off([*read, event(3, EventKind.SIGNED, version=2)])
    with pytest.raises(ValueError, match="version 1 was written where version 2 comes next"):
        sign_off([*read, event(3, EventKind.SIGNED), event(4, EventKind.AMENDED, version=1)])


def test_a_signature_tells_who_when_and_what():
    (one,) = sign_off(
        [event(1, EventKind.FINISHED), event(2, EventKind.SIGNED, own_score=None, fields=[1, 3])]
    ).signatures
    assert (one.event, one.name, one.score, one.own_score, one.fields) == (2, "Dr A", "2+", None, (1, 3))
    assert one.at_utc == "2026-01-01T00:02:00.000+00:00"


@pytest.mark.parametrize("name", ["Ada Example", " ada  EXAMPLE ", "ADA\tExample"])
def test_signers_are_one_person_however_they_are_typed(name):
    assert signer_key(name) == "ada example"
    assert signer_key("A\u030angstro\u0308m") == signer_key("\u00c5ngstr\u00f6m")
