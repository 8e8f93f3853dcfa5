"""Outlines that somebody drew on an image or slide: read, mended by name, written, and painted into masks."""
