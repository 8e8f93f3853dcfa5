"""The case's way from reading to its signature, and from one case to the next: each step with its question."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtWidgets import QWidget

from her2scope.domain.sign_off import CaseStatus
from her2scope.pipeline.live import LiveCommands, Message, Severity
from her2scope.ports import CaseSummary
from her2scope.records import AcceptedField, CaseView
from her2scope.ui.asking_dialog import AskingDialog
from her2scope.ui.background_read import BackgroundRead
from her2scope.ui.bridge import LiveBridge
from her2scope.ui.dialogs import finish_question, new_case_question
from her2scope.ui.open_case import OpenCaseDialog
from her2scope.ui.outlining import Tell
from her2scope.ui.sign_off import AmendDialog, ReopenDialog, SignDialog
from her2scope.ui.sign_words import is_signed

SignerNames = Callable[[], tuple[str, ...]]
StoredCases = Callable[[], tuple[CaseSummary, ...]]

NO_CASE = "There is no case yet."
NOT_FINISHED = "Only a finished case is signed. Finish it first (Ctrl+F)."
SIGNED_ALREADY = "This case is signed already. To change it, amend it (Ctrl+Shift+A)."
NOT_IN_REVIEW = "This case is being read: there is nothing to take back."
SIGNED_NOT_REOPENED = "This case is signed: it does not go back to reading. Amend it instead (Ctrl+Shift+A)."
NOT_SIGNED = "Only a signed case is amended. This one can be changed as it is."
STILL_IN_REVIEW = "Only a signed case is amended. This one is in review: take it back to reading (Ctrl+Shift+F)."


class CaseSteps(QObject):
    """What finishes, signs, amends and changes the case; the window only makes it and hands on what arrives.

    Parameters
    ----------
    may_finish : whether nothing is missing; says what is
    signer_names : of all who may sign; may wait for the disk
    stored_cases : newest first; may wait for the disk
    """

    field_asked = pyqtSignal(int)
    """The reader wants to see this field before the signature."""

    def __init__(
        self, commands: LiveCommands, may_finish: Callable[[], bool], signer_names: SignerNames,
        stored_cases: StoredCases, tell: Tell, parent: QWidget,
    ) -> None:  # fmt: skip
        super().__init__(parent)
        self._commands, self._may_finish, self._tell, self._window = commands, may_finish, tell, parent
        self._case: CaseView | None = None
        self._dialog: AskingDialog | None = None
        self._shown: set[int] = set()
        """Numbers of the fields that the window has shown, of this version of the case."""
        self._names = BackgroundRead("signers", signer_names, self)
        self._cases = BackgroundRead("stored cases", stored_cases, self)
        self._names.loaded.connect(self._ask_signer)
        self._cases.loaded.connect(self._ask_case)
        for read in (self._names, self._cases):
            read.failed.connect(lambda text: self._tell(text, True))

    def handlers(self) -> dict[str, Callable[[], None]]:
        """What its actions do."""
        return {
            "finish": self.finish,
            "reopen": self._reopen,
            "sign": self.sign,
            "amend": self._amend,
            "new_case": self._new_case,
            "open_case": self._cases.start,
        }

    # ---- from the engine -------------------------------------------------------------------------------------------

    def connect_bridge(self, bridge: LiveBridge) -> None:
        """Follow the messages. The case is handed on by the window, after its panels have it."""
        bridge.message_posted.connect(self._show_message)

    def show_case(self, view: CaseView) -> None:
        """Take the case as it is now."""
        if self._case is None or _version(self._case) != _version(view):
            self._shown.clear()
        self._case = view
        if self._dialog is not None:
            self._dialog.show_case(view)

    def note_shown(self, field: AcceptedField | None) -> None:
        """The window shows this field now."""
        if field is not None:
            self._shown.add(field.number)

    def _show_message(self, message: Message) -> None:
        if self._dialog is not None:
            self._dialog.show_message(message)
            if isinstance(self._dialog, SignDialog) and message.severity is not Severity.INFO:
                self._names.start()  # a new signer may be known by now, though the signature was refused

    # ---- steps -----------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """End the reading, after a question; of a finished case write the report once more, which may have failed."""
        if self._case is None:
            self._tell("There is no case to finish yet.", False)
        elif self._case.finished_utc is not None:
            self._commands.finish()
        elif self._may_finish():
            question = finish_question(self._case, self._window)
            question.accepted.connect(self._commands.finish)
            question.open()

    def sign(self) -> None:
        """Ask for the signature of a case in review."""
        if self._stands({CaseStatus.IN_REVIEW}, {CaseStatus.OPEN: NOT_FINISHED}, SIGNED_ALREADY):
            self._names.start()

    def _amend(self) -> None:
        told = {CaseStatus.OPEN: NOT_SIGNED, CaseStatus.IN_REVIEW: STILL_IN_REVIEW}
        if self._stands({CaseStatus.SIGNED, CaseStatus.AMENDED}, told, ""):
            self._names.start()

    def _reopen(self) -> None:
        told = {CaseStatus.OPEN: NOT_IN_REVIEW}
        if self._stands({CaseStatus.IN_REVIEW}, told, SIGNED_NOT_REOPENED) and self._case is not None:
            dialog = ReopenDialog(self._case, self._window)
            dialog.reopen_asked.connect(self._commands.reopen)
            self._open(dialog)

    def _stands(self, wanted: set[CaseStatus], told: dict[CaseStatus, str], else_told: str) -> bool:
        """Whether the case is so far; where it is not, say why there is no such step."""
        if self._case is None:
            self._tell(NO_CASE, False)
            return False
        status = self._case.sign_off.status
        if status not in wanted:
            self._tell(told.get(status, else_told), False)
        return status in wanted

    def _new_case(self) -> None:
        if self._case is None or self._case.finished_utc is not None or not self._case.fields:
            self._commands.new_case()
            return
        question = new_case_question(self._case, self._window)
        question.accepted.connect(self._commands.new_case)
        question.open()

    # ---- dialogs ---------------------------------------------------------------------------------------------------

    def _ask_signer(self, names: Sequence[str]) -> None:
        """Open the dialog that the case's state calls for, or tell an open one who may sign by now."""
        case = self._case
        if isinstance(self._dialog, SignDialog):
            self._dialog.signer.offer(names)
        elif case is not None and case.sign_off.status is CaseStatus.IN_REVIEW:
            dialog = SignDialog(case, names, self._shown, self._window)
            dialog.sign_asked.connect(partial(self._commands.sign, seen=case))
            dialog.enrol_asked.connect(partial(self._commands.enrol_and_sign, seen=case))
            dialog.field_asked.connect(self.field_asked)
            self._open(dialog)
        elif case is not None and is_signed(case.sign_off):
            amend = AmendDialog(case, names, self._window)
            amend.amend_asked.connect(self._commands.amend)
            self._open(amend)

    def _ask_case(self, cases: Sequence[CaseSummary]) -> None:
        dialog = OpenCaseDialog(cases, self._case, self._window)
        dialog.open_asked.connect(self._commands.open_case)
        self._open(dialog)

    def _open(self, dialog: AskingDialog) -> None:
        """Show a dialog, one at a time."""
        if self._dialog is not None:
            self._dialog.reject()
        self._dialog = dialog
        dialog.finished.connect(lambda: self._forget(dialog))
        dialog.open()

    def _forget(self, dialog: AskingDialog) -> None:
        if self._dialog is dialog:
            self._dialog = None


def _version(view: CaseView) -> tuple[str, int]:
    return view.case_id, view.sign_off.version
