"""What is learnt from: pictures at the model's scale with a label of each pixel, read window by window.

The labels come from polygons (`annotations.raster`): 0 the background, 1 and on the classes, `NOT_ASKED` where nobody
said. A picture fits into memory; a slide is read where it is asked for, so that its size does not matter.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from her2scope.annotations.raster import Painter
from her2scope.domain.errors import BadInputError
from her2scope.imaging.opencv import cv2
from her2scope.phantom.noise import mixed_seed
from her2scope.records import Mask, RgbImage
from her2scope.training.pixels.augment import NOT_ASKED

SURVEY_PX = 4_000_000
"""Pixels of the coarse map of a picture in which places are drawn."""
GLASS_OD10 = 0.04
"""Mean over the channels, of the coarse map: below it is glass, or as empty as glass."""
GLASS_SHARE = 0.1
"""Of the places that are drawn in the background: enough to learn that glass is none of the classes."""


class Reading(Protocol):
    """Pixels of an image or slide at the model's scale."""

    size_wh: tuple[int, int]
    is_mirrored: bool
    """What lies beyond the border: the picture in a mirror, or glass as on a slide."""

    def rgb(self, left_px: int, top_px: int, width: int, height: int) -> RgbImage:
        """`(height, width, 3)`; the window may reach beyond the border."""

    def overview(self, columns: int, rows: int) -> RgbImage:
        """`(rows, columns, 3)`: all of it, small."""


