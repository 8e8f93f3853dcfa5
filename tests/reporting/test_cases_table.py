"""Many cases in one table: each kind says the same, and a case that cannot be read is not forgotten."""

from __future__ import annotations

import csv
import io
import json
from html import escape

import factories
import jsonschema
import pytest

from her2scope.domain.cells import SHARE_ORDER, CellClass
from her2scope.domain.corrections import CaseData
from her2scope.domain.score import ControlStanding, ControlStatus
from her2scope.records import CaseView, ReaderScore
from her2scope.reporting.cases_table import COLUMNS, SCHEMA, TABLES, case_row, problem_row
from her2scope.reporting.content import schema, score_json

FIELD = factories.equivocal_field()
VIEW = factories.case_view(
    [FIELD], reader_score=ReaderScore("1+"), data=CaseData("S25-1", "A1", "2", "core biopsy", "", "4B5")
)
SIGNED = factories.signed(VIEW, "wrong block")
ROWS = (
    case_row(SIGNED),
    case_row(factories.case_view([], finished_utc=None)),
    case_row(factories.case_view([FIELD], controls=[], reader_score=ReaderScore(None), case_id="=1+1")),
    problem_row("damaged", "Case damaged is damaged:\nits event 3 was altered."),
)


def from_csv() -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(TABLES[".csv"](ROWS).decode("utf-8-sig"), newline="")))


def test_a_row_has_every_column() -> None:
    assert all(tuple(row) == COLUMNS for row in ROWS)
    assert "" not in [value for row in ROWS for value in row.values()]


def test_a_row_says_what_the_report_says() -> None:
    row, case = case_row(SIGNED), score_json(SIGNED)["case"]
    for name in ("score", "category", "reportable", "borderline", "n_tumour"):
        assert row[name] == case[name]
    for item in SHARE_ORDER:
        assert row[f"{item}_percent"] == case["shares_percent"][item.value]
        assert [row[f"{item}_low95"], row[f"{item}_high95"]] == case["interval95_percent"][item.value]
    assert (row["state"], row["version"], row["signed_by"]) == ("amended", 2, "Dr. B. Signer")
    assert (row["slide"], row["antibody_clone"]) == ("S25-1 A1 2", "4B5")
    assert (row["settings_sha256"], row["head_sha256"]) == (VIEW.settings_sha256, factories.HEAD_DIGEST)


def test_the_json_fits_its_schema() -> None:
    found = json.loads(TABLES[".json"](ROWS))
    jsonschema.Draft202012Validator.check_schema(schema(SCHEMA))
    jsonschema.Draft202012Validator(schema(SCHEMA)).validate(found)
    assert [dict(row) for row in ROWS] == found["cases"]


@pytest.mark.parametrize("wrong", [{"score": "4+"}, {"problem": "lost"}, {"state": None}, {"complete_intense": 3}])
def test_the_schema_refuses(wrong: dict[str, object]) -> None:
    found = {"schema": SCHEMA, "cases": [{**ROWS[0], **wrong}]}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema(SCHEMA)).validate(found)


def test_the_csv_is_plain_and_runs_no_formula() -> None:
    signed, unread, odd, damaged = from_csv()
    assert (signed["reader_score"], signed["reportable"]) == ("1+", "true")
    assert (unread["score"], unread["complete_intense_percent"], unread["signed_by"]) == ("", "", "")
    assert (odd["case_id"], odd["reader_score"], odd["reportable"]) == ("'=1+1", "indeterminate", "false")
    assert damaged["problem"] == "Case damaged is damaged: its event 3 was altered."
    assert {value for name, value in damaged.items() if name not in ("case_id", "problem")} == {""}


def test_the_page_can_be_read_and_loads_nothing() -> None:
    page = TABLES[".html"](ROWS).decode("utf-8")
    assert "HER2 IHC reference scores: 4 cases" in page
    assert page.count("Research use only") == 1
    assert "default-src 'none'" in page
    assert "amended, version 2" in page
    assert escape("Case damaged is damaged: its event 3 was altered.") in page
    assert page.count("<tr>") == 5


def test_names_cannot_become_markup() -> None:
    nasty: CaseView = factories.case_view([FIELD], case_id="<script>alert(1)</script>")
    assert "<script" not in TABLES[".html"]([case_row(nasty)]).decode("utf-8")


def test_a_table_of_no_case_is_a_table() -> None:
    assert TABLES[".csv"](()).decode("utf-8-sig") == ",".join(COLUMNS) + "\r\n"
    assert json.loads(TABLES[".json"](())) == {"schema": SCHEMA, "cases": []}


def test_classes_have_their_columns() -> None:
    assert {f"{name}_percent" for name in CellClass} <= set(COLUMNS)


def test_an_overridden_control_is_told_beside_its_score() -> None:
    standing = ControlStanding(ControlStatus.INVALID, overridden=True)
    row = case_row(factories.case_view([FIELD], standing=standing, override_reason="pale block"))
    assert (row["control"], row["reportable"]) == ("invalid", True)
    assert '<td class="">invalid, overridden</td>' in TABLES[".html"]([row]).decode()
