"""Measurements drawn, so that a person can see what was fitted: one RGB picture each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from her2scope.imaging.calibration.camera_response import UNKNOWN, ResponseFit
from her2scope.imaging.calibration.empty_field import EmptyField
from her2scope.imaging.calibration.micrometer import MicrometerFit
from her2scope.imaging.calibration.stain_vectors import StainVectors, angle_deg
from her2scope.imaging.opencv import cv2
from her2scope.imaging.stains import spread_flat_field
from her2scope.records import RgbImage
from her2scope.settings import Calibration, Vector

Rgb = tuple[int, int, int]

WIDTH, HEIGHT, MARGIN = 960, 600, 70
INK, GRID_LINE, MARK, OTHER = (30, 30, 30), (215, 215, 215), (0, 90, 200), (200, 90, 0)
CHANNELS: tuple[Rgb, ...] = ((200, 40, 40), (30, 140, 30), (40, 70, 200))


def draw_micrometer_fit(rgb: RgbImage, fit: MicrometerFit) -> RgbImage:
    """The picture with the lines found; those that lie off the even ruling most are the most orange."""
    canvas: RgbImage = np.array(rgb, dtype=np.uint8, order="C")
    worst = max(3.0 * fit.residual_px, 0.01 * fit.period_px)
    pen = max(1, round(canvas.shape[1] / 900))
    for line in fit.lines:
        share = min(1.0, abs(line.residual_px) / worst)
        colour = _between(MARK, OTHER, share)
        x0, y0, x1, y1 = (round(value) for value in line.ends_xy_px)
        cv2.line(canvas, (x0, y0), (x1, y1), colour, pen, cv2.LINE_AA)
        if line.number % 5 == 0:
            _write(canvas, str(line.number), (x0 + 4, y0 - 4), 0.5 * pen)
    text = (
        f"{fit.um_per_px:.5f} um/px +- {fit.error_um_per_px:.1g}   {fit.n_lines} lines every {fit.division_um:g} um, "
        f"{fit.residual_px:.2f} px rms, turned {fit.rotation_deg:.2f} deg"
    )
    return _titled(canvas, text)


def draw_empty_field_fit(rgb: RgbImage, fit: EmptyField) -> RgbImage:
    """Left the picture with what was left out as dust, right the flat field of each channel, contrast stretched."""
    width, height = 480, max(1, round(480 * rgb.shape[0] / rgb.shape[1]))
    picture = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
    dust = cv2.resize(fit.dust.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    edges = cv2.dilate(dust, np.ones((3, 3), np.uint8)) - dust
    picture[edges > 0] = OTHER
    share = spread_flat_field(fit.flat_field, (height, width))
    lowest = float(share.min())
    planes = [_tinted((share[..., k] - lowest) / max(1.0 - lowest, 1e-6), CHANNELS[k]) for k in range(3)]
    small = [cv2.resize(plane, (width // 2, height // 2), interpolation=cv2.INTER_AREA) for plane in planes]
    canvas = np.full((height // 2 * 3 + 20, width + width // 2 + 10, 3), 255, np.uint8)
    canvas[:height, :width] = picture
    for k, plane in enumerate(small):
        top = k * (height // 2 + 10)
        canvas[top : top + height // 2, width + 10 : width + 10 + width // 2] = plane
        _write(canvas, f"{100 * fit.even_share[k]:.1f} % in the darkest place", (width + 18, top + 22), 0.5)
    white = ", ".join(f"{value:.1f}" for value in fit.white_rgb)
    return _titled(canvas, f"white {white}   dust {100 * fit.dust_share:.2f} %   {fit.n_pictures} picture(s)")


def draw_response_fit(fit: ResponseFit) -> RgbImage:
    """Distance of each step from the fit, over the exposure."""
    canvas = _paper()
    steps = [step for step in fit.steps if step.residual_od10 is not None]
    x = np.log2([step.exposure_ms for step in fit.steps])
    y = np.array([step.residual_od10 for step in steps], dtype=np.float64)
    reach = max(0.02, float(np.abs(y).max(initial=0.0)) * 1.2)
    for level in np.linspace(-reach, reach, 5):
        _level(canvas, level, -reach, reach, f"{level:+.3f}")
    for step in fit.steps:
        across = _across(float(np.log2(step.exposure_ms)), float(x.min()), float(x.max()))
        _write(canvas, f"{step.exposure_ms:g} ms", (across - 24, HEIGHT - MARGIN + 24), 0.45)
        _write(canvas, f"{step.mean_value:.0f}", (across - 12, HEIGHT - MARGIN + 44), 0.45)
        if step.residual_od10 is not None:
            place = (across, _up(step.residual_od10, -reach, reach))
            cv2.circle(canvas, place, 6, MARK if step.used_share > 0.5 else OTHER, -1, cv2.LINE_AA)
    _write(canvas, "od10 from the fit; below: exposure, mean camera value", (MARGIN, HEIGHT - 8), 0.45)
    tried = ", ".join(f"{name} {value:.4f}" for name, value in fit.residual_od10.items())
    title = f"response: {fit.response}" + (f" ({fit.code})" if fit.response == UNKNOWN else "")
    return _titled(canvas, f"{title}   rms od10: {tried}" if tried else title)


def draw_stain_fit(fit: StainVectors) -> RgbImage:
    """How often each colour occurs between haematoxylin and DAB, with the vectors found, and both vectors' colours."""
    canvas = _paper()
    low, high = -15.0, fit.between_deg + 15.0
    counts, edges = np.histogram(fit.angles_deg, bins=120, range=(low, high))
    top = float(max(counts.max(), 1))
    for count, left, right in zip(counts, edges[:-1], edges[1:], strict=True):
        corner = (_across(left, low, high), _up(float(count), 0.0, top))
        cv2.rectangle(canvas, corner, (_across(right, low, high), HEIGHT - MARGIN), (150, 150, 150), -1)
    for angle in np.arange(np.ceil(low / 10) * 10, high, 10):
        _write(canvas, f"{angle:.0f}", (_across(float(angle), low, high) - 10, HEIGHT - MARGIN + 22), 0.45)
    literature = Calibration()
    for angle, name, vector, known in (
        (0.0, "haematoxylin", fit.haematoxylin, literature.haematoxylin_vector),
        (fit.between_deg, "DAB", fit.dab, literature.dab_vector),
    ):
        across = _across(angle, low, high)
        cv2.line(canvas, (across, MARGIN), (across, HEIGHT - MARGIN), INK, 2, cv2.LINE_AA)
        left = min(across + 8, WIDTH - 190)
        for k, (what, shown) in enumerate((("yours", vector), ("literature", known))):
            cv2.rectangle(canvas, (left, MARGIN + 34 * k), (left + 40, MARGIN + 34 * k + 28), _stain_rgb(shown), -1)
            _write(canvas, f"{name}, {what}", (left + 46, MARGIN + 34 * k + 20), 0.42)
        _write(canvas, f"{angle_deg(vector, known):.1f} deg apart", (left, MARGIN + 92), 0.42)
    _write(canvas, "degrees from haematoxylin towards DAB, all stained pixels", (MARGIN, HEIGHT - 8), 0.45)
    return _titled(canvas, f"{fit.n_fields} field(s), {fit.n_pixels} stained pixels, {fit.between_deg:.1f} deg apart")


