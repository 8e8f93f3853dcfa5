"""The stand around a Micro-Manager camera: its XY stage and its nosepiece.

Both may take seconds to answer, so a thread of their own asks them ten times a second and passes wishes on, and nobody
else waits.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from her2scope.cameras.mm_core import Core, in_words
from her2scope.cameras.mm_scale import ASSUMED_UM_PER_PX, KnownScale, Scale, magnification, objective_names, scale_of
from her2scope.domain.errors import CameraError, NotAvailableError

ASK_EVERY_S = 0.1
STALE_AFTER_S = 2.0
"""After this long without an answer from the nosepiece nobody knows which objective is in the light path."""
TURN_S = 10.0
"""No nosepiece turns for longer: it is said then that it does not arrive."""
STILL_UM = 0.5
"""A stage that was moved by more than this between two answers moves: below it is the noise of its encoders."""
STATE_DEVICE = 4
"""`MM::StateDevice` (MMDeviceConstants.h)."""
_NOSEPIECE = re.compile(r"objective|nose ?piece|\bobj|turret|revolver", re.IGNORECASE)
NOMINAL_UM = 10.0
"""um per px at 1x, only to sort objectives by their magnification where no pixel size is known."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What the camera looks at, as the stand said last."""

    scale: Scale
    stage_um: tuple[float, float] | None = None
    """Along the picture's axes, x to the right, y down; None while the stage moves, and without a stage."""
    turns: int = 0
    """How often the nosepiece was turned so far, on a wish or by hand."""


