"""Another network's answers, to learn from beside the truth: they say how likely, where the truth says yes or no."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from her2scope.segmentation.forms import INPUT, OUTPUTS
from her2scope.segmentation.model_card import FULL, card_in
from her2scope.segmentation.sessions import CPU, open_session

Answers = tuple[Tensor, Tensor, Tensor]


class Teacher:
    """An exported network that a training run asks; its own weights stay as they are.

    Parameters
    ----------
    folder : Path
        Of the model, with its card.
    threads : int
        Of the processor.

    Raises
    ------
    SettingsError
        Where there is no card, or the model is not the card's.
    """

    def __init__(self, folder: Path, threads: int) -> None:
        self._session = open_session(card_in(folder).read_model(FULL), [CPU], threads)

    def answers(self, picture: Tensor) -> Answers:
        """`membrane`, `nuclei` and `context` of pictures `(B, 3, H, W)`, as `net.Shipped` gives them."""
        each = [self._session.run(list(OUTPUTS), {INPUT: one}) for one in picture.contiguous().numpy()[:, None]]
        membrane, nuclei, context = (torch.from_numpy(np.concatenate(planes)) for planes in zip(*each, strict=True))
        return membrane, nuclei, context
