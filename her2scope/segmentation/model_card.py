"""A method's card: what it was measured to do, and its false cells, read from `models/<name>/card.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from her2scope.domain.cells import CellClass
from her2scope.domain.errors import SettingsError
from her2scope.domain.false_cells import FalseRates
from her2scope.resources import resource_dir


def false_rates(name: str) -> FalseRates:
    """False cells per class of a method, as its card states them; SettingsError where the card does not say."""
    path = resource_dir("models") / name / "card.yaml"
    try:
        card: Mapping[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        rates = {CellClass(key): float(value) for key, value in card["false_rates"].items()}
        source, icc = str(card["false_rates_source"]), float(card["false_rates_icc"])
    except (OSError, yaml.YAMLError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise SettingsError(f"{path}: no readable model card ({error}). Install her2scope again.") from error
    return FalseRates(rates, source, icc)
