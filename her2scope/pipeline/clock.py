"""The real clock behind the `Clock` port."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SystemClock:
    """Time of this computer."""

    def now_utc(self) -> str:
        """ISO 8601 in UTC, to the millisecond."""
        return datetime.now(UTC).isoformat(timespec="milliseconds")

    def monotonic_s(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()
