"""What fixes a run of the pixelwise classifier, and its limits."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field

from her2scope.domain.errors import BadInputError
from her2scope.training.pixels.augment import Variation

BACKGROUND = "background"
"""Name of what no polygon covers; no class of an annotation may be called so."""
MAX_CLASSES = 32


@dataclass(frozen=True, slots=True)
class PixelConfig:
    """One training run. All that is random follows from `seed`; threads of the processor may change the last bits."""

    classes: tuple[str, ...]
    """Without the background. Where polygons overlap the later class wins."""
    um_per_px: float
    """Scale that the network learns and works at."""
    seed: int = 1
    epochs: int = 14
    steps: int = 50
    """Of an epoch: how often is looked at the images held back."""
    minutes: float = 30.0
    """The rate falls to its end within them, and the run ends."""
    patience: int = 12
    """Epochs without a better Dice on the images held back, after which the last part begins, or in it the run ends."""
    upright_share: float = 0.4
    """Of the run, its last part: tiles are nearly as they are, so that outlines which all lie to one side of what they
    outline are learnt so, and the borders of sharp pictures."""
    check_share: float = 0.1
    """Of the images, held back to check on; at least one."""
    ignore_unlabelled: bool = False
    """What no polygon covers is not background but unknown: for annotations that are far from complete."""
    tile_px: int = 192
    batch: int = 8
    widths: tuple[int, ...] = (24, 40, 64, 96)
    depths: tuple[int, ...] = (0, 1, 1, 2)
    learning_rate: float = 3e-3
    warmup_steps: int = 100
    final_rate_share: float = 0.02
    weight_decay: float = 0.02
    average_decay: float = 0.995
    """Of the running mean of the weights, which is what is checked and exported."""
    threads: int = 2
    variation: Variation = field(default_factory=Variation)

    @property
    def all_classes(self) -> tuple[str, ...]:
        """The background first."""
        return (BACKGROUND, *self.classes)

    @property
    def block_px(self) -> int:
        """Side of the network's coarsest pixel: what it is shown are whole multiples of it."""
        return 1 << len(self.widths)

    @property
    def upright_from(self) -> int:
        """Step at which the last part begins: the first one of an epoch."""
        return self.steps * math.ceil((1.0 - self.upright_share) * self.epochs)

    @property
    def surroundings_px(self) -> int:
        """How far around a pixel the network looks: each 3x3 convolution adds a pixel of its own size."""
        deep = len(self.widths) - 1
        reach_px = 2 * 2  # stem and answer, at a half
        for level, depth in enumerate(self.depths):
            blocks = depth + (1 if level < deep else 0)
            reach_px += 2 * blocks * 2 ** (level + 1)
        # and what a coarse pixel takes in beside the place itself
        return reach_px + self.block_px

    @property
    def total_steps(self) -> int:
        """Of the whole run."""
        return self.epochs * self.steps


def check_config(config: PixelConfig) -> None:
    """BadInputError, with what to do, where a run cannot be so."""
    names = config.classes
    if not names or len(names) > MAX_CLASSES:
        raise BadInputError(f"give 1 to {MAX_CLASSES} classes, not {len(names)}.")
    if any(not name.strip() for name in names) or len(set(names)) != len(names):
        raise BadInputError(f"{', '.join(names)}: each class needs a name of its own.")
    if BACKGROUND in names:
        raise BadInputError(
            f"'{BACKGROUND}' is what no polygon covers. Leave it out, or rename the class in the files."
        )
    block_px = config.block_px
    if config.tile_px % block_px or config.tile_px < 2 * block_px:
        raise BadInputError(f"tiles are multiples of {block_px} px, {2 * block_px} at least, not {config.tile_px}.")


def what_differs(config: PixelConfig, other: dict[str, object]) -> list[str]:
    """Settings by which a run would be another one than it was begun as; limits and threads may change."""
    free = {"minutes", "threads", "patience"}
    own = {name: _plain(value) for name, value in dataclasses.asdict(config).items()}
    return sorted(name for name, value in own.items() if name not in free and _plain(other.get(name)) != value)


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
