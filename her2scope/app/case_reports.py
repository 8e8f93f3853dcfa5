"""What `her2scope session report` writes: the report of a stored case again, or one table of all cases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from her2scope.app.compose import case_store, report_dir, stored_view, write_case_report
from her2scope.app.outputs import check_outputs, write_all
from her2scope.domain.errors import BadInputError, Her2ScopeError
from her2scope.domain.sign_off import SignOff, sign_off
from her2scope.ports import CaseSummary
from her2scope.reporting import words
from her2scope.reporting.cases_table import TABLES, Row, case_row, problem_row


def report_case(case_id: str, out_dir: Path | None, kinds: Sequence[str], version: int | None) -> list[str]:
    """Write the report of a stored case, which may be open elsewhere; lines to print.

    Parameters
    ----------
    out_dir : None for the place where the case's reports are
    version : as that version was signed; None for the case as it is

    Raises
    ------
    CaseNotFoundError, CaseDamagedError, CaseRuleError
        If there is no such case or version, or it cannot be read.
    DiskFullError, StoreError
        If a file cannot be written.
    """
    view = stored_view(case_id, version)
    newest = None if version is None else _sign_off(case_id)
    files = write_case_report(view, out_dir or report_dir(case_id, view.sign_off.version), kinds, newest)
    return [f"report: {path}" for path in files]


def _sign_off(case_id: str) -> SignOff:
    """How far a case that could be read has come by now."""
    reading = case_store().read(case_id)
    try:
        return sign_off(reading.events())
    finally:
        reading.close()


def report_all(path: Path) -> tuple[bool, list[str]]:
    """Write one table of all cases, of the kind that the file's suffix says.

    Returns
    -------
    bool
        Whether every case could be read.
    list of str
        Lines to print.

    Raises
    ------
    BadInputError
        If the suffix is not known, or the file cannot be written.
    """
    encode = TABLES.get(path.suffix.lower())
    if encode is None:
        raise BadInputError(f"{path}: a table of cases is {', '.join(TABLES)}. Give a file with one of these endings.")
    check_outputs([path], [])
    rows = [_row(item) for item in case_store().cases()]
    write_all({path: encode(rows)})
    return not any(row["problem"] for row in rows), list(_lines(path, rows))


def _row(item: CaseSummary) -> Row:
    """Row of a stored case; a case that cannot be read says why, and keeps no other from the table."""
    try:
        return case_row(stored_view(item.case_id))
    except Her2ScopeError as error:
        return problem_row(item.case_id, str(error))


def _lines(path: Path, rows: Sequence[Row]) -> Iterator[str]:
    unread = [row for row in rows if row["problem"]]
    yield f"{path}: {words.count(len(rows), 'case')}"
    for row in unread:
        yield f"  {row['case_id']}: {row['problem']}"
    if unread:
        yield f"{words.count(len(unread), 'case')} COULD NOT BE READ; each has a row that says why"
