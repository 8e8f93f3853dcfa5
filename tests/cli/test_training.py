"""The commands that make a network, where torch is not installed: one clear line."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from her2scope.cli import main

pytestmark = pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="torch is installed")


@pytest.mark.parametrize("command", [["train", "run.yaml", "--out", "run"], ["export", "run", "--out", "model"]])
def test_without_torch_it_says_how_to_get_it(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(command) == 2
    said = capsys.readouterr()
    assert "make train-env" in said.err and said.err.count("\n") == 1
    assert not list(tmp_path.iterdir())
