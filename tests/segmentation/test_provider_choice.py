"""Which processor runs the network: the right answer first, the quicker one second, and always one that answers."""

from __future__ import annotations

import numpy as np
import pytest
from segmentation.tiny_network import tiny_model, write_tiny_model

from her2scope.domain.errors import SettingsError
from her2scope.segmentation import provider_choice
from her2scope.segmentation.methods import NETWORK
from her2scope.segmentation.model_card import FULL, HALVED, QUANTISED, card_in, read_card
from her2scope.segmentation.onnx_network import OnnxNetwork
from her2scope.segmentation.provider_choice import SPAN, TEST_HW, WHITE, drawn_picture, largest_difference, on_processor
from her2scope.segmentation.sessions import CPU, CUDA

RGB = np.ascontiguousarray(drawn_picture((64, 96)))


@pytest.fixture(autouse=True)
def _no_cuda(monkeypatch):
    """Whatever this computer has."""
    monkeypatch.setattr(provider_choice, "may_have_cuda", lambda: False)


# ---- which file ---------------------------------------------------------------------------------------------------


def test_the_processor_runs_the_quantised_file(tmp_path):
    network = OnnxNetwork(card_in(write_tiny_model(tmp_path)))
    assert (network.file, network.provider, network.note, network.self_test_ms) == (QUANTISED, CPU, "", 0.0)
    assert network.sha256 == network.card.sha256(QUANTISED)


def test_a_folder_with_one_file_is_run_with_it(tmp_path):
    assert OnnxNetwork(card_in(write_tiny_model(tmp_path, [FULL]))).file == FULL


def test_an_altered_model_is_not_loaded(tmp_path):
    card = card_in(write_tiny_model(tmp_path))
    (tmp_path / QUANTISED).write_bytes(tiny_model("another"))
    with pytest.raises(SettingsError, match="not the model that its card describes"):
        OnnxNetwork(card)


def test_a_file_that_is_no_model_is_refused_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("segmentation.tiny_network.tiny_model", lambda note: b"no model")
    card = card_in(write_tiny_model(tmp_path))
    with pytest.raises(SettingsError, match="ONNX Runtime cannot run this model") as refusal:
        OnnxNetwork(card)
    assert "\n" not in str(refusal.value)


def test_a_model_with_other_outputs_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("segmentation.tiny_network.tiny_model", lambda note: tiny_model(note, membrane_channels=1))
    card = card_in(write_tiny_model(tmp_path))
    with pytest.raises(SettingsError, match=r"output 'membrane' is \(1, 1, 64, 64\)"):
        OnnxNetwork(card)


# ---- a graphics card ----------------------------------------------------------------------------------------------


class Card:
    """A session of the real model that calls its processor by another name, and answers as it is told to.

    `alters` is given the number of the run and its outputs.
    """

    def __init__(self, session, alters=lambda run, outputs: outputs, provider=CUDA):
        self.session, self.alters, self.provider, self.runs = session, alters, provider, 0

    def run(self, names, feeds):
        self.runs += 1
        return self.alters(self.runs, [np.array(plane) for plane in self.session.run(names, feeds)])

    def get_providers(self):
        return [self.provider, CPU]

    def get_inputs(self):
        return self.session.get_inputs()


@pytest.fixture
def opened(monkeypatch):
    """Make CUDA look as if it were there, and quicker or not; the files that it was opened with."""
    really = provider_choice.open_session

    def pretend(behaves, card_ms=5.0, own_ms=50.0):
        asked = []

        def opening(content, providers, threads):
            session = really(content, [CPU], threads)
            if len(providers) == 1:
                return session
            asked.append([item if isinstance(item, str) else item[0] for item in providers])
            return behaves(session)

        monkeypatch.setattr(provider_choice, "may_have_cuda", lambda: True)
        monkeypatch.setattr(provider_choice, "open_session", opening)
        monkeypatch.setattr(provider_choice, "OnDevice", lambda session, device: session)
        monkeypatch.setattr(provider_choice, "_timed_ms", lambda one: own_ms if one.provider == CPU else card_ms)
        return asked

    return pretend


def test_a_graphics_card_that_answers_rightly_and_sooner_runs_the_full_file(tmp_path, opened):
    asked = opened(Card)
    network = OnnxNetwork(card_in(write_tiny_model(tmp_path)))
    assert (network.file, network.provider, network.note, asked) == (FULL, CUDA, "", [[CUDA, CPU]])
    assert network.self_test_ms > 0


def test_the_halved_file_is_taken_where_it_is_right_and_passed_over_where_it_is_not(tmp_path, opened):
    card = card_in(write_tiny_model(tmp_path, [FULL, HALVED, QUANTISED]))
    opened(Card)
    assert OnnxNetwork(card).file == HALVED
    seen = []

    def only_the_first_is_wrong(session):
        seen.append(session)
        wrong = len(seen) == 1
        return Card(session, lambda run, outputs: [plane + 0.1 * wrong for plane in outputs])

    opened(only_the_first_is_wrong)
    network = OnnxNetwork(card)
    assert (network.file, network.provider, network.note) == (FULL, CUDA, "")


