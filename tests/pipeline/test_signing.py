"""Sign-off: what is signed cannot be changed, only amended, and every try to sign is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from pipeline.conftest import HeldClock, KnownSigners

from her2scope.domain.corrections import CaseData, Correction, RuleChange
from her2scope.domain.errors import CaseDamagedError, CaseRuleError, SigningError, StoreError
from her2scope.domain.event_chain import ChainHead
from her2scope.domain.events import Event, EventKind
from her2scope.domain.guideline import Ish
from her2scope.domain.regions import RegionDraft, RegionKind
from her2scope.domain.sign_off import CaseStatus
from her2scope.pipeline.session import CaseSession
from her2scope.pipeline.versions import as_signed
from her2scope.ports import CaseFile
from her2scope.records import FieldResult, Frame, IslandJoin, ReaderScore
from her2scope.storage.memory import MemoryCaseFile, MemoryCaseStore

NAME, PIN = "Dr Ada Example", "wren-417"


@pytest.fixture
def store() -> MemoryCaseStore:
    return MemoryCaseStore()


class Desk:
    """A case with one field on a store, opened again as often as wanted."""

    def __init__(self, store: MemoryCaseStore, analyser, clock: HeldClock, analysed: FieldResult) -> None:
        self.store, self.analyser, self.clock, self.analysed = store, analyser, clock, analysed
        self.signers = KnownSigners(Dr_Ada_Example=PIN)
        self.session = self._session(store.create("case-1"))

    def _session(self, file: CaseFile) -> CaseSession:
        return CaseSession(file, self.analyser, self.clock, "reader", signers=self.signers)

    def open_again(self) -> CaseSession:
        self.session.close()
        self.session = self._session(self.store.open("case-1"))
        return self.session

    def read(self, own: str | None = "2+", remark: str = "faint") -> CaseSession:
        self.session.accept(self.analysed.frame, self.analysed)
        self.session.enter_reader_score(ReaderScore(own, remark))
        return self.session

    def finished(self) -> CaseSession:
        self.read().finish()
        return self.session

    def signed(self) -> CaseSession:
        self.finished().sign(NAME, PIN, True)
        return self.session

    def stored(self) -> tuple[Event, ...]:
        reading = self.store.read("case-1")
        try:
            return reading.events()
        finally:
            reading.close()


@pytest.fixture
def desk(store, analyser, clock, analysed) -> Desk:
    return Desk(store, analyser, clock, analysed)


# ---- signing --------------------------------------------------------------------------------------------------------


def test_a_signature_keeps_all_that_was_signed(desk):
    session = desk.finished()
    before = session.view
    view = session.sign(" dr ada example", PIN, True)
    assert view.sign_off.status is CaseStatus.SIGNED
    (signature,) = view.sign_off.signatures
    assert (signature.name, signature.version, signature.score) == (NAME, 1, before.score.score)
    kept = view.events[-1].data
    assert kept["fields"] == [1] and kept["looked_at_fields"] is True and kept["own_score"] == "2+"
    assert kept["n_tumour"] == before.score.counts.n_tumour and kept["reportable"] is False, "no control was read"
    assert kept["shares_percent"] == {name.value: share for name, share in before.score.shares_percent.items()}
    assert kept["settings_sha256"] == view.settings_sha256 == view.events[0].data["settings_sha256"]
    assert view.score == before.score, "it reads as it was signed"
    assert desk.open_again().view.sign_off == view.sign_off


def test_only_fields_that_count_are_annotated_fields(desk):
    session = desk.read()
    session.accept(replace(desk.analysed.frame, index=1))
    session.remove(1)
    session.enter_reader_score(ReaderScore(None, "too little"))
    session.finish()
    assert session.sign(NAME, PIN, True).sign_off.signatures[-1].fields == (2,)


@pytest.mark.parametrize(("name", "pin", "kept"), [(NAME, "wren-418", NAME), (PIN, NAME, ""), (" ", PIN, "")])
def test_a_wrong_pin_signs_nothing_and_is_kept_without_it(desk, name, pin, kept):
    session = desk.finished()
    before = session.view
    with pytest.raises(SigningError):
        session.sign(name, pin, True)
    assert session.view.sign_off == before.sign_off and session.view.score == before.score
    refused = desk.stored()[-1]
    assert (refused.kind, refused.data) == (EventKind.SIGNING_REFUSED, {"name": kept})
    assert not any(word in str(event) for event in desk.stored() for word in (PIN, "wren-418"))
    session.sign(NAME, PIN, True)


def test_what_is_missing_for_a_signature_is_said_before_the_pin_is_asked(desk):
    session = desk.read()
    with pytest.raises(CaseRuleError, match="still being read.*finish its reading first"):
        session.sign(NAME, "wrong", True)
    session.undo()
    session.finish()
    with pytest.raises(CaseRuleError, match="no score of your own: reopen it"):
        session.sign(NAME, "wrong", True)
    session.reopen("own score")
    session.enter_reader_score(ReaderScore(None, "crushed"))
    session.finish()
    with pytest.raises(CaseRuleError, match="looked at the annotated fields"):
        session.sign(NAME, "wrong", False)
    assert not any(event.kind is EventKind.SIGNING_REFUSED for event in session.view.events)
    assert session.sign(NAME, PIN, True).events[-1].data["own_score"] is None


def test_only_what_the_signer_was_shown_is_signed(desk):
    session = desk.finished()
    seen = session.view
    session.reopen("another look")
    session.remove(1)
    session.enter_reader_score(ReaderScore(None, "nothing left"))
    session.finish()
    for sign in (session.sign, session.enrol_and_sign):
        with pytest.raises(CaseRuleError, match="not as it was shown for the signature: look at it again"):
            sign(NAME, PIN, True, seen)
    assert desk.signers.names() == (NAME,)
    seen = session.view
    with pytest.raises(SigningError):
        session.sign(NAME, "wren-418", True, seen)
    session = desk.open_again()
    assert session.sign(NAME, PIN, True, seen).sign_off.status is CaseStatus.SIGNED, "nothing changed but the tries"


def test_a_case_is_not_signed_for_another_one_that_was_shown(desk):
    session = desk.finished()
    with pytest.raises(CaseRuleError, match="not as it was shown"):
        session.sign(NAME, PIN, True, replace(session.view, case_id="case-2"))


def test_a_difference_that_another_program_makes_needs_its_sentence_before_the_signature(desk, monkeypatch):
    desk.read(own=desk.session.view.score.score or "2+", remark="")
    session = desk.session
    computed = session.view.score.score
    session.enter_reader_score(ReaderScore(computed, ""))
    session.finish()
    other = replace(session.view.score, score="3+" if computed != "3+" else "2+")
    monkeypatch.setattr(session, "_view", (len(session.view.events), replace(session.view, score=other)))
    with pytest.raises(CaseRuleError, match="differs from the reference score .* Reopen the case"):
        session.sign(NAME, PIN, True)


def test_whoever_signs_first_is_enrolled_only_with_a_case_that_can_be_signed(desk):
    session = desk.read()
    with pytest.raises(CaseRuleError, match="finish its reading"):
        session.enrol_and_sign("Dr New", "heron-22", True)
    assert desk.signers.names() == (NAME,)
    session.finish()
    with pytest.raises(SigningError, match="enrolled already"):
        session.enrol_and_sign(NAME, "another-1", True)
    assert session.enrol_and_sign("Dr New", "heron-22", True).sign_off.signatures[-1].name == "Dr New"
    assert desk.signers.pins == {NAME: PIN, "Dr New": "heron-22"}


def test_a_case_that_was_changed_by_another_hand_is_neither_signed_nor_amended(desk, monkeypatch):
    session = desk.finished()
    assert session.doubt() == ""
    monkeypatch.setattr(MemoryCaseFile, "doubt", lambda self: "it had 9 events on Monday, and has 3 now")
    with pytest.raises(
        CaseRuleError, match=r"changed by another hand: it had 9 events .* session verify.* cannot be signed"
    ):
        session.sign(NAME, PIN, True)
    monkeypatch.undo()
    session.sign(NAME, PIN, True)
    monkeypatch.setattr(MemoryCaseFile, "doubt", lambda self: "it had 9 events on Monday, and has 3 now")
    with pytest.raises(CaseRuleError, match="cannot be amended"):
        session.amend(NAME, PIN, "the ISH result came in")
    assert session.view.sign_off.status is CaseStatus.SIGNED


def test_a_demonstration_is_signed_by_nobody(store, analyser, clock):
    session = CaseSession(store.create("demo"), analyser, clock, "reader")
    session.enter_reader_score(ReaderScore(None, "nothing read"))
    session.finish()
    with pytest.raises(CaseRuleError, match="nobody signs it"):
        session.enrol_and_sign(NAME, PIN, True)


# ---- a frozen case --------------------------------------------------------------------------------------------------

SQUARE = ((0.0, 0.0), (50.0, 0.0), (50.0, 50.0))
CHANGES: dict[str, Callable[[CaseSession, Frame], object]] = {
    "read_control": lambda case, frame: case.read_control(frame, "3+", ""),
    "override_control": lambda case, _: case.override_control("because"),
    "accept": lambda case, frame: case.accept(frame),
    "remove": lambda case, _: case.remove(1),
    "restore": lambda case, _: case.restore(1),
    "annotate": lambda case, _: case.annotate(1, "late"),
    "correct_cells": lambda case, _: case.correct_cells(1, [0], Correction.EXCLUDED),
    "draw_region": lambda case, _: case.draw_region(RegionDraft(RegionKind.EXCLUDE, 0, SQUARE)),
    "remove_region": lambda case, _: case.remove_region(1),
    "change_rule": lambda case, _: case.change_rule(RuleChange(complete_share=0.5)),
    "preview": lambda case, _: case.preview(RuleChange(complete_share=0.5)),
    "enter_case_data": lambda case, _: case.enter_case_data(CaseData(slide="7")),
    "undo": lambda case, _: case.undo(),
    "redo": lambda case, _: case.redo(),
    "enter_reader_score": lambda case, _: case.enter_reader_score(ReaderScore("3+", "after all")),
    "enter_ish": lambda case, _: case.enter_ish(Ish.NEGATIVE),
    "finish": lambda case, _: case.finish(),
}
SIGN_OFF = {"reopen", "sign", "enrol_and_sign", "amend"}
NO_CHANGE = {"in_force", "close", "seal", "doubt", "join_islands"}
"""`join_islands` gives False instead: nobody asked for what it does."""


def test_every_method_of_a_session_is_tried_on_a_frozen_case():
    public = {name for name, item in vars(CaseSession).items() if callable(item) and not name.startswith("_")}
    assert public == CHANGES.keys() | SIGN_OFF | NO_CHANGE


@pytest.fixture(scope="module")
def in_review(analyser, analysed) -> Desk:
    desk = Desk(MemoryCaseStore(), analyser, HeldClock(), analysed)
    desk.finished()
    return desk


@pytest.fixture(scope="module")
def signed(analyser, analysed) -> Desk:
    desk = Desk(MemoryCaseStore(), analyser, HeldClock(), analysed)
    desk.signed()
    return desk


@pytest.mark.parametrize("name", CHANGES)
def test_a_signed_case_takes_no_change(signed, name, frames):
    session, before = signed.session, signed.stored()
    with pytest.raises(CaseRuleError, match=r"signed by Dr Ada Example \(version 1\): amend it"):
        CHANGES[name](session, frames["3+"])
    assert signed.stored() == before and session.view.sign_off.status is CaseStatus.SIGNED


@pytest.mark.parametrize("name", CHANGES)
def test_a_case_in_review_takes_no_change(in_review, name, frames):
    session, before = in_review.session, in_review.stored()
    with pytest.raises(CaseRuleError, match="in review: reopen it"):
        CHANGES[name](session, frames["3+"])
    assert in_review.stored() == before


@pytest.mark.parametrize("name", [*CHANGES, *sorted(SIGN_OFF)])
def test_a_case_that_is_only_looked_at_takes_no_change(in_review, name, frames, clock):
    desk, reading = in_review, in_review.store.read("case-1")
    looking = CaseSession(reading, desk.analyser, clock, "reader", signers=desk.signers, resume=False)
    signing = {
        "reopen": lambda: looking.reopen("why"),
        "sign": lambda: looking.sign(NAME, PIN, True),
        "enrol_and_sign": lambda: looking.enrol_and_sign("Dr New", "heron-22", True),
        "amend": lambda: looking.amend(NAME, PIN, "why"),
    }
    before = desk.stored()
    with pytest.raises(CaseRuleError, match="only looked at here"):
        signing[name]() if name in signing else CHANGES[name](looking, frames["3+"])
    assert desk.stored() == before and desk.signers.names() == (NAME,)


def test_islands_of_a_frozen_case_are_not_joined(desk):
    session = desk.signed()
    assert session.join_islands(IslandJoin(-1, 0, 1.0, 1.0)) is False
    assert session.view.events[-1].kind is EventKind.SIGNED


def test_a_signed_case_is_neither_reopened_nor_signed_again(desk):
    session = desk.signed()
    for change in (lambda: session.reopen("why"), lambda: session.sign(NAME, PIN, True)):
        with pytest.raises(CaseRuleError, match="amend it"):
            change()


# ---- reopening and amending -----------------------------------------------------------------------------------------


def test_a_case_in_review_is_reopened_for_a_reason_and_goes_on(desk):
    session = desk.finished()
    with pytest.raises(CaseRuleError, match="written reason"):
        session.reopen("  ")
    session.reopen(" a field was forgotten ")
    view = session.view
    assert view.sign_off.status is CaseStatus.OPEN and view.finished_utc is None
    assert view.events[-1].data == {"reason": "a field was forgotten"} and view.undo_text == "enter own score"
    session.remove(1)
    session.undo()
    session.finish()
    with pytest.raises(CaseRuleError, match="only a signed case is amended|in review"):
        session.amend(NAME, PIN, "why")


def test_an_amendment_is_a_new_version_and_keeps_what_was_signed(desk):
    session = desk.signed()
    first = session.view
    with pytest.raises(CaseRuleError, match="written reason"):
        session.amend(NAME, PIN, "")
    with pytest.raises(SigningError):
        session.amend(NAME, "wrong", "ISH came")
    session.amend(NAME, PIN, "ISH came")
    amended = session.view
    assert (amended.sign_off.status, amended.sign_off.version) == (CaseStatus.OPEN, 2)
    assert amended.sign_off.reason == "ISH came" and amended.sign_off.signatures == first.sign_off.signatures
    assert amended.events[-1].data["amends_event"] == first.sign_off.signatures[0].event
    assert amended.undo_text == "", "what was signed cannot be undone"
    with pytest.raises(CaseRuleError, match="nothing to undo"):
        session.undo()
    session.enter_ish(Ish.NEGATIVE)
    session.finish()
    second = session.sign(NAME, PIN, True)
    assert second.sign_off.status is CaseStatus.AMENDED
    assert second.score.category == "low" and first.score.category == "equivocal"

    for version, signed in ((1, first), (2, second)):
        reading = as_signed(desk.store.read("case-1"), version)
        view = CaseSession(reading, desk.analyser, desk.clock, "x", resume=False).view
        assert view.score == signed.score and view.head == signed.head and view.sign_off == signed.sign_off
        assert view.fields[0].counts == signed.fields[0].counts
        reading.close()


def test_a_slide_that_is_open_elsewhere_by_now_is_not_opened_twice(desk, clock):
    desk.session.enter_case_data(CaseData(accession="S1", slide="7"))
    others = {CaseData(accession="S1", slide="7").slide_id: "case-2"}
    desk.finished().close()
    session = CaseSession(desk.store.open("case-1"), desk.analyser, clock, "reader", None, others.get, desk.signers)
    with pytest.raises(CaseRuleError, match="open in case case-2 already"):
        session.reopen("why")
    session.sign(NAME, PIN, True)
    with pytest.raises(CaseRuleError, match="open in case case-2 already"):
        session.amend(NAME, PIN, "why")
    others.clear()
    session.amend(NAME, PIN, "why")


@pytest.mark.parametrize("version", [0, 2])
def test_a_version_that_nobody_signed_is_a_clear_error(desk, version):
    desk.signed()
    with pytest.raises(CaseRuleError, match=f"no signed version {version}: version 1 was signed"):
        as_signed(desk.store.read("case-1"), version)


def test_a_version_of_a_chain_that_does_not_hold_is_a_clear_error(desk):
    desk.signed()

    class OtherHead:
        """A reading whose events do not lead to its head."""

        def __init__(self, reading) -> None:
            self.reading = reading

        def head(self) -> ChainHead:
            return ChainHead(self.reading.head().n_events, "0" * 64)

        def __getattr__(self, name: str) -> object:
            return getattr(self.reading, name)

    with pytest.raises(CaseDamagedError, match="do not lead to the end"):
        as_signed(OtherHead(desk.store.read("case-1")), 1)


def test_a_signed_case_that_reads_otherwise_by_now_says_so_and_is_not_reported(desk):
    """Another program version: what was signed holds, and no other figure passes for it."""
    session = desk.signed()
    events = list(desk.stored())
    altered = {**events[-1].data, "score": "1+", "program": {**events[-1].data["program"], "version": "0.0.1"}}
    events[-1] = replace(events[-1], data=altered)
    other = desk.store.create("case-2")
    images = [session.view.fields[0].result.frame.rgb, session.view.fields[0].result.membrane]
    profiles = desk.store.read("case-1").image(events[1].data["result"]["profiles"])
    for event in events:
        other.append(event, [*images, profiles])
    score = CaseSession(other, desk.analyser, desk.clock, "x").view.score
    assert not score.reportable and score.reasons[0] == score.blocking[0]
    assert "reads the signed case as 2+" in score.reasons[0] and "signed was 1+" in score.reasons[0]
    assert "with her2scope 0.0.1: what was signed holds" in score.reasons[0]


# ---- what a case tells of itself ------------------------------------------------------------------------------------


def test_every_run_of_the_program_tells_its_versions_and_digests(desk, analyser):
    desk.finished()
    frozen = desk.open_again()
    assert frozen.view.events[-1].kind is EventKind.FINISHED, "to look at a case in review writes nothing"
    frozen.reopen("one more field")
    opened, resumed, reopened = desk.stored()[0], *desk.stored()[-2:]
    assert (resumed.kind, reopened.kind) == (EventKind.RESUMED, EventKind.REOPENED)
    assert opened.data["guideline"] == analyser.guideline.name
    assert opened.data["environment"].keys() == {"python", "numpy", "opencv", "onnxruntime", "system"}
    same = opened.data.keys() - {"settings", "calibration"}
    assert resumed.data == {name: opened.data[name] for name in same}
    assert all(len(opened.data[name]) == 64 for name in ("settings_sha256", "calibration_sha256"))


def test_every_event_has_a_monotonic_time(desk):
    times = [event.monotonic_us for event in desk.signed().view.events]
    assert all(isinstance(time, int) for time in times) and times == sorted(times)
    assert times[-1] == round(1e6 * desk.clock.now_s)


def test_the_view_tells_where_the_chain_ends(desk):
    session = desk.read()
    assert session.view.head == desk.store.read("case-1").head()
    assert session.view.head.n_events == len(session.view.events)
    seen = []
    session.accept(replace(desk.analysed.frame, index=1), show=seen.append)
    assert seen[0].head.n_events == len(seen[0].events) - 1, "while the event is being written"
    assert session.view.head.n_events == len(session.view.events)


def test_a_disk_that_does_not_tell_the_head_loses_no_event(desk):
    class Silent:
        """A case file that writes, and then cannot be read for a while."""

        def __init__(self, file: CaseFile) -> None:
            self.file, self.case_id, self.silent = file, file.case_id, True

        def head(self) -> ChainHead:
            if self.silent:
                raise StoreError("not now.")
            return self.file.head()

        def __getattr__(self, name: str) -> object:
            return getattr(self.file, name)

    desk.session.close()
    file = Silent(desk.store.open("case-1"))
    session = CaseSession(file, desk.analyser, desk.clock, "reader")
    session.enter_case_data(CaseData(slide="7"))
    assert session.view.data.slide == "7" and session.view.head.n_events == 0
    file.silent = False
    assert session.view.head == desk.store.read("case-1").head()


def test_a_clock_that_is_set_back_is_said_once_and_reorders_nothing(desk, clock):
    session = desk.read()
    assert session.clock_warning == ""
    before = session.view
    clock.now_s, earlier = 0.0, clock.now_s
    session.remove(1)
    said = session.clock_warning
    assert said.startswith("the computer's clock was set back by") and "not in order" in said
    session.restore(1)
    assert session.clock_warning == said
    assert session.view.score == before.score
    events = desk.stored()
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    assert desk.open_again().view.score == before.score
    assert earlier > 1.0
