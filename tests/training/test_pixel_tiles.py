"""What the pixelwise classifier learns from: windows, balanced tiles, variation, folds. None of it needs torch."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from training.pixel_scenes import CLASSES, PAPER, circle, scene

from her2scope.annotations.raster import Painter
from her2scope.annotations.shapes import Annotation, Annotations
from her2scope.domain.errors import BadInputError
from her2scope.training.pixels import batches
from her2scope.training.pixels.augment import NOT_ASKED, PLAIN, UPRIGHT, Variation, varied, window_side_px
from her2scope.training.pixels.batches import Draws, check_windows, read_check
from her2scope.training.pixels.config import BACKGROUND, PixelConfig, check_config, what_differs
from her2scope.training.pixels.grounds import Ground, WholePicture, check_copies, fold_numbers, labels_of, split

CONFIG = PixelConfig(CLASSES, 0.5, tile_px=64, batch=4, widths=(8, 8, 8), depths=(0, 1, 1))


# ---- variation ----------------------------------------------------------------------------------------------------


def test_without_variation_a_tile_is_the_middle_of_its_window() -> None:
    ground = scene("a", 1)
    rgb, labels = ground.window(20, 30, 64, 64)
    seen, asked = varied(rgb, labels, 64, PLAIN, np.random.default_rng(0))
    np.testing.assert_array_equal(asked, labels)
    assert np.abs(seen.astype(int) - rgb).max() <= 1  # through od10 and back


@given(seed=st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_labels_move_with_the_picture(seed: int) -> None:
    """A dark disc is where its label is, however the tile is turned, bent and stained."""
    rng = np.random.default_rng(seed)
    side = window_side_px(64, Variation())
    rows, columns = np.mgrid[:side, :side]
    x, y = side / 2 + rng.uniform(-20, 20, 2)
    labels = ((columns - x) ** 2 + (rows - y) ** 2 <= 15**2).astype(np.uint8)
    rgb = np.where(labels[:, :, None] > 0, 40, 220).astype(np.uint8).repeat(3, axis=2)[:, :, :3]
    seen, asked = varied(rgb, labels, 64, Variation(), rng)
    dark = seen.mean(axis=2) < 0.5 * (float(seen.mean(axis=2).max()) + float(seen.mean(axis=2).min()))
    assert seen.shape == (64, 64, 3) and asked.shape == (64, 64) and set(np.unique(asked)) <= {0, 1}
    if asked.sum() > 100:
        both = (dark & (asked == 1)).sum()
        assert 2 * both / (dark.sum() + asked.sum()) > 0.93


def test_a_tile_needs_no_more_than_its_window() -> None:
    """Whatever is drawn, no place outside the window is read: a frame around it is never seen."""
    variation = Variation()
    side = window_side_px(48, variation)
    labels = np.zeros((side + 8, side + 8), np.uint8)
    labels[[0, 1, 2, -1, -2, -3]] = labels[:, [0, 1, 2, -1, -2, -3]] = 7
    rgb = np.full((side + 8, side + 8, 3), 128, np.uint8)
    for seed in range(200):
        _, asked = varied(rgb, labels, 48, variation, np.random.default_rng(seed))
        assert not asked.any()


def test_stains_vary_and_the_same_seed_gives_the_same_tile() -> None:
    side = window_side_px(64, Variation())
    rgb, labels = scene("a", 3, 256).window(10, 10, side, side)
    first, again, other = (varied(rgb, labels, 64, Variation(), np.random.default_rng(seed))[0] for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    means = [
        varied(rgb, labels, 64, Variation(), np.random.default_rng(seed))[0].mean(axis=(0, 1)) for seed in range(60)
    ]
    assert np.std(means, axis=0).min() > 5 and not np.array_equal(first, other)
    assert np.abs(np.mean(means, axis=0) - rgb.mean(axis=(0, 1))).max() < 25  # around what it is


def test_upright_tiles_are_not_turned() -> None:
    """Left stays left and straight stays straight; turned tiles have it elsewhere."""
    variation = replace(Variation(), **UPRIGHT)
    side = window_side_px(64, Variation())
    labels = np.repeat((np.arange(side) < side // 2).astype(np.uint8)[None], side, axis=0)
    rgb = np.full((side, side, 3), 180, np.uint8)
    for seed in range(20):
        asked = varied(rgb, labels, 64, variation, np.random.default_rng(seed))[1]
        assert (asked == asked[0]).all() and (np.diff(asked[0].astype(int)) <= 0).all() and asked[0, 0] == 1
    turned = [varied(rgb, labels, 64, Variation(), np.random.default_rng(seed))[1] for seed in range(20)]
    assert sum(bool(asked[:, 0].mean() < asked[:, -1].mean()) for asked in turned) > 3


# ---- grounds ------------------------------------------------------------------------------------------------------


@given(left=st.integers(-150, 150), top=st.integers(-150, 150), width=st.integers(1, 90), height=st.integers(1, 90))
@settings(max_examples=60, deadline=None)
def test_a_window_beyond_the_border_is_a_mirror(left: int, top: int, width: int, height: int) -> None:
    ground = scene("a", 4, side=60)
    rgb, labels = ground.window(0, 0, 60, 60)
    padded = [
        np.pad(plane, [(240, 240), (240, 240)] + [(0, 0)] * (plane.ndim - 2), "reflect") for plane in (rgb, labels)
    ]
    found = ground.window(left, top, width, height)
    for plane, whole in zip(found, padded, strict=True):
        np.testing.assert_array_equal(plane, whole[240 + top :, 240 + left :][:height, :width])


def test_beyond_a_slide_is_glass_and_background() -> None:
    inner = scene("a", 4, side=60)
    ground = replace(inner, reading=WholePicture(inner.reading.rgb(0, 0, 60, 60), is_mirrored=False))
    rgb, labels = ground.window(-10, 50, 80, 40)
    assert (rgb[:, :10] == 255).all() and (rgb[10:] == 255).all() and not labels[10:].any()
    np.testing.assert_array_equal(labels[:10, 10:70], inner.window(0, 50, 60, 10)[1])
    assert (ground.window(200, 200, 5, 5)[0] == 255).all()


def test_unlabelled_pixels_may_be_unknown() -> None:
    ground = replace(scene("a", 4), ignore_unlabelled=True)
    labels = ground.window(0, 0, 128, 128)[1]
    assert set(np.unique(labels)) == {1, 2, NOT_ASKED}
    assert not ground.survey(3).has(0)


def only_dark(name: str, seed: int, is_empty: bool = False) -> Ground:
    """A picture of which nobody says what is not dark, or one that has nothing dark."""
    ground = scene(name, seed, classes=() if is_empty else ("dark",))
    items = () if is_empty else (Annotation("", "dark", (circle(60, 60, 20),)),)
    return replace(ground, painter=Painter(Annotations(items), ("dark",)), ignore_unlabelled=not is_empty)


ONLY_DARK = replace(CONFIG, classes=("dark",), ignore_unlabelled=True)


def test_what_has_nothing_to_be_told_from_is_refused() -> None:
    """All that is asked for would be right as `dark`, and so the model would call everything."""
    with pytest.raises(BadInputError, match="nothing says what is not"):
        Draws([only_dark(str(n), n) for n in range(3)], ONLY_DARK)
    Draws([only_dark("a", 1), only_dark("b", 2, is_empty=True)], ONLY_DARK)


@pytest.mark.parametrize("seed", range(12))
def test_the_only_images_that_say_what_is_not_are_learnt_from(seed: int) -> None:
    """Where the rest is unknown, an image without the class is as rare a good as one of a rare class."""
    grounds = [only_dark(str(n), n, is_empty=n == 19) for n in range(20)]
    learnt, held = split(labels_of(grounds), 0.1, seed)
    assert 19 in learnt and len(held) == 2
    plain = [replace(ground, ignore_unlabelled=False) for ground in grounds]
    assert labels_of(plain) == [ground.classes for ground in plain]


def test_a_class_that_later_ones_cover_is_not_said_to_be_held_back() -> None:
    """`dark` within `brown`, named before it: nowhere is it painted."""
    disc = Annotation("", "dark", (circle(60, 60, 20),))
    whole = Annotation("", "brown", (circle(60, 60, 40),))
    ground = replace(scene("a", 1), painter=Painter(Annotations((disc, whole)), CLASSES))
    with pytest.raises(BadInputError, match="outlines of later classes cover all of it"):
        Draws([ground], CONFIG)


def test_images_of_which_nothing_is_known_give_no_windows_to_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MOST_CHECKED_PX", 5000)
    monkeypatch.setattr(batches, "CHECK_PX", 32)
    ground = replace(only_dark("a", 1), painter=Painter(Annotations(()), ("dark",)))
    assert check_windows([ground], ONLY_DARK) == []
    assert len(check_windows([only_dark("a", 1)], ONLY_DARK)) == 4


def test_one_picture_under_two_names_is_refused() -> None:
    first, second = scene("a", 1), scene("b", 2)
    check_copies([first, second])
    with pytest.raises(BadInputError, match="a and c are the same picture"):
        check_copies([first, second, replace(first, name="c", painter=second.painter)])


# ---- balance ------------------------------------------------------------------------------------------------------


def unbalanced() -> list[Ground]:
    """Class `brown` is in one of six pictures, and fills a thousandth of them; pictures differ in size."""
    grounds = [scene(f"dark {n}", n, side=96 + 32 * n, classes=("dark",)) for n in range(5)]
    blob = Annotations((Annotation("", "brown", (circle(50, 40, 5),)), Annotation("", "dark", (circle(100, 90, 20),))))
    painter = Painter(blob, CLASSES)
    rgb = np.full((128, 128, 3), PAPER, np.uint8)
    return [*grounds, Ground("brown", WholePicture(rgb), painter, 1.0)]


def test_each_class_is_drawn_as_often_and_each_image_that_has_it() -> None:
    draws = Draws(unbalanced(), CONFIG)
    rng = np.random.default_rng(1)
    n = 6000
    drawn = [draws.place(rng) for _ in range(n)]
    classes = Counter(label for label, _, _ in drawn)
    assert all(abs(classes[label] / n - 1 / 3) < 0.03 for label in range(3))
    images = Counter(number for label, number, _ in drawn if label == 1)
    assert all(abs(images[number] / classes[1] - 1 / 6) < 0.03 for number in range(6))
    assert {number for label, number, _ in drawn if label == 2} == {5}


def test_a_place_that_is_drawn_is_of_its_class() -> None:
    grounds = unbalanced()
    draws = Draws(grounds, CONFIG)
    rng = np.random.default_rng(2)
    for _ in range(500):
        label, number, (x, y) = draws.place(rng)
        assert grounds[number].window(x, y, 1, 1)[1][0, 0] == label


def test_a_large_ground_is_surveyed_coarsely() -> None:
    """Places are drawn on a coarse map, and are of their class but for its edges."""
    side = 4000
    painter = Painter(Annotations((Annotation("", "dark", (circle(1000, 3000, 400),)),)), CLASSES)
    rgb = np.full((side, side, 3), 255, np.uint8)
    rgb[500:3800, 300:3700] = PAPER
    ground = Ground("slide", WholePicture(rgb, is_mirrored=False), painter, 1.0)
    survey = ground.survey(3)
    assert survey.coarser == pytest.approx(2.0)
    rng = np.random.default_rng(3)
    right = [painter.window(*survey.draw(1, rng), 1, 1)[0, 0] == 1 for _ in range(300)]
    assert np.mean(right) > 0.98 and not survey.has(2)
    tissue = [rgb[y, x, 0] < 255 for x, y in (survey.draw(0, rng) for _ in range(500))]
    assert 0.8 < np.mean(tissue) < 0.97  # most of the background that is drawn is tissue, some is glass


def test_a_step_gives_the_same_batch_whenever_it_is_asked_for() -> None:
    draws = Draws(unbalanced(), CONFIG)
    later = draws.batch(7)
    for step in (3, 7):
        rgb, labels = draws.batch(step)
        assert rgb.shape == (4, 64, 64, 3) and labels.shape == (4, 64, 64)
    np.testing.assert_array_equal(rgb, later[0])
    np.testing.assert_array_equal(labels, later[1])


def test_a_class_that_cannot_be_learnt_is_refused() -> None:
    with pytest.raises(BadInputError, match="no image to learn from has class brown"):
        Draws(unbalanced()[:5], CONFIG)


# ---- split --------------------------------------------------------------------------------------------------------


@given(n=st.integers(2, 200), share=st.floats(0.01, 0.9), seed=st.integers(0, 99))
def test_images_are_split_as_a_whole(n: int, share: float, seed: int) -> None:
    learnt, held = split([frozenset({1, 2})] * n, share, seed)
    assert sorted(learnt + held) == list(range(n)) and learnt and held
    assert abs(len(held) - share * n) <= 1 or len(held) in (1, n - 1)


@given(n=st.integers(2, 100), data=st.data())
def test_every_image_is_held_out_in_one_fold(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(2, n))
    having = [frozenset(data.draw(st.sets(st.integers(1, 4)))) for _ in range(n)]
    parts = fold_numbers(having, k, 1)
    assert sorted(number for part in parts for number in part) == list(range(n))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


havings = st.lists(st.frozensets(st.integers(1, 4), min_size=1), min_size=2, max_size=24)


@given(having=havings, seed=st.integers(0, 9))
def test_no_class_is_held_back_as_a_whole_where_that_can_be_helped(having: list[frozenset[int]], seed: int) -> None:
    learnt, held = split(having, 0.1, seed)
    assert sorted(learnt + held) == list(range(len(having))) and learnt and held
    assert len(held) <= max(1, -(-len(having) // 3))
    known = frozenset[int]().union(*(having[n] for n in learnt))
    lost = frozenset[int]().union(*having) - known
    # only where every image is the only one of some class
    assert not lost or all(any(sum(k in other for other in having) == 1 for k in one) for one in having)


@given(n=st.integers(4, 60), rare=st.sets(st.integers(0, 59), min_size=2, max_size=6), seed=st.integers(0, 9))
def test_a_class_of_two_images_is_learnt_and_checked(n: int, rare: set[int], seed: int) -> None:
    having = [frozenset({1, 2}) if number in rare else frozenset({1}) for number in range(n)]
    if sum(2 in one for one in having) >= 2:
        for part in split(having, 0.1, seed):
            assert any(2 in having[number] for number in part)


def test_a_rare_class_is_spread_over_the_folds() -> None:
    having = [frozenset({1, 2}) if number < 4 else frozenset({1}) for number in range(20)]
    for seed in range(10):
        assert [sum(number < 4 for number in out) for out in fold_numbers(having, 4, seed)] == [1, 1, 1, 1]


def test_what_is_learnt_from_is_known_again() -> None:
    """The digest of a picture and its outlines: same for the same, another for another pixel or corner."""
    same, again = scene("a", 3), scene("b", 3)
    assert same.digest() == again.digest() != scene("a", 4).digest()
    rgb = same.window(0, 0, 128, 128)[0].copy()
    rgb[5, 5] += 1
    assert replace(same, reading=WholePicture(rgb)).digest() != same.digest()
    moved = Painter(Annotations((Annotation("", "dark", (circle(30, 30.5, 9),)),)), CLASSES)
    still = Painter(Annotations((Annotation("", "dark", (circle(30, 30, 9),)),)), CLASSES)
    assert moved.digest() != still.digest() and still.labels == {1}


def test_how_much_there_is_of_each_class_is_told() -> None:
    dark, brown = Draws(unbalanced(), CONFIG).told()
    assert dark.startswith("dark: in 6 of them") and "few" not in dark
    assert brown.startswith("brown: in 1 of them, 7") and brown.endswith("very few, outline more of it")


def test_checks_cover_every_pixel_of_small_images_once() -> None:
    grounds = [scene("a", 1, side=100), scene("b", 2, side=600)]
    seen = [np.zeros((side, side), int) for side in (100, 600)]
    for window in check_windows(grounds, CONFIG):
        assert window.width % CONFIG.block_px == 0 and window.height % CONFIG.block_px == 0
        labels = read_check(grounds[window.ground], window)[1]
        height, width = (int((labels != NOT_ASKED).any(axis=a).sum()) for a in (1, 0))
        seen[window.ground][window.top_px :, window.left_px :][:height, :width] += 1
    assert all((counted == 1).all() for counted in seen)


def test_large_images_are_checked_in_windows_drawn_once() -> None:
    ground = scene("slide", 3, side=2600, n=40)
    windows = check_windows([ground], CONFIG)
    assert windows == check_windows([ground], CONFIG)
    assert all(0 <= w.left_px <= 2600 - w.width and 0 <= w.top_px <= 2600 - w.height for w in windows)


# ---- settings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [{"classes": ()}, {"classes": ("a", "a")}, {"classes": (" ",)}, {"classes": (BACKGROUND,)}, {"tile_px": 100}],
)
def test_runs_that_cannot_be(change: dict[str, object]) -> None:
    with pytest.raises(BadInputError):
        check_config(replace(CONFIG, **change))  # type: ignore[arg-type]


def test_limits_may_change_between_runs_and_nothing_else() -> None:
    kept = dataclasses.asdict(CONFIG)
    assert what_differs(replace(CONFIG, minutes=3.0, threads=7, patience=1), kept) == []
    assert what_differs(replace(CONFIG, seed=2, tile_px=32), kept) == ["seed", "tile_px"]
