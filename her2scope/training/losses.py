"""How far the network's answers are from the truth of a sample, wherever something is asked, and from a teacher's."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from her2scope.training.net import nuclei_of
from her2scope.training.targets import (
    GLASS,
    INTENSE_LINE,
    NEAR_LINE,
    NOT_ASKED,
    OFFSET_STEP_UM,
    ON_LINE,
    REACH_SPAN_UM,
    REACH_STEP_UM,
)
from her2scope.training.teacher import Answers

NEAR_WEIGHT = 0.2
"""Of a pixel beside a line: whether it still belongs to the line is a matter of taste."""
LINE_WEIGHT = 2.0
"""Of a pixel on a line: they are few."""
HILL_WEIGHT = 9.0
"""Of a nucleus' middle, over the ground's 1."""
Answer = tuple[Tensor, Tensor, Tensor, Tensor]
"""Membrane, nuclei, context and region, as `CellNet` gives them."""
WEIGHTS: Mapping[str, float] = {
    "membrane": 2.0,
    "intense": 0.3,
    "nucleus": 1.0,
    "overlap": 0.5,
    "centre": 2.0,
    "tumour": 1.2,
    "offset": 0.3,
    "tissue": 0.2,
    "region": 0.2,
    "reach": 0.4,
}
"""Shares of the parts in the sum: each then moves the weights about as much as its worth to a score."""


def losses(answer: Answer, truth: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Parts of the loss by the names of `WEIGHTS`, each a mean over where it is asked.

    Parameters
    ----------
    answer : logits, as `CellNet` gives them
    truth : tensors of `targets.target_record`, batched
    """
    membrane, nuclei, context, region = answer
    return {
        **_of_membrane(membrane, truth["membrane"]),
        **_of_nuclei(nuclei, truth),
        **_of_context(context, region, truth),
    }


def taught(answer: Answer, teacher: Answers) -> dict[str, Tensor]:
    """The same from a teacher's answers, in every place; 0 where both answer the same.

    Parameters
    ----------
    answer : logits, as `CellNet` gives them
    teacher : probabilities and lengths, as `Teacher` gives them
    """
    membrane, nuclei, context, _ = answer
    line, intense = teacher[0].unbind(1)
    nucleus, centre, tumour = teacher[1][:, :3].unbind(1)
    inside = nucleus[:, ::2, ::2]
    off_um = (nuclei_of(nuclei)[:, 3:] - teacher[1][:, 3:]).abs().sum(dim=1)
    reach_off_um = (REACH_SPAN_UM * torch.sigmoid(context[:, 1:]) - teacher[2][:, 1:]).abs().mean(dim=1)
    return {
        "membrane": _mean(_apart(membrane[:, 0], line), 1.0 + (LINE_WEIGHT - 1.0) * line),
        "intense": _mean(_apart(membrane[:, 1], intense), line),
        "nucleus": _apart(nuclei[:, 0], nucleus).mean(),
        "centre": _mean(_apart(nuclei[:, 1], centre), 1.0 + HILL_WEIGHT * centre),
        "tumour": _mean(_apart(nuclei[:, 2], tumour), nucleus),
        "offset": _mean(off_um, nucleus),
        "tissue": _apart(context[:, 0], teacher[2][:, 0]).mean(),
        "reach": _mean(reach_off_um, inside),
    }


def _apart(logit: Tensor, share: Tensor) -> Tensor:
    """Divergence of an answer from a probability: what is missed beyond what the probability itself leaves open."""
    share = share.clamp(0.0, 1.0)  # rounding in another library: 1.0000001
    open_still = functional.binary_cross_entropy(share, share, reduction="none")
    return _bce(logit, share) - open_still


def weighted(parts: Mapping[str, Tensor]) -> Tensor:
    """The sum that training lowers."""
    return torch.stack([WEIGHTS[name] * value for name, value in parts.items()]).sum()


def _mean(value: Tensor, weight: Tensor) -> Tensor:
    return (value * weight).sum() / weight.sum().clamp(min=1.0)


def _bce(logit: Tensor, target: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logit, target, reduction="none")


def _of_membrane(logits: Tensor, code: Tensor) -> dict[str, Tensor]:
    on = (code >= ON_LINE).float()
    weight = 1.0 + (LINE_WEIGHT - 1.0) * on + (NEAR_WEIGHT - 1.0) * (code == NEAR_LINE).float()
    intense = (code == INTENSE_LINE).float()
    return {"membrane": _mean(_bce(logits[:, 0], on), weight), "intense": _mean(_bce(logits[:, 1], intense), on)}


def _of_nuclei(logits: Tensor, truth: Mapping[str, Tensor]) -> dict[str, Tensor]:
    asked = (truth["nucleus"] != NOT_ASKED).float()
    share = truth["nucleus"].float() / 250.0 * asked
    inside = torch.sigmoid(logits[:, 0]) * asked
    overlap = 1.0 - (2.0 * (inside * share).sum() + 1.0) / (inside.sum() + share.sum() + 1.0)
    hill_asked = (truth["centre"] != NOT_ASKED).float()
    hill = truth["centre"].float() / 250.0 * hill_asked
    on = (truth["tumour"] != NOT_ASKED).float()
    offset_um = nuclei_of(logits)[:, 3:]
    off = (offset_um - OFFSET_STEP_UM * truth["offset"].float()).abs().sum(dim=1)
    return {
        "nucleus": _mean(_bce(logits[:, 0], share), asked),
        "overlap": overlap,
        "centre": _mean(_bce(logits[:, 1], hill), hill_asked * (1.0 + HILL_WEIGHT * hill)),
        "tumour": _mean(_bce(logits[:, 2], (truth["tumour"] == 1).float()), on),
        "offset": _mean(off, on),
    }


def _of_context(logits: Tensor, region: Tensor, truth: Mapping[str, Tensor]) -> dict[str, Tensor]:
    tissue = (truth["region"] != GLASS).float()
    asked = (truth["reach"] != NOT_ASKED).float()
    reach_um = REACH_SPAN_UM * torch.sigmoid(logits[:, 1:])
    off = (reach_um - REACH_STEP_UM * truth["reach"].float()).abs()
    return {
        "tissue": _bce(logits[:, 0], tissue).mean(),
        "region": functional.cross_entropy(region, truth["region"].long()),
        "reach": _mean(off, asked),
    }
