"""CAMELYON16's lesions and FROC: a small case by hand, the laws, and the masks beside scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.measure import label, regionprops

from her2scope.annotations.shapes import Annotation, Annotations, Polygon
from her2scope.evaluation.froc import FALSE_PER_SLIDE, SlideFinds, compare_detections, froc
from her2scope.evaluation.lesions import (
    ISOLATED_UM,
    LESION_UM_PER_PX,
    Lesions,
    detections_of,
    find_lesions,
    lesions_of,
    major_axes_px,
)
from her2scope.imaging.opencv import cv2

SEEDS = st.integers(0, 10_000)


def squares(*numbers, isolated=()):
    """A slide of 100 x 20 um at 1 um/px: lesion k covers x from 20 k to 20 k + 10."""
    labels = np.zeros((20, 100), np.int32)
    for place, number in enumerate(numbers):
        labels[5:15, 20 * place : 20 * place + 10] = number
    return Lesions(labels, 1.0, frozenset(isolated))


def found(*detections):
    return np.array(detections, float).reshape(-1, 3)


def slides_of(seed, n=4):
    random = np.random.default_rng(seed)
    slides = []
    for k in range(n):
        lesions = random.integers(0, 4)
        hits = np.sort(random.choice([0.1, 0.3, 0.5, 0.7, 0.9], random.integers(0, lesions + 1)))
        false = np.round(random.random(random.integers(0, 12)), 1)
        highest = max([0.0, *hits, *false])
        slides.append(SlideFinds(f"s{k}", int(lesions), lesions > 0, hits, false, highest))
    return slides


def test_by_hand():
    # Slide 1: lesion 1 hit at 0.9 and 0.4, lesion 2 missed, one false at 0.8. Slide 2: no tumour, false at 0.6, 0.5.
    one = compare_detections("1", found((5, 10, 0.9), (6, 10, 0.4), (50, 10, 0.8)), squares(1, 2))
    two = compare_detections("2", found((5, 10, 0.6), (70, 2, 0.5)), squares())
    assert one.hits.tolist() == [0.9] and one.false.tolist() == [0.8] and one.n_lesions == 2
    assert two.false.tolist() == [0.6, 0.5] and not two.has_tumour
    result = froc([one, two])
    assert result.curve == ((0.0, 0.0), (0.0, 0.5), (0.5, 0.5), (1.0, 0.5), (1.5, 0.5))
    assert result.sensitivities == (0.5,) * 6 and result.mean_sensitivity == 0.5
    assert result.slide_auc == 1.0 and (result.n_slides, result.n_lesions) == (2, 2)


def test_the_curve_is_joined_by_straight_lines_and_stays_at_its_end():
    # One slide, four lesions; thresholds 0.9 (a hit), 0.8 (4 false), 0.7 (a hit).
    slide = SlideFinds("s", 4, True, np.array([0.9, 0.7]), np.full(4, 0.8), 0.9)
    slower = SlideFinds("t", 4, True, np.array([0.7]), np.full(4, 0.8), 0.8)
    assert froc([slide]).sensitivities == (0.25, 0.25, 0.25, 0.25, 0.5, 0.5)
    # No hit before the false ones: up to 4 false positives the curve lies at 0.
    assert froc([slower]).sensitivities == (0.0, 0.0, 0.0, 0.0, 0.25, 0.25)
    both = SlideFinds("u", 2, True, np.array([0.8, 0.8]), np.full(4, 0.8), 0.8)
    assert froc([both]).sensitivities == pytest.approx([0.0625, 0.125, 0.25, 0.5, 1.0, 1.0])


def test_isolated_tumour_cells_count_neither_way():
    slide = compare_detections("1", found((5, 10, 0.9), (25, 10, 0.7)), squares(1, 2, isolated=(2,)))
    assert (slide.n_lesions, slide.hits.tolist(), slide.false.tolist()) == (1, [0.9], [])
    alone = compare_detections("2", found((5, 10, 0.9)), squares(1, isolated=(1,)))
    assert alone.n_lesions == 0 and alone.has_tumour and not len(alone.false)


def test_a_detection_beyond_the_mask_is_false():
    slide = compare_detections("1", found((-5, 10, 0.9), (5, 400, 0.8)), squares(1))
    assert slide.false.tolist() == [0.9, 0.8] and not len(slide.hits)


@given(seed=SEEDS)
def test_a_further_hit_of_a_lesion_counts_for_nothing(seed):
    random = np.random.default_rng(seed)
    first = found(*((random.uniform(0, 100), random.uniform(0, 20), random.random()) for _ in range(8)))
    lesions = squares(1, 2, 3)
    again = np.vstack([first, [[*place, 0.5 * first[k, 2]] for k, place in enumerate(first[:, :2])]])
    again = again[[True] * 8 + (lesions.at(first[:, 0], first[:, 1]) > 0).tolist()]
    assert froc([compare_detections("s", first, lesions)]) == froc([compare_detections("s", again, lesions)])


@given(seed=SEEDS, probability=st.floats(0.01, 1.0), which=st.integers(0, 3))
def test_one_more_false_positive_never_raises_a_sensitivity(seed, probability, which):
    slides = slides_of(seed)
    old = slides[which]
    worse = list(slides)
    worse[which] = SlideFinds(
        old.name, old.n_lesions, old.has_tumour, old.hits, np.append(old.false, probability), old.probability
    )
    for before, after in zip(froc(slides).sensitivities, froc(worse).sensitivities, strict=True):
        assert (before is None) == (after is None)
        assert before is None or after <= before + 1e-12


@given(seed=SEEDS)
def test_a_missed_lesion_that_is_found_never_lowers_a_sensitivity(seed):
    slides = slides_of(seed)
    better = [
        SlideFinds(s.name, s.n_lesions, s.has_tumour, np.append(s.hits, 0.4), s.false, s.probability)
        if len(s.hits) < s.n_lesions
        else s
        for s in slides
    ]
    for before, after in zip(froc(slides).sensitivities, froc(better).sensitivities, strict=True):
        assert before is None or after >= before - 1e-12


@given(seed=SEEDS, order=st.permutations(range(4)))
def test_the_order_of_slides_and_detections_does_not_matter(seed, order):
    slides = slides_of(seed)
    turned = [
        SlideFinds(s.name, s.n_lesions, s.has_tumour, s.hits[::-1], s.false[::-1], s.probability)
        for s in (slides[k] for k in order)
    ]
    assert froc(slides) == froc(turned)


@given(seed=SEEDS)
def test_sensitivities_rise_with_the_false_positives_that_are_allowed(seed):
    values = froc(slides_of(seed)).sensitivities
    assert list(values) == sorted(values, key=lambda value: value or 0.0)
    assert all(value is None or 0.0 <= value <= 1.0 for value in values)


def test_without_lesions_or_slides_there_is_no_figure():
    empty = froc([SlideFinds("s", 0, False, np.zeros(0), np.array([0.5]), 0.5)])
    assert empty.mean_sensitivity is None and empty.slide_auc is None
    assert froc([]).sensitivities == (None,) * len(FALSE_PER_SLIDE)
    assert froc([]).as_json()["mean_sensitivity"] is None


# ---- lesions ------------------------------------------------------------------------------------------------------


def discs(*circles, size_hw=(200, 300)):
    mask = np.zeros(size_hw, np.uint8)
    for x, y, radius in circles:
        cv2.circle(mask, (x, y), radius, 1, -1)
    return mask > 0


def test_lesions_closer_than_the_widening_are_one():
    # 37.5 um on each side: pieces up to 75 um apart touch.
    near, far = discs((50, 50, 5), (68, 50, 5)), discs((50, 50, 5), (73, 50, 5))
    assert find_lesions(near, LESION_UM_PER_PX).labels.max() == 1
    assert find_lesions(far, LESION_UM_PER_PX).labels.max() == 2


def test_holes_of_a_lesion_belong_to_it():
    ring = discs((150, 100, 60)) & ~discs((150, 100, 40))
    lesions = find_lesions(ring, LESION_UM_PER_PX)
    assert lesions.labels[100, 150] == 1 and lesions.n_counted == 1


def test_small_lesions_are_isolated_tumour_cells():
    small_px = (ISOLATED_UM / 2 - 37.5) / LESION_UM_PER_PX
    lesions = find_lesions(discs((50, 50, int(small_px) - 3), (150, 100, int(small_px) + 3)), LESION_UM_PER_PX)
    assert lesions.labels.max() == 2 and len(lesions.isolated) == 1
    assert lesions.labels[50, 50] in lesions.isolated and lesions.n_counted == 1


@given(seed=SEEDS)
def test_widened_labels_and_axes_as_scikit_image_has_them(seed):
    random = np.random.default_rng(seed)
    mask = discs(*((*random.integers(0, (150, 100)), random.integers(1, 9)) for _ in range(6)), size_hw=(100, 150))
    labels = find_lesions(mask, LESION_UM_PER_PX).labels
    theirs = label(labels > 0, connectivity=2)
    assert labels.max() == theirs.max()
    assert ((labels > 0) == (theirs > 0)).all()
    axes = [region.axis_major_length for region in regionprops(labels)]
    assert major_axes_px(labels) == pytest.approx(axes, abs=1e-6)
    assert (labels[mask] > 0).all()
    y, x = np.nonzero(mask)
    if len(x):
        for row, column in random.integers(0, (100, 150), (20, 2)):
            nearest_um = np.hypot(x - column, y - row).min() * LESION_UM_PER_PX
            assert labels[row, column] > 0 or nearest_um >= 37.5 - 1e-3


def test_no_tumour_no_lesion():
    lesions = find_lesions(np.zeros((10, 12), bool), 8.0)
    assert lesions.n_counted == 0 and lesions.at(np.array([5.0]), np.array([5.0])).tolist() == [0]


def test_lesions_of_polygons_lie_where_the_polygons_do():
    square = np.array([(4000, 8000), (8000, 8000), (8000, 12_000), (4000, 12_000)], float)
    drawn = Annotations(
        (Annotation("", "tumour", (Polygon(square),)), Annotation("", "other", (Polygon(square - 3999),)))
    )
    lesions = lesions_of(drawn, ("tumour",), (20_000, 16_000), 0.25)
    assert lesions.n_counted == 1
    inside, beside = 0.25 * np.array([[6000.0, 10_000.0], [3000.0, 3000.0]])
    assert lesions.at(*np.stack([inside, beside], axis=1)).tolist() == [1, 0]
    # 37.5 um beyond the polygon's left side, and one and a half pixels either way.
    edge = lesions.at(np.array([1000 - 37.5 + 12.0, 1000 - 37.5 - 12.0]), np.array([2500.0, 2500.0]))
    assert edge.tolist() == [1, 0]


# ---- detections ---------------------------------------------------------------------------------------------------


def test_summits_are_detections_and_their_shoulders_are_not():
    y, x = np.mgrid[:60, :80]
    hills = 0.9 * np.exp(-((x - 20) ** 2 + (y - 30) ** 2) / 50) + 0.6 * np.exp(-((x - 60) ** 2 + (y - 15) ** 2) / 50)
    detections = detections_of(hills, um_per_px=2.0, radius_um=20.0, least=0.3)
    assert detections[:, :2].tolist() == [[41.0, 61.0], [121.0, 31.0]]
    assert detections[:, 2] == pytest.approx([0.9, 0.6], abs=1e-3)
    assert len(detections_of(hills, 2.0, 20.0, least=0.7)) == 1
    assert len(detections_of(hills, 2.0, 120.0, least=0.3)) == 1
    assert detections_of(np.zeros((5, 5)), 2.0, 20.0, 0.0).shape == (0, 3)


@given(seed=SEEDS, radius_um=st.floats(0.5, 30.0))
def test_no_two_detections_are_nearer_than_the_radius_and_the_highest_is_there(seed, radius_um):
    probability = np.random.default_rng(seed).random((20, 25))
    detections = detections_of(probability, 2.0, radius_um, 0.2)
    apart = np.hypot(*(detections[:, None, :2] - detections[None, :, :2]).transpose(2, 0, 1))
    assert (apart[~np.eye(len(detections), dtype=bool)] > radius_um - 1e-9).all()
    assert detections[0, 2] == pytest.approx(probability.max())
    assert (np.diff(detections[:, 2]) <= 0).all() and (detections[:, 2] >= 0.2 - 1e-6).all()
