"""How a camera codes light, from pictures of one still scene at several exposures: light goes with the exposure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.errors import BadInputError
from her2scope.imaging.opencv import cv2
from her2scope.imaging.stains import linear_light
from her2scope.records import RgbImage

Floats = NDArray[np.float64]

UNKNOWN = "unknown"
MIN_STEPS, MIN_SPAN = 4, 4.0
"""Fewer steps, or exposures that span less than two stops, do not tell one curve from another."""
LOWEST, HIGHEST = 16.0, 248.0
"""Camera values that count: below, rounding is 3 % of the light; above, noise already clips."""
BLOCKS_YX = (6, 8)
"""Places of the scene that are followed, in each channel."""
MIN_SLOPE = 0.12
"""Growth of log value by log exposure, from which exposure has an effect; gamma 5 has 0.2."""
MAX_RESIDUAL_OD10 = 0.012
"""Root mean square: 3 % of the light. A camera whose tone curve bends otherwise misses it by more."""
ROUNDING_OD10 = 0.002
"""Difference of fits that the rounding to 8 bits can make."""
MAX_CHANNEL_SPREAD = 0.06
"""Relative difference of the channels' slopes: more is a white balance that follows."""
LINEAR_WITHIN = 0.03
"""A gamma that near to 1 is called linear: 1 od10 is then wrong by less than 0.03."""


@dataclass(frozen=True, slots=True)
class ExposureStep:
    """One picture of the series."""

    exposure_ms: float
    mean_value: float
    used_share: float
    """Of the places followed: neither clipped nor too dark."""
    residual_od10: float | None
    """Mean distance of its light from the fit; None where no place counts."""


@dataclass(frozen=True, slots=True)
class ResponseFit:
    """The camera's response, and how well it explains the series."""

    response: str
    """`linear`, `srgb`, `gamma:X` or `unknown`."""
    reason: str
    code: str
    """`fits`, or why it is unknown: `saturated`, `too_few_steps`, `auto_exposure`, `white_balance`, `contradictory`."""
    residual_od10: dict[str, float]
    """Root mean square of each curve tried."""
    steps: tuple[ExposureStep, ...]


def measure_response(pictures: Sequence[RgbImage], exposures_ms: Sequence[float]) -> ResponseFit:
    """Decide a camera's response.

    Parameters
    ----------
    pictures : of one still scene, an empty field or any other, each (H, W, 3) uint8 and all of one size
    exposures_ms : of each; gain and white balance are locked
    """
    _check_input(pictures, exposures_ms)
    order = np.argsort(exposures_ms)
    times = np.array(exposures_ms, dtype=np.float64)[order]
    values = np.stack([_places(pictures[i]) for i in order])
    counts = (values >= LOWEST) & (values <= HIGHEST)
    followed = counts.sum(axis=0) >= 2
    counts &= followed
    doubt = _doubt(times, values, counts)
    if doubt:
        return _answer(UNKNOWN, *doubt, {}, times, values, counts)
    gamma, slopes = _gamma(times, values, counts)
    names = ["linear", "srgb", f"gamma:{float(np.clip(gamma, 0.2, 5.0)):.2f}"]
    residuals = {name: _root_mean_square(_residuals(name, times, values, counts)) for name in names}
    response, code, reason = _chosen(gamma, slopes, residuals, names)
    return _answer(response, code, reason, residuals, times, values, counts)


def _check_input(pictures: Sequence[RgbImage], exposures_ms: Sequence[float]) -> None:
    if len(pictures) != len(exposures_ms):
        raise BadInputError(f"{len(pictures)} pictures, but {len(exposures_ms)} exposures. Give one for each picture.")
    if not pictures:
        raise BadInputError("no picture was given. Give one for each exposure.")
    if not all(np.isfinite(ms) and ms > 0 for ms in exposures_ms):
        raise BadInputError("an exposure is a time in ms above 0. Correct --exposures-ms.")
    if len({picture.shape for picture in pictures}) > 1:
        raise BadInputError("pictures of a series must be of one size. Take them again.")


def _places(picture: RgbImage) -> Floats:
    """Mean value of each place and channel, flat."""
    rows, columns = BLOCKS_YX
    small = cv2.resize(picture.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA)
    clipped = cv2.resize((picture >= 254).astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA)
    return np.where(clipped > 0.001, 255.0, small).astype(np.float64).ravel()


