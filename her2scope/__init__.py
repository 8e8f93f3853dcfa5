"""HER2 scoring beside the microscope: live overlay, control check, case score, report."""

__version__ = "0.1.0"
