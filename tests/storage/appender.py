"""Appends events with images to a case until it is killed; prints each number once it is acknowledged."""

# ruff: noqa: T201 -- what it prints is what the test reads
from __future__ import annotations

import sys
from itertools import count
from pathlib import Path

import numpy as np

from her2scope.domain.errors import CaseNotFoundError
from her2scope.domain.events import Event, EventKind
from her2scope.records import image_digest
from her2scope.storage.case_store import FolderCaseStore


def picture(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (60, 80, 3), np.uint8)


def main(root: Path, case_id: str) -> None:
    store = FolderCaseStore(root)
    try:
        case = store.open(case_id)
    except CaseNotFoundError:
        case = store.create(case_id)
    print("ready", flush=True)
    for number in count(len(case.events()) + 1):
        image = picture(number)
        data = {"field": number, "image": image_digest(image), "cells": [number / 7] * 2000}
        case.append(Event(number, EventKind.FIELD_ACCEPTED, "2024-05-01T10:00:00.000+00:00", "who", data), [image])
        print(number, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
