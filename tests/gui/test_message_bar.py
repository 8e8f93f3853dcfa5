"""What stands in the line over the picture, and for how long."""

from __future__ import annotations

import pytest

from her2scope.pipeline.live import Message, Severity
from her2scope.ui.message_bar import MOST_UNREAD, MessageBar

ASSUMED, OPEN = Message(Severity.WARNING, "Pixel size assumed"), Message(Severity.INFO, "Case 7 is open")


@pytest.fixture
def bar(qtbot) -> MessageBar:
    made = MessageBar()
    qtbot.addWidget(made)
    return made


def test_a_warning_that_nobody_could_read_yet_stays_above_what_is_newer(bar: MessageBar):
    for message in (ASSUMED, OPEN, Message(Severity.INFO, "Field 1 added")):
        bar.post(message)
    assert bar.label.text() == "Pixel size assumed\nField 1 added" and bar.symbol.text() == "!"
    bar.reading.timeout.emit()
    bar.post(OPEN)
    assert bar.label.text() == "Case 7 is open" and bar.symbol.text() != "!"


def test_warnings_are_said_once_and_do_not_pile_up(bar: MessageBar):
    bar.post(ASSUMED)
    bar.post(ASSUMED)
    assert bar.label.text() == "Pixel size assumed"
    for number in range(10):
        bar.post(Message(Severity.WARNING, f"{number}"))
    assert bar.label.text().splitlines() == [f"{number}" for number in range(9 - MOST_UNREAD, 10)]


def test_an_error_and_escape_end_it(bar: MessageBar):
    for end in (lambda: bar.post(Message(Severity.ERROR, "Camera lost")), lambda: None):
        bar.post(ASSUMED)
        end()
        assert bar.dismiss()
        bar.post(OPEN)
        assert bar.label.text() == "Case 7 is open"


def test_why_a_key_did_nothing_is_said_below_an_error_and_goes_again(bar: MessageBar):
    lost, why = Message(Severity.ERROR, "camera lost"), Message(Severity.WARNING, "nothing was taken")
    bar.post(lost)
    bar.post(why)
    assert bar.label.text() == "Camera lost\nNothing was taken"
    bar._timer.timeout.emit()  # noqa: SLF001 - its time is over
    assert bar.label.text() == "Camera lost" and not bar._timer.isActive()  # noqa: SLF001
    bar.post(why)
    bar.post(Message(Severity.ERROR, "disk full"))
    assert bar.label.text().startswith("Disk full\n(1 more)")
    bar.withdraw({"camera lost", "disk full"})
    assert bar.isHidden()


def test_what_is_over_goes_and_leaves_what_is_not(bar: MessageBar):
    silent = Message(Severity.WARNING, "the nosepiece does not answer")
    bar.post(silent)
    bar.withdraw({silent.text})
    assert bar.isHidden() and bar.history[-1] == silent
    for first, second in ((silent, ASSUMED), (ASSUMED, silent)):
        bar.post(first)
        bar.post(second)
        bar.withdraw({silent.text})
        assert bar.label.text() == "Pixel size assumed"
        bar.dismiss()
    bar.post(ASSUMED)
    bar.withdraw({"something else"})
    assert bar.label.text() == "Pixel size assumed"


def test_an_error_stands_before_everything_else(bar: MessageBar):
    bar.post(ASSUMED)
    bar.post(Message(Severity.ERROR, "Camera lost"))
    bar.post(OPEN)
    assert bar.label.text() == "Camera lost"
