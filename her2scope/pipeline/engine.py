"""Threads around one case: the camera's and one that looks after it, the analyser's, and the one that owns the case."""

from __future__ import annotations

import logging
import math
import queue
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from statistics import median
from threading import Event, Thread

import numpy as np

from her2scope.domain.corrections import CaseData, Correction, RuleChange, RuleInForce
from her2scope.domain.errors import CaseRuleError, Her2ScopeError, SigningError
from her2scope.domain.guideline import Ish, Score
from her2scope.domain.regions import RegionDraft
from her2scope.domain.sign_off import CaseStatus
from her2scope.imaging.registration import Relief
from her2scope.pipeline.analyse import NO_PROVIDER
from her2scope.pipeline.desk import confirm_objective
from her2scope.pipeline.hand import place_after
from her2scope.pipeline.live import (
    LiveFigures,
    LiveListener,
    LiveResult,
    Message,
    Mode,
    Severity,
)
from her2scope.pipeline.live_analysis import LiveAnalysis
from her2scope.pipeline.live_camera import LiveCamera, rate
from her2scope.pipeline.mailbox import Latest
from her2scope.pipeline.region_gate import counted_everywhere
from her2scope.pipeline.session import CaseSession
from her2scope.pipeline.slide_map import SlideMap
from her2scope.pipeline.sweep import MIN_NEW_SHARE, check_can_sweep, new_share
from her2scope.ports import CameraSource, Clock, FrameDesk
from her2scope.records import AcceptedField, CaseView, FieldResult, Frame, MapPlace, ReaderScore, TrackedFrame

LOG = logging.getLogger(__name__)
STOP_TIMEOUT_S = 5.0
MAX_WAITING_COMMANDS = 32
FIGURES_EVERY_S = 1.0
FAULT_EVERY_S = 10.0
STILL_UM, SEEN_S = 0.5, 3.0
"""A frame taken so near to an analysed one, and so soon after it, may be the same view: an overlay is not shown longer
on any computer that keeps up."""
LEAST_ALIKE, MOST_SHARPER = 0.8, 1.15
"""Correlation of two reliefs of one view (0.83 with 1.25 um of blur, 0.93 with noise), and by how much one may have
more structure than the other: 1.33 is motion by 5 um, 2 a defocus of 2 um."""

_Read = tuple[TrackedFrame, FieldResult]
"""An analysed frame, and what came of it."""


