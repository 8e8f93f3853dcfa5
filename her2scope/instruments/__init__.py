"""Instruments on serial lines: stage, nosepiece sensor, foot switch and buttons; each with a simulator."""
