"""What a GenICam camera can be asked and told: pixel format, exposure, gain, white balance, and its pictures as RGB.

Names of features are those of the GenICam Standard Features Naming Convention (SFNC 2.7), of pixel formats those of the
Pixel Format Naming Convention (PFNC 2.4), both by EMVA. Cameras older than SFNC 2 have other names for some.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, cast

import numpy as np

from her2scope.cameras.wishes import CameraWishes, differs
from her2scope.domain.errors import CameraError, CameraNotFound
from her2scope.imaging.opencv import cv2
from her2scope.records import CameraState, RgbImage

_PIXEL_FORMATS = {
    "RGB8": (3, None),
    "BGR8": (3, cv2.COLOR_BGR2RGB),
    "RGBa8": (4, cv2.COLOR_RGBA2RGB),
    "BGRa8": (4, cv2.COLOR_BGRA2RGB),
    "BayerRG8": (1, cv2.COLOR_BayerRGGB2RGB_EA),
    "BayerGR8": (1, cv2.COLOR_BayerGRBG2RGB_EA),
    "BayerGB8": (1, cv2.COLOR_BayerGBRG2RGB_EA),
    "BayerBG8": (1, cv2.COLOR_BayerBGGR2RGB_EA),
}
"""Formats that can be read, best first: bytes per pixel, and OpenCV's conversion to RGB. PFNC names a Bayer pattern by
its first two pixels. `_EA` interpolates along edges: less colour beside thin lines than plain bilinear."""
_OLD_NAMES = {"RGB8Packed": "RGB8", "BGR8Packed": "BGR8", "RGBA8Packed": "RGBa8", "BGRA8Packed": "BGRa8"}
"""Names before PFNC."""
_US_PER_MS = 1000.0
"""ExposureTime is in microseconds."""


@lru_cache(maxsize=1)
def driver_errors() -> tuple[type[Exception], ...]:
    """What a camera's driver raises; nothing where the package is not there."""
    try:
        from genicam import genapi, gentl
    except ImportError:
        return ()
    return gentl.GenericException, genapi.GenericException


def absent() -> tuple[type[Exception], ...]:
    """What asking for something raises that a camera does not have, or not at present."""
    return AttributeError, *driver_errors()


# ---- pictures -----------------------------------------------------------------------------------------------------


def choose_pixel_format(nodes: Any, camera: str, wanted: str | None) -> str:
    """Make the camera give 8-bit colour and tell in which format: the wanted one, else its present, else its best.

    Raises CameraNotFound where it cannot: a stain cannot be read without colour.
    """
    present, offered = str(_value(nodes, "PixelFormat")), _offered(nodes, "PixelFormat")
    readable = [name for name in _PIXEL_FORMATS for given in offered if _OLD_NAMES.get(given, given) == name]
    if not readable:
        raise CameraNotFound(
            f"{camera} gives no 8-bit colour ({', '.join(offered) or present}), and stains cannot be read without. "
            "Use a colour camera, and set it to RGB8, BGR8 or an 8-bit Bayer format."
        )
    if wanted is not None and wanted not in readable:
        raise CameraNotFound(f"{camera} has no readable pixel format {wanted}. Ask for {', '.join(readable)}.")
    kept = _OLD_NAMES.get(present, present)
    chosen = wanted or (kept if kept in readable else readable[0])
    if chosen != kept:
        given = next(name for name in offered if _OLD_NAMES.get(name, name) == chosen)
        if not _set(nodes, "PixelFormat", given):
            raise CameraNotFound(f"{camera} does not take pixel format {chosen}. Set it in the maker's program.")
    return chosen


def about_pixel_format(pixel_format: str) -> tuple[str, ...]:
    """What a reader should know of it, in words."""
    if not pixel_format.startswith("Bayer"):
        return ()
    return (f"{pixel_format}: two of three colours of each pixel are interpolated here; finest detail is softer.",)


def picture_rgb(component: Any, camera: str) -> RgbImage | None:
    """Picture of a buffer as RGB in memory of its own; None where it is cut short.

    Parameters
    ----------
    component : harvesters.core.Component2DImage
        Of a buffer that the driver gets back afterwards.
    camera : str
        For the error.

    Raises
    ------
    CameraError
        For a pixel format that is not 8-bit colour.
    """
    name = str(component.data_format)
    if _OLD_NAMES.get(name, name) not in _PIXEL_FORMATS:
        raise CameraError(f"{camera} gives {name}, which is not 8-bit colour. Set it to RGB8, BGR8 or 8-bit Bayer.")
    channels, conversion = _PIXEL_FORMATS[_OLD_NAMES.get(name, name)]
    width, height, line = component.width, component.height, component.width * channels + component.x_padding
    if not width or not height or component.data.size < line * height:
        return None
    rows = component.data[: line * height].reshape(height, line)[:, : width * channels]
    pixels = rows.reshape(height, width, channels) if channels > 1 else rows
    return (
        pixels.copy() if conversion is None else cast(RgbImage, cv2.cvtColor(np.ascontiguousarray(pixels), conversion))
    )


# ---- settings -----------------------------------------------------------------------------------------------------


def run_freely(nodes: Any, stream_nodes: Any) -> None:
    """Let the camera give pictures on its own, the newest first, where it may have been set otherwise."""
    _set(nodes, "AcquisitionMode", "Continuous")
    _set(nodes, "TriggerMode", "Off")
    _set(stream_nodes, "StreamBufferHandlingMode", "NewestOnly")


