"""Which method, store, source and report writers work together. Knows no Qt."""

from __future__ import annotations

import getpass
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from her2scope.domain.control_material import ControlMaterials
from her2scope.domain.errors import NotAvailableError, SettingsError
from her2scope.imaging.workers import Workers
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.pipeline.clock import SystemClock
from her2scope.pipeline.session import CaseSession, stored_settings
from her2scope.ports import CaseFile, CaseStore, ControlHistory, Segmenter
from her2scope.records import CaseView, ReportContent
from her2scope.reporting.write import write_report
from her2scope.segmentation.closed_contours import ClosedContours
from her2scope.segmentation.methods import CLOSED_CONTOURS, NETWORK
from her2scope.segmentation.methods import DEFAULT_METHOD as DEFAULT_METHOD
from her2scope.segmentation.model_card import OUTLINES, false_rates, has_card, read_card
from her2scope.segmentation.network import NetworkSegmenter
from her2scope.segmentation.onnx_network import OnnxNetwork
from her2scope.segmentation.outline_reader import OnnxOutlineReader
from her2scope.settings import Calibration, ScoringSettings, home_dir, load_calibration, load_controls, load_scoring
from her2scope.storage.case_store import FolderCaseStore


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


def make_analyser(method: str, settings: ScoringSettings, calibration: Calibration, threads: int = 0) -> FieldAnalyser:
    """Analyser of a method by name, on so many threads (0: one per core).

    Raises NotAvailableError for a method that this version does not have.
    """
    if method not in METHODS:
        raise NotAvailableError("method", method, sorted(METHODS))
    return FieldAnalyser(METHODS[method](settings, threads), settings, calibration, Workers(threads))


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


def case_store() -> CaseStore:
    """Where this user's cases live."""
    return FolderCaseStore(home_dir() / "cases")


def open_case_of(slide_id: str, store: CaseStore, own_id: str) -> str | None:
    """Id of another open case of this slide; None where there is none. A case that cannot be read is not asked."""
    cases = (item for item in store.cases() if item.case_id != own_id and not item.finished)
    return next((item.case_id for item in cases if item.slide_id == slide_id), None)


def report_dir(case_id: str) -> Path:
    """Where the report of a case is written unless told otherwise."""
    return home_dir() / "reports" / case_id


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
) -> CaseSession:
    """Session on a case file: a stored case goes on with the settings that it was opened with."""
    try:
        stored = stored_settings(file)
        analyser = make_analyser(*(stored or (method, settings, calibration)))
        return CaseSession(file, analyser, SystemClock(), who, history, other_case_of or (lambda _: None))
    except BaseException:
        file.close()
        raise


def write_case_report(view: CaseView, out_dir: Path) -> Sequence[Path]:
    """Write `report.pdf`, `report.html` and `report.json` of a case."""
    return write_report(ReportContent(view, SystemClock().now_utc()), out_dir)
