"""White reference and flat field from pictures of an empty field: glass, mounting medium and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.errors import BadInputError
from her2scope.imaging.calibration.refusal import MeasurementRefused
from her2scope.imaging.opencv import cv2
from her2scope.imaging.quality import CLIPPED_HIGH
from her2scope.imaging.stains import hat_weights
from her2scope.records import RgbImage
from her2scope.settings import FlatField, Vector

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

GRID_ROWS, GRID_COLUMNS = 7, 9
"""Places of the flat field: between them shading of 20 % bends by less than 0.001 od10, and 63 places of three numbers
are stored with each case."""
BLOCK_ROWS, BLOCK_COLUMNS = 36, 48
"""Blocks whose medians the flat field is fitted to: a block is smaller than a nucleus at 40x."""
MAX_CLIPPED_SHARE = 0.002
MIN_WHITE = 100.0
"""Darkest white that still leaves 2 od10 above the camera's last steps; under it the exposure is wrong."""
DUST_OD10 = 0.015
"""Darker or brighter than the smooth light by this, after averaging over some pixels: dust, or something on the slide.
Pale nuclei have 0.04 and more, the camera's noise, so averaged, 0.003."""
MAX_DUST_SHARE = 0.01
MAX_STRANGE_SHARE = 0.04
"""Share of the picture that differs from the smooth light, from which it is no dust but tissue, a pen or an edge."""
COLOURED_OD10 = 0.02
"""Difference of channels by which what differs is coloured, as stain is."""
MAX_SOFT_OD10 = 0.0025
"""Deviation of the light from a smooth surface where there is no dust: more is debris or tissue far out of focus."""
MIN_EVEN = 0.6
"""Least of the light (in camera values) in the darkest corner by the brightest place: less is a condenser or a
diaphragm out of place, which no flat field should hide."""
MAX_FLICKER = 0.02
"""Relative difference of pictures as a whole: exposure, lamp or white balance are not locked."""
MAX_MOVED = 0.03
"""The same of single places: something moved, or another place of the slide was taken."""
SURFACE_DEGREE = 4
"""Vignetting goes with the fourth power of the distance from the middle."""


@dataclass(frozen=True, slots=True, eq=False)
class EmptyField:
    """White and shading of a microscope, and what they were read from."""

    white_rgb: Vector
    """Where it is brightest, 0..255."""
    flat_field: FlatField
    even_share: Vector
    """Darkest place by the brightest, per channel."""
    dust_share: float
    n_pictures: int
    dust: NDArray[np.bool_]
    """`(h, w)` of the reduced picture: what was left out."""


def measure_empty_field(pictures: Sequence[RgbImage]) -> EmptyField:
    """Measure white and flat field.

    Parameters
    ----------
    pictures : of one empty place, or of several, each (H, W, 3) uint8 and all of one size. Several lessen the noise,
        and what differs between them shows.

    Raises
    ------
    MeasurementRefused
        Codes `clipped`, `dark`, `flicker`, `moved`, `tissue`, `dust`, `debris`, `uneven`.
    """
    if not pictures:
        raise BadInputError("no picture of an empty field was given. Give one or more.")
    sizes = {picture.shape for picture in pictures}
    if len(sizes) > 1 or min(pictures[0].shape[:2]) < 128:
        raise BadInputError("pictures of an empty field must be of one size, at least 128 px each way.")
    _check_exposure(pictures)
    small = [_reduced(picture) for picture in pictures]
    _check_alike(small)
    mean = np.mean(small, axis=0)
    surface, dust = _smooth_light(mean)
    _check_empty(mean, surface, dust)
    return _fitted(mean, surface, dust, len(pictures))


# ---- refusals -----------------------------------------------------------------------------------------------------


def _check_exposure(pictures: Sequence[RgbImage]) -> None:
    for number, picture in enumerate(pictures, start=1):
        clipped = (picture >= CLIPPED_HIGH).mean(axis=(0, 1))
        if clipped.max() > MAX_CLIPPED_SHARE:
            raise MeasurementRefused(
                "clipped",
                f"picture {number}: {100 * clipped.max():.1f} % of {_channel(clipped)} is clipped (limit "
                f"{100 * MAX_CLIPPED_SHARE:g} %), so its white is not known. Expose shorter, so that glass reads 200 "
                "to 245.",
            )
        middle = np.median(picture[::4, ::4], axis=(0, 1))
        if middle.min() < MIN_WHITE:
            raise MeasurementRefused(
                "dark",
                f"picture {number}: {_channel(-middle)} reads {middle.min():.0f} (limit {MIN_WHITE:g}). This is no "
                "bright empty field: expose longer, so that glass reads 200 to 245.",
            )


def _channel(values: Floats) -> str:
    return ("red", "green", "blue")[int(np.argmax(values))]


def _reduced(picture: RgbImage) -> Floats:
    """Picture at about 480 px of width, by area averaging."""
    factor = min(1.0, 480.0 / picture.shape[1])
    small = cv2.resize(picture.astype(np.float32), None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(small, (0, 0), 1.0), dtype=np.float64)


def _check_alike(pictures: Sequence[Floats]) -> None:
    """Refuse pictures that differ in brightness or colour, or at single places."""
    whites = np.array([np.median(picture, axis=(0, 1)) for picture in pictures])
    flicker = float(np.max(np.ptp(whites, axis=0) / whites.mean(axis=0)))
    if flicker > MAX_FLICKER:
        raise MeasurementRefused(
            "flicker",
            f"the pictures differ in brightness or colour by {100 * flicker:.1f} % (limit {100 * MAX_FLICKER:g} %). "
            "Lock exposure and white balance, let the lamp warm up, and take them again.",
        )
    places = np.array([_block_medians(picture / white) for picture, white in zip(pictures, whites, strict=True)])
    moved = float(np.max(np.ptp(places, axis=0)))
    if moved > MAX_MOVED:
        raise MeasurementRefused(
            "moved",
            f"the pictures differ by {100 * moved:.1f} % at single places (limit {100 * MAX_MOVED:g} %): there is "
            "something on the slide, or the light moved. Find a clean place, or clean the slide.",
        )


