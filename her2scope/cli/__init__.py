"""The command line: parse, hand over, turn the answer into an exit code (0 done, 1 negative finding, 2 wrong use)."""

from __future__ import annotations

import argparse
import contextlib
import errno
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO, cast

from her2scope import __version__
from her2scope.cli.arguments import (
    DONE,
    NEGATIVE,
    PHANTOM_SCORES,
    WRONG_USE,
    OneLineParser,
    add_how,
    add_material,
    add_scale,
    add_where,
    count,
    one_line,
    say,
    scale,
    size,
)
from her2scope.cli.bench import add_bench
from her2scope.cli.calibration import add_calibration
from her2scope.cli.contest import add_contest
from her2scope.cli.control import LEVELS, add_control
from her2scope.cli.devices import add_devices, add_doctor
from her2scope.cli.evaluation import add_evaluation
from her2scope.cli.phantom import add_phantom
from her2scope.cli.pixels import add_pixels
from her2scope.cli.session import add_session
from her2scope.cli.slides import add_slides
from her2scope.cli.training import add_training
from her2scope.cli.validate import add_validate
from her2scope.domain.errors import BadInputError, Her2ScopeError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; every expected error is one line on stderr."""
    out, err = cast(TextIO, _Steady(sys.stdout)), cast(TextIO, _Steady(sys.stderr))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            return _run(_parse(sys.argv[1:] if argv is None else argv))
        finally:  # not at exit, where Python itself would complain of a reader that is gone
            out.flush()
            err.flush()


def _run(arguments: argparse.Namespace) -> int:
    try:
        code = int(arguments.run(arguments))
        sys.stdout.flush()  # a full disk behind it is one line too
        return code
    except Her2ScopeError as error:
        return _refuse(str(error))
    except KeyboardInterrupt as stop:
        return _refuse(str(stop) or "stopped by the user; what was accepted is saved.")
    except Exception as error:  # noqa: BLE001 - the last place that can turn a fault into a line
        return _unexpected(error)


def _refuse(why: str) -> int:
    print(f"her2scope: {one_line(why)}", file=sys.stderr)
    return WRONG_USE


def _unexpected(error: Exception) -> int:
    """Keep the traceback in a file and say one line."""
    import traceback

    from her2scope.settings import home_dir

    where = home_dir() / "last-error.txt"
    try:
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_text("".join(traceback.format_exception(error)), encoding="utf-8", errors="backslashreplace")
        kept = f"Details are in {where}."
    except OSError:
        kept = "Details could not be written."
    return _refuse(f"something unexpected went wrong: {error!r}. {kept}")


# ---- printing -----------------------------------------------------------------------------------------------------


class _Steady:
    """A stream that prints any name, and goes quiet once its reader is gone (`| head`): the work itself goes on."""

    def __init__(self, stream: TextIO | None) -> None:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
        self._stream = stream or io.StringIO()  # none: started without a console

    def write(self, text: str) -> int:
        """Write, or drop what nobody reads."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._go_quiet(error)
            return len(text)

    def flush(self) -> None:
        """Hand on what was written."""
        try:
            self._stream.flush()
        except OSError as error:
            self._go_quiet(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _go_quiet(self, error: OSError) -> None:
        """Send what follows, and what still waits in the buffer, to nowhere; raise what is no closed pipe."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
        # Windows calls a closed pipe an invalid argument
        if not (isinstance(error, BrokenPipeError) or (os.name == "nt" and error.errno == errno.EINVAL)):
            raise error


# ---- commands -----------------------------------------------------------------------------------------------------


def _live(arguments: argparse.Namespace) -> int:
    from her2scope.app.window import LiveRequest, run_live

    return run_live(
        LiveRequest(
            source=arguments.source, calibration=arguments.calibration, objective=arguments.objective,
            um_per_px=arguments.um_per_px, settings=arguments.settings, method=arguments.method,
            case_id=arguments.case, size_wh=arguments.size, controls=arguments.controls, material=arguments.material,
            instruments=arguments.instruments, region_model=arguments.region_model, count_in=arguments.count_in,
        )
    )  # fmt: skip


def _demo(arguments: argparse.Namespace) -> int:
    from her2scope.app.demo import DemoRequest, run_demo

    return run_demo(DemoRequest(arguments.headless, arguments.out, arguments.score, arguments.seed, arguments.fields))


def _leveled(given: Sequence[Sequence[str]]) -> list[tuple[Any, Path]]:
    """Levels and pictures of `--control-level`."""
    found = []
    for level, path in given:
        if level not in LEVELS:
            raise BadInputError(f"--control-level {level}: no such level. Use 0, 1+, 2+ or 3+, then the picture.")
        found.append((level, Path(path)))
    return found


def _score(arguments: argparse.Namespace) -> int:
    from her2scope.app.scoring import ScoreRequest, score_images

    answer = score_images(
        ScoreRequest(
            images=arguments.images, um_per_px=arguments.um_per_px, controls=arguments.control,
            lower_controls=_leveled(arguments.control_level),
            control_um_per_px=arguments.control_um_per_px, calibration=arguments.calibration,
            control_file=arguments.controls, material=arguments.material,
            settings=arguments.settings, guideline=arguments.guideline, method=arguments.method,
            region_model=arguments.region_model, count_in=arguments.count_in,
            json_path=arguments.json, overlay_dir=arguments.overlay_dir, mask_dir=arguments.mask_dir,
        )
    )  # fmt: skip
    return say(answer.lines, NEGATIVE if answer.control_invalid else DONE)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.command and argv[0] != arguments.command:
        # they would be the window's, and the command would not see them
        parser.error(f"options stand after the command: her2scope {arguments.command} {argv[0]} ...")
    return arguments


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="her2scope",
        description="HER2 scoring beside the microscope. Without a command: the live window. Research use only.",
    )
    parser.add_argument("--version", action="version", version=f"her2scope {__version__}")
    _add_live(parser)
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", parser_class=OneLineParser)
    _add_demo(commands)
    _add_score(commands)
    add_control(commands)
    add_session(commands)
    add_calibration(commands)
    add_phantom(commands)
    add_slides(commands)
    add_contest(commands)
    add_training(commands)
    add_evaluation(commands)
    add_pixels(commands)
    add_validate(commands)
    add_bench(commands)
    add_devices(commands)
    add_doctor(commands)
    return parser


def _add_live(parser: argparse.ArgumentParser) -> None:
    live = parser.add_argument_group("live window")
    live.add_argument(
        "--source",
        metavar="URI",
        help="camera:N, genicam:SERIAL, mm:FILE, stream:URL, slide:FILE, images:DIR, "
        "video:FILE or phantom: (default: as at set-up); `her2scope devices` lists cameras",
    )
    live.add_argument("--objective", metavar="NAME", help="objective in the light path, as the calibration names it")
    live.add_argument("--size", type=size, metavar="WxH", help="picture size, where the source can choose")
    live.add_argument("--instruments", type=Path, metavar="FILE", help="stage, nosepiece and buttons (YAML)")
    add_material(live)
    live.add_argument("--case", metavar="ID", help="start or resume the case of this id")
    add_scale(live, required=False)
    add_how(live)
    add_where(live)
    parser.set_defaults(run=_live)


def _add_demo(commands: argparse._SubParsersAction[OneLineParser]) -> None:
    demo = commands.add_parser("demo", help="the whole job on the phantom microscope: control, fields, score, report")
    demo.add_argument("--headless", action="store_true", help="without a window")
    demo.add_argument("--out", type=Path, metavar="DIR", help="folder of the report")
    demo.add_argument("--score", default="2+", choices=PHANTOM_SCORES, help="what the phantom slide is (default 2+)")
    demo.add_argument("--seed", type=int, default=2, metavar="S", help="another slide, another run")
    demo.add_argument("--fields", type=count, default=4, metavar="N", help="fields to accept (default 4)")
    demo.set_defaults(run=_demo)


def _add_score(commands: argparse._SubParsersAction[OneLineParser]) -> None:
    score = commands.add_parser("score", help="score images as the fields of one case")
    score.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    add_scale(score, required=True)
    score.add_argument("--control", action="append", default=[], type=Path, metavar="IMAGE", help="a 3+ control field")
    score.add_argument(
        "--control-level", nargs=2, action="append", default=[], metavar=("LEVEL", "IMAGE"),
        help="a field of the run's 2+, 1+ or 0 control; may be repeated",
    )  # fmt: skip
    score.add_argument("--control-um-per-px", type=scale, metavar="X", help="its pixel size, if another")
    score.add_argument("--guideline", metavar="NAME", help="breast-2023 (default)")
    score.add_argument("--json", type=Path, metavar="FILE", help="write the result as JSON (her2scope.score/1)")
    score.add_argument("--overlay-dir", type=Path, metavar="DIR", help="write each field with its overlay")
    score.add_argument("--mask-dir", type=Path, metavar="DIR", help="write membrane and cell masks")
    add_material(score)
    add_how(score)
    add_where(score)
    score.set_defaults(run=_score)
