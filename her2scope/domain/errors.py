"""Every error that her2scope raises on purpose: what happened and what to do, in one line."""

from __future__ import annotations


class Her2ScopeError(Exception):
    """Base of all expected errors; its text is shown to the user as it is."""


class BadInputError(Her2ScopeError):
    """What the user gave cannot be used: a file, an option, a value."""


class UnreadableImageError(BadInputError):
    """A file is not an image, is damaged, or is of a kind that cannot be scored."""

    def __init__(self, path: object, why: str, remedy: str = "Save it as 8-bit RGB PNG, TIFF or JPEG.") -> None:
        self.path, self.why = path, why
        super().__init__(f"{path}: {why}. {remedy}")


class SettingsError(BadInputError):
    """A settings or calibration file has an unknown key, a wrong type or an impossible value."""


class NotAvailableError(BadInputError):
    """A name (guideline, method, source) that this version does not know."""

    def __init__(self, what: str, name: str, known: list[str]) -> None:
        self.what, self.name, self.known = what, name, known
        super().__init__(f"{what} '{name}' is not available. Available: {', '.join(known)}.")


class CameraError(Her2ScopeError):
    """A source of frames failed."""


class CameraNotFound(CameraError):
    """The device, file, folder or address is not there or cannot be opened."""


class CameraBusy(CameraError):
    """The device is there, but another program holds it."""


class CameraTimeout(CameraError):
    """No frame came within the time allowed; the source may still recover."""


class CameraLost(CameraError):
    """The source delivered frames and then stopped for good."""

    def __init__(self, camera: str, last_index: int) -> None:
        self.camera, self.last_index = camera, last_index
        super().__init__(
            f"{camera} stopped after frame {last_index}. "
            "Check the cable or file, then press Reconnect (F5); the case so far is saved."
        )


class CameraEnded(CameraLost):
    """Lost, and not to be opened again by itself: what it would give then is not what was read so far."""


class StoreError(Her2ScopeError):
    """A case could not be written or read; what was accepted before is untouched."""


class CaseLockedError(StoreError):
    """Another her2scope has this case open."""


class CaseNotFoundError(StoreError):
    """No case of that name in the case folder."""


class CaseDamagedError(StoreError):
    """A case's file cannot be read back as it was written."""


class DiskFullError(StoreError):
    """No space is left for what had to be saved; nothing was half written."""


class CaseRuleError(Her2ScopeError):
    """A step that the case does not allow now, with the reason."""


class SigningError(Her2ScopeError):
    """A name and PIN that cannot sign, with the reason."""
