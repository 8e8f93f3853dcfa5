"""Where cases live: one folder per case on disk, or RAM for images scored from the command line."""
