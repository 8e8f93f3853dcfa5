"""The application outlives whoever asked for it."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import gc
from PyQt6 import sip
from PyQt6.QtWidgets import QApplication, QWidget
from her2scope.app.qt_application import qt_application, take_down

def ask():
    assert qt_application(unseen=True) is qt_application()

ask()
gc.collect()
assert QApplication.instance() is not None and not sip.ispyowned(qt_application())
window = QWidget()
window.show()
take_down(window)
assert sip.isdeleted(window)
"""


def test_it_stays_though_no_name_for_it_is_left():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
