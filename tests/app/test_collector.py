"""The collector looks seldom while the window lives, and as before afterwards."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from her2scope.app.collector import few_collections


@pytest.fixture(autouse=True)
def _nothing_kept_out() -> Iterator[None]:
    """As in the program; the run of the tests itself keeps out what it has collected."""
    gc.unfreeze()
    yield
    gc.freeze()


def test_what_is_there_is_not_looked_through_and_all_is_as_before_in_the_end() -> None:
    before = gc.get_threshold()
    there = [[] for _ in range(100)]
    with few_collections():
        assert gc.get_freeze_count() > len(there)
        assert all(now > usual for now, usual in zip(gc.get_threshold()[::2], before[::2], strict=True))
        assert not any(item is there for item in gc.get_objects())
    assert gc.get_threshold() == before and gc.get_freeze_count() == 0
    assert any(item is there for item in gc.get_objects())


def test_what_was_kept_out_before_stays_out() -> None:
    gc.freeze()
    with few_collections():
        pass
    assert gc.get_freeze_count() > 0


def test_an_error_ends_it_too() -> None:
    before = gc.get_threshold()
    with pytest.raises(KeyError), few_collections():
        raise KeyError
    assert gc.get_threshold() == before and gc.get_freeze_count() == 0
