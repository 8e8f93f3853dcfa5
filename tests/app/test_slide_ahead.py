from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import scored_slides
from hypothesis import given
from hypothesis import strategies as st

from her2scope.app.slide_ahead import Ahead, NotWantedError, StoppableReader, stoppable

LONG_S = 60.0


class Thing:
    """What was prepared."""

    def __init__(self, name: str) -> None:
        self.name, self.n_closed = name, 0

    def close(self) -> None:
        self.n_closed += 1


class Kitchen:
    """Prepares things; each can be made to fail, or to wait for a sign."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.things: dict[str, Thing] = {}
        self.threads: dict[str, threading.Thread] = {}
        self.begun: dict[str, threading.Event] = {}
        self.may_end: dict[str, threading.Event] = {}
        self.errors: dict[str, BaseException] = {}

    def ahead(self, names: str) -> Ahead[str, Thing]:
        self.begun = {name: threading.Event() for name in names}
        return Ahead(names, self.prepare, self.stop)

    def prepare(self, name: str) -> Thing:
        self.threads[name] = threading.current_thread()
        self.begun[name].set()
        if name in self.may_end:
            assert self.may_end[name].wait(LONG_S)
        if name in self.errors:
            raise self.errors[name]
        self.things[name] = Thing(name)
        return self.things[name]


def test_the_next_is_prepared_while_this_one_is_in_work_and_no_further() -> None:
    kitchen = Kitchen()
    with closing(kitchen.ahead("abc")) as ahead:
        assert ahead.take().name == "a"
        assert kitchen.begun["b"].wait(LONG_S)  # while `a` is in work here
        kitchen.threads["b"].join(LONG_S)
        assert not kitchen.begun["c"].is_set()  # one waits at most
        assert ahead.take().name == "b" and kitchen.begun["c"].wait(LONG_S)
        assert ahead.take().name == "c"
    assert kitchen.threads["a"] is threading.current_thread()
    assert threading.current_thread() not in (kitchen.threads["b"], kitchen.threads["c"])
    assert [thing.n_closed for thing in kitchen.things.values()] == [0, 0, 0]  # who takes it closes it


def test_a_single_item_needs_no_thread() -> None:
    kitchen = Kitchen()
    with closing(kitchen.ahead("a")) as ahead:
        before = threading.active_count()
        assert ahead.take().name == "a" and threading.active_count() <= before
    assert kitchen.threads == {"a": threading.current_thread()}


@given(st.lists(st.booleans(), min_size=1, max_size=6))
def test_each_answer_or_error_comes_in_its_turn(are_good: list[bool]) -> None:
    kitchen, names = Kitchen(), "abcdef"[: len(are_good)]
    kitchen.errors = {name: ValueError(name) for name, is_good in zip(names, are_good, strict=True) if not is_good}
    with closing(kitchen.ahead(names)) as ahead:
        for name, is_good in zip(names, are_good, strict=True):
            if is_good:
                assert ahead.take() is kitchen.things[name]
            else:
                with pytest.raises(ValueError, match=name) as failed:
                    ahead.take()
                assert failed.value is kitchen.errors[name]


def test_even_an_end_of_the_program_within_the_thread_is_told() -> None:
    kitchen = Kitchen()
    kitchen.errors["b"] = SystemExit(3)
    with closing(kitchen.ahead("ab")) as ahead:
        ahead.take()
        with pytest.raises(SystemExit):
            ahead.take()


def test_what_was_prepared_for_nobody_is_closed() -> None:
    kitchen = Kitchen()
    ahead = kitchen.ahead("abc")
    ahead.take()
    kitchen.threads["b"].join(LONG_S)
    ahead.close()
    ahead.close()
    assert kitchen.stop.is_set() and kitchen.things["b"].n_closed == 1 and not kitchen.begun["c"].is_set()


def test_what_is_prepared_after_all_by_a_thread_that_was_left_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("her2scope.app.slide_ahead.LET_GO_S", 0.0)
    kitchen = Kitchen()
    kitchen.may_end["b"] = threading.Event()
    ahead = kitchen.ahead("ab")
    ahead.take()
    ahead.close()  # returns though the thread hangs
    kitchen.may_end["b"].set()
    kitchen.threads["b"].join(LONG_S)
    assert kitchen.things["b"].n_closed == 1


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl+C is heard here, also where the tests run in workers that do not listen to it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_is_heard_by_who_waits_and_ends_the_thread() -> None:
    stop, is_asked, threads = threading.Event(), threading.Event(), []

    def prepare(name: str) -> Thing:
        if name == "b":
            threads.append(threading.current_thread())
            reader = StoppableReader(scored_slides.PlainSlide((8, 8)), stop)
            assert is_asked.wait(LONG_S)
            signal.raise_signal(signal.SIGINT)
            while True:
                reader.region(0, 0, 0, 8, 8)
        return Thing(name)

    with pytest.raises(KeyboardInterrupt), closing(Ahead("ab", prepare, stop)) as ahead:
        ahead.take()
        is_asked.set()
        ahead.take()
    assert len(threads) == 1 and not threads[0].is_alive()


def test_ctrl_c_just_when_the_thread_begins_loses_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(threading.Thread):
        def start(self) -> None:
            super().start()
            raise KeyboardInterrupt

    monkeypatch.setattr("her2scope.app.slide_ahead.Thread", Interrupted)
    kitchen = Kitchen()
    with pytest.raises(KeyboardInterrupt), closing(kitchen.ahead("ab")) as ahead:
        ahead.take()
    assert kitchen.stop.is_set() and not kitchen.threads["b"].is_alive() and kitchen.things["b"].n_closed == 1


def test_ctrl_c_while_the_first_is_prepared_begins_no_other() -> None:
    kitchen = Kitchen()
    kitchen.errors["a"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt), closing(kitchen.ahead("ab")) as ahead:
        ahead.take()
    assert not kitchen.begun["b"].is_set()


def test_a_reader_is_read_until_the_end_and_then_only_closed() -> None:
    class Slide(scored_slides.PlainSlide):
        is_closed = False

        def close(self) -> None:
            self.is_closed = True

    stop, slide = threading.Event(), Slide((30, 20), 0.5)
    reader = stoppable(lambda _: slide, stop)(Path("a.svs"))
    assert (reader.levels, reader.um_per_px) == (slide.levels, 0.5)
    assert (reader.region(0, 3, 4, 5, 6) == slide.region(0, 3, 4, 5, 6)).all()
    stop.set()
    with pytest.raises(NotWantedError):
        reader.region(0, 3, 4, 5, 6)
    reader.close()
    assert slide.is_closed
