"""Counts that add up over pictures, and the figures that are read from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from her2scope.ports import JsonObject


@dataclass(frozen=True, slots=True)
class NucleusTally:
    """Nuclei found and not found."""

    hits: int = 0
    missed: int = 0
    false: int = 0

    def __add__(self, more: NucleusTally) -> NucleusTally:
        return NucleusTally(self.hits + more.hits, self.missed + more.missed, self.false + more.false)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall; None where there was nothing to find and nothing was found."""
        return _ratio(2 * self.hits, 2 * self.hits + self.missed + self.false)

    def as_json(self) -> JsonObject:
        """Counts and figures by name."""
        return {
            "f1": self.f1,
            "precision": _ratio(self.hits, self.hits + self.false),
            "recall": _ratio(self.hits, self.hits + self.missed),
            "hits": self.hits,
            "missed": self.missed,
            "false": self.false,
        }


@dataclass(frozen=True, slots=True)
class KindTally:
    """Tumour or other cell, on nuclei that were found."""

    tumour_right: int = 0
    tumour_as_other: int = 0
    other_right: int = 0
    other_as_tumour: int = 0

    def __add__(self, more: KindTally) -> KindTally:
        return KindTally(
            self.tumour_right + more.tumour_right,
            self.tumour_as_other + more.tumour_as_other,
            self.other_right + more.other_right,
            self.other_as_tumour + more.other_as_tumour,
        )

    @staticmethod
    def of(true_tumour: NDArray[np.bool_], found_tumour: NDArray[np.bool_]) -> KindTally:
        """Count pairs `(K,)` of true and found kinds."""
        right = true_tumour == found_tumour
        counts = (right & true_tumour, ~right & true_tumour, right & ~true_tumour, ~right & ~true_tumour)
        return KindTally(*(int(count.sum()) for count in counts))

    @property
    def n(self) -> int:
        """Nuclei whose kind is known."""
        return self.tumour_right + self.tumour_as_other + self.other_right + self.other_as_tumour

    @property
    def accuracy(self) -> float | None:
        """Share (0..1) of kinds that are right."""
        return _ratio(self.tumour_right + self.other_right, self.n)

    def as_json(self) -> JsonObject:
        """Counts and figures by name."""
        return {
            "accuracy": self.accuracy,
            "tumour_right": self.tumour_right,
            "tumour_as_other": self.tumour_as_other,
            "other_right": self.other_right,
            "other_as_tumour": self.other_as_tumour,
        }


def mean_of(values: Iterable[float | None]) -> float | None:
    """Mean of the values that are there."""
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if there else None


def share_of(flags: Sequence[bool]) -> float | None:
    """Share (0..1) of flags that are set; None where there is no flag."""
    return _ratio(sum(flags), len(flags))


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
