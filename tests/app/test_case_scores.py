"""Tables of cases as people and programs write them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from factories import case_view, equivocal_field, signed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from her2scope.app.case_scores import CaseScores, LeftOut, ScorePair, read_case_scores
from her2scope.domain.errors import BadInputError
from her2scope.records import ReaderScore
from her2scope.reporting.cases_table import TABLES, case_row, problem_row

ONE, TWO = "ab" * 32, "cd" * 32
BY_HAND = "case,computed,reader\n"


@pytest.fixture
def read(tmp_path: Path):
    def of(content: str | bytes) -> CaseScores:
        path = tmp_path / "cases.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_case_scores(path)

    return of


PLAIN = (ScorePair(2, "A", "3+", "2+", ""), ScorePair(3, "B", "0", "0", ""))


@pytest.mark.parametrize(
    "content",
    [
        "case,computed,reader\nA,3+,2+\nB,0,0\n",
        "case;computed;reader\nA;3+;2+\nB;0;0",
        "case\tcomputed\treader\r\nA\t3+\t2+\r\nB\t0\t0\r\n",
        "\ufeffreader , case, computed\n2+,A,3+\n0, B ,0\n",
        'case,computed,reader\n"A","3+","2+"\n"B","0","0"\n\n,,\n',
        "case_id,score,reader_score,slide\nA,3+,2+,A;1\nB,0,0,\n",
    ],
)
def test_however_it_is_written_it_says_the_same(read, content):
    assert read(content) == CaseScores(PLAIN, ())


def test_a_line_break_in_a_cell_does_not_move_the_numbers(read):
    found = read('case,computed,reader,remark\nA,3+,2+,"one\ntwo"\nB,0,0,\n')
    assert [pair.line for pair in found.pairs] == [2, 4]


def test_what_does_not_count_is_told_with_its_reason(read):
    columns = "case_id,score,reader_score,state,reportable,problem,settings_sha256\n"
    found = read(
        columns + f"A,3+,3+,signed,true,,{ONE}\nB,3+,,in_review,true,,{ONE}\nC,,2+,signed,false,,{ONE}\n"
        f"D,3+,3+,open,true,,{TWO}\nE,,,,,its database is damaged,\nF,2+,indeterminate,signed,true,,{ONE}\n"
        f"G,2+,2+,amended,false,,{TWO}\nH,2+,2+,amended,true,,{ONE}\n"
    )
    assert [pair.case for pair in found.pairs] == ["A", "H"] and found.settings_sha256 == ONE
    assert found.left_out == (
        LeftOut(3, "B", "without a reader's score"),
        LeftOut(4, "C", "without a computed score"),
        LeftOut(5, "D", "still being read"),
        LeftOut(6, "E", "that could not be read"),
        LeftOut(7, "F", "with the reader's score indeterminate"),
        LeftOut(8, "G", "not reportable"),
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no column is named case_id or case"),
        ("case,computed\nA,0\n", "no column is named reader_score or reader"),
        ("Case,Computed,Reader\nA,0,0\n", "no column is named case_id or case"),
        ("case,computed,reader,score\nA,0,0,0\n", "2 columns named score or computed"),
        (BY_HAND + "A,3,3+\n", "line 2: the computed score is '3', and not 0, 1+, 2+, 3+ or empty"),
        (BY_HAND + "A,3+,3\n", "line 2: the reader's score is '3', and not 0, 1+, 2+, 3+, indeterminate or empty"),
        (BY_HAND + "A,indeterminate,3+\n", "line 2: the computed score"),
        (BY_HAND + "A,3+,3+\n,0,0\n", "line 3: the case has no name"),
        (BY_HAND + "A,3+,3+\nB,0,0\nA,2+,\n", "line 4: case A stands in line 2 already"),
        (BY_HAND + "A,3+,3+\nB,0\n", "line 3: it has 2 columns, and the first line has 3"),
        (BY_HAND + 'A,"3+\n', "line 2: this is no CSV"),
        ("case,computed,reader,settings_sha256\nA,0,0,abc\n", "line 2: settings_sha256 is 'abc'"),
        ("case,computed,reader,state\nA,0,0,done\n", "line 2: the state is 'done'"),
        ("case,computed,reader,reportable\nA,0,0,1\n", "line 2: reportable is '1'"),
        ("case,computed,reader\nÄ,0,0\n".encode("latin-1"), "no text in UTF-8"),
        ("case,computed,reader\nA,0,0\n".encode("utf-16"), "no text in UTF-8"),
    ],
)
def test_what_cannot_be_used_is_one_clear_error(read, content, said):
    with pytest.raises(BadInputError) as error:
        read(content)
    assert said in str(error.value) and "\n" not in str(error.value).replace("cases.csv", "")


def test_the_table_of_all_cases_is_read_as_it_is_written(read):
    """As `session report --all` writes it: the pair of a signed case, and why the others do not count."""
    being_read = case_view((equivocal_field(),), reader_score=ReaderScore("2+"), finished_utc=None)
    being_read = replace(being_read, score=replace(being_read.score, reportable=True))
    view = signed(being_read)
    cases = {
        "signed": view,
        "open": being_read,
        "unsure": replace(view, reader_score=ReaderScore(None, "too thick")),
        "no own": replace(view, reader_score=None),
        "no cells": signed(case_view(reader_score=ReaderScore("2+"))),
        "doubtful": replace(view, score=replace(view.score, reportable=False)),
    }
    rows = [case_row(replace(item, case_id=name)) for name, item in cases.items()]
    found = read(TABLES[".csv"]([*rows, problem_row("gone", "its database is\ndamaged")]))
    (pair,) = found.pairs
    assert (pair.case, pair.computed, pair.reader) == ("signed", "2+", "2+")
    assert found.settings_sha256 == view.settings_sha256
    assert {item.case: item.reason for item in found.left_out} == {
        "open": "still being read",
        "unsure": "with the reader's score indeterminate",
        "no own": "without a reader's score",
        "no cells": "without a computed score",
        "doubtful": "not reportable",
        "gone": "that could not be read",
    }


def test_mixed_settings_are_refused_with_their_lines(read):
    columns = "case,computed,reader,settings_sha256\n"
    with pytest.raises(BadInputError, match=r"abababababab in lines 2, 4; cdcdcdcdcdcd in line 3\)"):
        read(columns + f"A,0,0,{ONE}\nB,0,0,{TWO}\nC,0,0,{ONE}\n")
    with pytest.raises(BadInputError, match=r"abababababab in line 2; none in line 3\)"):
        read(columns + f"A,0,0,{ONE}\nB,0,0,\n")
    many = "".join(f"c{number},0,0,{ONE}\n" for number in range(20))
    with pytest.raises(BadInputError, match=r"12, 13 and 8 more; none in line 22\)"):
        read(columns + many + "last,0,0,\n")


def test_a_file_that_is_not_there_and_a_folder_are_said(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(BadInputError, match="there is no such file"):
            read_case_scores(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(max_size=80), st.text(max_size=80).map(lambda text: (BY_HAND + text).encode("utf-8", "replace"))
    )
)
def test_no_file_is_a_traceback(read, content):
    try:
        found = read(content)
    except BadInputError:
        return
    assert all(pair.case for pair in found.pairs)
