"""`bench startup`: how long one waits for the first live picture, for `--help`, and for what is imported on the way."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from her2scope.app.bench.figures import percentile, table
from her2scope.app.bench.request import BenchReport, BenchRequest
from her2scope.domain.errors import BadInputError
from her2scope.ports import JsonObject

IMPORTS = ("her2scope.cli", "her2scope.app.window", "PyQt6.QtWidgets", "cv2", "numpy", "onnxruntime")
FIRST_PICTURE, SEEN = "her2scope.app.bench.first_picture", "first picture"
"""Module that runs the program until then, and the line that it prints."""
TIMEOUT_S = 120.0


def bench_startup(request: BenchRequest) -> BenchReport:
    """Start fresh processes and wait; the first start of each kind is told apart: its files may come from the disk."""
    python = [sys.executable, "-m"]
    with tempfile.TemporaryDirectory(prefix="her2scope-bench-", ignore_cleanup_errors=True) as home:
        environment = as_installed(os.environ, Path(home))
        source = ["--source", request.source or "phantom:"]
        size = ["--size", "x".join(map(str, request.size_wh))] if request.size_wh else []
        kinds: dict[str, tuple[list[str], str]] = {
            "first live picture": ([*python, FIRST_PICTURE, *source, *size], SEEN),
            "--help": ([*python, "her2scope", "--help"], ""),
            "python alone": ([sys.executable, "-c", "pass"], ""),
            **{f"import {name}": ([sys.executable, "-c", f"import {name}"], "") for name in IMPORTS},
        }
        found: dict[str, JsonObject] = {}
        for kind, (command, line) in kinds.items():
            taken_s = [started_s(command, line, environment) for _ in range(request.runs + 1)]
            found[kind] = _figures(taken_s)
    rows: list[tuple[str, ...]] = [("seconds", "first", "warm p50", "warm worst")]
    rows += [
        (kind, *(f"{item[name]:.2f}" for name in ("first_s", "warm_s_p50", "warm_s_worst")))
        for kind, item in found.items()
    ]
    lines = [
        f"source: {request.source or 'the usual one'}; {request.runs} warm starts of each kind, after a first one",
        *table(rows),
    ]
    return BenchReport(lines, {"source": request.source, "runs": request.runs, "starts": found})


def as_installed(environment: Mapping[str, str], home: Path) -> dict[str, str]:
    """An environment with a home of its own, in which modules stay compiled, as those of an installed program do."""
    kept = {name: value for name, value in environment.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {
        **kept,
        "HER2SCOPE_HOME": str(home / "home"),
        "PYTHONPYCACHEPREFIX": str(home / "compiled"),
        "PYTHONFAULTHANDLER": "1",  # a crash says where it was
    }


def started_s(command: Sequence[str], line: str, environment: Mapping[str, str]) -> float:
    """Seconds from starting a program to a line that it prints, or to its end where none is waited for.

    Raises
    ------
    BadInputError
        Where the program fails, or the line does not come in two minutes.
    """
    start_s = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(environment), text=True, encoding="utf-8",
        errors="replace",
    ) as program:  # fmt: skip
        taken_s = None
        if line and program.stdout is not None:
            for printed in program.stdout:
                if printed.strip() == line:
                    taken_s = time.perf_counter() - start_s
                    break
        try:
            _, said = program.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            program.kill()
            program.communicate()
            raise BadInputError(f"{' '.join(command)}: did not end within {TIMEOUT_S:.0f} s.") from None
    if not line:
        taken_s = time.perf_counter() - start_s
    if program.returncode != 0 or taken_s is None:
        raise BadInputError(f"{' '.join(command)}: failed: {_why(program.returncode, said)}")
    return taken_s


def _why(exit_status: int, said: str) -> str:
    if exit_status < 0:
        return f"ended by signal {-exit_status}; it said: {said.strip() or 'nothing'}"
    return (said.strip().splitlines() or [f"it ended with status {exit_status} and showed no picture"])[-1]


def _figures(taken_s: Sequence[float]) -> JsonObject:
    warm_s = taken_s[1:]
    return {
        "first_s": round(taken_s[0], 3),
        "warm_s_p50": percentile(warm_s, 50),
        "warm_s_worst": round(max(warm_s), 3),
    }
