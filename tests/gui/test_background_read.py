"""What is read from the disk is read on a thread of its own, and told on the window's."""

from __future__ import annotations

import threading

from control_series import baseline

from her2scope.domain.errors import StoreError
from her2scope.ui.background_read import BackgroundRead


def test_what_was_read_is_told_on_the_windows_thread(qtbot):
    threads, told = [], []

    def read():
        threads.append(threading.current_thread())
        return baseline(), ("one line was left out",)

    loader = BackgroundRead("history", read)
    loader.loaded.connect(lambda found: told.append((*found, threading.current_thread())))
    loader.start()
    qtbot.waitUntil(lambda: told != [])
    assert told == [(baseline(), ("one line was left out",), threading.main_thread())]
    assert threads[0] is not threading.main_thread()


def test_a_failure_is_told(qtbot):
    def read():
        raise StoreError("history.jsonl cannot be read. Look at its permissions.")

    loader, told = BackgroundRead("history", read), []
    loader.failed.connect(told.append)
    loader.loaded.connect(told.append)
    loader.start()
    qtbot.waitUntil(lambda: told != [])
    assert told == ["history.jsonl cannot be read. Look at its permissions."]


def test_one_reading_at_a_time_and_another_after_it(qtbot):
    may_end, begun, told = threading.Event(), [], []

    def read():
        begun.append(threading.current_thread())
        may_end.wait(10)
        return (), ()

    loader = BackgroundRead("history", read)
    loader.loaded.connect(lambda *_: told.append(len(begun)))
    for _ in range(3):
        loader.start()
    may_end.set()
    qtbot.waitUntil(lambda: told == [1])
    begun[0].join()
    loader.start()
    qtbot.waitUntil(lambda: told == [1, 2])
