"""Measuring a microscope: its scale, its white and shading, its camera's response, the lab's own stain colours."""
