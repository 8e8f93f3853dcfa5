"""The eyepiece's colours can be seen against black, and told apart by every kind of colour sight."""

from __future__ import annotations

import itertools

import pytest
from overlays.test_palette import LEAST_DELTA_E, SIGHTS, as_lab, delta_e

from her2scope.domain.cells import CellClass
from her2scope.domain.errors import NotAvailableError
from her2scope.overlays.eyepiece_palette import EYEPIECE, EYEPIECE_PALETTES, eyepiece_palette
from her2scope.overlays.palette import luminance


@pytest.mark.parametrize("sight", SIGHTS)
def test_the_classes_stay_apart(sight):
    seen = {name: as_lab(colour, SIGHTS[sight]) for name, colour in EYEPIECE.classes.items()}
    for (first, one), (second, two) in itertools.combinations(seen.items(), 2):
        assert delta_e(one, two) >= LEAST_DELTA_E, f"{first} and {second}"


def test_every_class_has_a_colour_that_shows_against_black():
    assert set(EYEPIECE.classes) == set(CellClass)
    more = (EYEPIECE.other, EYEPIECE.edge, EYEPIECE.membrane_faint, EYEPIECE.membrane_intense, EYEPIECE.text)
    for colour in (*EYEPIECE.classes.values(), *more):
        assert (luminance(colour) + 0.05) / 0.05 >= 4.5


def test_palettes_are_known_by_name():
    assert all(eyepiece_palette(name).name == name for name in EYEPIECE_PALETTES)
    with pytest.raises(NotAvailableError, match="safe"):
        eyepiece_palette("neon")
