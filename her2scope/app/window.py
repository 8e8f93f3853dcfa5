"""The live program: source, case, engine and window joined, and taken apart again in order."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from PyQt6.QtWidgets import QApplication

from her2scope.app.arenas import few_arenas
from her2scope.app.calibrate import newest_calibration
from her2scope.app.calibration_steps import FrameCalibration
from her2scope.app.collector import few_collections
from her2scope.app.compose import (
    DEFAULT_METHOD,
    METHODS,
    case_store,
    new_case_id,
    open_case_of,
    open_session,
    read_calibration,
    read_controls,
    read_settings,
    report_dir,
    signers,
    user_name,
    with_material,
    write_case_report,
)
from her2scope.app.control_history import control_history
from her2scope.app.demo import DemoRequest, demo_calibration, must_be_free
from her2scope.app.desk import desk_for, instruments_for
from her2scope.app.qt_application import qt_application, take_down
from her2scope.app.set_up import SetupHelp, assumed_um_per_px, chosen_so_far, usual_controls
from her2scope.app.tour import DemoTour
from her2scope.app.where_to_count import asked_gate, where_words
from her2scope.app.window_system import has_display
from her2scope.cameras.registry import SourceOptions, open_source, tells_scale
from her2scope.domain.control_history import ControlEntry
from her2scope.domain.errors import BadInputError, CaseNotFoundError, NotAvailableError, SettingsError
from her2scope.phantom.microscope import PhantomMicroscope
from her2scope.pipeline.clock import SystemClock
from her2scope.pipeline.control import SAME_SCALE
from her2scope.pipeline.engine import LiveEngine
from her2scope.pipeline.live import Message, Severity
from her2scope.pipeline.region_gate import RegionGate
from her2scope.pipeline.session import CaseSession, next_island
from her2scope.ports import CameraSource, CaseFile, CaseStore, CaseSummary, ControlHistory, Signers
from her2scope.records import CaseView
from her2scope.settings import (
    Calibration,
    Preferences,
    ScoringSettings,
    check_for_use,
    expired,
    home_dir,
    load_preferences,
    missing_parts,
    save_yaml,
)
from her2scope.ui.bridge import LiveBridge
from her2scope.ui.calibration_steps import CalibrationSetup
from her2scope.ui.dialogs import ExceptionCatcher, ask_resume
from her2scope.ui.eyepiece import stored_setup
from her2scope.ui.first_start import FirstStart
from her2scope.ui.first_start_steps import kept_choice
from her2scope.ui.theme import apply_theme

LOG = logging.getLogger(__name__)
PHANTOM = "phantom:"
DEMO_SIZE_WH = (1280, 720)
NO_CAMERA = (
    "no camera is set up: this is the virtual microscope, no patient's slide. Slide, Set up (Ctrl+Shift+M) finds yours."
)


@dataclass(frozen=True, slots=True)
class LiveRequest:
    """What the live window was asked."""

    source: str = ""
    """URI; empty: the one that was set up, and at the first start the set-up asks for it."""
    calibration: Path | None = None
    objective: str | None = None
    um_per_px: float | None = None
    settings: Path | None = None
    controls: Path | None = None
    material: str | None = None
    method: str | None = None
    region_model: Path | None = None
    """Folder of the model that says where to count; None: everywhere."""
    count_in: Sequence[str] = ()
    """Its classes in which cells count."""
    case_id: str | None = None
    size_wh: tuple[int, int] | None = None
    demo: DemoRequest | None = None
    instruments: Path | None = None
    """None: this user's own, beside a camera."""
    usual_objective: str | None = None
    """The one that was set up, where none was asked for; it need not be calibrated."""


