"""Truth of a sample to what the network is asked for, each with a place where nothing is asked.

Everything is stored in 8 bits: a pool of thousands of samples then fits in memory.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from her2scope.imaging.opencv import cv2
from her2scope.phantom.antigen import Level
from her2scope.phantom.growth import Matter
from her2scope.phantom.shards.tiles import KINDS
from her2scope.phantom.shards.views import Sample
from her2scope.segmentation.maps import HALF, N_REACHES, NETWORK_UM_PER_PX, QUARTER

OFFSET_SPAN_UM = 10.0
"""Farthest middle of a nucleus from one of its pixels that the network can say."""
REACH_SPAN_UM = 20.0
"""Farthest outline of a cell."""
REACH_STEP_UM = REACH_SPAN_UM / 250.0
OFFSET_STEP_UM = OFFSET_SPAN_UM / 125.0
NOT_ASKED = 255
HEAT_SHARE, HEAT_UM = 0.35, (0.9, 2.0)
"""Deviation of the hill over a nucleus' middle, as a share of its radius, and its limits."""
NEAR_LINE, ON_LINE = 1, 2
"""Codes of `membrane`: beside a line (a place that an eye cannot put a name to), and on it; `INTENSE_LINE` too."""
INTENSE_LINE = 3
TUMOUR = KINDS.index("tumour")


def target_record(side_px: int) -> np.dtype[np.void]:
    """One sample and its targets, `side_px` wide."""
    half, quarter = side_px // HALF, side_px // QUARTER
    return np.dtype(
        [
            ("rgb", "u1", (side_px, side_px, 3)),
            ("white", "<f4", (3,)),
            ("membrane", "u1", (side_px, side_px)),
            ("nucleus", "u1", (half, half)),
            ("centre", "u1", (half, half)),
            ("tumour", "u1", (half, half)),
            ("offset", "i1", (2, half, half)),
            ("region", "u1", (quarter, quarter)),
            ("reach", "u1", (N_REACHES, quarter, quarter)),
            ("taught", "<i4"),  # as wide as a float: records stay aligned
        ]
    )


def make_record(sample: Sample, taught: bool = True) -> NDArray[np.void]:
    """Record `()` of a sample; `taught` where a teacher may be asked about it."""
    side_px = sample.rgb.shape[0]
    record = np.zeros((), target_record(side_px))
    record["rgb"], record["white"] = sample.rgb, sample.white_rgb
    record["membrane"] = _membrane(sample)
    _put_nuclei(record, sample)
    record["region"] = sample.region[QUARTER // 2 :: QUARTER, QUARTER // 2 :: QUARTER]
    record["reach"] = _reaches(sample)
    record["taught"] = taught
    return record


def _membrane(sample: Sample) -> NDArray[np.uint8]:
    on = (sample.membrane > Level.NONE).astype(np.uint8)
    codes = cv2.dilate(on, np.ones((3, 3), np.uint8)) * np.uint8(NEAR_LINE)
    codes[on > 0] = ON_LINE
    codes[sample.membrane == Level.INTENSE] = INTENSE_LINE
    return codes


def _put_nuclei(record: NDArray[np.void], sample: Sample) -> None:
    """Nucleus, centre, tumour and offset, at half resolution: the pixel of the block that lies on a nucleus."""
    cells = sample.cells
    seen = np.concatenate([[False], cells["visible"]])
    # A nucleus whose middle lies outside the sample is as visible as its like: not asked for, but no ground either.
    labels = sample.nucleus
    blocks = np.stack([labels[i::HALF, j::HALF] for i in range(HALF) for j in range(HALF)])
    is_seen = seen[blocks]
    share = is_seen.mean(axis=0)
    unseen = ((blocks > 0) & ~is_seen).any(axis=0)
    first = is_seen.argmax(axis=0)
    label = np.where(share > 0, np.take_along_axis(blocks, first[None], axis=0)[0], 0).astype(np.intp)
    nucleus = np.rint(share * 250.0).astype(np.uint8)
    nucleus[unseen] = NOT_ASKED
    on = label > 0
    rows = np.concatenate([[0], np.arange(len(cells))])[label]
    kind = cells["kind"][rows] if len(cells) else np.zeros(label.shape, np.uint8)
    tumour = np.where(on, kind == TUMOUR, NOT_ASKED).astype(np.uint8)
    place = HALF * np.arange(label.shape[0]) + (HALF - 1) / 2.0
    offset = np.zeros((2, *label.shape), np.float32)
    if len(cells):
        offset[0] = np.where(on, cells["x_px"][rows] - place[None, :], 0.0)
        offset[1] = np.where(on, cells["y_px"][rows] - place[:, None], 0.0)
    record["nucleus"], record["tumour"] = nucleus, tumour
    record["centre"] = _centres(cells, labels.shape[0], unseen)
    record["offset"] = np.clip(np.rint(offset * NETWORK_UM_PER_PX / OFFSET_STEP_UM), -125, 125).astype(np.int8)


def _centres(cells: NDArray[np.void], side_px: int, unseen: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """A hill over the middle of each visible nucleus."""
    side = side_px // HALF
    heat = np.zeros((side, side), np.float32)
    um_per_px = HALF * NETWORK_UM_PER_PX
    for cell in cells[cells["visible"]]:
        x, y = ((float(cell[name]) - (HALF - 1) / 2.0) / HALF for name in ("x_px", "y_px"))
        sigma = float(np.clip(HEAT_SHARE * cell["radius_px"] * NETWORK_UM_PER_PX, *HEAT_UM)) / um_per_px
        reach = int(np.ceil(3.0 * sigma)) + 1
        left, top = max(0, int(x) - reach), max(0, int(y) - reach)
        right, bottom = min(side, int(x) + reach + 2), min(side, int(y) + reach + 2)
        if left >= right or top >= bottom:
            continue
        across = np.exp(-((np.arange(left, right) - x) ** 2) / (2.0 * sigma**2))
        down = np.exp(-((np.arange(top, bottom) - y) ** 2) / (2.0 * sigma**2))
        part = heat[top:bottom, left:right]
        np.maximum(part, (down[:, None] * across[None, :]).astype(np.float32), out=part)
    found = np.rint(heat * 250.0).astype(np.uint8)
    found[unseen & (heat < 0.1)] = NOT_ASKED
    return found


_ANGLES = np.linspace(0.0, 2.0 * np.pi, N_REACHES, endpoint=False)
_STEPS_PX = np.arange(1.0, REACH_SPAN_UM / NETWORK_UM_PER_PX, 1.0)
_RAYS_PX = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)])[:, :, None] * _STEPS_PX + 0.5
_OUTSIDE = 65_535
CORE_SHARE = 0.7
"""Reaches are asked for from this share of a nucleus' radius inwards: they are read in its middle."""


