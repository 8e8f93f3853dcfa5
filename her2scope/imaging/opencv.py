"""The one place that imports OpenCV: `from her2scope.imaging.opencv import cv2`.

The import points Qt at OpenCV's own Qt 5 plugins and fonts, where PyQt6 then finds no platform to start on. The
variables are put back to what they were. OpenCV's logs are silenced: what they print about a damaged file or a camera
that is not there, in several lines of C++, our own errors say in one. The number of its threads is left alone.
"""

from __future__ import annotations

import os

# By variables, which all versions of OpenCV know, and which a user who looks for a fault can set otherwise.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET

_QT_VARIABLES = ("QT_QPA_PLATFORM_PLUGIN_PATH", "QT_QPA_FONTDIR")
_before = {name: os.environ.get(name) for name in _QT_VARIABLES}

import cv2  # noqa: E402 - the variables must be read before it

for _name, _value in _before.items():
    os.environ.pop(_name, None)
    # Somebody may have imported cv2 before us: then the value is OpenCV's, too.
    if _value is not None and os.path.dirname(cv2.__file__) not in _value:
        os.environ[_name] = _value

__all__ = ["cv2"]
