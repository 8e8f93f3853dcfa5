from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2scope.cameras.wishes import WISHES, CameraWishes, differs, split_uri, wishes
from her2scope.domain.errors import BadInputError


def read(rest: str) -> CameraWishes:
    uri = f"camera:{rest}"
    return wishes(uri, split_uri(uri, rest, WISHES)[1])


def test_all_that_can_be_asked_for() -> None:
    asked = read("0?size=1920x1080&fps=30&format=MJPG&exposure_ms=10&gain=0&wb=5600")
    assert asked == CameraWishes((1920, 1080), 30.0, "MJPG", 10.0, 0.0, 5600.0)


def test_nothing_asked_for_is_nothing_set() -> None:
    assert read("0") == read("0?") == CameraWishes()


def test_the_device_is_what_stands_before_the_question_mark() -> None:
    assert split_uri("genicam:", r"40123?cti=C:\GenTL\x.cti", ("cti",)) == ("40123", {"cti": r"C:\GenTL\x.cti"})


def test_a_white_balance_may_be_factors() -> None:
    assert wishes("genicam:1", {"wb": "1.52,1.88"}, white_factors=True) == CameraWishes(white_factors=(1.52, 1.88))
    for text in ("5600", "1,2,3", "0,1", "nan,1", "red,blue", ","):
        with pytest.raises(BadInputError, match="factors of red and blue"):
            wishes("genicam:1", {"wb": text}, white_factors=True)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("exposure=10", "option 'exposure' is not known. Did you mean 'exposure_ms'?"),
        ("zoom=2", "It takes size, fps, format, exposure_ms, gain, wb"),
        ("fps=", "'fps' needs one value"),
        ("fps", "'fps' needs one value"),
        ("fps=30&fps=60", "'fps' needs one value"),
        ("fps=fast", "fps=fast is not a number between"),
        ("fps=0", "not a number between"),
        ("fps=nan", "not a number between"),
        ("exposure_ms=-1", "not a number between"),
        ("exposure_ms=inf", "not a number between"),
        ("wb=56", "not a number between 1000 and 40000"),
        ("size=1920", "size=1920 is no picture size. Write it as size=1920x1080"),
        ("size=0x10", "no picture size"),
        ("size=-5x10", "no picture size"),
        ("size=99999999x10", "no picture size"),
        ("size=²x10", "no picture size"),
    ],
)
def test_what_cannot_be_meant_is_refused(query: str, says: str) -> None:
    with pytest.raises(BadInputError) as error:
        read(f"0?{query}")
    assert says in str(error.value)


@given(st.integers(1, 65535), st.integers(1, 65535))
def test_any_size_is_read_as_written(width: int, height: int) -> None:
    assert read(f"0?size={width}x{height}").size_wh == (width, height)


def test_a_value_near_enough_is_the_value() -> None:
    assert differs("rate", 30, 29.97) == []
    assert differs("gain", 0, 0) == []
    assert differs("exposure", 10, 15.6, " ms") == ["exposure 10 ms was asked for, the driver gives 15.6 ms."]
    assert "does not tell" in differs("exposure", 10, None, " ms")[0]
