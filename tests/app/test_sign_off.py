"""Signing stored cases without a window: signed, sealed, reported, kept outside the case, and read back as signed."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from her2scope.app import compose, sign_off
from her2scope.app.compose import (
    case_store,
    head_ledger,
    open_session,
    report_dir,
    signers,
    stored_view,
    validations,
    write_case_report,
)
from her2scope.app.control_history import control_history
from her2scope.domain.corrections import CaseData
from her2scope.domain.errors import (
    CaseLockedError,
    CaseNotFoundError,
    CaseRuleError,
    DiskFullError,
    SigningError,
    StoreError,
)
from her2scope.domain.event_chain import ChainHead
from her2scope.domain.events import EventKind
from her2scope.domain.sign_off import CaseStatus
from her2scope.phantom.field import PhantomSpec, render_field
from her2scope.pipeline.session import CaseSession
from her2scope.records import Frame, ReaderScore, ReportContent, ValidationRecord
from her2scope.segmentation.methods import CLOSED_CONTOURS
from her2scope.settings import Calibration, ScoringSettings

NAME, PIN = "Dr Ada Example", "wren-417"


@pytest.fixture(scope="module")
def frame() -> Frame:
    field = render_field(PhantomSpec("2+", 21, 0, size_wh=(480, 360), difficulty="easy", camera="linear"))
    return Frame(field.rgb, 0, 0.0, 0.25, name="field.png")


def session_of(case_id: str) -> CaseSession:
    store = case_store()
    known = any(item.case_id == case_id for item in store.cases())
    file = store.open(case_id) if known else store.create(case_id)
    return open_session(file, CLOSED_CONTOURS, ScoringSettings(), Calibration(), "reader")


@pytest.fixture
def in_review(frame) -> str:
    """A stored case that waits for its signature."""
    session = session_of("case-1")
    session.accept(frame, keep_unusable=True)
    session.enter_reader_score(ReaderScore(None, "too few cells"))
    session.finish()
    session.close()
    signers().enrol(NAME, PIN)
    return "case-1"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(item.relative_to(folder)): item.read_bytes() for item in folder.rglob("*") if item.is_file()}


def test_a_case_is_signed_sealed_reported_and_kept_outside_its_folder(in_review):
    lines = sign_off.sign(in_review, "dr ada example", PIN, True)
    assert lines[0] == "case case-1 is signed by Dr Ada Example as version 1"
    files = [Path(line.removeprefix("report: ")) for line in lines[1:]]
    assert {path.name for path in files} == {"report.pdf", "report.html", "report.json"}
    signed = next(item for item in head_ledger().of_case(in_review) if item.what == "signed")
    reported = next(item for item in head_ledger().of_case(in_review) if item.what == "reported")
    view = stored_view(in_review)
    assert view.sign_off.status is CaseStatus.SIGNED and signed.manifest_sha256
    assert signed.head == reported.head == view.head
    assert reported.files == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    (summary,) = case_store().cases()
    assert (summary.status, summary.version, summary.signed_by) == (CaseStatus.SIGNED, 1, NAME)
    assert not summary.locked


def test_what_cannot_be_signed_is_refused_and_the_case_let_go(in_review):
    with pytest.raises(CaseRuleError, match="looked at the annotated fields"):
        sign_off.sign(in_review, NAME, PIN, False)
    with pytest.raises(SigningError, match="do not belong together"):
        sign_off.sign(in_review, NAME, "wrong-1", True)
    assert stored_view(in_review).events[-1].kind is EventKind.SIGNING_REFUSED
    with pytest.raises(CaseNotFoundError):
        sign_off.sign("none", NAME, PIN, True)
    session = session_of(in_review)
    with pytest.raises(CaseLockedError):
        sign_off.sign(in_review, NAME, PIN, True)
    session.close()
    assert not case_store().cases()[0].locked


def test_a_signature_stands_where_its_report_cannot_be_written(in_review, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise DiskFullError("the disk is full.")

    monkeypatch.setattr(compose, "write_report", full)
    with pytest.raises(StoreError, match="signed and saved, but has no report: the disk is full. Then write it with"):
        sign_off.sign(in_review, NAME, PIN, True)
    assert stored_view(in_review).sign_off.status is CaseStatus.SIGNED


def test_an_amended_case_keeps_the_version_before_and_its_report(in_review):
    assert sign_off.reopen(in_review, "block was wrong")[0].startswith("case case-1 is open again")
    session = session_of(in_review)
    session.enter_case_data(CaseData(accession="S1", block="A", slide="1"))
    session.finish()
    session.close()
    sign_off.sign(in_review, NAME, PIN, True)
    first, report = stored_view(in_review), contents(report_dir(in_review))

    assert "version 1 is kept" in sign_off.amend(in_review, NAME, PIN, "block was B")[0]
    session = session_of(in_review)
    session.enter_case_data(CaseData(accession="S1", block="B", slide="1"))
    session.finish()
    session.close()
    sign_off.sign(in_review, NAME, PIN, True)

    newest, kept = stored_view(in_review), stored_view(in_review, 1)
    assert (newest.data.block, kept.data.block) == ("B", "A")
    assert newest.sign_off.status is CaseStatus.AMENDED and len(newest.sign_off.signatures) == 2
    assert kept.sign_off == first.sign_off and kept.score == first.score and kept.head == first.head
    assert stored_view(in_review, 2).head == newest.head
    assert report.items() <= contents(report_dir(in_review)).items(), "the signed report is there as it was"
    assert (report_dir(in_review, 2) / "report.pdf").exists()
    with pytest.raises(CaseRuleError, match="no signed version 3"):
        stored_view(in_review, 3)


def test_to_look_at_a_case_writes_nothing_and_needs_it_not_for_itself(in_review):
    folder = case_store().folder(in_review)
    before = contents(folder)
    stored_view(in_review)
    assert contents(folder) == before
    session = session_of(in_review)
    assert stored_view(in_review).fields[0].counts == session.view.fields[0].counts
    session.close()


def test_a_case_that_holds_nothing_has_no_view():
    case_store().create("empty").close()
    with pytest.raises(CaseRuleError, match="case empty is empty"):
        stored_view("empty")
    with pytest.raises(CaseNotFoundError):
        stored_view("none")


def test_a_report_names_the_validation_of_its_own_settings_only(in_review, monkeypatch, tmp_path):
    told: list[ReportContent] = []

    def keep(content: ReportContent, *_: object, **__: object) -> list[Path]:
        told.append(content)
        return []

    monkeypatch.setattr(compose, "write_report", keep)
    view = stored_view(in_review)
    write_case_report(view, tmp_path)
    for n_cases, digest in ((1000, "other"), (1000, view.settings_sha256)):
        record = ValidationRecord(
            "2026-01-01T00:00:00.000+00:00", digest, n_cases, 0.9, 1.0, 1.0, "cases.csv", 40, 40, 1.0
        )
        validations().keep(record)
    write_case_report(view, tmp_path)
    validations().path.write_text("damaged\n")
    control_history().path.parent.mkdir(parents=True)
    control_history().path.write_text("damaged\n")
    write_case_report(view, tmp_path)
    assert told[0].validation is None and told[2].validation is None, "a report is written all the same"
    assert told[1].validation is not None and told[1].validation.settings_sha256 == view.settings_sha256


def test_no_report_is_written_without_the_end_of_the_chain(in_review, tmp_path):
    with pytest.raises(StoreError, match="could not be read"):
        write_case_report(replace(stored_view(in_review), head=ChainHead(0, "")), tmp_path)
    assert list(tmp_path.glob("report*")) == []


def test_a_signer_is_enrolled_under_the_name_as_it_is_printed():
    assert sign_off.enrol("  Bo   Sample ", "heron-22") == ["Bo Sample may sign cases now"]
    assert signers().names() == ("Bo Sample",)
