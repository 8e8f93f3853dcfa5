"""What can be wrong with the pictures of a camera that still sends them: black, repeated, or of other colours."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from her2scope.imaging.opencv import cv2
from her2scope.records import RgbImage

SAMPLE_STEP = 8
"""Of the picture's pixels, along each side: the looks below then take 0.3 ms of a picture of two megapixels."""
BLACK_VALUE, BRIGHT_SHARE = 20, 0.01
"""Video of limited range has its black at 16 (ITU-R BT.601), and noise lies above it; hot pixels are far fewer than
1 %. The darkest fields that can be read have a mean of some 60."""
CLIPPED_VALUE, CLIPPED_SHARE = 254, 0.99
"""A picture that is white all over shows no noise, and may repeat."""
REPEATED_S, MIN_REPEATS = 0.5, 2
"""A driver that gives a picture twice now and then makes up for another frame rate."""
THUMB_WH = (12, 9)
"""Coarse enough that a view on its way (by 2 % of its height between two frames) still compares."""
LEAST_CHANGE, SWAPPED_RATIO = 4.0, 0.4
"""Mean change in grey levels, and what of it may be left once red and blue are exchanged. One tissue after another, of
70 drawn fields of 14 runs in all pairs, leaves 0.57 at least; red and blue exchanged at rest leave 0."""
LEAST_CHROMA, GREY_RATIO, GREY_LIGHT_RATIO = 8.0, 0.1, 0.2
"""Chroma (greatest less least channel, mean) that a picture must have had before, the share of it that is left in a
grey one, and the change of lightness as a share of it. The same pairs leave 0.17 of the chroma at least; empty glass
leaves less, and its lightness changes by 0.31 at least."""
_LIGHTNESS = np.array([0.299, 0.587, 0.114], np.float32)
"""Of red, green and blue (ITU-R BT.601)."""
Thumb = NDArray[np.float32]
"""`(9, 12, 3)`: mean values of a picture's parts."""


@dataclass(frozen=True, slots=True)
class PictureFault:
    """Why a picture is not live."""

    text: str
    reopens: bool
    """Whether opening the camera again may mend it."""


BLACK = PictureFault(
    "the picture is black: not live. Switch the light on, open the shutter, or turn an objective in. If all that is "
    "so, reconnect (F5)",
    # Most often a lamp that is off: opening again would give up the held exposure, and motor stands find their zero.
    reopens=False,
)
REPEATED = PictureFault(
    "the camera repeats one picture, to the bit: it is frozen, not live. If it stays so, unplug the camera, plug it in "
    "and reconnect (F5)",
    reopens=True,
)
SWAPPED = PictureFault(
    "red and blue are exchanged since a moment ago: not live. Set the camera's pixel format back; if the colours are "
    "right now, reconnect (F5)",
    reopens=True,
)
GREY = PictureFault(
    "the picture has lost its colours since a moment ago: not live. Set the camera back to colour; if it is right so, "
    "reconnect (F5)",
    reopens=True,
)


class PictureFaults:
    """Looks at each picture of a source, by the pictures before it. Used by one thread.

    Parameters
    ----------
    has_noise : the source's sensor makes no two pictures alike
    keeps_colours : the source has one camera's colours; a folder of pictures need not
    """

    def __init__(self, *, has_noise: bool, keeps_colours: bool) -> None:
        self._repeats = _Repeats() if has_noise else None
        self._colours = _Colours() if keeps_colours else None

    def look(self, rgb: RgbImage, now_s: float) -> PictureFault | None:
        """What is wrong with a picture that came at `now_s` (monotonic), None where nothing is."""
        sample = _sample_of(rgb)
        if _is_black(sample):
            return BLACK
        if self._repeats is not None and self._repeats.look(rgb, sample, now_s):
            return REPEATED
        return self._colours.look(sample) if self._colours is not None else None

    def trust_colours(self) -> None:
        """The reader says that the colours of what comes next are right."""
        if self._colours is not None:
            self._colours = _Colours()


