"""Whole slides from the command line: each is surveyed, its control read, its tiles analysed, and its results written.

One slide that cannot be read does not stop the others. While the tiles of one are analysed, the next is prepared.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

import numpy as np

from her2scope.annotations.files import read_annotations
from her2scope.annotations.shapes import Annotations
from her2scope.app.compose import DEFAULT_METHOD, make_analyser, read_calibration, read_settings, with_material
from her2scope.app.slide_ahead import Ahead, stoppable
from her2scope.app.slide_controls import ControlFileError, Controls
from her2scope.app.slide_worker import analyse_tile, worker_program
from her2scope.app.where_to_count import asked_gate, where_words
from her2scope.cameras.slide_readers import open_slide, scanned_corner_px
from her2scope.domain.errors import BadInputError, CaseLockedError, Her2ScopeError, StoreError, UnreadableImageError
from her2scope.domain.guideline import Score
from her2scope.domain.settings_digest import settings_digest
from her2scope.phantom.slide_file import is_phantom_slide, phantom_stem
from her2scope.pipeline.plausibility import scale_doubt
from her2scope.ports import SlideReader
from her2scope.records import ProgramInfo
from her2scope.reporting.words import DRAWN_NOTE, reading_summary
from her2scope.settings import Calibration, ScoringSettings, as_mapping
from her2scope.slides.progress import ProgressLine, silent
from her2scope.slides.records import (
    NO_CELLS,
    SlideCells,
    SlideOutcome,
    SlideScore,
    Square,
    Survey,
    Tile,
    TileResult,
    TileWork,
)
from her2scope.slides.run import RunOutcome, UnfitWorkerError, run_tiles
from her2scope.slides.run_identity import slide_digest, work_digest
from her2scope.slides.schedulers import Crew, JobError, SchedulerError, open_scheduler
from her2scope.slides.seams import one_cell_each
from her2scope.slides.slide_geojson import full_um_per_px
from her2scope.slides.slide_maps import STAINING_SCALE, heat_map, tissue_map
from her2scope.slides.slide_outputs import FILES, check_folder, write_slide
from her2scope.slides.slide_pieces import pieces_doubt
from her2scope.slides.slide_places import as_cells, places_to_show
from her2scope.slides.slide_regions import SlideRegions, cells_by_outlines, outlines_of, sorted_regions
from her2scope.slides.slide_score import Controlled, Doubts, Rules, refused_slide, score_slide
from her2scope.slides.slide_table import TABLE_NAME, read_table, write_table
from her2scope.slides.slide_words import SlideContent
from her2scope.slides.survey import survey
from her2scope.slides.tile_store import TileStore
from her2scope.slides.tiles import TILE_PX, plan_tiles
from her2scope.storage.case_lock import CaseLock, lock_of_file

ANCHOR_LEVEL: Score = "3+"
"""What `--control` is: the level that anchors the intensity scale."""
TILES_FOLDER = ".tiles"
"""Within the folder of results: tiles that are done, for a run that was stopped."""
TABLE_LOCK = f"{TABLE_NAME}.lock"
"""Within it: one program at a time writes into the table."""
TIMES_CLAIMED = 10
"""So often the lock may be removed just when it is claimed; then it is believed, as on a drive that cannot tell."""
NUCLEI_ASKED = 2000
"""Nuclei by which the pixel size is judged: more would tell the same."""
Told = Callable[[str], None]
"""Takes a line that a user should read while the slides are scored."""


@dataclass(frozen=True, slots=True)
class SlidesRequest:
    """What `her2scope slides score` was asked."""

    slides: Sequence[Path]
    out: Path
    um_per_px: float | None = None
    """Of the slides' full resolution, in the place of what their files tell."""
    annotations: Path | None = None
    """Outlines of the one slide, or a folder with a file of each slide's name."""
    count_in: tuple[str, ...] = ()
    """Classes of outlines, or of the region model, in which cells are counted; none: everywhere."""
    leave_out: tuple[str, ...] = ()
    """Classes of outlines that are left out, beside those that say so by their names."""
    controls: Sequence[Path] = ()
    """The 3+ control: one slide, or pictures of its fields."""
    lower_controls: Sequence[tuple[Score, Path]] = ()
    control_um_per_px: float | None = None
    control_file: Path | None = None
    """The laboratory's controls, for their limits."""
    material: str | None = None
    calibration: Path | None = None
    settings: Path | None = None
    guideline: str | None = None
    method: str | None = None
    scheduler: str = "local"
    workers: int | None = None
    tile_px: int = TILE_PX
    region_model: Path | None = None


