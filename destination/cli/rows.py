"""``destination rows FILE``: load a file of rows through a running server."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from destination.errors import MappingError
from destination.event import decode, encode
from destination.ingress.columns import (
    AS_THEY_ARE,
    LARGEST_CHUNK,
    LONGEST_WAIT,
    Columns,
    read_columns,
)
from destination.ingress.rows import OPERATIONS
from destination.ingress.tables import ENCODINGS
from destination.klaviyo.estimate import OBJECTS, estimate
from destination.runtime.files.loading import (
    Fingerprint,
    Loading,
    Opened,
    Progress,
    Reading,
    fingerprint,
)
from destination.runtime.files.poster import Poster, Target, Unposted
from destination.runtime.files.saved import Saved
from destination.settings import DEVELOPMENT, Settings, Source, is_loopback, load_settings

SERVER = "http://127.0.0.1:8080"

_STEPS = 10_000


def server_options(command: click.decorators.FC) -> click.decorators.FC:
    """``--server``, ``--key``, ``--source``: where rows are posted, and as whom."""
    for option in (
        click.option(
            "--source", help="The source whose write key is used; the only one, or default."
        ),
        click.option("--key", "write_key", help="Write key; the source's own by default."),
        click.option("--server", default=SERVER, show_default=True, help="The running server."),
    ):
        command = option(command)
    return command


def reading_options(command: click.decorators.FC) -> click.decorators.FC:
    """How a file is read."""
    for option in (
        click.option("--columns", help="Names of the columns, by commas, for a CSV without them."),
        click.option(
            "--delimiter", default="", help="Between cells; found out by default. \\t: tab."
        ),
        click.option(
            "--encoding", type=click.Choice(ENCODINGS), default="utf-8", show_default=True
        ),
        click.option(
            "--mapping",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="JSON file with mapped_fields; every column as it is by default.",
        ),
    ):
        command = option(command)
    return command


def settings_for(server: str, data_dir: Path | None = None) -> Settings:
    """The settings; on loopback the write key is ``dev`` until one is set, as under ``up``."""
    host = urlsplit(server).hostname or ""
    defaults = DEVELOPMENT if is_loopback(host) else {}
    return load_settings(defaults=defaults, data_dir=data_dir)


def source_of(settings: Settings, name: str | None) -> Source:
    """The source of that name, else the only one, else ``default``."""
    sources = settings.sources
    if name is None:
        name = next(iter(sources)) if len(sources) == 1 else "default"
    if name not in sources:
        raise click.UsageError(
            f"there is no source {name!r}; name one with --source: {', '.join(sources)}"
        )
    return sources[name]


def write_key_of(settings: Settings, name: str | None, given: str | None) -> str:
    """The write key to post with: the one given, else the source's first."""
    if given:
        return given
    source = source_of(settings, name)
    if not source.write_keys:
        raise click.UsageError(
            f"the source {source.name!r} has no write key; set DESTINATION_WRITE_KEY or give --key"
        )
    return source.write_keys[0].get_secret_value()


def columns_of(path: Path | None) -> Columns:
    """The column mapping in a file; none without a file."""
    if path is None:
        return AS_THEY_ARE
    try:
        return read_columns(decode(path.read_bytes()))
    except ValueError as error:
        raise click.ClickException(f"{path}: not JSON: {error}") from error
    except MappingError as error:
        raise click.ClickException(f"{path}: {error}") from error


def reading_of(encoding: str, delimiter: str, columns: str | None) -> Reading:
    """How the options say a file is to be read."""
    names = tuple(name.strip() for name in columns.split(",")) if columns else ()
    return Reading(encoding, delimiter.replace("\\t", "\t"), names)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--object", "object_", help="profile, event, list/ID, ...; profile by default.")