def _doubt(times: Floats, values: Floats, counts: NDArray[np.bool_]) -> tuple[str, str] | None:
    """Code and words of what makes the series useless, None where it can be fitted."""
    steps = counts.mean(axis=1) > 0.1
    n, span = len(np.unique(times[steps])), float(np.ptp(np.log(times[steps]))) if steps.any() else 0.0
    if np.ptp(times) > 0 and np.ptp(np.log(times)) >= 0.5 * np.log(MIN_SPAN):
        inside = np.clip(values, LOWEST, HIGHEST).mean(axis=1)
        slope = float(np.polyfit(np.log(times), np.log(inside), 1)[0])
        if slope < MIN_SLOPE and steps.mean() > 0.5:
            return "auto_exposure", (
                "the pictures hardly change with the exposure: automatic exposure or gain is on. Switch it off."
            )
    if n < MIN_STEPS or span < np.log(MIN_SPAN):
        if (values >= HIGHEST).mean() > 0.4:
            return "saturated", (
                f"only {n} exposures are neither clipped nor dark (at least {MIN_STEPS} over a factor of "
                f"{MIN_SPAN:g}): most are saturated. Take shorter exposures, or dim the lamp."
            )
        return "too_few_steps", (
            f"only {n} exposures count, over a factor of {np.exp(span):.1f} (at least {MIN_STEPS} over a factor of "
            f"{MIN_SPAN:g}). Take more, from dark to just not clipped."
        )
    both = [(a, b) for a, b in pairwise(range(len(times))) if steps[a] and steps[b] and times[b] > times[a]]
    falls = [(a, b) for a, b in both if _falls(values[a], values[b], counts[a] & counts[b])]
    if falls:
        a, b = falls[0]
        return "contradictory", (
            f"the picture at {times[b]:g} ms is darker than that at {times[a]:g} ms: the exposures are not in the "
            "order of the pictures, or the lamp changed. Check the order, let the lamp warm up."
        )
    return None


def _falls(before: Floats, after: Floats, counts: NDArray[np.bool_]) -> bool:
    """Whether most places that count in both pictures became darker."""
    return bool(counts.any() and np.mean(after[counts] < 0.98 * before[counts]) > 0.5)


def _gamma(times: Floats, values: Floats, counts: NDArray[np.bool_]) -> tuple[float, Floats]:
    """Gamma by least squares of log value over log exposure with a level of its own for each place; by channel, too."""
    slopes = np.empty(4)
    for k, channel in enumerate((slice(None), slice(0, None, 3), slice(1, None, 3), slice(2, None, 3))):
        mask = counts[:, channel]
        x = np.where(mask, np.log(times)[:, None], np.nan)
        y = np.where(mask, np.log(np.maximum(values[:, channel], 1.0)), np.nan)
        x, y = _centred(x), _centred(y)
        slopes[k] = np.nansum(x * y) / max(float(np.nansum(x * x)), 1e-9)
    return float(1.0 / max(slopes[0], 1e-3)), slopes[1:]


def _centred(plane: Floats) -> Floats:
    """Each place's values less their mean; NaN is left out."""
    n = np.maximum((~np.isnan(plane)).sum(axis=0), 1)
    return np.asarray(plane - np.nansum(plane, axis=0) / n)


def _residuals(response: str, times: Floats, values: Floats, counts: NDArray[np.bool_]) -> Floats:
    """Distance of each place's light from what its exposure should give, in od10; NaN where it does not count."""
    light = linear_light(np.maximum(values, 1.0) / 255.0, response)
    od10 = np.where(counts, np.log10(light) - np.log10(times)[:, None], np.nan)
    return _centred(od10)


def _root_mean_square(residuals: Floats) -> float:
    return float(np.sqrt(np.nanmean(residuals**2)))


def _chosen(gamma: float, slopes: Floats, residuals: dict[str, float], names: list[str]) -> tuple[str, str, str]:
    """Response, code and words: the simplest curve that explains the series as well as the best."""
    best = min(residuals.values())
    known = slopes[slopes > 0]
    if len(known) > 1 and np.ptp(known) > MAX_CHANNEL_SPREAD * known.mean():
        why = "red, green and blue do not change alike with the exposure: the white balance follows the picture. "
        return UNKNOWN, "white_balance", why + "Lock it."
    if best > MAX_RESIDUAL_OD10:
        why = f"no known curve explains the series (best misses by {best:.3f} od10, limit {MAX_RESIDUAL_OD10:g}): the "
        why += "camera bends its tone curve, the exposures are not exact, or the scene moved. "
        return UNKNOWN, "contradictory", why + "Switch off contrast and black level corrections, and take it again."
    linear, srgb, free = names
    near = best + ROUNDING_OD10
    if abs(gamma - 1.0) <= LINEAR_WITHIN and residuals[linear] <= near:
        chosen = linear
    else:
        chosen = srgb if residuals[srgb] <= min(near, residuals[free] + 0.5 * ROUNDING_OD10) else free
    return chosen, "fits", f"{chosen} explains the series to {residuals[chosen]:.4f} od10"


def _answer(
    response: str, code: str, reason: str, residuals: dict[str, float],
    times: Floats, values: Floats, counts: NDArray[np.bool_],
) -> ResponseFit:  # fmt: skip
    shown = response if response != UNKNOWN else min(residuals, key=lambda name: residuals[name], default=None)
    away = _residuals(shown, times, values, counts) if shown else np.full(values.shape, np.nan)
    steps = tuple(
        ExposureStep(
            float(ms), float(value.mean()), float(count.mean()),
            None if np.isnan(rest).all() else float(np.nanmean(rest)),
        )
        for ms, value, count, rest in zip(times, values, counts, away, strict=True)
    )  # fmt: skip
    return ResponseFit(response, reason, code, residuals, steps)