class MmStand:
    """Stage and nosepiece of a loaded core, either of which may be missing.

    The thread that loaded the core makes it and starts it; the rest may be called from any thread and returns at once.

    Parameters
    ----------
    known : what the reader and the calibration say of the scale
    first_label : the nosepiece's label when the program started, for which that holds; None: the present one
    note : takes what goes wrong and what is in doubt, as a sentence
    """

    def __init__(self, core: Core, known: KnownScale, first_label: str | None, note: Callable[[str], None]) -> None:
        self._core, self._known, self._note = core, known, note
        self._xy = str(core.getXYStageDevice())
        self._nosepiece = nosepiece_of(core)
        labels = [str(label) for label in core.getStateLabels(self._nosepiece)] if self._nosepiece else []
        self._names = objective_names(labels, known.calibrated)
        self._sizes = preset_sizes_um(core, self._nosepiece)
        self._label = str(core.getStateLabel(self._nosepiece)) if self._nosepiece else None
        self.first_label = self._label if first_label is None else first_label
        self._axes: NDArray[np.float64] = np.eye(2)
        self._lock = threading.Lock()  # guards the four below
        self._step_um = np.zeros(2)
        self._wish: str | None = None
        self._turning_since_s: float | None = None
        self._sight = Sight(self._scale())
        self._place_um: NDArray[np.float64] | None = None
        self._answered_s = time.monotonic()
        self._stopping, self._wake = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="Micro-Manager stand", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Tell the thread to end; returns at once."""
        self._stopping.set()
        self._wake.set()

    def join(self) -> None:
        """Wait until the thread has ended: as long as a device takes to answer."""
        if self._thread.ident is not None:
            self._thread.join()

    def sight(self) -> Sight | None:
        """What the camera looks at now; None while the nosepiece turns, when nobody can say."""
        with self._lock:
            if self._turning_since_s is not None:
                return None
            sight = self._sight
        if time.monotonic() - self._answered_s <= STALE_AFTER_S:
            return sight
        return replace(sight, scale=replace(sight.scale, assumed=True), stage_um=None)  # it may have been turned since

    def move_by_um(self, dx_um: float, dy_um: float) -> None:
        """Move the view, x to the right, y down; steps that come while the stage moves are added up."""
        if not self._xy:
            raise CameraError("Micro-Manager's configuration has no XY stage. Move the slide by hand.")
        with self._lock:
            self._step_um = self._step_um + (dx_um, dy_um)
        self._wake.set()

    def objectives(self) -> tuple[str, ...]:
        """Names from the weakest to the strongest; a place of which nothing is known counts as empty."""
        sizes_um = {self._name(label): self._about_um_per_px(label) for label in self._names}
        return tuple(sorted((name for name, size_um in sizes_um.items() if size_um), key=lambda name: -sizes_um[name]))

    def objective(self) -> str:
        """The one in the light path, empty where it is not known."""
        return self._sight.scale.objective or ""

    def select_objective(self, name: str) -> None:
        """Turn to `name`; NotAvailableError for one that is not there."""
        label = next((label for label in self._names if self._name(label) == name), None)
        if label is None:
            raise NotAvailableError("objective", name, list(self.objectives()))
        with self._lock:
            self._wish, self._turning_since_s = label, time.monotonic()
            self._sight = replace(self._sight, turns=self._sight.turns + 1)
        self._wake.set()

    def _about_um_per_px(self, label: str) -> float:
        """Pixel size by which a place of the nosepiece is sorted; 0 for one of which nothing is known."""
        own = self._known.calibrated.get(self._name(label)) or self._sizes.get(label)
        power = magnification(label)
        nominal = NOMINAL_UM / power if power else 0.0
        return own or nominal or (ASSUMED_UM_PER_PX if label == self.first_label else 0.0)

    # ---- the thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping.is_set():
            for ask in (self._turn, self._see, self._move):
                try:
                    ask()
                except Exception as error:  # noqa: BLE001 - whatever a device throws: it must not end the thread
                    self._note(f"Micro-Manager: {in_words(error)}. Check the stage and the nosepiece.")
            self._wake.wait(ASK_EVERY_S)
            self._wake.clear()

    def _turn(self) -> None:
        """Pass a wished objective on, and see whether it has arrived."""
        with self._lock:
            wish, self._wish = self._wish, None
            since_s = self._turning_since_s
        if since_s is None:
            return
        try:
            if wish is not None:
                self._core.setStateLabel(self._nosepiece, wish)
            turns = bool(self._core.deviceBusy(self._nosepiece))
        except Exception:
            self._arrived()  # it did not turn; `_see` asks which one it is
            raise
        if not turns:
            self._arrived()
        elif time.monotonic() - since_s > TURN_S:
            self._note("the nosepiece does not arrive at the objective. Turn it by hand, then press Reconnect (F5).")

    def _arrived(self) -> None:
        """Ask for the objective before the turn counts as over, unless another was wished meanwhile."""
        self._see_scale()
        with self._lock:
            if self._wish is None:
                self._turning_since_s = None

    def _see(self) -> None:
        self._see_scale()
        self._see_place()

    def _see_scale(self) -> None:
        before = self._label
        if self._nosepiece:
            self._label = str(self._core.getStateLabel(self._nosepiece))
        scale = self._scale()
        self._answered_s = time.monotonic()
        with self._lock:
            turns = self._sight.turns + (self._label != before)
            self._sight = replace(self._sight, scale=scale, turns=turns)

    def _scale(self) -> Scale:
        label = self._label
        scale = scale_of(
            None if label is None else self._names.get(label, label),
            float(self._core.getPixelSizeUm()),
            self._known,
            is_first=label == self.first_label,
        )
        for doubt in scale.doubts:
            self._note(doubt)
        self._axes = nearest_axes(self._core.getPixelSizeAffine(), self._axes)
        return scale

    def _name(self, label: str) -> str:
        """What `objective` calls the place when it is in the light path."""
        return scale_of(self._names[label], 0.0, self._known, is_first=label == self.first_label).objective or label

    def _see_place(self) -> None:
        if not self._xy:
            return
        before_um, self._place_um = self._place_um, None  # not known, should the stage throw
        try:
            place_um = np.asarray(self._core.getXYPosition(self._xy), np.float64)
            moves = bool(self._core.deviceBusy(self._xy))
            self._place_um = place_um
            moves = moves or before_um is None or bool(np.abs(place_um - before_um).max() > STILL_UM)
            view_um = None if moves else self._axes.T @ place_um
        except Exception:
            self._tell_place(None)
            raise
        self._tell_place(None if view_um is None else (float(view_um[0]), float(view_um[1])))

    def _tell_place(self, stage_um: tuple[float, float] | None) -> None:
        with self._lock:
            self._sight = replace(self._sight, stage_um=stage_um)

    def _move(self) -> None:
        """Pass the wished steps on once the stage has come to rest: not every stage takes a new goal on its way."""
        with self._lock:
            step_um = self._step_um
        if not step_um.any() or self._core.deviceBusy(self._xy):
            return
        with self._lock:
            step_um, self._step_um = self._step_um, np.zeros(2)
        self._tell_place(None)
        dx_um, dy_um = self._axes @ step_um
        self._core.setRelativeXYPosition(self._xy, float(dx_um), float(dy_um))


def nosepiece_of(core: Core) -> str:
    """Label of the device that turns objectives, by its name or because pixel sizes depend on it; empty without one."""
    in_presets = {setting.getDeviceLabel() for preset in _presets(core) for setting in preset[1]}

    def likeness(label: str) -> int:
        is_named = any(_NOSEPIECE.search(name) for name in (label, str(core.getDeviceName(label))))
        return 2 * is_named + (label in in_presets)

    labels = [str(label) for label in core.getLoadedDevicesOfType(STATE_DEVICE)]
    best = max(labels, key=likeness, default="")
    return best if best and likeness(best) > 0 else ""


def preset_sizes_um(core: Core, nosepiece: str) -> dict[str, float]:
    """Pixel size per label of the nosepiece, by the configuration's presets, whatever else these depend on."""
    if not nosepiece:
        return {}
    labels = [str(label) for label in core.getStateLabels(nosepiece)]
    sizes_um = {}
    for name, settings in _presets(core):
        for setting in settings:
            value = str(setting.getPropertyValue())
            if setting.getDeviceLabel() != nosepiece:
                continue
            if setting.getPropertyName() == "State" and value.isdecimal() and int(value) < len(labels):
                value = labels[int(value)]
            if value in labels and core.getPixelSizeUmByID(name) > 0:
                sizes_um[value] = float(core.getPixelSizeUmByID(name))
    return sizes_um


