"""Rewrite constraints.txt with the newest versions that pyproject.toml allows.

Run by `make constraints`, on Python 3.11: what still supports the oldest Python
supports the newer ones too. pip resolves every extra and installs nothing.
"""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = "cuda,devices,peers,realism,slides,test,train"
GPU = (
    "(sys_platform == 'linux' and platform_machine == 'x86_64')"
    " or (sys_platform == 'win32' and platform_machine == 'AMD64')"
)
NOT_GPU = (
    "(sys_platform != 'linux' or platform_machine != 'x86_64')"
    " and (sys_platform != 'win32' or platform_machine != 'AMD64')"
)
HEADER = """\
# Exact versions of everything that pyproject.toml and its extras can install.
# Made by `make constraints`; used by scripts/setup.sh and by
#   pip install -e . -c constraints.txt
"""


def resolve() -> dict[str, str]:
    """Return the versions that a new environment with every extra would get."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        pip = [sys.executable, "-m", "pip", "install", "-qq", "--dry-run", "--ignore-installed"]
        subprocess.run([*pip, "--report", report, f"{ROOT}[{EXTRAS}]"], check=True)
        installed = json.loads(report.read_text(encoding="utf-8"))["install"]
    versions = {re.sub(r"[-_.]+", "-", i["metadata"]["name"]).lower(): i["metadata"]["version"] for i in installed}
    del versions["her2scope"]
    return versions


def constraint_lines(versions: dict[str, str]) -> list[str]:
    """Return `name==version` lines, with a marker where a package is for some platforms only."""
    lines = []
    for name, version in sorted(versions.items()):
        marker = f" ; {GPU}" if name == "onnxruntime-gpu" or name.startswith("nvidia-") else ""
        lines.append(f"{name}=={version}{marker}")
    # Both builds of ONNX Runtime are released together; pip here resolves only one.
    lines.append(f"onnxruntime=={versions['onnxruntime-gpu']} ; {NOT_GPU}")
    # pytest, build and click ask for it on Windows only.
    lines.append("colorama==0.4.6 ; sys_platform == 'win32'")
    return lines


def main() -> None:
    """Write constraints.txt, but not on a machine that would resolve to other versions."""
    if sys.version_info[:2] != (3, 11) or (sys.platform, platform.machine()) != ("linux", "x86_64"):
        sys.exit("Refresh the constraints with Python 3.11 on Linux x86_64: the oldest Python decides the versions.")
    lines = constraint_lines(resolve())
    (ROOT / "constraints.txt").write_text(HEADER + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
