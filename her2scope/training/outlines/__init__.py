"""Training of the reader of outlines, which looks along each cell's own outline."""
