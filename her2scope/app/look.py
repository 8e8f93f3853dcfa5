"""Looks for something that a driver may never answer about: in threads of their own, and no longer than so long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

T = TypeVar("T")


def look_all(looks: Mapping[str, Callable[[], T]], limit_s: float) -> dict[str, T | str]:
    """Make all looks at once, and wait `limit_s` for them in total.

    Returns
    -------
    dict
        What each found; in words why it found nothing, where it failed or was not done in time.
    """
    found: dict[str, T | str] = {}

    def look(name: str) -> None:
        try:
            found[name] = looks[name]()
        except Exception as error:  # noqa: BLE001 - whatever a driver raises, the other looks go on
            found[name] = f"the search failed: {error!r}. Install the driver again."

    # Daemons: a driver that never returns must not keep the program from ending.
    threads = {name: threading.Thread(target=look, args=(name,), name=f"look {name}", daemon=True) for name in looks}
    for thread in threads.values():
        thread.start()
    end_s = time.monotonic() + limit_s
    for thread in threads.values():
        thread.join(max(0.0, end_s - time.monotonic()))
    late = f"no answer within {limit_s:g} s: a driver hangs. Plug its device in again, or restart the computer."
    return {name: found.get(name, late) for name in looks}
