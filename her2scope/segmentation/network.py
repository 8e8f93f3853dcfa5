"""The network method: nuclei and membranes by a trained network, then each cell's own outline and its membrane.

The network says where nuclei are, whether each is a tumour cell's, where stained membranes pass and about how far each
cell reaches. A second, small network then looks along each tumour cell's own outline at full camera resolution and says
which places of it carry the cell's membrane. What is measured there, od10, is read from the frame's own pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.cells import CellKind, CellRule, MembraneMeasure, StainCuts, classify
from her2scope.domain.false_cells import FalseRates
from her2scope.imaging.cell_outlines import CellOutlines, OutlineSeeds, by_place, directions, find_outlines
from her2scope.imaging.kept_profiles import kept
from her2scope.imaging.outline_bands import CELLS_AT_ONCE, read_bands
from her2scope.imaging.outline_places import OutlinePlaces
from her2scope.imaging.profiles import PlaceRule, measure_membranes, membrane_mask, read_profiles, seen_across
from her2scope.imaging.workers import Workers
from her2scope.imaging.workspace import Workspace
from her2scope.records import Cell, CellProfiles, Frame, Mask, RgbImage, Segmentation, StainImage, StainSummary
from her2scope.segmentation.decode import FoundNuclei, decode
from her2scope.segmentation.maps import N_REACHES, QUARTER, NetworkMaps
from her2scope.segmentation.methods import NETWORK
from her2scope.settings import NetworkSettings

EDGE_UM = 0.25
"""An outline that comes this close to the picture's border leaves it: half a pixel of the network."""
HAZE_OF_MEMBRANE = 0.6
HAZE_MIN_OD10 = 0.15
"""Cytoplasm above this share of the membrane's od10 leaves too little contrast to call a gap a gap."""
EMPTY_OD10, CORE_SHARE = 0.04, 0.5
"""Both stains together in half the radius around a nucleus' middle, below which it is a hole. The palest nuclei that an
eye finds differ from their surroundings by 0.05."""
NUCLEUS_PLACES = 24
"""Places along the outline of a cell that is not tumour: its nucleus, drawn as a circle."""
UNMEASURED = MembraneMeasure(0.0, 0.0, 0.0)
"""Of a cell that is not tumour: a stained line beside it is a tumour cell's (design section 1)."""

Floats = NDArray[np.float32]


class Network(Protocol):
    """What gives maps of a picture (`onnx_network.OnnxNetwork`)."""

    @property
    def provider(self) -> str:
        """What it runs on."""

    def predict(self, rgb: RgbImage, um_per_px: float, white_rgb: tuple[float, float, float]) -> NetworkMaps:
        """Maps of a picture; pixel `x` of them is `(x + 0.5) * k - 0.5` of it, `k` the ratio of their um per px."""


class OutlineReader(Protocol):
    """What reads unrolled outlines (`outline_reader.OnnxOutlineReader`)."""

    def read(self, bands: Floats) -> Floats:
        """Probability `(N, P)` that each place carries the cell's own stained membrane, of `outline_bands` bands.

        Asked by several threads at once.
        """


