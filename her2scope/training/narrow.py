"""A network begun with another, wider one: the channels that matter most, and every layer fitted to what they answer.

Weights that are merely cut out of a trained network answer nothing: each layer misses what the channels that are gone
told it. Here the layers are gone through from the picture to the answers, and each one's weights are the least squares
that come nearest to the wider network's own planes, from what the narrower one has made so far. It costs a minute.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import torch
import yaml
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from her2scope.domain.errors import BadInputError
from her2scope.segmentation.model_card import CARD, FULL, card_in
from her2scope.training.net import CellNet, net_of

Floats = NDArray[np.float64]
Channels = NDArray[np.intp]

HEADS = ("membrane", "nuclei", "context")
PHASES = 4
"""Channels of `around_lines` for each one of the branch at half resolution: the pixels of a place."""
UNTAUGHT = ("region",)
"""What only training asks for: an exported network does not have it."""
LEAST_SIDE_PX = 16
"""Smallest picture that a network takes."""
STREAMS = {"fine": "quarter", "fine_up": "quarter", "medium": "eighth", "medium_up": "eighth", "coarse": "sixteenth"}
"""Planes that blocks take and add to."""
MADE = {"stem.0": "quarter", "down.0.0": "eighth", "down.1.0": "sixteenth", "up.0.0": "eighth", "up.1.0": "quarter"}
TAKEN = {
    "stem.0": "picture", "lines.0.0": "picture", "down.0.0": "quarter", "down.1.0": "eighth", "up.0.0": "sixteenth",
    "up.1.0": "eighth", "around_lines": "quarter", "nuclei": "quarter", "context": "quarter", "joint_lines.0": "lines",
    "membrane": "joint_lines.0",
}  # fmt: skip
ROWS = ("fine", "fine_up", "medium", "coarse", "lines")
"""Blocks or layers in a row, as many as a recipe says."""
PLACES_OF_PICTURE = 1024
"""Places of a plane that a layer is fitted on, drawn anew for each picture."""
RIDGE = 1e-3
"""Of the mean square of a layer's inputs: what they hardly tell apart stays small."""
ROUNDS = 4
"""What lies under 0 is cut off after most layers: how far under is not asked for. It is known after a first fit."""
STEPS_OF_HEAD, RIDGE_OF_HEAD = 60, 1e-4
LEAST_WORTH = 0.1
"""Of a place far from any line, in the branch that looks at lines."""


# ---- an exported network ------------------------------------------------------------------------------------------


def network_in(folder: Path) -> CellNet:
    """The network of a model folder, which answers as its file of 32-bit numbers does; `region` begins anew.

    BadInputError where the folder holds no network that this program exported.
    """
    card = card_in(folder)
    graph = onnx.load_from_string(card.read_model(FULL)).graph
    try:
        net = net_of(yaml.safe_load((folder / CARD).read_text(encoding="utf-8"))["architecture"])
        known = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
        for node in graph.node:
            if node.op_type == "Conv":
                weights, bias = (torch.from_numpy(known[name].copy()) for name in node.input[1:])
                _put(net, _path_of(node.name), weights, bias)
    except (KeyError, ValueError, AttributeError, RuntimeError, TypeError) as error:
        raise BadInputError(
            f"{folder}: not a network that `her2scope export` wrote, or of another kind ({error!r}). Name another."
        ) from error
    return net.eval()


def _path_of(node: str) -> str:
    """Name of a layer in `CellNet` from that of its node, `/net/fine/fine.0/first/Conv`."""
    path = ""
    for part in node.split("/")[2:-1]:
        path = part if not path or part.startswith(f"{path}.") else f"{path}.{part}"
    return path


# ---- layers and streams -------------------------------------------------------------------------------------------


