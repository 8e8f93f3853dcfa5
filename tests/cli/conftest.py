"""Phantom files on disk, rendered once by the command itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from her2scope.cli import main


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders `0`, `2+` and `3+` with two fields each, of one run."""
    root = tmp_path_factory.mktemp("phantoms")
    for score in ("0", "2+", "3+"):
        arguments = [
            "--out",
            str(root / score),
            "--fields",
            "2",
            "--score",
            score,
            "--seed",
            "31",
            "--camera",
            "linear",
        ]
        assert main(["phantom", "render", *arguments]) == 0
    return root
