"""Whether a simple classifier tells real crops from phantom crops of the same score and scale, and by what."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.errors import BadInputError
from her2scope.imaging.opencv import cv2
from her2scope.imaging.stains import estimate_white, od10_table, unmix
from her2scope.phantom.compare.measures import blockiness, line_strength, ripple
from her2scope.phantom.compare.real_fields import SCORES, RealField, draw_pictures, read_list
from her2scope.phantom.field import PhantomSpec
from her2scope.phantom.noise import Floats
from her2scope.records import Plane, RgbImage
from her2scope.settings import Calibration, Vector

CROP_PX = 128
NOT_GLASS_OD10, MIN_TISSUE_SHARE = 0.03, 0.6
"""Least smoothed green od10 of a pixel, and least share of such pixels, of a crop that is used."""
MAX_CROPS = 48
"""Of one picture: more of them are no more cases."""
PHANTOM_WH = (768, 512)
PHANTOM_DIFFICULTIES = ("usual", "hard")
PHANTOM_SCORES: Mapping[str, tuple[str, ...]] = {
    "0": ("0", "ultralow"), "1+": ("1+",), "2+": ("2+",), "3+": ("3+",)
}  # fmt: skip
"""Patterns that stand for a score."""
ALL = "all"
BAND_SIGMAS_PX = (0.6, 1.2, 2.4, 4.8, 9.6, 19.2)
"""Differences of Gaussians, an octave each."""
BLOCK_PX = 8
BROWN_OD10, BLUE_OD10, GLASS_OD10 = 0.2, 0.15, 0.05
RIDGE_PENALTY = 0.1
"""C of the logistic regression: few cases, many features."""
N_LISTED = 12
"""Features printed for a level."""


@dataclass(frozen=True, slots=True, eq=False)
class Crops:
    """Features of crops and where they come from; all arrays have one row per crop."""

    features: Floats
    """`(N, len(FEATURES))`."""
    group: NDArray[np.str_]
    """Case of a real crop, run of a phantom one."""
    um_per_px: Floats
    half: NDArray[np.intp]
    """0 or 1: left or right half of the picture."""

    def __getitem__(self, rows: NDArray[Any]) -> Crops:
        return Crops(self.features[rows], self.group[rows], self.um_per_px[rows], self.half[rows])

    def __len__(self) -> int:
        return len(self.group)


@dataclass(frozen=True, slots=True)
class Tell:
    """What a feature says about real against phantom."""

    feature: str
    coefficient: float
    """Of the standardised feature; above 0: more of it looks like a phantom."""
    auc: float
    """Of the feature alone; above 0.5: the phantom has more of it."""
    real_median: float
    phantom_median: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """Realism of one score level."""

    score: str
    n_real: int
    n_phantom: int
    auc_of_case: Mapping[str, float]
    """AUC of each case left out: the classifier saw neither it nor the runs that it is set against."""
    seen_auc_of_case: Mapping[str, float]
    """AUC where the classifier saw the other half of the case's own pictures: the stricter judge of the phantom."""
    tells: tuple[Tell, ...]


def judge(list_path: Path, root: Path | None, score: str | None, n_phantom: int, seed: int) -> tuple[
    list[str], dict[str, Any]
]:  # fmt: skip
    """Judge one score level, or each and all together.

    Returns
    -------
    lines to print, and the same as a mapping for JSON

    Raises
    ------
    BadInputError
        If scikit-learn is missing, or the list holds no picture of the score.
    """
    _sklearn("linear_model")  # before anything is drawn
    fields = [field for field in read_list(list_path, root) if field.score and score in (None, field.score)]
    if not fields:
        raise BadInputError(f"{list_path}: no picture of score {score or 'in ' + ', '.join(SCORES[1:])}.")
    scores = sorted({field.score for field in fields})
    real = {level: real_crops([field for field in fields if field.score == level]) for level in scores}
    scales = {level: sorted({field.um_per_px for field in fields if field.score == level}) for level in scores}
    specs = {level: phantom_specs(level, scales[level], n_phantom, seed) for level in scores}
    drawn = iter(draw_pictures([spec for level in scores for spec in specs[level]]))
    phantom = {level: phantom_crops(specs[level], [next(drawn) for _ in specs[level]]) for level in scores}
    verdicts = [verdict_of(level, real[level], phantom[level]) for level in scores]
    if len(scores) > 1:
        verdicts.append(verdict_of(ALL, joined(list(real.values())), joined(list(phantom.values()))))
    lines = [line for verdict in verdicts for line in _lines(verdict)]
    return lines, {"levels": [asdict(verdict) for verdict in verdicts]}


def _sklearn(module: str) -> Any:
    try:
        return import_module(f"sklearn.{module}")
    except ImportError as error:
        raise BadInputError(
            "realism needs scikit-learn, which is not installed: pip install 'her2scope[realism]'."
        ) from error


