"""Settings that can move a score: what a field, a cell and a control are judged by."""

from __future__ import annotations

from dataclasses import dataclass, field

from her2scope.domain.cells import CellRule, StainCuts
from her2scope.domain.control import ControlLimits
from her2scope.domain.errors import SettingsError
from her2scope.domain.guideline import BREAST_2023
from her2scope.domain.score import MIN_CASE_CELLS, MIN_FIELD_CELLS
from her2scope.settings.mapping import LEFT_OUT_WHERE_NONE
from her2scope.settings.ranges import MIN_CUT_SPAN_PERCENT, check_ranges, check_rising


@dataclass(frozen=True, slots=True)
class QualitySettings:
    """Limits of the quality gate.

    Each stands between what sharp real fields, usable scanner tiles and easy and usual phantoms have, and what fat,
    grey or blurred tiles and artificially blurred or veiled fields have; the figures are below.
    """

    min_side_px: int = 128
    """A picture smaller than this cannot hold a cell and its surroundings."""
    min_focus: float = 1.0
    """Least sharpness; 1 is the limit set by `imaging.quality`, real sharp fields have 1.04 to 2.4, after a blur of
    1 um (sigma) less than 1 (one strongly sharpened field 1.2, below 1 at 1.25 um)."""
    min_contrast_od10: float = 0.014
    """Least contrast of 2-4 um structures, the strongest 2 % of the picture: sharp real fields have 0.029 and more,
    pale usual phantoms 0.0166 and more; where nuclei cannot be seen it is 0.004 to 0.013."""
    max_clipped_share: float = 0.05
    unusable_clipped_share: float = 0.30
    """Real 3+ camera fields have 7 to 10 % clipped pixels (design section 2)."""
    min_tissue_share: float = 0.01
    """Pale sharp phantoms have 2 % and more, an almost empty tile 0.5 %."""
    min_solid_share: float = 0.28
    """Share of the picture that is stained and as wide as a nucleus, from which empty space beside it does not matter
    (a nest at the section's edge): sharp real fields have 0.35 and more, fat tiles 0.03 to 0.23."""
    min_cellular_share: float = 0.48
    """Where there is less than that: the same with the spaces between cells. Fat tiles have 0.05 to 0.44, usual
    phantoms 0.52 and more, sharp real fields 0.83 and more."""
    min_bright_white: float = 204.0
    """A ground below this in its brightest channel may lie under a veil: half of mid grey over a bright field gives at
    most 192, half of a paler grey (150) 176 to 203. Camera fields and usual phantoms have 208 and more; a dim scanner
    has 176 to 182 without a veil."""
    min_grey_stain_od10: float = 0.19
    min_grey_contrast_od10: float = 0.032
    """Strong stain (darkest 5 %) and contrast, of which a grey ground needs one: tiles full of cells that a veil greys
    have at most 0.14 and 0.028, dim usable ones at least 0.24 and 0.039."""
    max_veiled_od10: float = 0.46
    """No place is darker under a half veil of mid grey: log10(184 / 64)."""
    min_dark_span_od10: float = 0.055
    """Least distance of the darkest 1 % from the darkest 5 % where none is darker than that: a dim usable tile has
    0.082, 3+ fields under a half veil 0.01 to 0.065."""
    max_speed_um_per_s: float = 60.0
    """Faster than this and a 1/100 s exposure smears more than a faint membrane's width."""
    max_white_drift: float = 0.10
    """Change of the white against the calibrated one, per channel, from which lamp or camera have drifted."""
    max_dark_white: float = 70.0
    """A white below this grey level means the lamp is off or the shutter closed."""

    def __post_init__(self) -> None:
        check_ranges(self)
        check_rising(self, "max_clipped_share", "unusable_clipped_share")
        check_rising(self, "min_solid_share", "min_cellular_share")


