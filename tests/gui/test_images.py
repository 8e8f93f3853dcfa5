from __future__ import annotations

import numpy as np
from PyQt6.QtCore import QSize
from PyQt6.QtGui import QColor, QImage

from her2scope.ui.images import thumbnail, to_qimage


def test_pixels_keep_their_colour_and_place():
    rgb = np.zeros((3, 5, 3), np.uint8)
    rgb[1, 4] = (10, 20, 30)
    image = to_qimage(rgb)
    assert image.format() == QImage.Format.Format_RGB32
    assert (image.width(), image.height()) == (5, 3)
    assert QColor(image.pixel(4, 1)).getRgb()[:3] == (10, 20, 30)
    assert QColor(image.pixel(0, 0)).getRgb()[:3] == (0, 0, 0)


def test_image_owns_its_memory():
    rgb = np.full((40, 40, 3), 200, np.uint8)
    image = to_qimage(rgb)
    rgb[:] = 0
    assert QColor(image.pixel(20, 20)).red() == 200


def test_strided_and_read_only_pixels_are_taken():
    rgb = np.zeros((20, 30, 3), np.uint8)
    rgb[::2, ::3] = (7, 8, 9)
    view = rgb[::2, ::3]
    view.setflags(write=False)
    assert QColor(to_qimage(view).pixel(9, 9)).getRgb()[:3] == (7, 8, 9)


def test_thumbnail_fills_its_size_without_distortion():
    rgb = np.zeros((1080, 1920, 3), np.uint8)
    rgb[:, 860:1060] = 255
    small = thumbnail(rgb, QSize(90, 60))
    assert (small.width(), small.height()) == (90, 60)
    bright = [x for x in range(90) if QColor(small.pixel(x, 30)).red() > 128]
    # 200 of 1920 px at a scale of 60 / 1080, in the middle.
    assert abs(len(bright) - 11) <= 1
    assert abs(sum(bright) / len(bright) - 44.5) <= 1


def test_thumbnail_of_a_tiny_picture_is_enlarged():
    assert thumbnail(np.zeros((8, 8, 3), np.uint8), QSize(90, 60)).size() == QSize(90, 60)
