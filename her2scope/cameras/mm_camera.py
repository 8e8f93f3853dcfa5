"""A camera that Micro-Manager drives: its newest picture as RGB, how it is set, and how it is told to stay so."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import time

import numpy as np

from her2scope.cameras.mm_core import Core, in_words
from her2scope.domain.errors import CameraError, CameraNotFound
from her2scope.imaging.opencv import cv2
from her2scope.records import CameraState, RgbImage

WAIT_S = 0.1
"""How long one look for a picture takes at most, so that the thread can be told to end."""
LOOK_EVERY_S = 0.003
"""Micro-Manager's buffer cannot be waited for, only looked into."""
STATE_EVERY_S = 2.0
"""How often the camera's settings are read again: some adapters change them by themselves."""
BUFFERED_FRAMES = 8
"""Room in Micro-Manager's buffer: only the newest picture is used, and its own 250 MB would hold stale ones."""
MIN_BUFFER_MB = 16

_PIXEL_TYPE, _GAIN = "PixelType", "Gain"
"""Names that Micro-Manager gives to these properties of every camera (MMDeviceConstants.h)."""
_WHITE = re.compile(
    r"white|balance|(?-i:WB)|\bwb|colou?r ?temp|(red|green|blue).*gain|gain.*(red|green|blue)", re.IGNORECASE
)
_EXPOSURE = re.compile(r"exposure|shutter ?(time|speed)|gain", re.IGNORECASE)
_SWITCH_ON = {"on", "1", "yes", "true", "enabled", "auto", "automatic", "continuous", "continuously"}
_SWITCH_OFF = ("off", "0", "no", "false", "disabled", "manual", "none", "fixed")
_NO_SWITCH = re.compile(r"lock|limit|max|min|target|region|roi|once|speed|step", re.IGNORECASE)
"""Properties of an automatic that do not switch it: locked, for one, is held already."""
_OF_AUTOMATIC = {"auto", "automatic", "continuous", "continuously"}
"""Values that say so by themselves, whatever the property is called. Each camera's maker chooses names and values."""


class SequenceStopped(CameraError):
    """The camera delivers no more; the source, which knows the last frame it gave, says CameraLost."""


