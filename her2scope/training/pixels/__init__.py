"""Pixelwise classifiers learnt from polygons: tiles, network, run, export."""
