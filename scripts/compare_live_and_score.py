"""Is a field measured live what `her2scope score` measures on its stored picture? Prints it, field by field.

Each case is read by the live engine (camera, analyser and case threads) from phantom pictures into a case folder, with
three levels of a control. Then its stored PNG files are scored as from the command line, and what both kept of each
field is compared value by value: cells, outlines, measures, classes, membrane mask, profiles, stain, curve, finding.

Usage: python scripts/compare_live_and_score.py [--cases N] [--first-seed S] [--fields F] [--size WxH] [--json FILE]
           [--region-model DIR]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from her2scope.app.compose import DEFAULT_METHOD, make_analyser
from her2scope.app.scoring import ScoreRequest, score_images
from her2scope.app.where_to_count import asked_gate
from her2scope.cli.arguments import PHANTOM_SCORES, size
from her2scope.domain.events import Event, EventKind
from her2scope.phantom.field import PhantomSpec, render_field
from her2scope.phantom.run import make_run
from her2scope.pipeline.clock import SystemClock
from her2scope.pipeline.engine import LiveEngine
from her2scope.pipeline.live import LiveResult, Message, Mode, Severity
from her2scope.pipeline.session import CaseSession
from her2scope.records import CameraState, CaseView, Frame
from her2scope.settings import Calibration, ScoringSettings, as_yaml, load_calibration
from her2scope.storage.case_store import FolderCaseStore
from her2scope.storage.memory import MemoryCaseStore

UM_PER_PX = 0.25
CONTROL_SIZE_WH = (960, 720)
"""Large enough for the 100 complete cells of which a 3+ control needs to set the cut."""
LEVELS = ("3+", "1+", "0")
FRAME_S, PATIENCE_S = 0.02, 90.0
MOST_TRIES = 20


@dataclass(frozen=True, slots=True)
class FieldComparison:
    """What both kept of one field."""

    case: str
    field: int
    n_cells: int
    usable: bool
    intense_cut_od10: float
    different: tuple[str, ...]
    """Names of what is not exactly the same; empty: all is."""
    n_outside: int = 0
    """Of the cells, those that the region model leaves out."""


def main() -> int:
    """Compare so many cases, one after the other; 1 where anything differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=12)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--fields", type=int, default=3)
    parser.add_argument("--size", type=size, default=(1280, 720), metavar="WxH")
    parser.add_argument("--method", default=DEFAULT_METHOD)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--region-model", type=Path, metavar="DIR", help="counts only where it says")
    arguments = parser.parse_args()
    found: list[FieldComparison] = []
    for number in range(arguments.cases):
        score, seed = PHANTOM_SCORES[number % len(PHANTOM_SCORES)], arguments.first_seed + number
        late = number % 2 == 1
        with tempfile.TemporaryDirectory() as folder:
            case = compare_case(
                score, seed, arguments.fields, arguments.size, arguments.method, late, Path(folder),
                arguments.region_model,
            )  # fmt: skip
        for item in case:
            verdict = f"DIFFERS in {', '.join(item.different)}" if item.different else "the same"
            outside = f" ({item.n_outside} outside)" if item.n_outside else ""
            print(f"{item.case:<28} field {item.field}: {item.n_cells:>4} cells{outside}, {verdict}", flush=True)
        found += case
    n_same, n_cells = sum(not item.different for item in found), sum(item.n_cells for item in found)
    print(f"{n_same} of {len(found)} fields with {n_cells} cells are exactly the same, live and scored")
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(item) for item in found], indent=1) + "\n", encoding="utf-8")
    return 0 if n_same == len(found) else 1