@dataclass(frozen=True, slots=True, eq=False)
class FoundCells:
    """What the first network finds in a frame."""

    maps: NetworkMaps
    nuclei: FoundNuclei
    is_tumour: NDArray[np.bool_]
    """`(N,)` of the nuclei."""
    outlines: CellOutlines
    """Of all N, in pixels of the frame; only tumour cells' follow their membranes."""

    def tumour(self) -> CellOutlines:
        """Outlines of the tumour cells alone."""
        return self.outlines.chosen(self.is_tumour)

    def chosen(self, which: NDArray[np.bool_]) -> FoundCells:
        """Those of the cells for which `which` `(N,)` is true."""
        nuclei, outlines = self.nuclei.chosen(which), self.outlines.chosen(which)
        return FoundCells(self.maps, nuclei, self.is_tumour[which], outlines)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a picture, in its pixels counted from its corner: the first pixel reaches from 0 to 1."""

    left_px: float
    top_px: float
    right_px: float
    bottom_px: float

    def holds(self, xy_px: Floats, factor: float) -> NDArray[np.bool_]:
        """`(N,)` whether places `(N, 2)` lie in it, in pixels `factor` times wider; pixel centres are integers."""
        x, y = ((xy_px[:, axis].astype(np.float64) + 0.5) * factor for axis in (0, 1))
        inside = (x >= self.left_px) & (x < self.right_px) & (y >= self.top_px) & (y < self.bottom_px)
        return np.asarray(inside)


class NetworkSegmenter:
    """The network method behind the `Segmenter` port.

    Without a reader of outlines a place is judged by the first network's map of membranes. One thread at a time may
    find and segment, and its workers help it: what is worked out on the way lies in memory that is kept.
    """

    method = NETWORK
    nuclear_width_um: tuple[float, float] | None = (4.7, 10.5)
    """At the true scale 17 real and 18 phantom fields have 4.9 to 9.8; read as if the scale were half, 3.7 to 5.3 (all
    but six of 27 below 4.7); as if it were double, 7.3 to 17.6 (all but five of 21 above 10.5)."""

    def __init__(
        self,
        network: Network,
        settings: NetworkSettings,
        false_rates: FalseRates,
        model_name: str = "",
        model_sha256: str = "",
        reader: OutlineReader | None = None,
        workers: Workers | None = None,
    ) -> None:
        self.network, self.settings, self.false_rates = network, settings, false_rates
        self.reader = reader
        self.model_name, self.model_sha256 = model_name, model_sha256
        self._places = place_rule(settings)
        self._workers = workers or Workers(1)
        self._workspace, self._mask_workspace = Workspace(), Workspace()  # the mask is drawn beside the rest

    @property
    def rule(self) -> CellRule:
        """How much of an outline must be stained for each class."""
        return self.settings.rule

    @property
    def provider_note(self) -> str:
        """Why the network does not run on something better; empty where there is nothing to say."""
        return str(getattr(self.network, "note", ""))

    def default_cuts(self, cuts: StainCuts) -> StainCuts:
        """The cuts of the settings with a lower noise floor: a line has been seen, and stands out, before it is cut."""
        return replace(cuts, stained_od10=min(cuts.stained_od10, self.settings.stained_od10))

    def segment(self, frame: Frame, stains: StainImage, cuts: StainCuts) -> Segmentation:
        """Find, measure and classify the cells of one usable frame."""
        maps = self._look(frame, stains)
        with self._workers.beside(lambda: self._mask(maps, stains, cuts)) as mask:
            found = self._found(maps, frame, stains)
            profiles = self._profiles(found, stains)
            cells = tuple(self._cells(found, self.measure_again(profiles, cuts), frame, cuts))
            return Segmentation(cells, mask(), self.network.provider, profiles)

    def cells_in(self, part: Part, frame: Frame, stains: StainImage, cuts: StainCuts) -> tuple[Cell, ...]:
        """The cells that `segment` finds with their nucleus' middle in a part of the frame; the rest is only seen."""
        found = self._found(self._look(frame, stains), frame, stains, part)
        profiles = self._profiles(found, stains)
        return tuple(self._cells(found, self.measure_again(profiles, cuts), frame, cuts))

    def measure_again(self, profiles: CellProfiles, cuts: StainCuts) -> tuple[MembraneMeasure, ...]:
        """Measures of the tumour cells by these cuts, of what was read along their outlines; fields are so measured."""
        return tuple(measure_membranes(profiles, cuts, self._places).measures())

    def find(self, frame: Frame, stains: StainImage) -> FoundCells:
        """Nuclei, their kinds and the cells' outlines: all that comes before a membrane is measured."""
        return self._found(self._look(frame, stains), frame, stains)

    def _look(self, frame: Frame, stains: StainImage) -> NetworkMaps:
        return self.network.predict(frame.rgb, frame.um_per_px, stains.white_rgb)

    def _found(self, maps: NetworkMaps, frame: Frame, stains: StainImage, part: Part | None = None) -> FoundCells:
        nuclei = decode(maps, self.settings)
        nuclei = nuclei.chosen(~_are_empty(nuclei, stains, maps.um_per_px))
        is_tumour = nuclei.tumour >= self.settings.min_tumour_probability
        # those of no interest are sought too: each nucleus bounds its neighbours
        seeds = _seeds(nuclei, is_tumour, maps)
        factor = maps.um_per_px / frame.um_per_px
        is_asked = np.ones(len(nuclei), bool) if part is None else part.holds(nuclei.xy_px, factor)
        outlines = find_outlines(maps.membrane, maps.um_per_px, seeds, is_tumour & is_asked, self._workspace)
        found = FoundCells(maps, nuclei, is_tumour, outlines.scaled(factor))
        return found if part is None else found.chosen(is_asked)

    def control_cut(self, cells: Segmentation, cuts: StainCuts) -> float | None:
        """The cut by which eight in ten cells of a 3+ control's strong population are intense (decision 9)."""
        complete = [
            cell.measure
            for cell in cells.cells
            if not cell.edge and cell.cell_class is not None and cell.cell_class.is_complete
        ]
        if len(complete) < self.settings.min_cut_cells:
            return None
        least_od10 = self.settings.cut_least_of_median * float(np.median([one.intensity_od10 for one in complete]))
        uniform = [one.uniform_od10 for one in complete if one.intensity_od10 >= least_od10]
        return float(np.percentile(uniform, self.settings.cut_percentile))

    def doubts(self, staining: StainSummary) -> tuple[str, ...]:
        """Haze: where the cytoplasm is nearly as brown as the walls, no wall stands out and gaps are not seen."""
        limit = max(HAZE_MIN_OD10, HAZE_OF_MEMBRANE * staining.membrane_od10)
        if staining.membrane_od10 == 0 or staining.background_od10 < limit:
            return ()
        haze, wall = staining.background_od10, staining.membrane_od10
        return (f"cytoplasm nearly as brown as membrane ({haze:.2f} of {wall:.2f} od10): membranes hardly stand out",)

    def _mask(self, maps: NetworkMaps, stains: StainImage, cuts: StainCuts) -> Mask:
        least, workspace = self.settings.min_membrane_probability, self._mask_workspace
        return membrane_mask(maps.membrane, maps.um_per_px, stains.dab_od10, stains.um_per_px, cuts, least, workspace)

    def _profiles(self, found: FoundCells, stains: StainImage) -> CellProfiles:
        """What lies along the outlines of the tumour cells, rounded as it is kept."""
        tumour = found.tumour()
        order = by_place(tumour.xy_px)
        places = OutlinePlaces.along(tumour.chosen(order))
        size = self._workers.even_size(len(places), CELLS_AT_ONCE)  # bands of all would be 11 MB and more
        some = [part for _, part in places.parts(size)] or [places]
        read = self._workers.each(lambda part: self._profiles_of(part, found.maps, stains), some)
        return _of_cells(read, np.argsort(order))

    def _profiles_of(self, places: OutlinePlaces, maps: NetworkMaps, stains: StainImage) -> CellProfiles:
        """The same of some cells; several threads do it at once."""
        with self._workspace.lent() as workspace:
            membrane = self._membrane_along(places, maps, stains, workspace)
            return kept(read_profiles(places, stains.dab_od10, stains.um_per_px, membrane, workspace))

    def _membrane_along(
        self, places: OutlinePlaces, maps: NetworkMaps, stains: StainImage, workspace: Workspace
    ) -> Floats:
        """Probability `(N, P)` of a membrane at each place."""
        if self.reader is None:
            return seen_across(places, maps.membrane, stains.um_per_px, maps.um_per_px, workspace)
        return self.reader.read(_bands(places, maps, stains, workspace))

    def _cells(
        self, found: FoundCells, measures: Sequence[MembraneMeasure], frame: Frame, cuts: StainCuts
    ) -> Iterator[Cell]:
        """Every nucleus as a cell: the tumour cells first, then the others."""
        radius_um, is_tumour = found.nuclei.radius_um, found.is_tumour
        yield from self._tumour_cells(found.tumour(), radius_um[is_tumour], measures, frame, cuts)
        yield from _other_cells(found.outlines.chosen(~is_tumour), radius_um[~is_tumour], frame)

    def _tumour_cells(
        self,
        outlines: CellOutlines,
        radius_um: Floats,
        measures: Sequence[MembraneMeasure],
        frame: Frame,
        cuts: StainCuts,
    ) -> Iterator[Cell]:
        """Tumour cells, each with the class that its own membrane gives."""
        places_px = outlines.places_xy_px()
        rows = zip(
            _inside(outlines.xy_px, frame), radius_um.tolist(), _leaving(places_px, frame), places_px, strict=True
        )
        for ((x, y), radius, edge, outline), measure in zip(rows, measures, strict=True):
            cell_class = classify(measure, cuts, self.rule)
            yield Cell(x, y, radius, CellKind.TUMOUR, edge, measure, outline, cell_class)


