"""Layers of tissue to od10 of DAB and haematoxylin, and those to transmitted light (Beer-Lambert)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from her2scope.imaging.opencv import cv2
from her2scope.phantom.antigen import Level
from her2scope.phantom.layers import WALL_OD10, Layers
from her2scope.phantom.noise import Floats
from her2scope.records import Plane
from her2scope.settings import Calibration, Vector


@dataclass(frozen=True, slots=True)
class Stain:
    """How a run stained."""

    haematoxylin_vector: Vector = Calibration().haematoxylin_vector
    dab_vector: Vector = Calibration().dab_vector
    """od10 per channel of each stain; used at unit length, so that od10 of a stain is what unmixing gives back."""
    dab_gain: float = 1.0
    """Strength of the run's DAB; 1 gives `WALL_OD10`."""
    intense_boost: float = 1.0
    """Further strength of intense lines: runs differ in how far 3+ stands above 2+."""
    haematoxylin_gain: float = 1.0
    """Strength of nuclei."""
    cytoplasm_od10: float = 0.05
    stroma_od10: float = 0.06
    """Haematoxylin of tissue without nuclei, at gain 1."""
    roughness: float = 1.0
    """Of cytoplasm and ground, in both stains; 1 varies them by about a third."""
    haze_od10: float = 0.05
    """Diffuse DAB in cytoplasm, the mean over epithelial cells."""
    granular_od10: float = 0.0
    """Granular DAB in cytoplasm."""
    leak_share: float = 0.15
    """Share of its membrane's od10 that a cell's cytoplasm carries as well."""
    background_od10: float = 0.0
    """DAB over all tissue."""
    nuclear_od10: float = 0.0
    """DAB over nuclei."""
    nuclear_mottle: float = 0.0
    """Relative unevenness over 9 um of DAB over nuclei: a nuclear antibody stains some of them, and others not."""
    veil_share: float = 0.4
    """Share of the cytoplasm's DAB that lies above or below a nucleus as well."""
    granularity: float = 0.2
    """Relative roughness of DAB along a line."""
    patchiness: float = 0.15
    """Relative unevenness of DAB over 9 um."""
    edge_od10: float = 0.0
    """DAB caught at the edge of tissue."""
    precipitate: float = 0.0
    """Strength of dark specks."""
    unevenness: float = 0.0
    """Relative change of DAB over a section, within some mm."""

    def wall_od10(self, level: Level) -> float:
        """Mean DAB od10 of a line at `level`."""
        boost = self.intense_boost if level == Level.INTENSE else 1.0
        return boost * self.dab_gain * WALL_OD10[level]


@dataclass(frozen=True, slots=True, eq=False)
class Absorption:
    """od10 of both stains, `(H, W)` float32 each."""

    haematoxylin: Plane
    dab: Plane


def absorb(layers: Layers, stain: Stain) -> Absorption:
    """Stain what was drawn."""
    return Absorption(_haematoxylin(layers, stain), _dab(layers, stain))


def _haematoxylin(layers: Layers, stain: Stain) -> Plane:
    rough = _mixed(layers.grain, 0.6 * stain.roughness, layers.beads, 0.6 * stain.roughness)
    ground = cv2.addWeighted(layers.cytoplasm, stain.cytoplasm_od10, layers.fibres, stain.stroma_od10, 0.0)
    ground = cv2.multiply(ground, _positive(rough), dst=ground)
    solid = cv2.add(layers.cytoplasm, layers.stroma)
    ghosts = cv2.multiply(layers.ghosts, cv2.min(solid, 1.0, dst=solid), dst=solid)
    behind = cv2.max(ground, ghosts, dst=ground)
    behind = cv2.multiply(behind, _mixed(layers.covered, -0.85), dst=behind)
    gain = stain.haematoxylin_gain
    total: Plane = cv2.addWeighted(layers.nuclei, gain, behind, gain, 0.0, dst=behind)
    return np.maximum(total, 0.0, out=total)


