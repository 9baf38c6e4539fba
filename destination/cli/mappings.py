"""``destination check``, ``try`` and ``import``: working on mappings without sending anything."""

from __future__ import annotations

import difflib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from destination.delivery import Discard
from destination.errors import Rejected
from destination.event import decode, encode
from destination.ingress import tracking
from destination.ingress.format import Inbound
from destination.mapping.file import Mapping
from destination.mapping.problem import Problem
from destination.mapping.segment import import_segment
from destination.pipeline import route
from destination.preview import Failure, Preview, Report, preview, request_json, run_examples
from destination.registry import DESTINATIONS
from destination.runtime.presets import mapping_files, read_mappings
from destination.settings import load_settings


def pretty(value: Any) -> str:
    """JSON for people."""
    return msgspec.json.format(encode(value), indent=2).decode()


def read(paths: tuple[Path, ...], revision: str) -> tuple[list[Mapping], list[Problem], Report]:
    """Read mapping files and run their examples, when they can be used."""
    klaviyo = DESTINATIONS["klaviyo"]
    files = [file for path in paths for file in mapping_files(path)]
    mappings, problems = read_mappings(files, klaviyo.actions)
    return mappings, problems, run_examples(mappings, klaviyo, revision=revision)


@click.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
def check(files: tuple[Path, ...], form: str) -> None:
    """Check mapping files (or folders of them) and run the examples inside.

    Status 1 with a diff where an example does not hold. Without FILES: the mappings in use.
    """
    settings = load_settings()
    paths = files or tuple({c.mappings for c in settings.connections.values()})
    mappings, problems, report = read(paths, settings.klaviyo_revision)
    errors = [problem for problem in problems if problem.severity == "error"]
    if form == "json":
        click.echo(
            encode(
                {
                    "mappings": [mapping.name for mapping in mappings],
                    "problems": [msgspec.to_builtins(problem) for problem in problems],
                    "passed": report.passed,
                    "failures": [msgspec.to_builtins(failure) for failure in report.failures],
                }
            )
        )
    else:
        for problem in problems:
            click.echo(str(problem))
        for failure in report.failures:
            click.echo(_difference(failure))
        click.echo(
            f"{len(mappings)} mappings, {report.passed} examples hold,"
            f" {len(report.failures)} do not, {len(errors)} errors"
        )
    if errors or report.failures:
        raise SystemExit(1)


def _difference(failure: Failure) -> str:
    expected, found = pretty(failure.expected), pretty(failure.found)
    lines = difflib.unified_diff(
        expected.splitlines(), found.splitlines(), "expected", "found", lineterm=""
    )
    head = f"{failure.mapping}: example {failure.example!r}: {failure.what} differs"
    return "\n  ".join([head, *lines])


@click.command("try")
@click.argument("event", type=click.Path(allow_dash=True))
@click.option("--mappings", type=click.Path(exists=True, path_type=Path), help="File or folder.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
def try_(event: str, mappings: Path | None, form: str) -> None:
    """Show what would be sent for an event, and send nothing.

    EVENT is a file with one event, an array of them, a batch, or one event a line; - reads
    standard input.
    """
    settings = load_settings(mappings=mappings)
    klaviyo = DESTINATIONS["klaviyo"]
    paths = {c.mappings for c in settings.connections.values()}
    files = [file for path in paths for file in mapping_files(path)]
    known, problems = read_mappings(files, klaviyo.actions)
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        raise click.ClickException("\n".join(map(str, errors)))
    routes = [route(mapping, klaviyo.actions) for mapping in known if mapping.enabled]
    for body in _events(event):
        previews = [
            preview(body, each, klaviyo, now=time.time(), revision=settings.klaviyo_revision)
            for each in routes
        ]
        found = [each for each in previews if each.matched]
        if form == "json":
            click.echo(encode({"event": body, "deliveries": [_json(each) for each in found]}))
        else:
            _print(body, found)


def _events(path: str) -> Iterator[dict[str, Any]]:
    """The canonical events in a file. Raises ``click.ClickException`` for what is none."""
    text = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    try:
        document = decode(text)
    except ValueError:
        try:
            document = [decode(line) for line in text.splitlines() if line.strip()]
        except ValueError as error:
            raise click.ClickException(f"{path}: neither JSON nor JSON lines: {error}") from error
    if isinstance(document, dict) and isinstance(document.get("batch"), list):
        body = document
    else:
        body = {"batch": document if isinstance(document, list) else [document]}
    now = _utcnow()
    try:
        parsed = tracking.parse(Inbound("batch", encode(body), now), "batch")
    except Rejected as error:
        raise click.ClickException(f"{path}: {error.message}") from error
    for each in parsed.refused:
        click.echo(f"event {each.index}: refused: {each.code}: {each.message}", err=True)
    if parsed.refused and not parsed.events:
        raise SystemExit(1)
    for event in parsed.events:
        yield event.body


def _utcnow() -> Any:
    from datetime import UTC, datetime  # noqa: PLC0415 used once

    return datetime.now(UTC)


def _json(found: Preview) -> dict[str, Any]:
    return {
        "mapping": found.mapping,
        "action": found.action,
        "payload": found.payload,
        "requests": [request_json(request) for request in found.requests],
        "outcome": msgspec.to_builtins(found.outcome),
    }


def _print(body: dict[str, Any], found: list[Preview]) -> None:
    name = f"{body['type']} {body.get('event', '')}".strip()
    click.echo(f"{name}  ({body['messageId']})")
    if not found:
        click.echo("  no mapping wants it")
    for each in found:
        click.echo(f"  {each.mapping} -> {each.action}")
        if isinstance(each.outcome, Discard):
            click.echo(f"    refused: {each.outcome.code}: {each.outcome.message}")
            continue
        for request in each.requests:
            query = "?" + "&".join(f"{k}={v}" for k, v in request.query.items())
            click.echo(f"    {request.method} {request.path}{query if request.query else ''}")
            if request.json is not None:
                click.echo("      " + pretty(request.json).replace("\n", "\n      "))


@click.group("import")
def import_() -> None:
    """Turn other tools' settings into ours."""


@import_.command()
@click.argument("file", type=click.Path(exists=True, path_type=Path))
def segment(file: Path) -> None:
    """Turn Segment's exported mappings into a mapping file; warnings go to standard error."""
    try:
        document = decode(file.read_bytes())
    except ValueError as error:
        raise click.ClickException(f"{file}: not JSON: {error}") from error
    ours, warnings = import_segment(document)
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(pretty(ours))
