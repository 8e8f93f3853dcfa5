"""How the program begins: what has to be said before numpy is imported is said."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

BEGIN = (
    "import sys, her2scope; assert 'numpy' not in sys.modules; "
    "import her2scope.__main__, os; print(os.environ['OPENBLAS_NUM_THREADS'])"
)


@pytest.mark.parametrize(("given", "then"), [(None, "1"), ("3", "3")])
def test_matrices_are_multiplied_by_one_thread_unless_the_user_says_otherwise(given, then):
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    environment |= {} if given is None else {"OPENBLAS_NUM_THREADS": given}
    told = subprocess.run(
        [sys.executable, "-c", BEGIN], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert told.stdout.strip() == then
