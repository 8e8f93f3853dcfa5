"""`python -m her2scope`."""

from __future__ import annotations

import sys

from her2scope.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
