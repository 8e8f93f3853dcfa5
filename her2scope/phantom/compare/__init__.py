"""Phantom pictures beside real ones: nuisances measured on both, a realism test, sheets to look at."""