@click.option("--operation", help="What happened to the rows: upsert by default, removed, ...")
@click.option("--key-column", help="The column with each row's key.")
@reading_options
@server_options
@click.option(
    "--chunk-size", type=click.IntRange(1, LARGEST_CHUNK), help="Rows of one request; 1000."
)
@click.option(
    "--chunk-waiting-time",
    type=click.FloatRange(0, LONGEST_WAIT),
    help="Seconds from the start of one request to that of the next; 0.",
)
@click.option("--again", is_flag=True, help="Load a file once more: its rows count anew.")
@click.option("--dry-run", is_flag=True, help="Read and convert everything, post nothing.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Keeps how far a load is.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
def rows(
    file: Path,
    object_: str | None,
    operation: str | None,
    key_column: str | None,
    mapping: Path | None,
    encoding: str,
    delimiter: str,
    columns: str | None,
    server: str,
    write_key: str | None,
    source: str | None,
    chunk_size: int | None,
    chunk_waiting_time: float | None,
    again: bool,
    dry_run: bool,
    data_dir: Path | None,
    form: str,
) -> None:
    """Load FILE, CSV or NDJSON, through the running server.

    Stopped at any point (Ctrl-C, too), the same command goes on from there, and no row counts
    twice. Rows that are not taken stand in FILE.rejected.csv with the reasons; the status is 1 then.
    """
    settings = settings_for(server, data_dir)
    mapped = _with_options(
        columns_of(mapping), object_, operation, key_column, chunk_size, chunk_waiting_time
    )
    if mapped.operation and mapped.operation.strip().lower() not in OPERATIONS:
        raise click.UsageError(
            f"the operation {mapped.operation[:60]!r} is unknown; use one of {', '.join(OPERATIONS)}"
        )
    how = reading_of(encoding, delimiter, columns)
    before = file.stat()
    print_ = fingerprint(file)
    target = Target(
        server,
        "" if dry_run else write_key_of(settings, source, write_key),
        mapped.object or "profile",
        mapped.operation,
        mapped.key,
    )
    saved = Saved(settings.data_dir / "loads" / f"{_load_id(print_, target, how, mapping)}.json")
    with (
        saved.alone(f"loading {file}"),
        Opened(file, how) as opened,
    ):
        progress = _start(saved, print_, again=again, dry_run=dry_run)
        poster = None if dry_run else Poster(replace(target, run=progress.run), say=_say)
        rejects = file.with_name(f"{file.stem}.rejected.csv")
        loading = Loading(opened, mapped, poster, saved, rejects, progress)
        _run(loading, print_, target)
    if (file.stat().st_size, file.stat().st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        click.echo(f"{file} was changed while it was loaded; load it again", err=True)
        raise SystemExit(1)
    _tell(loading, target, rejects, form, dry_run=dry_run)
    if loading.progress.rejected:
        raise SystemExit(1)


def _with_options(
    columns: Columns,
    object_: str | None,
    operation: str | None,
    key: str | None,
    size: int | None,
    wait: float | None,
) -> Columns:
    """The mapping with what the options say; they go before the file."""
    given: dict[str, Any] = {
        "object": object_,
        "operation": operation,
        "key": key,
        "chunk_size": size,
        "chunk_waiting_time": wait,
    }
    return replace(columns, **{name: value for name, value in given.items() if value is not None})


def _load_id(print_: Fingerprint, target: Target, how: Reading, mapping: Path | None) -> str:
    """The same for all attempts at one load: same content, read alike, for the same target."""
    facts = [
        print_.id,
        asdict(how),
        target.server,
        target.object,
        target.operation,
        target.key,
        mapping.read_text("utf-8") if mapping else "",
    ]
    return hashlib.blake2b(encode(facts), digest_size=16).hexdigest()


def _start(saved: Saved, print_: Fingerprint, *, again: bool, dry_run: bool) -> Progress:
    progress = Progress() if again or dry_run else Progress.of(saved.read())
    if progress.line:
        click.echo(f"going on behind line {progress.line:,}", err=True)
    if not progress.run:
        progress.run = f"{print_.id}-{time.time_ns()}" if again else print_.id
    return progress


def _say(text: str) -> None:
    click.echo(f"\n{text}", err=True)


def _run(loading: Loading, print_: Fingerprint, target: Target) -> None:
    """Load, with a bar on the terminal; a load that is stopped says how to go on."""
    try:
        for _progress in _shown(loading, print_, target):
            pass
    except KeyboardInterrupt:
        click.echo(_stopped(loading.progress), err=True)
        raise SystemExit(130) from None
    except Unposted as error:
        if not loading.progress.rows:
            raise
        click.echo(f"\n{error}\n{_stopped(loading.progress)}", err=True)
        raise SystemExit(1) from error


def _stopped(progress: Progress) -> str:
    return (
        f"\nstopped behind line {progress.line:,}, {progress.rows:,} rows have their end;"
        " the same command goes on from there"
    )


def _shown(loading: Loading, print_: Fingerprint, target: Target) -> Iterator[Progress]:
    began, first = time.monotonic(), loading.progress.rows
    with click.progressbar(
        length=_STEPS,
        show_eta=False,
        item_show_func=_as_it_is,
        file=sys.stderr,
    ) as bar:
        for progress in loading.run():
            seconds = max(1e-3, time.monotonic() - began)
            bar.update(
                max(0, int(_STEPS * _share(progress, print_)) - bar.pos),
                f"{progress.rows:,} rows, {(progress.rows - first) / seconds:,.0f}/s,"
                f" {clock(_left(progress, print_, target, seconds, first))} left",
            )
            yield progress


def _share(progress: Progress, print_: Fingerprint) -> float:
    """How much of the file has its end, by lines: bytes are read far ahead of what was posted."""
    if not print_.lines:
        return max(1e-9, progress.position / max(1, print_.bytes))
    return min(1.0, max(1, progress.line) / print_.lines)


def _as_it_is(text: str | None) -> str | None:
    return text


def _left(
    progress: Progress, print_: Fingerprint, target: Target, seconds: float, first: int
) -> float:
    """Seconds until all rows can be at Klaviyo: what posting the rest takes at the pace so far, or
    what Klaviyo's limits need for all, whichever is more.
    """
    expected = progress.rows / _share(progress, print_)
    posting = (expected - progress.rows) * seconds / max(1, progress.rows - first)
    action = OBJECTS.get(target.object.partition("/")[0])
    if not action:
        return posting
    size = print_.bytes / max(1.0, expected)
    return max(posting, estimate(action, round(expected), size)[0].seconds - seconds)


def clock(seconds: float) -> str:
    """Seconds as a person reads them: ``0:07``, ``1:02:03``, ``2 d 3:04:05``."""
    whole = max(0, round(seconds))
    days, rest = divmod(whole, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, rest = divmod(rest, 60)
    text = f"{hours}:{minutes:02}:{rest:02}" if hours or days else f"{minutes}:{rest:02}"
    return f"{days} d {text}" if days else text


def _tell(loading: Loading, target: Target, rejects: Path, form: str, *, dry_run: bool) -> None:
    progress = loading.progress
    new = progress.accepted - progress.duplicate - progress.unmatched
    said = {
        "object": target.object,
        "rows": progress.rows,
        "stored": 0 if dry_run else new,
        "duplicate": progress.duplicate,
        "unmatched": progress.unmatched,
        "rejected": progress.rejected,
        "reasons": [
            {"line": line, "code": code, "message": message}
            for line, code, message in loading.first
        ],
        "rejects": str(rejects) if progress.rejected and not dry_run else None,
        "run": progress.run,
    }
    if form == "json":
        click.echo(encode(said))
        return
    if dry_run:
        click.echo(f"{progress.rows:,} rows: {progress.accepted:,} can be posted", nl=False)
    else:
        click.echo(
            f"{progress.rows:,} rows: {new:,} stored, {progress.duplicate:,} seen before,"
            f" {progress.unmatched:,} that no mapping wants",
            nl=False,
        )
    where = f" (see {rejects})" if progress.rejected and not dry_run else ""
    click.echo(f", {progress.rejected:,} rejected{where}")
    for line, code, message in loading.first:
        click.echo(f"  line {line:,}: {code}: {message}")
    if progress.rejected > len(loading.first):
        click.echo("  ...")
    if progress.duplicate:
        click.echo("Rows seen before count once; --again loads the file once more.")
    if progress.unmatched:
        click.echo(
            "Enable a mapping whose trigger takes rows of this object; docs/callers/rows.md has some."
        )
