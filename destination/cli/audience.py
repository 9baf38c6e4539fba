"""``destination audience mirror``: make a list equal to a file."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from destination.cli.mirrored import print_end, print_plan, told_of
from destination.cli.parts import redis_of
from destination.cli.rows import (
    columns_of,
    reading_of,
    reading_options,
    server_options,
    settings_for,
    source_of,
    write_key_of,
)
from destination.delivery import Outcome
from destination.errors import Ended, NoRoom, Unanswered
from destination.event import encode
from destination.klaviyo.audience import NoList, named_list
from destination.klaviyo.lists import list_id
from destination.klaviyo.mirror import Held, Plan, check_removals, most_removals
from destination.pipeline import outcome_of
from destination.registry import DESTINATIONS
from destination.runtime.counts import read_counts
from destination.runtime.delivery.connections import Working
from destination.runtime.files.mirror import (
    ADDING,
    REMOVING,
    Mirror,
    Posted,
    audience_in,
    fetched,
    matched,
    patient,
)
from destination.runtime.files.poster import Poster, Target
from destination.runtime.files.saved import Saved
from destination.runtime.presets import mapping_files, read_mappings
from destination.runtime.store import Scripts, connect
from destination.sending import Account
from destination.settings import Connection, Settings, is_loopback

LOOK = 0.5
"""Seconds between two looks whether everything is delivered."""


@click.group()
def audience() -> None:
    """Keep lists at Klaviyo equal to audiences of your own."""


@dataclass(frozen=True, slots=True)
class _Place:
    """The installation that a mirror works with; ``asking`` waits for Klaviyo's answers."""

    settings: Settings
    connection: Connection
    scripts: Scripts
    account: Account
    asking: Account


