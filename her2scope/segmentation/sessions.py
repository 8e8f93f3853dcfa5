"""ONNX Runtime's sessions: a model loaded for a processor or a graphics card, quietly."""

from __future__ import annotations

import contextlib
import ctypes
import io
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

Array = NDArray[Any]
Options = Mapping[str, str]

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
SILENT = 4
"""Severity of ONNX Runtime's log: fatal only. It tells of each fallback on stderr."""
CUDA_OPTIONS = {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"}
"""The same picture must give the same maps: no search that times kernels, and full 32-bit products."""


class Session(Protocol):
    """What is used of `onnxruntime.InferenceSession`."""

    def run(self, output_names: Sequence[str], feeds: Mapping[str, Array]) -> Sequence[Array]:
        """The named outputs for a picture."""

    def get_providers(self) -> Sequence[str]:
        """Processors in use, the first one first."""

    def get_inputs(self) -> Sequence[Any]:
        """Inputs of the model: `name`, `type`, `shape`."""

    def get_modelmeta(self) -> Any:
        """What the file says of itself: `custom_metadata_map`."""


def open_session(content: bytes, providers: Sequence[str | tuple[str, Options]], threads: int) -> Session:
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


class OnDevice:
    """A session whose pictures and maps lie on its device: what is copied is one picture there and the maps back.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
    device : as ONNX Runtime names it: `cuda`, or `cpu`
    """

    def __init__(self, session: Any, device: str) -> None:
        self._session, self._device = session, device
        self._bound: dict[str, Any] = {}
        """What was fed last, by name: its memory on the device is kept for the next picture of that size."""

    def run(self, output_names: Sequence[str], feeds: Mapping[str, Array]) -> Sequence[Array]:
        """See `Session`."""
        import onnxruntime

        binding = self._session.io_binding()
        for name, values in feeds.items():
            kept = self._bound.get(name)
            if kept is not None and tuple(kept.shape()) == values.shape:
                kept.update_inplace(values)
            else:
                kept = self._bound[name] = onnxruntime.OrtValue.ortvalue_from_numpy(values, self._device, 0)
            binding.bind_ortvalue_input(name, kept)
        for name in output_names:
            binding.bind_output(name, self._device)
        self._session.run_with_iobinding(binding)
        return [value.numpy() for value in binding.get_outputs()]

    def get_providers(self) -> Sequence[str]:
        """See `Session`."""
        return self._session.get_providers()

    def get_inputs(self) -> Sequence[Any]:
        """See `Session`."""
        return self._session.get_inputs()

    def get_modelmeta(self) -> Any:
        """See `Session`."""
        return self._session.get_modelmeta()


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


def first_line(error: Exception) -> str:
    """What an error says, in one line; ONNX Runtime's errors run over several."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
