"""Tiles for training: every class as often as any other, and every image as often as any other that has it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.errors import BadInputError
from her2scope.phantom.noise import mixed_seed
from her2scope.records import Mask, RgbImage
from her2scope.training.pixels.augment import NOT_ASKED, UPRIGHT, Variation, varied, window_side_px
from her2scope.training.pixels.config import PixelConfig
from her2scope.training.pixels.grounds import Ground

OFF_MIDDLE_SHARE = 0.35
"""Of a tile's side: how far from its middle the place may lie that it is drawn for: no class is always there."""
FEW_PX = 2000
"""Of a class in all images: below it tiles show the same few places again and again."""
CHECK_PX = 512
"""Side of the windows that are checked on."""
MOST_CHECKED_PX = 6_000_000
"""Of all images held back: larger ones are checked in windows drawn once."""


class Draws:
    """Draws tiles from some grounds; what is drawn for a step follows from seed and step alone."""

    def __init__(self, grounds: Sequence[Ground], config: PixelConfig, all_needed: bool = True) -> None:
        self._grounds, self._config = grounds, config
        self._surveys = [ground.survey(len(config.all_classes)) for ground in grounds]
        self._having = [
            [n for n, survey in enumerate(self._surveys) if survey.has(label)]
            for label in range(len(config.all_classes))
        ]
        self._labels = [label for label, having in enumerate(self._having) if having]
        if all_needed:
            self._check()

    @property
    def has_places(self) -> bool:
        """Whether anything can be drawn at all."""
        return bool(self._labels)

    def _check(self) -> None:
        """BadInputError where a class cannot be learnt."""
        names = self._config.all_classes
        missing = [label for label in range(1, len(names)) if not self._having[label]]
        hidden = [names[label] for label in missing if any(label in ground.classes for ground in self._grounds)]
        if hidden:
            raise BadInputError(
                f"class {', '.join(hidden)} is outlined, but outlines of later classes cover all of it, or it is "
                "smaller than the model's pixels. Name it after the classes that it lies in, or work at a finer scale."
            )
        if missing:
            raise BadInputError(
                f"no image to learn from has class {', '.join(names[label] for label in missing)}, so it cannot be "
                "learnt: it lies in the images held back alone. Annotate it in more images."
            )
        if len(self._labels) < 2:
            raise BadInputError(
                f"all that is known of the images to learn from is {names[self._labels[0]]}: nothing says what is not. "
                "Add images that hold something else, or outline it as a class of its own."
            )

    def told(self) -> list[str]:
        """How much there is of each class, a line each."""
        lines = []
        for label, name in enumerate(self._config.classes, 1):
            n_px = sum(survey.n_px(label) for survey in self._surveys)
            few = ": very few, outline more of it" if n_px < FEW_PX else ""
            lines.append(f"{name}: in {len(self._having[label])} of them, {n_px} px at the model's scale{few}")
        return lines

    def place(self, rng: np.random.Generator) -> tuple[int, int, tuple[int, int]]:
        """Class, ground, and the place (x, y) that a tile is drawn for."""
        label = self._labels[int(rng.integers(len(self._labels)))]
        having = self._having[label]
        number = having[int(rng.integers(len(having)))]
        return label, number, self._surveys[number].draw(label, rng)

    def tile(self, rng: np.random.Generator, variation: Variation) -> tuple[RgbImage, Mask]:
        """A tile with its labels, varied."""
        side_px = window_side_px(self._config.tile_px, variation)
        _, number, (x, y) = self.place(rng)
        off = OFF_MIDDLE_SHARE * self._config.tile_px
        left, top = (round(at + rng.uniform(-off, off)) - side_px // 2 for at in (x, y))
        rgb, labels = self._grounds[number].window(left, top, side_px, side_px)
        return varied(rgb, labels, self._config.tile_px, variation, rng)

    def batch(self, step: int, upright: bool = False) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """`(B, T, T, 3)` pictures and `(B, T, T)` labels of a step, not turned or bent where they are to be upright."""
        variation = replace(self._config.variation, **UPRIGHT) if upright else self._config.variation
        rng = np.random.default_rng(mixed_seed("pixel batches", self._config.seed, step))
        rgb, labels = zip(*(self.tile(rng, variation) for _ in range(self._config.batch)), strict=True)
        return np.stack(rgb), np.stack(labels)


@dataclass(frozen=True, slots=True)
class CheckWindow:
    """A window of a ground held back; sides are whole blocks, and what lies beyond the ground is not asked for."""

    ground: int
    left_px: int
    top_px: int
    width: int
    height: int


def check_windows(grounds: Sequence[Ground], config: PixelConfig) -> list[CheckWindow]:
    """Windows in which a run is checked: all of the grounds held back, or some of them where they are large."""
    if sum(ground.size_wh[0] * ground.size_wh[1] for ground in grounds) <= MOST_CHECKED_PX:
        return [window for number, ground in enumerate(grounds) for window in _grid(number, ground, config.block_px)]
    draws = Draws(grounds, config, all_needed=False)
    if not draws.has_places:
        return []
    rng = np.random.default_rng(mixed_seed("pixel checks", config.seed))
    found = []
    for _ in range(MOST_CHECKED_PX // CHECK_PX**2):
        _, number, place = draws.place(rng)
        left, top = (
            min(max(0, at - CHECK_PX // 2), max(0, side - CHECK_PX))
            for at, side in zip(place, grounds[number].size_wh, strict=True)
        )
        found.append(CheckWindow(number, left, top, CHECK_PX, CHECK_PX))
    return found


def _grid(number: int, ground: Ground, block_px: int) -> Iterator[CheckWindow]:
    width, height = ground.size_wh
    for top in range(0, height, CHECK_PX):
        for left in range(0, width, CHECK_PX):
            sides = (
                block_px * math.ceil(min(CHECK_PX, side - at) / block_px) for at, side in ((left, width), (top, height))
            )
            yield CheckWindow(number, left, top, *sides)


def read_check(ground: Ground, window: CheckWindow) -> tuple[RgbImage, Mask]:
    """Picture and labels of a window; `NOT_ASKED` beyond the ground."""
    rgb, labels = ground.window(window.left_px, window.top_px, window.width, window.height)
    width, height = ground.size_wh
    labels[height - window.top_px :] = NOT_ASKED
    labels[:, width - window.left_px :] = NOT_ASKED
    return rgb, labels
