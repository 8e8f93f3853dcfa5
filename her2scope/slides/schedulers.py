"""Dask behind a slide run: threads or processes of this computer, or the workers of a `distributed` scheduler.

What goes to a worker travels as bytes that are read when the work begins: a worker without this program then answers
with an error of its own. (Dask reads what it is given before that, and a worker that cannot, hangs.)
"""

from __future__ import annotations

import asyncio
import logging
import math
import pickle
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from typing import Any

from her2scope.domain.errors import BadInputError, Her2ScopeError, NotAvailableError
from her2scope.imaging.opencv import cv2
from her2scope.imaging.workers import Workers
from her2scope.slides.run_identity import versions

LOCAL, PROCESSES, ADDRESS = "local", "processes", "tcp://"
SCHEDULERS = (LOCAL, PROCESSES, "tcp://HOST:PORT")
CONNECT_S, WORKERS_S = 4.0, 15.0
"""How long a scheduler may take to answer, and its first worker to be there."""
DESERTED_S = 60.0
"""A cluster's workers may all be gone for so long (they are restarted): then the run stops."""
ASKED_AGAIN_S = 2.0
"""So often a scheduler is asked how many workers it has."""
LOOPBACK = "127.0.0.1"
"""Where own workers are reached. Left to itself, Dask opens a web server on all of the computer's networks."""
LOUD = ("distributed", "tornado", "asyncio", "bokeh")
"""Loggers that print tracebacks about what is told here in one line."""
QUIET = logging.CRITICAL + 1
QUIET_CHILDREN = {f"DASK_LOGGING__{name.upper()}": "critical" for name in ("distributed", "tornado")}
GO_ON = "Run the same command again to go on: what is done is kept."
SAME = "Install the same versions on all computers of the cluster."

Client = Any
"""`distributed.Client`, of an extra that need not be installed."""


class SchedulerError(Her2ScopeError):
    """The scheduler or its workers cannot work: no slide of the run can go on. What is done is kept."""


class JobError(Exception):
    """A worker could not even read a job, or not send its answer."""


class WorkerDiedError(JobError):
    """Workers died over a job, again and again."""


class Job:
    """Work that a worker has, or had."""

    def __init__(self, future: Any) -> None:
        self.future = future

    def answer(self) -> Any:
        """What the work returned, once it ended; JobError, or SchedulerError where it was lost for good.

        Where the worker that kept the answer died since, the scheduler has it done again, and it is waited for.
        """
        from distributed import CancelledError, KilledWorker

        try:
            return pickle.loads(self.future.result())  # noqa: S301 - what our own worker pickled
        except CancelledError as error:
            raise SchedulerError(f"the scheduler does not know the work any more that it was given. {GO_ON}") from error
        except KilledWorker as error:
            raise WorkerDiedError from error
        except Exception as error:  # whatever the worker could not cope with
            raise JobError(one_line(error)) from error

    def cancel(self) -> None:
        """Have nothing more done about it."""
        with suppress(Exception):  # a scheduler that is gone does nothing more either
            self.future.cancel()