def _reaches(sample: Sample) -> NDArray[np.uint8]:
    """How far the own cell goes from each place in its nucleus' core, in steps of `REACH_STEP_UM`."""
    side = sample.rgb.shape[0]
    place = QUARTER * np.arange(side // QUARTER) + (QUARTER - 1) / 2.0
    middle = np.floor(place).astype(np.intp)
    cell, nucleus = sample.cell[middle][:, middle], sample.nucleus[middle][:, middle]
    found = np.full((N_REACHES, *cell.shape), NOT_ASKED, np.uint8)
    rows, columns = np.nonzero((cell > 0) & (nucleus == cell))
    own = cell[rows, columns]
    away = np.hypot(place[columns] - sample.cells["x_px"][own - 1], place[rows] - sample.cells["y_px"][own - 1])
    in_core = away <= np.maximum(CORE_SHARE * sample.cells["radius_px"][own - 1], QUARTER)
    rows, columns, own = rows[in_core], columns[in_core], own[in_core]
    if not len(rows):
        return found
    # Around the sample stands another label, so that every ray ends.
    labels = np.full((side + 2, side + 2), _OUTSIDE, np.uint16)
    labels[1:-1, 1:-1] = sample.cell
    x = (place[columns][:, None, None] + _RAYS_PX[0]).clip(-1, side).astype(np.int32) + 1
    y = (place[rows][:, None, None] + _RAYS_PX[1]).clip(-1, side).astype(np.int32) + 1
    label = labels.ravel()[y * (side + 2) + x]
    has_left = label != own[:, None, None]
    first = np.where(has_left.any(axis=2), has_left.argmax(axis=2), len(_STEPS_PX) - 1)
    reach_um = (_STEPS_PX[first] - 0.5) * NETWORK_UM_PER_PX
    codes = np.clip(np.rint(reach_um / REACH_STEP_UM), 0, 250).astype(np.uint8)
    ends = np.take_along_axis(label, first[:, :, None], axis=2)[:, :, 0]
    codes[ends == _OUTSIDE] = NOT_ASKED  # the sample ends before the cell does
    found[:, rows, columns] = codes.T
    return found


GLASS = int(Matter.GLASS)
"""What is no tissue."""
