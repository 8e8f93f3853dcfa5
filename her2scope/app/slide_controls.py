"""The controls of slides: regions of the slide itself, a slide of its own, or pictures of its fields."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from her2scope.annotations.files import read_annotations
from her2scope.cameras.slide_readers import open_slide, scanned_corner_px
from her2scope.domain.errors import BadInputError
from her2scope.domain.guideline import SCORES, Score
from her2scope.imaging.files import read_rgb
from her2scope.phantom.slide_file import phantom_stem
from her2scope.pipeline.analyse import FieldAnalyser
from her2scope.pipeline.control import ANCHOR_LEVEL, latest_of
from her2scope.ports import SlideReader
from her2scope.records import CameraState, ControlReading, Frame
from her2scope.settings import Vector
from her2scope.slides.records import Square, Survey
from her2scope.slides.slide_control import (
    ControlTissue,
    LevelFields,
    controlled,
    held_against,
    read_levels,
    tissue_frames,
    unreadable_levels,
    with_white,
)
from her2scope.slides.slide_regions import SlideRegions, control_slide_regions, outlines_of
from her2scope.slides.slide_score import Controlled
from her2scope.slides.survey import survey

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
"""Of pictures of a control's fields; any other file is a slide."""


class ControlFileError(BadInputError):
    """A control that was given for all slides cannot be read: none of them can be scored with it."""


