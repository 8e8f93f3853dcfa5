"""The reader of outlines: what crosses the outline as channels, round convolutions along it, one look at all of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from her2scope.imaging.outline_bands import CHANNELS

DILATIONS = {1: (1, 2, 4), 2: (1, 2), 4: (1,)}
"""By places that are seen together: each looks 8 places each way, the last convolution with it."""


class _Round(nn.Module):
    """Convolution along a closed outline; with a step as long as itself, it takes so many places together."""

    def __init__(self, inner: int, outer: int, size: int, dilation: int = 1, step: int = 1) -> None:
        super().__init__()
        self.along = nn.Conv1d(inner, outer, size, step, dilation=dilation, bias=False)
        self.norm = nn.BatchNorm1d(outer)
        self.rim = dilation * (size // 2) if step == 1 else 0

    def forward(self, x: Tensor) -> Tensor:
        """Same places as `x`, or one for each step."""
        if self.rim:
            x = torch.cat([x[..., -self.rim :], x, x[..., : self.rim]], dim=-1)
        normed: Tensor = self.norm(self.along(x))
        return normed


class OutlineNet(nn.Module):
    """Bands `(N, C, P)` to logits `(N, P)` of whether each place carries the cell's own stained membrane.

    Parameters
    ----------
    width : channels within
    together : neighbouring places that are seen as one within, and answered one by one; P is a multiple of it
    """

    def __init__(self, width: int = 40, together: int = 1) -> None:
        super().__init__()
        self.across = _Round(len(CHANNELS), width, together, step=together)
        self.blocks = nn.ModuleList([_Round(width, width, 3, dilation) for dilation in DILATIONS[together]])
        self.whole = nn.Linear(2 * width, width)
        self.last = _Round(width, width, 3)
        self.answer = nn.Conv1d(width, together, 1)

    @staticmethod
    def of_recipe(recipe: Mapping[str, Any]) -> OutlineNet:
        """The net that a run's settings describe; older runs saw each place alone."""
        return OutlineNet(int(recipe["width"]), int(recipe.get("together", 1)))

    def forward(self, bands: Tensor) -> Tensor:
        """Logits; a turn of the outline by as many places as are seen together turns them."""
        x = functional.relu(self.across(bands))
        for block in self.blocks:
            x = functional.relu(x + block(x))
        whole = self.whole(torch.cat([x.mean(dim=-1), x.amax(dim=-1)], dim=1))
        x = functional.relu(x + self.last(functional.relu(x + whole[..., None])))
        logits: Tensor = self.answer(x).transpose(1, 2).flatten(1)
        return logits


class ShippedReader(nn.Module):
    """As it ships: probabilities."""

    def __init__(self, net: OutlineNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, bands: Tensor) -> Tensor:
        """`(N, P)` 0..1."""
        return torch.sigmoid(self.net(bands))