def _layers(net: CellNet) -> dict[str, nn.Conv2d]:
    """Layers that an exported network has, by their path, in the order in which they work."""
    found = {path: module for path, module in net.named_modules() if isinstance(module, nn.Conv2d)}
    order: list[str] = []
    hooks = [
        module.register_forward_pre_hook(lambda *_, path=path: order.append(path)) for path, module in found.items()
    ]
    with torch.no_grad():
        net.eval()(torch.ones(1, 3, LEAST_SIDE_PX, LEAST_SIDE_PX))
    for hook in hooks:
        hook.remove()
    return {path: found[path] for path in order if path not in UNTAUGHT}


def _norm_of(net: CellNet, path: str) -> nn.BatchNorm2d | None:
    """What follows a layer, where it is not a head."""
    owner, _, name = path.rpartition(".")
    if name in ("first", "second"):
        norm = net.get_submodule(f"{owner}.norms.{int(name == 'second')}")
    elif name == "0":
        norm = net.get_submodule(f"{owner}.1")
    else:
        return None
    return norm if isinstance(norm, nn.BatchNorm2d) else None


def _stream_made(path: str, layers: Mapping[str, nn.Conv2d]) -> str:
    """The plane that a layer adds to: layers that add to one must keep the same channels."""
    part, _, last = path.rpartition(".")
    if last == "second":
        return STREAMS[part.split(".")[0]]
    last_of_lines = max(name for name in layers if name.startswith("lines."))
    return "lines" if path in (last_of_lines, "around_lines") else MADE.get(path, path)


def _stream_taken(path: str, layers: Mapping[str, nn.Conv2d]) -> str:
    """The plane that a layer looks at."""
    part, _, last = path.rpartition(".")
    if last == "first":
        return STREAMS[part.split(".")[0]]
    if last == "second":
        return f"{part}.first"
    if path.startswith("lines.") and path != "lines.0.0":
        return f"lines.{int(path.split('.')[1]) - 1}.0"
    return TAKEN[path]


def _counterpart(path: str, layers: Mapping[str, nn.Conv2d], wider: Mapping[str, nn.Conv2d]) -> str:
    """The wider network's layer that does the work of a layer: of more blocks or layers in a row, the last ones."""
    name, *rest = path.split(".")
    if name not in ROWS:
        return path
    fewer = _length(name, wider) - _length(name, layers)
    return ".".join([name, str(int(rest[0]) + fewer), *rest[1:]])


def _length(name: str, layers: Mapping[str, nn.Conv2d]) -> int:
    return len({path.split(".")[1] for path in layers if path.startswith(f"{name}.")})


def _put(net: CellNet, path: str, weights: Tensor, bias: Tensor, made: Tensor | None = None) -> None:
    """Give a layer its weights; what follows it is set so that the two do what the weights and the bias say.

    `made` is what the weights alone make, `(N, C)`: with its mean and spread the layer learns as it answers.
    """
    conv, norm = net.get_submodule(path), _norm_of(net, path)
    with torch.no_grad():
        conv.weight.copy_(weights)
        if norm is None:
            conv.bias.copy_(bias)
            return
        mean, square = (torch.zeros(len(bias)), torch.ones(len(bias))) if made is None else _moments(made)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(square)
        norm.weight.copy_((square + norm.eps).sqrt())
        norm.bias.copy_(mean + bias)


def _moments(made: Tensor) -> tuple[Tensor, Tensor]:
    return made.mean(dim=0), made.var(dim=0)


# ---- narrowing ----------------------------------------------------------------------------------------------------


