"""``destination estimate``: how long rows will take, said beforehand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from destination.cli.rows import clock, columns_of, reading_of, reading_options
from destination.event import encode
from destination.ingress.normalise import Malformed
from destination.klaviyo.estimate import FILE_BYTES, OBJECTS, ROW_BYTES, WAYS, Estimate, files
from destination.klaviyo.estimate import estimate as estimates
from destination.runtime.files.loading import Opened, Reading

LEAST = (
    "The least time by Klaviyo's published limits, with nobody else calling; what Klaviyo needs to"
    " work a job off afterwards is not published."
)
ORDERS = "Each product of an order is one more event."


@click.command()
@click.argument("what", metavar="N|FILE")
@click.option("--object", "object_", help=f"What the rows are: {', '.join(OBJECTS)}.")
@click.option("--action", type=click.Choice(sorted(WAYS)), help="The action, in place of --object.")
@click.option("--row-bytes", type=click.FloatRange(1), help=f"Bytes of a row; {ROW_BYTES} for N.")
@reading_options
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
def estimate(
    what: str,
    object_: str | None,
    action: str | None,
    row_bytes: float | None,
    mapping: Path | None,
    encoding: str,
    delimiter: str,
    columns: str | None,
    form: str,
) -> None:
    """Say how long N rows, or those of FILE, take at the least by Klaviyo's limits.

    Every way in which the action can send them is told: many in one request, each by itself, and
    as files for Klaviyo's SFTP import.
    """
    file = Path(what)
    if file.is_file():
        count, size = _measured(file, mapping, reading_of(encoding, delimiter, columns))
    else:
        count, size = _number(what), float(ROW_BYTES)
    name = action or _action(object_ or columns_of(mapping).object or "profile")
    found = estimates(name, count, row_bytes or size)
    told = {
        "action": name,
        "rows": count,
        "row_bytes": round(row_bytes or size),
        "ways": [_way(each) for each in found],
        "files": {
            "count": files(count, row_bytes or size),
            "bytes": round(count * (row_bytes or size)),
        },
        "notes": [LEAST, ORDERS] if name == "orderCompleted" else [LEAST],
    }
    if form == "json":
        click.echo(encode(told))
    else:
        _print(told, found)


def _number(text: str) -> int:
    digits = text.replace(",", "").replace("_", "")
    if not digits.isdecimal() or len(digits) > 15:
        raise click.UsageError(f"{text[:60]!r} is neither a file nor a number of rows")
    return int(digits)


def _action(name: str) -> str:
    kind = name.partition("/")[0]
    if kind not in OBJECTS:
        known = ", ".join(OBJECTS)
        raise click.UsageError(f"no limits are known for {name[:60]!r}; use {known}, or --action")
    return OBJECTS[kind]


def _measured(file: Path, mapping: Path | None, how: Reading) -> tuple[int, float]:
    """Rows that a file's load would post, and their bytes in the mean."""
    mapped = columns_of(mapping)
    count = size = 0
    with Opened(file, how) as opened:
        if opened.table.kind == "csv":
            mapped.check_header(opened.table.header)
        for line in opened.table.lines:
            if line.problem:
                continue
            try:
                size += len(encode(mapped.row(line.row))) + 1
            except Malformed:
                continue
            count += 1
    return count, size / count if count else float(ROW_BYTES)


def _way(found: Estimate) -> dict[str, Any]:
    return {
        "way": found.way,
        "seconds": found.seconds,
        "operations": [
            {
                "operation": share.operation,
                "rows_per_call": share.rows_per_call,
                "calls": share.calls,
                "limits": [{"calls": w.calls, "seconds": w.seconds} for w in share.windows],
                "seconds": share.seconds,
            }
            for share in found.shares
        ],
    }


_WINDOWS = {1: "second", 60: "minute", 86_400: "day"}


def _print(told: dict[str, Any], found: tuple[Estimate, ...]) -> None:
    click.echo(f"{told['rows']:,} rows of {told['row_bytes']:,} bytes, {told['action']}")
    for way in found:
        click.echo(f"  {way.way:<7} {clock(way.seconds):>12}")
        for share in way.shares:
            limits = ", ".join(
                f"{w.calls:,} a {_WINDOWS.get(w.seconds, f'{w.seconds} s')}" for w in share.windows
            )
            click.echo(
                f"          {share.calls:,} x {share.operation} of {share.rows_per_call:,}"
                f" ({limits}): {clock(share.seconds)}"
            )
    count = told["files"]["count"]
    click.echo(
        f"  SFTP    {count:,} {'file' if count == 1 else 'files'} of up to"
        f" {FILE_BYTES // 1_000_000:,} MB; no limit of calls applies, no speed is published"
    )
    for note in told["notes"]:
        click.echo(note)
