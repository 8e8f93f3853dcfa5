from __future__ import annotations

import logging
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import distributed
import pytest
import slide_runs
import slide_work

from her2scope.domain.errors import BadInputError, NotAvailableError
from her2scope.imaging.opencv import cv2
from her2scope.slides import schedulers
from her2scope.slides.schedulers import JobError, SchedulerError, misfit, open_scheduler
from her2scope.slides.tile_store import TileStore

TESTS = Path(__file__).parents[1]
N = 40
"""Tiles of a run on a cluster."""


@pytest.fixture(scope="module", autouse=True)
def _lasting_thread() -> None:
    """The one thread that Dask keeps for good begins before any test."""
    with open_scheduler("local", 1) as crew:
        assert crew.ask(os.getpid) == os.getpid()


@pytest.mark.parametrize(
    ("text", "workers", "words"),
    [
        ("threads", None, "scheduler 'threads' is not available. Available: local, processes, tcp://HOST:PORT."),
        ("tcp://host", None, "is no address"),
        ("tcp://:8786", None, "is no address"),
        ("tcp://host:port", None, "is no address"),
        ("local", 0, "0 workers do nothing"),
        ("tcp://host:8786", 2, "--workers is for this computer alone"),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, workers: int | None, words: str) -> None:
    with pytest.raises(BadInputError, match=re.escape(words)), open_scheduler(text, workers):
        pass


def test_without_dask_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(NotAvailableError, match=re.escape("pip install 'her2scope[slides]'")), open_scheduler():
        pass


def test_a_scheduler_that_is_not_there_is_one_line_soon() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and nobody listens
        address = f"tcp://127.0.0.1:{closed.getsockname()[1]}"
        start_s = time.monotonic()
        with pytest.raises(SchedulerError, match="no scheduler can be reached there") as told, open_scheduler(address):
            pass
    assert time.monotonic() - start_s < 4 * schedulers.CONNECT_S
    assert "\n" not in str(told.value) and address in str(told.value)


def test_what_answers_but_is_no_scheduler_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedulers, "CONNECT_S", 0.5)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(SchedulerError, match=re.escape("(no answer)")), open_scheduler(address):
            pass


def test_threads_of_this_computer_work_at_once_and_in_this_process(tmp_path: Path) -> None:
    with open_scheduler("local", 2) as crew:
        assert (crew.n_workers, crew.name) == (2, "2 threads of this computer")
        assert crew.ask(os.getpid) == os.getpid()


def test_a_job_that_fails_says_why_in_one_line() -> None:
    with open_scheduler("local", 1) as crew, pytest.raises(JobError, match="no-such-folder") as told:
        crew.ask(os.listdir, "no-such-folder")
    assert "\n" not in str(told.value)


def test_workers_of_a_computer_that_slept_are_not_taken_for_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dask would let them go after five minutes in which none was heard of, all at once."""
    begun, own = [], distributed.LocalCluster
    monkeypatch.setattr(distributed, "LocalCluster", lambda **more: begun.append(own(**more)) or begun[0])
    with open_scheduler("local", 1):
        assert begun[0].scheduler.worker_ttl is None


def test_nothing_of_the_computer_is_changed_for_good() -> None:
    before = cv2.getNumThreads(), logging.getLogger("distributed.scheduler").level
    with open_scheduler("local", 1) as crew:
        crew.ask(cv2.setNumThreads, 1)
    assert (cv2.getNumThreads(), logging.getLogger("distributed.scheduler").level) == before


def test_versions_that_differ_are_named() -> None:
    own = {"her2scope": "1.0", "numpy": "2.0"}
    assert misfit(own, own) == ""
    assert misfit({"her2scope": "0.9", "numpy": "2.0"}, own) == "her2scope 0.9 (here 1.0)"
    assert misfit({"her2scope": "1.0"}, own) == "numpy none (here 2.0)"


# ---- clusters, each in a program of its own -----------------------------------------------------------------------


def program(*arguments: str) -> tuple[int, list[str], str]:
    """Exit code, lines and errors of `slide_runs.py`."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(TESTS / "slide_runs.py"), *arguments], capture_output=True, text=True,
        timeout=100, env=os.environ | {"PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}"}, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout.splitlines(), done.stderr


class Cluster:
    """Three runs of `N` tiles on one cluster, see `slide_runs.on_cluster`: what they said and left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.code, self.lines, self.errors = program("cluster", str(folder), str(N))

    def said(self, name: str) -> list[str]:
        """What a run said at its end, word by word."""
        return next((line.split() for line in self.lines if line.startswith(f"{name} ")), [])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    return Cluster(tmp_path_factory.mktemp("cluster"))


def test_a_worker_of_three_that_is_killed_midway_changes_nothing(cluster: Cluster) -> None:
    assert cluster.said("killed") == ["killed", str(N), "0", "0", "1"]
    own = cluster.folder / "killed"
    pids = {line.split()[1] for line in (own / "calls").read_text().splitlines()}
    assert len(pids) >= 3
    tiles = slide_work.tiles(N)
    with TileStore(own / "tiles", slide_runs.DIGEST) as store:
        results = list(store.results(tiles))
    assert [result.tile for result in results] == list(tiles)
    assert all(
        result.cells.outline_um.tobytes() == slide_work.cells_of(result.tile).outline_um.tobytes() for result in results
    )


def test_a_tile_that_kills_its_workers_is_lost_and_no_other(cluster: Cluster) -> None:
    assert cluster.said("deadly") == ["deadly", str(N), "0", "1", "0"]
    (problem,) = (line for line in cluster.lines if "worker" in line)
    assert "each worker that analysed it died" in problem


def test_a_scheduler_that_goes_away_is_one_line_and_what_is_done_stays(cluster: Cluster) -> None:
    assert cluster.code == 2 and cluster.said("lost") == []
    assert cluster.errors.count("\n") == 1
    assert "Run the same command again to go on: what is done is kept." in cluster.errors
    with TileStore(cluster.folder / "lost" / "tiles", slide_runs.DIGEST) as store:
        assert N // 4 <= len(store.done(slide_work.tiles(N))) < N


def test_a_worker_without_this_program_is_one_line(tmp_path: Path) -> None:
    code, lines, errors = program("bare", str(tmp_path), "10")
    assert (code, lines) == (2, [])
    assert errors.count("\n") == 1 and "cannot run her2scope (No module named her2scope)" in errors
    assert not (tmp_path / "calls").exists()