def compare_case(
    score: str,
    seed: int,
    n_fields: int,
    size_wh: tuple[int, int],
    method: str,
    late: bool,
    folder: Path,
    region_model: Path | None = None,
) -> list[FieldComparison]:
    """Read a phantom case live, score its stored pictures, compare.

    Parameters
    ----------
    late : the control is read after the fields, which are then measured again from what was kept of them
    region_model : folder of the model that says where to count
    """
    run = make_run(seed, "usual", camera="linear")
    calibration = Calibration(
        name="phantom", response=run.optics.response, white_rgb=run.optics.white_rgb(),
        haematoxylin_vector=run.stain.haematoxylin_vector, dab_vector=run.stain.dab_vector,
    )  # fmt: skip
    calibration_path = folder / "microscope.yaml"
    calibration_path.write_bytes(as_yaml(calibration))
    if load_calibration(calibration_path) != calibration:
        raise RuntimeError("the calibration does not survive its file")
    store = FolderCaseStore(folder / "cases")
    controls = [_frame(level, seed, 0, CONTROL_SIZE_WH, run.optics.response) for level in LEVELS]
    fields = [_frame(score, seed, number, size_wh, run.optics.response) for number in range(1, n_fields + 1)]
    settings, gate = asked_gate(region_model, (), ScoringSettings())
    _read_live(store, make_analyser(method, settings, calibration, gate=gate), controls, fields, late)
    with closing(store.read("live")) as case:
        live = case.events()
    scored = _scored(live, store.folder("live") / "images", calibration_path, method, region_model)
    name = f"{score}, seed {seed}{', late control' if late else ''}"
    pairs = zip(_measures(live).items(), _measures(scored).values(), strict=True)
    return [
        FieldComparison(
            name, number, len(ours["cells"]), ours["quality"]["usable"], ours["cuts"]["intense_od10"],
            different(ours, theirs), sum(row[-1] is False for row in ours["cells"]),
        )
        for (number, ours), theirs in pairs
    ]  # fmt: skip


def different(ours: dict[str, Any], theirs: dict[str, Any]) -> tuple[str, ...]:
    """Names of the stored values of a field that differ at all; where the picture came from is not compared."""
    pictures = {**ours, "frame": ours["frame"]["um_per_px"]}, {**theirs, "frame": theirs["frame"]["um_per_px"]}
    return tuple(sorted(name for name in ours.keys() | theirs.keys() if pictures[0].get(name) != pictures[1].get(name)))


def _measures(events: Sequence[Event]) -> dict[int, dict[str, Any]]:
    """What is stored of each field's analysis last."""
    found = {}
    for event in events:
        if event.kind is EventKind.FIELD_ACCEPTED:
            found[event.data["field"]] = event.data["result"]
        if event.kind is EventKind.CONTROL_READ:
            found |= {item["field"]: item["result"] for item in event.data["fields"]}
    return found


# ---- as the command line scores -----------------------------------------------------------------------------------


def _scored(
    live: Sequence[Event], images: Path, calibration: Path, method: str, region_model: Path | None
) -> tuple[Event, ...]:
    """Events of the case that `her2scope score` makes of the stored pictures."""
    store = MemoryCaseStore()
    accepted = [event.data["result"] for event in live if event.kind is EventKind.FIELD_ACCEPTED]
    controls = [
        (event.data["expected"], images / f"{event.data['result']['image']}.png")
        for event in live
        if event.kind is EventKind.CONTROL_READ
    ]
    request = ScoreRequest(
        images=[images / f"{item['image']}.png" for item in accepted], um_per_px=UM_PER_PX,
        controls=[path for level, path in controls if level == "3+"],
        lower_controls=[(level, path) for level, path in controls if level != "3+"],
        calibration=calibration, method=method, region_model=region_model,
    )  # fmt: skip
    with patch("her2scope.app.scoring.MemoryCaseStore", lambda: store):
        score_images(request)
    return store.read("score").events()


# ---- as a reader reads --------------------------------------------------------------------------------------------


class _Camera:
    """Shows one picture again and again, until it is given another."""

    name = "pictures"

    def __init__(self) -> None:
        self.shown: Frame | None = None
        self.n_given = 0
        """Pictures so far; the index of the newest."""

    def open(self) -> None:
        """There is nothing to claim."""

    def read(self, timeout_s: float) -> Frame:
        """The picture, as a camera would give it now."""
        while self.shown is None:
            time.sleep(FRAME_S)
        time.sleep(FRAME_S)
        self.n_given += 1
        return replace(self.shown, index=self.n_given, captured_s=time.monotonic())

    def close(self) -> None:
        """There is nothing to release."""


