"""Cold ischaemia and fixation as people write them, against the limits of the guideline."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2scope.domain.preanalytics import Preanalytic, cold_ischaemia, fixation

NBF = "10 % neutral buffered formalin"


@pytest.mark.parametrize(
    ("text", "meets"),
    [
        ("45", True),
        (" 45 min ", True),
        ("12,5", True),
        ("60", True),
        ("60.5", False),
        ("1 h", True),
        ("1 h 20 min", False),
        ("2 Std.", False),
        ("< 60 min", True),
        ("> 60 min", False),
        (">= 60 min", None),
        ("< 2 h", None),
        ("30-60", True),
        ("30 min to 1 h", True),
        ("30-90", None),
        ("70 – 90 min", False),
        ("90-30", None),
        ("1,500", None),
        ("1:20", None),
        ("30 s", None),
        ("about 30", None),
        ("-5", None),
        ("< 0", None),
        ("unknown", None),
        ("", None),
    ],
)
def test_cold_ischaemia_as_people_write_it(text, meets):
    assert cold_ischaemia(text).meets is meets


@pytest.mark.parametrize(
    ("fixative", "hours", "meets"),
    [
        (NBF, "24", True),
        (NBF, "6", True),
        (NBF, "72 h", True),
        (NBF, "6-72", True),
        (NBF, "3 days", True),
        (NBF, "5,5", False),
        (NBF, "< 6", False),
        (NBF, "> 72", False),
        (NBF, "96", False),
        (NBF, "24-96", None),
        (NBF, "", None),
        ("NBF", "24", True),
        ("10% NBF", "24", True),
        ("Formalin, neutral buffered, 10 %", "24", True),
        ("4 % buffered formaldehyde", "24", True),
        ("20 % NBF", "24", False),
        ("formalin", "24", None),
        ("unbuffered formalin", "24", False),
        ("Bouin", "24", False),
        ("NBF, then ethanol", "24", False),
        ("no alcohol, NBF", "24", None),
        ("", "24", None),
        ("", "96", False),
        ("Bouin", "", False),
        ("", "", None),
    ],
)
def test_fixation_as_people_write_it(fixative, hours, meets):
    assert fixation(fixative, hours).meets is meets


def test_the_words_for_the_report():
    assert cold_ischaemia("45").words == "45 min: meets the guideline (ASCO/CAP: at most 60 min)"
    assert cold_ischaemia(" ") == fixation("", " ") == Preanalytic("", None, "not entered")
    told = fixation("Bouin", "").words
    assert told.startswith("Bouin, time not entered: DOES NOT MEET the guideline (ASCO/CAP: 6 to 72 h in 10 %")
    assert cold_ischaemia("soon").words.startswith("soon: cannot be judged")


@given(st.integers(0, 99_99), st.sampled_from(["", " min", "min"]), st.sampled_from(".,"))
def test_minutes_are_judged_by_their_number(hundredths, unit, point):
    text = f"{hundredths // 100}{point}{hundredths % 100:02d}{unit}"
    assert cold_ischaemia(text).meets is (hundredths <= 60_00)


@given(st.integers(0, 200), st.integers(0, 200))
def test_a_span_is_judged_as_both_its_ends(low, high):
    low, high = sorted((low, high))
    ends, span = {fixation(NBF, str(low)).meets, fixation(NBF, str(high)).meets}, fixation(NBF, f"{low}-{high}")
    outside_on_one_side = high < 6 or low > 72
    assert span.meets is (True if ends == {True} else False if outside_on_one_side else None)


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_text_is_an_error_and_what_says_nothing_is_not_judged(one, other):
    for found in (cold_ischaemia(one), fixation(one, other)):
        assert (found.meets is None) or any(sign.isalnum() for sign in found.text)
