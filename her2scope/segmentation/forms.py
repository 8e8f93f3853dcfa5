"""The two forms of a model file: how each takes a picture and what planes it gives.

Files for a graphics card, and of other makers, take 32-bit shares of the white and give whole maps. Files for a
processor (`training.processor_graph`) take the bytes that their first rounding step would make of those shares, and
give each 2x2 pixels' phases apart: putting them side by side is cheaper here than in the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from her2scope.imaging.opencv import cv2
from her2scope.records import RgbImage
from her2scope.segmentation.maps import HALF, N_REACHES, QUARTER
from her2scope.segmentation.sessions import Session

Floats = NDArray[np.float32]
Outputs = Mapping[str, Floats]

INPUT = "picture"
OUTPUTS: Mapping[str, tuple[int, int]] = {
    "membrane": (2, 1),
    "nuclei": (5, HALF),
    "context": (1 + N_REACHES, QUARTER),
}
"""Of a file that takes 32-bit shares: channels of each output, and how many times smaller than the picture it is."""
PLANES: Mapping[str, tuple[int, int]] = {
    "membrane": (1, 1),
    "nuclei": (3, HALF),
    "offset_um": (2, HALF),
    "tissue": (1, QUARTER),
    "reach_um": (N_REACHES, QUARTER),
}
"""What either form gives: planes of each name, and how many times smaller than the picture they are."""
PIXELS_OF_PLACE = 4
"""Pixels of a row that a processor's file takes as one place."""
MARGIN_PX = 2
"""To the left and right of such a picture: with it, the first layers begin and end on whole places."""
PHASES: Mapping[str, tuple[int, int, int]] = {
    "membrane": (HALF, QUARTER, 1),
    "nuclei": (HALF, HALF, 3),
    "offset_um": (HALF, HALF, 2),
}
"""Outputs of a processor's file whose pixels come apart: rows and columns of a phase, and planes."""
LEVEL_STEP, LEVEL_ZERO = "level_step", "level_zero"
"""Entries of a processor's file: what a step of the picture's bytes stands for, and the byte that stands for 0."""


class Form(Protocol):
    """How a model file is used."""

    def run(self, session: Session, rgb: RgbImage, white_rgb: Sequence[float]) -> Outputs:
        """`PLANES` of a picture of whole blocks, each `(C, H, W)`, in memory of their own."""


def form_of(session: Session) -> Form:
    """The form of a loaded file: what it takes says it."""
    if session.get_inputs()[0].type != "tensor(uint8)":
        return SharesForm()
    facts = session.get_modelmeta().custom_metadata_map
    return BytesForm(np.float32(facts[LEVEL_STEP]), int(facts[LEVEL_ZERO]))


def share_of_white(white: float) -> Floats:
    """Share (0..1) of the white that each of the 256 values of a channel is."""
    return np.minimum(np.arange(256) / max(float(white), 1.0), 1.0).astype(np.float32)


# ---- 32-bit shares ------------------------------------------------------------------------------------------------


