"""Bytes of ASI's manual and of its controllers (see `her2scope.instruments.asi`)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2scope.instruments import asi
from her2scope.instruments.simulators import AsiSimulator

UM = st.integers(-400_000, 400_000).map(lambda tenths: tenths / 10.0)


def test_moves_are_in_tenths_of_a_micrometre() -> None:
    assert asi.move_to(1000.0, 0.0) == "M X=10000 Y=0"  # the manual: M X=10000 moves to 1.000 mm
    assert asi.move_by(-100.0, 0.26) == "R X=-1000 Y=3"  # the manual: R X=-1000 moves 100 um back


@pytest.mark.parametrize(
    ("reply", "um"),
    [
        (":A 1000 -250", (100.0, -25.0)),
        (":A 1000 -250 ", None),  # lines come stripped
        (":A -989110.5 -1042395.0", (-98911.05, -104239.5)),  # a TG-1000
        (":A0 0", (0.0, 0.0)),
        (":A 1000", None),
        (":A", None),
        (":A 10 00 3", None),
        (":A 1000 -2\N{REPLACEMENT CHARACTER}0", None),
        (":A 99999999 0", None),  # farther than a metre
        ("N", None),
        (":N-2", None),
        ("1000 250", None),
    ],
)
def test_a_position_is_read_or_refused(reply: str, um: tuple[float, float] | None) -> None:
    found = asi.position_um(reply)
    assert found == (um if um is None else pytest.approx(um))


def test_status_and_refusals() -> None:
    assert (asi.is_busy("B"), asi.is_busy("N"), asi.is_busy(":A")) == (True, False, None)
    assert (asi.refusal(":N-4"), asi.refusal(":N-21"), asi.refusal(":A"), asi.refusal("N")) == (-4, -21, None, None)
    assert asi.accepted(":A") and not asi.accepted(":A 100 100")


@given(text=st.text(max_size=30))
def test_any_text_is_at_most_one_thing(text: str) -> None:
    meanings = [asi.position_um(text), asi.is_busy(text), asi.refusal(text), asi.accepted(text) or None]
    assert sum(meaning is not None for meaning in meanings) <= 1


@given(x_um=UM, y_um=UM)
def test_the_simulator_goes_where_a_command_says(x_um: float, y_um: float) -> None:
    simulator = AsiSimulator(now=iter(range(0, 10**9, 1000)).__next__)  # any move is over at the next look
    simulator.receive(asi.move_to(x_um, y_um).encode() + b"\r")
    said = simulator.transmit()
    assert said == (b":A \r\n" if max(abs(x_um), abs(y_um)) <= 50_000.0 else b":N-4\r\n")
    simulator.receive(asi.WHERE.encode() + b"\r")
    there = (x_um, y_um) if said == b":A \r\n" else (0.0, 0.0)
    assert asi.position_um(simulator.transmit().decode().strip()) == pytest.approx(there, abs=0.06)


def test_the_simulator_answers_as_the_manual_says() -> None:
    now = [0.0]
    simulator = AsiSimulator(now=lambda: now[0], speed_um_per_s=1000.0)
    for second, sent, answer in [
        (0.0, b"W X Y\r", b":A 0.0 0.0 \r\n"),
        (0.0, b"M X=10000 Y=-5000\r", b":A \r\n"),
        (0.25, b"/\r", b"B\r\n"),
        (0.25, b"w x y\r", b":A 2500.0 -2500.0 \r\n"),
        (0.5, b"\\\r", b":N-21\r\n"),
        (0.6, b"/\r", b"N\r\n"),
        (0.6, b"R X=-1000\r", b":A \r\n"),
        (1.0, b"W X Y\r", b":A 4000.0 -5000.0 \r\n"),
        (1.0, b"\\\r", b":A \r\n"),
        (1.0, b"M Q=1\r", b":N-2\r\n"),
        (1.0, b"M X=99999999\r", b":N-4\r\n"),
        (1.0, b"WHAT\r", b":N-1\r\n"),
    ]:
        now[0] = second
        simulator.receive(sent[:2])
        simulator.receive(sent[2:])
        assert simulator.transmit() == answer, sent