class Crew:
    """Workers behind a scheduler. Used by one thread.

    Parameters
    ----------
    client : distributed.Client
    name : what they are, in words
    """

    def __init__(self, client: Client, name: str) -> None:
        self._client, self.name = client, name
        self._n_workers, self._asked_s, self._seen_s = 0, -math.inf, time.monotonic()

    @property
    def n_workers(self) -> int:
        """Threads of all workers; 0 while there are none, and SchedulerError where there were none for too long."""
        now_s = time.monotonic()
        if now_s - self._asked_s >= ASKED_AGAIN_S:
            self._asked_s = now_s
            self._n_workers = self._ask_threads()
        if self._n_workers:
            self._seen_s = now_s
        elif now_s - self._seen_s > DESERTED_S:
            raise SchedulerError(f"{self.name}: all workers are gone. Start some. {GO_ON}")
        return self._n_workers

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Job:
        """Have a module's function called by a worker; it, its arguments and its answer can be pickled."""
        return Job(self._client.submit(TRAMPOLINE, _packed(function, *arguments), pure=False))

    def wait(self, jobs: Collection[Job], timeout_s: float) -> list[Job]:
        """Those of the jobs that ended, after the first of them or the time."""
        from distributed import CancelledError, wait

        # a job that was lost says so when it is asked
        with self._client.as_current(), suppress(TimeoutError, CancelledError):
            wait([job.future for job in jobs], timeout=timeout_s, return_when="FIRST_COMPLETED")
        self._check_there()
        return [job for job in jobs if job.future.done()]

    def ask(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Have one worker call a function, and wait for its answer; JobError where it comes to none."""
        job = self.submit(function, *arguments)
        while not self.wait([job], ASKED_AGAIN_S):
            self.n_workers  # noqa: B018 - raises where nobody is left to answer
        return job.answer()

    def _ask_threads(self) -> int:
        self._check_there()
        return int(self._client.scheduler_info(n_workers=0).get("total_threads", 0))

    def _check_there(self) -> None:
        if self._client.status != "running":
            raise SchedulerError(f"{self.name}: the scheduler is gone. Start it. {GO_ON}")


@contextmanager
def open_scheduler(text: str = LOCAL, workers: int | None = None) -> Iterator[Crew]:
    """The crew behind a scheduler, until the end of `with`; all slides of a run are done by one.

    Parameters
    ----------
    text : str
        `local`, threads of this computer; `processes` of it; or `tcp://HOST:PORT` of a `distributed` scheduler.
    workers : int, optional
        Threads or processes of this computer, each of which computes in one thread; one per core without it.

    Raises
    ------
    BadInputError
        For a text that is none of these.
    NotAvailableError
        Where Dask is not installed.
    SchedulerError
        Where a scheduler cannot be reached, has no workers, or runs with other versions: within some seconds.
    """
    _check(text, workers)
    _need_dask()
    with _quiet():
        if text.startswith(ADDRESS):
            with _cluster_crew(text) as crew:
                yield crew
        else:
            with _own_crew(workers or Workers().threads, text == PROCESSES) as crew:
                yield crew


def _check(text: str, workers: int | None) -> None:
    if text not in (LOCAL, PROCESSES) and not text.startswith(ADDRESS):
        raise BadInputError(f"scheduler '{text}' is not available. Available: {', '.join(SCHEDULERS)}.")
    if workers is not None and workers < 1:
        raise BadInputError(f"{workers} workers do nothing. Give --workers 1 or more.")
    if text.startswith(ADDRESS):
        host, _, port = text.removeprefix(ADDRESS).rpartition(":")
        if not host or not port.isdecimal():
            raise BadInputError(f"scheduler '{text}' is no address. Give it as tcp://HOST:PORT.")
        if workers is not None:
            raise BadInputError("--workers is for this computer alone: a cluster has the workers that it has.")


def _need_dask() -> None:
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        missing = NotAvailableError("program for slides", "dask", [])
        missing.args = ("whole slides need Dask. Install it with: pip install 'her2scope[slides]'.",)
        raise missing from error


# ---- this computer ------------------------------------------------------------------------------------------------


@contextmanager
def _own_crew(workers: int, as_processes: bool) -> Iterator[Crew]:
    from distributed import Client

    threads = cv2.getNumThreads()
    kind = "process" if as_processes else "thread"
    plural = "" if workers == 1 else "es" if as_processes else "s"
    with tempfile.TemporaryDirectory(prefix="her2scope-dask-", ignore_cleanup_errors=True) as scratch:
        try:
            with (
                _own_cluster(workers, as_processes, scratch) as cluster,
                Client(cluster, set_as_default=False) as client,
            ):
                yield Crew(client, f"{workers} {kind}{plural} of this computer")
        finally:
            cv2.setNumThreads(threads)  # the work set them to one


def _own_cluster(workers: int, as_processes: bool, scratch: str) -> Any:
    """Dask's own cluster of this computer, begun.

    A worker that is not heard of for five minutes would be taken for dead: so is every one of a computer that slept.
    """
    import dask
    from distributed import LocalCluster

    with _deaf_children(), dask.config.set({"distributed.scheduler.worker-ttl": None}):
        return LocalCluster(
            n_workers=workers if as_processes else 1,
            threads_per_worker=1 if as_processes else workers,
            processes=as_processes,
            host=LOOPBACK if as_processes else None,
            scheduler_kwargs={"dashboard": False, "dashboard_address": f"{LOOPBACK}:0"},
            worker_dashboard_address=f"{LOOPBACK}:0",
            memory_limit=0,  # what a tile takes is bounded; to be killed over it would help nobody
            silence_logs=QUIET,
            local_directory=scratch,
        )


@contextmanager
def _deaf_children() -> Iterator[None]:
    """Threads that begin now, and processes that these begin, never hear Ctrl+C: a terminal sends it to all of them.

    What comes meanwhile is heard by this thread afterwards.
    """
    if sys.platform == "win32":
        yield
        return
    resource_tracker.ensure_running()  # the thread that begins it can hear again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# ---- a cluster ----------------------------------------------------------------------------------------------------


@contextmanager
def _cluster_crew(address: str) -> Iterator[Crew]:
    from distributed import Client

    _check_scheduler(address)
    try:
        client = Client(address, timeout=CONNECT_S, set_as_default=False)
    except Exception as error:
        raise _unreachable(address, error) from error
    try:
        _check_workers(client, address)
        yield Crew(client, address)
    finally:
        with suppress(Exception):  # it says that the scheduler is gone, which was told
            client.close(timeout=CONNECT_S)


def _check_scheduler(address: str) -> None:
    """SchedulerError where no scheduler answers in time, or one of other versions; `distributed`'s own client waits."""
    try:
        kind, told = asyncio.run(asyncio.wait_for(_asked(address), CONNECT_S))
    except Exception as error:  # what is no scheduler can send anything
        raise _unreachable(address, error) from error
    if kind != "Scheduler":
        raise SchedulerError(f"{address}: this is a Dask {kind.lower()}. Give the address of the scheduler.")
    own = versions()
    theirs = {name: told["packages"].get(name) for name in ("dask", "distributed")}
    _refuse_misfit(f"the scheduler at {address}", theirs, {name: own[name] for name in theirs})


async def _asked(address: str) -> tuple[str, Mapping[str, Any]]:
    from distributed.core import rpc

    async with rpc(address) as scheduler:
        return str((await scheduler.identity())["type"]), await scheduler.versions()


def _unreachable(address: str, error: Exception) -> SchedulerError:
    why = one_line(error) if str(error) and not isinstance(error, TimeoutError) else "no answer"
    return SchedulerError(
        f"{address}: no scheduler can be reached there ({why}). Check the address and that `dask scheduler` runs."
    )


def _check_workers(client: Client, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=WORKERS_S)
    except TimeoutError as error:
        raise SchedulerError(
            f"{address}: the scheduler has no workers. Start some: dask worker {address} --nthreads 1"
        ) from error
    for worker, told in sorted(client.run(TRAMPOLINE, _packed(versions), on_error="return").items()):
        if isinstance(told, Exception):
            raise SchedulerError(f"worker {worker} cannot run her2scope ({one_line(told)}). {SAME}")
        _refuse_misfit(f"worker {worker}", pickle.loads(told), versions())  # noqa: S301 - what our own worker pickled


def _refuse_misfit(who: str, theirs: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    if text := misfit(theirs, own):
        raise SchedulerError(f"{who} has {text}. {SAME}")


def misfit(theirs: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    """In which versions another computer differs, in words; empty where it does not."""
    return ", ".join(
        f"{name} {theirs.get(name) or 'none'} (here {version})"
        for name, version in own.items()
        if theirs.get(name) != version
    )


# ---- what travels -------------------------------------------------------------------------------------------------


def _make_trampoline() -> Callable[[bytes], bytes]:
    """A function inside a function: it has no name that a worker would look up, and travels with its code."""

    def call(payload: bytes) -> bytes:
        import pickle

        function, arguments = pickle.loads(payload)  # noqa: S301 - what `_packed` made
        return pickle.dumps(function(*arguments), pickle.HIGHEST_PROTOCOL)

    return call


TRAMPOLINE = _make_trampoline()


def _packed(function: Callable[..., Any], *arguments: Any) -> bytes:
    return pickle.dumps((function, arguments), pickle.HIGHEST_PROTOCOL)


def one_line(error: BaseException) -> str:
    """What an error says, in its first line."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    """Dask's own words are kept from the screen, here and in processes that begin now."""
    import dask
    import distributed  # noqa: F401 - its loggers get their levels when it is imported

    loggers = [logging.getLogger(name) for name in logging.root.manager.loggerDict if name.split(".")[0] in LOUD]
    before = [(logger, logger.level) for logger in loggers]
    for logger in loggers:
        logger.setLevel(QUIET)
    environment = dask.config.get("distributed.nanny.pre-spawn-environ", {}) | QUIET_CHILDREN
    settings = {
        "distributed.nanny.pre-spawn-environ": environment,
        "distributed.scheduler.http.routes": [],  # nothing is served there
        "distributed.worker.http.routes": [],
    }
    try:
        with dask.config.set(settings):
            yield
    finally:
        for logger, level in before:
            logger.setLevel(level)