def no_library(session):
    raise RuntimeError("libcublas is missing\nand more")


def out_of_memory(run, outputs):
    raise RuntimeError("CUDA out of memory")


def filled(value):
    return lambda run, outputs: [np.full_like(plane, value) for plane in outputs]


@pytest.mark.parametrize(
    ("behaves", "why"),
    [
        (lambda session: Card(session, provider=CPU), "found no way to use it"),
        (no_library, "libcublas is missing"),
        (lambda session: Card(session, out_of_memory), "out of memory"),
        (lambda session: Card(session, filled(0.0)), "map 'membrane' is empty"),
        (lambda session: Card(session, filled(np.nan)), "map 'membrane' holds what is no number"),
        (lambda session: Card(session, lambda run, outputs: [plane * 0.98 for plane in outputs]), "off those of"),
        (lambda session: Card(session, lambda run, outputs: outputs[:1]), "it gives 1 of 3 outputs"),
    ],
    ids=[
        "falls back by itself",
        "cannot be opened",
        "fails",
        "zeros",
        "no numbers",
        "wrong",
        "answers with too little",
    ],
)
def test_a_graphics_card_that_does_not_work_leaves_it_to_the_processor_and_says_why(tmp_path, opened, behaves, why):
    opened(behaves)
    network = OnnxNetwork(card_in(write_tiny_model(tmp_path)))
    assert (network.file, network.provider) == (QUANTISED, CPU)
    assert network.note.startswith("the graphics card is not used: ") and why in network.note
    assert "\n" not in network.note
    assert network.predict(RGB, 0.5, WHITE).membrane.max() > 0


def test_a_graphics_card_that_is_slower_is_not_used(tmp_path, opened):
    opened(Card, card_ms=80.0)
    network = OnnxNetwork(card_in(write_tiny_model(tmp_path)))
    assert (network.provider, network.note) == (
        CPU,
        "the graphics card is slower: 80 ms a frame, 50 on the processor",
    )


def test_an_altered_full_model_is_refused_although_the_processor_would_not_need_it(tmp_path, opened):
    opened(Card)
    card = card_in(write_tiny_model(tmp_path))
    (tmp_path / FULL).write_bytes(b"altered")
    with pytest.raises(SettingsError, match="not the model that its card describes"):
        OnnxNetwork(card)


# ---- in the middle of work ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failure", "why"),
    [(out_of_memory, "CUDA out of memory"), (filled(0.0), "is empty"), (filled(np.nan), "no number")],
)
def test_a_card_that_fails_later_loses_no_frame(tmp_path, opened, failure, why):
    """The third frame fails: it and those after it have the processor's maps, of the same file."""
    sessions = []

    def behaves(session):
        # one run is the self-test's
        sessions.append(Card(session, lambda run, outputs: failure(run, outputs) if run > 3 else outputs))
        return sessions[-1]

    opened(behaves)
    network = OnnxNetwork(card_in(write_tiny_model(tmp_path)))
    right = network.predict(RGB, 0.5, WHITE)
    assert network.provider == CUDA and network.note == ""
    network.predict(RGB, 0.5, WHITE)
    for _ in range(2):
        found = network.predict(RGB, 0.5, WHITE)
        assert np.array_equal(found.membrane, right.membrane) and np.array_equal(found.reach_um, right.reach_um)
        assert (network.provider, network.file) == (CPU, FULL)
        assert network.note.startswith("the graphics card failed and is not used any more: ") and why in network.note
    assert sessions[-1].runs == 4


def test_what_fails_on_the_processor_too_is_not_hidden(tmp_path, monkeypatch):
    network = OnnxNetwork(card_in(write_tiny_model(tmp_path)))
    with pytest.raises(ValueError, match="zip"):
        network.predict(RGB, 0.5, WHITE[:2])


# ---- what is right ------------------------------------------------------------------------------------------------


def test_lengths_are_compared_as_shares_of_their_span(tmp_path):
    loaded = on_processor(card_in(write_tiny_model(tmp_path)), QUANTISED, 1)
    right = loaded.run(drawn_picture(TEST_HW), WHITE)
    assert largest_difference(right, right) == 0.0
    for name in right:
        off = {**right, name: right[name] + np.float32(0.5)}
        assert largest_difference(off, right) == pytest.approx(0.5 / SPAN.get(name, 1.0), rel=1e-4)


def test_the_drawn_picture_has_something_for_every_plane_of_the_shipped_network():
    planes = on_processor(read_card(NETWORK), QUANTISED, 1).run(drawn_picture(TEST_HW), WHITE)
    for name in ("membrane", "nuclei", "tissue"):
        assert planes[name].min() < 0.2 and planes[name].max() > 0.6