class LiveEngine:
    """Runs a camera and a case side by side, and tells a listener; the `LiveCommands` of the window.

    Lock order: none; the threads share only mailboxes, the command queue and the newest frame.

    Parameters
    ----------
    open_case : opens the next case, and the first one where `first_case` is None; called by the case's thread, so that
        the picture is live while a network is loaded
    first_island : least number of an island that the first case does not know yet (`session.next_island`)
    open_stored : opens a stored case by its id, with its method loaded; StoreError where that cannot be
    desk : what senses stage and objective beside the camera
    objectives : um per px of the camera's picture by the objective's name, as calibrated; of use with a desk alone
    """

    def __init__(
        self,
        source: CameraSource,
        open_case: Callable[[], CaseSession],
        listener: LiveListener,
        write_report: Callable[[CaseView], Sequence[Path]],
        clock: Clock,
        first_case: CaseSession | None = None,
        first_island: int = 0,
        open_stored: Callable[[str], CaseSession] | None = None,
        desk: FrameDesk | None = None,
        objectives: Mapping[str, float] | None = None,
    ) -> None:
        self._listener = listener
        self._open_case, self._open_stored = open_case, open_stored
        self._write_report, self._clock, self._desk = write_report, clock, desk
        self._case = first_case
        self._wake = Event()
        """There is something to do for the case's thread."""
        self._analysis = LiveAnalysis(self._wake.set)
        self._commands: queue.Queue[tuple[int, Callable[[CaseSession], None]]] = queue.Queue(MAX_WAITING_COMMANDS)
        """What was asked for, each with the turn of the case that it is meant for."""
        self._turn = self._shown_turn = 0
        """How many cases were left before the present one, and before the one that the listener was told last."""
        self._analysed: _Read | None = None
        """The newest analysis of the present case, as measured: before what the reader moved."""
        self._previews: Latest[tuple[int, RuleChange]] = Latest()
        self._sweeps = False
        self._mode = Mode.READING
        self._map = SlideMap(first_case.next_island if first_case is not None else first_island)
        self._since_s = -math.inf
        """When the map was begun for the present case (monotonic): earlier frames were placed on another case's."""
        self._n_joins = 0
        """Of the map's, those that the case knows."""
        self._told_rule: RuleInForce | None = None
        self._told_clock = ""
        self._n_controls = 0
        """Of the case, as the listener was told it last: a control may give its fields other lists of cells."""
        self._camera = LiveCamera(
            source,
            self._map,
            listener,
            clock,
            self._take_frame,
            self._tell_figures,
            desk=desk,
            objectives=objectives,
        )
        self._stop = Event()
        self._analysed_ticks: deque[float] = deque(maxlen=120)
        self._latencies_ms: deque[float] = deque(maxlen=30)
        self._took_ms: deque[float] = deque(maxlen=30)
        self._provider, self._provider_note = "-", ""
        self._figures_due_s = 0.0
        self._fault_due_s = 0.0
        self._ended = Event()
        self._threads = (
            # daemon: a driver that blocks in open must not keep the program alive; the case is not the camera's
            Thread(target=self._camera.run, args=(self._stop,), name="her2scope camera", daemon=True),
            Thread(target=self._camera.look_after, args=(self._stop,), name="her2scope camera watch"),
            Thread(target=self._run_analysis, name="her2scope analyser"),
            Thread(target=self._run_case, name="her2scope case"),
        )

    def start(self) -> None:
        """Start all threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop and wait for all threads; the case is closed, not finished, and can be resumed."""
        self._stop.set()
        self._analysis.end()
        self._camera.reconnect()
        self._wake.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(STOP_TIMEOUT_S)
                if thread.is_alive():
                    LOG.error("%s did not stop within %.0f s", thread.name, STOP_TIMEOUT_S)

    # ---- LiveCommands ---------------------------------------------------------------------------------------------

    def set_mode(self, mode: Mode) -> None:
        """Look at the control or at the case's tissue; from the first control on the camera keeps its settings."""
        self._mode = mode
        if mode is Mode.CONTROL:
            self._camera.hold()  # what is read by one setting is comparable only with what is read by the same

    def read_control(self, expected: Score, lot: str, run: str = "") -> None:
        """Read the newest frame as a control field of a known score; unnamed, a lot's run is called by its day."""
        turn = self._shown_turn
        named = run or (self._clock.now_utc()[: len("2026-01-15")] if lot else "")
        try:
            tracked = self._camera.newest()
        except CaseRuleError as error:
            self._say(Severity.WARNING, str(error))
        else:
            self._ask(lambda case: self._do_read_control(case, tracked, expected, lot, named), turn=turn)

    def override_control(self, reason: str) -> None:
        """Score in spite of an invalid control, for a written reason."""
        self._ask(lambda case: case.override_control(reason), "control overridden; the reason stands in the report")

    def accept_field(self) -> None:
        """Add the newest frame to the case; refused with a message where it cannot be scored."""
        turn = self._shown_turn
        try:
            newest = self._camera.newest()  # the picture that the reader saw, not the newest when its turn comes
        except CaseRuleError as error:
            self._say(Severity.WARNING, str(error))
        else:
            analysed = self._analysed
            if self._case is None and not self._ended.is_set():
                self._say(Severity.INFO, "taken: this field is added as soon as the method is loaded")
            self._ask(lambda case: self._do_accept(case, newest, analysed), turn=turn)

    def remove_field(self, number: int) -> None:
        """Take a field out of the case."""
        self._ask(lambda case: case.remove(number), f"field {number} removed (R restores it)")

    def restore_field(self, number: int) -> None:
        """Put a removed field back."""
        self._ask(lambda case: case.restore(number), f"field {number} restored")

    def annotate_field(self, number: int, text: str) -> None:
        """Write a remark to a field; an empty one takes it back."""
        self._ask(lambda case: case.annotate(number, text))

    def correct_cells(self, field: int, cells: Sequence[int], to: Correction | None) -> None:
        """Reclassify or exclude cells of a field; None: as the method read them."""
        n_controls = self._n_controls
        self._ask(lambda case: self._do_correct(case, n_controls, field, cells, to))

    def draw_region(self, draft: RegionDraft) -> None:
        """Exclude tissue, mark a normal duct, or restrict to invasive tumour."""
        self._ask(lambda case: self._do_draw(case, draft))

    def remove_region(self, number: int) -> None:
        """Take a region back."""
        self._ask(lambda case: case.remove_region(number), f"outline {number} removed")

    def change_rule(self, change: RuleChange) -> None:
        """Move cuts or the completeness needed, for the whole case; an empty change: back to the stored settings."""
        self._drop_preview()
        self._ask(lambda case: case.change_rule(change))

    def preview_rule(self, change: RuleChange) -> None:
        """Show the case as it would be with moved cuts; only the newest preview is made."""
        self._previews.put((self._shown_turn, change))
        self._wake.set()

    def enter_case_data(self, data: CaseData) -> None:
        """Accession, block, slide, specimen, antibody run; refused where another open case has this slide."""
        self._ask(lambda case: case.enter_case_data(data), "case data entered")

    def undo(self) -> None:
        """Take the last change back."""
        self._drop_preview()
        self._ask(lambda case: self._say(Severity.INFO, f"undone: {case.undo()}"))

    def redo(self) -> None:
        """Do again what was undone last."""
        self._drop_preview()
        self._ask(lambda case: self._say(Severity.INFO, f"done again: {case.redo()}"))

    def set_sweep(self, on: bool) -> None:
        """Accept every sharp, steady, new part of the picture that lies within outlined invasive tumour."""
        self._ask(lambda case: self._do_set_sweep(case, on))

    def enter_reader_score(self, score: ReaderScore) -> None:
        """The pathologist's own score; one that differs from the computed score needs a remark."""
        self._ask(lambda case: case.enter_reader_score(score), "your own score is entered")

    def enter_ish(self, ish: Ish | None) -> None:
        """The ISH result, None to take it back."""
        self._ask(lambda case: case.enter_ish(ish), f"ISH: {ish.value if ish else 'not entered'}")

    def finish(self) -> None:
        """End the reading and write the report; the case is in review. The message says where the report is."""
        self._ask(self._do_finish)

    def reopen(self, reason: str) -> None:
        """Back from review to reading, for a written reason."""
        done = "the case is open again: it is read, finished and signed anew"
        self._ask(lambda case: self._do_open_again(lambda: case.reopen(reason)), done)

    def sign(self, name: str, pin: str, looked_at_fields: bool, seen: CaseView | None = None) -> None:
        """Sign the case in review and write its report; refused unless the signer looked at the annotated fields."""
        self._ask(lambda case: self._signed(case, case.sign(name, pin, looked_at_fields, seen)))

    def enrol_and_sign(self, name: str, pin: str, looked_at_fields: bool, seen: CaseView | None = None) -> None:
        """The same by somebody who signs here for the first time: the PIN is theirs from now on."""
        self._ask(lambda case: self._signed(case, case.enrol_and_sign(name, pin, looked_at_fields, seen)))

    def amend(self, name: str, pin: str, reason: str) -> None:
        """Open a signed case again as its next version, for a written reason; the signed one is kept."""
        done = "the case is open again, as its next version"
        self._ask(lambda case: self._do_open_again(lambda: case.amend(name, pin, reason)), done)

    def open_case(self, case_id: str) -> None:
        """Leave this case as it is, and open a stored one."""
        self._drop_preview()
        self._ask(lambda case: self._do_open_case(case, case_id))

    def new_case(self) -> None:
        """Leave this case as it is and start the next one."""
        self._drop_preview()
        self._ask(self._do_new_case)

    def reconnect(self) -> None:
        """Open the camera again, at once."""
        self._camera.reconnect()

    def _drop_preview(self) -> None:
        """What is asked for now is newer than any cuts that were only tried."""
        self._previews.take(timeout_s=0.0)

    def _ask(self, command: Callable[[CaseSession], None], done: str | None = None, turn: int | None = None) -> None:
        """Let the case's thread do something to the case that the reader sees, or saw at that turn."""

        def run(case: CaseSession) -> None:
            command(case)
            if done is not None:
                self._say(Severity.INFO, done)

        if self._ended.is_set():
            self._say(Severity.ERROR, "no case is open: nothing was taken. Start her2scope again.")
            return
        try:
            self._commands.put_nowait((self._shown_turn if turn is None else turn, run))
        except queue.Full:
            self._say(Severity.WARNING, "still busy with earlier commands; this one was not taken. Try again.")
            return
        self._wake.set()
        if self._ended.is_set():  # since it was asked above
            self._say_untaken()

    def _say_untaken(self) -> None:
        """Tell that what still waits is not done: the case's thread has ended."""
        untaken = []
        with suppress(queue.Empty):
            while True:
                untaken.append(self._commands.get_nowait())
        if untaken:
            self._say(Severity.ERROR, "no case is open: nothing of what was asked for meanwhile was taken.")

    # ---- camera thread --------------------------------------------------------------------------------------------

    def _take_frame(self, tracked: TrackedFrame) -> None:
        self._analysis.frames.put(tracked)
        if len(self._map.view.joins) != self._n_joins:
            self._wake.set()

    def _tell_figures(self, now_s: float) -> None:
        if now_s < self._figures_due_s:
            return
        self._figures_due_s = now_s + FIGURES_EVERY_S
        self._listener.on_figures(
            LiveFigures(
                camera_fps=self._camera.frames_per_s(now_s),
                analysed_fps=rate(self._analysed_ticks, now_s),
                latency_ms=_median(self._latencies_ms),
                replaced_frames=self._analysis.frames.replaced,
                provider=self._provider,
                analysis_ms=_median(self._took_ms),
                provider_note=self._provider_note,
            )
        )

    # ---- analyser thread ------------------------------------------------------------------------------------------

    def _run_analysis(self) -> None:
        try:
            self._analysis.run()
        except Exception as error:  # noqa: BLE001 - top of a thread: nothing above could tell the reader
            self._say_fault(error)

    # ---- the case's thread ----------------------------------------------------------------------------------------

    def _run_case(self) -> None:
        try:
            self._case = self._case or self._first_case()
            self._tell_case(self._case)
            while not self._stop.is_set():
                self._wake.wait()
                self._wake.clear()
                with self._analysis.paused():
                    self._take_joins(self._case)
                    self._run_commands()
                    self._show_preview()
                self._take_analysis(self._case)
            self._run_commands()  # what the reader asked for before leaving is still done
        except Exception as error:  # noqa: BLE001 - top of a thread: nothing above could tell the reader
            self._say_fault(error)
        finally:
            self._ended.set()
            if self._case is not None:
                self._case.close()
            self._say_untaken()

    def _first_case(self) -> CaseSession:
        """Open a case and load its method, beside the live picture; nothing is accepted before it is there."""
        self._say(Severity.INFO, "opening the case and loading its method: analysis begins when both are there")
        case = self._open_case()
        self._say(Severity.INFO, f"case {case.case_id} is open")
        self._say_doubt(case)
        return case

    def _say_doubt(self, case: CaseSession) -> None:
        """Tell that a case is not the one that was kept; it can be read, and is not signed."""
        try:
            doubt = case.doubt()
        except Her2ScopeError as error:
            doubt = str(error)
        if doubt:
            self._say(Severity.ERROR, doubt)

    def _run_commands(self) -> None:
        """Do what was asked, each command by itself: one that fails is said, and the next is done."""
        while self._case is not None:
            try:
                turn, command = self._commands.get_nowait()
            except queue.Empty:
                return
            try:
                self._check_turn(turn, self._case)
                command(self._case)
            except (CaseRuleError, SigningError) as error:
                self._say(Severity.WARNING, str(error))
            except Exception as error:  # noqa: BLE001 - one command must not end the case
                self._say_fault(error)
            self._tell_case(self._case)

    def _check_turn(self, turn: int, case: CaseSession) -> None:
        """Raise CaseRuleError for what was asked for while another case was shown: it was not meant for this one."""
        if turn != self._turn:
            raise CaseRuleError(f"case {case.case_id} is open by now: what was asked for before was not done.")

    def _tell_case(self, case: CaseSession) -> None:
        if (
            case.rule.deviates and case.rule != self._told_rule
        ):  # every field's picture is looked at anew: the score goes ahead of that
            self._listener.on_case(case.view_at_once)
        self._told_rule = case.rule
        self._n_controls = len(case.view.controls)
        self._analysis.analyse_by(case.analyser, case.cuts)
        self._listener.on_case(case.view)
        self._shown_turn = self._turn
        if case.clock_warning and case.clock_warning != self._told_clock:
            self._say(Severity.WARNING, case.clock_warning)
        self._told_clock = case.clock_warning

    def _take_joins(self, case: CaseSession) -> None:
        """Let the case know which islands of the map turned out to be one, and the map what the case found out."""
        for join in case.joins:
            self._map.adopt(join)
        joins = self._map.view.joins
        fresh, self._n_joins = joins[self._n_joins :], len(joins)
        for join in fresh:
            try:
                changed = case.join_islands(join)
            except Exception as error:  # noqa: BLE001 - as a command: it must not end the case
                self._say_fault(error)
            else:
                if changed:
                    self._tell_case(case)

    def _show_preview(self) -> None:
        """Show what the newest moved cuts would give; they are the reader's only once they are asked for."""
        asked = self._previews.take(timeout_s=0.0)
        if asked is None or self._case is None or asked[0] != self._turn:
            return
        try:
            self._listener.on_case(self._case.preview(asked[1]))
        except CaseRuleError as error:
            self._say(Severity.WARNING, str(error))

    def _say_fault(self, error: Exception) -> None:
        """Tell a fault; an unexpected one is kept in the log too."""
        if isinstance(error, Her2ScopeError):
            self._say(Severity.ERROR, str(error))
            return
        LOG.error("live engine", exc_info=error)
        self._say(Severity.ERROR, f"something unexpected went wrong: {error!r}. What was accepted is saved.")

    def _take_analysis(self, case: CaseSession) -> None:
        """Show the newest analysis, and count it where that is wanted; one of another case or scale is left."""
        analysed = self._analysis.found.take(timeout_s=0.0)
        if analysed is None or analysed.by is not case.analyser:
            return
        tracked, result = analysed.tracked, analysed.result
        now_s = self._clock.monotonic_s()
        if isinstance(result, Exception):
            if now_s >= self._fault_due_s:  # said now and then, not with every frame
                self._fault_due_s = now_s + FAULT_EVERY_S
                self._say_fault(result)
            return
        if result.cuts != case.cuts:
            return
        self._analysed = tracked, result
        self._latencies_ms.append(1000 * (now_s - tracked.frame.captured_s))
        self._took_ms.append(analysed.took_ms)
        self._analysed_ticks.append(now_s)
        if result.program.provider != NO_PROVIDER:  # a frame that the gate stopped was run by none
            self._provider = result.program.provider
        self._provider_note = getattr(case.analyser.segmenter, "provider_note", "")
        shown, mode = case.in_force(result), self._mode
        if mode is Mode.CONTROL:
            shown = counted_everywhere(shown, case.analyser.find)
        self._listener.on_result(LiveResult(tracked, shown, mode))
        if self._sweeps and self._mode is Mode.READING:
            self._sweep(case, tracked, result)

    def _sweep(self, case: CaseSession, tracked: TrackedFrame, result: FieldResult) -> None:
        """Accept a picture that shows enough new tissue of the outlined tumour."""
        height, width = tracked.frame.size_hw
        place, scale = self._place_of(tracked), tracked.frame.um_per_px
        if place is None or not result.quality.usable:
            return
        if new_share(place, (width * scale, height * scale), case.view) < MIN_NEW_SHARE:
            return
        try:
            confirm_objective(tracked.frame, self._desk)
            accepted = case.accept(tracked.frame, result, place=place, swept=True)
        except CaseRuleError as error:
            self._say(Severity.WARNING, str(error))
        except Exception as error:  # noqa: BLE001 - a full disk must not end the case, nor be tried at frame rate
            self._stop_sweeping()
            self._say_fault(error)
        else:
            self._tell_accepted(accepted)
            self._tell_case(case)

    def _stop_sweeping(self) -> None:
        self._sweeps = False
        self._listener.on_sweep(False)

    def _result_for(self, tracked: TrackedFrame, case: CaseSession, ready: FieldResult | None) -> FieldResult:
        """The analysis of this frame, the running one where it is that of the same pixels and cuts."""
        last = self._analysed
        ready = ready or (last[1] if last is not None and last[0].frame is tracked.frame else None)
        if ready is not None and ready.cuts == case.cuts:
            return ready
        return case.analyser.analyse(tracked.frame, case.cuts, tracked.speed_um_per_s)

    def _do_accept(self, case: CaseSession, newest: TrackedFrame, analysed: _Read | None) -> None:
        tracked, ready = _seen(newest, analysed)
        result, place = self._result_for(tracked, case, ready), self._place_of(tracked)
        confirm_objective(tracked.frame, self._desk)
        self._tell_accepted(case.accept(tracked.frame, result, place=place, show=self._show_accepted))

    def _show_accepted(self, view: CaseView) -> None:
        """Tell a field that is still being packed for the disk; the next picture is analysed meanwhile."""
        self._listener.on_case(view)
        self._analysis.go_on()

    def _place_of(self, tracked: TrackedFrame) -> MapPlace | None:
        """Where a frame lies, after all joins since it was taken; None where the map only guesses.

        None also for a frame that was taken before this case was opened: its island is another case's.
        """
        if not tracked.trusted or tracked.frame.captured_s < self._since_s:
            return None
        return place_after(MapPlace(tracked.island, tracked.x_um, tracked.y_um), self._map.view.joins)

    def _tell_accepted(self, accepted: AcceptedField) -> None:
        n_seen = accepted.n_seen_before
        again = f", {n_seen} seen before" if n_seen > 0 else ""
        outside = f", {accepted.n_outside} more outside the counted tissue" if accepted.n_outside > 0 else ""
        n_counted = f"{accepted.counts.n_tumour} tumour cells"
        self._say(Severity.INFO, f"field {accepted.number} added: {n_counted}{outside}{again}")

    def _do_correct(
        self, case: CaseSession, n_controls: int, field: int, cells: Sequence[int], to: Correction | None
    ) -> None:
        """Correct cells of a list that the reader saw; CaseRuleError where the fields were read anew meanwhile."""
        if len(case.view.controls) != n_controls:
            raise CaseRuleError("a control was read meanwhile, and cells may be others now: nothing was corrected.")
        case.correct_cells(field, cells, to)

    def _do_draw(self, case: CaseSession, draft: RegionDraft) -> None:
        at = place_after(MapPlace(draft.island, 0.0, 0.0), self._map.view.joins)
        polygon_um = tuple((x + at.x_um, y + at.y_um) for x, y in draft.polygon_um)
        region = case.draw_region(replace(draft, island=at.island, polygon_um=polygon_um))
        left_out = region.kind.value.replace("_", " ")
        self._say(Severity.INFO, f"outline {region.number} drawn: {left_out} (Ctrl+Z takes it back)")

    def _do_set_sweep(self, case: CaseSession, on: bool) -> None:
        try:
            if on:
                check_can_sweep(case.view)
            self._sweeps = on
        finally:
            self._listener.on_sweep(self._sweeps)

    def _do_read_control(self, case: CaseSession, tracked: TrackedFrame, expected: Score, lot: str, run: str) -> None:
        confirm_objective(tracked.frame, self._desk)
        reading = case.read_control(tracked.frame, expected, lot, tracked.speed_um_per_s, run)
        reasons = f": {'; '.join(reading.verdict.reasons)}" if reading.verdict.reasons else ""
        self._say(Severity.INFO, f"{expected} control {reading.verdict.status.value}{reasons}")
        if reading.lost_words:
            lost = "; ".join(reading.lost_words)
            self._say(Severity.WARNING, f"the fields were read anew, and these corrections found no cell: {lost}")

    def _do_open_again(self, open_again: Callable[[], None]) -> None:
        """Open a frozen case, and offer it all islands that were found to be one: it took none of them meanwhile."""
        open_again()
        self._n_joins = 0
        self._wake.set()

    def _do_finish(self, case: CaseSession) -> None:
        """Finish, or where that was done, write the report once more: it may have failed."""
        view = case.view if case.view.finished_utc is not None else case.finish()
        self._stop_sweeping()
        status = view.sign_off.status
        self._tell_before_report(case)
        self._report(case, view, "finished" if status is CaseStatus.IN_REVIEW else status.value)

    def _signed(self, case: CaseSession, view: CaseView) -> None:
        """Seal a case that was signed and write its report: what fails is said, and the signature stands."""
        self._tell_before_report(case)
        try:
            case.seal()
        except Her2ScopeError as error:
            self._say(Severity.ERROR, f"the case is signed and saved, but not sealed: {error} Closing it seals it too.")
        signed = view.sign_off.signatures[-1]
        self._report(case, view, f"signed by {signed.name} as version {signed.version}")

    def _tell_before_report(self, case: CaseSession) -> None:
        """Show at once how far the case has come: its report takes seconds, and nobody should ask again meanwhile."""
        self._tell_case(case)
        self._say(Severity.INFO, f"writing the report of case {case.case_id}")

    def _report(self, case: CaseSession, view: CaseView, done: str) -> None:
        """Write the report of a case with which something was done, and say so."""
        try:
            files = self._write_report(view)
        except Her2ScopeError as error:
            said = f"the case is {done} and saved, but has no report: {error} Then press Ctrl+F again."
            self._say(Severity.ERROR, said)
            return
        where = files[0].parent if files else "nowhere"
        sign = "Ctrl+Shift+S signs it, " if view.sign_off.status is CaseStatus.IN_REVIEW else ""
        self._say(Severity.INFO, f"case {case.case_id} {done}; report in {where} ({sign}Ctrl+N starts the next case)")

    def _do_new_case(self, case: CaseSession) -> None:
        fresh = self._open_case()
        self._change_to(fresh, case)
        self._say(Severity.INFO, f"case {fresh.case_id} started; read its control first")

    def _do_open_case(self, case: CaseSession, case_id: str) -> None:
        """Open a stored case; where that fails the present one stays as it is."""
        if case_id == case.case_id:
            raise CaseRuleError(f"case {case_id} is open already.")
        if self._open_stored is None:
            raise CaseRuleError("stored cases cannot be opened here.")
        self._say(Severity.INFO, f"opening case {case_id}")
        fresh = self._open_stored(case_id)
        self._change_to(fresh, case)
        to_do = ": put its own slide on the stage" if fresh.view.sign_off.status is CaseStatus.OPEN else ""
        self._say(Severity.INFO, f"case {case_id} is open{to_do}")
        self._say_doubt(fresh)

    def _change_to(self, fresh: CaseSession, case: CaseSession) -> None:
        """Leave a case for another one: what is seen or asked from now on is the other one's."""
        case.close()
        self._turn += 1
        self._case = fresh
        self._analysed = None  # made with the other case's settings
        self._map.renew(fresh.next_island)
        self._n_joins, self._since_s = 0, self._clock.monotonic_s()
        self._stop_sweeping()
        self._camera.expect_new_slide()

    def _say(self, severity: Severity, text: str) -> None:
        self._listener.on_message(Message(severity, text))


