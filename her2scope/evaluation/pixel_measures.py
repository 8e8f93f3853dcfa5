"""How well pixels were classified: Dice, IoU and AUC of each class, from counts that add up over tiles and images.

Every class is set against all the rest. What has no answer is None, never 0 or 1: Dice and IoU of a class that is
neither there nor found, AUC of a class that covers no pixel or every one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from her2scope.ports import JsonObject

BINS = 1 << 14
"""Of probability. What they blur is summed up exactly and reported: below 1e-4 unless nearly all pixels share a bin."""

Labels = NDArray[np.uint8]
"""`(h, w)` class of each pixel as `annotations.raster.paint` has it: 0 background, `k + 1` for `classes[k]`."""
Probabilities = NDArray[np.float32]
"""`(C + 1, h, w)` of each class (0..1), the background first."""


@dataclass(frozen=True, slots=True, eq=False)
class ClassPixels:
    """Pixels of one class, counted. Counts of several tiles are added."""

    both: int = 0
    """Of the class, and found as such."""
    found_only: int = 0
    missed: int = 0
    neither: int = 0
    inside: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """`(BINS,)` pixels of the class by their probability; empty where there are no probabilities."""
    outside: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """The same for all other pixels."""

    def __add__(self, other: ClassPixels) -> ClassPixels:
        return ClassPixels(
            self.both + other.both,
            self.found_only + other.found_only,
            self.missed + other.missed,
            self.neither + other.neither,
            _added(self.inside, other.inside),
            _added(self.outside, other.outside),
        )

    @property
    def n_px(self) -> int:
        """Pixels of the class by the truth."""
        return self.both + self.missed

    @property
    def dice(self) -> float | None:
        """Twice what truth and finds share, by the sum of both; None where both are empty."""
        return _share(2 * self.both, 2 * self.both + self.found_only + self.missed)

    @property
    def iou(self) -> float | None:
        """What truth and finds share by what either covers; None where both are empty."""
        return _share(self.both, self.both + self.found_only + self.missed)

    @property
    def auc(self) -> float | None:
        """Chance that a pixel of the class has a higher probability than another pixel, ties counted half.

        Probabilities of one bin count as equal: the exact value lies within `auc_error`. None without probabilities,
        or where one kind of pixels is missing.
        """
        pairs = float(self.inside.sum()) * float(self.outside.sum())
        if not pairs:
            return None
        below = np.cumsum(self.outside) - self.outside
        return float((self.inside * (below + self.outside / 2.0)).sum() / pairs)

    @property
    def auc_error(self) -> float | None:
        """By how much `auc` can differ from that of the probabilities themselves, at most."""
        pairs = float(self.inside.sum()) * float(self.outside.sum())
        if not pairs:
            return None
        return float((self.inside.astype(np.float64) * self.outside).sum() / 2.0 / pairs)

    def as_json(self) -> JsonObject:
        """Measures and counts."""
        return {
            "dice": self.dice,
            "iou": self.iou,
            "auc": self.auc,
            "auc_error": self.auc_error,
            "n_px": self.n_px,
            "found_px": self.both + self.found_only,
            "of_px": self.n_px + self.found_only + self.neither,
        }


PixelCounts = Mapping[str, ClassPixels]
"""By class."""


def count_pixels(
    found: Labels,
    truth: Labels,
    classes: Sequence[str],
    probabilities: Probabilities | None = None,
    ignore: NDArray[np.bool_] | None = None,
) -> PixelCounts:
    """Set the labels of a tile beside the truth.

    Parameters
    ----------
    found, truth : (h, w) uint8
    classes : sequence of str
        Class `classes[k]` is label `k + 1`.
    probabilities : (C + 1, h, w) float, optional
        Background first; without them there is no AUC.
    ignore : (h, w) bool, optional
        Pixels that count neither way.
    """
    if found.shape != truth.shape or (ignore is not None and ignore.shape != truth.shape):
        raise ValueError(f"labels of {found.shape} cannot be set beside a truth of {truth.shape}")
    if probabilities is not None and probabilities.shape != (len(classes) + 1, *truth.shape):
        raise ValueError(f"probabilities are of {probabilities.shape}, not of {(len(classes) + 1, *truth.shape)}")
    counted = np.ones(truth.shape, np.bool_) if ignore is None else ~ignore
    found, truth = found[counted], truth[counted]
    return {
        name: _count(found == k, truth == k, None if probabilities is None else probabilities[k][counted])
        for k, name in enumerate(classes, 1)
    }


def _count(found: NDArray[np.bool_], truth: NDArray[np.bool_], probability: Probabilities | None) -> ClassPixels:
    both = int((found & truth).sum())
    found_px, true_px = int(found.sum()), int(truth.sum())
    neither = truth.size - found_px - true_px + both
    if probability is None:
        return ClassPixels(both, found_px - both, true_px - both, neither)
    level = np.clip(probability * BINS, 0, BINS - 1).astype(np.intp)
    inside = np.bincount(level[truth], minlength=BINS)
    return ClassPixels(
        both, found_px - both, true_px - both, neither, inside, np.bincount(level, minlength=BINS) - inside
    )


def sum_counts(parts: Sequence[PixelCounts]) -> PixelCounts:
    """The counts of several tiles or images."""
    names = {name: None for part in parts for name in part}
    return {name: reduce(add, (part[name] for part in parts if name in part), ClassPixels()) for name in names}


def _added(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sum of two histograms, of which one may not have been made."""
    if not one.size or not other.size:
        return one if one.size else other
    return one + other


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def rank_auc(scores: NDArray[np.floating], positive: NDArray[np.bool_]) -> float | None:
    """Area under the ROC curve, exact: chance that a positive scores higher than a negative, ties counted half.

    Parameters
    ----------
    scores : (N,) float
    positive : (N,) bool

    Returns
    -------
    float or None
        None where all are of one kind.
    """
    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    if not n_positive or not n_negative:
        return None
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    middle_rank = np.cumsum(counts) - (counts - 1) / 2.0
    rank_sum = float(middle_rank[place][positive].sum())
    return (rank_sum - n_positive * (n_positive + 1) / 2.0) / (n_positive * n_negative)


def measures_json(images: Mapping[str, PixelCounts]) -> JsonObject:
    """The measures of all images together (`classes`), of each (`images`), and their means over images.

    A mean is over the images in which the measure has an answer; `n_images` says how many those were.
    """
    return {
        "classes": {name: counts.as_json() for name, counts in sum_counts(list(images.values())).items()},
        "mean_of_images": _means(images),
        "images": {
            image: {"classes": {name: counts.as_json() for name, counts in of_class.items()}}
            for image, of_class in images.items()
        },
    }


def _means(images: Mapping[str, PixelCounts]) -> JsonObject:
    names = {name: None for counts in images.values() for name in counts}
    found: JsonObject = {}
    for name in names:
        of_class = [counts[name] for counts in images.values() if name in counts]
        measures = {
            "dice": [one.dice for one in of_class],
            "iou": [one.iou for one in of_class],
            "auc": [one.auc for one in of_class],
        }
        found[name] = {}
        for measure, values in measures.items():
            there = [value for value in values if value is not None]
            found[name][measure] = {"mean": float(np.mean(there)) if there else None, "n_images": len(there)}
    return found
