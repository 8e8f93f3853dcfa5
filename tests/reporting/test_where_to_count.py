"""Reports of a case whose cells a region model counts in some tissue only: said everywhere, and nothing without one."""

from __future__ import annotations

import dataclasses
import json

import factories
import jsonschema
import numpy as np
import pytest

from her2scope.domain.cells import CellClass, CellCounts
from her2scope.domain.corrections import CellStanding
from her2scope.records import AcceptedField, CaseView
from her2scope.reporting.content import SCORE_SCHEMA, field_rows, schema, score_json, versions
from her2scope.reporting.geojson_report import field_geojson
from her2scope.reporting.html_report import HtmlReport
from her2scope.reporting.pdf_report import PdfReport
from her2scope.reporting.words import caveats, not_assessed, where_text
from her2scope.settings import WhereToCount, as_mapping

WHERE = as_mapping(WhereToCount("ducts 3", "ab" * 32, ("invasive", "lobular")))
N_OUT = 24
SAID = "Cells are counted in invasive and lobular only, as the region model ducts 3 finds it: 24 of 120 tumour cells"


def gated_field() -> AcceptedField:
    """Of the 120 tumour cells the last 24 lie outside."""
    result = factories.equivocal_field()
    first = 120 - N_OUT
    cells = tuple(dataclasses.replace(one, within=not first <= n < 120) for n, one in enumerate(result.cells))
    outside = np.zeros(tuple(side // 8 for side in result.frame.size_hw), np.uint8)
    outside[outside.shape[0] // 2 :] = 255
    counts = CellCounts.of(one.cell_class for one in cells if one.is_countable)
    result = dataclasses.replace(result, cells=cells, counts=counts, outside=outside)
    standings = tuple(CellStanding.COUNTED if one.within else CellStanding.OUTSIDE for one in cells)
    counted = tuple(one.within for one in cells)
    return dataclasses.replace(factories.accepted(result), counted=counted, counts=counts, standings=standings)


@pytest.fixture(scope="module")
def view() -> CaseView:
    found = factories.case_view([gated_field()], min_cells=50)
    return dataclasses.replace(found, settings={**found.settings, "where_to_count": WHERE})


def test_json_says_which_cells_are_outside_and_counts_them_not(view):
    found = score_json(view)
    jsonschema.Draft202012Validator(schema(SCORE_SCHEMA)).validate(json.loads(json.dumps(found)))
    (field,) = found["fields"]
    assert field["n_tumour"] == found["case"]["n_tumour"] == 120 - N_OUT and field["n_outside"] == N_OUT
    assert [one.get("outside", False) for one in field["cells"]] == [
        not one.within for one in view.fields[0].result.cells
    ]
    assert {one["standing"] for one in field["cells"] if "outside" in one} == {"outside"}
    assert found["case"]["where_to_count"] == {**WHERE, "n_outside": N_OUT}
    assert any(reason.startswith(SAID) for reason in found["case"]["reasons"])


def test_without_a_model_nothing_is_said():
    plain = factories.case_view([factories.equivocal_field()])
    text = json.dumps(score_json(plain))
    assert "outside" not in text and "where_to_count" not in text
    assert where_text(plain) == "" and "Region model" not in dict(versions(plain))
    page = HtmlReport().render(factories.report_content(plain))
    assert b"Hatched" not in page and b"region model" not in page and b'class="out"' not in page


def test_words_of_the_report(view):
    assert any(text.startswith(SAID) for text in caveats(view))
    told = not_assessed(view)
    assert "24 tumour cells outside the tissue in which the region model has cells counted." in told
    (row,) = field_rows(view)
    assert row.n_tumour == 96 and "24 tumour cells outside the counted tissue, by the region model." in row.note
    model = dict(versions(view))["Region model"]
    assert model == f"ducts 3 (SHA-256 {'ab' * 32}): invasive and lobular, at least 50 % probable"


def test_pages_show_where(view):
    page = HtmlReport().render(factories.report_content(view)).decode()
    assert page.count('class="out"') == 1 and "Hatched: outside, not counted" in page and SAID in page
    assert "outside the counted tissue, by the region model" in page
    assert PdfReport().render(factories.report_content(view)).startswith(b"%PDF")


def test_qupath_gets_them_as_not_counted(view):
    features = field_geojson(factories.report_content(view), view.fields[0])["features"]
    cells = [one["properties"] for one in features if one["properties"]["objectType"] == "cell"]
    out = [one for one in cells if one["metadata"]["standing"] == "outside"]
    assert len(out) == N_OUT
    assert all(one["measurements"]["Counted"] == 0 for one in out)
    assert {one["classification"]["name"] for one in out} == {f"{CellClass.NONE.value} (not counted)"}
