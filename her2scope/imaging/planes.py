"""Whole pictures without whole copies of them: rows by blocks, percentiles from histograms; masks of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2scope.imaging.opencv import cv2
from her2scope.records import Mask, Plane

BLOCK_PX = 65_536
"""Pixels that are worked on at a time: what lies between two steps then stays in the processor's cache, and in memory
that the next block takes again."""
MOST_TIMES = 16
"""A mask enlarged further is left to OpenCV, whose pictures have so many channels and not any number more."""


def block_rows(picture: NDArray[Any]) -> int:
    """Rows of a picture `(H, W, ...)` that are worked on at a time."""
    return max(1, BLOCK_PX // picture.shape[1])


def row_blocks(picture: NDArray[Any]) -> Iterator[slice]:
    """Rows of a picture `(H, W, ...)`, block by block, each once; the last block may be smaller."""
    height, step = picture.shape[0], block_rows(picture)
    return (slice(top, min(top + step, height)) for top in range(0, height, step))


def histogram(picture: NDArray[np.uint8], channel: int = 0, where: Mask | None = None) -> NDArray[np.intp]:
    """How many pixels have each of the 256 values in one channel: of all, or of those where a mask is not 0."""
    counts = cv2.calcHist([picture], [channel], where, [256], [0, 256])  # (256, 1) before OpenCV 5
    return counts.ravel().astype(np.intp)


def grey_percentile(picture: NDArray[np.uint8], percent: float, channel: int = 0, where: Mask | None = None) -> float:
    """What `np.percentile` says of the values of one channel (at least one), from their histogram: none is moved."""
    up_to = np.cumsum(histogram(picture, channel, where))
    below, share = _place(int(up_to[-1]), percent)
    low, high = np.searchsorted(up_to, [below, below + (share > 0)], side="right").tolist()
    return float(_between(low, high, share))


def percentile(values: Plane, percent: float) -> float:
    """What `np.percentile` says of single precision values, in a sixth of its time: one place alone is put in order."""
    below, share = _place(values.size, percent)
    ordered = np.partition(values.ravel(), below)
    return float(_between(ordered[below], ordered[below + 1 :].min(initial=ordered[-1]), share))


def _place(n: int, percent: float) -> tuple[int, float]:
    """Where a percentile of n ordered values lies: from which of them, and what share of the way to the next."""
    place = (n - 1) * (percent / 100)
    return int(place), place % 1


def _between(low: Any, high: Any, share: float) -> Any:
    """A share of the way from low to high, rounded as numpy does it."""
    return low + (high - low) * share if share < 0.5 else high - (high - low) * (1 - share)


def enlarged(mask: Mask, size_hw: tuple[int, int]) -> Mask:
    """A mask of a reduced picture at another size: each pixel has the value of the one it belongs to."""
    height, width = mask.shape
    times = size_hw[1] // width
    if (height * times, width * times) != size_hw or times > MOST_TIMES:
        return cv2.resize(mask, size_hw[::-1], interpolation=cv2.INTER_NEAREST)
    return cv2.merge([mask] * times).reshape(height, -1).repeat(times, axis=0)  # the same in an eighth of the time


def closed(mask: Mask, disc: Mask) -> Mask:
    """`cv2.morphologyEx(mask, cv2.MORPH_CLOSE, disc)` in half of its time, which goes with the disc's area.

    Parameters
    ----------
    disc : (S, S) uint8
        1 in a middle piece of each row, which from top and bottom to the middle row never narrows.
    """
    return _by_rows(_by_rows(mask, disc, cv2.dilate, np.maximum), disc, cv2.erode, np.minimum)


def _by_rows(mask: Mask, disc: Mask, way: Callable[..., Mask], merge: np.ufunc) -> Mask:
    """Dilate or erode by a disc row by row: by the width of each, from the narrowest on, and moved up and down."""
    found, along, width, height = mask.copy(), mask, 1, len(mask)
    for row, new_width in enumerate(np.count_nonzero(disc, axis=1)[: len(disc) // 2 + 1].tolist()):
        along, width = way(along, np.ones((1, new_width - width + 1), np.uint8)), new_width
        away = min(len(disc) // 2 - row, height)
        for onto, moved in ((found[away:], along[: height - away]), (found[: height - away], along[away:])):
            merge(onto, moved, out=onto)
    return found
