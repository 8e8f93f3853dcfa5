"""Faint cells in doubt: each report names them, so that an ultralow case can be checked cell by cell."""

from __future__ import annotations

import csv
import dataclasses
import io
import json

import factories
import jsonschema
import pytest

from her2scope.domain.cells import CellClass
from her2scope.records import CaseView, Cell, class_counts
from her2scope.reporting.content import SCORE_SCHEMA, schema, score_json
from her2scope.reporting.csv_report import CsvReport


def in_doubt(cell: Cell) -> Cell:
    return dataclasses.replace(cell, measure=dataclasses.replace(cell.measure, uncertain=True))


@pytest.fixture(scope="module")
def view() -> CaseView:
    """Every second tumour cell has no place beyond doubt, of whatever class."""
    result = factories.equivocal_field()
    cells = tuple(in_doubt(one) if number % 2 else one for number, one in enumerate(result.cells))
    result = dataclasses.replace(result, cells=cells, counts=class_counts(one for one in cells if one.is_countable))
    return factories.case_view([factories.accepted(result)], min_cells=50)


def expected(view: CaseView) -> list[bool]:
    cells = view.fields[0].result.cells
    found = [one.cell_class is CellClass.INCOMPLETE_FAINT and one.measure.uncertain for one in cells]
    assert 0 < sum(found) < len(found)
    return found


def test_json_names_them(view):
    found = score_json(view)
    jsonschema.Draft202012Validator(schema(SCORE_SCHEMA)).validate(json.loads(json.dumps(found)))
    assert [one.get("uncertain", False) for one in found["fields"][0]["cells"]] == expected(view)


def test_the_table_names_them(view):
    rows = csv.DictReader(io.StringIO(CsvReport().render(factories.report_content(view)).decode("utf-8-sig")))
    assert [row["uncertain"] == "true" for row in rows] == expected(view)