def score_slides(request: SlidesRequest, told: Told, bar: ProgressLine | None = None) -> tuple[SlideOutcome, ...]:
    """Score slides one after the other and write the results of each as soon as they are there.

    What can be done of a slide without the crew is done while the crew has the tiles of the one before it. What there
    is to tell of a slide is told, and what is wrong with it raised, in its turn.

    Parameters
    ----------
    bar : shows how far a slide has come

    Raises
    ------
    BadInputError
        If the request cannot be carried out as it is: nothing was written.
    DiskFullError, StoreError
        If results cannot be written.
    SchedulerError, UnfitWorkerError
        If there is nobody to do the work.
    KeyboardInterrupt
        With how to go on, in words. In all these cases what was done stays.
    """
    stems = _stems(request)
    settings = with_material(read_settings(request.settings), request.control_file, request.material)
    if request.guideline:
        settings = replace(settings, guideline=request.guideline)
    _check_out(request, stems)
    outcomes: list[SlideOutcome] = []
    stop = Event()
    with _no_empty_tiles(request.out):
        read_table(request.out)  # refuses one that is not this program's
        calibration = read_calibration(request.calibration)
        with open_scheduler(request.scheduler, request.workers) as crew:
            run = _Run(request, settings, calibration, crew, told, bar, stop)
            with closing(Ahead(stems.items(), run.prepared, stop)) as ahead:
                for number, (stem, path) in enumerate(stems.items(), start=1):
                    told(f"slide {number} of {len(stems)}: {path.name}")
                    outcome = run.outcome(stem, path, ahead.take, (number, len(stems)))
                    _add_line(request.out, stem, outcome)
                    outcomes.append(outcome)
                    told(_line(outcome))
    return tuple(outcomes)


@contextmanager
def _no_empty_tiles(out: Path) -> Iterator[None]:
    """Remove the folder of tiles at the end where no slide has any, as when all were refused."""
    try:
        yield
    finally:
        folder = out / TILES_FOLDER
        with suppress(OSError, CaseLockedError):  # in use: it stays
            if all(item.name == TABLE_LOCK for item in folder.iterdir()):
                lock = CaseLock(folder / TABLE_LOCK, "")
                try:  # under the lock: who waits for it finds out that it is gone
                    if lock.in_place():
                        (folder / TABLE_LOCK).unlink()
                        folder.rmdir()
                finally:
                    lock.release()


def _add_line(out: Path, stem: str, outcome: SlideOutcome) -> None:
    """Put a slide's line into the table at once: another program may write lines of other slides meanwhile."""
    lock = _table_lock(out)
    try:
        write_table(out, read_table(out), [(stem, outcome)])
    finally:
        if lock is not None:
            lock.release()


def _table_lock(out: Path) -> CaseLock | None:
    """The lock of the table; None on a drive that knows no locks."""
    folder = out / TILES_FOLDER
    for tries_left in range(TIMES_CLAIMED, 0, -1):
        try:
            folder.mkdir(exist_ok=True)
            lock = lock_of_file(folder / TABLE_NAME, "table")
        except FileNotFoundError:  # another program that came to its end removed the folder just now
            continue
        except OSError:
            return None
        if lock.in_place() or tries_left == 1:
            return lock
        lock.release()  # it was removed while it was waited for
    return None


def _line(outcome: SlideOutcome) -> str:
    if outcome.score is None or outcome.problem:
        return f"{outcome.path.name}: no score. {outcome.problem}"
    case, percent = outcome.score.case, outcome.score.complete_percent or 0.0
    standing = "reportable" if case.reportable else "not reportable"
    cells = f"{case.counts.n_tumour} tumour cells, {percent:.1f} % of them with complete membrane staining"
    return f"{outcome.path.name}: reference score {case.score}, {case.category.value}, {standing}, {cells}"


# ---- before anything is read --------------------------------------------------------------------------------------


