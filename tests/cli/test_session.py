"""`her2scope session`: what it prints, writes and refuses."""

from __future__ import annotations

import io
import json
import os
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from closed_cases import alter_event, opened_case

from her2scope.app.compose import case_store, head_ledger
from her2scope.cli import main, session
from her2scope.records import ReaderScore

PIN = "7 kestrels"


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one case in review; no test changes it."""
    home = tmp_path_factory.mktemp("master")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HER2SCOPE_HOME", str(home))
        with closing(opened_case(home / "cases", head_ledger(), "20260101-090000-abcd")) as case:
            case.enter_reader_score(ReaderScore("2+"))
            case.finish()
    return home


@pytest.fixture
def home(master: Path) -> Path:
    return Path(shutil.copytree(master, os.environ["HER2SCOPE_HOME"]))


ID = "20260101-090000-abcd"


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[str], str]:
    """Exit code, lines of standard output, and standard error of `session`."""
    code = main(["session", *map(str, arguments)])
    printed = capsys.readouterr()
    return code, printed.out.splitlines(), printed.err


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line with which it ends."""
    code, lines, err = run(capsys, *arguments)
    assert (code, lines) == (2, []) and err.startswith("her2scope: ") and err.count("\n") == 1
    return err


def type_in(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


# ---- list and show ------------------------------------------------------------------------------------------------


def test_no_case_is_said(capsys, tmp_path):
    code, (line,), _ = run(capsys, "list", "--json", tmp_path / "l.json")
    assert code == 0 and line.startswith("No case is stored in ")
    assert json.loads((tmp_path / "l.json").read_text()) == {"schema": "her2scope.cases/1", "cases": []}


def test_cases_are_a_table_that_fits_the_screen(capsys, tmp_path, home):
    shutil.copytree(home / "cases" / ID, home / "cases" / "a case with a very long name, as some people like")
    (home / "cases" / "broken").mkdir()
    (home / "cases" / "broken" / "case.sqlite").write_bytes(b"no database")
    code, lines, _ = run(capsys, "list", "--json", tmp_path / "l.json")
    assert code == 0 and max(map(len, lines)) <= 100
    assert lines[0].split() == ["case", "slide", "opened", "fields", "state"]
    (line,) = [line for line in lines if line.startswith(ID)]
    assert "S24-1" in line and line.endswith("1       in review")
    assert any(line.startswith("a case with a very lo...") for line in lines)
    (broken,) = [row for row, line in enumerate(lines) if line.startswith("broken")]
    why = " ".join(line.strip() for line in lines[broken + 1 :])
    assert lines[broken].endswith("unreadable") and "broken is damaged" in why and why.endswith("as a new case.")
    found = json.loads((tmp_path / "l.json").read_text())["cases"]
    assert [item["case_id"] for item in found][-1] == "broken"
    assert found[0]["status"] == "in_review"


def test_a_case_is_shown_in_words(capsys, tmp_path, home):
    code, lines, _ = run(capsys, "show", ID, "--json", tmp_path / "s.json")
    found = json.loads((tmp_path / "s.json").read_text())
    assert code == 0 and lines[0].startswith(f"Case {ID}, opened ")
    assert "S24-1" in lines[1] and lines[2].startswith("Reference score ") and lines[2].endswith("; own 2+")
    assert "State: in review, version 1" in lines and "No control was read" in lines
    head = lines[-1].split(": ")[1].replace(" ", "")
    assert found["schema"] == "her2scope.case/1" and found["head"] == head and len(head) == 64
    assert (found["status"], found["own_score"], found["n_fields"]) == ("in_review", "2+", 1)


@pytest.mark.parametrize("action", [["show"], ["report"], ["sign", "--name", "A"], ["reopen", "--reason", "x"]])
def test_an_unknown_case_names_the_nearest(capsys, home, action):
    assert f"There is no case 20260101-abcd. Did you mean {ID}?" in refused(capsys, *action, "20260101-abcd")
    assert "See 'her2scope session list'." in refused(capsys, *action, "q")
    assert "cannot be a case's name" in refused(capsys, *action, "../x")


def test_a_case_that_another_program_has_open_is_in_use_and_no_problem(capsys, tmp_path, home):
    with closing(case_store().open(ID)):
        code, lines, _ = run(capsys, "list")
    assert code == 0 and lines[1].endswith("in review, in use") and len(lines) == 2


# ---- verify -------------------------------------------------------------------------------------------------------


def test_a_sound_case_verifies_by_name_folder_and_bundle(capsys, tmp_path, home):
    bundle = tmp_path / "case.zip"
    assert run(capsys, "export", ID, "--bundle", bundle)[:2] == (0, [f"case {ID} with 5 events is in {bundle}"])
    copy = shutil.copytree(home / "cases" / ID, tmp_path / ID)
    code, lines, _ = run(capsys, "verify", ID, copy, bundle, "--json", tmp_path / "v.json")
    assert (
        code == 0 and lines[0] == f"{ID}: sound; 5 events, closed" and lines[-1] == "3 cases: 3 sound, 0 with findings"
    )
    found = json.loads((tmp_path / "v.json").read_text())
    assert found["schema"] == "her2scope.verification/1" and found["sound"] is True
    assert [item["target"] for item in found["cases"]] == [ID, str(copy), str(bundle)]
    assert run(capsys, "verify", "--all")[0] == 0


def test_a_case_whose_folder_or_database_is_gone_is_found(capsys, home):
    (home / "cases" / ID / "case.sqlite").unlink()
    (home / "cases" / ID / "case.lock").unlink()
    assert any(line.startswith(ID) and line.endswith("unreadable") for line in run(capsys, "list")[1])
    code, lines, _ = run(capsys, "verify", "--all")
    assert code == 1 and any("case.sqlite: it is missing" in line for line in lines)
    shutil.rmtree(home / "cases" / ID)
    code, lines, _ = run(capsys, "verify", "--all")
    assert code == 1 and lines[0] == f"{ID}: 1 finding; 0 events, not closed"
    assert lines[1].startswith("  its folder: it is gone: the case had 5 events on ")


def test_a_finding_is_named_and_ends_with_1(capsys, tmp_path, home):
    alter_event(home / "cases" / ID, 2, lambda row: row.__setitem__(3, "somebody else"))
    code, lines, err = run(capsys, "verify", "--all", "--json", tmp_path / "v.json")
    assert (code, err) == (1, "")
    assert lines[0] == f"{ID}: 2 findings; 5 events, closed"
    assert "  event 2: it is not as it was written [event_altered]" in lines
    (case,) = json.loads((tmp_path / "v.json").read_text())["cases"]
    assert {(item["code"], item["where"]) for item in case["findings"]} == {
        ("file_changed", "case.sqlite"),
        ("event_altered", "event 2"),
    }


def test_a_report_that_was_changed_where_it_lies_is_found(capsys, home):
    assert run(capsys, "report", ID, "--kinds", "json,csv")[0] == 0
    (home / "reports" / ID / "notes.txt").write_text("the reader's own")
    assert run(capsys, "verify", ID)[0] == 0
    changed = home / "reports" / ID / "report.csv"
    changed.write_bytes(changed.read_bytes() + b" ")
    code, lines, _ = run(capsys, "verify", ID)
    assert code == 1
    assert "  report.csv: it is none of the reports that were written of this case [report_changed]" in lines


def test_a_damaged_ledger_is_a_finding_of_each_case(capsys, home):
    (home / "case-heads.jsonl").write_text("{}\n")
    code, lines, _ = run(capsys, "verify", ID, home / "cases" / ID)
    assert code == 1 and sum("[ledger]" in line for line in lines) == 2


def test_a_printed_head_is_looked_for(capsys, home):
    head = run(capsys, "show", ID)[1][-1].split(": ")[1]
    code, lines, _ = run(capsys, "verify", ID, "--head", head)
    assert code == 0 and lines[-1].endswith("is that of event 5, the last one.")
    assert run(capsys, "verify", ID, "--head", "0" * 64)[0] == 1
    assert "is no head of a case" in refused(capsys, "verify", ID, "--head", "12 34")


def test_nothing_to_verify_is_refused(capsys, tmp_path, home):
    assert "Give its name, its folder or its bundle, or --all" in refused(capsys, "verify")
    assert "holds no case" in refused(capsys, "verify", tmp_path)
    assert "There is no case nowhere" in refused(capsys, "verify", "nowhere")
    assert run(capsys, "verify", "--all", "--json", home / "v.json")[0] == 0


# ---- export and restore -------------------------------------------------------------------------------------------


def test_a_bundle_brings_the_case_back(capsys, tmp_path, home):
    bundle = tmp_path / "case.zip"
    run(capsys, "export", ID, "--bundle", bundle)
    assert f"There is a case {ID} already" in refused(capsys, "restore", bundle)
    assert run(capsys, "restore", bundle, "--as", "again")[1] == [f"case again with 5 events is restored from {bundle}"]
    assert run(capsys, "verify", "--all")[0] == 0
    shutil.rmtree(home / "cases" / ID)
    assert run(capsys, "restore", bundle)[0] == 0
    assert run(capsys, "show", ID)[0] == 0
    assert "There is no bundle" in refused(capsys, "restore", tmp_path / "none.zip")
    bundle.write_bytes(bundle.read_bytes()[:-1])
    assert "does not verify" in refused(capsys, "restore", bundle, "--as", "third")


def test_a_bundle_needs_a_folder_that_is_there(capsys, tmp_path, home):
    assert "its folder is not there" in refused(capsys, "export", ID, "--bundle", tmp_path / "none" / "case.zip")
    assert "this is a folder" in refused(capsys, "export", ID, "--bundle", tmp_path)
    (tmp_path / "old.zip").write_bytes(b"an older backup")
    assert "there is a file of that name" in refused(capsys, "export", ID, "--bundle", tmp_path / "old.zip")
    assert (tmp_path / "old.zip").read_bytes() == b"an older backup"


# ---- report -------------------------------------------------------------------------------------------------------


def test_a_report_is_written_again(capsys, tmp_path, home):
    code, lines, _ = run(capsys, "report", ID, "--out", tmp_path / "out", "--kinds", "JSON, csv")
    assert code == 0 and len(lines) == 2
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".json", ".csv"}
    code, _, _ = run(capsys, "report", "--all", "--out", tmp_path / "all.csv")
    assert code == 0 and ID in (tmp_path / "all.csv").read_text()


