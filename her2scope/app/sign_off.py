"""Reopening, signing and amending stored cases from the command line, by the rules of the window."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from her2scope.app.compose import (
    DEFAULT_METHOD,
    case_store,
    open_case_of,
    open_session,
    report_dir,
    signers,
    user_name,
    write_case_report,
)
from her2scope.domain.errors import Her2ScopeError, StoreError
from her2scope.pipeline.session import CaseSession
from her2scope.records import CaseView
from her2scope.settings import Calibration, ScoringSettings

IN_THE_WINDOW = "Change and finish it in the window (Ctrl+O), then sign it anew"


def enrol(name: str, pin: str) -> list[str]:
    """Take a new signer; lines to print."""
    signers().enrol(name, pin)
    return [f"{' '.join(name.split())} may sign cases now"]


def change_pin(name: str, pin: str, new_pin: str) -> list[str]:
    """Give a signer another PIN; lines to print."""
    signers().change_pin(name, pin, new_pin)
    return [f"{' '.join(name.split())} signs with the new PIN from now on"]


def reopen(case_id: str, reason: str) -> list[str]:
    """Back from review to reading; lines to print."""
    with _opened(case_id) as case:
        case.reopen(reason)
        return _lines(case, f"is open again. {IN_THE_WINDOW}")


def sign(case_id: str, name: str, pin: str, looked_at: bool) -> list[str]:
    """Sign a case in review, seal it and write its report; lines to print."""
    with _opened(case_id) as case:
        view = case.sign(name, pin, looked_at)
        files = _sealed_and_reported(case, view)
        signed = view.sign_off.signatures[-1]
        return [*_lines(case, f"is signed by {signed.name} as version {signed.version}"), *files]


def amend(case_id: str, name: str, pin: str, reason: str) -> list[str]:
    """Open a signed case again as its next version; lines to print."""
    with _opened(case_id) as case:
        case.amend(name, pin, reason)
        version = case.view.sign_off.version
        kept = f"version {version - 1} is kept as it was signed"
        return _lines(case, f"is open again as version {version}; {kept}. {IN_THE_WINDOW}")


@contextmanager
def _opened(case_id: str) -> Iterator[CaseSession]:
    """A stored case; CaseNotFoundError, CaseLockedError, CaseDamagedError."""
    store = case_store()
    case = open_session(
        store.open(case_id), DEFAULT_METHOD, ScoringSettings(), Calibration(), user_name(),
        other_case_of=lambda slide_id: open_case_of(slide_id, store, case_id), may_sign=signers(),
    )  # fmt: skip
    try:
        yield case
    finally:
        case.close()


def _sealed_and_reported(case: CaseSession, view: CaseView) -> list[str]:
    """Names of the report's files; a failure says that the case is signed all the same."""
    try:
        case.seal()
        files = write_case_report(view, report_dir(case.case_id, view.sign_off.version))
    except Her2ScopeError as error:
        remedy = f"Then write it with her2scope session report {case.case_id}."
        raise StoreError(f"Case {case.case_id} is signed and saved, but has no report: {error} {remedy}") from error
    return [f"report: {path}" for path in files]


def _lines(case: CaseSession, done: str) -> list[str]:
    clock = [case.clock_warning] if case.clock_warning else []
    return [f"case {case.case_id} {done}", *clock]