def _check_empty(mean: Floats, surface: Floats, dust: Flags) -> None:
    od10 = -np.log10(mean / surface)
    share = float(dust.mean())
    if share > MAX_STRANGE_SHARE or share > MAX_DUST_SHARE:
        colour = float(np.median(np.ptp(od10[dust], axis=1)))
        is_tissue = share > MAX_STRANGE_SHARE or colour > COLOURED_OD10
        what = "tissue, a pen mark or an edge" if is_tissue else "dust or dirt"
        remedy = "Move to a place without tissue" if is_tissue else "Clean slide, condenser and camera, or move on"
        limit = 100 * MAX_DUST_SHARE
        raise MeasurementRefused(
            "tissue" if is_tissue else "dust",
            f"{100 * share:.1f} % of the field is not empty ({what}; limit {limit:g} %). {remedy}.",
        )
    clean = np.where(dust[..., None], np.nan, od10)
    soft = float(np.nanmax(np.nanstd(_block_medians(clean), axis=(0, 1))))
    if soft > MAX_SOFT_OD10:
        raise MeasurementRefused(
            "debris",
            f"the light has soft spots ({soft:.4f} od10, limit {MAX_SOFT_OD10:g}): debris or tissue out of focus. Move "
            "to a clean place, set the condenser (Koehler), and clean it.",
        )
    even = (surface.min(axis=(0, 1)) / surface.max(axis=(0, 1))).min()
    if even < MIN_EVEN:
        raise MeasurementRefused(
            "uneven",
            f"the darkest corner has {100 * even:.0f} % of the brightest place (limit {100 * MIN_EVEN:g} %). Centre "
            "the condenser and open the field diaphragm (Koehler), then measure again.",
        )


# ---- smooth light -------------------------------------------------------------------------------------------------


def _smooth_light(mean: Floats) -> tuple[Floats, Flags]:
    """Smooth surface through the light, `(h, w, 3)`, and where the picture differs from it.

    Fitted to block medians, again and again without the blocks that differ.
    """
    blocks = np.log10(_block_medians(mean))
    columns, at_pixels = _powers(*blocks.shape[:2]), _powers(*mean.shape[:2])
    flat = blocks.reshape(-1, 3)
    kept = np.ones(len(flat), bool)
    for _ in range(5):
        factors, *_ = np.linalg.lstsq(columns[kept], flat[kept], rcond=None)
        away = np.abs(flat - columns @ factors).max(axis=1)
        kept = away <= max(0.5 * DUST_OD10, 3.0 * float(np.median(away)))
    surface = 10.0 ** (at_pixels @ factors).reshape(mean.shape)
    differs = (np.abs(np.log10(mean / surface)).max(axis=2) > DUST_OD10).astype(np.uint8)
    return surface, cv2.dilate(differs, np.ones((3, 3), np.uint8)).astype(bool)


def _powers(height: int, width: int) -> Floats:
    """Products of powers of the place, `(height * width, terms)`; places run from -1 to 1."""
    y, x = np.meshgrid(_middles(height), _middles(width), indexing="ij")
    terms = [x**i * y**j for i in range(SURFACE_DEGREE + 1) for j in range(SURFACE_DEGREE + 1 - i)]
    return np.stack(terms, axis=-1).reshape(height * width, -1)


def _middles(n: int) -> Floats:
    return 2.0 * (np.arange(n) + 0.5) / n - 1.0


def _block_medians(picture: Floats) -> Floats:
    """Median of each block, `(BLOCK_ROWS, BLOCK_COLUMNS, 3)`; NaN, which is left out, where there is nothing else."""
    rows = np.linspace(0, picture.shape[0], BLOCK_ROWS + 1).astype(int)
    columns = np.linspace(0, picture.shape[1], BLOCK_COLUMNS + 1).astype(int)
    medians = np.full((BLOCK_ROWS, BLOCK_COLUMNS, 3), np.nan)
    for i in range(BLOCK_ROWS):
        for j in range(BLOCK_COLUMNS):
            block = picture[rows[i] : rows[i + 1], columns[j] : columns[j + 1]].reshape(-1, 3)
            block = block[~np.isnan(block).any(axis=1)]
            if len(block):
                medians[i, j] = np.median(block, axis=0)
    return medians


def _fitted(mean: Floats, surface: Floats, dust: Flags, n_pictures: int) -> EmptyField:
    """Flat field by least squares: the grid whose bilinear surface lies nearest to the picture, dust filled in."""
    clean = np.where(dust[..., None], surface, mean)
    over_y, over_x = (
        np.linalg.pinv(hat_weights(size, n).astype(np.float64))
        for size, n in zip(clean.shape[:2], (GRID_ROWS, GRID_COLUMNS), strict=True)
    )
    grid = np.einsum("ry,yxp,cx->rcp", over_y, clean, over_x, optimize=True)
    white = grid.max(axis=(0, 1))
    shares = np.round(grid / white, 4)
    red, green, blue = np.round(white, 2).tolist()
    flat_field = tuple(tuple((float(r), float(g), float(b)) for r, g, b in row) for row in shares)
    lowest = shares.min(axis=(0, 1))
    even = (float(lowest[0]), float(lowest[1]), float(lowest[2]))
    return EmptyField((red, green, blue), flat_field, even, float(dust.mean()), n_pictures, dust)
