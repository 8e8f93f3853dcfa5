"""The whole job on the phantom microscope: read the controls, move over the slide, accept fields, report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from her2scope.app.compose import (
    DEFAULT_METHOD,
    case_store,
    make_analyser,
    new_case_id,
    report_dir,
    user_name,
    write_case_report,
)
from her2scope.app.window_system import has_display
from her2scope.domain.errors import CaseRuleError, StoreError
from her2scope.domain.score import ControlStatus
from her2scope.phantom.microscope import OBJECTIVES, PhantomMicroscope
from her2scope.pipeline.clock import SystemClock
from her2scope.pipeline.session import CaseSession
from her2scope.records import CaseView, Frame
from her2scope.settings import Calibration, ScoringSettings

SIZE_WH = (1280, 720)
CONTROL_LEVELS = ("3+", "1+", "0")
FIELD_STEP_UM = 330.0
"""A little more than a field's width: neighbouring fields do not overlap."""
FIELDS_PER_ROW = 3
FRAME_TIMEOUT_S = 10.0
SETTLED_FRAMES = 3
MAX_TRIES_PER_FIELD = 6


@dataclass(frozen=True, slots=True)
class DemoRequest:
    """What `her2scope demo` was asked."""

    headless: bool
    out: Path | None
    score: str
    seed: int
    fields: int


def run_demo(request: DemoRequest) -> int:
    """Show the job in a window where there is a display, else do it headless."""
    if request.headless or not has_display():
        return run_headless(request)
    from her2scope.app.window import LiveRequest, run_live

    return run_live(LiveRequest(source=f"phantom:{request.score}?seed={request.seed}", demo=request))


def demo_calibration(microscope: PhantomMicroscope) -> Calibration:
    """The phantom microscope is a calibrated one: its response, white and stain vectors are known."""
    run = microscope.run
    return Calibration(
        name="phantom microscope",
        objectives=OBJECTIVES,
        response=run.optics.response,
        white_rgb=run.optics.white_rgb(),
        haematoxylin_vector=run.stain.haematoxylin_vector,
        dab_vector=run.stain.dab_vector,
    )


def run_headless(request: DemoRequest) -> int:
    """Do the job without a window; each accepted field is printed once it is safe on disk."""
    case_id = new_case_id()
    out_dir = request.out or report_dir(case_id)
    must_be_free(out_dir)
    microscope = PhantomMicroscope(seed=request.seed, size_wh=SIZE_WH, score=request.score, frame_rate=120.0)
    analyser = make_analyser(DEFAULT_METHOD, ScoringSettings(), demo_calibration(microscope))
    session = CaseSession(case_store().create(case_id), analyser, SystemClock(), user_name())
    microscope.open()
    try:
        _say(f"case {case_id} on the phantom microscope ({request.score}, seed {request.seed})")
        _read_controls(session, microscope)
        _accept_fields(session, microscope, request.fields)
        files = write_case_report(session.finish(), out_dir)
        _say_result(session.view, files)
    finally:
        microscope.close()
        session.close()
    return 0 if session.view.standing.status is not ControlStatus.INVALID else 1


def must_be_free(out_dir: Path) -> None:
    """A report never replaces another one."""
    if any((out_dir / f"report{suffix}").exists() for suffix in (".pdf", ".html", ".json")):
        raise StoreError(f"{out_dir} holds a report already. Give another folder with --out.")


def _read_controls(session: CaseSession, microscope: PhantomMicroscope) -> None:
    for level in CONTROL_LEVELS:
        microscope.go_to(f"control {level}")
        reading = session.read_control(_settled_frame(microscope), level, lot="phantom")
        reasons = f": {'; '.join(reading.verdict.reasons)}" if reading.verdict.reasons else ""
        _say(f"control {level}: {reading.verdict.status.value}{reasons}")


def _accept_fields(session: CaseSession, microscope: PhantomMicroscope, n_fields: int) -> None:
    """Walk over the tissue in rows; a place that cannot be scored is passed over and said."""
    microscope.go_to("tissue")
    accepted = 0
    for place in range(MAX_TRIES_PER_FIELD * n_fields):
        if accepted == n_fields:
            return
        try:
            item = session.accept(_settled_frame(microscope))
        except CaseRuleError as error:
            _say(str(error))
        else:
            accepted += 1
            _say(f"accepted field {item.number} of case {session.case_id}")
            _say(f"  {item.counts.n_tumour} tumour cells, {item.result.score or 'no score'}")
        microscope.move_by_um(*walk_um(place))


def walk_um(place: int) -> tuple[float, float]:
    """Move from place number `place` to the next: along rows, there and back, like a reader."""
    if place % FIELDS_PER_ROW == FIELDS_PER_ROW - 1:
        return 0.0, FIELD_STEP_UM * SIZE_WH[1] / SIZE_WH[0]
    return (FIELD_STEP_UM, 0.0) if (place // FIELDS_PER_ROW) % 2 == 0 else (-FIELD_STEP_UM, 0.0)


def _settled_frame(microscope: PhantomMicroscope) -> Frame:
    """A frame taken after the stage has come to rest."""
    same, last = 0, microscope.read(FRAME_TIMEOUT_S)
    while same < SETTLED_FRAMES:
        frame = microscope.read(FRAME_TIMEOUT_S)
        same = same + 1 if frame.stage_um == last.stage_um else 0
        last = frame
    return last


def _say_result(view: CaseView, files: Sequence[Path]) -> None:
    score = view.score
    name = f"reference score {score.score}" if score.score is not None else "no score"
    _say(f"{name}, {score.category.value}, {'reportable' if score.reportable else 'not reportable'}")
    for reason in score.reasons:
        _say(f"  - {reason}")
    for path in files:
        _say(f"report: {path}")


def _say(line: str) -> None:
    """Print at once: who watches the demo, or kills it, sees what is done."""
    print(line, flush=True)  # noqa: T201 - the demo speaks to whoever started it
