"""Phantom slides as files: round trip, scanners, truth of the whole case."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from her2scope.domain.cells import CellClass, CellCounts
from her2scope.domain.errors import NotAvailableError
from her2scope.phantom import slide_truth as truth_module
from her2scope.phantom.antigen import PATTERNS
from her2scope.phantom.growth import TUMOURS
from her2scope.phantom.noise import Grid
from her2scope.phantom.ranges import DIFFICULTIES
from her2scope.phantom.run import STAINERS, make_run
from her2scope.phantom.scanners import SCANNERS, Grain, deviation_of_values, scanned_by
from her2scope.phantom.slide_file import SlideSpec, is_phantom_slide, phantom_stem, read_slide_spec, slide_spec_bytes
from her2scope.phantom.slide_truth import case_bounds_um, case_counts, complete_percent, slide_truth, tumour_map
from her2scope.records import Frame

SMALL_UM = (440.0, 440.0)

specs = st.builds(
    SlideSpec,
    seed=st.integers(0, 2**62),
    score=st.sampled_from(list(PATTERNS)),
    difficulty=st.sampled_from(DIFFICULTIES),
    stainer=st.none() | st.sampled_from(list(STAINERS)),
    scanner=st.sampled_from(list(SCANNERS)),
    case_um=st.tuples(st.floats(440.0, 1e5), st.floats(440.0, 1e5)),
    um_per_px=st.floats(0.1, 1.2),
    damage=st.none() | st.sampled_from(["faded", "blurred"]),
)


@given(spec=specs)
@settings(max_examples=40)
def test_a_file_gives_the_same_slide_back(spec: SlideSpec, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("spec") / "a.phantom.yaml"
    path.write_bytes(slide_spec_bytes(spec))
    assert read_slide_spec(path) == spec


def test_the_name_says_that_it_is_no_patient_s_slide() -> None:
    assert is_phantom_slide(Path("x/case 1.phantom.yaml")) and is_phantom_slide(Path("A.PHANTOM.YAML"))
    assert not any(is_phantom_slide(Path(name)) for name in ("a.yaml", "phantom.yaml", "a.phantom.yaml.svs", "a.svs"))
    assert phantom_stem(Path("x/case.1.phantom.yaml")) == "case.1" and phantom_stem(Path("x/case.1.svs")) == "case.1"


@pytest.mark.parametrize(
    ("name", "is_drawn"),
    [
        ("phantom 2+, seed 5", True),
        ("case 1.phantom.yaml", True),
        ("case 1.phantom.yaml, field 3", True),
        ("case 1.phantom.yaml.png", False),
        ("phantom.yaml", False),
        ("a phantom 2+, seed 5", False),
    ],
)
def test_a_frame_of_a_phantom_slide_is_drawn_tissue(name: str, is_drawn: bool) -> None:
    assert Frame(np.zeros((16, 16, 3), np.uint8), 0, 0.0, 0.25, name=name).is_drawn is is_drawn


# ---- scanners -----------------------------------------------------------------------------------------------------


def test_a_scanner_lights_evenly_and_keeps_the_stain_of_the_run() -> None:
    run = make_run(3, "hard")
    for name, scanner in SCANNERS.items():
        scanned = scanned_by(run, name)
        assert scanned.stain == run.stain and scanned.camera == name
        assert scanned.optics.shading == 0 and scanned.optics.dust == 0 and scanned.optics.tilt_px == 0
        assert scanned.optics.lamp_rgb == scanner.optics["lamp_rgb"]
        assert scanned.optics.blur_um == run.optics.blur_um
    with pytest.raises(NotAvailableError, match="scanner 'zeiss'"):
        scanned_by(run, "zeiss")


def test_an_over_exposed_scan_is_over_exposed() -> None:
    usual, bright = (SlideSpec(3, "3+", damage=damage).run().optics for damage in (None, "over_exposed"))
    assert bright.exposure == 2.0 * usual.exposure


@pytest.mark.parametrize("scanner", SCANNERS)
def test_grain_is_that_of_the_sensor_and_depends_on_the_place_alone(scanner: str) -> None:
    run = scanned_by(make_run(4), scanner)
    optics = replace(run.optics, jpeg_quality=0)
    tile = np.full((128, 128, 3), 170, np.uint8)
    grain = Grain(optics, 9)
    first = grain.on(tile, (0, 3, 5))
    assert np.array_equal(first, Grain(optics, 9).on(tile, (0, 3, 5)))
    assert not np.array_equal(first, grain.on(tile, (0, 5, 3)))
    wanted = deviation_of_values(optics)[170]
    assert wanted > 0.3
    assert first.std() == pytest.approx(np.hypot(wanted, np.sqrt(1 / 12)), rel=0.1)
    assert abs(first.mean() - 170) < 0.2
    packed = Grain(run.optics, 9).on(tile, (0, 3, 5))
    assert packed.shape == tile.shape and abs(packed.mean() - 170) < 1.5


# ---- truth --------------------------------------------------------------------------------------------------------


def test_a_case_is_counted_once_whatever_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """By blocks of another size the same cells are found; a nucleus may be seen in one picture only."""
    slide = SlideSpec(21, "2+", case_um=SMALL_UM).slide()
    usual = case_counts(slide)
    monkeypatch.setattr(truth_module, "BLOCK_UM", 300.0)
    shares: list[float] = []
    other = case_counts(slide, shares.append)
    assert shares[-1] == 1.0 and shares == sorted(shares)
    assert usual.n_tumour > 150
    assert abs(other.n_tumour - usual.n_tumour) <= 0.01 * usual.n_tumour
    assert all(abs(other[name] - usual[name]) <= 3 for name in CellClass)


@pytest.mark.parametrize(("pattern", "score", "category"), [("3+", "3+", "positive"), ("0", "0", "null")])
def test_the_truth_of_a_slide_has_its_pattern_s_score(pattern: str, score: str, category: str) -> None:
    truth = slide_truth(SlideSpec(22, pattern, case_um=SMALL_UM))
    assert (truth["score"], truth["category"]) == (score, category)
    assert sum(truth["shares_percent"].values()) == pytest.approx(100.0, abs=1e-3)
    complete = truth["shares_percent"]["complete_intense"] + truth["shares_percent"]["complete_moderate"]
    assert truth["complete_percent"] == pytest.approx(complete, abs=1e-3)
    assert (truth["complete_percent"] > 50) is (pattern == "3+")


def test_no_cells_have_no_complete_ones() -> None:
    assert complete_percent(CellCounts()) == 0.0


def test_the_map_of_tumour_is_where_tumour_grows() -> None:
    slide = SlideSpec(23, "2+", case_um=SMALL_UM).slide()
    left, top, right, bottom = case_bounds_um(slide)
    found = tumour_map(slide, Grid(left, top, 2.0, int(right - left) // 2, int(bottom - top) // 2))
    assert 0.1 < found.mean() < 0.95
    rows, columns = np.nonzero(found)
    matter, _ = slide.matter_at(left + 2.0 * (columns + 0.5), top + 2.0 * (rows + 0.5))
    assert np.isin(matter, TUMOURS).all()