class MmCamera:
    """The camera of a loaded core. One thread calls it.

    A camera that can give colour but was set up grey is switched to colour: no grey picture can be scored.

    Parameters
    ----------
    core : with a camera
    known : what the calibration knows
    """

    def __init__(self, core: Core, known: CameraState) -> None:
        self._core, self._known, self._label = core, known, core.getCameraDevice()
        self._snaps = False
        self._state, self._read_state_at_s = known, 0.0
        names = [str(name) for name in core.getDevicePropertyNames(self._label)]
        self._exposure_names = [name for name in names if _EXPOSURE.search(name) and not _WHITE.search(name)]
        self._white_names = [name for name in names if _WHITE.search(name)]
        self._has_gain = _GAIN in names
        if _PIXEL_TYPE in names:
            self._choose_colour()
        self._refuse_grey()
        self.bits = min(max(9, int(core.getImageBitDepth())), 16) if core.getBytesPerPixel() == 8 else 8
        """Bits per channel that the camera gives; more than 8 are scaled to 8."""

    def start(self) -> None:
        """Begin to take pictures; CameraNotFound where the camera refuses to."""
        core = self._core
        frame_mb = core.getImageWidth() * core.getImageHeight() * core.getBytesPerPixel() / 2**20
        core.setCircularBufferMemoryFootprint(max(MIN_BUFFER_MB, int(BUFFERED_FRAMES * frame_mb) + 1))
        try:
            core.startContinuousSequenceAcquisition(0.0)
        except Exception as error:  # noqa: BLE001 - the core raises whatever kind its wrapper chose
            self._snap_instead(error)

    def stop(self) -> None:
        """End the sequence, whatever the camera says to it."""
        if not self._snaps:
            with contextlib.suppress(Exception):  # what cannot be stopped is let go of with the core
                self._core.stopSequenceAcquisition()

    def newest(self) -> RgbImage | None:
        """Wait for a picture, `WAIT_S` at most; those before the newest are left out.

        Raises SequenceStopped where the camera stopped or failed, CameraError for a picture that is none.
        """
        try:
            pixels = self._snapped() if self._snaps else self._buffered()
        except Exception as error:  # noqa: BLE001 - the core raises whatever kind its wrapper chose
            raise SequenceStopped(in_words(error)) from error
        return None if pixels is None else to_rgb(pixels, self.bits, self._label)

    def state(self) -> CameraState:
        """How the camera is set, as far as it tells; read again every `STATE_EVERY_S`.

        A time, gain or white that the camera itself changes from frame to frame is no state.
        """
        now_s = time.monotonic()
        if now_s >= self._read_state_at_s:
            self._state = self._read_state()
            self._read_state_at_s = now_s + STATE_EVERY_S
        return self._state

    def hold(self) -> None:
        """Switch the camera's automatics off, at the values that they have come to.

        The state tells whether the camera did. It stops for it: most refuse to be set while they run.
        """
        automatic = [name for name in self._exposure_names + self._white_names if self._is_automatic(name)]
        if not automatic:
            return
        self.stop()
        came_to = {name: self._value(name) for name in self._settable(automatic)}
        exposure_ms = self._core.getExposure()
        for name in automatic:
            self._switch_off(name)
        with contextlib.suppress(Exception):  # the state says what came of it
            self._core.setExposure(exposure_ms)
        for name, value in came_to.items():
            with contextlib.suppress(Exception):
                if self._value(name) != value:
                    self._core.setProperty(self._label, name, value)
        self._read_state_at_s = 0.0
        self.start()

    # ---- pictures -------------------------------------------------------------------------------------------------

    def _snap_instead(self, error: Exception) -> None:
        """Take single pictures with a camera that knows no sequences; CameraNotFound where it gives none either."""
        try:
            self._core.snapImage()
        except Exception as snap_error:  # noqa: BLE001 - as above
            raise CameraNotFound(
                f"camera '{self._label}' cannot take pictures ({in_words(error)}; {in_words(snap_error)}). "
                "Check that it is switched on, and that live mode works in Micro-Manager."
            ) from error
        self._snaps = True

    def _snapped(self) -> object:
        self._core.snapImage()
        return self._core.getImage()

    def _buffered(self) -> object | None:
        """Newest picture of the buffer, which is emptied."""
        until_s = time.monotonic() + WAIT_S
        while not (waiting := self._core.getRemainingImageCount()):
            if not self._core.isSequenceRunning():
                raise SequenceStopped(f"camera '{self._label}' stopped its sequence")
            if time.monotonic() >= until_s:
                return None
            time.sleep(LOOK_EVERY_S)
        pixels = None
        with contextlib.suppress(IndexError):  # the buffer ran over and was emptied meanwhile
            for _ in range(waiting):
                pixels = self._core.popNextImage()
        return pixels

    def _choose_colour(self) -> None:
        offered = [str(value) for value in self._core.getAllowedPropertyValues(self._label, _PIXEL_TYPE)]
        colours = [value for value in offered if "rgb" in value.lower() or "bgr" in value.lower()]
        if not colours or self._value(_PIXEL_TYPE) in colours:
            return
        # Eight bits per channel are all that is measured: 32 bits per pixel before 64.
        chosen = min(colours, key=lambda value: ("32" not in value and "24" not in value, value))
        with contextlib.suppress(Exception):  # `_refuse_grey` says what it gives
            self._core.setProperty(self._label, _PIXEL_TYPE, chosen)

    def _refuse_grey(self) -> None:
        if self._core.getNumberOfComponents() == 4 and self._core.getBytesPerPixel() in (4, 8):
            return
        raise CameraNotFound(
            f"camera '{self._label}' gives grey pictures of {self._core.getImageBitDepth()} bits, and HER2 is read in "
            "colour. Set its pixel type or colour conversion to RGB in the configuration (group System, preset "
            "Startup), or use a colour camera."
        )

    # ---- settings -------------------------------------------------------------------------------------------------

    def _read_state(self) -> CameraState:
        try:
            automatic = any(self._is_automatic(name) for name in self._exposure_names)
            exposure_ms = None if automatic else float(self._core.getExposure()) or None
            gain = None if automatic or not self._has_gain else _number(self._value(_GAIN))
            white = self._white_balance()
        except Exception:  # noqa: BLE001 - an adapter that will not tell now: a state that is not known is equal to none
            return self._known
        return dataclasses.replace(self._known, exposure_ms=exposure_ms, gain=gain, white_balance=white)

    def _white_balance(self) -> str | None:
        """Every property that has to do with it, by name: makers agree on none."""
        if any(self._is_automatic(name) for name in self._white_names):
            return "auto"
        return ", ".join(f"{name} {self._value(name)}" for name in self._white_names) or None

    def _value(self, name: str) -> str:
        return str(self._core.getProperty(self._label, name))

    def _is_automatic(self, name: str) -> bool:
        if _NO_SWITCH.search(name):
            return False
        value = self._value(name).lower()
        return value in (_SWITCH_ON if "auto" in name.lower() else _OF_AUTOMATIC)

    def _settable(self, automatic: list[str]) -> list[str]:
        """Exposure, gain and white properties that hold values, not switches, and can be written."""
        names = [name for name in self._exposure_names + self._white_names if name not in automatic]
        return [name for name in names if not self._core.isPropertyReadOnly(self._label, name)]

    def _switch_off(self, name: str) -> None:
        offered = {str(value).lower(): value for value in self._core.getAllowedPropertyValues(self._label, name)}
        off = next((offered[word] for word in _SWITCH_OFF if word in offered), None)
        if off is not None:
            with contextlib.suppress(Exception):  # the state says `auto` where the camera refuses
                self._core.setProperty(self._label, name, off)


def to_rgb(pixels: object, bits: int, camera: str) -> RgbImage:
    """Turn a picture of Micro-Manager, `(H, W)` of B, G, R and one unused channel in 32 or 64 bits, into 8-bit RGB.

    More than 8 bits are scaled in proportion, full scale to 255, so that od10 stays as it was. Raises CameraError for
    any other picture.
    """
    if not isinstance(pixels, np.ndarray) or pixels.ndim != 2 or pixels.dtype not in (np.uint32, np.uint64):
        what = f"{pixels.shape} {pixels.dtype}" if isinstance(pixels, np.ndarray) else type(pixels).__name__
        raise CameraError(f"camera '{camera}' gives pictures that are not colour ({what}). Set its pixel type to RGB.")
    channel = np.dtype(np.uint8 if pixels.dtype == np.uint32 else np.uint16)
    bgra = np.ascontiguousarray(pixels).view(channel).reshape(*pixels.shape, 4)
    rgb = cv2.cvtColor(bgra, cv2.COLOR_BGRA2RGB)
    if channel == np.uint16:
        rgb = cv2.convertScaleAbs(rgb, alpha=255.0 / (2**bits - 1))
    return rgb


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
