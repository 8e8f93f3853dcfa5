"""Accepts fields as the demo does, for the test of scripts/kill_test.py; a hasty one reports before it has saved."""

# ruff: noqa: T201 -- what it prints is what the script reads
from __future__ import annotations

import sys
import time
from contextlib import closing

import numpy as np

from her2scope.domain.events import Event, EventKind
from her2scope.records import image_digest
from her2scope.settings import home_dir
from her2scope.storage.case_store import FolderCaseStore

N_FIELDS = 10
FIELD_S = 0.1


def main(hasty: bool) -> None:
    store = FolderCaseStore(home_dir() / "cases")
    with closing(store.create("demo 1")) as case:
        case.append(Event(1, EventKind.OPENED, "2024-05-01T10:00:00.000+00:00", "who", {"model_sha256": "ab" * 32}))
        for field in range(1, N_FIELDS + 1):
            image = np.random.default_rng(field).integers(0, 256, (60, 80, 3), np.uint8)
            data = {"field": field, "result": {"image": image_digest(image), "model_sha256": "ab" * 32}}
            event = Event(field + 1, EventKind.FIELD_ACCEPTED, "2024-05-01T10:00:00.000+00:00", "who", data)
            if hasty:
                print(f"accepted field {field} of case demo 1", flush=True)
            time.sleep(FIELD_S)
            case.append(event, [image])
            if not hasty:
                print(f"accepted field {field} of case demo 1", flush=True)


if __name__ == "__main__":
    main(hasty="hasty" in sys.argv)
