"""A measurement that must not be used: the calibration stays what it was."""

from __future__ import annotations

from her2scope.domain.errors import Her2ScopeError


class MeasurementRefused(Her2ScopeError):
    """The pictures do not allow the measurement; the text says what was seen and what to do.

    Raised by every function of this package; nothing is wrong with the program or the files.
    """

    def __init__(self, code: str, why: str) -> None:
        self.code, self.why = code, why
        super().__init__(why)
