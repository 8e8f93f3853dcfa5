"""The reader of outlines: what crosses the outline as channels, round convolutions along it, one look at all of it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from her2scope.imaging.outline_bands import CHANNELS

DILATIONS = (1, 2, 4)


class _Round(nn.Module):
    """Convolution along a closed outline."""

    def __init__(self, inner: int, outer: int, size: int, dilation: int = 1) -> None:
        super().__init__()
        self.along = nn.Conv1d(inner, outer, size, dilation=dilation, bias=False)
        self.norm = nn.BatchNorm1d(outer)
        self.rim = dilation * (size // 2)

    def forward(self, x: Tensor) -> Tensor:
        """Same places as `x`."""
        if self.rim:
            x = torch.cat([x[..., -self.rim :], x, x[..., : self.rim]], dim=-1)
        normed: Tensor = self.norm(self.along(x))
        return normed


class OutlineNet(nn.Module):
    """Bands `(N, C, P)` to logits `(N, P)` of whether each place carries the cell's own stained membrane."""

    def __init__(self, width: int = 40) -> None:
        super().__init__()
        self.across = _Round(len(CHANNELS), width, 1)
        self.blocks = nn.ModuleList([_Round(width, width, 3, dilation) for dilation in DILATIONS])
        self.whole = nn.Linear(2 * width, width)
        self.last = _Round(width, width, 3)
        self.answer = nn.Conv1d(width, 1, 1)

    def forward(self, bands: Tensor) -> Tensor:
        """Logits; a turn of the outline turns them."""
        x = functional.relu(self.across(bands))
        for block in self.blocks:
            x = functional.relu(x + block(x))
        whole = self.whole(torch.cat([x.mean(dim=-1), x.amax(dim=-1)], dim=1))
        x = functional.relu(x + self.last(functional.relu(x + whole[..., None])))
        logits: Tensor = self.answer(x)[:, 0]
        return logits


class ShippedReader(nn.Module):
    """As it ships: probabilities."""

    def __init__(self, net: OutlineNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, bands: Tensor) -> Tensor:
        """`(N, P)` 0..1."""
        return torch.sigmoid(self.net(bands))
