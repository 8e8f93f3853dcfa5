"""Cases on disk: one folder each, `case.sqlite`, `images/`, `case.lock`, and `manifest.json` while nobody writes.

What `append` has acknowledged survives the end of the program, of the system and of the power. The order is
the reason: images first, flushed and named, then their event in one transaction. A crash between the two leaves
an image that no event names, never an event without its image.

A sealed case has a manifest of all its files. Before it is written to again, the ledger outside its folder learns that
it was opened, and then the manifest goes: a case without one was open when its program ended, or was tampered with, and
the ledger tells which.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.errors import CaseNotFoundError, StoreError
from her2scope.domain.event_chain import ChainHead
from her2scope.domain.events import Event
from her2scope.pipeline.clock import SystemClock
from her2scope.ports import CaseSummary, Clock, HeadLedger, KeptHead, SealReason
from her2scope.storage import kept_heads
from her2scope.storage.case_ids import check_case_id
from her2scope.storage.case_lock import CaseLock, is_locked, locked_text
from her2scope.storage.durable_files import ONLY_OWNER_FILE, ONLY_OWNER_FOLDER, flush_folder, remove_part_files
from her2scope.storage.event_data import data_as_json
from her2scope.storage.failures import damaged, gone, in_words, sqlite_code
from her2scope.storage.images import ImageFolder, check_image, remove
from her2scope.storage.manifest import MANIFEST, remove_manifest, write_manifest
from her2scope.storage.summaries import newest_first, summarise, unreadable

if TYPE_CHECKING:
    from her2scope.storage.case_database import CaseDatabase

# `case_database` is imported where a database is opened: SQLAlchemy takes a quarter of a second to load, and scoring
# images from the command line needs none.
DATABASE, IMAGES, LOCK = "case.sqlite", "images", "case.lock"
UNBORN = ".new-"
"""Beginning of a folder in which a case is being made."""
UNBORN_MAX_AGE_S = 3600.0


class SqliteCaseFile:
    """One open case (see `ports.CaseFile`). Threads may take turns; calls at the same time wait for each other."""

    def __init__(self, folder: Path, ledger: HeadLedger | None, clock: Clock) -> None:
        """Claim the case in `folder`, which `FolderCaseStore` has checked to be there."""
        from her2scope.storage.case_database import CaseDatabase

        self.case_id = folder.name
        self.folder = folder
        self._ledger, self._clock = ledger, clock
        self._images = ImageFolder(folder / IMAGES, self.case_id)
        self._turn = threading.Lock()
        self._database: CaseDatabase | None = None
        with in_words(f"open case {self.case_id}", folder):
            self._lock = CaseLock(folder / LOCK, self.case_id)
            try:
                self._images.folder.mkdir(mode=ONLY_OWNER_FOLDER, exist_ok=True)
                remove_part_files(folder)
                remove_part_files(self._images.folder)
                self._database = CaseDatabase(folder / DATABASE, self.case_id)
            except BaseException:
                self._lock.release()
                raise
        self._sealed = (folder / MANIFEST).exists()
        """Whether the manifest is that of all there is, and the ledger knows it."""
        self._kept_as_opened = False
        """Whether the ledger knows that this program writes, and no manifest lies in its way."""

    def append(self, event: Event, images: Sequence[NDArray[np.uint8]] = ()) -> None:
        """Write an event and the images it names by digest; durable when it returns."""
        data = data_as_json(event, self.case_id)
        for image in images:
            check_image(image)
        with self._at_work(f"save event {event.number} of case {self.case_id}") as database:
            self._unseal(database)
            new = self._images.add(images)
            try:
                database.append(event, data)
            except (sqlite3.Error, StoreError) as error:
                if not _may_be_saved(error):
                    remove(new)
                raise

    def events(self) -> tuple[Event, ...]:
        """All events so far, in order; CaseDamagedError where one is missing, altered or unreadable."""
        with self._at_work(f"read case {self.case_id}") as database:
            return database.events()

    def image(self, digest: str) -> NDArray[np.uint8]:
        """Image with that `records.image_digest`, read-only; CaseDamagedError where it is missing or altered."""
        with self._at_work(f"read an image of case {self.case_id}"):
            return self._images.read(digest)

    def head(self) -> ChainHead:
        """Where the chain of its events ends now."""
        with self._at_work(f"read case {self.case_id}") as database:
            return database.head()

    def doubt(self) -> str:
        """Why the case is not the one whose heads the ledger keeps, in words; empty where it is."""
        with self._at_work(f"compare case {self.case_id} with what was kept of it") as database:
            kept = self._ledger.of_case(self.case_id) if self._ledger is not None else ()
            return kept_heads.doubt(kept, database.digests())

    def seal(self, what: SealReason) -> None:
        """Write the manifest of all files, and keep the chain's head outside the case; durable when it returns."""
        with self._at_work(f"seal case {self.case_id}") as database:
            self._seal(database, what)

    def close(self) -> None:
        """Let go of the case, sealed where that is possible. Safe to call twice."""
        with self._turn:
            database, self._database = self._database, None
            if database is None:
                return
            # All that was acknowledged is on disk already: no failure from here on can lose any of it.
            if not self._sealed and self._in_place():
                with suppress(OSError, sqlite3.Error, StoreError):
                    self._seal(database, "closed")
            with suppress(sqlite3.Error):
                database.close()
            with suppress(OSError):
                self._lock.release()

    def _seal(self, database: CaseDatabase, what: SealReason) -> None:
        database.empty_journal()
        head = database.head()
        self._kept_as_opened = False  # from here on a manifest may lie there, also where one of the steps fails
        digest = write_manifest(self.folder, self.case_id, head)
        self._keep(what, head, digest)
        self._sealed = True

    def _unseal(self, database: CaseDatabase) -> None:
        """Make the case one that is being written; the ledger first, or a crash here would look like tampering."""
        if not self._kept_as_opened:
            self._keep("opened", database.head())
            self._sealed = False
            remove_manifest(self.folder)
            self._kept_as_opened = True

    def _keep(self, what: SealReason, head: ChainHead, manifest_sha256: str = "") -> None:
        if self._ledger is not None:
            self._ledger.keep(KeptHead(self.case_id, what, self._clock.now_utc(), head, manifest_sha256))

    @contextmanager
    def _at_work(self, doing: str) -> Iterator[CaseDatabase]:
        """Take the turn, make sure of the folder before and after, and put failures into words."""
        with self._turn, in_words(doing, self.folder):
            if self._database is None:
                raise StoreError(f"Could not {doing}: it was closed. Open the case again.")
            # SQLite would go on writing into a deleted file, and what it wrote would be gone with the program.
            self._check_in_place(doing)
            yield self._database
            self._check_in_place(doing)

    def _check_in_place(self, doing: str) -> None:
        if not self._in_place():
            raise gone(doing, self.folder)

    def _in_place(self) -> bool:
        return self._lock.in_place() and (self.folder / DATABASE).exists()


