"""A run's file is read whole, or refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from her2scope.domain.errors import SettingsError
from her2scope.training.config import OutlineConfig, TrainConfig, load_config


def test_a_file_is_read_and_the_rest_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("sets: [a, b]\nsteps: 7\nwidths: [8, 16, 24]\nlearning_rate: 1\nteacher: m\nteacher_share: 0.25\n")
    config = load_config(path)
    assert isinstance(config, TrainConfig)
    assert config.sets == ("a", "b")
    assert (config.steps, config.widths, config.learning_rate) == (7, (8, 16, 24), 1)
    assert (config.teacher, config.teacher_share) == ("m", 0.25)
    assert config.batch == TrainConfig(("a",)).batch


def test_a_file_that_names_a_model_is_a_run_of_the_reader_of_outlines(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("model: models/network\nfields: 9\n")
    assert load_config(path) == OutlineConfig("models/network", fields=9)


@pytest.mark.parametrize(
    "text",
    [
        "steps: 7\n",
        "sets: []\n",
        "sets: a\n",
        "sets: [a]\nstep: 7\n",
        "sets: [a]\nsteps: seven\n",
        "sets: [a]\nsteps: 0\n",
        "sets: [a]\nwidths: [8, 16]\n",
        "sets: [a]\nreuse: 0.5\n",
        "sets: [a]\nline_width: 0\n",
        "sets: [a]\nteacher: 3\n",
        "sets: [a]\nteacher: m\nteacher_share: 1.5\n",
        "model: 7\n",
        "model: m\nsets: [a]\n",
        "model: m\nfields: 0\n",
        "model: m\ntogether: 3\n",
        "model: m\nteacher_share: 1.5\n",
        "model: m\nsplice_share: -0.1\n",
        "sets: [a\n",
        "[1, 2]\n",
    ],
)
def test_a_slip_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError) as error:
        load_config(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load_config(tmp_path / "none.yaml")
