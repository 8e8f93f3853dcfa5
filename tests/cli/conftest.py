"""Phantom files on disk, rendered once by the command itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_once import made_once

from her2scope.cli import main


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders `0` and `3+` with a field each and `2+` with two, of one run."""
    return made_once(tmp_path_factory, "phantoms", _render)


def _render(root: Path) -> None:
    for score, n_fields in (("0", 1), ("2+", 2), ("3+", 1)):
        how = ["--fields", str(n_fields), "--score", score, "--seed", "31", "--camera", "linear"]
        assert main(["phantom", "render", "--out", str(root / score), *how]) == 0
