"""Phantom beside real: one scale on both sides, readable captions, wrong use refused in one line."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from her2scope.cli import main
from her2scope.domain.cells import CellClass
from her2scope.domain.errors import BadInputError, NotAvailableError
from her2scope.imaging.files import read_rgb, write_png
from her2scope.imaging.opencv import cv2
from her2scope.overlays.palette import SAFE
from her2scope.phantom.compare import sheets
from her2scope.phantom.compare.sheets import (
    GAP_PX,
    LEAST_TILE_PX,
    PhantomChoice,
    PhantomOrder,
    Piece,
    at_scale,
    caption_px,
    checked_choice,
    contact_sheet,
    draw_piece,
    draw_scale_bar,
    meant_score,
    order_beside,
    real_piece,
    richest_corner,
    sheet_row,
    shortened,
)
from her2scope.phantom.field import PhantomSpec
from her2scope.phantom.recipes import Recipe

GLASS, TISSUE = (244, 243, 245), (140, 110, 150)
DISC_UM = 24.0


def with_disc(um_per_px: float, side_um: float, at_um: tuple[float, float]) -> np.ndarray:
    """Glass with one round piece of tissue."""
    side = round(side_um / um_per_px)
    picture = np.full((side, side, 3), GLASS, np.uint8)
    centre = tuple(round(16 * (place / um_per_px - 0.5)) for place in at_um)
    cv2.circle(picture, centre, round(16 * DISC_UM / 2 / um_per_px), TISSUE, -1, cv2.LINE_AA, 4)
    return picture


def cell(x_px: float, y_px: float, **more: Any) -> dict[str, Any]:
    return {"x_px": x_px, "y_px": y_px, "class": "complete_intense", "kind": "tumour", "visible": True, **more}


def drawn_with_disc(spec: PhantomSpec) -> Any:
    """Stands for the phantom: as large as asked, a disc of known size in its middle."""
    side_um = spec.size_wh[0] * spec.um_per_px
    middle = spec.size_wh[0] / 2 - 0.5
    return SimpleNamespace(
        rgb=with_disc(spec.um_per_px, side_um, (side_um / 2, side_um / 2)), truth={"cells": [cell(middle, middle)]}
    )


def widths_px(picture: np.ndarray, colour: tuple[int, int, int], within: int = 12) -> tuple[int, int]:
    """Width and height of what has that colour."""
    rows, columns = np.nonzero(np.abs(picture.astype(int) - colour).max(axis=2) <= within)
    return int(columns.max() - columns.min() + 1), int(rows.max() - rows.min() + 1)


def tiles(sheet: np.ndarray, n: int, side_px: int) -> list[np.ndarray]:
    """Pictures of a sheet's first row, without their captions."""
    step, top = max(side_px, LEAST_TILE_PX) + GAP_PX, GAP_PX + caption_px(side_px)
    return [sheet[top : top + side_px, GAP_PX + k * step : GAP_PX + k * step + side_px] for k in range(n)]


# ---- one scale ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("um_per_px", [0.16, 0.25, 0.46])
@pytest.mark.parametrize("shown", [0.2, 0.25, 0.5])
def test_what_is_as_large_in_um_is_as_large_on_the_sheet(um_per_px: float, shown: float):
    real = real_piece(with_disc(um_per_px, 150.0, (60.0, 70.0)), "real.png", um_per_px, 100.0)
    row = sheet_row(real, PhantomChoice(), draw=drawn_with_disc)
    side_px = round(100.0 / shown)
    for tile in tiles(contact_sheet([row], shown, 100.0), 4, side_px):
        assert widths_px(tile, TISSUE) == pytest.approx((DISC_UM / shown,) * 2, abs=2.5)


def test_the_phantom_is_sampled_and_sized_like_the_real_picture():
    asked: list[PhantomSpec] = []

    def draw(spec: PhantomSpec) -> Any:
        asked.append(spec)
        return drawn_with_disc(spec)

    real = real_piece(with_disc(0.5, 300.0, (150.0, 150.0)), "real.png", 0.5, 80.0)
    piece = draw_piece(order_beside(real, PhantomChoice("1+", 7, None, "hard")), draw)
    (spec,) = asked
    assert (spec.um_per_px, spec.size_wh, spec.score, spec.seed, spec.difficulty) == (0.5, (600, 600), "1+", 7, "hard")
    assert piece.size_wh == real.size_wh == (160, 160) and piece.um_per_px == real.um_per_px


