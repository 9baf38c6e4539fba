"""``destination dead list|show|replay|discard``."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from destination.cli.parts import redis_of
from destination.cli.planned import usable
from destination.cli.replayed import as_text, progress
from destination.cli.shown import count
from destination.errors import Rejected
from destination.event import encode
from destination.pipeline import Route, route
from destination.registry import DESTINATIONS
from destination.runtime.letters.dead_letters import DeadLetters, Selection, person_named, shown
from destination.runtime.letters.replays import How, Replays, sketch_json
from destination.runtime.store import DeadLetter, Scripts, connect
from destination.settings import Settings, load_settings

MANY = 100
"""Letters from which on --yes is needed."""

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def _moment(default: float) -> Callable[[click.Context, click.Parameter, str], float]:
    """Reads a time as unix seconds: ``2026-09-21``, ``2026-09-21T10:00Z``, ``2h`` for so long ago.

    A time without a zone is UTC.
    """

    def read(_context: click.Context, _parameter: click.Parameter, text: str) -> float:
        if not text:
            return default
        ago = re.fullmatch(r"(\d{1,6})([smhd])", text)
        if ago:
            return time.time() - int(ago[1]) * _UNITS[ago[2]]
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            what = f"{text!r} is no time; write 2026-09-21, 2026-09-21T10:00Z or 2h"
            raise click.BadParameter(what) from None
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()

    return read


def _chosen_connection(settings: Settings, connection: str | None) -> str:
    names = list(settings.connections)
    name = connection or names[0]
    if name not in names:
        raise click.UsageError(f"there is no connection {name!r}; there are: {', '.join(names)}")
    return name


@contextlib.contextmanager
def _scripts(settings: Settings) -> Iterator[Scripts]:
    client = connect(redis_of(settings))
    try:
        yield Scripts(client)
    finally:
        client.close()


def _filters(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which letters are meant, as one ``Selection``."""

    @functools.wraps(command)
    def selecting(
        code: str, mapping: str, source: str, person: str, since: float, until: float, **rest: Any
    ) -> Any:
        try:
            who = person_named(person) if person else None
        except Rejected as error:
            raise click.UsageError(error.message) from None
        names = frozenset([mapping] if mapping else [])
        return command(selection=Selection(code, names, source, since, until, who), **rest)

    wrapped: Callable[..., Any] = selecting
    for option in (
        click.option("--until", default="", callback=_moment(math.inf), help="Only those dead before."),
        click.option("--since", default="", callback=_moment(0.0), help="Only those dead since: 2h."),
        click.option("--person", default="", help="Only of this address, +phone, or id of a person."),
        click.option("--source", default="", help="Only those of this source."),
        click.option("--mapping", default="", help="Only those of this mapping."),
        click.option("--code", default="", help="Only those with this code."),
        click.option("--connection", help="Name of the connection; the first by default."),
    ):  # fmt: skip
        wrapped = option(wrapped)
    return wrapped


def _chosen(
    letters: DeadLetters, ids: tuple[str, ...], selection: Selection, everything: bool
) -> list[DeadLetter]:
    if ids:
        found = {each: letters.get(each) for each in ids}
        missing = [each for each, letter in found.items() if letter is None]
        if missing:
            raise click.UsageError(f"no dead letter has the id {missing[0]!r}")
        return [letter for letter in found.values() if letter and selection.wants(letter)]
    if not (selection.says_something or everything):
        raise click.UsageError("say which: ids, --code, --mapping, --since, ... or --all")
    return list(letters.matching(selection))


@click.group()
def dead() -> None:
    """Look at dead letters, send them again or drop them."""


@dead.command("list")
@_filters
@click.option("--limit", default=50, show_default=True)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
def list_(connection: str | None, selection: Selection, limit: int, form: str) -> None:
    """List dead letters, oldest first."""
    settings = load_settings()
    with _scripts(settings) as scripts:
        letters = DeadLetters(scripts, _chosen_connection(settings, connection))
        total, listed = len(letters), 0
        for letter in letters.matching(selection):
            if listed == limit:
                break
            listed += 1
            if form == "json":
                click.echo(encode(shown(letter)))
            else:
                when = datetime.fromtimestamp(letter.time, UTC).strftime("%Y-%m-%d %H:%M:%S")
                click.echo(f"{when}  {letter.id}\n    {letter.code}: {letter.message}")
        if form == "text":
            click.echo(f"{listed} of {total} dead letters")


