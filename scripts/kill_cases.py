"""Kill a program at random instants while it opens, fills, seals, closes and upgrades cases, and look what is left.

    python scripts/kill_cases.py --times 200

A child process works on one case after another, and tells on a pipe which step it begins and, once the store's call
has returned, that it is done. It is killed after a random time. Then every event it reported done has to be there with
its image, each database has to open, its chain to hold, and `session verify` to find nothing: as the kill left the
case, and again after it was opened, written to and closed. Some cases are of an older release, so that the kill meets
upgrades too. Exit code 1 if anything is missing.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.errors import Her2ScopeError
from her2scope.domain.events import Event, EventKind
from her2scope.ports import CaseFile, CaseReading
from her2scope.records import image_digest
from her2scope.storage.case_store import FolderCaseStore
from her2scope.storage.head_ledger import FileHeadLedger
from her2scope.storage.verify import verify_case

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from storage import older_cases  # type: ignore[import-not-found]  # noqa: E402 - the released schemas, once

AT = "2026-05-01T10:00:00.000+00:00"
N_OLDER_EVENTS = 6
OLDER_DATA_BYTES = 100_000
"""Of the order of a field's: an upgrade takes long enough to be met by a kill."""
LONGEST_LIFE_S = 0.5
TOO_EARLY_S = 0.05
"""By which a hasty child reports a step before it begins."""
READY_S = 60.0
LOADED = ["her2scope.storage.case_database", "her2scope.storage.migrations.run", "her2scope.storage.verify"]
"""What every child would load: a server loads it once and forks."""


@dataclass
class Tally:
    """What all kills together showed."""

    kills: int = 0
    during: dict[str, int] = field(default_factory=dict)
    """Kills by the step that they interrupted."""
    events_reported: int = 0
    lost: list[str] = field(default_factory=list)
    """Events and cases that were reported done and are not there, with the reason."""
    cases: int = 0
    opened: int = 0
    chains_verified: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def found_fault(self) -> bool:
        """Whether anything is not as it was reported."""
        return bool(self.lost or self.problems) or not self.cases == self.opened == self.chains_verified

    def summary(self) -> str:
        """Two lines for the log."""
        steps = ", ".join(f"{step} {n}" for step, n in sorted(self.during.items()))
        return (
            f"kills {self.kills}, events reported {self.events_reported}, lost {len(self.lost)}, "
            f"cases {self.cases}, databases opened {self.opened}, chains verified {self.chains_verified}\n"
            f"killed while: {steps}"
        )


# The child


def work(home: Path, older_first: bool, hasty: bool, tell: Connection) -> None:
    """Work on older and new cases by turns, until the end.

    Parameters
    ----------
    hasty : report each step before it is done, to show that this is found
    """
    store = store_in(home)

    @contextmanager
    def step(name: str, case_id: str, number: int = 0) -> Iterator[None]:
        tell.send(("begin", name, case_id, number))
        if hasty:
            tell.send(("done", name, case_id, number))
            time.sleep(TOO_EARLY_S)
        yield
        if not hasty:
            tell.send(("done", name, case_id, number))

    def append(case: CaseFile, number: int) -> None:
        with step("append", case.case_id, number):
            case.append(event(case.case_id, number), [picture(case.case_id, number)])

    def seal(case: CaseFile) -> None:
        with step("seal", case.case_id):
            case.seal("signed")

    def close(case: CaseFile) -> None:
        with step("close", case.case_id):
            case.close()

    tell.send(("ready",))
    older = sorted(folder.name for folder in (home / "cases").iterdir())
    for turn in count(0 if older_first else 1):
        if turn % 2 == 0 and older:
            case_id = older.pop()
            with step("upgrade", case_id):
                case = store.open(case_id)
        else:
            case_id = f"case {turn}"
            with step("create", case_id):
                case = store.create(case_id)
        last = len(case.events())
        append(case, last + 1)
        append(case, last + 2)
        seal(case)
        append(case, last + 3)
        close(case)
        with step("open", case_id):
            case = store.open(case_id)
        append(case, last + 4)
        close(case)


def store_in(home: Path) -> FolderCaseStore:
    """Cases and their ledger below `home`, as the program has them."""
    return FolderCaseStore(home / "cases", FileHeadLedger(home / "case-heads.jsonl"))


def event(case_id: str, number: int) -> Event:
    """The event of that number: who finds it again knows what has to stand in it."""
    data = {"image": image_digest(picture(case_id, number)), "measures": [number / 7] * 2000}
    return Event(number, EventKind.RESUMED, AT, case_id, data, number)


def picture(case_id: str, number: int) -> NDArray[np.uint8]:
    """The image of that event."""
    seed = [*case_id.encode(), number]
    return np.random.default_rng(seed).integers(0, 256, (60, 80, 3), np.uint8)


