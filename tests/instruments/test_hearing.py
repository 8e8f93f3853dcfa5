from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from her2scope.instruments.hearing import (
    CUT,
    HALF_LINE_S,
    MAX_LINE,
    MISSED_TELLINGS,
    PATIENCE_S,
    RECENT_S,
    Hearing,
    Lines,
    LineState,
)

TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)


@given(texts=st.lists(TEXT), end=st.sampled_from([b"\r", b"\n", b"\r\n"]), cuts=st.lists(st.integers(1, 7), min_size=1))
def test_lines_are_the_same_in_whatever_pieces_they_come(texts: list[str], end: bytes, cuts: list[int]) -> None:
    data, got, lines = b"".join(text.encode() + end for text in texts), [], Lines()
    at = turn = 0
    while at < len(data):
        piece = data[at : at + cuts[turn % len(cuts)]]
        got += lines.take(piece, 0.01 * turn)
        at, turn = at + len(piece), turn + 1
    assert got == texts
    assert not lines.has_half


@given(data=st.binary(max_size=2000))
def test_no_bytes_are_too_strange_and_none_are_kept_for_ever(data: bytes) -> None:
    lines = Lines()
    for line in lines.take(data, 0.0):
        assert line == line.strip() != ""
    lines.take(b"", HALF_LINE_S + 0.1)
    assert not lines.has_half


def test_the_second_half_of_a_line_may_take_a_moment() -> None:
    lines = Lines()
    assert lines.take(b"POS", 0.0) == []
    assert lines.take(b" 1\r\n", HALF_LINE_S - 0.1) == ["POS 1"]


def test_half_a_line_is_never_taken_for_a_whole_one() -> None:
    lines = Lines()
    assert lines.take(b"POS 1", 0.0) == []
    assert lines.take(b"", HALF_LINE_S + 0.1) == [CUT]
    assert lines.take(b"2\r\n", 1.0) == ["2"]


def test_bytes_without_an_end_are_no_line() -> None:
    assert Lines().take(b"\xfe" * (MAX_LINE + 1), 0.0) == [CUT]


def hearing(every_s: float | None) -> Hearing:
    item = Hearing(every_s)
    item.begin(10.0)
    return item


def test_one_that_is_asked_is_given_time_and_then_silent() -> None:
    item = hearing(0.05)
    assert item.state(10.0 + 0.9 * PATIENCE_S) is LineState.STARTING
    assert item.state(10.0 + 1.1 * PATIENCE_S) is LineState.SILENT


def test_one_that_is_asked_is_found_until_it_was_not_understood_for_long() -> None:
    item = hearing(0.05)
    item.note(True, 11.0)
    item.note(False, 11.1)
    assert item.state(11.0 + 0.9 * PATIENCE_S) is LineState.FOUND
    assert item.state(11.0 + 1.1 * PATIENCE_S) is LineState.GARBLED
    assert item.state(11.2 + RECENT_S) is LineState.SILENT


def test_one_that_tells_at_intervals_may_miss_two() -> None:
    item = hearing(2.0)
    item.note(True, 11.0)
    assert item.state(10.9 + 2.0 * MISSED_TELLINGS) is LineState.FOUND
    assert item.state(11.1 + 2.0 * MISSED_TELLINGS) is LineState.SILENT


def test_one_that_speaks_at_will_is_judged_by_its_last_line_however_long_ago() -> None:
    item = hearing(None)
    assert item.state(10.0) is LineState.SILENT
    item.note(True, 11.0)
    assert item.state(99_999.0) is LineState.FOUND
    item.note(False, 12.0)
    assert item.state(99_999.0) is LineState.GARBLED
    item.note(True, 12.0)
    assert item.state(99_999.0) is LineState.FOUND


def test_an_opened_port_begins_anew() -> None:
    item = hearing(None)
    item.note(True, 11.0)
    item.begin(12.0)
    assert item.state(12.0) is LineState.SILENT
