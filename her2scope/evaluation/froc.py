"""Free-response ROC of CAMELYON16: how many lesions are found, against how many false positives a slide has.

Verified against the challenge's own evaluation code (see `lesions`): a detection in a lesion is a hit, further ones in
the same lesion count for nothing, and the lesion has the highest probability of them; in isolated tumour cells it
counts neither way; anywhere else, and everywhere on a slide without tumour, it is a false positive. At every threshold
(>=): sensitivity over all counted lesions, false positives per slide, over all slides. The curve begins at 0, 0 and is
joined by straight lines; beyond its end the sensitivity stays. The figure is the mean of the sensitivities at 1/4,
1/2, 1, 2, 4 and 8 false positives per slide.

One thing is other than there: that code leaves out the lowest threshold whatever it is, which in nearly every run is
the probability 0 of a lesion that was missed. Here 0 alone is left out. So one more false positive never raises a
sensitivity, which it can there where every lesion was found.

Of the slide's AUC the challenge only says that each slide has a probability; that it is the highest of its detections
is our rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from her2scope.evaluation.lesions import Lesions
from her2scope.evaluation.pixel_measures import rank_auc
from her2scope.ports import JsonObject

FALSE_PER_SLIDE = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True, slots=True, eq=False)
class SlideFinds:
    """Detections of one slide, set beside its lesions."""

    name: str
    n_lesions: int
    """That must be found."""
    has_tumour: bool
    """Isolated tumour cells among it."""
    hits: NDArray[np.float64]
    """Highest probability of each lesion that was found."""
    false: NDArray[np.float64]
    """Probability of each false positive."""
    probability: float
    """That the slide holds tumour: the highest of its detections, 0 without any."""


@dataclass(frozen=True, slots=True)
class Froc:
    """The curve, and its figure."""

    sensitivities: tuple[float | None, ...]
    """At `FALSE_PER_SLIDE`; None where no slide has a lesion."""
    n_slides: int
    n_lesions: int
    slide_auc: float | None
    """None where all slides hold tumour, or none does."""
    curve: tuple[tuple[float, float], ...]
    """False positives per slide and sensitivity, from the highest threshold on."""

    @property
    def mean_sensitivity(self) -> float | None:
        """The challenge's figure."""
        known = [value for value in self.sensitivities if value is not None]
        return float(np.mean(known)) if known else None

    def as_json(self) -> JsonObject:
        """All figures and the curve."""
        return {
            "mean_sensitivity": self.mean_sensitivity,
            "sensitivity_at": {
                f"{false:g}": value for false, value in zip(FALSE_PER_SLIDE, self.sensitivities, strict=True)
            },
            "slide_auc": self.slide_auc,
            "n_slides": self.n_slides,
            "n_lesions": self.n_lesions,
            "curve": [list(point) for point in self.curve],
        }


def compare_detections(name: str, detections: NDArray[np.float64], lesions: Lesions) -> SlideFinds:
    """Set detections `(N, 3)` (x and y in um, probability; as `lesions.detections_of` gives) beside the lesions."""
    lesion = lesions.at(detections[:, 0], detections[:, 1])
    probability = detections[:, 2]
    best = np.zeros(int(lesions.labels.max(initial=0)) + 1)
    np.maximum.at(best, lesion, probability)
    counted = [number for number in range(1, len(best)) if number not in lesions.isolated]
    return SlideFinds(
        name,
        lesions.n_counted,
        len(best) > 1,
        best[counted][best[counted] > 0.0],
        probability[lesion == 0],
        float(probability.max(initial=0.0)),
    )


def froc(slides: Sequence[SlideFinds]) -> Froc:
    """The curve over all slides, with and without tumour."""
    n_lesions = sum(slide.n_lesions for slide in slides)
    tumour = np.array([slide.has_tumour for slide in slides], np.bool_)
    auc = rank_auc(np.array([slide.probability for slide in slides]), tumour) if slides else None
    if not n_lesions:
        return Froc((None,) * len(FALSE_PER_SLIDE), len(slides), 0, auc, ())
    hits = np.sort(np.concatenate([slide.hits for slide in slides]))
    false = np.sort(np.concatenate([slide.false for slide in slides]))
    thresholds = np.unique(np.concatenate([hits, false]))[::-1]
    thresholds = thresholds[thresholds > 0.0]
    false_per_slide = np.append(0.0, (len(false) - np.searchsorted(false, thresholds)) / len(slides))
    sensitivity = np.append(0.0, (len(hits) - np.searchsorted(hits, thresholds)) / n_lesions)
    # Of several sensitivities at one number of false positives np.interp takes the last: the highest.
    at = np.interp(FALSE_PER_SLIDE, false_per_slide, sensitivity)
    curve = tuple(zip(false_per_slide.tolist(), sensitivity.tolist(), strict=True))
    return Froc(tuple(at.tolist()), len(slides), n_lesions, auc, curve)
