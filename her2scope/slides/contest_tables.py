"""Tables of a contest: answers and truth as CSV, in whatever form a spreadsheet saved them."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from her2scope.domain.errors import BadInputError
from her2scope.domain.guideline import SCORES, Score

COLUMNS = ("case", "score", "confidence", "complete_percent", "reason")
"""Of a table of answers. `complete_percent`: tumour cells with complete membrane staining."""
TRUTH_COLUMNS = ("case", "score", "complete_percent")
_DELIMITERS = (";", "\t", ",")
_LISTED = 8
"""Cases that a message names."""
_SCORES: Mapping[str, Score] = {name: score for score in SCORES for name in (score, score.rstrip("+"))}
"""A spreadsheet turns 1+ into 1."""
MOST_BYTES = 20_000_000
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered for a case."""

    case: str
    score: Score | None
    """None: no answer."""
    confidence: float | None
    """Share (0..1) of being sure of the score; None where none is given."""
    complete_percent: float | None
    reason: str = ""
    """Why there is no score, or none to rely on."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What is true of a case."""

    case: str
    score: Score
    complete_percent: float | None


def read_answers(path: Path) -> dict[str, Answer]:
    """Answers by case; BadInputError with one line about the first thing that is wrong."""
    rows = _rows(path, ("case", "score"))

    def answer(row: _Row) -> Answer:
        return Answer(
            row.case,
            row.score(),
            row.number("confidence", 0.0, 1.0),
            row.number("complete_percent", 0.0, 100.0),
            row.text("reason"),
        )

    return _by_case(path, rows, answer)


def read_truth(path: Path) -> dict[str, Truth]:
    """Truth by case; BadInputError with one line about the first thing that is wrong."""
    rows = _rows(path, ("case", "score"))

    def truth(row: _Row) -> Truth:
        score = row.score()
        if score is None:
            raise row.wrong("it has no score")
        return Truth(row.case, score, row.number("complete_percent", 0.0, 100.0))

    return _by_case(path, rows, truth)


def check_same_cases(answers: Mapping[str, Answer], truth: Mapping[str, Truth], answers_path: Path) -> None:
    """BadInputError unless both tables have the same cases."""
    missing = [case for case in truth if case not in answers]
    unknown = [case for case in answers if case not in truth]
    if missing:
        raise BadInputError(
            f"{answers_path}: no line for {_named(missing)}. Give each case a line; its score may be empty."
        )
    if unknown:
        raise BadInputError(f"{answers_path}: {_named(unknown)} not in the truth. Take out the line, or mend the name.")


def answers_csv(answers: Sequence[Answer]) -> bytes:
    """A table of answers, with decimal points and commas between columns."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for item in answers:
        confidence = "" if item.confidence is None else f"{item.confidence:.4f}"
        complete = "" if item.complete_percent is None else f"{item.complete_percent:.2f}"
        writer.writerow([item.case, item.score or "", confidence, complete, " ".join(item.reason.split())])
    return _table_bytes(out)


def truth_csv(truth: Sequence[Truth], more: Mapping[str, Mapping[str, str]] | None = None) -> bytes:
    """A table of truth; `more`: further columns by their name, each by case."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    more = more or {}
    writer.writerow([*TRUTH_COLUMNS, *more])
    for item in truth:
        complete = "" if item.complete_percent is None else f"{item.complete_percent:.4f}"
        writer.writerow([item.case, item.score, complete, *(column[item.case] for column in more.values())])
    return _table_bytes(out)


def _table_bytes(table: io.StringIO) -> bytes:
    # a name that is no text on this disk must not lose the answers of all other slides
    return table.getvalue().encode("utf-8", errors="replace")


# ---- reading ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of a table, by its columns."""

    path: Path
    line: int
    values: Mapping[str, str]

    @property
    def case(self) -> str:
        case = self.values["case"]
        if not case:
            raise self.wrong("it names no case")
        return case

    def text(self, name: str) -> str:
        return self.values.get(name, "")

    def score(self) -> Score | None:
        """The score; None where there is none."""
        text = self.values["score"].replace(" ", "")
        if not text:
            return None
        if text not in _SCORES:
            raise self.wrong(f"the score {text!r} is none of {', '.join(SCORES)}")
        return _SCORES[text]

    def number(self, name: str, least: float, most: float) -> float | None:
        """A number, with a decimal point or comma; None where there is none."""
        text = self.values.get(name, "").removesuffix("%").strip()
        if not text:
            return None
        try:
            value = float(text.replace(",", "."))
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise self.wrong(f"{name} {text!r} is no number from {least:g} to {most:g}")
        return value

    def wrong(self, why: str) -> BadInputError:
        return BadInputError(f"{self.path}: line {self.line}: {why}. Correct the line.")


def _rows(path: Path, needed: Sequence[str]) -> list[_Row]:
    text = _text(path)
    first = next((line for line in text.splitlines() if line.strip()), "")
    if not first:
        raise BadInputError(f"{path}: the table is empty. Give a first line of column names: {','.join(COLUMNS)}.")
    delimiter = max(_DELIMITERS, key=first.count)
    try:
        read = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
        lines = [(read.line_num, [cell.strip() for cell in row]) for row in read if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise BadInputError(f"{path}: not a table ({error}). Save it as CSV with one line for each case.") from error
    names = [name.lower().replace(" ", "_") for name in lines[0][1]]
    for name in needed:
        if name not in names:
            raise BadInputError(f"{path}: no column '{name}' in its first line. Columns: {', '.join(COLUMNS)}.")
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise BadInputError(f"{path}: column '{twice}' is there twice. Keep one of them.")
    for line, row in lines[1:]:
        if len(row) != len(names):
            hint = " Numbers with a decimal comma need ; between columns." if len(row) > len(names) else ""
            raise BadInputError(
                f"{path}: line {line} has {len(row)} values for {len(names)} columns.{hint} Correct it."
            )
    return [_Row(path, line, dict(zip(names, row, strict=True))) for line, row in lines[1:]]


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise BadInputError(f"{path}: too large for a table of cases. Check the path.")
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise BadInputError(f"{path}: no such file. Check the path.") from None
    except UnicodeDecodeError as error:
        raise BadInputError(f"{path}: not a text in UTF-8. Save it as CSV in UTF-8.") from error
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read ({error.strerror}). Check that it is a CSV file.") from error
    if "\0" in text:
        raise BadInputError(f"{path}: not a text, but bytes. Save it as CSV in UTF-8.")
    return text


def _by_case(path: Path, rows: Sequence[_Row], make: Callable[[_Row], T]) -> dict[str, T]:
    found: dict[str, T] = {}
    for row in rows:
        if row.case in found:
            raise row.wrong(f"case {row.case} is there twice")
        found[row.case] = make(row)
    if not found:
        raise BadInputError(f"{path}: no case in it. Give one line for each case.")
    return found


def _named(cases: Sequence[str]) -> str:
    word = "case" if len(cases) == 1 else f"{len(cases)} cases:"
    shown = ", ".join(cases[:_LISTED]) + (", ..." if len(cases) > _LISTED else "")
    return f"{word} {shown}"
