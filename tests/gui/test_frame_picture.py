"""The scaled picture against Qt's own painting of the whole frame, the slow way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PyQt6.QtCore import QPointF, QRectF, QSizeF
from PyQt6.QtGui import QImage, QPainter

from her2scope.ui.frame_picture import FramePicture, pixels_in, scaled, touched
from her2scope.ui.images import pixels_of, to_qimage
from her2scope.ui.viewport import Viewport

VIEW = (160, 120)


def tissue(width: int, height: int) -> np.ndarray:
    """Something with edges and slopes."""
    y, x = np.mgrid[0:height, 0:width]
    rgb = np.stack([(x * 3) % 256, (y * 5) % 256, 128 + 100 * np.sin(x / 7) * np.cos(y / 9)], axis=2)
    return rgb.astype(np.uint8)


def canvas() -> QImage:
    image = QImage(*VIEW, QImage.Format.Format_RGB32)
    image.fill(0)
    return image


def by_qt(rgb: np.ndarray, port: Viewport) -> np.ndarray:
    """Plain reference: Qt scales the whole frame; on a whole pixel, as we place it."""
    image = canvas()
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, port.zoom < 3.0)
    rect = port.picture_rect()
    corner = QPointF(round(rect.x()), round(rect.y()))
    painter.drawImage(QRectF(corner, rect.size()), to_qimage(rgb))
    painter.end()
    return pixels_of(image)[..., :3].astype(int)


def by_us(rgb: np.ndarray, port: Viewport) -> np.ndarray:
    image = canvas()
    painter = QPainter(image)
    picture, place = FramePicture().of(rgb, port, 1.0)
    painter.drawImage(place, picture)
    painter.end()
    return pixels_of(image)[..., :3].astype(int)


@given(
    st.tuples(st.integers(20, 400), st.integers(20, 400)),
    st.tuples(st.integers(20, 500), st.integers(20, 500)),
    st.sampled_from([1.0, 1.25, 1.5, 2.0]),
    st.lists(st.tuples(st.floats(0.8, 1.6), st.floats(-60, 60), st.floats(-60, 60)), max_size=2),
)
@example((285, 125), (268, 78), 1.5, [])
@example((150, 290), (136, 386), 1.25, [])
@settings(max_examples=100, deadline=None)
def test_no_pixel_of_the_picture_lies_beyond_what_is_painted_anew(size, view, ratio, moves):
    """Else the last column of an older frame would stay beside the new one."""
    port = Viewport.fitted(QSizeF(*view), QSizeF(*size))
    for factor, dx, dy in moves:
        port = port.zoomed(factor, QPointF(view[0] / 3, view[1] / 4)).panned(QPointF(dx, dy))
    picture, place = FramePicture().of(np.zeros((size[1], size[0], 3), np.uint8), port, ratio)
    drawn = QRectF(place, picture.deviceIndependentSize()) & QRectF(0, 0, *view)
    assert QRectF(touched(port)).contains(drawn)


@pytest.mark.parametrize("size", [(320, 200), (321, 199), (97, 131), (160, 120), (3, 2)])
def test_fitted_as_qt_paints_it(size):
    rgb = tissue(*size)
    port = Viewport.fitted(QSizeF(*VIEW), QSizeF(*size))
    ours, theirs = by_us(rgb, port), by_qt(rgb, port)
    # The last row and column of a picture whose size on screen is no whole number are Qt's or ours by rounding.
    inside = port.picture_rect().toRect().adjusted(2, 2, -2, -2)
    if not inside.isEmpty():
        rows, columns = slice(inside.top(), inside.bottom()), slice(inside.left(), inside.right())
        assert np.abs(ours[rows, columns] - theirs[rows, columns]).mean() < 1.5


@pytest.mark.parametrize("zoom", [1.0, 1.7, 2.0, 4.0, 11.0])
@pytest.mark.parametrize("at", [(0.0, 0.0), (60.0, 40.0), (319.0, 199.0)])
def test_enlarged_tissue_is_where_qt_has_it_to_a_pixel(zoom, at):
    rgb = np.full((200, 320, 3), 250, np.uint8)
    x, y = min(300, int(at[0]) + 6), min(180, int(at[1]) + 5)
    rgb[y : y + 3, x : x + 3] = (0, 90, 0)
    port = Viewport.fitted(QSizeF(*VIEW), QSizeF(320, 200))
    port = port.zoomed(zoom / port.zoom, port.to_screen(QPointF(x, y)))
    for picture in (by_us(rgb, port), by_qt(rgb, port)):
        dark = np.argwhere(picture[..., 2] < 60)
        assert len(dark)
        low = port.to_screen(QPointF(x, y))
        assert abs(dark[:, 1].min() - low.x()) <= 1.5 and abs(dark[:, 0].min() - low.y()) <= 1.5


def test_a_frame_is_converted_once_however_often_it_is_painted():
    rgb, picture = tissue(320, 200), FramePicture()
    port = Viewport.fitted(QSizeF(*VIEW), QSizeF(320, 200))
    first, _ = picture.of(rgb, port, 1.0)
    key = first.cacheKey()
    again, _ = picture.of(rgb, port, 1.0)
    assert again is first and again.cacheKey() == key, "cacheKey changes when pixels may have been written"


def test_memory_is_kept_from_frame_to_frame():
    picture, port = FramePicture(), Viewport.fitted(QSizeF(*VIEW), QSizeF(320, 200))
    places = set()
    for value in range(5):
        image, _ = picture.of(np.full((200, 320, 3), value * 50, np.uint8), port, 1.0)
        assert image.pixelColor(5, 5).red() == value * 50
        places.add(int(image.constBits()))
    assert len(places) == 1


def test_a_picture_out_of_view_is_none():
    port = Viewport(QSizeF(*VIEW), QSizeF(320, 200), 2.0, QPointF(-500.0, -500.0))
    image, _ = FramePicture().of(tissue(320, 200), port, 1.0)
    assert image.isNull()


def test_whole_pixels_of_a_part():
    assert pixels_in(QRectF(-3.5, 2.5, 10.0, 3.0), (50, 60)).getRect() == (0, 2, 7, 4)
    assert pixels_in(QRectF(100.0, 2.5, 10.0, 3.0), (50, 60)).isEmpty()


def test_sharp_screens_get_their_pixels():
    port = Viewport.fitted(QSizeF(*VIEW), QSizeF(320, 200))
    image, _ = FramePicture().of(tissue(320, 200), port, 2.0)
    assert (image.width(), image.height()) == (320, 200) and image.devicePixelRatio() == 2.0


@pytest.mark.parametrize("size", [(1, 1), (300, 1), (1, 300), (2, 3)])
@pytest.mark.parametrize("scale", [0.01, 0.3, 0.5, 1.0, 7.0])
def test_a_sliver_is_at_least_one_pixel(size, scale):
    height, width, _ = scaled(tissue(*size), scale, smooth=True).shape
    assert (width, height) == tuple(max(1, round(side * scale)) for side in size)
