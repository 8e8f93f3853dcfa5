"""Settings files (YAML): read with every doubt said, written aside and renamed."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from her2scope.domain.control_material import ControlMaterials
from her2scope.domain.errors import Her2ScopeError, SettingsError
from her2scope.settings.calibration import Calibration, check_for_use
from her2scope.settings.mapping import as_mapping, from_mapping
from her2scope.settings.preferences import Preferences
from her2scope.settings.scoring import ScoringSettings, check_limits


def load_scoring(path: Path) -> ScoringSettings:
    """Read scoring settings; keys left out keep their default."""
    return from_mapping(ScoringSettings, read_yaml(path), str(path))


def load_controls(path: Path) -> ControlMaterials:
    """Read the controls of a laboratory; limits left out keep their default."""
    materials = from_mapping(ControlMaterials, read_yaml(path), str(path))
    for item in materials.controls:
        check_limits(item.limits, f"{path}: control {item.name}: ")
    return materials


def load_calibration(path: Path) -> Calibration:
    """Read a microscope's calibration; keys left out keep their default."""
    calibration = from_mapping(Calibration, read_yaml(path), str(path))
    try:
        check_for_use(calibration, date.today())
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from error
    return calibration


def load_preferences(path: Path) -> tuple[Preferences, tuple[str, ...]]:
    """Read preferences, replacing whatever is wrong by its default; also what was replaced, in words."""
    repairs: list[str] = []
    if not path.exists():
        return Preferences(), ()
    try:
        data = read_yaml(path)
    except SettingsError as error:
        return Preferences(), (str(error),)
    good = Preferences()
    for key, value in data.items() if isinstance(data, Mapping) else ():
        try:
            good = dataclasses.replace(
                good, **{key: getattr(from_mapping(Preferences, {key: value}, str(path)), str(key))}
            )
        except Her2ScopeError as error:
            repairs.append(f"{error} Its default is used.")
    return good, tuple(repairs)


def save_yaml(settings: Any, path: Path) -> None:
    """Write a settings dataclass, aside and then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".part")
    aside.write_bytes(as_yaml(settings))
    os.replace(aside, path)


def as_yaml(settings: Any) -> bytes:
    """YAML of any settings dataclass, one line for each innermost list."""
    text = yaml.safe_dump(as_mapping(settings), sort_keys=False, default_flow_style=None, width=120, allow_unicode=True)
    return text.encode()


def home_dir() -> Path:
    """Folder of cases, preferences and logs: `HER2SCOPE_HOME`, else `~/her2scope`."""
    return Path(os.environ.get("HER2SCOPE_HOME") or Path.home() / "her2scope")


class _OneKeyOnce(yaml.SafeLoader):
    """Refuses a key that is given twice: of two cuts, the one further down would win unseen."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Mapping of a node, each key once."""
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                line = key.start_mark.line + 1
                raise SettingsError(f"key '{key.value}' is given twice (again in line {line}). Keep one of them.")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> Any:
    """What a YAML file holds, each key once; an empty file is an empty mapping. SettingsError with the reason."""
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), _OneKeyOnce)  # noqa: S506 - a SafeLoader
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from None
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such file. Check the path.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read ({error}). Check that it is a YAML text file.") from error
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" in line {where.line + 1}" if where else ""
        raise SettingsError(f"{path}: not valid YAML{line}. Correct it, or start from calibration/.") from error
    except (ValueError, RecursionError) as error:  # a date or number that cannot be, lists in lists without end
        raise SettingsError(f"{path}: not valid YAML ({error}). Correct it, or start from calibration/.") from error
    return {} if data is None else data