def test_wrong_use_of_report_is_one_line(capsys, tmp_path, home):
    assert "'docx' is no kind of report" in refused(capsys, "report", ID, "--kinds", "pdf,docx")
    assert "or --all" in refused(capsys, "report")
    assert "--all needs --out" in refused(capsys, "report", "--all")
    assert "leave out ID" in refused(capsys, "report", ID, "--all", "--out", tmp_path / "a.csv")


# ---- sign ---------------------------------------------------------------------------------------------------------


def test_a_case_is_enrolled_for_signed_and_amended(capsys, monkeypatch, home):
    type_in(monkeypatch, PIN + "\n")
    assert run(capsys, "enrol", "Dr. Ada")[0] == 0
    sign: list[Any] = ["sign", ID, "--name", "Dr. Ada"]
    type_in(monkeypatch, PIN)
    assert "then add --looked-at-fields" in refused(capsys, *sign)
    type_in(monkeypatch, "wrong PIN\n")
    refused(capsys, *sign, "--looked-at-fields")
    type_in(monkeypatch, PIN + "\n")
    code, lines, _ = run(capsys, *sign, "--looked-at-fields")
    assert code == 0 and "signed by Dr. Ada" in lines[0]
    assert any("signed, Dr. Ada" in line for line in run(capsys, "list")[1])
    assert run(capsys, "verify", ID)[0] == 0
    type_in(monkeypatch, PIN + "\n")
    assert run(capsys, "amend", ID, "--name", "Dr. Ada", "--reason", "another block")[0] == 0
    assert "State: open, version 2" in run(capsys, "show", ID)[1]
    assert run(capsys, "verify", ID)[0] == 0