def _stems(request: SlidesRequest) -> dict[str, Path]:
    """Slides by the name of the folder that their results go to."""
    if not request.slides:
        raise BadInputError("no slide was given.")
    found: dict[str, Path] = {}
    taken: dict[str, str] = {}
    for path in request.slides:
        stem = phantom_stem(path)
        if stem.casefold() in taken:
            raise BadInputError(f"two slides are named '{stem}': their results would overwrite each other. Rename one.")
        if stem in ("", TILES_FOLDER, TABLE_NAME):
            raise BadInputError(f"{path}: results cannot lie in a folder of this name. Rename the slide.")
        taken[stem.casefold()] = stem
        found[stem] = path
    if request.leave_out and request.annotations is None:
        raise BadInputError(f"--leave-out {request.leave_out[0]}: name the outlines, too, with --annotations.")
    if request.annotations is not None:
        if not request.annotations.exists():
            raise BadInputError(f"{request.annotations}: no such file or folder. Check --annotations.")
        if request.annotations.is_file() and len(found) > 1:
            raise BadInputError("one file of outlines for several slides: give a folder with a file for each.")
    return found


def _check_out(request: SlidesRequest, stems: Mapping[str, Path]) -> None:
    """Refuse a folder in which results would replace anything but results of the same slides."""
    out = request.out
    if out.exists() and not out.is_dir():
        raise BadInputError(f"{out}: this is a file. Give the name of a folder.")
    inputs = [Path(os.path.realpath(path)) for path in _inputs(request)]
    written = [out / TABLE_NAME, *(out / stem for stem in stems)]
    written += [out / stem / name for stem in stems for name in FILES]
    for path in written:
        if Path(os.path.realpath(path)) in inputs:
            raise BadInputError(f"{path}: this command reads this file, and would write there. Give another --out.")
    for stem, path in stems.items():
        if os.path.lexists(out / stem):
            check_folder(out / stem, _digest_of(path))
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / TILES_FOLDER
        probe.mkdir(exist_ok=True)
    except OSError as error:
        raise BadInputError(f"{out}: cannot be written ({error.strerror or error}). Give another --out.") from error


def _digest_of(path: Path) -> str | None:
    """Digest of a slide; None for one that cannot be read: that is told in its turn, and the others are scored."""
    with suppress(UnreadableImageError):
        return slide_digest(path)
    return None


def _inputs(request: SlidesRequest) -> list[Path]:
    given = [request.annotations, request.control_file, request.calibration, request.settings, request.region_model]
    controls = [path for _, path in request.lower_controls]
    return [*request.slides, *request.controls, *controls, *(path for path in given if path is not None)]


# ---- one slide after the other ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    """A slide that is surveyed and whose control is read: its tiles can be analysed."""

    path: Path
    reader: SlideReader
    identity: str
    regions: SlideRegions
    found: Survey
    notes: tuple[str, ...]
    rules: Rules
    held: Controlled | None
    """None where the survey refuses the slide."""
    missing: tuple[str, ...]
    """Controls that could not be read, in words."""
    program: ProgramInfo
    """What the control was read with."""

    def close(self) -> None:
        """Let go of the slide's file."""
        self.reader.close()


