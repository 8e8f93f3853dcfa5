"""Which texts can name a case: it becomes a folder, on Windows, macOS and Linux alike."""

from __future__ import annotations

from her2scope.domain.errors import StoreError

MAX_LENGTH = 80
"""Leaves room for the image files below it in the 260 characters of a Windows path."""
MAX_BYTES = 255
"""Longest name of a folder on Linux, in UTF-8."""
FORBIDDEN = '/\\:*?"<>|'
ALLOWED = f"Allowed: 1 to {MAX_LENGTH} letters, digits, spaces and signs such as - _ . + = ( ), but none of {FORBIDDEN}"
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
WINDOWS_DEVICES = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"} | {
    f"{port}{digit}" for port in ("COM", "LPT") for digit in "0123456789¹²³"
}


def check_case_id(case_id: str) -> None:
    """Raise StoreError, saying what is allowed, where `case_id` cannot be a folder's name."""
    problem = _problem(case_id)
    if problem:
        raise StoreError(f"{case_id[: MAX_LENGTH + 1]!r} cannot be a case's name: {problem}. {ALLOWED}.")


def _problem(case_id: str) -> str | None:
    if not case_id:
        return "it is empty"
    if len(case_id) > MAX_LENGTH or len(case_id.encode("utf-8", "replace")) > MAX_BYTES:
        return f"it is too long ({len(case_id)} characters)"
    forbidden = next((sign for sign in case_id if sign in FORBIDDEN), None)
    if forbidden:
        return f"it contains {forbidden}"
    if not case_id.isprintable():
        return "it contains a control character or an invisible one"
    if case_id[0] in ". " or case_id[-1] in ". ":
        return "it begins or ends with a dot or a space"
    if case_id.split(".")[0].rstrip().upper() in WINDOWS_DEVICES:
        return "Windows keeps that name for a device"
    return None