def begin_as(net: CellNet, wider: CellNet, shown: Sequence[Tensor]) -> None:
    """Fit `net` to the planes of a `wider` network of the same depths, or larger ones.

    Parameters
    ----------
    shown : (1, 3, H, W) 0..1, each of its own size
        What both look at: a hundred samples, as varied as what they are to read.

    Raises
    ------
    BadInputError
        Where the other one is narrower or has fewer blocks somewhere.
    """
    layers, others = _layers(net), _layers(wider)
    _check_wider(layers, others)
    seen = [_seen(wider, others, one) for one in shown]
    kept = _kept_channels(layers, others, seen)
    rng = np.random.default_rng(0)
    for path, conv in layers.items():
        counterpart = _counterpart(path, layers, others)
        task = _Task()
        for one, planes in zip(shown, seen, strict=True):
            now = _seen(net, layers, one, until=path)
            wanted = planes.made[counterpart][torch.from_numpy(kept[path])]
            rows = functional.unfold(now.taken[path], conv.kernel_size, conv.dilation, conv.padding, conv.stride).T
            beside = now.beside.get(path, torch.zeros_like(wanted))
            task.add(rows, wanted - beside, -beside, _worth(path, planes, wanted), rng)
        if path in HEADS:
            weights, bias = task.answered()
            made = None
        else:
            weights, bias, made = task.solved(is_cut_off=path != "around_lines")
        _put(net, path, weights.T.reshape(conv.weight.shape), bias, made)


def _worth(path: str, planes: _Seen, wanted: Tensor) -> Tensor:
    """What it is worth that a layer is right in a place, `(C, H, W)`, 0..1: where there are lines, and in nuclei."""
    line = torch.sigmoid(planes.made["membrane"][:PHASES]).amax(dim=0, keepdim=True)
    inside = torch.sigmoid(planes.made["nuclei"][:PHASES]).amax(dim=0, keepdim=True)
    worth = torch.ones_like(wanted)
    if wanted.shape[-1] == line.shape[-1]:  # half resolution: lines alone are looked at there
        worth *= LEAST_WORTH + (1.0 - LEAST_WORTH) * functional.max_pool2d(line, 3, 1, 1)
    elif path == "nuclei":  # kind and way to the middle are asked for in nuclei
        worth[2 * PHASES :] *= inside
    elif path == "context":
        worth[1:] *= inside
    return worth


def _check_wider(layers: Mapping[str, nn.Conv2d], others: Mapping[str, nn.Conv2d]) -> None:
    for path, conv in layers.items():
        other = others.get(_counterpart(path, layers, others))
        if other is None or other.out_channels < conv.out_channels:
            raise BadInputError(
                "the network to begin with is smaller somewhere than the new one "
                f"({path}). Give smaller widths and depths, or leave start_from out."
            )


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """Planes of one picture, by the path of the layer."""

    taken: dict[str, Tensor] = field(default_factory=dict)
    """What a layer looks at, `(C, H, W)`."""
    beside: dict[str, Tensor] = field(default_factory=dict)
    """What a block's second layer is added to."""
    made: dict[str, Tensor] = field(default_factory=dict)
    """What comes of it, short cut included, before what is under 0 is cut off."""


class _Reached(Exception):  # noqa: N818 - no error: the layer that was asked for has been reached
    """Ends a run through a network."""


def _seen(net: CellNet, layers: Mapping[str, nn.Conv2d], one: Tensor, until: str | None = None) -> _Seen:
    """What the layers see of a picture `(1, 3, H, W)`, as far as the layer `until`."""
    found = _Seen()
    hooks = []

    def watch(path: str) -> None:
        def take(_: nn.Module, taken: tuple[Tensor, ...]) -> None:
            found.taken[path] = taken[0][0].clone()
            part, _, last = path.rpartition(".")
            if last == "second":
                found.beside[path] = found.taken[f"{part}.first"]
            if path == until:
                raise _Reached

        def make(_: nn.Module, __: tuple[Tensor, ...], made: Tensor) -> None:
            found.made[path] = made[0] + found.beside[path] if path in found.beside else made[0].clone()

        hooks.append(layers[path].register_forward_pre_hook(take))
        hooks.append((_norm_of(net, path) or layers[path]).register_forward_hook(make))

    for path in layers:
        watch(path)
    with torch.no_grad(), contextlib.suppress(_Reached):
        net.eval()(one)
    for hook in hooks:
        hook.remove()
    return found


