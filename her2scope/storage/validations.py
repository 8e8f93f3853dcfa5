"""What readers found of the computed scores so far: a file of one JSON line per validation that only ever grows."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from her2scope.domain.reader_agreement import enough_cases
from her2scope.records import ValidationRecord
from her2scope.storage.line_log import LineLog, NewerLineError

SCHEMA = "her2scope.validation-entry/1"
_TEXTS = ("at_utc", "settings_sha256", "source")
_COUNTS = ("n_cases", "n_positive", "n_negative")
_FIGURES = ("kappa", "positive_agreement", "negative_agreement", "concordance")


class FileValidations:
    """Validations in a file; `path` and its folder need not be there yet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._log = LineLog(path, "list of validations", _is_entry)

    def keep(self, record: ValidationRecord) -> None:
        """Keep a validation; durable when it returns. DiskFullError, StoreError: then nothing of it is kept."""
        entry = {"schema": SCHEMA, **asdict(record)}
        self._log.append(json.dumps(entry, allow_nan=False).encode("ascii") + b"\n", "save the validation")

    def newest(self, settings_sha256: str) -> ValidationRecord | None:
        """The newest with these settings on as many cases as a validation asks for, else the newest; None: none.

        Raises StoreError for a line that cannot be read back, or of a newer her2scope.
        """
        records = [self._parsed(number, line) for number, line in self._log.lines()]
        fitting = [record for record in records if record.settings_sha256 == settings_sha256]
        # a trial on a few cases does not take back what was shown before
        telling = [record for record in fitting if enough_cases(record.n_positive, record.n_negative)]
        return next(reversed(telling or fitting), None)

    def _parsed(self, number: int, line: bytes) -> ValidationRecord:
        try:
            return _entry(line)
        except NewerLineError as error:
            raise self._log.newer(number, error, SCHEMA) from None
        except ValueError as error:
            raise self._log.damaged(number, error, ", or move it away and validate again") from None


# ---- one line -----------------------------------------------------------------------------------------------------


def _is_entry(line: bytes) -> bool:
    try:
        _entry(line)
    except (NewerLineError, ValueError):
        return False
    return True


def _entry(line: bytes) -> ValidationRecord:
    """Record of a line; ValueError saying what is wrong with it, NewerLineError for another schema."""
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON") from None
    schema = data.pop("schema", None) if isinstance(data, dict) else None
    if schema != SCHEMA:
        if isinstance(schema, str) and schema.startswith(SCHEMA.partition("/")[0]):
            raise NewerLineError(schema)
        raise ValueError("it is no validation")
    _check(data)
    return ValidationRecord(**data)


def _check(data: dict[str, Any]) -> None:
    known = {item.name for item in fields(ValidationRecord)}
    if data.keys() != known:
        raise ValueError(f"its keys differ: {', '.join(sorted(data.keys() ^ known))}"[:120])
    wrong = [name for name in _TEXTS if not isinstance(data[name], str)]
    wrong += [name for name in _COUNTS if type(data[name]) is not int or data[name] < 0]
    wrong += [name for name in _FIGURES if not _is_figure(data[name])]
    if wrong:
        raise ValueError(f"its {wrong[0]} cannot be read")


def _is_figure(value: object) -> bool:
    return value is None or type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]