@pytest.mark.parametrize("um_per_px", [0.1, 0.25, 0.5])
def test_scale_bar_is_twenty_um_long(um_per_px: float):
    picture = np.full((400, 500, 3), 128, np.uint8)
    draw_scale_bar(picture, um_per_px)
    dark = (picture == 0).all(axis=2)
    assert dark.sum(axis=1).max() == pytest.approx(20.0 / um_per_px, abs=1)


def test_resampling_keeps_extent_and_leaves_equal_scale_alone():
    picture = with_disc(0.25, 50.0, (25.0, 25.0))
    assert at_scale(picture, 0.25, 0.25) is picture
    assert at_scale(picture, 0.25, 0.5).shape == (100, 100, 3)
    assert at_scale(picture, 0.25, 0.1).shape == (500, 500, 3)


# ---- cutting ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at_um", [(30.0, 40.0), (170.0, 30.0), (100.0, 165.0)])
def test_the_part_with_most_tissue_is_cut(at_um: tuple[float, float]):
    picture = with_disc(0.25, 200.0, at_um)
    piece = real_piece(picture, "real.png", 0.25, 50.0)
    assert piece.size_wh == (200, 200)
    assert widths_px(piece.rgb, TISSUE) == widths_px(picture, TISSUE)


def test_without_any_difference_the_middle_is_cut():
    left, top = richest_corner(np.full((400, 600, 3), TISSUE, np.uint8), 0.25, (200, 200))
    assert (left, top) == pytest.approx((200, 100), abs=16)


def test_a_picture_smaller_than_the_crop_is_shown_whole():
    piece = real_piece(with_disc(0.25, 60.0, (30.0, 30.0)), "small.png", 0.25, 120.0)
    assert piece.size_wh == (240, 240)
    sheet = contact_sheet([[piece]], 0.25, 120.0)
    assert sheet.shape == (480 + caption_px(480) + 2 * GAP_PX, 480 + 2 * GAP_PX, 3)


def test_truth_is_cut_with_its_picture():
    def draw(spec: PhantomSpec) -> Any:
        picture = with_disc(0.25, 200.0, (160.0, 150.0))
        inside, outside = cell(640.0, 600.0, outline_px=[[630, 590], [650, 590], [640, 620]]), cell(50.0, 50.0)
        return SimpleNamespace(rgb=picture, truth={"cells": [inside, outside]})

    piece = draw_piece(PhantomOrder(PhantomChoice(), (200, 200), (800, 800), 0.25), draw)
    (only,) = piece.cells
    rows, columns = np.nonzero((piece.rgb == TISSUE).all(axis=2))
    assert (only.x_px, only.y_px) == pytest.approx((columns.mean(), rows.mean()), abs=1.5)
    assert only.outline_xy_px - [only.x_px, only.y_px] == pytest.approx(np.array([[-10, -10], [10, -10], [0, 20]]))


# ---- sheet --------------------------------------------------------------------------------------------------------


def test_size_of_a_sheet_and_its_captions():
    real = real_piece(with_disc(0.25, 200.0, (100.0, 100.0)), "real.png", 0.25, 80.0)
    rows = [sheet_row(real, PhantomChoice("3+", 4), draw=drawn_with_disc)] * 2
    assert [piece.name for piece in rows[0][1:]] == [f"phantom 3+, seed {seed}" for seed in (4, 5, 6)]
    sheet = contact_sheet(rows, 0.25, 80.0)
    side, strip = 320, caption_px(320)
    assert sheet.shape == (2 * (strip + side + GAP_PX) + GAP_PX, 4 * (side + GAP_PX) + GAP_PX, 3)
    for place in range(4):
        left = GAP_PX + place * (side + GAP_PX)
        caption = sheet[GAP_PX : GAP_PX + strip, left : left + side].astype(int)
        assert (caption.max(axis=2) < 90).mean() > 0.01  # there are words
        edges = (caption[:1], caption[-1:], caption[:, :4], caption[:, -4:])
        assert all((edge.max(axis=2) > 150).all() for edge in edges)  # none of them is cut


def test_a_look_is_named_and_given_to_the_phantom_only_where_one_is_asked_for(monkeypatch):
    given: list[dict[str, Any]] = []
    monkeypatch.setattr(sheets, "PhantomSpec", lambda **options: given.append(options))
    PhantomChoice("2+", 1).spec((64, 64), 0.25)
    PhantomChoice("2+", 1, "haze").spec((64, 64), 0.25)
    assert "recipe" not in given[0] and given[1]["recipe"] == "haze"
    assert PhantomChoice("2+", 1, "haze").words == "phantom 2+, seed 1, haze"


