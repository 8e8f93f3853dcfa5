"""Cases on disk: one folder each, `case.sqlite`, `images/` and `case.lock`.

What `append` has acknowledged survives the end of the program, of the system and of the power. The order is
the reason: images first, flushed and named, then their event in one transaction. A crash between the two leaves
an image that no event names, never an event without its image.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.errors import CaseNotFoundError, StoreError
from her2scope.domain.events import Event
from her2scope.ports import CaseSummary
from her2scope.storage import event_rows
from her2scope.storage.case_ids import check_case_id
from her2scope.storage.case_lock import CaseLock, is_locked, locked_text
from her2scope.storage.durable_files import ONLY_OWNER_FILE, ONLY_OWNER_FOLDER, flush_folder, remove_part_files
from her2scope.storage.failures import damaged, gone, in_words, sqlite_code
from her2scope.storage.images import ImageFolder, check_image, remove
from her2scope.storage.summaries import newest_first, summarise, unreadable

DATABASE, IMAGES, LOCK = "case.sqlite", "images", "case.lock"
UNBORN = ".new-"
"""Beginning of a folder in which a case is being made."""
UNBORN_MAX_AGE_S = 3600.0


class SqliteCaseFile:
    """One open case (see `ports.CaseFile`). Threads may take turns; calls at the same time wait for each other."""

    def __init__(self, folder: Path) -> None:
        """Claim the case in `folder`, which `FolderCaseStore` has checked to be there."""
        self.case_id = folder.name
        self.folder = folder
        self._images = ImageFolder(folder / IMAGES, self.case_id)
        self._turn = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        with in_words(f"open case {self.case_id}", folder):
            self._lock = CaseLock(folder / LOCK, self.case_id)
            try:
                self._images.folder.mkdir(mode=ONLY_OWNER_FOLDER, exist_ok=True)
                remove_part_files(folder)
                remove_part_files(self._images.folder)
                self._connection = _opened(folder / DATABASE, self.case_id)
            except BaseException:
                self._lock.release()
                raise

    def append(self, event: Event, images: Sequence[NDArray[np.uint8]] = ()) -> None:
        """Write an event and the images it names by digest; durable when it returns."""
        data = event_rows.data_as_json(event, self.case_id)
        for image in images:
            check_image(image)
        with self._at_work(f"save event {event.number} of case {self.case_id}") as connection:
            new = self._images.add(images)
            try:
                event_rows.insert(connection, event, data, self.case_id)
            except (sqlite3.Error, StoreError) as error:
                if not _may_be_saved(error):
                    remove(new)
                raise

    def events(self) -> tuple[Event, ...]:
        """All events so far, in order; CaseDamagedError where one is missing, altered or unreadable."""
        with self._at_work(f"read case {self.case_id}") as connection:
            return tuple(event_rows.read(connection, self.case_id))

    def image(self, digest: str) -> NDArray[np.uint8]:
        """Image with that `records.image_digest`, read-only; CaseDamagedError where it is missing or altered."""
        with self._at_work(f"read an image of case {self.case_id}"):
            return self._images.read(digest)

    def close(self) -> None:
        """Let go of the case. Safe to call twice."""
        with self._turn:
            connection, self._connection = self._connection, None
            if connection is None:
                return
            # All that was acknowledged is on disk already: neither failure can lose any of it.
            with suppress(sqlite3.Error):
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            with suppress(sqlite3.Error):
                connection.close()
            with suppress(OSError):
                self._lock.release()

    @contextmanager
    def _at_work(self, doing: str) -> Iterator[sqlite3.Connection]:
        """Take the turn, make sure of the folder before and after, and put failures into words."""
        with self._turn, in_words(doing, self.folder):
            if self._connection is None:
                raise StoreError(f"Could not {doing}: it was closed. Open the case again.")
            # SQLite would go on writing into a deleted file, and what it wrote would be gone with the program.
            self._check_in_place(doing)
            yield self._connection
            self._check_in_place(doing)

    def _check_in_place(self, doing: str) -> None:
        if not self._lock.in_place() or not (self.folder / DATABASE).exists():
            raise gone(doing, self.folder)


class FolderCaseStore:
    """Cases in the folders of `root` (see `ports.CaseStore`)."""

    def __init__(self, root: Path) -> None:
        self.root = root

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
            _remove_unborn(self.root)
            self._make(folder)
        return SqliteCaseFile(folder)

    def open(self, case_id: str) -> SqliteCaseFile:
        """Open a case; CaseNotFoundError, CaseLockedError, CaseDamagedError."""
        folder = self.folder(case_id)
        with in_words(f"open case {case_id}", self.root):
            if not folder.is_dir():
                raise CaseNotFoundError(f"There is no case {case_id} in {self.root}. Check its name.")
            _check_database_is_there(folder)
        return SqliteCaseFile(folder)

    def cases(self) -> tuple[CaseSummary, ...]:
        """All cases, newest first; a damaged or locked one is listed, never an error."""
        with in_words("list the cases", self.root):
            if not self.root.exists():
                return ()
            folders = [item for item in self.root.iterdir() if not item.name.startswith(".") and _is_case(item)]
        return newest_first(_summary(folder) for folder in folders)

    def _make(self, folder: Path) -> None:
        """Make the case aside and rename it: a case is there with all its parts, or not at all."""
        aside = Path(tempfile.mkdtemp(prefix=UNBORN, dir=self.root))
        try:
            (aside / IMAGES).mkdir(mode=ONLY_OWNER_FOLDER)
            # SQLite would make the file readable for everyone; its journal takes over the file's mode.
            (aside / DATABASE).touch(mode=ONLY_OWNER_FILE)
            with closing(event_rows.connect(aside / DATABASE)) as connection:
                event_rows.start(connection)
            flush_folder(aside)
            _rename_unless_taken(aside, folder)
            flush_folder(self.root)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def _check_database_is_there(folder: Path) -> None:
    if not (folder / DATABASE).is_file():
        raise damaged(folder.name, f"its {DATABASE} is missing")


def _opened(database: Path, case_id: str) -> sqlite3.Connection:
    connection = event_rows.connect(database)
    try:
        event_rows.check_schema(connection, case_id)
        event_rows.upgrade(connection)
    except BaseException:
        connection.close()
        raise
    return connection


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
        return any((folder / part).exists() for part in (DATABASE, LOCK))
    except OSError:
        return True


def _summary(folder: Path) -> CaseSummary:
    case_id = folder.name
    locked = is_locked(folder / LOCK)
    try:
        check_case_id(case_id)
        with in_words(f"read case {case_id}", folder):
            _check_database_is_there(folder)
            with closing(event_rows.connect_reader(folder / DATABASE)) as connection:
                event_rows.check_schema(connection, case_id)
                events = tuple(event_rows.outline(connection, case_id))
        return summarise(case_id, events, locked, locked_text(folder / LOCK, case_id) if locked else None)
    except StoreError as error:
        return unreadable(case_id, locked, str(error))
