"""Working on mappings without sending anything: ``destination check``, ``try``, ``import`` and
``export``.
"""

from __future__ import annotations

import time
from pathlib import Path

import click

from destination.cli.check import check
from destination.cli.events import kept_away, read_events
from destination.cli.explained import as_json, as_text
from destination.cli.shown import pretty
from destination.event import decode, encode
from destination.mapping.segment import export_segment, export_terraform, import_segment
from destination.pipeline import route
from destination.preview import explain
from destination.registry import DESTINATIONS
from destination.runtime.presets import mapping_files, read_mappings
from destination.settings import load_settings

__all__ = ["check", "export", "import_", "try_"]


@click.command("try")
@click.argument("event", type=click.Path(allow_dash=True))
@click.option("--mappings", type=click.Path(exists=True, path_type=Path), help="File or folder.")
@click.option("--explain", "reasons", is_flag=True, help="Say where each value comes from.")
@click.option("--rows", default="", metavar="OBJECT", help="EVENT holds rows for /rows/OBJECT.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
def try_(event: str, mappings: Path | None, reasons: bool, rows: str, form: str) -> None:
    """Show what would be sent for an event, and send nothing.

    EVENT is a file with one event, an array of them, a batch, or one event a line; - reads
    standard input. With --format json, a line for each event.
    """
    settings = load_settings(mappings=mappings)
    klaviyo = DESTINATIONS["klaviyo"]
    paths = {connection.mappings for connection in settings.connections.values()}
    files = [file for path in paths for file in mapping_files(path)]
    known, problems = read_mappings(files, klaviyo.actions)
    errors = [str(problem) for problem in problems if problem.severity == "error"]
    if errors:
        raise click.ClickException("\n".join(errors))
    routes = [route(mapping, klaviyo.actions) for mapping in known if mapping.enabled]
    for each in read_events(event, rows):
        found = [
            explain(each.body, ready, klaviyo, now=time.time(), revision=settings.klaviyo_revision)
            for ready in routes
        ]
        if form == "json":
            click.echo(encode(as_json(each.body, found, reasons=reasons)))
        else:
            click.echo(as_text(each.body, found, reasons=reasons))
            if kept_away(each):
                click.echo("  its `integrations` keep it from Klaviyo when a client sends it")


@click.group("import")
def import_() -> None:
    """Turn other tools' settings into ours."""


@import_.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def segment(file: Path) -> None:
    """Turn Segment's exported mappings into a mapping file; warnings go to standard error."""
    try:
        ours, warnings = import_segment(decode(file.read_bytes()))
    except ValueError as error:  # what is no JSON, or holds no mappings
        raise click.ClickException(f"{file}: {error}") from error
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(pretty(ours))


@click.group()
def export() -> None:
    """Write mappings for other tools."""


@export.command("segment")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--terraform", is_flag=True, help="As a Terraform configuration (.tf.json).")
def to_segment(file: Path, terraform: bool) -> None:
    """Turn a mapping file into what Segment's Public API has; warnings go to standard error."""
    _, problems = read_mappings([file], DESTINATIONS["klaviyo"].actions)
    errors = [str(problem) for problem in problems if problem.severity == "error"]
    if errors:
        raise click.ClickException("\n".join(errors))
    write = export_terraform if terraform else export_segment
    theirs, warnings = write(decode(file.read_bytes()))
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(pretty(theirs))
