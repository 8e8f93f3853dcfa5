"""Stored tiles to training samples: another stain, microscope and camera each time, with the truth of what is seen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from her2scope.imaging.opencv import cv2
from her2scope.phantom.layers import SLOW_UM, Layers
from her2scope.phantom.noise import Grid, smooth_plane
from her2scope.phantom.optics import Light, Optics, exposed, focused, read_light
from her2scope.phantom.run import Run, make_run
from her2scope.phantom.shards.looks import Looks, with_looks
from her2scope.phantom.shards.tiles import (
    FULL,
    HALF,
    MOST_SCALE_ERROR,
    SPAN_UM,
    TEXTURES,
    TRUTH_UM_PER_PX,
    TileSettings,
)
from her2scope.phantom.stain import Stain, absorb, transmitted
from her2scope.phantom.truth import stands_out
from her2scope.records import Mask, Plane, RgbImage
from her2scope.settings import Vector

CAMERA_UM_PER_PX = (0.2, 0.5)
"""Scales of cameras, evenly drawn."""
SAME_SCALE_SHARE = 0.25
"""Share of samples whose camera has the scale that tissue is drawn at: no light has to be resampled."""
CAMERA_RIM_PX = 6
"""Exposed around a sample and cut away: sharpening and demosaicing see no edge. Even, as a Bayer mosaic is."""
LEAST_OF_ALL = 0.75
"""Light is resampled with fewer pixels than this share of them by area."""
BANK_PX = 1536
"""Least side of the noise that textures are cut from."""
STRIP_ROWS = 64
"""Rows stained at once: few enough that all planes stay in the processor's cache."""
WHOLE_PICTURE_PX = 1280 * 720
"""Dust is drawn per picture of this size; a sample gets its part."""
T = TypeVar("T", np.uint8, np.uint16)
SEEN_CELL = np.dtype(
    [
        ("x_px", "<f4"),
        ("y_px", "<f4"),
        ("radius_px", "<f4"),
        ("kind", "u1"),
        ("cls", "u1"),
        ("visible", "?"),
    ]
)
"""A cell of a sample: where pixel centres are integers; codes as in `tiles.KINDS` and `CLASSES`."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A picture of S x S px at about 0.5 um/px, with its truth. Labels are rows of `cells` plus 1."""

    rgb: RgbImage
    white_rgb: Vector
    """Empty glass at the lamp's centre, 0..255."""
    nucleus: NDArray[np.uint16]
    cell: NDArray[np.uint16]
    """Cells with a membrane."""
    membrane: Mask
    """`antigen.Level`."""
    region: Mask
    """`growth.Matter`."""
    cells: NDArray[np.void]
    """`SEEN_CELL`. One that is not `visible` is neither hit nor miss. Middles may lie outside: those reach in."""
    um_per_px: float
    """True scale; whoever is given the sample takes it for 0.5."""
    run: Run


@dataclass(frozen=True, slots=True)
class View:
    """How a sample is cut from its tile."""

    left: int
    top: int
    side: int
    """What is drawn of the tile, in drawn pixels."""
    camera_px: int
    """Side of the camera's picture, its rim included."""
    turns: int
    """Quarter turns of the finished sample, counter-clockwise."""
    is_mirrored: bool


