from __future__ import annotations

import dataclasses

import factories
import pytest
from gui.fake_calibration import DAB, FLAT_FIELD, WHITE, FakeSteps, Refused

from her2scope.settings import Calibration
from her2scope.ui.calibration_steps import Page, Part, Session, changes

FRAME = factories.field_result(()).frame
OLD = Calibration(name="old", objectives={"40x": 0.25})


@pytest.fixture
def steps() -> FakeSteps:
    return FakeSteps()


def objective(steps: FakeSteps, name: str = "40x") -> Part:
    return Part(Page.OBJECTIVE, name, lambda start: steps.micrometer(start, FRAME, name, 10.0))


def empty_field(steps: FakeSteps) -> Part:
    return Part(Page.EMPTY_FIELD, "", lambda start: steps.empty_field(start, [FRAME]))


def stains(steps: FakeSteps) -> Part:
    return Part(Page.STAINS, "", lambda start: steps.stains(start, [FRAME]))


def after(*parts: Part) -> Session:
    session = Session(OLD)
    for part in parts:
        session = session.with_part(part).session
    return session


def test_measurements_add_up_and_the_old_one_stays_as_it_was(steps):
    session = after(objective(steps), objective(steps, "20x"), empty_field(steps))
    assert session.old is OLD and OLD.objectives == {"40x": 0.25}
    assert session.calibration.objectives == {"40x": 0.2478, "20x": 0.2478}
    assert session.calibration.white_rgb == WHITE


def test_order_of_measuring_does_not_matter(steps):
    parts = [objective(steps), empty_field(steps), stains(steps)]
    assert after(*parts).calibration == after(*reversed(parts)).calibration


def test_a_refusal_changes_nothing(steps):
    session = after(objective(steps), empty_field(steps))
    steps.refusals["empty_field"] = Refused("tissue in view")
    change = session.with_part(empty_field(steps))
    assert change.session is session and change.asked.found == "tissue in view"


def test_an_error_that_nobody_expected_is_a_refusal_too(steps):
    steps.refusals["micrometer"] = ZeroDivisionError("division by zero")
    change = Session(OLD).with_part(objective(steps))
    assert change.session.calibration is OLD
    assert "could not be measured" in change.asked.found and "division by zero" in change.asked.found


def test_stains_are_measured_again_with_another_white(steps):
    session = after(stains(steps))
    assert steps.calls == [("stains", None)]
    change = session.with_part(empty_field(steps))
    assert steps.calls[1:] == [("empty_field", 1), ("stains", WHITE)]
    assert change.session.calibration.white_rgb == WHITE and change.session.calibration.dab_vector == DAB


def test_stains_that_another_white_refuses_are_lost_and_named(steps):
    session = after(stains(steps))
    steps.refusals["stains"] = Refused("only one stain in view")
    change = session.with_part(empty_field(steps))
    assert [item.found for item in change.lost] == ["only one stain in view"]
    assert change.session.of_page(Page.STAINS) == ()
    assert change.session.calibration.dab_vector == OLD.dab_vector
    assert change.session.calibration.white_rgb == WHITE


def test_measuring_an_objective_again_replaces_it_alone(steps):
    session = after(objective(steps), objective(steps, "20x"), empty_field(steps))
    steps.um_per_px["40x"] = 0.251
    session = session.with_part(objective(steps)).session
    assert session.calibration.objectives == {"40x": 0.251, "20x": 0.2478}
    assert len(session.measured) == 3 and session.calibration.white_rgb == WHITE


def test_an_objective_measured_again_starts_from_the_saved_value(steps):
    session = after(objective(steps), objective(steps, "20x"))
    started_from = []

    def ask(start):
        started_from.append(dict(start.objectives))
        return steps.micrometer(start, FRAME, "40x", 10.0)

    session.with_part(Part(Page.OBJECTIVE, "40x", ask))
    assert started_from == [{"40x": 0.25, "20x": 0.2478}]


def test_a_page_is_forgotten_and_the_rest_stays(steps):
    session = after(objective(steps), empty_field(steps), stains(steps)).without_page(Page.EMPTY_FIELD).session
    assert session.calibration.white_rgb is None and session.calibration.objectives["40x"] == 0.2478
    assert steps.calls[-1] == ("stains", None)


def test_changes_name_old_and_new():
    new = dataclasses.replace(
        OLD, objectives={"40x": 0.2478, "20x": 0.5}, white_rgb=WHITE, flat_field=FLAT_FIELD, dab_vector=DAB,
        exposure_ms=8.0,
    )  # fmt: skip
    assert changes(OLD, new) == (
        ("Objective 40x", "0.2500 um/px", "0.2478 um/px"),
        ("Objective 20x", "not calibrated", "0.5000 um/px"),
        ("White (red, green, blue)", "estimated from each picture", "240, 238, 241"),
        ("Flat field", "none: even light", "darkest place 85 % of the brightest"),
        ("DAB", "0.268, 0.570, 0.776", "0.300, 0.560, 0.770 (2.0° from the old one)"),
        ("Exposure", "not known", "8 ms"),
    )
    assert changes(OLD, OLD) == ()
