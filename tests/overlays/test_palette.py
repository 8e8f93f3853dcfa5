"""The classes stay apart for every kind of colour sight, and each has words and a shape of its own."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from her2scope.domain.cells import CellClass
from her2scope.domain.errors import NotAvailableError
from her2scope.domain.regions import RegionKind
from her2scope.overlays.palette import (
    LABELS,
    MARKERS,
    OTHER_LABEL,
    OTHER_MARKER,
    PALETTES,
    REGION_COLOURS,
    SAFE,
    Marker,
    Rgb,
    halo,
    hex_colour,
    label,
    luminance,
    marker,
    marker_polygon,
    palette,
)

# Machado, Oliveira and Fernandes, IEEE TVCG 15:1291, 2009: severity 1.0, on linear RGB.
SIGHTS = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
LEAST_DELTA_E = 20.0
"""CIEDE2000; 2.3 is just noticeable side by side, small marks far apart need about ten times that."""
DARK_WINDOW = (30, 30, 34)
TISSUE = {"strong DAB": (110, 66, 38), "haematoxylin": (120, 118, 165), "pale tissue": (225, 212, 215)}


def as_lab(colour: Rgb, sight: NDArray[np.float64]) -> NDArray[np.float64]:
    """CIELAB (D65) of a colour as the given sight sees it."""
    encoded = np.array(colour) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.119192, 0.9503041]]
    )
    ratio = to_xyz @ np.clip(sight @ linear, 0, 1) / to_xyz.sum(axis=1)
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def delta_e(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """CIEDE2000 (Sharma, Wu and Dalal, Color Res Appl 30:21, 2005)."""
    (l1, a1, b1), (l2, a2, b2) = first, second
    chroma = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    stretch = 1.5 - 0.5 * np.sqrt(chroma**7 / (chroma**7 + 25.0**7))
    c1, c2 = np.hypot(a1 * stretch, b1), np.hypot(a2 * stretch, b2)
    h1, h2 = (np.degrees(np.arctan2(b, a * stretch)) % 360 for a, b in ((a1, b1), (a2, b2)))
    turn = (h2 - h1 + 180) % 360 - 180
    hue, c_mean, l_mean = np.radians(h1 + turn / 2), (c1 + c2) / 2, (l1 + l2) / 2
    t = 1 - 0.17 * np.cos(hue - np.radians(30)) + 0.24 * np.cos(2 * hue)
    t += 0.32 * np.cos(3 * hue + np.radians(6)) - 0.20 * np.cos(4 * hue - np.radians(63))
    d_l = (l2 - l1) / (1 + 0.015 * (l_mean - 50) ** 2 / np.sqrt(20 + (l_mean - 50) ** 2))
    d_c = (c2 - c1) / (1 + 0.045 * c_mean)
    d_h = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2)) / (1 + 0.015 * c_mean * t)
    bend = np.radians(60 * np.exp(-(((np.degrees(hue) % 360 - 275) / 25) ** 2)))
    rotation = -2 * np.sqrt(c_mean**7 / (c_mean**7 + 25.0**7)) * np.sin(bend)
    return float(np.sqrt(d_l**2 + d_c**2 + d_h**2 + rotation * d_c * d_h))


def contrast(first: Rgb, second: Rgb) -> float:
    """Contrast ratio of WCAG 2."""
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 2.5, 0), (50, 0, -2.5), 4.3065),
        ((22.7233, 20.0904, -46.694), (23.0331, 14.973, -42.5619), 2.0373),
    ],
)
def test_the_distance_agrees_with_its_authors_table(first: Rgb, second: Rgb, expected: float) -> None:
    assert delta_e(np.array(first, float), np.array(second, float)) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("sight", SIGHTS)
def test_five_classes_stay_apart_for(sight: str) -> None:
    labs = {name: as_lab(colour, SIGHTS[sight]) for name, colour in SAFE.classes.items()}
    gaps = {(a, b): delta_e(labs[a], labs[b]) for a, b in itertools.combinations(labs, 2)}
    nearest = min(gaps, key=gaps.__getitem__)
    assert gaps[nearest] >= LEAST_DELTA_E, f"{nearest}: {gaps[nearest]:.1f}"


@pytest.mark.parametrize("sight", SIGHTS)
def test_kinds_of_region_stay_apart_for(sight: str) -> None:
    labs = [as_lab(REGION_COLOURS[kind], SIGHTS[sight]) for kind in RegionKind]
    assert min(delta_e(a, b) for a, b in itertools.combinations(labs, 2)) >= LEAST_DELTA_E


@pytest.mark.parametrize("sight", SIGHTS)
def test_counted_cells_differ_from_those_left_out_for(sight: str) -> None:
    for grey in (SAFE.other, SAFE.edge):
        for colour in SAFE.classes.values():
            assert delta_e(as_lab(grey, SIGHTS[sight]), as_lab(colour, SIGHTS[sight])) > 13


@pytest.mark.parametrize("sight", SIGHTS)
@pytest.mark.parametrize("tissue", TISSUE)
def test_a_colour_or_its_rim_stands_out_from(tissue: str, sight: str) -> None:
    ground = as_lab(TISSUE[tissue], SIGHTS[sight])
    for colour in SAFE.classes.values():
        seen = max(delta_e(ground, as_lab(item, SIGHTS[sight])) for item in (colour, halo(colour)))
        assert seen > LEAST_DELTA_E


def test_every_class_shows_in_a_dark_window() -> None:
    assert all(contrast(colour, DARK_WINDOW) > 3 for colour in SAFE.classes.values())


@pytest.mark.parametrize("name", PALETTES)
def test_text_on_every_colour_can_be_read(name: str) -> None:
    item = palette(name)
    for colour in (*item.classes.values(), item.other, item.edge, item.membrane_faint, item.membrane_intense):
        assert contrast(colour, halo(colour)) > 4.5


@pytest.mark.parametrize("name", PALETTES)
def test_no_two_classes_share_a_colour(name: str) -> None:
    item = palette(name)
    assert set(item.classes) == set(CellClass)
    assert len({*item.classes.values(), item.other, item.edge}) == 7
    assert item.colour(None) == item.other


def test_each_class_has_words_and_a_shape_of_its_own() -> None:
    assert len({*(LABELS[name] for name in CellClass), OTHER_LABEL}) == 6
    assert len({*(MARKERS[name] for name in CellClass), OTHER_MARKER}) == 6
    assert label(CellClass.COMPLETE_INTENSE) == "Complete, intense"
    assert (label(None), marker(None)) == (OTHER_LABEL, Marker.CROSS)


@pytest.mark.parametrize("shape", Marker)
def test_markers_fill_a_square_of_two(shape: Marker) -> None:
    corners = np.array(marker_polygon(shape))
    assert np.abs(corners).max() <= 1.0
    assert np.abs(corners[:, 0]).max() > 0.7


def test_unknown_palette_says_which_there_are() -> None:
    with pytest.raises(NotAvailableError, match=r"palette 'pastel' is not available. Available: paper, safe"):
        palette("pastel")


def test_hex_is_six_digits() -> None:
    assert hex_colour((0, 10, 255)) == "#000aff"
