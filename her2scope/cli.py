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
from her2scope.domain.errors import BadInputError, Her2ScopeError

DONE, NEGATIVE, WRONG_USE = 0, 1, 2


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
    except KeyboardInterrupt:
        return _refuse("stopped by the user; what was accepted is saved.")
    except Exception as error:  # noqa: BLE001 - the last place that can turn a fault into a line
        return _unexpected(error)


def _refuse(why: str) -> int:
    print(f"her2scope: {_one_line(why)}", file=sys.stderr)
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


def _one_line(text: str) -> str:
    """Text with line breaks, and whatever else does not show, escaped: a file's name may hold anything."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


# ---- commands -----------------------------------------------------------------------------------------------------


def _live(arguments: argparse.Namespace) -> int:
    from her2scope.app.window import LiveRequest, run_live

    return run_live(
        LiveRequest(
            source=arguments.source, calibration=arguments.calibration, objective=arguments.objective,
            um_per_px=arguments.um_per_px, settings=arguments.settings, method=arguments.method,
            case_id=arguments.case, size_wh=arguments.size,
        )
    )  # fmt: skip


def _demo(arguments: argparse.Namespace) -> int:
    from her2scope.app.demo import DemoRequest, run_demo

    return run_demo(DemoRequest(arguments.headless, arguments.out, arguments.score, arguments.seed, arguments.fields))


def _score(arguments: argparse.Namespace) -> int:
    from her2scope.app.scoring import ScoreRequest, score_images

    answer = score_images(
        ScoreRequest(
            images=arguments.images, um_per_px=arguments.um_per_px, controls=arguments.control,
            control_um_per_px=arguments.control_um_per_px, calibration=arguments.calibration,
            settings=arguments.settings, guideline=arguments.guideline, method=arguments.method,
            json_path=arguments.json, overlay_dir=arguments.overlay_dir, mask_dir=arguments.mask_dir,
        )
    )  # fmt: skip
    return _print(answer.lines, NEGATIVE if answer.control_invalid else DONE)


def _control_check(arguments: argparse.Namespace) -> int:
    from her2scope.app.scoring import ControlRequest, check_control

    sufficient, lines = check_control(
        ControlRequest(
            images=arguments.images, um_per_px=arguments.um_per_px, expected=arguments.expect, lot=arguments.lot,
            calibration=arguments.calibration, settings=arguments.settings, method=arguments.method,
            json_path=arguments.json,
        )
    )  # fmt: skip
    return _print(lines, DONE if sufficient else NEGATIVE)


def _phantom_render(arguments: argparse.Namespace) -> int:
    from her2scope.phantom.field import render_fields

    written = render_fields(
        out_dir=arguments.out, n=arguments.fields, score=arguments.score, seed=arguments.seed,
        size_wh=arguments.size, um_per_px=arguments.um_per_px, difficulty=arguments.difficulty,
        stainer=arguments.stainer, camera=arguments.camera, damage=arguments.damage,
    )  # fmt: skip
    return _print([f"{len(written)} fields written to {arguments.out}"])


def _doctor(arguments: argparse.Namespace) -> int:
    from her2scope.app.doctor import examine
    from her2scope.app.outputs import check_outputs

    check_outputs([arguments.json] if arguments.json else [], [])
    healthy, lines = examine(arguments.json)
    return _print(lines, DONE if healthy else NEGATIVE)


def _print(lines: Sequence[str], exit_code: int = DONE) -> int:
    print("\n".join(map(_one_line, lines)))
    return exit_code


# ---- parser -------------------------------------------------------------------------------------------------------


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and 16 <= int(width) <= 20000 and 16 <= int(height) <= 20000):
        raise argparse.ArgumentTypeError(f"'{text}' is not a size. Give WIDTHxHEIGHT in pixels, such as 1280x720.")
    return int(width), int(height)


def _scale(text: str) -> float:
    from her2scope.domain.units import checked_um_per_px

    try:
        return checked_um_per_px(float(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number. Give micrometres per pixel.") from None
    except BadInputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100_000:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of fields. Give 1 or more.")
    return int(text)


class _OneLineParser(argparse.ArgumentParser):
    """Wrong use is one line, not a page of usage."""

    def error(self, message: str) -> None:  # type: ignore[override]
        """Say what is wrong and where help is."""
        self.exit(WRONG_USE, f"her2scope: {_one_line(message)} (see '{self.prog} --help')\n")


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.command and argv[0] != arguments.command:
        # they would be the window's, and the command would not see them
        parser.error(f"options stand after the command: her2scope {arguments.command} {argv[0]} ...")
    return arguments


def _parser() -> argparse.ArgumentParser:
    parser = _OneLineParser(
        prog="her2scope",
        description="HER2 scoring beside the microscope. Without a command: the live window. Research use only.",
    )
    parser.add_argument("--version", action="version", version=f"her2scope {__version__}")
    _add_live(parser)
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", parser_class=_OneLineParser)
    _add_demo(commands)
    _add_score(commands)
    _add_control(commands)
    _add_phantom(commands)
    doctor = commands.add_parser("doctor", help="check what this computer has: one page to send when asking for help")
    doctor.add_argument("--json", type=Path, metavar="FILE", help="write the same as JSON")
    doctor.set_defaults(run=_doctor)
    return parser


def _add_live(parser: argparse.ArgumentParser) -> None:
    live = parser.add_argument_group("live window")
    live.add_argument("--source", default="phantom:", metavar="URI", help="phantom:, camera:N, images:DIR, video:FILE")
    live.add_argument("--objective", metavar="NAME", help="objective in the light path, as the calibration names it")
    live.add_argument("--size", type=_size, metavar="WxH", help="picture size, where the source can choose")
    live.add_argument("--case", metavar="ID", help="start or resume the case of this id")
    _add_scale(live, required=False)
    _add_how(live)
    parser.set_defaults(run=_live)


def _add_scale(parser: argparse._ArgumentGroup | argparse.ArgumentParser, required: bool) -> None:
    parser.add_argument(
        "--um-per-px", type=_scale, required=required, metavar="X", help="size of a pixel in um (40x: about 0.25)"
    )


def _add_how(parser: argparse._ArgumentGroup | argparse.ArgumentParser) -> None:
    """Options that decide how a picture is read."""
    parser.add_argument("--calibration", type=Path, metavar="FILE", help="the microscope's calibration (YAML)")
    parser.add_argument("--settings", type=Path, metavar="FILE", help="scoring settings (YAML)")
    parser.add_argument("--method", metavar="NAME", help="closed-contours (default); the network is not available yet")


def _add_demo(commands: argparse._SubParsersAction[_OneLineParser]) -> None:
    demo = commands.add_parser("demo", help="the whole job on the phantom microscope: control, fields, score, report")
    demo.add_argument("--headless", action="store_true", help="without a window")
    demo.add_argument("--out", type=Path, metavar="DIR", help="folder of the report")
    demo.add_argument("--score", default="2+", choices=_PHANTOM_SCORES, help="what the phantom slide is (default 2+)")
    demo.add_argument("--seed", type=int, default=1, metavar="S", help="another slide, another run")
    demo.add_argument("--fields", type=_count, default=4, metavar="N", help="fields to accept (default 4)")
    demo.set_defaults(run=_demo)


_PHANTOM_SCORES = ("0", "ultralow", "1+", "2+", "3+", "mixed")


def _add_score(commands: argparse._SubParsersAction[_OneLineParser]) -> None:
    score = commands.add_parser("score", help="score images as the fields of one case")
    score.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    _add_scale(score, required=True)
    score.add_argument("--control", action="append", default=[], type=Path, metavar="IMAGE", help="a 3+ control field")
    score.add_argument("--control-um-per-px", type=_scale, metavar="X", help="its pixel size, if another")
    score.add_argument("--guideline", metavar="NAME", help="breast-2023 (default)")
    score.add_argument("--json", type=Path, metavar="FILE", help="write the result as JSON (her2scope.score/1)")
    score.add_argument("--overlay-dir", type=Path, metavar="DIR", help="write each field with its overlay")
    score.add_argument("--mask-dir", type=Path, metavar="DIR", help="write membrane and cell masks")
    _add_how(score)
    score.set_defaults(run=_score)


def _add_control(commands: argparse._SubParsersAction[_OneLineParser]) -> None:
    control = commands.add_parser("control", help="check a control")
    actions = control.add_subparsers(title="actions", metavar="ACTION", required=True, parser_class=_OneLineParser)
    check = actions.add_parser("check", help="is this control of known score sufficient? (exit 1: invalid)")
    check.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    _add_scale(check, required=True)
    check.add_argument("--expect", required=True, choices=("0", "1+", "2+", "3+"), help="known score of the control")
    check.add_argument("--lot", default="", metavar="L", help="antibody lot")
    check.add_argument("--json", type=Path, metavar="FILE", help="write the result as JSON (her2scope.control/1)")
    _add_how(check)
    check.set_defaults(run=_control_check)


def _add_phantom(commands: argparse._SubParsersAction[_OneLineParser]) -> None:
    phantom = commands.add_parser("phantom", help="draw synthetic HER2 fields of which every cell's truth is known")
    actions = phantom.add_subparsers(title="actions", metavar="ACTION", required=True, parser_class=_OneLineParser)
    render = actions.add_parser("render", help="write field_000.png and field_000.json, ...")
    render.add_argument("--out", type=Path, required=True, metavar="DIR")
    render.add_argument("--fields", type=_count, default=1, metavar="N")
    render.add_argument("--score", required=True, choices=_PHANTOM_SCORES)
    render.add_argument("--seed", type=int, default=0, metavar="S", help="one seed fixes one staining run")
    render.add_argument("--size", type=_size, default=(1280, 720), metavar="WxH")
    render.add_argument("--um-per-px", type=_scale, default=0.25, metavar="X")
    render.add_argument("--difficulty", default="usual", choices=("easy", "usual", "hard"))
    render.add_argument("--stainer", metavar="NAME")
    render.add_argument("--camera", metavar="NAME")
    render.add_argument("--damage", metavar="CODE", help="a control damaged as a lab would see it, such as faded")
    render.set_defaults(run=_phantom_render)
