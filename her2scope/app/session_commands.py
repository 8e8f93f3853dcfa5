"""What `her2scope session` shows and does with stored cases."""

from __future__ import annotations

import difflib
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from her2scope.app.compose import case_store, head_ledger, report_dir, stored_view
from her2scope.app.outputs import check_outputs, write_all
from her2scope.domain.cells import CellClass
from her2scope.domain.errors import BadInputError, CaseNotFoundError, StoreError
from her2scope.domain.event_chain import ChainHead
from her2scope.domain.sign_off import CaseStatus, SignOff
from her2scope.ports import CaseSummary, HeadLedger, JsonObject, KeptHead
from her2scope.records import CaseView
from her2scope.reporting import words
from her2scope.reporting.hand import case_data_line
from her2scope.reporting.json_report import json_bytes
from her2scope.reporting.record import grouped
from her2scope.settings import home_dir
from her2scope.storage.bundle import export_bundle, restore_bundle, verify_bundle
from her2scope.storage.findings import Finding, Verification
from her2scope.storage.head_ledger import MemoryHeadLedger
from her2scope.storage.kept_heads import changed_reports
from her2scope.storage.verify import verify_case

CASES_SCHEMA, CASE_SCHEMA, VERIFICATION_SCHEMA = "her2scope.cases/1", "her2scope.case/1", "her2scope.verification/1"
LONGEST_ID, LONGEST_TITLE, LONGEST_STATE = 24, 20, 28
WIDTH = 100
"""Columns of the table of cases, and of a terminal that shows it without breaking lines."""


@dataclass(frozen=True, slots=True)
class VerifyRequest:
    """What `her2scope session verify` was asked."""

    targets: Sequence[str]
    """Names of cases, folders, bundles."""
    all_cases: bool = False
    heads: Sequence[str] = ()
    json_path: Path | None = None


def case_folder(case_id: str) -> Path:
    """Folder of a stored case; CaseNotFoundError naming the nearest where there is none."""
    folder = case_store().folder(case_id)
    if folder.is_dir():
        return folder
    near = difflib.get_close_matches(case_id, [item.case_id for item in case_store().cases()], n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]}?" if near else "See 'her2scope session list'."
    raise CaseNotFoundError(f"There is no case {case_id}. {hint}")


# ---- list ---------------------------------------------------------------------------------------------------------


def list_cases(json_path: Path | None) -> list[str]:
    """All cases, newest first, as a table."""
    cases = case_store().cases()
    _write(json_path, {"schema": CASES_SCHEMA, "cases": [_summary_json(item) for item in cases]})
    if not cases:
        return [f"No case is stored in {home_dir() / 'cases'} yet."]
    rows = [("case", "slide", "opened", "fields", "state"), *map(_row, cases)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines = [_cut(line, _terminal_width()) for line in lines]
    return [lines[0], *(line for row, item in zip(lines[1:], cases, strict=True) for line in _with_problem(row, item))]


def _terminal_width() -> int:
    """Columns of the terminal as far as the table uses them; all of them where it goes to a file."""
    return min(WIDTH, shutil.get_terminal_size().columns) if sys.stdout.isatty() else WIDTH


def _row(item: CaseSummary) -> tuple[str, ...]:
    return (
        _cut(item.case_id, LONGEST_ID),
        _cut(words.clean(item.title) or "-", LONGEST_TITLE),
        words.when(item.opened_utc).removesuffix(" UTC"),
        str(item.n_fields) if item.opened_utc else "-",
        _cut(_standing(item), LONGEST_STATE),
    )


def _standing(item: CaseSummary) -> str:
    """State, version and signer of a case in a few words."""
    if not item.opened_utc:
        return "unreadable" if item.problem else "empty"
    version = f" v{item.version}" if item.version > 1 else ""
    in_use = ", in use" if item.locked else ""
    signed = item.status in (CaseStatus.SIGNED, CaseStatus.AMENDED)
    return f"{state_words(item.status)}{version}{in_use}" + (f", {words.clean(item.signed_by)}" if signed else "")


def _with_problem(line: str, item: CaseSummary) -> Iterator[str]:
    yield line
    if item.problem and not (item.locked and item.opened_utc):  # in use is no problem, and stands in the line
        indent = "    "
        yield from textwrap.wrap(
            words.clean(item.problem), _terminal_width(), initial_indent=indent, subsequent_indent=indent
        )


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 3] + "..."


