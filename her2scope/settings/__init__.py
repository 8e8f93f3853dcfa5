"""Everything that can be set, as frozen dataclasses <-> YAML.

Scoring settings and calibrations refuse an unknown key or an impossible value: a slip there moves a score.
Preferences repair themselves: a slip there only moves a window.
"""

from her2scope.settings.calibration import (
    Calibration,
    FlatField,
    Vector,
    check_for_use,
    expired,
    missing_parts,
)
from her2scope.settings.files import (
    as_yaml,
    home_dir,
    load_calibration,
    load_controls,
    load_preferences,
    load_scoring,
    save_yaml,
)
from her2scope.settings.mapping import as_mapping, from_mapping
from her2scope.settings.preferences import Preferences
from her2scope.settings.scoring import (
    ClosedContoursSettings,
    NetworkSettings,
    QualitySettings,
    ScoringSettings,
    WhereToCount,
    check_limits,
)

__all__ = [
    "Calibration",
    "ClosedContoursSettings",
    "FlatField",
    "NetworkSettings",
    "Preferences",
    "QualitySettings",
    "ScoringSettings",
    "Vector",
    "WhereToCount",
    "as_mapping",
    "as_yaml",
    "check_for_use",
    "check_limits",
    "expired",
    "from_mapping",
    "home_dir",
    "load_calibration",
    "load_controls",
    "load_preferences",
    "load_scoring",
    "missing_parts",
    "save_yaml",
]
