"""Whether a frame can be what it claims: nuclei have a size, and a white holds for one state of the camera."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from her2scope.records import CameraState, Cell
from her2scope.settings import Calibration

MIN_NUCLEI = 30
SIZE_PERCENTILE = 75.0
"""Of all nuclei: debris and cut nuclei are small, what is large is whole."""


STATE = {"exposure_ms": "exposure (ms)", "gain": "gain", "white_balance": "white balance"}
"""What of the camera's state a calibrated white depends on."""


def state_doubts(camera: CameraState, calibration: Calibration) -> tuple[str, ...]:
    """Where the camera is not set as it was when its white was measured; nothing where one of the two is not known."""
    found = []
    for name, words in STATE.items():
        now, then = getattr(camera, name), getattr(calibration, name)
        if calibration.white_rgb is not None and now is not None and then is not None and now != then:
            found.append(f"drift: {words} is {now}, the white was measured at {then}; set it back or calibrate again")
    return tuple(found)


def scale_doubt(
    cells: Sequence[Cell], expected_um: tuple[float, float] | None, objective: str | None = None
) -> tuple[str, ...]:
    """Why the objective may not be the one that was selected, empty where nuclei say nothing against it.

    Parameters
    ----------
    expected_um : least and greatest diameter (75th percentile of a field) that this method finds at a true scale; None
        where it is not known
    objective : the one that the frame says was in the light path; None: it was not told
    """
    widths_um = [2.0 * cell.nucleus_radius_um for cell in cells if not cell.edge]
    if expected_um is None or len(widths_um) < MIN_NUCLEI:
        return ()
    width_um, (low, high) = float(np.percentile(widths_um, SIZE_PERCENTILE)), expected_um
    if low <= width_um <= high:
        return ()
    seen = "small" if width_um < low else "large"
    # as many digits as tell the width from the limit
    digits = next((n for n in (1, 2, 3) if not low <= round(width_um, n) <= high), 4)
    told = f"{width_um:.{digits}f} um, {low:g} to {high:g} expected"
    return (
        f"nuclei too {seen} for this pixel size ({told}): is the objective in the light path "
        f"{f'really {objective}' if objective else 'the one that is selected'}?",
    )
