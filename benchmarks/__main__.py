"""``python -m benchmarks``: every measurement, or those named; see ``docs/performance.md``."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks import (
    cold_start,
    drain,
    end_to_end,
    floor,
    growth,
    intake,
    latency,
    profiles,
    transform,
)
from benchmarks.machine import described
from benchmarks.report import Report

MEASURES = {
    "transform": transform.measure,
    "floor": floor.measure,
    "intake": intake.measure,
    "end-to-end": end_to_end.measure,
    "drain": drain.measure,
    "latency": latency.measure,
    "growth": growth.measure,
    "cold-start": cold_start.measure,
    "profiles": profiles.measure,
}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *MEASURES], metavar="NAME")
    parser.add_argument("--runs", type=int, default=0, help="runs of each (5, or 1 when quick)")
    parser.add_argument("--quick", action="store_true", help="fewer events, one run")
    parser.add_argument("--workers", type=int, default=1, help="worker processes")
    parser.add_argument("--events", default="", help="NDJSON file (also .gz) to post instead")
    parser.add_argument(
        "--only", action="append", default=[], metavar="WHAT=A,B", help="such as shape=batch"
    )
    parser.add_argument("--json", type=Path, default=Path("benchmarks.json"), help="where to write")
    parser.add_argument("--append", action="store_true", help="add runs to those in the file")
    options = parser.parse_args()
    runs = options.runs or (1 if options.quick else 5)
    report = Report(described(), runs=runs, quick=options.quick, file=options.events)
    report.workers = options.workers
    for each in options.only:
        name, _, values = each.partition("=")
        report.choose(name, values.split(","))
    if options.append:
        report.resume(options.json)
    for name in options.names or MEASURES:
        report.section = name
        print(f"\n== {name}")
        MEASURES[name](report)
        report.write(options.json)
    print(f"\nwritten to {options.json}")


if __name__ == "__main__":
    main()
