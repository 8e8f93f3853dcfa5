"""Kill the demo at random moments and check that every field it reported is in its case.

    python scripts/kill_test.py --times 50

The demo runs once to its end to learn how long that takes; then it is started and killed, `--times` times, each time
with a data folder of its own. Exit code 1 if a reported field or its image is lost, or a case cannot be opened.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from her2scope.domain.errors import StoreError
from her2scope.domain.events import EventKind
from her2scope.storage.case_store import FolderCaseStore

DEMO = (sys.executable, "-m", "her2scope", "demo", "--headless", "--out", "{out}")
REPORTED = re.compile(r"^accepted field (\d+) of case (.+)$")
DIGEST = re.compile(r"[0-9a-f]{64}")
MAX_RUN_S = 600.0
PREFIX = "her2scope-kill-"


@dataclass
class Tally:
    """What all kills together showed."""

    kills: int = 0
    ended_before_kill: int = 0
    during_fields: int = 0
    """Kills that fell after the first field and before the last."""
    reported: int = 0
    opened: int = 0
    no_case_yet: int = 0
    lost: list[str] = field(default_factory=list)
    """Reported fields that are not in their case, or whose image cannot be read, with the reason."""
    damaged: list[str] = field(default_factory=list)

    @property
    def found_fault(self) -> bool:
        """Whether anything that was reported is not there."""
        return bool(self.lost or self.damaged)

    def summary(self) -> str:
        """One line for the log."""
        return (
            f"kills {self.kills}, fields reported {self.reported}, lost {len(self.lost)}, "
            f"cases opened {self.opened}, cases damaged {len(self.damaged)}, "
            f"killed while fields were accepted {self.during_fields}, before there was a case {self.no_case_yet}, "
            f"ended before the kill {self.ended_before_kill}"
        )


@dataclass(frozen=True)
class Run:
    """One run of the demo, complete or killed."""

    reported: tuple[tuple[str, int], ...]
    """Case and number of each field in the order of its line."""
    killed: bool
    returncode: int
    took_s: float
    errors: str


def run_demo(command: Sequence[str], home: Path, life_s: float) -> Run:
    """Run the program with the data folder `home` and kill it after `life_s`, if it still lives."""
    command = [part.replace("{out}", str(home / "report")) for part in command]
    environment = {**os.environ, "HER2SCOPE_HOME": str(home), "QT_QPA_PLATFORM": "offscreen"}
    # Files, not pipes: what was written before the kill is still there after it.
    with (home / "stdout.txt").open("wb") as stdout, (home / "stderr.txt").open("wb") as stderr:
        started_s = time.monotonic()
        program = subprocess.Popen(command, stdout=stdout, stderr=stderr, env=environment)
        try:
            program.wait(life_s)
        except subprocess.TimeoutExpired:
            pass
        finally:
            killed = program.poll() is None
            program.kill()
            program.wait()
        took_s = time.monotonic() - started_s
    output, errors = ((home / name).read_text("utf-8", "replace") for name in ("stdout.txt", "stderr.txt"))
    return Run(tuple(_reported(output)), killed, program.returncode, took_s, errors)


def check_cases(root: Path, run: Run, tally: Tally) -> None:
    """Open every case of one run and look for all that the run reported."""
    store = FolderCaseStore(root)
    stored: dict[str, dict[int, str | None]] = {}
    for summary in store.cases():
        try:
            stored[summary.case_id] = _stored_fields(store, summary.case_id)
            tally.opened += 1
        except StoreError as error:
            tally.damaged.append(str(error))
    if not stored:
        tally.no_case_yet += 1
    for case_id, number in run.reported:
        tally.reported += 1
        problem = stored.get(case_id, {}).get(number, "it is not in the case")
        if problem:
            tally.lost.append(f"field {number} of case {case_id}: {problem}")


def learn(command: Sequence[str]) -> Run:
    """One complete run, checked; ends this program where it is no use."""
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix=PREFIX) as home:
        whole = run_demo(command, Path(home), MAX_RUN_S)
        if whole.killed or whole.returncode != 0 or not whole.reported:
            sys.exit(
                f"The complete run is no use: exit code {whole.returncode}, {len(whole.reported)} fields reported "
                f"in {whole.took_s:.0f} s.\n{whole.errors[-2000:]}"
            )
        check_cases(Path(home, "cases"), whole, tally)
    print(f"complete run: {tally.reported} fields in {whole.took_s:.1f} s")
    if tally.found_fault:
        sys.exit("Even the complete run lost something:\n" + "\n".join([*tally.lost, *tally.damaged]))
    return whole


def kill_repeatedly(command: Sequence[str], times: int, seed: int) -> Tally:
    """Kill `times` runs at moments spread evenly over the time that a complete one takes.

    A run that is quicker than its kill is checked too; another one is started, up to `times` more.
    """
    whole = learn(command)
    normal_s = whole.took_s
    tally, rng = Tally(), np.random.default_rng(seed)
    while tally.kills < times and tally.ended_before_kill < times:
        with tempfile.TemporaryDirectory(prefix=PREFIX) as home:
            run = run_demo(command, Path(home), float(rng.uniform(0.0, normal_s)))
            tally.kills += run.killed
            tally.ended_before_kill += not run.killed
            tally.during_fields += run.killed and 0 < len(run.reported) < len(whole.reported)
            check_cases(Path(home, "cases"), run, tally)
        if not run.killed:
            # The first run may have been slowed by cold caches: kills after the end would show nothing.
            normal_s = run.took_s
    return tally


def main() -> int:
    """Run the test and say what it showed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=50, help="how often to kill (50)")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments (0)")
    parser.add_argument(
        "command", nargs="*", help="another program than the demo, after --; {out} is its report folder"
    )
    options = parser.parse_args()
    tally = kill_repeatedly(options.command or DEMO, options.times, options.seed)
    for line in (*tally.lost, *tally.damaged):
        print(line)
    print(tally.summary())
    return 1 if tally.found_fault else 0


def _reported(text: str) -> Iterator[tuple[str, int]]:
    """Fields that whole lines report; a line cut off by the kill reports nothing."""
    for line in text.split("\n")[:-1]:
        match = REPORTED.match(line.rstrip("\r"))
        if match:
            yield match[2], int(match[1])


def _stored_fields(store: FolderCaseStore, case_id: str) -> dict[int, str | None]:
    """Number of each accepted field, with what is wrong with its images, None where nothing is."""
    with closing(store.open(case_id)) as case:
        problems: dict[int, str | None] = {}
        for event in case.events():
            if event.kind is EventKind.FIELD_ACCEPTED:
                problems[event.data["field"]] = _image_problem(case.image, list(_digests(event.data)))
        return problems


def _image_problem(read: Any, digests: list[str]) -> str | None:
    if not digests:
        return "its event names no image"
    try:
        for digest in digests:
            read(digest)
    except StoreError as error:
        return str(error)
    return None


def _digests(value: Any, key: str = "") -> Iterator[str]:
    """Digests of images in an event's data: all but those of model files, whose key says `sha256`."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _digests(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from _digests(item, key)
    elif isinstance(value, str) and DIGEST.fullmatch(value) and not key.endswith("sha256"):
        yield value


if __name__ == "__main__":
    sys.exit(main())
