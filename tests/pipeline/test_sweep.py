"""What of a picture is new tissue of the outlined tumour."""

from __future__ import annotations

from dataclasses import replace

import pytest
from factories import accepted, case_view, cell, field_result
from hypothesis import given
from hypothesis import strategies as st

from her2scope.domain.errors import CaseRuleError
from her2scope.domain.regions import Region, RegionKind
from her2scope.pipeline.sweep import check_can_sweep, new_share
from her2scope.records import MapPlace

SIZE = (320.0, 180.0)
TUMOUR = Region(1, RegionKind.INVASIVE, 0, ((0.0, 0.0), (640.0, 0.0), (640.0, 360.0), (0.0, 360.0)))


def test_nothing_is_swept_without_an_outline():
    with pytest.raises(CaseRuleError, match="none is outlined"):
        check_can_sweep(case_view())
    drawn_on_a_field = Region(1, RegionKind.INVASIVE, 0, TUMOUR.polygon_um, field=1)
    with pytest.raises(CaseRuleError, match="cannot tell invasive tumour from carcinoma in situ"):
        check_can_sweep(case_view(regions=(drawn_on_a_field,)))
    check_can_sweep(case_view(regions=(TUMOUR,)))


def test_a_picture_within_the_outline_is_all_new():
    assert new_share(MapPlace(0, 100.0, 100.0), SIZE, case_view(regions=(TUMOUR,))) == 1.0


def test_another_island_is_not_outlined():
    assert new_share(MapPlace(1, 100.0, 100.0), SIZE, case_view(regions=(TUMOUR,))) == 0.0


@given(st.floats(-700, 700), st.floats(-500, 500))
def test_what_a_field_shows_is_not_new(x_um, y_um):
    """A field of 16 x 16 um in a picture of 320 x 180: new is what neither it shows nor lies outside the outline."""
    place = MapPlace(0, x_um, y_um)
    plain = case_view(regions=(TUMOUR,))
    taken = accepted(field_result([cell()], (720, 1280)))
    whole = replace(taken, place=place)
    assert new_share(place, SIZE, replace(plain, fields=(whole,))) == 0.0
    half = replace(taken, place=MapPlace(0, x_um + 160.0, y_um))
    left = new_share(MapPlace(0, x_um, y_um), (160.0, 180.0), plain)
    assert new_share(place, SIZE, replace(plain, fields=(half,))) == pytest.approx(left / 2, abs=0.03)


def test_what_the_reader_took_out_is_not_swept_in_again():
    place = MapPlace(0, 100.0, 100.0)
    removed = replace(accepted(field_result([cell()], (720, 1280)), active=False), place=place)
    assert new_share(place, SIZE, replace(case_view(regions=(TUMOUR,)), fields=(removed,))) == 0.0
