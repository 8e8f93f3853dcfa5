"""Which case the window starts with, and which it opens later."""

from __future__ import annotations

import pytest

from her2scope.app import window
from her2scope.app.compose import case_store, open_session, signers
from her2scope.app.demo import DemoRequest
from her2scope.app.window import LiveRequest, _Cases
from her2scope.domain.errors import CaseNotFoundError, CaseRuleError
from her2scope.phantom.field import PhantomSpec, render_field
from her2scope.pipeline.live import Message
from her2scope.pipeline.session import CaseSession
from her2scope.ports import CaseSummary, Signers
from her2scope.records import Frame, ReaderScore
from her2scope.segmentation.methods import CLOSED_CONTOURS
from her2scope.settings import Calibration, ScoringSettings


@pytest.fixture(scope="module")
def frame() -> Frame:
    return Frame(render_field(PhantomSpec("0", 21, 0, size_wh=(240, 180), difficulty="easy")).rgb, 0, 0.0, 0.25)


def stored(case_id: str, frame: Frame) -> CaseSession:
    """A new case with a field and the reader's own score."""
    file = case_store().create(case_id)
    session = open_session(file, CLOSED_CONTOURS, ScoringSettings(), Calibration(), "reader")
    session.accept(frame, keep_unusable=True)
    session.enter_reader_score(ReaderScore(None, "too few cells"))
    return session


def cases(may_sign: Signers | None = None) -> tuple[_Cases, list[Message]]:
    said: list[Message] = []
    made = _Cases(CLOSED_CONTOURS, ScoringSettings(), Calibration(), "reader", None, may_sign, said.append)
    return made, said


def test_only_a_case_that_is_being_read_is_offered_at_the_start(frame, monkeypatch):
    session = stored("read", frame)
    session.close()
    for case_id in ("in-review", "signed"):
        session = stored(case_id, frame)
        session.finish()
        session.close()
    signers().enrol("Dr A", "wren-417")
    chosen, _ = cases(signers())
    case = chosen.stored("signed")
    case.sign("Dr A", "wren-417", True)
    case.close()
    asked: list[CaseSummary] = []
    monkeypatch.setattr(window, "ask_resume", lambda found: asked.append(found) or True)
    assert chosen.choose(LiveRequest())[0] == "read"
    chosen.close()
    assert [item.case_id for item in asked] == ["read"]
    assert {item.case_id for item in chosen.summaries()} == {"read", "in-review", "signed"}


def test_a_stored_case_is_opened_with_who_may_sign_it(frame):
    stored("case-1", frame).close()
    opened, said = cases(signers())
    case = opened.stored("case-1")
    case.finish()
    case.enrol_and_sign("Dr A", "wren-417", True)
    case.close()
    assert case_store().cases()[0].signed_by == "Dr A" and said == []
    with pytest.raises(CaseNotFoundError):
        opened.stored("none")


def test_the_demonstration_is_signed_by_nobody(frame):
    stored("case-1", frame).close()
    opened, _ = cases()
    case = opened.stored("case-1")
    case.finish()
    with pytest.raises(CaseRuleError, match="nobody signs it"):
        case.enrol_and_sign("Dr A", "wren-417", True)
    case.close()
    assert signers().names() == ()
    chosen, _ = cases()
    demo = LiveRequest(demo=DemoRequest(False, None, "3+", 2, 2))
    assert chosen.choose(demo)[0] != "case-1", "it resumes nothing either"
    chosen.close()
