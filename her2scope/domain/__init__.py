"""Rules of HER2 scoring: numbers in, classes, scores and reasons out. Knows no pixels and no devices."""
