"""The yardsticks: they find what is there, and are told apart from what is not installed."""

from __future__ import annotations

import numpy as np
import pytest

from her2scope.app.bench.fields import drawn_field, frame_of, picture
from her2scope.app.bench.instanseg import InstanSeg, middles_of
from her2scope.app.bench.peers import match_found
from her2scope.app.bench.textbook import textbook_cells
from her2scope.domain.errors import BadInputError


@pytest.fixture(scope="module")
def drawn():
    return drawn_field((320, 320), 100_000)


def centres(drawn) -> np.ndarray:
    return np.array([(cell["x_px"], cell["y_px"]) for cell in drawn.truth["cells"]])


def test_the_truth_itself_is_found_whole(drawn):
    tally = match_found(centres(drawn), drawn)
    assert tally.f1 == 1.0 and tally.hits > 10


def test_nothing_found_is_all_missed(drawn):
    tally = match_found(np.zeros((0, 2)), drawn)
    assert tally.hits == 0 and tally.missed == match_found(centres(drawn), drawn).hits


def test_middles_are_those_of_the_regions():
    labels = np.zeros((12, 20), np.int32)
    labels[2:5, 3:8] = 4
    labels[7:9, 10:20] = 9
    assert middles_of(labels).tolist() == [[5.0, 3.0], [14.5, 7.5]]
    assert middles_of(np.zeros((4, 4), np.int32)).shape == (0, 2)


def test_a_large_picture_is_a_mirrored_one_of_its_size():
    whole = picture((1700, 1300))
    assert whole.shape == (1300, 1700, 3)
    assert np.array_equal(whole[649], whole[650]) and np.array_equal(whole[:, 849], whole[:, 850])


def test_a_frame_owns_its_pixels(drawn):
    frame = frame_of(drawn.rgb)
    assert frame.rgb is not drawn.rgb and np.array_equal(frame.rgb, drawn.rgb)


def test_the_textbook_finds_most_nuclei(drawn):
    pytest.importorskip("skimage")
    found = textbook_cells(drawn.rgb, 0.25)
    assert len(found.classes) == len(found.xy_px)
    f1 = match_found(found.xy_px, drawn).f1
    assert f1 is not None and f1 > 0.8


def test_the_textbook_finds_nothing_on_nothing():
    pytest.importorskip("skimage")
    plain = np.full((64, 64, 3), 240, np.uint8)
    found = textbook_cells(plain, 0.25)
    assert found.xy_px.shape == (0, 2) and found.classes == ()


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # InstanSeg is given away in this form
def test_instanseg_reads_labels_at_its_own_scale(tmp_path):
    torch = pytest.importorskip("torch")

    class DarkHalf(torch.nn.Module):
        """One region where the first channel is dark."""

        def forward(self, picture):
            return (picture[:, :1] < 0.5).float()

    file = tmp_path / "model.pt"
    torch.jit.script(DarkHalf()).save(str(file))
    rgb = np.full((80, 100, 3), 220, np.uint8)
    rgb[20:40, 40:80] = 20
    assert InstanSeg(file).nuclei_xy_px(rgb, 0.25)[0] == pytest.approx([59.5, 29.5], abs=1.0)


def test_a_file_that_is_no_model_is_refused(tmp_path):
    with pytest.raises(BadInputError):  # without torch, for want of it
        InstanSeg(tmp_path / "missing.pt")
    pytest.importorskip("torch")
    file = tmp_path / "model.pt"
    file.write_bytes(b"no model")
    with pytest.raises(BadInputError, match="cannot load"):
        InstanSeg(file)
