from __future__ import annotations

import numpy as np
import pytest
from cameras.fake_slide import FakeSlide, place_picture

from her2scope.cameras.slide_overview import Overview, overview_of
from her2scope.records import RgbImage

GLASS, TISSUE = (243, 244, 242), (205, 170, 190)


def slide_with(*pieces: tuple[int, int, int, int]) -> RgbImage:
    """Glass, `(600, 800)`, with rectangles of tissue: left, top, right, bottom."""
    rgb = np.full((600, 800, 3), GLASS, np.uint8)
    for left, top, right, bottom in pieces:
        rgb[top:bottom, left:right] = TISSUE
    return rgb


def test_places_are_the_middles_of_the_tissue_the_largest_first() -> None:
    rgb = slide_with((50, 60, 150, 160), (400, 200, 700, 500))
    places = Overview(rgb, reduction=4.0).places()
    assert list(places) == ["tissue", "tissue 2"]
    assert places["tissue"] == pytest.approx((4 * 550, 4 * 350), abs=12)
    assert places["tissue 2"] == pytest.approx((4 * 100, 4 * 110), abs=12)


def test_dust_is_no_tissue() -> None:
    assert list(Overview(slide_with((100, 100, 300, 300), (500, 500, 508, 508)), 1.0).places()) == ["tissue"]


def test_glass_alone_has_no_places_and_tissue_to_all_edges_has_one() -> None:
    assert not Overview(slide_with(), 1.0).places()
    assert list(Overview(slide_with((0, 0, 800, 600)), 1.0).places()) == ["tissue"]


def test_a_large_level_is_shrunk_and_keeps_its_scale() -> None:
    overview = overview_of(FakeSlide(place_picture(2048, 4096), downsamples=(1, 2)))
    assert overview is not None
    assert overview.rgb.shape == (512, 1024, 3)
    assert overview.reduction == 4.0


def test_a_slide_without_a_small_level_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("her2scope.cameras.slide_overview.MOST_PIXELS", 1000)
    assert overview_of(FakeSlide(place_picture(40, 40))) is None


@pytest.mark.parametrize("reduction", [1, 2, 5])
def test_a_view_of_the_overview_lies_where_the_slide_s_own_does(reduction: int) -> None:
    picture = place_picture(1600, 2000)
    overview = overview_of(FakeSlide(picture))
    assert overview is not None
    view = overview.view(40, 24, (200, 160), reduction)
    sharp = picture[24 * reduction :: reduction, 40 * reduction :: reduction][:160, :200]
    assert np.abs(view.astype(int) - sharp).max() <= 2


def test_beyond_the_slide_the_overview_is_white() -> None:
    overview = overview_of(FakeSlide(slide_with()))
    assert overview is not None
    assert (overview.view(-500, -500, (64, 64), 1) == 255).all()
