"""Lengths convert at the edge, once: um in the rules, px in the images."""

from __future__ import annotations

import math

from her2scope.domain.errors import BadInputError

MIN_UM_PER_PX, MAX_UM_PER_PX = 0.02, 20.0
"""What a light microscope camera can give: a 100x oil objective to a 1x macro one. Outside it is a slip of unit."""


def checked_um_per_px(value: float) -> float:
    """Return `value` if it can be a pixel size in um; raise BadInputError with the likely slip otherwise."""
    if not math.isfinite(value) or not MIN_UM_PER_PX <= value <= MAX_UM_PER_PX:
        raise BadInputError(
            f"a pixel size of {value:g} um/px is not possible for a light microscope. "
            f"Give micrometres per pixel, {MIN_UM_PER_PX} to {MAX_UM_PER_PX:g} (40x is about 0.25)."
        )
    return value


def odd_px(length_um: float, um_per_px: float, minimum: int = 3) -> int:
    """Size of a filter kernel that spans `length_um`: odd, so that it has a centre, and at least `minimum`."""
    return max(minimum, 2 * round(length_um / um_per_px / 2) + 1)
