"""Is a slide stained with haematoxylin and DAB at all? Told by the hue of its tissue as a whole."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEAST_OD10 = 0.10
"""Of a place in its darkest channel: paler ones have no hue to speak of."""
LEAST_PLACES = 16
"""Fewer such places tell nothing."""
LINE_RED, LINE_BLUE, LINE_AT = 0.80, 0.60, 0.421
"""Haematoxylin (0.650, 0.704, 0.286) and DAB (0.268, 0.570, 0.776; Ruifrok and Johnston 2001) as shares of red, green
and blue od10 are (0.396, 0.429, 0.174) and (0.166, 0.353, 0.481): all their mixtures lie on the line
0.80 red + 0.60 blue = 0.421. Eosin (0.07, 0.99, 0.11) lies 0.32 beside it, towards green."""
LEAST_FROM_LINE = -0.025
"""Stained HER2 fields of cameras and scanners, and phantoms of nearly all stainers and scanners, have -0.01 to 0.06;
haematoxylin and eosin -0.05 to -0.15. A scanner that turns colours brings a strong DAB to -0.035."""
BROWN_BLUE, LEAST_BROWN_SHARE = 0.90, 0.05
"""A place is brown that absorbs at least so much of blue as of green: DAB 1.36, haematoxylin 0.41, eosin 0.11. Of the
stained places of 24 real HER2 fields 6 % and more are, also of those that score 0, of the phantom slides whose colours
were turned 46 %; of 15 pictures in haematoxylin and eosin none is."""
LEAST_COLOUR = 0.10
"""Median difference of a place's channels, as a share of its darkest one. Haematoxylin has 0.6, DAB 0.65, as much of
both 0.28; a picture in shades of grey has 0.00 and would be taken for a mixture of both."""

Floats = NDArray[np.float32]


def from_line(od10: Floats) -> float | None:
    """How far tissue lies beside all mixtures of haematoxylin and DAB; below 0 towards eosin.

    Parameters
    ----------
    od10 : (N, 3) od10 per channel of places of tissue (means over a cell's width)

    Returns
    -------
    float or None
        Mean over the places, each by its strength; None where too few are stained.
    """
    stained = od10[od10.max(axis=1, initial=0) >= LEAST_OD10].astype(np.float64)
    if len(stained) < LEAST_PLACES:
        return None
    red, green, blue = stained.sum(axis=0)
    return float((LINE_RED * red + LINE_BLUE * blue) / (red + green + blue) - LINE_AT)


def _colour(od10: Floats) -> float:
    """Median difference between the channels of stained places, as a share of the darkest one."""
    darkest = od10.max(axis=1)
    stained = darkest >= LEAST_OD10
    return float(np.median((darkest[stained] - od10[stained].min(axis=1)) / darkest[stained]))


def _brown_share(od10: Floats) -> float:
    """Share (0..1) of the stained places that are brown."""
    stained = od10[od10.max(axis=1) >= LEAST_OD10]
    return float(np.mean(stained[:, 2] >= BROWN_BLUE * stained[:, 1]))


def stain_refusal(od10: Floats) -> str:
    """Why tissue of these colours cannot be scored, in words; empty where it can, or where too little is stained."""
    away = from_line(od10)
    if away is not None and (colour := _colour(od10)) < LEAST_COLOUR:
        return (
            f"its tissue has hardly any colour ({colour:.2f}, at least {LEAST_COLOUR:g}): a picture in shades of grey "
            "does not tell haematoxylin from DAB: scan it in colours"
        )
    if away is None or away >= LEAST_FROM_LINE or _brown_share(od10) >= LEAST_BROWN_SHARE:
        return ""
    return (
        "its colours are haematoxylin and eosin (or another red stain), not haematoxylin and DAB "
        f"(hue {away:.3f} beside the mixtures of these two, at least {LEAST_FROM_LINE:g}): "
        "choose the slide that was stained for HER2"
    )
