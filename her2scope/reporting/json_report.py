"""The report for other programs."""

from __future__ import annotations

import json
from pathlib import Path

from her2scope.ports import JsonObject
from her2scope.records import ReportContent
from her2scope.reporting.content import report_json
from her2scope.reporting.files import write_aside


def write_json(data: JsonObject, path: Path) -> None:
    """Write JSON values to a file, aside and then renamed."""
    write_aside(path, json_bytes(data))


def json_bytes(data: JsonObject) -> bytes:
    """Bytes of a JSON file; the same values give the same bytes."""
    text = json.dumps(data, indent=1, allow_nan=False, ensure_ascii=False)
    # A lone surrogate in a file name (undecodable on disk) must not lose the report.
    return (text + "\n").encode("utf-8", errors="replace")


class JsonReport:
    """Writes `her2scope.score/1`."""

    suffix = ".json"

    def render(self, content: ReportContent) -> bytes:
        """Bytes of the file; the same case gives the same bytes."""
        return json_bytes(report_json(content))

    def write(self, content: ReportContent, path: Path) -> None:
        """Write the report to `path`."""
        write_aside(path, self.render(content))
