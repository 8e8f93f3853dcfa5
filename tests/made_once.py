"""What is dear to make, made once for all workers of a run of the tests."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that `make` fills; nobody changes what lies in it.

    Parameters
    ----------
    name : of the folder, which no other call uses for something else
    """
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # that of the run: each worker has a folder of its own in it
    folder = root / f"once-{name}"
    if not folder.exists():
        aside = factory.mktemp(name)
        make(aside)
        try:
            aside.rename(folder)
        except OSError:
            if not folder.exists():  # not because another worker was faster
                raise
    return folder
