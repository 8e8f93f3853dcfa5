"""Dice, IoU and AUC of pixels: by hand, beside scikit-learn, over tiles, and where there is no answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, jaccard_score, roc_auc_score

from her2scope.evaluation.pixel_measures import count_pixels, measures_json, rank_auc, sum_counts

CLASSES = ("a", "b")
SEEDS = st.integers(0, 10_000)


def drawn(seed, size_hw=(20, 30)):
    """Truth, probabilities that follow it more or less, and the labels of the most probable class."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 3, size_hw).astype(np.uint8)
    scores = random.normal(size=(3, *size_hw)) + 1.5 * (np.arange(3)[:, None, None] == truth)
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=0)
    return truth, probabilities.astype(np.float32), probabilities.argmax(axis=0).astype(np.uint8)


def test_by_hand():
    truth = np.array([[1, 1, 1, 1, 0, 0]], np.uint8)
    found = np.array([[0, 1, 1, 1, 1, 0]], np.uint8)
    counts = count_pixels(found, truth, ["a"])["a"]
    assert (counts.both, counts.found_only, counts.missed, counts.neither) == (3, 1, 1, 1)
    assert counts.dice == pytest.approx(6 / 8) and counts.iou == pytest.approx(3 / 5)
    assert counts.auc is None and counts.n_px == 4


@settings(max_examples=15)
@given(seed=SEEDS)
def test_as_scikit_learn_has_it(seed):
    truth, probabilities, found = drawn(seed)
    for k, name in enumerate(CLASSES, 1):
        counts = count_pixels(found, truth, CLASSES, probabilities)[name]
        own, theirs = (truth == k).ravel(), (found == k).ravel()
        assert counts.dice == pytest.approx(f1_score(own, theirs))
        assert counts.iou == pytest.approx(jaccard_score(own, theirs))
        exact = roc_auc_score(own, probabilities[k].ravel())
        assert counts.auc_error is not None and counts.auc_error < 1e-3
        assert abs(counts.auc - exact) <= counts.auc_error + 1e-12
        assert rank_auc(probabilities[k].ravel(), own) == pytest.approx(exact)


@given(seed=SEEDS, levels=st.integers(1, 6))
def test_the_error_of_the_auc_holds_with_many_ties(seed, levels):
    random = np.random.default_rng(seed)
    truth = (random.random((15, 20)) < 0.3).astype(np.uint8)
    # All within two bins: they can tell next to nothing, and say so.
    fine = (0.5 + random.integers(0, levels, truth.shape) * 1e-5).astype(np.float32)
    counts = count_pixels(truth, truth, ["a"], np.stack([1 - fine, fine]))["a"]
    exact = rank_auc(fine.ravel(), truth.ravel() > 0)
    assert abs(counts.auc - exact) <= counts.auc_error + 1e-12


@given(seed=SEEDS)
def test_ties_count_half(seed):
    random = np.random.default_rng(seed)
    scores, positive = random.integers(0, 4, 60) / 4.0, random.random(60) < 0.5
    exact = rank_auc(scores, positive)
    if exact is not None:
        pairs = scores[positive][:, None] - scores[~positive][None, :]
        assert exact == pytest.approx(((pairs > 0) + 0.5 * (pairs == 0)).mean())
        assert exact == pytest.approx(roc_auc_score(positive, scores))
        assert rank_auc(-scores, positive) == pytest.approx(1 - exact)


@given(seed=SEEDS, cut=st.integers(1, 29))
def test_tiles_add_up_to_the_whole(seed, cut):
    truth, probabilities, found = drawn(seed)
    tiles = [
        count_pixels(found[:, part], truth[:, part], CLASSES, probabilities[:, :, part])
        for part in (slice(None, cut), slice(cut, None))
    ]
    whole = count_pixels(found, truth, CLASSES, probabilities)
    for order in (tiles, tiles[::-1]):
        added = sum_counts(order)
        assert {name: one.as_json() for name, one in added.items()} == {
            name: one.as_json() for name, one in whole.items()
        }


@given(seed=SEEDS)
def test_ignored_pixels_count_neither_way(seed):
    truth, probabilities, found = drawn(seed)
    ignore = np.zeros(truth.shape, bool)
    ignore[:, 10:] = True
    there = count_pixels(found, truth, CLASSES, probabilities, ignore)
    cut = count_pixels(found[:, :10], truth[:, :10], CLASSES, probabilities[:, :, :10])
    assert {k: v.as_json() for k, v in there.items()} == {k: v.as_json() for k, v in cut.items()}


def test_what_has_no_answer_is_none():
    nothing, all_of_it = np.zeros((4, 5), np.uint8), np.ones((4, 5), np.uint8)
    flat = np.full((2, 4, 5), 0.5, np.float32)
    empty = count_pixels(nothing, nothing, ["a"], flat)["a"]
    assert (empty.dice, empty.iou, empty.auc, empty.auc_error) == (None, None, None, None)
    full = count_pixels(all_of_it, all_of_it, ["a"], flat)["a"]
    assert (full.dice, full.iou, full.auc) == (1.0, 1.0, None)
    missed = count_pixels(nothing, all_of_it, ["a"])["a"]
    assert (missed.dice, missed.iou) == (0.0, 0.0)
    assert count_pixels(all_of_it, nothing, ["a"])["a"].dice == 0.0
    assert rank_auc(np.zeros(3), np.zeros(3, bool)) is None


def test_a_class_without_an_answer_in_one_image_is_left_out_of_the_mean():
    there, nothing = np.ones((4, 5), np.uint8), np.zeros((4, 5), np.uint8)
    said = measures_json({"one": count_pixels(there, there, ["a"]), "two": count_pixels(nothing, nothing, ["a"])})
    assert said["mean_of_images"]["a"]["dice"] == {"mean": 1.0, "n_images": 1}
    assert said["images"]["two"]["classes"]["a"]["dice"] is None
    assert said["classes"]["a"]["n_px"] == 20 and said["classes"]["a"]["of_px"] == 40


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match="cannot be set beside"):
        count_pixels(np.zeros((3, 3), np.uint8), np.zeros((3, 4), np.uint8), ["a"])
    with pytest.raises(ValueError, match="probabilities are of"):
        square = np.zeros((3, 3), np.uint8)
        count_pixels(square, square, ["a"], np.zeros((1, 3, 3), np.float32))