def _summary_json(item: CaseSummary) -> JsonObject:
    return {**asdict(item), "status": item.status.value}


# ---- show ---------------------------------------------------------------------------------------------------------


def show_case(case_id: str, json_path: Path | None) -> list[str]:
    """A case in words: result, state, signatures, control, fields, end of its chain."""
    case_folder(case_id)
    view = stored_view(case_id)
    _write(json_path, {"schema": CASE_SCHEMA, **_view_json(view)})
    return list(_told(view))


def _told(view: CaseView) -> Iterator[str]:
    yield f"Case {view.case_id}, opened {words.when(view.opened_utc)}"
    if slide := case_data_line(view.data):
        yield slide
    yield f"Reference score {words.score_text(view)}, {words.category_text(view)}; own {words.reader_text(view)}"
    yield words.reportable_text(view)
    yield from (f"  {words.sentence(reason)}" for reason in words.blocking(view))
    yield from _state(view.sign_off)
    yield words.control_headline(view)
    active = len(view.active_fields)
    removed = len(view.fields) - active
    yield (
        f"{words.count(active, 'field')}{f' and {removed} removed' if removed else ''}, "
        f"{words.count(view.score.counts.n_tumour, 'tumour cell')}"
    )
    yield f"Chain head of {words.count(view.head.n_events, 'event')}: {grouped(view.head.digest)}"


def _state(sign_off: SignOff) -> Iterator[str]:
    yield f"State: {state_words(sign_off.status)}, version {sign_off.version}"
    for item in sign_off.signatures:
        signed = f"version {item.version} signed by {words.clean(item.name)} on {words.when(item.at_utc)}"
        yield f"  {signed}, own score {item.own_score or words.INDETERMINATE}"


def state_words(status: CaseStatus) -> str:
    """State of a case in words."""
    return status.value.replace("_", " ")


def _view_json(view: CaseView) -> JsonObject:
    shares, sign_off = view.score.shares_percent, view.sign_off
    return {
        "case_id": view.case_id,
        "opened_utc": view.opened_utc,
        "status": sign_off.status.value,
        "version": sign_off.version,
        "signatures": [asdict(item) for item in sign_off.signatures],
        "score": view.score.score,
        "category": view.score.category.value,
        "reportable": view.score.reportable,
        "own_score": view.reader_score and view.reader_score.score,
        "n_tumour": view.score.counts.n_tumour,
        "shares_percent": shares and {name.value: shares.get(name, 0.0) for name in CellClass},
        "control": view.control.verdict.status.value if view.control else "absent",
        "n_fields": len(view.active_fields),
        "settings_sha256": view.settings_sha256,
        "n_events": view.head.n_events,
        "head": view.head.digest,
    }


# ---- verify -------------------------------------------------------------------------------------------------------


def verify_cases(request: VerifyRequest) -> tuple[bool, list[str]]:
    """Whether every case asked for is sound, and what was found."""
    check_outputs([request.json_path] if request.json_path else [], [])
    targets = list(request.targets)
    if request.all_cases:
        targets += [item.case_id for item in case_store().cases() if item.case_id not in targets]
    elif not targets:
        raise BadInputError("which case? Give its name, its folder or its bundle, or --all.")
    ledger = _read_once() if len(targets) > 1 else head_ledger()
    found = [_verified(target, ledger, request.heads) for target in targets]
    if request.all_cases:
        gone = _cases_that_are_gone()
        targets, found = [*targets, *(item.case_id for item in gone)], [*found, *gone]
    sound = all(item.sound for item in found)
    cases = [_verification_json(*item) for item in zip(targets, found, strict=True)]
    _write(request.json_path, {"schema": VERIFICATION_SCHEMA, "sound": sound, "cases": cases})
    lines = [line for target, item in zip(targets, found, strict=True) for line in _verdict(target, item)]
    if len(found) != 1:
        n_sound = sum(item.sound for item in found)
        lines.append(f"{words.count(len(found), 'case')}: {n_sound} sound, {len(found) - n_sound} with findings")
    return sound, [*lines, *head_ledger().problems]


