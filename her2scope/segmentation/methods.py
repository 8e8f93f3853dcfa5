"""Names of the methods, for whoever must know them without loading one."""

from __future__ import annotations

CLOSED_CONTOURS = "closed-contours"
NETWORK = "network"
DEFAULT_METHOD = NETWORK
"""What a new case is read with unless told otherwise; a stored case keeps its own."""
