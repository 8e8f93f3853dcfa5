"""Settings to YAML and back; scoring refuses slips, preferences repair themselves."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import pytest

from her2scope.domain.errors import BadInputError, SettingsError
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


@pytest.mark.parametrize(
    "text", ["? [a, b]\n: 1", "min_case_cells: 99.5", "cuts: 3", "guideline: [a]", "cuts: {stained_od10: .nan}"]
)
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


# ---- impossible values --------------------------------------------------------------------------------------------


def numbers(settings: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Path of every number in nested settings."""
    for item in dataclasses.fields(settings):
        value = getattr(settings, item.name)
        if dataclasses.is_dataclass(value):
            yield from numbers(value, (*above, item.name))
        elif isinstance(value, int | float):
            yield (*above, item.name)


def changed(settings: Any, path: tuple[str, ...], value: float) -> Any:
    """The settings with one number replaced."""
    name, *rest = path
    inner = changed(getattr(settings, name), tuple(rest), value) if rest else value
    return dataclasses.replace(settings, **{name: inner})


@pytest.mark.parametrize("path", [*numbers(ScoringSettings())], ids=".".join)
def test_no_scoring_number_can_be_impossible(path):
    for value in (math.nan, math.inf, -math.inf, -1, 1e9):
        with pytest.raises(BadInputError) as refusal:
            changed(ScoringSettings(), path, value)
        # the cuts' own rule names them without their unit
        assert path[-1].removesuffix("_od10") in str(refusal.value)
        assert f"{value:g}" in str(refusal.value).replace("1000000000.0", "1e+09")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("min_case_cells: 0", "min_case_cells must be from 1 to 100000, not 0"),
        (f"min_case_cells: 1{'0' * 400}", "min_case_cells: expected a whole number"),
        ("cuts: {intense_od10: 7}", "cuts: intense_od10 must be from 0 to 5, not 7"),
        ("control: {min_tumour: 0}", "control: min_tumour must be from 1"),
        ("control: {min_intense_od10: 1.7}", "control: max_intense_od10 must be at least min_intense_od10 (1.7)"),
        ("quality: {unusable_clipped_share: 5}", "quality: unusable_clipped_share must be from 0 to 1, not 5"),
        ("quality: {unusable_clipped_share: 0.01}", "must be at least max_clipped_share (0.05), not 0.01"),
        ("closed_contours: {working_um_per_px: 0}", "closed_contours: working_um_per_px must be from 0.05 to 1"),
        ("closed_contours: {n_levels: 0}", "n_levels must be from 1"),
        ("closed_contours: {nucleus_smoothing_um: 0}", "nucleus_smoothing_um must be from 0.1"),
        ("closed_contours: {cut_low_percentile: 80}", "cut_high_percentile must be at least 5 above"),
        ("closed_contours: {max_cell_um2: 5}", "max_cell_um2 must be at least min_cell_um2 (10), not 5"),
        ("closed_contours: {rule: {present_share: 0.9, complete_share: 0.5}}", "rule: complete_share must be at least"),
        ("network: {min_nucleus_score: 2}", "network: min_nucleus_score must be from 0 to 1, not 2"),
        ("network: {nucleus_score: 0.5}", "unknown key 'nucleus_score'. Did you mean 'min_nucleus_score'?"),
        ("network: {likely_membrane_probability: 0.9}", "min_membrane_probability must be at least likely_membrane"),
        ("network: {contrast_od10: -0.1}", "network: contrast_od10 must be from 0 to 5, not -0.1"),
        ("guideline: 2026-13-45", "not valid YAML (month must be in 1..12)"),
        ("[" * 5000, "not valid YAML"),
    ],
)
def test_an_impossible_value_is_named_with_its_range(tmp_path, text, says):
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError) as refusal:
        load_scoring(path)
    assert says in str(refusal.value) and "settings.yaml: " in str(refusal.value)


def test_a_key_given_twice_is_refused(tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_text("cuts:\n  intense_od10: 0.9\n  stained_od10: 0.1\n  intense_od10: 0.5\n")
    with pytest.raises(SettingsError, match=r"settings.yaml: key 'intense_od10' is given twice \(again in line 4\)"):
        load_scoring(path)
