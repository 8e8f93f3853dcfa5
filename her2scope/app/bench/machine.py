"""What a figure was measured on: without it, no figure can be compared with another."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from pathlib import Path

from her2scope import __version__
from her2scope.app.bench.memory_use import installed_mb
from her2scope.pipeline.analyse import NO_PROVIDER, FieldAnalyser
from her2scope.ports import JsonObject
from her2scope.records import ProgramInfo

LIBRARIES = ("numpy", "opencv-python", "onnxruntime-gpu", "onnxruntime", "PyQt6")


def machine_facts() -> JsonObject:
    """Processor, memory, system and versions."""
    memory_mb = installed_mb()
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count() or 1,
        "cores_allowed": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1,
        "memory_gb": None if memory_mb is None else round(memory_mb / 1000, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "her2scope": __version__,
        "libraries": {name: version for name in LIBRARIES if (version := _version(name)) is not None},
    }


def machine_lines(facts: JsonObject) -> list[str]:
    """The same in words."""
    memory = "memory unknown" if facts["memory_gb"] is None else f"{facts['memory_gb']} GB"
    libraries = ", ".join(f"{name} {version}" for name, version in facts["libraries"].items())
    return [
        f"machine: {facts['cpu']}, {facts['cores_allowed']} of {facts['cores']} cores, {memory}, {facts['system']}",
        f"versions: her2scope {facts['her2scope']}, Python {facts['python']}, {libraries}",
    ]


def program_facts(program: ProgramInfo, note: str = "") -> JsonObject:
    """Method, model and processor that a result was made with; `note`: why it is not the better processor."""
    return {
        "method": program.method,
        "model": program.model_name,
        "model_sha256": program.model_sha256,
        "provider": program.provider,
        "provider_note": note,
    }


def analyser_facts(analyser: FieldAnalyser) -> JsonObject:
    """The same before anything was analysed."""
    network = getattr(analyser.segmenter, "network", None)
    return program_facts(analyser.program(getattr(network, "provider", NO_PROVIDER)), provider_note(analyser))


def provider_note(analyser: FieldAnalyser) -> str:
    """Why the network does not run on the better processor; empty where there is nothing to say."""
    return str(getattr(analyser.segmenter, "provider_note", ""))


def program_line(facts: JsonObject) -> str:
    """The same in words."""
    note = f" ({facts['provider_note']})" if facts["provider_note"] else ""
    return f"method: {facts['method']}, model {facts['model']} {facts['model_sha256'][:12]}, {facts['provider']}{note}"


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine() or "unknown"


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
