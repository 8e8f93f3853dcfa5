"""What readers found of the computed scores so far: a file of one JSON line per validation that only ever grows."""

from __future__ import annotations

import math
from dataclasses import asdict, fields
from pathlib import Path

from her2scope.domain.reader_agreement import enough_cases
from her2scope.records import ValidationRecord
from her2scope.storage.entry_log import EntryLog, entry_data, entry_line

SCHEMA = "her2scope.validation-entry/1"
_TEXTS = ("at_utc", "settings_sha256", "source")
_COUNTS = ("n_cases", "n_positive", "n_negative")
_FIGURES = ("kappa", "positive_agreement", "negative_agreement", "concordance")


class FileValidations:
    """Validations in a file; `path` and its folder need not be there yet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._log = EntryLog(path, "list of validations", SCHEMA, _entry, ", or move it away and validate again")

    def keep(self, record: ValidationRecord) -> None:
        """Keep a validation; durable when it returns. DiskFullError, StoreError: then nothing of it is kept."""
        self._log.append(entry_line(SCHEMA, asdict(record)), "save the validation")

    def newest(self, settings_sha256: str) -> ValidationRecord | None:
        """The newest with these settings on as many cases as a validation asks for, else the newest; None: none.

        Raises StoreError for a line that cannot be read back, or of a newer her2scope.
        """
        fitting = [record for record in self._log.entries() if record.settings_sha256 == settings_sha256]
        # a trial on a few cases does not take back what was shown before
        telling = [record for record in fitting if enough_cases(record.n_positive, record.n_negative)]
        return next(reversed(telling or fitting), None)


def _entry(line: bytes) -> ValidationRecord:
    data = entry_data(line, SCHEMA, "validation", {item.name for item in fields(ValidationRecord)})
    wrong = [name for name in _TEXTS if not isinstance(data[name], str)]
    wrong += [name for name in _COUNTS if type(data[name]) is not int or data[name] < 0]
    wrong += [name for name in _FIGURES if not _is_figure(data[name])]
    if wrong:
        raise ValueError(f"its {wrong[0]} cannot be read")
    return ValidationRecord(**data)


def _is_figure(value: object) -> bool:
    return value is None or type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]
