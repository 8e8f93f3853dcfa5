"""Which method, store, source and report writers work together. Knows no Qt."""

from __future__ import annotations

import getpass
import hashlib
import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TypeVar

from her2scope.app.control_history import control_history
from her2scope.app.where_to_count import gate_of_case
from her2scope.domain.control_history import ControlEntry
from her2scope.domain.control_material import ControlMaterials
from her2scope.domain.errors import CaseRuleError, NotAvailableError, SettingsError, StoreError
from her2scope.domain.sign_off import SignOff
from her2scope.imaging.workers import Workers
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.pipeline.clock import SystemClock
from her2scope.pipeline.region_gate import RegionGate
from her2scope.pipeline.session import CaseSession, stored_settings
from her2scope.pipeline.versions import as_signed
from her2scope.ports import CaseFile, CaseReading, CaseStore, ControlHistory, KeptHead, Segmenter, Signers
from her2scope.records import CaseView, ReportContent
from her2scope.reporting.write import STANDARD, write_report
from her2scope.segmentation.closed_contours import ClosedContours
from her2scope.segmentation.methods import CLOSED_CONTOURS, NETWORK
from her2scope.segmentation.methods import DEFAULT_METHOD as DEFAULT_METHOD
from her2scope.segmentation.model_card import OUTLINES, false_rates, has_card, read_card
from her2scope.segmentation.network import NetworkSegmenter
from her2scope.segmentation.onnx_network import OnnxNetwork
from her2scope.segmentation.outline_reader import OnnxOutlineReader
from her2scope.settings import Calibration, ScoringSettings, home_dir, load_calibration, load_controls, load_scoring
from her2scope.storage.case_store import FolderCaseStore
from her2scope.storage.head_ledger import FileHeadLedger
from her2scope.storage.signers import FileSigners
from her2scope.storage.validations import FileValidations

LOG = logging.getLogger(__name__)
_Read = TypeVar("_Read")


def _closed_contours(settings: ScoringSettings, threads: int) -> Segmenter:
    return ClosedContours(settings.closed_contours, false_rates(CLOSED_CONTOURS))


def _network(settings: ScoringSettings, threads: int) -> Segmenter:
    return network_segmenter(load_network(threads), settings, threads)


METHODS: dict[str, Callable[[ScoringSettings, int], Segmenter]] = {
    CLOSED_CONTOURS: _closed_contours,
    NETWORK: _network,
}


def has_network() -> bool:
    """Whether this installation has a trained network."""
    return has_card(NETWORK)


def load_network(threads: int = 0, file: str | None = None) -> OnnxNetwork:
    """The trained network, loaded and checked; SettingsError where there is none or it is not the card's.

    Parameters
    ----------
    threads : of the processor; 0 for one per core
    file : model file to run instead of the one that suits this computer best
    """
    if not has_network():
        raise SettingsError(
            f"this installation has no trained network. Use --method {CLOSED_CONTOURS}, or install her2scope again."
        )
    return OnnxNetwork(read_card(NETWORK), threads, file)


def network_segmenter(network: OnnxNetwork, settings: ScoringSettings, threads: int = 0) -> Segmenter:
    """The network method with a loaded network, and its card's reader of outlines."""
    card = network.card
    reader = OnnxOutlineReader(card) if OUTLINES in (card.files or {}) else None
    return NetworkSegmenter(
        network, settings.network, card.false_rates, card.name, card.digest(network.file), reader, Workers(threads)
    )


def make_analyser(
    method: str,
    settings: ScoringSettings,
    calibration: Calibration,
    threads: int = 0,
    gate: RegionGate | None = None,
) -> FieldAnalyser:
    """Analyser of a method by name, on so many threads (0: one per core); `gate` is that of `settings.where_to_count`.

    Raises NotAvailableError for a method that this version does not have.
    """
    if method not in METHODS:
        raise NotAvailableError("method", method, sorted(METHODS))
    return FieldAnalyser(METHODS[method](settings, threads), settings, calibration, Workers(threads), gate)


def read_settings(path: Path | None) -> ScoringSettings:
    """Scoring settings of a file, or the defaults."""
    return load_scoring(path) if path else ScoringSettings()


def read_controls(path: Path | None) -> ControlMaterials:
    """Controls of a file, or a run slide with all levels."""
    return load_controls(path) if path else ControlMaterials()


def with_material(settings: ScoringSettings, controls: Path | None, name: str | None) -> ScoringSettings:
    """Settings with the limits of a control of that file; as they are without a file."""
    if controls is None:
        if name is not None:
            raise SettingsError(f"control '{name}': give the file that it stands in with --controls FILE.")
        return settings
    return replace(settings, control=read_controls(controls).named(name).limits)


def read_calibration(path: Path | None) -> Calibration:
    """Calibration of a file, or none: then the white is estimated, and that is said."""
    return load_calibration(path) if path else Calibration()


