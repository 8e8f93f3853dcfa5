"""`session report`: the report of a stored case again, of each signed version, and one table of all cases."""

from __future__ import annotations

import csv
import json
import os
import shutil
from contextlib import closing
from pathlib import Path

import control_series
import jsonschema
import pytest
from closed_cases import opened_case

from her2scope.app import compose, sign_off
from her2scope.app.case_reports import report_all, report_case
from her2scope.app.case_scores import read_case_scores
from her2scope.app.compose import case_store, control_history, head_ledger, open_session, report_dir, signers
from her2scope.domain.errors import BadInputError, CaseNotFoundError, CaseRuleError
from her2scope.records import ReaderScore, ReportContent
from her2scope.reporting.cases_table import SCHEMA
from her2scope.reporting.content import SCORE_SCHEMA, schema
from her2scope.reporting.write import KINDS
from her2scope.settings import Calibration, ScoringSettings

ID, NAME, PIN = "20260101-090000-abcd", "Ada Example", "7 kestrels"


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one case, signed as 2+, amended because of another control, and signed as 1+; no test changes it."""
    home = tmp_path_factory.mktemp("master")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HER2SCOPE_HOME", str(home))
        with closing(opened_case(home / "cases", head_ledger(), ID)) as case:
            case.enter_reader_score(ReaderScore("2+"))
            case.finish()
        signers().enrol(NAME, PIN)
        sign_off.sign(ID, NAME, PIN, looked_at=True)
        sign_off.amend(ID, NAME, PIN, "read once more")
        file = case_store().open(ID)
        with closing(open_session(file, "closed-contours", ScoringSettings(), Calibration(), "reader")) as case:
            case.enter_reader_score(ReaderScore("1+"))
            case.finish()
        sign_off.sign(ID, NAME, PIN, looked_at=True)
    return home


@pytest.fixture
def home(master: Path) -> Path:
    return Path(shutil.copytree(master, os.environ["HER2SCOPE_HOME"]))


def record_of(folder: Path) -> dict[str, object]:
    found = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema(SCORE_SCHEMA)).validate(found)
    return {**found["record"], "own": found["case"]["reader_score"]["score"]}


def test_the_report_of_a_stored_case_is_written_in_every_kind(home: Path, tmp_path: Path) -> None:
    lines = report_case(ID, tmp_path / "out", KINDS, None)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [
        "report-field-001.geojson", "report-field-001.png", "report.csv", "report.html", "report.json", "report.pdf",
    ]  # fmt: skip
    assert sorted(lines) == [f"report: {tmp_path / 'out' / name}" for name in names]
    found = record_of(tmp_path / "out")
    assert (found["state"], found["version"], found["own"], found["superseded"]) == ("amended", 2, "1+", None)
    kept = head_ledger().of_case(ID)[-1]
    assert (kept.what, sorted(kept.files)) == ("reported", names)
    assert kept.head.digest == found["head"]["sha256"]  # type: ignore[index]


def test_a_version_is_reported_as_it_was_signed_and_says_that_it_is_not_the_newest(home: Path, tmp_path: Path) -> None:
    report_case(ID, tmp_path / "one", ("json",), 1)
    first = record_of(tmp_path / "one")
    assert (first["state"], first["version"], first["own"]) == ("signed", 1, "2+")
    assert str(first["superseded"]).startswith("SUPERSEDED: ")
    report_case(ID, tmp_path / "two", ("json",), 2)
    assert record_of(tmp_path / "two")["superseded"] is None
    with pytest.raises(CaseRuleError, match="no signed version 3"):
        report_case(ID, tmp_path / "three", ("json",), 3)
    assert not (tmp_path / "three").exists()


def test_the_reports_of_two_versions_do_not_replace_each_other(home: Path) -> None:
    report_case(ID, None, ("json",), 1)
    report_case(ID, None, ("json",), None)
    assert record_of(report_dir(ID, 1))["version"] == 1
    assert record_of(report_dir(ID, 2))["version"] == 2


def test_reporting_changes_no_case(home: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in (home / "cases").rglob("*") if path.is_file()}
    report_case(ID, tmp_path / "out", ("json",), None)
    report_all(tmp_path / "cases.csv")
    assert {path: path.read_bytes() for path in (home / "cases").rglob("*") if path.is_file()} == before


def test_controls_that_were_read_after_a_case_leave_its_report_as_it_was(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = control_series.entry(0), control_series.entry(1, at_utc="2999-01-01T00:00:00.000+00:00")
    for one in (before, after):
        control_history().append(one)
    told: list[ReportContent] = []
    monkeypatch.setattr(compose, "write_report", lambda content, *_, **__: told.append(content) or [])
    report_case(ID, tmp_path / "out", ("pdf",), None)
    assert told[0].control_history == (before,)


def test_an_unknown_case_has_no_report(home: Path, tmp_path: Path) -> None:
    with pytest.raises(CaseNotFoundError):
        report_case("20260101-000000-0000", tmp_path / "out", ("json",), None)


# ---- the table ----------------------------------------------------------------------------------------------------


def test_all_cases_stand_in_one_table_and_one_that_cannot_be_read_says_why(home: Path, tmp_path: Path) -> None:
    (home / "cases" / "broken").mkdir()
    (home / "cases" / "broken" / "case.sqlite").write_bytes(b"no database")
    complete, lines = report_all(tmp_path / "cases.csv")
    assert not complete
    assert lines[0] == f"{tmp_path / 'cases.csv'}: 2 cases"
    assert lines[1].startswith("  broken: ")
    assert lines[-1] == "1 case COULD NOT BE READ; each has a row that says why"
    with (tmp_path / "cases.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = {row["case_id"]: row for row in csv.DictReader(file)}
    assert (rows[ID]["state"], rows[ID]["reader_score"], rows[ID]["signed_by"]) == ("amended", "1+", NAME)
    assert rows["broken"]["problem"]
    report_all(tmp_path / "cases.json")
    found = json.loads((tmp_path / "cases.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema(SCHEMA)).validate(found)
    assert {row["case_id"]: row["head_sha256"] for row in found["cases"]} == {
        name: row["head_sha256"] or None for name, row in rows.items()
    }


def test_the_table_is_what_validate_reads(home: Path, tmp_path: Path) -> None:
    report_all(tmp_path / "cases.csv")
    scores = read_case_scores(tmp_path / "cases.csv")
    assert len(scores.pairs) + len(scores.left_out) == 1


def test_no_case_is_a_table_without_rows(tmp_path: Path) -> None:
    assert report_all(tmp_path / "cases.html") == (True, [f"{tmp_path / 'cases.html'}: 0 cases"])


def test_another_kind_of_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="a table of cases is .csv, .json, .html"):
        report_all(tmp_path / "cases.xlsx")
    assert list(tmp_path.glob("cases*")) == []
