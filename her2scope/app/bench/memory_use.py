"""How much memory this process holds, and held at most; each system has its own way to tell."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import Any

MB = 1e6


def peak_mb() -> float | None:
    """Most resident memory since the process began (its high-water mark); None where the system does not tell."""
    if sys.platform == "win32":
        return _windows_mb("PeakWorkingSetSize")
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(most if sys.platform == "darwin" else 1024 * most) / MB


def now_mb() -> float | None:
    """Resident memory now; None where the system does not tell."""
    if sys.platform == "win32":
        return _windows_mb("WorkingSetSize")
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return float(pages * os.sysconf("SC_PAGE_SIZE")) / MB


def installed_mb() -> float | None:
    """Memory of the machine; None where the system does not tell."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")) / MB
    except (AttributeError, ValueError, OSError):
        return None


def _windows_mb(which: str) -> float | None:
    """A figure of PROCESS_MEMORY_COUNTERS (psapi.h)."""

    class Counters(ctypes.Structure):
        _fields_ = (
            ("cb", ctypes.c_uint32),
            ("PageFaultCount", ctypes.c_uint32),
            *(
                (name, ctypes.c_size_t)
                for name in (
                    "PeakWorkingSetSize", "WorkingSetSize", "QuotaPeakPagedPoolUsage", "QuotaPagedPoolUsage",
                    "QuotaPeakNonPagedPoolUsage", "QuotaNonPagedPoolUsage", "PagefileUsage", "PeakPagefileUsage",
                )
            ),
        )  # fmt: skip

    kernel: Any = getattr(ctypes, "windll").kernel32  # noqa: B009 - mypy knows it on Windows alone
    kernel.GetCurrentProcess.restype = ctypes.c_void_p
    counters = Counters(cb=ctypes.sizeof(Counters))
    told = kernel.K32GetProcessMemoryInfo(
        ctypes.c_void_p(kernel.GetCurrentProcess()), ctypes.byref(counters), counters.cb
    )
    return float(getattr(counters, which)) / MB if told else None