def run_live(request: LiveRequest, today: date | None = None) -> int:
    """Open the window and stay until the reader closes it; `today` decides how old a calibration is."""
    few_arenas()
    today = today or date.today()
    if not has_display() and not QApplication.instance():
        raise BadInputError("there is no display to open a window on. Start it on a desktop; commands work without.")
    if request.demo is not None and request.demo.out is not None:
        must_be_free(request.demo.out)
    if request.method is not None and request.method not in METHODS:
        raise NotAvailableError("method", request.method, sorted(METHODS))
    app = _application()
    preferences, repairs = load_preferences(_preferences_path())
    asked_source = request.source
    _check_files(request)
    request, preferences, chosen_words = _with_choice(request, preferences, today)
    request = replace(request, controls=_controls_of(request))
    settings = with_material(read_settings(request.settings), request.controls, request.material)
    settings, gate = asked_gate(request.region_model, request.count_in, settings)
    calibration, told = calibration_for(request, today)
    desk_settings = instruments_for(request.source, request.instruments)
    senses = desk_settings.nosepiece is not None
    source, notes = _open_source(request, calibration, is_usual=not asked_source, senses_objective=senses)
    setup = calibration_setup(calibration, today)
    if isinstance(source, PhantomMicroscope) and request.calibration is None:
        calibration = demo_calibration(source)
        setup = CalibrationSetup(FrameCalibration(), calibration)  # it is what it is: neither old nor incomplete
    catcher = ExceptionCatcher(lambda message: bridge.on_message(message))
    bridge = LiveBridge()
    instruments, desk = desk_for(desk_settings, bridge.on_button)
    eyepiece, eyepiece_words = stored_setup()
    is_drawn = request.demo is not None or _is_phantom(request)
    history = control_history() if not is_drawn else None  # what is drawn is no run of the laboratory
    who = preferences.reader or user_name()
    may_sign = signers() if request.demo is None else None  # nor is it signed
    method = request.method or DEFAULT_METHOD
    cases = _Cases(method, settings, calibration, who, history, may_sign, bridge.on_message, gate)
    case_id, island = cases.choose(request)
    engine = LiveEngine(
        source, cases.next, bridge, _report_writer(request, case_id), SystemClock(), first_island=island,
        open_stored=cases.stored, desk=instruments, objectives=calibration.objectives,
    )  # fmt: skip
    warnings = (*notes, *repairs, *eyepiece_words, *chosen_words)
    for message in (*told, *(Message(Severity.WARNING, text) for text in warnings)):
        bridge.on_message(message)
    window = None
    catcher.install()
    try:
        engine.start()  # the camera opens and the network is loaded while the window is being built
        from her2scope.ui.main_window import MainWindow  # here, not above: a fifth of a second is gained

        window = MainWindow(
            engine,
            bridge,
            source,
            preferences,
            save_preferences=lambda chosen: save_yaml(chosen, _preferences_path()),
            max_speed_um_per_s=settings.quality.max_speed_um_per_s,
            calibration=setup,
            material=read_controls(request.controls).named(request.material),
            read_history=_read_history,
            signer_names=may_sign.names if may_sign is not None else _nobody,
            stored_cases=cases.summaries,
            eyepiece=eyepiece,
            desk=desk,
            set_up=_set_up_help(preferences, calibration, request) if request.demo is None else None,
        )
        tour = DemoTour(engine, bridge, source, request.demo.fields) if request.demo is not None else None
        window.show()
        instruments.start()  # not before: a button that is pressed while there is no picture to be seen means none
        window.eyepiece.open_as_before()
        if tour is not None:
            tour.start(window)
        with few_collections():
            app.exec()
    finally:
        bridge.close()
        engine.stop()  # before the instruments: a field that was just accepted waits for the nosepiece's word
        instruments.stop()
        cases.close()
        if window is not None:
            take_down(window)
        catcher.uninstall()
    return 0


# ---- what is opened ------------------------------------------------------------------------------------------------


def _check_files(request: LiveRequest) -> None:
    """Refuse a file that was named and cannot be used before anything is asked: the answer would be in vain."""
    read_calibration(request.calibration)
    read_settings(request.settings)
    if request.controls is not None:
        with_material(ScoringSettings(), request.controls, request.material)
    if request.instruments is not None:
        instruments_for("", request.instruments)


