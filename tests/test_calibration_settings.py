"""A calibration file is refused for a slip; a stored case's calibration stays readable."""

from __future__ import annotations

import dataclasses
from datetime import date, timedelta

import pytest

from her2scope.domain.errors import SettingsError
from her2scope.settings import (
    Calibration,
    as_mapping,
    check_for_use,
    expired,
    from_mapping,
    load_calibration,
    missing_parts,
    save_yaml,
)

TODAY = date(2026, 6, 1)
FLAT = (((1.0, 0.99, 0.98), (0.97, 0.96, 0.95)), ((0.9, 0.9, 0.9), (0.85, 0.86, 0.87)))
WHOLE = Calibration(
    name="lab", date="2026-05-01", objectives={"40x": 0.25}, response="srgb", white_rgb=(240.0, 239.0, 238.0),
    haematoxylin_vector=(0.66, 0.70, 0.28), dab_vector=(0.27, 0.56, 0.78), flat_field=FLAT, exposure_ms=4.0, gain=1.0,
    white_balance="locked", measured_from={"white": "empty field"}, measured_on={"white": "2026-05-01"},
)  # fmt: skip


def test_a_whole_calibration_is_saved_and_read_back(tmp_path):
    path = tmp_path / "lab.yaml"
    save_yaml(WHOLE, path)
    assert load_calibration(path) == WHOLE
    assert from_mapping(Calibration, as_mapping(WHOLE), "case") == WHOLE
    assert len(path.read_text().splitlines()) < 40  # one line for each place of the flat field


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("white_rgb: [0.94, 0.93, 0.92]", "Give camera values: [240, 237, 235]"),
        ("white_rgb: [240, 300, 240]", "white_rgb must be three values"),
        ("white_rgb: [240, 240]", "expected 3 values"),
        ("objectives: {40x: 250}", "looks like nanometres: give 0.25"),
        ("objectives: {40x: 0.00025}", "looks like millimetres: give 0.25"),
        ("objectives: {40x: -0.25}", "objective 40x: a pixel size of -0.25"),
        ("objectives: {40x: 0.25 mm}", "'0.25 mm'. Give the number alone"),
        ('objectives: {40x: "0,25"}', "with a decimal point"),
        ("dab_vector: [0, 0, 0]", "has no direction"),
        ("dab_vector: [-0.27, 0.57, 0.78]", "has a negative entry"),
        ("dab_vector: [0.65, 0.70, 0.286]", "point the same way"),
        ("date: 2999-01-01", "lies in the future"),
        ("date: last spring", "'last spring' is not a date"),
        ("measured_on: {white: soon}", "white: 'soon' is not a date"),
        ("valid_days: 0", "valid_days must be from 1"),
        ("colour: blue", "unknown key 'colour'"),
        ("response: log", "response 'log' is not known"),
        ("flat_field: [[[1, 1, 1], [1, 1, 1]], [[1, 1, 1], [1, 1, 1]]]", "flat_field needs white_rgb"),
        ("flat_field: [[[1, 1, 1], [1, 1, 1]], [[1, 1, 1]]]", "its rows differ"),
        ("flat_field: [[[1, 1, 1], [1, 1, 0]], [[1, 1, 1], [1, 1, 1]]]", "relative white of 0 "),
        ("flat_field: [[[1, 1, 1], [1, 1, -1]], [[1, 1, 1], [1, 1, 1]]]", "relative white of -1 "),
        ("flat_field: [[[1, 1, 1], [1, 1, 9]], [[1, 1, 1], [1, 1, 1]]]", "relative white of 9 "),
        ("flat_field: [[[1, 1, 1], [1, 1, .nan]], [[1, 1, 1], [1, 1, 1]]]", "expected a number, found nan"),
        ("flat_field: [[[1, 1], [1, 1]], [[1, 1], [1, 1]]]", "expected 3 values"),
        ("flat_field: []", "flat_field"),
        ("flat_field: 1", "expected a list"),
    ],
)
def test_a_slip_is_one_clear_error(tmp_path, text, says):
    path = tmp_path / "lab.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError) as refusal:
        load_calibration(path)
    assert says in str(refusal.value) and str(refusal.value).startswith(f"{path}: ")


def test_a_case_stored_before_there_were_flat_fields_is_read():
    stored = as_mapping(Calibration(name="old", date="someday", objectives={"40x": 0.25}))
    for key in ("flat_field", "valid_days", "exposure_ms", "gain", "white_balance", "measured_from", "measured_on"):
        del stored[key]
    found = from_mapping(Calibration, stored, "case 1")
    assert found.flat_field is None and "cannot be read" in str(expired(found, TODAY))
    later = dataclasses.replace(found, date="2999-01-01", white_rgb=(0.9, 0.9, 0.9))
    assert from_mapping(Calibration, as_mapping(later), "case 2") == later


@pytest.mark.parametrize(
    ("made", "days", "says"),
    [("2026-05-01", 180, None), ("2026-05-01", 30, "31 days ago"), ("2026-06-02", 180, None),
     ("2026-06-05", 180, "in the future"), ("", 180, "no date"), ("1 May", 180, "cannot be read")],
)  # fmt: skip
def test_age(made, days, says):
    calibration = Calibration(name="lab", date=made, valid_days=days)
    found = expired(calibration, TODAY)
    assert found is None if says is None else says in str(found)


def test_measuring_one_part_makes_no_other_younger():
    on = {"white": "2025-01-01", "objective 40x": TODAY.isoformat()}
    found = expired(Calibration(name="lab", date=TODAY.isoformat(), measured_on=on), TODAY)
    assert found is not None and found.startswith("white: measured 2025-01-01")


def test_no_calibration_is_missing_not_old():
    assert expired(Calibration(), TODAY) is None and len(missing_parts(Calibration())) == 5
    assert missing_parts(WHOLE) == ()
    assert missing_parts(dataclasses.replace(WHOLE, response="unknown")) == (
        "camera response unknown: od10 is apparent",
    )


def test_the_day_after_tomorrow_is_no_time_zone():
    check_for_use(Calibration(date=(TODAY + timedelta(days=1)).isoformat()), TODAY)
    with pytest.raises(SettingsError, match="future"):
        check_for_use(Calibration(date=(TODAY + timedelta(days=2)).isoformat()), TODAY)


@dataclasses.dataclass(frozen=True)
class Point:
    x: float = 0.0


@dataclasses.dataclass(frozen=True)
class Lists:
    numbers: tuple[float, ...] = ()
    points: tuple[Point, ...] = ()


def test_lists_of_any_length_are_read():
    found = from_mapping(Lists, {"numbers": [1, 2, 3], "points": [{"x": 4}]}, "here")
    assert found == Lists((1.0, 2.0, 3.0), (Point(4.0),))
    assert from_mapping(Lists, {}, "here") == Lists()
    with pytest.raises(SettingsError, match="points: 2: unknown key 'y'"):
        from_mapping(Lists, {"points": [{}, {"y": 1}]}, "here")
    with pytest.raises(SettingsError, match="numbers: 2: expected a number"):
        from_mapping(Lists, {"numbers": [1, "a"]}, "here")
