"""What a case must be able to say of itself years later: by which program, settings and calibration it was read."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from dataclasses import asdict
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from her2scope.domain.settings_digest import settings_digest
from her2scope.imaging.opencv import cv2
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.settings import as_mapping


def opening_data(analyser: FieldAnalyser) -> dict[str, Any]:
    """Of the event that opens a case."""
    return {
        "program": asdict(analyser.program()),
        "settings": as_mapping(analyser.settings),
        "calibration": as_mapping(analyser.calibration),
        **_versions_and_digests(analyser),
    }


def resuming_data(analyser: FieldAnalyser) -> dict[str, Any]:
    """Of the event by which another run of the program goes on: settings and calibration stay as they were."""
    return {"program": asdict(analyser.program()), **_versions_and_digests(analyser)}


def settings_sha256(analyser: FieldAnalyser) -> str:
    """Digest of all that decides a score (`domain.settings_digest`)."""
    program = analyser.program()
    return settings_digest(as_mapping(analyser.settings), program.method, program.model_sha256, analyser.guideline.name)


def _versions_and_digests(analyser: FieldAnalyser) -> dict[str, Any]:
    calibration = json.dumps(as_mapping(analyser.calibration), sort_keys=True, separators=(",", ":"))
    return {
        "guideline": analyser.guideline.name,
        "guideline_source": analyser.guideline.source,
        "settings_sha256": settings_sha256(analyser),
        "calibration_sha256": hashlib.sha256(calibration.encode()).hexdigest(),
        "environment": dict(_environment()),
        **({"region_model": analyser.gate.folder} if analyser.gate is not None else {}),
    }


@cache
def _environment() -> dict[str, str]:
    """Versions of what a result may depend on beside this program."""
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "onnxruntime": _installed("onnxruntime-gpu") or _installed("onnxruntime") or "unknown",
        "system": f"{sys.platform} {platform.machine()}",
    }


def _installed(name: str) -> str:
    """Version of an installed distribution, without loading it; empty where there is none."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
