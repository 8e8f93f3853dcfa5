"""Files are written whole or not at all."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
from pathlib import Path
from typing import Any

import factories
import numpy as np
import pytest
from reporting import busy_case

from her2scope.domain.cells import CellClass
from her2scope.domain.errors import DiskFullError, NotAvailableError, StoreError
from her2scope.imaging.opencv import cv2
from her2scope.ports import ReportWriter
from her2scope.reporting.csv_report import COLUMNS, CsvReport
from her2scope.reporting.files import write_aside
from her2scope.reporting.html_report import HtmlReport
from her2scope.reporting.images import at_most, data_uri, jpeg, png
from her2scope.reporting.write import KINDS, write_report, writers

CONTENT = factories.report_content()


def test_a_report_is_three_files(tmp_path: Path) -> None:
    paths = write_report(CONTENT, tmp_path / "new" / "folder")
    assert [path.name for path in paths] == ["report.pdf", "report.html", "report.json"]
    assert sorted(path.name for path in paths[0].parent.iterdir()) == ["report.html", "report.json", "report.pdf"]
    assert paths[0].read_bytes().startswith(b"%PDF-")
    assert json.loads(paths[2].read_text(encoding="utf-8"))["schema"] == "her2scope.score/1"


@pytest.mark.parametrize("kind", writers())
def test_each_writer_writes_what_it_renders(kind: str, tmp_path: Path) -> None:
    writer = writers()[kind]
    as_port: ReportWriter = writer
    as_port.write(CONTENT, tmp_path / f"case{writer.suffix}")
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [f"case.{kind}"]
    assert (tmp_path / f"case.{kind}").read_bytes() == writer.render(CONTENT)


def test_geojson_is_a_file_and_a_picture_for_each_field(tmp_path: Path) -> None:
    content = factories.report_content(factories.case_view([factories.equivocal_field()] * 2))
    paths = write_report(content, tmp_path, kinds=("geojson", "csv", "csv"))
    names = [path.name for path in paths]
    assert names == [
        "report-field-001.geojson", "report-field-001.png", "report-field-002.geojson", "report-field-002.png",
        "report.csv",
    ]  # fmt: skip
    picture = cv2.imread(str(paths[1]), cv2.IMREAD_COLOR)[..., ::-1]
    np.testing.assert_array_equal(picture, content.case.fields[0].result.frame.rgb)


def test_an_unknown_kind_is_named_and_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(NotAvailableError, match="kind of report 'docx' is not available. Available: pdf, html, json"):
        write_report(CONTENT, tmp_path / "out", kinds=("json", "docx"))
    assert not (tmp_path / "out").exists()


def test_two_runs_of_the_same_case_give_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write_report(factories.report_content(busy_case.busy_view()), tmp_path / folder, kinds=KINDS)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert len(files) == 4 + 2 * 4
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_a_fault_in_one_report_writes_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bytes:
        raise RuntimeError("broken")

    monkeypatch.setattr(HtmlReport, "render", fail)
    with pytest.raises(RuntimeError, match="broken"):
        write_report(CONTENT, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_older_report_stays_whole_when_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(b"old")

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DiskFullError, match="the disk is full"):
        write_aside(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.glob("*.part")) == []


def test_two_programs_may_write_one_report_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, flushed = tmp_path / "report.json", os.fsync

    def other_program(descriptor: int) -> None:
        monkeypatch.setattr("os.fsync", flushed)
        write_aside(path, b"theirs")
        flushed(descriptor)

    monkeypatch.setattr("os.fsync", other_program)
    write_aside(path, b"ours")
    assert path.read_bytes() == b"ours" and list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="cannot be written .* Choose another folder"):
        write_aside(tmp_path / "file" / "report.json", b"new")


def rows_of(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def test_the_csv_has_a_row_for_every_cell() -> None:
    rows = rows_of(CsvReport().render(CONTENT))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 129
    assert rows[0]["class"] == "complete_intense"
    assert (rows[-1]["kind"], rows[-1]["class"], rows[-1]["counted"]) == ("other", "", "false")
    assert sum(row["counted"] == "true" for row in rows) == CONTENT.case.score.counts.n_tumour


def test_the_csv_marks_what_is_not_counted_and_leaves_removed_fields_out() -> None:
    cells = [factories.cell(CellClass.NONE), factories.cell(CellClass.NONE, edge=True), factories.cell(CellClass.NONE)]
    kept = factories.accepted(factories.field_result(cells, name='=1+1,"a"'), 1, seen_before=(2,))
    removed = factories.accepted(factories.field_result(cells), 2, active=False)
    rows = rows_of(CsvReport().render(factories.report_content(factories.case_view([kept, removed]))))
    assert [row["counted"] for row in rows] == ["true", "false", "false"]
    assert [row["edge"] for row in rows] == ["false", "true", "false"]
    assert rows[0]["image"] == '\'=1+1,"a"'


def test_the_csv_tells_what_the_reader_made_of_a_cell() -> None:
    rows = rows_of(CsvReport().render(factories.report_content(busy_case.busy_view())))
    second = [row for row in rows if row["field"] == "2"]
    told = [(row["class_as_read"], row["correction"], row["class"], row["standing"], row["counted"]) for row in second]
    assert told[0] == ("complete_intense", "complete_moderate", "complete_moderate", "counted", "true")
    assert told[2] == ("complete_intense", "excluded", "complete_intense", "excluded", "false")
    assert told[3] == ("complete_intense", "not_tumour", "", "counted", "false")
    assert told[4] == ("complete_intense", "", "complete_intense", "counted", "true")
    assert {row["standing"] for row in rows if row["field"] == "1"} == {"counted", "normal_duct"}


def test_pictures_shrink_but_never_grow() -> None:
    rgb = np.zeros((30, 100, 3), np.uint8)
    assert at_most(rgb, 50).shape == (15, 50, 3)
    assert at_most(rgb, 200) is rgb


def test_pictures_keep_their_colours() -> None:
    rgb = np.full((8, 8, 3), (200, 40, 90), np.uint8)
    for encoded, kind in ((jpeg(rgb), "jpeg"), (png(rgb), "png")):
        back = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        np.testing.assert_allclose(back.astype(int), rgb, atol=4)
        assert data_uri(encoded).startswith(f"data:image/{kind};base64,")
