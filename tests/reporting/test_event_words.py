"""The history of a case: every event in words, and what was undone marked as undone."""

from __future__ import annotations

from typing import Any

import pytest
from reporting import busy_case

from her2scope.domain.events import Event, EventKind
from her2scope.reporting.event_words import event_text, history


def text(kind: EventKind, /, **data: Any) -> str:
    return event_text(Event(1, kind, "", "", data))


def test_every_event_has_words_of_its_own() -> None:
    told = {text(kind) for kind in EventKind}
    assert len(told) == len(EventKind)
    assert not any("_" in what for what in told)


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        (EventKind.CONTROL_READ, {"lost_words": []}, "Control read"),
        (
            EventKind.CONTROL_READ,
            {"expected": "3+", "lot": "L7\n", "verdict": {"status": "invalid"}},
            "Control read: level 3+, lot L7, invalid",
        ),
        (EventKind.CONTROL_OVERRIDDEN, {"reason": "pale block"}, "Invalid control overridden: pale block"),
        (
            EventKind.CONTROL_READ,
            {"lost_words": ["excluded (field 1 at x 3, y 4 px)"]},
            "Control read. Corrections whose cells are not found any more: excluded (field 1 at x 3, y 4 px)",
        ),
        (EventKind.FIELD_REMOVED, {"field": 3}, "Field removed: field 3"),
        (EventKind.FIELD_ACCEPTED, {"field": 3, "swept": False}, "Field accepted: field 3"),
        (EventKind.FIELD_ACCEPTED, {"field": 3, "swept": True}, "Field accepted: field 3, by sweeping"),
        (EventKind.FIELD_ANNOTATED, {"field": 3, "text": "a\nb", "before": ""}, "Remark: field 3: a b"),
        (
            EventKind.FIELD_ANNOTATED,
            {"field": 3, "text": "", "before": "old"},
            "Remark taken back: field 3 (before: old)",
        ),
        (
            EventKind.CELLS_CORRECTED,
            {"field": 2, "cells": [0, 6], "to": "not_tumour", "before": [None, "none"]},
            "Cells corrected: field 2, cell 1, 7: not a tumour cell (before: as read or No membrane staining)",
        ),
        (
            EventKind.CELLS_CORRECTED,
            {"field": 2, "cells": list(range(40)), "to": None, "before": ["excluded"] * 40},
            "Cells corrected: field 2, 40 cells: as read (before: excluded)",
        ),
        (
            EventKind.REGION_DRAWN,
            {"region": 4, "kind": "exclude", "island": 0, "polygon_um": [], "field": None, "note": "DCIS"},
            "Region outlined: region 4, excluded: DCIS",
        ),
        (
            EventKind.REGION_DRAWN,
            {"region": 4, "kind": "invasive", "island": 0, "polygon_um": [], "field": 2, "note": ""},
            "Region outlined: region 4, invasive tumour, on field 2",
        ),
        (EventKind.REGION_REMOVED, {"region": 4}, "Region removed: region 4"),
        (
            EventKind.RULE_CHANGED,
            {"stained_od10": None, "moderate_od10": 0.3, "intense_od10": None, "complete_share": 0.8, "before": {}},
            "Cuts moved: moderate cut 0.30 od10, completeness needed 0.80",
        ),
        (
            EventKind.RULE_CHANGED,
            {"intense_od10": None, "before": {"intense_od10": 0.6}},
            "Cuts set back to the stored settings (before: intense cut 0.60 od10)",
        ),
        (
            EventKind.CASE_DATA_ENTERED,
            {"accession": "S1", "block": "", "slide": "2", "before": {"slide": "1"}},
            "Case data entered: accession S1, slide 2 (before: slide 1)",
        ),
        (
            EventKind.ISLANDS_JOINED,
            {"island": 2, "into": 0, "dx_um": 1.0, "dy_um": 2.0},
            "Islands of the map joined: island 2 found on island 0",
        ),
        (
            EventKind.CASE_DATA_ENTERED,
            {"antibody_clone": "4B5", "cold_ischaemia_min": "45", "before": {"fixation_h": "8"}},
            "Case data entered: antibody clone 4B5, cold ischaemia 45 (before: fixation time 8)",
        ),
        (
            EventKind.OPENED,
            {"program": {"version": "0.2.0", "method": "network"}, "settings_sha256": "0123456789abcdef" * 4},
            "Case opened: her2scope 0.2.0, network, settings 0123456789ab",
        ),
        (
            EventKind.RESUMED,
            {"program": {"version": "0.3.0", "method": "network"}},
            "Case opened again: her2scope 0.3.0, network",
        ),
        (EventKind.REOPENED, {"reason": "a field\nis missing"}, "Back to reading: a field is missing"),
        (
            EventKind.SIGNED,
            {"version": 2, "name": "Dr. B", "score": "2+", "own_score": None, "fields": [1, 3]},
            "Case signed as version 2 by Dr. B: reference score 2+, own score indeterminate, 2 fields looked at",
        ),
        (
            EventKind.SIGNED,
            {"version": 1, "name": "Dr. B", "score": None, "own_score": "0", "fields": [1]},
            "Case signed as version 1 by Dr. B: reference score no score, own score 0, 1 field looked at",
        ),
        (EventKind.SIGNING_REFUSED, {"name": ""}, "Signature refused: wrong name or PIN"),
        (EventKind.SIGNING_REFUSED, {"name": "Dr. B"}, "Signature refused: wrong name or PIN, for Dr. B"),
        (
            EventKind.AMENDED,
            {"version": 2, "name": "Dr. B", "reason": "wrong block", "amends_event": 9},
            "Signed case opened again as version 2 by Dr. B: wrong block",
        ),
        (EventKind.UNDONE, {"event": 5}, "Undone: event 5"),
        (EventKind.REDONE, {"event": 5}, "Done again: event 5"),
        (
            EventKind.READER_SCORED,
            {"score": None, "remark": "crushed", "blind": True, "before": {"score": "1+", "remark": ""}},
            "Pathologist's score entered: indeterminate, before the computed score was shown, crushed (before: 1+)",
        ),
        (EventKind.READER_SCORED, {"score": "2+", "remark": ""}, "Pathologist's score entered: 2+"),
        (EventKind.ISH_ENTERED, {"ish": "positive", "before": "x"}, "ISH result entered: positive (before: x)"),
        (EventKind.ISH_ENTERED, {"ish": None, "before": None}, "ISH result entered: none"),
    ],
)  # fmt: skip
def test_an_event_says_what_changed_and_what_was_before(kind: EventKind, data: dict[str, Any], expected: str) -> None:
    assert text(kind, **data) == expected


def test_what_was_undone_is_marked_and_what_was_done_again_is_not() -> None:
    rows = {number: what for number, _, _, what in history(busy_case.busy_view().events)}
    undone = [what for what in rows.values() if what.endswith("(undone)")]
    assert undone == ["ISH result entered: negative (undone)"]
    before_that = busy_case.busy_view().events[:-1]  # without the last undoing
    assert not any(what.endswith("(undone)") for *_, what in history(before_that))