class _Reader:
    """Waits for what it has to see before it goes on."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._newest: dict[str, Any] = {}
        self._messages: list[Message] = []

    def __getattr__(self, name: str) -> Callable[[Any], None]:
        if not name.startswith("on_"):
            raise AttributeError(name)
        return lambda item: self._take(name.removeprefix("on_"), item)

    def _take(self, kind: str, item: Any) -> None:
        with self._changed:
            self._newest[kind] = item
            self._messages += [item] if kind == "message" else []
            self._changed.notify_all()

    @property
    def n_refusals(self) -> int:
        """How often what was asked for was not done."""
        return sum(message.severity is not Severity.INFO for message in self._messages)

    def wait_for(self, kind: str, matches: Callable[[Any], bool]) -> None:
        """Wait until the newest of a kind is so."""
        with self._changed:
            if not self._changed.wait_for(lambda: kind in self._newest and matches(self._newest[kind]), PATIENCE_S):
                raise RuntimeError(f"no such {kind} came; {self.told}")

    @property
    def case(self) -> CaseView:
        """The case as it was told last."""
        return self._newest["case"]

    @property
    def told(self) -> str:
        """All messages."""
        return f"messages: {[message.text for message in self._messages]}"


def _read_live(
    store: FolderCaseStore, analyser: Any, controls: Sequence[Frame], fields: Sequence[Frame], late: bool
) -> None:
    """Read a control and accept fields at the live engine; the case is in the store when this returns."""
    camera, reader = _Camera(), _Reader()

    def open_case() -> CaseSession:
        return CaseSession(store.create("live"), analyser, SystemClock(), "reader")

    engine = LiveEngine(camera, open_case, reader, lambda view: (), SystemClock())
    engine.start()
    try:
        steps = [*_control_steps(engine, controls), *_field_steps(engine, fields)]
        for frame, ask, is_done in steps[len(controls) :] + steps[: len(controls)] if late else steps:
            camera.shown = frame
            reader.wait_for("result", partial(_shows, frame.name))
            _ask(reader, camera, ask, is_done)
    finally:
        engine.stop()


def _ask(reader: _Reader, camera: _Camera, ask: Callable[[], None], is_done: Callable[[CaseView], bool]) -> None:
    """Ask until it is done: just after a picture changed it counts as moving, and a busy computer may stall it."""
    for _ in range(MOST_TRIES):
        before = reader.n_refusals
        ask()
        reader.wait_for("case", lambda view: is_done(view) or reader.n_refusals > before)  # noqa: B023 - used in here
        if is_done(reader.case):
            return
        seen = camera.n_given
        reader.wait_for("result", lambda live: live.tracked.frame.index > seen)  # noqa: B023 - used in here
    raise RuntimeError(f"it was refused {MOST_TRIES} times; {reader.told}")


def _shows(name: str, live: LiveResult) -> bool:
    return live.result.frame.name == name


def _has_controls(n: int, view: CaseView) -> bool:
    return len(view.controls) == n


def _has_fields(n: int, view: CaseView) -> bool:
    return len(view.fields) == n


_Step = tuple[Frame, Callable[[], None], Callable[[CaseView], bool]]


def _control_steps(engine: LiveEngine, frames: Sequence[Frame]) -> Iterator[_Step]:
    for n, (level, frame) in enumerate(zip(LEVELS, frames, strict=True), start=1):

        def ask(level: str = level) -> None:
            engine.set_mode(Mode.CONTROL)
            engine.read_control(level, "lot")

        yield frame, ask, partial(_has_controls, n)


def _field_steps(engine: LiveEngine, frames: Sequence[Frame]) -> Iterator[_Step]:
    for n, frame in enumerate(frames, start=1):

        def ask() -> None:
            engine.set_mode(Mode.READING)
            engine.accept_field()

        yield frame, ask, partial(_has_fields, n)


def _frame(score: str, seed: int, number: int, size_wh: tuple[int, int], response: str) -> Frame:
    spec = PhantomSpec(score, seed, number, size_wh, UM_PER_PX, difficulty="usual", camera="linear")
    return Frame(
        render_field(spec).rgb, number, 0.0, UM_PER_PX, CameraState(response=response), f"{score} number {number}"
    )


if __name__ == "__main__":
    raise SystemExit(main())
