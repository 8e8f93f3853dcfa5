"""Everything that Micro-Manager drives (`mm:CONFIG.cfg`): camera, XY stage and nosepiece of one configuration."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from her2scope.cameras.common import not_open
from her2scope.cameras.found import FoundDevice
from her2scope.cameras.mm_camera import MmCamera, SequenceStopped
from her2scope.cameras.mm_core import DEMO_CONFIG, Core, adapters_folder, load, new_core
from her2scope.cameras.mm_scale import KnownScale
from her2scope.cameras.mm_stand import MmStand
from her2scope.cameras.reader import JOIN_S, ThreadedCamera
from her2scope.domain.errors import CameraError, CameraLost, NotAvailableError
from her2scope.records import CameraState, Frame, RgbImage

OPEN_S = 60.0
"""How long a configuration may take to load: a motor stand finds its zero points first."""
MAX_PROBLEMS = 100
"""A driver that says another number each time must not fill the memory."""
UNSETTLED_FRAMES = 2
"""Left out after the nosepiece has turned: they were exposed, or waited in the buffer, while it did."""


class MicroManagerLost(CameraLost):
    """The camera stopped, with what its driver said."""

    def __init__(self, camera: str, last_index: int, why: str) -> None:
        super().__init__(camera, last_index)
        self.args = (
            f"{camera} stopped after frame {last_index} ({why}). "
            "Check the camera, then press Reconnect (F5); the case so far is saved.",
        )


class MicroManagerSource:
    """A CameraSource, HeldCamera, Stage, Nosepiece and PartlyReadable in one.

    One thread opens, reads and closes; moving and turning may come from any thread and return at once. Each opening
    loads the configuration anew. Pixel size and objective travel with each frame; while the nosepiece turns there is
    no frame. A nosepiece that is turned by hand is seen within `mm_stand.ASK_EVERY_S`.

    Parameters
    ----------
    config : Path or None
        A Micro-Manager configuration; None: the demonstration that comes with Micro-Manager.
    known : KnownScale
        What the reader and the calibration say of objective and pixel size; both win over the configuration.
    camera : CameraState
        What the calibration knows; exposure, gain and white balance are added where the camera tells them.
    core_factory : callable
        Makes an empty core; CameraNotFound where there is no Micro-Manager.
    """

    has_noise = True

    def __init__(
        self,
        config: Path | None,
        known: KnownScale,
        camera: CameraState,
        *,
        core_factory: Callable[[], Core] = new_core,
        open_s: float = OPEN_S,
        join_s: float = JOIN_S,
    ) -> None:
        self.name = "mm:demo" if config is None else f"mm:{config.name}"
        self._config, self._known, self._state, self._core_factory = config, known, camera, core_factory
        # How long a camera is silent without being lost is the core's to say: it tells whether the sequence runs.
        self._camera = ThreadedCamera(self.name, 1.0, self._claim, lost_after_s=math.inf, open_s=open_s, join_s=join_s)
        self._stand: MmStand | None = None
        self._first_label: str | None = None
        self._last_index = -1
        self._problems_lock = threading.Lock()
        self._problems: list[str] = []

    @property
    def problems(self) -> tuple[str, ...]:
        """What is in doubt or went wrong since the source was opened, as sentences, each once."""
        with self._problems_lock:
            return tuple(self._problems)

    # ---- camera ---------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Load the configuration and start the camera; CameraNotFound, or CameraBusy where somebody holds a device."""
        self.close()
        with self._problems_lock:
            self._problems.clear()
        self._camera.open()

    def read(self, timeout_s: float) -> Frame:
        """Wait for a new frame, `timeout_s` at most whatever the driver does; CameraTimeout or CameraLost."""
        try:
            frame = self._camera.read(timeout_s)
        except SequenceStopped as error:
            raise MicroManagerLost(self.name, self._last_index, str(error)) from error
        self._last_index = frame.index
        seen = frame.camera
        if not isinstance(seen, _SeenState):
            return frame
        state = CameraState(**{field.name: getattr(seen, field.name) for field in dataclasses.fields(CameraState)})
        return dataclasses.replace(frame, um_per_px=seen.um_per_px, stage_um=seen.stage_um, camera=state)

    def hold(self) -> None:
        """Keep exposure, gain and white balance as they are now, until the camera is closed. Returns at once."""
        self._camera.hold()

    def close(self) -> None:
        """Let go of all devices. Safe to call twice and after an error."""
        self._stand = None
        self._camera.close()

    def _claim(self) -> _OpenMicroscope:
        core = self._core_factory()
        try:
            load(core, self._config or adapters_folder() / DEMO_CONFIG)
            camera = MmCamera(core, self._state)
            if camera.bits > 8:
                self._note(f"the camera gives {camera.bits} bits per channel; they are scaled to 8.")
            stand = MmStand(core, self._known, self._first_label, self._note)
            camera.start()
        except Exception:
            _let_go(core)
            raise
        self._first_label = stand.first_label
        self._stand = stand
        stand.start()
        return _OpenMicroscope(core, camera, stand)

    def _note(self, problem: str) -> None:
        with self._problems_lock:
            if problem not in self._problems and len(self._problems) < MAX_PROBLEMS:
                self._problems.append(problem)

    # ---- stage ----------------------------------------------------------------------------------------------------

    def move_by_um(self, dx_um: float, dy_um: float) -> None:
        """Move the view over the slide, x to the right, y down; CameraError without a stage."""
        self._opened().move_by_um(dx_um, dy_um)

    def places(self) -> tuple[str, ...]:
        """None: a configuration names no places."""
        return ()

    def go_to(self, place: str) -> None:
        """NotAvailableError: a configuration names no places."""
        raise NotAvailableError("place", place, [])

    # ---- nosepiece ------------------------------------------------------------------------------------------------

    def objectives(self) -> tuple[str, ...]:
        """Names from the weakest to the strongest, as the calibration has them, else as the configuration does."""
        stand = self._stand
        return () if stand is None else stand.objectives()

    def objective(self) -> str:
        """The one in the light path, empty where it is not known."""
        stand = self._stand
        return (self._known.objective or "") if stand is None else stand.objective()

    def select_objective(self, name: str) -> None:
        """Turn to `name`; frames come again when it has arrived."""
        self._opened().select_objective(name)

    def _opened(self) -> MmStand:
        stand = self._stand
        if stand is None:
            raise not_open(self.name)
        return stand


