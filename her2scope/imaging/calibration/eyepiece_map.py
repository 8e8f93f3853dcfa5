"""Map from the camera's pixels to those of the eyepiece's display, fitted to targets that were matched on both.

A camera and a display that look at one image plane differ by shift, rotation, scale, mirror and, where a beam splitter
stands askew, a little shear: an affine map. What a lens bends besides shows in the residual. Pixel centres are
integers in both, the origin is top left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from her2scope.imaging.calibration.refusal import MeasurementRefused
from her2scope.settings.eyepiece import FEWEST_TARGETS, MAX_RESIDUAL_PX, SCALE_RANGE, Matrix

Floats = NDArray[np.float64]

MAX_LEFT_OUT_PX = 3.0
"""Farthest, in display pixels, that a target may lie from where the others place it: three times the residual."""
LEAST_WIDTH_SHARE = 0.1
"""Least width of the targets' cloud by its length: narrower is a line, across which nothing is known."""
MAX_LEVERAGE = 2.0
"""Greatest leverage at a corner of what the camera shows of the display: the map errs there by at most 1.4 times what a
target does. Nine targets over 0.7 of the display have 0.8, over its middle half 1.4, over its middle third 3.0."""
MAX_STRETCH = 1.5
"""Greatest ratio of the two axes' scales: displays and cameras with square pixels have 1."""
MAX_SKEW_DEG = 15.0
"""Farthest that the axes may be from a right angle: a beam splitter that much askew shows no sharp picture."""
CORNER_STEPS = 9


@dataclass(frozen=True, slots=True)
class MapShape:
    """What a map does to a picture."""

    scale_x: float
    scale_y: float
    """Display pixels for a camera pixel along the camera's rows and columns."""
    rotation_deg: float
    """Of the camera's rows, clockwise as both have y down."""
    skew_deg: float
    """By which its columns are off the right angle."""
    mirrored: bool

    @property
    def words(self) -> str:
        """In one line."""
        mirror = ", mirrored" if self.mirrored else ""
        scale = (self.scale_x + self.scale_y) / 2
        return f"scale {scale:.3f}, turned {self.rotation_deg:.1f}\N{DEGREE SIGN}{mirror}"


@dataclass(frozen=True, slots=True, eq=False)
class EyepieceFit:
    """A fitted map and how well its targets agree; distances are in display pixels, in the order of the targets."""

    matrix: Matrix
    distances_px: tuple[float, ...]
    """Of each target from where the map places it."""
    left_out_px: tuple[float, ...]
    """Of each target from where the map of all the others places it."""
    residual_px: float
    """Root mean square distance, as if three targets fewer were there: a map takes so many by itself."""
    rest_px: float
    """The same of the others, without the target that they disagree with most."""
    edge_error_px: float
    """Standard error of the map at the worst corner of what the camera shows of the display."""
    leverage: float
    """Its square by that of one target."""
    shape: MapShape

    @property
    def worst(self) -> int:
        """The target that the others disagree with most."""
        return int(np.argmax(self.left_out_px))


def fit_eyepiece_map(
    camera_xy_px: ArrayLike, display_xy_px: ArrayLike, camera_wh: tuple[int, int], display_wh: tuple[int, int]
) -> EyepieceFit:
    """Fit by least squares; `check_eyepiece_fit` says whether it may be used.

    Parameters
    ----------
    camera_xy_px, display_xy_px : (N, 2) each, the same targets in one order

    Raises
    ------
    MeasurementRefused
        Codes `few_targets`, `line`: nothing can be fitted.
    """
    camera, display = _points(camera_xy_px), _points(display_xy_px)
    if len(camera) != len(display) or len(camera) < FEWEST_TARGETS:
        raise MeasurementRefused(
            "few_targets",
            f"{min(len(camera), len(display))} targets are matched, at least {FEWEST_TARGETS} are needed. Match more.",
        )
    _check_no_line(camera, "camera picture")
    _check_no_line(display, "display")
    solution, rows = _solve(camera, display)
    leverages = _leverages(rows, rows)
    distances = np.linalg.norm(display - rows @ solution, axis=1)
    left_out = distances / np.maximum(1.0 - leverages, 1e-9)
    others = np.delete(np.arange(len(camera)), int(np.argmax(left_out)))
    rest, rest_rows = _solve(camera[others], display[others])
    residual_px = _residual_px(distances)
    corners = _leverages(rows, _with_one(_shown_places(solution, camera_wh, display_wh)))
    leverage = float(corners.max(initial=0.0))
    return EyepieceFit(
        matrix=_matrix(solution),
        distances_px=tuple(distances.tolist()),
        left_out_px=tuple(left_out.tolist()),
        residual_px=residual_px,
        rest_px=_residual_px(np.linalg.norm(display[others] - rest_rows @ rest, axis=1)),
        edge_error_px=residual_px * leverage**0.5,
        leverage=leverage,
        shape=_shape(solution),
    )


def check_eyepiece_fit(fit: EyepieceFit, names: Sequence[str] = ()) -> None:
    """Refuse a map that would lay outlines beside their cells.

    Parameters
    ----------
    names : of the targets, for the words; none: their numbers

    Raises
    ------
    MeasurementRefused
        Codes `outlier`, `residual`, `distorted`, `spread`.
    """
    _check_agreement(fit, names)
    _check_shape(fit.shape)
    if fit.leverage > MAX_LEVERAGE:
        raise MeasurementRefused(
            "spread",
            "the targets lie too close together: at the picture's edge the map would err "
            f"{fit.leverage**0.5:.1f} times as much as one target. Match targets farther out.",
        )


