"""Computed and readers' scores out of a table of cases (CSV): `session report --all` writes one, or a person does."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from her2scope.domain.errors import BadInputError
from her2scope.domain.guideline import SCORES, Score
from her2scope.domain.sign_off import CaseStatus
from her2scope.reporting.words import INDETERMINATE

DELIMITERS = (",", ";", "\t")
_NAMES = {
    "case": ("case_id", "case"),
    "computed": ("score", "computed"),
    "reader": ("reader_score", "reader"),
    "digest": ("settings_sha256",),
    "state": ("state",),
    "reportable": ("reportable",),
    "problem": ("problem",),
}
"""How a column may be called: as the program writes it, or as by hand."""
_NEEDED = ("case", "computed", "reader")
_YES, _NO = ("true", "yes"), ("false", "no")
_HEX = frozenset("0123456789abcdef")
_MOST_LINES = 12
"""That are named in an error."""


@dataclass(frozen=True, slots=True)
class ScorePair:
    """A case that both have scored."""

    line: int
    case: str
    computed: Score
    reader: Score
    settings_sha256: str
    """Empty where the table does not say."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A case that does not count, and why."""

    line: int
    case: str
    reason: str


@dataclass(frozen=True, slots=True)
class CaseScores:
    """What a table of cases says."""

    pairs: tuple[ScorePair, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def settings_sha256(self) -> str | None:
        """Digest of the settings that all pairs were computed with; None where the table does not say."""
        return self.pairs[0].settings_sha256 or None if self.pairs else None


@dataclass(frozen=True, slots=True)
class _Row:
    """A row by the names of `_NAMES`; what a column that is not there would say is empty."""

    line: int
    cells: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        return self.cells.get(name, "")


def read_case_scores(path: Path) -> CaseScores:
    """Read a table; BadInputError with the number of the first line that cannot be used."""
    rows = _rows(path)
    _check_rows(path, rows)
    pairs, left_out = [], []
    for row in rows:
        reason = _not_counted(row)
        if reason:
            left_out.append(LeftOut(row.line, row["case"], reason))
        else:
            pairs.append(ScorePair(row.line, row["case"], row["computed"], row["reader"], row["digest"]))
    _check_one_digest(path, pairs)
    return CaseScores(tuple(pairs), tuple(left_out))


def _not_counted(row: _Row) -> str:
    """Why a case does not count, in words; empty where it does."""
    if row["problem"]:
        return "that could not be read"
    if row["state"] == CaseStatus.OPEN:
        return "still being read"
    if row["reader"] not in SCORES:
        return f"with the reader's score {row['reader']}" if row["reader"] else "without a reader's score"
    if not row["computed"]:
        return "without a computed score"
    return "not reportable" if row["reportable"] in _NO else ""


# ---- checks -------------------------------------------------------------------------------------------------------


def _check_rows(path: Path, rows: Sequence[_Row]) -> None:
    """BadInputError for the first row that cannot be used, and for a case that stands in two."""
    first: dict[str, int] = {}
    for row in rows:
        wrong = _wrong(row)
        if not wrong and row["case"] in first:
            wrong = f"case {row['case']} stands in line {first[row['case']]} already: it would count twice"
        if wrong:
            raise BadInputError(f"{path}, line {row.line}: {wrong}. Correct the table; nothing was kept.")
        first[row["case"]] = row.line


def _wrong(row: _Row) -> str:
    """What is wrong with a row, in words; empty where nothing is."""
    if not row["case"]:
        return "the case has no name"
    if row["problem"]:
        return ""
    for name, whose, more in (("computed", "computed", ()), ("reader", "reader's", (INDETERMINATE,))):
        if row[name] not in ("", *SCORES, *more):
            return f"the {whose} score is '{row[name]}', and not {', '.join((*SCORES, *more))} or empty"
    if row["digest"] and not (len(row["digest"]) == 64 and _HEX.issuperset(row["digest"])):
        return f"settings_sha256 is '{row['digest']}', and not 64 hexadecimal digits"
    if row["state"] not in ("", *CaseStatus):
        return f"the state is '{row['state']}', and not {', '.join(CaseStatus)}"
    if row["reportable"] not in ("", *_YES, *_NO):
        return f"reportable is '{row['reportable']}', and not true or false"
    return ""


def _check_one_digest(path: Path, pairs: Sequence[ScorePair]) -> None:
    """BadInputError where scores of several settings stand in one table: their agreement would be of none."""
    by_digest: dict[str, list[int]] = {}
    for pair in pairs:
        by_digest.setdefault(pair.settings_sha256, []).append(pair.line)
    if len(by_digest) > 1:
        told = [f"{digest[:12] or 'none'} in {_lines(lines)}" for digest, lines in by_digest.items()]
        raise BadInputError(
            f"{path}: these scores were not all computed with the same settings (settings_sha256 {'; '.join(told)}). "
            "Give each its own table; nothing was kept."
        )


def _lines(numbers: Sequence[int]) -> str:
    named = ", ".join(map(str, numbers[:_MOST_LINES]))
    more = f" and {len(numbers) - _MOST_LINES} more" if len(numbers) > _MOST_LINES else ""
    return f"line{'s' if len(numbers) > 1 else ''} {named}{more}"


# ---- the file -----------------------------------------------------------------------------------------------------


def _rows(path: Path) -> list[_Row]:
    """All rows that are not empty; BadInputError for a file that is no such table."""
    text = _text(path)
    delimiter = _delimiter(text)
    numbered = _numbered(path, text, delimiter)
    _, header = next(numbered, (1, []))
    places = _places(path, header)
    rows = []
    for line, cells in numbered:
        if not any(cells):
            continue
        if len(cells) != len(header):
            raise BadInputError(
                f"{path}, line {line}: it has {len(cells)} columns, and the first line has {len(header)}. "
                "Correct the table; nothing was kept."
            )
        rows.append(_Row(line, {name: cells[place] for name, place in places.items()}))
    return rows


def _text(path: Path) -> str:
    try:
        if not path.is_file():
            raise BadInputError(f"{path}: there is no such file. Give a table of cases (CSV).")
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInputError(f"{path}: this is no text in UTF-8. Save the table as 'CSV UTF-8'.") from error
    except OSError as error:
        raise BadInputError(
            f"{path}: cannot be read ({error.strerror}). Check the name and its permissions."
        ) from error


def _delimiter(text: str) -> str:
    """The sign by which the first line falls into most columns."""
    first = text.split("\n", 1)[0]
    return max(DELIMITERS, key=first.count)


def _numbered(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Rows without the spaces around their cells, with the number of their first line."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            yield line, [cell.strip() for cell in cells]
            line = reader.line_num + 1
    except csv.Error as error:
        raise BadInputError(f"{path}, line {line}: this is no CSV ({error}). Correct the table.") from error


def _places(path: Path, header: Sequence[str]) -> dict[str, int]:
    """Where each column stands, by the names of `_NAMES`."""
    places = {}
    for name, spellings in _NAMES.items():
        found = [place for place, title in enumerate(header) if title in spellings]
        if len(found) > 1:
            raise BadInputError(f"{path}: it has {len(found)} columns named {' or '.join(spellings)}. Leave one.")
        if not found and name in _NEEDED:
            raise BadInputError(
                f"{path}: no column is named {' or '.join(spellings)}. The first line must name the columns: "
                f"{_asked_for(0)}, as `session report --all` writes them, or {_asked_for(1)}; in any order."
            )
        if found:
            places[name] = found[0]
    return places


def _asked_for(spelling: int) -> str:
    return ", ".join(_NAMES[name][spelling] for name in _NEEDED)
