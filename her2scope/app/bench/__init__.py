"""How fast the program is: its real window, engine and analyser, timed from outside (`her2scope bench`)."""