def _with_choice(
    request: LiveRequest, preferences: Preferences, today: date
) -> tuple[LiveRequest, Preferences, tuple[str, ...]]:
    """The request with the source and objective that were set up, where it names none; and what must be said.

    At the very first start they are asked for. A demonstration, and a start that names its source or case, does not.
    """
    if request.source:
        return request, preferences, ()
    words: tuple[str, ...] = ()
    source, objective = preferences.source, preferences.objective
    if not _preferences_path().exists() and request.case_id is None:
        help_ = _set_up_help(preferences, calibration_for(replace(request, source="camera:"), today)[0], None)
        dialog = FirstStart(help_)
        chosen = dialog.choice if dialog.exec() else help_.old
        words = ("nothing is set up yet: Slide, Set up (Ctrl+Shift+M).",) if chosen == help_.old else ()
        preferences, told = kept_choice(preferences, chosen)
        save_yaml(preferences, _preferences_path())
        source, objective = chosen.source, chosen.objective
        words = (told,) if told else words
    if not source and not words:
        words = (NO_CAMERA,)
    usual = objective if source and request.objective is None and request.um_per_px is None else ""
    return replace(request, source=source or PHANTOM, usual_objective=usual or None), preferences, words


def _set_up_help(preferences: Preferences, calibration: Calibration, request: LiveRequest | None) -> SetupHelp:
    """What the set-up may ask; `request`: what is open already."""
    return SetupHelp(chosen_so_far(preferences, calibration), request.source if request is not None else "")


def _controls_of(request: LiveRequest) -> Path | None:
    """The controls that were asked for, else this user's own; a phantom has its own slide."""
    return request.controls if _is_phantom(request) else usual_controls(request.controls)


def calibration_for(request: LiveRequest, today: date) -> tuple[Calibration, tuple[Message, ...]]:
    """The calibration that was asked for, else the newest saved one, else none; and what must be said of it.

    A saved one that cannot be used is said and left: nobody named it. One that was asked for is refused.
    """
    if request.calibration is not None:
        return read_calibration(request.calibration), ()
    newest = None if _is_phantom(request) else newest_calibration()
    if newest is None:
        return Calibration(), ()
    try:
        calibration = read_calibration(newest)
        check_for_use(calibration, today)
    except SettingsError as error:
        text = f"the newest saved calibration cannot be used: {error} Reading goes on without a calibration."
        return Calibration(), (Message(Severity.ERROR, text),)
    return calibration, (Message(Severity.INFO, f"{_named(calibration)}, the newest saved one: {newest}"),)


def _named(calibration: Calibration) -> str:
    return f"calibration {calibration.name} of {calibration.date or 'an unknown date'}"


def calibration_setup(calibration: Calibration, today: date) -> CalibrationSetup:
    """The wizard's, with what must be said of the calibration in force."""
    return CalibrationSetup(FrameCalibration(), calibration, expired(calibration, today), missing_parts(calibration))


def _is_phantom(request: LiveRequest) -> bool:
    return (request.source or PHANTOM).partition(":")[0].lower() == "phantom"


def _read_history() -> tuple[tuple[ControlEntry, ...], tuple[str, ...]]:
    history = control_history()
    return history.entries(), history.problems


def _nobody() -> tuple[str, ...]:
    return ()


class _Cases:
    """Which case the window starts with, and the next ones. Chosen by the window's thread, opened by the case's."""

    def __init__(
        self,
        method: str,
        settings: ScoringSettings,
        calibration: Calibration,
        who: str,
        history: ControlHistory | None,
        may_sign: Signers | None,
        say: Callable[[Message], None],
        gate: RegionGate | None = None,
    ) -> None:
        self._how, self._may_sign, self._gate = (method, settings, calibration, who, history), may_sign, gate
        self._calibration, self._say = calibration, say
        self._store: CaseStore = case_store()
        self._chosen: CaseFile | None = None

    def choose(self, request: LiveRequest) -> tuple[str, int]:
        """The case that was asked for, an unfinished one that the reader resumes, or a new one: `next` opens it.

        Gives its id, and the first island of the map that it does not know.
        """
        self._chosen = self._first(request)
        try:
            return self._chosen.case_id, next_island(self._chosen.events())
        except BaseException:
            self.close()
            raise

    def next(self) -> CaseSession:
        """The chosen case, and from then on new ones, with the method loaded."""
        file, self._chosen = self._chosen, None
        return self._session(file or self._store.create(new_case_id()))

    def stored(self, case_id: str) -> CaseSession:
        """A stored case, with the method loaded; CaseNotFoundError, CaseLockedError, CaseDamagedError."""
        return self._session(self._store.open(case_id))

    def summaries(self) -> tuple[CaseSummary, ...]:
        """All stored cases, newest first."""
        return self._store.cases()

    def close(self) -> None:
        """Let go of a chosen case that nobody came to open."""
        if self._chosen is not None:
            self._chosen.close()

    def _first(self, request: LiveRequest) -> CaseFile:
        if request.case_id is not None:
            return self._open_or_create(request.case_id)
        if request.demo is None:
            unfinished = [item for item in self._store.cases() if not item.finished and not item.locked]
            left = next((item for item in unfinished if item.n_fields > 0 and item.problem is None), None)
            if left is not None and ask_resume(left):
                return self._store.open(left.case_id)
        return self._store.create(new_case_id())

    def _open_or_create(self, case_id: str) -> CaseFile:
        try:
            return self._store.open(case_id)
        except CaseNotFoundError:
            return self._store.create(case_id)

    def _session(self, file: CaseFile) -> CaseSession:
        def other_case_of(slide_id: str) -> str | None:
            return open_case_of(slide_id, self._store, file.case_id)

        session = open_session(file, *self._how, other_case_of, self._may_sign, self._gate)
        kept = session.analyser.calibration
        if kept != self._calibration:
            self._say(Message(Severity.INFO, f"this case goes on as it was opened, with {_named(kept)}"))
        own = session.analyser.settings.where_to_count
        if own != (self._gate.where if self._gate is not None else None):
            where = f"counting where {where_words(own)} says" if own is not None else "counting everywhere"
            self._say(Message(Severity.WARNING, f"this case goes on as it was opened, {where}"))
        return session