@dataclass(frozen=True, slots=True)
class _SeenState(CameraState):
    """State of the camera and of the stand under it, for one picture."""

    um_per_px: float = 1.0
    stage_um: tuple[float, float] | None = None


class _OpenMicroscope:
    """Camera and stand as the reader thread sees them."""

    def __init__(self, core: Core, camera: MmCamera, stand: MmStand) -> None:
        self._core, self._camera, self._stand = core, camera, stand
        self._turns, self._unsettled = 0, 0

    def next_picture(self) -> tuple[RgbImage, CameraState] | None:
        rgb, sight = self._camera.newest(), self._stand.sight()
        if sight is not None and sight.turns != self._turns:
            self._turns, self._unsettled = sight.turns, UNSETTLED_FRAMES
        if rgb is None or sight is None:
            return None
        if self._unsettled > 0:
            self._unsettled -= 1
            return None
        state, scale = self._camera.state(), sight.scale
        seen = _SeenState(
            objective=scale.objective,
            response=state.response,
            exposure_ms=state.exposure_ms,
            gain=state.gain,
            white_balance=state.white_balance,
            scale_assumed=scale.assumed,
            um_per_px=scale.um_per_px,
            stage_um=sight.stage_um,
        )
        return rgb, seen

    def hold(self) -> None:
        self._camera.hold()

    def close(self) -> None:
        self._stand.stop()
        self._camera.stop()
        self._stand.join()  # devices that are let go of under a call take the program down
        _let_go(self._core)


def _let_go(core: Core) -> None:
    with contextlib.suppress(Exception):  # nothing can be done about a device that fails at that
        core.reset()


def found() -> tuple[FoundDevice, ...]:
    """Configurations that lie in Micro-Manager's own folder; none is loaded, so no device is claimed."""
    try:
        folder = adapters_folder()
    except CameraError as error:
        return (FoundDevice("mm:", "Micro-Manager", problem=str(error)),)
    configs = sorted(folder.glob("*.cfg"), key=lambda path: path.name)
    if not configs:
        problem = "no configuration was found in its folder. Give the path of yours: --source mm:CONFIG.cfg."
        return (FoundDevice("mm:", f"Micro-Manager in {folder}", problem=problem),)
    return tuple(
        FoundDevice("mm:demo" if path.name == DEMO_CONFIG else f"mm:{path}", f"Micro-Manager: {path.stem}")
        for path in configs
    )