# ---- crops --------------------------------------------------------------------------------------------------------


def phantom_specs(score: str, scales: Sequence[float], n: int, seed: int) -> list[PhantomSpec]:
    """At least `n` pictures of a score, the scales in turn, at least two of each scale, every one another run."""
    patterns = PHANTOM_SCORES[score]
    return [
        PhantomSpec(
            score=patterns[k // len(scales) % len(patterns)],
            seed=seed + k,
            size_wh=PHANTOM_WH,
            um_per_px=scales[k % len(scales)],
            difficulty=PHANTOM_DIFFICULTIES[k % len(PHANTOM_DIFFICULTIES)],
        )
        for k in range(max(n, 2 * len(scales)))
    ]


def real_crops(fields: Sequence[RealField]) -> Crops:
    """Crops of tissue of real pictures."""
    return joined([crops_of(field.read(), field.um_per_px, field.case) for field in fields])


def phantom_crops(specs: Sequence[PhantomSpec], pictures: Sequence[RgbImage]) -> Crops:
    """Crops of tissue of drawn pictures."""
    return joined(
        [
            crops_of(rgb, spec.um_per_px, f"run {spec.seed}")
            for spec, rgb in zip(specs, pictures, strict=True)
        ]
    )  # fmt: skip


def crops_of(rgb: RgbImage, um_per_px: float, group: str) -> Crops:
    """Features of a picture's crops that hold tissue enough; the same ones every time where there are many."""
    white = estimate_white(rgb)
    od10 = cv2.GaussianBlur(cv2.LUT(rgb, od10_table(white, "linear")), (0, 0), max(0.3, 0.5 / um_per_px))
    tissue = od10[:, :, 1] > NOT_GLASS_OD10
    corners = [
        (top, left)
        for top in range(0, rgb.shape[0] - CROP_PX + 1, CROP_PX)
        for left in range(0, rgb.shape[1] - CROP_PX + 1, CROP_PX)
        if tissue[top : top + CROP_PX, left : left + CROP_PX].mean() >= MIN_TISSUE_SHARE
    ]
    if len(corners) > MAX_CROPS:
        chosen = np.random.default_rng(0).choice(len(corners), MAX_CROPS, replace=False)
        corners = [corners[k] for k in sorted(chosen)]
    rows = [features_of(rgb[top : top + CROP_PX, left : left + CROP_PX], white) for top, left in corners]
    n = len(rows)
    half = np.array([2 * (left + CROP_PX // 2) >= rgb.shape[1] for _, left in corners], dtype=np.intp)
    features = np.array(rows).reshape(n, len(FEATURES))
    return Crops(features, np.full(n, group), np.full(n, um_per_px), half.reshape(n))


def joined(parts: Sequence[Crops]) -> Crops:
    """All crops in one."""
    return Crops(
        np.concatenate([part.features for part in parts]),
        np.concatenate([part.group for part in parts]),
        np.concatenate([part.um_per_px for part in parts]),
        np.concatenate([part.half for part in parts]),
    )


# ---- features -----------------------------------------------------------------------------------------------------

FEATURES = (
    "od10_red_mean", "od10_green_mean", "od10_blue_mean", "od10_red_sd", "od10_green_sd", "od10_blue_sd",
    "dab_mean", "dab_sd", "dab_skew", "dab_p95", "haematoxylin_mean", "haematoxylin_sd", "haematoxylin_skew",
    "haematoxylin_p95", "dab_haematoxylin_correlation", "saturation_mean", "saturation_sd", "brown_share",
    "blue_share", "glass_share", "band_1", "band_2", "band_4", "band_8", "band_16", "colour_band_1", "colour_band_4",
    "laplacian_kurtosis", "local_sd_median", "local_sd_ratio", "line_strength_p95", "line_strength_ratio",
    "correlation_length", "red_blue_correlation", "red_green_correlation", "blockiness", "noise",
)  # fmt: skip


def features_of(rgb: RgbImage, white: Vector) -> list[float]:
    """Features of one crop in the order of `FEATURES`; rms and the like as logarithms, lengths in px."""
    od10 = cv2.LUT(np.ascontiguousarray(rgb), od10_table(white, "linear"))
    stains = unmix(np.ascontiguousarray(rgb), 1.0, Calibration(white_rgb=white))
    dab, blue = stains.dab_od10, stains.haematoxylin_od10
    saturation = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2HSV)[:, :, 1] / 255.0
    mean = np.ascontiguousarray(od10.mean(axis=2))
    colour = np.ascontiguousarray(od10[:, :, 2] - od10[:, :, 0])
    light = rgb.mean(axis=2, dtype=np.float32)
    laplacian = cv2.Laplacian(cv2.GaussianBlur(mean, (0, 0), 1.0), cv2.CV_32F)
    local = np.sqrt(np.maximum(cv2.blur(np.square(mean), (9, 9)) - np.square(cv2.blur(mean, (9, 9))), 1e-8))
    line = line_strength(dab, 2.0)
    bands, colour_bands = _bands(mean), _bands(colour)
    found = [
        *od10.mean(axis=(0, 1)), *od10.std(axis=(0, 1)),
        dab.mean(), dab.std(), _skew(dab), np.percentile(dab, 95),
        blue.mean(), blue.std(), _skew(blue), np.percentile(blue, 95), _correlation(dab, blue),
        saturation.mean(), saturation.std(),
        (dab > BROWN_OD10).mean(), ((blue > BLUE_OD10) & (blue > dab)).mean(), (od10.max(axis=2) < GLASS_OD10).mean(),
        *bands, colour_bands[0], colour_bands[2],
        _log(np.mean(np.power(laplacian - laplacian.mean(), 4)) / max(float(laplacian.var()) ** 2, 1e-12)),
        _log(np.median(local)), _log(np.percentile(local, 90) / np.percentile(local, 10)),
        np.percentile(line, 95), _log(np.percentile(line, 95) / max(float(line.mean()), 1e-6)),
        _correlation_length(mean), _correlation(od10[:, :, 0], od10[:, :, 2]),
        _correlation(od10[:, :, 0], od10[:, :, 1]), blockiness(light), _log(_noise(rgb[:, :, 1])),
    ]  # fmt: skip
    return [float(value) for value in found]


def _log(value: float | np.floating[Any]) -> float:
    return float(np.log(max(float(value), 1e-6)))


def _bands(plane: Plane) -> list[float]:
    """Logarithm of the rms in each octave, finest first."""
    blurred = [cv2.GaussianBlur(plane, (0, 0), sigma) for sigma in BAND_SIGMAS_PX]
    return [_log((fine - coarse).std()) for fine, coarse in zip(blurred, blurred[1:], strict=False)]


def _skew(plane: Plane) -> float:
    rest = plane - plane.mean()
    return float(np.mean(rest**3) / max(float(rest.std()) ** 3, 1e-9))


def _correlation(first: Plane, second: Plane) -> float:
    a, b = first - first.mean(), second - second.mean()
    return float(np.mean(a * b) / max(float(a.std() * b.std()), 1e-9))


def _correlation_length(plane: Plane) -> float:
    """Logarithm of the shift (px) at which the plane's correlation with itself falls below a half."""
    rest = plane - plane.mean()
    power = np.abs(np.fft.rfft2(rest, s=(2 * CROP_PX, 2 * CROP_PX))) ** 2
    correlation = np.fft.irfft2(power)
    overlap = CROP_PX * (CROP_PX - np.arange(CROP_PX // 2))
    along = (correlation[0, : CROP_PX // 2] + correlation[: CROP_PX // 2, 0]) / 2 / overlap
    below = along < 0.5 * along[0]
    return _log(below.argmax() if below.any() else CROP_PX // 2)


def _noise(green: NDArray[np.uint8]) -> float:
    """Residual's deviation in the smoothest tenth of the blocks, grey levels."""
    squared = np.square(ripple(np.ascontiguousarray(green).astype(np.float32)))
    n = CROP_PX // BLOCK_PX
    return float(np.sqrt(np.percentile(squared.reshape(n, BLOCK_PX, n, BLOCK_PX).mean(axis=(1, 3)), 10)))


# ---- telling them apart -------------------------------------------------------------------------------------------


def verdict_of(score: str, real: Crops, phantom: Crops) -> Verdict:
    """How well the two can be told apart, and by what."""
    return Verdict(
        score, len(real), len(phantom), _aucs(real, phantom, _unseen), _aucs(real, phantom, _half_seen),
        _tells(real, phantom),
    )  # fmt: skip


Split = Callable[[Crops, str], tuple[NDArray[np.bool_], NDArray[np.bool_]]]
"""Real crops and a case, to masks of those to learn from and those to test on."""


def _unseen(real: Crops, case: str) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    return real.group != case, real.group == case


def _half_seen(real: Crops, case: str) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    tested = (real.group == case) & (real.half == 1)
    return ~tested, tested


def _aucs(real: Crops, phantom: Crops, split: Split) -> dict[str, float]:
    """AUC of each case; a case without crops to learn from or to test on is left out."""
    found: dict[str, float] = {}
    every_other = _every_other_run(phantom)
    for case in np.unique(real.group):
        learned, tested = split(real, str(case))
        # a scale that only the phantom shows would tell it
        known = np.isin(phantom.um_per_px, real.um_per_px[learned])
        same_scale = np.isin(phantom.um_per_px, real.um_per_px[tested])
        values = []
        for held in (0, 1):
            train, test = phantom[known & (every_other != held)], phantom[same_scale & (every_other == held)]
            if learned.sum() < 2 or not tested.any() or not len(train) or not len(test):
                continue
            decide = _classifier(real[learned], train)
            values.append(_auc(decide(real[tested].features), decide(test.features)))
        if values:
            found[str(case)] = float(np.mean(values))
    return found


def _every_other_run(phantom: Crops) -> NDArray[np.intp]:
    """0 or 1 for each crop: the runs of each scale in turn."""
    found = np.zeros(len(phantom), dtype=np.intp)
    for scale in np.unique(phantom.um_per_px):
        here = phantom.um_per_px == scale
        _, number = np.unique(phantom.group[here], return_inverse=True)
        found[here] = number % 2
    return found


def _classifier(real: Crops, phantom: Crops) -> Callable[[Floats], Floats]:
    """Decision function, larger for a phantom."""
    scaler, model = _fitted(real, phantom)

    def decide(features: Floats) -> Floats:
        return np.asarray(model.decision_function(scaler.transform(features)))

    return decide


def _fitted(real: Crops, phantom: Crops) -> tuple[Any, Any]:
    """Scaler and logistic regression, with equal weight of both sides, of cases, and of each scale's phantoms."""
    features = np.concatenate([real.features, phantom.features])
    label = np.repeat([0, 1], [len(real), len(phantom)])
    real_weight = _equal_weights(real.group)
    share_of_scale = {scale: real_weight[real.um_per_px == scale].sum() for scale in np.unique(real.um_per_px)}
    phantom_weight = _equal_weights(phantom.um_per_px.astype(str))
    phantom_weight *= np.array([share_of_scale.get(scale, 0.0) for scale in phantom.um_per_px])
    weight = np.concatenate([real_weight / real_weight.sum(), phantom_weight / phantom_weight.sum()]) * len(label) / 2
    scaler = _sklearn("preprocessing").StandardScaler().fit(features, sample_weight=weight)
    model = _sklearn("linear_model").LogisticRegression(C=RIDGE_PENALTY, class_weight="balanced", max_iter=2000)
    return scaler, model.fit(scaler.transform(features), label, sample_weight=weight)


def _equal_weights(group: NDArray[np.str_]) -> Floats:
    """Weights that sum to 1 for each group."""
    _, number, count = np.unique(group, return_inverse=True, return_counts=True)
    return np.asarray(1.0 / count[number])


def _auc(real: Floats, phantom: Floats) -> float:
    """Chance that a phantom crop's value is above a real one's; ties count half."""
    label = np.repeat([0, 1], [len(real), len(phantom)])
    return float(_sklearn("metrics").roc_auc_score(label, np.concatenate([real, phantom])))


def _tells(real: Crops, phantom: Crops) -> tuple[Tell, ...]:
    """Every feature, that with the largest coefficient first."""
    if not len(real) or not len(phantom):
        return ()
    coefficient = _fitted(real, phantom)[1].coef_[0]
    tells = [
        Tell(
            name, float(coefficient[k]), _auc(real.features[:, k], phantom.features[:, k]),
            float(np.median(real.features[:, k])), float(np.median(phantom.features[:, k])),
        )
        for k, name in enumerate(FEATURES)
    ]  # fmt: skip
    return tuple(sorted(tells, key=lambda tell: -abs(tell.coefficient)))


def _lines(verdict: Verdict) -> list[str]:
    lines = [f"score {verdict.score}: {verdict.n_real} real and {verdict.n_phantom} phantom crops of {CROP_PX} px"]
    lines += [
        _summary("case left out      ", verdict.auc_of_case),
        _summary("other half was seen", verdict.seen_auc_of_case),
        "  what gives the phantom away   coefficient  alone: AUC       real    phantom (medians)",
    ]
    alone = sorted(verdict.tells, key=lambda tell: -abs(tell.auc - 0.5))
    for title, tells in (("by coefficient", verdict.tells), ("by AUC alone", alone)):
        lines.append(f"  {title}:")
        lines += [
            f"    {tell.feature:28} {tell.coefficient:10.2f} {tell.auc:11.2f} {tell.real_median:10.3g}"
            f" {tell.phantom_median:10.3g}"
            for tell in tells[:N_LISTED]
        ]
    return [*lines, ""]


def _summary(what: str, auc_of_case: Mapping[str, float]) -> str:
    if not auc_of_case:
        return f"  AUC, {what}: not judged, there is one case only"
    values = np.array(list(auc_of_case.values()))
    cases = ", ".join(f"{case} {auc:.2f}" for case, auc in auc_of_case.items())
    return f"  AUC, {what}: {values.mean():.2f} +- {values.std():.2f} ({cases})"
