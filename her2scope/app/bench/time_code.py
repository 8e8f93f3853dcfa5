"""A frame's number written into its pixels, so that it can be read from what the window shows.

A block of grey squares in the middle of the picture's top edge, where the window lays nothing over it: one bright and
one dark square, 16 bits of the number, 2 bits of parity. The greys are no clipped pixels, and the block is under half a
percent of the picture, so that the analysis has the picture that it would have.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from her2scope.records import RgbImage

COLUMNS, ROWS = 5, 4
N_BITS = 16
BRIGHT, DARK = 215, 40
BRIGHT_FROM, DARK_TO = 150, 105
"""Squares as shown, scaled and with an outline drawn across; between them nothing is read."""
SIDES_PER_WIDTH = 96
LEAST_SIDE_PX = 10
MIDDLE = 0.8
"""Share of a square's side that is looked at: its rim is blurred by scaling."""
GREY_WITHIN, LEAST_GREY_SHARE = 14, 0.1
"""Pixels whose channels are so near to each other are the square's own: an overlay that passes over it has colour."""


def code_rect(width_px: int) -> tuple[int, int, int, int]:
    """Left, top, width and height of the block in a picture of this width, px."""
    side = max(LEAST_SIDE_PX, width_px // SIDES_PER_WIDTH)
    return max(0, (width_px - COLUMNS * side) // 2), 0, COLUMNS * side, ROWS * side


def stamp(rgb: RgbImage, index: int) -> None:
    """Write the last 16 bits of a frame's number into its (writable) pixels; too small a picture gets a part."""
    left, top, width, height = code_rect(rgb.shape[1])
    side = width // COLUMNS
    squares = np.where(_bits(index).reshape(ROWS, COLUMNS), BRIGHT, DARK).astype(np.uint8)
    block = np.kron(squares, np.ones((side, side), np.uint8))
    part = rgb[top : top + height, left : left + width]
    part[:] = block[: part.shape[0], : part.shape[1], None]


def read_code(shown: RgbImage) -> int | None:
    """Number that a picture of the block shows, at any scale; None where it cannot be read.

    Parameters
    ----------
    shown : (h, w, 3) uint8
        The block alone, as the screen shows it.
    """
    if shown.shape[0] < 2 * ROWS or shown.shape[1] < 2 * COLUMNS:
        return None
    values = np.array([_value(shown, row, column) for row in range(ROWS) for column in range(COLUMNS)])
    bits = values >= BRIGHT_FROM
    index = int((bits[1 : 1 + N_BITS] << np.arange(N_BITS)).sum())
    is_sure = bool((bits | (values <= DARK_TO)).all())
    return index if is_sure and np.array_equal(bits, _bits(index)) else None


def shown_index(index: int) -> int:
    """What of a frame's number the block tells."""
    return index % (1 << N_BITS)


def _bits(index: int) -> NDArray[np.bool_]:
    """Bright, the number's bits, parity of the even and of the odd bits, dark."""
    bits = (index >> np.arange(N_BITS)) & 1
    parity = [bits[::2].sum() & 1, bits[1::2].sum() & 1]
    return np.concatenate([[1], bits, parity, [0]]).astype(bool)


def _value(shown: RgbImage, row: int, column: int) -> float:
    """Median grey level of a square's own pixels; NaN, which is neither bright nor dark, where an overlay hides it."""
    rows, columns = (
        _middle(at, side / n) for at, n, side in ((row, ROWS, shown.shape[0]), (column, COLUMNS, shown.shape[1]))
    )
    pixels = shown[rows, columns].reshape(-1, 3).astype(np.int16)
    own = pixels[pixels.max(axis=1) - pixels.min(axis=1) <= GREY_WITHIN]
    return float(np.median(own)) if len(own) > LEAST_GREY_SHARE * len(pixels) else float("nan")


def _middle(at: int, side_px: float) -> slice:
    """The middle part of place number `at` along a side."""
    start = int((at + (1 - MIDDLE) / 2) * side_px)
    return slice(start, max(start + 1, int((at + (1 + MIDDLE) / 2) * side_px)))
