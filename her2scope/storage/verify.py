"""Whether a stored case is what was written: every file, every event, every image, and the heads kept elsewhere.

Three things hold a case together. The chain of its events finds what was changed in them. The manifest of a closed
case finds every other byte. Both lie in the folder, where they could be made anew; the heads that the ledger keeps and
reports print find that too.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from her2scope.domain.errors import BadInputError, CaseNotFoundError, Her2ScopeError, StoreError
from her2scope.domain.event_chain import ChainHead
from her2scope.domain.events import Event
from her2scope.pipeline.case_state import CaseState
from her2scope.ports import HeadLedger, KeptHead
from her2scope.storage.case_lock import is_locked
from her2scope.storage.case_store import DATABASE, IMAGES, LOCK
from her2scope.storage.findings import Finding as Finding
from her2scope.storage.findings import Verification as Verification
from her2scope.storage.images import ImageFolder
from her2scope.storage.kept_heads import differs, in_force, superseded
from her2scope.storage.manifest import MANIFEST, FileDigest, Manifest, case_files, digest_of, read_manifest
from her2scope.storage.stored_rows import read_rows
from her2scope.storage.verify_chain import CheckedEvents, check_rows

LEAST_PRINTED = 16
"""Characters of a printed head that tell it from any other: 64 bits."""
_DIGEST = re.compile(r"[0-9a-f]{64}")
_PRINTED = re.compile(rf"[0-9a-f]{{{LEAST_PRINTED},64}}")
SEALS = ("closed", "signed", "restored")
"""Moments at which the manifest is left in the folder."""
ATTEMPTS = 3
_PNG = b"\x89PNG\r\n\x1a\n"


def verify_case(
    folder: Path,
    ledger: HeadLedger | None = None,
    printed_heads: Sequence[str] = (),
    *,
    is_copy: bool = False,
    results: bool = True,
) -> Verification:
    """Read a whole case, and say all that is not as it was written. Writes nothing, and needs no lock.

    Parameters
    ----------
    printed_heads : heads of the chain as reports print them, at least `LEAST_PRINTED` characters of each
    is_copy : whether the folder is a copy or a backup: it may be older than what the ledger knows last
    results : also read back the analysis of every field, and rebuild the case from its events

    Raises CaseNotFoundError where the folder holds no case, BadInputError for a printed head that can be none.
    """
    printed = [_as_printed(text) for text in printed_heads]
    if not any((folder / part).exists() for part in (DATABASE, MANIFEST, IMAGES)):
        raise CaseNotFoundError(f"{folder} holds no case. Give the folder of a case, or its name.")
    for _ in range(ATTEMPTS):
        # A program that opens or closes the case meanwhile would look like somebody who alters it.
        before = _state(folder)
        found = _Check(folder, ledger, is_copy).run(printed, results)
        if found.sound or _state(folder) == before:
            return found
    return replace(found, notes=(*found.notes, "The case changed while it was read: close it, and verify it again."))


def _state(folder: Path) -> tuple[bool, bytes | None]:
    return is_locked(folder / LOCK), _content(folder / MANIFEST)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _as_printed(text: str) -> str:
    """Digits of a printed head; people copy it with spaces and in capitals."""
    digits = "".join(text.split()).lower()
    if not _PRINTED.fullmatch(digits):
        raise BadInputError(
            f"'{text[:80]}' is no head of a case. Give the {LEAST_PRINTED} to 64 digits (0-9, a-f) that the report "
            "prints."
        )
    return digits


class _Check:
    """One reading of one case."""

    def __init__(self, folder: Path, ledger: HeadLedger | None, is_copy: bool) -> None:
        self.folder, self.is_copy = folder, is_copy
        self.case_id = folder.resolve().name
        self.is_open = is_locked(folder / LOCK)
        self.findings: list[Finding] = []
        self.notes: list[str] = []
        # Before the events: the program that has the case open only ever adds to them.
        self.kept = self._kept(ledger)

    def run(self, printed: Sequence[str], results: bool) -> Verification:
        """Everything, from the outside in."""
        content = _content(self.folder / MANIFEST)
        manifest = self._files(content)
        chain = self._events()
        if manifest is not None:
            self.findings += _against_manifest(manifest, chain)
            if manifest.case_id != self.case_id:
                self.notes.append(f"The folder is called {self.case_id}; the case was closed as {manifest.case_id}.")
        self._against_ledger(chain, None if content is None else hashlib.sha256(content).hexdigest())
        self._against_printed(chain, printed)
        self._images(chain.events)
        if results and not self.findings:  # an altered event could say anything, and would be named twice
            self._results(chain.events)
        head = ChainHead(chain.n_events, chain.digests[chain.n_events])
        return Verification(
            self.case_id, head, head.n_events, content is not None, tuple(self.findings), tuple(self.notes)
        )

    def _find(self, code: str, where: str, words: str) -> None:
        self.findings.append(Finding(code, where, words))

    # ---- files ----------------------------------------------------------------------------------------------------

    def _files(self, content: bytes | None) -> Manifest | None:
        """Every file against the manifest; what is wrong with a folder that has none is said by the ledger."""
        if self.is_open:
            self.notes.append("The case is open in a program: what it holds at this moment was checked.")
        if content is None:
            if not self.is_open:
                self.notes.append(
                    f"There is no {MANIFEST}: the case was not closed by its program, or by an earlier version. Its "
                    "events and images are checked, other bytes of its files cannot be."
                )
            return None
        try:
            manifest = read_manifest(content)
        except ValueError as error:
            self._find("manifest", MANIFEST, f"it is not as it was written: {error}")
            return None
        there = self._digests()
        for name, file in manifest.files.items():
            if name not in there:
                self._find("file_missing", name, "it is missing")
            elif there[name] not in (file, None):
                self._find("file_changed", name, file.changed_words(there[name]))
        for name in sorted(there.keys() - manifest.files.keys()):
            self._find("file_unlisted", name, "it was not there when the case was closed")
        return manifest

    def _digests(self) -> dict[str, FileDigest | None]:
        """Every file of the case; None for one that cannot be read, which is a finding."""
        found: dict[str, FileDigest | None] = {}
        for path in case_files(self.folder):
            name = path.relative_to(self.folder).as_posix()
            try:
                found[name] = digest_of(path)
            except OSError as error:
                found[name] = None
                self._find("file_unreadable", name, f"it cannot be read ({error.strerror or error})")
        return found

    # ---- events ---------------------------------------------------------------------------------------------------

    def _events(self) -> CheckedEvents:
        database = self.folder / DATABASE
        if not database.is_file():
            self._find("database", DATABASE, "it is missing")
            return check_rows(())
        stored = read_rows(database, self.is_open)
        chain = check_rows(stored.rows)
        self.findings += (Finding("database", DATABASE, f"it {problem}") for problem in stored.problems)
        self.findings += chain.findings
        self.notes += chain.notes
        if not (stored.rows or stored.problems):
            self.notes.append("Nothing is recorded in this case yet.")
        if stored.rows and not chain.findings and any(finding.where == DATABASE for finding in self.findings):
            self.notes.append(f"All {len(stored.rows)} events were read whole: what is wrong lies outside of them.")
        return chain

    def _against_ledger(self, chain: CheckedEvents, manifest_sha256: str | None) -> None:
        self._lost_by_restoring()
        heads = in_force(self.kept)
        longest = max(heads, key=lambda entry: entry.head.n_events, default=None)
        if longest is not None and longest.head.n_events > chain.n_events:
            self._cut_off(longest, chain.n_events)
        differing = [entry for entry in heads if differs(entry, chain.digests)]
        if differing:
            first = min(differing, key=lambda entry: entry.head.n_events)
            self._find(
                "other_chain",
                f"event {first.head.n_events}",
                f"its digest is not the one kept outside the folder on {first.at_utc} ({first.what}): this event, or "
                "one before it, was made anew",
            )
        self._manifest_against_ledger(manifest_sha256, chain.n_events)

    def _lost_by_restoring(self) -> None:
        lost = superseded(self.kept)
        if lost and not self.is_copy:
            restored = next(entry for entry in reversed(self.kept) if entry.what == "restored")
            most = max(lost, key=lambda entry: entry.head.n_events)
            self._find(
                "cut_off",
                f"event {restored.head.n_events + 1}",
                f"it and what followed is lost: the case had {most.head.n_events} events on {most.at_utc} "
                f"({most.what}), and was restored from a bundle of {restored.head.n_events} on {restored.at_utc}",
            )

    def _cut_off(self, entry: KeptHead, n_events: int) -> None:
        known = f"the case had {entry.head.n_events} events on {entry.at_utc} ({entry.what}), and {n_events} are here"
        if self.is_copy:
            self.notes.append(f"This copy is older than what is known of the case, or was cut off: {known}.")
        else:
            self._find("cut_off", f"event {n_events + 1}", f"it and what follows is missing: {known}")

    def _manifest_against_ledger(self, manifest_sha256: str | None, n_events: int) -> None:
        if self.is_copy:
            known = {entry.manifest_sha256 for entry in self.kept} - {""}
            if manifest_sha256 and known and manifest_sha256 not in known:
                self._find("other_manifest", MANIFEST, "it is none of those that were kept when the case was closed")
            return
        turns = [entry for entry in self.kept if entry.what == "opened" or entry.what in SEALS]
        last = turns[-1] if turns else None
        if last is None or last.what == "opened" or not last.manifest_sha256:
            return
        if manifest_sha256 is None:  # a program that opens the case says so in the ledger before it takes it away
            self._find("manifest", MANIFEST, f"it is missing, and the case was {last.what} with one on {last.at_utc}")
        elif manifest_sha256 != last.manifest_sha256:
            words = f"it is not the one that was kept when the case was {last.what} on {last.at_utc}"
            if n_events > last.head.n_events:
                words += f" with {last.head.n_events} events: what followed was added elsewhere, or by another program"
            self._find("other_manifest", MANIFEST, words)

    def _kept(self, ledger: HeadLedger | None) -> tuple[KeptHead, ...]:
        if ledger is None:
            return ()
        try:
            kept = ledger.of_case(self.case_id)
        except StoreError as error:
            self._find("ledger", "ledger", str(error).rstrip("."))
            return ()
        if not kept:
            self.notes.append("No head of this case is kept outside its folder: only a printed one can prove it whole.")
        return kept

    def _against_printed(self, chain: CheckedEvents, printed: Sequence[str]) -> None:
        for digits in printed:
            number = next((n for n, digest in chain.digests.items() if n and digest.startswith(digits)), None)
            if number is None:
                words = f"{digits[:LEAST_PRINTED]}... is the digest of no event: the case is not the one of that report"
                self._find("printed_head", "printed head", words)
            else:
                later = chain.n_events - number
                since = f"; {later} came after it" if later else ", the last one"
                self.notes.append(f"The printed head {digits[:LEAST_PRINTED]}... is that of event {number}{since}.")

    # ---- images and results ---------------------------------------------------------------------------------------

    def _images(self, events: Sequence[Event]) -> None:
        """The pixels of every image that an event names, each once; images that none names are a note."""
        images = ImageFolder(self.folder / IMAGES, self.case_id)
        named: dict[str, int] = {}
        for event in events:
            for digest in image_digests(event.data):
                named.setdefault(digest, event.number)
        for digest, number in named.items():
            name = f"{IMAGES}/{digest}.png"
            if not (self.folder / name).is_file():
                self._find("image_missing", name, f"it is missing, and event {number} names it")
                continue
            problem = _image_problem(images, digest, self.folder / name)
            if problem:
                self._find("image_altered", name, f"{problem}, and event {number} names it")
        there = {path.stem for path in images.folder.glob("*.png")}
        if spare := sorted(there - named.keys()):
            self.notes.append(
                f"{len(spare)} of the images belong to no event, as a save that was interrupted leaves them: {spare[0]}"
                f"{' ...' if len(spare) > 1 else ''}."
            )

    def _results(self, events: Sequence[Event]) -> None:
        """Rebuild the case: each analysis, each change and each signature must fit what came before."""
        images = ImageFolder(self.folder / IMAGES, self.case_id)
        state = CaseState(self.case_id, images.read)
        number = 0
        try:
            for event in events:
                number = event.number
                state.take(event)
            state.check()
        except (Her2ScopeError, AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
            self._find("result", f"event {number}", f"what it says does not fit: {error}".rstrip("."))


def image_digests(value: Any, key: str = "") -> Iterator[str]:
    """Digests of images in an event's data: all but those of files, whose key says `sha256`."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from image_digests(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from image_digests(item, key)
    elif isinstance(value, str) and _DIGEST.fullmatch(value) and not key.endswith("sha256"):
        yield value