class StoredCase:
    """A case on disk, to read only (see `ports.CaseReading`): it holds nothing open, locks nothing, writes nothing."""

    def __init__(self, folder: Path) -> None:
        self.case_id = folder.name
        self.folder = folder
        self._images = ImageFolder(folder / IMAGES, self.case_id)
        self._is_open = True

    def events(self) -> tuple[Event, ...]:
        """All events so far, in order; CaseDamagedError where one is missing, altered or unreadable."""
        from her2scope.storage.case_database import stored_events

        with self._at_work(f"read case {self.case_id}"):
            return stored_events(self.folder / DATABASE, self.case_id)

    def image(self, digest: str) -> NDArray[np.uint8]:
        """Image with that `records.image_digest`, read-only; CaseDamagedError where it is missing or altered."""
        with self._at_work(f"read an image of case {self.case_id}"):
            return self._images.read(digest)

    def head(self) -> ChainHead:
        """Where the chain of its events ends now."""
        from her2scope.storage.case_database import stored_head

        with self._at_work(f"read case {self.case_id}"):
            return stored_head(self.folder / DATABASE, self.case_id)

    def close(self) -> None:
        """Let go of the case. Safe to call twice."""
        self._is_open = False

    @contextmanager
    def _at_work(self, doing: str) -> Iterator[None]:
        with in_words(doing, self.folder):
            if not self._is_open:
                raise StoreError(f"Could not {doing}: it was closed. Open the case again.")
            if not (self.folder / DATABASE).exists():
                raise gone(doing, self.folder)
            yield


