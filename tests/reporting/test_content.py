"""`her2scope.score/1` and `her2scope.control/1`: every case that can occur fits the schema and says what it means."""

from __future__ import annotations

import copy
import dataclasses
import json
from functools import cache
from typing import Any

import factories
import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reporting import busy_case

from her2scope.domain.cells import CellClass
from her2scope.domain.control import CUTS_WORDS, ControlCode, CutsFrom
from her2scope.domain.corrections import CellStanding, Correction
from her2scope.domain.guideline import Ish
from her2scope.domain.score import ControlStanding, ControlStatus
from her2scope.records import CaseView, MapPlace, ReaderScore
from her2scope.reporting.content import (
    CONTROL_SCHEMA,
    SCORE_SCHEMA,
    control_json,
    field_rows,
    schema,
    score_json,
    share_rows,
    versions,
)
from her2scope.reporting.event_words import history
from her2scope.reporting.json_report import JsonReport

FADED = factories.control_reading(
    ControlStatus.INVALID, ("DAB too weak (median 0.21, limit 0.30 od10)",), (ControlCode.FADED,), read="1+"
)
HELD_ELSEWHERE = ControlStanding(ControlStatus.VALID, refusals=("the control was read at 20x, this case at 40x",))

FIELD = factories.equivocal_field()


@cache
def cases() -> dict[str, CaseView]:
    equivocal = factories.equivocal_field()
    thirds = factories.counted_field({CellClass.COMPLETE_INTENSE: 100, CellClass.NONE: 200})
    overridden = ControlStanding(ControlStatus.INVALID, overridden=True)
    return {
        "equivocal": factories.case_view([equivocal]),
        "thirds": factories.case_view([thirds]),
        "negative ISH": factories.case_view([equivocal], ish=Ish.NEGATIVE),
        "positive ISH": factories.case_view([equivocal], ish=Ish.POSITIVE),
        "null": factories.case_view([factories.counted_field({CellClass.NONE: 150})]),
        "insufficient": factories.case_view([factories.counted_field({CellClass.NONE: 30})]),
        "no tumour cell": factories.case_view([factories.field_result([factories.cell(None)])]),
        "no field": factories.case_view([]),
        "unusable field": factories.case_view([equivocal, factories.unusable_field()]),
        "only an unusable field": factories.case_view([factories.unusable_field()]),
        "no control": factories.case_view([equivocal], controls=[]),
        "control of another state": factories.case_view([equivocal], standing=HELD_ELSEWHERE),
        "invalid control": factories.case_view(
            [equivocal], controls=[FADED], standing=ControlStanding(ControlStatus.INVALID)
        ),
        "overridden": factories.case_view(
            [equivocal], controls=[FADED], standing=overridden, override_reason="second control read as expected"
        ),
        "closed contours": factories.case_view([factories.equivocal_field(program=factories.CLOSED_CONTOURS)]),
        "too coarse": factories.case_view([factories.equivocal_field(um_per_px=0.5)]),
        "busy": busy_case.busy_view(),
        "drawn": factories.case_view(
            [factories.honeycomb_field({CellClass.COMPLETE_MODERATE: 0.8, None: 0.2}, (240, 320))], min_cells=20
        ),
    }


def checked(view: CaseView) -> dict[str, Any]:
    """The case as a reader of the file gets it."""
    found: dict[str, Any] = json.loads(JsonReport().render(factories.report_content(view)))
    jsonschema.Draft202012Validator(schema(SCORE_SCHEMA)).validate(found)
    return found


@pytest.mark.parametrize("name", cases())
def test_the_file_fits_its_schema(name: str) -> None:
    checked(cases()[name])


@pytest.mark.parametrize("name", cases())
def test_what_is_scored_without_a_record_and_what_was_written_before_fit_too(name: str) -> None:
    found = score_json(cases()[name])
    validator = jsonschema.Draft202012Validator(schema(SCORE_SCHEMA))
    validator.validate(found)
    del found["settings_sha256"]
    validator.validate(found)


@pytest.mark.parametrize("status", [ControlStatus.INVALID, ControlStatus.WARNING])
def test_cuts_that_a_control_sets_all_the_same_are_told_once(status: ControlStatus) -> None:
    words = CUTS_WORDS[CutsFrom.RUN]
    refusals = (f"no cut that a report can rest on: {words}",) if status is ControlStatus.WARNING else ()
    view = factories.case_view([FIELD], standing=ControlStanding(status, refusals=refusals), cuts_from=CutsFrom.RUN)
    assert sum(words in reason for reason in checked(view)["control"]["reasons"]) == 1
    by_settings = dataclasses.replace(view, cuts_from=CutsFrom.SETTINGS, standing=ControlStanding(status))
    assert not any(words in reason for reason in checked(by_settings)["control"]["reasons"])


