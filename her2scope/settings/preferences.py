"""How the window looks, and what it opens: a slip in these moves a window, or opens another camera."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Preferences:
    """How the window looks and what it opens; no rule of the score stands here."""

    palette: str = "safe"
    """`safe` (colour-blind-safe) or `paper` (colours of arXiv 2110.12900)."""
    show_membranes: bool = True
    show_cells: bool = True
    show_filled: bool = False
    show_outlines: bool = False
    show_outside: bool = True
    """Tissue that a region model leaves out is dimmed."""
    reader: str = ""
    """Name of the pathologist, as it stands in events and reports."""
    own_score_first: bool = False
    """The computed score is hidden until the pathologist has entered their own."""
    show_overview: bool = True
    window_wh: tuple[int, int] = (1366, 768)
    source: str = ""
    """URI that is opened without --source; empty: none was set up."""
    objective: str = ""
    """In the light path unless told otherwise; what it means for the scale stands in the calibration."""