class FolderCaseStore:
    """Cases in the folders of `root` (see `ports.CaseStore`)."""

    def __init__(self, root: Path, ledger: HeadLedger | None = None, clock: Clock | None = None) -> None:
        """Cases below `root`; `ledger` keeps the heads of their chains, None: nobody does."""
        self.root = root
        self._ledger, self._clock = ledger, clock or SystemClock()

    def folder(self, case_id: str) -> Path:
        """Folder of a case, whether or not it is there."""
        check_case_id(case_id)
        return self.root / case_id

    def create(self, case_id: str) -> SqliteCaseFile:
        """Start a case; StoreError where the id is taken or cannot be a folder name."""
        folder = self.folder(case_id)
        with in_words(f"start case {case_id}", self.root):
            self.root.mkdir(mode=ONLY_OWNER_FOLDER, parents=True, exist_ok=True)
            if folder.exists():
                raise _taken(case_id)
            self._check_is_new(case_id)
            _remove_unborn(self.root)
            self._make(folder)
        return self._opened(folder)

    def open(self, case_id: str) -> SqliteCaseFile:
        """Open a case; CaseNotFoundError, CaseLockedError, CaseDamagedError."""
        return self._opened(self._present(case_id))

    def read(self, case_id: str) -> StoredCase:
        """Open a case to read only, whoever has it open; CaseNotFoundError, CaseDamagedError."""
        case = StoredCase(self._present(case_id))
        case.head()  # a database that is none, or of a newer her2scope, is said at once
        return case

    def cases(self) -> tuple[CaseSummary, ...]:
        """All cases, newest first; a damaged or locked one is listed, never an error."""
        with in_words("list the cases", self.root):
            if not self.root.exists():
                return ()
            folders = [item for item in self.root.iterdir() if not item.name.startswith(".") and _is_case(item)]
        return newest_first(_summary(folder) for folder in folders)

    def _opened(self, folder: Path) -> SqliteCaseFile:
        return SqliteCaseFile(folder, self._ledger, self._clock)

    def _present(self, case_id: str) -> Path:
        folder = self.folder(case_id)
        with in_words(f"open case {case_id}", self.root):
            if not folder.is_dir():
                raise CaseNotFoundError(f"There is no case {case_id} in {self.root}. Check its name.")
            _check_database_is_there(folder)
        return folder

    def _check_is_new(self, case_id: str) -> None:
        """Raise StoreError for the name of a case that is gone: whoever verifies the new one would miss its events."""
        was_here = False
        with suppress(StoreError):  # a damaged ledger is said by `verify`, and keeps nobody from reading a slide
            if self._ledger is not None and self._ledger.knows(case_id):
                was_here = any(entry.head.n_events for entry in self._ledger.of_case(case_id))
        if was_here:
            raise StoreError(
                f"There was a case {case_id} here, and its folder is gone. Choose another name, or bring it back from "
                "a backup or a bundle."
            )

    def _make(self, folder: Path) -> None:
        """Make the case aside and rename it: a case is there with all its parts, or not at all."""
        from her2scope.storage.sqlite_engine import start

        aside = Path(tempfile.mkdtemp(prefix=UNBORN, dir=self.root))
        try:
            (aside / IMAGES).mkdir(mode=ONLY_OWNER_FOLDER)
            # SQLite would make the file readable for everyone; its journal takes over the file's mode.
            (aside / DATABASE).touch(mode=ONLY_OWNER_FILE)
            start(aside / DATABASE, folder.name, self._clock.now_utc())
            flush_folder(aside)
            _rename_unless_taken(aside, folder)
            flush_folder(self.root)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def _check_database_is_there(folder: Path) -> None:
    if not (folder / DATABASE).is_file():
        raise damaged(folder.name, f"its {DATABASE} is missing")


def _may_be_saved(error: Exception) -> bool:
    """Whether the event may turn up after a crash although saving it failed: then its images must stay."""
    return isinstance(error, sqlite3.Error) and sqlite_code(error) == sqlite3.SQLITE_IOERR


def _rename_unless_taken(aside: Path, folder: Path) -> None:
    try:
        aside.rename(folder)
    except OSError:
        if folder.exists():
            raise _taken(folder.name) from None
        raise


def _taken(case_id: str) -> StoreError:
    return StoreError(f"There is a case {case_id} already. Open it, or choose another name.")


def _remove_unborn(root: Path) -> None:
    """Clear away what a program left that was ended while it made a case."""
    for aside in root.glob(f"{UNBORN}*"):
        with suppress(OSError):
            if time.time() - aside.stat().st_mtime > UNBORN_MAX_AGE_S:
                shutil.rmtree(aside, ignore_errors=True)


def _is_case(folder: Path) -> bool:
    """Whether a folder is a case, or what is left of one."""
    try:
        return any((folder / part).exists() for part in (DATABASE, LOCK, MANIFEST, IMAGES))
    except OSError:
        return True


def _summary(folder: Path) -> CaseSummary:
    from her2scope.storage.case_database import stored_outline

    case_id = folder.name
    locked = is_locked(folder / LOCK)
    try:
        check_case_id(case_id)
        with in_words(f"read case {case_id}", folder):
            _check_database_is_there(folder)
            events = stored_outline(folder / DATABASE, case_id)
        return summarise(case_id, events, locked, locked_text(folder / LOCK, case_id) if locked else None)
    except StoreError as error:
        return unreadable(case_id, locked, str(error))
