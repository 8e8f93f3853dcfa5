"""Memory that is kept from one frame to the next."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod

import numpy as np
from numpy.typing import NDArray


class Workspace:
    """Arrays for what is worked out on the way, kept under their names: fresh ones of this size cost page faults.

    Used by one thread at a time, which may lend others to more. What it gives holds anything and is overwritten by
    whoever next asks for that name: nothing of it is handed out with a result. It grows to the largest array that was
    asked for, by name.
    """

    def __init__(self) -> None:
        self._kept: dict[str, NDArray[np.float32]] = {}
        self._free: list[Workspace] = []

    def floats(self, name: str, *shape: int) -> NDArray[np.float32]:
        """A float32 array of this shape, contiguous, holding anything."""
        size = prod(shape)
        if name not in self._kept or self._kept[name].size < size:
            self._kept[name] = np.empty(size, np.float32)
        return self._kept[name][:size].reshape(shape)

    @contextmanager
    def lent(self) -> Iterator[Workspace]:
        """Another one, of nobody else meanwhile: for each of the threads that share some work. Any thread may ask.

        There are as many as were lent at once; the one given back last, still in the processor's cache, goes first.
        """
        try:
            workspace = self._free.pop()
        except IndexError:
            workspace = Workspace()
        try:
            yield workspace
        finally:
            self._free.append(workspace)
