"""By what a score was computed, in one number: two cases with the same digest were scored by the same rules."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def settings_digest(settings: Mapping[str, Any], method: str, model_sha256: str, guideline: str) -> str:
    """SHA-256 in hex of all that decides a score beside the pictures and the control.

    Parameters
    ----------
    settings : scoring settings as plain values (`settings.as_mapping`), as a case keeps them
    model_sha256 : digest of the model's files, empty for a method without one
    """
    decisive = {"settings": settings, "method": method, "model_sha256": model_sha256, "guideline": guideline}
    text = json.dumps(decisive, sort_keys=True, separators=(",", ":"), default=list)
    return hashlib.sha256(text.encode()).hexdigest()
