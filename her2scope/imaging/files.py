"""Image files in and out: 8-bit RGB or a clear refusal, never a silent conversion.

What is read, and what becomes of it:

- PNG, TIFF, JPEG and BMP with three channels of 8 bits. The kind is told by the bytes, not by the suffix.
- An orientation that the file states (EXIF in JPEG and PNG, the TIFF tag) is applied: the picture is the one that every
  viewer shows, and cell positions and masks refer to that one.
- An alpha channel that hides nothing is left out; any see-through pixel is refused: its colour is no measurement.
- A colour profile in the file is not applied: the calibration says how the camera responds.
- Palettes, 16-bit, grey (also grey saved as RGB), CMYK, several pictures in one file, damaged files: refused.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.errors import BadInputError, UnreadableImageError
from her2scope.imaging.headers import DamagedImageError, ImageHeader, UnknownFormatError, read_header
from her2scope.imaging.opencv import cv2
from her2scope.records import RgbImage

IMAGE_SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp")
MAX_PIXELS = 150_000_000
"""Largest picture taken for a field: twice the pixels of the largest microscope cameras. Beyond it lie whole slides."""
MAX_FILE_BYTES = 4 * MAX_PIXELS

_AS_RGB = "Export it as 8-bit RGB PNG, TIFF or JPEG."
_AGAIN = "Export or copy it again."
_ONE_FIELD = "Export each field as an image of its own."
_NO_COLOUR = "brown and blue cannot be told apart"
_FROM_COLOUR_CAMERA = "Take the picture with a colour camera, or export it as RGB."


def read_rgb(path: Path) -> RgbImage:
    """Read an image file as RGB.

    Parameters
    ----------
    path : Path
        PNG, TIFF, JPEG or BMP; see the module's text for what is accepted.

    Returns
    -------
    (H, W, 3) uint8
        R first, upright as viewers show it, in memory of its own.

    Raises
    ------
    UnreadableImageError
        With what is wrong and what to do, for everything else.
    """
    data = _read_bytes(path)
    header = _checked_header(path, data)
    rgb = _decode_rgb(path, data)
    if header.alpha and _hides_something(data):
        raise UnreadableImageError(path, "parts of it are transparent", "Flatten it on white and export it as RGB.")
    if _is_grey(rgb):
        raise UnreadableImageError(path, f"its three channels are equal (grey): {_NO_COLOUR}", _FROM_COLOUR_CAMERA)
    return rgb


def list_images(folder: Path) -> list[Path]:
    """Image files of a folder (not of those inside it), as a reader counts: `field 2` before `field 10`.

    Raises BadInputError where there is no such folder or no image in it. Hidden files are left out: other systems leave
    small ones named like an image (`._field.png`).
    """
    try:
        names = [entry.name for entry in os.scandir(folder) if entry.is_file()]
    except FileNotFoundError:
        raise BadInputError(f"{folder}: no such folder. Check the path.") from None
    except NotADirectoryError:
        raise BadInputError(f"{folder}: this is a file. Give the folder that it lies in.") from None
    except OSError as error:
        raise BadInputError(
            f"{folder}: the folder cannot be read ({error.strerror}). Check its permissions."
        ) from error
    images = [name for name in names if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")]
    if not images:
        raise BadInputError(f"{folder}: no image in this folder. Read are {', '.join(IMAGE_SUFFIXES)}.")
    return [folder / name for name in sorted(images, key=_natural_key)]


def encode_png(image: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    """Encode `(H, W, 3)` uint8 RGB, or a `(H, W)` uint8 or uint16 plane, as PNG: exact, the same bytes every time."""
    is_rgb = image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8
    if not is_rgb and not (image.ndim == 2 and image.dtype in (np.uint8, np.uint16)):
        raise ValueError(f"a PNG is (H, W, 3) uint8 or (H, W) uint8 or uint16, not {image.shape} {image.dtype}")
    done, png = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if is_rgb else np.ascontiguousarray(image))
    if not done:
        raise ValueError(f"OpenCV could not encode a {image.shape} {image.dtype} image")
    return png.tobytes()


def write_png(path: Path, image: RgbImage) -> None:
    """Write an RGB image as PNG, aside and then renamed; BadInputError where it cannot be written."""
    _write_bytes(path, encode_png(image))


def write_mask(path: Path, mask: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
    """Write a `(H, W)` mask (uint8) or label image (uint16) as PNG, aside and then renamed."""
    if mask.ndim != 2:
        raise ValueError(f"a mask is (H, W), not {mask.shape}")
    _write_bytes(path, encode_png(mask))


# ---- reading ------------------------------------------------------------------------------------------------------


def _read_bytes(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise UnreadableImageError(path, "this is a folder", "Give the image files in it.")
        if path.exists() and not path.is_file():
            raise UnreadableImageError(path, "this is a device, not a file", "Give an image file.")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise UnreadableImageError(path, "far larger than one field, perhaps a whole slide", _ONE_FIELD)
        data = path.read_bytes()
    except FileNotFoundError:
        raise UnreadableImageError(path, "no such file", "Check the path.") from None
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        why = getattr(error, "strerror", None) or str(error)
        raise UnreadableImageError(path, f"cannot be read ({why})", "Check the name and its permissions.") from error
    if not data:
        raise UnreadableImageError(path, "the file is empty", _AGAIN)
    return data


def _checked_header(path: Path, data: bytes) -> ImageHeader:
    """Header of the file, or the refusal that it deserves."""
    try:
        header = read_header(data)
    except UnknownFormatError as error:
        raise UnreadableImageError(path, str(error)) from None
    except DamagedImageError as error:
        raise UnreadableImageError(path, str(error), _AGAIN) from None
    if refusal := _refusal(header):
        raise UnreadableImageError(path, *refusal)
    return header


def _refusal(header: ImageHeader) -> tuple[str, str] | None:
    """Why a picture with this header cannot be scored, and what to do; None where it can."""
    if header.pictures != 1:
        return f"the file holds {header.pictures} pictures and it is not said which is the field", _ONE_FIELD
    if header.width < 1 or header.height < 1:
        return "the picture has no pixels", _AGAIN
    if header.width * header.height > MAX_PIXELS:
        return f"{header.width} x {header.height} pixels are no single field, perhaps a whole slide", _ONE_FIELD
    if header.palette:
        return "a palette of at most 256 colours: shades of brown are merged", _AS_RGB
    if header.channels == 1:
        depth = f"{header.bits}-bit " if header.bits != 8 else ""
        return f"single-channel {depth}image: {_NO_COLOUR}", _FROM_COLOUR_CAMERA
    if header.bits > 8:
        return f"{header.bits}-bit image: only 8 bits per channel are read", _AS_RGB
    if header.bits < 8:
        return f"{header.bits}-bit image: too coarse for measuring stain", _AS_RGB
    if header.channels != 3:
        return "CMYK (print) colours, not those of the camera", _AS_RGB
    return None


def _decode_rgb(path: Path, data: bytes) -> RgbImage:
    # ANYDEPTH: should the header have been misread, 16 bits stay visible instead of being cut to 8.
    bgr = _decode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if bgr is None:
        raise UnreadableImageError(path, "the picture is damaged, or packed in a way that is not known here", _AGAIN)
    if bgr.ndim != 3 or bgr.shape[2] != 3 or bgr.dtype != np.uint8:
        raise UnreadableImageError(path, f"{bgr.dtype} samples: only 8 bits per channel are read", _AS_RGB)
    return cast(RgbImage, cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))


def _decode(data: bytes, flags: int) -> NDArray[np.generic] | None:
    try:
        return cast("NDArray[np.generic] | None", cv2.imdecode(np.frombuffer(data, np.uint8), flags))
    except cv2.error:
        return None


def _hides_something(data: bytes) -> bool:
    """Whether any pixel is not fully opaque."""
    bgra = _decode(data, cv2.IMREAD_UNCHANGED)
    return bgra is not None and bgra.ndim == 3 and bgra.shape[2] == 4 and bool((bgra[..., 3] != 255).any())


def _is_grey(rgb: RgbImage) -> bool:
    """Whether all channels are equal everywhere, in a picture of more than one tone.

    A blank picture (an empty field in a saturated camera, a covered lens) has no colours either, but that is no fault
    of the file: the quality gate says what it is.
    """
    sample = rgb[::16, ::16]
    if (sample != sample[..., :1]).any():  # nearly always; spares the whole picture
        return False
    return bool((rgb == rgb[..., :1]).all()) and bool(rgb.min() != rgb.max())


# ---- writing and sorting ------------------------------------------------------------------------------------------


def _write_bytes(path: Path, data: bytes) -> None:
    aside = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(data)
        os.replace(aside, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise BadInputError(
            f"{path}: cannot be written ({error.strerror}). Check the folder, its permissions and the free space."
        ) from error


def _natural_key(name: str) -> list[tuple[int, int | str]]:
    """Sort key in which runs of digits count as numbers."""
    parts = re.split(r"([0-9]+)", name.casefold())
    # The name itself last: `a1` and `A01` keep one order on every machine.
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts] + [(2, name)]
