"""Signers: a PIN is never kept, guessing it takes ever longer, and a damaged file lets nobody sign."""

from __future__ import annotations

import json
import logging
import stat
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from her2scope.domain.errors import SigningError, StoreError
from her2scope.storage.durable_files import PART
from her2scope.storage.signers import FIRST_WAIT_S, FREE_TRIES, LONGEST_WAIT_S, FileSigners

NAME, PIN, WRONG = "Dr Ada Example", "wren-417", "wren-418"
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class SetClock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def now_utc(self) -> str:
        return self.now.isoformat(timespec="milliseconds")

    def monotonic_s(self) -> float:
        return 0.0

    def go_on(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "signers.json"


@pytest.fixture
def signers(path, clock) -> FileSigners:
    made = FileSigners(path, clock, QUICK)
    made.enrol(NAME, PIN)
    return made


def again(signers: FileSigners, clock: SetClock) -> FileSigners:
    """The same after the program was ended and started again."""
    return FileSigners(signers.path, clock, QUICK)


def wrong(signers: FileSigners, n: int = 1) -> str:
    """Try a wrong PIN so often; what is said to the last try."""
    said = ""
    for _ in range(n):
        with pytest.raises(SigningError) as caught:
            signers.check(NAME, WRONG)
        said = str(caught.value)
    return said


def test_whoever_is_enrolled_signs_with_their_pin(signers, clock):
    signers.enrol("Bo Sample", "heron-22")
    reread = again(signers, clock)
    assert reread.names() == ("Bo Sample", NAME)
    reread.check("  dr ada   EXAMPLE ", PIN)
    reread.check("Bo Sample", "heron-22")
    with pytest.raises(SigningError, match="do not belong together"):
        reread.check("Bo Sample", PIN)


def test_nobody_is_known_where_there_is_no_file(tmp_path, clock):
    signers = FileSigners(tmp_path / "none" / "signers.json", clock, QUICK)
    assert signers.names() == ()
    with pytest.raises(SigningError, match="nobody of that name"):
        signers.check(NAME, PIN)


def test_a_name_is_taken_once_however_it_is_typed(signers):
    with pytest.raises(SigningError, match="enrolled already"):
        signers.enrol(" DR ADA  example", "heron-22")
    signers.check(NAME, PIN)


@pytest.mark.parametrize("name", ["", "   ", "a\x00b", "x" * 81, "\ud800"])
def test_a_name_that_no_report_can_print_is_refused(signers, name):
    with pytest.raises(SigningError, match="needs a name"):
        signers.enrol(name, "heron-22")


@pytest.mark.parametrize(
    "pin",
    ["", "12345", "abcde", "000000", "      ", "123456", "987654", "abcdef", "567890", "098765", "Newcomer",
     "DR NEWCOMER", "drnewcomer"],
)  # fmt: skip
def test_a_pin_that_is_easy_to_guess_is_refused_and_not_repeated(signers, pin):
    with pytest.raises(SigningError, match="too easy to guess") as caught:
        signers.enrol("Dr Newcomer", pin)
    assert len(pin) < 2 or pin not in str(caught.value)
    assert signers.names() == (NAME,)
    with pytest.raises(SigningError, match="too easy to guess"):
        signers.change_pin(NAME, PIN, "123456")


@given(st.text(st.characters(exclude_categories=()), min_size=8, max_size=30).filter(lambda pin: len(set(pin)) > 5))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_pin_that_is_taken_is_the_only_one_that_signs(tmp_path_factory, pin):
    signers = FileSigners(tmp_path_factory.mktemp("signers") / "signers.json", SetClock(), QUICK)
    try:
        signers.enrol("X", pin)
    except SigningError:
        return  # a plain run
    signers.check("X", pin)
    with pytest.raises(SigningError):
        signers.check("X", pin + "x")
    assert json.loads(signers.path.read_text())["signers"][0]["digest"].startswith("$argon2id$")
    assert pin not in signers.path.read_text() and pin.encode("utf-8", "surrogatepass") not in signers.path.read_bytes()


def test_the_same_letters_are_the_same_pin_however_they_are_composed(signers):
    signers.enrol("Bo", "Br\u00fccke-9")
    signers.check("Bo", "Bru\u0308cke-9")


def test_another_pin_is_given_only_with_the_present_one(signers, clock):
    with pytest.raises(SigningError, match="do not belong together"):
        signers.change_pin(NAME, WRONG, "heron-22")
    signers.change_pin(NAME, PIN, "heron-22")
    reread = again(signers, clock)
    reread.check(NAME, "heron-22")
    with pytest.raises(SigningError):
        reread.check(NAME, PIN)


# ---- guessing -----------------------------------------------------------------------------------------------------


def test_after_some_wrong_pins_each_try_waits_longer_and_the_right_one_waits_too(signers, clock):
    assert "After 1 more wrong PIN each try has to wait" in wrong(signers, FREE_TRIES - 1)
    assert f"After {FREE_TRIES} wrong PINs, wait 30 s" in wrong(signers)
    expected_s = FIRST_WAIT_S
    for _ in range(12):
        clock.go_on(expected_s - 1.0)
        with pytest.raises(SigningError, match="wait 1 s, then try again"):
            again(signers, clock).check(NAME, PIN)
        clock.go_on(1.0)
        wrong(again(signers, clock))
        expected_s = min(2 * expected_s, LONGEST_WAIT_S)
    assert expected_s == LONGEST_WAIT_S
    clock.go_on(expected_s)
    signers.check(NAME, PIN)
    assert "more wrong PINs" in wrong(signers), "the right PIN ends the wait"


def test_a_try_counts_before_it_is_made(signers, clock, monkeypatch):
    """Whoever ends the program while it looks at a PIN gains no try."""

    class Ended(BaseException):
        pass

    def end(*_: object) -> None:
        raise Ended

    for _ in range(FREE_TRIES):
        with monkeypatch.context() as patch:
            patch.setattr(FileSigners, "_matches", end)
            with pytest.raises(Ended):
                signers.check(NAME, WRONG)
    with pytest.raises(SigningError, match="wait 30 s"):
        again(signers, clock).check(NAME, PIN)


def test_wrong_pins_of_one_keep_nobody_else_from_signing(signers):
    signers.enrol("Bo", "heron-22")
    wrong(signers, FREE_TRIES)
    signers.check("Bo", "heron-22")


def test_a_clock_that_is_set_back_neither_ends_the_wait_nor_makes_it_endless(signers, clock):
    wrong(signers, FREE_TRIES)
    clock.go_on(-86400.0)
    with pytest.raises(SigningError, match="wait 30 s"):
        signers.check(NAME, PIN)
    clock.go_on(FIRST_WAIT_S)
    signers.check(NAME, PIN)


def test_programs_that_try_at_once_share_the_count(signers, clock):
    failures: list[BaseException] = []

    def try_one() -> None:
        try:
            again(signers, clock).check(NAME, WRONG)
        except SigningError:
            return
        except BaseException as error:  # noqa: BLE001 - told to the test
            failures.append(error)

    threads = [threading.Thread(target=try_one) for _ in range(FREE_TRIES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with pytest.raises(SigningError, match="wait 30 s"):
        signers.check(NAME, PIN)


# ---- the file -----------------------------------------------------------------------------------------------------


def test_the_pin_is_in_no_file_message_log_or_name_of_an_object(signers, path, caplog):
    with caplog.at_level(logging.DEBUG):
        signers.check(NAME, PIN)
        said = wrong(signers, FREE_TRIES + 1)
        signers.enrol("Bo", "heron-22")
    kept = b"".join(item.read_bytes() for item in path.parent.iterdir())
    for pin in (PIN, WRONG, "heron-22"):
        assert pin.encode() not in kept
        assert pin not in said + repr(signers) + str(vars(signers)) + caplog.text


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_only_the_owner_reads_the_file(signers, path):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def _without(key: str):
    def damage(content: bytes) -> bytes:
        data = json.loads(content)
        del data["signers"][0][key]
        return json.dumps(data).encode()

    return damage


def _with(key: str, value: object):
    def damage(content: bytes) -> bytes:
        data = json.loads(content)
        data["signers"][0][key] = value
        return json.dumps(data).encode()

    return damage


def _twice(content: bytes) -> bytes:
    data = json.loads(content)
    return json.dumps(data | {"signers": 2 * data["signers"]}).encode()


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"", lambda _: b"\x00\xff", lambda _: b"[]", lambda _: b"{}", lambda content: content[:-20],
        lambda content: content.replace(b"signers/1", b"signers/2"), lambda _: b"[" * 100_000, _twice,
        _without("digest"), _without("n_wrong"), _with("n_wrong", -1), _with("n_wrong", True), _with("n_wrong", 1),
        _with("name", ""), _with("digest", 7), _with("more", 1),
    ],
)  # fmt: skip
def test_a_damaged_file_is_one_clear_error_and_lets_nobody_sign(signers, path, damage):
    path.write_bytes(damage(path.read_bytes()))
    before = path.read_bytes()
    for step in (
        signers.names,
        lambda: signers.check(NAME, PIN),
        lambda: signers.enrol("Bo", "heron-22"),
        lambda: signers.change_pin(NAME, PIN, "heron-22"),
    ):
        with pytest.raises(StoreError, match="is damaged .*: nobody can sign. Restore it from a backup") as caught:
            step()
        assert not isinstance(caught.value, SigningError)
    assert path.read_bytes() == before


def test_a_digest_that_is_none_lets_nobody_sign(signers, path):
    path.write_bytes(_with("digest", "plain:wren-417")(path.read_bytes()))
    with pytest.raises(StoreError, match="digest cannot be read"):
        signers.check(NAME, PIN)


def test_a_digest_of_weaker_parameters_is_made_anew_with_the_right_pin(signers, path, clock):
    stronger = FileSigners(path, clock, PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    stronger.check(NAME, PIN)
    assert "m=16,t=2" in json.loads(path.read_text())["signers"][0]["digest"]
    stronger.check(NAME, PIN)


def test_a_full_disk_signs_nothing_and_leaves_the_file_whole(signers, path, monkeypatch, clock):
    import her2scope.storage.signers as module

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(module, "write_durably", full)
        for step in (lambda: signers.check(NAME, PIN), lambda: signers.enrol("Bo", "heron-22")):
            with pytest.raises(StoreError, match="full"):
                step()
    assert path.read_bytes() == before
    path.with_name(path.name + PART).write_bytes(b"{half")  # as a power cut leaves it
    again(signers, clock).check(NAME, PIN)


def test_the_parameters_are_those_of_the_library(path, clock):
    signers = FileSigners(path, clock)
    signers.enrol(NAME, PIN)
    assert json.loads(path.read_text())["signers"][0]["digest"].startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    signers.check(NAME, PIN)
