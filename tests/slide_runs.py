"""A slide run as a program of its own, for tests that kill it, its workers or its scheduler.

python slide_runs.py run SCHEDULER FOLDER N      analyse N tiles slowly on two workers, and say how many were kept
python slide_runs.py cluster FOLDER N            three runs on one cluster, each with its own trouble
python slide_runs.py bare FOLDER N               on a worker that cannot import this program
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import slide_work

from her2scope.domain.errors import Her2ScopeError
from her2scope.slides.progress import Progress, silent
from her2scope.slides.run import Analyse, RunOutcome, run_tiles
from her2scope.slides.schedulers import Crew, open_scheduler
from her2scope.slides.tile_store import TileStore

DIGEST = "ab" * 32


def run(crew: Crew, folder: Path, n: int, analyse: Analyse, told=silent) -> RunOutcome:
    """Analyse n tiles with a store in the folder."""
    with TileStore(folder / "tiles", DIGEST) as store:
        return run_tiles(slide_work.work_on(folder / "slide.svs"), slide_work.tiles(n), store, crew, analyse, told)


def on_cluster(folder: Path, n: int) -> None:
    """Three workers, each a process, behind the address of their scheduler: one is killed midway in the first run.

    In the second a tile kills its worker, in the third the scheduler goes away midway. Each has a folder of its own.
    """
    import dask
    from distributed import LocalCluster

    dask.config.set({"distributed.scheduler.allowed-failures": 0})  # one death condemns a job: the fewer the sooner
    with LocalCluster(
        n_workers=3, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0",
        worker_dashboard_address="127.0.0.1:0", silence_logs=logging.CRITICAL + 1, memory_limit=0,
    ) as cluster:  # fmt: skip

        def kill_a_worker(calls: Path) -> None:
            os.kill(int(calls.read_text().splitlines()[-1].split()[1]), signal.SIGKILL)

        runs: tuple[tuple[str, Analyse, Callable[[Path], None] | None], ...] = (
            ("killed", slide_work.slow, kill_a_worker),
            ("deadly", slide_work.deadly_tile, None),
            ("lost", slide_work.slow, lambda _: cluster.close()),
        )
        for name, analyse, trouble in runs:
            own = folder / name
            own.mkdir()
            midway = Midway(n, own / "calls", trouble)
            with open_scheduler(cluster.scheduler_address) as crew:
                outcome = run(crew, own, n, analyse, midway)
            say(" ".join(map(str, (name, outcome.n_tiles, outcome.n_kept, len(outcome.lost), int(midway.came)))))
            say(*outcome.problems)


class Midway:
    """Listens to a run, and makes trouble once when a quarter of it is done."""

    def __init__(self, n: int, calls: Path, trouble: Callable[[Path], None] | None) -> None:
        self.n, self.calls, self.trouble, self.came = n, calls, trouble, False

    def __call__(self, progress: Progress) -> None:
        if self.trouble is not None and not self.came and progress.n_done >= self.n // 4:
            self.came = True
            self.trouble(self.calls)


def with_a_bare_worker(folder: Path, n: int) -> None:
    """On a worker that finds another module under this program's name, and cannot import it."""
    from distributed import LocalCluster

    (folder / "her2scope.py").write_text("raise ImportError('No module named her2scope')")
    with LocalCluster(
        n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0", silence_logs=logging.CRITICAL + 1
    ) as cluster:
        command = [sys.executable, "-m", "distributed.cli.dask_worker", cluster.scheduler_address, "--no-nanny"]
        worker = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0", "--local-directory", str(folder)],
            env=os.environ | {"PYTHONPATH": str(folder)}, stderr=subprocess.DEVNULL, cwd=folder,
        )  # fmt: skip
        try:
            cluster.wait_for_workers(1, timeout=60)
            with open_scheduler(cluster.scheduler_address) as crew:
                run(crew, folder, n, slide_work.slow)
        finally:
            worker.kill()
            worker.wait()


def say(*what: object) -> None:
    """Each on a line of its own."""
    sys.stdout.write("".join(f"{item}\n" for item in what))


def main() -> int:
    """Run what was asked."""
    what, *arguments = sys.argv[1:]
    folder, n = Path(arguments[-2]), int(arguments[-1])
    try:
        if what == "run":
            with open_scheduler(arguments[0], 2) as crew:
                outcome = run(crew, folder, n, slide_work.slow)
            say(outcome.n_tiles, outcome.n_kept, len(outcome.lost))
        elif what == "bare":
            with_a_bare_worker(folder, n)
        else:
            on_cluster(folder, n)
    except (Her2ScopeError, KeyboardInterrupt) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
