"""An event's data as JSON text: packed in pieces, the same text as in one go."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2scope.domain.errors import StoreError
from her2scope.domain.events import Event, EventKind
from her2scope.storage.event_data import MOST_AT_ONCE, data_as_json

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.lists(LEAVES, min_size=MOST_AT_ONCE - 1, max_size=MOST_AT_ONCE + 2)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers() | st.booleans() | st.none(), inner, max_size=4)
    ),
    max_leaves=20,
)


def event(data: dict[str, Any]) -> Event:
    return Event(1, EventKind.OPENED, "2026-01-01T00:00:00.000+00:00", "reader", data)


@given(st.dictionaries(st.text(), VALUES, max_size=4))
def test_it_is_the_text_that_one_go_gives(data: dict[str, Any]) -> None:
    assert data_as_json(event(data), "case-1") == json.dumps(data, allow_nan=False, separators=(",", ":"))


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), {1, 2}, object()])
def test_what_cannot_be_stored_is_refused_wherever_it_stands(odd: object) -> None:
    for data in ({"a": odd}, {"a": [1.0] * MOST_AT_ONCE + [odd]}, {"a": [{"b": odd}] * (MOST_AT_ONCE + 1)}):
        with pytest.raises(StoreError, match="case-1 cannot be saved"):
            data_as_json(event(data), "case-1")


def test_what_holds_itself_is_refused() -> None:
    endless: list[Any] = [0] * MOST_AT_ONCE
    endless.append(endless)
    with pytest.raises(StoreError):
        data_as_json(event({"a": endless}), "case-1")
