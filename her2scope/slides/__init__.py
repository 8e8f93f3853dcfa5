"""Whole slides: survey, tiles, run, score and outputs; and the HER2 contest."""
