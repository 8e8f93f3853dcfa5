"""The trained network run by ONNX Runtime: a picture at any scale in, maps at the network's scale out.

Which processor it runs on is what the session says once it is loaded, not what it was asked for: ONNX Runtime falls
back by itself.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from her2scope.domain.errors import SettingsError
from her2scope.imaging.opencv import cv2
from her2scope.records import RgbImage
from her2scope.segmentation.maps import HALF, N_REACHES, NETWORK_UM_PER_PX, QUARTER, NetworkMaps
from her2scope.segmentation.model_card import FULL, QUANTISED, ModelCard

Floats = NDArray[np.float32]

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
INPUT = "picture"
OUTPUTS: Mapping[str, tuple[int, int]] = {
    "membrane": (2, 1),
    "nuclei": (5, HALF),
    "context": (1 + N_REACHES, QUARTER),
}
"""Channels of each output, and how many times smaller than the picture it is."""
BLOCK_PX = 16
"""The network's coarsest pixel: pictures are padded to a multiple of it."""
MOST_PX = 6_000_000
"""Larger pictures go through in tiles: memory is some 300 bytes per pixel."""
TILE_PX = 2048
SAME_SCALE = 0.06
"""A whole factor of reduction is taken where it comes this close to the network's scale: the pixels then stay sharp and
the reduction costs a twentieth. The network learns from scales up to 12 % off."""
WARM_UP_PX = 64
SILENT = 4
"""Severity of ONNX Runtime's log: fatal only. It tells of each fallback on stderr."""
CUDA_OPTIONS = {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"}
"""The same picture must give the same maps: no search that times kernels, and full 32-bit products."""


class Session(Protocol):
    """What is used of `onnxruntime.InferenceSession`."""

    def run(self, output_names: Sequence[str], feeds: Mapping[str, Floats]) -> Sequence[Floats]:
        """The named outputs for a picture."""

    def get_providers(self) -> Sequence[str]:
        """Processors in use, the first one first."""


class OnnxNetwork:
    """A model of a card, loaded. Used by one thread at a time.

    Parameters
    ----------
    card : ModelCard
        Says which files there are, with their digests.
    threads : int
        Of the processor; 0 leaves it to ONNX Runtime (one per core).
    file : str, optional
        Model file to run on the processor, instead of the one that suits this computer best.

    Raises
    ------
    SettingsError
        Where the model is missing, is not the card's, or does not run.
    """

    def __init__(self, card: ModelCard, threads: int = 0, file: str | None = None) -> None:
        self.card = card
        self._session, self.file = _load(card, threads) if file is None else (_on_processor(card, file, threads), file)
        self.provider = str(self._session.get_providers()[0])
        """The processor it really runs on."""

    @property
    def sha256(self) -> str:
        """Digest of the model file in use."""
        return self.card.sha256(self.file)

    def predict(self, rgb: RgbImage, um_per_px: float, white_rgb: Sequence[float]) -> NetworkMaps:
        """Maps of a picture.

        Parameters
        ----------
        rgb : (H, W, 3) uint8
        um_per_px : float
            Of the picture.
        white_rgb : three floats
            Its white, 0..255.

        Returns
        -------
        NetworkMaps
            Pixel `x` of them is `(x + 0.5) * k - 0.5` of the picture, `k` their `um_per_px` over the picture's, for
            both axes. The last row and column may end half a network pixel beside the picture's.
        """
        small, network_um_per_px = at_network_scale(rgb, um_per_px)
        size_hw = (small.shape[0], small.shape[1])
        below, right = (-side % BLOCK_PX for side in size_hw)
        whole = cv2.copyMakeBorder(small, 0, below, 0, right, cv2.BORDER_REFLECT)
        outputs = {name: np.empty((n, *_reduced(whole.shape[:2], by)), np.float32) for name, (n, by) in OUTPUTS.items()}
        for tile in tiles_of(whole.shape[0], whole.shape[1], self.card.surroundings_px):
            found = self._session.run(list(OUTPUTS), {INPUT: picture_of(whole[tile.seen], white_rgb)})
            for (name, (_, by)), values in zip(OUTPUTS.items(), found, strict=True):
                outputs[name][:, *_reduced_slices(tile.kept, by)] = values[0][
                    :, *_reduced_slices(tile.kept_of_seen, by)
                ]
        return maps_of_outputs(outputs, size_hw, network_um_per_px)


# ---- picture in ---------------------------------------------------------------------------------------------------


def at_network_scale(rgb: RgbImage, um_per_px: float) -> tuple[RgbImage, float]:
    """The picture at about the network's scale, and the um per pixel that it then truly has, the same in x and y."""
    factor = NETWORK_UM_PER_PX / um_per_px
    whole = max(1, round(factor))
    if abs(whole / factor - 1) <= SAME_SCALE:
        factor = float(whole)
    factor = min(factor, float(min(rgb.shape[:2])))  # a pixel at least
    if factor == 1:
        return rgb, um_per_px
    how = cv2.INTER_AREA if factor > 1 else cv2.INTER_LINEAR
    # by factor, not by size: a size in whole pixels would stretch x and y differently
    return cv2.resize(rgb, None, fx=1 / factor, fy=1 / factor, interpolation=how), um_per_px * factor


def picture_of(rgb: RgbImage, white_rgb: Sequence[float]) -> Floats:
    """The network's input `(1, 3, H, W)`: each channel as a share (0..1) of the white."""
    picture = np.empty((1, 3, *rgb.shape[:2]), np.float32)
    for channel, (plane, white) in enumerate(zip(cv2.split(rgb), white_rgb, strict=True)):
        table = np.minimum(np.arange(256) / max(float(white), 1.0), 1.0).astype(np.float32)
        picture[0, channel] = cv2.LUT(plane, table).reshape(plane.shape)
    return picture


# ---- tiles --------------------------------------------------------------------------------------------------------

Cut = tuple[slice, slice]


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of a large picture, rows then columns."""

    kept: Cut
    """What its maps are kept of."""
    seen: Cut
    """What the network is shown: more, so that it sees around every pixel that is kept."""

    @property
    def kept_of_seen(self) -> Cut:
        """The kept part, counted from where the seen part begins."""
        rows, columns = (
            slice(kept.start - seen.start, kept.stop - seen.start)
            for kept, seen in zip(self.kept, self.seen, strict=True)
        )
        return rows, columns


def tiles_of(height: int, width: int, around_px: int, most_px: int | None = None) -> Iterator[Tile]:
    """Tiles of a picture of whole blocks, all cut between blocks; a picture of at most `most_px` is one tile."""
    if height * width <= (MOST_PX if most_px is None else most_px):
        whole = (slice(0, height), slice(0, width))
        yield Tile(whole, whole)
        return
    around_px = BLOCK_PX * math.ceil(around_px / BLOCK_PX)

    def seen(kept: slice, side: int) -> slice:
        return slice(max(0, kept.start - around_px), min(side, kept.stop + around_px))

    for rows in _spans(height):
        for columns in _spans(width):
            yield Tile((rows, columns), (seen(rows, height), seen(columns, width)))


def _spans(side_px: int) -> list[slice]:
    """A side in parts of nearly the same length, of at most `TILE_PX`, in whole blocks."""
    n_parts = math.ceil(side_px / TILE_PX)
    step = BLOCK_PX * math.ceil(side_px / n_parts / BLOCK_PX)
    return [slice(start, min(side_px, start + step)) for start in range(0, side_px, step)]


def _reduced(size_hw: Sequence[int], by: int) -> tuple[int, int]:
    return -(-size_hw[0] // by), -(-size_hw[1] // by)


def _reduced_slices(cut: Cut, by: int) -> Cut:
    rows, columns = (slice(part.start // by, part.stop // by) for part in cut)
    return rows, columns


# ---- maps out -----------------------------------------------------------------------------------------------------


def maps_of_outputs(outputs: Mapping[str, Floats], size_hw: tuple[int, int], um_per_px: float) -> NetworkMaps:
    """Maps of a picture of `size_hw` network pixels from outputs `(C, H, W)`, of which the padding is cut off."""

    def part(name: str, channels: slice) -> Floats:
        height, width = _reduced(size_hw, OUTPUTS[name][1])
        return np.ascontiguousarray(outputs[name][channels, :height, :width])

    membrane, nuclei, context = part("membrane", slice(2)), part("nuclei", slice(5)), part("context", slice(None))
    return NetworkMaps(
        membrane=membrane[0], intense=membrane[1],
        nucleus=nuclei[0], centre=nuclei[1], tumour=nuclei[2], offset_um=nuclei[3:5],
        tissue=context[0], reach_um=context[1:], um_per_px=um_per_px,
    )  # fmt: skip


# ---- loading ------------------------------------------------------------------------------------------------------


def _load(card: ModelCard, threads: int) -> tuple[Session, str]:
    """A session that has run once, on a graphics card where there is one, and the file it was loaded from."""
    if may_have_cuda():
        content = card.read_model(FULL)
        try:
            session = open_session(content, [(CUDA, CUDA_OPTIONS), CPU], threads)
            if session.get_providers()[0] == CUDA:
                _warm_up(session)
                return session, FULL
        except Exception:  # noqa: BLE001, S110 - ONNX Runtime's errors share no base; the processor can always do it
            pass
    file = QUANTISED if QUANTISED in (card.files or {}) else FULL
    return _on_processor(card, file, threads), file


def _on_processor(card: ModelCard, file: str, threads: int) -> Session:
    """A session of a model file on the processor, which has run once."""
    content = card.read_model(file)
    try:
        session = open_session(content, [CPU], threads)
        _warm_up(session)
    except Exception as error:  # as above
        raise SettingsError(
            f"{card.folder / file}: ONNX Runtime cannot run this model ({_first_line(error)}). "
            "Run 'her2scope doctor', and install her2scope again."
        ) from error
    return session


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def open_session(content: bytes, providers: Sequence[str | tuple[str, Mapping[str, str]]], threads: int) -> Session:
    """A session of a model for processors in the order of `providers`; silent, whatever it falls back to."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(SILENT)
    if len(providers) > 1:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does not find
            onnxruntime.preload_dlls()  # CUDA and cuDNN installed as wheels lie where no loader looks
    options = onnxruntime.SessionOptions()
    options.log_severity_level = SILENT
    options.intra_op_num_threads = threads
    options.use_deterministic_compute = True
    # waiting threads would take the camera's and the window's time: a fifth less of it for the same wait
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session: Session = onnxruntime.InferenceSession(content, options, list(providers), enable_fallback=0)
    return session


def _warm_up(session: Session) -> None:
    """Run once: what cannot run shows now and not at the first field, and the outputs are those that are needed."""
    side = WARM_UP_PX
    found = session.run(list(OUTPUTS), {INPUT: np.ones((1, 3, side, side), np.float32)})
    for (name, (n, by)), values in zip(OUTPUTS.items(), found, strict=True):
        if values.shape != (1, n, side // by, side // by):
            raise ValueError(f"its output '{name}' is {values.shape}, not (1, {n}, {side // by}, {side // by})")


def may_have_cuda() -> bool:
    """Whether this build of ONNX Runtime knows CUDA and the driver counts a device: only then is it worth a try."""
    import onnxruntime

    return CUDA in onnxruntime.get_available_providers() and _cuda_devices() > 0


def _cuda_devices() -> int:
    """Devices that the NVIDIA driver shows to this process; 0 without a driver."""
    try:
        driver: Any = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    works = driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
    return count.value if works else 0
