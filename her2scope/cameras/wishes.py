"""How a camera shall be set, as the end of its URI says: `camera:0?size=1920x1080&fps=30&exposure_ms=10`."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import parse_qsl

from her2scope.domain.errors import BadInputError


@dataclass(frozen=True, slots=True)
class CameraWishes:
    """What to ask of a camera; None leaves it as it is."""

    size_wh: tuple[int, int] | None = None
    frames_per_s: float | None = None
    pixel_format: str | None = None
    """Four letters of V4L2 and DirectShow (`MJPG`), or a name of GenICam (`BayerRG8`)."""
    exposure_ms: float | None = None
    gain: float | None = None
    """In the camera's own units: steps of its driver (UVC), decibels (GenICam)."""
    white_k: float | None = None
    """Colour temperature that the camera takes for white, in kelvin (UVC)."""
    white_factors: tuple[float, float] | None = None
    """By how much red and blue are amplified against green (GenICam)."""


def split_uri(uri: str, rest: str, known: Collection[str]) -> tuple[str, dict[str, str]]:
    """Split what follows the colon into the device and its options.

    Raises BadInputError for an option that is not in `known`, is given twice, or has no value: a setting that is
    silently left out changes what is measured.
    """
    device, _, query = rest.partition("?")
    options: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean '{near[0]}'? " if near else ""
            raise BadInputError(f"'{uri}': option '{name}' is not known. {hint}It takes {', '.join(known)}.")
        if name in options or not value:
            raise BadInputError(f"'{uri}': option '{name}' needs one value. Write {name}=VALUE once.")
        options[name] = value
    return device, options


WISHES = ("size", "fps", "format", "exposure_ms", "gain", "wb")
"""Options that `wishes` reads."""


def wishes(uri: str, options: dict[str, str], *, white_factors: bool = False) -> CameraWishes:
    """Read those of `options` that say how the camera shall be set; BadInputError for a value that is none.

    Parameters
    ----------
    white_factors : the camera's white balance is told by the factors of red and blue, not by a colour temperature
    """
    return CameraWishes(
        size_wh=_size_wh(uri, options["size"]) if "size" in options else None,
        frames_per_s=_number(uri, options, "fps", 0.1, 1000.0),
        pixel_format=options.get("format"),
        exposure_ms=_number(uri, options, "exposure_ms", 0.001, 60_000.0),
        gain=_number(uri, options, "gain", -100.0, 10_000.0),
        white_k=None if white_factors else _number(uri, options, "wb", 1000.0, 40_000.0),
        white_factors=_factors(uri, options["wb"]) if white_factors and "wb" in options else None,
    )


EQUAL_SHARE = 0.02
"""A value this near to the one asked for is that value: 29.97 is 30 pictures per second."""


def differs(what: str, asked: float, given: float | None, unit: str = "") -> list[str]:
    """Say that a driver gives another value than asked for; None is one that it does not tell. Else empty."""
    if given is None:
        return [f"{what} {asked:g}{unit} was asked for, the driver does not tell what it gives."]
    if math.isclose(asked, given, rel_tol=EQUAL_SHARE):
        return []
    return [f"{what} {asked:g}{unit} was asked for, the driver gives {given:g}{unit}."]


def _number(uri: str, options: dict[str, str], name: str, least: float, most: float) -> float | None:
    if name not in options:
        return None
    try:
        value = float(options[name])
    except ValueError:
        value = math.nan
    if not least <= value <= most:  # also where it is not a number
        raise BadInputError(f"'{uri}': {name}={options[name]} is not a number between {least:g} and {most:g}.")
    return value


def _factors(uri: str, text: str) -> tuple[float, float]:
    try:
        red, blue = map(float, text.split(","))
    except ValueError:
        red = blue = math.nan
    if not (0.05 <= red <= 50.0 and 0.05 <= blue <= 50.0):  # also where one is not a number
        raise BadInputError(f"'{uri}': wb={text} is not the factors of red and blue. Write them as wb=1.52,1.88.")
    return red, blue


def _size_wh(uri: str, text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and 0 < int(width) < 65536 and 0 < int(height) < 65536):
        raise BadInputError(f"'{uri}': size={text} is no picture size. Write it as size=1920x1080.")
    return int(width), int(height)
