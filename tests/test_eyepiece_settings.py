"""Eyepiece settings: what is shown repairs itself, maps refuse a slip, and neither is lost."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2scope.domain.errors import SettingsError
from her2scope.settings import as_mapping, from_mapping
from her2scope.settings.eyepiece import (
    MAX_RESIDUAL_PX,
    EyepieceMap,
    EyepieceMaps,
    EyepieceView,
    NoMap,
    load_maps,
    load_view,
    maps_path,
    save,
    save_map,
)

MATRIX = ((-0.62, 0.01, 1233.5), (0.02, 0.61, 12.25))
MAP = EyepieceMap(MATRIX, (1920, 1200), (1280, 720), "2026-01-15", 0.42, 11, "HDMI-2")


def test_maps_are_read_back_as_they_were_saved(tmp_path):
    path = tmp_path / "calibration" / "eyepiece.yaml"
    assert load_maps(path) == EyepieceMaps()
    other = dataclasses.replace(MAP, residual_px=0.7)
    save_map("40x", MAP, path)
    assert save_map("20x", other, path) == load_maps(path) == EyepieceMaps({"40x": MAP, "20x": other})
    assert save_map("40x", other, path).maps == {"40x": other, "20x": other}


def test_the_file_is_not_taken_for_a_calibration_of_the_microscope():
    from her2scope.app.calibrate import calibration_dir, newest_calibration

    save_map("40x", MAP, maps_path())
    assert maps_path().parent == calibration_dir()
    assert newest_calibration() is None


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"residual_px": MAX_RESIDUAL_PX + 0.01}, "residual_px"),
        ({"n_targets": 5}, "n_targets"),
        ({"matrix": [[0, 0, 0], [0, 0, 0]]}, "display pixels"),
        ({"matrix": [[1, 2, 3], [2, 4, 5]]}, "display pixels"),
        ({"matrix": [[1, 0], [0, 1]]}, "matrix"),
        ({"matrix": [[float("nan"), 0, 0], [0, 1, 0]]}, "matrix"),
        ({"display_wh": [0, 720]}, "display_wh"),
        ({"date": "soon"}, "date"),
        ({"mirror": True}, "mirror"),
    ],
)
def test_a_slip_in_a_map_is_refused(change, word):
    data = {"maps": {"40x": {**as_mapping(MAP), **change}}}
    with pytest.raises(SettingsError, match=word):
        from_mapping(EyepieceMaps, data, "here")


def test_a_damaged_file_is_refused_and_not_overwritten(tmp_path):
    path = tmp_path / "eyepiece.yaml"
    path.write_text("maps: {40x: {matrix: 3}}")
    with pytest.raises(SettingsError):
        load_maps(path)
    with pytest.raises(SettingsError):
        save_map("20x", MAP, path)
    assert path.read_text() == "maps: {40x: {matrix: 3}}"


def test_a_file_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "calibration").write_text("a file where the folder should be")
    with pytest.raises(SettingsError, match="cannot be written"):
        save_map("40x", MAP, tmp_path / "calibration" / "eyepiece.yaml")


def test_a_map_holds_for_its_objective_and_sizes_only():
    maps = EyepieceMaps({"40x": MAP})
    assert maps.fitting("40x", (1920, 1200), (1280, 720)) is MAP
    for objective, camera_wh, display_wh, why in (
        ("20x", (1920, 1200), (1280, 720), "20x"),
        ("40x", (960, 600), (1280, 720), "picture size"),
        ("40x", (1920, 1200), (1920, 1080), "display size"),
    ):
        found = maps.fitting(objective, camera_wh, display_wh)
        assert isinstance(found, NoMap) and why in found.why


def test_what_is_shown_repairs_itself(tmp_path):
    path = tmp_path / "eyepiece.yaml"
    assert load_view(path) == (EyepieceView(), ())
    chosen = EyepieceView(True, "HDMI-2", palette="safe", line_px=4.5, markers=True, text_turned_deg=90)
    save(chosen, path)
    assert load_view(path) == (chosen, ())
    path.write_text("line_px: 900\nmarkers: true\nlinewidth: 3\ntext_turned_deg: 45\n")
    view, repairs = load_view(path)
    assert view == EyepieceView(markers=True)
    assert len(repairs) == 3 and "line_px" in repairs[0]


@given(st.text(max_size=40))
def test_whatever_the_file_holds_something_can_be_shown(tmp_path_factory, text):
    path: Path = tmp_path_factory.mktemp("view") / "eyepiece.yaml"
    path.write_text(text, encoding="utf-8")
    view, repairs = load_view(path)
    assert view == EyepieceView() or not repairs
