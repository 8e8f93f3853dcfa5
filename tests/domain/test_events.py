"""Undo and redo: what holds is the events less those taken back, however the reader went back and forth."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2scope.domain.events import Event, EventKind, active_fields, timeline


def event(number: int, kind: EventKind, **data: object) -> Event:
    return Event(number, kind, "2026-01-01T00:00:00.000+00:00", "reader", data)


class Story:
    """A list of changes as a text editor would keep it, beside the events of the same doings."""

    def __init__(self) -> None:
        self.events = [event(1, EventKind.OPENED)]
        self.done: list[int] = []
        self.undone: list[int] = []

    def change(self) -> None:
        number = len(self.events) + 1
        self.events.append(event(number, EventKind.FIELD_ACCEPTED, field=number))
        self.done.append(number)
        self.undone = []

    def undo(self) -> None:
        if self.done:
            self.undone.append(self.done.pop())
            self.events.append(event(len(self.events) + 1, EventKind.UNDONE, event=self.undone[-1]))

    def redo(self) -> None:
        if self.undone:
            self.done.append(self.undone.pop())
            self.events.append(event(len(self.events) + 1, EventKind.REDONE, event=self.done[-1]))


@given(st.lists(st.sampled_from(["change", "undo", "redo"]), max_size=60))
def test_what_holds_is_what_an_editor_would_keep(doings):
    story = Story()
    for doing in doings:
        getattr(story, doing)()
    found = timeline(story.events)
    assert [item.number for item in found.effective] == [1, *story.done]
    assert (found.undoable.number if found.undoable else None) == (story.done[-1] if story.done else None)
    assert (found.redoable.number if found.redoable else None) == (story.undone[-1] if story.undone else None)
    assert active_fields(story.events) == story.done


def test_a_reading_of_the_control_cannot_be_taken_back():
    events = [event(1, EventKind.OPENED), event(2, EventKind.CONTROL_READ), event(3, EventKind.CONTROL_OVERRIDDEN)]
    assert timeline(events).undoable is None


def test_an_undo_of_another_event_than_the_last_is_refused():
    events = [event(1, EventKind.OPENED), *(event(n, EventKind.FIELD_ACCEPTED, field=n) for n in (2, 3))]
    with pytest.raises(ValueError, match="names event 2"):
        timeline([*events, event(4, EventKind.UNDONE, event=2)])


def test_a_field_whose_acceptance_was_undone_may_be_restored():
    events = [event(n, EventKind.FIELD_ACCEPTED, field=n) for n in (1, 2)]
    events += [event(3, EventKind.UNDONE, event=2), event(4, EventKind.FIELD_RESTORED, field=2)]
    assert active_fields(events) == [1, 2]


def test_a_restored_field_counts_and_a_removed_one_does_not():
    events = [event(n, EventKind.FIELD_ACCEPTED, field=n) for n in (1, 2, 3)]
    events += [event(4, EventKind.FIELD_REMOVED, field=1), event(5, EventKind.FIELD_REMOVED, field=2)]
    events += [event(6, EventKind.FIELD_RESTORED, field=1)]
    assert active_fields(events) == [1, 3]
