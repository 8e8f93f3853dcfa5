"""Laws of the chain: what was written holds, and nothing else does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from her2scope.domain.event_chain import START, next_digest
from her2scope.domain.events import EventKind
from her2scope.storage.stored_rows import StoredRow
from her2scope.storage.verify_chain import check_rows

COLUMNS = ("kind", "at_utc", "who", "digest", "data", "monotonic_us")
ANYTHING = st.one_of(st.none(), st.integers(), st.floats(), st.text(), st.binary())


def written(n: int, clock: bool = True, **more: Any) -> list[StoredRow]:
    """A case of `n` events, a second between them."""
    rows, previous = [], START
    for number in range(1, n + 1):
        kind = EventKind.OPENED if number == 1 else EventKind.FIELD_REMOVED
        at_utc = f"2026-01-01T00:00:{number:02}.000+00:00"
        row = StoredRow(number, kind.value, at_utc, "who", "", '{"field": 1}', number * 1_000_000 if clock else None)
        rows.append(replace(row, **more.get(f"event_{number}", {})))
    return chained(rows, previous)


def chained(rows: list[StoredRow], previous: str = START) -> list[StoredRow]:
    made = []
    for row in rows:
        previous = next_digest(previous, row.number, row.kind, row.at_utc, row.who, row.data, row.monotonic_us)
        made.append(replace(row, digest=previous))
    return made


@given(st.integers(0, 30), st.booleans())
def test_what_was_written_holds(n: int, clock: bool) -> None:
    checked = check_rows(written(n, clock))
    assert (checked.findings, checked.notes, checked.n_events) == ((), (), n)
    assert [event.number for event in checked.events] == list(range(1, n + 1))


@given(st.integers(1, 12), st.data())
def test_any_other_value_in_any_column_is_found_in_its_event(n: int, data: st.DataObject) -> None:
    rows = written(n)
    place, column = data.draw(st.integers(0, n - 1)), data.draw(st.sampled_from(COLUMNS))
    value = data.draw(ANYTHING)
    assume(repr(value) != repr(getattr(rows[place], column)))
    rows[place] = replace(rows[place], **{column: value})
    found = [(item.code, item.where) for item in check_rows(rows).findings]
    assert ("event_altered", f"event {place + 1}") in found
    # a clock that was altered may also make the next event look early
    assert {where for _, where in found} <= {f"event {place + 1}", f"event {place + 2}"}


@given(st.integers(3, 12), st.data())
def test_events_taken_out_of_the_middle_are_found_and_the_rest_is_not_blamed(n: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(1, n - 1))
    last = data.draw(st.integers(first, n - 1))
    rows = written(n)
    checked = check_rows(rows[: first - 1] + rows[last:])
    assert [(item.code, item.where) for item in checked.findings] == [("event_missing", f"event {first}")]
    assert checked.n_events == n


@given(st.integers(2, 12), st.data())
def test_any_two_events_that_changed_places_are_said_to_have(n: int, data: st.DataObject) -> None:
    rows = written(n)
    one, other = sorted(data.draw(st.sets(st.integers(0, n - 1), min_size=2, max_size=2)))
    rows[one], rows[other] = replace(rows[other], number=one + 1), replace(rows[one], number=other + 1)
    found = {(item.code, item.where): item.words for item in check_rows(rows).findings}
    assert found["reordered", f"event {one + 1}"] == f"what stands here was written as event {other + 1}"


def test_many_altered_events_are_named_without_guessing() -> None:
    rows = [replace(row, who="x") for row in written(40)]
    assert [item.code for item in check_rows(rows).findings] == ["event_altered"] * 40


def test_numbers_that_are_none_are_named() -> None:
    first, second = written(2)
    for number in (None, "2", 1, True, 2.0):
        (finding,) = check_rows([first, replace(second, number=number)]).findings
        assert (finding.code, finding.where) == ("event_altered", "event 2")


# ---- clocks -------------------------------------------------------------------------------------------------------


def test_a_steady_clock_may_start_anew_only_with_another_run() -> None:
    early = {"monotonic_us": 5}
    resumed = {**early, "kind": "resumed"}
    assert check_rows(written(2, event_2=resumed)).findings == ()
    (finding,) = check_rows(written(2, event_2=early)).findings
    assert (finding.code, finding.where) == ("reordered", "event 2")
    assert finding.words == "by its clock it came 1.000 s before event 1, which stands before it"


def test_a_clock_set_back_is_a_note_even_where_time_went_on_longer() -> None:
    hours = {"monotonic_us": 7_201_000_000, "at_utc": "2026-01-01T01:00:01.000+00:00"}
    checked = check_rows(written(2, event_2=hours))
    assert checked.findings == ()
    assert checked.notes == ("The clock was set back by 1:00:00 between event 1 and event 2.",)


def test_a_clock_set_back_between_two_runs_is_a_note() -> None:
    day_before = {"kind": "resumed", "at_utc": "2025-12-31T00:00:01.000+00:00"}
    assert check_rows(written(2, event_2=day_before)).notes == (
        "The clock was set back by 1 day, 0:00:00 between event 1 and event 2.",
    )


def test_what_the_network_moves_a_clock_by_is_no_note() -> None:
    assert check_rows(written(2, event_2={"monotonic_us": 3_900_000})).notes == ()


def test_a_time_that_is_none_is_a_note() -> None:
    assert check_rows(written(2, event_2={"at_utc": "noon"})).notes == (
        "The time of event 2 or the one before it is no time.",
    )
