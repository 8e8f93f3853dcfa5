"""The profiles that a case keeps of its cells: rounded once, before anything is measured, and stored without loss.

What is read back is then the very thing that was measured: a cell has the same class live and years later.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from her2scope.imaging.profiles import Floats, Profiles
from her2scope.records import CellProfiles

PER_OD10 = 2000
"""Steps of 0.0005 od10, a fortieth of a usual camera's noise."""
PER_PROBABILITY = 250
"""Steps of 0.004. Rounded down, so that a cut that is a multiple of it (0.5, 0.752, 0.932) acts as on the unrounded
value."""
PER_UM = 10_000
LARGEST, MIDDLE = 65_535, 32_768
"""Of two bytes; and what stands for a contrast of 0."""
BYTES_A_PLACE = 5
"""Two of the wall, two of its contrast, one of the probability."""
MARK = np.frombuffer(b"profiles 1", np.uint8)
"""What a stored image begins with: what it is, and in which form."""

Image = NDArray[np.uint8]
Steps = NDArray[np.int32]


def kept(profiles: Profiles) -> CellProfiles:
    """What is measured and stored of profiles: the wall's maximum alone, all in steps of two bytes at most."""
    probability = np.floor(np.clip(profiles.membrane, 0, 1) * np.float32(PER_PROBABILITY))
    return CellProfiles(
        wall_od10=_in_steps(profiles.wall_od10, PER_OD10, 0) / np.float32(PER_OD10),
        membrane=probability / np.float32(PER_PROBABILITY),
        contrast_od10=_in_steps(profiles.contrast_od10, PER_OD10, -MIDDLE) / np.float32(PER_OD10),
        spacing_um=_in_steps(profiles.spacing_um, PER_UM, 0) / np.float32(PER_UM),
    )


def profile_image(profiles: CellProfiles) -> Image:
    """Profiles as `kept` gives them, as an image `(N + 1, 5 P + 2)` that a store takes.

    Its first row says what it is. Each further row is a cell: the high and the low bytes of its walls, those of their
    contrast, its probabilities, its spacing.
    """
    n, n_places = profiles.membrane.shape
    walls = _in_steps(profiles.wall_od10, PER_OD10, 0).astype(np.int32)
    contrast = _in_steps(profiles.contrast_od10, PER_OD10, -MIDDLE).astype(np.int32) + MIDDLE
    probability = np.rint(profiles.membrane * np.float32(PER_PROBABILITY)).astype(np.int32)
    spacing = _in_steps(profiles.spacing_um, PER_UM, 0).astype(np.int32)[:, None]
    image = np.zeros((n + 1, BYTES_A_PLACE * n_places + 2), np.uint8)
    image[0, : len(MARK)] = MARK
    image[1:] = np.concatenate(
        [walls >> 8, walls & 255, contrast >> 8, contrast & 255, probability, spacing >> 8, spacing & 255], axis=1
    )
    return image


def profiles_of_image(image: Image) -> CellProfiles:
    """The profiles that `profile_image` wrote; ValueError where it did not."""
    n_places, rest = divmod(image.shape[-1] - 2, BYTES_A_PLACE)
    if image.ndim != 2 or rest or n_places < 2 or not np.array_equal(image[0, : len(MARK)], MARK):
        raise ValueError(f"an image of shape {image.shape} holds no profiles of this version")
    rows = image[1:].astype(np.int32)
    columns = np.split(rows, [n_places * part for part in range(1, BYTES_A_PLACE + 1)], axis=1)
    wall_high, wall_low, contrast_high, contrast_low, probability, spacing = columns
    return CellProfiles(
        wall_od10=_values(wall_high * 256 + wall_low, PER_OD10),
        membrane=_values(probability, PER_PROBABILITY),
        contrast_od10=_values(contrast_high * 256 + contrast_low - MIDDLE, PER_OD10),
        spacing_um=_values(spacing[:, 0] * 256 + spacing[:, 1], PER_UM),
    )


def _in_steps(values: Floats, per_unit: int, lowest: int) -> Floats:
    """Whole steps, in the range of two bytes."""
    return np.clip(np.rint(values * np.float32(per_unit)), lowest, lowest + LARGEST)


def _values(steps: Steps, per_unit: int) -> Floats:
    return steps.astype(np.float32) / np.float32(per_unit)
