from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import scored_slides as slides

from her2scope.cli import main
from her2scope.cli.slides import exit_code, slide_options
from her2scope.domain.cells import CellClass
from her2scope.slides.progress import ProgressLine
from her2scope.slides.records import SlideOutcome


def outcome(kind: str) -> SlideOutcome:
    path = Path(f"{kind}.svs")
    if kind == "unreadable":
        return SlideOutcome(path, None, None, "damaged")
    controlled = slides.INVALID if kind == "invalid" else slides.VALID
    score, _ = slides.scored({CellClass.NONE: 40 if kind == "few" else 500}, controlled)
    return SlideOutcome(path, score, Path("out"), "insufficient" if kind == "few" else "")


@pytest.mark.parametrize(
    ("kinds", "code"),
    [
        (("good", "good"), 0),
        (("good", "few"), 1),
        (("good", "invalid"), 1),
        (("good", "unreadable"), 1),
        (("few", "unreadable"), 1),
        (("unreadable",), 2),
        (("unreadable", "unreadable"), 2),
    ],
)
def test_exit_codes(kinds: tuple[str, ...], code: int) -> None:
    assert exit_code([outcome(kind) for kind in kinds]) == code


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["a.svs"], "--out"),
        (["a.svs", "--out", "OUT", "--control-level", "4+", "b.svs"], "no such level"),
        (["a.svs", "b/a.tif", "--out", "OUT"], "two slides are named 'a'"),
        (["a.svs", "--out", "OUT", "--scheduler", "carrier pigeon"], "carrier pigeon"),
        (["a.svs", "--out", "OUT", "--guideline", "gastric"], "gastric"),
        (["a.svs", "--out", "OUT", "--um-per-px", "250"], "250"),
        (["a.svs", "--out", "OUT", "--workers", "1", "--region-model", "none"], "none"),
    ],
)
def test_wrong_use_is_one_line(
    options: list[str], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        code = main(["slides", "score", *options])
    except SystemExit as left:
        code = left.code
    told = capsys.readouterr()
    assert code == 2
    assert told.err.count("\n") == 1 and why in told.err and "Traceback" not in told.err


def test_a_slide_that_is_not_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["slides", "score", str(tmp_path / "absent.svs"), "--out", str(tmp_path / "out"), "--workers", "1"])
    told = capsys.readouterr()
    assert code == 2 and told.err.count("\n") == 1 and "absent.svs: no such slide file" in told.err
    assert "absent.svs,absent,,,," in (tmp_path / "out" / "slides.csv").read_text()


def test_options_are_those_of_the_request() -> None:
    from her2scope.app.slides import SlidesRequest
    from her2scope.cli import _parser

    parsed = _parser().parse_args(
        ["slides", "score", "a.svs", "--out", "out", "--control", "c.svs", "--control-level", "0", "n.svs",
         "--count-in", "tumour", "--leave-out", "Fat", "--tile-px", "1024", "--workers", "3", "--annotations", "a.xml"]
    )  # fmt: skip
    request = SlidesRequest(parsed.slides, parsed.out, **slide_options(parsed))
    assert (request.controls, request.lower_controls) == ((Path("c.svs"),), (("0", Path("n.svs")),))
    assert (request.count_in, request.leave_out, request.tile_px, request.workers) == (("tumour",), ("Fat",), 1024, 3)
    plain = SlidesRequest([Path("a.svs")], Path("out"))
    untouched = slide_options(_parser().parse_args(["slides", "score", "a.svs", "--out", "out"]))
    assert dataclasses.replace(plain, **untouched) == plain


@pytest.mark.parametrize("side", ["3", "100000", "wide"])
def test_a_tile_of_no_use_is_refused_before_any_slide(
    side: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["slides", "score", "a.svs", "--out", str(tmp_path / "out"), "--tile-px", side])
    said = capsys.readouterr()
    assert ended.value.code == 2 and said.err.count("\n") == 1 and not said.out and not (tmp_path / "out").exists()


def test_a_contest_shows_how_far_it_has_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real slide takes long: `contest submit` has the line of `slides score`."""
    asked: list[object] = []

    def submit(request: object, told: object, bar: object) -> list[str]:
        asked.append(bar)
        return ["1 case written"]

    monkeypatch.setattr("her2scope.app.contest.submit", submit)
    assert main(["contest", "submit", str(tmp_path), "--out", str(tmp_path / "answers.csv")]) == 0
    assert isinstance(asked[0], ProgressLine)