@pytest.mark.parametrize("name", [SCORE_SCHEMA, CONTROL_SCHEMA])
def test_the_schema_is_a_schema(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(name))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("case", "score"), "4+"),
        (("case", "extra"), 1),
        (("control", "status"), "good"),
        (("fields", 0, "score"), 2),
        (("fields", 0, "cells", 0, "class"), None),
        (("fields", 0, "cells", 0, "completeness"), 96),
        (("program", "model", "sha256"), "not a digest"),
        (("case", "reader_score"), {"score": "4+", "remark": None, "blind": False}),
        (("case", "sentence"), ""),
        (("case", "score_probability"), {"2+": 93}),
        (("fields", 0, "cells", 0, "standing"), "perhaps"),
        (("fields", 0, "cells", 0, "correction"), "removed"),
    ],
)
def test_the_schema_refuses(path: tuple[str | int, ...], value: object) -> None:
    broken = copy.deepcopy(score_json(factories.case_view([factories.equivocal_field()])))
    place: Any = broken
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema(SCORE_SCHEMA)).validate(broken)


@pytest.mark.parametrize("name", cases())
def test_shares_sum_to_a_hundred(name: str) -> None:
    found = checked(cases()[name])
    for part in (found["case"], *found["fields"]):
        if part["shares_percent"] is not None:
            assert sum(part["shares_percent"].values()) == pytest.approx(100, abs=1e-6)
            assert list(part["shares_percent"]) == [str(item) for item in reversed(CellClass)]


def test_shares_come_from_the_cells_listed() -> None:
    """Whoever counts the listed cells again finds the field's figures."""
    (field,) = checked(cases()["drawn"])["fields"]
    counted = [cell["class"] for cell in field["cells"] if cell["kind"] == "tumour" and not cell["edge"]]
    assert len(counted) == field["n_tumour"] > 20
    for name, share in field["shares_percent"].items():
        assert share == pytest.approx(100 * counted.count(name) / len(counted), abs=1e-6)
    assert sum(cell["kind"] == "other" and not cell["edge"] for cell in field["cells"]) == field["n_other"]
    assert any(cell["edge"] for cell in field["cells"])


def test_a_scored_case_says_all() -> None:
    found = checked(cases()["equivocal"])
    assert found["program"] == {
        "version": "0.1.0",
        "method": "network",
        "model": {"name": "her2scope-net", "sha256": "ab" * 32},
        "provider": "CPUExecutionProvider",
    }
    assert found["guideline"] == "breast-2023"
    assert found["control"] == {"status": "valid", "reasons": [], "codes": [], "intense_od10": 0.62}
    case = found["case"]
    assert (case["score"], case["category"], case["reportable"], case["n_tumour"]) == ("2+", "equivocal", True, 120)
    assert case["shares_percent"]["complete_moderate"] == 35.0
    low, high = case["interval95_percent"]["complete_moderate"]
    assert low < 35 < high
    assert "reflex ISH" in case["reasons"]


@pytest.mark.parametrize(("name", "category"), [("negative ISH", "low"), ("positive ISH", "positive")])
def test_an_ish_result_decides_the_category(name: str, category: str) -> None:
    case = checked(cases()[name])["case"]
    assert (case["score"], case["category"]) == ("2+", category)
    assert "reflex ISH" not in case["reasons"]


def test_too_few_cells_are_no_number() -> None:
    case = checked(cases()["insufficient"])["case"]
    assert (case["score"], case["category"], case["reportable"]) == (None, "undetermined", False)
    assert case["reasons"][0] == "insufficient: 30 of at least 100 tumour cells"
    assert case["shares_percent"]["none"] == 100.0


def test_without_a_tumour_cell_there_are_no_shares() -> None:
    case = checked(cases()["no tumour cell"])["case"]
    assert (case["shares_percent"], case["interval95_percent"], case["n_tumour"]) == (None, None, 0)


def test_an_unusable_field_has_reasons_in_place_of_figures() -> None:
    _, field = checked(cases()["unusable field"])["fields"]
    assert (field["usable"], field["score"], field["shares_percent"], field["cells"]) == (False, None, None, [])
    assert field["reasons"] == ["out of focus: refocus and take it again"]


def test_a_removed_field_is_absent() -> None:
    kept = factories.accepted(factories.equivocal_field("kept.png"), 1)
    removed = factories.accepted(factories.equivocal_field("removed.png"), 2, active=False)
    found = checked(factories.case_view([kept, removed]))
    assert [field["image"] for field in found["fields"]] == ["kept.png"]
    assert found["case"]["n_tumour"] == 120