def _presets(core: Core) -> list[tuple[str, list[Core]]]:
    """The configuration's pixel-size presets: name, and the settings in which each holds."""
    presets = []
    for name in core.getAvailablePixelSizeConfigs():
        data = core.getPixelSizeConfigData(name)
        presets.append((str(name), [data.getSetting(place) for place in range(data.size())]))
    return presets


def nearest_axes(affine: tuple[float, ...], last: NDArray[np.float64]) -> NDArray[np.float64]:
    """Which way the stage's axes lie in the picture: (2, 2) of 0, 1 and -1, view to stage.

    Micro-Manager's affine (row by row, um per px, the shift third) times an offset in the picture is the stage's move
    that brings what lies there to the centre. Without a measured one it is the identity: the stage's x to the right,
    its y down. The few degrees by which a camera is turned are left out: they would move the origin with the objective.

    Parameters
    ----------
    last : what to answer where the configuration has none for this objective
    """
    if len(affine) != 6:
        return last
    linear = np.array([affine[0:2], affine[3:5]], np.float64)
    if not np.isfinite(linear).all() or abs(np.linalg.det(linear)) < 1e-12:
        return last
    straight, crossed = np.abs(np.diag(linear)).sum(), np.abs(np.diag(linear[::-1])).sum()
    kept = np.eye(2) if straight >= crossed else np.eye(2)[::-1]
    axes: NDArray[np.float64] = np.sign(linear) * kept
    return axes