@dead.command()
@click.argument("letter_id")
@click.option("--connection", help="Name of the connection; the first by default.")
def show(letter_id: str, connection: str | None) -> None:
    """Show one dead letter whole: event, reason, cause, remedy."""
    settings = load_settings()
    with _scripts(settings) as scripts:
        letters = DeadLetters(scripts, _chosen_connection(settings, connection))
        letter = letters.get(letter_id)
        if letter is None:
            raise click.UsageError(f"no dead letter has the id {letter_id!r}")
        click.echo(encode(shown(letter, event=True)))


@dead.command()
@click.argument("ids", nargs=-1)
@_filters
@click.option("--all", "everything", is_flag=True, help="All of them.")
@click.option("--as-it-was", "failed", is_flag=True, help="With the mapping's version that failed.")
@click.option("--live", is_flag=True, help="Let events of long ago set off flows, as new ones do.")
@click.option("--dry-run", is_flag=True, help="Show what would be sent, and send nothing.")
@click.option("--yes", is_flag=True, help=f"Needed for more than {MANY}.")
@click.option("--rate", type=click.FloatRange(0.1, 10_000), default=100.0, show_default=True,
              help="Letters a second.")  # fmt: skip
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
def replay(
    ids: tuple[str, ...],
    connection: str | None,
    selection: Selection,
    everything: bool,
    failed: bool,
    live: bool,
    dry_run: bool,
    yes: bool,
    rate: float,
    form: str,
) -> None:
    """Send dead letters again, with the mapping as it is now.

    --mapping also takes a FILE.json with a draft: the letters of its mappings are replayed with it,
    whatever is in force. Events of more than an hour ago are sent so that they set nothing off
    (backfill), unless --live is given or the mapping says otherwise.

    Interrupted, it can be run again: nothing is sent twice.
    """
    settings = load_settings()
    name = _chosen_connection(settings, connection)
    drafts, selection = _drafts(selection, settings, name)
    if drafts and failed:
        raise click.UsageError("--as-it-was and a draft exclude each other")
    how = How(drafts, failed, live)
    with _scripts(settings) as scripts:
        replays = Replays(scripts, settings, name)
        chosen = _chosen(replays.letters, ids, selection, everything)
        many = len(chosen) > MANY and not yes
        if dry_run or many:
            known, now = replays.delivered(), time.time()
            sketches = [replays.sketch(letter, how, known, now) for letter in chosen]
            if form == "json":
                for sketch in sketches:
                    click.echo(encode(sketch_json(sketch)))
            else:
                click.echo(as_text(sketches, known))
            if many and not dry_run:
                what = f"nothing is sent yet: add --yes for {count(len(chosen), 'letter')}"
                raise click.UsageError(what)
            return
        moved = progress(replays.paced([each.id for each in chosen], how, rate), len(chosen))
    click.echo(f"{moved} dead letters are pending again")
    if moved < len(chosen):
        left = len(chosen) - moved
        click.echo(f"{left} were gone, or the version that failed is not on record", err=True)


def _drafts(
    selection: Selection, settings: Settings, connection: str
) -> tuple[dict[str, Route], Selection]:
    """The drafts, when --mapping is a file, and the selection of their letters."""
    named = next(iter(selection.mappings), "")
    if not named.endswith(".json"):
        return {}, selection
    file, klaviyo = Path(named), DESTINATIONS["klaviyo"]
    if not file.is_file():
        raise click.UsageError(f"there is no file {named!r}")
    mappings = usable([file], klaviyo, settings.connections[connection].klaviyo_revision)
    drafts = {each.name: route(each, klaviyo.actions) for each in mappings if each.enabled}
    if not drafts:
        raise click.UsageError(f"{named}: no mapping in it is enabled")
    return drafts, dataclasses.replace(selection, mappings=frozenset(drafts))


@dead.command()
@click.argument("ids", nargs=-1)
@_filters
@click.option("--all", "everything", is_flag=True, help="All of them.")
@click.option("--yes", is_flag=True, help=f"Needed for more than {MANY}.")
def discard(
    ids: tuple[str, ...],
    connection: str | None,
    selection: Selection,
    everything: bool,
    yes: bool,
) -> None:
    """Drop dead letters for good; they count as dropped."""
    settings = load_settings()
    with _scripts(settings) as scripts:
        letters = DeadLetters(scripts, _chosen_connection(settings, connection))
        chosen = _chosen(letters, ids, selection, everything)
        if len(chosen) > MANY and not yes:
            raise click.UsageError(f"add --yes to drop {count(len(chosen), 'letter')} for good")
        moved = letters.discard(chosen)
    click.echo(f"{moved} dead letters are dropped")
