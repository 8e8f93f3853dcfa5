"""Marks by eye: the rule of the data's page, on marks made up here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from her2scope.domain.errors import BadInputError
from her2scope.evaluation.real_nuclei import compare_marks, read_marks

MARKS = {
    "image": "made_up.jpg",
    "crop_xyxy": [100, 100, 300, 300],
    "nuclei": [
        {"x": 150, "y": 150, "radius_px": 12, "certain": True, "kind": "tumour", "border": False},
        {"x": 200, "y": 150, "radius_px": 20, "certain": True, "kind": "other", "border": False},
        {"x": 250, "y": 150, "radius_px": 12, "certain": True, "kind": "unsure", "border": False},
        {"x": 150, "y": 220, "radius_px": 12, "certain": False, "kind": "tumour", "border": False},
        {"x": 295, "y": 220, "radius_px": 12, "certain": True, "kind": "tumour", "border": True},
    ],
}


@pytest.fixture
def marks(tmp_path: Path):
    path = tmp_path / "made_up.json"
    path.write_text(json.dumps(MARKS))
    return read_marks(path)


def tally(marks, *finds):
    """Finds are (x, y, is tumour)."""
    table = np.array(finds, float).reshape(-1, 3)
    return compare_marks(marks, table[:, :2], table[:, 2] > 0)


def test_only_certain_nuclei_that_are_whole_in_the_crop_count(marks):
    nothing = tally(marks)
    assert (nothing.nuclei.missed, nothing.nuclei.false, nothing.kinds.n) == (3, 0, 0)
    found = tally(marks, (150, 150, 1), (200, 150, 0), (250, 150, 1), (150, 220, 1), (295, 220, 1))
    assert (found.nuclei.hits, found.nuclei.missed, found.nuclei.false) == (3, 0, 0)
    assert found.nuclei.f1 == 1.0 and found.kinds.accuracy == 1.0


def test_a_kind_that_the_observer_was_not_sure_of_is_not_judged(marks):
    assert tally(marks, (250, 150, 0)).kinds.n == 0
    assert tally(marks, (200, 150, 1)).kinds.accuracy == 0.0


def test_a_match_lies_within_six_pixels_or_six_tenths_of_the_radius(marks):
    assert tally(marks, (157, 150, 1)).nuclei.hits == 1  # 7 of 7.2 px
    assert tally(marks, (158, 150, 1)).nuclei.hits == 0
    assert tally(marks, (211.9, 150, 1)).nuclei.hits == 1


def test_finds_outside_the_crop_or_within_a_radius_of_its_edge_do_no_harm(marks):
    assert tally(marks, (20, 20, 1), (105, 180, 1), (500, 500, 0)).nuclei.false == 0
    assert tally(marks, (180, 260, 1)).nuclei.false == 1


def test_tallies_add_up(marks):
    total = tally(marks, (150, 150, 1)) + tally(marks, (200, 150, 1))
    assert (total.nuclei.hits, total.nuclei.missed, total.kinds.n) == (2, 4, 2)


@pytest.mark.parametrize(
    "content",
    ["no json", "[]", '{"crop_xyxy": [0, 0, 1], "nuclei": []}', '{"crop_xyxy": [0, 0, 1, 1], "nuclei": [{"x": 1}]}',
     json.dumps({**MARKS, "nuclei": [{**MARKS["nuclei"][0], "kind": "benign"}]}),
     json.dumps({**MARKS, "nuclei": [{**MARKS["nuclei"][0], "x": float("nan")}]})],
)  # fmt: skip
def test_a_file_without_marks_is_one_clear_error(tmp_path, content):
    path = tmp_path / "marks.json"
    path.write_text(content)
    with pytest.raises(BadInputError, match=r"marks\.json"):
        read_marks(path)
