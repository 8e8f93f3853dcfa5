"""Commands about stored cases: what there is, whether it is whole, reports, bundles, signatures."""

from __future__ import annotations

import argparse
import getpass
import sys
from pathlib import Path

from her2scope.cli.arguments import DONE, NEGATIVE, OneLineParser, count, say
from her2scope.domain.errors import BadInputError

KINDS = ("pdf", "html", "json", "csv", "geojson")
USUAL_KINDS = "pdf,html,json"
ID_HELP = "name of a case, as 'her2scope session list' shows it"


def add_session(commands: argparse._SubParsersAction[OneLineParser]) -> None:
    """Add `session` and its actions."""
    session = commands.add_parser("session", help="stored cases: list, show, report, export, verify, sign")
    actions = session.add_subparsers(title="actions", metavar="ACTION", required=True, parser_class=OneLineParser)
    _add_list(actions)
    _add_show(actions)
    _add_report(actions)
    _add_export(actions)
    _add_restore(actions)
    _add_verify(actions)
    _add_signing(actions)


def _add_case(command: OneLineParser) -> None:
    command.add_argument("case", metavar="ID", help=ID_HELP)


# ---- look ---------------------------------------------------------------------------------------------------------


def _add_list(actions: argparse._SubParsersAction[OneLineParser]) -> None:
    listing = actions.add_parser("list", help="all cases, newest first")
    listing.add_argument("--json", type=Path, metavar="FILE", help="write it as JSON (her2scope.cases/1)")
    listing.set_defaults(run=_list)


def _list(arguments: argparse.Namespace) -> int:
    from her2scope.app.session_commands import list_cases

    return say(list_cases(arguments.json))


def _add_show(actions: argparse._SubParsersAction[OneLineParser]) -> None:
    show = actions.add_parser("show", help="one case: score, state, signatures, control, fields")
    _add_case(show)
    show.add_argument("--json", type=Path, metavar="FILE", help="write it as JSON (her2scope.case/1)")
    show.set_defaults(run=_show)


def _show(arguments: argparse.Namespace) -> int:
    from her2scope.app.session_commands import show_case

    return say(show_case(arguments.case, arguments.json))


def _add_report(actions: argparse._SubParsersAction[OneLineParser]) -> None:
    report = actions.add_parser("report", help="write the report of a case again; with --all one table of all cases")
    report.add_argument("case", nargs="?", metavar="ID", help=ID_HELP)
    report.add_argument("--out", type=Path, metavar="DIR|FILE", help="folder; with --all a .csv, .json or .html file")
    report.add_argument(
        "--kinds", metavar="K,K", help=f"of {', '.join(KINDS)} (default {USUAL_KINDS}), with a comma between them"
    )
    report.add_argument("--version", type=count, metavar="N", help="as this version was signed (default: as it is)")
    report.add_argument("--all", action="store_true", help="one table of all cases")
    report.set_defaults(run=_report)


def _report(arguments: argparse.Namespace) -> int:
    from her2scope.app.case_reports import report_all, report_case
    from her2scope.app.session_commands import case_folder

    if arguments.all:
        if arguments.case or arguments.version or arguments.kinds:
            raise BadInputError("--all makes one table of all cases: leave out ID, --version and --kinds.")
        if arguments.out is None:
            raise BadInputError("--all needs --out FILE.csv, FILE.json or FILE.html.")
        complete, lines = report_all(arguments.out)
        return say(lines, DONE if complete else NEGATIVE)
    if arguments.case is None:
        raise BadInputError("which case? Give its ID ('her2scope session list' names them), or --all.")
    case_folder(arguments.case)
    return say(report_case(arguments.case, arguments.out, _kinds(arguments.kinds or USUAL_KINDS), arguments.version))


def _kinds(text: str) -> list[str]:
    kinds = [kind.strip().lower() for kind in text.split(",")]
    wrong = next((kind for kind in kinds if kind not in KINDS), None)
    if wrong is not None:
        raise BadInputError(f"--kinds: '{wrong}' is no kind of report. Use {', '.join(KINDS)}, with a comma between.")
    return list(dict.fromkeys(kinds))


# ---- keep ---------------------------------------------------------------------------------------------------------


def _add_export(actions: argparse._SubParsersAction[OneLineParser]) -> None:
    export = actions.add_parser("export", help="a case as one zip that verifies itself")
    _add_case(export)
    export.add_argument("--bundle", type=Path, required=True, metavar="FILE.zip", help="file to write; it must be new")
    export.set_defaults(run=_export)


def _export(arguments: argparse.Namespace) -> int:
    from her2scope.app.session_commands import export_case

    return say(export_case(arguments.case, arguments.bundle))


def _add_restore(actions: argparse._SubParsersAction[OneLineParser]) -> None:
    restore = actions.add_parser("restore", help="bring back the case of a bundle")
    restore.add_argument("bundle", type=Path, metavar="FILE.zip", help="a bundle, as 'session export' writes it")
    restore.add_argument("--as", dest="case", metavar="ID", help="name of the case here (default: as it was)")
    restore.set_defaults(run=_restore)


