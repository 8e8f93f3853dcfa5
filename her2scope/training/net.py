"""The network: leaves full resolution at once, then dense 3x3 convolutions at a quarter, an eighth and a sixteenth.

Depthwise convolutions look cheap in operations and are slow on a processor; a patch of 4x4 pixels, a few dense
convolutions on it and one shuffle back cost a fifth of a plain U-Net of the same size. Membranes alone, which are one
to four pixels wide, are also looked at by a narrow branch at half resolution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from her2scope.segmentation.maps import N_REACHES
from her2scope.training.targets import OFFSET_SPAN_UM, REACH_SPAN_UM

N_REGIONS = 6
"""Kinds of ground (`growth.Matter`) that the training asks for beside what is shipped: it learns to look around."""


class _Block(nn.Module):
    """Two 3x3 convolutions beside a short cut."""

    def __init__(self, channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation, bias=False)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)])

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as `x`."""
        y = functional.relu(self.norms[0](self.first(x)))
        return functional.relu(x + self.norms[1](self.second(y)))


def _joined(inner: int, outer: int, size: int, stride: int = 1) -> nn.Sequential:
    padding = (size - stride + 1) // 2
    return nn.Sequential(
        nn.Conv2d(inner, outer, size, stride, padding, bias=False), nn.BatchNorm2d(outer), nn.ReLU(inplace=True)
    )


class CellNet(nn.Module):
    """White-referenced RGB at 0.5 um/px to maps of nuclei, membranes and surroundings (see `segmentation.maps`).

    Parameters
    ----------
    widths : channels at a quarter, an eighth and a sixteenth of the picture
    depths : blocks on the way down at each of them; the way up has one at an eighth and as many as down at a quarter
    line_width : channels of the branch at half resolution
    line_depth : layers of that branch before it meets what the quarter knows
    """

    def __init__(
        self,
        widths: Sequence[int] = (48, 64, 96),
        depths: Sequence[int] = (2, 2, 3),
        line_width: int = 16,
        line_depth: int = 2,
    ) -> None:
        super().__init__()
        wide, middle, deep = widths
        self.stem = _joined(3, wide, 8, 4)
        self.down = nn.ModuleList([_joined(wide, middle, 2, 2), _joined(middle, deep, 2, 2)])
        self.fine = nn.Sequential(*[_Block(wide) for _ in range(depths[0])])
        self.medium = nn.Sequential(*[_Block(middle) for _ in range(depths[1])])
        self.coarse = nn.Sequential(*[_Block(deep, 2 if i % 2 else 1) for i in range(depths[2])])
        self.up = nn.ModuleList([_joined(deep, middle, 1), _joined(middle, wide, 1)])
        self.medium_up = _Block(middle)
        self.fine_up = nn.Sequential(*[_Block(wide) for _ in range(depths[0])])
        later = [_joined(line_width, line_width, 3) for _ in range(line_depth - 1)]
        self.lines = nn.Sequential(_joined(3, line_width, 4, 2), *later)
        self.around_lines = nn.Conv2d(wide, line_width * 4, 1)
        self.joint_lines = _joined(line_width, line_width, 3)
        self.membrane = nn.Conv2d(line_width, 2 * 4, 3, padding=1)
        self.nuclei = nn.Conv2d(wide, 5 * 4, 3, padding=1)
        self.context = nn.Conv2d(wide, 1 + N_REACHES, 1)
        self.region = nn.Conv2d(wide, N_REGIONS, 1)
        for head, rate in ((self.membrane, 0.05), (self.nuclei, 0.1)):
            nn.init.constant_(head.bias, float(torch.logit(torch.tensor(rate))))

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Logits.

        Parameters
        ----------
        picture : (B, 3, H, W) 0..1, glass 1; H and W multiples of 16

        Returns
        -------
        membrane : (B, 2, H, W)
        nuclei : (B, 5, H/2, W/2)
        context : (B, 33, H/4, W/4)
        region : (B, 6, H/4, W/4)
        """
        shown = 2.0 * picture - 1.0
        quarter = self.fine(self.stem(shown))
        eighth = self.medium(self.down[0](quarter))
        sixteenth = self.coarse(self.down[1](eighth))
        eighth = self.medium_up(eighth + functional.interpolate(self.up[0](sixteenth), scale_factor=2.0))
        quarter = self.fine_up(quarter + functional.interpolate(self.up[1](eighth), scale_factor=2.0))
        around = functional.pixel_shuffle(self.around_lines(quarter), 2)
        lines = self.joint_lines(functional.relu(self.lines(shown) + around))
        membrane = functional.pixel_shuffle(self.membrane(lines), 2)
        nuclei = functional.pixel_shuffle(self.nuclei(quarter), 2)
        return membrane, nuclei, self.context(quarter), self.region(quarter)


def net_of(recipe: Mapping[str, Any]) -> CellNet:
    """The network of a recipe: of a run's settings, or of what a card says of its architecture.

    What older ones do not name is as it was then.
    """
    return CellNet(
        tuple(recipe["widths"]), tuple(recipe["depths"]), recipe.get("line_width", 16), recipe.get("line_depth", 2)
    )


class Shipped(nn.Module):
    """The network as it ships: probabilities and lengths instead of logits, without what only training asks for."""

    def __init__(self, net: CellNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`membrane`, `nuclei` and `context` as `segmentation.maps` describes them."""
        membrane, nuclei, context, _ = self.net(picture)
        return torch.sigmoid(membrane), nuclei_of(nuclei), context_of(context)


def nuclei_of(logits: Tensor) -> Tensor:
    """Probabilities of nucleus, centre and tumour, then offsets in um."""
    return torch.cat([torch.sigmoid(logits[:, :3]), OFFSET_SPAN_UM * torch.tanh(logits[:, 3:])], dim=1)


def context_of(logits: Tensor) -> Tensor:
    """Probability of tissue, then reaches in um."""
    return torch.cat([torch.sigmoid(logits[:, :1]), REACH_SPAN_UM * torch.sigmoid(logits[:, 1:])], dim=1)