def test_cells_seen_again_are_listed_with_their_field_and_counted_once() -> None:
    fields = [
        factories.accepted(factories.equivocal_field("a.png"), 1),
        factories.accepted(factories.equivocal_field("b.png"), 2, seen_before=range(20)),
    ]
    found = checked(factories.case_view(fields))
    assert [field["n_tumour"] for field in found["fields"]] == [120, 120]
    assert found["case"]["n_tumour"] == 220


def test_no_control_is_said() -> None:
    found = checked(cases()["no control"])
    assert found["control"] == {"status": "absent", "reasons": [], "codes": [], "intense_od10": None}
    assert found["case"]["reportable"] is False


def test_an_absent_control_may_have_reasons() -> None:
    standing = ControlStanding(refusals=("the pixel size is assumed, not given",))
    view = factories.case_view([factories.equivocal_field()], controls=[], standing=standing)
    assert checked(view)["control"]["reasons"] == ["the pixel size is assumed, not given"]


def test_a_doubted_control_gives_its_reasons() -> None:
    control = checked(cases()["overridden"])["control"]
    assert (control["status"], control["codes"]) == ("invalid", ["faded"])
    assert control["reasons"] == ["DAB too weak (median 0.21, limit 0.30 od10)"]
    elsewhere = checked(cases()["control of another state"])["control"]
    assert elsewhere["reasons"] == ["the control was read at 20x, this case at 40x"]


def test_reasons_of_other_levels_are_named() -> None:
    negative = factories.control_reading(
        ControlStatus.WARNING,
        ("DAB between the membranes",),
        (ControlCode.BACKGROUND,),
        expected="0",
        read="0",
        number=2,
    )
    view = factories.case_view([factories.equivocal_field()], controls=[factories.control_reading(), negative])
    control = checked(view)["control"]
    assert control["reasons"] == ["0 control: DAB between the membranes"]
    assert control["codes"] == ["background"]


def test_numbers_of_numpy_are_written() -> None:
    cell = factories.cell(CellClass.NONE, np.float32(12.3456), np.float64(7.0))  # type: ignore[arg-type]
    (field,) = score_json(factories.case_view([factories.field_result([cell])]))["fields"]
    assert json.loads(json.dumps(field["cells"][0]))["x_px"] == 12.35


def test_a_reading_of_a_control_fits_its_schema() -> None:
    found = control_json(FADED)
    jsonschema.Draft202012Validator(schema(CONTROL_SCHEMA)).validate(found)
    assert found == {
        "schema": "her2scope.control/1",
        "status": "invalid",
        "reasons": ["DAB too weak (median 0.21, limit 0.30 od10)"],
        "codes": ["faded"],
        "expected": "3+",
        "read": "1+",
        "intense_od10": 0.62,
        "n_tumour": 130,
    }


def test_a_control_of_too_few_cells_reads_nothing() -> None:
    reading = factories.control_reading(ControlStatus.INVALID, ("12 cells found",), (ControlCode.TOO_FEW,), read=None)
    found = control_json(reading)
    jsonschema.Draft202012Validator(schema(CONTROL_SCHEMA)).validate(found)
    assert found["read"] is None


# ---- the reader's hand --------------------------------------------------------------------------------------------


def test_a_busy_case_is_told_in_full() -> None:
    view = cases()["busy"]
    case = checked(view)["case"]
    assert case["sentence"] == view.score.sentence
    assert sum(case["score_probability"].values()) == pytest.approx(1, abs=1e-3)
    assert case["data"] == {
        "accession": "S25-01234",
        "block": "A1",
        "slide": "2",
        "specimen": "core biopsy",
        "antibody_run": "run 2025-03-04/B",
        "antibody_clone": "4B5",
        "cold_ischaemia_min": "45",
        "fixative": "NBF",
        "fixation_h": "80",
    }
    remark = "weaker to the left; the strong cells lie in the duct"
    assert case["reader_score"] == {"score": "1+", "remark": remark, "blind": True}
    assert case["deviation"]["cuts"]["intense_od10"] == 0.75
    assert checked(view)["control"]["intense_od10"] == 0.7  # the control's own, not the moved one
    assert case["deviation"]["stored"]["intense_od10"] == 0.7
    assert case["reportable"] is False
    assert [(item["number"], item["kind"], item["field"]) for item in case["regions"]] == [
        (1, "invasive", None),
        (2, "normal_duct", 1),
        (4, "exclude", 2),
    ]
    assert case["normal_ducts"]["none"] == view.fields[0].duct_counts.none > 0


