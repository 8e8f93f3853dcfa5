"""How a case of an older schema is brought up to date; each step is a file of `versions`."""
