"""Which processor runs the network: the first that gives the right maps, and sooner than the computer's own.

A graphics card is asked for the maps of a small drawn picture and believed only where they are those of the processor:
a card that answers with nothing, without saying a word, is a known fault. Each choice says why it is not a better one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import median

import numpy as np

from her2scope.domain.errors import SettingsError
from her2scope.imaging.opencv import cv2
from her2scope.records import RgbImage
from her2scope.segmentation.forms import Form, Outputs, form_of
from her2scope.segmentation.model_card import FULL, HALVED, QUANTISED, ModelCard
from her2scope.segmentation.sessions import (
    CPU,
    CUDA,
    CUDA_OPTIONS,
    OnDevice,
    Session,
    first_line,
    may_have_cuda,
    open_session,
)

WHITE = (240.0, 240.0, 240.0)
TEST_HW, TIMED_HW, WARM_UP_HW = (128, 160), (544, 960), (64, 64)
"""Pictures of the self-test: one whose maps are compared, one of a 1920x1080 frame that is timed."""
GLASS = 4
"""This part of the drawn picture is glass, at its right."""
TIMES = 5
MOST_OFF = {FULL: 0.005, HALVED: 0.01}
"""Of the answers' spans: a card sums in another order; in 16 bits the processor itself is up to 0.0024 off."""
SPAN = {"offset_um": 10.0, "reach_um": 20.0}
"""Of planes that are lengths; the others are probabilities."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model file on a processor, found to work."""

    session: Session
    form: Form
    file: str
    provider: str
    """The one that really runs it."""

    def run(self, rgb: RgbImage, white_rgb: Sequence[float]) -> Outputs:
        """`forms.PLANES` of a picture of whole blocks; ValueError where a device gives none that can be maps."""
        planes = self.form.run(self.session, rgb, white_rgb)
        if self.provider != CPU:
            refuse_no_answer(planes)
        return planes


@dataclass(frozen=True, slots=True)
class Choice:
    """What runs the network, and why."""

    loaded: Loaded
    note: str = ""
    """Why it is not a graphics card that seemed to be there; empty where there is nothing to say."""
    self_test_ms: float = 0.0
    """What asking a graphics card took; 0 where none was asked."""


def choose(card: ModelCard, threads: int) -> Choice:
    """The best processor of this computer for a card's model.

    Raises
    ------
    SettingsError
        Where the model is missing, is not the card's, or does not run on the processor either.
    """
    files = card.files or {}
    own = on_processor(card, QUANTISED if QUANTISED in files else FULL, threads)
    if not may_have_cuda():
        return Choice(own)
    start = time.perf_counter()
    device, note = _on_device(card, own, threads)
    took_ms = 1e3 * (time.perf_counter() - start)
    return Choice(device or own, note, took_ms)


def _on_device(card: ModelCard, own: Loaded, threads: int) -> tuple[Loaded | None, str]:
    """The first file that a graphics card runs rightly and sooner than the processor its own, or why there is none."""
    right = on_processor(card, FULL, threads).run(drawn_picture(TEST_HW), WHITE)
    own_ms = _timed_ms(own)
    note = ""
    for file in (name for name in (HALVED, FULL) if name in (card.files or {})):
        try:
            device = _opened(card.read_model(file), file, CUDA, threads)
            off = largest_difference(device.run(drawn_picture(TEST_HW), WHITE), right)
            if off > MOST_OFF[file]:
                raise ValueError(f"its maps are {off:.2g} off those of the processor")
            if (device_ms := _timed_ms(device)) < own_ms:
                return device, ""
            note = f"the graphics card is slower: {device_ms:.0f} ms a frame, {own_ms:.0f} on the processor"
        except SettingsError:
            raise  # an altered file is not run by anything
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's errors share no base; the processor can always do it
            note = f"the graphics card is not used: {first_line(error)}"
    return None, note


def on_processor(card: ModelCard, file: str, threads: int) -> Loaded:
    """A model file on the processor, which has run once; SettingsError where it does not run."""
    content = card.read_model(file)
    try:
        loaded = _opened(content, file, CPU, threads)
        loaded.run(drawn_picture(WARM_UP_HW), WHITE)
    except Exception as error:  # as above
        raise SettingsError(
            f"{card.folder / file}: ONNX Runtime cannot run this model ({first_line(error)}). "
            "Run 'her2scope doctor', and install her2scope again."
        ) from error
    return loaded


def _opened(content: bytes, file: str, provider: str, threads: int) -> Loaded:
    """A file on a provider; ValueError where ONNX Runtime takes another one by itself."""
    if provider == CPU:
        session = open_session(content, [CPU], threads)
    else:
        session = open_session(content, [(provider, CUDA_OPTIONS), CPU], threads)
        if session.get_providers()[0] != provider:
            raise ValueError("ONNX Runtime found no way to use it")
        session = OnDevice(session, "cuda")
    return Loaded(session, form_of(session), file, provider)


def _timed_ms(loaded: Loaded) -> float:
    """Time of a frame, the first ones not counted."""
    picture = drawn_picture(TIMED_HW)
    loaded.run(picture, WHITE)
    return median(_ms(lambda: loaded.run(picture, WHITE)) for _ in range(TIMES))


def _ms(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - start)


# ---- what is right ------------------------------------------------------------------------------------------------


def refuse_no_answer(planes: Outputs) -> None:
    """ValueError where planes hold what is no number, or probabilities are 0 everywhere: they never are."""
    for name, values in planes.items():
        total = float(np.abs(values).sum())
        if not np.isfinite(total):
            raise ValueError(f"its map '{name}' holds what is no number")
        if total == 0.0 and name not in SPAN:
            raise ValueError(f"its map '{name}' is empty")


def largest_difference(planes: Outputs, right: Outputs) -> float:
    """Largest difference of two answers, lengths as shares of their span."""
    return max(float(np.abs(planes[name] - right[name]).max()) / SPAN.get(name, 1.0) for name in right)


@cache
def drawn_picture(size_hw: tuple[int, int]) -> RgbImage:
    """Blue discs in brown rings on pale ground, and glass: something for every plane to say."""
    height, width = size_hw
    rgb = np.full((height, width, 3), (226, 220, 222), np.uint8)
    for n, (x, y) in enumerate(_places(height, width)):
        cv2.circle(rgb, (x, y), 9, (214 - 30 * (n % 5), 196 - 36 * (n % 5), 178 - 36 * (n % 5)), 2, cv2.LINE_AA)
        cv2.circle(rgb, (x, y), 5, (128, 128, 178), -1, cv2.LINE_AA)
    rgb[:, -(width // GLASS) :] = 240
    rgb.setflags(write=False)
    return rgb


def _places(height: int, width: int) -> Iterator[tuple[int, int]]:
    """Middles of cells, every other row shifted."""
    for row, y in enumerate(range(12, height, 20)):
        for x in range(12 + 10 * (row % 2), width, 20):
            yield x, y
