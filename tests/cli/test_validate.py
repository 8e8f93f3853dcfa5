"""`her2scope validate`: what it prints, writes, keeps and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from her2scope.app import validate
from her2scope.app.compose import case_store, make_analyser, stored_view, validations
from her2scope.cli import main
from her2scope.pipeline.clock import SystemClock
from her2scope.pipeline.session import CaseSession
from her2scope.settings import Calibration, ScoringSettings

SETTINGS = "ab" * 32


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of `validate`."""
    code = main(["validate", *map(str, arguments)])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def table(tmp_path: Path, n_of_each: int, digest: str = SETTINGS, wrong: int = 0) -> Path:
    """So many cases of each score, of which some 3+ are computed as 2+, one without a reader's and one without any."""
    lines = ["case_id,score,reader_score,settings_sha256"]
    for score in ("0", "1+", "2+", "3+"):
        for number in range(n_of_each):
            computed = "2+" if score == "3+" and number < wrong else score
            lines.append(f"{score} {number},{computed},{score},{digest}")
    path = tmp_path / "cases.csv"
    path.write_text("\n".join([*lines, f"waits,2+,,{digest}", f"few,,1+,{digest}"]) + "\n", encoding="utf-8")
    return path


def test_figures_are_printed_written_and_kept(capsys, tmp_path):
    code, out, err = run(capsys, table(tmp_path, 50, wrong=4), "--json", tmp_path / "v.json")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "200 cases with both scores"
    assert lines[6].split() == ["3+", "0", "0", "4", "46"]
    assert "same score                                          196 of 200, 98.0 % (95 % interval 95.0 to 99.2)" in out
    assert "146 of 150, 97.3 %" in out and "46 of 50, 92.0 %" in out and "TOO FEW" not in out
    assert "(ASCO/CAP): reached, but not shown" in out
    assert "left out: 1 without a reader's score (waits); 1 without a computed score (few)" in lines
    found = json.loads((tmp_path / "v.json").read_text())
    assert found["schema"] == "her2scope.validation/1" and found["enough_cases"]
    assert found["table"]["3+"] == {"0": 0, "1+": 0, "2+": 4, "3+": 46}
    assert found["concordance"]["interval95"][0] < 0.95 < found["concordance"]["share"]
    assert [item["case"] for item in found["left_out"]] == ["waits", "few"]
    record = validations().newest(SETTINGS)
    assert record is not None and (record.n_cases, record.source) == (200, "cases.csv")
    assert record.kappa == found["kappa"]["value"] and record.positive_agreement == 0.92
    assert record.negative_agreement == 1.0 and record.at_utc == found["at_utc"]


def test_too_few_cases_are_said_and_validate_nothing(capsys, tmp_path):
    code, out, _ = run(capsys, table(tmp_path, 5))
    assert code == 0 and "TOO FEW CASES for a validation: 5 called 3+ by the reader, 10 called 0 or 1+" in out
    assert "no interval" in out and "(without any discordance 73 cases do)" in out
    record = validations().newest(SETTINGS)
    assert record is not None and (record.n_positive, record.n_negative, record.concordance) == (5, 10, 1.0)


def test_a_missed_aim_is_said(capsys, tmp_path):
    assert "(ASCO/CAP): MISSED" in run(capsys, table(tmp_path, 40, wrong=20))[1]


def test_without_a_digest_it_is_that_of_this_installation(capsys, tmp_path):
    analyser = make_analyser("closed-contours", ScoringSettings(), Calibration())
    CaseSession(case_store().create("case"), analyser, SystemClock(), "reader").close()
    own = stored_view("case").settings_sha256  # what a case of this installation is looked up by
    code, out, _ = run(capsys, table(tmp_path, 40, digest=""), "--method", "closed-contours")
    assert code == 0 and f"settings {own}, of this installation: the table does not say" in out
    assert validations().newest(own) is not None


def test_settings_that_are_not_the_tables_are_refused(capsys, tmp_path):
    path = table(tmp_path, 40)
    code, out, err = run(capsys, path, "--method", "closed-contours", "--json", tmp_path / "v.json")
    assert (code, out) == (2, "") and "were computed with the settings abababababab..." in err
    assert not (tmp_path / "v.json").exists() and not validations().path.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("case,computed,reader\nA,4+,3+\n", "line 2: the computed score is '4+'"),
        ("case,computed,reader\nA,,3+\n", "no case has both a computed and a reader's score; left out: 1 without"),
        ("case,computed,reader\n", "no case has both a computed and a reader's score; it is empty"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_nothing_is_kept(capsys, tmp_path, content, said):
    path = tmp_path / "bad.csv"
    path.write_text(content)
    code, out, err = run(capsys, path, "--json", tmp_path / "v.json")
    assert (code, out, err.count("\n")) == (2, "", 1) and said in err
    assert not (tmp_path / "v.json").exists() and not validations().path.exists()


def test_the_table_is_not_replaced_by_its_result(capsys, tmp_path):
    path = table(tmp_path, 1)
    before = path.read_bytes()
    code, _, err = run(capsys, path, "--json", path)
    assert code == 2 and "reads or writes this file already" in err and path.read_bytes() == before


def test_a_result_that_cannot_be_kept_is_an_error(capsys, tmp_path):
    validations().path.mkdir(parents=True)
    code, _, err = run(capsys, table(tmp_path, 1))
    assert code == 2 and "save the validation" in err and validate.SCHEMA not in err
