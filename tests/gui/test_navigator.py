"""The stage goes to an accepted field, and only where the map tells the way."""

from __future__ import annotations

from dataclasses import replace

import factories
import pytest
from gui.fake_engine import FakeSource

from her2scope.records import AcceptedField, MapPlace, TrackedFrame
from her2scope.ui.navigator import Navigator

RESULT = factories.equivocal_field()


def field(place: MapPlace | None) -> AcceptedField:
    return replace(factories.accepted(RESULT, 7), place=place)


def asked(to: AcceptedField | None, shown: TrackedFrame | None) -> tuple[list[tuple], list[tuple[str, bool]]]:
    """What the stage was asked, and what the reader was told."""
    source, told = FakeSource(), []
    Navigator(source, lambda text, is_problem: told.append((text, is_problem))).go_to_field(to, shown)
    return source.calls, told


def test_the_middle_of_the_field_comes_into_the_middle_of_the_picture_by_any_objective():
    frame = RESULT.frame
    height, width = frame.size_hw
    coarse = replace(frame, um_per_px=2 * frame.um_per_px)
    calls, told = asked(field(MapPlace(4, 500.0, 80.0)), TrackedFrame(coarse, 100.0, 200.0, 4))
    half_um = width * frame.um_per_px / 2, height * frame.um_per_px / 2
    assert calls == [("move_by_um", pytest.approx(400.0 - half_um[0]), pytest.approx(-120.0 - half_um[1]))]
    assert told == [("Going to field 7", False)]


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        (None, TrackedFrame(RESULT.frame)),
        (MapPlace(3, 0.0, 0.0), TrackedFrame(RESULT.frame)),
        (MapPlace(0, 0.0, 0.0), TrackedFrame(RESULT.frame, trusted=False)),
        (MapPlace(0, 0.0, 0.0), None),
    ],
    ids=["no place", "another island", "place guessed", "no picture"],
)
def test_it_stays_where_the_map_does_not_tell_the_way(place, shown):
    calls, ((text, is_problem),) = asked(field(place), shown)
    assert calls == [] and is_problem and "does not tell where field 7 lies" in text


def test_a_field_must_be_selected():
    calls, told = asked(None, TrackedFrame(RESULT.frame))
    assert calls == [] and told[0][0].startswith("Select a field")
