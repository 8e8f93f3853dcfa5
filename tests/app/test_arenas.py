"""Few heaps: taken where the C library can, and else nothing happens."""

from __future__ import annotations

import platform

import pytest

from her2scope.app import arenas


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone has arenas")
def test_glibc_takes_it():
    assert arenas.few_arenas()


def test_another_c_library_is_left_as_it_is(monkeypatch):
    monkeypatch.setattr(arenas.ctypes, "CDLL", lambda _name: object())
    assert not arenas.few_arenas()