def _median(values: Sequence[float]) -> float:
    return median(values) if values else 0.0


def _seen(newest: TrackedFrame, analysed: _Read | None) -> tuple[TrackedFrame, FieldResult | None]:
    """What the reader looks at: while nothing moves, the analysed frame whose overlay is shown, with its analysis.

    So the score follows at once, and what was seen is what is kept.
    """
    if analysed is not None and analysed[1].quality.usable and is_same_view(newest, analysed[0]):
        return analysed
    return newest, None


def is_same_view(newest: TrackedFrame, analysed: TrackedFrame) -> bool:
    """Whether a frame shows what an analysed one showed a moment ago: nothing moved, and nothing else changed."""
    first, second = newest.frame, analysed.frame
    return (
        newest.trusted
        and analysed.trusted
        and newest.island == analysed.island
        and (first.um_per_px, first.size_hw, first.camera) == (second.um_per_px, second.size_hw, second.camera)
        and max(abs(newest.x_um - analysed.x_um), abs(newest.y_um - analysed.y_um)) < STILL_UM
        and 0.0 <= first.captured_s - second.captured_s < SEEN_S
        and _are_alike(first, second)
    )


def _are_alike(first: Frame, second: Frame) -> bool:
    """Whether two pictures of one place are of one focus and light."""
    if first.rgb is second.rgb:
        return True
    one, other = (Relief.of(frame).plane for frame in (first, second))
    spreads = float(one.std()), float(other.std())
    if min(spreads) <= 0.0 or max(spreads) > MOST_SHARPER * min(spreads):
        return False
    return float(np.mean((one - one.mean()) * (other - other.mean()))) >= LEAST_ALIKE * spreads[0] * spreads[1]
