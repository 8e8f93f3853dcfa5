"""Alter a copy of a closed case in a thousand ways, and count how many of them `her2scope session verify` finds.

    python scripts/alter_cases.py --times 1000
    python scripts/alter_cases.py --case FOLDER --json found.json

Without --case a small case of phantom fields is made. Changes of the folder alone are to be found in the folder alone,
without the heads that are kept elsewhere; a chain made anew as a whole, with a new manifest, by the ledger, and by the
head that a report prints where there is no ledger. Exit code 1 if a change was not found, or not where it was.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from her2scope.app.compose import make_analyser
from her2scope.domain.event_chain import START, ChainHead, next_digest
from her2scope.phantom.field import PhantomSpec, render_field
from her2scope.pipeline.clock import SystemClock
from her2scope.pipeline.session import CaseSession
from her2scope.ports import HeadLedger, KeptHead
from her2scope.records import Frame
from her2scope.segmentation.methods import CLOSED_CONTOURS
from her2scope.settings import Calibration, ScoringSettings
from her2scope.storage.case_store import DATABASE, FolderCaseStore
from her2scope.storage.findings import Verification
from her2scope.storage.head_ledger import MemoryHeadLedger
from her2scope.storage.manifest import MANIFEST, write_manifest
from her2scope.storage.verify import verify_case

SIZE_WH = (320, 240)
CASE_ID = "altered"
Rng = np.random.Generator
Rows = list[tuple[Any, ...]]
SELECT = "SELECT number, kind, at_utc, who, data, monotonic_us, digest FROM events ORDER BY number"
UPDATE = (
    "UPDATE events SET number = ?, kind = ?, at_utc = ?, who = ?, data = ?, monotonic_us = ?, digest = ? "
    "WHERE number = ?"
)


@dataclass
class Tally:
    """What became of one kind of change."""

    kind: str
    made: int = 0
    found: int = 0
    named: int = 0
    """Found, and said to be where it was."""
    missed: list[str] = field(default_factory=list)

    def count(self, found: Verification, where: Sequence[str], what: str) -> None:
        """Add one change, which lies at one of the places `where`."""
        named = any(item.where in where for item in found.findings)
        self.made, self.found, self.named = self.made + 1, self.found + (not found.sound), self.named + named
        if not named:
            self.missed.append(what)


@dataclass(frozen=True)
class Case:
    """A closed case, and what is kept of it elsewhere."""

    folder: Path
    ledger: HeadLedger
    head: ChainHead

    @contextmanager
    def copy(self) -> Iterator[Path]:
        """A copy of the folder, under its own name."""
        with tempfile.TemporaryDirectory(prefix="her2scope-alter-") as aside:
            yield Path(shutil.copytree(self.folder, Path(aside, self.folder.name)))


def make_case(root: Path) -> Case:
    """A closed case of two fields and a control below `root`."""
    ledger = MemoryHeadLedger()
    analyser = make_analyser(CLOSED_CONTOURS, ScoringSettings(), Calibration(), 1)
    store = FolderCaseStore(root, ledger)
    with closing(CaseSession(store.create(CASE_ID), analyser, SystemClock(), "who")) as session:
        session.read_control(_frame("3+", 0), "3+", "lot 1")
        session.accept(_frame("2+", 1))
        session.accept(_frame("2+", 2))
        session.annotate(1, "folded")
        session.finish()
    return Case(store.folder(CASE_ID), ledger, verify_case(store.folder(CASE_ID)).head)


def given_case(folder: Path) -> Case:
    """A closed case of somebody's, which stays as it is; ends this program where it is no use."""
    found = verify_case(folder)
    if not (found.sound and found.sealed):
        sys.exit(f"{folder} is no closed case that verifies: {(*found.findings, *found.notes)}")
    kept = KeptHead(found.case_id, "closed", SystemClock().now_utc(), found.head)
    return Case(folder, MemoryHeadLedger([kept]), found.head)


# ---- changes of bytes ---------------------------------------------------------------------------------------------


