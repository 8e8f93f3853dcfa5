"""Which objective is in the light path and how large a pixel then is, where several sources say so.

Micro-Manager's configuration has labels of its own for the places of the nosepiece (`Nikon 40X Plan Fluor`) and pixel
sizes of its own. The calibration measured at this microscope wins where it names the objective.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from her2scope.domain.errors import BadInputError
from her2scope.domain.units import checked_um_per_px

MAX_DIFFERENCE_SHARE = 0.05
"""Pixel sizes further apart than this are said: 5 % in length is 10 % in the area of a nucleus."""
ASSUMED_UM_PER_PX = 0.25
"""Of an objective whose pixel size nobody gave: what 40x usually has. Nothing is reportable then."""
_MAGNIFICATION = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)\s*[x\N{MULTIPLICATION SIGN}]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class KnownScale:
    """What the reader and the calibration say."""

    calibrated: Mapping[str, float] = field(default_factory=dict)
    """um per px per objective, as the calibration names them."""
    objective: str | None = None
    """In the light path when the program starts, as the reader says."""
    um_per_px: float | None = None
    """With that objective; None: not given."""
    assumed: bool = False
    """`um_per_px` is a guess of the program."""


@dataclass(frozen=True, slots=True)
class Scale:
    """An objective and its pixel size."""

    objective: str | None
    um_per_px: float
    assumed: bool = False
    doubts: tuple[str, ...] = ()
    """What does not agree or is missing, as sentences."""


def magnification(name: str) -> float | None:
    """Magnification that a name states (`40x`, `Nikon 40X Plan`), None where it states none."""
    found = _MAGNIFICATION.search(name)
    return float(found[1]) if found else None


def objective_names(labels: Iterable[str], calibrated: Iterable[str]) -> dict[str, str]:
    """Name of each label: the calibration's where it is the same, or the only one of that magnification on both sides.

    Two 40x objectives cannot share one calibration: they keep their labels.
    """
    labels, calibrated = list(labels), list(calibrated)
    n_labels, n_calibrated = (Counter(map(magnification, names)) for names in (labels, calibrated))
    by_magnification = {
        power: name
        for name in calibrated
        if (power := magnification(name)) is not None and n_calibrated[power] == n_labels[power] == 1
    }
    return {
        label: label if label in calibrated else by_magnification.get(magnification(label) or 0.0, label)
        for label in labels
    }


def scale_of(name: str | None, configured_um_per_px: float, known: KnownScale, *, is_first: bool = True) -> Scale:
    """Weigh what is known of the objective `name`.

    Parameters
    ----------
    name : of the objective that Micro-Manager says is in the light path; None where it drives no nosepiece
    configured_um_per_px : pixel size by Micro-Manager's configuration; 0 where it has none
    is_first : this objective was in the light path when the program started, so what the reader said holds for it
    """
    doubts: list[str] = []
    said = known.objective if is_first else None
    if name is not None and said is not None and name != said:
        if _contradict(name, said, known):
            doubts.append(f"the nosepiece says objective {name}, not {said} as you said: {name} is used.")
            is_first = False
        elif name not in known.calibrated:
            name = said
    elif name is None:
        name = known.objective
    configured = _possible(configured_um_per_px, name, doubts)
    own = known.um_per_px if is_first and not known.assumed else None
    own = known.calibrated.get(name or "") if own is None else own
    if own is not None and configured is not None and abs(own / configured - 1.0) > MAX_DIFFERENCE_SHARE:
        doubts.append(
            f"{_called(name)}: {own:.4g} um/px is used, but Micro-Manager's configuration says {configured:.4g}. "
            "Measure a stage micrometer again (Ctrl+M), or correct the configuration."
        )
    if own is not None or configured is not None:
        return Scale(name, own if own is not None else configured or 0.0, doubts=tuple(doubts))
    assumed = known.um_per_px if known.assumed and known.um_per_px is not None else ASSUMED_UM_PER_PX
    doubts.append(
        f"{_called(name)}: its pixel size is not known, {assumed:g} um/px is assumed and nothing can be reported. "
        "Measure a stage micrometer (Ctrl+M)."
    )
    return Scale(name, assumed, assumed=True, doubts=tuple(doubts))


def _contradict(name: str, said: str, known: KnownScale) -> bool:
    """Whether two names cannot mean the same objective."""
    if name in known.calibrated and said in known.calibrated:
        return True
    power, said_power = magnification(name), magnification(said)
    return power is not None and said_power is not None and power != said_power


def _possible(configured_um_per_px: float, name: str | None, doubts: list[str]) -> float | None:
    """The configuration's pixel size, None where it has none or an impossible one, which is a doubt."""
    if configured_um_per_px == 0:
        return None
    try:
        return checked_um_per_px(configured_um_per_px)
    except BadInputError as error:
        doubts.append(f"{_called(name)}, by Micro-Manager's configuration: {error}")
        return None


def _called(name: str | None) -> str:
    return f"objective {name}" if name else "the objective"
