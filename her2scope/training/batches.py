"""Records to batches: turned, mirrored, and read with a white, a contrast and a sharpness that are a little off."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from her2scope.segmentation.maps import N_REACHES
from her2scope.training.targets import INTENSE_LINE, NEAR_LINE, NOT_ASKED, ON_LINE

WHITE_SHIFT, TINT_SHIFT = 0.06, 0.025
"""Deviation (natural logarithm) of the white that the program takes for true, all channels and each: a white that is
estimated where no glass is seen is off by about so much."""
CONTRAST_SHIFT = 0.08
"""Deviation of the logarithm of a camera's contrast exponent."""
SHARPER_SHARE, SHARPER = 0.3, (-0.8, 0.8)
"""How many pictures are blurred or sharpened by a 3x3 mean at 0.5 um/px, and how far."""
NOISE_SHARE, NOISE = 0.3, 0.02
SCALED_SHARE, SCALES = 0.65, (0.5, 1.1)
"""Batches that are read at another scale than the program takes them for, and the factor on what is seen: the um per px
of a picture is often taken from a table, not measured. Nuclei of tumour cells marked on real pictures are 4.4 to 8.1 um
wide at the scale that is stated (5th to 95th percentile), those of the tiles 5 to 15 um."""
SIDE_STEP_PX = 16
"""The network takes sides of whole steps."""
LEAST_OF_LINE = 0.4
"""Of a scaled pixel on a line."""
_PLANES = ("membrane", "nucleus", "centre", "tumour", "region")


def make_batch(records: NDArray[np.void], rng: np.random.Generator) -> tuple[Tensor, dict[str, Tensor]]:
    """Pictures `(B, 3, H, W)` 0..1 and their truth, all turned alike."""
    picture = torch.from_numpy(records["rgb"]).permute(0, 3, 1, 2).float()
    picture = _as_read(picture, torch.from_numpy(records["white"]), rng)
    truth = {name: torch.from_numpy(np.ascontiguousarray(records[name])) for name in (*_PLANES, "offset", "reach")}
    if rng.random() < SCALED_SHARE:
        picture, truth = scaled(picture, truth, float(rng.uniform(*SCALES)))
    turns, is_mirrored = int(rng.integers(4)), bool(rng.integers(2))
    picture, truth = turn(picture, truth, turns, is_mirrored)
    truth["taught"] = torch.from_numpy(np.ascontiguousarray(records["taught"])) > 0
    return picture.contiguous(memory_format=torch.channels_last), truth


def plain_batch(records: NDArray[np.void]) -> tuple[Tensor, dict[str, Tensor]]:
    """The same without any change: for checks."""
    white = torch.from_numpy(records["white"])[:, :, None, None]
    picture = (torch.from_numpy(records["rgb"]).permute(0, 3, 1, 2) / white).clamp(0.0, 1.0)
    truth = {name: torch.from_numpy(np.ascontiguousarray(records[name])) for name in (*_PLANES, "offset", "reach")}
    return picture.contiguous(memory_format=torch.channels_last), truth


def _as_read(rgb: Tensor, white: Tensor, rng: np.random.Generator) -> Tensor:
    n = len(rgb)

    def drawn(deviation: float, *shape: int) -> Tensor:
        return torch.from_numpy(np.exp(deviation * rng.standard_normal(shape)).astype(np.float32))

    taken = white * drawn(WHITE_SHIFT, n, 1) * drawn(TINT_SHIFT, n, 3)
    picture = (rgb / taken[:, :, None, None]).clamp(0.0, 1.0)
    picture = picture ** drawn(CONTRAST_SHIFT, n, 1, 1, 1)
    amount = np.where(rng.random(n) < SHARPER_SHARE, rng.uniform(*SHARPER, n), 0.0)
    if amount.any():
        mean = functional.avg_pool2d(functional.pad(picture, (1, 1, 1, 1), mode="replicate"), 3, 1)
        picture = picture + torch.from_numpy(amount.astype(np.float32))[:, None, None, None] * (picture - mean)
    loud = np.where(rng.random(n) < NOISE_SHARE, rng.uniform(0.0, NOISE, n), 0.0).astype(np.float32)
    if loud.any():
        noise = torch.from_numpy(rng.standard_normal(picture.shape, np.float32))
        picture = picture + torch.from_numpy(loud)[:, None, None, None] * noise
    return picture.clamp(0.0, 1.0)


def scaled(picture: Tensor, truth: dict[str, Tensor], factor: float) -> tuple[Tensor, dict[str, Tensor]]:
    """Everything smaller or larger by about `factor`, as if the um per px were off by as much."""
    side = SIDE_STEP_PX * max(1, round(factor * picture.shape[-1] / SIDE_STEP_PX))
    factor = side / picture.shape[-1]
    how = "area" if factor < 1.0 else "bilinear"
    resized = {name: _nearest(value, factor) for name, value in truth.items() if name not in ("membrane", "centre")}
    resized["membrane"] = _lines(truth["membrane"], side, how)
    is_asked = truth["centre"] != NOT_ASKED
    hill = functional.interpolate(
        (is_asked * truth["centre"])[:, None].float(), resized["nucleus"].shape[-2:], mode=how
    )
    resized["centre"] = torch.where(_nearest(is_asked, factor), hill[:, 0].to(torch.uint8), NOT_ASKED)
    resized["offset"] = (factor * resized["offset"].float()).round().to(torch.int8)
    reach = resized["reach"]
    resized["reach"] = torch.where(reach == NOT_ASKED, reach, (factor * reach.float()).clamp(max=250.0).to(torch.uint8))
    return functional.interpolate(picture, (side, side), mode=how), resized


def _nearest(plane: Tensor, factor: float) -> Tensor:
    side = round(factor * plane.shape[-1])
    place = ((torch.arange(side) + 0.5) / factor).long().clamp(max=plane.shape[-1] - 1)
    return plane[..., place[:, None], place]


def _lines(code: Tensor, side: int, how: str) -> Tensor:
    """Codes of `targets.target_record` at another side: a thin line stays whole."""
    on, intense = (
        functional.interpolate((code >= least)[:, None].float(), (side, side), mode=how)[:, 0]
        for least in (ON_LINE, INTENSE_LINE)
    )
    is_on = on >= LEAST_OF_LINE
    near = functional.max_pool2d(is_on.float()[:, None], 3, 1, 1)[:, 0]
    codes = (NEAR_LINE * near).to(torch.uint8)
    codes[is_on] = ON_LINE
    codes[is_on & (intense >= 0.5 * on)] = INTENSE_LINE
    return codes


def turn(picture: Tensor, truth: dict[str, Tensor], turns: int, is_mirrored: bool) -> tuple[Tensor, dict[str, Tensor]]:
    """Quarter turns counter-clockwise, then a mirroring of left and right; directions turn with the planes."""
    turned = {name: torch.rot90(value, turns, (-2, -1)) for name, value in truth.items()}
    picture = torch.rot90(picture, turns, (-2, -1))
    x, y = turned["offset"].unbind(1)
    for _ in range(turns):  # what pointed right then points up: y is down
        x, y = y, -x
    reach = torch.roll(turned["reach"], -turns * N_REACHES // 4, 1)
    if is_mirrored:
        picture = picture.flip(-1)
        turned = {name: value.flip(-1) for name, value in turned.items()}
        x, y = -x.flip(-1), y.flip(-1)
        reach = torch.roll(reach.flip(-1).flip(1), 1 + N_REACHES // 2, 1)
    turned["offset"], turned["reach"] = torch.stack([x, y], dim=1), reach
    return picture, {name: value.contiguous() for name, value in turned.items()}