class _Run:
    """What all slides of a run share, and the way of one slide through it."""

    def __init__(
        self,
        request: SlidesRequest,
        settings: ScoringSettings,
        calibration: Calibration,
        crew: Crew,
        told: Told,
        bar: ProgressLine | None,
        stop: Event,
    ) -> None:
        # the digest knows the model; the control and the cells are found without it, and then parted by it
        # without a region model the classes named are those of outlines
        count_in = request.count_in if request.region_model else ()
        self._gated_settings, _ = asked_gate(request.region_model, count_in, settings)
        settings = replace(settings, where_to_count=None)
        self._request, self._settings, self._calibration = request, settings, calibration
        self._crew, self._told, self._bar = crew, told, bar
        self._method = request.method or DEFAULT_METHOD
        self._analyser = make_analyser(self._method, settings, calibration)
        self._program: ProgramInfo | None = None
        self._open = stoppable(open_slide, stop)
        controls = [*((ANCHOR_LEVEL, path) for path in request.controls), *request.lower_controls]
        self._controls = Controls(
            self._analyser, controls, request.control_um_per_px, request.annotations, request.leave_out,
            request.slides, self._open,
        )  # fmt: skip

    def outcome(self, stem: str, path: Path, prepared: Callable[[], _Prepared], place: tuple[int, int]) -> SlideOutcome:
        """Score a slide and write its results; what is wrong with this slide alone is its outcome.

        Parameters
        ----------
        prepared : gives what `self.prepared` made of the slide, or raises what it raised
        place : of the slide among all, from 1 on, and how many there are
        """
        folder = self._request.out / stem
        try:
            with closing(prepared()) as slide:
                score = self._scored(stem, slide, folder, place)
        except (StoreError, SchedulerError, UnfitWorkerError, ControlFileError):  # the next slide would fare no better
            raise
        except Her2ScopeError as error:
            problem = str(error).removeprefix(f"{path}: ")
            earlier = f" Results of an earlier run are in {folder.name}." if folder.is_dir() else ""
            return SlideOutcome(path, None, None, problem + earlier)
        problem = "" if score.case.score is not None else "; ".join(score.case.blocking or score.case.reasons)
        return SlideOutcome(path, score, folder, problem)

    # -- by the thread that is one slide ahead: it alone analyses fields, and tells nobody anything ------------------

    def prepared(self, item: tuple[str, Path]) -> _Prepared:
        """What the tiles of a slide wait for. For one thread at a time, which may be another than all others'.

        Parameters
        ----------
        item : name of the folder of its results, and the slide
        """
        stem, path = item
        with ExitStack() as opened:
            reader = self._open(path)
            opened.callback(reader.close)
            slide = self._surveyed(stem, path, reader)
            opened.pop_all()
        return slide

    def _surveyed(self, stem: str, path: Path, reader: SlideReader) -> _Prepared:
        identity = slide_digest(path)
        check_folder(self._request.out / stem, identity)
        regions = self._regions(stem, path, reader)
        found = survey(
            reader, path, self._calibration, self._request.um_per_px, regions.restrict, regions.exclude,
            regions.all_controls,
        )  # fmt: skip
        notes = (*((DRAWN_NOTE,) if is_phantom_slide(path) else ()), *regions.notes)
        rules = self._rules()
        held, missing = (None, ()) if found.refusals else self._controls.of_slide(reader, found, regions)
        program = self._analyser.program()
        return _Prepared(path, reader, identity, regions, found, notes, rules, held, missing, program)

    def _regions(self, stem: str, path: Path, reader: SlideReader) -> SlideRegions:
        request = self._request
        file = outlines_of(stem, request.annotations)
        full = reader.levels[0]
        size_wh = full.width_px, full.height_px
        drawn = read_annotations(file, size_wh, asap_corner_px=scanned_corner_px(path)) if file else Annotations(())
        regions = sorted_regions(drawn, request.count_in, request.leave_out, must_count_in=request.region_model is None)
        if request.annotations is None or file is not None:
            return regions
        return replace(regions, notes=(f"no outlines: {request.annotations.name} has no file of this slide's name",))

    def _rules(self) -> Rules:
        settings, segmenter = self._gated_settings, self._analyser.segmenter
        table = self._analyser.guideline
        digest = settings_digest(as_mapping(settings), segmenter.method, segmenter.model_sha256, table.name)
        return Rules(table, segmenter.false_rates, settings.min_case_cells, digest)

    # -- in the slide's turn ----------------------------------------------------------------------------------------

    def _scored(self, stem: str, slide: _Prepared, folder: Path, place: tuple[int, int]) -> SlideScore:
        if slide_digest(slide.path) != slide.identity:
            raise UnreadableImageError(
                slide.path, "it was changed since it was surveyed", "Run the same command again."
            )
        if slide.held is None:
            cells, score = NO_CELLS, refused_slide(slide.found, slide.rules, slide.program, slide.notes)
        else:
            self._tell_control(slide.held, slide.missing)
            cells, score = self._counted(stem, slide, slide.held, place)
        self._told(f"{slide.path.name}: writing {folder}")
        write_slide(folder, self._content(score, slide.identity, cells, slide.reader), cells)
        return score

    def _tell_control(self, held: Controlled, missing: Sequence[str]) -> None:
        for reading in held.readings:
            self._told(f"control: {reading_summary(reading)} {reading.verdict.status.value.capitalize()}.")
        for line in missing:
            self._told(f"control: {line}.")

    def _counted(
        self, stem: str, slide: _Prepared, held: Controlled, place: tuple[int, int]
    ) -> tuple[SlideCells, SlideScore]:
        """Analyse the tiles of a slide, and score what they hold."""
        request, where = self._request, self._gated_settings.where_to_count
        found, regions, rules = slide.found, slide.regions, slide.rules
        work = TileWork(
            found.path.absolute(), found.scale, found.white_rgb, found.white_estimated, self._calibration,
            self._settings, self._method, held.cuts, slide_sha256=slide.identity,
            model_sha256=slide.program.model_sha256,
        )  # fmt: skip
        if request.region_model is not None and where is not None:
            work = replace(
                work, region_model=request.region_model.absolute(), count_in=where.count_in,
                least_probability=where.least_probability,
            )  # fmt: skip
        program = self._worker_program(work)
        tiles = plan_tiles(found, request.tile_px)
        doubts = Doubts()
        with TileStore(request.out / TILES_FOLDER / stem, work_digest(work, tiles, program)) as store:
            ran = self._ran(work, tiles, store, found, place)
            cells = one_cell_each(_doubted(_read_back(store, tiles, ran), doubts, found), found)
        cells, near_control = cells_by_outlines(cells, regions, full_um_per_px(found.scale))
        refusals, known = doubts.told()
        refusals += found.doubts
        known += near_control
        if where is None and not regions.restrict:  # else somebody said where the case is
            refusals += pieces_doubt(cells, found.tissue, rules, found.scale.um_per_px)
        if where is not None:
            outside = int((cells.is_tumour & ~cells.within).sum())
            known += (f"{where_words(where)}: {outside} tumour cells outside are left out",)
            refusals += _outside_doubts(outside, int((cells.is_tumour & cells.within).sum()))
        return cells, score_slide(
            found, cells, held, rules, program, len(tiles), (*refusals, *self._scale_doubt(cells)),
            (*slide.notes, *slide.missing, *known, *ran.problems),
        )  # fmt: skip

    def _worker_program(self, work: TileWork) -> ProgramInfo:
        """What really does the work; the same for all slides."""
        if self._program is None:
            try:
                self._program = self._crew.ask(worker_program, work)
            except JobError as error:
                raise SchedulerError(f"{self._crew.name}: no work can be done there ({error}).") from error
        return self._program

    def _ran(
        self, work: TileWork, tiles: Sequence[Tile], store: TileStore, found: Survey, place: tuple[int, int]
    ) -> RunOutcome:
        show = self._bar.of_slide(work.path.name, *place) if self._bar is not None else silent
        try:
            ran = run_tiles(work, tiles, store, self._crew, analyse_tile, show, found.tissue)
        finally:
            if self._bar is not None:
                self._bar.end()
        for note in ran.notes:
            self._told(note)
        if ran.n_kept:
            self._told(f"{ran.n_kept} of {ran.n_tiles} tiles were done in an earlier run")
        return ran

    def _scale_doubt(self, cells: SlideCells) -> tuple[str, ...]:
        """Why the pixel size may not be right, by the nuclei."""
        rows = np.unique(np.linspace(0, max(0, len(cells) - 1), NUCLEI_ASKED).astype(np.intp))[: len(cells)]
        xy_px = np.stack([cells.x_um, cells.y_um], axis=1)
        doubt = scale_doubt(as_cells(cells, rows, xy_px, 1.0), self._analyser.segmenter.nuclear_width_um)
        return tuple(f"{text.partition(': is the')[0]}: check --um-per-px" for text in doubt)

    def _content(self, score: SlideScore, identity: str, cells: SlideCells, reader: SlideReader) -> SlideContent:
        has_cells = bool(score.squares)
        return SlideContent(
            score,
            identity,
            tuple(places_to_show(score, cells, reader, self._calibration.response)),
            heat_map(score, cells) if has_cells else None,
            heat_map(score, cells, STAINING_SCALE) if has_cells else None,
            tissue_map(score),
            as_mapping(self._gated_settings),
            as_mapping(self._calibration),
        )


