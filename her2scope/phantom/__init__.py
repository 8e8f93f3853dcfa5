"""Synthetic HER2 fields, controls and slides, drawn by our own code, of which every cell's truth is known."""