def _dab(layers: Layers, stain: Stain) -> Plane:
    grain, beads, patches = layers.grain, layers.beads, layers.patches
    walls = cv2.multiply(layers.walls, _mixed(patches, stain.patchiness))
    rough = _mixed(grain, 0.8 * stain.granularity, beads, 1.2 * stain.granularity)
    walls = cv2.multiply(walls, rough, dst=walls, scale=stain.dab_gain)
    np.maximum(walls, 0.0, out=walls)
    if stain.intense_boost > 1.0:
        walls *= 1.0 + (stain.intense_boost - 1.0) * _is_intense(layers.walls)
    # What lies in the cytoplasm spares the nucleus, but for what is above and below it in the section.
    leak = stain.leak_share * stain.dab_gain
    total: Plane = cv2.addWeighted(layers.diffuse, stain.haze_od10, layers.own, leak, 0.0)
    total *= _mixed(patches, 1.6 * stain.patchiness)
    total *= _positive(_mixed(grain, 0.5 * stain.roughness, beads, 0.5 * stain.roughness))
    total = cv2.scaleAdd(layers.granules, stain.granular_od10, total, dst=total)
    if stain.background_od10:
        solid = cv2.add(layers.cytoplasm, layers.fibres)
        total += cv2.multiply(solid, _mixed(beads, 0.4), dst=solid, scale=stain.background_od10)
    if stain.edge_od10:
        total += cv2.multiply(layers.edge, _positive(_mixed(beads, 0.8, patches, 0.6)), scale=stain.edge_od10)
    np.maximum(total, 0.0, out=total)
    total *= _mixed(layers.covered, stain.veil_share - 1.0)
    total += walls
    if stain.unevenness:
        total *= _mixed(layers.slow, stain.unevenness)
    total = cv2.scaleAdd(_stained_nuclei(layers, stain), stain.nuclear_od10, total, dst=total)
    return cv2.scaleAdd(layers.specks, stain.precipitate, total, dst=total)


def _stained_nuclei(layers: Layers, stain: Stain) -> Plane:
    if not stain.nuclear_mottle:
        return layers.covered
    mottle = _mixed(layers.patches, stain.nuclear_mottle, layers.beads, 0.3 * stain.nuclear_mottle)
    return cv2.multiply(layers.covered, _positive(mottle), dst=mottle)


def _mixed(first: Plane, share: float, second: Plane | None = None, other: float = 0.0) -> Plane:
    """1 and shares of one or two planes, in one pass over the memory."""
    mixed: Plane = cv2.addWeighted(first, share, first if second is None else second, other, 1.0)
    return mixed


def _positive(factor: Plane) -> Plane:
    """The factor, 0 where it is negative: more of a stain is never less of it."""
    return np.maximum(factor, 0.0, out=factor)


def _is_intense(walls: Plane) -> Plane:
    """0 on the strongest moderate line, 1 on the strongest intense one, evenly between: more antigen is more DAB."""
    moderate, intense = WALL_OD10[Level.MODERATE], WALL_OD10[Level.INTENSE]
    return np.clip((walls - moderate) / (intense - moderate), 0.0, 1.0)


def transmitted(absorption: Absorption, stain: Stain) -> NDArray[np.float32]:
    """Light that passes, `(H, W, 3)` float32, 1 where there is nothing."""
    haematoxylin, dab = (unit(vector) for vector in (stain.haematoxylin_vector, stain.dab_vector))
    ln10 = np.log(10.0)
    channels = [
        cv2.exp(cv2.addWeighted(absorption.haematoxylin, -ln10 * h, absorption.dab, -ln10 * d, 0.0))
        for h, d in zip(haematoxylin, dab, strict=True)
    ]
    light: NDArray[np.float32] = cv2.merge(channels)
    return light


def unit(vector: Vector) -> Floats:
    """The vector at unit length."""
    return np.asarray(np.array(vector) / np.linalg.norm(vector))


def vector_of(red_blue_deg: float, green_deg: float) -> Vector:
    """Stain vector of unit length from its hue: the angle from red towards blue, and that from both towards green."""
    turn, up = np.radians(red_blue_deg), np.radians(green_deg)
    return float(np.cos(up) * np.cos(turn)), float(np.sin(up)), float(np.cos(up) * np.sin(turn))


def turned(vector: Vector, red_blue_deg: float, green_deg: float) -> Vector:
    """A stain vector with its hue turned by these angles, as far as no channel becomes brighter by the stain."""
    red, green, blue = unit(vector).tolist()
    turn, up = np.degrees(np.arctan2(blue, red)) + red_blue_deg, np.degrees(np.arcsin(green)) + green_deg
    return vector_of(float(np.clip(turn, 2.0, 88.0)), float(np.clip(up, 2.0, 88.0)))
