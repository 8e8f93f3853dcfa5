"""Maps as a network would give them, drawn from nuclei that are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from her2scope.imaging.opencv import cv2
from her2scope.phantom.antigen import Level
from her2scope.phantom.field import PhantomField
from her2scope.phantom.growth import Matter
from her2scope.phantom.noise import Grid
from her2scope.phantom.truth import listed_cells, truth_maps
from her2scope.segmentation.maps import HALF, N_REACHES, NETWORK_UM_PER_PX, QUARTER, NetworkMaps

HALF_UM = HALF * NETWORK_UM_PER_PX
CYTOPLASM_UM = 3.0


@dataclass(frozen=True, slots=True)
class Oval:
    """A nucleus: its middle and half axes in um, its direction, what it is."""

    x_um: float
    y_um: float
    along_um: float = 4.0
    across_um: float | None = None
    angle: float = 0.0
    tumour: bool = True
    sure: float = 1.0
    """Height of its middle in the map."""

    @property
    def radius_um(self) -> float:
        """Of the disc with its area."""
        return float(np.sqrt(self.along_um * (self.across_um or self.along_um)))

    @property
    def xy_px(self) -> tuple[float, float]:
        """Middle in network pixels."""
        return self.x_um / NETWORK_UM_PER_PX - 0.5, self.y_um / NETWORK_UM_PER_PX - 0.5


def maps_of(ovals: Sequence[Oval], size_hw: tuple[int, int] = (128, 128)) -> NetworkMaps:
    """What a faultless network says of these nuclei; where two overlap, the later one is on top."""
    height, width = (-(-side // HALF) for side in size_hw)
    own = np.full((height, width), -1)
    centre = np.zeros((height, width), np.float32)
    y_um, x_um = (np.indices((height, width), dtype=np.float32) + 0.5) * HALF_UM
    for number, oval in enumerate(ovals):
        dx, dy = x_um - oval.x_um, y_um - oval.y_um
        u = (dx * np.cos(oval.angle) + dy * np.sin(oval.angle)) / oval.along_um
        v = (dy * np.cos(oval.angle) - dx * np.sin(oval.angle)) / (oval.across_um or oval.along_um)
        own[u * u + v * v <= 1] = number
        sigma_um = np.clip(0.35 * oval.radius_um, 0.9, 2.0)
        hill = oval.sure * np.exp(-(dx * dx + dy * dy) / (2 * sigma_um**2))
        centre = np.maximum(centre, hill.astype(np.float32))
    table = np.array([(oval.x_um, oval.y_um, oval.tumour, oval.radius_um) for oval in ovals] or [(0.0,) * 4])
    on = own >= 0
    offset = np.stack([table[own, 0] - x_um, table[own, 1] - y_um]) * on
    return _maps(size_hw, on, centre, table[own, 2] * on, offset, table[own, 3] + CYTOPLASM_UM)


def maps_of_phantom(field: PhantomField) -> NetworkMaps:
    """Maps of a phantom at the network's scale, of the nuclei that can be seen in it: what a faultless network says."""
    factor = NETWORK_UM_PER_PX / field.grid.um_per_px
    width, height = round(field.grid.width / factor), round(field.grid.height / factor)
    grid = Grid(field.grid.left_um, field.grid.top_um, NETWORK_UM_PER_PX, width, height)
    truth = truth_maps(field.patch, field.antigen, grid)
    listed = listed_cells(field.patch, grid)
    cells = field.truth["cells"]
    seen = np.array([False, *(cell["visible"] for cell in cells)])
    label = truth.nucleus[::HALF, ::HALF].astype(np.intp)
    label[~seen[np.minimum(label, len(cells))]] = 0
    middle_px = np.concatenate([[(0.0, 0.0)], grid.to_px(listed.centre_um)])
    radius_um = np.concatenate([[0.0], listed.radius_um])
    tumour = np.array([0.0, *(cell["kind"] == "tumour" for cell in cells)])
    here_px = HALF * np.indices(label.shape, dtype=np.float32)[::-1]
    # truth is drawn at every other pixel: half a network pixel from the middle of the block that it stands for
    offset_um = (middle_px[label].transpose(2, 0, 1) - here_px - 0.5) * NETWORK_UM_PER_PX * (label > 0)
    centre = np.zeros(label.shape, np.float32)
    for (x, y), radius in zip(middle_px[seen], radius_um[seen], strict=True):
        sigma = np.clip(0.35 * radius, 0.9, 2.0) / HALF_UM
        away = np.hypot(here_px[0] + 0.5 - x, here_px[1] + 0.5 - y) / HALF
        centre = np.maximum(centre, np.exp(-(away**2) / (2 * sigma**2)).astype(np.float32))
    maps = _maps((height, width), label > 0, centre, tumour[label], offset_um, radius_um[label] + CYTOPLASM_UM)
    maps.membrane[:] = truth.membrane > Level.NONE
    maps.tissue[:] = (truth.region != Matter.GLASS)[::QUARTER, ::QUARTER]
    for (x, y), cell in zip(middle_px[1:], cells, strict=True):
        if cell["visible"] and cell["kind"] == "tumour":
            outline_px = (np.array(cell["outline_px"]) + 0.5) / factor - 0.5
            _put_reach(maps, np.array([x, y]), outline_px)
    return maps