def older_event(number: int) -> tuple[str, str, str, str]:
    """Row of an event in a case of an older release."""
    return "resumed", AT, "who", json.dumps({"number": number, "measures": "x" * OLDER_DATA_BYTES})


# What kills it, and looks


def kill_once(home: Path, life_s: float, older_first: bool, hasty: bool) -> list[tuple[str, str, str, int]]:
    """What a child said that was killed `life_s` after it was ready."""
    for schema in (1, 2):
        rows = [older_event(number) for number in range(1, N_OLDER_EVENTS + 1)]
        older_cases.write(home / "cases" / f"older {schema}", schema, rows)
    said, tell = CONTEXT.Pipe(duplex=False)
    child = CONTEXT.Process(  # type: ignore[attr-defined]
        target=work, args=(home, older_first, hasty, tell)
    )
    child.start()
    tell.close()
    with said:
        if not said.poll(READY_S) or said.recv() != ("ready",):
            sys.exit("The child did not start.")
        time.sleep(life_s)
        child.kill()
        child.join()
        return list(_heard(said))


def _heard(said: Connection) -> Iterator[tuple[str, str, str, int]]:
    while True:
        try:
            yield said.recv()
        except EOFError:
            return


def check(home: Path, heard: list[tuple[str, str, str, int]], tally: Tally) -> None:
    """Look for all that one killed child reported, and open whatever it left."""
    tally.kills += 1
    step = interrupted(heard)
    tally.during[step] = tally.during.get(step, 0) + 1
    done = [(case_id, number) for what, name, case_id, number in heard if what == "done" and name == "append"]
    tally.events_reported += len(done)
    store = store_in(home)
    left = {summary.case_id for summary in store.cases()}
    tally.lost += [f"case {item[2]} is not there" for item in heard if item[0] == "done" and item[2] not in left]
    for case_id in sorted(left):
        tally.cases += 1
        try:
            check_case(home, case_id, [number for of_case, number in done if of_case == case_id], tally)
        except Her2ScopeError as error:
            tally.problems.append(str(error))


def check_case(home: Path, case_id: str, reported: list[int], tally: Tally) -> None:
    """Read a case as the kill left it, then open it, go on and close it."""
    store = store_in(home)
    with closing(store.read(case_id)) as case:
        tally.lost += [f"{case_id}, event {number}: {why}" for number, why in missing(case, reported)]
    sound = is_sound(home, case_id, tally)
    with closing(store.open(case_id)) as case:
        tally.opened += 1
        last = len(case.events())
        case.append(event(case_id, last + 1), [picture(case_id, last + 1)])
    tally.chains_verified += sound and is_sound(home, case_id, tally)


def missing(case: CaseReading, reported: list[int]) -> Iterator[tuple[int, str]]:
    """Reported events that are not there as they were, and why."""
    events = {item.number: item for item in case.events()}
    for number in reported:
        if events.get(number) != event(case.case_id, number):
            yield number, "it is not there as it was"
        elif not np.array_equal(case.image(events[number].data["image"]), picture(case.case_id, number)):
            yield number, "its image is another"


def is_sound(home: Path, case_id: str, tally: Tally) -> bool:
    """Whether `session verify` finds nothing."""
    ledger = FileHeadLedger(home / "case-heads.jsonl")
    findings = verify_case(home / "cases" / case_id, ledger, results=False).findings
    tally.problems += [f"{case_id}: {finding.where}: {finding.words}" for finding in findings]
    return not findings


def interrupted(heard: list[tuple[str, str, str, int]]) -> str:
    """Step that was begun and not done."""
    if not heard:
        return "before the first step"
    what, step, _, _ = heard[-1]
    return step if what == "begin" else f"after {step}"


def main() -> int:
    """Run the test and say what it showed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=200, help="how often to kill (200)")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments (0)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures as JSON")
    parser.add_argument("--hasty", action="store_true", help="a child that reports too early: it has to be found")
    options = parser.parse_args()
    tally, moments = Tally(), random.Random(options.seed)  # noqa: S311 - moments to kill at
    for turn in range(options.times):
        with tempfile.TemporaryDirectory(prefix="her2scope-kill-") as home:
            life_s = moments.uniform(0.0, LONGEST_LIFE_S)
            check(Path(home), kill_once(Path(home), life_s, turn % 2 == 0, options.hasty), tally)
    for line in (*tally.lost, *tally.problems):
        print(line)
    print(tally.summary())
    if options.json:
        options.json.write_text(json.dumps(asdict(tally), indent=1) + "\n", encoding="utf-8")
    return 1 if tally.found_fault else 0


CAN_FORK = "forkserver" in multiprocessing.get_all_start_methods()
CONTEXT = multiprocessing.get_context("forkserver" if CAN_FORK else "spawn")

if __name__ == "__main__":
    if CAN_FORK:
        multiprocessing.set_forkserver_preload(LOADED)
    sys.exit(main())