def to_display(matrix: Matrix, camera_xy_px: ArrayLike) -> Floats:
    """`(N, 2)` display places of camera places."""
    linear = np.array(matrix, float)
    return _points(camera_xy_px) @ linear[:, :2].T + linear[:, 2]


def to_camera(matrix: Matrix, display_xy_px: ArrayLike) -> Floats:
    """`(N, 2)` camera places of display places: the map the other way."""
    linear = np.array(matrix, float)
    return np.linalg.solve(linear[:, :2], (_points(display_xy_px) - linear[:, 2]).T).T


def fitted_matrix(camera_wh: tuple[int, int], display_wh: tuple[int, int]) -> Matrix:
    """Map that shows the whole camera picture in the middle of a display, as large as it goes."""
    scale = min(display_wh[0] / camera_wh[0], display_wh[1] / camera_wh[1])
    across, down = ((shown - scale * taken) / 2 for shown, taken in zip(display_wh, camera_wh, strict=True))
    half = 0.5 * scale - 0.5  # pixel centres are integers, edges lie half a pixel before
    return (scale, 0.0, across + half), (0.0, scale, down + half)


# ---- fitting ------------------------------------------------------------------------------------------------------


def _points(xy_px: ArrayLike) -> Floats:
    points = np.asarray(xy_px, dtype=np.float64).reshape(-1, 2)
    if not np.isfinite(points).all():
        raise MeasurementRefused("few_targets", "a target has no place. Match it again.")
    return points


def _with_one(xy_px: Floats) -> Floats:
    return np.column_stack([xy_px, np.ones(len(xy_px))])


def _solve(camera: Floats, display: Floats) -> tuple[Floats, Floats]:
    """`(3, 2)` solution and the `(N, 3)` rows it is applied to."""
    rows = _with_one(camera)
    return np.asarray(np.linalg.lstsq(rows, display, rcond=None)[0], dtype=np.float64), rows


def _leverages(rows: Floats, places: Floats) -> Floats:
    """How much the targets' errors weigh at each place: the hat matrix' diagonal at the targets themselves."""
    return np.einsum("ni,ij,nj->n", places, np.linalg.inv(rows.T @ rows), places)


def _residual_px(distances: Floats) -> float:
    return float(np.sqrt(np.sum(distances**2) / (len(distances) - 3)))


def _matrix(solution: Floats) -> Matrix:
    (a, d), (b, e), (c, f) = solution.tolist()
    return (a, b, c), (d, e, f)


def _shape(solution: Floats) -> MapShape:
    along_rows, along_columns = solution[0], solution[1]
    turn = float(np.degrees(np.arctan2(along_rows[1], along_rows[0])))
    between = float(np.degrees(np.arctan2(along_columns[1], along_columns[0]))) - turn
    between = (between + 180.0) % 360.0 - 180.0
    return MapShape(
        scale_x=float(np.linalg.norm(along_rows)),
        scale_y=float(np.linalg.norm(along_columns)),
        rotation_deg=turn,
        skew_deg=abs(between) - 90.0,
        mirrored=between < 0,
    )


def _shown_places(solution: Floats, camera_wh: tuple[int, int], display_wh: tuple[int, int]) -> Floats:
    """Camera places, evenly over the picture to its corners, that lie on the display."""
    across, down = (np.linspace(0, side - 1, CORNER_STEPS) for side in camera_wh)
    places = np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2)
    shown = _with_one(places) @ solution
    return places[((shown >= -0.5) & (shown <= np.array(display_wh) - 0.5)).all(axis=1)]


# ---- refusals -----------------------------------------------------------------------------------------------------


def _check_no_line(xy_px: Floats, where: str) -> None:
    length, width = np.linalg.svd(xy_px - xy_px.mean(axis=0), compute_uv=False)
    if not width > LEAST_WIDTH_SHARE * length:
        raise MeasurementRefused(
            "line", f"the targets lie on a line in the {where}: nothing is known across it. Match others beside it."
        )


def _check_agreement(fit: EyepieceFit, names: Sequence[str]) -> None:
    worst, name = fit.left_out_px[fit.worst], names[fit.worst] if names else f"target {fit.worst + 1}"
    if fit.residual_px <= MAX_RESIDUAL_PX and worst <= MAX_LEFT_OUT_PX:
        return
    n_others = len(fit.left_out_px) - 1
    if fit.rest_px <= MAX_RESIDUAL_PX:
        raise MeasurementRefused(
            "outlier",
            f"{name} lies {worst:.1f} display pixels from where the other {n_others} place it; they agree within "
            f"{fit.rest_px:.2f}. Match {name} again.",
        )
    raise MeasurementRefused(
        "residual",
        f"the targets disagree by {fit.residual_px:.1f} display pixels (limit {MAX_RESIDUAL_PX:g}), {name} most of "
        "all. Camera, display and eyepiece must not move meanwhile: match all again, each at its very middle.",
    )


def _check_shape(shape: MapShape) -> None:
    low, high = SCALE_RANGE
    stretch = max(shape.scale_x, shape.scale_y) / max(min(shape.scale_x, shape.scale_y), 1e-12)
    if not (low <= shape.scale_x <= high and low <= shape.scale_y <= high):
        what = f"{shape.scale_x:.3g} and {shape.scale_y:.3g} display pixels for a camera pixel"
    elif stretch > MAX_STRETCH:
        what = f"one side {stretch:.1f} times as long as the other"
    elif abs(shape.skew_deg) > MAX_SKEW_DEG:
        what = f"axes {abs(shape.skew_deg):.0f} degrees off the right angle"
    else:
        return
    raise MeasurementRefused(
        "distorted", f"the map has {what}, which no eyepiece has. Were targets mixed up? Match all again."
    )
