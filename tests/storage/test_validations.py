"""Validations in a file: whole or not there, and never a wrong one."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from her2scope.domain.errors import DiskFullError, StoreError
from her2scope.records import ValidationRecord
from her2scope.storage import line_log
from her2scope.storage.validations import FileValidations

RECORD = ValidationRecord("2026-01-02T03:04:05.000+00:00", "ab" * 32, 120, 0.91, 0.98, 1.0, "cases.csv", 40, 40, 0.99)
OTHER = replace(RECORD, settings_sha256="cd" * 32, kappa=None, positive_agreement=None, source="Fälle\n2.csv")


@pytest.fixture
def validations(tmp_path: Path) -> FileValidations:
    return FileValidations(tmp_path / "home" / "validations.jsonl")


def test_none_so_far_and_asking_leaves_nothing(validations, tmp_path):
    assert validations.newest("ab" * 32) is None
    assert list(tmp_path.iterdir()) == []


def test_the_newest_of_these_settings_is_the_last_one_kept(validations):
    earlier = replace(RECORD, at_utc="2027-01-01T00:00:00.000+00:00")  # the clock was set back since
    for record in (earlier, OTHER, RECORD):
        validations.keep(record)
    assert validations.newest("ab" * 32) == RECORD
    assert validations.newest("cd" * 32) == OTHER
    assert validations.newest("ef" * 32) is None
    again = FileValidations(validations.path)
    assert again.newest("ab" * 32) == RECORD
    if os.name == "posix":
        assert validations.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("counts", [(39, 400), (400, 39), (0, 0)])
def test_a_trial_on_too_few_cases_does_not_take_back_what_was_shown_before(validations, counts):
    few = replace(RECORD, kappa=0.5, n_positive=counts[0], n_negative=counts[1])
    validations.keep(few)
    assert validations.newest("ab" * 32) == few
    validations.keep(RECORD)
    validations.keep(few)
    assert validations.newest("ab" * 32) == RECORD


def test_a_full_disk_keeps_nothing_of_it(validations, monkeypatch):
    validations.keep(RECORD)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(line_log, "flush", full)
        with pytest.raises(DiskFullError, match="Could not save the validation"):
            validations.keep(OTHER)
    assert validations.newest("ab" * 32) == RECORD and validations.newest("cd" * 32) is None


def altered(**changes: object) -> bytes:
    entry = {"schema": "her2scope.validation-entry/1", "at_utc": "", "settings_sha256": "ab" * 32, "n_cases": 90,
             "kappa": 0.9, "positive_agreement": 1.0, "negative_agreement": 1.0, "source": "c.csv", "n_positive": 45,
             "n_negative": 45, "concordance": None}  # fmt: skip
    return json.dumps({name: value for name, value in (entry | changes).items() if value != "gone"}).encode() + b"\n"


@pytest.mark.parametrize(
    "line",
    [
        b"no JSON\n",
        b"[1]\n",
        b"{}\n",
        altered(schema="other/1"),
        altered(kappa="0.9"),
        altered(kappa=True),
        altered(kappa=float("nan")),
        altered(n_positive=-1),
        altered(n_cases=9.5),
        altered(source=None),
        altered(n_negative="gone"),
        altered(more=1),
    ],
)
def test_a_line_that_cannot_be_read_back_is_said_and_never_taken(validations, line):
    validations.keep(RECORD)
    with validations.path.open("ab") as file:
        file.write(line)
    with pytest.raises(StoreError, match=r"Line 2 of the list of validations .* is damaged"):
        validations.newest("ab" * 32)


def test_a_line_of_a_newer_version_is_said(validations):
    validations.path.parent.mkdir()
    validations.path.write_bytes(altered(schema="her2scope.validation-entry/2", more=1))
    with pytest.raises(StoreError, match="was written by another her2scope"):
        validations.newest("ab" * 32)


def test_a_torn_last_line_is_set_aside(validations):
    validations.keep(RECORD)
    with validations.path.open("ab") as file:
        file.write(altered()[:60])
    assert validations.newest("ab" * 32) == RECORD
    validations.keep(OTHER)
    assert validations.newest("cd" * 32) == OTHER