class TextureBank:
    """Noise that textures of samples are cut from; the same for every sample of a set."""

    def __init__(self, settings: TileSettings) -> None:
        self._um_per_px = TRUTH_UM_PER_PX / settings.finer
        self._side = max(BANK_PX, 5 * settings.drawn_px // 4)
        grid = Grid(0.0, 0.0, self._um_per_px, self._side, self._side)
        self._planes = {name: smooth_plane(0, f"bank {name}", grid, w) for name, w in TEXTURES.items()}

    def cut(self, side: int, rng: np.random.Generator) -> dict[str, Plane]:
        """Textures `(side, side)` from a place and in a mirroring of their own."""
        cuts = {}
        for name, plane in self._planes.items():
            most = self._side - side
            column, row, mirrored = (int(value) for value in rng.integers(0, (most, most, 4)))
            piece = plane[row : row + side, column : column + side]
            cuts[name] = piece if mirrored == 3 else cv2.flip(piece, mirrored - 1)
        left_um, top_um = (float(value) for value in rng.uniform(-SPAN_UM, SPAN_UM, 2))
        cuts["slow"] = smooth_plane(0, "bank slow", Grid(left_um, top_um, self._um_per_px, side, side), SLOW_UM)
        return cuts


def draw_view(settings: TileSettings, rng: np.random.Generator) -> View:
    """A piece of a tile, a camera scale and an orientation.

    The piece is whole drawn pixels and whole camera pixels wide, so that nothing is shifted by a part of a pixel.
    """
    um_per_px = TRUTH_UM_PER_PX / settings.finer
    error = rng.uniform(-MOST_SCALE_ERROR, MOST_SCALE_ERROR)
    inner = settings.out_px * settings.finer * (1.0 + error)
    camera_um = um_per_px
    if rng.random() >= SAME_SCALE_SHARE:
        camera_um = float(rng.uniform(*CAMERA_UM_PER_PX))
    rim = CAMERA_RIM_PX * camera_um / um_per_px
    side = min(round(inner + 2.0 * rim), settings.drawn_px)
    camera_px = side if camera_um == um_per_px else round(side * um_per_px / camera_um)
    left, top = (int(value) for value in rng.integers(0, settings.drawn_px - side + 1, 2))
    return View(left, top, side, camera_px, int(rng.integers(4)), bool(rng.integers(2)))


def make_sample(
    tile: np.void,
    settings: TileSettings,
    bank: TextureBank,
    rng: np.random.Generator,
    difficulty: str = "hard",
    run: Run | None = None,
    looks: Looks | None = None,
) -> Sample:
    """Stain a tile (one record), look at it and photograph it, with the truth of what is then to be seen.

    Parameters
    ----------
    rng : of everything; the same gives the same sample
    run : stain and optics, instead of a run that is drawn with `difficulty`
    looks : of nuclei and ground, instead of the drawn ones
    """
    view = draw_view(settings, rng)
    drawn_run = make_run(int(rng.integers(1 << 53)), difficulty)
    run = run or drawn_run
    um_per_px = TRUTH_UM_PER_PX / settings.finer
    camera_um = um_per_px * view.side / view.camera_px
    planes = _planes(tile, settings, view, bank, rng)
    if looks is not None:
        planes = with_looks(planes, *_nuclei_of_view(tile, settings, view), um_per_px, looks, rng)
    stained = _stained(planes, run.stain)
    if view.camera_px != view.side:
        # The mean over each pixel only where pixels would be left out: it takes six times as long.
        how = cv2.INTER_AREA if view.camera_px < LEAST_OF_ALL * view.side else cv2.INTER_LINEAR
        stained = cv2.resize(stained, (view.camera_px, view.camera_px), interpolation=how)
    light = focused(stained, run.optics, camera_um, 1)
    picture = exposed(light, _for_a_part(run.optics, view.camera_px, rng), rng)
    inner_px = view.camera_px - 2 * CAMERA_RIM_PX
    rgb = _as_the_program_reads(picture[CAMERA_RIM_PX:-CAMERA_RIM_PX, CAMERA_RIM_PX:-CAMERA_RIM_PX], settings.out_px)
    scale_um = camera_um * inner_px / settings.out_px
    corner_um = um_per_px * np.array([view.left, view.top], np.float64)
    grid = Grid(corner_um[0], corner_um[1], camera_um, view.camera_px, view.camera_px)
    left_um, top_um = corner_um + CAMERA_RIM_PX * camera_um
    inner = Grid(left_um, top_um, scale_um, settings.out_px, settings.out_px)
    nucleus, cell, membrane, region = _truth(tile, settings, inner)
    return Sample(
        rgb=_turned(rgb, view),
        white_rgb=run.optics.white_rgb(),
        nucleus=_turned(nucleus, view),
        cell=_turned(cell, view),
        membrane=_turned(membrane, view),
        region=_turned(region, view),
        cells=_cells(tile, [(light, grid), (read_light(rgb, run.optics), inner)], inner, view),
        um_per_px=scale_um,
        run=run,
    )


def _for_a_part(optics: Optics, side_px: int, rng: np.random.Generator) -> Optics:
    """The optics with as much dust as falls on a picture of this size."""
    if not optics.dust:
        return optics
    return replace(optics, dust=int(rng.binomial(optics.dust, min(1.0, side_px**2 / WHOLE_PICTURE_PX))))


def _as_the_program_reads(picture: RgbImage, side_px: int) -> RgbImage:
    how = cv2.INTER_AREA if picture.shape[0] > side_px else cv2.INTER_LINEAR
    return cv2.resize(picture, (side_px, side_px), interpolation=how)


# ---- light --------------------------------------------------------------------------------------------------------


def _planes(
    tile: np.void, settings: TileSettings, view: View, bank: TextureBank, rng: np.random.Generator
) -> dict[str, Plane | Mask]:
    """Planes of the view by name: textures as they are, the others in steps of 8 bits."""
    cut = (slice(view.top, view.top + view.side), slice(view.left, view.left + view.side))
    planes: dict[str, Plane | Mask] = {**bank.cut(view.side, rng)}
    for number, name in enumerate(FULL):
        planes[name] = tile["full"][number][cut]
    # Halves of the pixels around the view, then doubled and cut: what is cut away is at most one pixel a side.
    first, last = (view.top // 2, view.left // 2), ((view.top + view.side + 1) // 2, (view.left + view.side + 1) // 2)
    for number, name in enumerate(HALF):
        half = tile["half"][number][first[0] : last[0], first[1] : last[1]]
        doubled = cv2.resize(half, (2 * half.shape[1], 2 * half.shape[0]), interpolation=cv2.INTER_LINEAR)
        row, column = view.top % 2, view.left % 2
        planes[name] = doubled[row : row + view.side, column : column + view.side]
    return planes


def _nuclei_of_view(tile: np.void, settings: TileSettings, view: View) -> tuple[NDArray[np.uint16], NDArray[np.void]]:
    """Nucleus at each drawn pixel of a view, and the tile's cells."""
    rows, columns = (np.arange(first, first + view.side) // settings.finer for first in (view.top, view.left))
    return tile["nucleus"][rows][:, columns], tile["cells"][: int(tile["n_cells"])]


_STEPS = {**FULL, **HALF}


def _stained(planes: dict[str, Plane | Mask], stain: Stain) -> Light:
    """Light that passes the tissue, `(H, W, 3)`."""
    side = next(iter(planes.values())).shape[0]
    light = np.empty((side, side, 3), np.float32)
    for top in range(0, side, STRIP_ROWS):
        rows = slice(top, top + STRIP_ROWS)
        strip: dict[str, Plane] = {
            name: np.multiply(plane[rows], np.float32(_STEPS[name])) if name in _STEPS else plane[rows].view(np.float32)
            for name, plane in planes.items()
        }
        light[rows] = transmitted(absorb(Layers(**strip), stain), stain)
    return light


# ---- truth --------------------------------------------------------------------------------------------------------


def _truth(
    tile: np.void, settings: TileSettings, inner: Grid
) -> tuple[NDArray[np.uint16], NDArray[np.uint16], Mask, Mask]:
    """Nucleus, cell, membrane and region of each pixel of `inner`: what lies in its middle, any membrane in it."""
    places = np.arange(inner.width) + 0.5
    x_um, y_um = inner.left_um + places * inner.um_per_px, inner.top_um + places * inner.um_per_px
    columns, rows = (np.floor(value / TRUTH_UM_PER_PX).astype(np.intp) for value in (x_um, y_um))
    nucleus, cell, region = (tile[name][rows[0] : rows[-1] + 1] for name in ("nucleus", "cell", "region"))
    nucleus, cell, region = (plane[rows - rows[0]][:, columns] for plane in (nucleus, cell, region))
    # The first of the drawn pixels that make one of truth, around the middle of each pixel.
    n = settings.finer
    columns, rows = (np.floor(n * value / TRUTH_UM_PER_PX - 0.5 * (n - 1)).astype(np.intp) for value in (x_um, y_um))
    lines = cv2.dilate(tile["membrane"], np.ones((n, n), np.uint8), anchor=(0, 0))
    return nucleus, cell, lines[rows][:, columns], region


def _turned(plane: NDArray[T], view: View) -> NDArray[T]:
    turned = np.rot90(plane, view.turns)
    return np.ascontiguousarray(turned[:, ::-1] if view.is_mirrored else turned)


def _cells(tile: np.void, lights: list[tuple[Light, Grid]], inner: Grid, view: View) -> NDArray[np.void]:
    """The tile's cells where the sample has them; visible are those that an eye finds in all the lights.

    In focus a nucleus may be seen that the camera then loses: in clipped light, or in noise. None is visible whose
    middle lies outside.
    """
    cells = tile["cells"][: int(tile["n_cells"])]
    xy_um = cells["xy_um"].astype(np.float64)
    found = np.zeros(len(cells), SEEN_CELL)
    places = inner.to_px(xy_um)
    x_px, y_px = _turned_places(places, view, inner.width).T
    found["x_px"], found["y_px"] = x_px, y_px
    found["radius_px"] = np.sqrt(cells["axes_um"].astype(np.float64).prod(axis=1)) / inner.um_per_px
    found["kind"], found["cls"] = cells["kind"], cells["cls"]
    is_shown = ((places >= -0.5) & (places < inner.width - 0.5)).all(axis=1)
    seen = np.nonzero(is_shown & (cells["can_be_seen"] > 0))[0]
    axes_um, angle = cells["axes_um"].astype(np.float64), cells["angle"].astype(np.float64)
    for light, grid in lights:
        if len(seen):
            seen = seen[stands_out(light, grid, xy_um[seen], axes_um[seen], angle[seen])]
    found["visible"][seen] = True
    return found


def _turned_places(xy_px: NDArray[np.float64], view: View, side: int) -> NDArray[np.float64]:
    """Places (pixel centres are integers) after what `_turned` does."""
    x, y = xy_px.T
    for _ in range(view.turns):
        x, y = y, side - 1 - x
    return np.stack([side - 1 - x if view.is_mirrored else x, y], axis=1)
