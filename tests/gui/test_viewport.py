from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PyQt6.QtCore import QPointF, QSizeF

from her2scope.ui.viewport import MAX_ZOOM, Viewport

sides = st.floats(50, 4000)
factors = st.floats(0.05, 20)
shares = st.floats(0, 1)


def fitted(view=(1000.0, 700.0), image=(1920.0, 1080.0)) -> Viewport:
    return Viewport.fitted(QSizeF(*view), QSizeF(*image))


def test_fitted_picture_is_whole_and_at_the_top():
    rect = fitted().picture_rect()
    assert (rect.left(), rect.top(), rect.width()) == pytest.approx((0, 0, 1000))
    assert rect.height() == pytest.approx(562.5)


def test_tall_picture_is_in_the_middle():
    rect = fitted(image=(500.0, 1000.0)).picture_rect()
    assert rect.center().x() == pytest.approx(500)
    assert rect.height() == pytest.approx(700)


@given(view_w=sides, view_h=sides, image_w=sides, image_h=sides, factor=factors, x=shares, y=shares)
def test_screen_and_image_places_are_inverse(view_w, view_h, image_w, image_h, factor, x, y):
    port = fitted((view_w, view_h), (image_w, image_h)).zoomed(factor, QPointF(x * view_w, y * view_h))
    place = QPointF(x * image_w, y * image_h)
    back = port.to_image(port.to_screen(place))
    assert (back.x(), back.y()) == pytest.approx((place.x(), place.y()), abs=1e-6)


@given(factor=st.floats(1.01, 6), x=shares, y=shares)
def test_zoom_keeps_the_tissue_under_the_cursor(factor, x, y):
    port = Viewport.fitted(QSizeF(800, 600), QSizeF(1600, 1200))
    cursor = QPointF(800 * x, 600 * y)
    held = port.to_image(cursor)
    now = port.zoomed(factor, cursor).to_image(cursor)
    assert (now.x(), now.y()) == pytest.approx((held.x(), held.y()), abs=1e-6)


@given(
    steps=st.lists(
        st.tuples(factors, st.floats(-3000, 3000), st.floats(-3000, 3000)),
        max_size=8,
    )
)
def test_no_walk_shows_beyond_an_enlarged_picture(steps):
    port = fitted((800.0, 600.0), (1600.0, 1200.0))
    for factor, dx, dy in steps:
        port = port.zoomed(factor, QPointF(400, 300)).panned(QPointF(dx, dy))
        rect = port.picture_rect()
        assert rect.left() <= 1e-6 and rect.top() <= 1e-6
        assert rect.right() >= 800 - 1e-6 and rect.bottom() >= 600 - 1e-6
        assert port.zoom <= MAX_ZOOM


def test_zooming_out_ends_at_the_whole_picture():
    port = fitted().zoomed(4, QPointF(10, 10)).zoomed(0.001, QPointF(900, 600))
    assert port.is_fitted
    assert port.picture_rect() == fitted().picture_rect()


def test_fitted_view_stays_fitted_when_the_window_changes():
    port = fitted().resized(QSizeF(500, 900), QSizeF(1920, 1080))
    assert port.is_fitted
    assert port.picture_rect().width() == pytest.approx(500)


def test_enlarged_view_keeps_its_middle_when_the_window_changes():
    port = fitted().zoomed(4, QPointF(500, 300))
    now = port.resized(QSizeF(900, 600), QSizeF(1920, 1080))
    assert (now.zoom, now.centre) == (port.zoom, port.centre)


def test_another_image_size_is_shown_whole():
    port = fitted().zoomed(4, QPointF(500, 300)).resized(QSizeF(1000, 700), QSizeF(640, 480))
    assert port.is_fitted


@given(st.floats(0, 640), st.floats(0, 480), st.floats(1.0, 12.0))
def test_a_point_is_brought_into_view_and_no_farther(x: float, y: float, zoom: float):
    port = Viewport.fitted(QSizeF(320, 240), QSizeF(640, 480)).zoomed(zoom, QPointF(160, 120))
    shown = port.showing(QPointF(x, y), 40.0)
    at = shown.to_screen(QPointF(x, y))
    assert -1e-6 <= at.x() <= 320 + 1e-6 and -1e-6 <= at.y() <= 240 + 1e-6
    before = port.to_screen(QPointF(x, y))
    if 40 <= before.x() <= 280 and 40 <= before.y() <= 200:
        assert shown == port
