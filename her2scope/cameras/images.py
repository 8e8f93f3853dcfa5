"""A folder of pictures as a camera: for trying, teaching, and fields photographed elsewhere."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from pathlib import Path

from her2scope.cameras.common import Pacer, not_open
from her2scope.domain.errors import BadInputError, CameraLost, CameraNotFound, CameraTimeout, UnreadableImageError
from her2scope.imaging.files import list_images, read_rgb
from her2scope.records import CameraState, Frame, RgbImage

FRAMES_PER_S = 10.0
"""As often as a slow microscope camera: enough to feel live, little work."""
KEPT_PICTURES = 3
"""Decoded pictures kept: the present one and its neighbours."""


class ImageFolderSource:
    """Shows one picture of a folder over and over, as a camera does; `step` turns to another.

    One thread opens, reads and closes it; `step` may come from any thread and only notes the wish, the reading thread
    decodes. A picture that cannot be read is passed over and listed in `problems`; a folder without any readable one
    does not open. A file that changes is read again when it is next turned to, never while it is shown. Decoding is not
    cut short by `timeout_s`.

    Parameters
    ----------
    folder : Path
        Its images are shown in natural order of their names (`field 2` before `field 10`).
    um_per_px : float
        Pixel size of all of them.
    camera : CameraState
        How they were taken, as far as it is known.
    """

    def __init__(
        self, folder: Path, um_per_px: float, camera: CameraState, *, frames_per_s: float = FRAMES_PER_S
    ) -> None:
        self.name = f"images:{folder}"
        self._folder, self._um_per_px, self._camera = folder, um_per_px, camera
        self._interval_s = 1.0 / frames_per_s
        self._pacer: Pacer | None = None
        self._paths: list[Path] = []
        self._place = 0
        self._problems: list[str] = []
        self._shown: RgbImage | None = None
        self._kept: OrderedDict[tuple[Path, int, int], RgbImage] = OrderedDict()
        self._next_index = 0
        self._wish = threading.Condition()  # guards the two below
        self._steps = 0
        self._direction = 1

    @property
    def problems(self) -> tuple[str, ...]:
        """Why pictures were passed over so far, in words, in the order they were met."""
        return tuple(self._problems)

    def open(self) -> None:
        """List the folder and read its first readable picture; CameraNotFound where there is none."""
        self.close()
        self._problems.clear()
        try:
            self._paths = list_images(self._folder)
        except BadInputError as error:
            raise CameraNotFound(str(error)) from error
        self._place = 0
        with self._wish:
            self._steps = 0
        self._shown = self._turn_to_readable(direction=1)
        if self._shown is None:
            raise CameraNotFound(
                f"{self._folder}: none of its {len(self._paths)} images can be read. {self._problems[0]}"
            )
        self._pacer = Pacer(self._interval_s)

    def read(self, timeout_s: float) -> Frame:
        """Wait until the next frame is due, or `step` was called, and give the present picture.

        Raises CameraTimeout where neither happens within `timeout_s`, CameraLost where no picture of the folder can be
        read any longer.
        """
        if self._pacer is None:
            raise not_open(self.name)
        steps, direction = self._wait_for_steps(self._pacer, timeout_s)
        if steps or self._shown is None:
            self._place = (self._place + steps) % len(self._paths)
            self._shown = self._turn_to_readable(direction)
        if self._shown is None:
            raise CameraLost(self.name, self._next_index - 1)
        self._pacer.passed()
        index, self._next_index = self._next_index, self._next_index + 1
        return Frame(self._shown, index, time.monotonic(), self._um_per_px, self._camera, self._paths[self._place].name)

    def close(self) -> None:
        """Forget the pictures. Safe to call twice."""
        self._pacer = None
        self._shown = None
        self._kept.clear()

    def step(self, places: int) -> None:
        """Show the picture `places` further on, wrapping round at both ends. May be called from any thread."""
        with self._wish:
            self._steps += places
            self._direction = 1 if places >= 0 else -1
            self._wish.notify_all()

    def _wait_for_steps(self, pacer: Pacer, timeout_s: float) -> tuple[int, int]:
        """Wait for the next frame's time or a wish; how many places to step, and the direction to go on in."""
        with self._wish:
            remaining_s = pacer.remaining_s()
            wished = self._wish.wait_for(lambda: self._steps != 0, timeout=max(0.0, min(remaining_s, timeout_s)))
            if not wished and remaining_s > timeout_s:
                raise CameraTimeout(f"{self.name} gave no frame within {timeout_s:g} s. Wait, or allow more time.")
            steps, self._steps = self._steps, 0
            return steps, self._direction

    def _turn_to_readable(self, direction: int) -> RgbImage | None:
        """Turn to the nearest readable picture from the present place on, that one first; None where there is none."""
        for _ in self._paths:
            try:
                return self._picture(self._paths[self._place])
            except UnreadableImageError as error:
                if str(error) not in self._problems:
                    self._problems.append(str(error))
                self._place = (self._place + direction) % len(self._paths)
        return None

    def _picture(self, path: Path) -> RgbImage:
        """Decoded picture, from the kept ones where the file is still the same."""
        version = _version(path)
        rgb = self._kept.pop(version, None)
        if rgb is None:
            rgb = read_rgb(path)
        self._kept[version] = rgb  # last: the one to be dropped last
        if len(self._kept) > KEPT_PICTURES:
            self._kept.popitem(last=False)
        return rgb


def _version(path: Path) -> tuple[Path, int, int]:
    """What changes when a file is written anew."""
    try:
        status = path.stat()
    except OSError:  # reading it will say why
        return path, 0, 0
    return path, status.st_mtime_ns, status.st_size