def test_a_corrected_cell_keeps_what_the_method_read() -> None:
    first, second, *_ = checked(cases()["busy"])["fields"]
    told = [(cell["class_as_read"], cell["correction"], cell["class"], cell["standing"]) for cell in second["cells"]]
    assert told[0] == ("complete_intense", "complete_moderate", "complete_moderate", "counted")
    assert told[2] == ("complete_intense", "excluded", "complete_intense", "excluded")
    assert told[3] == ("complete_intense", "not_tumour", None, "counted")
    assert told[4] == ("complete_intense", None, "complete_intense", "counted")
    assert {cell["standing"] for cell in first["cells"]} == {"counted", "normal_duct"}
    assert (second["swept"], second["annotation"], first["annotation"]) == (True, None, busy_case.REMARK)
    assert second["place"]["island"] == 0


def test_what_is_blank_or_absent_is_null() -> None:
    found = checked(factories.case_view([factories.equivocal_field()], reader_score=ReaderScore(None, " ")))
    case = found["case"]
    assert set(case["data"].values()) == {None}
    assert case["reader_score"] == {"score": None, "remark": None, "blind": False}
    assert case["deviation"] is case["normal_ducts"] is found["fields"][0]["place"] is None
    assert case["regions"] == case["hot_spots"] == []
    nothing = checked(cases()["no field"])["case"]
    assert nothing["score_probability"] is nothing["further_fields"] is nothing["reader_score"] is None


def test_hot_spots_fit_the_schema() -> None:
    even = [factories.counted_field({CellClass.NONE: 190, CellClass.COMPLETE_INTENSE: 2}) for _ in range(6)]
    hot = factories.counted_field({CellClass.NONE: 40, CellClass.COMPLETE_INTENSE: 150})
    (spot,) = checked(factories.case_view([*even, hot]))["case"]["hot_spots"]
    assert (spot["field"], spot["pattern"]) == (7, ["complete_intense"])
    assert spot["field_percent"] > 70 > spot["case_percent"] > 0


CELLS = st.integers(0, 128)


@settings(max_examples=20, deadline=None)
@given(
    words=st.dictionaries(CELLS, st.sampled_from(Correction), max_size=12),
    standings=st.dictionaries(CELLS, st.sampled_from(CellStanding), max_size=12),
    remark=st.text(max_size=20),
    place=st.none() | st.builds(MapPlace, st.integers(-5, 5), st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)),
    score=st.none() | st.builds(ReaderScore, st.sampled_from(["0", "2+", None]), st.text(max_size=20), st.booleans()),
)
def test_whatever_the_reader_does_fits_the_schema(
    words: dict[int, Correction],
    standings: dict[int, CellStanding],
    remark: str,
    place: MapPlace | None,
    score: ReaderScore | None,
) -> None:
    item = busy_case.corrected_field(1, FIELD, words, standings, place=place, annotation=remark)
    view = dataclasses.replace(factories.case_view([item], reader_score=score), regions=cases()["busy"].regions)
    found = checked(view)
    cells = found["fields"][0]["cells"]
    assert {n for n, cell in enumerate(cells) if cell["correction"]} == set(words)
    n_counted = sum(cell["standing"] == "counted" and cell["kind"] == "tumour" for cell in cells)
    assert n_counted == found["case"]["n_tumour"]


# ---- rows ---------------------------------------------------------------------------------------------------------


def test_rows_carry_the_files_numbers() -> None:
    view = cases()["thirds"]
    case = score_json(view)["case"]
    for row in share_rows(view.score):
        assert row.percent == pytest.approx(case["shares_percent"][row.name.value], abs=1e-9)
        assert list(row.interval95 or ()) == pytest.approx(case["interval95_percent"][row.name.value], abs=1e-4)
    assert sum(row.n for row in share_rows(view.score)) == case["n_tumour"]


def test_field_rows_say_why_a_field_has_no_score() -> None:
    good, bad = field_rows(cases()["unusable field"])
    assert (good.score, good.shares[0], good.note) == ("2+", "5.0", "")
    assert (bad.score, bad.shares[0], bad.note) == ("not usable", "-", "Out of focus: refocus and take it again.")


def test_versions_and_history_are_told() -> None:
    view = cases()["overridden"]
    assert ("Program", "her2scope 0.1.0") in versions(view)
    assert ("Model", "none") in versions(cases()["closed contours"])
    assert [what for *_, what in history(view.events)] == [
        "Case opened",
        "Control read",
        "Invalid control overridden: second control read as expected",
        "Field accepted: field 1",
    ]


def test_an_undecodable_file_name_does_not_lose_the_report() -> None:
    view = factories.case_view([factories.equivocal_field("bad\ud800name.png")])
    assert checked(view)["fields"][0]["image"] == "bad?name.png"
