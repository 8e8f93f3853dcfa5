"""Paths over drawn slides: the way is what was asked for, and small ones are walked and counted through."""

from __future__ import annotations

import math

import numpy as np
import pytest

from her2scope.app.compose import make_analyser
from her2scope.evaluation import moving_views, registration, slide_paths
from her2scope.evaluation.moving_views import Camera, DrawnArea, hand_path, velocities_px_s
from her2scope.evaluation.registration import SlideSpec, evaluate_registration, walk_slide
from her2scope.evaluation.slide_paths import PathSpec, in_force, read_path
from her2scope.records import IslandJoin, MapPlace
from her2scope.settings import Calibration, ScoringSettings


@pytest.fixture(scope="module")
def area() -> DrawnArea:
    rng = np.random.default_rng(1)
    smooth = moving_views.cv2.GaussianBlur(rng.uniform(0, 255, (400, 500, 3)).astype(np.float32), (0, 0), 4.0)
    return DrawnArea(np.clip(128 + 6 * (smooth - 128), 0, 255).astype(np.uint8), Calibration())


def test_a_hand_goes_through_its_stops_and_not_straight():
    stops = [(0.0, 0.0), (300.0, 40.0), (20.0, 200.0)]
    way = hand_path(stops, 20, np.random.default_rng(3))
    assert way.shape == (41, 2)
    assert [tuple(way[k]) for k in (0, 20, 40)] == stops
    straight = np.linspace(stops[0], stops[1], 20, endpoint=False)
    assert 2.0 < np.abs(way[:20] - straight).max() < 80.0
    assert velocities_px_s(way[:1]).tolist() == [[0.0, 0.0]]


def test_a_camera_at_rest_takes_the_place_itself_and_a_moving_one_is_blurred_about_it(area):
    size_wh = (200, 160)
    at_rest = Camera(area, size_wh, 1).taken((50.0, 60.0))
    assert np.abs(at_rest.rgb.astype(int) - area.rgb[60:220, 50:250]).mean() < 2.0
    moving = Camera(area, size_wh, 1).taken((50.0, 60.0), (4000.0, 0.0))
    assert moving.rgb.std() < 0.9 * at_rest.rgb.std()
    mean = np.mean([area.rgb[60:220, 50 + k : 250 + k] for k in range(-20, 20)], axis=0)
    assert np.abs(moving.rgb - mean).mean() < 3.0


def test_fields_of_a_path_share_what_was_asked_and_stay_in_the_drawn_area():
    for shared, jumps in ((0.0, False), (0.4, True), (0.8, False)):
        spec = PathSpec("2+", 1, shared, jumps)
        stops = np.array(spec.stops)
        assert len(stops) == 6 and len(set(spec.stops)) == 6
        steps = np.abs(np.diff(stops, axis=0)).max(axis=0) / slide_paths.FIELD_WH
        assert steps == pytest.approx([1.0 - shared] * 2, abs=0.001)
        for stop in (*spec.stops, *([spec.away] if jumps else [])):
            assert np.all(np.add(stop, slide_paths.FIELD_WH) < spec.area_wh)
    assert PathSpec("2+", 1, 0.4, jumps=True).away[0] > stops[:, 0].max() + slide_paths.FIELD_WH[0]


def test_a_place_follows_the_joins():
    joins = [IslandJoin(2, 1, 10.0, 0.0), IslandJoin(1, 0, 0.0, -5.0)]
    assert in_force(MapPlace(2, 1.0, 1.0), joins) == MapPlace(0, 11.0, -4.0)
    assert in_force(MapPlace(3, 1.0, 1.0), joins) == MapPlace(3, 1.0, 1.0)


def test_a_small_slide_is_walked_and_reported(monkeypatch):
    monkeypatch.setattr(registration, "AREA_WH", (800, 560))
    monkeypatch.setattr(registration, "SIZES_WH", ((320, 240),))
    monkeypatch.setattr(registration, "FRAMES", 40)
    monkeypatch.setattr(registration, "PATTERNS", ("2+",))
    way, jumps = walk_slide({}, SlideSpec("2+", 5))
    assert len(way.errors_um) + way.untrusted == len(way.ms) == 40
    assert np.median(way.errors_um) < 1.0 and way.return_um < 1.0 and way.islands == 1
    assert jumps.islands >= 2 and math.isfinite(jumps.return_um)
    monkeypatch.setattr(registration, "done_in_any_order", lambda task, items, *_: [(items[0], [way, jumps])])
    told: list[str] = []
    reports = evaluate_registration({"a": None, "b": None}, 1, told.append)
    assert reports["a"] is reports["b"] and told == ["registration: 1 of 1 slides"]
    assert any(figure.name == "error of the place, p95" and figure.met for figure in reports["a"].figures)


def test_a_small_path_counts_what_the_seamless_picture_holds(monkeypatch):
    monkeypatch.setattr(slide_paths, "FIELD_WH", (480, 360))
    monkeypatch.setattr(slide_paths, "COLUMNS", 2)
    monkeypatch.setattr(slide_paths, "ROWS", 1)
    monkeypatch.setattr(slide_paths, "FRAMES", 8)
    spec = PathSpec("2+", 9, 0.5, jumps=False)
    analysers = {"closed-contours": make_analyser("closed-contours", ScoringSettings(), Calibration())}
    tally = read_path(analysers, spec)["closed-contours"]
    assert tally.islands == 1 and tally.most_off_um < 1.0
    assert tally.counted < tally.summed and 0 < tally.asked <= tally.seamless
    report = slide_paths.report_of({spec: tally})
    assert [figure.on for figure in report.figures] == ["2 fields, 50 % shared"] * 5
    assert report.details["paths"][0]["counted"] == tally.counted