def _put_reach(maps: NetworkMaps, middle_px: NDArray[np.float64], outline_px: NDArray[np.float64]) -> None:
    """Where the pixel nearest to a middle says that the cell's outline is."""
    n_rows, n_columns = maps.tissue.shape
    column, row = np.clip(np.rint((middle_px - 1.5) / QUARTER), 0, (n_columns - 1, n_rows - 1)).astype(int)
    away = outline_px - QUARTER * np.array([column, row]) - 1.5
    turn = np.arctan2(away[:, 1], away[:, 0])
    angles = 2 * np.pi * np.arange(N_REACHES) / N_REACHES
    far_px = np.interp(angles, turn, np.hypot(away[:, 0], away[:, 1]), period=2 * np.pi)
    maps.reach_um[:, row, column] = far_px * NETWORK_UM_PER_PX


def noisy(maps: NetworkMaps, seed: int = 0, blur_um: float = 0.8, noise: float = 0.1) -> NetworkMaps:
    """The maps as a network that is not sure gives them: blurred, uneven, offsets off by up to a um."""
    rng = np.random.default_rng(seed)

    def unsure(plane: NDArray[np.float32], amount: float) -> NDArray[np.float32]:
        uneven = cv2.GaussianBlur(rng.normal(0, amount, plane.shape).astype(np.float32), (0, 0), 1.0) * 3.5
        return cv2.GaussianBlur(plane, (0, 0), blur_um / HALF_UM) + uneven

    changed = {name: np.clip(unsure(getattr(maps, name), noise), 0, 1) for name in ("nucleus", "centre", "tumour")}
    changed["offset_um"] = np.stack([unsure(plane, 5 * noise) for plane in maps.offset_um])
    return NetworkMaps(**{name: getattr(maps, name) for name in NetworkMaps.__slots__} | changed)


def _maps(
    size_hw: tuple[int, ...],
    nucleus: NDArray[np.bool_],
    centre: NDArray[np.float32],
    tumour: NDArray[np.float64],
    offset_um: NDArray[np.float64],
    reach_um: NDArray[np.float64],
) -> NetworkMaps:
    height, width = (-(-side // QUARTER) for side in size_hw)
    every_other = np.repeat(np.asarray(reach_um, np.float32)[None, ::2, ::2], N_REACHES, axis=0)
    blank = np.zeros(size_hw, np.float32)
    return NetworkMaps(
        membrane=blank, nucleus=nucleus.astype(np.float32), centre=centre,
        tumour=np.asarray(tumour, np.float32), offset_um=np.asarray(offset_um, np.float32),
        tissue=np.ones((height, width), np.float32), reach_um=every_other, um_per_px=NETWORK_UM_PER_PX,
    )  # fmt: skip
