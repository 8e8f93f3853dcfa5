"""The window that lays phantoms beside real pictures."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, QPointF, Qt
from PyQt6.QtGui import QWheelEvent
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication

from her2scope.domain.errors import BadInputError
from her2scope.phantom.compare.sheets import PhantomChoice, Piece, real_piece
from her2scope.phantom.field import PhantomSpec
from her2scope.ui.beside_window import BesideWindow

Key = Qt.Key


class Drawer:
    """Draws a plain picture that tells its seed; waits while it is told to."""

    def __init__(self) -> None:
        self.asked: list[PhantomSpec] = []
        self.may_go = threading.Event()
        self.may_go.set()
        self.threads: set[int] = set()

    def __call__(self, spec: PhantomSpec) -> Any:
        self.asked.append(spec)
        self.threads.add(threading.get_ident())
        self.may_go.wait(20)
        if spec.seed == 13:
            raise BadInputError("seed 13 is not drawn. Take another.")
        width, height = spec.size_wh
        rgb = np.full((height, width, 3), (220, 180 + spec.seed, 200), np.uint8)
        cell = {"x_px": width / 2, "y_px": height / 2, "class": "complete_intense", "kind": "tumour", "visible": True}
        return SimpleNamespace(rgb=rgb, truth={"cells": [cell]})


def real(name: str, width: int = 320, um_per_px: float = 0.25) -> Piece:
    return real_piece(np.full((240, width, 3), (200, 190, 210), np.uint8), name, um_per_px)


@pytest.fixture
def draw() -> Iterator[Drawer]:
    drawer = Drawer()
    yield drawer
    drawer.may_go.set()


@pytest.fixture
def open_window(qtbot, draw: Drawer) -> Callable[..., BesideWindow]:
    def make(reals=(), choice: PhantomChoice | None = None, wait: bool = True, **options: Any) -> BesideWindow:
        window = BesideWindow(reals or [real("one.png")], choice or PhantomChoice("2+", 3), draw=draw, **options)
        qtbot.addWidget(window)
        window.resize(1000, 600)
        window.show()
        if wait:
            qtbot.waitUntil(lambda: not window.is_drawing)
        return window

    return make


def press(window: BesideWindow, *keys: Key) -> None:
    for key in keys:
        QTest.keyClick(window.view, key)


def test_a_phantom_is_drawn_aside_and_shown(open_window, draw: Drawer):
    window = open_window()
    assert window.view.real.name == "one.png"
    assert window.view.phantom.name == "phantom 2+, seed 3"
    assert draw.threads and threading.get_ident() not in draw.threads
    assert "one.png" in window.status.text() and "seed 3" in window.status.text() and "0.25" in window.status.text()


def test_keys_choose_seed_score_and_recipe(open_window, qtbot, draw: Drawer):
    window = open_window(recipes=())
    for key, choice in (
        (Key.Key_N, PhantomChoice("2+", 4)),
        (Key.Key_P, PhantomChoice("2+", 3)),
        (Key.Key_S, PhantomChoice("3+", 3)),
    ):
        press(window, key)
        assert window.choice == choice
        qtbot.waitUntil(lambda: not window.is_drawing)
        assert window.view.phantom.name == choice.words
    press(window, Key.Key_R)
    assert window.choice.recipe is None  # there are none


def test_r_goes_through_the_recipes_and_back_to_none(open_window, draw: Drawer):
    draw.may_go.clear()
    window = open_window(recipes=("haze", "glue"), wait=False)
    found = []
    for _ in range(3):
        press(window, Key.Key_R)
        found.append((window.choice.recipe, window.choice.score))
    assert found == [("haze", "0"), ("glue", "0"), (None, "0")]  # one is meant for a 0, the other for any score


def test_seeds_do_not_go_below_zero(open_window):
    window = open_window(choice=PhantomChoice("2+", 0))
    press(window, Key.Key_P)
    assert window.choice.seed == 0


def test_a_phantom_seen_before_is_there_at_once(open_window, qtbot, draw: Drawer):
    window = open_window()
    press(window, Key.Key_N)
    qtbot.waitUntil(lambda: not window.is_drawing)
    n_drawn = len(draw.asked)
    press(window, Key.Key_P)
    assert not window.is_drawing and window.view.phantom.name == "phantom 2+, seed 3"
    assert len(draw.asked) == n_drawn


def test_while_it_draws_the_window_answers_and_says_so(open_window, qtbot, draw: Drawer):
    draw.may_go.clear()
    window = open_window(wait=False)
    qtbot.waitUntil(lambda: len(draw.asked) == 1)
    assert window.is_drawing and "drawing" in window.status.text()
    press(window, Key.Key_N, Key.Key_N, Key.Key_N, Key.Key_T)
    assert window.choice.seed == 6 and window.view.shows_truth
    draw.may_go.set()
    qtbot.waitUntil(lambda: not window.is_drawing)
    assert window.view.phantom.name == "phantom 2+, seed 6"
    assert [spec.seed for spec in draw.asked] == [3, 6]  # those that nobody waits for are left out
    assert "drawing" not in window.status.text()


def test_truth_is_drawn_and_taken_away(open_window, qtbot):
    window = open_window()
    before = window.view.grab().toImage()
    press(window, Key.Key_T)
    assert window.view.shows_truth and "truth shown" in window.status.text()
    assert window.view.grab().toImage() != before
    press(window, Key.Key_T)
    assert window.view.grab().toImage() == before


def test_left_and_right_go_through_the_real_pictures(open_window, qtbot, draw: Drawer):
    window = open_window([real("one.png"), real("two.png", 400, 0.5)])
    press(window, Key.Key_Right)
    assert window.view.real.name == "two.png" and "2 of 2" in window.status.text()
    assert window.view.phantom is None  # the one before was of another scale
    qtbot.waitUntil(lambda: not window.is_drawing)
    assert (draw.asked[-1].um_per_px, draw.asked[-1].size_wh) == (0.5, (400, 240))
    press(window, Key.Key_Right)
    assert window.view.real.name == "one.png"
    press(window, Key.Key_Left)
    assert window.view.real.name == "two.png" and not window.is_drawing


def test_what_is_magnified_stays_as_large_in_um(open_window, qtbot):
    window = open_window([real("one.png"), real("two.png", 400, 0.5)])
    press(window, *[Key.Key_Plus] * 6)
    um_per_screen_px = 0.25 / window.view.viewport.zoom
    press(window, Key.Key_Right)
    assert 0.5 / window.view.viewport.zoom == pytest.approx(um_per_screen_px)


def test_both_halves_zoom_and_pan_together(open_window, qtbot):
    view = open_window().view
    fitted = view.viewport.zoom
    press_at = QPointF(750.0, 200.0)  # over the phantom
    QApplication.sendEvent(
        view,
        QWheelEvent(
            press_at, press_at, QPoint(), QPoint(0, 480), Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase, False,
        ),
    )  # fmt: skip
    assert view.viewport.zoom > fitted
    centre = view.viewport.centre
    QTest.mousePress(view, Qt.MouseButton.LeftButton, pos=QPoint(200, 200))
    QTest.mouseMove(view, QPoint(160, 190))
    QTest.mouseRelease(view, Qt.MouseButton.LeftButton, pos=QPoint(160, 190))
    assert view.viewport.centre != centre
    picture = view.grab().toImage()
    left, right = picture.pixelColor(20, 300), picture.pixelColor(view.width() - 20, 300)
    assert left.green() == 190 and right.green() == 183  # each half still shows its own
    QTest.mouseDClick(view, Qt.MouseButton.LeftButton)
    assert view.viewport.zoom == fitted


def test_zoom_keys_and_a_given_scale(open_window):
    window = open_window()
    fitted = window.view.viewport.zoom
    press(window, Key.Key_Plus, Key.Key_Equal, Key.Key_Minus)
    assert window.view.viewport.zoom == pytest.approx(1.25 * fitted)
    press(window, Key.Key_F)
    assert window.view.viewport.zoom == fitted
    window.fill()
    assert window.view.viewport.zoom == pytest.approx(window.view.height() / 240)
    window.show_scale(0.05)
    assert window.view.viewport.zoom == pytest.approx(5.0)
    assert "0.05 µm per screen pixel" in window.status.text()


def test_a_phantom_that_cannot_be_drawn_says_why(open_window, qtbot):
    window = open_window(choice=PhantomChoice("2+", 12))
    press(window, Key.Key_N)
    qtbot.waitUntil(lambda: not window.is_drawing)
    assert window.view.notice == "seed 13 is not drawn. Take another."
    press(window, Key.Key_N)
    qtbot.waitUntil(lambda: not window.is_drawing)
    assert window.view.notice == "" and window.view.phantom.name == "phantom 2+, seed 14"


def test_closing_while_it_draws_is_safe(open_window, qtbot, draw: Drawer):
    draw.may_go.clear()
    window = open_window(wait=False)
    qtbot.waitUntil(lambda: len(draw.asked) == 1)
    press(window, Key.Key_Escape)
    assert not window.isVisible()
    draw.may_go.set()
    assert window.drawer.wait(10)
    QApplication.processEvents()
    assert window.view.phantom is None  # nothing came after the end


def test_a_window_that_is_only_thrown_away_stops_its_thread(qtbot, draw: Drawer):
    window = BesideWindow([real("one.png")], PhantomChoice(), draw=draw)
    drawer = window.drawer
    window.deleteLater()
    del window
    qtbot.waitUntil(lambda: drawer.wait(0.05))
