"""The network: leaves full resolution at once, then dense 3x3 convolutions at a half of it, a quarter, and so on.

At a half the outline of a nucleus is still sharp: four probabilities of each coarse pixel are shuffled back to the full
resolution, so that a border is placed to the pixel, for a quarter of what the same layers would cost there.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


def _joined(inner: int, outer: int, size: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inner, outer, size, stride, (size - stride + 1) // 2, bias=False),
        nn.BatchNorm2d(outer),
        nn.ReLU(inplace=True),
    )


class _Block(nn.Module):
    """Two 3x3 convolutions beside a short cut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)])

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as `x`."""
        y = functional.relu(self.norms[0](self.first(x)))
        return functional.relu(x + self.norms[1](self.second(y)))


class PixelNet(nn.Module):
    """RGB to a logit of each class at each pixel, the background first.

    Parameters
    ----------
    n_classes : with the background
    widths : channels at a half, a quarter, ... of the picture
    depths : blocks at each on the way down; on the way up there is one at each, and none at the coarsest
    """

    def __init__(self, n_classes: int, widths: Sequence[int], depths: Sequence[int]) -> None:
        super().__init__()
        self.block_px = 2 ** len(widths)
        """Pictures are whole multiples of it."""
        self.stem = _joined(12, widths[0], 3)
        steps = list(zip(widths[:-1], widths[1:], strict=True))
        self.down = nn.ModuleList([_joined(inner, outer, 2, 2) for inner, outer in steps])
        self.before = nn.ModuleList([_blocks(width, depth) for width, depth in zip(widths, depths, strict=True)])
        self.up = nn.ModuleList([_joined(outer, inner, 1) for inner, outer in steps])
        self.after = nn.ModuleList([_Block(width) for width in widths[:-1]])
        self.answer = nn.Conv2d(widths[0], 4 * n_classes, 3, padding=1)

    def forward(self, picture: Tensor) -> Tensor:
        """Logits `(B, C, H, W)` of a picture `(B, 3, H, W)`, 0..1; H and W multiples of `block_px`."""
        return self.from_stem(self.stem(functional.pixel_unshuffle(2.0 * picture - 1.0, 2)))

    def from_stem(self, x: Tensor) -> Tensor:
        """The same from what the stem gives, at a half of the picture."""
        seen = [self.before[0](x)]
        for down, before in zip(self.down, list(self.before)[1:], strict=True):
            seen.append(before(down(seen[-1])))
        x = seen.pop()
        for up, after in zip(reversed(self.up), reversed(self.after), strict=True):
            x = after(seen.pop() + functional.interpolate(up(x), scale_factor=2.0))
        return functional.pixel_shuffle(self.answer(x), 2)


def _blocks(channels: int, n: int) -> nn.Sequential:
    return nn.Sequential(*[_Block(channels) for _ in range(n)])


class Shipped(nn.Module):
    """The network as it is exported: bytes in, probabilities out, in the operations that a processor does fastest."""

    def __init__(self, net: PixelNet) -> None:
        super().__init__()
        self.net = net
        self.stem = _unfolded(net.stem[0])

    def forward(self, rgb: Tensor) -> Tensor:
        """Probabilities `(B, C, H, W)` of pictures `(B, H, W, 3)` uint8, R first; they sum to 1 at each pixel."""
        picture = rgb.permute(0, 3, 1, 2).to(torch.float32) / 127.5 - 1.0
        return _probabilities(self.net.from_stem(self.net.stem[1:](self.stem(picture))))


def _unfolded(folded: nn.Module) -> nn.Conv2d:
    """A 3x3 convolution of a picture folded 2x2 into channels, as one of 6x6 and stride 2 of the picture itself."""
    weight = folded.weight.detach()  # (O, 3 x 2 x 2, 3, 3)
    outer, _, rows, columns = weight.shape
    parts = weight.reshape(outer, 3, 2, 2, rows, columns).permute(0, 1, 4, 2, 5, 3)
    whole = nn.Conv2d(3, outer, 2 * rows, stride=2, padding=2, bias=False)
    whole.weight = nn.Parameter(parts.reshape(outer, 3, 2 * rows, 2 * columns).contiguous())
    return whole


def _probabilities(logits: Tensor) -> Tensor:
    """Softmax over classes: as an operation of its own it takes a fifth of the whole network's time."""
    if logits.shape[1] == 2:
        second = torch.sigmoid(logits[:, 1:] - logits[:, :1])
        return torch.cat([1.0 - second, second], dim=1)
    shares = torch.exp(logits - logits.amax(dim=1, keepdim=True))
    return shares / shares.sum(dim=1, keepdim=True)
