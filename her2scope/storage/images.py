"""A case's images: lossless PNG files, each named by the digest of its pixels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.errors import CaseDamagedError
from her2scope.imaging.opencv import cv2
from her2scope.records import image_digest
from her2scope.storage.durable_files import flush_folder, write_durably
from her2scope.storage.failures import damaged

Image = NDArray[np.uint8]
DIGEST = re.compile(r"[0-9a-f]{64}")


def check_image(image: Image) -> None:
    """Raise ValueError where `image` is neither `(H, W, 3)` RGB nor an `(H, W)` mask, uint8."""
    is_picture = image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)
    if not is_picture or image.dtype != np.uint8 or image.size == 0:
        raise ValueError(f"a stored image is (H, W, 3) or (H, W) uint8, not {image.shape} {image.dtype}")


class ImageFolder:
    """The folder `images` of one case; failures of the disk leave it as OSError."""

    def __init__(self, folder: Path, case_id: str) -> None:
        self.folder = folder
        self._case_id = case_id

    def add(self, images: Sequence[Image]) -> list[Path]:
        """Store what is not there yet; durable when it returns. Gives the new files; after an error there are none."""
        new: list[Path] = []
        try:
            for image in images:
                digest = image_digest(image)
                if not self._holds(digest):
                    write_durably(self._path(digest), _as_png(image))
                    new.append(self._path(digest))
            if images:
                flush_folder(self.folder)
        except BaseException:
            remove(new)
            raise
        return new

    def read(self, digest: str) -> Image:
        """Image with that digest, read-only; CaseDamagedError where it is missing or altered."""
        if not DIGEST.fullmatch(digest):
            raise damaged(self._case_id, f"it names an image {digest!r:.80}, which is no digest")
        path = self._path(digest)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise damaged(self._case_id, f"its image {path.name} is missing") from None
        image = _from_png(content)
        if image is None or image_digest(image) != digest:
            raise damaged(self._case_id, f"its image {path.name} was altered")
        image.setflags(write=False)
        return image

    def _holds(self, digest: str) -> bool:
        """Whether the image is there and whole; an altered one is to be written anew."""
        try:
            self.read(digest)
        except CaseDamagedError:
            return False
        return True

    def _path(self, digest: str) -> Path:
        return self.folder / f"{digest}.png"


def remove(paths: Sequence[Path]) -> None:
    """Take back images of an event that was not saved, where that is still possible."""
    for path in paths:
        with suppress(OSError):
            path.unlink()


def _as_png(image: Image) -> bytes:
    # OpenCV's channels are blue first.
    pixels = image if image.ndim == 2 else cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2BGR)
    encoded, png = cv2.imencode(".png", pixels)
    if not encoded:
        raise ValueError(f"an image of shape {image.shape} cannot be written as PNG")
    return png.tobytes()


def _from_png(content: bytes) -> Image | None:
    """Pixels of a PNG file, None where it is none."""
    try:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if pixels is None or pixels.dtype != np.uint8:
        return None
    if pixels.ndim == 3 and pixels.shape[2] == 3:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)
    return np.asarray(pixels, np.uint8)