class SharesForm:
    """32-bit shares of the white in, whole maps out."""

    def run(self, session: Session, rgb: RgbImage, white_rgb: Sequence[float]) -> Outputs:
        """See `Form`; ValueError where the model gives something else than `OUTPUTS`."""
        found = _answered(session, list(OUTPUTS), picture_of(rgb, white_rgb))
        for name, (n, by) in OUTPUTS.items():
            _check_shape(name, found[name], (1, n, rgb.shape[0] // by, rgb.shape[1] // by))
        membrane, nuclei, context = (found[name][0] for name in OUTPUTS)
        n_nuclei = PLANES["nuclei"][0]
        planes = membrane[:1], nuclei[:n_nuclei], nuclei[n_nuclei:], context[:1], context[1:]
        return dict(zip(PLANES, planes, strict=True))


def picture_of(rgb: RgbImage, white_rgb: Sequence[float]) -> Floats:
    """The input `(1, 3, H, W)` of a file that takes shares: each channel as a share (0..1) of the white."""
    picture = np.empty((1, 3, *rgb.shape[:2]), np.float32)
    for channel, (plane, white) in enumerate(zip(cv2.split(rgb), white_rgb, strict=True)):
        picture[0, channel] = cv2.LUT(plane, share_of_white(white)).reshape(plane.shape)
    return picture


# ---- bytes --------------------------------------------------------------------------------------------------------


class BytesForm:
    """Rounded shares in, phases out. Keeps the picture's memory from frame to frame.

    Parameters
    ----------
    step, zero : of the model's first rounding: byte `b` stands for `(b - zero) * step`, on a scale of -1 to 1
    """

    def __init__(self, step: np.float32, zero: int) -> None:
        self._step, self._zero = step, zero
        self._picture = np.empty((1, 0, 0, 3), np.uint8)

    def run(self, session: Session, rgb: RgbImage, white_rgb: Sequence[float]) -> Outputs:
        """See `Form`; ValueError where the model gives other planes."""
        found = _answered(session, list(PLANES), self._bytes(rgb, white_rgb))
        for name, (n, by) in PLANES.items():
            rows, columns, _ = PHASES.get(name, (1, 1, n))
            shape = (1, n * rows * columns, rgb.shape[0] // (by * rows), rgb.shape[1] // (by * columns))
            _check_shape(name, found[name], shape)
        return {name: joined(plane[0], *PHASES[name]) if name in PHASES else plane[0] for name, plane in found.items()}

    def _bytes(self, rgb: RgbImage, white_rgb: Sequence[float]) -> NDArray[np.uint8]:
        """The input `(1, H, W + 2 * MARGIN_PX, 3)`; beside the picture is what stands for 0, as within the model."""
        height, width, _ = rgb.shape
        if self._picture.shape[1:3] != (height, width + 2 * MARGIN_PX):
            self._picture = np.full((1, height, width + 2 * MARGIN_PX, 3), self._zero, np.uint8)
        table = np.stack([levels_of(share_of_white(white), self._step, self._zero) for white in white_rgb], axis=1)
        cv2.LUT(rgb, table[None], dst=self._picture[0, :, MARGIN_PX : MARGIN_PX + width])
        return self._picture


def levels_of(shares: Floats, step: np.float32, zero: int) -> NDArray[np.uint8]:
    """Bytes of shares, as the model's own first layers would round them: the same 32-bit steps in the same order."""
    shown = np.float32(2) * shares - np.float32(1)
    return np.clip(np.rint(shown / step) + zero, 0, 255).astype(np.uint8)


def joined(phases: Floats, rows: int, columns: int, planes: int) -> Floats:
    """Planes `(planes, rows * H, columns * W)` of their phases `(C, H, W)`.

    Phases come column pair by column pair, then plane by plane, row by row, column by column.
    """
    _, height, width = phases.shape
    apart = phases.reshape(columns // HALF, planes, rows, HALF, height, width)
    whole = np.empty((planes, height, rows, width, columns), np.float32)
    for plane in range(planes):
        for row in range(rows):
            in_turn = [apart[pair, plane, row, side] for pair in range(columns // HALF) for side in range(HALF)]
            cv2.merge(in_turn, dst=whole[plane, :, row])
    return whole.reshape(planes, rows * height, columns * width)


def _answered(session: Session, names: Sequence[str], picture: NDArray[Any]) -> Outputs:
    """A model's outputs by name; ValueError where it gives fewer."""
    found = session.run(names, {INPUT: picture})
    if len(found) != len(names):
        raise ValueError(f"it gives {len(found)} of {len(names)} outputs")
    return dict(zip(names, found, strict=True))


def _check_shape(name: str, values: NDArray[Any], shape: tuple[int, ...]) -> None:
    if values.shape != shape:
        raise ValueError(f"its output '{name}' is {values.shape}, not {shape}")