def test_a_pin_is_changed_by_who_knows_it(capsys, monkeypatch, home):
    type_in(monkeypatch, "482913\n")
    assert run(capsys, "enrol", "Dr. A")[0] == 0
    type_in(monkeypatch, "000000\n571926\n")
    assert "do not belong together" in refused(capsys, "change-pin", "Dr. A")
    type_in(monkeypatch, "482913\n571926\n")
    assert run(capsys, "change-pin", "Dr. A") == (0, ["Dr. A signs with the new PIN from now on"], "")
    type_in(monkeypatch, "482913\n602817\n")
    assert "do not belong together" in refused(capsys, "change-pin", "Dr. A")


def test_a_case_in_review_is_reopened(capsys, home):
    assert run(capsys, "reopen", ID, "--reason", "a field was missed")[0] == 0
    assert "State: open, version 1" in run(capsys, "show", ID)[1]


def test_no_pin_is_said(capsys, monkeypatch, home):
    type_in(monkeypatch, "")
    assert "no PIN was given" in refused(capsys, "sign", ID, "--name", "Dr. Ada", "--looked-at-fields")


def test_a_new_pin_is_typed_twice_on_a_terminal(capsys, monkeypatch, home):
    typed = iter([PIN, "another"])
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    monkeypatch.setattr(session.getpass, "getpass", lambda prompt: next(typed))
    assert "the two PINs differ" in refused(capsys, "enrol", "Dr. Ada")
