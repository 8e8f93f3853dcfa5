"""The Levey-Jennings picture: its size, what it tells apart, and that nothing stands outside it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from control_series import baseline, entry, series
from numpy.typing import NDArray

from her2scope.domain.control_history import ControlEntry
from her2scope.domain.score import ControlStatus
from her2scope.domain.westgard import judge_history
from her2scope.reporting.chart_canvas import Canvas, printable
from her2scope.reporting.levey_jennings import ChartColours, levey_jennings, levey_jennings_png

COLOURS = ChartColours(valid="#0000ff", warning="#00ff00", invalid="#ff00ff")
"""Colours that nothing else in a chart is near to."""
LONG = "a name that is far too long for any line of a chart, whatever its width may be in the end, " * 3


def draw(*history: ControlEntry, size_wh: tuple[int, int] = (700, 420), scale: float = 1.0) -> NDArray[np.uint8]:
    return levey_jennings(judge_history(history), size_wh, scale, COLOURS)


def n_of(picture: NDArray[np.uint8], rgb: tuple[int, int, int], rows: slice = slice(0, -24)) -> int:
    """Pixels of a colour above the legend."""
    return int(np.all(picture[rows] == rgb, axis=2).sum())


def marks(picture: NDArray[np.uint8], rgb: tuple[int, int, int]) -> list[tuple[int, int]]:
    """Centres (x, y) of the solid marks of a colour above the legend: lines and letters are thinner."""
    mask = np.all(picture[:-24] == rgb, axis=2).astype(np.uint8)
    solid = cv2.erode(mask, np.ones((4, 4), np.uint8))
    _, _, _, centres = cv2.connectedComponentsWithStats(solid)
    return [(round(x), round(y)) for x, y in centres[1:]]


@pytest.mark.parametrize("size_wh", [(1200, 700), (700, 420), (480, 180), (60, 40), (1, 1)])
@pytest.mark.parametrize("n_runs", [0, 1, 25, 300])
def test_it_has_the_size_that_was_asked_for(size_wh, n_runs):
    picture = draw(*series([0.1 * (number % 7) for number in range(n_runs)], 0), size_wh=size_wh)
    assert picture.shape == (size_wh[1], size_wh[0], 3) and picture.dtype == np.uint8


def test_nothing_to_chart_says_so():
    assert (draw() != 255).any()
    assert (draw(entry(lot="")) == draw()).all()


def test_a_point_lies_higher_the_stronger_it_stained():
    picture = draw(*baseline(), entry(20, 1.9), entry(21, -1.9))
    *_, above, below = sorted(marks(picture, (0, 0, 255)))
    assert above[1] < below[1] and above[0] < below[0]


def test_without_a_baseline_there_are_no_limits():
    before, after = draw(*baseline()[:19]), draw(*baseline())
    assert n_of(before, (0, 255, 0)) == n_of(before, (255, 0, 255)) == 0
    assert n_of(after, (0, 255, 0)) > 500 and n_of(after, (255, 0, 255)) > 1000
    assert len(marks(before, (0, 0, 255))) == 19 and len(marks(after, (0, 0, 255))) == 20


@pytest.mark.parametrize(
    ("z", "status", "rgb"),
    [
        (0.5, ControlStatus.WARNING, (0, 255, 0)),
        (0.5, ControlStatus.INVALID, (255, 0, 255)),
        (2.5, ControlStatus.VALID, (0, 255, 0)),  # the rule says more than the reading's own limits
        (3.5, ControlStatus.VALID, (255, 0, 255)),
        (30.0, ControlStatus.VALID, (255, 0, 255)),  # far beyond the scale: drawn at its end
    ],
)
def test_a_run_is_marked_by_the_worst_that_was_said_of_it(z, status, rgb):
    picture = draw(*baseline(), entry(20, z, status=status))
    assert [x for x, _ in marks(picture, rgb)] == [max(x for x, _ in marks(picture, rgb))]
    assert len(marks(picture, (0, 0, 255))) == 20


def test_the_rule_is_written_beside_the_point_that_breaks_it():
    quiet, told = draw(*baseline(), entry(20, 2.0)), draw(*baseline(), entry(20, 2.5))
    assert n_of(told, (0, 255, 0)) > n_of(quiet, (0, 255, 0))
    assert len(marks(quiet, (0, 255, 0))) == 0


def test_an_earlier_reading_of_a_run_is_hollow():
    once = draw(*baseline())
    twice = draw(*baseline(), entry(5, 1.5))
    assert len(marks(twice, (0, 0, 255))) == len(marks(once, (0, 0, 255))) == 20
    assert n_of(twice, (0, 0, 255)) > n_of(once, (0, 0, 255))


def test_levels_stand_below_each_other_over_the_same_runs():
    picture = draw(*baseline(), *baseline(level="1+"), size_wh=(700, 500))
    found = marks(picture, (0, 0, 255))
    upper = sorted(x for x, y in found if y < 240)
    lower = sorted(x for x, y in found if y >= 240)
    assert len(upper) == len(lower) == 20
    assert np.allclose(upper, lower, atol=1)


def test_long_and_foreign_names_stay_inside():
    picture = draw(entry(lot=LONG, instrument="顕微鏡\n1", run="x" * 300))
    assert (picture[:, -3:] == 255).all() and (picture[:, :3] == 255).all()
    assert printable("顕 a\n") == "[U+9855] a"


def test_twice_the_pixels_show_the_same_chart():
    small, large = draw(*baseline()), draw(*baseline(), size_wh=(1400, 840), scale=2.0)
    halved = cv2.resize(large, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    assert np.abs(halved.astype(float) - small).mean() < 4


def test_the_file_is_a_png_as_high_as_its_charts_need():
    one = cv2.imdecode(np.frombuffer(levey_jennings_png(judge_history([entry()])), np.uint8), cv2.IMREAD_COLOR)
    levels = [entry(level=level) for level in ("0", "1+", "2+", "3+")]
    four = cv2.imdecode(np.frombuffer(levey_jennings_png(judge_history(levels)), np.uint8), cv2.IMREAD_COLOR)
    assert one is not None and four is not None
    assert one.shape[1] == four.shape[1] == 1200 and four.shape[0] > 2 * one.shape[0]


def test_a_line_that_fits_is_not_shortened():
    canvas = Canvas((400, 100), 1.0, "#ffffff")
    assert canvas.fitted("short", 100) == "short"
    assert canvas.fitted("longer than that", 40).endswith("\u2026")
    assert canvas.text_width(canvas.fitted("longer than that", 40)) <= 40
