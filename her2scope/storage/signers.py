"""Who may sign cases: names and PINs in one file, the PINs as argon2id digests that nobody can read back."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from her2scope.domain.errors import SigningError, StoreError
from her2scope.domain.sign_off import signer_key
from her2scope.ports import Clock
from her2scope.storage.case_lock import lock_of_file
from her2scope.storage.durable_files import ONLY_OWNER_FOLDER, flush_folder, write_durably
from her2scope.storage.failures import in_words

SCHEMA = "her2scope.signers/1"
LEAST_PIN, MOST_NAME = 6, 80
FREE_TRIES = 5
"""Wrong PINs in a row after which each next try has to wait."""
FIRST_WAIT_S, LONGEST_WAIT_S = 30.0, 3600.0
"""The wait doubles with every further wrong PIN: a million PINs of six figures would take a century."""
_WRONG = "this name and PIN do not belong together."
_UNKNOWN = "nobody of that name signs here. Check the name, or enrol it first."
_FIGURES = "01234567890", "09876543210"


@dataclass(frozen=True, slots=True)
class _Signer:
    name: str
    digest: str
    """argon2id with its salt and parameters, in the usual text form."""
    enrolled_utc: str
    changed_utc: str
    """When the PIN was given."""
    n_wrong: int
    """Wrong PINs since the last right one."""
    last_wrong_utc: str
    """Empty where there is none."""


class FileSigners:
    """Signers in a file (see `ports.Signers`). Several programs may use it at once.

    Parameters
    ----------
    path : the file; it and its folder need not be there yet
    hasher : argon2id; the library's own parameters are those of RFC 9106 for little memory (64 MiB, 3 passes), which
        take a fifth of a second on one slow core
    """

    def __init__(self, path: Path, clock: Clock, hasher: PasswordHasher | None = None) -> None:
        self.path, self._clock, self._hasher = path, clock, hasher or PasswordHasher()

    def names(self) -> tuple[str, ...]:
        """All names, in alphabetical order; StoreError where the file cannot be read."""
        with in_words("read the list of signers", self.path.parent):
            return tuple(sorted((one.name for one in self._read().values()), key=signer_key))

    def enrol(self, name: str, pin: str) -> None:
        """Take a new signer; SigningError for a name that is taken or none, or a PIN that is too easy to guess."""
        name = _proper_name(name)
        _check_pin(name, pin)
        with self._changing("enrol a signer") as signers:
            if signer_key(name) in signers:
                raise SigningError(f"{name} is enrolled already: sign with the PIN that belongs to the name.")
            now_utc = self._clock.now_utc()
            self._write(signers, _Signer(name, self._digest(pin), now_utc, now_utc, 0, ""))

    def change_pin(self, name: str, pin: str, new_pin: str) -> None:
        """Give a signer another PIN; SigningError as `check` and `enrol`."""
        _check_pin(name, new_pin)
        with self._changing("change a PIN") as signers:
            signer = self._checked(signers, name, pin)
            self._write(signers, replace(signer, digest=self._digest(new_pin), changed_utc=self._clock.now_utc()))

    def check(self, name: str, pin: str) -> None:
        """Raise SigningError unless the name is known and the PIN is theirs; after wrong ones it waits, and says so."""
        with self._changing("check a PIN") as signers:
            self._checked(signers, name, pin)

    def _checked(self, signers: dict[str, _Signer], name: str, pin: str) -> _Signer:
        """The signer whose name and PIN these are. Each try is kept before it is made: ending the program undoes none.

        A digest that this computer cannot make (other parameters than now) is made anew with the right PIN.
        """
        signer = signers.get(signer_key(name))
        if signer is None:
            raise SigningError(_UNKNOWN)
        signer = self._after_wait(signers, signer)
        tried = replace(signer, n_wrong=signer.n_wrong + 1, last_wrong_utc=self._clock.now_utc())
        self._write(signers, tried)
        if not self._matches(signer.digest, pin):
            raise SigningError(f"{_WRONG} {_next_words(tried.n_wrong)}")
        digest = self._digest(pin) if self._hasher.check_needs_rehash(signer.digest) else signer.digest
        right = replace(signer, digest=digest, n_wrong=0, last_wrong_utc="")
        self._write(signers, right)
        return right

    def _after_wait(self, signers: dict[str, _Signer], signer: _Signer) -> _Signer:
        """The signer, where none or enough time has passed since the last wrong PIN; SigningError else.

        Where the computer's clock was set back meanwhile, the wait begins anew: it must neither end nor last for ever.
        """
        wait_s = _wait_s(signer.n_wrong)
        if wait_s == 0.0:
            return signer
        now_utc = self._clock.now_utc()
        waited_s = (_time(now_utc) - _time(signer.last_wrong_utc)).total_seconds()
        if waited_s < 0.0:
            signer, waited_s = replace(signer, last_wrong_utc=now_utc), 0.0
            self._write(signers, signer)
        if waited_s < wait_s:
            raise SigningError(
                f"{signer.n_wrong} wrong PINs for {signer.name}: wait {_span(wait_s - waited_s)}, then try again."
            )
        return signer

    def _digest(self, pin: str) -> str:
        return self._hasher.hash(_bytes(pin))

    def _matches(self, digest: str, pin: str) -> bool:
        try:
            return self._hasher.verify(digest, _bytes(pin))
        except VerifyMismatchError:
            return False
        except (VerificationError, InvalidHashError) as error:
            raise self._damaged("a PIN's digest cannot be read") from error

    # ---- the file -------------------------------------------------------------------------------------------------

    @contextmanager
    def _changing(self, doing: str) -> Iterator[dict[str, _Signer]]:
        """All signers by `signer_key`, while no other program changes them."""
        with in_words(doing, self.path.parent):
            self.path.parent.mkdir(mode=ONLY_OWNER_FOLDER, parents=True, exist_ok=True)
            lock = lock_of_file(self.path, "list of signers")
            try:
                yield self._read()
            finally:
                lock.release()

    def _read(self) -> dict[str, _Signer]:
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return {}
        try:
            data = json.loads(content)
            if data["schema"] != SCHEMA:
                raise ValueError("another schema")
            signers = [_signer(item) for item in data["signers"]]
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
            raise self._damaged("it is not what this her2scope writes") from None  # the cause may quote what it holds
        found = {signer_key(one.name): one for one in signers}
        if len(found) != len(signers):
            raise self._damaged("a name stands in it twice")
        return found

    def _write(self, signers: dict[str, _Signer], signer: _Signer) -> None:
        """Keep a signer as he is now; durable when it returns."""
        signers[signer_key(signer.name)] = signer
        data = {"schema": SCHEMA, "signers": [asdict(one) for one in signers.values()]}
        write_durably(self.path, json.dumps(data, indent=1).encode("ascii"))
        flush_folder(self.path.parent)

    def _damaged(self, why: str) -> StoreError:
        return StoreError(
            f"The list of signers {self.path} is damaged ({why}): nobody can sign. Restore it from a backup."
        )


def _signer(data: Mapping[str, Any]) -> _Signer:
    """A signer as the file tells him; TypeError or ValueError where he cannot be read."""
    signer = _Signer(**data)
    texts = signer.name, signer.digest, signer.enrolled_utc, signer.changed_utc, signer.last_wrong_utc
    if not all(isinstance(text, str) for text in texts) or not signer.name.strip():
        raise TypeError("a text is missing")
    if type(signer.n_wrong) is not int or signer.n_wrong < 0:
        raise TypeError("no number of tries")
    if signer.n_wrong:
        _time(signer.last_wrong_utc)
    return signer


def _proper_name(name: str) -> str:
    """A name as it is kept and printed; SigningError for one that cannot be."""
    proper = " ".join(unicodedata.normalize("NFC", name).split())
    if not proper or len(proper) > MOST_NAME or not proper.isprintable():
        raise SigningError(f"a signer needs a name of at most {MOST_NAME} letters, as it shall stand in the report.")
    return proper


def _check_pin(name: str, pin: str) -> None:
    """Raise SigningError for a PIN that is easy to guess."""
    key, names = signer_key(pin), signer_key(name)
    steps = {ord(after) - ord(before) for before, after in zip(pin, pin[1:], strict=False)}
    if len(pin) < LEAST_PIN:
        why = f"it has less than {LEAST_PIN} characters"
    elif (len(steps) == 1 and steps <= {-1, 0, 1}) or any(pin in run for run in _FIGURES):
        why = "it is one character again and again, or a plain run"
    elif key in (names, names.replace(" ", "")) or key in names.split():
        why = "it is the name"
    else:
        return
    raise SigningError(f"that PIN is too easy to guess: {why}. Take another one of at least {LEAST_PIN} characters.")


def _bytes(pin: str) -> bytes:
    """A PIN as it is digested: the same however a keyboard composes its letters."""
    return unicodedata.normalize("NFC", pin).encode("utf-8", "surrogatepass")


def _wait_s(n_wrong: int) -> float:
    """How long to wait after so many wrong PINs in a row."""
    if n_wrong < FREE_TRIES:
        return 0.0
    return min(FIRST_WAIT_S * 2.0 ** min(n_wrong - FREE_TRIES, 20), LONGEST_WAIT_S)


def _next_words(n_wrong: int) -> str:
    """What a wrong PIN means for the next try."""
    wait_s = _wait_s(n_wrong)
    if wait_s:
        return f"After {n_wrong} wrong PINs, wait {_span(wait_s)} before the next try."
    left = FREE_TRIES - n_wrong
    return f"After {left} more wrong {'PIN' if left == 1 else 'PINs'} each try has to wait."


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _time(at_utc: str) -> datetime:
    found = datetime.fromisoformat(at_utc)
    if found.tzinfo is None:
        raise ValueError("a time without its zone")
    return found