def _open_source(
    request: LiveRequest, calibration: Calibration, *, is_usual: bool = False, senses_objective: bool = False
) -> tuple[CameraSource, list[str]]:
    """The source, and what must be said about how it was opened.

    Parameters
    ----------
    is_usual : nobody named it at this start
    senses_objective : a sensor tells the objective, and with it the scale; until then nothing is read
    """
    is_phantom = _is_phantom(request)
    usual = None if is_phantom else request.usual_objective
    is_known = request.um_per_px is not None or request.objective is not None or usual in calibration.objectives
    assumed = not is_phantom and not is_known
    um_per_px = assumed_um_per_px(usual)
    options = SourceOptions(
        calibration=calibration,
        objective=request.objective or usual,
        um_per_px=um_per_px if assumed else request.um_per_px,
        scale_assumed=assumed,
        size_wh=request.size_wh or (DEMO_SIZE_WH if is_phantom else None),
        may_come_later=is_usual,
    )
    notes = []
    if assumed and not tells_scale(request.source) and not (senses_objective and usual is None):
        notes.append(
            f"pixel size assumed: {um_per_px:.3g} um/px ({usual or '40x'}). Calibrate the objective "
            "(Ctrl+M), or start with --um-per-px, or --objective and --calibration, for a score that can be reported."
        )
    notes += _own_scale(request, calibration)
    try:
        return open_source(request.source, options), notes
    except BadInputError as error:
        if not is_usual:
            raise
        where = "Name another one with --source, and choose it in the set-up (Ctrl+Shift+M)"
        raise BadInputError(f"the source that was set up cannot be opened: {error} {where}.") from error


def _own_scale(request: LiveRequest, calibration: Calibration) -> Iterator[str]:
    """Says that a pixel size given by hand is not the one that its objective was calibrated with."""
    given, known = request.um_per_px, calibration.objectives.get(request.objective or "")
    if given is not None and known is not None and abs(given / known - 1) > SAME_SCALE:
        yield (
            f"{given:.4g} um/px was given for {request.objective} and holds; it is calibrated with {known:.4g} um/px. "
            "Leave --um-per-px out, or calibrate again."
        )


def _report_writer(request: LiveRequest, first_case_id: str) -> Callable[[CaseView], Sequence[Path]]:
    """Writes a case's report where it was asked for; only the first case may go to the demo's own folder."""

    def write(view: CaseView) -> Sequence[Path]:
        asked = request.demo.out if request.demo is not None and view.case_id == first_case_id else None
        return write_case_report(view, asked or report_dir(view.case_id, view.sign_off.version))

    return write


def _application() -> QApplication:
    app = qt_application()
    app.setApplicationName("her2scope")
    apply_theme(app)
    return app


def _preferences_path() -> Path:
    return home_dir() / "preferences.yaml"
