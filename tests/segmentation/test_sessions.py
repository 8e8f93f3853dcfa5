"""Sessions of ONNX Runtime: silent, and with memory that is kept on a device."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from segmentation.tiny_network import tiny_model

from her2scope.segmentation import sessions
from her2scope.segmentation.forms import INPUT, OUTPUTS
from her2scope.segmentation.sessions import CPU, CUDA, OnDevice, first_line, may_have_cuda, open_session


def test_without_a_driver_cuda_is_not_tried(monkeypatch):
    monkeypatch.setattr(sessions.ctypes, "CDLL", lambda name: (_ for _ in ()).throw(OSError(name)))
    assert not may_have_cuda()


def test_asking_for_what_cannot_be_had_says_nothing(capfd):
    """Asking for CUDA where it cannot be had prints two lines and a box of stars, unless it is kept from it."""
    try:
        open_session(tiny_model(), [(CUDA, {}), CPU], 1)
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's errors share no base; a build that does not know CUDA refuses it in words
        assert CUDA in str(error)
    assert capfd.readouterr() == ("", "")


def test_what_is_kept_on_a_device_is_the_picture_of_the_run():
    """Pictures of one size share memory; what an earlier run gave stays as it was."""
    plain = open_session(tiny_model(), [CPU], 1)
    bound = OnDevice(open_session(tiny_model(), [CPU], 1), "cpu")
    rng = np.random.default_rng(0)
    given = []
    for size in ((32, 48), (32, 48), (64, 16), (32, 48)):
        feeds = {INPUT: rng.random((1, 3, *size), np.float32)}
        given.append((plain.run(list(OUTPUTS), feeds), bound.run(list(OUTPUTS), feeds)))
    for right, found in given:
        assert all(np.array_equal(a, b) for a, b in zip(right, found, strict=True))
    assert bound.get_providers()[0] == CPU and bound.get_inputs()[0].name == INPUT
    assert bound.get_modelmeta().custom_metadata_map == {}


@pytest.mark.parametrize(("text", "line"), [("one\ntwo", "one"), ("\n three ", "three"), ("", "RuntimeError")])
def test_an_error_is_told_in_one_line(text, line):
    assert first_line(RuntimeError(text)) == line


def test_onnx_runtime_keeps_nothing_of_the_user(tmp_path):
    own_folders = {name: str(tmp_path) for name in ("HOME", "USERPROFILE", "XDG_CACHE_HOME", "LOCALAPPDATA")}
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    load = "from her2scope.app.compose import load_network; load_network(threads=1)"
    subprocess.run([sys.executable, "-c", load], env=environment | own_folders, check=True)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []
