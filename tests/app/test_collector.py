"""The collector looks seldom while the window lives, and as before afterwards."""

from __future__ import annotations

import gc

import pytest

from her2scope.app.collector import few_collections


def test_what_is_there_is_not_looked_through_and_all_is_as_before_in_the_end() -> None:
    before = gc.get_threshold()
    there = [[] for _ in range(100)]
    with few_collections():
        assert gc.get_freeze_count() > len(there)
        assert all(now > usual for now, usual in zip(gc.get_threshold()[::2], before[::2], strict=True))
        assert not any(item is there for item in gc.get_objects())
    assert gc.get_threshold() == before and gc.get_freeze_count() == 0
    assert any(item is there for item in gc.get_objects())


def test_an_error_ends_it_too() -> None:
    before = gc.get_threshold()
    with pytest.raises(KeyError), few_collections():
        raise KeyError
    assert gc.get_threshold() == before and gc.get_freeze_count() == 0
