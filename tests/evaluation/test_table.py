"""The table and the JSON file: the same figures, the methods side by side."""

from __future__ import annotations

import pytest

from her2scope.evaluation import table
from her2scope.evaluation.table import PartReport, table_json, table_lines

GOOD = PartReport((table.at_least("here", "F1", 0.95, 0.9), table.told("here", "count", 3.0, "3")), {"a": 1}, ("said",))
BAD = PartReport((table.at_least("here", "F1", 0.85, 0.9), table.told("here", "count", None, "none")))


def test_methods_stand_side_by_side():
    lines = table_lines({"part": {"network": GOOD, "closed-contours": BAD}}, ["network", "closed-contours"])
    assert lines[0].split() == ["on", "figure", "wanted", "network", "closed-contours"]
    assert lines[2].split() == ["here", "F1", "at", "least", "0.90", "0.950", "met", "0.850", "NOT", "MET"]
    assert lines[3].split() == ["count", "3", "none"]
    assert lines[4] == "part, network: said"


def test_json_has_the_same_rows_and_the_details():
    found = table_json({"part": {"network": GOOD, "closed-contours": BAD}}, ["network", "closed-contours"])
    first = found["table"][0]
    assert (first["part"], first["on"], first["figure"], first["wanted"]) == ("part", "here", "F1", "at least 0.90")
    assert first["values"]["network"] == {"value": 0.95, "text": "0.950", "met": True}
    assert first["values"]["closed-contours"]["met"] is False
    assert found["details"]["part"]["network"] == {"a": 1, "notes": ["said"]}


@pytest.mark.parametrize(
    ("figure", "met"),
    [
        (table.at_least("", "", 0.9, 0.9), True),
        (table.at_least("", "", None, 0.9), None),
        (table.percent_at_least("", "", 0.899, 90.0), False),
        (table.percent_at_most("", "", 0.05, 5.0), True),
        (table.percent_at_most("", "", 0.005, 0.0), False),
        (table.at_most("", "", 3.0, 3.0, "points"), True),
        (table.at_most("", "", 3.1, 3.0, "points"), False),
        (table.not_measured("", "", "no --data"), None),
    ],
)
def test_a_limit_itself_is_within_the_limit(figure, met):
    assert figure.met is met


def test_what_was_not_measured_says_why():
    assert table.not_measured("real", "F1", "no --data").text == "not measured: no --data"
    assert table.at_least("", "", None, 0.9).text == "nothing to measure"