def _kept_channels(
    layers: Mapping[str, nn.Conv2d], wider: Mapping[str, nn.Conv2d], seen: Sequence[_Seen]
) -> dict[str, Channels]:
    """Channels of the wider network that each layer is to make: those that move most in the layers that take them."""
    worth: dict[str, Floats] = {}
    for path, conv in wider.items():
        spread = torch.cat([planes.taken[path].flatten(1) for planes in seen], dim=1).std(dim=1)
        moved = (spread * conv.weight.detach().square().sum(dim=(0, 2, 3)).sqrt()).double().numpy()
        stream = _stream_taken(path, wider)
        worth[stream] = worth.get(stream, 0.0) + moved / moved.sum()
    kept: dict[str, Channels] = {}
    for path, conv in layers.items():
        if path in HEADS:
            kept[path] = np.arange(conv.out_channels)
            continue
        of_stream = worth[_stream_made(_counterpart(path, layers, wider), wider)]
        n = conv.out_channels // PHASES if path == "around_lines" else conv.out_channels
        best = np.sort(np.argsort(-of_stream, kind="stable")[:n])
        kept[path] = (PHASES * best[:, None] + np.arange(PHASES)).reshape(-1) if path == "around_lines" else best
    return kept


class _Task:
    """What a layer looks at in places of many pictures `(N, K)`, and what it is to make there `(N, C)`."""

    def __init__(self) -> None:
        self._parts: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []

    def add(self, rows: Tensor, wanted: Tensor, floor: Tensor, worth: Tensor, rng: np.random.Generator) -> None:
        """Some places of a picture; under the floor the sum is cut off."""
        places = torch.from_numpy(rng.permutation(len(rows))[:PLACES_OF_PICTURE])
        planes = (plane.flatten(1).T[places] for plane in (wanted, floor, worth))
        self._parts.append((rows[places], *planes))

    def solved(self, is_cut_off: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Weights `(K, C)`, bias `(C,)` and what the weights make of the rows, by least squares."""
        rows, wanted, floor, worth = (torch.cat(values).double() for values in zip(*self._parts, strict=True))
        worth = worth[:, :1] / worth[:, :1].mean()
        middle = (worth * rows).mean(dim=0)
        centred = rows - middle
        square = centred.T @ (worth * centred)
        square += RIDGE * square.diagonal().mean() * torch.eye(len(square), dtype=torch.float64)
        asked = wanted
        for _ in range(ROUNDS if is_cut_off else 1):
            weights = torch.linalg.solve(square, centred.T @ (worth * asked))
            bias = (worth * asked).mean(dim=0) - middle @ weights
            made = rows @ weights
            asked = torch.where(wanted > floor, wanted, torch.minimum(made + bias, floor))
        return weights.float(), bias.float(), made.float()

    def answered(self) -> tuple[Tensor, Tensor]:
        """Weights and bias of a head: what is nearest by the logarithms of what it holds for likely."""
        rows, wanted, _, worth = (torch.cat(values) for values in zip(*self._parts, strict=True))
        share, spread = torch.sigmoid(wanted), RIDGE_OF_HEAD * rows.square().mean()
        weights = torch.zeros(rows.shape[1], wanted.shape[1], requires_grad=True)
        bias = torch.logit((worth * share).mean(dim=0) / worth.mean(dim=0)).requires_grad_()
        optimiser = torch.optim.LBFGS([weights, bias], max_iter=STEPS_OF_HEAD, line_search_fn="strong_wolfe")

        def off() -> Tensor:
            optimiser.zero_grad()
            with torch.enable_grad():
                found = functional.binary_cross_entropy_with_logits(rows @ weights + bias, share, worth)
                found = found + spread * weights.square().sum(dim=0).mean()
            found.backward()
            return found

        optimiser.step(off)
        return weights.detach(), bias.detach()