def _read_once() -> HeadLedger:
    ledger = head_ledger()
    try:
        return MemoryHeadLedger(ledger.entries())
    except StoreError:
        return ledger  # each case then says what is wrong with it


def _cases_that_are_gone() -> list[Verification]:
    """Of the cases whose events the ledger knows and whose folder is not there."""
    try:
        entries = head_ledger().entries()
    except StoreError:
        return []  # each case that is there says what is wrong with it
    last = {entry.case_id: entry for entry in entries if entry.head.n_events}
    return [_gone(entry) for entry in last.values() if not (home_dir() / "cases" / entry.case_id).exists()]


def _gone(last: KeptHead) -> Verification:
    said = f"it is gone: the case had {words.count(last.head.n_events, 'event')} on {last.at_utc} ({last.what})"
    return Verification(last.case_id, ChainHead(0, ""), 0, False, (Finding("case_missing", "its folder", said),), ())


def _verified(target: str, ledger: HeadLedger, heads: Sequence[str]) -> Verification:
    path, root = Path(target), home_dir() / "cases"
    if _is_name(target) and (root / target).is_dir():
        return _with_reports(verify_case(root / target, ledger, heads), ledger)
    if path.is_dir():
        return verify_case(path, ledger, heads, is_copy=path.resolve().parent != root.resolve())
    if path.is_file():
        return verify_bundle(path, ledger, heads)
    return verify_case(case_folder(target), ledger, heads)


def _with_reports(found: Verification, ledger: HeadLedger) -> Verification:
    """The same, with the reports that lie where they were written."""
    try:
        changed = tuple(changed_reports(report_dir(found.case_id), ledger.of_case(found.case_id)))
    except StoreError:
        return found  # it says so itself
    return replace(found, findings=(*found.findings, *changed))


def _is_name(target: str) -> bool:
    return Path(target).name == target


def _verdict(target: str, found: Verification) -> Iterator[str]:
    verdict = "sound" if found.sound else words.count(len(found.findings), "finding")
    sealed = "closed" if found.sealed else "not closed"
    yield f"{target}: {verdict}; {words.count(found.n_events, 'event')}, {sealed}"
    if found.head.digest:
        yield f"  chain head {grouped(found.head.digest)}"
    yield from (f"  {item.where}: {item.words} [{item.code}]" for item in found.findings)
    yield from (f"  note: {note}" for note in found.notes)


def _verification_json(target: str, found: Verification) -> JsonObject:
    return {
        "target": target,
        "case_id": found.case_id,
        "sound": found.sound,
        "sealed": found.sealed,
        "n_events": found.n_events,
        "head": found.head.digest,
        "findings": [asdict(item) for item in found.findings],
        "notes": list(found.notes),
    }


# ---- export and restore -------------------------------------------------------------------------------------------


def export_case(case_id: str, path: Path) -> list[str]:
    """Write a case as one file that verifies itself."""
    folder = case_folder(case_id)
    check_outputs([path], [])
    if path.exists():
        raise BadInputError(f"{path}: there is a file of that name, which may be a backup. Give another name.")
    if not path.absolute().parent.is_dir():
        raise BadInputError(f"{path}: its folder is not there. Make it first, or give another name.")
    found = export_bundle(folder, path, head_ledger(), report_dir(case_id))
    said = f"case {case_id} with {words.count(found.n_events, 'event')} is in {path}"
    return [said, *(f"note: {note}" for note in found.notes)]


def restore_case(path: Path, case_id: str | None) -> list[str]:
    """Bring the case of a bundle back."""
    ledger = head_ledger()
    found = restore_bundle(path, home_dir() / "cases", case_id, ledger, home_dir() / "reports")
    said = f"case {found.case_id} with {words.count(found.n_events, 'event')} is restored from {path}"
    longest = max((entry.head.n_events for entry in ledger.of_case(found.case_id)), default=0)
    if longest <= found.n_events:
        return [said]
    return [said, f"note: this case had {longest} events here once: the bundle is older, and 'verify' will say so."]


def _write(path: Path | None, data: JsonObject) -> None:
    if path is not None:
        check_outputs([path], [])
        write_all({path: json_bytes(data)})