def change_bytes(case: Case, times: int, rng: Rng) -> list[Tally]:
    """Change single bytes, half of them anywhere, half in a file that is as likely as any other."""
    tallies = {kind: Tally(f"one byte of {kind}") for kind in ("the database", "an image", "the manifest")}
    with case.copy() as folder:
        files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "case.lock"]
        sizes = np.array([path.stat().st_size for path in files])
        for number in range(times):
            chosen = int(rng.choice(len(files), p=sizes / sizes.sum() if number % 2 else None))
            path, place = files[chosen], int(rng.integers(sizes[chosen]))
            with changed_byte(path, place, int(rng.integers(1, 256))):
                found = verify_case(folder, results=False)
            name = path.relative_to(folder).as_posix()
            kind = {DATABASE: "the database", MANIFEST: "the manifest"}.get(name, "an image")
            tallies[kind].count(found, [name], f"byte {place} of {name}")
        if not verify_case(folder).sound:
            sys.exit("The copy is not as it was: the changes were not taken back.")
    return list(tallies.values())


@contextmanager
def changed_byte(path: Path, place: int, difference: int) -> Iterator[None]:
    """Change one byte, and change it back."""
    content = path.read_bytes()
    changed = bytearray(content)
    changed[place] ^= difference
    path.write_bytes(changed)
    try:
        yield
    finally:
        path.write_bytes(content)


def cut_files(case: Case, times: int, rng: Rng) -> Tally:
    """Cut the end off a file."""
    tally = Tally("a file cut short")
    with case.copy() as folder:
        files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "case.lock"]
        for _ in range(times):
            path = files[int(rng.integers(len(files)))]
            content = path.read_bytes()
            length = int(rng.integers(len(content)))
            path.write_bytes(content[:length])
            name = path.relative_to(folder).as_posix()
            tally.count(verify_case(folder, results=False), [name], f"{name} cut to {length} bytes")
            path.write_bytes(content)
    return tally


def swap_images(case: Case, times: int, rng: Rng) -> Tally:
    """Let two images change places."""
    tally = Tally("two images swapped")
    with case.copy() as folder:
        images = sorted((folder / "images").iterdir())
        for _ in range(times):
            one, other = (images[int(i)] for i in rng.choice(len(images), 2, replace=False))
            _swap(one, other)
            names = [f"images/{path.name}" for path in (one, other)]
            tally.count(verify_case(folder, results=False), names, f"{names[0]} and {names[1]}")
            _swap(one, other)
    return tally


def _swap(one: Path, other: Path) -> None:
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)


# ---- changes of events --------------------------------------------------------------------------------------------


def cut_tails(case: Case) -> list[Tally]:
    """Remove the last 1, 2, ... events; then close the case anew, which only what is kept elsewhere can tell."""
    plain = Tally("the last events removed")
    closed, printed = Tally("... and closed anew, by the ledger"), Tally("... and closed anew, by the printed head")
    for n_left in range(case.head.n_events - 1, 0, -1):
        with case.copy() as folder:
            rewrite(folder, lambda rows, n=n_left: rows[:n])  # type: ignore[misc]
            where = [f"event {n_left + 1}"]
            plain.count(verify_case(folder), where, f"all after event {n_left}")
            _close_anew(folder)
            _count_outside(case, folder, (closed, printed), where, f"all after event {n_left}")
    return [plain, closed, printed]


def reorder(case: Case) -> Tally:
    """Let two events that follow one another change places."""
    tally = Tally("two events swapped")
    for first in range(1, case.head.n_events):
        with case.copy() as folder:
            rewrite(folder, lambda rows, n=first: _swapped(rows, n))  # type: ignore[misc]
            where = [f"event {first}", f"event {first + 1}"]
            tally.count(verify_case(folder), where, f"events {first} and {first + 1}")
    return tally


def make_anew(case: Case) -> list[Tally]:
    """Change one event, make the chain anew from there, and close the case with a new manifest."""
    kept, printed = Tally("chain made anew, by the ledger"), Tally("chain made anew, by the printed head")
    for number in range(1, case.head.n_events + 1):
        with case.copy() as folder:
            rewrite(folder, lambda rows, n=number: _recomputed(rows, n))  # type: ignore[misc]
            _close_anew(folder)
            where = [f"event {case.head.n_events}"]
            _count_outside(case, folder, (kept, printed), where, f"from event {number} on")
    return [kept, printed]