class WholePicture:
    """A picture in memory, already at the model's scale."""

    def __init__(self, rgb: RgbImage, is_mirrored: bool = True) -> None:
        self._rgb, self.is_mirrored = rgb, is_mirrored
        self.size_wh = (rgb.shape[1], rgb.shape[0])

    def rgb(self, left_px: int, top_px: int, width: int, height: int) -> RgbImage:
        """See `Reading`."""
        if self.is_mirrored:
            rows, columns = mirrored(top_px, height, self.size_wh[1]), mirrored(left_px, width, self.size_wh[0])
            return self._rgb[np.ix_(rows, columns)]
        found = np.full((height, width, 3), 255, np.uint8)
        own, there = _common((left_px, top_px, width, height), self.size_wh)
        found[own] = self._rgb[there]
        return found

    def overview(self, columns: int, rows: int) -> RgbImage:
        """See `Reading`."""
        return cv2.resize(self._rgb, (columns, rows), interpolation=cv2.INTER_AREA)

    def digest(self) -> str:
        """SHA-256 of its pixels."""
        return hashlib.sha256(np.ascontiguousarray(self._rgb).tobytes()).hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """One image or slide with its labels."""

    name: str
    reading: Reading
    painter: Painter
    scale: float
    """Pixels of the full resolution to one of the model, along each side."""
    ignore_unlabelled: bool = False

    @property
    def size_wh(self) -> tuple[int, int]:
        """In pixels of the model."""
        return self.reading.size_wh

    @property
    def classes(self) -> frozenset[int]:
        """Labels of the classes that are outlined in it."""
        return self.painter.labels

    def pixels_digest(self) -> str:
        """Of the pixels of what is held in memory; empty of a slide that is read where it is asked for."""
        return self.reading.digest() if isinstance(self.reading, WholePicture) else ""

    def digest(self) -> str:
        """What is learnt from it, in short: outlines, size, and the pixels of what is held in memory."""
        facts = (self.painter.digest(), self.size_wh, self.scale, self.ignore_unlabelled, self.pixels_digest())
        return hashlib.sha256(repr(facts).encode()).hexdigest()

    def window(self, left_px: int, top_px: int, width: int, height: int) -> tuple[RgbImage, Mask]:
        """Pixels and labels. Beyond the border labels are mirrored as the picture is; beyond a slide is background."""
        if not self.reading.is_mirrored:
            labels = np.zeros((height, width), np.uint8)
            own, there = _common((left_px, top_px, width, height), self.size_wh)
            rows, columns = there
            labels[own] = self._labels(columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
            return self.reading.rgb(left_px, top_px, width, height), labels
        rows_at, columns_at = mirrored(top_px, height, self.size_wh[1]), mirrored(left_px, width, self.size_wh[0])
        left, top = int(columns_at.min()), int(rows_at.min())
        labels = self._labels(left, top, int(columns_at.max()) - left + 1, int(rows_at.max()) - top + 1)
        return self.reading.rgb(left_px, top_px, width, height), labels[np.ix_(rows_at - top, columns_at - left)]

    def _labels(self, left_px: int, top_px: int, width: int, height: int, coarser: float = 1.0) -> Mask:
        labels = self.painter.window(left_px, top_px, width, height, self.scale * coarser)
        if self.ignore_unlabelled:
            labels[labels == 0] = NOT_ASKED
        return labels

    def survey(self, n_classes: int) -> Survey:
        """Where each class lies, coarsely."""
        width, height = self.size_wh
        coarser = max(1.0, math.sqrt(width * height / SURVEY_PX))
        columns, rows = max(1, int(width / coarser)), max(1, int(height / coarser))
        labels = self._labels(0, 0, columns, rows, coarser)
        own = [np.flatnonzero(labels == k) for k in range(n_classes)]
        glass = own[0][:0]
        if len(own[0]):
            empty = is_glass(self.reading.overview(columns, rows)).ravel()[own[0]]
            glass, own[0] = own[0][empty], own[0][~empty]
        return Survey(coarser, columns, tuple(own), glass)


def is_glass(rgb: RgbImage) -> NDArray[np.bool_]:
    """`(H, W)` where there is next to no stain."""
    od10 = -np.log10(np.maximum(rgb, 1).astype(np.float32) / np.float32(255.0))
    return np.asarray(od10.mean(axis=2) < GLASS_OD10)


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """Where places of each class lie, on a coarse map of a picture."""

    coarser: float
    """Pixels of the model to one of the map, along each side."""
    columns: int
    of_class: tuple[NDArray[np.intp], ...]
    """Flat places by class; those of the background hold tissue."""
    glass: NDArray[np.intp]
    """Places of the background without tissue."""

    def has(self, label: int) -> bool:
        """Whether a place of this class can be drawn."""
        return len(self.of_class[label]) > 0 or (label == 0 and len(self.glass) > 0)

    def n_px(self, label: int) -> int:
        """Pixels of a class, of the model's scale, as the map has them."""
        return round(len(self.of_class[label]) * self.coarser**2)

    def draw(self, label: int, rng: np.random.Generator) -> tuple[int, int]:
        """A place (x, y) of a class in px of the model; every place of the map is as likely."""
        places = self.of_class[label]
        if label == 0 and len(self.glass) and (not len(places) or rng.random() < GLASS_SHARE):
            places = self.glass
        row, column = divmod(int(places[rng.integers(len(places))]), self.columns)
        x, y = ((at + rng.random()) * self.coarser for at in (column, row))
        return int(x), int(y)


def labels_of(grounds: Sequence[Ground]) -> list[frozenset[int]]:
    """Labels that each image has examples of, for `split` and `fold_numbers`.

    The background among them where some images do not say it: there it may be missed as any class.
    """
    may_lack = any(ground.ignore_unlabelled for ground in grounds)
    return [ground.classes | {0} if may_lack and not ground.ignore_unlabelled else ground.classes for ground in grounds]


def check_copies(grounds: Sequence[Ground]) -> None:
    """Refuse one picture under two names: learnt from as the one, it would be checked on as the other."""
    names: dict[str, str] = {}
    for ground in grounds:
        digest = ground.pixels_digest()
        other = names.setdefault(digest, ground.name) if digest else ground.name
        if other != ground.name:
            raise BadInputError(
                f"{other} and {ground.name} are the same picture: what is learnt from the one would be checked on the "
                "other. Leave one of them out."
            )


def split(having: Sequence[frozenset[int]], share: float, seed: int) -> tuple[list[int], list[int]]:
    """Images to learn from, and images held back; whole images, and none in both.

    A class of several images is on both sides, though more be held back for it: up to a third of all. A class of one
    image is learnt, and not checked.

    Parameters
    ----------
    having : labels of each image (`labels_of`)
    share : of the images, held back; at least one is
    """
    n_images = len(having)
    order = np.random.default_rng(mixed_seed("pixel split", seed)).permutation(n_images).tolist()
    n_held = min(n_images - 1, max(1, round(share * n_images)))
    n_most = max(n_held, -(-n_images // 3))
    held: list[int] = []

    def is_spare(number: int) -> bool:
        """Whether all its classes, and any image at all, are left to learn from without it."""
        rest = [having[other] for other in order if other != number and other not in held]
        return bool(rest) and all(any(label in other for other in rest) for label in having[number])

    for label in _rarest_first(having):
        if len(held) < n_most and not any(label in having[number] for number in held):
            held += [number for number in order if label in having[number] and is_spare(number)][:1]
    for number in order:
        if len(held) < n_held and number not in held and is_spare(number):
            held.append(number)
    held = held or order[:1]
    return [number for number in range(n_images) if number not in held], sorted(held)


def fold_numbers(having: Sequence[frozenset[int]], n_folds: int, seed: int) -> list[list[int]]:
    """Images held out in each fold: every image in exactly one, numbers even to within one, rare classes spread.

    Parameters
    ----------
    having : labels of each image (`labels_of`)
    """
    order = np.random.default_rng(mixed_seed("pixel folds", seed)).permutation(len(having)).tolist()
    rank = {label: place for place, label in enumerate(_rarest_first(having))}
    order.sort(key=lambda number: min((rank[label] for label in having[number]), default=len(rank)))
    return [sorted(order[k::n_folds]) for k in range(n_folds)]


def _rarest_first(having: Sequence[frozenset[int]]) -> list[int]:
    """Labels, those of the fewest images first."""
    n_images = Counter(label for labels in having for label in labels)
    return sorted(n_images, key=lambda label: (n_images[label], label))


def mirrored(first: int, n: int, side: int) -> NDArray[np.intp]:
    """Places along a side, mirrored at both ends as often as needed (cv2's BORDER_REFLECT_101)."""
    if side == 1:
        return np.zeros(n, np.intp)
    period = 2 * (side - 1)
    at = np.abs(np.arange(first, first + n)) % period
    return np.where(at >= side, period - at, at).astype(np.intp)


Cut = tuple[slice, slice]


def _common(window: tuple[int, int, int, int], size_wh: tuple[int, int]) -> tuple[Cut, Cut]:
    """Part of a window (left, top, width, height) that lies within a picture: rows and columns in each."""
    left, top, width, height = window
    first = min(max(0, left), size_wh[0]), min(max(0, top), size_wh[1])
    last = max(first[0], min(size_wh[0], left + width)), max(first[1], min(size_wh[1], top + height))
    own = slice(first[1] - top, last[1] - top), slice(first[0] - left, last[0] - left)
    return own, (slice(first[1], last[1]), slice(first[0], last[0]))
