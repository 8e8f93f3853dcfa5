"""Which benchmarks there are, and what is said around each: the machine above, the JSON file beside."""

from __future__ import annotations

from importlib import import_module

from her2scope.app.bench.machine import machine_facts, machine_lines
from her2scope.app.bench.request import BenchReport, BenchRequest
from her2scope.app.outputs import check_outputs, write_all
from her2scope.domain.errors import BadInputError
from her2scope.reporting.json_report import json_bytes

BENCHES = ("live", "stages", "startup", "memory", "cells", "peers")
"""Each is `bench_NAME` of the module of its name."""
OF_ANY_SOURCE = ("live", "startup", "memory")
"""The others measure phantom fields."""
PHANTOM = "phantom:"
SCHEMA = "her2scope.bench/1"


def run_bench(request: BenchRequest) -> BenchReport:
    """Measure, write the JSON file where one is wanted, and give the lines to print."""
    _refuse_unused(request)
    outputs = [request.json_path] if request.json_path else []
    check_outputs(outputs, [path for path in (request.calibration, request.instanseg) if path])
    facts = machine_facts()
    measure = getattr(import_module(f"her2scope.app.bench.{request.what}"), f"bench_{request.what}")
    report: BenchReport = measure(request)
    content = {"schema": SCHEMA, "bench": request.what, "machine": facts, **report.figures}
    write_all({path: json_bytes(content) for path in outputs})
    return BenchReport([*machine_lines(facts), *report.lines], content, report.failed)


def _refuse_unused(request: BenchRequest) -> None:
    """BadInputError where something was asked for that this benchmark would not look at."""
    is_phantom = (request.source or PHANTOM).lower().startswith(PHANTOM)
    if not is_phantom and request.what not in OF_ANY_SOURCE:
        raise BadInputError(
            f"bench {request.what} measures phantom fields alone: --source {request.source} is of no use."
        )
    if is_phantom and request.calibration is not None:
        raise BadInputError("the phantom knows its own calibration: --calibration is for another --source.")