def _count_outside(case: Case, folder: Path, tallies: tuple[Tally, Tally], where: list[str], what: str) -> None:
    """A case that is whole in itself: what the ledger says of it, and what a printed head."""
    if not verify_case(folder).sound:
        sys.exit(f"{what}: the folder was to be whole in itself, and is not.")
    by_ledger, by_head = tallies
    by_ledger.count(verify_case(folder, case.ledger), where, what)
    by_head.count(verify_case(folder, printed_heads=[case.head.digest]), ["printed head"], what)


def rewrite(folder: Path, change: Callable[[Rows], Rows]) -> None:
    """Write the events anew, past what guards them, which is put back afterwards."""
    with closing(sqlite3.connect(folder / DATABASE, isolation_level=None)) as connection:
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        rows = connection.execute(SELECT).fetchall()
        left = change(rows)
        connection.executemany(UPDATE, [(*row, row[0]) for row in left])
        connection.execute("DELETE FROM events WHERE number > ?", (len(left),))
        for _, statement in triggers:
            connection.execute(statement)


def _swapped(rows: Rows, first: int) -> Rows:
    one, other = rows[first - 1], rows[first]
    return [*rows[: first - 1], (one[0], *other[1:]), (other[0], *one[1:]), *rows[first + 1 :]]


def _recomputed(rows: Rows, changed: int) -> Rows:
    """One event by somebody else, and the digests that belong to it."""
    made: Rows = []
    previous = START
    for number, kind, at_utc, who, data, monotonic_us, _ in rows:
        by = "somebody else" if number == changed else who
        previous = next_digest(previous, number, kind, at_utc, by, data, monotonic_us)
        made.append((number, kind, at_utc, by, data, monotonic_us, previous))
    return made


def _close_anew(folder: Path) -> None:
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        number, digest = connection.execute("SELECT number, digest FROM events ORDER BY number DESC").fetchone()
    write_manifest(folder, folder.name, ChainHead(number, digest))


# ---- all of it ----------------------------------------------------------------------------------------------------


def alter(case: Case, times: int, seed: int) -> list[Tally]:
    """All kinds of changes: `times` single bytes, and of the others what there is or a twentieth of that."""
    rng = np.random.default_rng(seed)
    few = max(times // 20, 3)
    return [
        *change_bytes(case, times, rng),
        cut_files(case, few, rng),
        swap_images(case, few, rng),
        *cut_tails(case),
        reorder(case),
        *make_anew(case),
    ]


def main() -> int:
    """Run it and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", type=Path, metavar="FOLDER", help="a closed case; it is copied and stays as it is")
    parser.add_argument("--times", type=int, default=1000, help="how many single bytes to change (1000)")
    parser.add_argument("--seed", type=int, default=0, help="of the random changes (0)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the counts")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="her2scope-alter-") as root:
        tallies = alter(
            given_case(options.case) if options.case else make_case(Path(root)), options.times, options.seed
        )
    for tally in tallies:
        print(f"{tally.kind + ':':42} {tally.made:5} made, {tally.found:5} found, {tally.named:5} where they were")
        for what in tally.missed:
            print(f"  not found where it was: {what}")
    made, found, named = (sum(getattr(tally, name) for tally in tallies) for name in ("made", "found", "named"))
    print(f"{'all:':42} {made:5} made, {found:5} found, {named:5} where they were")
    if options.json:
        options.json.write_text(json.dumps([asdict(tally) for tally in tallies], indent=1))
    return 0 if named == made else 1


def _frame(score: str, number: int) -> Frame:
    spec = PhantomSpec(score, 21, number, SIZE_WH, difficulty="easy", camera="linear")
    return Frame(render_field(spec).rgb, number, 0.0, spec.um_per_px, name=f"{number}.png")


if __name__ == "__main__":
    sys.exit(main())