def test_truth_is_drawn_in_a_tile_of_its_own_with_a_legend_below():
    real = real_piece(with_disc(0.25, 200.0, (100.0, 100.0)), "real.png", 0.25, 80.0)
    row = sheet_row(real, PhantomChoice(seed=4), truth=True, draw=drawn_with_disc)
    assert [piece.marked for piece in row] == [False] * 4 + [True]
    plain, sheet = contact_sheet([row[:4]], 0.25, 80.0), contact_sheet([row], 0.25, 80.0)
    assert len(sheet) > len(plain)
    red = SAFE.classes[CellClass.COMPLETE_INTENSE]
    drawn = [bool((np.abs(tile.astype(int) - red).max(axis=2) < 20).any()) for tile in tiles(sheet, 5, 320)]
    assert drawn == [False] * 4 + [True]


def test_words_that_do_not_fit_lose_their_middle():
    assert shortened("short.png", 300) == "short.png"
    cut = shortened("a very long name of a field_" + "x" * 80 + "_score2.jpg", 220)
    assert cut.startswith("a very") and cut.endswith("score2.jpg") and ".." in cut
    assert shortened("f\u00e4rbung.png", 300) == "f?rbung.png"


@pytest.mark.parametrize("name, side_um", [("wide", 2000.0), ("far", 120.0)])
def test_a_sheet_that_nobody_could_read_is_refused(name: str, side_um: float):
    piece = Piece(with_disc(0.25, 40.0, (20.0, 20.0)), 0.25, name, (160, 160))
    with pytest.raises(BadInputError, match="show-um-per-px"):
        contact_sheet([[piece]], 0.25 if name == "wide" else 6.0, side_um)


def test_an_unknown_look_is_refused(monkeypatch):
    monkeypatch.setattr(sheets, "RECIPES", {"haze": Recipe("brown all over", "0"), "solid": Recipe("nests", "3+")})
    assert checked_choice(PhantomChoice(recipe="haze")).recipe == "haze"
    assert (meant_score("solid", "2+"), meant_score(None, "2+")) == ("3+", "2+")
    with pytest.raises(NotAvailableError, match="haze, solid"):
        checked_choice(PhantomChoice(recipe="marble"))


# ---- command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    write_png(path, with_disc(0.5, 120.0, (60.0, 60.0)))
    return path


def test_command_writes_a_sheet(photo: Path, capsys):
    out = photo.with_name("sheet.png")
    options = ["--um-per-px", "0.5", "--score", "3+", "--seed", "2", "--crop-um", "60", "--truth", "--out", str(out)]
    assert main(["phantom", "beside", str(photo), *options]) == 0
    assert "1 real and 4 phantom crops" in capsys.readouterr().out
    assert read_rgb(out).shape[1] == 5 * (LEAST_TILE_PX + GAP_PX) + GAP_PX


@pytest.mark.parametrize(
    "options, said",
    [
        (["--um-per-px", "250"], "not possible"),
        (["--um-per-px", "wide"], "not a number"),
        ([], "--um-per-px"),
        (["--um-per-px", "0.5", "--score", "7"], "--score"),
        (["--um-per-px", "0.5", "--recipe", "marble"], "recipe 'marble'"),
        (["--um-per-px", "0.5", "--crop-um", "5"], "5"),
        (["--um-per-px", "0.5", "--um-per-px", "0.4"], "once per image"),
        (["--um-per-px", "0.5", "--show-um-per-px", "6"], "--show-um-per-px"),
        (["--um-per-px", "0.5", "--out", "sheet.jpg"], ".png"),
    ],
)
def test_wrong_use_is_one_line(photo: Path, options: list[str], said: str, capsys):
    out = [] if "--out" in options else ["--out", str(photo.with_name("sheet.png"))]
    try:
        code = main(["phantom", "beside", str(photo), *options, *out])
    except SystemExit as stop:
        code = stop.code
    lines = capsys.readouterr().err.splitlines()
    assert code == 2 and len(lines) == 1 and said in lines[0]
    assert not photo.with_name("sheet.png").exists()


def test_an_image_that_cannot_be_read_is_one_line(tmp_path: Path, capsys):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    out = tmp_path / "sheet.png"
    assert main(["phantom", "beside", str(broken), "--um-per-px", "0.25", "--out", str(out)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "broken.png" in line and not out.exists()
