"""The network in 16-bit numbers, for a graphics card: half the memory to move; pictures and answers stay in 32 bits."""

from __future__ import annotations

import onnx


def halved(full: bytes) -> bytes:
    """The 32-bit file with its layers in 16 bits."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    model = convert_float_to_float16(onnx.load_from_string(full), keep_io_types=True)
    return bytes(model.SerializeToString())