class Controls:
    """Controls that were given for all slides of a run, and the control regions of each.

    Parameters
    ----------
    analyser : without the white of any slide
    given : level and file, in the order of the command line
    um_per_px : of the given files; None: what the slides tell
    outlines : folder that may hold outlines of a control slide, too: its tissue of a level is then what they say
    leave_out : classes of those outlines that are left out, beside those that say so by their names
    scored : slides of the run: the tissue of a case is no control of itself
    opened : opens a control slide
    """

    def __init__(
        self,
        analyser: FieldAnalyser,
        given: Sequence[tuple[Score, Path]],
        um_per_px: float | None = None,
        outlines: Path | None = None,
        leave_out: Sequence[str] = (),
        scored: Sequence[Path] = (),
        opened: Callable[[Path], SlideReader] = open_slide,
    ) -> None:
        self._analyser, self._um_per_px, self._scored, self._opened = analyser, um_per_px, scored, opened
        self._outlines = outlines if outlines is not None and outlines.is_dir() else None
        self._leave_out = leave_out
        self._given: dict[Score, list[Path]] = {}
        for level, path in given:
            self._given.setdefault(level, []).append(path)
        self._check()
        self._read: tuple[tuple[ControlReading, ...], Vector | None] | None = None

    def of_slide(self, reader: SlideReader, found: Survey, regions: SlideRegions) -> tuple[Controlled, tuple[str, ...]]:
        """What the controls say of a slide, and what else is to be known of them, in words.

        Control regions of the slide itself go before a control slide of the same level.
        """
        with ExitStack() as opened:
            if regions.controls:
                levels = {**self._levels(opened, without=regions.controls), **self._own(reader, found, regions)}
                readings = read_levels(self._analyser, levels)
                own_anchor = ANCHOR_LEVEL in regions.controls or ANCHOR_LEVEL not in levels
                white = None if own_anchor else _white_of(readings, levels[ANCHOR_LEVEL])
                asked: Sequence[Score] = list(levels)
            else:
                readings, white = self._readings(opened)
                asked = list(self._given)
        most_drift = self._analyser.settings.quality.max_white_drift
        held = held_against(controlled(self._analyser, readings), found, white, most_drift)
        return held, unreadable_levels(asked, readings)

    def _check(self) -> None:
        for level, paths in self._given.items():
            if level not in SCORES:
                raise BadInputError(f"a control has a level of {', '.join(SCORES)}, not '{level}'.")
            slides = [path for path in paths if not _is_picture(path)]
            if slides and len(paths) > 1:
                raise BadInputError(f"{slides[0]}: the {level} control is one slide, or pictures of its fields.")
            if not slides and self._um_per_px is None:
                raise BadInputError(f"{paths[0]}: a picture does not tell its pixel size. Give --control-um-per-px.")
            for path in paths:
                if not path.is_file():
                    raise BadInputError(f"{path}: no such control. Check the path.")

    def _readings(self, opened: ExitStack) -> tuple[tuple[ControlReading, ...], Vector | None]:
        """Readings of the given controls: they are the same for all slides, and read once."""
        if self._read is None:
            levels = self._levels(opened, without={})
            anchor = levels.get(ANCHOR_LEVEL)
            readings = read_levels(self._analyser, levels)
            self._read = readings, _white_of(readings, anchor) if anchor else None
        return self._read

    def _levels(self, opened: ExitStack, without: Mapping[Score, object]) -> dict[Score, LevelFields]:
        return {level: self._fields(level, opened) for level in self._given if level not in without}

    def _fields(self, level: Score, opened: ExitStack) -> LevelFields:
        paths = self._given[level]
        if _is_picture(paths[0]):
            return LevelFields(self._analyser, self._pictures(paths), by_hand=True)
        try:
            return self._of_tissue(self._tissue(level, paths[0], opened))
        except BadInputError as error:
            raise ControlFileError(str(error)) from error

    def _tissue(self, level: Score, path: Path, opened: ExitStack) -> ControlTissue:
        """Tissue of a level on a control slide: where its outlines say so, else all of it."""
        reader = self._opened(path)
        opened.callback(reader.close)
        regions = outlined_regions(path, reader, self._outlines, self._leave_out)
        found = survey(reader, path, self._analyser.calibration, self._um_per_px, exclude=regions.exclude)
        if found.refusals:
            raise BadInputError(f"{path}: no control can be read from it: {found.refusals[0]}.")
        polygons = regions.controls.get(level, ())
        if regions.controls and not polygons:
            raise BadInputError(
                f"{path}: its outlines name the controls {', '.join(sorted(regions.controls))}, and none of {level}. "
                f"Outline 'control {level}' on it, or give another slide."
            )
        if not polygons and any(_is_same(path, slide) for slide in self._scored):
            raise BadInputError(
                f"{path}: this slide is scored itself, and cannot be its own control. Outline its control tissue "
                f"('control {level}') in a folder of --annotations."
            )
        return ControlTissue(level, reader, found, path.name, polygons)

    def _own(self, reader: SlideReader, found: Survey, regions: SlideRegions) -> dict[Score, LevelFields]:
        name = found.path.name
        return {
            level: self._of_tissue(
                ControlTissue(level, reader, found, f"{name}, {level} control", polygons, Square.CONTROL)
            )
            for level, polygons in regions.controls.items()
        }

    def _of_tissue(self, tissue: ControlTissue) -> LevelFields:
        base, white = self._analyser, tissue.survey.white_rgb
        analyser = FieldAnalyser(base.segmenter, base.settings, with_white(base.calibration, white))
        return LevelFields(analyser, tissue_frames(tissue, base.calibration.response), white_rgb=white)

    def _pictures(self, paths: Sequence[Path]) -> Iterator[Frame]:
        for index, path in enumerate(paths):
            camera = CameraState(response=self._analyser.calibration.response)
            try:
                rgb = read_rgb(path)
            except BadInputError as error:
                raise ControlFileError(str(error)) from error
            yield Frame(rgb, index, 0.0, self._um_per_px or 0.0, camera, str(path.name))


def _white_of(readings: Sequence[ControlReading], anchor: LevelFields) -> Vector | None:
    """White that the 3+ level was seen in: of its slide, else of the clear parts of its picture; None if unknown."""
    if anchor.white_rgb is not None:
        return anchor.white_rgb
    reading = latest_of(readings, ANCHOR_LEVEL)
    return None if reading is None else reading.result.clear_white_rgb


def outlined_regions(
    path: Path, reader: SlideReader, outlines: Path | None, leave_out: Sequence[str] = ()
) -> SlideRegions:
    """Outlines of a slide by their use, where there is a file of its name; all that is not named is left aside."""
    file = outlines_of(phantom_stem(path), outlines)
    if file is None:
        return SlideRegions()
    full = reader.levels[0]
    size_wh = full.width_px, full.height_px
    return control_slide_regions(read_annotations(file, size_wh, asap_corner_px=scanned_corner_px(path)), leave_out)


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURE_SUFFIXES


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:  # a slide that is not there is told in its turn
        return False
