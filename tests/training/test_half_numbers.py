"""The 16-bit file: close to the 32-bit one, half its size, and taken as it is taken."""

from __future__ import annotations

import numpy as np

from her2scope.segmentation.forms import form_of
from her2scope.segmentation.methods import NETWORK
from her2scope.segmentation.model_card import FULL, HALVED, read_card
from her2scope.segmentation.provider_choice import MOST_OFF, TEST_HW, WHITE, drawn_picture, largest_difference
from her2scope.segmentation.sessions import CPU, open_session
from her2scope.training.half_numbers import halved


def test_the_shipped_network_in_16_bits_is_within_what_the_self_test_allows() -> None:
    full = read_card(NETWORK).read_model(FULL)
    half = halved(full)
    assert len(half) < 0.55 * len(full)
    rgb = np.ascontiguousarray(drawn_picture(TEST_HW))
    planes = [
        form_of(session).run(session, rgb, WHITE) for session in (open_session(c, [CPU], 1) for c in (full, half))
    ]
    assert 0.0 < largest_difference(planes[1], planes[0]) < MOST_OFF[HALVED] / 2
