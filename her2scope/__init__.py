"""HER2 scoring beside the microscope: live overlay, control check, case score, report."""

import os

# Read when ONNX Runtime is imported, whoever does that. Without it, newer builds keep a device id and a queue of usage
# events in the user's cache folder. A computer that reads patients' slides tells nobody anything.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"
