"""Masks of nuclei and membranes: instances, centre lines, and the cuts beside them, on shapes drawn here."""

from __future__ import annotations

import numpy as np
import pytest

from her2scope.evaluation.membrane_masks import (
    MembranePatch,
    best_threshold,
    centre_line,
    compare_lines,
    without_specks,
)
from her2scope.evaluation.nuclear_masks import compare_labels, part_nuclei
from her2scope.imaging.opencv import cv2


def discs(*circles, size_hw=(160, 200)):
    mask = np.zeros(size_hw, np.uint8)
    for x, y, radius in circles:
        cv2.circle(mask, (x, y), radius, 255, -1)
    return mask


def middles(labels):
    return sorted(
        tuple(np.argwhere(labels == n).mean(axis=0).round().astype(int)[::-1]) for n in range(1, labels.max() + 1)
    )


def test_touching_nuclei_are_parted_and_single_ones_left_whole():
    labels = part_nuclei(discs((40, 80, 16), (68, 80, 16), (150, 60, 20)), um_per_px=0.25)
    assert labels.max() == 3
    assert [abs(x - true) <= 3 for (x, _), true in zip(middles(labels), (40, 68, 150), strict=True)] == [True] * 3
    assert not labels[discs((40, 80, 16), (68, 80, 16), (150, 60, 20)) == 0].any()


def test_finer_masks_are_parted_alike():
    mask = discs((100, 200, 40), (170, 200, 40), size_hw=(400, 300))
    labels = part_nuclei(mask, um_per_px=0.1)
    assert labels.shape == mask.shape and labels.max() == 2


def test_no_nucleus_in_an_empty_mask():
    assert part_nuclei(np.zeros((50, 60), np.uint8), 0.25).max() == 0


def test_a_find_in_the_mask_or_near_its_middle_is_a_hit():
    labels = part_nuclei(discs((100, 80, 24)), 0.25)
    assert compare_labels(np.array([[120.0, 80.0]]), labels, 0.25).hits == 1  # 5 um off, but inside
    assert compare_labels(np.array([[130.0, 80.0]]), labels, 0.25).hits == 0
    small = part_nuclei(discs((100, 80, 5)), 0.25)
    assert compare_labels(np.array([[110.0, 80.0]]), small, 0.25).hits == 1  # outside, but 2.5 um off


def test_nuclei_cut_by_the_edge_count_neither_way():
    labels = part_nuclei(discs((3, 80, 12), (100, 80, 12)), 0.25)
    found = compare_labels(np.array([[3.0, 80.0], [100.0, 80.0]]), labels, 0.25)
    missed = compare_labels(np.zeros((0, 2)), labels, 0.25)
    assert (found.hits, found.missed, found.false) == (1, 0, 0)
    assert (missed.hits, missed.missed, missed.false) == (0, 1, 0)


def test_a_thick_line_is_thinned_to_its_middle():
    mask = np.zeros((60, 80), np.uint8)
    mask[28:33, 10:70] = 255
    line = centre_line(mask)
    rows, columns = np.nonzero(line)
    assert set(rows) <= {29, 30, 31} and (line.sum(axis=0) <= 1).all() and len(columns) >= 54


@pytest.mark.parametrize("turns", range(4))
def test_a_ring_stays_closed_and_one_pixel_wide(turns):
    mask = np.zeros((80, 90), np.uint8)
    cv2.circle(mask, (45, 40), 25, 255, 7)
    line = centre_line(np.rot90(mask, turns).copy()).astype(np.uint8)
    n_inside, _ = cv2.connectedComponents(1 - line, connectivity=4)
    assert n_inside == 3  # line, inside, outside
    assert cv2.erode(line, np.ones((2, 2), np.uint8)).sum() == 0


def test_lines_agree_within_reach_and_not_beyond():
    first, near, far = (np.zeros((60, 80), np.uint8) for _ in range(3))
    first[30, 5:75], near[32, 5:75], far[36, 5:75] = 1, 1, 1
    assert compare_lines(near, first, 2.0).f1 == 1.0
    assert compare_lines(far, first, 2.0).f1 == 0.0
    assert compare_lines(np.zeros_like(first), first, 2.0).f1 == 0.0
    assert compare_lines(first, first, 0.0).f1 == 1.0


def test_the_best_threshold_finds_brown_lines_on_white():
    rgb = np.full((60, 70, 3), 235, np.uint8)
    cv2.rectangle(rgb, (15, 15), (50, 45), (110, 70, 40), 4)
    true = (rgb[..., 2] < 100).astype(np.uint8)
    cut_od10, match = best_threshold(MembranePatch("drawn", rgb, true))
    assert match.f1 > 0.95 and 0 < cut_od10 < 1.5


def test_black_specks_become_white_and_dark_brown_stays():
    rgb = np.full((20, 20, 3), 220, np.uint8)
    rgb[5, 5], rgb[9, 9] = (8, 8, 8), (74, 31, 1)
    clean = without_specks(rgb)
    assert clean[5, 5].tolist() == [255, 255, 255] and clean[9, 9].tolist() == [74, 31, 1]
    assert rgb[5, 5].tolist() == [8, 8, 8]