def _sample_of(rgb: RgbImage) -> RgbImage:
    """Some of a picture's pixels, as a picture of its own; by channels, as numpy takes four times as long by pixels."""
    few = rgb[::SAMPLE_STEP, ::SAMPLE_STEP]
    sample: RgbImage = np.empty(few.shape, np.uint8)
    for channel in range(3):
        sample[..., channel] = few[..., channel]
    return sample


def _is_black(sample: RgbImage) -> bool:
    red, green, blue = cv2.split(sample)
    brightest = cv2.max(cv2.max(red, green), blue)
    return bool(np.count_nonzero(brightest > BLACK_VALUE) <= BRIGHT_SHARE * brightest.size)


class _Repeats:
    """Pictures that are the same to the bit. A source that never showed any noise is not held to it."""

    def __init__(self) -> None:
        self._last: tuple[RgbImage, RgbImage] | None = None
        """The last picture, and a sample of it."""
        self._since_s, self._n, self._has_shown_noise = 0.0, 0, False

    def look(self, rgb: RgbImage, sample: RgbImage, now_s: float) -> bool:
        last, self._last = self._last, (rgb, sample)
        is_alike = last is not None and last[0].shape == rgb.shape
        if last is None or not is_alike or not _are_same(last, (rgb, sample)):
            self._has_shown_noise = self._has_shown_noise or is_alike
            self._since_s, self._n = now_s, 0
            return False
        self._n += 1
        lasts = self._n >= MIN_REPEATS and now_s - self._since_s >= REPEATED_S
        return lasts and self._has_shown_noise and not _is_clipped(sample)


def _are_same(one: tuple[RgbImage, RgbImage], other: tuple[RgbImage, RgbImage]) -> bool:
    """Whether two pictures are, of which the samples already tell most pairs apart."""
    return np.array_equal(one[1], other[1]) and np.array_equal(one[0], other[0])


def _is_clipped(sample: RgbImage) -> bool:
    return bool(np.count_nonzero(sample >= CLIPPED_VALUE) >= CLIPPED_SHARE * sample.size)


class _Kind(Enum):
    """Colours of a picture against those of the first one."""

    TRUE = "true"
    SWAPPED = "swapped"
    GREY = "grey"


class _Colours:
    """Notices the moment at which the view stays and its colours change: no slide does that."""

    def __init__(self) -> None:
        self._before: Thumb | None = None
        self._chroma = 0.0
        """Of the last picture in true colours."""
        self._kind = _Kind.TRUE

    def look(self, sample: RgbImage) -> PictureFault | None:
        thumb = cv2.resize(sample, THUMB_WH, interpolation=cv2.INTER_AREA).astype(np.float32)
        before, self._before = self._before, thumb
        if before is not None:
            self._kind = self._kind_after(before, thumb)
        if self._kind is _Kind.TRUE:
            self._chroma = _chroma(thumb)
        return {_Kind.TRUE: None, _Kind.SWAPPED: SWAPPED, _Kind.GREY: GREY}[self._kind]

    def _kind_after(self, before: Thumb, now: Thumb) -> _Kind:
        if self._kind is _Kind.GREY:
            return _Kind.TRUE if _chroma(now) > GREY_RATIO * self._chroma else _Kind.GREY
        if _is_swapped(before, now):
            return _Kind.TRUE if self._kind is _Kind.SWAPPED else _Kind.SWAPPED
        return _Kind.GREY if self._kind is _Kind.TRUE and _is_greyed(before, now) else self._kind


def _is_swapped(before: Thumb, now: Thumb) -> bool:
    change = float(np.abs(now - before).mean())
    return change >= LEAST_CHANGE and float(np.abs(now[..., ::-1] - before).mean()) <= SWAPPED_RATIO * change


def _is_greyed(before: Thumb, now: Thumb) -> bool:
    chroma = _chroma(before)
    lighter = float(np.abs((now - before) @ _LIGHTNESS).mean())
    return chroma >= LEAST_CHROMA and _chroma(now) <= GREY_RATIO * chroma and lighter <= GREY_LIGHT_RATIO * chroma


def _chroma(thumb: Thumb) -> float:
    return float((thumb.max(axis=2) - thumb.min(axis=2)).mean())