def case_store() -> FolderCaseStore:
    """Where this user's cases live; the heads of their chains are kept beside them."""
    return FolderCaseStore(home_dir() / "cases", head_ledger())


def head_ledger() -> FileHeadLedger:
    """The heads of the chains of all cases, outside their folders."""
    return FileHeadLedger(home_dir() / "case-heads.jsonl")


def signers() -> FileSigners:
    """Who may sign cases on this computer."""
    return FileSigners(home_dir() / "signers.json", SystemClock())


def validations() -> FileValidations:
    """What readers found of the computed scores so far."""
    return FileValidations(home_dir() / "validations.jsonl")


def open_case_of(slide_id: str, store: CaseStore, own_id: str) -> str | None:
    """Id of another open case of this slide; None where there is none. A case that cannot be read is not asked."""
    cases = (item for item in store.cases() if item.case_id != own_id and not item.finished)
    return next((item.case_id for item in cases if item.slide_id == slide_id), None)


def report_dir(case_id: str, version: int = 1) -> Path:
    """Where the report of a case is written unless told otherwise; that of a signed version stays where it is."""
    folder = home_dir() / "reports" / case_id
    return folder if version == 1 else folder / f"version-{version}"


def new_case_id() -> str:
    """Identity of a new case: local date and time, and a suffix so that two in one second differ."""
    return f"{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def user_name() -> str:
    """Who is at the computer, as far as it knows."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def open_session(
    file: CaseFile,
    method: str,
    settings: ScoringSettings,
    calibration: Calibration,
    who: str,
    history: ControlHistory | None = None,
    other_case_of: Callable[[str], str | None] | None = None,
    may_sign: Signers | None = None,
    gate: RegionGate | None = None,
) -> CaseSession:
    """Session on a case file: a stored case goes on with the settings that it was opened with.

    Parameters
    ----------
    gate : that of `settings.where_to_count`; a stored case has its own
    """
    try:
        stored = stored_settings(file)
        if stored is not None:
            gate = gate_of_case(file, stored[1], gate)
        analyser = make_analyser(*(stored or (method, settings, calibration)), gate=gate)
        return CaseSession(file, analyser, SystemClock(), who, history, other_case_of or (lambda _: None), may_sign)
    except BaseException:
        file.close()
        raise


def stored_view(case_id: str, version: int | None = None) -> CaseView:
    """A stored case as it stands, or as that version of it was signed; it may be open elsewhere, and is not changed.

    Raises CaseNotFoundError, CaseDamagedError, and CaseRuleError for a version that nobody signed or an empty case.
    """
    reading: CaseReading = case_store().read(case_id)
    try:
        reading = reading if version is None else as_signed(reading, version)
        stored = stored_settings(reading)
        if stored is None:
            raise CaseRuleError(f"case {case_id} is empty: nothing was read in it yet.")
        return CaseSession(reading, _reading_analyser(*stored), SystemClock(), user_name(), resume=False).view
    finally:
        reading.close()


def _reading_analyser(method: str, settings: ScoringSettings, calibration: Calibration) -> FieldAnalyser:
    """As `make_analyser`; all cases that are read one after the other share one loaded network."""
    if method != NETWORK:
        return make_analyser(method, settings, calibration)
    return FieldAnalyser(network_segmenter(_reading_network(), settings), settings, calibration)


@cache
def _reading_network() -> OnnxNetwork:
    return load_network()


def write_case_report(
    view: CaseView, out_dir: Path, kinds: Sequence[str] = STANDARD, newest: SignOff | None = None
) -> Sequence[Path]:
    """Write the reports of a case, and keep their digests with the head of its chain outside its folder.

    Its control charts end with the case: controls that were read later leave an old case's report as it was.

    Parameters
    ----------
    newest : how far the case has come since, where this is an earlier version of it

    Raises
    ------
    StoreError, DiskFullError
        If a file cannot be written or read.
    """
    if view.head.n_events != len(view.events):
        raise StoreError(f"Where the events of case {view.case_id} end could not be read. Write its report again.")
    now_utc = SystemClock().now_utc()
    validation = _read_or(None, lambda: validations().newest(view.settings_sha256))
    no_readings: tuple[ControlEntry, ...] = ()
    readings = _read_or(no_readings, lambda: control_history().entries())
    end_utc = max(event.at_utc for event in view.events)  # not the last one's, where the clock was set back
    told = tuple(entry for entry in readings if entry.at_utc <= end_utc)
    content = ReportContent(view, view.events[-1].at_utc, validation, told, newest)
    files = write_report(content, out_dir, kinds=kinds)
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    head_ledger().keep(KeptHead(view.case_id, "reported", now_utc, view.head, files=digests))
    return files


def _read_or(default: _Read, read: Callable[[], _Read]) -> _Read:
    """What stands beside a case in its report: no case is without one for a line of another file that is damaged.

    Without it the report says less, never more: not validated, no earlier readings in the chart.
    """
    try:
        return read()
    except StoreError as error:
        LOG.warning("left out of the report: %s", error)
        return default
