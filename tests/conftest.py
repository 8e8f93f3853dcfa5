"""What holds for every test: no screen, no home folder, no thread left behind."""

from __future__ import annotations

import gc
import os
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

# Before anything imports Qt. The run in real windows sets another platform.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import hypothesis
import pytest

REPO = Path(__file__).resolve().parent.parent
OUR_CODE = tuple(str(REPO / folder) + os.sep for folder in ("her2scope", "tests"))

# No deadline: how long an example takes says more about the machine than about the
# code. On CI the same examples every time, so that a red run can be run again.
hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")


def pytest_collection_finish() -> None:
    """Keep all that was imported and collected out of the collector's way: it lives as long as the run.

    Looking through it for cycles again and again took a tenth of the time of all tests.
    """
    gc.collect()
    gc.freeze()


THREAD_GRACE_S = 1.0
"""How long a thread that was told to stop may take to end after its test."""
KEPT_THREADS = ("Dask-Offload",)
"""Of libraries: one for the life of the process, started by whichever test first needs it."""


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real images that are not part of the repository (their licences forbid it)."""
    folder = REPO.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the real images in ../shared/data, which are not there: {folder}")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _home_for_wide_fixtures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep module and session fixtures, too, out of the user's data folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HER2SCOPE_HOME", str(tmp_path_factory.mktemp("her2scope-home")))
        yield


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test a data folder of its own."""
    monkeypatch.setenv("HER2SCOPE_HOME", str(tmp_path / "her2scope-home"))


def _our_caller(stack: list[traceback.FrameSummary]) -> str:
    """Innermost line of our own in `stack`: below it, pools and libraries start the threads."""
    ours = [frame for frame in stack if frame.filename.startswith(OUR_CODE)]
    caller = ours[-1] if ours else stack[-1]
    return f"{caller.filename}:{caller.lineno}, in {caller.name}"


@pytest.fixture(autouse=True)
def _no_thread_left_behind(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test that leaves a thread running, and say where it was started."""
    started: list[tuple[threading.Thread, str]] = []
    start = threading.Thread.start

    def recording_start(thread: threading.Thread) -> None:
        start(thread)
        started.append((thread, _our_caller(traceback.extract_stack()[:-1])))

    monkeypatch.setattr(threading.Thread, "start", recording_start)
    yield
    give_up_s = time.monotonic() + THREAD_GRACE_S
    for thread, _ in started:
        if not thread.name.startswith(KEPT_THREADS):
            thread.join(max(0.0, give_up_s - time.monotonic()))
    alive = [item for item in started if item[0].is_alive() and not item[0].name.startswith(KEPT_THREADS)]
    left = [f"{thread.name} (started at {where})" for thread, where in alive]
    if left:
        pytest.fail("left running: " + "; ".join(left), pytrace=False)