def _image_problem(images: ImageFolder, digest: str, path: Path) -> str:
    try:
        # A decoder given a broken file complains on the terminal by itself, past every caller.
        if not _is_whole_png(path.read_bytes()):
            return "it is not as it was written"
        images.read(digest)
    except StoreError:
        return "its pixels are not those that were stored"
    except OSError as error:
        return f"it cannot be read ({error.strerror or error})"
    return ""


def _is_whole_png(content: bytes) -> bool:
    """Whether every chunk of a PNG file has the checksum that it names (ISO/IEC 15948, 5.3)."""
    place = len(_PNG)
    while content.startswith(_PNG) and place + 12 <= len(content):
        length = int.from_bytes(content[place : place + 4], "big")
        end = place + 12 + length
        named = content[place + 4 : end - 4]  # kind and data
        if zlib.crc32(named) != int.from_bytes(content[end - 4 : end], "big"):
            return False
        if named.startswith(b"IEND"):
            return end == len(content)
        place = end
    return False


def _against_manifest(manifest: Manifest, chain: CheckedEvents) -> Iterator[Finding]:
    then = manifest.head
    if then.n_events > chain.n_events:
        words = f"it and what follows is missing: the case had {then.n_events} events when it was closed"
        yield Finding("cut_off", f"event {chain.n_events + 1}", words)
    elif then.n_events < chain.n_events:
        words = f"it and what follows was added after the case was closed with {then.n_events} events"
        yield Finding("added", f"event {then.n_events + 1}", words)
    elif then.digest != chain.digests[then.n_events]:
        words = "its digest is not the one with which the case was closed"
        yield Finding("other_chain", f"event {then.n_events}", words)