def set_size(nodes: Any, camera: str, size_wh: tuple[int, int] | None) -> None:
    """Make the camera give so many pixels, from the middle of its sensor; CameraNotFound where it does not.

    The pictures are a part of the sensor, so a pixel keeps its size. Before it streams: afterwards the size is locked.
    """
    if size_wh is None:
        return
    for name in ("OffsetX", "OffsetY"):
        _set(nodes, name, 0)  # a part that does not begin at the edge leaves less room for itself
    for name, pixels in zip(("Width", "Height"), size_wh, strict=True):
        _set(nodes, name, pixels)
    given = _number(nodes, "Width"), _number(nodes, "Height")
    if given != size_wh:
        told = "its own size, which it does not tell" if None in given else f"{given[0]:.0f} x {given[1]:.0f} pixels"
        raise CameraNotFound(
            f"{camera} gives {told}, not {size_wh[0]} x {size_wh[1]}, and the pixel size would not hold. "
            "Ask for a size that the camera offers."
        )
    for name in ("OffsetX", "OffsetY"):
        _set_to_middle(nodes, name)


def _set_to_middle(nodes: Any, name: str) -> None:
    """Half of the most that the node takes, in its steps; where the camera does not tell them it stays at the edge."""
    try:
        node = getattr(nodes, name)
        step = max(1, int(node.inc))
        middle = int(node.max) // 2 // step * step
    except absent():
        return
    _set(nodes, name, middle)


def set_controls(nodes: Any, wishes: CameraWishes) -> list[str]:
    """Set rate, exposure, gain and white balance, their automatic off; what the camera did not take, in words."""
    problems = []
    if wishes.frames_per_s is not None:
        _set(nodes, "AcquisitionFrameRateEnable", True)  # not in SFNC, and yet most makers' cameras need it
        name = "AcquisitionFrameRateAbs" if _value(nodes, "AcquisitionFrameRate") is None else "AcquisitionFrameRate"
        _set(nodes, name, wishes.frames_per_s)
        problems += differs("rate", wishes.frames_per_s, _number(nodes, name), " frames/s")
    if wishes.exposure_ms is not None:
        _set(nodes, "ExposureAuto", "Off")
        _set(nodes, _exposure_node(nodes), wishes.exposure_ms * _US_PER_MS)
        problems += differs("exposure", wishes.exposure_ms, _exposure_ms(nodes), " ms")
    if wishes.gain is not None:
        _set(nodes, "GainAuto", "Off")
        _set(nodes, "Gain", wishes.gain)
        problems += differs("gain", wishes.gain, _number(nodes, "Gain"), " dB")
    if wishes.white_factors is not None:
        _set(nodes, "BalanceWhiteAuto", "Off")
        for channel, factor in zip(("Red", "Blue"), wishes.white_factors, strict=True):
            problems += _white_factor_not_taken(nodes, channel, factor)
    return problems


def _white_factor_not_taken(nodes: Any, channel: str, factor: float) -> list[str]:
    """Set the factor of a channel; what the camera did not take, in words."""
    what = f"{channel.lower()} of the white balance"
    if not _set(nodes, "BalanceRatioSelector", channel):
        return [f"{what} {factor:g} was asked for, the camera cannot set it."]
    _set(nodes, "BalanceRatio", factor)
    return differs(what, factor, _number(nodes, "BalanceRatio"))


def hold_settings(nodes: Any) -> None:
    """Switch automatic exposure, gain and white balance off; SFNC keeps the values that they have come to."""
    for name in ("ExposureAuto", "GainAuto", "BalanceWhiteAuto"):
        _set(nodes, name, "Off")


def camera_state(nodes: Any, known: CameraState) -> CameraState:
    """`known` with exposure, gain (dB) and white balance as the camera tells them.

    What the camera itself changes from frame to frame is no state: it stays None, a white balance `auto`.
    """
    return dataclasses.replace(
        known,
        exposure_ms=None if _is_automatic(nodes, "ExposureAuto") else _exposure_ms(nodes),
        gain=None if _is_automatic(nodes, "GainAuto") else _number(nodes, "Gain"),
        white_balance="auto" if _is_automatic(nodes, "BalanceWhiteAuto") else _white_balance(nodes),
    )


def _is_automatic(nodes: Any, name: str) -> bool:
    return _value(nodes, name) not in (None, "Off")


def _exposure_node(nodes: Any) -> str:
    """Name before and since SFNC 2."""
    return "ExposureTimeAbs" if _value(nodes, "ExposureTime") is None else "ExposureTime"


def _exposure_ms(nodes: Any) -> float | None:
    exposure_us = _number(nodes, _exposure_node(nodes))
    return None if exposure_us is None else exposure_us / _US_PER_MS


def _white_balance(nodes: Any) -> str | None:
    """Factors of the channels, as `Red 1.52 Blue 1.88`; None where the camera has none."""
    factors = []
    for channel in _offered(nodes, "BalanceRatioSelector"):
        _set(nodes, "BalanceRatioSelector", channel)
        factor = _number(nodes, "BalanceRatio")
        if factor is not None:
            factors.append(f"{channel} {factor:.2f}")
    return " ".join(factors) or None


# ---- nodes --------------------------------------------------------------------------------------------------------
# A camera lacks a node, or refuses one for as long as another is set: neither is an error here.


def _value(nodes: Any, name: str) -> Any:
    try:
        return getattr(nodes, name).value
    except absent():
        return None


def _number(nodes: Any, name: str) -> float | None:
    value = _value(nodes, name)
    return None if value is None else float(value)


def _offered(nodes: Any, name: str) -> Sequence[str]:
    """Values of a choice that the camera has at present."""
    try:
        return tuple(getattr(nodes, name).symbolics)
    except absent():
        return ()


def _set(nodes: Any, name: str, value: str | float) -> bool:
    """Whether the camera took it."""
    try:
        getattr(nodes, name).value = value
    except absent():
        return False
    return True