@dataclass(frozen=True, slots=True)
class ClosedContoursSettings:
    """The paper's method (arXiv 2110.12900); lengths in um. Values it does not print are measured or usual ones."""

    rule: CellRule = CellRule(complete_share=1.0, intense_share=0.5, present_share=0.05)
    """The paper's classes: a closed contour is complete; it is intense by its median."""
    working_um_per_px: float = 0.25
    """Finer images are reduced to this, so that a filter sees the same tissue at every camera."""
    nucleus_smoothing_um: float = 1.8
    nucleus_distance_um: float = 5.0
    """Least distance of two nuclei: the diameter of a lymphocyte's nucleus."""
    min_nucleus_od10: float = 0.04
    """Haematoxylin of a nucleus over its surroundings."""
    min_cell_um2: float = 10.0
    max_cell_um2: float = 450.0
    """A closed contour of another area encloses no single cell."""
    min_empty_ring_um2: float = 28.0
    """A contour without a nucleus must be larger: vacuoles and holes between cells are smaller than cells."""
    n_levels: int = 7
    highest_level_od10: float = 1.5
    """Contours are sought at this many levels from the stained cut up to this one (a strong 3+ wall)."""
    closing_um: float = 0.9
    """Gaps up to this are bridged: under 1 um (design section 1)."""
    dilation_um: float = 2.0
    """Dilation of the membrane mask before it is filled: finds incomplete membranes."""
    min_rim_share: float = 0.30
    """Least share of a nucleus' rim that the dilated and filled mask must cover: less is a speck, not a membrane."""
    reach_um: float = 8.0
    """Farthest that an open cell's membrane is looked for from its nucleus."""
    min_membrane_um2: float = 3.0
    """Smaller stained specks are no membrane."""
    cut_least_of_median: float = 0.6
    """Cells weaker than this share of the control's median are not its 3+ population and set no cut."""
    cut_low_percentile: float = 5.0
    cut_high_percentile: float = 15.0
    """The control's minimum DAB: mean of this range of the complete cells' membranes, not one pixel."""

    def __post_init__(self) -> None:
        check_ranges(self)
        check_rising(self.rule, "present_share", "complete_share", "rule: ")
        check_rising(self, "min_cell_um2", "max_cell_um2")
        check_rising(self, "cut_low_percentile", "cut_high_percentile", by=MIN_CUT_SPAN_PERCENT)


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """The network method: where its maps are cut, and what is then measured along each cell's own outline."""

    rule: CellRule = CellRule()
    min_nucleus_score: float = 0.3
    """Least height of a nucleus' middle in the network's maps: how sure it is that a nucleus is there."""
    min_nucleus_probability: float = 0.5
    """A pixel is nucleus from here on: the extent of a nucleus, and with it its size."""
    min_nucleus_radius_um: float = 1.2
    """Smaller pieces are debris or noise: a lymphocyte's nucleus has 2.5 to 3.5 um."""
    min_tumour_probability: float = 0.5
    stained_od10: float = 0.05
    """Noise floor of a place where a membrane is seen and stands out; faint lines of pale runs are 0.06 to 0.15."""
    min_membrane_probability: float = 0.752
    """A membrane is surely seen from here on: a step of the profiles that are kept. Fixed for the shipped reader of
    outlines on phantoms (30 usual negative runs and 23 hard fields): 0.8, 0.75, 0.7 and 0.6 call 0.47, 0.63, 0.86 and
    1.5 % of unstained cells stained and class 80.0, 80.1, 79.8 and 79.1 % of hard ones rightly. The reader before it,
    at 0.8, called 0.64 % stained and classed 79.7 % rightly."""
    contrast_od10: float = 0.04
    """Least by which a sure place stands out from cytoplasm and background beside it (design section 1)."""
    contrast_of_wall_share: float = 0.25
    """Or by this share of its own od10, where that is less: in a bright run a faint line has little of either."""
    certain_membrane_probability: float = 0.932
    """A faint cell with no place as sure as this one (where it is less than `min_membrane_probability`: as that) counts
    as faint, but does not show that there is faint staining at all (ultralow). Fixed on usual phantoms, 40 runs without
    and 40 with 2 % faint cells, as if of 3000 cells each: by the rule of the false cells none of the former and 40 % of
    the latter are ultralow; at 0.9 and 0.95 32 and 35 %, by all faint cells 10 %."""
    likely_membrane_probability: float = 0.5
    likely_contrast_od10: float = -0.03
    """The same of a likely place, which counts where it is joined to a sure one: lines fade before they end."""
    joined_um: float = 2.5
    """How far likely places count from a sure one on."""
    least_run_um: float = 3.0
    """Shorter stained pieces of an outline are granules, not a membrane."""
    cut_least_of_median: float = 0.6
    """Complete cells weaker than this share of the control's median are not its 3+ population and set no cut."""
    cut_percentile: float = 20.0
    """Intense cut: this percentile of the od10 that three quarters of each of the others' outline reach."""
    min_cut_cells: int = 100
    """Fewer complete cells than this set no cut."""

    def __post_init__(self) -> None:
        check_ranges(self)
        check_rising(self.rule, "present_share", "complete_share", "rule: ")
        check_rising(self, "likely_membrane_probability", "min_membrane_probability")
        check_rising(self, "likely_contrast_od10", "contrast_od10")


@dataclass(frozen=True, slots=True)
class WhereToCount:
    """Cells count only where a region model, trained from polygons, finds tissue of these classes."""

    model: str
    """Its name."""
    model_sha256: str
    """Digest of its file: another model may count elsewhere."""
    count_in: tuple[str, ...]
    """Its classes in which cells are counted."""
    least_probability: float = 0.5
    """A cell counts where these classes together are at least so probable at the middle of its nucleus. With a half,
    that is the most probable of two classes."""

    def __post_init__(self) -> None:
        check_ranges(self)
        if not self.count_in:
            raise SettingsError("count_in: no class is named. Name those of the region model in which cells count.")


@dataclass(frozen=True, slots=True)
class ScoringSettings:
    """All that can move a score, stored with each case."""

    guideline: str = BREAST_2023.name
    cuts: StainCuts = StainCuts()
    min_case_cells: int = MIN_CASE_CELLS
    min_field_cells: int = MIN_FIELD_CELLS
    quality: QualitySettings = QualitySettings()
    control: ControlLimits = ControlLimits()
    closed_contours: ClosedContoursSettings = ClosedContoursSettings()
    network: NetworkSettings = NetworkSettings()
    where_to_count: WhereToCount | None = field(default=None, metadata={LEFT_OUT_WHERE_NONE: True})
    """None: everywhere."""

    def __post_init__(self) -> None:
        check_ranges(self)
        check_ranges(self.cuts, "cuts: ")
        check_limits(self.control, "control: ")


def check_limits(limits: ControlLimits, where: str) -> None:
    """SettingsError for limits of a control that cannot be."""
    check_ranges(limits, where)
    for lower, higher in (
        ("min_intense_od10", "max_intense_od10"),
        ("max_intense_od10", "invalid_intense_od10"),
        ("min_cut_od10", "max_cut_od10"),
        ("max_background_od10", "invalid_background_od10"),
        ("max_clipped_share", "invalid_clipped_share"),
    ):
        check_rising(limits, lower, higher, where)