def _restore(arguments: argparse.Namespace) -> int:
    from her2scope.app.session_commands import restore_case

    return say(restore_case(arguments.bundle, arguments.case))


def _add_verify(actions: argparse._SubParsersAction[OneLineParser]) -> None:
    verify = actions.add_parser("verify", help="is a case what was written? (exit 1: something is not)")
    verify.add_argument(
        "cases", nargs="*", metavar="ID|FOLDER|FILE.zip", help="a stored case, a copy of its folder, or a bundle"
    )
    verify.add_argument("--all", action="store_true", help="every stored case")
    verify.add_argument(
        "--head",
        action="append",
        default=[],
        metavar="HEX",
        help="the chain head that a report prints; may be repeated",
    )
    verify.add_argument("--json", type=Path, metavar="FILE", help="write it as JSON (her2scope.verification/1)")
    verify.set_defaults(run=_verify)


def _verify(arguments: argparse.Namespace) -> int:
    from her2scope.app.session_commands import VerifyRequest, verify_cases

    sound, lines = verify_cases(VerifyRequest(arguments.cases, arguments.all, arguments.head, arguments.json))
    return say(lines, DONE if sound else NEGATIVE)


# ---- sign ---------------------------------------------------------------------------------------------------------


def _add_signing(actions: argparse._SubParsersAction[OneLineParser]) -> None:
    sign = actions.add_parser("sign", help="sign a case in review (the PIN is asked, or read from standard input)")
    _add_case(sign)
    sign.add_argument("--name", required=True, help="your name, as enrolled")
    sign.add_argument(
        "--looked-at-fields", action="store_true", help="I have looked at the annotated fields (needed to sign)"
    )
    sign.set_defaults(run=_sign)
    amend = actions.add_parser("amend", help="open a signed case again, as its next version")
    _add_case(amend)
    amend.add_argument("--name", required=True, help="your name, as enrolled")
    amend.add_argument("--reason", required=True, metavar="TEXT", help="why; it stands in the record and the report")
    amend.set_defaults(run=_amend)
    reopen = actions.add_parser("reopen", help="from review back to reading, before any signature")
    _add_case(reopen)
    reopen.add_argument("--reason", required=True, metavar="TEXT", help="why; it stands in the record")
    reopen.set_defaults(run=_reopen)
    enrol = actions.add_parser("enrol", help="a new signer and their PIN")
    enrol.add_argument("name", metavar="NAME", help="as it should stand in reports")
    enrol.set_defaults(run=_enrol)
    change = actions.add_parser(
        "change-pin", help="another PIN for a signer (asked: the present one, then the new one)"
    )
    change.add_argument("name", metavar="NAME", help="as enrolled")
    change.set_defaults(run=_change_pin)


def _sign(arguments: argparse.Namespace) -> int:
    from her2scope.app import sign_off
    from her2scope.app.session_commands import case_folder

    case_folder(arguments.case)
    if not arguments.looked_at_fields:
        raise BadInputError("look at the annotated fields, in the window or the report, then add --looked-at-fields.")
    return say(sign_off.sign(arguments.case, arguments.name, _pin(), arguments.looked_at_fields))


def _amend(arguments: argparse.Namespace) -> int:
    from her2scope.app import sign_off
    from her2scope.app.session_commands import case_folder

    case_folder(arguments.case)
    return say(sign_off.amend(arguments.case, arguments.name, _pin(), arguments.reason))


def _reopen(arguments: argparse.Namespace) -> int:
    from her2scope.app import sign_off
    from her2scope.app.session_commands import case_folder

    case_folder(arguments.case)
    return say(sign_off.reopen(arguments.case, arguments.reason))


def _enrol(arguments: argparse.Namespace) -> int:
    from her2scope.app import sign_off

    return say(sign_off.enrol(arguments.name, _new_pin()))


def _change_pin(arguments: argparse.Namespace) -> int:
    from her2scope.app import sign_off

    return say(sign_off.change_pin(arguments.name, _pin(), _new_pin()))


def _pin(prompt: str = "PIN: ") -> str:
    """A PIN, typed unseen, or one line of standard input; never an argument, which others could see."""
    if sys.stdin is not None and sys.stdin.isatty():
        return getpass.getpass(prompt)
    line = sys.stdin.readline() if sys.stdin is not None else ""
    if not line:
        raise BadInputError("no PIN was given. Run this in a terminal, or send the PIN as one line of standard input.")
    return line.rstrip("\r\n")


def _new_pin() -> str:
    """A PIN, typed twice where somebody types it."""
    pin = _pin("New PIN: ")
    if sys.stdin is not None and sys.stdin.isatty() and getpass.getpass("The same again: ") != pin:
        raise BadInputError("the two PINs differ. Nothing was changed; begin again.")
    return pin