def bands_of(found: FoundCells, stains: StainImage) -> Floats:
    """Unrolled outlines of the tumour cells, as a reader of outlines takes them."""
    return _bands(OutlinePlaces.along(found.tumour()), found.maps, stains, Workspace())


def _bands(places: OutlinePlaces, maps: NetworkMaps, stains: StainImage, workspace: Workspace) -> Floats:
    """Bands of some cells, as long as the workspace is not used for others."""
    planes = stains.dab_od10, stains.haematoxylin_od10
    return read_bands(places, *planes, stains.um_per_px, maps.membrane, maps.nucleus, maps.um_per_px, workspace)


def _of_cells(parts: Sequence[CellProfiles], rows: NDArray[np.intp]) -> CellProfiles:
    """Profiles of all cells from those of some at a time, in another order."""
    columns = ([getattr(part, column.name) for part in parts] for column in fields(CellProfiles))
    return CellProfiles(*(np.concatenate(column)[rows] for column in columns))


def place_rule(settings: NetworkSettings) -> PlaceRule:
    """When a place of an outline is stained, by these settings."""
    return PlaceRule(
        membrane=settings.min_membrane_probability,
        contrast_od10=settings.contrast_od10,
        contrast_of_wall=settings.contrast_of_wall_share,
        likely_membrane=settings.likely_membrane_probability,
        likely_contrast_od10=settings.likely_contrast_od10,
        joined_um=settings.joined_um,
        least_run_um=settings.least_run_um,
        certain_membrane=max(settings.min_membrane_probability, settings.certain_membrane_probability),
    )


