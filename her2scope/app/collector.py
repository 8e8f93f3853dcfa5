"""Python's collector of what only holds itself, kept out of the way of live work."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

COLLECT_AFTER = (10_000, 10, 100)
"""How often it looks (`gc.set_threshold`). By its own figures it stopped all threads for up to 90 ms every ten seconds
once some fields were accepted, for next to nothing: frames, analyses and fields go when the last name for them goes."""


@contextmanager
def few_collections() -> Iterator[None]:
    """Meanwhile look seldom, and never through what the program itself consists of.

    Where whoever calls this keeps something out already, that and what is there now stay out afterwards.
    """
    before, keeps_out = gc.get_threshold(), gc.get_freeze_count() > 0
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        if not keeps_out:
            gc.unfreeze()
