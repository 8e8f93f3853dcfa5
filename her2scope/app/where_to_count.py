"""Which region model says where cells are counted: by the options, the settings, or what a case was opened with."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from her2scope.domain.errors import BadInputError, Her2ScopeError, SettingsError
from her2scope.pipeline.region_gate import RegionGate
from her2scope.ports import CaseReading, RegionModel
from her2scope.settings import ScoringSettings, WhereToCount

LOG = logging.getLogger(__name__)


def asked_gate(
    folder: Path | None, count_in: Sequence[str], settings: ScoringSettings
) -> tuple[ScoringSettings, RegionGate | None]:
    """The settings with what was asked, and the gate that belongs to them; without a model cells count everywhere.

    Raises BadInputError for a folder that is no region model, or classes that it does not have; SettingsError where
    the settings name another model, or one whose folder is not given.
    """
    told = settings.where_to_count
    if folder is None:
        if count_in:
            raise BadInputError(f"--count-in {count_in[0]}: name the region model too, with --region-model DIR.")
        if told is not None:
            raise SettingsError(f"the settings count where {where_words(told)} says: give its folder (--region-model).")
        return settings, None
    least = {} if told is None else {"least_probability": told.least_probability}
    wanted = count_in or (() if told is None else told.count_in)
    gate = RegionGate.of(load_model(folder), wanted, folder=str(folder.resolve()), **least)
    if told is not None and gate.where != told:
        raise SettingsError(
            f"the settings count where {where_words(told)} says, not {where_words(gate.where)}. Correct one of them."
        )
    return replace(settings, where_to_count=gate.where), gate


def gate_of_case(reading: CaseReading, settings: ScoringSettings, asked: RegionGate | None) -> RegionGate | None:
    """The gate of a stored case by its own settings; None where it has none, and where its model is not found.

    The model is that which was asked for where it is the same, else it is read from where it lay then. A case whose
    model is not found can be looked at, and says so when a picture is to be read.
    """
    where = settings.where_to_count
    if where is None:
        return None
    if asked is not None and asked.model.sha256 == where.model_sha256:
        return replace(asked, where=where)
    told = (event.data.get("region_model") for event in reversed(reading.events()))
    folder = next((found for found in told if found), None)
    try:
        model = load_model(Path(folder)) if folder else None
    except Her2ScopeError as error:
        LOG.warning("the region model of case %s: %s", reading.case_id, error)
        return None
    return RegionGate(model, where, str(folder)) if model and model.sha256 == where.model_sha256 else None


def where_words(where: WhereToCount | None) -> str:
    """A region model and its classes as a person names them."""
    if where is None:
        return "no region model"
    return f"region model {where.model} ({where.model_sha256[:12]}, {' and '.join(where.count_in)})"


def load_model(folder: Path) -> RegionModel:
    """A region model from its folder; BadInputError where it is none."""
    from her2scope.segmentation.region_model import load_region_model

    return load_region_model(folder)