# ---- parts --------------------------------------------------------------------------------------------------------


def _paper() -> RgbImage:
    canvas = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    cv2.rectangle(canvas, (MARGIN, MARGIN), (WIDTH - MARGIN, HEIGHT - MARGIN), GRID_LINE, 1)
    return canvas


def _across(value: float, low: float, high: float) -> int:
    return round(MARGIN + (WIDTH - 2 * MARGIN) * (value - low) / max(high - low, 1e-9))


def _up(value: float, low: float, high: float) -> int:
    return round(HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * (value - low) / max(high - low, 1e-9))


def _level(canvas: RgbImage, value: float, low: float, high: float, text: str) -> None:
    row = _up(value, low, high)
    cv2.line(canvas, (MARGIN, row), (WIDTH - MARGIN, row), GRID_LINE, 1)
    _write(canvas, text, (6, row + 5), 0.45)


def _write(canvas: RgbImage, text: str, place: tuple[int, int], size: float) -> None:
    """Text on a light ground of its own, so that it can be read on any picture."""
    (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
    corner = (place[0] + width + 2, place[1] + below)
    cv2.rectangle(canvas, (place[0] - 2, place[1] - height - 2), corner, (255, 255, 255), -1)
    cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, INK, 1, cv2.LINE_AA)


def _titled(canvas: RgbImage, text: str) -> RgbImage:
    """The picture under a line of text, whose size follows the picture's width."""
    (width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 1.0, 1)
    size = min(0.8, 0.96 * canvas.shape[1] / max(width, 1))
    bar = np.full((34, canvas.shape[1], 3), 245, np.uint8)
    cv2.putText(bar, text, (8, 23), cv2.FONT_HERSHEY_SIMPLEX, size, INK, 1, cv2.LINE_AA)
    titled: RgbImage = np.concatenate([bar, canvas])
    return titled


def _tinted(share: NDArray[np.float32], colour: Rgb) -> RgbImage:
    """White where the share is 1, the colour where it is 0."""
    dark = np.array(colour, np.float32)
    tinted: RgbImage = (dark + (255.0 - dark) * share[..., None]).astype(np.uint8)
    return tinted


def _between(first: Rgb, second: Rgb, share: float) -> Rgb:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def _stain_rgb(vector: Vector) -> Rgb:
    """Colour of 0.7 od10 of a stain in white light."""
    length = float(np.linalg.norm(vector))
    red, green, blue = (round(255.0 * 10.0 ** (-0.7 * value / length)) for value in vector)
    return red, green, blue
