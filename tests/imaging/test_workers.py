"""Threads that share work: answers in order, the first error, nothing left running, and nobody waits for ever."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2scope.imaging.workers import Workers

PATIENCE_S = 20.0

workers_of_any_size = st.builds(Workers, st.integers(1, 4))


@given(workers_of_any_size, st.lists(st.integers(), max_size=9))
def test_answers_come_in_the_order_of_the_items(workers, items):
    assert workers.each(lambda item: 2 * item, items) == [2 * item for item in items]


@given(workers_of_any_size, st.lists(st.booleans(), min_size=1, max_size=9).filter(any))
def test_the_error_is_that_of_the_first_that_fails(workers, fails):
    def work(number: int) -> None:
        if fails[number]:
            raise ValueError(str(number))

    with pytest.raises(ValueError) as failure:
        workers.each(work, range(len(fails)))
    assert str(failure.value) == str(fails.index(True))


def test_items_are_shared_by_as_many_threads_as_were_asked_for():
    together = threading.Barrier(3)

    def work(_: int) -> int:
        together.wait(PATIENCE_S)  # passed by three at once, or broken
        return threading.get_ident()

    assert len(set(Workers(3).each(work, range(3)))) == 3


def test_with_one_thread_the_caller_does_everything():
    workers, own = Workers(1), threading.get_ident()
    assert workers.each(lambda _: threading.get_ident(), range(3)) == [own] * 3
    with workers.beside(threading.get_ident) as answer:
        pass
    assert answer() == own


def test_nothing_more_is_begun_after_a_failure():
    done = []

    def work(number: int) -> None:
        done.append(number)
        if number == 1:
            raise ValueError

    with pytest.raises(ValueError):
        Workers(1).each(work, range(5))
    assert done == [0, 1]


def test_where_a_thread_cannot_be_begun_those_before_it_are_waited_for(monkeypatch):
    begun, released = [], threading.Event()
    start, join = threading.Thread.start, threading.Thread.join

    def one_only(thread: threading.Thread) -> None:
        if begun:
            raise RuntimeError("can't start new thread")
        begun.append(thread)
        start(thread)

    def releasing(thread: threading.Thread) -> None:
        released.set()
        join(thread, PATIENCE_S)

    with monkeypatch.context() as patched, pytest.raises(RuntimeError, match="new thread"):
        patched.setattr(threading.Thread, "start", one_only)
        patched.setattr(threading.Thread, "join", releasing)
        Workers(3).each(lambda _: released.wait(PATIENCE_S), range(3))
    was_waited_for = released.is_set()
    released.set()
    assert was_waited_for and not begun[0].is_alive()


def test_work_runs_beside_the_body():
    begun, may_end = threading.Event(), threading.Event()

    def work() -> int:
        begun.set()
        return 7 if may_end.wait(PATIENCE_S) else 0

    with Workers(2).beside(work) as answer:
        assert begun.wait(PATIENCE_S)
        may_end.set()
        assert answer() == 7
    assert answer() == 7


def test_the_bodys_end_waits_for_the_work_even_after_an_error():
    may_end, ended = threading.Event(), threading.Event()

    def work() -> None:
        may_end.wait(PATIENCE_S)
        ended.set()

    with pytest.raises(KeyError), Workers(2).beside(work):
        threading.Timer(0.0, may_end.set).start()
        raise KeyError
    assert ended.is_set()


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_of_the_work_is_raised_where_its_answer_is_asked_for(threads):
    def work() -> None:
        raise ValueError("the work's own")

    with Workers(threads).beside(work) as answer:
        pass
    for _ in range(2):
        with pytest.raises(ValueError, match="the work's own"):
            answer()


def test_with_one_thread_work_is_done_once_and_only_when_asked_for():
    done = []
    with Workers(1).beside(lambda: done.append(1)) as answer:
        assert not done
        answer()
        answer()
    assert done == [1]
    with Workers(1).beside(lambda: done.append(2)):
        pass
    assert done == [1]


@given(st.integers(1, 4), st.integers(1, 4))
def test_work_may_share_its_own_work(outer, inner):
    within = Workers(inner)
    sums = Workers(outer).each(lambda n: sum(within.each(lambda item: item + n, range(4))), range(4))
    assert sums == [6, 10, 14, 18]


def test_two_callers_at_once_do_not_wait_for_each_other():
    workers, met = Workers(2), threading.Barrier(4)
    found: list[list[int]] = []

    def call() -> None:
        found.append(workers.each(lambda item: met.wait(PATIENCE_S) and 0 or item, range(2)))

    callers = [threading.Thread(target=call) for _ in range(2)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(PATIENCE_S)
    assert found == [[0, 1], [0, 1]]


@given(workers_of_any_size, st.integers(1, 2000), st.integers(1, 200))
def test_parts_are_even_and_each_thread_gets_as_many(workers, n, at_most):
    size = workers.even_size(n, at_most)
    assert 1 <= size <= at_most
    rounds = ceil(ceil(n / size) / workers.threads)
    assert rounds * size < n / workers.threads + rounds, "who has most has hardly more than an equal share"


def test_a_part_of_nothing_still_has_a_size():
    assert Workers(2).even_size(0, 128) == 1


def test_no_number_means_one_for_each_core_that_the_program_may_use():
    assert 1 <= Workers().threads <= (os.cpu_count() or 1)


@pytest.mark.skipif(sys.platform != "linux", reason="cores are given to a program on Linux alone")
def test_a_program_that_may_use_one_core_begins_no_threads():
    core = min(os.sched_getaffinity(0))
    ask = "from her2scope.imaging.workers import Workers; print(Workers().threads)"
    narrowed = f"import os; os.sched_setaffinity(0, [{core}]); {ask}"
    told = subprocess.run([sys.executable, "-c", narrowed], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.strip() == "1"