def _outside_doubts(n_outside: int, n_counted: int) -> tuple[str, ...]:
    """Why a slide of which a region model leaves out most cannot be reported."""
    if n_outside <= n_counted:
        return ()
    n_all = n_outside + n_counted
    return (f"the region model leaves out {n_outside} of {n_all} tumour cells: it may not fit this tissue",)


def _read_back(store: TileStore, tiles: Sequence[Tile], ran: RunOutcome) -> Iterator[TileResult]:
    """What was found in all tiles but those that are lost; StoreError where a result that was kept is not there."""
    lost = {item.tile for item in ran.lost}
    for tile in tiles:
        if tile in lost:
            continue
        result = store.read(tile)
        if result is None:
            raise StoreError(
                f"{store.folder}: the result of tile {tile.name} was written and cannot be read any more. Check the "
                "disk and run the same command again: the others are kept."
            )
        yield result


def _doubted(results: Iterable[TileResult], doubts: Doubts, found: Survey) -> Iterator[TileResult]:
    """The results as they are, their doubts counted by the tumour cells that may count."""
    for result in results:
        cells = result.cells
        counts = cells.is_tumour & cells.within & (found.tissue.at(cells.x_um, cells.y_um) == Square.TISSUE)
        doubts.add(int(counts.sum()), result.doubts)
        yield result
