"""The reader of outlines run by ONNX Runtime: unrolled outlines in, which of their places carry membrane out."""

from __future__ import annotations

import numpy as np

from her2scope.domain.errors import SettingsError
from her2scope.imaging.outline_bands import CHANNELS
from her2scope.imaging.profiles import N_PLACES, Floats
from her2scope.segmentation.model_card import OUTLINES, ModelCard
from her2scope.segmentation.sessions import CPU, Session, first_line, open_session

BANDS, MEMBRANE = "bands", "membrane"
AT_ONCE = 128
"""Cells a run: 2 MB of bands, and as much in each layer. Four times as many take no less time."""


class OnnxOutlineReader:
    """A card's reader of outlines, loaded. Several threads may use it at once, and each answers for itself.

    It runs on the processor even where there is a graphics card: a field's outlines take it 10 ms.

    Parameters
    ----------
    card : ModelCard
    threads : int
        That each call uses. One: who asks has threads of its own, which share the cells and never wait for each other.

    Raises
    ------
    SettingsError
        Where the model is missing, is not the card's, or does not run.
    """

    def __init__(self, card: ModelCard, threads: int = 1) -> None:
        content = card.read_model(OUTLINES)
        try:
            self._session: Session = open_session(content, [CPU], threads)
            self.read(np.zeros((1, len(CHANNELS), N_PLACES), np.float32))
        except Exception as error:  # ONNX Runtime's errors share no base
            raise SettingsError(
                f"{card.folder / OUTLINES}: ONNX Runtime cannot run this model ({first_line(error)}). "
                "Run 'her2scope doctor', and install her2scope again."
            ) from error

    def read(self, bands: Floats) -> Floats:
        """Probability `(N, P)` that each place carries the cell's own stained membrane.

        Parameters
        ----------
        bands : (N, len(CHANNELS), P) float32
            See `outline_bands.read_bands`.
        """
        probability = np.empty((len(bands), bands.shape[2]), np.float32)
        for start in range(0, len(bands), AT_ONCE):
            rows = slice(start, start + AT_ONCE)
            probability[rows] = self._session.run([MEMBRANE], {BANDS: np.ascontiguousarray(bands[rows])})[0]
        return probability
