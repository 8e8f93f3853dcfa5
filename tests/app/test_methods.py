"""Methods by name: which there are, what a stored case goes on with, and what `doctor` says of the network."""

from __future__ import annotations

import json
import shutil

import pytest
from segmentation.tiny_network import tiny_model, write_tiny_model

from her2scope.app import doctor
from her2scope.app.compose import DEFAULT_METHOD, METHODS, has_network, make_analyser, open_session
from her2scope.domain.errors import NotAvailableError, SettingsError
from her2scope.pipeline.session import stored_settings
from her2scope.resources import resource_dir
from her2scope.segmentation import model_card, provider_choice
from her2scope.segmentation.methods import CLOSED_CONTOURS, NETWORK
from her2scope.segmentation.model_card import QUANTISED
from her2scope.settings import Calibration, NetworkSettings, ScoringSettings
from her2scope.storage.memory import MemoryCaseStore


@pytest.fixture
def models(tmp_path, monkeypatch):
    """A models folder with the shipped closed contours and no network."""
    folder = tmp_path / "models"
    shutil.copytree(resource_dir("models") / CLOSED_CONTOURS, folder / CLOSED_CONTOURS)
    monkeypatch.setattr(model_card, "resource_dir", lambda name: folder)
    monkeypatch.setattr(provider_choice, "may_have_cuda", lambda: False)
    return folder


def network_line(tmp_path) -> tuple[bool, str]:
    doctor.examine(doctor.DoctorRequest(tmp_path / "doctor.json"))
    checks = json.loads((tmp_path / "doctor.json").read_text())["checks"]
    return next((check["ok"], check["text"]) for check in checks if check["what"] == "network")


def test_the_default_is_one_of_the_methods_and_can_be_made():
    assert {CLOSED_CONTOURS, NETWORK} == set(METHODS)
    assert make_analyser(DEFAULT_METHOD, ScoringSettings(), Calibration()).segmenter.method == DEFAULT_METHOD
    with pytest.raises(NotAvailableError, match="method 'watershed' is not available. Available: closed-contours, net"):
        make_analyser("watershed", ScoringSettings(), Calibration())


def test_the_network_says_which_model_it_is(models):
    write_tiny_model(models / NETWORK)
    settings = ScoringSettings(network=NetworkSettings(min_nucleus_score=0.4))
    program = make_analyser(NETWORK, settings, Calibration()).program("CPUExecutionProvider")
    assert (program.method, program.model_name) == (NETWORK, "tiny")
    assert program.model_sha256 == model_card.read_card(NETWORK).sha256(QUANTISED)


def test_without_a_model_the_network_says_what_to_do(models, tmp_path):
    assert not has_network()
    with pytest.raises(SettingsError, match="no trained network. Use --method closed-contours") as refusal:
        make_analyser(NETWORK, ScoringSettings(), Calibration())
    assert "\n" not in str(refusal.value)
    assert network_line(tmp_path) == (True, "no trained network in this installation")


@pytest.mark.parametrize(("opened_with", "asked_for"), [(NETWORK, CLOSED_CONTOURS), (CLOSED_CONTOURS, NETWORK)])
def test_a_stored_case_goes_on_with_its_own_method_and_settings(models, opened_with, asked_for):
    write_tiny_model(models / NETWORK)
    file = MemoryCaseStore().create("case")
    settings = ScoringSettings(network=NetworkSettings(min_nucleus_score=0.45))
    open_session(file, opened_with, settings, Calibration(), "reader")
    assert stored_settings(file) == (opened_with, settings, Calibration())
    session = open_session(file, asked_for, ScoringSettings(), Calibration(), "reader")
    assert session.view.program.method == opened_with
    assert session.view.settings["network"]["min_nucleus_score"] == 0.45


def test_a_case_from_before_there_was_a_network_opens(models):
    file = MemoryCaseStore().create("case")
    open_session(file, CLOSED_CONTOURS, ScoringSettings(), Calibration(), "reader")
    del file.events()[0].data["settings"]["network"]
    assert (
        open_session(file, NETWORK, ScoringSettings(), Calibration(), "reader").view.program.method == CLOSED_CONTOURS
    )


def test_doctor_names_model_digest_and_the_processor_it_runs_on(models, tmp_path):
    write_tiny_model(models / NETWORK)
    is_well, text = network_line(tmp_path)
    digest = model_card.read_card(NETWORK).sha256(QUANTISED)
    assert is_well
    assert text == f"tiny: {QUANTISED}, sha256 {digest[:12]}... is the card's, runs on CPUExecutionProvider"


def test_doctor_finds_an_altered_model(models, tmp_path):
    write_tiny_model(models / NETWORK)
    (models / NETWORK / QUANTISED).write_bytes(tiny_model("altered"))
    is_well, text = network_line(tmp_path)
    assert not is_well and "not the model that its card describes" in text


def test_doctor_says_why_a_graphics_card_is_not_used_and_what_asking_it_took(models, tmp_path, monkeypatch):
    def cannot(content, providers, threads):
        if len(providers) > 1:
            raise RuntimeError("libcublas is missing")
        return really(content, providers, threads)

    really = provider_choice.open_session
    write_tiny_model(models / NETWORK)
    monkeypatch.setattr(provider_choice, "may_have_cuda", lambda: True)
    monkeypatch.setattr(provider_choice, "open_session", cannot)
    is_well, text = network_line(tmp_path)
    assert is_well
    assert "CPUExecutionProvider (the graphics card is not used: libcublas is missing); asking took " in text
