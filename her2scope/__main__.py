"""`python -m her2scope`."""

from __future__ import annotations

import os
import sys

# Read when numpy is imported. Our matrices are small: OpenBLAS' further threads would save nothing and, after each
# product, spin through half a core that the analysis and the window need.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from her2scope.cli import main  # noqa: E402 - numpy comes with it

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