def _other_cells(outlines: CellOutlines, radius_um: Floats, frame: Frame) -> Iterator[Cell]:
    """Cells that are not tumour: their nucleus as a circle, nothing measured."""
    circle = directions(NUCLEUS_PLACES)
    places_px = outlines.xy_px[:, None] + outlines.nucleus_px[:, None, None] * circle
    rows = zip(_inside(outlines.xy_px, frame), radius_um.tolist(), _leaving(places_px, frame), places_px, strict=True)
    for (x, y), radius, edge, outline in rows:
        yield Cell(x, y, radius, CellKind.OTHER, edge, UNMEASURED, outline, None)


def _seeds(nuclei: FoundNuclei, is_tumour: NDArray[np.bool_], maps: NetworkMaps) -> OutlineSeeds:
    """Where outlines are looked for, in network pixels; only tumour cells have a guess of their reach."""
    reach_px = _reach_px(nuclei.xy_px, maps)
    reach_px[~is_tumour] = np.nan
    return OutlineSeeds(nuclei.xy_px, nuclei.radius_um / np.float32(maps.um_per_px), reach_px)


def _reach_px(xy_px: Floats, maps: NetworkMaps) -> Floats:
    """Reach `(N, N_REACHES)` from each middle: what the pixel nearest to it says, moved to the middle itself."""
    n_rows, n_columns = maps.tissue.shape
    own = (xy_px - (QUARTER - 1) / 2) / QUARTER
    column, row = (
        np.clip(np.rint(own[:, axis]), 0, n - 1).astype(np.intp) for axis, n in ((0, n_columns), (1, n_rows))
    )
    away_px = QUARTER * (np.stack([column, row], axis=1) - own)
    reach_px = maps.reach_um[:, row, column].T / maps.um_per_px + away_px @ directions(N_REACHES).T
    return np.maximum(reach_px, 0).astype(np.float32)


def _are_empty(nuclei: FoundNuclei, stains: StainImage, network_um_per_px: float) -> NDArray[np.bool_]:
    """`(N,)` whether there is next to no stain in the middle of a nucleus: a vacuole or a lumen, as clear as glass."""
    factor = network_um_per_px / stains.um_per_px
    ring = (CORE_SHARE * nuclei.radius_um / stains.um_per_px)[:, None, None] * directions(8)
    middle = (nuclei.xy_px + np.float32(0.5)) * np.float32(factor) - np.float32(0.5)
    places = np.concatenate([middle[:, None], middle[:, None] + ring], axis=1)
    height, width = stains.dab_od10.shape
    columns = np.clip(np.rint(places[..., 0]), 0, width - 1).astype(np.intp)
    rows = np.clip(np.rint(places[..., 1]), 0, height - 1).astype(np.intp)
    od10 = stains.dab_od10[rows, columns] + stains.haematoxylin_od10[rows, columns]
    return np.asarray(np.median(od10, axis=1) < EMPTY_OD10)


def _inside(xy_px: Floats, frame: Frame) -> list[list[float]]:
    """Middles as lists of x and y, on a pixel: the network's last pixel may reach past the picture's."""
    height, width = frame.size_hw
    return np.clip(xy_px, 0, (width - 1, height - 1)).astype(np.float64).tolist()


def _leaving(places_px: Floats, frame: Frame) -> list[bool]:
    """Which outlines `(N, A, 2)` leave the picture."""
    height, width = frame.size_hw
    rim_px = max(0.5, EDGE_UM / frame.um_per_px) - 0.5
    leaves = np.zeros(len(places_px), bool)
    for axis, last in enumerate((width - 1, height - 1)):  # numpy is slow where the last axis has two
        at = places_px[..., axis]
        leaves |= (at.min(axis=1) < rim_px) | (at.max(axis=1) > last - rim_px)
    return leaves.tolist()
