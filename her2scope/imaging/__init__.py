"""Pixels to numbers: stains, quality, registration, outlines and profiles. Pure functions on arrays."""
