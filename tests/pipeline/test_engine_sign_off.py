"""Sign-off and stored cases in the live engine: done on the case's thread, each failure said, no case mixed up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from pipeline.conftest import KnownSigners
from pipeline.test_engine import OUTLINE, PATIENCE_S, FakeCamera, Listener, n_undone

from her2scope.domain.corrections import CaseData
from her2scope.domain.errors import CaseLockedError, DiskFullError, StoreError
from her2scope.domain.events import EventKind
from her2scope.domain.sign_off import CaseStatus
from her2scope.pipeline.clock import SystemClock
from her2scope.pipeline.engine import LiveEngine
from her2scope.pipeline.live import Severity
from her2scope.pipeline.session import CaseSession
from her2scope.ports import SealReason
from her2scope.records import CaseView, IslandJoin, MapPlace, ReaderScore
from her2scope.storage.memory import MemoryCaseFile, MemoryCaseStore

NAME, PIN = "Dr Ada Example", "wren-417"


class Bench:
    """A running engine on a store, with what it wrote and sealed."""

    def __init__(self, frames, analyser) -> None:
        self.store, self.listener, self.analyser = MemoryCaseStore(), Listener(), analyser
        self.signers = KnownSigners(Dr_Ada_Example=PIN)
        self.camera = FakeCamera(frames["2+"])
        self.reports: list[CaseView] = []
        self.sealed: list[tuple[str, SealReason]] = []
        self.full = False
        self.may_open = threading.Event()
        self.may_open.set()
        self._numbers = iter(range(1, 100))
        self.engine = LiveEngine(
            self.camera, lambda: self.session(self.store.create(f"case-{next(self._numbers)}")), self.listener,
            self._write_report, SystemClock(), open_stored=self._open_stored,
        )  # fmt: skip

    def session(self, file: MemoryCaseFile) -> CaseSession:
        case_id = file.case_id

        def seal(what: SealReason) -> None:
            if self.full:
                raise DiskFullError("the disk is full.")
            self.sealed.append((case_id, what))

        file.seal = seal  # type: ignore[method-assign]
        return CaseSession(file, self.analyser, SystemClock(), "reader", signers=self.signers)

    def _open_stored(self, case_id: str) -> CaseSession:
        assert self.may_open.wait(PATIENCE_S)
        return self.session(self.store.open(case_id))

    def _write_report(self, view: CaseView) -> list[Path]:
        if self.full:
            raise DiskFullError("the disk is full.")
        self.reports.append(view)
        return [Path("there/report.pdf")]

    def said(self, text: str) -> Severity:
        return self.listener.wait_for("message", lambda item: text in item.text).severity

    def shown(self, status: CaseStatus, case_id: str = "case-1") -> CaseView:
        return self.listener.wait_for("case", lambda view: view.sign_off.status is status and view.case_id == case_id)

    def sign_first_case(self) -> CaseView:
        self.engine.enter_reader_score(ReaderScore(None, "nothing read"))
        self.engine.finish()
        self.engine.sign(NAME, PIN, True)
        return self.shown(CaseStatus.SIGNED)


@pytest.fixture
def bench(frames, analyser) -> Iterator[Bench]:
    made = Bench(frames, analyser)
    made.engine.start()
    yield made
    made.may_open.set()
    made.engine.stop()


def test_a_signed_case_is_sealed_and_reported_and_frozen(bench):
    view = bench.sign_first_case()
    bench.said("case case-1 signed by Dr Ada Example as version 1; report in there")
    assert bench.sealed == [("case-1", "signed")]
    assert [item.sign_off.status for item in bench.reports] == [CaseStatus.IN_REVIEW, CaseStatus.SIGNED]
    assert bench.reports[-1].head == view.head
    bench.engine.enter_case_data(CaseData(slide="7"))
    assert bench.said("amend it, with a reason") is Severity.WARNING
    bench.engine.finish()
    bench.said("case case-1 signed; report in there")
    assert len(bench.reports) == 3, "the report is written once more"


def test_a_wrong_pin_is_a_message_and_a_kept_event(bench):
    bench.engine.enter_reader_score(ReaderScore(None, "nothing read"))
    bench.engine.finish()
    bench.engine.sign(NAME, "wren-418", True)
    assert bench.said("do not belong together") is Severity.WARNING
    refused = bench.listener.wait_for("case", lambda view: view.events[-1].kind is EventKind.SIGNING_REFUSED)
    assert refused.sign_off.status is CaseStatus.IN_REVIEW and bench.sealed == []
    bench.engine.enrol_and_sign("Dr New", "heron-22", True)
    assert bench.shown(CaseStatus.SIGNED).sign_off.signatures[-1].name == "Dr New"


def test_a_case_is_shown_as_finished_while_its_report_is_written(bench, monkeypatch):
    may_write = threading.Event()

    def write(view: CaseView) -> list[Path]:
        return [Path("there/report.pdf")] if may_write.wait(PATIENCE_S) else []

    monkeypatch.setattr(bench.engine, "_write_report", write)
    bench.engine.finish()
    bench.shown(CaseStatus.IN_REVIEW)
    bench.said("writing the report of case case-1")
    may_write.set()
    bench.said("finished; report in there (Ctrl+Shift+S signs it, ")


def test_a_case_is_reopened_and_amended_by_commands(bench):
    bench.engine.enter_reader_score(ReaderScore(None, "nothing read"))
    bench.engine.finish()
    bench.shown(CaseStatus.IN_REVIEW)
    bench.engine.reopen("a field was forgotten")
    bench.said("the case is open again: it is read")
    bench.engine.finish()
    bench.engine.sign(NAME, PIN, True)
    bench.shown(CaseStatus.SIGNED)
    bench.engine.amend(NAME, PIN, "ISH came")
    bench.said("as its next version")
    bench.listener.wait_for("case", lambda view: view.sign_off.version == 2)
    bench.engine.finish()
    bench.engine.sign(NAME, PIN, True)
    assert [one.version for one in bench.shown(CaseStatus.AMENDED).sign_off.signatures] == [1, 2]


def test_islands_found_to_be_one_while_a_case_was_frozen_are_joined_when_it_is_open_again(bench, monkeypatch):
    bench.listener.wait_for("result")
    bench.engine.accept_field()
    (field,) = bench.listener.wait_for("case", lambda view: view.fields).fields
    bench.engine.enter_reader_score(ReaderScore(None, "too little"))
    bench.engine.finish()
    bench.shown(CaseStatus.IN_REVIEW)
    found = (IslandJoin(field.place.island, field.place.island + 1, 5.0, 5.0),)
    on_map = SimpleNamespace(view=SimpleNamespace(joins=found), adopt=lambda _: None)
    monkeypatch.setattr(bench.engine, "_map", on_map)
    bench.engine.annotate_field(1, "refused")
    assert bench.said("in review") is Severity.WARNING
    bench.listener.forget("case")
    bench.engine.reopen("another field")
    joined = bench.listener.wait_for("case", lambda view: view.events[-1].kind is EventKind.ISLANDS_JOINED)
    assert joined.fields[0].place.island == field.place.island + 1


def test_nothing_is_swept_into_a_case_that_is_finished(bench):
    bench.listener.wait_for("result")
    bench.engine.draw_region(OUTLINE)
    bench.engine.set_sweep(True)
    bench.listener.wait_for("sweep", lambda on: on)
    bench.listener.forget("sweep")
    bench.engine.finish()
    assert bench.listener.wait_for("sweep") is False


def test_the_window_signs_only_what_it_showed(bench):
    bench.engine.enter_reader_score(ReaderScore(None, "nothing read"))
    bench.engine.finish()
    seen = bench.shown(CaseStatus.IN_REVIEW)
    bench.engine.reopen("another look")
    bench.engine.finish()
    for sign in (bench.engine.sign, bench.engine.enrol_and_sign):
        sign(NAME, PIN, True, seen)
        assert bench.said("not as it was shown") is Severity.WARNING
        bench.listener.forget("message")


def test_a_full_disk_after_the_signature_is_said_and_the_signature_stands(bench):
    bench.engine.enter_reader_score(ReaderScore(None, "nothing read"))
    bench.engine.finish()
    bench.shown(CaseStatus.IN_REVIEW)
    bench.full = True
    bench.engine.sign(NAME, PIN, True)
    assert bench.said("signed and saved, but not sealed: the disk is full.") is Severity.ERROR
    bench.said("signed by Dr Ada Example as version 1 and saved, but has no report: the disk is full.")
    assert bench.shown(CaseStatus.SIGNED).sign_off.signatures[-1].name == NAME
    bench.full = False
    bench.engine.finish()
    bench.said("report in there")


def test_a_stored_case_is_opened_in_place_of_the_present_one(bench):
    bench.listener.wait_for("result")
    bench.engine.accept_field()
    first = bench.listener.wait_for("case", lambda view: view.fields)
    bench.engine.new_case()
    bench.listener.wait_for("case", lambda view: view.case_id == "case-2")
    bench.listener.forget("case")
    bench.engine.open_case("case-1")
    again = bench.listener.wait_for("case", lambda view: view.case_id == "case-1")
    bench.said("case case-1 is open: put its own slide on the stage")
    assert [item.number for item in again.fields] == [1] and again.score == first.score
    assert {item.case_id: item.locked for item in bench.store.cases()} == {"case-1": True, "case-2": False}


def test_what_the_stored_case_knows_of_the_slide_is_not_taken_for_the_present_picture(bench):
    """Its islands are of another day: a frame on the map of now may lie on none of them."""
    bench.listener.wait_for("result")
    other = bench.session(bench.store.create("stored"))
    frame = bench.camera.frame
    other.accept(frame, place=MapPlace(40, 0.0, 0.0))
    other.close()
    bench.engine.open_case("stored")
    bench.listener.wait_for("case", lambda view: view.case_id == "stored")
    bench.listener.wait_for("map", lambda view: view.island > 40)


def test_what_was_asked_for_the_present_case_is_not_done_to_the_stored_one(bench):
    bench.listener.wait_for("result")
    bench.engine.new_case()
    bench.listener.wait_for("case", lambda view: view.case_id == "case-2")
    bench.may_open.clear()
    bench.engine.open_case("case-1")
    bench.engine.accept_field()
    bench.engine.enter_case_data(CaseData(slide="of case 2"))
    bench.engine.finish()
    bench.may_open.set()
    bench.listener.wait_for("message", lambda item: n_undone(bench.listener) == 3)
    bench.listener.forget("case")
    bench.engine.enter_case_data(CaseData(slide="of case 1"))
    view = bench.listener.wait_for("case", lambda view: view.data.slide == "of case 1")
    assert view.case_id == "case-1" and not view.fields and view.finished_utc is None


@pytest.mark.parametrize(
    ("case_id", "error", "said", "severity"),
    [
        ("missing", None, "There is no case missing", Severity.ERROR),
        (
            "locked",
            CaseLockedError("Case locked is open in another her2scope."),
            "in another her2scope",
            Severity.ERROR,
        ),
        ("damaged", StoreError("Case damaged is damaged."), "is damaged", Severity.ERROR),
        ("case-1", None, "case case-1 is open already", Severity.WARNING),
    ],
)
def test_where_a_stored_case_cannot_be_opened_the_present_one_stays(bench, monkeypatch, case_id, error, said, severity):
    bench.listener.wait_for("case")
    if error is not None:
        monkeypatch.setattr(bench.store, "open", lambda _: (_ for _ in ()).throw(error))
    bench.engine.open_case(case_id)
    assert bench.said(said) is severity
    bench.listener.forget("case")
    bench.engine.enter_case_data(CaseData(slide="7"))
    assert bench.listener.wait_for("case", lambda view: view.data.slide == "7").case_id == "case-1"


def test_without_a_store_no_case_is_opened(frames, analyser):
    listener, session = Listener(), CaseSession(MemoryCaseStore().create("case-1"), analyser, SystemClock(), "reader")
    engine = LiveEngine(FakeCamera(frames["2+"]), lambda: session, listener, lambda view: (), SystemClock(), session)
    engine.start()
    try:
        engine.open_case("case-2")
        listener.wait_for("message", lambda item: "cannot be opened here" in item.text)
    finally:
        engine.stop()


def test_a_clock_that_was_set_back_is_said_once(frames, analyser):
    class EarlierClock(SystemClock):
        def now_utc(self) -> str:
            return "2020-01-01T00:00:00.000+00:00"

    store, listener = MemoryCaseStore(), Listener()
    CaseSession(store.create("case-1"), analyser, SystemClock(), "reader").close()
    session = CaseSession(store.open("case-1"), analyser, EarlierClock(), "reader")
    engine = LiveEngine(FakeCamera(frames["2+"]), lambda: session, listener, lambda view: (), SystemClock(), session)
    engine.start()
    try:
        for slide in ("7", "8", "9"):
            engine.enter_case_data(CaseData(slide=slide))
        listener.wait_for("case", lambda view: view.data.slide == "9")
    finally:
        engine.stop()
    assert sum("clock was set back by" in item.text for item in listener.told["message"]) == 1
