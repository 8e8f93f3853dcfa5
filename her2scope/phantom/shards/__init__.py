"""Tiles for training: drawn once without stain, then stained, looked at and photographed anew for each sample."""
