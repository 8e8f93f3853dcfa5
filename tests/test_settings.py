"""Settings to YAML and back; scoring refuses slips, preferences repair themselves."""

from __future__ import annotations

import dataclasses

import pytest

from her2scope.domain.errors import SettingsError
from her2scope.resources import resource_dir
from her2scope.settings import (
    Calibration,
    Preferences,
    ScoringSettings,
    as_mapping,
    from_mapping,
    load_calibration,
    load_preferences,
    load_scoring,
    save_yaml,
)


@pytest.mark.parametrize(
    "settings",
    [
        ScoringSettings(),
        Calibration(name="a", objectives={"40x": 0.25}, response="gamma:2.2", white_rgb=(240.0, 239.0, 238.0)),
        Preferences(palette="paper", reader="Dr. Grün", window_wh=(800, 600)),
    ],
)
def test_what_is_saved_is_read_back(tmp_path, settings):
    path = tmp_path / "settings.yaml"
    save_yaml(settings, path)
    assert from_mapping(type(settings), as_mapping(settings), "here") == settings
    load = {ScoringSettings: load_scoring, Calibration: load_calibration}.get(type(settings))
    found = load(path) if load else load_preferences(path)[0]
    assert found == settings
    assert [item.name for item in tmp_path.iterdir()] == ["settings.yaml"]


def test_the_shipped_files_are_the_defaults_and_can_be_read():
    assert load_scoring(resource_dir("calibration") / "scoring.yaml") == ScoringSettings()
    example = load_calibration(resource_dir("calibration") / "microscope.yaml")
    assert example == dataclasses.replace(
        Calibration(), name="example microscope", date="2026-01-15", objectives={"10x": 1.0, "20x": 0.5, "40x": 0.25}
    )


def test_keys_left_out_keep_their_default(tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_text("cuts: {intense_od10: 0.9}\n")
    found = load_scoring(path)
    assert found.cuts.intense_od10 == 0.9 and found.cuts.stained_od10 == ScoringSettings().cuts.stained_od10
    path.write_text("")
    assert load_scoring(path) == ScoringSettings()


@pytest.mark.parametrize("text", ["min_case_cells: 99.5", "cuts: 3", "guideline: [a]", "cuts: {stained_od10: .nan}"])
def test_a_slip_in_scoring_is_an_error(tmp_path, text):
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match="settings.yaml"):
        load_scoring(path)


def test_preferences_repair_themselves_and_say_so(tmp_path):
    path = tmp_path / "preferences.yaml"
    path.write_text("palette: paper\nshow_cells: perhaps\nwindow: big\n")
    found, repairs = load_preferences(path)
    assert found == dataclasses.replace(Preferences(), palette="paper")
    assert len(repairs) == 2 and all("default is used" in text for text in repairs)
    path.write_text("{")
    assert load_preferences(path)[0] == Preferences()
    assert load_preferences(tmp_path / "none.yaml") == (Preferences(), ())