@audience.command()
@click.argument("what", metavar="FILE|URL")
@click.option("--list", "named", required=True, help="Id or name of the list at Klaviyo.")
@click.option("--create", is_flag=True, help="Make the list when there is none of this name.")
@click.option("--dry-run", is_flag=True, help="Show the plan and change nothing.")
@click.option(
    "--force", is_flag=True, help="Add who is suppressed, unsubscribed or taken off by hand."
)
@click.option(
    "--max-removals",
    default="",
    metavar="N|N%",
    help="How many may leave at once; 10% or 50 by default, whichever is more.",
)
@click.option("--country", default="", help="Country of national phone numbers, such as US.")
@click.option("--wait", default=60.0, show_default=True, help="Seconds to wait for the deliveries.")
@reading_options
@server_options
@click.option("--data-dir", type=click.Path(path_type=Path), help="Keeps what was mirrored last.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
def mirror(
    what: str,
    named: str,
    create: bool,
    dry_run: bool,
    force: bool,
    max_removals: str,
    country: str,
    wait: float,
    mapping: Path | None,
    encoding: str,
    delimiter: str,
    columns: str | None,
    server: str,
    write_key: str | None,
    source: str | None,
    data_dir: Path | None,
    form: str,
) -> None:
    """Make the list equal to FILE or the file at URL: its people in, all others out.

    Only the difference is sent, as rows of the list through the running server. Whoever is
    suppressed or unsubscribed at Klaviyo, or was taken off the list by hand since the last mirror,
    is not added again. Without --mapping only the columns email, phone_number and external_id
    count. Status 1 when too many would leave, or when not all of it could be done.
    """
    _check_limit(max_removals)
    settings = settings_for(server, data_dir)
    key = "" if dry_run else write_key_of(settings, source, write_key)
    folder = settings.data_dir / "mirrors"
    how, mapped = reading_of(encoding, delimiter, columns), columns_of(mapping)
    with _local(what, folder / "fetched") as file:
        rejects = file.with_name(f"{file.stem}.rejected.csv")
        found = audience_in(file, how, mapped, country, rejects)
    connection = settings.connections[source_of(settings, source).connection]
    with _working(settings, connection) as place, _klaviyo_errors():
        id_, name = _list(named, place, create=create and not dry_run)
        saved = Saved(folder / f"{connection.name}-{id_}.json")
        with saved.alone(f"mirroring {name}"):
            mirrored = Mirror(id_, place.asking, saved)
            planned = mirrored.plan(found.wanted, mirrored.members(_reading), force=force)
            told = told_of(id_, name, planned, found)
            problem = _problem(planned, max_removals)
            if form == "text":
                print_plan(told)
            ok = not problem and not found.rejected and not planned.stuck
            if not problem and not dry_run:
                target = Target(server, key, f"list/{id_}", run=f"mirror-{id_}-{time.time_ns()}")
                ok = _carry_out(place, mirrored, planned, target, wait, told) and ok
    told["held"] = problem or None
    if form == "json":
        click.echo(encode(told))
    else:
        print_end(told, rejects, dry_run=dry_run)
    if not ok:
        raise SystemExit(1)


@contextlib.contextmanager
def _local(what: str, folder: Path) -> Iterator[Path]:
    """The file, or a copy of what is at an address, which does not outlive its use."""
    if "://" not in what:
        if not Path(what).is_file():
            raise click.UsageError(f"there is no file {what!r}")
        yield Path(what)
        return
    file = fetched(what, folder)
    try:
        yield file
    finally:
        file.unlink()


def _check_limit(text: str) -> None:
    try:
        most_removals(text, 0)
    except ValueError as error:
        raise click.UsageError(f"--max-removals {error}; write 200 or 25%") from None


@contextlib.contextmanager
def _working(settings: Settings, connection: Connection) -> Iterator[_Place]:
    client = connect(redis_of(settings))
    try:
        working = Working(connection, settings, Scripts(client))
        try:
            account = working.account()
            asking = replace(account, send=patient(account.send, _say))
            yield _Place(settings, connection, Scripts(client), account, asking)
        finally:
            working.close()
    finally:
        client.close()


@contextlib.contextmanager
def _klaviyo_errors() -> Iterator[None]:
    """What Klaviyo refuses, as a sentence."""
    try:
        yield
    except (Ended, Unanswered, NoRoom) as error:
        outcome: Outcome = outcome_of(error)
        said = getattr(outcome, "message", "") or getattr(outcome, "code", "")
        raise click.ClickException(
            f"Klaviyo cannot be asked: {said}; nothing was changed"
        ) from error


def _say(text: str) -> None:
    click.echo(text, err=True)


def _reading(count: int) -> None:
    if count % 10_000 == 0:
        _say(f"{count:,} members read")


def _list(named: str, place: _Place, *, create: bool) -> tuple[str, str]:
    try:
        return named_list(named, place.asking)
    except NoList:
        if not create:
            raise
    return list_id({"list_name": named}, place.account), named


def _problem(planned: Plan, limit: str) -> str:
    try:
        check_removals(planned, limit)
    except Held as held:
        return str(held)
    return ""


def _carry_out(
    place: _Place,
    mirrored: Mirror,
    planned: Plan,
    target: Target,
    wait: float,
    told: dict[str, Any],
) -> bool:
    """Post the plan and see what became of it; whether all of it is done."""
    _check_mappings(place, planned, target)
    poster = Poster(target, say=_say)
    try:
        posted = mirrored.post(planned, poster)
    finally:
        poster.close()
    told["posted"] = {
        "accepted": posted.accepted,
        "duplicate": posted.duplicate,
        "unmatched": posted.unmatched,
        "rejected": [{**row, "code": code, "message": text} for row, code, text in posted.rejected],
    }
    if not wait:
        return _all_taken(posted)
    _await_deliveries(place, wait)
    there = mirrored.members() if planned.add or planned.remove else []
    on_list = {name for member in there for name in member.names}
    missing = [person for person in planned.add if not person.names & on_list]
    lingering = [member for member in planned.remove if member.names & on_list]
    if planned.add or planned.remove:
        mirrored.finish(planned, there)
    told["not_yet"] = {"added": len(missing), "removed": len(lingering)}
    return _all_taken(posted) and not missing and not lingering


def _all_taken(posted: Posted) -> bool:
    return not posted.rejected and not posted.unmatched


def _check_mappings(place: _Place, planned: Plan, target: Target) -> None:
    """Refuse to post rows that the mappings would make something else of.

    Those of a server on another machine are not known here.
    """
    if not is_loopback(urlsplit(target.server).hostname or ""):
        return
    klaviyo = DESTINATIONS["klaviyo"]
    known, problems = read_mappings(mapping_files(place.connection.mappings), klaviyo.actions)
    if any(problem.severity == "error" for problem in problems):
        return  # The server goes on with the last good ones, which are not known here.
    id_ = target.object.partition("/")[2]
    for operation, people, wanted in (
        ("added", planned.add, ADDING),
        ("removed", planned.remove, REMOVING),
    ):
        names = {each.name: each.action for each in matched(known, id_, operation)}
        others = sorted(name for name, action in names.items() if action not in wanted)
        if people and (others or not names):
            seen = f"{', '.join(others)} would make something else of" if others else "none wants"
            raise click.ClickException(
                f"of the mappings of connection {place.connection.name!r} {seen} rows of a list that"
                f" are {operation}. Give rows a connection with mappings of their own"
                " (docs/files.md) and name its source with --source. Nothing was changed"
            )


def _await_deliveries(place: _Place, wait: float) -> None:
    end = time.monotonic() + wait
    while time.monotonic() < end:
        counts = read_counts(place.scripts, [place.connection.name], audit=False)
        if not counts["connections"][place.connection.name]["pending"]:
            return
        time.sleep(LOOK)
