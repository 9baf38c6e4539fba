"""``destination check``: whether mapping files can be used and do what their examples say."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import click
import redis.exceptions

from destination.action import Destination
from destination.cli import planned
from destination.cli.checked import Checked, as_json, as_text, check_files, files_in
from destination.cli.events import read_events
from destination.cli.junit import as_junit
from destination.cli.parts import redis_of
from destination.cli.shown import count, pretty
from destination.event import encode
from destination.mapping.schema import mapping_schema
from destination.preview import update_file
from destination.registry import DESTINATIONS
from destination.runtime.presets import mapping_files
from destination.runtime.recent_events import Recorded, recorded_events
from destination.runtime.store import connect
from destination.settings import Connection, Settings, load_settings

PATH = click.Path(exists=True, path_type=Path)


@click.command()
@click.argument("files", nargs=-1, type=PATH)
@click.option(
    "--format", "form", type=click.Choice(["text", "json", "junit"]), default="text",
    help="junit: a test case for each example, for CI systems.",
)  # fmt: skip
@click.option("--update", is_flag=True, help="Rewrite failed examples to what is found.")
@click.option("--against", metavar="recent|FILE", help="Show what FILES would change for events.")
@click.option("--base", type=PATH, help="With --against: compare with these mappings instead.")
@click.option("--connection", help="Name of the connection; the first by default.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of mapping files.")
def check(
    files: tuple[Path, ...],
    form: str,
    update: bool,
    against: str | None,
    base: Path | None,
    connection: str | None,
    schema: bool,
) -> None:
    """Check mapping files and run the examples inside; status 1 where something is wrong.

    A folder among FILES means every *.json in it, at any depth; without FILES the mappings in use
    are checked, also for events that two of them would send. --update rewrites the `payload` and
    `requests` of failed examples, and nothing else in the files.

    With --against nothing is checked: events run through the mappings in use and through FILES as
    if FILES took their place, and what would be sent otherwise is shown. A folder then means what
    it means to the server: the *.json directly in it. `recent` are the events that the server has
    recorded (DESTINATION_RECORD_EVENTS), FILE holds events as for `try`.
    """
    destination = DESTINATIONS["klaviyo"]
    if schema:
        click.echo(pretty(mapping_schema(destination.actions)))
        return
    settings = load_settings()
    chosen = _connection(settings, connection)
    if against is not None:
        _plan(settings, chosen, files, against, base, form)
        return
    if base is not None:
        raise click.UsageError("--base says what to compare with: give --against as well")
    _check(settings, chosen if connection else None, destination, files, form, update=update)


def _check(
    settings: Settings,
    only: Connection | None,
    destination: Destination,
    files: Sequence[Path],
    form: str,
    *,
    update: bool,
) -> None:
    def run() -> list[Checked]:
        if files:
            revision = settings.klaviyo_revision
            return check_files(files_in(files), destination, revision, together=False)
        in_use = {c.mappings: c for c in ([only] if only else settings.connections.values())}
        return [
            each
            for path, connection in in_use.items()
            for each in check_files(
                mapping_files(path), destination, connection.klaviyo_revision, together=True
            )
        ]

    checked = run()
    if update:
        number = sum(_update(each) for each in checked)
        click.echo(f"{count(number, 'file')} rewritten", err=True)
        checked = run()
    if form == "json":
        click.echo(encode(as_json(checked)))
    else:
        click.echo(as_junit(checked) if form == "junit" else as_text(checked), nl=form == "text")
    if not all(each.sound for each in checked):
        raise SystemExit(1)


def _update(checked: Checked) -> bool:
    """Rewrite a file's failed examples; whether that changed it."""
    if checked.errors or not checked.failed:
        return False
    before = checked.file.read_bytes()
    after = update_file(before.decode("utf-8-sig"), checked.ran).encode()
    if after == before:
        return False
    checked.file.write_bytes(after)
    return True


def _connection(settings: Settings, name: str | None) -> Connection:
    names = list(settings.connections)
    if name is not None and name not in names:
        raise click.UsageError(f"there is no connection {name!r}; there are: {', '.join(names)}")
    return settings.connections[name or names[0]]


def _plan(
    settings: Settings,
    connection: Connection,
    files: Sequence[Path],
    against: str,
    base: Path | None,
    form: str,
) -> None:
    if not files and base is None:
        raise click.UsageError("give the FILES to compare with the mappings in use, or --base")
    if form == "junit":
        raise click.UsageError("a comparison has no tests: use --format text or json")
    destination, revision = DESTINATIONS["klaviyo"], connection.klaviyo_revision
    in_use = mapping_files(connection.mappings)
    before = mapping_files(base) if base else in_use
    after = [file for path in files for file in mapping_files(path)] or in_use
    events = _recent(settings, connection) if against == "recent" else _from_file(against)
    found = planned.plan_events(
        events,
        planned.usable(before, destination, revision),
        planned.usable(after, destination, revision),
        destination,
        settings,
        now=time.time(),
        revision=revision,
    )
    if form == "json":
        click.echo(encode(planned.as_json(found, len(events))))
    else:
        click.echo(planned.as_text(found, len(events)))


def _recent(settings: Settings, connection: Connection) -> list[Recorded]:
    client = connect(redis_of(settings))
    try:
        events = recorded_events(client, connection.name)
    except redis.exceptions.RedisError as error:
        raise click.ClickException(f"Redis does not answer: {type(error).__name__}") from error
    finally:
        client.close()
    if not events:
        raise click.ClickException(
            f"no events of the connection {connection.name!r} are recorded. Set"
            " DESTINATION_RECORD_EVENTS to a number, such as 1000, and restart the server."
        )
    return events


def _from_file(path: str) -> list[Recorded]:
    return [Recorded("", event.body) for event in read_events(path)]
