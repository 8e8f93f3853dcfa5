"""Composition roots: the only place beside the command line that chooses concrete parts."""
