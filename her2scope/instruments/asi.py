r"""The ASCII commands of ASI's stage controllers, as text. Pure: it knows no port.

Sources: Applied Scientific Instrumentation, "MS-2000 Operation and Programming Manual", and the same commands at
http://asiimaging.com/docs/command_quick_start: `M` (MOVE), `R` (MOVREL), `W` (WHERE), `/` (STATUS) and `\` (HALT).
A command ends in CR, a reply in CR LF. `:A` accepts, `:N-code` refuses. Lengths are in tenths of a micrometre.
"""

from __future__ import annotations

import re

UNITS_PER_UM = 10.0
WHERE = "W X Y"
"""Answered `:A 1000 -250`, with decimals by some controllers (`:A -989110.5 -1042395.0`)."""
STATUS = "/"
"""Answered `N` where no motor runs by a command, `B` where one does."""
HALT = "\\"
"""Answered `:A`, or `:N-21` where it stopped a motor."""
REFUSALS = {
    -1: "does not know a command",
    -2: "does not know an axis",
    -3: "missed a value of a command",
    -4: "was sent farther than it goes",
    -5: "failed at a command",
    -6: "refused a command and does not say why",
}
"""Error codes of the manual, in words."""

_NUMBER = r"(-?\d{1,7}(?:\.\d*)?)"  # up to a metre: no stage of a microscope goes farther
_POSITION = re.compile(rf":A\s*{_NUMBER}\s+{_NUMBER}")
_REFUSAL = re.compile(r":N(-\d{1,3})")


def move_to(x_um: float, y_um: float) -> str:
    """Go to a place of the stage's own axes; answered at once, before it has arrived."""
    return f"M X={_units(x_um)} Y={_units(y_um)}"


def move_by(dx_um: float, dy_um: float) -> str:
    """Go on by so much along the stage's own axes; answered as `move_to`."""
    return f"R X={_units(dx_um)} Y={_units(dy_um)}"


def position_um(reply: str) -> tuple[float, float] | None:
    """Place along the stage's own axes in a reply to `WHERE`; None where it is none."""
    match = _POSITION.fullmatch(reply)
    return (float(match[1]) / UNITS_PER_UM, float(match[2]) / UNITS_PER_UM) if match else None


def is_busy(reply: str) -> bool | None:
    """What a reply to `STATUS` says; None where it is none."""
    return {"B": True, "N": False}.get(reply)


def accepted(reply: str) -> bool:
    """Whether a command was taken."""
    return reply == ":A"


def refusal(reply: str) -> int | None:
    """Code by which a command was refused; None where it was not."""
    match = _REFUSAL.fullmatch(reply)
    return int(match[1]) if match else None


def _units(um: float) -> int:
    return round(UNITS_PER_UM * um)
