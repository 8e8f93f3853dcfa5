from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from her2scope.domain.errors import SettingsError
from her2scope.resources import resource_dir
from her2scope.settings import as_mapping, from_mapping, save_yaml
from her2scope.settings.instruments import (
    ButtonAction,
    ButtonSettings,
    InstrumentSettings,
    LineEnd,
    NosepieceSettings,
    PortSettings,
    StageDialect,
    StageSettings,
    load_instruments,
)

WHOLE = InstrumentSettings(
    stage=StageSettings(
        PortSettings("COM3", 115200), right="-y", down="+x", places={"tissue": (1.5, -2.0)},
        travel_um=(-1.0, -5.0, 20.0, 30.0),
    ),
    nosepiece=NosepieceSettings(PortSettings("COM4", line_end=LineEnd.LF), {"1": "10x", "2": "40x", "0": ""},
                                pattern=r"N(?P<position>\d)", ask="?", every_s=0.25, ignored=("hello",)),
    buttons=(ButtonSettings(PortSettings("COM5"), {"P": ButtonAction.ACCEPT}, ignored=("U",)),),
    keys={"F13": ButtonAction.UNDO},
)  # fmt: skip


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_what_is_saved_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "instruments.yaml"
    for settings in (WHOLE, InstrumentSettings()):
        save_yaml(settings, path)
        assert load_instruments(path) == settings
    assert from_mapping(InstrumentSettings, as_mapping(WHOLE), "case") == WHOLE


def test_an_empty_file_is_a_desk_without_instruments(tmp_path: Path) -> None:
    assert load_instruments(write(tmp_path / "none.yaml", "")) == InstrumentSettings()


def test_the_example_that_ships_is_read_and_all_that_can_be_set_stands_in_it() -> None:
    path = resource_dir("calibration") / "instruments.yaml"
    settings = load_instruments(path)
    assert settings.stage is not None and settings.stage.dialect is StageDialect.ASI
    assert settings.nosepiece is not None and settings.buttons and settings.keys
    given, whole = yaml.safe_load(path.read_text(encoding="utf-8")), as_mapping(settings)
    assert set(given) == set(whole)
    for name in ("stage", "nosepiece"):
        assert set(given[name]) == set(whole[name])
        assert set(given[name]["line"]) == set(whole[name]["line"])
    assert set(given["buttons"][0]) == set(whole["buttons"][0])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("stge: {}", "unknown key 'stge'. Did you mean 'stage'"),
        ("stage: {line: {port: COM3, speed: 9600}}", "unknown key 'speed'"),
        ("stage: {}", "'line' is missing"),
        ("stage: {line: {port: ''}}", "port is empty"),
        ("stage: {line: {port: COM3, baud: 12}}", "baud must be"),
        ("stage: {line: {port: COM3, line_end: nul}}", "Use cr or lf or crlf"),
        ("stage: {line: {port: COM3, answer_s: 30}}", "answer_s must be from"),
        ("stage: {line: {port: COM3}, dialect: marzhauser}", "Use asi"),
        ("stage: {line: {port: COM3}, right: east}", r"right and down must be \+x"),
        ("stage: {line: {port: COM3}, right: +x, down: -x}", "both along x"),
        ("stage: {line: {port: COM3}, poll_s: 5}", "poll_s must be"),
        ("stage: {line: {port: COM3}, travel_um: [0, 0, -5, 5]}", "travel_um must be"),
        ("stage: {line: {port: COM3}, places: {tissue: [1000000000, 0]}}", "place tissue.*farther than a stage goes"),
        ("nosepiece: {line: {port: COM3}, objectives: {}}", "objectives is empty"),
        ("nosepiece: {line: {port: COM3}, objectives: {1: 10x}, pattern: '('}", "no regular expression"),
        ("nosepiece: {line: {port: COM3}, objectives: {1: 10x}, pattern: 'P(.)'}", "has no group"),
        ("nosepiece: {line: {port: COM3}, objectives: {1: 10x}, ask: '?'}", "needs every_s"),
        ("nosepiece: {line: {port: COM3}, objectives: {1: 10x}, ask: '?', every_s: 5}", "within a second"),
        ("nosepiece: {line: {port: COM3}, objectives: {1: 10x}, every_s: 0}", "every_s must be"),
        ("buttons: [{line: {port: COM3}, actions: {}}]", "actions is empty"),
        ("buttons: [{line: {port: COM3}, actions: {P: sign}}]", "Use accept or control or undo"),
        ("buttons: [{line: {port: COM3}, actions: {P: undo}, ignored: [P]}]", "both an action and ignored"),
        ("buttons: [{line: {port: COM3}, actions: {ON: undo}}]", "'True' is not a text to YAML"),
        ("buttons: [{line: {port: COM3}, actions: {P: undo}, ignored: [no]}]", "'False' is not a text to YAML"),
        ("nosepiece: {line: {port: COM3}, objectives: {off: 10x}}", "Put what the instrument says in quotes"),
        ("keys: {F13: sign}", "Use accept or control or undo"),
        ("{stage: {line: {port: COM3}}, buttons: [{line: {port: COM3}, actions: {P: undo}}]}", "to two instruments"),
        ("keys: {F13: undo, F13: accept}", "given twice"),
    ],
)
def test_a_slip_is_refused_in_one_line_that_names_the_file(tmp_path: Path, text: str, says: str) -> None:
    path = write(tmp_path / "desk.yaml", text)
    with pytest.raises(SettingsError, match=says) as refused:
        load_instruments(path)
    assert str(path) in str(refused.value) and "\n" not in str(refused.value)
